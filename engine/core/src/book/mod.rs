//! Order books: price levels by side, with the sequence rule that keeps them honest.

mod far;
mod ladder;
mod naive;
mod order_book;
mod tick;
mod window;

#[cfg(test)]
mod tests;

pub use naive::MapLevels;
pub use order_book::Book;
pub use tick::TickLevels;

use crate::effect::StaleCause;
use crate::num::{Price, Quantity, Side};

/// The book that the engine trades on.
pub type OrderBook = Book<TickLevels>;

/// The book whose levels are in two ordered maps: what [`OrderBook`] is compared with.
pub type NaiveBook = Book<MapLevels>;

/// Keeps the levels of a book's two sides and knows nothing of sequences or trust.
pub trait PriceLevels: Default {
    /// Removes all levels.
    fn clear(&mut self);

    /// Sets the quantity at a price; zero or less removes the level.
    fn set(&mut self, side: Side, price: Price, qty: Quantity);

    /// Returns the best level of a side.
    fn best(&self, side: Side) -> Option<Level>;

    /// Returns the quantity at a price, zero for none.
    fn qty_at(&self, side: Side, price: Price) -> Quantity;

    /// Returns how many levels a side has.
    fn n_levels(&self, side: Side) -> usize;

    /// Returns the levels of a side, best first.
    fn iter(&self, side: Side) -> impl Iterator<Item = Level> + '_;
}

/// One price level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// The quantity that rests there; positive.
    pub qty: Quantity,
}

/// Whether a book can be traded on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BookState {
    /// Nothing has arrived yet.
    Empty,
    /// A snapshot's or batch's list is open: levels are incomplete until its last item.
    Open,
    /// Complete and current.
    Live,
    /// Not to be trusted until a snapshot.
    Stale(StaleCause),
}

/// What taking a quantity from one side of a book would cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    /// Quantity that the book offers, at most what was asked for.
    pub qty: Quantity,
    /// Price of the last level touched.
    pub worst: Price,
    /// Sum of ticks times lots over the levels.
    pub tick_lots: i128,
}

impl Walk {
    /// Returns the average price in ticks, rounded against the taker: up for a buy, down for a sell.
    #[must_use]
    pub fn average(&self, side: Side) -> Price {
        let qty = i128::from(self.qty.0.max(1));
        let floor = self.tick_lots.div_euclid(qty);
        let ticks = match side {
            Side::Buy if self.tick_lots.rem_euclid(qty) != 0 => floor + 1,
            Side::Buy | Side::Sell => floor,
        };
        // An average lies between two prices, so it fits where they fit.
        Price(i64::try_from(ticks).unwrap_or(i64::MAX))
    }
}

/// Price between bid and ask weighted by the opposite quantities, in millionths of a tick.
///
/// `(bid·ask_qty + ask·bid_qty) / (bid_qty + ask_qty)`, rounded down. The price leans towards the
/// side that is thinner.
#[must_use]
pub fn microprice_e6(bid: Level, ask: Level) -> i128 {
    let (bid_qty, ask_qty) = (i128::from(bid.qty.0), i128::from(ask.qty.0));
    let weighted = i128::from(bid.price.0) * ask_qty + i128::from(ask.price.0) * bid_qty;
    (weighted * 1_000_000).div_euclid((bid_qty + ask_qty).max(1))
}

/// Imbalance of two quantities in millionths: 1,000,000 is all bid, -1,000,000 all ask, 0 for none.
#[must_use]
pub fn imbalance_e6(bid_qty: Quantity, ask_qty: Quantity) -> i64 {
    let (bid, ask) = (i128::from(bid_qty.0), i128::from(ask_qty.0));
    if bid + ask == 0 {
        return 0;
    }
    i64::try_from((bid - ask) * 1_000_000 / (bid + ask)).unwrap_or(0)
}
