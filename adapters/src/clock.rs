//! How far a venue's clock is from ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tercel_core::Nanos;

/// A venue's clock minus ours, in nanoseconds: measured by one, read by all who sign.
///
/// Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct ClockOffset(Arc<AtomicI64>);

impl ClockOffset {
    /// Returns the venue's time at a moment of ours. Does not allocate.
    #[must_use]
    pub fn venue_time(&self, now: Nanos) -> Nanos {
        now.plus(self.0.load(Ordering::Relaxed))
    }

    /// Returns the offset in nanoseconds.
    #[must_use]
    pub fn ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes over a measurement: the venue's clock minus ours, in nanoseconds.
    pub fn measured(&self, offset_ns: i64) {
        self.0.store(offset_ns, Ordering::Relaxed);
    }
}
