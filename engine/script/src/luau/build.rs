//! Building a machine in steps, so that an engine can take events between them.
//!
//! A machine takes milliseconds to build: its library, a hundred functions of the host, native code.
//! What can be done elsewhere is done elsewhere: sources are compiled when the script is checked.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, Lua, LuaOptions, StdLib, Value};
use tercel_core::StrategyFault;

use super::hooks::ReadyHooks;
use super::modules::Required;
use super::native::Native;
use super::{Luau, fault, fuel, functions, guard, modules, native, sandbox};
use crate::hook::Hook;
use crate::modules::Modules;
use crate::runtime::{Builder, ScriptRuntime};
use crate::script::{Parts, Source};

/// What the machine's own compiler has made of sources in this process. It never leaves the process,
/// and nothing else ever goes into a machine: bytecode that somebody has made up can crash it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytecode(BTreeMap<String, Arc<[u8]>>);

impl Bytecode {
    /// Compiles a script and what it requires; a text that does not compile is left out, and tells why
    /// when it is loaded.
    pub(crate) fn of(source: &Source, modules: &Modules) -> Self {
        let modules = modules.texts().iter().map(|(name, text)| (name.clone(), text.as_str()));
        // The script itself has no name that a module could have.
        let texts = modules.chain([(String::new(), source.text.as_str())]);
        let compiled = texts.filter_map(|(name, text)| Some((name, compile(text)?)));
        Self(compiled.collect())
    }

    /// Returns a module as a chunk: compiled if it was, else as text.
    pub(super) fn chunk<'a>(&'a self, name: &str, text: &'a str) -> (&'a [u8], ChunkMode) {
        match self.0.get(name) {
            Some(compiled) => (compiled, ChunkMode::Binary),
            None => (text.as_bytes(), ChunkMode::Text),
        }
    }
}

/// Compiled once a process.
static PRELUDE: LazyLock<Option<Arc<[u8]>>> = LazyLock::new(|| compile(sandbox::PRELUDE));

fn compile(text: &str) -> Option<Arc<[u8]>> {
    compiler().compile(text).ok().map(Arc::from)
}

fn compiler() -> Compiler {
    // Native code rounds these once where the library rounds twice, on processors that can.
    let rounded_once = ["math.lerp", "vector.lerp"];
    Compiler::new().set_optimization_level(2).set_debug_level(1).set_disabled_builtins(rounded_once)
}

/// A machine in the making.
pub(crate) struct LuauBuilder {
    parts: Parts,
    /// There after the first step.
    lua: Option<Lua>,
    /// What the script has required.
    required: Required,
    native: Native,
    next: Step,
}

/// What is to be done next.
enum Step {
    Machine,
    Functions(usize),
    Prelude,
    /// Native code of the prelude's functions.
    NativePrelude,
    Sandbox,
    Load,
    Run(Function),
    /// Native code of the script's functions.
    Native,
    Hooks,
}

