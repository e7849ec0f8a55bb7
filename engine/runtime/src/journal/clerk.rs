//! A thread for what would hold the engine up: encoding snapshots, opening a journal again.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tercel_core::{CopiedState, Seq, State};
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
    pub(super) n_before: u64,
    pub(super) state: CopiedState,
}

/// The side of the engine's thread.
#[derive(Debug)]
pub(super) struct Clerk {
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

impl Clerk {
    /// Starts the thread, which stays on the cores of the calling one, as do the threads of the
    /// journals that it opens.
    pub(super) fn spawn(
        open: impl Fn() -> Result<Journal, JournalError> + Send + 'static,
    ) -> std::io::Result<Self> {
        // At most one snapshot and one opening are under way, so nothing here ever blocks.
        let (jobs, inbox) = sync_channel::<Job>(2);
        let (outbox, done) = sync_channel(2);
        let thread =
            std::thread::Builder::new().name("journal-clerk".to_owned()).spawn(move || {
                while let Ok(job) = inbox.recv() {
                    let done = match job {
                        Job::Encode(snapshot) => {
                            let Snapshot { opening, seq, n_before, state } = snapshot;
                            let bytes = encoded(seq, n_before, &state.into_state());
                            Done::Encoded { opening, bytes }
                        }
                        Job::Reopen { old, lease } => {
                            drop(old);
                            Done::Opened(open().and_then(|mut journal| {
                                let ids = journal.lease(lease)?;
                                Ok((journal, ids))
                            }))
                        }
                    };
                    if outbox.send(done).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread) })
    }

    /// Asks for something. Does not wait; returns whether it will be done.
    pub(super) fn ask(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// Returns what is done.
    pub(super) fn poll(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }
}

impl Drop for Clerk {
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
pub(super) fn encoded(seq: Seq, n_before: u64, state: &State) -> Vec<u8> {
    let bytes = state::encode(state);
    let mut encoded = Vec::with_capacity(bytes.len() + 64);
    codec::encode(
        &Record::Snapshot { seq, state_hash: state.hash(), n_before, bytes },
        &mut encoded,
    );
    encoded
}
