//! One symbol's orders at rest, each by itself, in the order in which they trade: price, then time.
//!
//! The book knows quantities and places in the queue, not money and not what an order is for.

use std::collections::{BTreeMap, VecDeque};

use tercel_core::Side;

use crate::fixed::Fixed;
use crate::ids::{AccountId, OrderId};

/// An order's place in the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resting {
    /// Whose place it is.
    pub id: OrderId,
    /// Who owns it.
    pub account: AccountId,
    /// What everybody sees and what can trade at this place in the queue.
    pub visible: Fixed,
    /// What follows behind everybody else at the price once the visible part has traded.
    pub hidden: Fixed,
    /// How much of the hidden part becomes visible at a time.
    pub slice: Fixed,
}

impl Resting {
    /// Returns what rests in all.
    #[must_use]
    pub fn total(&self) -> Fixed {
        self.visible + self.hidden
    }
}

/// All orders at one price.
#[derive(Clone, Debug, Default)]
struct Level {
    queue: VecDeque<Resting>,
    visible: Fixed,
}

/// An order book by price and time.
///
/// Finding a price is O(log levels), an order within its price O(orders there).
#[derive(Clone, Debug, Default)]
pub struct Book {
    bids: BTreeMap<Fixed, Level>,
    asks: BTreeMap<Fixed, Level>,
    update_id: u64,
    changes: Vec<(Side, Fixed)>,
}

impl Book {
    /// Returns the number of the latest visible change.
    #[must_use]
    pub const fn update_id(&self) -> u64 {
        self.update_id
    }

    /// Counts a change that nobody can see, so that numbers differ where contents do not.
    pub(crate) const fn skip_update_ids(&mut self, n: u64) {
        self.update_id += n;
    }

    /// Moves the levels that changed since the last call to `into`, in the order of changes.
    pub(crate) fn drain_changes(&mut self, into: &mut Vec<(Side, Fixed)>) {
        into.append(&mut self.changes);
    }

    /// Returns the best price of a side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Fixed> {
        match side {
            Side::Buy => self.bids.last_key_value().map(|(price, _)| *price),
            Side::Sell => self.asks.first_key_value().map(|(price, _)| *price),
        }
    }

    /// Returns the visible quantity at a price.
    #[must_use]
    pub fn level(&self, side: Side, price: Fixed) -> Fixed {
        self.side(side).get(&price).map_or(Fixed::ZERO, |level| level.visible)
    }

    /// Returns the best `n` levels of a side with their visible quantities, best first.
    #[must_use]
    pub fn depth(&self, side: Side, n: usize) -> Vec<(Fixed, Fixed)> {
        self.levels(side).map(|(price, level)| (price, level.visible)).take(n).collect()
    }

    /// Returns the orders of a side in the order in which they would trade.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = (Fixed, Resting)> + '_ {
        self.levels(side)
            .flat_map(|(price, level)| level.queue.iter().map(move |resting| (price, *resting)))
    }

    /// Returns the orders at one price, the first in the queue first.
    pub fn orders_at(&self, side: Side, price: Fixed) -> impl Iterator<Item = &Resting> + '_ {
        self.side(side).get(&price).into_iter().flat_map(|level| level.queue.iter())
    }

    /// Returns the order that would trade first, and its price.
    #[must_use]
    pub fn first(&self, side: Side) -> Option<(Fixed, Resting)> {
        let (price, level) = match side {
            Side::Buy => self.bids.last_key_value()?,
            Side::Sell => self.asks.first_key_value()?,
        };
        level.queue.front().map(|resting| (*price, *resting))
    }

    /// Puts an order behind all others at its price.
    pub fn insert(&mut self, side: Side, price: Fixed, resting: Resting) {
        debug_assert!(resting.visible.is_positive(), "an empty order does not rest");
        let level = self.side_mut(side).entry(price).or_default();
        level.visible += resting.visible;
        level.queue.push_back(resting);
        self.changed(side, price);
    }

    /// Takes an order out; `None` if it does not rest there.
    pub fn remove(&mut self, side: Side, price: Fixed, id: OrderId) -> Option<Resting> {
        let level = self.side_mut(side).get_mut(&price)?;
        let idx = level.queue.iter().position(|resting| resting.id == id)?;
        let resting = level.queue.remove(idx)?;
        level.visible -= resting.visible;
        self.drop_if_empty(side, price);
        self.changed(side, price);
        Some(resting)
    }

    /// Makes an order smaller, keeping its place: what is hidden goes first. An order that would
    /// have nothing left is taken out. Returns whether the order rests there.
    pub fn reduce(&mut self, side: Side, price: Fixed, id: OrderId, by: Fixed) -> bool {
        let Some(level) = self.side_mut(side).get_mut(&price) else { return false };
        let Some(resting) = level.queue.iter_mut().find(|resting| resting.id == id) else {
            return false;
        };
        if resting.total() <= by {
            self.remove(side, price, id);
            return true;
        }
        let from_hidden = resting.hidden.min(by);
        resting.hidden -= from_hidden;
        resting.visible -= by - from_hidden;
        level.visible -= by - from_hidden;
        self.changed(side, price);
        true
    }

    /// Trades up to `qty` against the first order of a side; returns how much. Its next slice, if
    /// it has one, goes to the end of the queue.
    ///
    /// Returns zero if the side is empty.
    pub fn take_first(&mut self, side: Side, qty: Fixed) -> Fixed {
        let Some(price) = self.best(side) else { return Fixed::ZERO };
        let Some(level) = self.side_mut(side).get_mut(&price) else { return Fixed::ZERO };
        let Some(first) = level.queue.front_mut() else { return Fixed::ZERO };
        let taken = first.visible.min(qty);
        first.visible -= taken;
        level.visible -= taken;
        if first.visible.is_zero()
            && let Some(mut done) = level.queue.pop_front()
            && done.hidden.is_positive()
        {
            done.visible = done.slice.min(done.hidden);
            done.hidden -= done.visible;
            level.visible += done.visible;
            level.queue.push_back(done);
        }
        self.drop_if_empty(side, price);
        self.changed(side, price);
        taken
    }

    fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (Fixed, &Level)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(|(price, level)| (*price, level))),
            Side::Sell => Box::new(self.asks.iter().map(|(price, level)| (*price, level))),
        }
    }

    fn changed(&mut self, side: Side, price: Fixed) {
        self.update_id += 1;
        self.changes.push((side, price));
    }

    fn drop_if_empty(&mut self, side: Side, price: Fixed) {
        let levels = self.side_mut(side);
        if levels.get(&price).is_some_and(|level| level.queue.is_empty()) {
            levels.remove(&price);
        }
    }

    const fn side(&self, side: Side) -> &BTreeMap<Fixed, Level> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Fixed, Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}
