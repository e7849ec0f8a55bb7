//! What an engine did, repeated from its record alone, gives the state that it had.
//!
//! Each run is named by its seed: `seed 17` in a failure is enough to see it again.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use tercel_core::{
    AccountId, AccountItem, AccountUpdate, Command, Effect, Engine, EngineConfig, Event, Intent,
    MarketData, MarketEvent, Nanos, Notional, OnHalt, OrderKind, OrderSpec, OrderState, Price,
    Quantity, Recovery, RecoveryError, RiskLimits, Scope, Seq, Side, State, StateCopy,
    StrategyFault, StrategyId, TimeInForce, Value,
};
use tercel_testkit::{
    Faults, Random, Strings, UnreliableVenue, account, engine_config, level, linear, promised,
    spot, strategy,
};

/// What a journal has of one event.
struct Entry {
    seq: Seq,
    now: Nanos,
    event: Option<Event>,
    effects: Vec<Effect>,
}

struct Run {
    engine: Engine,
    puppets: Vec<Strings>,
    venue: UnreliableVenue,
    random: Random,
    journal: Vec<Entry>,
    seq: u64,
    now: i64,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self::of(seed, &config(seed))
    }

    fn of(seed: u64, config: &EngineConfig) -> Self {
        let puppets: Vec<_> = config.strategies.iter().map(|_| Strings::default()).collect();
        let engine = Engine::new(config, puppets.iter().map(Strings::puppet).collect()).unwrap();
        let faults = Faults { lost: 3, duplicated: 20, reordered: 30 };
        let mut run = Self {
            engine,
            puppets,
            venue: UnreliableVenue::new(seed ^ 0x5eed, faults),
            random: Random::new(seed),
            journal: Vec::new(),
            seq: 0,
            now: 0,
        };
        for id in 0..3 {
            run.handle(Event::Command(Command::Start(StrategyId(id))));
        }
        for id in 0..2 {
            run.handle(level(id, 0, Side::Buy, 99, 1_000));
            run.handle(level(id, 0, Side::Sell, 101, 1_000));
        }
        run
    }

    fn handle(&mut self, event: Event) {
        self.seq += 1;
        let (seq, now) = (Seq(self.seq), Nanos(self.now));
        let mut effects = Engine::effects();
        self.engine.handle(seq, now, &event, &mut effects);
        for effect in effects.as_slice() {
            if let Effect::Send(request) = effect {
                self.venue.send(request, now);
            }
        }
        let is_kept = match &event {
            Event::Market(market) => matches!(market.data, MarketData::Funding { .. }),
            _ => true,
        };
        let event = is_kept.then_some(event);
        self.journal.push(Entry { seq, now, event, effects: effects.as_slice().to_vec() });
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..8 => self.wish(),
            8..11 => self.venue.trade(Nanos(self.now)),
            11..16 => {
                if let Some(report) = self.venue.deliver() {
                    self.handle(Event::Execution(report));
                }
            }
            16 => self.command(),
            17 if self.random.chance(20) => {
                let (account, id) = (self.random.index(2), self.random.index(2));
                let item = AccountItem::Position {
                    instrument: tercel_core::InstrumentId(u16::try_from(id).unwrap()),
                    qty: Quantity(self.random.between(-20, 20)),
                    price: Price(self.random.between(80, 120)),
                };
                let account = AccountId(u16::try_from(account).unwrap());
                self.handle(Event::Account(AccountUpdate { account, item, last: true }));
            }
            17 => {
                self.now += self.random.between(0, 3 * Nanos::SECOND);
                self.handle(Event::Timer);
            }
            18 if self.random.chance(4) => self.now += 9 * 3_600 * Nanos::SECOND,
            18 => {
                // Money moves at a price that no journal has.
                let id = u16::try_from(self.random.index(2)).unwrap();
                let mark = Price(self.random.between(80, 120));
                self.market(id, MarketData::Mark { mark, index: Price(0) });
                let rate_e12 = self.random.between(-9, 9) * 1_000_000;
                self.market(id, MarketData::Funding { rate_e12 });
            }
            _ => self.now += self.random.between(0, Nanos::SECOND / 2),
        }
    }

    fn market(&mut self, id: u16, data: MarketData) {
        let (venue_at, received_at) = (Nanos(self.now), Nanos(self.now));
        let instrument = tercel_core::InstrumentId(id);
        self.handle(Event::Market(MarketEvent { venue_at, received_at, instrument, data }));
    }

    fn wish(&mut self) {
        let who = self.random.index(3);
        let instrument = tercel_core::InstrumentId(u16::try_from(self.random.index(2)).unwrap());
        let puppet = self.puppets[who].clone();
        let own: Vec<_> = self
            .engine
            .state()
            .orders
            .all_working()
            .filter(|o| o.strategy.index() == who)
            .collect();
        let any = (!own.is_empty()).then(|| own[self.random.index(own.len())].id);
        match (self.random.below(12), any) {
            (0..4, _) => puppet.place(self.order(instrument)),
            (4, Some(id)) => {
                let (price, qty) = (self.random.between(95, 105), self.random.between(1, 12));
                puppet.give(Intent::Replace { id, price: Price(price), qty: Quantity(qty) });
            }
            (5, Some(id)) => puppet.give(Intent::Cancel { id }),
            (6, _) => puppet.give(Intent::CancelAll { instrument: Some(instrument) }),
            (7, _) => {
                let n = self.random.below(3);
                let at = Nanos(self.now + self.random.between(0, 5 * Nanos::SECOND));
                let every_ns = self.random.chance(50).then_some(Nanos::SECOND);
                puppet.give(Intent::SetTimer { name: format!("t{n}").into(), at, every_ns });
            }
            (8, _) => {
                let name = format!("t{}", self.random.below(3));
                puppet.give(Intent::CancelTimer { name: name.into() });
            }
            (9..11, _) => {
                let key = format!("k{}", self.random.below(4)).into();
                let nil = self.random.chance(30);
                let value =
                    if nil { Value::Nil } else { Value::Integer(self.random.between(0, 99)) };
                puppet.give(Intent::Remember { key, value });
            }
            _ if self.random.chance(3) => puppet.fail(StrategyFault {
                kind: tercel_core::FaultKind::Error,
                message: "as asked".to_owned(),
                file: String::new(),
                line: 0,
            }),
            _ => {}
        }
        let far = self.random.between(1, 50);
        self.handle(level(instrument.0, self.now, Side::Buy, far, 1));
    }

    fn order(&mut self, instrument: tercel_core::InstrumentId) -> OrderSpec {
        let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
        let price = Price(self.random.between(95, 105));
        let kind = match self.random.below(8) {
            0 => OrderKind::Market,
            1 => OrderKind::Stop { trigger: price },
            _ => OrderKind::Limit { price },
        };
        OrderSpec {
            instrument,
            side,
            kind,
            qty: Quantity(self.random.between(0, 12)),
            tif: TimeInForce::Gtc,
            post_only: false,
            reduce_only: self.random.chance(10),
        }
    }

    fn command(&mut self) {
        let scope = match self.random.below(4) {
            0 => Scope::Engine,
            1 => Scope::Account(AccountId(0)),
            n => Scope::Strategy(StrategyId(u16::try_from(n - 2).unwrap())),
        };
        let command = match self.random.below(10) {
            9 => Command::Halt(scope),
            0 => Command::Kill(scope),
            1 => Command::Flatten(scope),
            2 => Command::Reduce(scope),
            3 => {
                let on_halt = if self.random.chance(50) { OnHalt::Keep } else { OnHalt::Cancel };
                let drawdown = Some(Notional(Notional::ONE));
                let limits = RiskLimits { drawdown, on_halt, ..RiskLimits::default() };
                Command::SetLimits(scope, Box::new(limits))
            }
            4 => Command::Start(StrategyId(u16::try_from(self.random.index(3)).unwrap())),
            5 => Command::SetParams(
                StrategyId(0),
                [("n".into(), Value::Integer(1))].into_iter().collect(),
            ),
            _ => Command::Resume(scope),
        };
        self.handle(Event::Command(command));
    }

    /// Brings a state forward by the entries from `from` on.
    fn recover(&self, state: State, from: usize) -> State {
        let mut recovery = Recovery::new(state);
        for entry in &self.journal[from..] {
            if let Some(event) = &entry.event {
                recovery.event(entry.seq, entry.now, event).unwrap();
            }
            for effect in &entry.effects {
                match effect {
                    Effect::Send(request) => recovery.sent(entry.now, request).unwrap(),
                    Effect::Remember { strategy, key, value } => {
                        recovery.remembered(*strategy, key, value).unwrap();
                    }
                    Effect::SetTimer { strategy, timer } => {
                        recovery.timer_set(*strategy, timer.clone()).unwrap();
                    }
                    Effect::CancelTimer { strategy, name } => {
                        recovery.timer_canceled(*strategy, name).unwrap();
                    }
                    Effect::Notice(notice) => recovery.told(notice).unwrap(),
                    Effect::Resync(_) => {}
                }
            }
        }
        recovery.finish(Nanos(self.now))
    }
}

