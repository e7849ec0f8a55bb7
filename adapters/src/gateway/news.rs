//! What the venue tells of orders and executions.

use tercel_core::{
    ClientOrderId, Event, ExecutionReport, Fill, InstrumentId, Nanos, OrderSpec, Quantity,
    RejectReason, ReportKind,
};

use super::order::{Stage, Tracked};
use super::{Gateway, GatewayNotice, GatewayOut, OrphanPolicy, Purpose, number};
use crate::client_id::OrderKey;
use crate::protocol::{FillNews, OrderNews, OrderStatus, Request};

impl Gateway {
    pub(super) fn on_order(&mut self, news: &OrderNews, now: Nanos, out: &mut GatewayOut) {
        let Some(key) = news.key else { return self.foreign_heard(news, now) };
        let Some(own) = self.orders.get_mut(&key.id) else {
            if !self.ended.ids.contains_key(&key.id) {
                self.lost_heard(news, out);
                self.orphan(news, now, out);
            }
            return;
        };
        if key.revision == own.key.revision + 1 && own.is_swapping() {
            self.promote(key.id, (news.venue_at, now), out);
        }
        let Some(own) = self.orders.get_mut(&key.id) else { return };
        if key.revision > own.key.revision && own.is_form_known {
            // A form that this process does not know of.
            own.is_form_known = false;
            own.doubt(now, &self.options);
        }
        if !own.is_form_known && key.revision > own.key.revision {
            // Not known whole before the history has come, but a later one than was known.
            own.key = key;
            own.venue_order_id = news.venue_order_id;
        }
        if key.revision != own.key.revision || !own.is_form_known {
            // An earlier form says nothing, and what the present one is has to be found out first.
            return;
        }
        if !own.is_meant(&news.venue_order_id, news.venue_at, self.began_at) {
            return self.name_taken(news, out);
        }
        let id = key.id;
        let instrument = own.spec.instrument;
        let times = (news.venue_at, now);
        let is_named = own.take_number(news.venue_order_id);
        own.filled_at_venue = own.filled_at_venue.max(news.filled);
        let mut reports = Vec::new();
        if news.status != OrderStatus::Rejected {
            if !std::mem::replace(&mut own.told_accepted, true) {
                let venue_order_id = number(&news.venue_order_id);
                reports.push(ReportKind::Accepted { venue_order_id });
            }
            if own.is_waiting && news.status != OrderStatus::Waiting && !is_withdrawn(news) {
                own.is_waiting = false;
                reports.push(ReportKind::Triggered);
            }
            reports.extend(own.end_change(news));
        }
        if news.status.is_over() {
            own.end = Some(news.status);
        }
        let lacks_fills = own.lacks_fills();
        for kind in reports {
            self.report(id, instrument, times, kind, out);
        }
        self.follow_terms(news, out);
        if is_named {
            for fill in self.strangers.take(instrument, news.venue_order_id) {
                self.on_fill(&fill, now, out);
            }
        }
        if lacks_fills {
            self.want_fills(instrument, now);
        }
        self.finish(id, times, out);
        // A wish to withdraw that waited for a change to end.
        if self.is_online {
            self.send_cancel(id, now, out);
        }
    }

    /// Another order bears the name of one of ours.
    pub(super) fn name_taken(&mut self, news: &OrderNews, out: &mut GatewayOut) {
        let OrderNews { instrument, venue_order_id, .. } = *news;
        let Some(own) = news.key.and_then(|key| self.orders.get_mut(&key.id)) else { return };
        // Told once: each comparison shows it again.
        if std::mem::replace(&mut own.namesake, venue_order_id) != venue_order_id {
            let order = own.key.id;
            out.notices.push(GatewayNotice::NameTaken { order, venue_order_id, instrument });
        }
    }

    /// A working order with our prefix that is not tracked.
    pub(super) fn orphan(&mut self, news: &OrderNews, now: Nanos, out: &mut GatewayOut) {
        let Some(key) = news.key else { return };
        if news.status.is_over() {
            return;
        }
        if key.id.adopted_number().is_some() {
            // It was over as far as we knew its terms, and whoever placed it has made more of it.
            self.foreign.forget(news);
            return;
        }
        // Told once; its cancel is repeated by the next comparison, should it get lost.
        let canceling = self.options.orphan == OrphanPolicy::Cancel;
        let instrument = news.instrument;
        out.notices.push(GatewayNotice::Orphan { order: key.id, instrument, canceling });
        if canceling {
            let venue_order_id = news.venue_order_id;
            let request = Request::Cancel { key, venue_order_id, instrument };
            self.request(Purpose::OrphanCancel, request, now, out);
        }
    }

    pub(super) fn on_fill(&mut self, fill: &FillNews, now: Nanos, out: &mut GatewayOut) {
        if self.trades.contains(fill.instrument, fill.side, fill.trade_id) {
            return;
        }
        let key = self.key_of_fill(fill);
        if key.is_none() && self.has_nameless(fill.instrument, now) {
            // It may be of one of ours whose number at the venue is not known yet.
            self.strangers.hold(*fill, now);
            return;
        }
        self.take_fill(key, fill, now, out);
    }

