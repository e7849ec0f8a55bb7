//! Luau and Rhai strategy hosts behind one trait.
//!
//! # From a file to a strategy
//!
//! 1. [`Script::load`] reads the file, compiles it and runs its top level once in a throw-away
//!    virtual machine with default parameters. What comes out is a [`Manifest`]: the script's
//!    name, instruments, bars, timers, typed parameters and the hooks that it defines.
//! 2. The caller decides what the script is bound to: instruments, the ids of the series that
//!    [`Manifest::series`] asked for, and parameters checked by [`Manifest::params`].
//! 3. [`Script::instantiate`] builds the machine that trades, a [`ScriptStrategy`]. It is built on
//!    the engine's thread and stays there.
//!
//! # What a script sees
//!
//! Values, never references. Numbers that every call needs are the hook's arguments; everything
//! else is a global function. Functions read the engine's [`View`](tercel_core::View), which is lent
//! to the thread for the length of the call, and add to the call's intents. The list of hooks and
//! functions is one table, [`api::table`]: the reference, the editor definitions and a test of each
//! language come from it.
//!
//! - Prices and quantities are floats in a script and ticks and lots outside. A float
//!   within a millionth of a step of the grid is that step; another is an order that cannot be
//!   expressed, which is refused with the reason `precision`.
//! - Times are milliseconds since 1970 as a float, exact to a quarter of a microsecond.
//! - Sides are the numbers 1 ([`BUY`](api::BUY)) and -1 ([`SELL`](api::SELL)).
//! - Orders are numbers: the counter of the [`ClientOrderId`](tercel_core::ClientOrderId), plus
//!   2^40 for each run that has passed since the order's own.
//! - Instruments are numbers too: the position in the strategy's list, from 0. Functions take one
//!   as their optional last argument; without it they mean the instrument of the event.
//!
//! # Bounds
//!
//! [`Limits`] bound every call. A broken bound is remembered by the host, so a script that catches
//! the error does not get away with it: the call fails when it ends, its intents are dropped and the
//! engine disables the strategy. Nothing in a bound depends on a clock. A runtime that wants a
//! wall-clock watchdog gets a [`StopSwitch`], which ends the call at its next check.

pub mod api;
mod error;
mod grid;
mod hook;
mod host;
mod language;
mod limits;
mod lines;
mod luau;
mod manifest;
mod modules;
mod names;
mod number;
mod random;
mod rhai;
mod runtime;
mod script;
mod strategy;
mod tree;

pub use error::ScriptError;
pub use hook::{Hook, HookCall, Hooks, MAX_BOUND, Numbers};
pub use language::Language;
pub use limits::{Limits, StopSwitch};
pub use lines::{LineNotes, NotedCall, NotedIntent, NotedStrategy, ScriptLine};
pub use manifest::{
    BarLength, BarRequest, Manifest, ParamKind, ParamSpec, ParamValue, ParamValues, TimerSpec,
};
pub use runtime::ScriptRuntime;
pub use script::{Binding, Script, Source, StrategyBuild};
pub use strategy::ScriptStrategy;
pub use tree::Tree;
