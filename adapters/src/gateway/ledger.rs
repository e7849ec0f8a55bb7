//! What an account should hold by our own reckoning: where it began, plus every fill.

use rust_decimal::Decimal;
use tercel_core::{
    AssetId, Instrument, InstrumentId, InstrumentKind, Notional, Position, Price, Quantity, Side,
};

use crate::protocol::FillNews;

/// Holdings and positions, by index of asset and instrument.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Ledger {
    holdings: Vec<Notional>,
    /// With their cost: closing one moves money.
    positions: Vec<Position>,
    /// Fills booked since the beginning: a comparison during which it grew proves nothing.
    pub(super) n_fills: u64,
}

impl Ledger {
    pub(super) fn new(holdings: Vec<Notional>, positions: Vec<Position>) -> Self {
        Self { holdings, positions, n_fills: 0 }
    }

    pub(super) fn book(&mut self, instrument: &Instrument, fill: &FillNews) {
        self.n_fills += 1;
        // What is out of range is out of range for the venue, too.
        let realised = self
            .position_mut(instrument.id)
            .apply_fill(instrument, fill.side, fill.price, fill.qty)
            .unwrap_or(Notional::ZERO);
        if instrument.is_perpetual() {
            *self.holding_mut(instrument.settlement_asset()) += realised;
        }
        if instrument.spec.kind == InstrumentKind::Spot {
            let base = instrument.base_amount(fill.qty).unwrap_or(Notional::ZERO);
            let quote = instrument.notional(fill.price, fill.qty).unwrap_or(Notional::ZERO);
            let (base, quote) = match fill.side {
                Side::Buy => (base, -quote),
                Side::Sell => (-base, quote),
            };
            *self.holding_mut(instrument.spec.base) += base;
            *self.holding_mut(instrument.spec.quote) += quote;
        }
        if let (Some(asset), Some(fee)) =
            (fill.fee_asset, Notional::from_decimal(fill.fee.round_dp(18)))
        {
            *self.holding_mut(asset) += -fee;
        }
    }

    pub(super) fn holding(&self, asset: AssetId) -> Decimal {
        self.holdings.get(asset.index()).map_or(Decimal::ZERO, |own| own.to_decimal())
    }

    pub(super) fn position(&self, instrument: InstrumentId) -> Quantity {
        self.positions.get(instrument.index()).map_or(Quantity::ZERO, |own| own.qty)
    }

    pub(super) fn adopt_holding(&mut self, asset: AssetId, total: Decimal) {
        if let Some(total) = Notional::from_decimal(total.round_dp(18)) {
            *self.holding_mut(asset) = total;
        }
    }

    pub(super) fn adopt_position(&mut self, instrument: &Instrument, qty: Quantity, price: Price) {
        let side = if qty.0 < 0 { Side::Sell } else { Side::Buy };
        let mut position = Position::default();
        if position.apply_fill(instrument, side, price, qty.abs()).is_err() {
            position.qty = qty;
        }
        *self.position_mut(instrument.id) = position;
    }

    fn holding_mut(&mut self, asset: AssetId) -> &mut Notional {
        let idx = asset.index();
        if idx >= self.holdings.len() {
            self.holdings.resize(idx + 1, Notional::ZERO);
        }
        &mut self.holdings[idx]
    }

    fn position_mut(&mut self, instrument: InstrumentId) -> &mut Position {
        let idx = instrument.index();
        if idx >= self.positions.len() {
            self.positions.resize(idx + 1, Position::default());
        }
        &mut self.positions[idx]
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use tercel_core::{InstrumentSpec, Nanos, Role};

    use super::*;

    /// Closing a futures position moves its profit into the wallet: not to know that would show a
    /// difference after every trade.
    #[test]
    fn what_a_closed_position_made_is_held() {
        let mut spec = InstrumentSpec::linear("BTCUSDT", "0.1", "0.001");
        (spec.base, spec.quote) = (AssetId(0), AssetId(1));
        let instrument = Instrument::new(InstrumentId(0), spec).unwrap();
        let fill = |side, price, qty| FillNews {
            key: None,
            venue_order_id: Default::default(),
            instrument: InstrumentId(0),
            trade_id: 1,
            side,
            price: Price(price),
            qty: Quantity(qty),
            role: Role::Taker,
            fee: Decimal::new(1, 2),
            fee_asset: Some(AssetId(1)),
            venue_at: Nanos(0),
        };
        let mut ledger = Ledger::default();
        ledger.adopt_holding(AssetId(1), Decimal::ONE_HUNDRED);
        ledger.book(&instrument, &fill(Side::Buy, 600_000, 10));
        assert_eq!(ledger.holding(AssetId(1)), Decimal::new(9_999, 2));
        // Ten thousandths at 60,000.0, half of them sold at 60,100.0.
        ledger.book(&instrument, &fill(Side::Sell, 601_000, 5));
        assert_eq!(ledger.holding(AssetId(1)), Decimal::new(10_048, 2));
        // What the venue says replaces cost as well as quantity.
        ledger.adopt_position(&instrument, Quantity(-2), Price(599_000));
        ledger.book(&instrument, &fill(Side::Buy, 600_000, 2));
        assert_eq!(ledger.holding(AssetId(1)), Decimal::new(10_027, 2));
        assert_eq!(ledger.position(InstrumentId(0)), Quantity::ZERO);
        assert_eq!(ledger.holding(AssetId(0)), Decimal::ZERO);
    }
}
