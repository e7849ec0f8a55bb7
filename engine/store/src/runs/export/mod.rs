//! A run's journal as tables that other programs read: orders, fills, positions, equity, notices.

mod files;
mod ledger;
mod names;
mod tables;

use std::path::{Path, PathBuf};

use self::files::Files;
use self::ledger::Ledger;
use self::names::Names;
use super::RunFolder;
use crate::journal::{JournalError, JournalReader};

/// What the tables are written as. All have the same columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportFormat {
    /// Parquet, zstd: timestamps in UTC, decimals of 38 digits with 18 places.
    Parquet,
    /// Comma-separated values with a header; empty cells are empty.
    Csv,
    /// One JSON object a line; decimals and ids as text.
    Jsonl,
}

impl ExportFormat {
    /// Returns its name, which is the ending of its files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// A table that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportedTable {
    /// What it is called.
    pub name: &'static str,
    /// Where it lies.
    pub path: PathBuf,
    /// How many rows it has.
    pub n_rows: u64,
}

/// Why a run was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file cannot be written.
    #[error("{path}: {what}", path = .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        what: String,
    },
}

impl ExportError {
    fn io(path: &Path, error: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), what: error.to_string() }
    }
}

impl RunFolder {
    /// Writes the run's tables into a folder, which is made if need be, beside a description of their
    /// columns (`columns.md`). Tables of before are replaced once all new ones are whole.
    ///
    /// Orders are followed as the engine follows them, so memory grows with those that work at once. Names and
    /// steps of instruments come from the run's last snapshot, else from its tape; without either
    /// there are numbers, ticks and lots alone.
    ///
    /// # Errors
    ///
    /// If the journal is damaged or cannot be read, or a file cannot be written; no table is then
    /// written or replaced.
    pub fn export(
        &self,
        folder: &Path,
        format: ExportFormat,
    ) -> Result<Vec<ExportedTable>, ExportError> {
        let reader = JournalReader::open(&self.journal())?;
        let names = Names::of(&reader, self)?;
        let mut files = Files::create(folder, format)?;
        let mut ledger = Ledger::new(names);
        for record in reader.records()? {
            ledger.take(&record?.1, &mut files)?;
        }
        ledger.finish(&mut files)?;
        files.finish()
    }
}
