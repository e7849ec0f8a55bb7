//! The folder that runs are kept in, and the runs that commands name.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use tercel_runtime::{RecoverError, ReexecutionError, ResimulationError};
use tercel_store::StoreError;
use tercel_store::journal::{JournalError, JournalReader};
use tercel_store::runs::{ExportError, RunCatalog, RunFolder, RunsError};

use crate::exit::{Failure, Outcome, is_wrong_path};
use crate::server_config::control_socket_in;

/// Where runs are kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataFolder {
    /// The data folder, with the runs and a running server's control socket in it.
    #[arg(
        long,
        value_name = "DIR",
        env = "TERCEL_DATA",
        default_value = "tercel-data",
        global = true
    )]
    data: PathBuf,
}

impl DataFolder {
    /// Returns the runs of the folder.
    pub(crate) fn catalog(&self) -> RunCatalog {
        RunCatalog::open(&self.data)
    }

    /// Returns the run that somebody names.
    pub(crate) fn find(&self, run: &str) -> Outcome<RunFolder> {
        self.catalog().find(run).map_err(blame)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.data
    }

    /// Returns the control socket of a server, unless it is known to be elsewhere.
    pub(crate) fn control_socket(&self, elsewhere: Option<&Path>) -> PathBuf {
        elsewhere.map_or_else(|| control_socket_in(&self.data), Path::to_owned)
    }
}

/// Opens the journal of a run to read it.
pub(crate) fn open_journal(run: &RunFolder) -> Outcome<JournalReader> {
    JournalReader::open(&run.journal()).map_err(blame_run(run))
}

/// Whose fault it is that a run's files cannot be read: the input's, unless the system refused. Says
/// what to do about a journal that is damaged.
pub(crate) fn blame_run<E: Into<anyhow::Error>>(run: &RunFolder) -> impl FnOnce(E) -> Failure + '_ {
    |error| {
        let error = error.into();
        let (journal, data) = causes(&error);
        if journal.is_some_and(JournalError::is_damage) {
            let number = run.number;
            return Failure::Input(anyhow!("{error:#}; look at it with `tercel verify {number}`"));
        }
        let is_machine = journal.is_some_and(is_out_of_reach)
            || matches!(data, Some(StoreError::Io { cause, .. })
                if !is_wrong_path(cause));
        if is_machine { Failure::Machine(error) } else { Failure::Input(error) }
    }
}

/// Returns what an error says of a journal, or of a tape.
fn causes(error: &anyhow::Error) -> (Option<&JournalError>, Option<&StoreError>) {
    let journal = match error.downcast_ref() {
        Some(ReexecutionError::Journal(cause)) => Some(cause),
        _ => match error.downcast_ref() {
            Some(ResimulationError::Journal(cause)) => Some(cause),
            _ => match error.downcast_ref() {
                Some(RecoverError::Journal(cause)) => Some(cause),
                _ => error.downcast_ref(),
            },
        },
    };
    let data = match error.downcast_ref() {
        Some(ReexecutionError::Tape(cause)) => Some(cause),
        _ => match error.downcast_ref() {
            Some(ResimulationError::Tape(cause)) => Some(cause),
            _ => error.downcast_ref(),
        },
    };
    (journal, data)
}

/// Whose fault an error about runs is: the input's, unless the system refused.
pub(crate) fn blame(error: RunsError) -> Failure {
    let is_machine = match &error {
        RunsError::Io { cause, .. } => !is_wrong_path(cause),
        RunsError::Journal(error) => is_out_of_reach(error),
        RunsError::Locked { .. }
        | RunsError::BadNote { .. }
        | RunsError::BadInstallation { .. }
        | RunsError::BadGroup { .. }
        | RunsError::BadKeys { .. }
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
