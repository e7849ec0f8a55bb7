//! A book over any store of levels: sequence numbers, trust and what can be asked of two sides.

use crate::book::{BookState, Level, PriceLevels, Walk};
use crate::digest::Digest;
use crate::effect::StaleCause;
use crate::image::{BookImage, ImageError, ensure};
use crate::num::{Price, Quantity, Side};

/// An order book by price level.
///
/// Where its levels are kept is `L`'s concern: [`crate::OrderBook`] is the one to trade on,
/// [`crate::NaiveBook`] the obvious one that it is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Book<L> {
    levels: L,
    seq: u64,
    state: BookState,
}

impl<L: PriceLevels> Default for Book<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: PriceLevels> Book<L> {
    /// Returns the book as plain data.
    pub(crate) fn image(&self) -> BookImage {
        BookImage {
            seq: self.seq,
            state: self.state,
            bids: self.levels(Side::Buy).collect(),
            asks: self.levels(Side::Sell).collect(),
        }
    }

    /// Returns the book that an image is of: that of market `index`.
    pub(crate) fn from_image(image: BookImage, index: usize) -> Result<Self, ImageError> {
        let BookImage { seq, state, bids, asks } = image;
        let ensure = |holds, what| ensure(holds, "book", index, what);
        let is_better = |a: &Level, b: &Level| a.price > b.price;
        ensure(bids.is_sorted_by(is_better), "bids that are not best first")?;
        ensure(asks.is_sorted_by(|a, b| is_better(b, a)), "asks that are not best first")?;
        let is_positive = |level: &Level| level.qty.0 > 0;
        ensure(bids.iter().chain(&asks).all(is_positive), "a level without quantity")?;
        let mut book = Self { levels: L::default(), seq, state };
        bids.iter().for_each(|level| book.set(Side::Buy, level.price, level.qty));
        asks.iter().for_each(|level| book.set(Side::Sell, level.price, level.qty));
        Ok(book)
    }

    /// Returns an empty book. Does not allocate.
    #[must_use]
    pub fn new() -> Self {
        Self { levels: L::default(), seq: 0, state: BookState::Empty }
    }

    /// Removes all levels and opens a snapshot's list with sequence `seq`.
    pub fn clear(&mut self, seq: u64) {
        self.levels.clear();
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
    #[inline]
    pub fn set(&mut self, side: Side, price: Price, qty: Quantity) {
        self.levels.set(side, price, qty);
    }

    /// Closes the open list: the book is live if its sides do not cross. O(1).
    ///
    /// # Errors
    ///
    /// The cause, if the list made the book stale.
    #[inline]
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
    pub const fn invalidate(&mut self, cause: StaleCause) {
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
    #[inline]
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels.best(side)
    }

    /// Returns the quantity at a price, zero for none.
    #[inline]
    #[must_use]
    pub fn qty_at(&self, side: Side, price: Price) -> Quantity {
        self.levels.qty_at(side, price)
    }

    /// Returns the levels of a side, best first. Does not allocate.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.levels.iter(side)
    }

    /// Returns how many levels a side has. O(1).
    #[must_use]
    pub fn n_levels(&self, side: Side) -> usize {
        self.levels.n_levels(side)
    }

    /// Returns the total quantity of the best `n` levels of a side.
    #[must_use]
    pub fn depth_qty(&self, side: Side, n: usize) -> Quantity {
        let sum =
            self.levels(side).take(n).fold(0_i64, |sum, level| sum.saturating_add(level.qty.0));
        Quantity(sum)
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

    /// Mixes the levels, the sequence and the state into `digest`: equal contents give equal
    /// digests wherever the levels are kept.
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
impl<L> Book<L> {
    pub(super) const fn store(&self) -> &L {
        &self.levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{MapLevels, TickLevels};

    /// Returns bids 5 at 99 and 7 at 98, asks 3 at 101 and 4 at 103.
    fn book<L: PriceLevels>() -> Book<L> {
        let mut book = Book::new();
        book.clear(10);
        book.set(Side::Buy, Price(99), Quantity(5));
        book.set(Side::Buy, Price(98), Quantity(7));
        book.set(Side::Sell, Price(101), Quantity(3));
        book.set(Side::Sell, Price(103), Quantity(4));
        book.end().unwrap();
        book
    }

    /// A test that both books pass.
    macro_rules! of_both {
        ($name:ident, |$book:ident| $check:block) => {
            #[test]
            fn $name() {
                fn check<L: PriceLevels>(mut $book: Book<L>) $check
                check(book::<TickLevels>());
                check(book::<MapLevels>());
            }
        };
    }

    of_both!(a_gap_makes_the_book_stale_until_a_snapshot, |book| {
        assert_eq!(book.begin(12, 15), Err(StaleCause::Gap { have: 10, needed: 12 }));
        assert_eq!(book.begin(15, 16), Ok(()));
        assert!(matches!(book.state(), BookState::Stale(_)));
        book.clear(20);
        book.end().unwrap();
        assert_eq!(book.state(), BookState::Live);
        assert_eq!(book.n_levels(Side::Buy) + book.n_levels(Side::Sell), 0);
    });

    of_both!(crossing_sides_make_the_book_stale, |book| {
        book.begin(10, 11).unwrap();
        book.set(Side::Buy, Price(101), Quantity(1));
        assert_eq!(book.end(), Err(StaleCause::Crossed));
        assert_eq!(book.best(Side::Buy), Some(Level { price: Price(101), qty: Quantity(1) }));
    });

    of_both!(walking_stops_at_the_limit_and_at_the_quantity, |book| {
        book.begin(10, 11).unwrap();
        let walk = book.walk(Side::Buy, Quantity(5), None).unwrap();
        assert_eq!((walk.qty, walk.worst), (Quantity(5), Price(103)));
        assert_eq!(walk.average(Side::Buy), Price(102));
        let walk = book.walk(Side::Buy, Quantity(5), Some(Price(101))).unwrap();
        assert_eq!(walk.qty, Quantity(3));
        assert_eq!(book.walk(Side::Buy, Quantity(5), Some(Price(100))), None);
        assert_eq!(book.walk(Side::Sell, Quantity(50), None).unwrap().qty, Quantity(12));
    });
}
