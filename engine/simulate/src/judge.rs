//! The judge: sees everything that goes into the engine and comes out, and holds it to its promises.

use std::collections::VecDeque;

use tercel_core::{
    AccountId, Command, Digest, Effect, Engine, Event, FaultKind, MarketData, Nanos, Notice,
    OrderKind, OrderRequest, OrderSpec, ReportKind, Scope, Seq, StrategyId, TradingState,
};
use tercel_testkit::check_sums;

use crate::counts::Counts;
use crate::desk::{Call, Entry};
use crate::fault::Fault;
use crate::invariant::{Checked, Invariant, Violation};
use crate::ledger::{Move, Told};
use crate::listing::{N_ACCOUNTS, N_STRATEGIES, PERPETUAL, SPOT, account_of};
use crate::market::Shown;
use crate::net::Net;
use crate::plan::Plan;

/// What the judge knows.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) told: Told,
    pub(crate) shown: Shown,
    pub(crate) checks: Counts<Invariant>,
    pub(crate) digest: Digest,
    pub(crate) n_events: u64,
    /// The process's last event.
    pub(crate) seq: Seq,
    now: Nanos,
    /// Whether each strategy is to be called.
    pub(crate) running: [bool; N_STRATEGIES],
    /// Kills that no resume has ended: of each strategy, each account, everything.
    killed: Killed,
    /// The same before the running cycle.
    killed_before: Killed,
    /// What is being flattened: what closes may leave, whatever lies below is killed.
    flattened: Killed,
    /// When orders and replaces were approved.
    paced: VecDeque<Nanos>,
    /// New orders that have left since they were last counted.
    pub(crate) n_new: u64,
    /// The same, by strategy, of those that the venue has taken.
    pub(crate) accepted: [u64; N_STRATEGIES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Killed {
    strategies: [bool; N_STRATEGIES],
    accounts: [bool; N_ACCOUNTS],
    engine: bool,
}

impl Killed {
    const fn of(&mut self, scope: Scope) -> &mut bool {
        match scope {
            Scope::Strategy(id) => &mut self.strategies[id.index()],
            Scope::Account(id) => &mut self.accounts[id.index()],
            Scope::Engine => &mut self.engine,
        }
    }

    const fn concerns(&self, strategy: StrategyId) -> bool {
        self.engine
            || self.strategies[strategy.index()]
            || self.accounts[account_of(strategy).index()]
    }
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self {
            told: Told::default(),
            shown: Shown::default(),
            checks: Counts::default(),
            digest: Digest::new(),
            n_events: 0,
            seq: Seq(0),
            now: Nanos(i64::MIN),
            running: [false; N_STRATEGIES],
            killed: Killed::default(),
            killed_before: Killed::default(),
            flattened: Killed::default(),
            paced: VecDeque::new(),
            n_new: 0,
            accepted: [0; N_STRATEGIES],
        }
    }

    /// Checks something and counts that.
    pub(crate) fn hold(
        &mut self,
        invariant: Invariant,
        holds: bool,
        tell: impl FnOnce() -> (String, String),
    ) -> Checked {
        self.checks.count(invariant);
        if holds {
            return Ok(());
        }
        let (expected, found) = tell();
        Err(Violation::new(invariant, expected, found))
    }

    /// A process begins, with this state.
    pub(crate) fn restart(&mut self, engine: &Engine, at: Nanos) {
        let state = engine.state();
        (self.seq, self.now) = (Seq(0), at);
        self.running = [false; N_STRATEGIES];
        self.paced.clear();
        self.shown.restart([state.markets[0].mark, state.markets[1].mark]);
        let is_halted = |state: TradingState| state == TradingState::Halted;
        for (own, strategy) in self.killed.strategies.iter_mut().zip(&state.strategies) {
            *own = is_halted(strategy.scope.state);
        }
        for (own, account) in self.killed.accounts.iter_mut().zip(&state.accounts) {
            *own = is_halted(account.scope.state);
        }
        self.killed.engine = is_halted(state.scope.state);
        self.killed_before = self.killed;
        for (own, strategy) in self.flattened.strategies.iter_mut().zip(&state.strategies) {
            *own = strategy.scope.flattens;
        }
        for (own, account) in self.flattened.accounts.iter_mut().zip(&state.accounts) {
            *own = account.scope.flattens;
        }
        self.flattened.engine = state.scope.flattens;
    }

    /// Returns whether a kill, by these switches, holds an order back.
    fn is_held_back(&self, killed: &Killed, strategy: StrategyId, spec: &OrderSpec) -> bool {
        let account = account_of(strategy).index();
        let closes = spec.reduce_only && spec.kind == OrderKind::Market;
        let mut is_flattened = false;
        [
            (killed.engine, self.flattened.engine),
            (killed.accounts[account], self.flattened.accounts[account]),
            (killed.strategies[strategy.index()], self.flattened.strategies[strategy.index()]),
        ]
        .into_iter()
        .any(|(killed, flattened)| {
            is_flattened |= flattened;
            killed && !(is_flattened && closes)
        })
    }

    /// Takes what went through the engine.
    pub(crate) fn entry(
        &mut self,
        entry: &Entry,
        net: &Net,
        plan: &Plan,
        counts: &mut Counts<Fault>,
    ) -> Checked {
        let Entry { seq, now, event, effects, calls, .. } = entry;
        self.n_events += 1;
        let (last, before) = (self.seq, self.now);
        self.hold(Invariant::NoLoss, seq.0 == last.0 + 1, || {
            (format!("event {}", last.0 + 1), format!("event {seq}"))
        })?;
        self.hold(Invariant::Time, *now >= before, || {
            (format!("a time from {} on", before.0), now.0.to_string())
        })?;
        (self.seq, self.now) = (*seq, *now);
        self.digest.u64(seq.0);
        self.digest.i64(now.0);
        self.digest.u64(effects.len() as u64);
        let stale_before = [self.shown.is_stale(PERPETUAL), self.shown.is_stale(SPOT)];
        self.shown.take(event);
        for call in calls {
            let (is_stale, id) = match call {
                Call::Level(id) => (stale_before[id.index()], id),
                Call::Market(id) => (self.shown.is_stale(*id), id),
                Call::Other => continue,
            };
            self.hold(Invariant::StaleBook, !is_stale, || {
                let found =
                    format!("a call for market data of instrument {id}, whose book is stale");
                ("no call".to_owned(), found)
            })?;
        }
        self.take_event(*seq, event, net, counts);
        for effect in effects {
            match effect {
                Effect::Send(request) => self.approved(request, *now, net, plan)?,
                Effect::Notice(notice) => self.notice(notice, event, counts),
                _ => {}
            }
        }
        Ok(())
    }

    fn take_event(&mut self, seq: Seq, event: &Event, net: &Net, counts: &mut Counts<Fault>) {
        match event {
            Event::Execution(report) => match &report.kind {
                ReportKind::Fill(fill) => {
                    if let Some(booked) = net.venue.booked(report.order, *fill) {
                        self.told.take(seq, Move::Fill(booked));
                    }
                }
                ReportKind::Accepted { .. } => {
                    if let Some(truth) = net.venue.order(report.order) {
                        self.accepted[truth.strategy.index()] += 1;
                    }
                }
                _ => {}
            },
            Event::Market(market) => {
                if let MarketData::Funding { rate_e12 } = market.data
                    && let Some(mark) = self.shown.mark(market.instrument)
                {
                    self.told.take(seq, Move::Funding { mark, rate_e12 });
                }
            }
            Event::Command(command) => match command {
                Command::Start(id) => self.running[id.index()] = true,
                Command::Kill(scope) => {
                    *self.killed.of(*scope) = true;
                    counts.count(Fault::Kill);
                }
                Command::Resume(scope) => {
                    self.loosened(*scope);
                    counts.count(Fault::Resume);
                }
                Command::Flatten(scope) => {
                    self.loosened(*scope);
                    *self.flattened.of(*scope) = true;
                    counts.count(Fault::Flatten);
                }
                Command::Reduce(_) => counts.count(Fault::Pause),
                Command::SetParams(..) => counts.count(Fault::SetParams),
                // A halt tells of itself by a notice.
                Command::Stop(_) | Command::SetLimits(..) | Command::Halt(_) => {}
            },
            Event::Account(_) | Event::Link(_) | Event::Timer | Event::Signal(_) => {}
        }
        if let Event::Command(Command::Stop(id)) = event {
            self.running[id.index()] = false;
        }
    }

    /// A kill is over: what left in this cycle may have left after that, even if the scope has been
    /// halted anew since.
    const fn loosened(&mut self, scope: Scope) {
        *self.killed.of(scope) = false;
        *self.killed_before.of(scope) = false;
    }

    /// Takes a request that risk has approved.
    fn approved(&mut self, request: &OrderRequest, now: Nanos, net: &Net, plan: &Plan) -> Checked {
        self.digest.u64(request.id().0);
        let (strategy, instrument) = match *request {
            OrderRequest::Cancel { .. } => return Ok(()),
            OrderRequest::New { strategy, spec, .. } => (Some(strategy), spec.instrument),
            OrderRequest::Replace { id, instrument, .. } => {
                (net.venue.order(id).map(|truth| truth.strategy), instrument)
            }
        };
        let is_live = self.shown.is_live(instrument);
        self.hold(Invariant::StaleBook, is_live, || {
            let found =
                format!("{request:?} while the book of instrument {instrument} is not live");
            ("no order".to_owned(), found)
        })?;
        if let Some(strategy) = strategy {
            let is_killed = match request {
                OrderRequest::New { spec, .. } => self.is_held_back(&self.killed, strategy, spec),
                _ => self.killed.concerns(strategy),
            };
            self.hold(Invariant::KillSwitch, !is_killed, || {
                ("no order after a kill".to_owned(), format!("{request:?}"))
            })?;
            // A flatten orders in the name of whoever holds.
            let is_flatten = matches!(request, OrderRequest::New { spec, .. } if spec.reduce_only);
            let may_order = self.running[strategy.index()] || is_flatten;
            self.hold(Invariant::BadScript, may_order, || {
                ("no order of a strategy that is stopped".to_owned(), format!("{request:?}"))
            })?;
        }
        let most = usize::try_from(plan.orders_per_second).unwrap_or(usize::MAX);
        let oldest = if self.paced.len() >= most { self.paced.pop_front() } else { None };
        self.paced.push_back(now);
        let is_paced = oldest.is_none_or(|at| now.since(at) >= Nanos::SECOND);
        self.hold(Invariant::Limits, is_paced, || {
            let expected = format!("at most {most} orders in a second");
            (expected, format!("{most} more within {} ns", now.since(oldest.unwrap_or(now))))
        })
    }

    fn notice(&mut self, notice: &Notice, event: &Event, counts: &mut Counts<Fault>) {
        match notice {
            Notice::Fault { strategy, fault } => {
                self.running[strategy.index()] = false;
                let is_start = matches!(event, Event::Command(Command::Start(_)));
                match fault.kind {
                    FaultKind::Error if is_start => {}
                    FaultKind::Error => counts.count(Fault::ScriptError),
                    FaultKind::Fuel => counts.count(Fault::EndlessLoop),
                    FaultKind::Memory => counts.count(Fault::ScriptMemory),
                    FaultKind::Depth | FaultKind::Intents | FaultKind::Quota => {}
                }
            }
            Notice::State { scope, state, .. } => {
                *self.flattened.of(*scope) &= *state == TradingState::Reducing;
                if *state == TradingState::Halted {
                    *self.killed.of(*scope) = true;
                }
            }
            Notice::BookStale { cause, .. } => match cause {
                tercel_core::StaleCause::Gap { .. } => counts.count(Fault::BookGap),
                tercel_core::StaleCause::Crossed => counts.count(Fault::CrossedBook),
                tercel_core::StaleCause::Link => {}
            },
            _ => {}
        }
    }

    /// Looks at the engine after a cycle, and at what has left.
    pub(crate) fn look(
        &mut self,
        engine: &Engine,
        sent: &[OrderRequest],
        net: &Net,
        plan: &Plan,
    ) -> Checked {
        let state = engine.state();
        self.checks.count(Invariant::Positions);
        self.told.now().check_positions(state)?;
        self.checks.count(Invariant::Cash);
        self.told.now().check_cash(state)?;
        let sums = check_sums(state);
        self.hold(Invariant::Sums, sums.is_ok(), || {
            ("equal sums".to_owned(), sums.err().unwrap_or_default())
        })?;
        for (n, strategy) in state.strategies.iter().enumerate() {
            let expected = self.running[n];
            self.hold(Invariant::BadScript, strategy.is_running == expected, || {
                (format!("{} runs: {expected}", strategy.name), strategy.is_running.to_string())
            })?;
        }
        for request in sent {
            if let OrderRequest::New { strategy, spec, .. } = request {
                self.n_new += 1;
                let was_killed = [&self.killed_before, &self.killed]
                    .iter()
                    .all(|killed| self.is_held_back(killed, *strategy, spec));
                self.hold(Invariant::KillSwitch, !was_killed, || {
                    ("nothing new leaves after a kill".to_owned(), format!("{request:?}"))
                })?;
            }
        }
        self.killed_before = self.killed;
        if sent.is_empty() { Ok(()) } else { self.check_limits(net, plan) }
    }

    /// Checks that a kill has withdrawn everything of its scope.
    pub(crate) fn check_kill(&mut self, engine: &Engine, scope: Scope) -> Checked {
        let left = engine.state().orders.all_working().find(|order| {
            let concerned = match scope {
                Scope::Strategy(id) => order.strategy == id,
                Scope::Account(id) => order.account == id,
                Scope::Engine => true,
            };
            concerned && !order.pending.cancel
        });
        let left = left.map(|order| order.id);
        self.hold(Invariant::KillSwitch, left.is_none(), || {
            let found = left.map_or_else(String::new, |id| format!("{id} is not being cancelled"));
            (format!("every order of {scope} is being cancelled"), found)
        })
    }

    fn check_limits(&mut self, net: &Net, plan: &Plan) -> Checked {
        for instrument in [PERPETUAL, SPOT] {
            for n in (0..).map(StrategyId).take(N_STRATEGIES) {
                let worst = net.worst(instrument, |id| id == n);
                let limit = plan.strategy_position.0;
                self.within(worst, limit, || format!("strategy {n}, instrument {instrument}"))?;
            }
            for n in (0..).map(AccountId).take(N_ACCOUNTS) {
                let worst = net.worst(instrument, |id| account_of(id) == n);
                let limit = plan.account_position.0;
                self.within(worst, limit, || format!("account {n}, instrument {instrument}"))?;
            }
        }
        Ok(())
    }

    fn within(
        &mut self,
        (long, short): (i64, i64),
        limit: i64,
        who: impl FnOnce() -> String,
    ) -> Checked {
        self.hold(Invariant::Limits, long <= limit && short >= -limit, || {
            let expected = format!("{}: at most {limit} lots from flat", who());
            (expected, format!("between {short} and {long} if all trades"))
        })
    }
}
