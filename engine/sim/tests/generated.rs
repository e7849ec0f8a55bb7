//! Generated backtests, judged by books that the test keeps itself.
//!
//! Each run is named by its seed: `seed 17` in a failure is enough to see it again. Market events
//! lie at multiples of ten nanoseconds and requests arrive between them, so that the time of a fill
//! tells which event or request it belongs to.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::convert::Infallible;

use tercel_core::{
    AccountId, BookOrderAction, ClientOrderId, Effect, Engine, EngineConfig, Event,
    ExecutionReport, Fill, InstrumentId, Intent, Intents, MarketData, MarketEvent, Nanos, Notional,
    OrderKind, OrderRequest, OrderSpec, Price, Quantity, ReportKind, Role, Seq, Side, Strategy,
    StrategyEvent, StrategyFault, StrategyId, TimeInForce, View,
};
use tercel_sim::{
    Backtest, BacktestOptions, EffectsHash, FeeModel, LatencyModel, LatencySample, Observer,
    QueueModel, SimVenue, VenueOptions,
};
use tercel_testkit::{Random, account, engine_config, linear, spot, strategy};

const N_RUNS: u64 = 300;
const N_EVENTS: i64 = 400;
const LIMIT: i64 = 60;

/// Wishes at random whenever the market calls it.
struct Gambler {
    random: Random,
    may_reduce: bool,
    placed: Vec<ClientOrderId>,
}

impl Strategy for Gambler {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let (StrategyEvent::Book { instrument } | StrategyEvent::Trade { instrument, .. }) = *event
        else {
            return Ok(());
        };
        let random = &mut self.random;
        if !random.chance(30) {
            return Ok(());
        }
        match random.below(4) {
            0..2 => {
                let mut spec = order(random, instrument, view.now());
                spec.reduce_only &= self.may_reduce;
                self.placed.push(intents.place(spec).unwrap());
            }
            2 if !self.placed.is_empty() => {
                let id = self.placed[random.index(self.placed.len())];
                let price = Price(random.between(94, 106));
                let qty = Quantity(random.between(1, 30));
                intents.push(Intent::Replace { id, price, qty }).unwrap();
            }
            3 if !self.placed.is_empty() => {
                let id = self.placed[random.index(self.placed.len())];
                intents.push(Intent::Cancel { id }).unwrap();
            }
            _ => {}
        }
        Ok(())
    }
}

fn order(random: &mut Random, instrument: InstrumentId, now: Nanos) -> OrderSpec {
    let side = if random.chance(50) { Side::Buy } else { Side::Sell };
    let price = Price(random.between(94, 106));
    let trigger = Price(random.between(94, 106));
    let kind = match random.below(10) {
        0..2 => OrderKind::Market,
        2 => OrderKind::Stop { trigger },
        3 => OrderKind::StopLimit { trigger, price },
        _ => OrderKind::Limit { price },
    };
    let tif = match random.below(8) {
        0 => TimeInForce::Ioc,
        1 => TimeInForce::Fok,
        2 => TimeInForce::Gtd(now.plus(random.between(0, 60) * 10 + 5)),
        _ => TimeInForce::Gtc,
    };
    OrderSpec {
        instrument,
        side,
        kind,
        qty: Quantity(random.between(1, 25)),
        tif,
        post_only: random.chance(15),
        reduce_only: random.chance(20),
    }
}

