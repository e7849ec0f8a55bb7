//! What can go wrong with data on disk.
//!
//! A message has its cause in it, which is therefore no source of the error: who prints a chain of errors would
//! print it twice.

use std::path::PathBuf;

/// Why data cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{path}: {cause}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        cause: std::io::Error,
    },
    /// No format known here begins like this.
    #[error("{path}: not a format known here ({found}); known are {known}", path = .path.display())]
    UnknownFormat {
        /// Which file.
        path: PathBuf,
        /// What its beginning looks like.
        found: String,
        /// The known formats.
        known: String,
    },
    /// The file says too little, and guessing is refused.
    #[error("{path}: {what}; say it with {option}", path = .path.display())]
    Ambiguous {
        /// Which file.
        path: PathBuf,
        /// What is not clear.
        what: String,
        /// Which option makes it clear.
        option: &'static str,
    },
    /// The bytes are not what they should be.
    #[error("{path}: damaged at byte {offset}: {what}", path = .path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where, in the file as it lies on disk.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The file ends too early. What came before is usable on request.
    #[error(
        "{path}: ends too early at byte {offset}; --accept-truncated uses what came before",
        path = .path.display()
    )]
    Truncated {
        /// Which file.
        path: PathBuf,
        /// Where it ends.
        offset: u64,
    },
    /// A line that the rest of the file depends on is wrong.
    #[error("{path}:{line}: {what}", path = .path.display())]
    BadLine {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// Nothing usable in it.
    #[error("{path}: no market data in it ({n_bad} bad lines; first: {first})", path = .path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
        /// How many lines were refused.
        n_bad: u64,
        /// Why the first was.
        first: String,
    },
    /// The values do not make an instrument.
    #[error(transparent)]
    Instrument(#[from] tercel_core::InstrumentError),
    /// Two files disagree about one instrument.
    #[error("{symbol}: the files disagree: {what}; import them with --tick and --lot")]
    Conflict {
        /// Which instrument.
        symbol: String,
        /// What differs.
        what: String,
    },
    /// A Parquet file could not be written or read.
    #[error("{path}: {cause}", path = .path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What the library said.
        cause: parquet::errors::ParquetError,
    },
}

impl StoreError {
    pub(crate) fn io(path: &std::path::Path, cause: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }
}
