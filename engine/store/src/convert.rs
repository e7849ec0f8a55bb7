//! Raw events to the engine's: decimals to ticks and lots, names to ids.

use rust_decimal::Decimal;
use tercel_core::{Bar, InstrumentId, MarketData, MarketEvent, Nanos, Price, Quantity};

use crate::decimal::{Dec, POW10};
use crate::grid::Step;
use crate::raw::{RawData, RawEvent};

/// Converts the events of one symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converter {
    instrument: InstrumentId,
    tick: Step,
    lot: Step,
    bar_ns: i64,
}

/// A value that does not lie on the grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OffGrid {
    pub(crate) what: &'static str,
    pub(crate) value: Dec,
}

impl std::fmt::Display for OffGrid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = Decimal::new(self.value.mantissa, u32::from(self.value.scale)).normalize();
        write!(f, "{} {value} is not on the grid of the instrument", self.what)
    }
}

impl Converter {
    /// Returns the converter to a grid, `None` if a step is not positive.
    pub(crate) fn new(
        instrument: InstrumentId,
        tick: Decimal,
        lot: Decimal,
        bar_ns: i64,
    ) -> Option<Self> {
        Some(Self { instrument, tick: Step::new(tick)?, lot: Step::new(lot)?, bar_ns })
    }

    /// Returns the instrument that the events become of.
    pub(crate) const fn instrument(&self) -> InstrumentId {
        self.instrument
    }

    /// Converts an event; `None` for a gap, which is no market data.
    pub(crate) fn convert(&self, raw: &RawEvent) -> Result<Option<MarketEvent>, OffGrid> {
        let (mut venue_at, mut received_at) = (raw.venue_at, raw.received_at);
        let data = match raw.data {
            RawData::Clear { seq } => MarketData::Clear { seq },
            RawData::Batch { prev, seq } => MarketData::Batch { prev, seq },
            RawData::Level { side, price, qty, last } => {
                MarketData::Level { side, price: self.price(price)?, qty: self.qty(qty)?, last }
            }
            RawData::Trade { aggressor, price, qty, id } => {
                MarketData::Trade { aggressor, price: self.price(price)?, qty: self.qty(qty)?, id }
            }
            RawData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => MarketData::Quote {
                bid_px: self.price(bid_px)?,
                bid_qty: self.qty(bid_qty)?,
                ask_px: self.price(ask_px)?,
                ask_qty: self.qty(ask_qty)?,
                seq,
            },
            RawData::Bar { open, high, low, close, volume, length } => {
                // A bar is known when it has closed.
                let length = length.unwrap_or(self.bar_ns);
                venue_at = venue_at.plus(length);
                received_at = received_at.plus(length);
                let interval_ms = u32::try_from(length / Nanos::MILLI).unwrap_or(u32::MAX);
                let bar = Bar {
                    open: self.price(open)?,
                    high: self.price(high)?,
                    low: self.price(low)?,
                    close: self.price(close)?,
                    volume: self.qty(volume)?,
                };
                MarketData::Bar { interval_ms, bar }
            }
            RawData::BookOrder { action, side, price, qty, order_id, last } => {
                let (price, qty) = (self.price(price)?, self.qty(qty)?);
                MarketData::BookOrder { action, side, price, qty, order_id, last }
            }
            RawData::Mark { mark, index } => {
                MarketData::Mark { mark: self.rounded(mark), index: self.rounded(index) }
            }
            RawData::Funding { rate_e12 } => MarketData::Funding { rate_e12 },
            RawData::Gap => return Ok(None),
        };
        Ok(Some(MarketEvent { venue_at, received_at, instrument: self.instrument, data }))
    }

    fn price(&self, value: Dec) -> Result<Price, OffGrid> {
        self.tick.count(value).map(Price).ok_or(OffGrid { what: "price", value })
    }

    fn qty(&self, value: Dec) -> Result<Quantity, OffGrid> {
        self.lot.count(value).map(Quantity).ok_or(OffGrid { what: "quantity", value })
    }

    /// Rounds down to a tick: marks have more places than orders.
    fn rounded(&self, value: Dec) -> Price {
        self.tick.count(value).map_or_else(
            || {
                let mut coarse = value;
                while coarse.scale > 0 && self.tick.count(coarse).is_none() {
                    coarse.mantissa = coarse.mantissa.div_euclid(POW10[1]);
                    coarse.scale -= 1;
                }
                Price(self.tick.count(coarse).unwrap_or(0))
            },
            Price,
        )
    }
}
