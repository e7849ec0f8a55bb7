//! What can go wrong with a journal.

use tercel_core::Seq;

/// Why a journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The storage refused. What was being written may or may not be there: open it again.
    #[error("{place}: {cause}")]
    Storage {
        /// Which file.
        place: String,
        /// What it said.
        cause: Box<redb::Error>,
    },
    /// The ring has no room: the disk does not keep up. Nothing of the record was taken.
    #[error("the journal's ring of {capacity} bytes is full: the disk does not keep up")]
    Full {
        /// Size of the ring in bytes.
        capacity: usize,
    },
    /// A commit failed before. What was not durable then may or may not be in the file.
    #[error("the journal stopped: {why}; open it again to see what was kept")]
    Failed {
        /// What failed.
        why: String,
    },
    /// The record is larger than a journal takes.
    #[error("a record of {len} bytes is larger than a journal takes ({max})")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
        /// The largest.
        max: usize,
    },
    /// Entries must have growing numbers.
    #[error("entry {seq} does not come after {last}")]
    OutOfOrder {
        /// The entry's number.
        seq: Seq,
        /// The last entry's number.
        last: Seq,
    },
    /// An entry was refused before, and another one came: the journal would have a hole.
    #[error("entry {owed} was refused and must come before entry {seq}")]
    Owed {
        /// The number of the entry that was refused.
        owed: Seq,
        /// The number of the entry that came.
        seq: Seq,
    },
    /// Records that begin or end a run, lease ids or hold an entry have calls of their own.
    #[error("{what} has a call of its own")]
    Misplaced {
        /// Which kind of record.
        what: &'static str,
    },
    /// No order numbers are left in this run.
    #[error("{n} order numbers from {from} on exceed the {most} of a run: start another run")]
    IdsExhausted {
        /// The first that would have been leased.
        from: u64,
        /// How many were asked for.
        n: u64,
        /// How many a run has.
        most: u64,
    },
    /// Waiting took too long; the record may still become durable.
    #[error("{ticket} records were not durable in time, only {durable}")]
    TimedOut {
        /// How many were waited for.
        ticket: u64,
        /// How many were durable.
        durable: u64,
    },
    /// The run is over; nothing is added to it.
    #[error("{place}: the run is over; start another one")]
    Sealed {
        /// Which file.
        place: String,
    },
    /// There is a run in it already.
    #[error("{place}: there is a run in it already; open it or choose another file")]
    Exists {
        /// Which file.
        place: String,
    },
    /// Nothing in it: it was cut off while being created.
    #[error("{place}: no run in it: it was cut off at its creation and can be removed")]
    NoRun {
        /// Which file.
        place: String,
    },
    /// A record is not what was written.
    #[error("{place}: damaged at record {index}: {what}")]
    Damaged {
        /// Which file.
        place: String,
        /// The first bad record, from 0.
        index: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl JournalError {
    /// Returns whether the file is open elsewhere: by the process that writes it, most likely.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Storage { cause, .. }
            if matches!(**cause, redb::Error::DatabaseAlreadyOpen))
    }

    /// Returns whether the file is not what was written, rather than out of reach.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Storage { cause, .. } => match &**cause {
                // A file that is too short or begins as no database does is told as an error of I/O.
                redb::Error::Io(error) => matches!(
                    error.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
                ),
                cause => !matches!(cause, redb::Error::DatabaseAlreadyOpen),
            },
            _ => false,
        }
    }
}
