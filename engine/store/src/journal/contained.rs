//! Panics of the database that are damage which it has found.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether a panic of this thread would be caught and told as a damaged journal: a panic hook
/// that ends the process, or prints, leaves such a panic alone.
///
/// The database compares its pages with their checksums only while it repairs a file, and some damage
/// makes it index out of bounds.
#[must_use]
pub fn panic_is_expected() -> bool {
    EXPECTED.get()
}

/// Calls the database over bytes that may be damaged; `None` if it panicked. Nothing of what a panic
/// interrupted may be used again.
pub(super) fn contained<T>(call: impl FnOnce() -> T) -> Option<T> {
    let before = EXPECTED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    EXPECTED.set(before);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_expected_within_a_call_and_not_after_it() {
        assert!(!panic_is_expected());
        assert_eq!(contained(|| contained(panic_is_expected)), Some(Some(true)));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let panicked = contained(|| -> u8 { panic!("an index out of bounds") });
        std::panic::set_hook(hook);
        assert_eq!(panicked, None);
        assert!(!panic_is_expected());
    }
}
