//! What is taken out of Luau's library, and what pays for its work in advance.

use std::rc::Rc;

use mlua::Lua;
use mlua::chunk::ChunkMode;

use super::{exhausted, fault, fuel};
use crate::host::SharedHost;

/// Globals of the base library that scripts do not get: they load code, reach into environments,
/// move the collector or print where nobody reads.
const REMOVED: [&str; 7] =
    ["collectgarbage", "gcinfo", "getfenv", "loadstring", "newproxy", "print", "setfenv"];

/// Wraps library functions whose work grows with their arguments but meets no interrupt. Each pays
/// one unit of fuel for about as much work as a loop turn.
pub(super) const PRELUDE: &str = include_str!("prelude.luau");

/// Removes what is harmful.
pub(super) fn remove(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    for name in REMOVED {
        globals.raw_remove(name)?;
    }
    let math: mlua::Table = globals.get("math")?;
    math.raw_remove("randomseed")
}

/// Wraps what is expensive. Runs before the machine is sandboxed, which makes the result unchangeable.
/// `compiled` is [`PRELUDE`] as this process has compiled it.
pub(super) fn wrap(lua: &Lua, host: &SharedHost, compiled: Option<&[u8]>) -> mlua::Result<()> {
    let charge = {
        let host = Rc::clone(host);
        lua.create_function(move |lua, units: f64| match left(fuel::left(), units) {
            Some(left) => {
                fuel::set(left);
                Ok(())
            }
            None => {
                fuel::set(0);
                Err(exhausted(lua, &host, false))
            }
        })?
    };
    let random = {
        let host = Rc::clone(host);
        lua.create_function(move |_, ()| Ok(host.borrow_mut().random()))?
    };
    // Taking a panic as an argument is what raises it.
    let surface = lua.create_function(|_, _: mlua::Value| Ok(()))?;
    let (prelude, mode) = match compiled {
        Some(compiled) => (compiled, ChunkMode::Binary),
        None => (PRELUDE.as_bytes(), ChunkMode::Text),
    };
    let prelude = lua.load(prelude).set_name(format!("={}", fault::PRELUDE)).set_mode(mode);
    prelude.into_function()?.call((charge, random, surface, lua.globals()))
}

/// Returns the fuel that is left after paying, `None` if it does not suffice.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn left(fuel: u32, units: f64) -> Option<u32> {
    let units = units.ceil();
    (units >= 0.0 && units <= f64::from(fuel)).then(|| fuel - units as u32)
}
