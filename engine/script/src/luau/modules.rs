//! `require`: files beside the script, each run once, cycles refused.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{BorrowedStr, Lua, Value};

use super::raise;
use crate::error::HostError;
use crate::script::Parts;

/// What was required so far, by name.
#[derive(Clone, Default)]
pub(super) struct Required(Rc<RefCell<BTreeMap<String, Loaded>>>);

impl Required {
    /// Returns what the modules gave back.
    pub(super) fn values(&self) -> Vec<Value> {
        let loaded = self.0.borrow();
        let done = loaded.values().filter_map(|module| match module {
            Loaded::Done(value) => Some(value.clone()),
            Loaded::Running => None,
        });
        done.collect()
    }
}

/// What a required module is.
enum Loaded {
    /// Its top level runs.
    Running,
    /// Its top level gave this back.
    Done(Value),
}

/// Defines `require`.
pub(super) fn install(lua: &Lua, parts: &Parts, required: &Required) -> mlua::Result<()> {
    let (host, modules) = (Rc::clone(&parts.host), Rc::clone(&parts.modules));
    let bytecode = Rc::clone(&parts.bytecode);
    let Required(loaded) = required.clone();
    let require = lua.create_function(move |lua, name: BorrowedStr| {
        let found = modules.borrow_mut().load(&name, "luau");
        let (name, text) = found.map_err(|error| raise(lua, &host, error))?;
        match loaded.borrow().get(&name) {
            Some(Loaded::Done(value)) => return Ok(value.clone()),
            Some(Loaded::Running) => {
                let message =
                    format!("require: \"{name}\" requires itself, perhaps through others");
                return Err(raise(lua, &host, HostError::wrong(message)));
            }
            None => {}
        }
        loaded.borrow_mut().insert(name.clone(), Loaded::Running);
        let (chunk, mode) = bytecode.chunk(&name, &text);
        let chunk = lua.load(chunk).set_name(format!("={name}.luau")).set_mode(mode);
        let value: Value = chunk.into_function()?.call(())?;
        loaded.borrow_mut().insert(name, Loaded::Done(value.clone()));
        Ok(value)
    })?;
    lua.globals().raw_set("require", require)
}
