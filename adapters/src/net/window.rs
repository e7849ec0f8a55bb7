//! How much was used in the last while.

use tercel_core::Nanos;

/// Parts of an interval that are counted apart.
const PARTS: i64 = 16;

/// Parts that are remembered: the one that has begun, those of a whole interval, and one more for
/// requests that travel longer than those before them and so arrive closer together.
const BUCKETS: usize = 18;

/// A sliding window over buckets.
///
/// What was used counts until a sixteenth to an eighth of the interval after it has left it: so
/// the sum never falls short of what any window of the interval's length holds, wherever the venue
/// lets its own begin.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    width_ns: i64,
    /// Number of the newest bucket since 1970.
    head: i64,
    buckets: [u32; BUCKETS],
    total: u32,
}

impl Window {
    pub(crate) fn new(interval_ms: u64) -> Self {
        let interval_ns = i64::try_from(interval_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let width_ns = interval_ns.max(PARTS).saturating_add(PARTS - 1) / PARTS;
        Self { width_ns, head: 0, buckets: [0; BUCKETS], total: 0 }
    }

    /// Returns how much counts as used.
    #[inline]
    pub(crate) fn used(&mut self, now: Nanos) -> u32 {
        let head = now.0 / self.width_ns;
        if head > self.head {
            self.forget(head);
        }
        self.total
    }

    /// Counts as much as used now.
    #[inline]
    pub(crate) fn add(&mut self, amount: u32, now: Nanos) {
        self.used(now);
        let idx = slot(self.head);
        self.buckets[idx] = self.buckets[idx].saturating_add(amount);
        self.total = self.total.saturating_add(amount);
    }

    /// Returns when no more than `allowed` counts as used, if nothing is added meanwhile.
    pub(crate) fn falls_to(&self, allowed: u32) -> Nanos {
        let mut left = self.total;
        let oldest = self.head - (BUCKETS as i64 - 1);
        for number in oldest..=self.head {
            left = left.saturating_sub(self.buckets[slot(number)]);
            if left <= allowed {
                return Nanos((number + BUCKETS as i64).saturating_mul(self.width_ns));
            }
        }
        Nanos((self.head + BUCKETS as i64).saturating_mul(self.width_ns))
    }

    fn forget(&mut self, head: i64) {
        if head - self.head >= BUCKETS as i64 {
            self.buckets = [0; BUCKETS];
            self.total = 0;
        } else {
            for number in self.head + 1..=head {
                let bucket = &mut self.buckets[slot(number)];
                self.total = self.total.saturating_sub(*bucket);
                *bucket = 0;
            }
        }
        self.head = head;
    }
}

fn slot(number: i64) -> usize {
    usize::try_from(number.rem_euclid(BUCKETS as i64)).unwrap_or(0)
}
