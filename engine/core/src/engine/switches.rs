//! Kill switch, loss limits and commands.

use crate::effect::{Effects, Notice, StateCause};
use crate::engine::Engine;
use crate::event::{Command, Scope};
use crate::instrument::Instrument;
use crate::limits::{OnHalt, RiskLimits, TradingState};
use crate::num::Nanos;
use crate::scope::ScopeState;
use crate::state::Market;
use crate::strategy::StrategyEvent;

impl Engine {
    #[inline(never)]
    pub(super) fn on_command(&mut self, command: &Command, now: Nanos, effects: &mut Effects) {
        match command {
            Command::Start(id) => {
                self.state.strategies[id.index()].is_running = true;
                self.call(*id, &StrategyEvent::Start, now, effects);
            }
            Command::Stop(id) => {
                self.call(*id, &StrategyEvent::Stop, now, effects);
                self.state.strategies[id.index()].is_running = false;
            }
            Command::Resume(scope) => {
                // Without a new mark the limit that tripped would trip again at once.
                self.renew_loss_marks(*scope, effects);
                self.switch(*scope, TradingState::Active, StateCause::Command, effects);
                // What a flatten below it has left can be closed now.
                if self.state.flattens_any() {
                    self.state.closing.at = now;
                    self.refresh_deadline();
                }
            }
            // Only a resume loosens a kill.
            Command::Reduce(scope) if self.scope(*scope).state == TradingState::Halted => {}
            Command::Reduce(scope) => {
                self.switch(*scope, TradingState::Reducing, StateCause::Command, effects);
            }
            Command::Kill(scope) => {
                self.switch(*scope, TradingState::Halted, StateCause::Command, effects);
                self.scope_mut(*scope).keeps_orders = false;
                #[cfg(feature = "sabotage")]
                if crate::sabotage::is_planted(crate::sabotage::Bug::KillForgetsCancels) {
                    return;
                }
                self.cancel_all(*scope, None, now, effects);
            }
            Command::Halt(scope) => self.halt(*scope, StateCause::Command, now, effects),
            Command::Flatten(scope) => self.flatten(*scope, now, effects),
            Command::SetParams(id, values) => {
                self.call(*id, &StrategyEvent::Params(values), now, effects);
            }
            Command::SetLimits(scope, limits) => {
                self.scope_mut(*scope).set_limits(RiskLimits::clone(limits));
                self.refresh_watch();
                self.watch_losses(now, effects);
            }
        }
    }

    /// Trips the kill switch of every scope whose loss or drawdown has reached its limit.
    ///
    /// O(scopes × instruments) while any such limit is set, else O(1).
    #[inline]
    pub(super) fn watch_losses(&mut self, now: Nanos, effects: &mut Effects) {
        if self.watches_losses && !self.repeats {
            self.check_losses(now, effects);
        }
    }

    #[inline(never)]
    fn check_losses(&mut self, now: Nanos, effects: &mut Effects) {
        self.roll_all_days(now);
        let state = &mut self.state;
        let (instruments, markets) = (&state.instruments, &state.markets);
        let all = state.scope.flattens;
        let mut tripped = false;
        let mut watch = |scope: &mut ScopeState, is_below: bool| {
            tripped |= scope.trip(is_below, instruments, markets, effects);
        };
        for strategy in &mut state.strategies {
            let is_below = all || state.accounts[strategy.account.index()].scope.flattens;
            watch(&mut strategy.scope, is_below);
        }
        for account in &mut state.accounts {
            watch(&mut account.scope, all);
        }
        watch(&mut state.scope, false);
        if tripped {
            self.cancel_halted(now, effects);
        }
    }

    pub(super) fn roll_all_days(&mut self, now: Nanos) {
        let state = &mut self.state;
        let (instruments, markets) = (&state.instruments, &state.markets);
        let strategies = state.strategies.iter_mut().map(|strategy| &mut strategy.scope);
        let accounts = state.accounts.iter_mut().map(|account| &mut account.scope);
        for scope in strategies.chain(accounts).chain([&mut state.scope]) {
            scope.roll_day(now, |scope| scope.priced_pnl(instruments, markets));
        }
    }

