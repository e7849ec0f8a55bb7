//! What one call of a script may use up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::language::Language;

/// Bounds of one script. Intents are bounded by the engine (`EngineConfig::intents_per_call`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Units of work in one call: loop turns and calls in Luau, operations in Rhai. Counted, never
    /// timed, so a call that fails fails again when it is replayed.
    pub fuel: u32,
    /// Bytes that the machine may hold.
    pub memory: usize,
    /// Bytes that one call may allocate. Garbage is collected between calls only, so this bounds
    /// the work of allocating as well.
    pub memory_per_call: usize,
    /// Calls of functions within functions.
    pub depth: u32,
    /// Objects that the host keeps for the script: indicators, timers, remembered keys, names of
    /// plots and marks, each counted by itself.
    pub objects: u32,
    /// Bytes of text that one call may log.
    pub log_bytes: usize,
    /// Bytes of one text given to the host: a name, a key or a remembered value.
    pub text_bytes: usize,
    /// Bytes of the script with everything that it requires.
    pub source_bytes: usize,
}

impl Limits {
    /// Returns the limits for scripts of a language: a call that breaks one ends within 50 ms on a
    /// slow machine.
    #[must_use]
    pub const fn of(language: Language) -> Self {
        Self {
            fuel: match language {
                Language::Luau => 500_000,
                Language::Rhai => 100_000,
            },
            memory: 64 << 20,
            memory_per_call: 16 << 20,
            depth: 128,
            objects: 256,
            log_bytes: 16 << 10,
            text_bytes: 4 << 10,
            source_bytes: 256 << 10,
        }
    }
}

/// Ends a script's running call from another thread: for watchdogs that look at a clock.
#[derive(Clone, Debug, Default)]
pub struct StopSwitch(Arc<AtomicBool>);

impl StopSwitch {
    /// Makes the running call, and every later one, fail at its next check.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether [`Self::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
