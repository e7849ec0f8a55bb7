//! The folder that runs are kept in, and the runs that commands name.

use std::path::PathBuf;

use clap::Args;
use tercel_store::journal::JournalError;
use tercel_store::runs::{ExportError, RunCatalog, RunsError};

use crate::exit::{Failure, Outcome};

/// Where runs are kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataFolder {
    /// Folder of the runs.
    #[arg(long, value_name = "DIR", env = "TERCEL_DATA", default_value = "tercel-data")]
    data: PathBuf,
}

impl DataFolder {
    /// Returns the runs of the folder.
    pub(crate) fn catalog(&self) -> RunCatalog {
        RunCatalog::open(&self.data)
    }
}

/// Does what reads journals. The database behind them panics on some damage to its pages; the journal
/// catches that and tells it as damage, which the hook that ends the process would forestall.
pub(crate) fn reading_journals<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    result.unwrap_or_else(|_| {
        Err(Failure::Machine(anyhow::anyhow!("the program failed while it read a run")))
    })
}

/// Whose fault an error about runs is: the input's, unless the system refused.
pub(crate) fn blame(error: RunsError) -> Failure {
    let is_machine = match &error {
        RunsError::Io { source, .. } => source.kind() != std::io::ErrorKind::NotFound,
        RunsError::Journal(error) => is_out_of_reach(error),
        RunsError::Locked { .. }
        | RunsError::BadNote { .. }
        | RunsError::BadGroup { .. }
        | RunsError::NumbersExhausted { .. }
        | RunsError::NoRun { .. } => false,
    };
    if is_machine { Failure::Machine(error.into()) } else { Failure::Input(error.into()) }
}

/// Whose fault it is that a run is not exported.
pub(crate) fn blame_export(error: ExportError) -> Failure {
    match &error {
        ExportError::Journal(cause) if !is_out_of_reach(cause) => Failure::Input(error.into()),
        ExportError::Journal(_) | ExportError::File { .. } => Failure::Machine(error.into()),
    }
}

fn is_out_of_reach(error: &JournalError) -> bool {
    matches!(error, JournalError::Storage { .. }) && !error.is_in_use() && !error.is_damage()
}
