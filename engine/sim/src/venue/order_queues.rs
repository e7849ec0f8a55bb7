//! The orders of a market-by-order feed, in queue order at each price.

use std::collections::BTreeMap;

use tercel_core::{BookOrderAction, Price, Quantity, Side};

/// Every order that the feed shows, by side and price.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrderQueues {
    bids: BTreeMap<Price, Vec<Queued>>,
    asks: BTreeMap<Price, Vec<Queued>>,
    index: BTreeMap<u64, (Side, Price)>,
    n_stamps: u64,
}

/// An order in its queue. Stamps ascend in a queue; a lower one trades first.
#[derive(Clone, Copy, Debug)]
struct Queued {
    order_id: u64,
    qty: Quantity,
    stamp: u64,
}

/// One item of the feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueChange {
    pub(crate) action: BookOrderAction,
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) qty: Quantity,
    pub(crate) order_id: u64,
}

/// What left a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Departed {
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) qty: Quantity,
    /// Stamp of the order that it was part of.
    pub(crate) stamp: u64,
}

impl OrderQueues {
    /// Forgets all orders; stamps go on.
    pub(crate) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.index.clear();
    }

    /// Returns a stamp behind every order so far.
    pub(crate) const fn next_stamp(&mut self) -> u64 {
        self.n_stamps += 1;
        self.n_stamps
    }

    /// Returns whether the feed has shown any order.
    pub(crate) const fn is_fed(&self) -> bool {
        self.n_stamps > 0
    }

    /// Returns what rests at a price. O(orders there).
    pub(crate) fn qty_at(&self, side: Side, price: Price) -> Quantity {
        let queue = self.side(side).get(&price);
        Quantity(queue.into_iter().flatten().map(|queued| queued.qty.0).sum())
    }

    /// Applies an item and returns what left a queue by it. O(log orders + orders at the price).
    pub(crate) fn apply(&mut self, change: &QueueChange) -> Option<Departed> {
        match change.action {
            BookOrderAction::Add => {
                self.add(change);
                None
            }
            BookOrderAction::Cancel => self.take(change.order_id, Quantity(i64::MAX)),
            BookOrderAction::Execute => self.take(change.order_id, change.qty),
            BookOrderAction::Modify => self.modify(change),
        }
    }

    fn add(&mut self, change: &QueueChange) {
        let stamp = self.next_stamp();
        let &QueueChange { side, price, qty, order_id, .. } = change;
        self.index.insert(order_id, (side, price));
        let queue = self.side_mut(side).entry(price).or_default();
        queue.push(Queued { order_id, qty, stamp });
    }

    fn modify(&mut self, change: &QueueChange) -> Option<Departed> {
        let place = self.index.get(&change.order_id).copied();
        if place == Some((change.side, change.price)) {
            let (side, price) = (change.side, change.price);
            let queue = self.side_mut(side).get_mut(&price)?;
            let queued = queue.iter_mut().find(|queued| queued.order_id == change.order_id)?;
            if change.qty <= queued.qty {
                let qty = queued.qty - change.qty;
                queued.qty = change.qty;
                return Some(Departed { side, price, qty, stamp: queued.stamp });
            }
        }
        let departed = self.take(change.order_id, Quantity(i64::MAX));
        self.add(change);
        departed
    }

    /// Takes up to `qty` from an order; one with nothing left is gone.
    fn take(&mut self, order_id: u64, qty: Quantity) -> Option<Departed> {
        let (side, price) = self.index.get(&order_id).copied()?;
        let queue = self.side_mut(side).get_mut(&price)?;
        let place = queue.iter().position(|queued| queued.order_id == order_id)?;
        let queued = &mut queue[place];
        let taken = qty.min(queued.qty);
        let stamp = queued.stamp;
        queued.qty -= taken;
        if queued.qty.is_zero() {
            queue.remove(place);
            if queue.is_empty() {
                self.side_mut(side).remove(&price);
            }
            self.index.remove(&order_id);
        }
        Some(Departed { side, price, qty: taken, stamp })
    }

    const fn side(&self, side: Side) -> &BTreeMap<Price, Vec<Queued>> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Vec<Queued>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: BookOrderAction, order_id: u64, price: i64, qty: i64) -> QueueChange {
        let (price, qty) = (Price(price), Quantity(qty));
        QueueChange { action, side: Side::Buy, price, qty, order_id }
    }

    #[test]
    fn a_shrinking_order_keeps_its_place_and_a_growing_one_goes_to_the_back() {
        use BookOrderAction::{Add, Cancel, Execute, Modify};
        let mut queues = OrderQueues::default();
        assert_eq!(queues.apply(&change(Add, 7, 100, 5)), None);
        assert_eq!(queues.apply(&change(Add, 8, 100, 4)), None);
        let shrunk = queues.apply(&change(Modify, 7, 100, 3)).unwrap();
        assert_eq!((shrunk.stamp, shrunk.qty), (1, Quantity(2)));
        let moved = queues.apply(&change(Modify, 7, 100, 6)).unwrap();
        assert_eq!((moved.stamp, moved.qty), (1, Quantity(3)));
        assert_eq!(queues.qty_at(Side::Buy, Price(100)), Quantity(10));
        let executed = queues.apply(&change(Execute, 7, 100, 2)).unwrap();
        assert_eq!((executed.stamp, executed.qty), (3, Quantity(2)));
        let gone = queues.apply(&change(Cancel, 8, 100, 0)).unwrap();
        assert_eq!((gone.stamp, gone.qty), (2, Quantity(4)));
        assert_eq!(queues.apply(&change(Cancel, 8, 100, 0)), None);
        assert_eq!(queues.qty_at(Side::Buy, Price(100)), Quantity(4));
    }
}