/// Two perpetuals and a spot market's accounts; limits that trip now and then.
fn config(seed: u64) -> EngineConfig {
    let instruments =
        if seed.is_multiple_of(2) { vec![linear(0), linear(1)] } else { vec![spot(0), spot(1)] };
    let mut config = engine_config(instruments);
    config.accounts.push(account());
    config.strategies = vec![strategy(0, 2), strategy(0, 2), strategy(1, 1)];
    config.accounts[1].limits.daily_loss = Some(Notional(3 * Notional::ONE));
    config.limits.orders_per_second = Some(50);
    config
}

#[test]
fn a_record_brings_back_orders_positions_money_memory_timers_and_switches() {
    let (mut n_unknown, mut n_halted) = (0, 0);
    for seed in 0..400 {
        let mut run = Run::new(seed);
        let (mut from, mut snapshot) = (0, Recovery::new(run.engine.snapshot()).state().clone());
        snapshot.clone_from(&Engine::new(&config(seed), puppets()).unwrap().snapshot());
        for n in 0..400 {
            run.step();
            if n == 200 && seed % 3 > 0 {
                (from, snapshot) = (run.journal.len(), run.engine.snapshot());
            }
        }
        // As it would come from a file: with room for what it holds and no more.
        let snapshot = State::from_image(snapshot.image()).unwrap();
        let recovered = run.recover(snapshot, from);
        let day = Nanos(run.now).day();
        assert_eq!(promised(&recovered, day), promised(run.engine.state(), day), "seed {seed}");
        let is_unknown = |order: &&tercel_core::Order| order.state == OrderState::Unknown;
        n_unknown += recovered.orders.all_working().filter(is_unknown).count();
        n_halted += usize::from(recovered.scope.state == tercel_core::TradingState::Halted);
        assert!(recovered.markets.iter().all(|market| market.quote.is_none()));
        assert!(recovered.strategies.iter().all(|strategy| !strategy.is_running));
        Engine::restore(recovered, puppets(), 64).unwrap();
    }
    assert!(n_unknown > 100 && n_halted > 10, "{n_unknown} unknown, {n_halted} halted");
}