/// A market around 100 whose sides never cross for long, in either instrument.
fn stream(random: &mut Random, by_order: bool) -> Vec<Event> {
    let mut events = Vec::new();
    let mut middle = [100, 100];
    let mut orders: Vec<(u64, Side, i64, i64)> = Vec::new();
    let mut n_orders = 0;
    for n in 1..=N_EVENTS {
        // Both books first: without one, the last trade would be taken from.
        let id = if n <= 2 { usize::from(n == 2) } else { random.index(2) };
        let instrument = InstrumentId(u16::try_from(id).unwrap());
        let side = if random.chance(50) { Side::Buy } else { Side::Sell };
        if random.chance(10) {
            middle[id] = (middle[id] + random.between(-1, 1)).clamp(97, 103);
        }
        let price = middle[id] - side.sign() * random.between(1, 4);
        let qty = Quantity(random.between(0, 30));
        let data = match random.below(20) {
            _ if n <= 2 => MarketData::Level { side, price: Price(price), qty, last: true },
            0..4 => MarketData::Trade {
                aggressor: random.chance(80).then_some(side),
                price: Price(middle[id] + random.between(-3, 3)),
                qty: Quantity(random.between(1, 40)),
                id: 0,
            },
            4 if by_order && id == 0 && !orders.is_empty() => {
                let idx = random.index(orders.len());
                let (order_id, side, price, left) = orders.swap_remove(idx);
                let action = if random.chance(60) {
                    BookOrderAction::Execute
                } else {
                    BookOrderAction::Cancel
                };
                let (price, qty) = (Price(price), Quantity(left));
                MarketData::BookOrder { action, side, price, qty, order_id, last: true }
            }
            5 | 6 if by_order && id == 0 => {
                n_orders += 1;
                orders.push((n_orders, side, price, qty.0 + 1));
                MarketData::BookOrder {
                    action: BookOrderAction::Add,
                    side,
                    price: Price(price),
                    qty: qty + Quantity(1),
                    order_id: n_orders,
                    last: true,
                }
            }
            _ => MarketData::Level { side, price: Price(price), qty, last: true },
        };
        let venue_at = Nanos(n * 10);
        let received_at = venue_at.plus(random.between(0, 5) * 10);
        events.push(Event::Market(MarketEvent { venue_at, received_at, instrument, data }));
    }
    events
}

/// What is known of an order from what was sent and told alone.
struct Record {
    spec: OrderSpec,
    account: AccountId,
    strategy: StrategyId,
    qty_max: i64,
    filled: i64,
    is_over: bool,
}

/// Books kept from requests and reports, and from the events of the market.
struct Judge {
    seed: u64,
    events: Vec<MarketEvent>,
    /// How many events have happened at the venue by the last report.
    n_happened: usize,
    /// By instrument, side (buy is true) and price: quantity told last, and what we took since.
    levels: BTreeMap<(usize, bool, i64), (i64, i64)>,
    /// What makers were filled by the event that happened last.
    made: i64,
    orders: BTreeMap<ClientOrderId, Record>,
    positions: BTreeMap<(AccountId, InstrumentId), i64>,
    by_strategy: BTreeMap<(StrategyId, InstrumentId), i64>,
    /// Cash and base by account and asset, perpetuals' purchases as cash too.
    ledger: BTreeMap<(AccountId, u16), Notional>,
    last_venue_at: Nanos,
    n_fills: u64,
}

impl Judge {
    fn happen(&mut self, until: Nanos) {
        while let Some(event) = self.events.get(self.n_happened)
            && event.venue_at <= until
        {
            self.n_happened += 1;
            self.made = 0;
            if let MarketData::Level { side, price, qty, .. } = event.data {
                let key = (event.instrument.index(), side == Side::Buy, price.0);
                self.levels.insert(key, (qty.0, 0));
            }
        }
    }

