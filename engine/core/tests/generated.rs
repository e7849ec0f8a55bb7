//! Generated runs of the whole engine against an unreliable venue, judged by independent books.
//!
//! Each run is named by its seed: `seed 17` in a failure is enough to see it again.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use tercel_core::{
    AccountId, ClientOrderId, Command, Effect, Effects, Engine, EngineConfig, Event,
    ExecutionReport, InstrumentId, Intent, Nanos, Notional, OrderKind, OrderRequest, OrderSpec,
    Price, Quantity, ReportKind, RiskLimits, Seq, Side, StrategyId, TimeInForce,
};
use tercel_testkit::{
    Faults, Random, Strings, UnreliableVenue, account, check_sums, engine_config, level, linear,
    spot, strategy,
};

const N_RUNS: u64 = 400;
const N_STEPS: usize = 300;

/// A run: engine, puppets, venue, and the books that this test keeps itself.
struct Run {
    engine: Engine,
    effects: Effects,
    puppets: Vec<Strings>,
    venue: UnreliableVenue,
    random: Random,
    seq: u64,
    now: i64,
    ids: Vec<(usize, ClientOrderId)>,
    /// Fills that the engine was told of, once each.
    told: BTreeSet<(ClientOrderId, u64)>,
    /// Sum of the told fills by account and instrument, and by strategy and instrument.
    by_account: BTreeMap<(u16, u16), i64>,
    by_strategy: BTreeMap<(u16, u16), i64>,
    sides: BTreeMap<ClientOrderId, (u16, Side, InstrumentId)>,
    sent_at: Vec<i64>,
    /// Lots by account, instrument and side that traded before an end of their order that overtook
    /// them: the engine took them for gone.
    overtaken: BTreeMap<(u16, u16, Side), i64>,
}

impl Run {
    fn new(config: &EngineConfig, seed: u64, faults: Faults) -> Self {
        let puppets: Vec<_> = config.strategies.iter().map(|_| Strings::default()).collect();
        let engine = Engine::new(config, puppets.iter().map(Strings::puppet).collect()).unwrap();
        let mut run = Self {
            engine,
            effects: Engine::effects(),
            puppets,
            venue: UnreliableVenue::new(seed ^ 0x5eed, faults),
            random: Random::new(seed),
            seq: 0,
            now: 0,
            ids: Vec::new(),
            told: BTreeSet::new(),
            by_account: BTreeMap::new(),
            by_strategy: BTreeMap::new(),
            sides: BTreeMap::new(),
            sent_at: Vec::new(),
            overtaken: BTreeMap::new(),
        };
        for idx in 0..config.strategies.len() {
            let id = StrategyId(u16::try_from(idx).unwrap());
            run.handle(&Event::Command(Command::Start(id)));
        }
        for idx in 0..config.instruments.len() {
            let id = u16::try_from(idx).unwrap();
            run.handle(&level(id, 0, Side::Buy, 99, 1_000));
            run.handle(&level(id, 0, Side::Sell, 101, 1_000));
        }
        run
    }

    fn handle(&mut self, event: &Event) {
        self.seq += 1;
        self.effects.clear();
        self.engine.handle(Seq(self.seq), Nanos(self.now), event, &mut self.effects);
        for effect in self.effects.as_slice() {
            if let Effect::Send(request) = effect {
                if let OrderRequest::New { id, strategy, spec, .. } = **request {
                    self.sides.insert(id, (strategy.0, spec.side, spec.instrument));
                }
                if !matches!(**request, OrderRequest::Cancel { .. }) {
                    self.sent_at.push(self.now);
                }
                self.venue.send(request, Nanos(self.now));
            }
        }
        for (idx, puppet) in self.puppets.iter().enumerate() {
            self.ids.extend(puppet.placed().into_iter().map(|id| (idx, id)));
        }
    }

