//! The fuel of the running call, and the interrupt that burns it.
//!
//! The machine interrupts itself at every loop turn, call and return. The library's way from there
//! to a Rust closure costs more than most of what it interrupts, so the counting is done in the
//! machine's own callback, and the closure is asked only now and then.

use std::cell::Cell;

use mlua::{Lua, ffi};

/// Interrupts between two looks at the switch that stops a script; a power of two.
const STRIDE: u32 = 1_024;

type Interrupt = unsafe extern "C-unwind" fn(*mut ffi::lua_State, std::os::raw::c_int);

thread_local! {
    /// One for all machines of a thread: calls do not nest.
    static LEFT: Cell<u32> = const { Cell::new(0) };
    static SLOW: Cell<Option<Interrupt>> = const { Cell::new(None) };
}

/// Returns what is left.
pub(super) fn left() -> u32 {
    LEFT.get()
}

/// Says what is left. With nothing left, every further interrupt ends the call.
pub(super) fn set(units: u32) {
    LEFT.set(units);
}

/// Makes the machine count by itself, and ask the closure that was given to
/// [`Lua::set_interrupt`] whenever the fuel is a multiple of [`STRIDE`], nothing included.
#[expect(unsafe_code, reason = "the library offers no access to the machine's callbacks")]
pub(super) fn count_fast(lua: &Lua) {
    lua.exec_raw_lua(|raw| {
        // SAFETY: the state is alive while `lua` is, and the machine keeps its callbacks in one
        // place for as long. The library has just put its own interrupt there, and `count` has the
        // type that the place is declared with.
        unsafe {
            let callbacks = ffi::lua_callbacks(raw.state());
            SLOW.set((*callbacks).interrupt);
            (*callbacks).interrupt = Some(count);
        }
    });
}

/// Counts one interrupt.
///
/// # Safety
///
/// Is called by the machine, with its running state. It does nothing with it but hand it on to the
/// library's own interrupt, which may unwind: nothing here needs dropping.
#[expect(unsafe_code, reason = "the machine calls it")]
unsafe extern "C-unwind" fn count(state: *mut ffi::lua_State, gc: std::os::raw::c_int) {
    // Interrupts of the collector come with its state; they are not the script's work.
    if gc >= 0 {
        return;
    }
    let left = LEFT.get();
    if !left.is_multiple_of(STRIDE) {
        LEFT.set(left - 1);
        return;
    }
    if let Some(slow) = SLOW.get() {
        // SAFETY: it is the interrupt that the library had set for a machine of this kind, called
        // with what the machine gave.
        unsafe { slow(state, gc) }
    }
}