    fn fill(&mut self, report: &ExecutionReport, fill: &Fill, engine: &Engine) {
        self.n_fills += 1;
        let seed = self.seed;
        let record = self.orders.get_mut(&report.order).unwrap();
        let (side, instrument_id) = (record.spec.side, report.instrument);
        assert!(fill.qty.0 > 0, "seed {seed}");
        record.filled += fill.qty.0;
        assert!(record.filled <= record.qty_max, "seed {seed}: filled beyond what was ordered");
        if let Some(price) = record.spec.kind.limit_price() {
            // A replaced order's price is the one of its last report, which is in the record.
            assert!(side.crosses(price, fill.price), "seed {seed}: {report:?} beyond {price}");
        }
        let position = self.positions.entry((record.account, instrument_id)).or_default();
        let before = *position;
        *position += fill.qty.0 * side.sign();
        assert!(position.abs() <= LIMIT, "seed {seed}: position {position} beyond its limit");
        if record.spec.reduce_only {
            let shrank = position.abs() < before.abs() && before.signum() * *position >= 0;
            assert!(shrank, "seed {seed}: reduce-only took {before} to {position}");
        }
        *self.by_strategy.entry((record.strategy, instrument_id)).or_default() +=
            fill.qty.0 * side.sign();

        let instrument = &engine.state().instruments[instrument_id.index()];
        let notional = instrument.notional(fill.price, fill.qty).unwrap();
        let mut pay = |asset: u16, amount: Notional| {
            *self.ledger.entry((report.account, asset)).or_default() += amount;
        };
        let sign = i128::from(side.sign());
        pay(1, Notional(-sign * notional.0));
        pay(fill.fee_asset.0, -Notional::from_decimal(fill.fee).unwrap());
        if !instrument.is_perpetual() {
            pay(0, Notional(sign * instrument.base_amount(fill.qty).unwrap().0));
        }
        self.check_source(report, fill, side);
    }

    /// No level and no event gives more than it holds.
    fn check_source(&mut self, report: &ExecutionReport, fill: &Fill, side: Side) {
        let seed = self.seed;
        let instrument = report.instrument.index();
        let take = |levels: &mut BTreeMap<_, (i64, i64)>, price: i64| {
            let (qty, taken) = levels.get_mut(&(instrument, side == Side::Sell, price)).unwrap();
            *taken += fill.qty.0;
            assert!(*taken <= *qty, "seed {seed}: {taken} of {qty} taken at {price}: {report:?}");
        };
        match fill.role {
            Role::Taker => take(&mut self.levels, fill.price.0),
            Role::Maker => {
                let event = self.events[self.n_happened - 1];
                assert_eq!(event.venue_at, report.venue_at, "seed {seed}: made between events");
                assert_eq!(event.instrument, report.instrument, "seed {seed}");
                self.made += fill.qty.0;
                match event.data {
                    MarketData::Trade { qty, price, aggressor, .. } => {
                        assert!(self.made <= qty.0, "seed {seed}: a trade gave too much");
                        assert!(side.crosses(fill.price, price), "seed {seed}");
                        assert_ne!(aggressor, Some(side), "seed {seed}: filled by its own side");
                    }
                    MarketData::BookOrder { qty, price, .. } => {
                        assert!(self.made <= qty.0, "seed {seed}: an execution gave too much");
                        assert!(side.crosses(fill.price, price), "seed {seed}");
                    }
                    MarketData::Level { price, .. } => {
                        assert!(side.crosses(fill.price, price), "seed {seed}");
                        take(&mut self.levels, price.0);
                    }
                    data => panic!("seed {seed}: {data:?} fills nothing"),
                }
            }
        }
    }

    /// Whatever is open and under way fills: no position goes beyond its limit.
    ///
    /// Judged in runs without reduce-only orders: those are not reserved for, so they may make
    /// room for open orders that had counted on the position that they reduce.
    fn check_worst_case(&self) {
        if may_reduce(self.seed) {
            return;
        }
        for account in 0..2 {
            for instrument in 0..2 {
                let key = (AccountId(account), InstrumentId(instrument));
                let position = self.positions.get(&key).copied().unwrap_or(0);
                for side in [Side::Buy, Side::Sell] {
                    let open: i64 = self
                        .orders
                        .values()
                        .filter(|o| !o.is_over && o.account == key.0 && !o.spec.reduce_only)
                        .filter(|o| o.spec.instrument == key.1 && o.spec.side == side)
                        .map(|o| o.qty_max - o.filled)
                        .sum();
                    let worst = position * side.sign() + open;
                    assert!(worst <= LIMIT || open == 0, "seed {}: {worst}", self.seed);
                }
            }
        }
    }
}

