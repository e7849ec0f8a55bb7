//! Functions that read an instrument and its market.

use tercel_core::{Level, Side};

use super::{BoundMarket, Host, HostResult};
use crate::error::HostError;
use crate::grid::Rounding;
use crate::{names, number};

/// Deepest level that functions look at.
const MAX_LEVELS: u32 = 10_000;

impl Host {
    /// `instrument(symbol)`: returns the handle of one of the strategy's instruments.
    pub(crate) fn instrument(&self, symbol: &str) -> HostResult<f64> {
        let symbols: Vec<&str> = if self.markets.is_empty() {
            let manifest = self.manifest();
            manifest.map(|m| m.instruments.iter().map(String::as_str).collect()).unwrap_or_default()
        } else {
            self.markets.iter().map(|market| market.symbol.as_str()).collect()
        };
        match symbols.iter().position(|known| *known == symbol) {
            Some(index) => Ok(handle(index)),
            // A script that takes what the data has is not bound to anything while it is checked.
            None if symbols.is_empty() => Ok(0.0),
            None => Err(HostError::wrong(names::unknown("instrument", symbol, symbols))),
        }
    }

    /// `instruments()`: returns how many instruments the strategy has.
    pub(crate) fn n_instruments(&self) -> HostResult<f64> {
        self.market("instruments", None, |_, _| handle(self.markets.len()))
    }

    /// `current()`: returns the handle of the event's instrument.
    pub(crate) fn current_instrument(&self) -> HostResult<f64> {
        self.market("current", None, |_, _| handle(self.current))
    }

    /// `symbol(instrument?)`: returns an instrument's symbol.
    pub(crate) fn symbol(&self, instrument: Option<f64>) -> HostResult<&str> {
        self.market("symbol", instrument, |_, _| ())?;
        self.bound(instrument).map(|market| market.symbol.as_str())
    }

    /// `tick(instrument?)`: returns the smallest step of a price.
    pub(crate) fn tick(&self, instrument: Option<f64>) -> HostResult<f64> {
        self.market("tick", instrument, |_, market| market.price.step())
    }

    /// `lot(instrument?)`: returns the smallest step of a quantity.
    pub(crate) fn lot(&self, instrument: Option<f64>) -> HostResult<f64> {
        self.market("lot", instrument, |_, market| market.qty.step())
    }

    /// `min_qty(instrument?)`: returns the smallest quantity of an order.
    pub(crate) fn min_qty(&self, instrument: Option<f64>) -> HostResult<f64> {
        self.market("min_qty", instrument, |_, market| {
            market.qty.value(market.instrument.min_quantity.0.max(1))
        })
    }

    /// `round_price(price, direction, instrument?)`: returns the price moved to a tick.
    pub(crate) fn round_price(
        &self,
        price: f64,
        direction: &str,
        instrument: Option<f64>,
    ) -> HostResult<f64> {
        let rounding = direction_of(direction)?;
        self.market("round_price", instrument, |_, market| market.price.round(price, rounding))?
            .ok_or_else(|| HostError::wrong(format!("round_price: {price} has no nearest tick")))
    }

    /// `round_qty(qty, direction, instrument?)`: returns the quantity moved to a lot.
    pub(crate) fn round_qty(
        &self,
        qty: f64,
        direction: &str,
        instrument: Option<f64>,
    ) -> HostResult<f64> {
        let rounding = direction_of(direction)?;
        self.market("round_qty", instrument, |_, market| market.qty.round(qty, rounding))?
            .ok_or_else(|| HostError::wrong(format!("round_qty: {qty} has no nearest lot")))
    }

    /// `is_live(instrument?)`: returns whether the market can be traded on.
    pub(crate) fn is_live(&self, instrument: Option<f64>) -> HostResult<bool> {
        self.market("is_live", instrument, |view, market| view.is_live(market.id))
    }

    /// `bid(instrument?)`, `ask(instrument?)`: returns the best price of a side.
    pub(crate) fn best_price(
        &self,
        side: Side,
        instrument: Option<f64>,
    ) -> HostResult<Option<f64>> {
        self.market(best_name(side), instrument, |view, market| {
            view.best(market.id, side).map(|level| market.price.value(level.price.0))
        })
    }

    /// `bid_qty(instrument?)`, `ask_qty(instrument?)`: returns the quantity there, 0 for none.
    pub(crate) fn best_qty(&self, side: Side, instrument: Option<f64>) -> HostResult<f64> {
        self.market(best_name(side), instrument, |view, market| {
            market.qty.value(view.best(market.id, side).map_or(0, |level| level.qty.0))
        })
    }

    /// `mid(instrument?)`: returns the middle of best bid and ask.
    pub(crate) fn mid(&self, instrument: Option<f64>) -> HostResult<Option<f64>> {
        self.touch("mid", instrument, |market, bid, ask| {
            (market.price.value(bid.price.0) + market.price.value(ask.price.0)) / 2.0
        })
    }

    /// `spread(instrument?)`: returns best ask less best bid.
    pub(crate) fn spread(&self, instrument: Option<f64>) -> HostResult<Option<f64>> {
        self.touch("spread", instrument, |market, bid, ask| {
            market.price.value(ask.price.0 - bid.price.0)
        })
    }

