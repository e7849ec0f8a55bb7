//! Market messages of Binance, from bytes to ticks.
//!
//! What comes by the thousand is first read in the order that it has always had, see [`straight`].
//! For the rest one pass over the text notes where each one-letter field stands and reads levels
//! as it meets them; then the few fields that the kind of message needs are read where they stand.
//! Keys may come in any order, unknown ones are passed over. What this pass cannot read is
//! rewritten into plain shape once and read again. All three ways give the same.

mod any_order;
mod fields;
mod kinds;
mod line;
mod straight;

use tercel_core::{Bar, Price, Quantity, Side};

pub(crate) use kinds::INTERVALS;

use crate::book_sync::Change;
use crate::grid::Grid;
use crate::normal::Normaliser;
use crate::protocol::DecodeError;
use crate::symbols::SymbolTable;

/// What a message says. Levels are beside it, in [`Reader::bids`] and [`Reader::asks`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    /// Changes of a book.
    Depth { slot: usize, first: u64, last: u64, prev: u64, at_ms: i64 },
    /// The best levels of a book, whole; or a snapshot of it, whose symbol is not told.
    Book { slot: Option<usize>, last: u64, at_ms: Option<i64> },
    /// A trade.
    Trade { slot: usize, id: u64, price: Price, qty: Quantity, aggressor: Side, at_ms: i64 },
    /// Best bid and ask.
    Quote { slot: usize, bid: Change, ask: Change, last: u64, at_ms: Option<i64> },
    /// Mark price, index and the funding that is due next.
    Mark { slot: usize, mark: Price, index: Price, rate_e12: i64, funding_ms: i64, at_ms: i64 },
    /// A bar that has closed.
    Bar { slot: usize, interval_ms: u32, bar: Bar, close_ms: i64 },
    /// A bar that has not.
    OpenBar,
    /// A request was carried out.
    Done { id: u64 },
    /// A request was refused.
    Refused { id: Option<u64>, code: i64 },
    /// The server goes down soon.
    Shutdown,
}

/// The grids of an instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grids {
    pub(crate) price: Grid,
    pub(crate) qty: Grid,
    /// Whether messages of its book are whole books rather than changes.
    pub(crate) whole: bool,
}

/// Reads messages of the instruments that it knows.
#[derive(Debug)]
pub(crate) struct Reader {
    shapes: Shapes,
    normaliser: Normaliser,
}

#[derive(Debug)]
struct Shapes {
    symbols: SymbolTable,
    grids: Vec<Grids>,
    bids: Vec<Change>,
    asks: Vec<Change>,
    off: OffGrid,
}

/// Levels of a message that were left out because they are not on the grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OffGrid {
    /// How many.
    pub(crate) n_levels: usize,
    /// Of them with a quantity: what rests there may be new, so the grid may be wrong.
    pub(crate) n_resting: usize,
}

impl OffGrid {
    #[cold]
    fn count(&mut self, qty: i64) {
        self.n_levels += 1;
        self.n_resting += usize::from(qty > 0);
    }
}

impl Reader {
    /// Returns the reader of these instruments; their places are the slots of messages.
    pub(crate) fn new<'a>(instruments: impl Iterator<Item = (&'a str, Grids)> + Clone) -> Self {
        Self {
            shapes: Shapes {
                symbols: SymbolTable::new(instruments.clone().map(|(symbol, _)| symbol)),
                grids: instruments.map(|(_, grids)| grids).collect(),
                bids: Vec::new(),
                asks: Vec::new(),
                off: OffGrid::default(),
            },
            normaliser: Normaliser::new(),
        }
    }

    /// Reads a message.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Message, DecodeError> {
        match self.shapes.straight(bytes) {
            Some(message) => Ok(message),
            None => self.read_any(bytes),
        }
    }

    /// Reads a message whose fields may stand in any order.
    #[inline(never)]
    fn read_any(&mut self, bytes: &[u8]) -> Result<Message, DecodeError> {
        match self.shapes.read(bytes, None) {
            Ok(message) => Ok(message),
            Err(_) => self.read_slowly(bytes, None),
        }
    }

    /// Reads a snapshot of a book, whose symbol it does not tell.
    pub(crate) fn read_snapshot(
        &mut self,
        slot: usize,
        bytes: &[u8],
    ) -> Result<Message, DecodeError> {
        match self.shapes.read(bytes, Some(slot)) {
            Ok(message) => Ok(message),
            Err(_) => self.read_slowly(bytes, Some(slot)),
        }
    }

    #[inline(never)]
    fn read_slowly(&mut self, bytes: &[u8], slot: Option<usize>) -> Result<Message, DecodeError> {
        let plain = self.normaliser.plain(bytes);
        let plain = plain.ok_or(DecodeError::Syntax { at: 0, what: "JSON" })?;
        self.shapes.read(plain, slot)
    }

    /// Returns the bids of the last message that had levels.
    pub(crate) fn bids(&self) -> &[Change] {
        &self.shapes.bids
    }

    /// Returns the asks of the last message that had levels.
    pub(crate) fn asks(&self) -> &[Change] {
        &self.shapes.asks
    }

    /// Returns what was left out of the last message.
    pub(crate) fn off_grid(&self) -> OffGrid {
        self.shapes.off
    }
}

#[cfg(test)]
mod tests;
