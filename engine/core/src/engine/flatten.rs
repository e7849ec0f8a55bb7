//! Flatten: until nothing is held, whatever comes in between.
//!
//! What may stand in the way of a closing order passes, or is waited for: an order of ours at the touch, a
//! book without a market, a pace that is reached, a venue that refuses. Each is tried again, by itself once
//! something has filled or ended, and else after a pause that grows. What can never be closed is dust: less
//! than the venue takes, or, on spot, more than is left after a fee was paid in what was bought.

use crate::effect::{Effect, Effects, StateCause};
use crate::engine::{Engine, strategy_id};
use crate::event::Scope;
use crate::ids::{InstrumentId, StrategyId};
use crate::limits::TradingState;
use crate::num::{Nanos, Quantity, Side};
use crate::order::OrderSpec;
use crate::orders::Order;
use crate::risk::{self, Origin};
use crate::state::{Closing, State};

/// The first pause before a closing order that was refused is tried again.
const PAUSE_NS: i64 = 250 * Nanos::MILLI;
/// The longest one after a refusal of our own: what is in the way may go at any time.
const OWN_PAUSE_NS: i64 = Nanos::SECOND;
/// The longest one after a refusal of the venue.
const VENUE_PAUSE_NS: i64 = 30 * Nanos::SECOND;

impl Engine {
    /// Cancels the scope's orders, lets it only reduce, and closes what its strategies hold. What they
    /// come to hold after that, because an order filled before its cancel came, is closed as well.
    pub(super) fn flatten(&mut self, scope: Scope, now: Nanos, effects: &mut Effects) {
        self.cancel_those(scope, None, |order| !order.closes(), now, effects);
        self.switch(scope, TradingState::Reducing, StateCause::Command, effects);
        self.scope_mut(scope).flattens = true;
        self.state.closing = Closing::default();
        self.close_all(now, effects);
        self.refresh_deadline();
    }

    /// Goes on closing what is held where an order was, by all of its account that are to hold nothing: the
    /// order has filled, or stood in the way and is over.
    pub(super) fn go_on_flattening(&mut self, order: &Order, now: Nanos, effects: &mut Effects) {
        if !self.state.flattens_any() {
            return;
        }
        for idx in 0..self.state.strategies.len() {
            if self.state.strategies[idx].account == order.account {
                self.close_position(strategy_id(idx), order.spec.instrument, now, effects);
            }
        }
        self.refresh_deadline();
    }

    /// Tries again what was refused, if it is time.
    pub(super) fn close_what_is_left(&mut self, now: Nanos, effects: &mut Effects) {
        if self.state.closing.at > now || self.repeats {
            return;
        }
        self.state.closing.at = Closing::NEVER;
        self.close_all(now, effects);
    }

    /// A closing order has filled: the way is free, and what is refused next is tried again soon.
    pub(super) const fn closing_succeeds(&mut self) {
        self.state.closing.pause_ns = 0;
    }

    /// A closing order has ended with nothing filled: the venue would do the same again at once.
    pub(super) fn close_later(&mut self, now: Nanos) {
        self.state.closing.wait(now, VENUE_PAUSE_NS);
        self.refresh_deadline();
    }

    fn close_all(&mut self, now: Nanos, effects: &mut Effects) {
        for idx in 0..self.state.strategies.len() {
            for n in 0..self.state.instruments.len() {
                self.close_position(strategy_id(idx), self.state.instruments[n].id, now, effects);
            }
        }
    }

    /// Closes what a strategy that is to hold nothing holds of an instrument and no order is about to close.
    fn close_position(
        &mut self,
        id: StrategyId,
        instrument: InstrumentId,
        now: Nanos,
        effects: &mut Effects,
    ) {
        if self.repeats || !self.state.flattens(id) {
            return;
        }
        let Some(spec) = self.state.closing_order(id, instrument) else { return };
        self.roll_days(id, now);
        let order_id = self.state.next_order_id;
        match risk::approve_new(&self.state, id, order_id, &spec, Origin::Flatten, now) {
            Ok(approved) => {
                self.state.next_order_id = order_id.plus(1);
                self.enter(approved.order, now);
                effects.push(Effect::Send(approved.request));
            }
            // Told when the pause grows, so a few times: then it is known.
            Err(reason) if self.state.closing.wait(now, OWN_PAUSE_NS) => {
                self.state.next_order_id = order_id.plus(1);
                self.refuse(id, order_id, reason, effects);
            }
            Err(_) => {}
        }
    }
}

impl Closing {
    /// Waits for longer than the last time, but no longer than this, unless it waits already. Returns whether
    /// the pause is another than the last one.
    fn wait(&mut self, now: Nanos, pause_ns_max: i64) -> bool {
        if self.at != Self::NEVER {
            return false;
        }
        let pause_ns = match self.pause_ns {
            0 => PAUSE_NS,
            last => last.saturating_mul(2).min(pause_ns_max).max(PAUSE_NS),
        };
        self.at = now.plus(pause_ns);
        let differs = pause_ns != self.pause_ns;
        self.pause_ns = pause_ns;
        differs
    }
}

impl State {
    /// Returns whether a strategy is to hold nothing: a flatten of its own, of its account or of the engine
    /// goes on.
    #[must_use]
    pub fn flattens(&self, id: StrategyId) -> bool {
        let own = &self.strategies[id.index()];
        let account = &self.accounts[own.account.index()].scope;
        [&own.scope, account, &self.scope].iter().any(|scope| scope.flattens)
    }

    /// Returns the scope whose halt keeps a strategy's orders from leaving, if there is one. What closes a
    /// position for a flatten leaves in spite of halts at or below what is flattened.
    #[must_use]
    pub fn halted_by(&self, id: StrategyId, closes: bool) -> Option<Scope> {
        let own = &self.strategies[id.index()];
        let account = &self.accounts[own.account.index()].scope;
        let mut is_flattened = false;
        let halting = [&self.scope, account, &own.scope].into_iter().find(|scope| {
            is_flattened |= scope.flattens;
            scope.state == TradingState::Halted && !(is_flattened && closes)
        });
        halting.map(|scope| scope.id)
    }

    /// Returns whether anything is to be flat.
    #[must_use]
    pub fn flattens_any(&self) -> bool {
        self.scope.flattens
            || self.accounts.iter().any(|account| account.scope.flattens)
            || self.strategies.iter().any(|strategy| strategy.scope.flattens)
    }

    /// Returns the order that closes what a strategy holds of an instrument and no order is about to close,
    /// or as much of it as one order may; `None` if nothing is left that could be closed.
    #[must_use]
    pub fn closing_order(&self, id: StrategyId, instrument: InstrumentId) -> Option<OrderSpec> {
        let held = self.strategies[id.index()].scope.positions[instrument.index()].qty;
        if held.is_zero() {
            return None;
        }
        let closing = self.orders.working(instrument);
        let closing = closing.filter(|order| order.strategy == id && order.closes());
        let under_way: i64 = closing.map(|order| order.leaves().0 * order.spec.side.sign()).sum();
        let rest = held.0.saturating_add(under_way);
        if rest == 0 || rest.signum() != held.0.signum() {
            return None;
        }
        let side = if rest > 0 { Side::Sell } else { Side::Buy };
        let qty = risk::closable(self, id, instrument, side, Quantity(rest.saturating_abs()))?;
        Some(OrderSpec { reduce_only: true, ..OrderSpec::market(instrument, side, qty) })
    }
}
