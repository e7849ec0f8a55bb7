//! Repeating what a journal says: how an engine's state comes back after its process died.

use std::sync::Arc;

use crate::effect::{Notice, StateCause};
use crate::engine::Engine;
use crate::engine::takeover::Takeover;
use crate::event::{Event, Scope};
use crate::ids::{ClientOrderId, StrategyId};
use crate::limits::{OnHalt, TradingState};
use crate::num::{Nanos, Price, Seq};
use crate::order::{ExecutionReport, OrderRequest, ReportKind};
use crate::orders::{Order, OrderState};
use crate::state::{Closing, Market, State};
use crate::timers::Timer;
use crate::value::Value;

/// A state that is brought forward by what a journal recorded after it.
///
/// Each recorded event is given to [`Recovery::event`], then each of its effects to the method of its
/// kind, in the order of the journal. No strategy is called and nothing is decided anew: orders, fills,
/// positions, balances, memory, timers and switches follow the record. Market data is not in a
/// journal, so books, bars and marks are those of the state that it began with; [`Recovery::finish`]
/// drops what must not be taken for current.
#[derive(Debug)]
pub struct Recovery {
    engine: Engine,
}

/// Why a record does not fit the state before it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecoveryError {
    /// An order was sent twice.
    #[error("order {0} was recorded twice")]
    Recurs(ClientOrderId),
    /// A request names an order that is not there.
    #[error("a request was recorded for order {0}, which is not working")]
    NoOrder(ClientOrderId),
    /// An id points nowhere.
    #[error("{what} {id} does not exist")]
    Dangling {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: u16,
    },
    /// Sequence numbers do not grow.
    #[error("entry {0} does not come after the one before it")]
    OutOfOrder(Seq),
    /// There are more orders than the table holds.
    #[error("there is no room for order {0}")]
    TableFull(ClientOrderId),
}

impl Recovery {
    /// Begins with a state.
    #[must_use]
    pub fn new(mut state: State) -> Self {
        state.make_room();
        let mut engine = Engine::assemble(state, Vec::new(), 1);
        engine.repeats = true;
        Self { engine }
    }

