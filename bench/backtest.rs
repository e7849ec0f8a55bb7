//! A whole backtest on one thread: source, two clocks, venue, engine, risk and a strategy that is
//! called on every event.
//!
//! A regression here is waiting time for everybody who tests an idea. The stream is the one that
//! other engines were measured on: 90 % changes of one level, 10 % trades, an order about every
//! 2,000 events.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tercel_core::{
    Engine, EngineConfig, Event, InstrumentId, Intents, Interest, MarketData, MarketEvent, Nanos,
    OrderSpec, Price, Quantity, Side, Strategy, StrategyEvent, StrategyFault, View,
};
use tercel_sim::{Backtest, BacktestOptions, LatencyModel, SimVenue, Summary, VenueOptions};
use tercel_testkit::{Random, engine_config, linear};

const N_EVENTS: usize = 2_000_000;
/// Small enough that a block is still in the cache when the engine comes to it.
const BLOCK: usize = 512;
const ID: InstrumentId = InstrumentId(0);

/// Returns the stream: a touch that walks at random, levels within twenty ticks of it, one event
/// every 10 µs, received `feed_ns` after it happened.
fn stream(feed_ns: i64) -> Vec<Vec<Event>> {
    let mut random = Random::new(7);
    let mut events = Vec::with_capacity(N_EVENTS + 64);
    let mut middle = 600_000_i64;
    let mut push = |n: usize, data| {
        let venue_at = Nanos(10_000 * i64::try_from(n).expect("few events"));
        let received_at = venue_at.plus(feed_ns);
        events.push(MarketEvent { venue_at, received_at, instrument: ID, data });
    };
    let level = |side: Side, price: i64, qty: i64| MarketData::Level {
        side,
        price: Price(price),
        qty: Quantity(qty),
        last: true,
    };
    for n in 1..=20 {
        push(0, level(Side::Buy, middle - n, 50));
        push(0, level(Side::Sell, middle + n, 50));
    }
    let mut n = 0;
    while n < N_EVENTS {
        n += 1;
        let side = if random.chance(50) { Side::Buy } else { Side::Sell };
        let data = match random.below(1_000) {
            0..100 => MarketData::Trade {
                aggressor: Some(side),
                price: Price(middle + side.sign()),
                qty: Quantity(random.between(1, 5)),
                id: n as u64,
            },
            // The touch moves by a tick: the side that it runs over gives way, then the other
            // side follows.
            100..110 => {
                push(n, level(side.opposite(), middle + side.sign(), 0));
                middle += side.sign();
                n += 1;
                level(side, middle - side.sign(), 20)
            }
            _ => {
                let distance = random.between(1, 20);
                level(side, middle - distance * side.sign(), random.between(1, 100))
            }
        };
        push(n, data);
    }
    let blocks = events.chunks(BLOCK);
    blocks.map(|block| block.iter().map(|event| Event::Market(*event)).collect()).collect()
}

/// Follows the middle of the book with a moving average and trades when it has strayed from it.
struct Follower {
    average: f64,
    n_calls: u64,
    last_order_at: u64,
}

impl Strategy for Follower {
    fn on_event(
        &mut self,
        _event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let (Some(bid), Some(ask)) = (view.best(ID, Side::Buy), view.best(ID, Side::Sell)) else {
            return Ok(());
        };
        #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^52 ticks")]
        let middle = (bid.price.0 + ask.price.0) as f64 / 2.0;
        self.average += (middle - self.average) * 0.001;
        self.n_calls += 1;
        if self.n_calls - self.last_order_at >= 2_000 {
            self.last_order_at = self.n_calls;
            let side = if middle > self.average { Side::Buy } else { Side::Sell };
            let held = view.position(ID).qty.0 * side.sign();
            if held < 20 {
                let _ = intents.place(OrderSpec::market(ID, side, Quantity(1)));
            }
        }
        Ok(())
    }
}

fn config() -> EngineConfig {
    let mut config = engine_config(vec![linear(0)]);
    config.strategies[0].interest = Interest { book: true, level: false, trade: true };
    config.strategies[0].limits.position_qty = Some(Quantity(1_000));
    config.limits.orders_per_second = Some(10_000);
    config
}

fn run(config: &EngineConfig, blocks: &mut [Vec<Event>]) -> (Summary, u64) {
    let follower = Follower { average: 600_000.0, n_calls: 0, last_order_at: 0 };
    let engine = Engine::new(config, vec![Box::new(follower)]).expect("the configuration is valid");
    let options = VenueOptions {
        latency: LatencyModel::Constant { request_ns: 2_000_000, answer_ns: 2_000_000 },
        ..VenueOptions::default()
    };
    let venue = SimVenue::new(&config.instruments, options).expect("the options are valid");
    let mut test = Backtest::new(engine, venue, BacktestOptions::default());
    let mut blocks = blocks.iter_mut();
    // Blocks are made before, because what a source costs is that source's affair; they come out
    // of memory that is far larger than the caches all the same.
    let source = |list: &mut Vec<Event>| {
        let Some(block) = blocks.next() else { return Ok::<_, Infallible>(0) };
        let n = block.len();
        if list.is_empty() {
            std::mem::swap(list, block);
        } else {
            list.append(block);
        }
        Ok(n)
    };
    let Ok(summary) = test.run(source, &mut ());
    (summary, test.engine().state_hash())
}

fn backtest(c: &mut Criterion) {
    let config = config();
    let mut group = c.benchmark_group("backtest");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for (name, feed_ns) in [("no feed latency", 0), ("feed latency of 5 ms", 5_000_000)] {
        let blocks = stream(feed_ns);
        let (first, hash) = run(&config, &mut blocks.clone());
        assert!(first.n_requests > 500, "the strategy trades: {first:?}");
        assert_eq!(run(&config, &mut blocks.clone()), (first, hash), "two runs are equal");
        group.throughput(Throughput::Elements(first.n_events));
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || blocks.clone(),
                |blocks| black_box(run(&config, blocks)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, backtest);
criterion_main!(benches);
