//! What can go wrong with the runs of a data folder.

use std::path::{Path, PathBuf};

use crate::journal::JournalError;

/// Why runs cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// The operating system refused.
    #[error("{path}: {cause}", path = .path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        cause: std::io::Error,
    },
    /// Another process writes into the folder.
    #[error("{data}: another process writes here; stop it, or choose another data folder", data = .data.display())]
    Locked {
        /// The data folder.
        data: PathBuf,
    },
    /// The note of the last run's number is damaged.
    #[error(
        "{path}: `{text}` is no run number; write the highest number ever used there",
        path = .path.display(), text = .text.trim()
    )]
    BadNote {
        /// Which file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// The number that the folder has drawn is damaged.
    #[error(
        "{path}: `{text}` is no number from 0 to 16,777,214, such as the folder has drawn for the names of \
         its orders; restore it from a copy, or take another data folder once no order works",
        path = .path.display(), text = .text.trim()
    )]
    BadInstallation {
        /// Which file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// The note of the runs that a run belongs to is damaged.
    #[error(
        "{path}: `{text}` does not say which runs belong together; write the first one's number, how \
         many there are, and by what they were dealt, such as `12 2 accounts`",
        path = .path.display(), text = .text.trim()
    )]
    BadGroup {
        /// Which file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// The note of the keys of a run's accounts is damaged.
    #[error(
        "{path}: it does not say which keys the accounts had; delete it once you know that the keys are \
         still the same accounts'",
        path = .path.display()
    )]
    BadKeys {
        /// Which file.
        path: PathBuf,
    },
    /// All numbers that order ids have room for were used.
    #[error("{data}: all 16,777,215 run numbers are used; choose another data folder and account", data = .data.display())]
    NumbersExhausted {
        /// The data folder.
        data: PathBuf,
    },
    /// There is no such run.
    #[error("no run `{name}` in {data}; `tercel runs` lists them", data = .data.display())]
    NoRun {
        /// What was asked for.
        name: String,
        /// The data folder.
        data: PathBuf,
    },
    /// A run's journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Names the file or folder that an error is about.
pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> RunsError + '_ {
    |cause| RunsError::Io { path: path.to_owned(), cause }
}
