//! Net positions: quantity, cost, realised profit, fees and funding, in exact integers.
//!
//! Money is in the instrument's settlement asset. Nothing is ever lost to rounding: what a partial
//! close removes from the cost (rounded toward zero) and what it leaves add up to what was there.

use crate::digest::Digest;
use crate::instrument::{Instrument, InstrumentKind};
use crate::num::{Notional, Price, Quantity, Side};

/// A net position in one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Signed quantity: positive is long.
    pub qty: Quantity,
    /// What the open quantity cost: the negated sum of its cash flows. Closing at a value that
    /// flows back exactly this much makes no profit.
    pub cost: Notional,
    /// Profit of what was closed, before fees and funding.
    pub realised: Notional,
    /// Fees paid, rebates deducted.
    pub fees: Notional,
    /// Funding received, payments deducted.
    pub funding: Notional,
    /// Sum of the notionals of all fills.
    pub turnover: Notional,
    /// Number of fills.
    pub n_fills: u64,
}

/// What a fill would overflow or divide by zero in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the value of the fill is out of range")]
pub struct ValueOutOfRange;

impl Position {
    /// Applies a fill of `qty` at `price` and returns the profit that it realised.
    ///
    /// A fill through zero closes the old position and opens the rest on the other side.
    ///
    /// # Errors
    ///
    /// If the fill's value does not fit; the position is unchanged.
    pub fn apply_fill(
        &mut self,
        instrument: &Instrument,
        side: Side,
        price: Price,
        qty: Quantity,
    ) -> Result<Notional, ValueOutOfRange> {
        let signed = qty.0 * side.sign();
        let turnover = instrument.notional(price, qty).ok_or(ValueOutOfRange)?;
        let closing =
            if self.qty.0.signum() * signed.signum() < 0 { qty.0.min(self.qty.0.abs()) } else { 0 };
        let opening = qty.0 - closing;
        let closed_cost = if closing == 0 {
            Notional::ZERO
        } else {
            let part = self.cost.0.checked_mul(i128::from(closing)).ok_or(ValueOutOfRange)?;
            Notional(part / i128::from(self.qty.0.abs()))
        };
        let close_flow = flow(instrument, side, price, Quantity(closing)).ok_or(ValueOutOfRange)?;
        let open_flow = flow(instrument, side, price, Quantity(opening)).ok_or(ValueOutOfRange)?;
        let realised = if closing == 0 { Notional::ZERO } else { close_flow - closed_cost };
        self.qty.0 += signed;
        self.cost = self.cost - closed_cost - open_flow;
        self.realised += realised;
        self.turnover += turnover;
        self.n_fills += 1;
        Ok(realised)
    }

    /// Takes `qty` (positive) of what is held away without a fill, at `at` or, where no price is
    /// known, at what it cost; at most all of it goes. Returns the profit that this realised.
    pub fn take_away(
        &mut self,
        instrument: &Instrument,
        qty: Quantity,
        at: Option<Price>,
    ) -> Notional {
        let gone = Quantity(qty.0.min(self.qty.0.saturating_abs()) * self.qty.0.signum());
        let side = if gone.0 > 0 { Side::Sell } else { Side::Buy };
        let flow = at.and_then(|at| flow(instrument, side, at, gone.abs()));
        let flow = flow.unwrap_or_else(|| self.cost_of(gone.abs()));
        self.change(-gone, flow)
    }

    /// Changes the quantity by `qty` (signed) without a fill: as much as `flow` came in for it. Returns
    /// the profit that this realised.
    pub(crate) fn change(&mut self, qty: Quantity, flow: Notional) -> Notional {
        let closes = self.qty.0.signum() * qty.0.signum() < 0;
        let closing = if closes { qty.0.abs().min(self.qty.0.abs()) } else { 0 };
        let closed_cost = self.cost_of(Quantity(closing));
        let close_flow = flow.share(closing, qty.0.abs());
        let realised = close_flow - closed_cost;
        self.qty += qty;
        self.cost = self.cost - closed_cost - (flow - close_flow);
        self.realised += realised;
        realised
    }

    /// Takes over what the venue says of the holding: its cost, and with it what was made so far, for
    /// both together stay what they are.
    pub(crate) fn restate_cost(&mut self, cost: Notional) -> Notional {
        let realised = cost - self.cost;
        self.cost = cost;
        self.realised += realised;
        realised
    }

    /// Returns what `qty` (positive) of the open quantity cost, rounded toward zero.
    fn cost_of(&self, qty: Quantity) -> Notional {
        self.cost.share(qty.0, self.qty.0.abs())
    }

