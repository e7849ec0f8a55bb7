//! What it costs that a strategy is a script. Each figure is a whole event through the engine; the
//! native strategy that does nothing is what to take off for the script's own share. A regression
//! here is time between a market message and an order.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tercel_core::{
    Bar, BarSpec, Command, Effects, Engine, EngineConfig, Event, ExecutionReport, InstrumentId,
    Intents, MarketData, MarketEvent, Nanos, OrderRequest, Price, Quantity, ReportKind, Seq,
    SeriesConfig, SeriesId, Side, Strategy, StrategyEvent, StrategyFault, StrategyId, View,
};
use tercel_script::{Binding, Language, Limits, Script, Source};
use tercel_testkit::{engine_config, level, linear};

/// The floor: is called and does nothing.
struct Idle;

impl Strategy for Idle {
    fn on_event(
        &mut self,
        _event: &StrategyEvent<'_>,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        Ok(())
    }
}

fn inline(body: &str) -> Script {
    let text = format!("strategy {{ name = 'bench', depth = 5, bars = '1m' }}\n{body}");
    let file = "bench.luau".to_owned();
    let source = Source { path: file.clone().into(), file, language: Language::Luau, text };
    Script::check(source, &Limits::of(Language::Luau)).expect("the script is sound")
}

fn inline_rhai(body: &str) -> Script {
    let text = format!("strategy(#{{ name: \"bench\", depth: 5, bars: \"1m\" }});\n{body}");
    let file = "bench.rhai".to_owned();
    let source = Source { path: file.clone().into(), file, language: Language::Rhai, text };
    Script::check(source, &Limits::of(Language::Rhai)).expect("the script is sound")
}

fn from_file(name: &str) -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lua").join(name);
    Script::load(&path, &Limits::of(Language::Luau)).expect("the script is sound")
}

/// Binds a script to the configuration's instruments and puts what it needs into it.
fn bind(script: &Script, config: &mut EngineConfig) -> Box<dyn Strategy> {
    let manifest = script.manifest();
    config.series = manifest.series(&config.instruments).expect("the bars can be built");
    let series: Vec<_> = (0..).take(config.series.len()).map(SeriesId).collect();
    config.strategies[0].interest = manifest.interest();
    config.strategies[0].series.clone_from(&series);
    let instruments = config.instruments.clone();
    // The instrument's lot is 1.
    let quantity = manifest.params.iter().any(|param| param.name == "quantity");
    let overrides = quantity.then_some(("quantity", "1"));
    let params = manifest.params(overrides).expect("the override is valid");
    let binding = Binding { instruments, series, params, seed: 1, reload: false };
    Box::new(script.instantiate(binding).expect("the binding fits"))
}

struct Rig {
    engine: Engine,
    effects: Effects,
    seq: u64,
}

impl Rig {
    fn new(strategy: impl FnOnce(&mut EngineConfig) -> Box<dyn Strategy>) -> Self {
        let mut config = engine_config(vec![linear(0)]);
        config.series.push(SeriesConfig {
            instrument: InstrumentId(0),
            spec: BarSpec::Time { interval_ms: 60_000 },
            history: 256,
        });
        config.strategies[0].series.push(SeriesId(0));
        let strategy = strategy(&mut config);
        let engine = Engine::new(&config, vec![strategy]).expect("the configuration is valid");
        let mut rig = Self { engine, effects: Engine::effects(), seq: 0 };
        rig.handle(&Event::Command(Command::Start(StrategyId(0))));
        rig
    }

    /// With a book of a hundred levels a side, and whatever was quoted on it acknowledged.
    fn with_book(mut self) -> Self {
        for n in 0..100 {
            for (side, price) in [(Side::Buy, 9_999 - n), (Side::Sell, 10_001 + n)] {
                self.handle(&level(0, 0, side, price, 5));
                self.acknowledge();
            }
        }
        self.effects.clear();
        self
    }

    fn handle(&mut self, event: &Event) {
        self.seq += 1;
        self.engine.handle(Seq(self.seq), Nanos(0), event, &mut self.effects);
    }

    /// Answers every request as a venue would that accepts it.
    fn acknowledge(&mut self) {
        let effects = self.effects.as_slice().to_vec();
        self.effects.clear();
        for effect in effects {
            let tercel_core::Effect::Send(request) = effect else { continue };
            let kind = match *request {
                OrderRequest::New { .. } => ReportKind::Accepted { venue_order_id: 1 },
                OrderRequest::Replace { price, qty, .. } => ReportKind::Replaced { price, qty },
                OrderRequest::Cancel { .. } => ReportKind::Canceled,
            };
            let order = *self.engine.state().orders.get(request.id()).expect("it was sent");
            self.handle(&Event::Execution(ExecutionReport {
                order: order.id,
                account: order.account,
                instrument: order.spec.instrument,
                venue_at: Nanos(0),
                received_at: Nanos(0),
                kind,
            }));
        }
    }

