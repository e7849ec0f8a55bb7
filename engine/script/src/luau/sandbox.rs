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

/// Wrap library functions whose work grows with their arguments but meets no interrupt. Each pays
/// one unit of fuel for about as much work as a loop turn. Several parts, because native code for all
/// of it at once takes more than a millisecond.
pub(super) const PRELUDE: [&str; 4] = [
    concat!(include_str!("prelude/costs.luau"), include_str!("prelude/text.luau")),
    concat!(include_str!("prelude/costs.luau"), include_str!("prelude/bytes.luau")),
    concat!(include_str!("prelude/costs.luau"), include_str!("prelude/tables.luau")),
    concat!(include_str!("prelude/costs.luau"), include_str!("prelude/calls.luau")),
];

/// Removes what is harmful.
pub(super) fn remove(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    for name in REMOVED {
        globals.raw_remove(name)?;
    }
    let math: mlua::Table = globals.get("math")?;
    math.raw_remove("randomseed")
}

/// Wraps what is expensive: a part of [`PRELUDE`], as it stands there or as this process has compiled
/// it. Runs before the machine is sandboxed, which makes the result unchangeable.
pub(super) fn wrap(lua: &Lua, host: &SharedHost, part: &[u8], mode: ChunkMode) -> mlua::Result<()> {
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
    let prelude = lua.load(part).set_name(format!("={}", fault::PRELUDE)).set_mode(mode);
    prelude.into_function()?.call((charge, random, surface, lua.globals()))
}

/// Returns the fuel that is left after paying, `None` if it does not suffice.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn left(fuel: u32, units: f64) -> Option<u32> {
    let units = units.ceil();
    (units >= 0.0 && units <= f64::from(fuel)).then(|| fuel - units as u32)
}