    pub(super) fn refresh_watch(&mut self) {
        let state = &self.state;
        let strategies = state.strategies.iter().map(|strategy| &strategy.scope);
        let accounts = state.accounts.iter().map(|account| &account.scope);
        self.watches_losses = strategies
            .chain(accounts)
            .chain([&state.scope])
            .any(|scope| scope.limits.daily_loss.is_some() || scope.limits.drawdown.is_some());
    }

    /// Halts a scope that trades, and cancels its orders unless its limits say that they stay.
    pub(super) fn halt(&mut self, id: Scope, cause: StateCause, now: Nanos, effects: &mut Effects) {
        let scope = self.scope_mut(id);
        if scope.state == TradingState::Halted {
            return;
        }
        scope.keeps_orders = scope.limits.on_halt == OnHalt::Keep;
        let cancels = !scope.keeps_orders;
        self.switch(id, TradingState::Halted, cause, effects);
        if cancels {
            self.cancel_all(id, None, now, effects);
        }
    }

    pub(super) fn switch(
        &mut self,
        id: Scope,
        state: TradingState,
        cause: StateCause,
        effects: &mut Effects,
    ) {
        let scope = self.scope_mut(id);
        if scope.state != state {
            scope.state = state;
            scope.keeps_orders &= state == TradingState::Halted;
            scope.flattens &= state == TradingState::Reducing;
            effects.notice(Notice::State { scope: id, state, cause });
        }
    }

    fn cancel_halted(&mut self, now: Nanos, effects: &mut Effects) {
        let state = &self.state;
        let strategies = state.strategies.iter().map(|strategy| &strategy.scope);
        let accounts = state.accounts.iter().map(|account| &account.scope);
        let halted: Vec<_> = strategies
            .chain(accounts)
            .chain([&state.scope])
            .filter(|scope| scope.withdraws_orders() && scope.open_orders > 0)
            .map(|scope| scope.id)
            .collect();
        for scope in halted {
            self.cancel_all(scope, None, now, effects);
        }
    }

    /// Lets limits that would trip again at once count from here on. A record tells of it, for it has
    /// no prices to find out.
    fn renew_loss_marks(&mut self, id: Scope, effects: &mut Effects) {
        if self.repeats {
            return;
        }
        let pnl = self.scope(id).priced_pnl(&self.state.instruments, &self.state.markets);
        let Some(pnl) = pnl else { return };
        let scope = self.scope_mut(id);
        if scope.renew_reached_marks(pnl) {
            let (pnl_open, pnl_max) = (scope.today.pnl_open.unwrap_or(pnl), scope.pnl_max);
            effects.notice(Notice::LossMarks { scope: id, pnl_open, pnl_max });
        }
    }

    fn scope(&self, id: Scope) -> &ScopeState {
        match id {
            Scope::Strategy(id) => &self.state.strategies[id.index()].scope,
            Scope::Account(id) => &self.state.accounts[id.index()].scope,
            Scope::Engine => &self.state.scope,
        }
    }

    pub(super) fn scope_mut(&mut self, id: Scope) -> &mut ScopeState {
        match id {
            Scope::Strategy(id) => &mut self.state.strategies[id.index()].scope,
            Scope::Account(id) => &mut self.state.accounts[id.index()].scope,
            Scope::Engine => &mut self.state.scope,
        }
    }
}

impl ScopeState {
    /// Looks at profit and loss, and halts the scope if a limit is reached; returns whether it is.
    /// `is_below` says whether a scope that it lies in is being flattened.
    fn trip(
        &mut self,
        is_below: bool,
        instruments: &[Instrument],
        markets: &[Market],
        effects: &mut Effects,
    ) -> bool {
        // What has no price yet would count as worth nothing: a loss, or one that is hidden.
        let Some(pnl) = self.priced_pnl(instruments, markets) else { return false };
        self.pnl_max = self.pnl_max.max(pnl);
        // What is being flattened can only shrink: to halt it would leave it with what it holds.
        if self.state == TradingState::Halted || self.flattens || is_below {
            return false;
        }
        let Some(cause) = self.reached_loss(pnl) else { return false };
        self.state = TradingState::Halted;
        self.keeps_orders = self.limits.on_halt == OnHalt::Keep;
        effects.notice(Notice::State { scope: self.id, state: self.state, cause });
        true
    }
}
