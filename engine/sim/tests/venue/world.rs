//! A small backtest told in a few lines: what the market does, what the strategy does when, and
//! what the engine hears of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use tercel_core::{
    Bar, BookOrderAction, ClientOrderId, Engine, EngineConfig, Event, ExecutionReport, Instrument,
    InstrumentId, Intent, Intents, MarketData, MarketEvent, Nanos, OrderKind, OrderSpec, Price,
    Quantity, ReportKind, Role, Side, Strategy, StrategyEvent, StrategyFault, TimeInForce, View,
};
use tercel_sim::{
    Backtest, BacktestOptions, LatencyModel, Observer, SimVenue, Summary, VenueOptions,
};
use tercel_testkit::{engine_config, linear};

pub(crate) use Side::{Buy, Sell};

/// What the strategy does; orders are named by the number of their placing, from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Do {
    Place(OrderSpec),
    Replace(u64, i64, i64),
    Cancel(u64),
}

pub(crate) fn limit(side: Side, price: i64, qty: i64) -> OrderSpec {
    OrderSpec::limit(InstrumentId(0), side, Price(price), Quantity(qty))
}

pub(crate) fn market(side: Side, qty: i64) -> OrderSpec {
    OrderSpec::market(InstrumentId(0), side, Quantity(qty))
}

pub(crate) fn stop(side: Side, trigger: i64, qty: i64) -> OrderSpec {
    OrderSpec { kind: OrderKind::Stop { trigger: Price(trigger) }, ..limit(side, 1, qty) }
}

pub(crate) fn stop_limit(side: Side, trigger: i64, price: i64, qty: i64) -> OrderSpec {
    let kind = OrderKind::StopLimit { trigger: Price(trigger), price: Price(price) };
    OrderSpec { kind, ..limit(side, 1, qty) }
}

pub(crate) fn with_tif(tif: TimeInForce, spec: OrderSpec) -> OrderSpec {
    OrderSpec { tif, ..spec }
}

pub(crate) fn post_only(spec: OrderSpec) -> OrderSpec {
    OrderSpec { post_only: true, ..spec }
}

pub(crate) fn reduce_only(spec: OrderSpec) -> OrderSpec {
    OrderSpec { reduce_only: true, ..spec }
}

/// A market event that is received as it happens.
pub(crate) fn at(at: i64, data: MarketData) -> Event {
    late(at, at, data)
}

/// A market event that is received later.
pub(crate) fn late(venue_at: i64, received_at: i64, data: MarketData) -> Event {
    Event::Market(MarketEvent {
        venue_at: Nanos(venue_at),
        received_at: Nanos(received_at),
        instrument: InstrumentId(0),
        data,
    })
}

pub(crate) fn level(side: Side, price: i64, qty: i64) -> MarketData {
    MarketData::Level { side, price: Price(price), qty: Quantity(qty), last: true }
}

/// A trade whose taker was of this side.
pub(crate) fn trade(taker: Side, price: i64, qty: i64) -> MarketData {
    MarketData::Trade { aggressor: Some(taker), price: Price(price), qty: Quantity(qty), id: 0 }
}

pub(crate) fn quote(bid: (i64, i64), ask: (i64, i64), seq: u64) -> MarketData {
    MarketData::Quote {
        bid_px: Price(bid.0),
        bid_qty: Quantity(bid.1),
        ask_px: Price(ask.0),
        ask_qty: Quantity(ask.1),
        seq,
    }
}

pub(crate) fn book_order(
    action: BookOrderAction,
    side: Side,
    price: i64,
    qty: i64,
    order_id: u64,
) -> MarketData {
    let (price, qty) = (Price(price), Quantity(qty));
    MarketData::BookOrder { action, side, price, qty, order_id, last: true }
}

/// A bar of one second that opens at `open_at` seconds, received as it closes.
pub(crate) fn bar(open_at: i64, [open, high, low, close]: [i64; 4], volume: i64) -> Event {
    let bar = Bar {
        open: Price(open),
        high: Price(high),
        low: Price(low),
        close: Price(close),
        volume: Quantity(volume),
    };
    at((open_at + 1) * Nanos::SECOND, MarketData::Bar { interval_ms: 1_000, bar })
}

/// Bids 5 at 99 and 7 at 98, asks 5 at 101 and 7 at 102, all at time 0.
pub(crate) fn two_sides() -> Vec<Event> {
    let levels = [(Buy, 98, 7), (Buy, 99, 5), (Sell, 102, 7), (Sell, 101, 5)];
    levels.iter().map(|(side, price, qty)| at(0, level(*side, *price, *qty))).collect()
}

/// A backtest to be.
pub(crate) struct World {
    pub(crate) config: EngineConfig,
    /// What the venue lists, where that is not what the engine believes.
    pub(crate) listed: Option<Vec<Instrument>>,
    pub(crate) options: VenueOptions,
    pub(crate) driver: BacktestOptions,
    pub(crate) events: Vec<Event>,
    /// Events a block; few, so that every test crosses blocks.
    pub(crate) block: usize,
    plan: Vec<(i64, Do)>,
}

/// What a backtest came to.
pub(crate) struct Outcome {
    /// Reports as the engine got them: `<received>: #<order> <what>`, with `@<venue time>` where
    /// that differs.
    pub(crate) told: Vec<String>,
    pub(crate) samples: Vec<i64>,
    pub(crate) test: Backtest,
    pub(crate) summary: Summary,
}

