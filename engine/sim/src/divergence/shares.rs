//! The difference of two runs' profits, split by cause.

use std::ops::AddAssign;

use tercel_core::{Instrument, InstrumentKind, Notional, Price, Quantity, Side};

use super::trail::Trail;

/// What a run made more (or, negative, less) than its simulation, by cause, in the settlement asset.
///
/// A fill's profit is what its quantity is worth at one price for both, the run's last, less what it
/// cost. That makes profits sums over fills, whatever the order of fills, so that the causes add up
/// to the difference exactly. Funding is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shares {
    /// Of pairs, on the quantity that both have: other prices.
    pub prices: Notional,
    /// Of pairs, on the quantity that only one has: missed or additional fills.
    pub quantities: Notional,
    /// Of pairs: other fees.
    pub fees: Notional,
    /// Of orders that the other side has not, with their fees.
    pub unpaired: Notional,
}

impl Shares {
    /// Returns what an order of the run made more than its counterpart in the simulation, at most one
    /// of which may be absent.
    #[must_use]
    pub fn of(
        instrument: &Instrument,
        last: Price,
        run: Option<&Trail>,
        simulated: Option<&Trail>,
    ) -> Self {
        let made = |order: &Trail| profit(instrument, last, order);
        match (run, simulated) {
            (Some(run), Some(simulated)) => {
                let both = run.filled.min(simulated.filled);
                let side = run.spec.side;
                let (cost, other) = (part(run, both), part(simulated, both));
                let prices = gain(instrument, side, cost, other);
                let all = made(run) - made(simulated);
                Self {
                    prices,
                    quantities: all - prices,
                    fees: simulated.fees - run.fees,
                    unpaired: Notional::ZERO,
                }
            }
            (Some(run), None) => Self { unpaired: made(run) - run.fees, ..Self::default() },
            (None, Some(simulated)) => {
                Self { unpaired: simulated.fees - made(simulated), ..Self::default() }
            }
            (None, None) => Self::default(),
        }
    }

    /// Returns the whole difference.
    #[must_use]
    pub fn total(&self) -> Notional {
        self.prices + self.quantities + self.fees + self.unpaired
    }
}

impl AddAssign for Shares {
    fn add_assign(&mut self, other: Self) {
        self.prices += other.prices;
        self.quantities += other.quantities;
        self.fees += other.fees;
        self.unpaired += other.unpaired;
    }
}

/// Returns what is gained by trading a quantity at the value `cost` that is worth `worth`.
pub(super) fn gain(
    instrument: &Instrument,
    side: Side,
    cost: Notional,
    worth: Notional,
) -> Notional {
    let bought = match instrument.spec.kind {
        InstrumentKind::Spot | InstrumentKind::LinearPerpetual => worth - cost,
        // Settled in the base: what is worth more of it was bought at a lower price.
        InstrumentKind::InversePerpetual => cost - worth,
    };
    match side {
        Side::Buy => bought,
        Side::Sell => -bought,
    }
}

/// Returns the profit of an order's fills before fees.
pub(super) fn profit(instrument: &Instrument, last: Price, order: &Trail) -> Notional {
    // Out of range is what the engine would not have booked.
    let worth = instrument.settlement_units(last, order.filled).unwrap_or_default();
    gain(instrument, order.spec.side, order.value, worth)
}

/// Returns what `qty` of an order's fills cost at their average, rounded down.
fn part(order: &Trail, qty: Quantity) -> Notional {
    if qty.is_zero() {
        return Notional::ZERO;
    }
    if qty == order.filled {
        return order.value;
    }
    let (value, qty, filled) = (order.value.0, i128::from(qty.0), i128::from(order.filled.0));
    Notional(match value.checked_mul(qty) {
        Some(product) => product.div_euclid(filled),
        None => value.div_euclid(filled).saturating_mul(qty),
    })
}
