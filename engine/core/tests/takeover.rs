//! Positions that somebody else has changed: a liquidation, a deleveraging, a hand at the venue.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AccountItem, AccountUpdate, AssetId, ClientOrderId, Command, Effect, Engine,
    EngineConfig, Event, ExecutionReport, Fill, Instrument, InstrumentId, InstrumentKind,
    InstrumentSpec, MarketData, MarketEvent, Nanos, Notice, Notional, OrderSpec, Position, Price,
    Quantity, Recovery, ReportKind, RiskLimits, Role, Scope, ScopeState, Seq, Side, State,
    StrategyId, TradingState,
};
use tercel_testkit::{
    Strings, account, check_sums, engine_config, level, linear, promised, strategy,
};

struct World {
    engine: Engine,
    began: State,
    puppets: Vec<Strings>,
    journal: Vec<(Seq, Nanos, Event, Vec<Effect>)>,
    n_orders: u64,
}

impl World {
    /// A market at 99 to 101, and strategies that have bought (or sold) so much of it at 100.
    fn new(config: &EngineConfig, held: &[i64]) -> Self {
        let mut world = Self::without_prices(config);
        world.price(99, 101);
        for (who, lots) in held.iter().enumerate().filter(|(_, lots)| **lots != 0) {
            world.trade(who, *lots, 100);
        }
        world
    }

    fn without_prices(config: &EngineConfig) -> Self {
        let puppets: Vec<_> = config.strategies.iter().map(|_| Strings::default()).collect();
        let engine = Engine::new(config, puppets.iter().map(Strings::puppet).collect()).unwrap();
        let (began, journal) = (engine.snapshot(), Vec::new());
        let mut world = Self { engine, began, puppets, journal, n_orders: 0 };
        for id in 0..config.strategies.len() {
            let id = StrategyId(u16::try_from(id).unwrap());
            world.handle(Event::Command(Command::Start(id)));
        }
        world
    }

    /// Takes an event and returns what the engine wants done.
    fn handle(&mut self, event: Event) -> Vec<Effect> {
        let seq = Seq(self.journal.len() as u64 + 1);
        let now = Nanos(i64::try_from(seq.0).unwrap());
        let mut effects = Engine::effects();
        self.engine.handle(seq, now, &event, &mut effects);
        check_sums(self.engine.state()).unwrap();
        let effects = effects.as_slice().to_vec();
        self.journal.push((seq, now, event, effects.clone()));
        effects
    }

    fn price(&mut self, bid: i64, ask: i64) {
        let market = |data| {
            let (venue_at, received_at, instrument) = (Nanos(0), Nanos(0), InstrumentId(0));
            Event::Market(MarketEvent { venue_at, received_at, instrument, data })
        };
        let qty = Quantity(1_000);
        let of = |side, price, last| MarketData::Level { side, price: Price(price), qty, last };
        self.handle(market(MarketData::Clear { seq: 0 }));
        self.handle(market(of(Side::Buy, bid, false)));
        self.handle(market(of(Side::Sell, ask, true)));
    }

    fn trade(&mut self, who: usize, lots: i64, price: i64) {
        let side = if lots > 0 { Side::Buy } else { Side::Sell };
        let qty = Quantity(lots.abs());
        self.puppets[who].place(OrderSpec::market(InstrumentId(0), side, qty));
        self.handle(level(0, 0, Side::Buy, 1, 1_000 + i64::try_from(self.n_orders).unwrap()));
        self.n_orders += 1;
        let kind = ReportKind::Fill(Fill {
            trade_id: self.n_orders,
            price: Price(price),
            qty,
            role: Role::Taker,
            fee: Decimal::ZERO,
            fee_asset: AssetId(1),
        });
        let account = self.engine.state().strategies[who].account;
        self.handle(Event::Execution(ExecutionReport {
            order: ClientOrderId::new(1, self.n_orders),
            account,
            instrument: InstrumentId(0),
            venue_at: Nanos(0),
            received_at: Nanos(0),
            kind,
        }));
    }
}