    /// One random thing: a wish of a strategy, a trade at the venue, a delivered report, time.
    fn step(&mut self) {
        match self.random.below(10) {
            0..4 => self.wish(),
            4..6 => self.venue.trade(Nanos(self.now)),
            6..9 => self.deliver(),
            _ => self.now += self.random.between(0, Nanos::SECOND / 2),
        }
    }

    fn wish(&mut self) {
        let who = self.random.index(self.puppets.len());
        let n_instruments = self.engine.state().instruments.len();
        let instrument = InstrumentId(u16::try_from(self.random.index(n_instruments)).unwrap());
        match self.random.below(6) {
            0..3 => {
                let spec = self.order(instrument);
                self.puppets[who].place(spec);
            }
            3 => {
                if let Some(id) = self.any_id(who) {
                    let price = Price(self.random.between(95, 105));
                    let qty = Quantity(self.random.between(1, 12));
                    self.puppets[who].give(Intent::Replace { id, price, qty });
                }
            }
            4 => {
                if let Some(id) = self.any_id(who) {
                    self.puppets[who].give(Intent::Cancel { id });
                }
            }
            _ => {
                if self.random.chance(10) {
                    self.puppets[who].give(Intent::CancelAll { instrument: None });
                }
            }
        }
        // The puppets act when they are called: a change far from the touch calls them.
        let far = self.random.between(1, 50);
        self.handle(&level(instrument.0, self.now, Side::Buy, far, 1));
    }

    fn order(&mut self, instrument: InstrumentId) -> OrderSpec {
        let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
        let qty = Quantity(self.random.between(0, 12));
        let price = Price(self.random.between(95, 105));
        let kind = match self.random.below(8) {
            0 => OrderKind::Market,
            1 => OrderKind::Stop { trigger: price },
            2 => OrderKind::StopLimit { trigger: price, price },
            _ => OrderKind::Limit { price },
        };
        OrderSpec {
            instrument,
            side,
            kind,
            qty,
            tif: TimeInForce::Gtc,
            post_only: false,
            reduce_only: self.random.chance(10),
        }
    }

    fn any_id(&mut self, who: usize) -> Option<ClientOrderId> {
        let own: Vec<_> = self.ids.iter().filter(|(idx, _)| *idx == who).collect();
        if own.is_empty() {
            return None;
        }
        let idx = self.random.index(own.len());
        Some(own[idx].1)
    }

    fn deliver(&mut self) {
        let Some(report) = self.venue.deliver() else { return };
        self.note(&report);
        self.handle(&Event::Execution(report));
    }

    fn note(&mut self, report: &ExecutionReport) {
        if let ReportKind::Fill(fill) = &report.kind
            && self.told.insert((report.order, fill.trade_id))
        {
            let (strategy, side, instrument) = self.sides[&report.order];
            if self.is_over(report.order) {
                let key = (report.account.0, instrument.0, side);
                *self.overtaken.entry(key).or_default() += fill.qty.0;
            }
            let signed = fill.qty.0 * side.sign();
            *self.by_account.entry((report.account.0, instrument.0)).or_default() += signed;
            *self.by_strategy.entry((strategy, instrument.0)).or_default() += signed;
        }
    }

    fn is_over(&self, order: ClientOrderId) -> bool {
        !self.engine.state().orders.get(order).is_some_and(tercel_core::Order::is_working)
    }

    /// Lots that no limit could count, because an end of their order came before them.
    fn uncounted(&self, account: u16, instrument: InstrumentId, side: Side) -> i64 {
        let waiting = self.venue.waiting().iter().filter_map(|report| match &report.kind {
            ReportKind::Fill(fill)
                if self.sides.get(&report.order).is_some_and(|own| own.1 == side)
                    && (report.account.0, report.instrument) == (account, instrument)
                    && !self.told.contains(&(report.order, fill.trade_id))
                    && self.is_over(report.order) =>
            {
                Some(fill.qty.0)
            }
            _ => None,
        });
        let known = self.overtaken.get(&(account, instrument.0, side));
        known.copied().unwrap_or(0) + waiting.sum::<i64>()
    }

