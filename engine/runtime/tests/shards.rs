//! Several engines of one configuration: what is split adds up, and together they keep to it.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use rust_decimal::Decimal;
use tercel_core::{
    AccountConfig, AccountId, AssetId, ClientOrderId, Command, Effect, Effects, Engine,
    EngineConfig, Event, ExecutionReport, Fill, InstrumentId, Intents, Nanos, Notional,
    OrderRequest, OrderSpec, Price, Quantity, ReportKind, RiskLimits, Role, Scope, Seq, Side,
    Strategy, StrategyConfig, StrategyEvent, StrategyFault, StrategyId, TradingState, View,
};
use tercel_runtime::{
    DealBy, DealError, EndCause, EventLoop, IdleStrategy, LoopOptions, PaperPort, Parts, Shard,
    Shards, ShardsRefused, UtcClock, deal,
};
use tercel_sim::{SimVenue, VenueOptions};
use tercel_testkit::{Random, account, engine_config, level, linear, strategy};

const WAIT: Duration = Duration::from_secs(20);

/// Four instruments, three accounts, a strategy for each pair.
fn whole(limits: RiskLimits) -> EngineConfig {
    let strategies = (0..3).flat_map(|account| {
        (0..4).map(move |instrument| StrategyConfig {
            name: format!("{account}-{instrument}"),
            instruments: vec![InstrumentId(instrument)],
            ..strategy(account, 0)
        })
    });
    EngineConfig {
        run: 5,
        accounts: vec![AccountConfig { limits: limits.clone(), ..account() }; 3],
        strategies: strategies.collect(),
        limits,
        ..engine_config((0..4).map(linear).collect())
    }
}

fn limits(random: &mut Random, n: i64) -> RiskLimits {
    let mut some = |most: i64| random.chance(70).then(|| random.between(n, most));
    let count = |value: Option<i64>| value.map(|value| u32::try_from(value).unwrap());
    let money = |value: Option<i64>| value.map(|value| Notional(i128::from(value) * 1_000_003));
    RiskLimits {
        order_qty: some(9).map(Quantity),
        order_notional: money(some(1_000)),
        position_qty: some(1_000).map(Quantity),
        gross_exposure: money(some(1 << 60)),
        open_orders: count(some(100)),
        orders_per_second: count(some(100)),
        orders_per_day: count(some(100_000)),
        daily_loss: money(some(1 << 50)),
        drawdown: money(some(1 << 50)),
        trades_per_day: count(some(1_000)),
        ..RiskLimits::default()
    }
}

/// The limits that add up, with names.
fn sums(limits: &RiskLimits) -> [(&'static str, Option<i128>); 8] {
    [
        ("position_qty", limits.position_qty.map(|value| value.0.into())),
        ("gross_exposure", limits.gross_exposure.map(|value| value.0)),
        ("open_orders", limits.open_orders.map(i128::from)),
        ("orders_per_second", limits.orders_per_second.map(i128::from)),
        ("orders_per_day", limits.orders_per_day.map(i128::from)),
        ("daily_loss", limits.daily_loss.map(|value| value.0)),
        ("drawdown", limits.drawdown.map(|value| value.0)),
        ("trades_per_day", limits.trades_per_day.map(i128::from)),
    ]
}

fn assert_split<'a>(
    whole: &RiskLimits,
    parts: impl Iterator<Item = &'a RiskLimits>,
    is_position_whole: bool,
) {
    let parts: Vec<_> = parts.collect();
    for (nth, (name, value)) in sums(whole).into_iter().enumerate() {
        let each: Vec<_> = parts.iter().map(|part| sums(part)[nth].1).collect();
        if name == "position_qty" && is_position_whole {
            assert!(each.iter().all(|part| *part == value));
            continue;
        }
        assert_eq!(each.iter().copied().sum::<Option<i128>>(), value, "{name}: {each:?}");
        // The first has its share and what is left over, all others the same.
        assert!(each[1..].iter().all(|part| *part == each[each.len() - 1] && *part <= each[0]));
    }
    assert!(parts.iter().all(|part| part.order_qty == whole.order_qty));
    assert!(parts.iter().all(|part| part.order_notional == whole.order_notional));
}