/// The venue says what an account holds.
fn told(account: u16, qty: i64, price: i64) -> Event {
    let (instrument, qty, price) = (InstrumentId(0), Quantity(qty), Price(price));
    let item = AccountItem::Position { instrument, qty, price };
    Event::Account(AccountUpdate { account: AccountId(account), item, last: true })
}

impl World {
    fn position(&self, scope: Scope) -> Position {
        self.scope(scope).positions[0]
    }

    fn scope(&self, scope: Scope) -> &ScopeState {
        let state = self.engine.state();
        match scope {
            Scope::Strategy(id) => &state.strategies[id.index()].scope,
            Scope::Account(id) => &state.accounts[id.index()].scope,
            Scope::Engine => &state.scope,
        }
    }

    /// What the scope has made, in whole units of quote.
    fn pnl(&self, scope: Scope) -> i128 {
        let state = self.engine.state();
        self.scope(scope).pnl(&state.instruments, &state.markets).0 / Notional::ONE
    }

    /// Lots of the strategies, of the first account, and of everything.
    fn lots(&self) -> (Vec<i64>, i64, i64) {
        let strategies = &self.engine.state().strategies;
        let own = strategies.iter().map(|own| own.scope.positions[0].qty.0).collect();
        (own, self.position(ACCOUNT).qty.0, self.position(Scope::Engine).qty.0)
    }

    /// What a restart makes of the record, which has no market data.
    fn check_recovery(&self) {
        let mut recovery = Recovery::new(self.began.clone());
        for (seq, now, event, effects) in &self.journal {
            if !matches!(event, Event::Market(_)) {
                recovery.event(*seq, *now, event).unwrap();
            }
            for effect in effects {
                match effect {
                    Effect::Send(request) => recovery.sent(*now, request).unwrap(),
                    Effect::Notice(notice) => recovery.told(notice).unwrap(),
                    _ => {}
                }
            }
        }
        let recovered = recovery.finish(Nanos(1_000));
        check_sums(&recovered).unwrap();
        assert_eq!(promised(&recovered, 0), promised(self.engine.state(), 0));
    }
}

const ACCOUNT: Scope = Scope::Account(AccountId(0));
const FIRST: Scope = Scope::Strategy(StrategyId(0));
const ALL: [Scope; 3] = [FIRST, ACCOUNT, Scope::Engine];

fn together(n_strategies: usize) -> EngineConfig {
    let mut config = engine_config(vec![linear(0)]);
    config.strategies = vec![strategy(0, 1); n_strategies];
    config
}

fn sends(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Send(_))).count()
}

/// A liquidation used to overwrite what the account held: what it had lost was realised nowhere and the
/// day's loss fell, while strategy and engine kept a position that no longer existed, floated with it
/// and could not close it.
#[test]
fn what_a_liquidation_takes_is_a_loss_of_all_who_held_it() {
    let mut world = World::new(&together(1), &[5]);
    world.price(69, 71);
    assert_eq!(ALL.map(|scope| world.pnl(scope)), [-150; 3]);
    let effects = world.handle(told(0, 0, 0));
    let (account, instrument, at) = (AccountId(0), InstrumentId(0), Some(Price(70)));
    let (was, is, entry) = (Quantity(5), Quantity(0), Price(0));
    let notices = [
        Notice::PositionDiffers { account, instrument, was, is, entry, at },
        Notice::PositionTaken { strategy: StrategyId(0), account, instrument, qty: was, at },
    ];
    assert_eq!(effects, notices.map(Effect::Notice));
    assert_eq!(world.lots(), (vec![0], 0, 0));
    for scope in ALL {
        let Position { cost, realised, n_fills, .. } = world.position(scope);
        assert_eq!((cost, realised.0 / Notional::ONE, n_fills), (Notional::ZERO, -150, 1));
    }
    // It is over: nothing floats with the price, and there is nothing to close.
    world.price(39, 41);
    assert_eq!(ALL.map(|scope| world.pnl(scope)), [-150; 3]);
    assert_eq!(sends(&world.handle(Event::Command(Command::Flatten(FIRST)))), 0);
    world.check_recovery();
}

