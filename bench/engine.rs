//! The engine's hot calls. A regression here is latency on every market message and every order.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tercel_core::{
    ClientOrderId, Command, Effect, Effects, Engine, EngineConfig, Event, ExecutionReport,
    InstrumentId, Intents, Nanos, Notional, OnHalt, OrderRequest, OrderSpec, Price, Quantity,
    ReportKind, RiskLimits, Seq, Side, StateCopy, Strategy, StrategyEvent, StrategyFault,
    StrategyId, View,
};
use tercel_testkit::{engine_config, level, linear};

/// Looks at the touch and does nothing: the cost of being called.
struct Watcher(i64);

impl Strategy for Watcher {
    fn on_event(
        &mut self,
        _event: &StrategyEvent<'_>,
        view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        if let Some(bid) = view.best(InstrumentId(0), Side::Buy) {
            self.0 = self.0.wrapping_add(bid.price.0);
        }
        Ok(())
    }
}

/// Places the same order on every call.
struct Placer(OrderSpec);

impl Strategy for Placer {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        _view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        if let StrategyEvent::Book { .. } = event {
            intents.place(self.0).expect("one intent a call");
        }
        Ok(())
    }
}

/// Every limit set, none near: what a careful user's order has to pass.
fn all_limits() -> RiskLimits {
    let million = Notional(1_000_000_000 * Notional::ONE);
    RiskLimits {
        order_qty: Some(Quantity(1_000_000)),
        order_notional: Some(million),
        position_qty: Some(Quantity(1_000_000)),
        gross_exposure: Some(million),
        price_collar_bps: Some(1_000),
        open_orders: Some(1_000),
        orders_per_second: Some(1_000),
        orders_per_day: Some(u32::MAX),
        cancels_per_100_orders: Some(1_000),
        daily_loss: None,
        drawdown: None,
        cooldown_ns: Some(1),
        trades_per_day: Some(1_000_000),
        on_halt: OnHalt::Cancel,
    }
}

fn engine(strategy: Box<dyn Strategy>) -> (Engine, Effects) {
    engine_of(strategy, 1_024)
}

fn engine_of(strategy: Box<dyn Strategy>, order_capacity: usize) -> (Engine, Effects) {
    let mut config = EngineConfig { order_capacity, ..engine_config(vec![linear(0)]) };
    config.strategies[0].limits = all_limits();
    config.accounts[0].limits = all_limits();
    config.limits = all_limits();
    let mut engine = Engine::new(&config, vec![strategy]).expect("the configuration is valid");
    let mut effects = Engine::effects();
    for n in 0..100 {
        for (side, price) in [(Side::Buy, 9_999 - n), (Side::Sell, 10_001 + n)] {
            engine.handle(Seq(0), Nanos(0), &level(0, 0, side, price, 5), &mut effects);
        }
    }
    let start = Event::Command(Command::Start(StrategyId(0)));
    engine.handle(Seq(0), Nanos(0), &start, &mut effects);
    (engine, effects)
}

fn book_event(c: &mut Criterion) {
    let (mut engine, mut effects) = engine(Box::new(Watcher(0)));
    let events: Vec<_> = (0..64).map(|n| level(0, 0, Side::Buy, 9_999 - n % 8, 5 + n)).collect();
    let (mut seq, mut at) = (0, 0);
    c.bench_function("handle: level near the touch, strategy called", |b| {
        b.iter(|| {
            seq += 1;
            at = (at + 1) % events.len();
            let event = &events[at];
            engine.handle(Seq(seq), Nanos(0), black_box(event), &mut effects);
        });
    });
    assert!(effects.as_slice().iter().all(|effect| !matches!(effect, Effect::Send(_))));
}

