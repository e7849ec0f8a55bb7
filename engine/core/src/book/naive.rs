//! Levels as anyone would keep them first: two ordered maps. Slow, obvious, and the oracle that
//! [`crate::book::TickLevels`] is tested against.

use std::collections::BTreeMap;

use crate::book::{Level, PriceLevels};
use crate::num::{Price, Quantity, Side};

/// The levels of a book in two ordered maps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MapLevels {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl PriceLevels for MapLevels {
    fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    fn set(&mut self, side: Side, price: Price, qty: Quantity) {
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

    fn best(&self, side: Side) -> Option<Level> {
        self.iter(side).next()
    }

    fn qty_at(&self, side: Side, price: Price) -> Quantity {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        Quantity(levels.get(&price.0).copied().unwrap_or(0))
    }

    fn n_levels(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.bids.len(),
            Side::Sell => self.asks.len(),
        }
    }

    fn iter(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let (bids, asks) = match side {
            Side::Buy => (Some(self.bids.iter().rev()), None),
            Side::Sell => (None, Some(self.asks.iter())),
        };
        bids.into_iter()
            .flatten()
            .chain(asks.into_iter().flatten())
            .map(|(price, qty)| Level { price: Price(*price), qty: Quantity(*qty) })
    }
}
