//! When the process dies: at a number of instructions from now, or with its disk.
//!
//! A dead process is not unwound. It goes on as a ghost until its cycle ends: nothing that it does
//! reaches venue or disk.

use std::cell::{Cell, RefCell};

use tercel_testkit::Disk;

/// Counts the boundaries between instructions that matter: records, sendings, commits.
#[derive(Debug)]
pub(crate) struct Fuse {
    disk: RefCell<Disk>,
    left: Cell<Option<u32>>,
    is_dead: Cell<bool>,
}

impl Fuse {
    pub(crate) const fn new(disk: Disk) -> Self {
        Self { disk: RefCell::new(disk), left: Cell::new(None), is_dead: Cell::new(false) }
    }

    /// Begins the life of another process, on another disk.
    pub(crate) fn renew(&self, disk: Disk) {
        *self.disk.borrow_mut() = disk;
        self.left.set(None);
        self.is_dead.set(false);
    }

    /// Lets the process die at the `n`th boundary from now.
    pub(crate) fn light(&self, n: u32) {
        self.left.set(Some(n));
    }

    pub(crate) const fn is_lit(&self) -> bool {
        self.left.get().is_some()
    }

    /// Lets the process die now.
    pub(crate) fn blow(&self) {
        self.is_dead.set(true);
        self.disk.borrow().power_off();
    }

    /// Passes a boundary. Returns whether the process is alive behind it.
    pub(crate) fn pass(&self) -> bool {
        if let Some(left) = self.left.get() {
            if left == 0 {
                self.blow();
            }
            self.left.set(Some(left.saturating_sub(1)));
        }
        self.is_alive()
    }

    /// Returns whether the process is alive. With its disk it dies as well.
    pub(crate) fn is_alive(&self) -> bool {
        if self.disk.borrow().is_dead() {
            self.is_dead.set(true);
        }
        !self.is_dead.get()
    }
}