    /// `microprice(instrument?)`: returns best bid and ask weighted by the opposite quantities.
    pub(crate) fn microprice(&self, instrument: Option<f64>) -> HostResult<Option<f64>> {
        self.touch("microprice", instrument, |market, bid, ask| {
            let (bid_qty, ask_qty) = (number::float(bid.qty.0), number::float(ask.qty.0));
            let bid = market.price.value(bid.price.0);
            let ask = market.price.value(ask.price.0);
            (bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty)
        })
    }

    /// `imbalance(levels?, instrument?)`: returns (bids - asks) / (bids + asks) over the best
    /// levels; 0 for an empty book.
    pub(crate) fn imbalance(
        &self,
        levels: Option<f64>,
        instrument: Option<f64>,
    ) -> HostResult<f64> {
        let n = levels.map_or(Ok(1), |n| number::index(n, "levels", 1, MAX_LEVELS))?;
        self.market("imbalance", instrument, |view, market| {
            let (bids, asks) = if n == 1 {
                let qty = |side| view.best(market.id, side).map_or(0, |level| level.qty.0);
                (qty(Side::Buy), qty(Side::Sell))
            } else {
                let book = view.book(market.id);
                (sum(book.levels(Side::Buy), n), sum(book.levels(Side::Sell), n))
            };
            let (bids, asks) = (number::float(bids), number::float(asks));
            let total = bids + asks;
            if total > 0.0 { (bids - asks) / total } else { 0.0 }
        })
    }

    /// `level_price(side, n, instrument?)`: returns the price of the nth best level, from 1.
    pub(crate) fn level_price(
        &self,
        side: f64,
        n: f64,
        instrument: Option<f64>,
    ) -> HostResult<Option<f64>> {
        self.level("level_price", side, n, instrument, |market, level| {
            market.price.value(level.price.0)
        })
    }

    /// `level_qty(side, n, instrument?)`: returns the quantity of the nth best level, from 1.
    pub(crate) fn level_qty(
        &self,
        side: f64,
        n: f64,
        instrument: Option<f64>,
    ) -> HostResult<Option<f64>> {
        self.level("level_qty", side, n, instrument, |market, level| market.qty.value(level.qty.0))
    }

    /// `depth_qty(side, levels, instrument?)`: returns the quantity of the best levels together.
    pub(crate) fn depth_qty(
        &self,
        side: f64,
        levels: f64,
        instrument: Option<f64>,
    ) -> HostResult<f64> {
        let side = side_of(side)?;
        let n = number::index(levels, "levels", 1, MAX_LEVELS)?;
        self.market("depth_qty", instrument, |view, market| {
            market.qty.value(sum(view.book(market.id).levels(side), n))
        })
    }

    /// `last_price(instrument?)`: returns the price of the last trade.
    pub(crate) fn last_price(&self, instrument: Option<f64>) -> HostResult<Option<f64>> {
        self.market("last_price", instrument, |view, market| {
            view.last_trade(market.id).map(|trade| market.price.value(trade.price.0))
        })
    }

    /// `mark_price(instrument?)`: returns the mark price; of bars, the last close.
    pub(crate) fn mark_price(&self, instrument: Option<f64>) -> HostResult<Option<f64>> {
        self.market("mark_price", instrument, |view, market| {
            view.mark(market.id).map(|price| market.price.value(price.0))
        })
    }

    fn touch(
        &self,
        function: &str,
        instrument: Option<f64>,
        compute: impl FnOnce(&BoundMarket, Level, Level) -> f64,
    ) -> HostResult<Option<f64>> {
        self.market(function, instrument, |view, market| {
            let bid = view.best(market.id, Side::Buy)?;
            let ask = view.best(market.id, Side::Sell)?;
            Some(compute(market, bid, ask))
        })
    }

    fn level(
        &self,
        function: &str,
        side: f64,
        n: f64,
        instrument: Option<f64>,
        read: impl FnOnce(&BoundMarket, Level) -> f64,
    ) -> HostResult<Option<f64>> {
        let side = side_of(side)?;
        let n = number::index(n, "n", 1, MAX_LEVELS)?;
        self.market(function, instrument, |view, market| {
            let level = view.book(market.id).levels(side).nth(n - 1)?;
            Some(read(market, level))
        })
    }
}

/// Returns the side that a number means.
pub(crate) fn side_of(side: f64) -> HostResult<Side> {
    match number::whole(side) {
        Some(1) => Ok(Side::Buy),
        Some(-1) => Ok(Side::Sell),
        _ => Err(HostError::wrong(format!("side must be BUY (1) or SELL (-1), got {side}"))),
    }
}

/// Returns a side as scripts see it.
pub(crate) const fn side_number(side: Side) -> f64 {
    number::float(side.sign())
}

fn direction_of(direction: &str) -> HostResult<Rounding> {
    match direction {
        "down" => Ok(Rounding::Down),
        "up" => Ok(Rounding::Up),
        "near" => Ok(Rounding::Near),
        other => Err(HostError::wrong(names::unknown("direction", other, ["down", "up", "near"]))),
    }
}

const fn best_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "bid",
        Side::Sell => "ask",
    }
}

fn handle(index: usize) -> f64 {
    // A strategy has at most 65,535 instruments.
    number::float(i64::try_from(index).unwrap_or(i64::MAX))
}

fn sum(levels: impl Iterator<Item = Level>, n: usize) -> i64 {
    levels.take(n).fold(0i64, |sum, level| sum.saturating_add(level.qty.0))
}