    /// What must hold after every step.
    fn check(&self) {
        let state = self.engine.state();
        for (idx, account) in state.accounts.iter().enumerate() {
            for (instrument, position) in account.scope.positions.iter().enumerate() {
                let key = (u16::try_from(idx).unwrap(), u16::try_from(instrument).unwrap());
                let told = self.by_account.get(&key).copied().unwrap_or(0);
                assert_eq!(position.qty.0, told, "position is the sum of fills");
            }
        }
        for (idx, strategy) in state.strategies.iter().enumerate() {
            for (instrument, position) in strategy.scope.positions.iter().enumerate() {
                let key = (u16::try_from(idx).unwrap(), u16::try_from(instrument).unwrap());
                let told = self.by_strategy.get(&key).copied().unwrap_or(0);
                assert_eq!(position.qty.0, told, "a strategy's position is the sum of its fills");
            }
        }
        check_sums(state).unwrap();
    }

    /// Balances of perpetual accounts: what they began with, plus profit, less fees.
    fn check_cash(&self, begin: Notional) {
        for account in &self.engine.state().accounts {
            let earned: i128 = account
                .scope
                .positions
                .iter()
                .map(|position| position.realised.0 - position.fees.0)
                .sum();
            assert_eq!(account.balances[1].total.0, begin.0 + earned, "no unit is lost");
        }
    }
}

fn run(seed: u64, config: &EngineConfig, faults: Faults, check: impl Fn(&Run)) -> Run {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut run = Run::new(config, seed, faults);
        for _ in 0..N_STEPS {
            run.step();
            check(&run);
        }
        run
    }));
    outcome.unwrap_or_else(|cause| {
        eprintln!("seed {seed} fails");
        std::panic::resume_unwind(cause)
    })
}

const FAULTS: Faults = Faults { lost: 3, duplicated: 20, reordered: 30 };
const NO_LOSS: Faults = Faults { lost: 0, duplicated: 20, reordered: 30 };

fn two_strategies() -> EngineConfig {
    let mut config = engine_config(vec![linear(0), linear(1)]);
    config.accounts.push(account());
    config.strategies = vec![strategy(0, 2), strategy(0, 2), strategy(1, 1)];
    config
}

#[test]
fn positions_exposures_and_cash_hold_under_late_twofold_lost_and_reordered_reports() {
    let begin = Notional::from_decimal(1_000_000.into()).unwrap();
    let mut fired = [0; 3];
    let mut n_fills = 0;
    for seed in 0..N_RUNS {
        let run = run(seed, &two_strategies(), FAULTS, |run| {
            run.check();
            run.check_cash(begin);
        });
        n_fills += run.told.len();
        for (sum, n) in fired.iter_mut().zip(run.venue.fired) {
            *sum += n;
        }
    }
    assert!(fired.iter().all(|n| *n > 100), "every fault has happened: {fired:?}");
    assert!(n_fills > 1_000, "orders do trade: {n_fills} fills");
}

#[test]
fn once_every_report_has_come_the_engine_agrees_with_the_venue() {
    for seed in 0..N_RUNS {
        let mut run = run(seed, &two_strategies(), NO_LOSS, |_| ());
        while let Some(report) = run.venue.deliver() {
            run.note(&report);
            run.handle(&Event::Execution(report));
        }
        run.check();
        for account in 0..2 {
            for instrument in 0..2 {
                let truth = run.venue.position(AccountId(account), InstrumentId(instrument));
                let scope = &run.engine.state().accounts[usize::from(account)].scope;
                assert_eq!(scope.positions[usize::from(instrument)].qty.0, truth, "seed {seed}");
            }
        }
    }
}

