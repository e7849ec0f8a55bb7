//! Intents of strategies: through risk, into the order table, out as effects.

use std::sync::Arc;

use crate::effect::{Effect, Effects, Notice};
use crate::engine::{Echo, Engine};
use crate::event::Scope;
use crate::ids::{ClientOrderId, InstrumentId, StrategyId};
use crate::intent::Intent;
use crate::limits::RiskReject;
use crate::num::{Nanos, Price, Quantity};
use crate::order::{OrderRequest, OrderSpec};
use crate::orders::{Order, Replacement};
use crate::risk::{self, Approved, Origin};
use crate::strategy::OrderChange;
use crate::timers::Timer;
use crate::value::Value;

impl Engine {
    #[inline(never)]
    pub(super) fn take_intents(&mut self, strategy: StrategyId, now: Nanos, effects: &mut Effects) {
        // The list is lent out while the engine works on itself; its allocation comes back.
        self.state.next_order_id = self.state.next_order_id.plus(self.intents.n_placed());
        let mut intents = self.intents.take();
        let mut timers_changed = false;
        // Looked at where they lie: moving what was just written stalls the processor.
        for intent in &mut intents {
            match intent {
                Intent::Place { id, spec } => {
                    self.place(strategy, *id, spec, now, effects);
                }
                Intent::Unrepresentable { id, .. } => {
                    self.refuse(strategy, *id, RiskReject::Precision, effects);
                }
                Intent::Replace { id, price, qty } => {
                    self.replace(strategy, *id, *price, *qty, now, effects);
                }
                Intent::Cancel { id } => self.cancel(strategy, *id, now, effects),
                Intent::CancelAll { instrument } => {
                    self.cancel_all(Scope::Strategy(strategy), *instrument, now, effects);
                }
                Intent::SetTimer { name, at, every_ns } => {
                    let timer = Timer { name: Arc::clone(name), at: *at, every_ns: *every_ns };
                    self.due.retain(|due| due != name);
                    self.state.strategies[strategy.index()].timers.set(timer.clone());
                    effects.push(Effect::SetTimer { strategy, timer });
                    timers_changed = true;
                }
                Intent::CancelTimer { name } => {
                    self.due.retain(|due| due != name);
                    self.state.strategies[strategy.index()].timers.cancel(name);
                    effects.push(Effect::CancelTimer { strategy, name: Arc::clone(name) });
                    timers_changed = true;
                }
                Intent::Remember { key, value } => {
                    self.remember(strategy, Arc::clone(key), value.clone(), effects);
                }
                Intent::Log { text } => {
                    effects.notice(Notice::Log { strategy, text: std::mem::take(text) });
                }
                Intent::NamePlot { plot, name } => {
                    let (plot, name) = (*plot, Arc::clone(name));
                    effects.notice(Notice::NamePlot { strategy, plot, name });
                }
                Intent::Draw { plot, value_bits } => {
                    let (plot, value_bits) = (*plot, *value_bits);
                    effects.notice(Notice::Draw { strategy, plot, value_bits });
                }
                Intent::Mark { label, price_bits } => {
                    let (label, price_bits) = (Arc::clone(label), *price_bits);
                    effects.notice(Notice::Mark { strategy, label, price_bits });
                }
            }
        }
        intents.clear();
        self.intents.give_back(intents);
        if timers_changed {
            self.refresh_deadline();
        }
    }

    /// Sends a cancel for every working order of the scope that has none under way.
    pub(super) fn cancel_all(
        &mut self,
        scope: Scope,
        instrument: Option<InstrumentId>,
        now: Nanos,
        effects: &mut Effects,
    ) {
        self.cancel_those(scope, instrument, |_| true, now, effects);
    }

    /// Sends a cancel for every working order of the scope of which `is_meant` says so and that has none
    /// under way.
    pub(super) fn cancel_those(
        &mut self,
        scope: Scope,
        instrument: Option<InstrumentId>,
        is_meant: impl Fn(&Order) -> bool,
        now: Nanos,
        effects: &mut Effects,
    ) {
        if self.repeats {
            return;
        }
        let instruments = match instrument {
            Some(id) => id.index()..id.index() + 1,
            None => 0..self.state.instruments.len(),
        };
        for idx in instruments {
            let id = self.state.instruments[idx].id;
            // Sending a cancel ends no order, so the list stays as it is while it is walked.
            for n in 0..self.state.orders.n_working_of(id) {
                let order = self.state.orders.working_at(id, n);
                let (strategy, order_id) = (order.strategy, order.id);
                if order.is_in(scope) && !order.pending.cancel && is_meant(order) {
                    self.cancel(strategy, order_id, now, effects);
                }
            }
        }
    }

    fn place(
        &mut self,
        strategy: StrategyId,
        id: ClientOrderId,
        spec: &OrderSpec,
        now: Nanos,
        effects: &mut Effects,
    ) {
        self.roll_days(strategy, now);
        match risk::approve_new(&self.state, strategy, id, spec, Origin::Strategy, now) {
            Ok(approved) => {
                self.enter(approved.order, now);
                effects.push(Effect::Send(approved.request));
            }
            Err(reason) => self.refuse(strategy, id, reason, effects),
        }
    }