/// A copy that was made in steps, while orders came, changed and ended, is the state at its last step.
#[test]
fn a_copy_in_steps_is_the_state_at_its_end() {
    let mut n_begun = 0;
    for seed in 0..60 {
        let mut config = config(seed);
        // Few enough that ended orders give their places to new ones.
        config.order_capacity = if seed % 3 == 0 { 40 } else { 200 };
        let mut run = Run::of(seed, &config);
        let mut copy = StateCopy::default();
        for n in 0..600_usize {
            run.step();
            if run.random.chance(20) {
                n_begun += copy.advance(run.engine.state(), n % 3);
            }
            if n % 97 == 96 {
                let copied = std::mem::take(&mut copy).finish(run.engine.state()).into_state();
                assert_eq!(copied.hash(), run.engine.state_hash(), "seed {seed}");
                assert_eq!(copied.image(), run.engine.state().image(), "seed {seed}");
                // It goes on as the original does: its index and its fills are whole.
                let from = run.journal.len();
                (0..20).for_each(|_| run.step());
                let day = Nanos(run.now).day();
                let recovered = promised(&run.recover(copied, from), day);
                assert_eq!(recovered, promised(run.engine.state(), day), "seed {seed}");
            }
        }
    }
    assert!(n_begun > 1_000, "{n_begun} pages copied in steps");
}

fn puppets() -> Vec<Box<dyn tercel_core::Strategy>> {
    (0..3).map(|_| Strings::default().puppet()).collect()
}

#[test]
fn a_record_that_does_not_fit_is_refused_and_not_believed() {
    let mut run = Run::new(2);
    while !run
        .journal
        .iter()
        .any(|entry| entry.effects.iter().any(|effect| matches!(effect, Effect::Send(_))))
    {
        run.step();
    }
    let state = Engine::new(&config(2), puppets()).unwrap().snapshot();
    let sends = run.journal.iter().flat_map(|entry| &entry.effects);
    let request = sends.into_iter().find_map(|effect| match effect {
        Effect::Send(request) => Some(**request),
        _ => None,
    });
    let request = request.unwrap();
    let mut recovery = Recovery::new(state);
    let cancel = tercel_core::OrderRequest::Cancel {
        id: request.id(),
        account: AccountId(0),
        instrument: tercel_core::InstrumentId(0),
    };
    assert_eq!(recovery.sent(Nanos(1), &cancel), Err(RecoveryError::NoOrder(request.id())));
    recovery.sent(Nanos(1), &request).unwrap();
    assert_eq!(recovery.sent(Nanos(1), &request), Err(RecoveryError::Recurs(request.id())));
    recovery.event(Seq(5), Nanos(1), &Event::Timer).unwrap();
    let again = recovery.event(Seq(5), Nanos(1), &Event::Timer);
    assert_eq!(again, Err(RecoveryError::OutOfOrder(Seq(5))));
    let nobody = Event::Command(Command::Start(StrategyId(9)));
    let dangling = RecoveryError::Dangling { what: "strategy", id: 9 };
    assert_eq!(recovery.event(Seq(6), Nanos(1), &nobody), Err(dangling));
}