impl Observer for Judge {
    fn on_effects(&mut self, _seq: Seq, _now: Nanos, effects: &[Effect], _engine: &Engine) {
        for effect in effects {
            let Effect::Send(request) = effect else { continue };
            match **request {
                OrderRequest::New { id, account, strategy, spec } => {
                    let qty_max = spec.qty.0;
                    let record =
                        Record { spec, account, strategy, qty_max, filled: 0, is_over: false };
                    assert!(self.orders.insert(id, record).is_none(), "seed {}", self.seed);
                }
                OrderRequest::Replace { id, qty, .. } => {
                    let record = self.orders.get_mut(&id).unwrap();
                    record.qty_max = record.qty_max.max(qty.0);
                }
                OrderRequest::Cancel { .. } => {}
            }
        }
        self.check_worst_case();
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        let seed = self.seed;
        assert!(report.venue_at >= self.last_venue_at && now >= report.venue_at, "seed {seed}");
        self.last_venue_at = report.venue_at;
        self.happen(report.venue_at);
        let record = self.orders.get_mut(&report.order).unwrap();
        let is_refusal =
            matches!(report.kind, ReportKind::CancelRejected(_) | ReportKind::ReplaceRejected(_));
        assert!(!record.is_over || is_refusal, "seed {seed}: news of an ended order: {report:?}");
        match report.kind {
            ReportKind::Fill(fill) => {
                self.fill(report, &fill, engine);
                let record = self.orders.get_mut(&report.order).unwrap();
                record.is_over = record.filled == record.spec.qty.0;
            }
            ReportKind::Replaced { price, qty } => {
                record.spec.kind = record.spec.kind.with_limit_price(price);
                record.spec.qty = qty;
                record.qty_max = qty.0;
            }
            ReportKind::ReplaceRejected(_) => record.qty_max = record.spec.qty.0,
            ReportKind::Canceled | ReportKind::Expired | ReportKind::Rejected(_) => {
                record.is_over = true;
            }
            ReportKind::Accepted { .. } | ReportKind::CancelRejected(_) | ReportKind::Triggered => {
            }
            ReportKind::Unknown => panic!("seed {seed}: the venue knows its orders"),
        }
        for (key, qty) in &self.positions {
            let told = engine.state().accounts[key.0.index()].scope.positions[key.1.index()].qty;
            assert_eq!(told.0, *qty, "seed {seed}");
        }
    }

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}

fn config() -> EngineConfig {
    let mut config = engine_config(vec![linear(0), spot(1)]);
    config.accounts = vec![account(), account()];
    for account in &mut config.accounts {
        account.limits.position_qty = Some(Quantity(LIMIT));
    }
    config.strategies = vec![strategy(0, 2), strategy(0, 2), strategy(1, 2)];
    config.order_capacity = 4_096;
    config
}

fn options(random: &mut Random) -> VenueOptions {
    // Requests arrive three nanoseconds after a multiple of ten, whatever their latency.
    let sample = |at, request_ns, answer_ns| LatencySample { at: Nanos(at), request_ns, answer_ns };
    let request_ns = random.between(0, 9) * 10 + 3;
    let latency = if random.chance(50) {
        LatencyModel::Constant { request_ns, answer_ns: random.between(0, 90) }
    } else {
        LatencyModel::Interpolated(vec![
            sample(0, request_ns, 0),
            sample(1_000, request_ns, 90),
            sample(3_000, request_ns, 5),
        ])
    };
    let queue = match random.below(3) {
        0 => QueueModel::Pessimistic,
        1 => QueueModel::Probabilistic { power: 2 },
        _ => QueueModel::Fifo,
    };
    VenueOptions { latency, queue, fees: FeeModel::Instrument, ..VenueOptions::default() }
}

/// Every other run has reduce-only orders.
const fn may_reduce(seed: u64) -> bool {
    seed % 2 == 1
}

