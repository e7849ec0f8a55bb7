//! A book kept order by order, which tells its changes order by order and level by level.

use std::collections::{BTreeMap, HashMap};

use tercel_core::{BookOrderAction, Nanos, Side};

use crate::decimal::Dec;
use crate::raw::{RawData, RawEvent};
use crate::report::Report;

/// Where the events of one message go, and what they have in common.
pub(crate) struct Sink<'a> {
    pub(crate) out: &'a mut Vec<RawEvent>,
    pub(crate) symbol: u16,
    pub(crate) venue_at: Nanos,
    pub(crate) received_at: Nanos,
}

impl Sink<'_> {
    pub(crate) fn push(&mut self, data: RawData) {
        let &mut Self { symbol, venue_at, received_at, .. } = self;
        self.out.push(RawEvent { symbol, venue_at, received_at, data });
    }
}

/// A resting order. Price and quantity are mantissas at the book's scales.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    pub(crate) side: Side,
    pub(crate) price: i64,
    pub(crate) qty: i64,
    /// Grows with every order; a list in its order keeps every queue's.
    stamp: u64,
}

/// Orders by number, and totals by price.
///
/// Every change is told at once as [`RawData::BookOrder`]; the levels that it changed are told by
/// [`ByOrder::end`], once a message, with their new totals.
pub(crate) struct ByOrder {
    price_scale: u8,
    qty_scale: u8,
    orders: HashMap<u64, Order>,
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    touched: Vec<(Side, i64)>,
    n_stamps: u64,
    was_crossed: bool,
    /// Changes since the message before that would have left less than nothing at a level.
    n_short: u64,
}

impl ByOrder {
    pub(crate) fn new(price_scale: u8, qty_scale: u8) -> Self {
        Self {
            price_scale,
            qty_scale,
            orders: HashMap::new(),
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            touched: Vec::new(),
            n_stamps: 0,
            was_crossed: false,
            n_short: 0,
        }
    }

    pub(crate) fn order(&self, id: u64) -> Option<Order> {
        self.orders.get(&id).copied()
    }

    /// Adds an order; one of the same number is cancelled before.
    pub(crate) fn add(&mut self, id: u64, side: Side, price: i64, qty: i64, sink: &mut Sink<'_>) {
        self.cancel(id, sink);
        self.n_stamps += 1;
        self.orders.insert(id, Order { side, price, qty, stamp: self.n_stamps });
        self.shift(side, price, qty);
        self.tell(BookOrderAction::Add, id, side, price, qty, sink);
    }

    /// Gives a known order another price or quantity; it keeps its place only if it shrinks.
    pub(crate) fn modify(&mut self, id: u64, price: i64, qty: i64, sink: &mut Sink<'_>) {
        let Some(old) = self.orders.get_mut(&id) else { return };
        let was = *old;
        if price != was.price || qty > was.qty {
            self.n_stamps += 1;
            old.stamp = self.n_stamps;
        }
        (old.price, old.qty) = (price, qty);
        self.shift(was.side, was.price, -was.qty);
        self.shift(was.side, price, qty);
        self.tell(BookOrderAction::Modify, id, was.side, price, qty, sink);
    }

    /// Removes an order, if it is known.
    pub(crate) fn cancel(&mut self, id: u64, sink: &mut Sink<'_>) {
        let Some(order) = self.orders.remove(&id) else { return };
        self.shift(order.side, order.price, -order.qty);
        self.tell(BookOrderAction::Cancel, id, order.side, order.price, 0, sink);
    }

    /// Takes what traded from a known order, at most all of it.
    pub(crate) fn execute(&mut self, id: u64, qty: i64, sink: &mut Sink<'_>) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let was = *order;
        let qty = qty.min(was.qty);
        order.qty -= qty;
        if order.qty == 0 {
            self.orders.remove(&id);
        }
        self.shift(was.side, was.price, -qty);
        self.tell(BookOrderAction::Execute, id, was.side, was.price, qty, sink);
    }

    /// Changes a level by what no known order says. A level never falls below nothing, and where
    /// it would, that is counted.
    pub(crate) fn shift(&mut self, side: Side, price: i64, by: i64) {
        let total = self.level(side, price).saturating_add(by);
        self.n_short += u64::from(total < 0);
        self.set_level(side, price, total);
    }

