//! How long to wait before the next attempt.

use super::random::Random;

/// Bounds of waiting between attempts: doubling, with full jitter, so that many who lost their
/// connection at once do not come back at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Shortest wait in nanoseconds.
    pub floor_ns: i64,
    /// Longest wait after the first failure in nanoseconds.
    pub base_ns: i64,
    /// Longest wait ever in nanoseconds.
    pub cap_ns: i64,
}

impl Default for Backoff {
    /// From 100 ms, up to 500 ms after the first failure, up to half a minute after many.
    fn default() -> Self {
        Self { floor_ns: 100_000_000, base_ns: 500_000_000, cap_ns: 30_000_000_000 }
    }
}

impl Backoff {
    /// Returns the longest wait after so many failures in a row.
    #[must_use]
    pub fn ceiling_ns(&self, n_failures: u32) -> i64 {
        let doublings = n_failures.saturating_sub(1).min(32);
        self.base_ns.saturating_mul(1 << doublings).min(self.cap_ns).max(self.floor_ns)
    }

    /// Draws the wait after so many failures in a row.
    pub(crate) fn draw(&self, n_failures: u32, random: &mut Random) -> i64 {
        random.between(self.floor_ns, self.ceiling_ns(n_failures))
    }
}
