//! What an account should hold by our own reckoning: where it began, plus every fill.

use rust_decimal::Decimal;
use tercel_core::{AssetId, Instrument, InstrumentId, InstrumentKind, Notional, Quantity, Side};

use crate::protocol::FillNews;

/// Holdings and positions, by index of asset and instrument.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Ledger {
    holdings: Vec<Notional>,
    positions: Vec<Quantity>,
    /// Fills booked since the beginning: a comparison during which it grew proves nothing.
    pub(super) n_fills: u64,
}

impl Ledger {
    pub(super) fn new(holdings: Vec<Notional>, positions: Vec<Quantity>) -> Self {
        Self { holdings, positions, n_fills: 0 }
    }

    pub(super) fn book(&mut self, instrument: &Instrument, fill: &FillNews) {
        self.n_fills += 1;
        let signed = Quantity(fill.qty.0 * fill.side.sign());
        *self.position_mut(instrument.id) += signed;
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
        self.positions.get(instrument.index()).copied().unwrap_or(Quantity::ZERO)
    }

    pub(super) fn adopt_holding(&mut self, asset: AssetId, total: Decimal) {
        if let Some(total) = Notional::from_decimal(total.round_dp(18)) {
            *self.holding_mut(asset) = total;
        }
    }

    pub(super) fn adopt_position(&mut self, instrument: InstrumentId, qty: Quantity) {
        *self.position_mut(instrument) = qty;
    }

    fn holding_mut(&mut self, asset: AssetId) -> &mut Notional {
        let idx = asset.index();
        if idx >= self.holdings.len() {
            self.holdings.resize(idx + 1, Notional::ZERO);
        }
        &mut self.holdings[idx]
    }

    fn position_mut(&mut self, instrument: InstrumentId) -> &mut Quantity {
        let idx = instrument.index();
        if idx >= self.positions.len() {
            self.positions.resize(idx + 1, Quantity::ZERO);
        }
        &mut self.positions[idx]
    }
}
