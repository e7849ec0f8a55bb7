//! Orders of other origin that become ours: into the table, into exposures, under the switches.

use crate::effect::{Effects, Notice, ReportRefusal};
use crate::engine::Engine;
use crate::event::Adoption;
use crate::ids::AccountId;
use crate::num::{Nanos, Price};
use crate::orders::{Change, Order, OrderState};

impl Engine {
    /// Enters an order that somebody else has placed. No limit is asked: it works already. What it
    /// can still trade counts from here on, so that limits refuse what would come on top of it.
    #[inline(never)]
    pub(super) fn adopt(
        &mut self,
        account: AccountId,
        adoption: &Adoption,
        now: Nanos,
        effects: &mut Effects,
    ) {
        let id = adoption.order;
        if self.state.orders.get(id).is_some() {
            self.follow(adoption, effects);
            return;
        }
        let owner = self.state.strategies.get(adoption.strategy.index());
        if owner.is_none_or(|own| own.account != account) || !self.state.orders.has_room() {
            let cause = ReportRefusal::UnknownOrder;
            effects.notice(Notice::ReportRefused { order: id, cause });
            return;
        }
        let market = &self.state.markets[adoption.spec.instrument.index()];
        let kind = adoption.spec.kind;
        let price = kind.limit_price().or_else(|| kind.trigger()).or_else(|| market.reference());
        let order = adoption.order_of(account, price.unwrap_or(Price(0)));
        self.roll_days(order.strategy, now);
        self.state.orders.insert(order);
        self.reserve(None, &order);
        self.tell_owner(&order, Change::Accepted, now, effects);
        self.cancel_if_killed(id, now, effects);
    }

    /// Takes over what somebody else has made of an order that was adopted before.
    fn follow(&mut self, adoption: &Adoption, effects: &mut Effects) {
        let known = self.state.orders.get(adoption.order).copied();
        let Some(before) = known.filter(Order::is_working) else {
            let (order, cause) = (adoption.order, ReportRefusal::Stale);
            effects.notice(Notice::ReportRefused { order, cause });
            return;
        };
        let mut after = before;
        after.spec.kind = adoption.spec.kind;
        after.spec.qty = adoption.spec.qty.max(before.filled);
        after.qty_max = after.qty_max.max(after.spec.qty);
        self.state.orders.update(&after);
        self.reserve(Some(&before), &after);
    }
}

impl Adoption {
    /// Returns the order as it is entered: working, and older than anything that is told of it.
    /// What was filled before is valued at its limit. `reference_px` is what risk values it at.
    #[must_use]
    pub fn order_of(&self, account: AccountId, reference_px: Price) -> Order {
        let spec = self.spec;
        let price = spec.kind.limit_price().unwrap_or(reference_px);
        Order {
            state: OrderState::Open,
            acknowledged: true,
            triggered: self.triggered,
            filled: self.filled,
            filled_tick_lots: i128::from(price.0) * i128::from(self.filled.0),
            venue_order_id: self.venue_order_id,
            ..Order::new(self.order, account, self.strategy, spec, self.as_of, reference_px)
        }
    }
}
