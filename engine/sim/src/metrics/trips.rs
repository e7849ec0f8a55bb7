//! Round trips from flat to flat, and what they add up to.

use tercel_core::{InstrumentId, Nanos, Notional, Position, Quantity, Side, StrategyId};

use crate::metrics::records::RoundTrip;
use crate::metrics::{ratio, to_f64};

/// A round trip that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenTrip {
    opened_at: Nanos,
    side: Side,
    qty_max: Quantity,
    n_fills: u32,
    realised: Notional,
    fees: Notional,
    funding: Notional,
}

/// What a fill changed in a position, in quote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) at: Nanos,
    pub(super) before: Quantity,
    pub(super) after: Quantity,
    pub(super) realised: Notional,
    pub(super) fees: Notional,
}

/// Cuts the fills of one strategy in one instrument into round trips.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TripTracker {
    open: Option<OpenTrip>,
}

impl TripTracker {
    /// Adds funding received (or paid, negative) to the open trip.
    pub(super) fn fund(&mut self, amount: Notional) {
        if let Some(open) = &mut self.open {
            open.funding += amount;
        }
    }

    /// Takes a fill; returns the trip that it ended.
    pub(super) fn fill(
        &mut self,
        strategy: StrategyId,
        instrument: InstrumentId,
        step: &Step,
    ) -> Option<RoundTrip> {
        let (before, after) = (step.before.0, step.after.0);
        let through = before.signum() * after.signum() < 0;
        let closing_fees = if through {
            // Fees are paid on quantity; the remainder of the division goes to the new trip.
            let (closed, traded) = (i128::from(before.abs()), i128::from((after - before).abs()));
            Notional(step.fees.0 / traded * closed + step.fees.0 % traded * closed / traded)
        } else {
            step.fees
        };
        let open = self.open.get_or_insert_with(|| OpenTrip::new(step.at, after));
        open.realised += step.realised;
        open.fees += closing_fees;
        open.n_fills = open.n_fills.saturating_add(1);
        open.qty_max = open.qty_max.max(Quantity(if through { before } else { after }).abs());
        if after != 0 && !through {
            return None;
        }
        let ended = self.open.take()?;
        if through {
            let fees = step.fees - closing_fees;
            self.open = Some(OpenTrip { n_fills: 1, fees, ..OpenTrip::new(step.at, after) });
        }
        Some(RoundTrip {
            strategy,
            instrument,
            side: ended.side,
            opened_at: ended.opened_at,
            closed_at: step.at,
            qty_max: ended.qty_max,
            n_fills: ended.n_fills,
            fees: ended.fees,
            funding: ended.funding,
            profit: ended.realised - ended.fees + ended.funding,
        })
    }
}

impl OpenTrip {
    const fn new(at: Nanos, qty: i64) -> Self {
        Self {
            opened_at: at,
            side: if qty >= 0 { Side::Buy } else { Side::Sell },
            qty_max: Quantity(qty.saturating_abs()),
            n_fills: 0,
            realised: Notional::ZERO,
            fees: Notional::ZERO,
            funding: Notional::ZERO,
        }
    }
}

/// Returns what a position's realised profit, fees and funding grew by.
pub(super) fn growth(before: &Position, after: &Position) -> (Notional, Notional, Notional) {
    (after.realised - before.realised, after.fees - before.fees, after.funding - before.funding)
}

/// What round trips add up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TripStats {
    /// How many ended.
    pub n_trips: u64,
    /// How many with profit.
    pub n_wins: u64,
    /// How many with loss.
    pub n_losses: u64,
    /// Sum of the profits of winners.
    pub gross_profit: Notional,
    /// Sum of the losses of losers, positive.
    pub gross_loss: Notional,
    /// Best profit; zero if none won.
    pub best: Notional,
    /// Worst profit; zero if none lost.
    pub worst: Notional,
    /// Most winners in a row.
    pub win_streak_max: u64,
    /// Most losers in a row.
    pub loss_streak_max: u64,
    /// Sum of the times that trips were open, in nanoseconds.
    pub held_ns: i128,
    win_streak: u64,
    loss_streak: u64,
}

impl TripStats {
    /// Counts a trip. One without profit or loss ends both kinds of streak.
    pub fn push(&mut self, trip: &RoundTrip) {
        self.n_trips += 1;
        self.held_ns += i128::from(trip.closed_at.since(trip.opened_at));
        let profit = trip.profit;
        let (won, lost) = (profit > Notional::ZERO, profit < Notional::ZERO);
        self.win_streak = if won { self.win_streak + 1 } else { 0 };
        self.loss_streak = if lost { self.loss_streak + 1 } else { 0 };
        if won {
            self.n_wins += 1;
            self.gross_profit += profit;
        }
        if lost {
            self.n_losses += 1;
            self.gross_loss += -profit;
        }
        self.best = self.best.max(profit);
        self.worst = self.worst.min(profit);
        self.win_streak_max = self.win_streak_max.max(self.win_streak);
        self.loss_streak_max = self.loss_streak_max.max(self.loss_streak);
    }

