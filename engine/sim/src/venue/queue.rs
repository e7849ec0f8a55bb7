//! Where a resting order stands in the queue at its price, as far as a book by level tells.

use tercel_core::Quantity;

use crate::options::QueueModel;

/// An order's place among what is shown at its price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueuePosition {
    /// What has to trade before the order does.
    pub(crate) ahead: Quantity,
    /// What the level shows, less what has traded there since it was last told.
    shown: Quantity,
}

impl QueuePosition {
    /// Returns the place behind everything that is shown.
    pub(crate) const fn behind(shown: Quantity) -> Self {
        Self { ahead: shown, shown }
    }

    /// Returns the place in a queue of unknown length: behind all that will be shown.
    pub(crate) const fn unknown() -> Self {
        Self::behind(Quantity(i64::MAX))
    }

    /// Takes `market` out of what is ahead, of a trade of `qty` at the price.
    pub(crate) fn on_trade(&mut self, market: Quantity, qty: Quantity) {
        self.ahead.0 = (self.ahead.0 - market.0).max(0);
        if self.shown.0 != i64::MAX {
            self.shown.0 = (self.shown.0 - qty.0).max(0);
        }
    }

    /// Takes note that the level shows `qty` now.
    pub(crate) fn on_level(&mut self, model: QueueModel, qty: Quantity) {
        if let QueueModel::Probabilistic { power } = model
            && self.shown.0 != i64::MAX
        {
            let left = self.shown.0 - qty.0;
            if left > 0 {
                let behind = (self.shown.0 - self.ahead.0).max(0);
                self.ahead.0 -= left_ahead(self.ahead.0, behind, left, power);
            }
        }
        self.ahead = self.ahead.min(qty);
        self.shown = qty;
    }
}

/// Returns how much of `left` went from ahead: its share by power, or what behind cannot cover.
fn left_ahead(ahead: i64, behind: i64, left: i64, power: u32) -> i64 {
    // Both parts cut to so few bits that their powers times a quantity fit 128: exact for powers
    // up to 2 and quantities below 2^30, and never off by more than the bits that were cut.
    let bits = 60 / power.clamp(1, 8);
    let cut = (i64::BITS - ahead.max(behind).leading_zeros()).saturating_sub(bits);
    let weight = |part: i64| i128::from(part >> cut).pow(power);
    let (f_ahead, f_behind) = (weight(ahead), weight(behind));
    let share = i128::from(left) * f_ahead / (f_ahead + f_behind).max(1);
    // A share of `left`, so it fits.
    i64::try_from(share).unwrap_or(left).max(left - behind).min(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `(is_trade, qty)` steps on an order that arrives behind 100.
    fn check(model: QueueModel, steps: &[(bool, i64)], expected: i64) {
        let mut place = QueuePosition::behind(Quantity(100));
        for (is_trade, qty) in steps {
            if *is_trade {
                place.on_trade(Quantity(*qty), Quantity(*qty));
            } else {
                place.on_level(model, Quantity(*qty));
            }
        }
        assert_eq!(place.ahead, Quantity(expected), "{model:?} {steps:?}");
    }

    const LEVEL: bool = false;
    const TRADE: bool = true;

    #[test]
    fn pessimism_moves_by_trades_and_is_clamped_by_what_is_shown() {
        let model = QueueModel::Pessimistic;
        check(model, &[(TRADE, 30)], 70);
        check(model, &[(LEVEL, 150), (LEVEL, 120)], 100);
        check(model, &[(LEVEL, 60)], 60);
        check(model, &[(TRADE, 30), (LEVEL, 70)], 70);
        check(model, &[(TRADE, 130)], 0);
    }

    #[test]
    fn probability_splits_what_left_without_a_trade() {
        let model = QueueModel::Probabilistic { power: 1 };
        // Nothing is behind at first, so all that leaves was ahead.
        check(model, &[(LEVEL, 80)], 80);
        // 100 ahead, 100 behind: half of the 40 that left.
        check(model, &[(LEVEL, 200), (LEVEL, 160)], 80);
        // 100 ahead, 300 behind: a quarter, and the trade is no cancel.
        check(model, &[(LEVEL, 400), (LEVEL, 360)], 90);
        check(model, &[(LEVEL, 200), (TRADE, 40), (LEVEL, 160)], 60);
        // By squares 100 : 300 is 1 : 9.
        check(QueueModel::Probabilistic { power: 2 }, &[(LEVEL, 400), (LEVEL, 360)], 96);
        // Behind cannot cover its share.
        check(model, &[(LEVEL, 110), (LEVEL, 10)], 10);
    }

    #[test]
    fn shares_of_huge_quantities_do_not_overflow() {
        for power in 1..=8 {
            let half = i64::MAX / 2;
            let share = left_ahead(half, half, half, power);
            assert_eq!(share, half / 2, "power {power}");
        }
    }
}
