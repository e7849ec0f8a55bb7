//! Strategies in Luau: one virtual machine for one script.
//!
//! - Sources come as text: made-up bytecode can crash the machine. What goes into a machine is that
//!   text or what this very process has compiled of it (`build.rs`).
//! - What hooks come to is native code (`native.rs`). The interrupt that counts fuel runs at every loop
//!   turn, call and return there too (`fuel.rs`). Once the fuel is used up every further
//!   interrupt fails, so `pcall` gains nothing but its own few instructions.
//! - Hooks with numbers are called through the machine's C interface (`hooks.rs`), a third of the
//!   cost of the library's general call.
//! - The collector is stopped. A call can allocate what [`Limits`](crate::Limits) allows and no more,
//!   which bounds the work of allocating too; garbage is collected in [`ScriptRuntime::idle`].
//! - Functions of the standard library that do much work without an interrupt (sorting, filling,
//!   searching) pay fuel in advance (`sandbox.rs`).
//! - An error of a host function, the fuel's end included, unwinds through the machine. With
//!   `panic = "abort"` the process dies of it, so such a build is refused.
//! - A panic of the host passes through `pcall` and ends the process as it would anywhere else.
//! - The depth of calls is the machine's own: 20,000 Luau calls, 200 through the library.

#[cfg(not(panic = "unwind"))]
compile_error!("Luau's errors unwind through host functions: build with panic = \"unwind\"");

mod build;
mod convert;
mod fault;
mod fuel;
mod functions;
mod hooks;
mod modules;
mod native;
mod sandbox;

use std::rc::Rc;

use mlua::{Function, Lua, VmState};
use tercel_core::{FaultKind, StrategyFault};

use crate::error::HostError;
use crate::hook::{Hook, HookCall, Hooks, Numbers};
use crate::host::SharedHost;
use crate::limits::StopSwitch;
use crate::lines::ScriptLine;
use crate::runtime::ScriptRuntime;

pub(crate) use build::{Bytecode, LuauBuilder};
use hooks::ReadyHooks;

/// Garbage that is let lie before a step of collecting, in bytes.
const GARBAGE: usize = 256 << 10;

/// A Luau machine with a script in it.
pub(crate) struct Luau {
    lua: Lua,
    file: String,
    /// Those that take texts are called from here.
    hooks: [Option<Function>; Hook::ALL.len()],
    /// Those that take numbers, from here.
    ready: ReadyHooks,
    stop: StopSwitch,
    fuel_per_call: u32,
    memory: usize,
    memory_per_call: usize,
    /// Bytes in use after the last step of collecting.
    collected: usize,
}

impl ScriptRuntime for Luau {
    fn hooks(&self) -> Hooks {
        Hook::ALL.into_iter().filter(|hook| self.hooks[*hook as usize].is_some()).collect()
    }

    fn call(&mut self, call: &HookCall<'_>) -> Result<(), StrategyFault> {
        let Some(function) = &self.hooks[call.hook() as usize] else { return Ok(()) };
        fuel::set(if self.stop.is_stopped() { 0 } else { self.fuel_per_call });
        let (lua, ready) = (&self.lua, &self.ready);
        let result = match *call {
            HookCall::Init | HookCall::Stop => ready.call(lua, call.hook(), &Numbers::default()),
            HookCall::Book(numbers) | HookCall::Trade(numbers) | HookCall::Bar(numbers) => {
                ready.call(lua, call.hook(), numbers)
            }
            HookCall::Order { id, status, reason } => function.call((id, status, reason)),
            HookCall::Fill { id, side, price, qty, fee, role } => {
                function.call((id, side, price, qty, fee, role))
            }
            HookCall::Timer { name } => function.call(name),
            HookCall::Signal { name, text } => function.call((name, text)),
            HookCall::Reload { old_state } => {
                convert::value_of(&self.lua, old_state).and_then(|state| function.call(state))
            }
        };
        result.map_err(|error| {
            let begin = function.info().line_defined.and_then(|line| u32::try_from(line).ok());
            fault::of(&error, &self.file, begin.unwrap_or(1))
        })
    }

