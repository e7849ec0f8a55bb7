//! What a venue tells about its instruments and about what was traded, over REST.
//!
//! Decimals stay decimals here: history was made on grids that may have changed since.

use rust_decimal::Decimal;
use tercel_core::{InstrumentKind, InstrumentSpec, Nanos, Side};

use crate::limits::Limit;

/// All that is listed at a venue.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listed {
    /// What can be traded.
    pub instruments: Vec<ListedInstrument>,
    /// The budgets that the venue grants.
    pub limits: Vec<Limit>,
    /// How many entries could not be understood.
    pub n_unreadable: usize,
}

/// An instrument as a venue lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedInstrument {
    /// The venue's symbol, such as `BTCUSDT`.
    pub symbol: String,
    /// How it settles.
    pub kind: InstrumentKind,
    /// Name of the asset that is bought or sold.
    pub base: String,
    /// Name of the asset that prices are in.
    pub quote: String,
    /// Whether it can be traded now.
    pub trading: bool,
    /// Smallest step of a price.
    pub tick: Decimal,
    /// Smallest step of a quantity.
    pub lot: Decimal,
    /// Base per unit of quantity, or quote per contract.
    pub multiplier: Decimal,
    /// Smallest quantity of a limit order.
    pub min_quantity: Decimal,
    /// Largest quantity of any order, market orders included; zero means no limit.
    pub max_quantity: Decimal,
    /// Smallest notional in quote; zero means no limit.
    pub min_notional: Decimal,
    /// Furthest distance of a limit price from the reference, in basis points; zero means no band.
    pub price_band_bps: u32,
}

impl ListedInstrument {
    /// Returns the engine's specification of it. Fees are an account's own and start at zero.
    #[must_use]
    pub fn spec(
        &self,
        venue: tercel_core::VenueId,
        base: tercel_core::AssetId,
        quote: tercel_core::AssetId,
    ) -> InstrumentSpec {
        InstrumentSpec {
            symbol: self.symbol.clone(),
            venue,
            kind: self.kind,
            base,
            quote,
            tick: self.tick,
            lot: self.lot,
            multiplier: self.multiplier,
            min_quantity: self.min_quantity,
            max_quantity: self.max_quantity,
            min_notional: self.min_notional,
            price_band_bps: self.price_band_bps,
            maker_fee: Decimal::ZERO,
            taker_fee: Decimal::ZERO,
        }
    }
}

/// Which candles are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CandleQuery<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// Length in minutes: one of the venue's.
    pub minutes: u16,
    /// Those that open at this time or later.
    pub from: Nanos,
    /// And open before this time.
    pub to: Nanos,
    /// At most so many; the venue may give fewer. The next page begins after the last candle.
    pub limit: u16,
}

/// A candle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candle {
    /// When it opened.
    pub open_at: Nanos,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Quantity of the base that was traded.
    pub volume: Decimal,
    /// How many trades.
    pub n_trades: u64,
}

/// Which trades are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TradesQuery<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// From where on.
    pub from: TradesFrom,
    /// At most so many; the venue may give fewer. The next page begins after the last trade.
    pub limit: u16,
}

/// From where on trades are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TradesFrom {
    /// From this time on, and not much later.
    Time(Nanos),
    /// From this number on.
    Id(u64),
}

/// A trade, or what one taker traded at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// Its number.
    pub id: u64,
    /// When.
    pub at: Nanos,
    /// Price.
    pub price: Decimal,
    /// Quantity of the base.
    pub qty: Decimal,
    /// Side of the taker.
    pub aggressor: Side,
}