/// The limits see such a loss at once, whichever scope has them.
#[test]
fn a_loss_that_somebody_else_realised_trips_limits() {
    for scope in ALL {
        let mut world = World::new(&together(1), &[5]);
        let limits =
            RiskLimits { daily_loss: Some(Notional(200 * Notional::ONE)), ..RiskLimits::default() };
        world.handle(Event::Command(Command::SetLimits(scope, Box::new(limits))));
        world.price(69, 71);
        world.handle(told(0, 2, 100));
        assert_eq!(world.scope(scope).state, TradingState::Active);
        // 90 of what went, 60 of what is left, and it falls on.
        world.price(39, 41);
        assert_eq!(world.pnl(scope), -210);
        assert_eq!(world.scope(scope).state, TradingState::Halted);
    }
}

/// Whose position it was is not known at the venue. First goes what belongs to no strategy, then what
/// the strategies of the account hold on the side that is too large, in the order of their ids.
#[test]
fn what_went_is_taken_from_nobodys_part_and_then_from_strategies_in_turn() {
    let mut config = together(3);
    config.accounts.push(account());
    config.strategies.push(strategy(1, 1));
    let mut world = World::new(&config, &[3, -1, 4, 7]);
    assert_eq!(world.lots(), (vec![3, -1, 4, 7], 6, 13));
    // Two of another hand, at 90: 780 for eight.
    world.handle(told(0, 8, 98));
    assert_eq!(world.lots(), (vec![3, -1, 4, 7], 8, 15));
    world.handle(told(0, 7, 98));
    assert_eq!(world.lots(), (vec![3, -1, 4, 7], 7, 14));
    world.handle(told(0, 5, 98));
    assert_eq!(world.lots(), (vec![2, -1, 4, 7], 5, 12));
    world.handle(told(0, 1, 98));
    assert_eq!(world.lots(), (vec![0, -1, 2, 7], 1, 8));
    // Turned around by another hand: strategies keep no part of what is there no more.
    world.handle(told(0, -2, 95));
    assert_eq!(world.lots(), (vec![0, -1, 1, 7], -2, 5));
    world.handle(told(0, -9, 95));
    assert_eq!(world.lots(), (vec![0, -1, 1, 7], -9, -2));
    world.check_recovery();
}

/// In a market without any price what went is realised at what it cost.
#[test]
fn without_a_price_nothing_is_won_or_lost() {
    let mut world = World::without_prices(&together(1));
    world.handle(told(0, -4, 100));
    world.handle(told(0, -1, 100));
    assert_eq!(world.lots(), (vec![0], -1, -1));
    for scope in [ACCOUNT, Scope::Engine] {
        let Position { cost, realised, .. } = world.position(scope);
        assert_eq!((cost, realised), (Notional(-100 * Notional::ONE), Notional::ZERO));
    }
    world.check_recovery();
}

/// After a restart an account is compared before its market's first price has come: what went while
/// nobody looked is realised at the price that was known last.
#[test]
fn what_went_during_a_restart_is_realised_at_the_price_before() {
    let mut world = World::new(&together(1), &[-4]);
    world.price(109, 111);
    let state = Recovery::new(world.engine.snapshot()).finish(Nanos(1_000));
    let strategies = vec![world.puppets[0].puppet()];
    world.engine = Engine::restore(state, strategies, 16).unwrap();
    world.journal.clear();
    world.began = world.engine.snapshot();
    world.handle(told(0, -1, 100));
    assert_eq!(world.lots(), (vec![-1], -1, -1));
    for scope in ALL {
        assert_eq!(world.position(scope).realised, Notional(-30 * Notional::ONE));
    }
    world.check_recovery();
}

