//! The engine's thread, and how market data gets to it.

use std::thread::JoinHandle;

use crate::affinity::{PinError, pin_current_thread};
use crate::idle::IdleStrategy;

/// How market data reaches the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// The engine's thread polls the source itself: nothing is handed over.
    Inline,
    /// A feed thread and the engine's thread each spin on a core of their own.
    Pinned {
        /// The engine's core.
        engine_core: Option<usize>,
        /// The feed's core.
        feed_core: Option<usize>,
    },
    /// A feed thread, and an engine thread that sleeps while nothing happens.
    #[default]
    Shared,
}

impl Profile {
    /// Returns what the engine's thread does while nothing happens.
    #[must_use]
    pub fn idle(self) -> IdleStrategy {
        match self {
            Self::Pinned { .. } => IdleStrategy::BusySpin,
            Self::Inline | Self::Shared => IdleStrategy::default(),
        }
    }

    /// Returns the core that the engine's thread is to stay on.
    #[must_use]
    pub const fn engine_core(self) -> Option<usize> {
        match self {
            Self::Pinned { engine_core, .. } => engine_core,
            Self::Inline | Self::Shared => None,
        }
    }
}

/// A running engine's thread.
#[derive(Debug)]
pub struct EngineThread<T> {
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> EngineThread<T> {
    /// Starts a thread, pins it if asked to, and lets `body` build the engine and run its loop:
    /// what is built there stays there. `body` is told why the thread is not pinned, if so.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn spawn(
        core: Option<usize>,
        body: impl FnOnce(Option<PinError>) -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new()
            .name("tercel-engine".to_owned())
            .spawn(move || body(core.and_then(|core| pin_current_thread(core).err())))?;
        Ok(Self { thread })
    }

    /// Returns whether the engine has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the engine's end and returns what its body returned.
    ///
    /// # Panics
    ///
    /// If the thread has panicked: a broken invariant is not for others to go on with.
    #[must_use]
    pub fn join(self) -> T {
        self.thread.join().expect("an engine that broke an invariant ends the process")
    }
}