/// The order is refused by the last of the checks, so all of them run and nothing is recorded.
fn risk_check(c: &mut Criterion) {
    let order = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(9_000), Quantity(1));
    let (mut engine, mut effects) =
        engine(Box::new(Placer(OrderSpec { qty: Quantity(2_000_000), ..order })));
    let event = level(0, 0, Side::Buy, 9_990, 7);
    let mut seq = 0;
    c.bench_function("handle: order refused at the first limit", |b| {
        b.iter(|| {
            seq += 1;
            effects.clear();
            engine.handle(Seq(seq), Nanos(0), black_box(&event), &mut effects);
        });
    });
}

/// An order through risk, table and exposures, and its cancel report: the whole life of an order.
fn order_life(c: &mut Criterion) {
    let order = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(9_990), Quantity(1));
    let (mut engine, mut effects) = engine(Box::new(Placer(order)));
    let event = level(0, 0, Side::Buy, 9_990, 7);
    let (mut seq, mut now) = (0, 0);
    c.bench_function("handle: order approved and sent, then its cancel report", |b| {
        b.iter(|| {
            seq += 2;
            now += 2_000_000;
            effects.clear();
            engine.handle(Seq(seq), Nanos(now), black_box(&event), &mut effects);
            let id = sent(&effects);
            let report = report(id, now);
            engine.handle(Seq(seq + 1), Nanos(now), black_box(&report), &mut effects);
        });
    });
}

/// A full table of orders, copied at once and in the steps that a running engine takes: the longest of
/// them is how long a snapshot holds an event up.
fn snapshot(c: &mut Criterion) {
    let order = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(9_990), Quantity(1));
    let (mut engine, mut effects) = engine_of(Box::new(Placer(order)), 65_536);
    let event = level(0, 0, Side::Buy, 9_990, 7);
    for n in 1..=engine.state().orders.capacity() as u64 {
        let now = Nanos(i64::try_from(n).expect("few orders") * 2_000_000);
        effects.clear();
        engine.handle(Seq(2 * n), now, &event, &mut effects);
        let report = report(sent(&effects), now.0);
        engine.handle(Seq(2 * n + 1), now, &report, &mut effects);
    }
    let mut group = c.benchmark_group("snapshot of a full table of orders");
    group.sample_size(20);
    group.bench_function("at once", |b| b.iter_with_large_drop(|| engine.snapshot()));
    for pages in [16, 32] {
        group.bench_function(format!("a step of {pages} pages"), |b| {
            let mut copy = StateCopy::default();
            b.iter_custom(|n| {
                let mut spent = Duration::ZERO;
                for _ in 0..n {
                    let begun = Instant::now();
                    let n_copied = copy.advance(engine.state(), pages);
                    spent += begun.elapsed();
                    if n_copied < pages {
                        copy = StateCopy::default();
                    }
                }
                spent
            });
        });
    }
    group.bench_function("the last step, 16 pages left", |b| {
        let n_pages = engine.state().orders.capacity() / 64;
        b.iter_custom(|n| {
            let mut spent = Duration::ZERO;
            for _ in 0..n {
                let mut copy = StateCopy::default();
                copy.advance(engine.state(), n_pages - 16);
                let begun = Instant::now();
                let copied = copy.finish(engine.state());
                spent += begun.elapsed();
                drop(black_box(copied));
            }
            spent
        });
    });
    group.finish();
}

fn sent(effects: &Effects) -> ClientOrderId {
    match effects.as_slice() {
        [Effect::Send(request)] if matches!(**request, OrderRequest::New { .. }) => request.id(),
        other => panic!("one order is sent: {other:?}"),
    }
}

fn report(order: ClientOrderId, now: i64) -> Event {
    Event::Execution(ExecutionReport {
        order,
        account: tercel_core::AccountId(0),
        instrument: InstrumentId(0),
        venue_at: Nanos(now),
        received_at: Nanos(now),
        kind: ReportKind::Canceled,
    })
}

criterion_group!(benches, book_event, risk_check, order_life, snapshot);
criterion_main!(benches);
