//! A thread for what would hold the engine up: encoding snapshots, opening a journal again.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tercel_core::{CopiedState, Nanos, Seq, State};
use tercel_crash::{Point, point};
use tercel_store::journal::{Journal, JournalError, Record, codec};
use tercel_store::state;

/// What the clerk is asked to do.
#[expect(clippy::large_enum_variant, reason = "two of them exist at a time")]
pub(super) enum Job {
    /// Encodes a snapshot.
    Encode(Snapshot),
    /// Closes the old journal, opens it again and leases so many order numbers.
    Reopen { old: Option<Journal>, lease: u32 },
}

/// What came of it.
pub(super) enum Done {
    /// A snapshot's record, and in which opening of the journal it has its place.
    Encoded { opening: u64, bytes: Vec<u8> },
    /// The journal, and the order numbers that it has leased.
    Opened(Result<(Journal, Range<u64>), JournalError>),
}

/// A state on its way to the journal.
pub(super) struct Snapshot {
    /// Counts the openings of the journal: positions in one mean nothing in the next.
    pub(super) opening: u64,
    pub(super) seq: Seq,
    pub(super) now: Nanos,
    pub(super) n_before: u64,
    pub(super) state: CopiedState,
}

/// Opens a journal again, after it has failed.
pub(super) type Open = Box<dyn Fn() -> Result<Journal, JournalError> + Send>;

/// The side of the engine's thread.
pub(super) enum Clerk {
    /// Another thread does it.
    Thread(Office),
    /// It is done when asked for: for simulations, in which there is one thread.
    Stepped { open: Open, jobs: VecDeque<Job> },
}

/// A thread and the ways to it and back.
#[derive(Debug)]
pub(super) struct Office {
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

/// Jobs that wait at most: a snapshot and an opening, so nothing here ever blocks.
const JOBS_MAX: usize = 2;

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(office) => office.fmt(f),
            Self::Stepped { jobs, .. } => f.debug_tuple("Stepped").field(&jobs.len()).finish(),
        }
    }
}

impl Clerk {
    /// Starts the thread, which stays on the cores of the calling one, as do the threads of the
    /// journals that it opens.
    pub(super) fn spawn(open: Open) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Job>(JOBS_MAX);
        let (outbox, done) = sync_channel(JOBS_MAX);
        let thread =
            std::thread::Builder::new().name("journal-clerk".to_owned()).spawn(move || {
                while let Ok(job) = inbox.recv() {
                    if outbox.send(job.done(&open)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self::Thread(Office { jobs: Some(jobs), done, thread: Some(thread) }))
    }

    /// Returns a clerk who works on the calling thread.
    pub(super) const fn stepped(open: Open) -> Self {
        Self::Stepped { open, jobs: VecDeque::new() }
    }

    /// Asks for something. Does not wait; returns whether it will be done.
    pub(super) fn ask(&mut self, job: Job) -> bool {
        match self {
            Self::Thread(office) => {
                office.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
            }
            Self::Stepped { jobs, .. } => {
                let has_room = jobs.len() < JOBS_MAX;
                if has_room {
                    jobs.push_back(job);
                }
                has_room
            }
        }
    }

    /// Returns what is done.
    pub(super) fn poll(&mut self) -> Option<Done> {
        match self {
            Self::Thread(office) => office.done.try_recv().ok(),
            Self::Stepped { open, jobs } => jobs.pop_front().map(|job| job.done(open)),
        }
    }
}

impl Job {
    fn done(self, open: &Open) -> Done {
        match self {
            Self::Encode(Snapshot { opening, seq, now, n_before, state }) => {
                let bytes = encoded(seq, now, n_before, &state.into_state());
                point(Point::SnapshotEncoded);
                Done::Encoded { opening, bytes }
            }
            Self::Reopen { old, lease } => {
                drop(old);
                Done::Opened(open().and_then(|mut journal| {
                    let ids = journal.lease(lease)?;
                    Ok((journal, ids))
                }))
            }
        }
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.jobs = None;
        while self.done.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // If it panicked there is nothing more to do than it said itself.
            drop(thread.join());
        }
    }
}

/// Returns the record of a snapshot.
pub(super) fn encoded(seq: Seq, now: Nanos, n_before: u64, state: &State) -> Vec<u8> {
    let bytes = state::encode(state);
    let mut encoded = Vec::with_capacity(bytes.len() + 64);
    let state_hash = state.hash();
    codec::encode(&Record::Snapshot { seq, now, state_hash, n_before, bytes }, &mut encoded);
    encoded
}
