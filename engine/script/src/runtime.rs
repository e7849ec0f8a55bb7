//! What a language has to offer to run strategies.

use tercel_core::StrategyFault;

use crate::hook::{Hook, HookCall, Hooks};
use crate::lines::ScriptLine;

/// A virtual machine with one script in it.
///
/// Its global functions are the methods of a host that it shares with the strategy, and the host knows what the script declared once the top level has run. Machines are built and kept
/// on the engine's thread.
///
/// A language promises:
/// - the script's globals are exactly [`api::table`](crate::api::table) and the language's own
///   harmless library;
/// - a call ends with a fault once it has used up [`Limits`](crate::Limits), whatever it catches;
/// - no panic of the host can be caught by a script.
pub trait ScriptRuntime {
    /// Returns the hooks that the script defines.
    fn hooks(&self) -> Hooks;

    /// Calls a hook that the script defines; calling another does nothing.
    ///
    /// # Errors
    ///
    /// What the script raised or which bound it broke, with file and line.
    fn call(&mut self, call: &HookCall<'_>) -> Result<(), StrategyFault>;

    /// Returns where a hook begins, if it is defined and the language tells.
    fn line_of(&self, hook: Hook) -> Option<ScriptLine>;

    /// Does work that is better done between calls, such as collecting garbage. Cheap when there
    /// is none.
    fn idle(&mut self) {}
}

/// A machine in the making.
pub(crate) trait Builder {
    /// Does the next part of the work; returns the machine after the last.
    ///
    /// # Errors
    ///
    /// If the script does not compile or its top level fails. There is no going on then.
    fn step(&mut self) -> Result<Option<Box<dyn ScriptRuntime>>, StrategyFault>;
}
