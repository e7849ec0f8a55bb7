//! Resting orders: their places in the queue, what trades with them, what wakes stops.

use tercel_core::{BookOrderAction, Nanos, Price, Quantity, ReportKind, Role, Side};

use crate::venue::desk::Desk;
use crate::venue::listing::Listing;
use crate::venue::order_queues::{Departed, QueueChange};
use crate::venue::queue::QueuePosition;

impl Listing {
    /// Puts an order behind everything at its price.
    pub(crate) fn rest(&mut self, idx: usize) {
        let is_fifo = self.is_fifo();
        let order = &mut self.orders[idx];
        let Some(price) = order.limit() else { return };
        let side = order.spec.side;
        if is_fifo {
            order.queue = QueuePosition::behind(self.queues.qty_at(side, price));
            order.stamp = self.queues.next_stamp();
        } else {
            let shown = self.market.shown_at(side, price);
            order.queue = shown.map_or(QueuePosition::unknown(), QueuePosition::behind);
        }
    }

    /// Takes note that a level shows `qty` now.
    pub(crate) fn move_queue(&mut self, side: Side, price: Price, qty: Quantity) {
        for order in &mut self.orders {
            if order.spec.side == side && order.resting_price() == Some(price) {
                order.queue.on_level(self.queue_model, qty);
            }
        }
    }

    /// Takes note of what a quote says about prices where orders rest: at the touch and better.
    pub(crate) fn move_quoted_queues(&mut self) {
        for order in &mut self.orders {
            let side = order.spec.side;
            if let (Some(price), Some(best)) = (order.resting_price(), self.market.best_price(side))
                && side.crosses(price, best)
                && let Some(shown) = self.market.shown_at(side, price)
            {
                order.queue.on_level(self.queue_model, shown);
            }
        }
    }

    /// After a snapshot: orders of a feed by level can have no more ahead than is shown; those of a
    /// feed by order go behind what it lists, because who stood where is lost.
    pub(crate) fn requeue_all(&mut self) {
        for idx in 0..self.orders.len() {
            let order = &self.orders[idx];
            let Some(price) = order.resting_price() else { continue };
            if self.is_fifo() {
                self.rest(idx);
            } else if let Some(shown) = self.market.shown_at(order.spec.side, price) {
                self.orders[idx].queue.on_level(self.queue_model, shown);
            }
        }
    }

    /// Lets resting orders of a side trade with the opposite levels that have come to them, each
    /// at its own price, no more than those levels hold.
    pub(crate) fn match_crossed(&mut self, side: Side, at: Nanos, desk: &mut Desk) {
        let ranked = self.rank(side, |_| true);
        for &idx in &ranked {
            let order = &mut self.orders[idx];
            let Some(price) = order.resting_price() else { continue };
            let tradable = desk.tradable(order);
            if tradable.is_zero() {
                continue;
            }
            let takes = self.market.take(side, tradable, Some(price));
            let qty = Quantity(takes.iter().map(|level| level.qty.0).sum());
            self.market.give_back(takes);
            if qty.is_zero() {
                // The others have no better price.
                break;
            }
            desk.fill(&self.instrument, order, at, price, qty, Role::Maker);
        }
        self.ranked = ranked;
    }

    /// Takes a printed trade: its quantity is shared among the market and our orders in the order
    /// in which they stand, then stops wake.
    ///
    /// Where the taker's side is not told, a trade at or below the bid was a sell, one at or above
    /// the ask a buy; one between them fills only orders that it went through.
    pub(crate) fn on_trade(
        &mut self,
        aggressor: Option<Side>,
        price: Price,
        qty: Quantity,
        at: Nanos,
        desk: &mut Desk,
    ) {
        let mut left = qty;
        if !self.is_fifo() {
            let aggressor = aggressor.or_else(|| self.likely_aggressor(price));
            for side in [Side::Buy, Side::Sell] {
                match aggressor {
                    Some(taker) if taker != side => {
                        left = self.fill_from_trade(side, true, price, left, at, desk);
                    }
                    Some(_) => {}
                    None => left = self.fill_from_trade(side, false, price, left, at, desk),
                }
            }
        }
        self.market.set_print(price, left);
        self.settle(at, desk);
        if self.wakes_at(price) {
            self.wake_stops(Some(price), Some(price), at, desk);
        }
    }