    fn key_of_fill(&self, fill: &FillNews) -> Option<OrderKey> {
        let is_meant = |key: &OrderKey| {
            let own = self.orders.get(&key.id).filter(|own| own.key == *key);
            own.is_none_or(|own| own.is_meant(&fill.venue_order_id, fill.venue_at, self.began_at))
        };
        fill.key.filter(is_meant).or_else(|| {
            let own = self.orders.values().find(|own| {
                own.spec.instrument == fill.instrument && own.venue_order_id == fill.venue_order_id
            });
            own.map(|own| own.key)
        })
    }

    /// Takes an execution of the order that bears this name, or of nobody here.
    fn take_fill(
        &mut self,
        key: Option<OrderKey>,
        fill: &FillNews,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        if fill.venue_at < self.began_at && key.is_none_or(|key| !self.orders.contains_key(&key.id))
        {
            // Before the account was taken over: in its holdings already.
            return;
        }
        if !self.trades.insert(fill.instrument, fill.side, fill.trade_id) {
            return;
        }
        let adopted = key.and_then(|key| self.orders.get(&key.id)?.adopted);
        if adopted.is_some_and(|own| fill.venue_at <= own.as_of) {
            // Before the order was ours: in the account's holdings already.
            return;
        }
        let Some(key) = key else {
            self.foreign.keep(fill, now);
            let qty = Quantity(fill.qty.0 * fill.side.sign());
            let instrument = fill.instrument;
            out.notices.push(GatewayNotice::ForeignFill { instrument, qty });
            return;
        };
        let id = key.id;
        self.follow_fill(id, fill, out);
        if let Some(own) = self.orders.get(&id)
            && key.revision == own.key.revision + 1
            && own.is_swapping()
        {
            self.promote(id, (fill.venue_at, now), out);
        }
        if let Some(instrument) = self.listing.instrument(fill.instrument) {
            self.ledger.book(instrument, fill);
        }
        if fill.fee_asset.is_none() && !fill.fee.is_zero() {
            let venue_order_id = fill.venue_order_id;
            out.notices.push(GatewayNotice::FeeNotBooked { venue_order_id, fee: fill.fee });
        }
        let instrument = fill.instrument;
        let quote = self.listing.instrument(instrument).map(|own| own.spec.quote);
        let kind = ReportKind::Fill(Fill {
            trade_id: fill.trade_id,
            price: fill.price,
            qty: fill.qty,
            role: fill.role,
            fee: if fill.fee_asset.is_some() { fill.fee } else { rust_decimal::Decimal::ZERO },
            fee_asset: fill.fee_asset.or(quote).unwrap_or_default(),
        });
        out.events.push(Event::Execution(ExecutionReport {
            order: id,
            account: self.account,
            instrument,
            venue_at: fill.venue_at,
            received_at: now,
            kind,
        }));
        let Some(own) = self.orders.get_mut(&id) else { return };
        own.filled += fill.qty;
        if own.is_form_known && key.revision < own.key.revision {
            let least = Quantity(own.filled.0 - own.filled_at_venue.0);
            own.filled_before = own.filled_before.max(least);
        } else if own.is_form_known {
            let least = Quantity(own.filled.0 - own.filled_before.0);
            own.filled_at_venue = own.filled_at_venue.max(least);
        }
        let is_whole = own.filled.0 >= own.spec.qty.0;
        if is_whole && own.adopted.is_some() {
            // More is what somebody else has added since: it is adopted anew.
            own.filled_at_venue = Quantity(own.filled.0 - own.filled_before.0);
        }
        if is_whole && own.change.is_none() && own.end.is_none() {
            own.end = Some(OrderStatus::Filled);
        }
        self.finish(id, (fill.venue_at, now), out);
    }

    /// Returns whether an order of ours may be at the venue under a number that is not known, with an
    /// execution that came at this time.
    pub(super) fn has_nameless(&self, instrument: InstrumentId, came_at: Nanos) -> bool {
        let mut own = self.orders.values().filter(|own| own.spec.instrument == instrument);
        own.any(|own| own.may_have_other_number(came_at))
    }

    /// Lets go of held executions that cannot be of one of our orders any more.
    pub(super) fn release_strangers(&mut self, now: Nanos, out: &mut GatewayOut) {
        if self.strangers.is_empty() {
            return;
        }
        let mut strangers = std::mem::take(&mut self.strangers);
        let released =
            strangers.take_if(|fill, came_at| !self.has_nameless(fill.instrument, came_at));
        self.strangers = strangers;
        for fill in released {
            self.take_fill(self.key_of_fill(&fill), &fill, now, out);
        }
    }

