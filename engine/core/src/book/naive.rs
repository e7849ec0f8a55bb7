//! The order book as anyone would write it first: two ordered maps. Slow, obvious, and the oracle
//! that the fast book is tested against.

use std::collections::BTreeMap;

use crate::book::{BookState, Level, Walk};
use crate::digest::Digest;
use crate::effect::StaleCause;
use crate::num::{Price, Quantity, Side};

/// A book of price levels in two ordered maps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NaiveBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    seq: u64,
    state: BookState,
}

impl Default for NaiveBook {
    fn default() -> Self {
        Self::new()
    }
}

impl NaiveBook {
    /// Returns an empty book.
    #[must_use]
    pub const fn new() -> Self {
        Self { bids: BTreeMap::new(), asks: BTreeMap::new(), seq: 0, state: BookState::Empty }
    }

    /// Removes all levels and opens a snapshot's list with sequence `seq`.
    pub fn clear(&mut self, seq: u64) {
        self.bids.clear();
        self.asks.clear();
        self.seq = seq;
        self.state = BookState::Open;
    }

    /// Opens a list of changes that takes the book from `prev` to `seq`.
    ///
    /// `prev` of zero skips the check. A `prev` after the book's own sequence is a gap, and a
    /// stale book stays stale until [`Self::clear`].
    ///
    /// # Errors
    ///
    /// The cause, if this list made the book stale.
    pub fn begin(&mut self, prev: u64, seq: u64) -> Result<(), StaleCause> {
        if let BookState::Stale(_) = self.state {
            return Ok(());
        }
        if prev > self.seq && self.state != BookState::Empty {
            let cause = StaleCause::Gap { have: self.seq, needed: prev };
            self.state = BookState::Stale(cause);
            return Err(cause);
        }
        self.seq = self.seq.max(seq);
        self.state = BookState::Open;
        Ok(())
    }

    /// Sets the quantity at a price; zero removes the level. Levels of a stale book are kept up to
    /// date all the same, so that it can be looked at.
    pub fn set(&mut self, side: Side, price: Price, qty: Quantity) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if qty.0 > 0 {
            levels.insert(price.0, qty.0);
        } else {
            levels.remove(&price.0);
        }
    }

    /// Closes the open list: the book is live if its sides do not cross.
    ///
    /// # Errors
    ///
    /// The cause, if the list made the book stale.
    pub fn end(&mut self) -> Result<(), StaleCause> {
        if let BookState::Stale(_) = self.state {
            return Ok(());
        }
        let crossed = match (self.best(Side::Buy), self.best(Side::Sell)) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        };
        if crossed {
            self.state = BookState::Stale(StaleCause::Crossed);
            return Err(StaleCause::Crossed);
        }
        self.state = BookState::Live;
        Ok(())
    }

    /// Marks the book stale until the next snapshot.
    pub fn invalidate(&mut self, cause: StaleCause) {
        self.state = BookState::Stale(cause);
    }

    /// Returns whether and why the book can be trusted.
    #[must_use]
    pub const fn state(&self) -> BookState {
        self.state
    }

    /// Returns the sequence number that the book has reached.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the best level of a side. O(1).
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).next()
    }

    /// Returns the quantity at a price, zero for none.
    #[must_use]
    pub fn qty_at(&self, side: Side, price: Price) -> Quantity {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        Quantity(levels.get(&price.0).copied().unwrap_or(0))
    }

    /// Returns the levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let (bids, asks) = match side {
            Side::Buy => (Some(self.bids.iter().rev()), None),
            Side::Sell => (None, Some(self.asks.iter())),
        };
        bids.into_iter()
            .flatten()
            .chain(asks.into_iter().flatten())
            .map(|(price, qty)| Level { price: Price(*price), qty: Quantity(*qty) })
    }

    /// Returns how many levels a side has.
    #[must_use]
    pub fn n_levels(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.bids.len(),
            Side::Sell => self.asks.len(),
        }
    }

    /// Returns the total quantity of the best `n` levels of a side.
    #[must_use]
    pub fn depth_qty(&self, side: Side, n: usize) -> Quantity {
        Quantity(self.levels(side).take(n).map(|level| level.qty.0).sum())
    }

    /// Returns what taking `qty` with an order of `side` would touch, no further than `limit`;
    /// `None` if that is nothing. O(levels touched).
    #[must_use]
    pub fn walk(&self, side: Side, qty: Quantity, limit: Option<Price>) -> Option<Walk> {
        let mut walk = Walk { qty: Quantity(0), worst: Price(0), tick_lots: 0 };
        for level in self.levels(side.opposite()) {
            if walk.qty >= qty || limit.is_some_and(|limit| !side.crosses(limit, level.price)) {
                break;
            }
            let taken = level.qty.0.min(qty.0 - walk.qty.0);
            walk.qty.0 += taken;
            walk.worst = level.price;
            walk.tick_lots += i128::from(level.price.0) * i128::from(taken);
        }
        (walk.qty.0 > 0).then_some(walk)
    }

    /// Mixes the levels, the sequence and the state into `digest`.
    pub fn digest(&self, digest: &mut Digest) {
        digest.u64(self.seq);
        digest.u64(match self.state {
            BookState::Empty => 0,
            BookState::Open => 1,
            BookState::Live => 2,
            BookState::Stale(_) => 3,
        });
        for side in [Side::Buy, Side::Sell] {
            digest.u64(self.n_levels(side) as u64);
            for level in self.levels(side) {
                digest.i64(level.price.0);
                digest.i64(level.qty.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> NaiveBook {
        let mut book = NaiveBook::new();
        book.clear(10);
        book.set(Side::Buy, Price(99), Quantity(5));
        book.set(Side::Buy, Price(98), Quantity(7));
        book.set(Side::Sell, Price(101), Quantity(3));
        book.set(Side::Sell, Price(103), Quantity(4));
        book.end().unwrap();
        book
    }

    #[test]
    fn a_gap_makes_the_book_stale_until_a_snapshot() {
        let mut book = book();
        assert_eq!(book.begin(12, 15), Err(StaleCause::Gap { have: 10, needed: 12 }));
        assert_eq!(book.begin(15, 16), Ok(()));
        assert!(matches!(book.state(), BookState::Stale(_)));
        book.clear(20);
        book.end().unwrap();
        assert_eq!(book.state(), BookState::Live);
    }

    #[test]
    fn crossing_sides_make_the_book_stale() {
        let mut book = book();
        book.begin(10, 11).unwrap();
        book.set(Side::Buy, Price(101), Quantity(1));
        assert_eq!(book.end(), Err(StaleCause::Crossed));
    }

    #[test]
    fn walking_stops_at_the_limit_and_at_the_quantity() {
        let book = book();
        let walk = book.walk(Side::Buy, Quantity(5), None).unwrap();
        assert_eq!((walk.qty, walk.worst), (Quantity(5), Price(103)));
        assert_eq!(walk.average(Side::Buy), Price(102));
        let walk = book.walk(Side::Buy, Quantity(5), Some(Price(101))).unwrap();
        assert_eq!(walk.qty, Quantity(3));
        assert_eq!(book.walk(Side::Buy, Quantity(5), Some(Price(100))), None);
        assert_eq!(book.walk(Side::Sell, Quantity(50), None).unwrap().qty, Quantity(12));
    }
}
