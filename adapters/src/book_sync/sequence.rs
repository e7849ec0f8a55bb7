//! How a venue numbers what it says of a book.

use tercel_core::{Nanos, Price, Quantity};

/// How a venue numbers its increments.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SequenceRule {
    /// Each begins one after the end of the one before (Binance spot).
    Contiguous,
    /// Each names the end of the one before (Binance futures); numbers in between are other
    /// instruments'.
    Linked,
}

/// One side's level: its price and its new quantity, zero to remove it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The price.
    pub price: Price,
    /// The quantity there from now on.
    pub qty: Quantity,
}

/// An increment's place in the sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Increment {
    /// First update in it.
    pub first: u64,
    /// Last update in it.
    pub last: u64,
    /// Last update of the increment before; not looked at by [`SequenceRule::Contiguous`].
    pub prev: u64,
    /// When the venue says that it was so.
    pub venue_at: Nanos,
    /// When it reached us.
    pub received_at: Nanos,
}

/// A snapshot's place in the sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotAt {
    /// Last update in it.
    pub last: u64,
    /// When the venue says that it was so.
    pub venue_at: Nanos,
    /// When it reached us.
    pub received_at: Nanos,
}

/// What a message did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub enum Step {
    /// It was used, held or rightly ignored.
    Done,
    /// A snapshot has to be fetched now: nothing is known yet, something was lost, or the one that
    /// came is older than what is held.
    NeedSnapshot,
}
