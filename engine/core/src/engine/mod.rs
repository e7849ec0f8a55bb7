//! The engine: takes events one by one, keeps the state, calls the strategies, emits effects.
//!
//! This file routes; `markets.rs` takes market data, `reports.rs` execution reports and account
//! news, `takeover.rs` positions that somebody else has changed, `adopt.rs` orders of other origin,
//! `intents.rs` turns wishes into approved requests, `switches.rs` holds kill switch, loss limits and
//! commands, `flatten.rs` what closes positions, `recovery.rs` what a restart repeats from a journal,
//! `replace.rs` the change of a strategy for another version.

mod adopt;
mod build;
mod flatten;
mod intents;
mod markets;
mod recovery;
mod replace;
mod reports;
mod switches;
mod takeover;

pub use recovery::{Recovery, RecoveryError};
pub use replace::StrategyPlace;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::effect::{Effects, Notice};
use crate::event::{Event, Scope};
use crate::ids::{ClientOrderId, StrategyId};
use crate::intent::Intents;
use crate::num::{Nanos, Seq};
use crate::state::State;
use crate::strategy::{OrderChange, Strategy, StrategyEvent, StrategyFault};
use crate::view::View;

/// The trading engine. One thread owns it.
pub struct Engine {
    state: State,
    strategies: Vec<Box<dyn Strategy>>,
    intents: Intents,
    /// News for strategies that came up while one was being called. Empty between events, unless
    /// refusals breed refusals beyond [`MAX_ECHOES`].
    echoes: VecDeque<Echo>,
    /// Whether any scope has a loss or drawdown limit: else profit is computed only when asked for.
    watches_losses: bool,
    /// Timers of the strategy being called that are still to fire. Empty between events.
    due: VecDeque<Arc<str>>,
    /// [`State::next_deadline`], kept current.
    deadline: Option<Nanos>,
    last_seq: Seq,
    /// Whether it repeats what a journal says instead of deciding: then nothing of its own accord
    /// is sent and no limit trips.
    repeats: bool,
}

/// A refusal on its way to the strategy that caused it.
#[derive(Clone, Copy, Debug)]
struct Echo {
    strategy: StrategyId,
    order: ClientOrderId,
    change: OrderChange,
}

/// Refusals told to strategies within one event; a strategy that answers each refusal with another
/// refused order hears of the rest with the next event.
const MAX_ECHOES: usize = 64;

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Engine {
    /// Takes one event and appends what is to be done to `effects`.
    ///
    /// `seq` must grow from call to call; `now` is the engine's time of the event and is never
    /// compared with anything but itself. After warm-up no memory is allocated, apart from what
    /// strategies, notices and limits of commands carry.
    ///
    /// # Panics
    ///
    /// If `seq` does not grow: the caller's log would be ambiguous.
    pub fn handle(&mut self, seq: Seq, now: Nanos, event: &Event, effects: &mut Effects) {
        assert!(seq > self.last_seq || self.last_seq == Seq(0), "sequence numbers grow");
        self.last_seq = seq;
        match event {
            Event::Market(market) => self.on_market(now, market, effects),
            Event::Execution(report) => self.on_report(now, report, effects),
            Event::Account(update) => self.on_account(now, update, effects),
            Event::Link(link) => self.on_link(*link, effects),
            Event::Timer => self.on_time(now, effects),
            Event::Signal(signal) => {
                self.call(signal.strategy, &StrategyEvent::Signal(signal), now, effects);
            }
            Event::Command(command) => self.on_command(command, now, effects),
        }
        if !self.echoes.is_empty() {
            self.deliver_echoes(now, effects);
        }
    }

    /// Returns when the engine wants an [`Event::Timer`] next.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Nanos> {
        self.deadline
    }

    /// Returns what the engine knows.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Returns a copy of what the engine knows, from which [`Engine::restore`] goes on.
    #[must_use]
    pub fn snapshot(&self) -> State {
        self.state.clone()
    }

    /// Returns the digest of the state: equal for two runs that took the same events.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        self.state.hash()
    }

    /// Calls a strategy and turns its intents into effects.
    #[inline]
    fn call(
        &mut self,
        id: StrategyId,
        event: &StrategyEvent<'_>,
        now: Nanos,
        effects: &mut Effects,
    ) {
        let Some(strategy) = self.strategies.get_mut(id.index()) else { return };
        if !self.state.strategies[id.index()].is_running {
            return;
        }
        self.intents.begin(self.state.next_order_id);
        let view = View::new(&self.state, id, now);
        match strategy.on_event(event, &view, &mut self.intents) {
            Ok(()) if self.intents.is_empty() => {}
            Ok(()) => self.take_intents(id, now, effects),
            Err(fault) => self.disable(id, fault, now, effects),
        }
    }

    #[cold]
    fn disable(&mut self, id: StrategyId, fault: StrategyFault, now: Nanos, effects: &mut Effects) {
        effects.notice(Notice::Fault { strategy: id, fault });
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_planted(crate::sabotage::Bug::FaultIsForgiven) {
            return;
        }
        self.state.strategies[id.index()].is_running = false;
        self.cancel_all(Scope::Strategy(id), None, now, effects);
    }

    #[inline(never)]
    fn deliver_echoes(&mut self, now: Nanos, effects: &mut Effects) {
        for _ in 0..MAX_ECHOES {
            let Some(Echo { strategy, order, change }) = self.echoes.pop_front() else { return };
            self.call(strategy, &StrategyEvent::Order { order, change }, now, effects);
        }
    }

    #[inline(never)]
    fn on_time(&mut self, now: Nanos, effects: &mut Effects) {
        self.close_due_bars(now, effects);
        // Before any strategy is called: numbers of orders that follow its call are its own.
        self.close_what_is_left(now, effects);
        for idx in 0..self.state.strategies.len() {
            let id = strategy_id(idx);
            // All are taken before any is called for: a timer that sets itself anew for a time that
            // has passed would fire for ever, and a record of what was set could not be repeated.
            let timers = &mut self.state.strategies[idx].timers;
            self.due.extend(std::iter::from_fn(|| timers.take_due(now)));
            while let Some(name) = self.due.pop_front() {
                self.call(id, &StrategyEvent::Timer { name: &name }, now, effects);
            }
        }
        self.refresh_deadline();
    }

    fn refresh_deadline(&mut self) {
        self.deadline = self.state.next_deadline();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the engine is built with 16-bit ids")]
const fn strategy_id(idx: usize) -> StrategyId {
    StrategyId(idx as u16)
}