    /// Returns the profit of closing everything at `mark`, before fees; zero when flat.
    ///
    /// Saturates instead of failing: a mark out of range is not an event to stop at.
    #[must_use]
    pub fn unrealised(&self, instrument: &Instrument, mark: Price) -> Notional {
        if self.qty.is_zero() {
            return Notional::ZERO;
        }
        let side = if self.qty.0 > 0 { Side::Sell } else { Side::Buy };
        flow(instrument, side, mark, self.qty.abs()).map_or(Notional::ZERO, |flow| flow - self.cost)
    }

    /// Returns realised profit, less fees, with funding.
    #[must_use]
    pub fn net_realised(&self) -> Notional {
        self.realised - self.fees + self.funding
    }

    /// Returns the average entry price in millionths of a tick, rounded toward zero; `None` when
    /// flat or for inverse instruments, whose cost is not linear in price.
    #[must_use]
    pub fn average_price_e6(&self, instrument: &Instrument) -> Option<i128> {
        if self.qty.is_zero() {
            return None;
        }
        let per_tick = instrument.notional(Price(1), self.qty.abs())?;
        match instrument.spec.kind {
            InstrumentKind::Spot | InstrumentKind::LinearPerpetual => {
                Some(self.cost.0.abs().checked_mul(1_000_000)? / per_tick.0)
            }
            InstrumentKind::InversePerpetual => None,
        }
    }

    /// Mixes the position into `digest`.
    pub fn digest(&self, digest: &mut Digest) {
        digest.i64(self.qty.0);
        for money in [self.cost, self.realised, self.fees, self.funding, self.turnover] {
            digest.i128(money.0);
        }
        digest.u64(self.n_fills);
    }
}

/// Returns the cash that a fill moves into the account: a purchase moves it out.
///
/// An inverse contract gains base when the price rises, so its flows have the other sign.
fn flow(instrument: &Instrument, side: Side, price: Price, qty: Quantity) -> Option<Notional> {
    if qty.is_zero() {
        return Some(Notional::ZERO);
    }
    let value = instrument.settlement_units(price, qty)?;
    let into = match instrument.spec.kind {
        InstrumentKind::Spot | InstrumentKind::LinearPerpetual => side == Side::Sell,
        InstrumentKind::InversePerpetual => side == Side::Buy,
    };
    Some(if into { value } else { -value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::InstrumentId;
    use crate::instrument::InstrumentSpec;

    fn linear() -> Instrument {
        Instrument::new(InstrumentId(0), InstrumentSpec::linear("X", "1", "1")).unwrap()
    }

    fn money(units: i128) -> Notional {
        Notional(units * Notional::ONE)
    }

    #[test]
    fn closing_part_realises_its_share() {
        let (x, mut position) = (linear(), Position::default());
        position.apply_fill(&x, Side::Buy, Price(100), Quantity(3)).unwrap();
        let realised = position.apply_fill(&x, Side::Sell, Price(110), Quantity(1)).unwrap();
        assert_eq!(realised, money(10));
        assert_eq!(position.unrealised(&x, Price(90)), money(-20));
        assert_eq!(position.average_price_e6(&x), Some(100_000_000));
    }

    #[test]
    fn a_fill_through_zero_opens_the_other_side() {
        let (x, mut position) = (linear(), Position::default());
        position.apply_fill(&x, Side::Buy, Price(100), Quantity(2)).unwrap();
        let realised = position.apply_fill(&x, Side::Sell, Price(90), Quantity(5)).unwrap();
        assert_eq!(realised, money(-20));
        assert_eq!(position.qty, Quantity(-3));
        assert_eq!(position.unrealised(&x, Price(80)), money(30));
    }

    #[test]
    fn an_inverse_long_gains_base_when_the_price_rises() {
        let mut spec = InstrumentSpec::linear("XUSD", "1", "1");
        spec.kind = InstrumentKind::InversePerpetual;
        let x = Instrument::new(InstrumentId(0), spec).unwrap();
        let mut position = Position::default();
        position.apply_fill(&x, Side::Buy, Price(100), Quantity(100)).unwrap();
        let realised = position.apply_fill(&x, Side::Sell, Price(200), Quantity(100)).unwrap();
        assert_eq!(realised, Notional(Notional::ONE / 2));
    }

    proptest! {
        /// Whatever the fills, realised and unrealised profit together are the cash that flowed
        /// plus the value of what is left: not a unit is lost.
        #[test]
        fn profit_is_conserved(fills in prop::collection::vec((any::<bool>(), 1..2_000i64, 1..50i64), 1..60)) {
            let (x, mut position, mut cash) = (linear(), Position::default(), 0i128);
            for (buy, price, qty) in fills {
                let side = if buy { Side::Buy } else { Side::Sell };
                position.apply_fill(&x, side, Price(price), Quantity(qty)).unwrap();
                cash -= i128::from(side.sign()) * i128::from(price * qty);
                let held = i128::from(position.qty.0) * i128::from(price);
                let profit = position.realised + position.unrealised(&x, Price(price));
                prop_assert_eq!(profit, money(cash + held));
            }
        }
    }
}