    fn replace(
        &mut self,
        strategy: StrategyId,
        id: ClientOrderId,
        price: Price,
        qty: Quantity,
        now: Nanos,
        effects: &mut Effects,
    ) {
        match risk::approve_replace(&self.state, strategy, id, price, qty, now) {
            Ok(request) => self.request(request, now, effects),
            Err(reason) => self.refuse(strategy, id, reason, effects),
        }
    }

    pub(super) fn cancel(
        &mut self,
        strategy: StrategyId,
        id: ClientOrderId,
        now: Nanos,
        effects: &mut Effects,
    ) {
        match risk::approve_cancel(&self.state, strategy, id) {
            Ok(request) => self.request(request, now, effects),
            Err(reason) => self.refuse(strategy, id, reason, effects),
        }
    }

    /// Records a request on a working order, then sends it.
    fn request(&mut self, request: Approved<OrderRequest>, now: Nanos, effects: &mut Effects) {
        if self.enter_request(&request, now) {
            effects.push(Effect::Send(request));
        }
    }

    /// Records a request on a working order; returns whether there is such an order.
    pub(super) fn enter_request(&mut self, request: &OrderRequest, now: Nanos) -> bool {
        let Some(before) = self.state.orders.get(request.id()).copied() else { return false };
        // Cancels count as well, on the day on which they are sent.
        self.roll_days(before.strategy, now);
        let mut after = before;
        let counted = match *request {
            OrderRequest::New { .. } => return false,
            OrderRequest::Replace { price, qty, .. } => {
                after.replace_sent(Replacement { price, qty });
                Counted::Replace
            }
            OrderRequest::Cancel { .. } => {
                after.cancel_sent();
                Counted::Cancel
            }
        };
        self.state.orders.update(&after);
        self.count(&after, counted, now);
        self.reserve(Some(&before), &after);
        true
    }

    pub(super) fn refuse(
        &mut self,
        strategy: StrategyId,
        order: ClientOrderId,
        reason: RiskReject,
        effects: &mut Effects,
    ) {
        effects.notice(Notice::RiskReject { strategy, order, reason });
        self.echoes.push_back(Echo { strategy, order, change: OrderChange::Refused(reason) });
    }

    fn remember(
        &mut self,
        strategy: StrategyId,
        key: Arc<str>,
        value: Value,
        effects: &mut Effects,
    ) {
        self.state.strategies[strategy.index()].remember(&key, &value);
        effects.push(Effect::Remember { strategy, key, value });
    }

    /// Enters an order that has been sent.
    pub(super) fn enter(&mut self, order: Order, now: Nanos) {
        self.state.orders.insert(order);
        self.count(&order, Counted::Order, now);
        self.reserve(None, &order);
    }

    /// Moves exposures and locked balances from what the order was to what it is.
    pub(super) fn reserve(&mut self, before: Option<&Order>, after: &Order) {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_planted(crate::sabotage::Bug::NothingReserved) {
            return;
        }
        let instrument = &self.state.instruments[after.spec.instrument.index()];
        let market = &self.state.markets[after.spec.instrument.index()];
        let account = &mut self.state.accounts[after.account.index()];
        let delta = after.exposed_qty().0 - before.map_or(0, |before| before.exposed_qty().0);
        let opened =
            i64::from(after.is_working()) - i64::from(before.is_some_and(Order::is_working));
        let price = after.spec.kind.limit_price().unwrap_or(after.reference_px);
        let strategy = &mut self.state.strategies[after.strategy.index()].scope;
        for scope in [strategy, &mut account.scope, &mut self.state.scope] {
            if delta != 0 {
                scope.change_open(instrument, market, after.spec.side, delta, price);
            }
            scope.open_orders = scope
                .open_orders
                .checked_add_signed(i32::try_from(opened).unwrap_or(0))
                .expect("an order ends once");
        }
        if let Some(asset) = instrument.locking_asset(after.spec.side) {
            let locked = risk::locked_by(after, instrument);
            let unlocked =
                before.map_or(crate::Notional::ZERO, |before| risk::locked_by(before, instrument));
            account.balances[asset.index()].locked += locked - unlocked;
        }
    }

    fn count(&mut self, order: &Order, counted: Counted, now: Nanos) {
        let account = &mut self.state.accounts[order.account.index()];
        let strategy = &mut self.state.strategies[order.strategy.index()].scope;
        for scope in [strategy, &mut account.scope, &mut self.state.scope] {
            match counted {
                Counted::Order => scope.count_order(now),
                Counted::Cancel => scope.today.cancels = scope.today.cancels.saturating_add(1),
                Counted::Replace => {
                    scope.count_order(now);
                    scope.today.cancels = scope.today.cancels.saturating_add(1);
                }
            }
        }
    }

    /// Begins the new UTC day in the scopes of a strategy.
    pub(super) fn roll_days(&mut self, strategy: StrategyId, now: Nanos) {
        if self.state.scope.today.number == now.day()
            && self.state.strategies[strategy.index()].scope.today.number == now.day()
        {
            return;
        }
        self.roll_all_days(now);
    }
}

/// What a sent request counts as.
#[derive(Clone, Copy)]
enum Counted {
    Order,
    Cancel,
    Replace,
}

impl Order {
    fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Strategy(id) => self.strategy == id,
            Scope::Account(id) => self.account == id,
            Scope::Engine => true,
        }
    }
}