#[test]
fn limits_hold_at_the_venue_whatever_is_in_flight() {
    let mut config = two_strategies();
    config.strategies[0].limits.position_qty = Some(Quantity(20));
    config.accounts[0].limits = RiskLimits {
        position_qty: Some(Quantity(30)),
        open_orders: Some(9),
        ..RiskLimits::default()
    };
    config.limits = RiskLimits {
        gross_exposure: Some(Notional(4_000 * Notional::ONE)),
        orders_per_second: Some(5),
        ..RiskLimits::default()
    };
    let mut tightest = 0;
    for seed in 0..N_RUNS {
        let run = run(seed, &config, NO_LOSS, |run| {
            for instrument in [InstrumentId(0), InstrumentId(1)] {
                let position = run.venue.position(AccountId(0), instrument);
                let buys = run.venue.open_qty(AccountId(0), instrument, Side::Buy);
                let sells = run.venue.open_qty(AccountId(0), instrument, Side::Sell);
                // The venue ends orders before the engine hears of it, never the other way round.
                let late = |side| run.uncounted(0, instrument, side);
                assert!(position + buys <= 30 + late(Side::Buy), "{position} + {buys}");
                assert!(position - sells >= -30 - late(Side::Sell), "{position} - {sells}");
            }
            assert!(run.engine.state().accounts[0].scope.open_orders <= 9);
            let window: Vec<_> = run.sent_at.iter().rev().take(6).collect();
            if let [last, .., first] = window[..]
                && window.len() == 6
            {
                assert!(last - first >= Nanos::SECOND, "six orders within a second");
            }
        });
        let position = run.venue.position(AccountId(0), InstrumentId(0)).abs();
        tightest = tightest.max(position);
    }
    assert!(tightest > 20, "the limits were worth testing: largest position {tightest}");
}

#[test]
fn spot_balances_and_locks_are_conserved() {
    for seed in 0..N_RUNS / 4 {
        run(seed, &engine_config(vec![spot(0)]), FAULTS, |run| {
            run.check();
            let state = run.engine.state();
            let (instrument, account) = (&state.instruments[0], &state.accounts[0]);
            let position = &account.scope.positions[0];
            let base =
                Notional(1_000_000 * Notional::ONE) + instrument.base_amount(position.qty).unwrap();
            assert_eq!(account.balances[0].total, base);
            // What quote has flowed is what the position cost and earned, and the fees.
            let quote = Notional(1_000_000 * Notional::ONE) - position.cost + position.realised
                - position.fees;
            assert_eq!(account.balances[1].total, quote);
            if state.orders.n_working() == 0 {
                assert_eq!(account.balances[0].locked, Notional::ZERO);
                assert_eq!(account.balances[1].locked, Notional::ZERO);
            }
        });
    }
}

#[test]
fn the_same_events_give_the_same_state() {
    for seed in 0..20 {
        let hash = || run(seed, &two_strategies(), FAULTS, |_| ()).engine.state_hash();
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}

#[test]
fn a_restored_engine_goes_on_as_the_old_one_would_have() {
    for seed in 0..50 {
        let mut old = run(seed, &two_strategies(), FAULTS, |_| ());
        // Every puppet is called once more, so that none has a wish left that its successor lacks.
        old.handle(&level(0, old.now, Side::Buy, 1, 1));
        let strings: Vec<_> = (0..3).map(|_| Strings::default()).collect();
        let puppets = strings.iter().map(Strings::puppet).collect();
        let mut new = Engine::restore(old.engine.snapshot(), puppets, 64).unwrap();
        assert_eq!(new.state_hash(), old.engine.state_hash());
        let mut effects = Engine::effects();
        while let Some(report) = old.venue.deliver() {
            old.seq += 1;
            let (seq, now) = (Seq(old.seq), Nanos(old.now));
            let event = Event::Execution(report);
            old.effects.clear();
            effects.clear();
            old.engine.handle(seq, now, &event, &mut old.effects);
            new.handle(seq, now, &event, &mut effects);
            assert_eq!(new.state_hash(), old.engine.state_hash(), "seed {seed}");
            assert_eq!(effects.as_slice(), old.effects.as_slice(), "seed {seed}");
        }
    }
}