#[test]
fn what_is_split_adds_up_to_the_whole_and_every_strategy_is_dealt_once() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let n = random.index(7) + 1;
        let mut config = whole(limits(&mut random, i64::try_from(n).unwrap()));
        for account in &mut config.accounts {
            let amount = Decimal::new(random.between(7, 1 << 50), 8);
            account.balances = vec![(AssetId(1), amount)];
        }
        for by in [DealBy::Accounts, DealBy::Instruments] {
            let shards = deal(&config, n, by).unwrap();
            let by_instrument = by == DealBy::Instruments;
            let engines = shards.iter().map(|shard| &shard.config.limits);
            assert_split(&config.limits, engines, by_instrument);
            for (id, account) in config.accounts.iter().enumerate() {
                let balances = shards.iter().flat_map(|shard| &shard.config.accounts[id].balances);
                assert_eq!(balances.map(|(_, amount)| *amount).sum::<Decimal>(), {
                    account.balances[0].1
                });
                if by_instrument {
                    // Those that trade it: with more engines than instruments, not all do.
                    let traders = shards.iter().filter(|shard| !shard.strategies.is_empty());
                    let parts = traders.map(|shard| &shard.config.accounts[id].limits);
                    assert_split(&account.limits, parts, true);
                }
            }
            let mut dealt: Vec<_> = shards.iter().flat_map(|s| s.strategies.clone()).collect();
            dealt.sort_unstable();
            assert_eq!(dealt, (0..12).map(StrategyId).collect::<Vec<_>>());
            let runs: Vec<_> = shards.iter().map(|shard| shard.config.run).collect();
            assert_eq!(runs, (5..).take(n).collect::<Vec<_>>(), "no order's id recurs");
            for shard in &shards {
                for (own, id) in shard.config.strategies.iter().zip(&shard.strategies) {
                    assert_eq!(own.name, config.strategies[id.index()].name);
                    let dealt_by = if by_instrument {
                        own.instruments[0].index()
                    } else {
                        own.account.index()
                    };
                    assert_eq!(dealt_by % n, shard.index);
                    assert!(shard.instruments().contains(&own.instruments[0]));
                }
            }
        }
    }
}

/// Engines on which an account trades nothing had their share of its money and limits all the same, which
/// nobody could use; and a balance written as `1` fell to the first of two engines alone.
#[test]
fn an_account_is_split_between_those_that_trade_it() {
    let limits = RiskLimits { open_orders: Some(10), ..RiskLimits::default() };
    let mut config = whole(limits);
    // Account 0 trades on engines 0 and 1 of three, account 1 on engine 2 alone, account 2 nowhere.
    config.strategies.retain(|own| match own.account.index() {
        0 => own.instruments[0].index() < 2,
        1 => own.instruments[0].index() == 2,
        _ => false,
    });
    let amount = |amount: Decimal| vec![(AssetId(1), amount)];
    config.accounts.iter_mut().for_each(|account| account.balances = amount(Decimal::ONE));
    let shards = deal(&config, 3, DealBy::Instruments).unwrap();
    let of = |id: usize| -> Vec<_> {
        let accounts = shards.iter().map(|shard| &shard.config.accounts[id]);
        accounts.map(|own| (own.balances[0].1.to_string(), own.limits.open_orders)).collect()
    };
    let part = |amount: &str, orders: u32| (amount.to_owned(), Some(orders));
    let nothing = || ("0".to_owned(), None);
    assert_eq!(of(0), [part("0.5", 5), part("0.5", 5), nothing()]);
    assert_eq!(of(1), [nothing(), nothing(), part("1", 10)]);
    assert_eq!(of(2), [part("1", 10), nothing(), nothing()]);
    config.accounts[0].balances = amount(Decimal::new(1, 8));
    let error = deal(&config, 3, DealBy::Instruments).unwrap_err();
    assert!(matches!(error, DealError::BalanceTooSmall { n: 2, .. }), "{error}");
    assert!(error.to_string().contains("0.00000001"), "{error}");
}

