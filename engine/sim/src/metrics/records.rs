//! What is kept of a run besides its sums: plain data for reports and files.

use std::sync::Arc;

use tercel_core::{
    AssetId, ClientOrderId, InstrumentId, Nanos, Notional, Price, Quantity, Role, Side, StrategyId,
};

use crate::metrics::decimated::{Decimated, Merge};

/// One execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FillRecord {
    /// When the engine heard of it.
    pub at: Nanos,
    /// When it happened at the venue.
    pub venue_at: Nanos,
    /// Whose order traded.
    pub strategy: StrategyId,
    /// What traded.
    pub instrument: InstrumentId,
    /// The order's side.
    pub side: Side,
    /// Price in ticks.
    pub price: Price,
    /// Quantity in lots.
    pub qty: Quantity,
    /// Whether the order rested or took.
    pub role: Role,
    /// The order.
    pub order: ClientOrderId,
    /// The venue's number of the execution.
    pub trade_id: u64,
    /// Fee paid, negative for a rebate.
    pub fee: Notional,
    /// Asset that the fee was paid in.
    pub fee_asset: AssetId,
    /// Price times quantity, in quote.
    pub notional: Notional,
    /// Profit that it realised before fees, in quote.
    pub realised: Notional,
    /// Strategy's position after it.
    pub position: Quantity,
    /// Twice the middle price when the order was sent, in ticks: a sum of bid and ask, so that
    /// half a tick is not lost. `None` if the market had no price or the order had ended before.
    pub mid_x2_at_send: Option<i64>,
    /// Twice the middle price when the engine heard of it, in ticks.
    pub mid_x2_at_fill: Option<i64>,
    /// What it cost against the middle at the send, in quote; negative if it was better.
    pub slippage: Notional,
}

/// A round trip from flat to flat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoundTrip {
    /// Whose.
    pub strategy: StrategyId,
    /// In what.
    pub instrument: InstrumentId,
    /// `Buy` for a long.
    pub side: Side,
    /// When its first fill was heard of.
    pub opened_at: Nanos,
    /// When its last fill was heard of.
    pub closed_at: Nanos,
    /// Largest position on the way.
    pub qty_max: Quantity,
    /// Fills on the way, those through zero included.
    pub n_fills: u32,
    /// Fees, in quote.
    pub fees: Notional,
    /// Funding received, in quote.
    pub funding: Notional,
    /// Profit after fees and funding, in quote.
    pub profit: Notional,
}

/// Equity over a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EquitySample {
    /// End of the stretch.
    pub at: Nanos,
    /// Equity at its end, in quote.
    pub equity: Notional,
    /// Lowest sample in it.
    pub low: Notional,
    /// Highest sample in it.
    pub high: Notional,
}

impl Merge for EquitySample {
    fn merge(&mut self, later: &Self) {
        self.at = later.at;
        self.equity = later.equity;
        self.low = self.low.min(later.low);
        self.high = self.high.max(later.high);
    }
}

/// Reference price over a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PriceSample {
    /// End of the stretch.
    pub at: Nanos,
    /// Price at its end.
    pub price: Price,
    /// Lowest sample in it.
    pub low: Price,
    /// Highest sample in it.
    pub high: Price,
}

impl Merge for PriceSample {
    fn merge(&mut self, later: &Self) {
        self.at = later.at;
        self.price = later.price;
        self.low = self.low.min(later.low);
        self.high = self.high.max(later.high);
    }
}

/// Reference prices of one instrument.
#[derive(Clone, PartialEq, Debug)]
pub struct PriceSeries {
    /// Which.
    pub instrument: InstrumentId,
    /// Its samples.
    pub samples: Decimated<PriceSample>,
}

/// A point that a script drew. Merged points keep the last value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DrawPoint {
    /// When.
    pub at: Nanos,
    /// The value; finite.
    pub value: f64,
}

impl Merge for DrawPoint {
    fn merge(&mut self, later: &Self) {
        *self = *later;
    }
}

/// A series that a script drew.
#[derive(Clone, PartialEq, Debug)]
pub struct DrawSeries {
    /// Whose.
    pub strategy: StrategyId,
    /// The script's name for it.
    pub name: Arc<str>,
    /// Its points.
    pub points: Decimated<DrawPoint>,
}

/// A marker that a script set. Merged markers keep the first.
#[derive(Clone, PartialEq, Debug)]
pub struct Marker {
    /// When.
    pub at: Nanos,
    /// Whose.
    pub strategy: StrategyId,
    /// The script's label.
    pub label: Arc<str>,
    /// Where; finite.
    pub price: f64,
}

impl Merge for Marker {
    fn merge(&mut self, _later: &Self) {}
}

/// A strategy's fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// When.
    pub at: Nanos,
    /// Whose.
    pub strategy: StrategyId,
    /// What happened, with file and line.
    pub message: String,
}
