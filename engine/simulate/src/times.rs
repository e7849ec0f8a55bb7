//! The time of a simulated machine: it passes when told to.

use std::cell::Cell;
use std::rc::Rc;

use tercel_core::Nanos;
use tercel_runtime::TimeSource;

/// Both clocks of the machine. Clones are the same clocks.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    monotonic: Rc<Cell<i64>>,
    /// What the system's clock is ahead of the monotonic one.
    offset: Rc<Cell<i64>>,
}

impl Times {
    /// Returns clocks of which the system's shows `utc` and the monotonic one a second.
    pub(crate) fn new(utc: Nanos) -> Self {
        let begun = Nanos::SECOND;
        Self { monotonic: Rc::new(Cell::new(begun)), offset: Rc::new(Cell::new(utc.0 - begun)) }
    }

    /// Returns the monotonic time, which everything in the world is scheduled by.
    pub(crate) fn at(&self) -> i64 {
        self.monotonic.get()
    }

    /// Returns the system's time.
    pub(crate) fn utc(&self) -> Nanos {
        Nanos(self.monotonic.get() + self.offset.get())
    }

    /// Lets time pass until `at`.
    pub(crate) fn reach(&self, at: i64) {
        self.monotonic.set(self.monotonic.get().max(at));
    }

    /// Sets the system's clock by so much.
    pub(crate) fn set_by(&self, ns: i64) {
        self.offset.set(self.offset.get() + ns);
    }
}

impl TimeSource for Times {
    fn monotonic_ns(&mut self) -> i64 {
        self.at()
    }

    fn utc_ns(&mut self) -> i64 {
        self.utc().0
    }
}