impl LuauBuilder {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            lua: None,
            required: Required::default(),
            native: Native::default(),
            next: Step::Machine,
        }
    }

    fn advance(&mut self) -> mlua::Result<Option<Luau>> {
        let lua = match &self.lua {
            Some(lua) => lua,
            None => self.lua.insert(machine()?),
        };
        let parts = &self.parts;
        self.next = match &self.next {
            Step::Machine => Step::Functions(0),
            Step::Functions(n) => match functions::install(lua, &parts.host, *n)? {
                true => Step::Functions(n + 1),
                false => {
                    modules::install(lua, parts, &self.required)?;
                    sandbox::remove(lua)?;
                    Step::Prelude
                }
            },
            Step::Prelude => {
                sandbox::wrap(lua, &parts.host, PRELUDE.as_deref())?;
                self.native.reach(Value::Table(lua.globals()));
                Step::NativePrelude
            }
            Step::NativePrelude => match self.native.step(lua)? {
                true => Step::NativePrelude,
                false => Step::Sandbox,
            },
            Step::Sandbox => {
                lua.sandbox(true)?;
                guard(lua, &parts.host);
                lua.set_memory_limit(parts.host.borrow().limits.memory)?;
                Step::Load
            }
            Step::Load => {
                let (chunk, mode) = parts.bytecode.chunk("", &parts.source.text);
                let chunk = lua.load(chunk).set_name(format!("={}", parts.source.file));
                Step::Run(chunk.set_mode(mode).into_function()?)
            }
            Step::Run(top_level) => {
                top_level.call::<()>(())?;
                // What is built from here on must not fail for want of room; calls get a limit again.
                lua.set_memory_limit(0)?;
                let globals = lua.globals();
                for hook in Hook::ALL {
                    if let Value::Function(function) = globals.raw_get(hook.name())? {
                        self.native.hook(function);
                    }
                }
                let modules = parts.modules.borrow();
                let modules = modules.texts().values().map(String::as_str);
                if native::suits(modules.chain([parts.source.text.as_str()])) {
                    self.native.reach(Value::Table(globals));
                    self.required.values().into_iter().for_each(|value| self.native.reach(value));
                }
                Step::Native
            }
            Step::Native => match self.native.step(lua)? {
                true => Step::Native,
                false => Step::Hooks,
            },
            Step::Hooks => return self.finish().map(Some),
        };
        Ok(None)
    }

    /// Returns the machine as scripts find it.
    #[cfg(test)]
    pub(super) fn machine(&mut self) -> &Lua {
        while !matches!(self.next, Step::Load) {
            assert!(self.advance().is_ok_and(|luau| luau.is_none()));
        }
        self.lua.as_ref().expect("made in the first step")
    }

    /// Gathers the hooks.
    fn finish(&mut self) -> mlua::Result<Luau> {
        let lua = self.lua.take().expect("made in the first step");
        let globals = lua.globals();
        let mut hooks = [const { None }; Hook::ALL.len()];
        for (place, hook) in hooks.iter_mut().zip(Hook::ALL) {
            *place = match globals.get(hook.name())? {
                Value::Nil => None,
                Value::Function(function) => Some(function),
                other => {
                    let message =
                        format!("{} is a {}, not a function", hook.name(), other.type_name());
                    return Err(mlua::Error::runtime(message));
                }
            };
        }
        let ready = ReadyHooks::new(&lua, &hooks)?;
        // A module that a hook requires is loaded within that hook's call, all at once.
        lua.enable_jit(true);
        let host = self.parts.host.borrow();
        let mut luau = Luau {
            lua,
            file: self.parts.source.file.clone(),
            hooks,
            ready,
            stop: host.stop.clone(),
            fuel_per_call: host.limits.fuel,
            memory: host.limits.memory,
            memory_per_call: host.limits.memory_per_call,
            collected: 0,
        };
        luau.collect(usize::MAX);
        Ok(luau)
    }
}

impl Builder for LuauBuilder {
    fn step(&mut self) -> Result<Option<Box<dyn ScriptRuntime>>, StrategyFault> {
        fuel::set(self.parts.host.borrow().limits.fuel);
        let result = self.advance();
        if let Some(fault) = self.parts.host.borrow().broken() {
            return Err(fault.clone());
        }
        match result {
            Ok(luau) => Ok(luau.map(|luau| -> Box<dyn ScriptRuntime> { Box::new(luau) })),
            Err(error) => Err(fault::of(&error, &self.parts.source.file, 1)),
        }
    }
}

/// Returns a machine with its own library.
fn machine() -> mlua::Result<Lua> {
    let libs = StdLib::COROUTINE
        | StdLib::TABLE
        | StdLib::STRING
        | StdLib::UTF8
        | StdLib::BIT
        | StdLib::MATH
        | StdLib::BUFFER
        | StdLib::VECTOR;
    let lua = Lua::new_with(libs, LuaOptions::new().catch_rust_panics(false))?;
    lua.set_compiler(compiler());
    // Of a whole chunk at once, that is: see `native.rs`.
    lua.enable_jit(false);
    lua.gc_stop();
    Ok(lua)
}