/// Runs a seed and returns its hashes and the number of fills.
fn run(seed: u64) -> (u64, u64, u64) {
    let mut random = Random::new(seed);
    let config = config();
    let options = options(&mut random);
    let events = stream(&mut random, options.queue == QueueModel::Fifo);
    let strategies = config.strategies.iter().map(|_| {
        let random = Random::new(random.bits());
        let gambler = Gambler { random, may_reduce: may_reduce(seed), placed: Vec::new() };
        Box::new(gambler) as Box<dyn Strategy>
    });
    let engine = Engine::new(&config, strategies.collect()).unwrap();
    let venue = SimVenue::new(&config.instruments, options).unwrap();
    let mut judge = Judge {
        seed,
        events: events
            .iter()
            .filter_map(|event| if let Event::Market(event) = event { Some(*event) } else { None })
            .collect(),
        n_happened: 0,
        levels: BTreeMap::new(),
        made: 0,
        orders: BTreeMap::new(),
        positions: BTreeMap::new(),
        by_strategy: BTreeMap::new(),
        ledger: BTreeMap::new(),
        last_venue_at: Nanos(0),
        n_fills: 0,
    };
    let mut hash = EffectsHash::new();
    let mut test = Backtest::new(engine, venue, BacktestOptions::default());
    let mut blocks = events.chunks(7);
    let source = |list: &mut Vec<Event>| {
        let block = blocks.next().unwrap_or_default();
        list.extend_from_slice(block);
        Ok::<_, Infallible>(block.len())
    };
    let Ok(_) = test.run(source, &mut (&mut judge, &mut hash));
    check_end(&judge, &test);
    (test.engine().state_hash(), hash.value(), judge.n_fills)
}

/// After the run: engine, venue and the judge's books agree to the unit.
fn check_end(judge: &Judge, test: &Backtest) {
    let seed = judge.seed;
    let state = test.engine().state();
    let million = Notional(1_000_000 * Notional::ONE);
    for account in [AccountId(0), AccountId(1)] {
        for instrument in [InstrumentId(0), InstrumentId(1)] {
            let expected = judge.positions.get(&(account, instrument)).copied().unwrap_or(0);
            let told = state.accounts[account.index()].scope.positions[instrument.index()].qty;
            assert_eq!(told.0, expected, "seed {seed}");
            assert_eq!(test.venue().position(account, instrument).0, expected, "seed {seed}");
            for side in [Side::Buy, Side::Sell] {
                let working = state.orders.working(instrument).filter(|order| {
                    order.account == account && order.spec.side == side && !order.spec.reduce_only
                });
                let open: i64 = working.map(|order| order.leaves().0).sum();
                let at_venue = test.venue().open_qty(account, instrument, side).0;
                assert_eq!(open, at_venue, "seed {seed}: {account} {instrument} {side}");
            }
        }
        for asset in [0, 1] {
            let paid = judge.ledger.get(&(account, asset)).copied().unwrap_or_default();
            let account = &state.accounts[account.index()];
            // A perpetual's purchase is no payment: what it cost is still in the balance.
            let cost = if asset == 1 { account.scope.positions[0].cost } else { Notional::ZERO };
            let held = account.balances[usize::from(asset)].total;
            assert_eq!(held, million + paid + cost, "seed {seed}: asset {asset}");
        }
    }
    for ((strategy, instrument), qty) in &judge.by_strategy {
        let told = state.strategies[strategy.index()].scope.positions[instrument.index()].qty;
        assert_eq!(told.0, *qty, "seed {seed}");
    }
}

#[test]
fn generated_runs_keep_their_promises_and_repeat() {
    let mut n_fills = 0;
    for seed in 0..N_RUNS {
        let first = run(seed);
        if seed % 10 == 0 {
            assert_eq!(run(seed), first, "seed {seed} does not repeat");
        }
        n_fills += first.2;
    }
    assert!(n_fills > 20 * N_RUNS, "the runs trade: {n_fills} fills");
    println!("{n_fills} fills in {N_RUNS} runs");
}