/// What the account had before belongs to no strategy, and the engine has it as well.
#[test]
fn what_an_account_begins_with_is_its_own() {
    let mut world = World::new(&together(1), &[]);
    world.handle(told(0, 5, 90));
    assert_eq!(world.lots(), (vec![0], 5, 5));
    assert_eq!(ALL.map(|scope| world.pnl(scope)), [0, 50, 50]);
    assert_eq!(world.handle(told(0, 5, 91)), [], "the same is no news");
    assert_eq!(world.pnl(ACCOUNT), 50);
    world.check_recovery();
}

/// Money of inverse contracts is in the base, and a short gains when the price falls.
#[test]
fn an_inverse_short_is_taken_over_at_its_worth() {
    let mut config = together(1);
    let spec = InstrumentSpec {
        kind: InstrumentKind::InversePerpetual,
        ..InstrumentSpec::linear("BTCUSD", "1", "1")
    };
    config.instruments = vec![Instrument::new(InstrumentId(0), spec).unwrap()];
    let mut world = World::new(&config, &[-400]);
    world.price(49, 51);
    let before = ALL.map(|scope| world.pnl(scope));
    assert_eq!(before, [200; 3], "four of base were owed, eight are");
    world.handle(told(0, -100, 100));
    assert_eq!(world.lots(), (vec![-100], -100, -100));
    assert_eq!(ALL.map(|scope| world.pnl(scope)), before);
    world.check_recovery();
}

proptest! {
    /// Whatever strategies trade and others change: the engine holds what the accounts do, strategies
    /// no more than their account, and nobody's profit jumps because a part went at the market.
    #[test]
    fn books_agree_whatever_others_do(
        steps in prop::collection::vec((0..6_u8, -20..20_i64, 60..140_i64), 1..40),
    ) {
        let mut config = together(2);
        config.accounts.push(account());
        config.strategies.push(strategy(1, 1));
        let mut world = World::new(&config, &[]);
        let accounts = [0, 1].map(|id| Scope::Account(AccountId(id)));
        for (what, lots, price) in steps {
            match what {
                0 => world.price(price - 1, price + 1),
                who @ 1..=3 if lots != 0 => world.trade(usize::from(who - 1), lots, price),
                1..=3 => {}
                _ => {
                    let id = u16::from(what - 4);
                    let scope = accounts[usize::from(id)];
                    let (before, held) = (world.pnl_exact(), world.position(scope));
                    if held.qty == Quantity(lots) {
                        continue;
                    }
                    world.handle(told(id, lots, price));
                    prop_assert_eq!(world.position(scope).qty, Quantity(lots));
                    let shrank = held.qty.0.signum() == lots.signum() || lots == 0;
                    if shrank && lots.abs() <= held.qty.0.abs() {
                        prop_assert_eq!(world.pnl_exact(), before);
                    }
                    let own = world.engine.state().strategies.iter();
                    let own = own.filter(|own| own.account == AccountId(id));
                    let sum: i64 = own.map(|own| own.scope.positions[0].qty.0).sum();
                    prop_assert!((lots.min(0)..=lots.max(0)).contains(&sum), "{} of {}", sum, lots);
                }
            }
            let of = |scope: &Scope| {
                let own = world.scope(*scope);
                (own.positions[0].qty, own.net_realised - own.positions[0].cost)
            };
            let [(a, worth_a), (b, worth_b)] = [of(&accounts[0]), of(&accounts[1])];
            prop_assert_eq!(of(&Scope::Engine), (a + b, worth_a + worth_b));
        }
        world.check_recovery();
    }
}

impl World {
    fn pnl_exact(&self) -> Vec<Notional> {
        let state = self.engine.state();
        let scopes = state.strategies.iter().map(|own| &own.scope);
        let scopes = scopes.chain(state.accounts.iter().map(|own| &own.scope));
        let scopes = scopes.chain([&state.scope]);
        scopes.map(|scope| scope.pnl(&state.instruments, &state.markets)).collect()
    }
}
