//! The journal of a run: the numbered, chained list of what went into the engine and what came out.
//!
//! [`Journal`] is held by the engine's thread: handing a record over encodes it and copies it into a
//! ring. A thread of the journal's own chains records by hash, gathers them into blocks and commits
//! each block in one transaction of a redb file. [`JournalReader`] reads such a file, checks
//! it, and finds what recovery begins with: the last snapshot, the tail after it, the last lease.
//!
//! It owns the bytes of records. It knows no engine: it neither replays nor judges what it records.
//! It protects against crashes, and finds damage without mending it; only a copy protects against the
//! loss of the disk.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use tercel_core::{Event, Nanos, Seq};
//! use tercel_store::journal::{Journal, JournalOptions, JournalReader, RunStart};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run.journal");
//! let start =
//!     RunStart { run: 1, at: Nanos(0), config: String::new(), version: "0.1.0".to_owned() };
//! let mut journal = Journal::create(&path, start, JournalOptions::default())?;
//! let ids = journal.lease(1 << 20)?;
//! let ticket = journal.entry(Seq(1), Nanos(5), &Event::Timer, &[])?;
//! journal.wait_durable(ticket, Duration::from_secs(5))?;
//! journal.end(Seq(1), 0, "example")?;
//!
//! let reader = JournalReader::open(&path)?;
//! assert_eq!(reader.last_lease(), Some(ids));
//! assert_eq!(reader.verify()?.n_records, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
pub mod codec;
mod committer;
mod contained;
mod error;
mod file;
mod head;
mod market_count;
mod reader;
mod record;
mod shared;
mod writer;

pub use block::source_hash;
pub use contained::panic_is_expected;
pub use error::JournalError;
pub use reader::{JournalOutline, JournalReader, RecordedHole, Records, StoredSnapshot, Verified};
pub use record::{CUT_OFF, Entry, Record, RecordedEffect, Sent};
pub use redb::StorageBackend;
pub use writer::{Journal, JournalMode, JournalOptions, RunStart};
