//! Calls of hooks with plain numbers, past the library's general way.
//!
//! A hook is called for every market event. `mlua::Function::call` makes a value of each argument,
//! looks the function up, guards the stack and installs an error handler, each time; here function
//! and handler stay on the machine's stack, and numbers are pushed as they are.

use std::os::raw::c_int;

use mlua::{Function, Lua, Value, ffi};

use crate::hook::{Hook, Numbers};

/// Hooks that lie ready on the machine's stack.
#[derive(Debug)]
pub(super) struct ReadyHooks {
    handler: c_int,
    /// Where each hook lies; 0 for one that the script does not define.
    places: [c_int; Hook::ALL.len()],
}

/// Room on the stack for the hooks, and for a function with its arguments: fourteen at most.
const ROOM: c_int = 64;

impl ReadyHooks {
    /// Puts the functions on the machine's stack, where they stay.
    ///
    /// # Errors
    ///
    /// If the machine has no memory for them.
    #[expect(unsafe_code, reason = "the library always takes its values off the stack")]
    pub(super) fn new(
        lua: &Lua,
        functions: &[Option<Function>; Hook::ALL.len()],
    ) -> mlua::Result<Self> {
        // SAFETY: `traced` keeps to what the machine asks of a function.
        let handler = unsafe { lua.create_c_function(traced) }?;
        lua.exec_raw_lua(|raw| {
            let mut ready = Self { handler: 0, places: [0; Hook::ALL.len()] };
            let state = raw.state();
            // SAFETY: no function of the machine runs, so this is the bottom of its main stack.
            // The room is asked for before it is used. The library only ever works above what lies
            // there and leaves it alone; places are counted from the bottom, so they stay right
            // when the stack moves.
            unsafe {
                if ffi::lua_checkstack(state, ROOM) == 0 {
                    return Err(mlua::Error::StackError);
                }
                raw.push_value(&Value::Function(handler))?;
                ready.handler = ffi::lua_gettop(state);
                for (place, function) in ready.places.iter_mut().zip(functions) {
                    if let Some(function) = function {
                        raw.push_value(&Value::Function(function.clone()))?;
                        *place = ffi::lua_gettop(state);
                    }
                }
            }
            Ok(ready)
        })
    }

    /// Calls a hook with numbers; those that are not there yet come as nil. Does nothing if the script does not define it. What it returns means nothing.
    ///
    /// # Errors
    ///
    /// What the script raised.
    ///
    /// # Panics
    ///
    /// If a function of the host panicked.
    #[expect(unsafe_code, reason = "the library's own way is several times slower")]
    #[inline]
    pub(super) fn call(&self, lua: &Lua, hook: Hook, numbers: &Numbers) -> mlua::Result<()> {
        let place = self.places[hook as usize];
        if place == 0 {
            return Ok(());
        }
        let (plain, maybe) = numbers.parts();
        lua.exec_raw_lua(|raw| {
            let state = raw.state();
            // SAFETY: `place` and `handler` hold what `new` put there, `ROOM` leaves space for the
            // function, its arguments and an error. A protected call takes function and arguments
            // off and leaves nothing, or one error, which is taken off as well.
            unsafe {
                ffi::lua_pushvalue(state, place);
                let mut n = 0;
                for number in plain {
                    ffi::lua_pushnumber(state, number.get());
                    n += 1;
                }
                for number in maybe {
                    match number.get() {
                        number if number.is_nan() => ffi::lua_pushnil(state),
                        number => ffi::lua_pushnumber(state, number),
                    }
                    n += 1;
                }
                match ffi::lua_pcall(state, n, 0, self.handler) {
                    ffi::LUA_OK => Ok(()),
                    status => Err(error(status, raw.pop_value())),
                }
            }
        })
    }
}

/// Returns how many kilobytes the machine holds.
#[expect(unsafe_code, reason = "the library's own way looks its allocator up each time")]
#[inline]
pub(super) fn kilobytes(lua: &Lua) -> usize {
    // SAFETY: the state is alive while `lua` is; asking for the count changes nothing.
    let count = lua.exec_raw_lua(|raw| unsafe { ffi::lua_gc(raw.state(), ffi::LUA_GCCOUNT, 0) });
    usize::try_from(count).unwrap_or(0)
}

/// Returns what the library would make of a failed call.
#[cold]
fn error(status: c_int, value: Value) -> mlua::Error {
    match value {
        Value::Error(error) => *error,
        Value::String(text) if status == ffi::LUA_ERRMEM => {
            mlua::Error::MemoryError(text.to_string_lossy())
        }
        Value::String(text) => mlua::Error::RuntimeError(text.to_string_lossy()),
        other => mlua::Error::RuntimeError(format!("an error that is a {}", other.type_name())),
    }
}

/// Appends where it happened to an error's text. An error of a host function knows already.
///
/// # Safety
///
/// Is called by the machine with the error as its only argument.
#[expect(unsafe_code, reason = "the machine calls it")]
unsafe extern "C-unwind" fn traced(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the error lies on top; the stack is asked for room before more is pushed. What the
    // machine raises here unwinds through a frame that holds nothing.
    unsafe {
        let is_host = ffi::lua_type(state, -1) == ffi::LUA_TUSERDATA;
        if is_host || ffi::lua_checkstack(state, ffi::LUA_MINSTACK) == 0 {
            return 1;
        }
        let text = ffi::luaL_tolstring(state, -1, std::ptr::null_mut());
        // Without memory there is none for a trace either.
        let is_memory = !text.is_null()
            && std::ffi::CStr::from_ptr(text).to_bytes().ends_with(b"not enough memory");
        if !is_memory {
            ffi::luaL_traceback(state, state, text, 0);
        }
    }
    1
}
