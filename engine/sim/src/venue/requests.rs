//! New orders, replaces and cancels as they arrive at the venue.

use tercel_core::{
    Nanos, OrderKind, OrderSpec, Price, Quantity, RejectReason, ReportKind, Role, TimeInForce,
};

use crate::venue::desk::{Desk, Ticket};
use crate::venue::listing::{Feed, Listing};
use crate::venue::working::{Working, slipped};

impl Listing {
    /// Takes a new order.
    pub(crate) fn place(&mut self, ticket: Ticket, spec: OrderSpec, at: Nanos, desk: &mut Desk) {
        if let Some(reason) = self.refusal(&ticket, &spec, desk) {
            desk.reject(&ticket, at, reason);
            return;
        }
        desk.accept(&ticket, at);
        let mut order = Working::new(ticket, spec, at);
        if order.expires_at().is_some_and(|end| end <= at) {
            desk.end(&mut order, at, ReportKind::Expired);
            return;
        }
        self.orders.push(order);
        if self.feed != Feed::Bars && !order.waits {
            self.act(self.orders.len() - 1, at, desk);
        }
        self.settle(at, desk);
    }

    /// Changes price and total quantity of a working order.
    ///
    /// It keeps its place in the queue only if the quantity shrinks at the same price; else it
    /// goes to the back, and may take on its way.
    pub(crate) fn replace(
        &mut self,
        ticket: &Ticket,
        price: Price,
        qty: Quantity,
        at: Nanos,
        desk: &mut Desk,
    ) {
        let refuse =
            |desk: &mut Desk, reason| desk.report(ticket, at, ReportKind::ReplaceRejected(reason));
        let Some(idx) = self.find(ticket) else {
            return refuse(desk, RejectReason::UnknownOrder);
        };
        let mut order = self.orders[idx];
        let Some(old_price) = order.limit() else { return refuse(desk, RejectReason::Other) };
        let keeps_place = price == old_price && qty <= order.spec.qty;
        order.spec.kind = order.spec.kind.with_limit_price(price);
        order.spec.qty = qty;
        if qty <= order.filled {
            return refuse(desk, RejectReason::Filter);
        }
        if let Some(reason) = self.filter(&order.spec, None) {
            return refuse(desk, reason);
        }
        if order.spec.post_only && !order.waits && !keeps_place && self.would_take(&order.spec) {
            return refuse(desk, RejectReason::WouldTake);
        }
        desk.report(ticket, at, ReportKind::Replaced { price, qty });
        order.since = at;
        if keeps_place {
            self.orders[idx] = order;
        } else {
            order.has_rested = false;
            self.orders.remove(idx);
            self.orders.push(order);
            if self.feed != Feed::Bars && !order.waits {
                self.act(self.orders.len() - 1, at, desk);
            }
        }
        self.settle(at, desk);
    }

    /// Withdraws a working order.
    pub(crate) fn cancel(&mut self, ticket: &Ticket, at: Nanos, desk: &mut Desk) {
        match self.find(ticket) {
            Some(idx) => {
                desk.end(&mut self.orders[idx], at, ReportKind::Canceled);
                self.settle(at, desk);
            }
            None => {
                let reason = RejectReason::UnknownOrder;
                desk.report(ticket, at, ReportKind::CancelRejected(reason));
            }
        }
    }

    /// Lets an order take what it can; what is left rests or is cancelled.
    pub(crate) fn act(&mut self, idx: usize, at: Nanos, desk: &mut Desk) {
        self.take(idx, at, desk);
        let order = &mut self.orders[idx];
        if order.has_ended {
            return;
        }
        if order.is_immediate() || desk.tradable(order).is_zero() {
            desk.end(order, at, ReportKind::Canceled);
        } else {
            self.rest(idx);
        }
    }

    fn take(&mut self, idx: usize, at: Nanos, desk: &mut Desk) {
        let order = &mut self.orders[idx];
        let (side, limit, qty) = (order.spec.side, order.limit(), desk.tradable(order));
        if order.spec.tif == TimeInForce::Fok && self.market.available(side, qty, limit) < qty {
            return;
        }
        let takes = self.market.take(side, qty, limit);
        for level in &takes {
            let price = slipped(side, level.price, self.slippage_bps, limit);
            desk.fill(&self.instrument, order, at, price, level.qty, Role::Taker);
        }
        self.market.give_back(takes);
    }

    fn find(&self, ticket: &Ticket) -> Option<usize> {
        self.orders.iter().position(|order| {
            order.ticket.id == ticket.id && order.ticket.account == ticket.account
        })
    }

    /// Returns why a new order is refused, if it is.
    fn refusal(&self, ticket: &Ticket, spec: &OrderSpec, desk: &Desk) -> Option<RejectReason> {
        let side = spec.side;
        let is_ticks = self.feed != Feed::Bars;
        let touch = if is_ticks { self.market.best_price(side.opposite()) } else { None };
        let touch = touch.or(self.market.last_trade).or(self.last_close);
        if let Some(reason) = self.filter(spec, touch) {
            return Some(reason);
        }
        let reducible = desk.reducible(ticket, side);
        // A stop is judged when it wakes: its position may not have been opened yet.
        if spec.reduce_only && spec.kind.trigger().is_none() && reducible.is_zero() {
            return Some(RejectReason::WouldIncrease);
        }
        if spec.kind.trigger().is_some() {
            // On bars nothing is traded on before the next open, which wakes it as a gap does.
            let reached = is_ticks && self.has_reached(spec);
            return reached.then_some(RejectReason::WouldTrigger);
        }
        if spec.post_only && (spec.kind == OrderKind::Market || self.would_take(spec)) {
            return Some(RejectReason::WouldTake);
        }
        if !is_ticks {
            return None;
        }
        let qty = if spec.reduce_only { spec.qty.min(reducible) } else { spec.qty };
        let limit = spec.kind.limit_price();
        if spec.tif == TimeInForce::Fok && self.market.available(side, qty, limit) < qty {
            return Some(RejectReason::NotFillable);
        }
        let finds_nothing = spec.kind == OrderKind::Market && self.market.touch(side).is_none();
        finds_nothing.then_some(RejectReason::NoLiquidity)
    }

    fn has_reached(&self, spec: &OrderSpec) -> bool {
        let by = self.market.last_trade.or_else(|| self.market.best_price(spec.side.opposite()));
        let trigger = spec.kind.trigger();
        by.zip(trigger).is_some_and(|(by, trigger)| spec.side.crosses(by, trigger))
    }

    /// Returns whether a limit order would trade at once; on bars, as far as the last close tells.
    fn would_take(&self, spec: &OrderSpec) -> bool {
        let touch = match self.feed {
            Feed::Bars => self.last_close,
            Feed::Ticks | Feed::Unknown => self.market.touch(spec.side).map(|level| level.price),
        };
        let limit = spec.kind.limit_price();
        touch.zip(limit).is_some_and(|(touch, limit)| spec.side.crosses(limit, touch))
    }
}
