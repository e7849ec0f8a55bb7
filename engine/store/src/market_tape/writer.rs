//! The side of a run's tape that the engine's thread holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rtrb::{Producer, RingBuffer};
use tercel_core::{InstrumentId, MarketData, MarketEvent, Nanos};

use super::segments::Segments;
use crate::error::StoreError;
use crate::metadata::Metadata;

/// How the tape of a run is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarketTapeOptions {
    /// Room for events that wait to be written, 80 bytes each. What does not fit is left out.
    pub ring_events: usize,
    /// Length in bytes at which a segment ends, about.
    pub segment_bytes: u64,
    /// Longest time that an event waits for others to share its block.
    pub linger: Duration,
    /// Bytes that all segments may take together: the oldest ones go. The last one stays.
    pub bytes_max: Option<u64>,
    /// Age at which a segment goes, counted from when it was last written to.
    pub age_max: Option<Duration>,
    /// How long an event waits for room in the ring before it is left out. Zero where time passes by
    /// itself; a feed that is replayed loses nothing by waiting.
    pub patience: Duration,
}

impl Default for MarketTapeOptions {
    /// 65,536 events of ring (5 MB), segments of 64 MiB, a second, nothing deleted,
    /// no waiting.
    fn default() -> Self {
        Self {
            ring_events: 1 << 16,
            segment_bytes: 64 << 20,
            linger: Duration::from_secs(1),
            bytes_max: None,
            age_max: None,
            patience: Duration::ZERO,
        }
    }
}

/// An event and its number.
pub(super) type Numbered = (u64, MarketEvent);

/// What both threads see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) is_closed: AtomicBool,
    /// How many events there were in all: set before the tape is closed.
    pub(super) n_events: AtomicU64,
    /// Events that the ring took and no segment has.
    pub(super) n_unwritten: AtomicU64,
    /// What the disk said last, until it works again.
    failure: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn set_failure(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The tape of one run, being written.
#[derive(Debug)]
pub struct MarketTape {
    ring: Producer<Numbered>,
    n_events: u64,
    n_dropped: u64,
    patience: Duration,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl MarketTape {
    /// Begins a tape in a folder, which is made if need be. Its first event has the number 0.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or holds segments already.
    pub fn create(
        folder: &Path,
        metadata: &Metadata,
        options: MarketTapeOptions,
    ) -> Result<Self, StoreError> {
        let segments = Segments::create(folder, metadata, &options)?;
        let (mut producer, mut consumer) = RingBuffer::new(options.ring_events.max(1));
        // Once around the ring, so that the system finds its memory now and not under the first
        // events.
        while producer.push(NOTHING).is_ok() {}
        while consumer.pop().is_ok() {}
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("tape".to_owned())
            .spawn(move || segments.run(consumer, &own))
            .map_err(|error| StoreError::io(folder, error))?;
        Ok(Self {
            ring: producer,
            n_events: 0,
            n_dropped: 0,
            patience: options.patience,
            shared,
            thread: Some(thread),
        })
    }

    /// Numbers an event and hands it over, or leaves it out if the ring is full. Returns its number.
    ///
    /// To be called for every market event that the engine takes, in that order. Never waits without
    /// [`MarketTapeOptions::patience`]; no system call, no allocation.
    #[inline]
    pub fn record(&mut self, event: &MarketEvent) -> u64 {
        let number = self.n_events;
        self.n_events += 1;
        if self.ring.push((number, *event)).is_err() && !self.push_late((number, *event)) {
            self.n_dropped += 1;
        }
        number
    }

    /// Waits for room, and returns whether there was some in time.
    #[cold]
    fn push_late(&mut self, event: Numbered) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < self.patience {
            thread::sleep(Duration::from_micros(200));
            if self.ring.push(event).is_ok() {
                return true;
            }
        }
        false
    }

    /// Returns how many events there were, those left out included.
    #[must_use]
    pub const fn n_events(&self) -> u64 {
        self.n_events
    }

    /// Returns how many events were left out so far, because the ring was full or the disk failed.
    #[must_use]
    pub fn n_lost(&self) -> u64 {
        self.n_dropped + self.shared.n_unwritten.load(Ordering::Relaxed)
    }

    /// Returns what the disk said, while nothing can be written. Takes a lock: not for the hot path.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// Ends the tape. Returns when all of it is on the disk.
    ///
    /// # Errors
    ///
    /// If the last segment cannot be written.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), StoreError> {
        self.shared.n_events.store(self.n_events, Ordering::Relaxed);
        self.shared.is_closed.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.thread().unpark();
        // A panic there has been told by the hook; there is nothing left to end.
        thread.join().unwrap_or(Ok(()))
    }
}

impl Drop for MarketTape {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = self.stop();
    }
}

/// Fills the ring once.
const NOTHING: Numbered = (
    0,
    MarketEvent {
        venue_at: Nanos(0),
        received_at: Nanos(0),
        instrument: InstrumentId(0),
        data: MarketData::Clear { seq: 0 },
    },
);
