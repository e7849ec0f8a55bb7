//! What other threads may ask of a running engine.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tercel_core::{Command, Engine, Seq};

use crate::control::Status;
use crate::version::Version;

/// Something that the engine's thread does between two events.
pub enum Directive {
    /// Gives the engine a command.
    Command(Command),
    /// Puts a version of a strategy in its place.
    Load(Box<Load>),
    /// Looks at the engine. It waits meanwhile.
    Inspect(Look),
    /// Has the venue's books compared with ours now. Who asked is told whether that was begun; what
    /// comes out is told as at any other time.
    Reconcile(SyncSender<bool>),
}

/// A look at the engine, on its own thread.
pub type Look = Box<dyn FnOnce(&Engine, &Status) + Send>;

impl fmt::Debug for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => f.debug_tuple("Command").field(command).finish(),
            Self::Load(load) => f.debug_tuple("Load").field(load).finish(),
            Self::Inspect(_) => f.write_str("Inspect"),
            Self::Reconcile(_) => f.write_str("Reconcile"),
        }
    }
}

/// A version that is to take over.
#[derive(Debug)]
pub struct Load {
    /// The version.
    pub version: Version,
    /// How many events it first sees in the shadow of the running one: its wishes are compared with
    /// that one's and thrown away. Zero for none.
    pub shadow: u64,
    /// Whether somebody still waits for it.
    pub waiting: Waiting,
    /// Who is told how it went.
    pub answer: SyncSender<Result<LoadReport, String>>,
}

/// Whether who asked for a version still waits for it; clones tell of the same one. It takes over only
/// while somebody waits, so that nobody goes by a version that does not run.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicU8>);

const WAITED_FOR: u8 = 0;
const GIVEN_UP: u8 = 1;
const TAKING_OVER: u8 = 2;

impl Waiting {
    /// Ceases to wait. Returns whether the version will not take over; otherwise it does so at this moment,
    /// or has done so, and the answer comes.
    #[must_use]
    pub fn give_up(&self) -> bool {
        self.settle(GIVEN_UP)
    }

    /// Lets the version take over. Returns whether it may.
    pub(crate) fn take_over(&self) -> bool {
        self.settle(TAKING_OVER)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == GIVEN_UP
    }

    /// Whichever side comes first decides.
    fn settle(&self, outcome: u8) -> bool {
        let was = self.0.compare_exchange(WAITED_FOR, outcome, Ordering::AcqRel, Ordering::Acquire);
        was.is_ok() || was == Err(outcome)
    }
}

/// How a version took over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadReport {
    /// Number of the event with which it began.
    pub seq: Seq,
    /// How long the engine's thread was held up at most between two events. The version is built in
    /// steps; the last puts it in its place and makes its first call.
    pub pause: Duration,
    /// How long all steps took together.
    pub work: Duration,
    /// What the shadow run showed, if there was one.
    pub shadow: Option<ShadowReport>,
}

/// What a shadow run showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShadowReport {
    /// Events that both versions saw.
    pub n_events: u64,
    /// Events after which they wished for different things.
    pub n_different: u64,
    /// The first differences, for a person to read.
    pub differences: Vec<String>,
    /// How the shadow failed, if it did.
    pub fault: Option<String>,
}
