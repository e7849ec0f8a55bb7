//! The thread that writes: a disk that stalls must not keep sockets from being read.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::anyhow;
use tercel_core::{Event, Nanos};
use tercel_runtime::{Clock, UtcClock};
use tercel_store::{Metadata, RecordedTape, Recording, RecordingOptions, StoreError};

use super::tally::Counts;
use crate::data::blame;
use crate::exit::{Blame, Failure, Outcome};

/// Deliveries that may wait.
const QUEUE: usize = 256;
/// How often the thread looks at the clock when nothing comes.
const NAP: Duration = Duration::from_millis(200);

/// Whether events were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// All of them.
    Free,
    /// None: the disk is behind.
    Full,
    /// None: the disk has failed.
    Closed,
}

/// How far the thread is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The tape that is written to, and its length.
    pub(super) tape: Option<(PathBuf, u64)>,
    pub(super) n_full_tapes: usize,
    pub(super) counts: Counts,
}

/// Hands events to the thread that owns the recording.
pub(super) struct Writer {
    sender: Option<SyncSender<Vec<Event>>>,
    progress: Arc<Mutex<Progress>>,
    thread: JoinHandle<Result<Vec<RecordedTape>, StoreError>>,
}

impl Writer {
    pub(super) fn start(
        metadata: Metadata,
        options: RecordingOptions,
        folder: &Path,
        venue: &str,
    ) -> Outcome<Self> {
        let (folder, venue) = (folder.to_owned(), venue.to_owned());
        let recording = Recording::new(metadata, options, move |at| name(&folder, &venue, at));
        let (sender, receiver) = sync_channel(QUEUE);
        let progress = Arc::new(Mutex::new(Progress::default()));
        let own = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("tercel-tape".to_owned())
            .spawn(move || write(recording, &receiver, &own))
            .or_machine()?;
        Ok(Self { sender: Some(sender), progress, thread })
    }

    /// Takes events out of `events`, if there is room for them.
    pub(super) fn take(&self, events: &mut Vec<Event>) -> Room {
        let Some(sender) = &self.sender else { return Room::Closed };
        if events.is_empty() {
            return if self.thread.is_finished() { Room::Closed } else { Room::Free };
        }
        match sender.try_send(std::mem::take(events)) {
            Ok(()) => Room::Free,
            Err(TrySendError::Full(back)) => {
                *events = back;
                Room::Full
            }
            Err(TrySendError::Disconnected(_)) => Room::Closed,
        }
    }

    /// Takes events out of `events`, as soon as there is room for them.
    pub(super) fn take_late(&self, events: &mut Vec<Event>) {
        if let (Some(sender), false) = (&self.sender, events.is_empty()) {
            // Should the disk have failed, that is told at the end.
            let _ = sender.send(std::mem::take(events));
        }
    }

    /// Returns how far the thread is.
    pub(super) fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all is on the disk. Returns the tapes, and what is in them.
    pub(super) fn end(mut self) -> Outcome<(Vec<RecordedTape>, Counts)> {
        self.sender = None;
        let written = self.thread.join();
        let counts = self.progress.lock().unwrap_or_else(PoisonError::into_inner).counts.clone();
        match written {
            Ok(tapes) => Ok((tapes.map_err(blame)?, counts)),
            Err(_) => Err(Failure::Machine(anyhow!("the thread that writes tapes has failed"))),
        }
    }
}

fn write(
    mut recording: Recording,
    receiver: &Receiver<Vec<Event>>,
    progress: &Mutex<Progress>,
) -> Result<Vec<RecordedTape>, StoreError> {
    let mut clock = UtcClock::system();
    loop {
        let events = match receiver.recv_timeout(NAP) {
            Ok(events) => events,
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return recording.close(clock.now()),
        };
        let mut counts = Counts::default();
        counts.add(&events);
        recording.write(events, clock.now())?;
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.counts.join(&counts);
        progress.tape = recording.open_tape().map(|(path, n_bytes)| (path.to_owned(), n_bytes));
        progress.n_full_tapes = recording.tapes().len();
    }
}

/// Returns the path of a tape that begins at a time, such as `binance-20260301T120000Z.tape`. One that
/// begins in the same second has another ending.
fn name(folder: &Path, venue: &str, at: Nanos) -> PathBuf {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map_or_else(|_| at.0.to_string(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string());
    let path = |n: u32| {
        let number = if n == 0 { String::new() } else { format!("-{n}") };
        folder.join(format!("{venue}-{time}{number}.tape"))
    };
    let is_free = |path: &PathBuf| {
        let mut part = path.clone().into_os_string();
        part.push(".part");
        !path.exists() && !Path::new(&part).exists()
    };
    (0..=u32::MAX).map(path).find(is_free).unwrap_or_else(|| path(0))
}
