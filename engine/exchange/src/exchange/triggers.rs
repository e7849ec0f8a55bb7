//! Orders that wait for a price, and everything else that a trade sets off.

use std::ops::Bound;

use tercel_core::Side;

use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::ids::{MarketId, OrderId};
use crate::order::{Execution, ExpiryReason, OrderKind};
use crate::update::Update;

impl Exchange {
    /// Lets everything happen that the latest trades set off, until nothing more does; then tells
    /// which levels have changed. Ends each call that changes a symbol.
    pub(crate) fn settle(&mut self, market: MarketId) {
        loop {
            let touched = self.markets[market.0].touched.take();
            let mut is_quiet = !self.place_pending(market);
            if let Some((low, high)) = touched {
                is_quiet &= !self.trigger_stops(market, low, high);
                is_quiet &= !self.trigger_conditionals(market);
            }
            if is_quiet && self.markets[market.0].touched.is_none() {
                break;
            }
        }
        self.tell_levels(market);
    }

    fn tell_levels(&mut self, market: MarketId) {
        let mut changes = Vec::new();
        let book = &mut self.markets[market.0].book;
        book.drain_changes(&mut changes);
        changes.sort_unstable();
        changes.dedup();
        let (update_id, at) = (book.update_id(), self.now);
        let levels = changes.into_iter().map(|(side, price)| Update::Level {
            market,
            side,
            price,
            update_id,
            at,
        });
        self.updates.extend(levels);
    }

    /// Wakes the orders whose price has been reached, in the order of their numbers; returns
    /// whether there were any.
    fn trigger_stops(&mut self, market: MarketId, low: Fixed, high: Fixed) -> bool {
        let mut has_triggered = false;
        let mut after = OrderId(0);
        while let Some(id) = self.next_stop(market, after) {
            after = id;
            if self.is_reached(id, low, high) {
                has_triggered = true;
                self.trigger(id);
            }
        }
        has_triggered
    }

    fn next_stop(&self, market: MarketId, after: OrderId) -> Option<OrderId> {
        let later = (Bound::Excluded(after), Bound::Unbounded);
        self.market(market).stops.range(later).next().copied()
    }

    /// Returns whether an order's price lies within what has traded, and moves trailing ones.
    fn is_reached(&mut self, id: OrderId, low: Fixed, high: Fixed) -> bool {
        let now = self.now;
        let order = self.order_mut(id);
        let above = order.ask.kind.triggers_above(order.ask.side);
        let stop = order.ask.stop_price;
        let Some(trail) = &mut order.trail else {
            return if above { high >= stop } else { low <= stop };
        };
        let Some(extreme) = trail.extreme else {
            // Trailing begins once the stop price is touched from the side that it lies on.
            if (low..=high).contains(&stop) {
                (trail.extreme, trail.since) = (Some(stop), Some(now));
            }
            return false;
        };
        if above {
            let extreme = extreme.min(low);
            trail.extreme = Some(extreme);
            high >= extreme.times_ceil(Fixed::ONE + trail.share)
        } else {
            let extreme = extreme.max(high);
            trail.extreme = Some(extreme);
            low <= extreme.times_floor(Fixed::ONE - trail.share)
        }
    }

    /// Lets an order work whose price has been reached.
    fn trigger(&mut self, id: OrderId) {
        let order = self.order_ref(id);
        let (market, account) = (order.ask.market, order.account);
        self.markets[market.0].stops.remove(&id);
        self.begin_leg(id);
        let order = self.order_ref(id);
        if order.ask.kind.is_market() && order.ask.side == Side::Buy {
            // The market may have run away from the price that the lock was made for.
            let cost = self.cost_of(account, &order.ask, order.remaining());
            let missing = cost - self.order_ref(id).locked;
            if missing.is_positive() {
                let asset = self.given_asset(market, Side::Buy);
                if self.lock(account, &asset, missing).is_err() {
                    self.expire(id, ExpiryReason::Rejected);
                    return;
                }
                self.order_mut(id).locked += missing;
            }
        }
        let now = self.now;
        let order = self.order_mut(id);
        (order.is_working, order.working_at) = (true, Some(now));
        if matches!(order.ask.kind, OrderKind::StopLossLimit | OrderKind::TakeProfitLimit) {
            self.report(id, Execution::New);
        }
        self.work(id);
    }
}