    fn line_of(&self, hook: Hook) -> Option<ScriptLine> {
        let info = self.hooks[hook as usize].as_ref()?.info();
        // A hook may be a function of a module.
        let file = info.short_src.unwrap_or_else(|| self.file.clone());
        Some(ScriptLine { file, line: u32::try_from(info.line_defined?).ok()? })
    }

    fn idle(&mut self) {
        let used = hooks::kilobytes(&self.lua) << 10;
        if used > self.collected + GARBAGE {
            self.collect(used);
        }
    }
}

impl Luau {
    /// Collects garbage and says what the next calls may allocate.
    #[cold]
    fn collect(&mut self, used: usize) {
        // A step resumes the collector, so it is stopped again. A step that fails leaves garbage,
        // which the memory limit then counts: there is nobody to tell and nothing else to do.
        let _failure = if used > self.memory / 2 {
            self.lua.gc_collect().err()
        } else {
            self.lua.gc_step().err()
        };
        self.lua.gc_stop();
        self.collected = self.lua.used_memory();
        // Set here and not for every call: what lies about until the next step is little.
        let limit = self.collected.saturating_add(self.memory_per_call).min(self.memory);
        let _failure = self.lua.set_memory_limit(limit).err();
    }
}

/// Counts fuel at every interrupt.
fn guard(lua: &Lua, host: &SharedHost) {
    let host = Rc::clone(host);
    let stop = host.borrow().stop.clone();
    lua.set_interrupt(move |lua| match fuel::left().checked_sub(1) {
        Some(left) if !stop.is_stopped() => {
            fuel::set(left);
            Ok(VmState::Continue)
        }
        _ => {
            fuel::set(0);
            Err(exhausted(lua, &host, stop.is_stopped()))
        }
    });
    fuel::count_fast(lua);
}

#[cold]
pub(super) fn exhausted(lua: &Lua, host: &SharedHost, stopped: bool) -> mlua::Error {
    let limit = host.borrow().limits.fuel;
    let message = if stopped {
        "stopped by the watchdog".to_owned()
    } else {
        format!("more than {limit} loop turns and calls in one call")
    };
    let error = host.borrow_mut().break_bound(FaultKind::Fuel, message);
    raise(lua, host, error)
}

/// Turns an error of the host into one of the script, and notes where a bound was broken.
#[cold]
pub(super) fn raise(lua: &Lua, host: &SharedHost, error: HostError) -> mlua::Error {
    if error.kind != FaultKind::Error
        && let Some((file, line)) = fault::place(lua)
    {
        host.borrow_mut().place_break(file, line);
    }
    mlua::Error::external(error)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use mlua::chunk::ChunkMode;

    use super::*;
    use crate::host::{Host, HostBinding};
    use crate::language::Language;
    use crate::limits::Limits;
    use crate::modules::Modules;
    use crate::script::{Parts, Source};

    #[test]
    fn no_script_catches_a_panic_of_the_host() {
        let source = Source {
            path: "t.luau".into(),
            file: "t.luau".to_owned(),
            language: Language::Luau,
            text: String::new(),
        };
        let limits = Limits::of(Language::Luau);
        let stop = StopSwitch::default();
        let binding = HostBinding::default();
        let host = Host::new("t.luau", Language::Luau, &limits, stop, binding).shared();
        let modules = Rc::new(RefCell::new(Modules::default()));
        fuel::set(limits.fuel);
        let bytecode = Rc::new(Bytecode::default());
        let mut builder = LuauBuilder::new(Parts { source, bytecode, modules, host });
        let lua = builder.machine();
        let bug = lua.create_function(|_, ()| -> mlua::Result<()> { panic!("a bug") }).unwrap();
        lua.globals().set("bug", bug).unwrap();
        for text in [
            "pcall(bug)",
            "xpcall(bug, function() end)",
            "coroutine.resume(coroutine.create(bug))",
            "local co = coroutine.create(bug) pcall(coroutine.resume, co) coroutine.close(co)",
            "coroutine.resume(coroutine.create(function() coroutine.resume(coroutine.create(bug)) end))",
            "pcall(coroutine.wrap(function() bug() end))",
        ] {
            let run = || lua.load(text).set_mode(ChunkMode::Text).exec();
            let outcome = catch_unwind(AssertUnwindSafe(run));
            assert!(outcome.is_err(), "{text}: {outcome:?}");
        }
    }
}