    fn assert_healthy(&self) {
        assert!(self.engine.state().strategies[0].is_running, "{:?}", self.effects.as_slice());
    }
}

/// One level far from the touch changes: the book's own work is the least there is.
fn book_calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("book event, strategy called");
    group.throughput(Throughput::Elements(1));
    let body = |text: &str| format!("function on_book(bid, bid_qty, ask, ask_qty) {text} end");
    let scripts = [
        ("luau, empty hook", inline(&body(""))),
        (
            "luau, moving average of the mid",
            inline(&format!(
                "local mean = 0\n{}",
                body("mean += ((bid + ask) * 0.5 - mean) * 0.1 if mean < 0 then buy(1, bid) end")
            )),
        ),
        (
            "luau, guarded market maker: imbalance, position, compare",
            inline(&body(
                "local lean = (bid_qty - ask_qty) / (bid_qty + ask_qty)
                 if lean > 0.9 and position() < 1 then buy(1, bid, 'post_only') end",
            )),
        ),
        ("luau, imbalance_maker.luau with both quotes out", from_file("imbalance_maker.luau")),
        ("rhai, empty hook", inline_rhai("fn on_book(bid, bid_qty, ask, ask_qty) {}")),
        (
            "rhai, guarded market maker: imbalance, position, compare",
            inline_rhai(
                "fn on_book(bid, bid_qty, ask, ask_qty) {
                    let lean = (bid_qty - ask_qty) / (bid_qty + ask_qty);
                    if lean > 0.9 && position() < 1.0 { buy(1, bid, \"post_only\"); }
                }",
            ),
        ),
    ];
    let idle = |config: &mut EngineConfig| -> Box<dyn Strategy> {
        config.strategies[0].interest.book = true;
        Box::new(Idle)
    };
    let mut rigs = vec![("native, idle", Rig::new(idle).with_book())];
    for (name, script) in &scripts {
        rigs.push((name, Rig::new(|config| bind(script, config)).with_book()));
    }
    let events: Vec<_> = (0..64).map(|n| level(0, 0, Side::Buy, 9_950 - n % 8, 5 + n)).collect();
    for (name, rig) in &mut rigs {
        group.bench_function(*name, |b| {
            let mut events = events.iter().cycle();
            b.iter(|| rig.handle(black_box(events.next().expect("a cycle has no end"))));
        });
        rig.assert_healthy();
        assert!(rig.effects.is_empty(), "{name} was to do nothing");
    }
    group.finish();
}

/// A minute bar: the script is ema_cross with two averages, an RSI and two plots.
fn bar_calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("one-minute bar, strategy called");
    group.throughput(Throughput::Elements(1));
    let prices: Vec<i64> = (0..4_096i64).map(|n| 10_000 + (n * 7_919) % 97 - 48).collect();
    let bars: Vec<_> = prices
        .iter()
        .map(|price| {
            let price = Price(*price);
            let bar =
                Bar { open: price, high: price, low: price, close: price, volume: Quantity(5) };
            Event::Market(MarketEvent {
                venue_at: Nanos(0),
                received_at: Nanos(0),
                instrument: InstrumentId(0),
                data: MarketData::Bar { interval_ms: 60_000, bar },
            })
        })
        .collect();
    let hook = "function on_bar(open, high, low, close, volume, time)";
    let three = "local fast, slow, strength = ema(5), ema(13), rsi(14)";
    let scripts = [
        ("luau, empty hook", inline(&format!("{hook} end"))),
        (
            "luau, EMA 5, EMA 13, RSI 14",
            inline(&format!(
                "{three}\n{hook}
                 local a, b, c = update(fast, close), update(slow, close), update(strength, close)
                 if a and b and c and a > b * 2 and c < 70 then market_buy(1) end end"
            )),
        ),
        ("luau, ema_cross.luau", from_file("ema_cross.luau")),
    ];
    let mut rigs = vec![("native, idle", Rig::new(|_| Box::new(Idle)))];
    for (name, script) in &scripts {
        rigs.push((name, Rig::new(|config| bind(script, config))));
    }
    for (name, rig) in &mut rigs {
        group.bench_function(*name, |b| {
            let mut bars = bars.iter().cycle();
            b.iter(|| {
                rig.handle(black_box(bars.next().expect("a cycle has no end")));
                rig.effects.clear();
            });
        });
        rig.assert_healthy();
    }
    group.finish();
}

criterion_group!(benches, book_calls, bar_calls);
criterion_main!(benches);
