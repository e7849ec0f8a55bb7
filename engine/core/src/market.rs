//! Market data as the engine takes it: one fixed-size item at a time.
//!
//! Lists (a book's levels) travel as items with a `last` flag, so rings and tapes never allocate.

use crate::ids::InstrumentId;
use crate::num::{Nanos, Price, Quantity, Side};

/// One item of market data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarketEvent {
    /// When the venue says that it happened; equal to `received_at` where the venue does not say.
    pub venue_at: Nanos,
    /// When it reached us.
    pub received_at: Nanos,
    /// What it is about.
    pub instrument: InstrumentId,
    /// What happened.
    pub data: MarketData,
}

/// What a market event says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarketData {
    /// Empties the book: a snapshot's levels follow. The book is usable again after the item that
    /// is flagged `last`, with `seq` as its sequence number.
    Clear {
        /// Sequence number of the snapshot; zero where the venue has none.
        seq: u64,
    },
    /// Opens a list of level changes that take the book from `prev` to `seq`.
    ///
    /// A venue's own rule for its sequence numbers is applied where the message is decoded; here
    /// only continuity is left: `prev` must not lie after the book's sequence.
    Batch {
        /// Sequence number that the book must have reached; zero skips the check.
        prev: u64,
        /// Sequence number that the book has after the list.
        seq: u64,
    },
    /// Sets the quantity that rests at a price.
    Level {
        /// Which side of the book.
        side: Side,
        /// The level's price.
        price: Price,
        /// Its new total quantity; zero removes it.
        qty: Quantity,
        /// Whether the list ends here, which is when strategies look at the book.
        last: bool,
    },
    /// A trade was printed.
    Trade {
        /// Side of the taker; `None` where the venue does not say.
        aggressor: Option<Side>,
        /// Its price.
        price: Price,
        /// Its quantity.
        qty: Quantity,
        /// The venue's number of the trade; zero where it has none.
        id: u64,
    },
    /// Best bid and ask, from a feed that is faster than the book's.
    Quote {
        /// Best bid.
        bid_px: Price,
        /// Quantity at the best bid.
        bid_qty: Quantity,
        /// Best ask.
        ask_px: Price,
        /// Quantity at the best ask.
        ask_qty: Quantity,
        /// Sequence number comparable with the book's; zero where there is none.
        seq: u64,
    },
    /// A bar has closed, at `venue_at`.
    Bar {
        /// Its length in milliseconds.
        interval_ms: u32,
        /// The bar.
        bar: Bar,
    },
    /// One order of a market-by-order feed changed.
    BookOrder {
        /// What was done to it.
        action: BookOrderAction,
        /// Its side.
        side: Side,
        /// Its price (after the change).
        price: Price,
        /// Its remaining quantity after the change; for `Execute`, what was executed.
        qty: Quantity,
        /// The venue's number of the order.
        order_id: u64,
        /// Whether the venue's message ends here.
        last: bool,
    },
    /// Mark and index price of a perpetual.
    Mark {
        /// The price that positions are valued at.
        mark: Price,
        /// The index that the mark follows; zero where unknown.
        index: Price,
    },
    /// A funding payment is due now on open positions.
    Funding {
        /// Fraction of notional paid by longs to shorts, in units of 1e-12.
        rate_e12: i64,
    },
}

/// What happened to one order in a market-by-order feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BookOrderAction {
    /// It was added behind everything at its price.
    Add,
    /// Its price or quantity changed; it keeps its place only if the quantity shrank at one price.
    Modify,
    /// It left without trading.
    Cancel,
    /// Part or all of it traded.
    Execute,
}

/// Open, high, low, close and volume over an interval.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Bar {
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Quantity traded.
    pub volume: Quantity,
}

impl Bar {
    /// Returns whether high and low bound open and close and nothing is negative in volume.
    #[must_use]
    pub const fn is_consistent(&self) -> bool {
        self.high.0 >= self.open.0
            && self.high.0 >= self.close.0
            && self.low.0 <= self.open.0
            && self.low.0 <= self.close.0
            && self.volume.0 >= 0
    }
}

// One cache line and a bit. Growing it costs tape memory and bandwidth on every event.
const _: () = assert!(size_of::<MarketEvent>() <= 72);
