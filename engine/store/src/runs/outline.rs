//! What a run is, at a glance.

use std::fs;
use std::path::Path;

use tercel_core::Nanos;

use super::error::io;
use super::{RunCatalog, RunFolder, RunGroup, RunsError};
use crate::journal::{JournalError, JournalReader};

/// How a run stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunState {
    /// It was ended.
    Ended {
        /// Why.
        reason: String,
    },
    /// It was cut off: its process ended without a word.
    Cut,
    /// A process has its journal open.
    InUse,
    /// It was cut off before its first record.
    Empty,
    /// Its journal cannot be read.
    Unreadable {
        /// Why not.
        what: String,
    },
}

/// A run at a glance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunOutline {
    /// Which one, and where.
    pub folder: RunFolder,
    /// Which runs it belongs to.
    pub group: RunGroup,
    /// How it stands.
    pub state: RunState,
    /// When it began, on the system's clock; `None` if its journal cannot be read.
    pub started_at: Option<Nanos>,
    /// The time of its last entry, or of its start; `None` if its journal cannot be read.
    pub last_at: Option<Nanos>,
    /// Entries of its journal.
    pub n_entries: u64,
    /// Snapshots in its journal.
    pub n_snapshots: u64,
    /// Bytes of its journal on the disk.
    pub journal_bytes: u64,
    /// Bytes of its tape on the disk.
    pub tape_bytes: u64,
}

impl RunOutline {
    /// Returns the bytes that the run takes on the disk.
    #[must_use]
    pub const fn n_bytes(&self) -> u64 {
        self.journal_bytes + self.tape_bytes
    }

    /// Returns whether it may hold what the next start goes on with: not if it was cut off before it
    /// began, whose first record is a snapshot.
    pub(super) const fn may_have_begun(&self) -> bool {
        match self.state {
            RunState::Empty => false,
            RunState::InUse | RunState::Unreadable { .. } => true,
            RunState::Ended { .. } | RunState::Cut => self.n_snapshots > 0,
        }
    }
}

impl RunCatalog {
    /// Returns all runs, oldest first. Reads every journal that nobody has open: about a second for
    /// two million entries.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read. A run that cannot be read is told as such.
    pub fn list(&self) -> Result<Vec<RunOutline>, RunsError> {
        self.folders()?.into_iter().map(RunOutline::of).collect()
    }
}

impl RunOutline {
    /// Looks at a run.
    ///
    /// # Errors
    ///
    /// If its folder cannot be read.
    pub fn of(folder: RunFolder) -> Result<Self, RunsError> {
        let journal = folder.journal();
        let (group, damage) = match folder.group() {
            Ok(group) => (group, None),
            Err(error) => (RunGroup::alone(folder.number), Some(error)),
        };
        let mut outline = Self {
            group,
            state: RunState::Empty,
            started_at: None,
            last_at: None,
            n_entries: 0,
            n_snapshots: 0,
            journal_bytes: fs::metadata(&journal).map_or(0, |metadata| metadata.len()),
            tape_bytes: bytes_in(&folder.tape())?,
            folder,
        };
        if let Some(damage) = damage {
            outline.state = RunState::Unreadable { what: damage.to_string() };
            return Ok(outline);
        }
        if !journal.is_file() {
            return Ok(outline);
        }
        match JournalReader::open(&journal).and_then(|reader| reader.outline()) {
            Ok(found) => {
                outline.started_at = Some(found.started_at);
                outline.last_at = Some(found.last_at);
                outline.n_entries = found.n_entries;
                outline.n_snapshots = found.n_snapshots;
                outline.state = match found.end_reason {
                    Some(reason) => RunState::Ended { reason },
                    None => RunState::Cut,
                };
            }
            Err(JournalError::NoRun { .. }) => {}
            Err(error) if error.is_in_use() => outline.state = RunState::InUse,
            Err(error) => outline.state = RunState::Unreadable { what: error.to_string() },
        }
        Ok(outline)
    }
}

fn bytes_in(folder: &Path) -> Result<u64, RunsError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(io(folder))?,
    };
    // What goes while it is looked at takes no room.
    Ok(entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|found| found.len()).sum())
}
