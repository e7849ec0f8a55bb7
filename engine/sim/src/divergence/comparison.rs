//! Two runs' orders side by side, and what it comes to.

use std::collections::BTreeMap;

use tercel_core::{AssetId, Instrument, Nanos, Notional, Price};

use super::pairing::{Pair, pair};
use super::shares::{Shares, profit};
use super::spread::Spread;
use super::trail::Trail;

/// A run and its simulation, order by order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// Pairs and orders without counterpart, in the order in which they were sent.
    pub rows: Vec<Row>,
    /// What it comes to, by the asset that profits are settled in.
    pub totals: BTreeMap<AssetId, Totals>,
    /// By how much the simulation sent later, of pairs, in nanoseconds.
    pub sent_later_ns: Option<Spread>,
    /// By how much longer its answers took, of pairs with answers on both sides, in nanoseconds.
    pub answered_later_ns: Option<Spread>,
    /// By how much later its first fills came, of pairs with fills on both sides, in nanoseconds.
    pub filled_later_ns: Option<Spread>,
}

/// A pair, or an order without counterpart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Where the orders stand in their lists.
    pub pair: Pair,
    /// What the run made more.
    pub difference: Shares,
    /// Whether both went the same way, to the nanosecond and the unit.
    pub is_equal: bool,
}

/// What the fills of both sides come to, in one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Profit of the run's fills after fees, what it holds valued at the last price.
    pub run: Notional,
    /// The same of the simulation.
    pub simulated: Notional,
    /// What the run's fills cost against the middle of the book at their order's sending.
    pub run_slippage: Notional,
    /// The same of the simulation.
    pub simulated_slippage: Notional,
    /// The difference of the profits, by cause.
    pub difference: Shares,
}

impl Comparison {
    /// Compares orders, each list ascending in the time of sending, in instruments at the index of
    /// their ids whose last prices these are. Where none is known nothing was ever traded.
    ///
    /// # Panics
    ///
    /// If an order is in an instrument that is not there.
    #[must_use]
    pub fn of(
        instruments: &[Instrument],
        last_prices: &[Option<Price>],
        run: &[Trail],
        simulated: &[Trail],
        within_ns: i64,
    ) -> Self {
        let mut totals = BTreeMap::<AssetId, Totals>::new();
        let mut rows = Vec::new();
        let (mut sent, mut answered, mut filled) = (Vec::new(), Vec::new(), Vec::new());
        for pair in pair(run, simulated, within_ns) {
            let own = pair.run.map(|idx| &run[idx]);
            let other = pair.simulated.map(|idx| &simulated[idx]);
            let Some(some) = own.or(other) else { continue };
            let instrument = &instruments[some.spec.instrument.index()];
            let last = last_prices[some.spec.instrument.index()].unwrap_or_default();
            let difference = Shares::of(instrument, last, own, other);
            let total = totals.entry(instrument.settlement_asset()).or_default();
            total.difference += difference;
            if let Some(order) = own {
                total.run += profit(instrument, last, order) - order.fees;
                total.run_slippage += order.slippage(instrument).unwrap_or_default();
            }
            if let Some(order) = other {
                total.simulated += profit(instrument, last, order) - order.fees;
                total.simulated_slippage += order.slippage(instrument).unwrap_or_default();
            }
            if let (Some(own), Some(other)) = (own, other) {
                sent.push(other.sent_at.since(own.sent_at));
                answered.extend(later(own.answered_after_ns(), other.answered_after_ns()));
                let at = |order: &Trail| order.first_fill_at.map(|Nanos(at)| at);
                filled.extend(later(at(own), at(other)));
            }
            let is_equal = own.zip(other).is_some_and(|(own, other)| own.went_like(other));
            rows.push(Row { pair, difference, is_equal });
        }
        Self {
            rows,
            totals,
            sent_later_ns: Spread::of(sent),
            answered_later_ns: Spread::of(answered),
            filled_later_ns: Spread::of(filled),
        }
    }

    /// Returns how many rows are pairs.
    #[must_use]
    pub fn n_pairs(&self) -> usize {
        self.count(|row| row.pair.run.is_some() && row.pair.simulated.is_some())
    }

    /// Returns how many pairs went the same way.
    #[must_use]
    pub fn n_equal(&self) -> usize {
        self.count(|row| row.is_equal)
    }

    /// Returns how many orders of the run have no counterpart.
    #[must_use]
    pub fn n_run_only(&self) -> usize {
        self.count(|row| row.pair.simulated.is_none())
    }

    /// Returns how many orders of the simulation have no counterpart.
    #[must_use]
    pub fn n_simulated_only(&self) -> usize {
        self.count(|row| row.pair.run.is_none())
    }

    /// Returns whether all orders went the same way on both sides.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.rows.iter().all(|row| row.is_equal)
    }

    fn count(&self, is_one: impl Fn(&Row) -> bool) -> usize {
        self.rows.iter().filter(|row| is_one(row)).count()
    }
}

fn later(own: Option<i64>, other: Option<i64>) -> Option<i64> {
    Some(other?.saturating_sub(own?))
}