    /// Wakes stops: buys at or below `up`, sells at or above `down`. They act at once.
    pub(crate) fn wake_stops(
        &mut self,
        up: Option<Price>,
        down: Option<Price>,
        at: Nanos,
        desk: &mut Desk,
    ) {
        let mut idx = 0;
        let mut n_left = self.orders.len();
        while n_left > 0 {
            n_left -= 1;
            let order = &self.orders[idx];
            let reach = match order.spec.side {
                Side::Buy => up,
                Side::Sell => down,
            };
            if !reach.is_some_and(|reach| order.is_triggered_by(reach)) {
                idx += 1;
                continue;
            }
            // It joins its queue now, behind our orders that rest already.
            let mut order = self.orders.remove(idx);
            order.waits = false;
            desk.report(&order.ticket, at, ReportKind::Triggered);
            self.orders.push(order);
            self.act(self.orders.len() - 1, at, desk);
        }
        self.settle(at, desk);
    }

    /// Takes an item of a market-by-order feed: an execution behind one of our orders would have
    /// been its own; whatever leaves ahead of it moves it forward.
    pub(crate) fn on_book_order(&mut self, change: &QueueChange, at: Nanos, desk: &mut Desk) {
        let Some(departed) = self.queues.apply(change) else { return };
        if self.orders.is_empty() {
            return;
        }
        let Departed { side, price, qty, stamp } = departed;
        let mut left = qty;
        let is_trade = change.action == BookOrderAction::Execute;
        let ranked = self.rank(side, |own| side.crosses(own, price));
        for &idx in &ranked {
            let order = &mut self.orders[idx];
            let is_first = order.resting_price() != Some(price) || order.stamp < stamp;
            if !is_first {
                order.queue.on_trade(qty, qty);
            } else if is_trade {
                let qty = left.min(desk.tradable(order));
                if qty.0 > 0 {
                    left -= qty;
                    let own = order.resting_price().unwrap_or(price);
                    desk.fill(&self.instrument, order, at, own, qty, Role::Maker);
                }
            }
        }
        self.ranked = ranked;
        if left != qty {
            self.settle(at, desk);
        }
    }

    /// Shares a trade among the orders of a side that it reached. Returns what is left of it.
    ///
    /// An order that the trade went through has been reached whatever was ahead of it; at the
    /// price, the queue comes first.
    fn fill_from_trade(
        &mut self,
        side: Side,
        counts_at_price: bool,
        price: Price,
        qty: Quantity,
        at: Nanos,
        desk: &mut Desk,
    ) -> Quantity {
        let reaches = |own: Price| side.crosses(own, price) && (counts_at_price || own != price);
        let ranked = self.rank(side, reaches);
        let mut left = qty;
        // What this trade has taken of the market's quantity at its price.
        let mut of_market = Quantity::ZERO;
        for &idx in &ranked {
            let order = &mut self.orders[idx];
            let Some(own) = order.resting_price() else { continue };
            if own == price {
                let ahead = Quantity((order.queue.ahead.0 - of_market.0).max(0)).min(left);
                of_market += ahead;
                left -= ahead;
                order.queue.on_trade(of_market, qty);
            } else {
                order.queue = QueuePosition::behind(Quantity::ZERO);
            }
            let fill = left.min(desk.tradable(order));
            if fill.0 > 0 {
                left -= fill;
                desk.fill(&self.instrument, order, at, own, fill, Role::Maker);
            }
        }
        self.ranked = ranked;
        left
    }

    fn likely_aggressor(&self, price: Price) -> Option<Side> {
        if self.market.best_price(Side::Buy).is_some_and(|bid| price <= bid) {
            Some(Side::Sell)
        } else if self.market.best_price(Side::Sell).is_some_and(|ask| price >= ask) {
            Some(Side::Buy)
        } else {
            None
        }
    }

    /// Returns the resting orders of a side whose price `reaches`, best price first, then oldest.
    /// The list is lent: put it back into `ranked`.
    fn rank(&mut self, side: Side, reaches: impl Fn(Price) -> bool) -> Vec<usize> {
        let mut ranked = std::mem::take(&mut self.ranked);
        ranked.clear();
        for (idx, order) in self.orders.iter().enumerate() {
            if order.spec.side == side && order.resting_price().is_some_and(&reaches) {
                ranked.push(idx);
            }
        }
        let orders = &self.orders;
        ranked.sort_unstable_by_key(|idx| {
            let price = orders[*idx].limit().unwrap_or_default();
            (-price.0 * side.sign(), *idx)
        });
        ranked
    }
}
