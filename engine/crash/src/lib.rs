//! Named points at which a process can be made to die.
//!
//! Code that writes, commits or sends calls [`point`] before and after. A test arms one of the points
//! in a process that it starts, with [`VARIABLE`], and the process kills itself there with `SIGKILL`:
//! no buffer is flushed, no destructor runs, no other thread gets further.
//!
//! Only builds with debug assertions have any of this ([`ENABLED`]). There an unarmed point costs the
//! load of one atomic that nobody writes; in other builds a call of [`point`] is no code at all.
#![forbid(unsafe_code)]

mod points;
mod wish;

use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

pub use points::Point;
pub use wish::{Wish, WishError};

/// The environment variable that says where to die: `point:count`, such as `commit.end:3` for the
/// third time that this point is passed.
pub const VARIABLE: &str = "TERCEL_CRASH_AT";

/// Whether this build has its points.
pub const ENABLED: bool = cfg!(debug_assertions);

/// The armed point's place in [`Point::ALL`], counted from 1; 0 for none.
static ARMED: AtomicU16 = AtomicU16::new(0);

/// How often the armed point is still to be passed, the last time included.
static LEFT: AtomicU32 = AtomicU32::new(0);

/// Dies here if this is the armed point and it has been passed often enough before.
#[inline]
pub fn point(point: Point) {
    if ENABLED && ARMED.load(Ordering::Relaxed) == point as u16 + 1 {
        passed();
    }
}

/// Arms the point that [`VARIABLE`] names. Does nothing if it is not set or the build has no points.
///
/// # Errors
///
/// If it names no point or no count.
pub fn arm_from_environment() -> Result<(), WishError> {
    match std::env::var(VARIABLE) {
        Ok(text) if ENABLED => {
            let wish: Wish = text.parse()?;
            // The count first: whoever sees the point armed sees its count.
            LEFT.store(wish.count.get(), Ordering::Relaxed);
            ARMED.store(wish.point as u16 + 1, Ordering::Release);
            Ok(())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cold]
#[inline(never)]
fn passed() {
    // Threads that pass at once each take one; only the one that takes the last dies.
    if LEFT.fetch_sub(1, Ordering::AcqRel) == 1 {
        die();
    }
}

fn die() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    // No process may be forbidden to kill itself. Should it be, an abort flushes nothing either.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}