#[test]
fn what_cannot_be_dealt_is_named() {
    let config = whole(RiskLimits { open_orders: Some(2), ..RiskLimits::default() });
    assert_eq!(deal(&config, 0, DealBy::Accounts).unwrap_err(), DealError::NoEngine);
    let error = deal(&config, 3, DealBy::Accounts).unwrap_err();
    assert_eq!(error, DealError::TooSmall { limit: "open_orders", value: 2, n: 3 });
    assert!(error.to_string().contains("raise it to at least 3"), "{error}");
    let none = whole(RiskLimits { open_orders: Some(0), ..RiskLimits::default() });
    let shards = deal(&none, 3, DealBy::Accounts).unwrap();
    assert!(shards.iter().all(|shard| shard.config.limits.open_orders == Some(0)));
    let mut both = whole(RiskLimits::default());
    both.strategies[1].instruments = vec![InstrumentId(0), InstrumentId(2), InstrumentId(3)];
    assert!(deal(&both, 1, DealBy::Instruments).is_ok());
    let error = deal(&both, 2, DealBy::Instruments).unwrap_err();
    assert!(error.to_string().contains("trades instruments 0 and 3"), "{error}");
    let late = EngineConfig { run: (1 << 24) - 2, ..whole(RiskLimits::default()) };
    assert!(deal(&late, 2, DealBy::Accounts).is_ok());
    assert!(matches!(deal(&late, 3, DealBy::Accounts), Err(DealError::Runs { .. })));
}

/// Orders at every call, now this side, now that.
#[derive(Debug)]
struct Greedy(Random);

impl Strategy for Greedy {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        _view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        if let StrategyEvent::Book { instrument } = event {
            let (side, price) = if self.0.chance(60) { (Side::Buy, 99) } else { (Side::Sell, 111) };
            let qty = Quantity(self.0.between(1, 20));
            intents.place(OrderSpec::limit(*instrument, side, Price(price), qty)).unwrap();
        }
        Ok(())
    }
}

/// An engine of a shard, the orders that it has out, and how far it has come.
struct Running {
    engine: Engine,
    effects: Effects,
    seq: u64,
    instruments: Vec<InstrumentId>,
    out: Vec<(ClientOrderId, AccountId, OrderSpec)>,
}

impl Running {
    fn handle(&mut self, now: i64, event: &Event) {
        self.seq += 1;
        self.engine.handle(Seq(self.seq), Nanos(now), event, &mut self.effects);
        for effect in self.effects.as_slice() {
            if let Effect::Send(request) = effect
                && let OrderRequest::New { id, account, spec, .. } = **request
            {
                self.out.push((id, account, spec));
            }
        }
        self.effects.clear();
    }

    /// Fills one of its orders, or ends it.
    fn answer(&mut self, now: i64, random: &mut Random) {
        if self.out.is_empty() {
            return;
        }
        let (order, account, spec) = self.out.swap_remove(random.index(self.out.len()));
        let kind = if random.chance(60) {
            ReportKind::Fill(Fill {
                trade_id: u64::try_from(now).unwrap(),
                price: spec.kind.limit_price().unwrap(),
                qty: spec.qty,
                role: Role::Maker,
                fee: Decimal::ZERO,
                fee_asset: AssetId(1),
            })
        } else {
            ReportKind::Expired
        };
        let (venue_at, received_at, instrument) = (Nanos(now), Nanos(now), spec.instrument);
        let report = ExecutionReport { order, account, instrument, venue_at, received_at, kind };
        self.handle(now, &Event::Execution(report));
    }
}