    /// The next form of an order is at the venue: the swap has worked.
    pub(super) fn promote(
        &mut self,
        id: ClientOrderId,
        times: (Nanos, Nanos),
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let Some(change) = own.change.take() else { return };
        own.next_form(times.1);
        own.spec.kind = own.spec.kind.with_limit_price(change.price);
        own.spec.qty = change.qty;
        own.sent_at = change.sent_at;
        if let Some(doubt) = &mut own.doubt {
            doubt.asks_next = false;
        }
        let kind = ReportKind::Replaced { price: change.price, qty: change.qty };
        let instrument = own.spec.instrument;
        self.report(id, instrument, times, kind, out);
    }

    /// Tells the engine that an order is over, once it is and all of its executions have come; or
    /// places its next form, where it was withdrawn for that.
    pub(super) fn finish(
        &mut self,
        id: ClientOrderId,
        times: (Nanos, Nanos),
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let Some(end) = own.end else { return };
        if own.lacks_fills() || own.is_swapping() {
            return;
        }
        let instrument = own.spec.instrument;
        let change = own.change;
        if let (OrderStatus::Canceled, Some(change), None) = (end, change, own.cancel)
            && matches!(change.stage, Stage::Withdrawing(_))
        {
            if change.qty.0 > own.filled.0 {
                self.place_next(id, times.1, out);
                return;
            }
            // Filled to what was wanted while it was being withdrawn.
            let kind = ReportKind::Replaced { price: change.price, qty: change.qty };
            self.report(id, instrument, times, kind, out);
            self.settle(id, times.1, out);
            return;
        }
        if change.is_some() {
            let kind = ReportKind::ReplaceRejected(RejectReason::UnknownOrder);
            self.report(id, instrument, times, kind, out);
        }
        let was_seen = own_was_seen(self.orders.get(&id));
        let is_whole = self.orders.get(&id).is_some_and(|own| own.filled >= own.spec.qty);
        let kind = match end {
            OrderStatus::Filled if is_whole => None,
            // Somebody else has made it smaller: what we know of beyond that is gone.
            OrderStatus::Filled => Some(ReportKind::Canceled),
            OrderStatus::Canceled => Some(ReportKind::Canceled),
            OrderStatus::Expired => Some(ReportKind::Expired),
            OrderStatus::Rejected if was_seen => Some(ReportKind::Canceled),
            OrderStatus::Rejected => Some(ReportKind::Rejected(RejectReason::Other)),
            OrderStatus::Waiting | OrderStatus::Open => return,
        };
        if let Some(kind) = kind {
            self.report(id, instrument, times, kind, out);
        }
        self.settle(id, times.1, out);
    }

    fn place_next(&mut self, id: ClientOrderId, now: Nanos, out: &mut GatewayOut) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let Some(change) = &mut own.change else { return };
        change.stage = Stage::Placing;
        let (price, qty) = (change.price, change.qty);
        own.next_form(now);
        let spec = OrderSpec {
            kind: own.spec.kind.with_limit_price(price),
            qty: Quantity(qty.0 - own.filled_before.0),
            ..own.spec
        };
        let request = Request::Place { key: own.key, spec };
        let request = self.request(Purpose::Place(id), request, now, out);
        if let Some(own) = self.orders.get_mut(&id) {
            own.placing = Some(request);
        }
    }
}

fn own_was_seen(own: Option<&Tracked>) -> bool {
    own.is_some_and(|own| own.told_accepted || own.filled.0 > 0)
}

/// A conditional order that ended without a fill may have ended untriggered.
fn is_withdrawn(news: &OrderNews) -> bool {
    news.status.is_over() && news.filled.is_zero()
}

impl Tracked {
    /// Returns whether the venue may be working the next form already.
    pub(super) const fn is_swapping(&self) -> bool {
        match self.change {
            Some(change) => match change.stage {
                Stage::Swapping(_) => true,
                Stage::Unanswered => matches!(self.doubt, Some(doubt) if doubt.asks_next),
                Stage::Amending(_) | Stage::Withdrawing(_) | Stage::Placing => false,
            },
            None => false,
        }
    }

    /// Begins the next form, of which nothing is known yet.
    fn next_form(&mut self, now: Nanos) {
        self.key = self.key.next();
        self.venue_order_id.clear();
        self.filled_before += self.filled_at_venue;
        self.filled_at_venue = Quantity::ZERO;
        self.end = None;
        self.sent_at = now;
        self.doubt = None;
    }

    /// Ends a change that the venue's word of the present form shows to be done.
    fn end_change(&mut self, news: &OrderNews) -> Option<ReportKind> {
        let change = self.change?;
        let is_done = match change.stage {
            Stage::Placing => true,
            Stage::Amending(_) | Stage::Unanswered => {
                news.kind.limit_price() == Some(change.price)
                    && news.qty.0 + self.filled_before.0 == change.qty.0
            }
            Stage::Swapping(_) | Stage::Withdrawing(_) => false,
        };
        if !is_done {
            return None;
        }
        self.change = None;
        self.spec.kind = self.spec.kind.with_limit_price(change.price);
        self.spec.qty = change.qty;
        Some(ReportKind::Replaced { price: change.price, qty: change.qty })
    }
}