    /// Returns the share of trips with profit.
    #[must_use]
    pub fn win_rate(&self) -> Option<f64> {
        ratio(self.n_wins as f64, self.n_trips as f64)
    }

    /// Returns profits over losses.
    #[must_use]
    pub fn profit_factor(&self) -> Option<f64> {
        ratio(to_f64(self.gross_profit), to_f64(self.gross_loss))
    }

    /// Returns the mean profit of a trip.
    #[must_use]
    pub fn expectancy(&self) -> Option<f64> {
        ratio(to_f64(self.gross_profit - self.gross_loss), self.n_trips as f64)
    }

    /// Returns the mean profit of a winner.
    #[must_use]
    pub fn average_win(&self) -> Option<f64> {
        ratio(to_f64(self.gross_profit), self.n_wins as f64)
    }

    /// Returns the mean loss of a loser, positive.
    #[must_use]
    pub fn average_loss(&self) -> Option<f64> {
        ratio(to_f64(self.gross_loss), self.n_losses as f64)
    }

    /// Returns the mean time that a trip was open, in nanoseconds.
    #[must_use]
    pub fn average_held_ns(&self) -> Option<f64> {
        ratio(self.held_ns as f64, self.n_trips as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(units: i128) -> Notional {
        Notional(units * Notional::ONE)
    }

    fn trip(profit: i128) -> RoundTrip {
        RoundTrip {
            strategy: StrategyId(0),
            instrument: InstrumentId(0),
            side: Side::Buy,
            opened_at: Nanos(10),
            closed_at: Nanos(30),
            qty_max: Quantity(1),
            n_fills: 2,
            fees: Notional::ZERO,
            funding: Notional::ZERO,
            profit: money(profit),
        }
    }

    fn step(at: i64, before: i64, after: i64, realised: i128, fees: i128) -> Step {
        Step {
            at: Nanos(at),
            before: Quantity(before),
            after: Quantity(after),
            realised: money(realised),
            fees: money(fees),
        }
    }

    #[test]
    fn statistics_agree_with_the_hand() {
        let mut stats = TripStats::default();
        [10, 20, -5, 0, -7, -8, 30].iter().for_each(|profit| stats.push(&trip(*profit)));
        assert_eq!((stats.n_trips, stats.n_wins, stats.n_losses), (7, 3, 3));
        assert_eq!((stats.gross_profit, stats.gross_loss), (money(60), money(20)));
        assert_eq!((stats.best, stats.worst), (money(30), money(-8)));
        assert_eq!((stats.win_streak_max, stats.loss_streak_max), (2, 2));
        assert_eq!(stats.win_rate(), Some(3.0 / 7.0));
        assert_eq!(stats.profit_factor(), Some(3.0));
        assert_eq!(stats.expectancy(), Some(40.0 / 7.0));
        assert_eq!(stats.average_win(), Some(20.0));
        assert_eq!(stats.average_loss(), Some(20.0 / 3.0));
        assert_eq!(stats.average_held_ns(), Some(20.0));
    }

    #[test]
    fn without_trips_or_losses_ratios_are_none() {
        let mut stats = TripStats::default();
        assert_eq!((stats.win_rate(), stats.expectancy(), stats.average_win()), (None, None, None));
        stats.push(&trip(10));
        assert_eq!((stats.profit_factor(), stats.average_loss()), (None, None));
        assert_eq!(stats.win_rate(), Some(1.0));
    }

    #[test]
    fn a_fill_through_zero_ends_a_trip_and_begins_the_next() {
        let (mut tracker, ids) = (TripTracker::default(), (StrategyId(0), InstrumentId(0)));
        assert_eq!(tracker.fill(ids.0, ids.1, &step(1, 0, 3, 0, 3)), None);
        tracker.fund(money(-2));
        let first = tracker.fill(ids.0, ids.1, &step(2, 3, -1, 50, 8)).unwrap();
        // Three quarters of the fee belong to what was closed.
        assert_eq!((first.profit, first.fees), (money(50 - 3 - 6 - 2), money(9)));
        assert_eq!((first.side, first.qty_max, first.n_fills), (Side::Buy, Quantity(3), 2));
        let second = tracker.fill(ids.0, ids.1, &step(5, -1, 0, -10, 1)).unwrap();
        assert_eq!((second.profit, second.fees), (money(-10 - 2 - 1), money(3)));
        assert_eq!(
            (second.side, second.opened_at, second.closed_at),
            (Side::Sell, Nanos(2), Nanos(5))
        );
    }
}
