//! The tape's own thread: from the ring into segments, and which of them go.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rtrb::Consumer;
use tercel_core::Event;
use tercel_crash::{Point, point};

use super::writer::{MarketTapeOptions, Numbered, Shared};
use super::{ENDING, segments_of};
use crate::error::StoreError;
use crate::metadata::Metadata;
use crate::tape::{BLOCK_EVENTS, BlockWriter};

/// How long the thread sleeps when there is nothing to write. The ring has to hold what comes
/// meanwhile: 13 million events a second fill the default one.
const NAP: Duration = Duration::from_millis(5);
/// How long it waits after a failure before it tries the disk again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it looks for segments that are too old.
const TIDYING: Duration = Duration::from_secs(60);

/// Writes the segments of one run.
pub(super) struct Segments {
    folder: PathBuf,
    metadata: Metadata,
    options: MarketTapeOptions,
    /// The open one.
    segment: Option<BlockWriter>,
    n_segments: u32,
    /// Events of the next block, all in a row.
    pending: Vec<Event>,
    /// Number of the first of them.
    first: u64,
    /// When the first of them came.
    since: Instant,
    /// When to try again after a failure.
    retry_at: Option<Instant>,
    tidied_at: Instant,
}

impl Segments {
    pub(super) fn create(
        folder: &Path,
        metadata: &Metadata,
        options: &MarketTapeOptions,
    ) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(folder, error);
        std::fs::create_dir_all(folder).map_err(io)?;
        if let Some((_, path)) = segments_of(folder).map_err(io)?.first() {
            return Err(StoreError::io(path, std::io::ErrorKind::AlreadyExists.into()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            metadata: metadata.clone(),
            options: *options,
            segment: None,
            n_segments: 0,
            pending: Vec::with_capacity(BLOCK_EVENTS),
            first: 0,
            since: Instant::now(),
            retry_at: None,
            tidied_at: Instant::now(),
        })
    }

    /// Writes what comes until the tape is closed.
    pub(super) fn run(
        mut self,
        mut ring: Consumer<Numbered>,
        shared: &Shared,
    ) -> Result<(), StoreError> {
        loop {
            // Looked at before the ring: whatever was handed over before the end is found there.
            let is_closed = shared.is_closed.load(Ordering::Acquire);
            let n_waiting = ring.slots();
            if let Ok(chunk) = ring.read_chunk(n_waiting) {
                for (number, event) in chunk {
                    if number != self.first + self.pending.len() as u64 {
                        self.block(shared);
                        self.first = number;
                    }
                    if self.pending.is_empty() {
                        self.since = Instant::now();
                    }
                    self.pending.push(Event::Market(event));
                    if self.pending.len() == BLOCK_EVENTS {
                        self.block(shared);
                    }
                }
            }
            if is_closed {
                self.block(shared);
                return self.end(shared.n_events.load(Ordering::Relaxed));
            }
            if !self.pending.is_empty() && self.since.elapsed() >= self.options.linger {
                self.block(shared);
            }
            if self.tidied_at.elapsed() >= TIDYING {
                self.tidy();
            }
            if n_waiting == 0 {
                thread::park_timeout(NAP.min(self.options.linger));
            }
        }
    }

    /// Writes the pending events as a block, or counts them as lost.
    fn block(&mut self, shared: &Shared) {
        if self.pending.is_empty() {
            return;
        }
        let n_events = self.pending.len() as u64;
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            shared.n_unwritten.fetch_add(n_events, Ordering::Relaxed);
        } else {
            match self.write() {
                Ok(()) => {
                    if self.retry_at.take().is_some() {
                        shared.set_failure(None);
                    }
                }
                Err(error) => {
                    // Whole blocks of the segment stay readable. The next one begins another.
                    self.segment = None;
                    self.retry_at = Some(Instant::now() + PATIENCE);
                    shared.set_failure(Some(error.to_string()));
                    shared.n_unwritten.fetch_add(n_events, Ordering::Relaxed);
                }
            }
        }
        self.first += n_events;
        self.pending.clear();
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let mut segment = match self.segment.take() {
            Some(segment) => segment,
            None => self.begin()?,
        };
        point(Point::TapeBlock);
        segment.write(self.first, &self.pending)?;
        point(Point::TapeBlockWritten);
        segment.flush()?;
        point(Point::TapeBlockFlushed);
        if segment.n_bytes() >= self.options.segment_bytes {
            point(Point::TapeSegmentFull);
            segment.end()?;
            point(Point::TapeSegmentEnded);
            self.tidy();
        } else {
            self.segment = Some(segment);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<BlockWriter, StoreError> {
        let number = self.n_segments + 1;
        let path = self.folder.join(format!("{number:08}.{ENDING}"));
        let file = File::create_new(&path).map_err(|error| StoreError::io(&path, error))?;
        // Counted once there is one: a number without a file would look like a file that is gone.
        self.n_segments = number;
        let segment = BlockWriter::begin(file, &path, &self.metadata, true)?;
        point(Point::TapeSegment);
        Ok(segment)
    }

    /// Says how many events there were, if the last ones were lost, and closes the last segment.
    fn end(&mut self, n_events: u64) -> Result<(), StoreError> {
        if self.first < n_events && self.segment.is_none() {
            self.segment = Some(self.begin()?);
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        if self.first < n_events {
            segment.write(n_events, &[])?;
        }
        segment.end()?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| StoreError::io(&self.folder, error))
    }

    /// Deletes the oldest segments that are too many or too old, never the last one.
    fn tidy(&mut self) {
        self.tidied_at = Instant::now();
        // What cannot be seen or deleted now is seen to the next time.
        let Ok(segments) = segments_of(&self.folder) else { return };
        let mut kept: Vec<_> = segments
            .into_iter()
            .filter_map(|(_, path)| {
                let metadata = path.metadata().ok()?;
                let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
                Some((path, metadata.len(), age.unwrap_or_default()))
            })
            .collect();
        kept.pop();
        let last = self.segment.as_ref().map_or(0, BlockWriter::n_bytes);
        let mut n_bytes = last + kept.iter().map(|(_, len, _)| len).sum::<u64>();
        for (path, len, age) in kept {
            let is_too_much = self.options.bytes_max.is_some_and(|most| n_bytes > most);
            let is_too_old = self.options.age_max.is_some_and(|most| age > most);
            if !is_too_much && !is_too_old {
                break;
            }
            if std::fs::remove_file(&path).is_ok() {
                n_bytes -= len;
            }
        }
    }
}
