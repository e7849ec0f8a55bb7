//! The levels that the engine trades on: one ladder a side.

use std::fmt;

use crate::book::ladder::{Ladder, Rung};
use crate::book::{Level, PriceLevels};
use crate::num::{Price, Quantity, Side};

/// The levels of a book, indexed by tick around the touch.
///
/// An update near the touch is a store and a few bit operations, the best level two bit scans.
/// A side allocates nothing before its first level, then 32 KB. Levels further than about 3,000 ticks
/// from the touch cost at most 64 bytes each; their memory grows by doubling and is kept, so a book
/// allocates only when it has more of them than ever before.
#[derive(Clone, Default)]
pub struct TickLevels {
    ladders: [Ladder; 2],
}

impl PriceLevels for TickLevels {
    fn clear(&mut self) {
        self.ladders.iter_mut().for_each(Ladder::clear);
    }

    #[inline]
    fn set(&mut self, side: Side, price: Price, qty: Quantity) {
        self.ladders[side as usize].set(key(side, price.0), qty.0);
    }

    #[inline]
    fn best(&self, side: Side) -> Option<Level> {
        self.ladders[side as usize].best().map(|rung| level(side, rung))
    }

    #[inline]
    fn qty_at(&self, side: Side, price: Price) -> Quantity {
        Quantity(self.ladders[side as usize].qty_at(key(side, price.0)))
    }

    fn n_levels(&self, side: Side) -> usize {
        self.ladders[side as usize].len()
    }

    fn iter(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.ladders[side as usize].iter().map(move |rung| level(side, rung))
    }
}

impl fmt::Debug for TickLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut levels = f.debug_struct("TickLevels");
        for (name, side) in [("bids", Side::Buy), ("asks", Side::Sell)] {
            levels.field(name, &fmt::from_fn(|f| f.debug_list().entries(self.iter(side)).finish()));
        }
        levels.finish()
    }
}

/// Maps a price to a key that is smaller the better the price is, and back. The complement, unlike
/// the negative, exists for every price.
const fn key(side: Side, price: i64) -> i64 {
    match side {
        Side::Buy => !price,
        Side::Sell => price,
    }
}

const fn level(side: Side, rung: Rung) -> Level {
    Level { price: Price(key(side, rung.key)), qty: Quantity(rung.qty) }
}

#[cfg(test)]
impl TickLevels {
    /// Checks what the types do not say.
    pub(super) fn assert_sound(&self) {
        self.ladders.iter().for_each(Ladder::assert_sound);
    }
}
