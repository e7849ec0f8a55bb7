//! The signals that ask a process to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{Blame, Outcome};

/// Whether an interrupt or a termination has come. A second one ends the process at once, with exit
/// code 130.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Arc<AtomicBool>);

impl Signals {
    /// Catches them from here on.
    pub(crate) fn catch() -> Outcome<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // In this order: the first signal finds the flag down, and raises it.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
                .or_machine()?;
            signal_hook::flag::register(signal, Arc::clone(&flag)).or_machine()?;
        }
        Ok(Self(flag))
    }

    /// Returns whether one has come.
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
