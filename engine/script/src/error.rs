//! What goes wrong: while a script is loaded, and in a function that it calls.

use std::path::PathBuf;

use tercel_core::{FaultKind, StrategyFault, TooManyIntents};

/// Why a script cannot be loaded or bound.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says. Told in the message, so not as its source as well.
        cause: std::io::Error,
    },
    /// The file's ending names no script language.
    #[error("{path}: not a script: the name must end in .luau, .lua or .rhai")]
    Language {
        /// The file.
        path: PathBuf,
    },
    /// The source is larger than allowed.
    #[error("{file}: {bytes} bytes of source, at most {limit} are allowed")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The script does not compile or its top level fails.
    #[error(transparent)]
    Fault(#[from] StrategyFault),
    /// The script's declaration is wrong or missing.
    #[error("{file}: {message}")]
    Manifest {
        /// The file.
        file: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A parameter was given a value that it cannot have, or does not exist.
    #[error("parameter {name}: {message}")]
    Param {
        /// The parameter's name as given.
        name: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The script is bound to something that does not fit its declaration.
    #[error("{file}: {message}")]
    Binding {
        /// The file.
        file: String,
        /// What does not fit.
        message: String,
    },
}

/// Why a function of the host refused a call. Languages raise it as an error of their own.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct HostError {
    /// Which bound or rule was broken.
    pub(crate) kind: FaultKind,
    /// What was wrong, with the value.
    pub(crate) message: String,
}

impl HostError {
    /// Returns an ordinary error: a wrong argument or a call at the wrong time.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Error, message: message.into() }
    }

    /// Returns a broken bound.
    pub(crate) fn limit(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<TooManyIntents> for HostError {
    fn from(error: TooManyIntents) -> Self {
        Self::limit(FaultKind::Intents, error.to_string())
    }
}