impl Outcome {
    /// What the engine was told, acceptances left out, and that a cancel or replace was refused
    /// for an order that the engine knows to be over.
    pub(crate) fn news(self) -> Vec<String> {
        let is_news = |line: &String| !line.contains("accepted") && !line.contains("AfterEnd");
        self.told.into_iter().filter(is_news).collect()
    }
}

/// A world over a linear perpetual of tick 1 and lot 1, without latency, fees and slippage.
pub(crate) fn world(events: impl IntoIterator<Item = Event>) -> World {
    World {
        config: engine_config(vec![linear(0)]),
        listed: None,
        options: VenueOptions::frictionless(),
        driver: BacktestOptions::default(),
        events: events.into_iter().collect(),
        block: 2,
        plan: Vec::new(),
    }
}

impl World {
    /// Lets the strategy do something at a time.
    pub(crate) fn plan(mut self, at: i64, what: Do) -> Self {
        self.plan.push((at, what));
        self
    }

    pub(crate) fn place(self, at: i64, spec: OrderSpec) -> Self {
        self.plan(at, Do::Place(spec))
    }

    pub(crate) fn then(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        self.events.extend(events);
        self
    }

    pub(crate) fn latency(mut self, request_ns: i64, answer_ns: i64) -> Self {
        self.options.latency = LatencyModel::Constant { request_ns, answer_ns };
        self
    }

    pub(crate) fn run(self) -> Outcome {
        let Self { config, listed, options, driver, events, block, plan } = self;
        let listed = listed.as_ref().unwrap_or(&config.instruments);
        let venue = SimVenue::new(listed, options).unwrap();
        let engine = Engine::new(&config, vec![Box::new(Planner { plan })]).unwrap();
        let mut test = Backtest::new(engine, venue, driver);
        let mut ear = Ear::default();
        let mut blocks = events.chunks(block);
        let source = |list: &mut Vec<Event>| {
            let block = blocks.next().unwrap_or_default();
            list.extend_from_slice(block);
            Ok::<_, Infallible>(block.len())
        };
        let summary = test.run(source, &mut ear).unwrap();
        Outcome { told: ear.told, samples: ear.samples, test, summary }
    }

    /// Runs and compares the news.
    #[track_caller]
    pub(crate) fn check(self, expected: &[&str]) {
        assert_eq!(self.run().news(), expected);
    }
}

/// Does what is planned when it is planned.
struct Planner {
    plan: Vec<(i64, Do)>,
}

impl Strategy for Planner {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let id = |n| ClientOrderId::new(1, n);
        match event {
            StrategyEvent::Start => {
                for (idx, (at, _)) in self.plan.iter().enumerate() {
                    let name: Arc<str> = format!("{idx}").into();
                    let at = Nanos(*at);
                    intents.push(Intent::SetTimer { name, at, every_ns: None }).unwrap();
                }
            }
            StrategyEvent::Timer { name } => {
                let (at, what) = self.plan[name.parse::<usize>().unwrap()];
                assert!(view.now() >= Nanos(at));
                match what {
                    Do::Place(spec) => {
                        intents.place(spec).unwrap();
                    }
                    Do::Replace(n, price, qty) => {
                        let (price, qty) = (Price(price), Quantity(qty));
                        intents.push(Intent::Replace { id: id(n), price, qty }).unwrap();
                    }
                    Do::Cancel(n) => intents.push(Intent::Cancel { id: id(n) }).unwrap(),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Ear {
    told: Vec<String>,
    samples: Vec<i64>,
    filled: BTreeMap<ClientOrderId, i64>,
}

impl Observer for Ear {
    fn on_effects(
        &mut self,
        _seq: tercel_core::Seq,
        now: Nanos,
        effects: &[tercel_core::Effect],
        _engine: &Engine,
    ) {
        for effect in effects {
            if let tercel_core::Effect::Notice(notice) = effect {
                self.told.push(format!("{now}: {notice:?}"));
            }
        }
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        assert_eq!(now, report.received_at, "a report is delivered when it is received");
        let mut line = format!("{now}: #{} ", report.order.counter());
        match report.kind {
            ReportKind::Accepted { .. } => line.push_str("accepted"),
            ReportKind::Fill(fill) => {
                let role = match fill.role {
                    Role::Maker => "made",
                    Role::Taker => "took",
                };
                write!(line, "{role} {} at {}", fill.qty, fill.price).unwrap();
                *self.filled.entry(report.order).or_default() += fill.qty.0;
                let known = engine.state().orders.get(report.order).unwrap();
                assert_eq!(known.filled.0, self.filled[&report.order]);
            }
            ReportKind::Canceled => line.push_str("canceled"),
            ReportKind::Replaced { price, qty } => {
                write!(line, "replaced by {qty} at {price}").unwrap();
            }
            ReportKind::Rejected(reason) => write!(line, "rejected: {reason:?}").unwrap(),
            ReportKind::CancelRejected(reason) => {
                write!(line, "cancel rejected: {reason:?}").unwrap();
            }
            ReportKind::ReplaceRejected(reason) => {
                write!(line, "replace rejected: {reason:?}").unwrap();
            }
            ReportKind::Expired => line.push_str("expired"),
            ReportKind::Triggered => line.push_str("triggered"),
            ReportKind::Unknown => line.push_str("unknown"),
        }
        if report.venue_at != now {
            write!(line, " @{}", report.venue_at).unwrap();
        }
        self.told.push(line);
    }

    fn on_sample(&mut self, now: Nanos, _engine: &Engine) {
        self.samples.push(now.0);
    }
}
