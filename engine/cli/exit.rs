//! How a command ends: exit codes that scripts can rely on.

use std::fmt;
use std::process::ExitCode;

/// What a command that ran to its end says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Exit code 0: it worked, the answer is yes.
    Good,
    /// Exit code 1: it worked, the answer is no (`check` of a script with errors, for one).
    Negative,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Good => Self::SUCCESS,
            Answer::Negative => Self::from(1),
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit code 2: what was given is wrong (a script to run that has errors, for one), and the message
    /// says what to change.
    Input(anyhow::Error),
    /// Exit code 3: the machine failed (disk, permission) or the program has a fault.
    Machine(anyhow::Error),
}

impl Failure {
    /// Prints the failure on standard error and returns its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (error, code) = match self {
            Self::Input(error) => (error, 2),
            Self::Machine(error) => (error, 3),
        };
        eprintln!("error: {error:#}");
        ExitCode::from(code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Input(error) | Self::Machine(error)) = self;
        write!(f, "{error:#}")
    }
}

/// Whether an error of the system says that a path names nothing, or nothing of the kind that was wanted.
pub(crate) fn is_wrong_path(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    let wrong = [ErrorKind::NotFound, ErrorKind::IsADirectory, ErrorKind::NotADirectory];
    wrong.contains(&error.kind())
}

/// The result of a command.
pub(crate) type Outcome<T = Answer> = Result<T, Failure>;

/// Says whose fault an error is.
pub(crate) trait Blame<T> {
    /// The input is wrong.
    fn or_input(self) -> Outcome<T>;
    /// The machine failed.
    fn or_machine(self) -> Outcome<T>;
}

impl<T, E: Into<anyhow::Error>> Blame<T> for Result<T, E> {
    fn or_input(self) -> Outcome<T> {
        self.map_err(|error| Failure::Input(error.into()))
    }

    fn or_machine(self) -> Outcome<T> {
        self.map_err(|error| Failure::Machine(error.into()))
    }
}

/// Returns a failure of the input with this message.
pub(crate) fn input(message: impl fmt::Display) -> Failure {
    Failure::Input(anyhow::anyhow!("{message}"))
}
