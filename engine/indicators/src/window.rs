//! Windows over the last values: sums that do not drift, and extremes in amortised O(1).

use crate::{IndicatorError, period};

/// The last `n` values with their sum.
#[derive(Clone, Debug)]
pub(crate) struct SumWindow {
    values: Box<[f64]>,
    at: usize,
    len: usize,
    sum: f64,
}

impl SumWindow {
    pub(crate) fn new(n: usize) -> Self {
        Self { values: vec![0.0; n].into_boxed_slice(), at: 0, len: 0, sum: 0.0 }
    }

    /// Adds a value and returns the one that fell out of a full window.
    pub(crate) fn push(&mut self, value: f64) -> Option<f64> {
        let out = self.is_full().then(|| self.values[self.at]);
        self.sum += value - out.unwrap_or(0.0);
        self.values[self.at] = value;
        self.at += 1;
        self.len = (self.len + 1).min(self.values.len());
        if self.at == self.values.len() {
            self.at = 0;
            // Added up afresh once a period, so that rounding never piles up.
            self.sum = self.values[..self.len].iter().sum();
        }
        out
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len == self.values.len()
    }

    /// Returns whether the newest value stands in the last place of a full window, so that the
    /// values lie in order of age.
    pub(crate) const fn has_come_round(&self) -> bool {
        self.is_full() && self.at == 0
    }

    pub(crate) const fn sum(&self) -> f64 {
        self.sum
    }

    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub(crate) fn mean(&self) -> Option<f64> {
        self.is_full().then(|| self.sum / self.values.len() as f64)
    }

    /// Returns the values in no particular order.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values[..self.len]
    }

    pub(crate) const fn reset(&mut self) {
        self.at = 0;
        self.len = 0;
        self.sum = 0.0;
    }
}

/// Candidates for the extreme of the last `n` values: a queue in which each value beats all before
/// it, so its front is the extreme. Each value enters and leaves once.
#[derive(Clone, Debug)]
struct Extreme {
    queue: Box<[(u64, f64)]>,
    head: usize,
    len: usize,
    n_seen: u64,
}

impl Extreme {
    fn new(n: usize) -> Self {
        Self { queue: vec![(0, 0.0); n].into_boxed_slice(), head: 0, len: 0, n_seen: 0 }
    }

    fn push(&mut self, value: f64, beats: impl Fn(f64, f64) -> bool) -> Option<f64> {
        let n = self.queue.len();
        if self.len > 0 && self.n_seen - self.queue[self.head].0 >= n as u64 {
            self.head = self.next(self.head, 1);
            self.len -= 1;
        }
        while self.len > 0 && beats(value, self.queue[self.next(self.head, self.len - 1)].1) {
            self.len -= 1;
        }
        let at = self.next(self.head, self.len);
        self.queue[at] = (self.n_seen, value);
        self.len += 1;
        self.n_seen += 1;
        self.value()
    }

    fn value(&self) -> Option<f64> {
        (self.n_seen >= self.queue.len() as u64).then(|| self.queue[self.head].1)
    }

    const fn next(&self, at: usize, by: usize) -> usize {
        let next = at + by;
        if next >= self.queue.len() { next - self.queue.len() } else { next }
    }

    const fn reset(&mut self) {
        self.head = 0;
        self.len = 0;
        self.n_seen = 0;
    }
}

macro_rules! extreme {
    ($(#[$doc:meta])* $name:ident, $beats:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Extreme);

        impl $name {
            /// Returns one over the last `n` values, the newest included.
            ///
            /// # Errors
            ///
            /// If `n` is 0 or above [`crate::MAX_PERIOD`].
            pub fn new(n: usize) -> Result<Self, IndicatorError> {
                Ok(Self(Extreme::new(period("period", n)?)))
            }

            /// Adds a value; `None` until there are enough.
            pub fn update(&mut self, value: f64) -> Option<f64> {
                if !value.is_finite() {
                    return self.value();
                }
                self.0.push(value, $beats)
            }

            /// Returns the value as of the last update.
            #[must_use]
            pub fn value(&self) -> Option<f64> {
                self.0.value()
            }

            /// Forgets everything.
            pub const fn reset(&mut self) {
                self.0.reset();
            }
        }
    };
}

extreme!(
    /// Highest of the last values (TA-Lib `MAX`).
    Highest,
    |new, old| new >= old
);
extreme!(
    /// Lowest of the last values (TA-Lib `MIN`).
    Lowest,
    |new, old| new <= old
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn extremes_and_sums_equal_those_of_the_window(
            values in prop::collection::vec(-50i32..50, 1..300),
            n in 1usize..20,
        ) {
            let (mut highest, mut lowest) = (Highest::new(n).unwrap(), Lowest::new(n).unwrap());
            let mut sum = SumWindow::new(n);
            let values: Vec<_> = values.into_iter().map(f64::from).collect();
            for end in 1..=values.len() {
                let value = values[end - 1];
                let (high, low) = (highest.update(value), lowest.update(value));
                sum.push(value);
                let window = &values[end.saturating_sub(n)..end];
                if window.len() < n {
                    prop_assert_eq!(high, None);
                    continue;
                }
                prop_assert_eq!(high, window.iter().copied().reduce(f64::max));
                prop_assert_eq!(low, window.iter().copied().reduce(f64::min));
                prop_assert!((sum.sum() - window.iter().sum::<f64>()).abs() < 1e-9);
            }
        }
    }
}
