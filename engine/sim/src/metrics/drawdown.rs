//! How far and how long equity stayed below its peak.

use tercel_core::{Nanos, Notional};

use crate::metrics::{ratio, to_f64};

/// Follows equity and keeps its deepest and its longest fall below a peak.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Drawdown {
    peak: Notional,
    peak_at: Nanos,
    is_below: bool,
    /// Largest fall in money.
    pub money_max: Notional,
    /// Largest fall as a share of the peak that it fell from; `None` while no peak was positive.
    pub share_max: Option<f64>,
    /// Longest time from a peak until equity reached it again, or until the last value, in
    /// nanoseconds.
    pub duration_ns_max: i64,
}

impl Drawdown {
    /// Returns a start at this equity.
    #[must_use]
    pub fn new(equity: Notional, at: Nanos) -> Self {
        Self {
            peak: equity,
            peak_at: at,
            is_below: false,
            money_max: Notional::ZERO,
            share_max: (equity > Notional::ZERO).then_some(0.0),
            duration_ns_max: 0,
        }
    }

    /// Takes the equity at a later moment.
    pub fn push(&mut self, equity: Notional, at: Nanos) {
        if self.is_below || equity < self.peak {
            self.duration_ns_max = self.duration_ns_max.max(at.since(self.peak_at));
        }
        self.is_below = equity < self.peak;
        if !self.is_below {
            self.peak = equity;
            self.peak_at = at;
            return;
        }
        let fall = self.peak - equity;
        self.money_max = self.money_max.max(fall);
        if self.peak > Notional::ZERO {
            let share = ratio(to_f64(fall), to_f64(self.peak)).unwrap_or(0.0);
            self.share_max = Some(self.share_max.unwrap_or(0.0).max(share));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn follow(values: &[i128]) -> Drawdown {
        let mut drawdown = Drawdown::new(Notional(values[0] * Notional::ONE), Nanos(0));
        for (at, value) in (1..).zip(&values[1..]) {
            drawdown.push(Notional(value * Notional::ONE), Nanos(at));
        }
        drawdown
    }

    #[test]
    fn the_deepest_and_the_longest_fall_may_be_two() {
        // Down 20 of 100 for three steps; then down 12 of 120 for four, until it is reached again.
        let drawdown = follow(&[90, 100, 80, 90, 100, 120, 110, 108, 119, 120, 120, 130]);
        assert_eq!(drawdown.money_max, Notional(20 * Notional::ONE));
        assert_eq!(drawdown.share_max, Some(0.2));
        assert_eq!(drawdown.duration_ns_max, 4);
    }

    #[test]
    fn a_fall_without_return_lasts_until_the_end() {
        assert_eq!(follow(&[100, 99, 98, 97]).duration_ns_max, 3);
        assert_eq!(follow(&[100, 100, 101, 101]).duration_ns_max, 0);
        assert_eq!(follow(&[100, 100, 101, 101]).share_max, Some(0.0));
    }

    #[test]
    fn without_a_positive_peak_there_is_no_share() {
        let drawdown = follow(&[0, -5, -7]);
        assert_eq!((drawdown.share_max, drawdown.money_max.0 / Notional::ONE), (None, 7));
    }

    proptest! {
        #[test]
        fn a_fall_is_bounded_by_the_peak(values in prop::collection::vec(0i128..10_000, 1..80)) {
            let drawdown = follow(&values);
            let peak = values.iter().max().unwrap();
            prop_assert!(drawdown.money_max.0 <= peak * Notional::ONE);
            prop_assert!(drawdown.share_max.is_none_or(|share| (0.0..=1.0).contains(&share)));
            // By the definition, slowly.
            let deepest = (0..values.len())
                .flat_map(|i| (i..values.len()).map(move |j| (i, j)))
                .map(|(i, j)| values[i] - values[j])
                .max()
                .unwrap();
            prop_assert_eq!(drawdown.money_max.0, deepest * Notional::ONE);
        }
    }
}