    /// Returns the state so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.engine.state
    }

    /// Takes a recorded event. What the engine would do of its own accord because of it is left to
    /// the record.
    ///
    /// # Errors
    ///
    /// If it does not fit what came before.
    pub fn event(&mut self, seq: Seq, now: Nanos, event: &Event) -> Result<(), RecoveryError> {
        if seq <= self.engine.last_seq {
            return Err(RecoveryError::OutOfOrder(seq));
        }
        self.check(event)?;
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_planted(crate::sabotage::Bug::TimerFiresAgain)
            && *event == Event::Timer
        {
            return Ok(());
        }
        let mut effects = Engine::effects();
        self.engine.handle(seq, now, event, &mut effects);
        Ok(())
    }

    /// Halts everything: what the record is known to lack ended so.
    pub fn halted(&mut self, now: Nanos) {
        self.engine.halt(Scope::Engine, StateCause::Command, now, &mut Engine::effects());
    }

    /// Takes a request that was recorded as sent.
    ///
    /// # Errors
    ///
    /// If it does not fit what came before.
    pub fn sent(&mut self, now: Nanos, request: &OrderRequest) -> Result<(), RecoveryError> {
        let id = request.id();
        let OrderRequest::New { account, strategy, spec, .. } = *request else {
            return if self.engine.state.orders.get(id).is_some_and(Order::is_working)
                && self.engine.enter_request(request, now)
            {
                Ok(())
            } else {
                Err(RecoveryError::NoOrder(id))
            };
        };
        let state = &self.engine.state;
        exists("account", account.0, state.accounts.len())?;
        exists("strategy", strategy.0, state.strategies.len())?;
        exists("instrument", spec.instrument.0, state.instruments.len())?;
        if state.orders.get(id).is_some() {
            return Err(RecoveryError::Recurs(id));
        }
        if !state.orders.has_room() {
            return Err(RecoveryError::TableFull(id));
        }
        // What risk valued it at is not recorded; of an order without a limit, the last price known.
        let market = &state.markets[spec.instrument.index()];
        let reference = market.reference().or(market.price_before).unwrap_or(Price(0));
        let price = spec.kind.limit_price().or_else(|| spec.kind.trigger()).unwrap_or(reference);
        self.engine.roll_days(strategy, now);
        self.engine.enter(Order::new(id, account, strategy, spec, now, price), now);
        Ok(())
    }

    /// Takes a value that was remembered.
    ///
    /// # Errors
    ///
    /// If there is no such strategy.
    pub fn remembered(
        &mut self,
        strategy: StrategyId,
        key: &Arc<str>,
        value: &Value,
    ) -> Result<(), RecoveryError> {
        self.has_strategy(strategy)?;
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_planted(crate::sabotage::Bug::MemoryIsLost) {
            return Ok(());
        }
        self.engine.state.strategies[strategy.index()].remember(key, value);
        Ok(())
    }

    /// Takes a timer that was set.
    ///
    /// # Errors
    ///
    /// If there is no such strategy.
    pub fn timer_set(&mut self, strategy: StrategyId, timer: Timer) -> Result<(), RecoveryError> {
        self.has_strategy(strategy)?;
        self.engine.state.strategies[strategy.index()].timers.set(timer);
        Ok(())
    }

    /// Takes a timer that was removed.
    ///
    /// # Errors
    ///
    /// If there is no such strategy.
    pub fn timer_canceled(
        &mut self,
        strategy: StrategyId,
        name: &str,
    ) -> Result<(), RecoveryError> {
        self.has_strategy(strategy)?;
        self.engine.state.strategies[strategy.index()].timers.cancel(name);
        Ok(())
    }

    /// Takes news: a fault ends a strategy, a tripped limit halts its scope or counts anew, funding is paid,
    /// a position that somebody else has changed is taken over.
    ///
    /// # Errors
    ///
    /// If it names a scope, strategy, account or instrument that does not exist.
    pub fn told(&mut self, notice: &Notice) -> Result<(), RecoveryError> {
        match notice {
            Notice::Fault { strategy, .. } => {
                self.has_strategy(*strategy)?;
                self.engine.state.strategies[strategy.index()].is_running = false;
            }
            Notice::State { scope, state, cause } => {
                self.has_scope(*scope)?;
                let scope = self.engine.scope_mut(*scope);
                scope.state = *state;
                scope.flattens &= *state == TradingState::Reducing;
                // What a command does with open orders, the command itself has said.
                if *cause != StateCause::Command {
                    scope.keeps_orders = scope.limits.on_halt == OnHalt::Keep;
                }
            }
            Notice::LossMarks { scope, pnl_open, pnl_max } => {
                self.has_scope(*scope)?;
                let scope = self.engine.scope_mut(*scope);
                (scope.today.pnl_open, scope.pnl_max) = (Some(*pnl_open), *pnl_max);
            }
            Notice::Funding { instrument, rate_e12, mark } => {
                exists("instrument", instrument.0, self.engine.state.instruments.len())?;
                self.engine.pay_funding(*instrument, *rate_e12, *mark);
            }
            Notice::PositionDiffers { account, instrument, is, entry, at, .. } => {
                exists("account", account.0, self.engine.state.accounts.len())?;
                exists("instrument", instrument.0, self.engine.state.instruments.len())?;
                let change = Takeover {
                    account: *account,
                    instrument: *instrument,
                    qty: *is,
                    entry: *entry,
                    at: *at,
                };
                self.engine.take_over(&change, &mut Engine::effects());
            }
            Notice::PositionTaken { .. }
            | Notice::Log { .. }
            | Notice::NamePlot { .. }
            | Notice::Draw { .. }
            | Notice::Mark { .. }
            | Notice::RiskReject { .. }
            | Notice::BookStale { .. }
            | Notice::ReportRefused { .. } => {}
        }
        Ok(())
    }

    /// Ends the record. Orders whose last request was never answered are left
    /// [`OrderState::Unknown`] if they were new: only the venue can say what became of them. Books,
    /// prices and bars are dropped, because what happened meanwhile is not known; strategies stand
    /// still until they are started.
    #[must_use]
    pub fn finish(mut self, now: Nanos) -> State {
        let unanswered: Vec<_> = self
            .engine
            .state
            .orders
            .all_working()
            .filter(|order| order.state == OrderState::PendingNew)
            .map(|order| (order.id, order.account, order.spec.instrument))
            .collect();
        let mut effects = Engine::effects();
        for (order, account, instrument) in unanswered {
            let report = ExecutionReport {
                order,
                account,
                instrument,
                venue_at: now,
                received_at: now,
                kind: ReportKind::Unknown,
            };
            self.engine.on_report(now, &report, &mut effects);
        }
        self.engine.state.markets.iter_mut().for_each(Market::forget_prices);
        // Without prices: what a day began with is known once all that is held has one.
        self.engine.roll_all_days(now);
        let mut state = self.engine.state;
        // What a flatten had under way is asked for again once the venue has been compared.
        let at = if state.flattens_any() { now } else { Closing::NEVER };
        state.closing = Closing { at, pause_ns: 0 };
        for series in &mut state.series {
            series.clear();
        }
        for strategy in &mut state.strategies {
            strategy.is_running = false;
        }
        state
    }

    /// Makes sure that nothing in an event points nowhere: a journal may be of another machine.
    fn check(&self, event: &Event) -> Result<(), RecoveryError> {
        use crate::event::{AccountItem, Command};
        let state = &self.engine.state;
        match event {
            Event::Market(market) => {
                exists("instrument", market.instrument.0, state.instruments.len())
            }
            Event::Account(update) => {
                exists("account", update.account.0, state.accounts.len())?;
                if let AccountItem::Position { instrument, .. } = update.item {
                    return exists("instrument", instrument.0, state.instruments.len());
                }
                let AccountItem::Order(adoption) = update.item else { return Ok(()) };
                let instrument = adoption.spec.instrument;
                exists("instrument", instrument.0, state.instruments.len())?;
                self.has_strategy(adoption.strategy)
            }
            Event::Signal(signal) => self.has_strategy(signal.strategy),
            Event::Command(command) => match command {
                Command::Start(id) | Command::Stop(id) | Command::SetParams(id, _) => {
                    self.has_strategy(*id)
                }
                Command::Resume(scope)
                | Command::Reduce(scope)
                | Command::Kill(scope)
                | Command::Halt(scope)
                | Command::Flatten(scope)
                | Command::SetLimits(scope, _) => self.has_scope(*scope),
            },
            Event::Execution(_) | Event::Link(_) | Event::Timer => Ok(()),
        }
    }

    fn has_strategy(&self, id: StrategyId) -> Result<(), RecoveryError> {
        exists("strategy", id.0, self.engine.state.strategies.len())
    }

    fn has_scope(&self, scope: Scope) -> Result<(), RecoveryError> {
        match scope {
            Scope::Strategy(id) => self.has_strategy(id),
            Scope::Account(id) => exists("account", id.0, self.engine.state.accounts.len()),
            Scope::Engine => Ok(()),
        }
    }
}

fn exists(what: &'static str, id: u16, count: usize) -> Result<(), RecoveryError> {
    if usize::from(id) < count { Ok(()) } else { Err(RecoveryError::Dangling { what, id }) }
}