/// What the engines have together never exceeds what was configured, whatever each of them does.
#[test]
fn together_they_never_exceed_the_configured_whole() {
    let (mut n_orders, mut n_full, mut n_position_full) = (0, 0, 0);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let n = random.index(4) + 1;
        let by = if seed % 2 == 0 { DealBy::Accounts } else { DealBy::Instruments };
        let least = i64::try_from(n).unwrap();
        let open_orders = u32::try_from(random.between(least, 30)).unwrap();
        let orders_per_day = u32::try_from(random.between(100, 400)).unwrap();
        let gross = Notional(i128::from(random.between(5_000, 30_000)) * Notional::ONE);
        let position = Quantity(random.between(40, 200));
        let config = whole(RiskLimits {
            open_orders: Some(open_orders),
            orders_per_day: Some(orders_per_day),
            gross_exposure: Some(gross),
            position_qty: Some(position),
            ..RiskLimits::default()
        });
        let mut engines: Vec<_> = deal(&config, n, by)
            .unwrap()
            .into_iter()
            .map(|shard| {
                let greedy = shard.strategies.iter().map(|id| {
                    Box::new(Greedy(Random::new(seed * 100 + u64::from(id.0)))) as Box<dyn Strategy>
                });
                let engine = Engine::new(&shard.config, greedy.collect()).unwrap();
                let instruments = shard.instruments();
                let effects = Effects::default();
                let mut running = Running { engine, effects, seq: 0, instruments, out: Vec::new() };
                for own in 0..shard.strategies.len() {
                    let own = StrategyId(u16::try_from(own).unwrap());
                    running.handle(0, &Event::Command(Command::Start(own)));
                }
                running
            })
            .collect();
        for now in 1..400 {
            let index = random.index(n);
            let running = &mut engines[index];
            if random.chance(40) {
                running.answer(now, &mut random);
            } else if !running.instruments.is_empty() {
                let id = running.instruments[random.index(running.instruments.len())].0;
                let (side, price) =
                    if random.chance(50) { (Side::Buy, 100) } else { (Side::Sell, 110) };
                running.handle(now, &level(id, now, side, price, random.between(1, 9)));
            }
            let scopes = || engines.iter().map(|running| &running.engine.state().scope);
            let open: u32 = scopes().map(|scope| scope.open_orders).sum();
            assert!(open <= open_orders, "seed {seed}: {open} of {open_orders} orders");
            let today: u32 = scopes().map(|scope| scope.today.orders).sum();
            assert!(today <= orders_per_day, "seed {seed}: {today} of {orders_per_day} orders");
            let held: Notional = scopes().fold(Notional::ZERO, |sum, scope| sum + scope.gross);
            // An order is judged at its own price, and valued at that of its fill or of another
            // order afterwards: all of them lie between 99 and 111.
            assert!(held.0 * 99 <= gross.0 * 111, "seed {seed}: exposure of {held} of {gross}");
            for id in 0..4 {
                let worst: i64 = scopes().map(|scope| scope.positions[id].qty.0.abs()).sum();
                assert!(worst <= position.0, "seed {seed}: position of {worst} of {position}");
                n_position_full += u32::from(worst * 2 > position.0);
            }
            n_full += u32::from(open == open_orders);
        }
        n_orders +=
            engines.iter().map(|running| running.engine.state().scope.today.orders).sum::<u32>();
    }
    assert!(n_orders > 5_000, "{n_orders} orders");
    assert!(
        n_full > 50 && n_position_full > 50,
        "limits were reached: {n_full}, {n_position_full}"
    );
}