    /// Sets a level's total whatever its known orders say.
    pub(crate) fn set_level(&mut self, side: Side, price: i64, total: i64) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if total > 0 {
            levels.insert(price, total);
        } else {
            levels.remove(&price);
        }
        self.touched.push((side, price));
    }

    /// Returns a level's total, zero for none.
    pub(crate) fn level(&self, side: Side, price: i64) -> i64 {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        levels.get(&price).copied().unwrap_or(0)
    }

    /// Returns the prices of a side, best first.
    pub(crate) fn prices(&self, side: Side) -> impl Iterator<Item = i64> + '_ {
        let (bids, asks) = match side {
            Side::Buy => (Some(self.bids.keys().rev()), None),
            Side::Sell => (None, Some(self.asks.keys())),
        };
        bids.into_iter().flatten().chain(asks.into_iter().flatten()).copied()
    }

    /// Returns whether the best bid is not below the best ask.
    pub(crate) fn is_crossed(&self) -> bool {
        let best = (self.prices(Side::Buy).next(), self.prices(Side::Sell).next());
        matches!(best, (Some(bid), Some(ask)) if bid >= ask)
    }

    /// Returns the orders that one of this side and price would meet, oldest first. O(orders).
    pub(crate) fn crossed_by(&self, side: Side, price: i64) -> Vec<(u64, Order)> {
        let meets = |order: &Order| match side {
            Side::Buy => order.side == Side::Sell && order.price <= price,
            Side::Sell => order.side == Side::Buy && order.price >= price,
        };
        let met = self.orders.iter().filter(|(_, order)| meets(order));
        let mut met: Vec<_> = met.map(|(id, order)| (*id, *order)).collect();
        met.sort_unstable_by_key(|(_, order)| order.stamp);
        met
    }

    /// Forgets everything and says so.
    pub(crate) fn clear(&mut self, sink: &mut Sink<'_>) {
        self.orders.clear();
        self.bids.clear();
        self.asks.clear();
        self.touched.clear();
        self.was_crossed = false;
        sink.push(RawData::Clear { seq: 0 });
    }

    /// Ends a message: tells the levels that it changed, and counts a crossed book.
    ///
    /// A reader rightly distrusts a crossed book until it is told the whole of it again, so that is
    /// what the first message after a crossing does.
    pub(crate) fn end(&mut self, report: &mut Report, sink: &mut Sink<'_>) {
        for _ in 0..std::mem::take(&mut self.n_short) {
            report.count("levels that would have fallen below nothing");
        }
        let is_crossed = if self.touched.is_empty() { self.was_crossed } else { self.is_crossed() };
        if is_crossed {
            report.count("crossed books");
        }
        if self.touched.is_empty() {
            return;
        }
        if std::mem::replace(&mut self.was_crossed, is_crossed) && !is_crossed {
            self.tell_all(sink);
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable_by_key(|(side, price)| (*side == Side::Sell, *price));
        touched.dedup();
        for (n, (side, price)) in touched.iter().enumerate() {
            sink.push(RawData::Level {
                side: *side,
                price: self.price(*price),
                qty: self.qty(self.level(*side, *price)),
                last: n + 1 == touched.len(),
            });
        }
        touched.clear();
        self.touched = touched;
    }

    /// Begins the book anew; all its levels count as touched.
    fn tell_all(&mut self, sink: &mut Sink<'_>) {
        sink.push(RawData::Clear { seq: 0 });
        let mut orders: Vec<_> = self.orders.iter().map(|(id, order)| (*id, *order)).collect();
        orders.sort_unstable_by_key(|(_, order)| order.stamp);
        for (id, order) in orders {
            self.tell(BookOrderAction::Add, id, order.side, order.price, order.qty, sink);
        }
        self.touched.extend(self.bids.keys().map(|price| (Side::Buy, *price)));
        self.touched.extend(self.asks.keys().map(|price| (Side::Sell, *price)));
    }

    fn tell(
        &self,
        action: BookOrderAction,
        order_id: u64,
        side: Side,
        price: i64,
        qty: i64,
        sink: &mut Sink<'_>,
    ) {
        let (price, qty) = (self.price(price), self.qty(qty));
        sink.push(RawData::BookOrder { action, side, price, qty, order_id, last: false });
    }

    pub(crate) const fn price(&self, mantissa: i64) -> Dec {
        Dec { mantissa, scale: self.price_scale }
    }

    pub(crate) const fn qty(&self, mantissa: i64) -> Dec {
        Dec { mantissa, scale: self.qty_scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_stop_at_nothing_and_the_report_tells_of_it() {
        let (mut book, mut report, mut out) = (ByOrder::new(2, 0), Report::default(), Vec::new());
        let at = Nanos(1);
        let mut sink = Sink { out: &mut out, symbol: 0, venue_at: at, received_at: at };
        book.add(1, Side::Buy, 100, 5, &mut sink);
        book.shift(Side::Buy, 100, -5);
        book.end(&mut report, &mut sink);
        assert_eq!(report.counts.len(), 0);
        // The order's quantity is gone already, by a change of an order that nobody told.
        book.cancel(1, &mut sink);
        book.end(&mut report, &mut sink);
        assert_eq!(book.level(Side::Buy, 100), 0);
        assert_eq!(report.counts["levels that would have fallen below nothing"], 1);
    }
}