#[test]
fn one_handle_commands_and_sums_all_engines() {
    let config = whole(RiskLimits::default());
    let shards = deal(&config, 2, DealBy::Accounts).unwrap();
    let body = |shard: Shard, control, _| {
        let strategies =
            shard.strategies.iter().map(|_| Box::new(Greedy(Random::new(1))) as Box<dyn Strategy>);
        let instruments = &shard.config.instruments;
        let events: Vec<_> =
            shard.instruments().iter().map(|id| level(id.0, 1, Side::Buy, 100, 1)).collect();
        let parts = Parts {
            engine: Engine::new(&shard.config, strategies.collect()).unwrap(),
            clock: UtcClock::system(),
            port: PaperPort::new(SimVenue::new(instruments, VenueOptions::default()).unwrap()),
            recorder: (),
            observer: (),
            sources: vec![Endless(events)],
        };
        let options = LoopOptions { idle: IdleStrategy::default(), ..LoopOptions::default() };
        EventLoop::new(parts, control, options).run()
    };
    let shards = shards.into_iter().map(|shard| (shard, body)).collect();
    let mut running = Shards::spawn(shards, DealBy::Accounts, &[], 8).unwrap();
    let handle = running.handle().clone();
    let until = |what: &str, is_so: &dyn Fn(&tercel_runtime::ShardsStatus) -> bool| {
        let begun = std::time::Instant::now();
        loop {
            let status = handle.status(WAIT);
            if is_so(&status) {
                return status;
            }
            assert!(begun.elapsed() < WAIT, "waited for: {what}; {status:?}");
        }
    };
    // Four instruments on each engine: accounts 0 and 2 on the first, account 1 on the second.
    let status = until("all data is seen", &|status| status.n_market == 8);
    assert_eq!(status.is_running, [true; 12]);
    assert!(status.n_requests > 0);
    let per_account = Notional(1_000_000 * Notional::ONE);
    assert!(status.equity.iter().all(|equity| *equity > per_account), "each counts once");
    assert_eq!(status.equity[0], status.equity[1]);
    handle.send(&Command::Stop(StrategyId(5))).unwrap();
    let status = until("a strategy stops", &|status| !status.is_running[5]);
    assert_eq!(status.is_running.iter().filter(|is_running| !**is_running).count(), 1);
    handle.send(&Command::Kill(Scope::Account(AccountId(1)))).unwrap();
    handle.send(&Command::Kill(Scope::Engine)).unwrap();
    let halted = |status: &tercel_runtime::ShardsStatus| {
        status.engines.iter().all(|s| s.as_ref().unwrap().state == TradingState::Halted)
    };
    let status = until("all are halted", &halted);
    assert_eq!(status.state, TradingState::Halted);
    handle.send(&Command::Resume(Scope::Engine)).unwrap();
    until("all are active", &|status| status.state == TradingState::Active);
    let limits = Command::SetLimits(Scope::Engine, Box::default());
    let shared = Err(ShardsRefused::SharedLimits(Scope::Engine));
    assert_eq!(handle.send(&limits), shared);
    handle.send(&Command::SetLimits(Scope::Account(AccountId(0)), Box::default())).unwrap();
    let unknown = handle.send(&Command::Start(StrategyId(12)));
    assert_eq!(unknown, Err(ShardsRefused::NoStrategy(StrategyId(12))));
    assert_eq!((running.n_left(), running.take_ended()), (2, Vec::new()));
    let own = |id| handle.place(StrategyId(id));
    assert_eq!(
        (own(5), own(8), own(12)),
        (Some((1, StrategyId(1))), Some((0, StrategyId(4))), None)
    );
    assert!(handle.has_account(1, AccountId(1)) && !handle.has_account(1, AccountId(2)));
    // Accounts are on one engine each: nobody else has a share of their limits.
    assert_eq!(handle.halt_others(0, Scope::Account(AccountId(0))), Ok(0));
    assert_eq!(handle.halt_others(0, Scope::Engine), Ok(1));
    let states = |status: &tercel_runtime::ShardsStatus| {
        status.engines.iter().map(|own| own.as_ref().unwrap().state).collect::<Vec<_>>()
    };
    until("the other is halted", &|status| {
        states(status) == [TradingState::Active, TradingState::Halted]
    });
    // One that ends by itself leaves the other alone.
    handle.engines()[1].stop();
    let begun = std::time::Instant::now();
    let ended = loop {
        match running.take_ended().pop() {
            Some(ended) => break ended,
            None => assert!(begun.elapsed() < WAIT, "an engine that was stopped ends"),
        }
    };
    assert_eq!((ended.0, ended.1.cause, running.n_left()), (1, EndCause::Stopped, 1));
    handle.stop();
    let endings = running.join();
    assert_eq!(
        endings.iter().map(|ending| &ending.cause).collect::<Vec<_>>(),
        [&EndCause::Stopped]
    );
    let refused = handle.send(&Command::Kill(Scope::Engine)).unwrap_err();
    assert!(refused.to_string().contains("engine 1, 2 did not take the command"), "{refused}");
}

/// Gives its events, then nothing.
struct Endless(Vec<Event>);

impl tercel_runtime::MarketSource for Endless {
    fn poll(
        &mut self,
        out: &mut Vec<Event>,
        _max: usize,
    ) -> Result<tercel_runtime::SourceState, tercel_runtime::SourceFailure> {
        let is_idle = self.0.is_empty();
        out.append(&mut self.0);
        Ok(if is_idle {
            tercel_runtime::SourceState::Idle
        } else {
            tercel_runtime::SourceState::Ready
        })
    }
}
