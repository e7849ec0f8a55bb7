//! The recorder against an engine that is driven by hand, and the identities that sums must obey.

use proptest::prelude::*;
use rust_decimal::Decimal;
use tercel_core::{
    AssetId, ClientOrderId, Command, Effect, Effects, Engine, Event, ExecutionReport, Fill,
    InstrumentId, Intent, Level, MarketData, MarketEvent, Nanos, Notional, OrderSpec, PlotId,
    Price, Quantity, RejectReason, ReportKind, RiskLimits, Role, Seq, Side, StrategyId,
};
use tercel_testkit::{Strings, engine_config, level, linear};

use super::{Recorder, RecorderLimits, Recording, RejectedBy, to_f64};
use crate::observer::Observer;

const X: InstrumentId = InstrumentId(0);

struct Rig {
    engine: Engine,
    recorder: Recorder,
    strings: Strings,
    seq: u64,
    n_trades: u64,
    bid: i64,
    last_order: ClientOrderId,
}

impl Rig {
    /// A market at 99 to 101, an account of 10,000.
    fn new() -> Self {
        Self::with_limits(RecorderLimits::default(), RiskLimits::default())
    }

    fn with_limits(limits: RecorderLimits, risk: RiskLimits) -> Self {
        let mut config = engine_config(vec![linear(0)]);
        config.accounts[0].balances = vec![(AssetId(1), Decimal::from(10_000))];
        config.strategies[0].limits = risk;
        let strings = Strings::default();
        let engine = Engine::new(&config, vec![strings.puppet()]).unwrap();
        let recorder = Recorder::new(limits, &engine);
        let last_order = ClientOrderId::default();
        let mut rig = Self { engine, recorder, strings, seq: 0, n_trades: 0, bid: 0, last_order };
        rig.event(0, &Event::Command(Command::Start(StrategyId(0))));
        rig.market(0, 99);
        rig
    }

    fn event(&mut self, at: i64, event: &Event) -> Vec<Effect> {
        self.seq += 1;
        let mut effects = Effects::with_capacity(8);
        self.engine.handle(Seq(self.seq), Nanos(at), event, &mut effects);
        if let Event::Execution(report) = event {
            self.recorder.on_report(Nanos(at), report, &self.engine);
        }
        let effects = effects.as_slice();
        if !effects.is_empty() {
            self.recorder.on_effects(Seq(self.seq), Nanos(at), effects, &self.engine);
        }
        effects.to_vec()
    }

    /// Moves the book to `bid` and two ticks above.
    fn market(&mut self, at: i64, bid: i64) {
        let old = self.bid;
        // The side that moves away goes first, so that the book never crosses.
        let bids = [(Side::Buy, old, 0), (Side::Buy, bid, 5)];
        let asks = [(Side::Sell, old + 2, 0), (Side::Sell, bid + 2, 5)];
        let moves = if bid > old { [asks, bids] } else { [bids, asks] };
        for (side, price, qty) in moves.into_iter().flatten() {
            if price > 2 {
                self.event(at, &level(0, at, side, price, qty));
            }
        }
        self.bid = bid;
    }

    fn sample(&mut self, at: i64) {
        self.recorder.on_sample(Nanos(at), &self.engine);
    }

    /// Sends a limit order far from the market and returns its id.
    fn order(&mut self, at: i64, side: Side, qty: i64) -> ClientOrderId {
        let price = if side == Side::Buy { 1 } else { 1_000_000 };
        self.strings.place(OrderSpec::limit(X, side, Price(price), Quantity(qty)));
        self.event(at, &level(0, at, Side::Buy, self.bid, 5));
        self.last_order = self.strings.placed().pop().unwrap();
        self.last_order
    }

    fn report(&mut self, at: i64, order: ClientOrderId, kind: ReportKind) {
        let report = ExecutionReport {
            order,
            account: tercel_core::AccountId(0),
            instrument: X,
            venue_at: Nanos(at),
            received_at: Nanos(at),
            kind,
        };
        self.event(at, &Event::Execution(report));
    }

    fn fill(&mut self, at: i64, order: ClientOrderId, price: i64, qty: i64, fee: i64, role: Role) {
        self.n_trades += 1;
        let fill = Fill {
            trade_id: self.n_trades,
            price: Price(price),
            qty: Quantity(qty),
            role,
            fee: Decimal::from(fee),
            fee_asset: AssetId(1),
        };
        self.report(at, order, ReportKind::Fill(fill));
    }

    fn trade(&mut self, at: i64, side: Side, price: i64, qty: i64, fee: i64) {
        let order = self.order(at, side, qty);
        self.fill(at, order, price, qty, fee, Role::Taker);
    }

    fn funding(&mut self, at: i64, rate_e12: i64) {
        let data = MarketData::Funding { rate_e12 };
        let (venue_at, received_at) = (Nanos(at), Nanos(at));
        let event = MarketEvent { venue_at, received_at, instrument: X, data };
        self.event(at, &Event::Market(event));
    }

    fn finish(self) -> Recording {
        self.recorder.finish(&self.engine)
    }
}

fn money(units: i128) -> Notional {
    Notional(units * Notional::ONE)
}

#[test]
fn a_round_trip_is_recorded_to_the_unit() {
    let mut rig = Rig::new();
    rig.sample(1);
    let buy = rig.order(10, Side::Buy, 4);
    rig.market(12, 101);
    rig.fill(15, buy, 102, 1, 1, Role::Taker);
    rig.fill(20, buy, 101, 3, 0, Role::Maker);
    rig.sample(25);
    rig.market(30, 110);
    rig.trade(40, Side::Sell, 110, 4, 2);
    rig.sample(51);
    let recording = rig.finish();
    let metrics = &recording.metrics;
    // Bought 1 at 102 and 3 at 101, sold 4 at 110: 440 - 405.
    assert_eq!(
        (metrics.realised, metrics.fees, metrics.unrealised),
        (money(35), money(3), money(0))
    );
    assert_eq!((metrics.initial_equity, metrics.final_equity), (money(10_000), money(10_032)));
    assert_eq!(metrics.turnover, money(102 + 303 + 440));
    assert_eq!(metrics.maker_share(), Some(303.0 / 845.0));
    assert_eq!(metrics.total_return(), Some(0.0032));
    // Middles at the sends: 100 and 111. Cost: 1 × 2, 3 × 1, and 4 × 1.
    assert_eq!(metrics.slippage, money(2 + 3 + 4));
    assert_eq!((metrics.orders.sent, metrics.orders.filled, metrics.n_fills), (2, 2, 3));
    assert_eq!((metrics.exposed_ns, metrics.exposure()), (40 - 15, Some(25.0 / 50.0)));
    let [trip] = recording.trips.as_slice() else { panic!("{:?}", recording.trips) };
    assert_eq!((trip.profit, trip.qty_max, trip.side), (money(32), Quantity(4), Side::Buy));
    assert_eq!(trip.closed_at.since(trip.opened_at), 25);
    let fill = &recording.fills[0];
    assert_eq!((fill.mid_x2_at_send, fill.mid_x2_at_fill), (Some(200), Some(204)));
    assert_eq!((fill.position, fill.role, fill.slippage), (Quantity(1), Role::Taker, money(2)));
}

#[test]
fn a_fill_told_twice_counts_once() {
    let mut rig = Rig::new();
    let order = rig.order(1, Side::Buy, 2);
    rig.fill(2, order, 100, 1, 1, Role::Taker);
    rig.n_trades -= 1;
    rig.fill(3, order, 100, 1, 1, Role::Taker);
    rig.sample(4);
    let recording = rig.finish();
    assert_eq!((recording.metrics.n_fills, recording.fills.len()), (1, 1));
    assert_eq!((recording.metrics.fees, recording.metrics.orders.filled), (money(1), 1));
}

#[test]
fn orders_and_refusals_are_counted_by_reason() {
    let risk = RiskLimits { order_qty: Some(Quantity(10)), ..RiskLimits::default() };
    let mut rig = Rig::with_limits(RecorderLimits::default(), risk);
    for _ in 0..2 {
        rig.order(1, Side::Buy, 11);
    }
    let rejected = rig.order(2, Side::Buy, 1);
    rig.report(3, rejected, ReportKind::Rejected(RejectReason::WouldTake));
    let canceled = rig.order(4, Side::Sell, 1);
    rig.report(5, canceled, ReportKind::Accepted { venue_order_id: 9 });
    rig.strings.give(Intent::Cancel { id: canceled });
    rig.event(6, &level(0, 6, Side::Buy, 99, 5));
    rig.report(7, canceled, ReportKind::CancelRejected(RejectReason::RateLimited));
    rig.report(8, canceled, ReportKind::Canceled);
    let metrics = rig.finish().metrics;
    let counts = metrics.orders;
    assert_eq!((counts.sent, counts.cancels, counts.canceled, counts.rejected), (2, 1, 1, 1));
    assert_eq!((counts.requests_rejected, counts.risk_rejected, counts.filled), (1, 2, 0));
    let reasons: Vec<_> = metrics.rejections.iter().map(|r| (r.by, r.reason, r.count)).collect();
    assert_eq!(
        reasons,
        [
            (RejectedBy::Risk, "order_quantity", 2),
            (RejectedBy::Venue, "would_take", 1),
            (RejectedBy::VenueRequest, "rate_limited", 1),
        ]
    );
    assert_eq!((metrics.fill_ratio(), metrics.maker_share()), (Some(0.0), None));
}

#[test]
fn days_close_at_midnight_and_empty_days_are_flat() {
    let mut rig = Rig::new();
    let (hour, day) = (3_600 * Nanos::SECOND, Nanos::DAY);
    rig.sample(hour);
    rig.trade(2 * hour, Side::Buy, 100, 10, 0);
    rig.market(3 * hour, 109);
    rig.sample(day);
    // The next thing is heard of on the fourth day.
    rig.market(3 * day + hour, 99);
    rig.sample(3 * day + 2 * hour);
    rig.trade(3 * day + 3 * hour, Side::Sell, 99, 10, 7);
    rig.sample(3 * day + 4 * hour);
    let metrics = rig.finish().metrics;
    let days: Vec<_> = metrics.days.iter().map(|d| (d.day, d.close, d.profit)).collect();
    let expected = [
        (0, money(10_100), money(100)),
        (1, money(10_100), money(0)),
        (2, money(10_100), money(0)),
        (3, money(9_983), money(-117)),
    ];
    assert_eq!(days, expected);
    assert_eq!((metrics.days[0].n_fills, metrics.days[3].n_fills), (1, 1));
    assert_eq!((metrics.days[0].n_orders, metrics.days[3].fees), (1, money(7)));
    assert_eq!(metrics.drawdown.money_max, money(117));
    assert!((metrics.drawdown.share_max.unwrap() - 117.0 / 10_100.0).abs() < 1e-12);
    assert_eq!(metrics.drawdown.duration_ns_max, 2 * day + 4 * hour);
    let returns = [0.01, 0.0, 0.0, 9_983.0 / 10_100.0 - 1.0];
    let mean: f64 = returns.iter().sum::<f64>() / 4.0;
    assert!((metrics.daily.annual_return.unwrap() - mean * 365.0).abs() < 1e-9);
    assert!((metrics.daily.omega.unwrap() - 0.01 * 10_100.0 / 117.0).abs() < 1e-9);
}

#[test]
fn a_run_without_anything_has_no_ratios() {
    let metrics = Rig::new().finish().metrics;
    let daily = metrics.daily;
    assert_eq!((daily.sharpe, daily.cagr, metrics.exposure()), (None, None, None));
    assert_eq!((metrics.slippage_bps(), metrics.fill_ratio()), (None, None));
    assert_eq!(metrics.total_return(), Some(0.0));
    assert!(metrics.days.is_empty() && metrics.instruments.is_empty());
}

#[test]
fn memory_is_bounded_while_sums_stay_exact() {
    let limits =
        RecorderLimits { samples: 8, fills: 3, draw_series: 2, draw_points: 4, markers: 4 };
    let mut rig = Rig::with_limits(limits, RiskLimits::default());
    for n in 0..50i64 {
        let at = 100 * n;
        rig.market(at + 1, 99 + n % 7);
        rig.trade(at + 2, Side::Buy, 100, 1, 1);
        rig.trade(at + 3, Side::Sell, 101, 1, 1);
        for (series, value) in [("a", n as f64), ("b", f64::NAN), ("c", 1.0), ("d", 2.0)] {
            let value_bits = value.to_bits();
            let plot = PlotId(u16::from(series.as_bytes()[0]));
            rig.strings.give(Intent::NamePlot { plot, name: series.into() });
            rig.strings.give(Intent::Draw { plot, value_bits });
        }
        let price_bits = 100f64.to_bits();
        rig.strings.give(Intent::Mark { label: format!("m{n}").into(), price_bits });
        rig.event(at + 4, &level(0, at + 4, Side::Buy, rig.bid, 5));
        rig.sample(at + 5);
    }
    let recording = rig.finish();
    assert_eq!((recording.fills.len(), recording.trips.len()), (3, 3));
    assert_eq!((recording.metrics.n_fills, recording.metrics.trips.n_trips), (100, 50));
    assert_eq!((recording.metrics.realised, recording.metrics.fees), (money(50), money(100)));
    assert!(recording.equity.as_slice().len() <= 8);
    assert_eq!(recording.equity.last().unwrap().equity, recording.metrics.final_equity);
    let names: Vec<_> = recording.draws.iter().map(|series| &*series.name).collect();
    assert_eq!((names, recording.n_draw_series_dropped), (vec!["a", "c"], 1));
    assert!(recording.draws.iter().all(|series| series.points.as_slice().len() <= 4));
    assert_eq!(recording.draws[0].points.last().unwrap().value.to_bits(), 49f64.to_bits());
    assert!(recording.markers.as_slice().len() <= 4);
    assert_eq!(&*recording.markers.as_slice()[0].label, "m0");
    // Lows and highs survive the merging.
    let prices = &recording.prices[0].samples;
    assert_eq!(prices.as_slice().iter().map(|s| s.high.0).max(), Some(106));
    assert_eq!(prices.as_slice().iter().map(|s| s.low.0).min(), Some(100));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Trade { buy: bool, price: i64, qty: i64, fee: i64, made: bool },
    Market { bid: i64 },
    Funding { rate_e12: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 50i64..150, 1i64..9, -2i64..9, any::<bool>())
            .prop_map(|(buy, price, qty, fee, made)| Step::Trade { buy, price, qty, fee, made }),
        2 => (50i64..150).prop_map(|bid| Step::Market { bid }),
        1 => (-50_000_000_000i64..50_000_000_000).prop_map(|rate_e12| Step::Funding { rate_e12 }),
    ]
}

proptest! {
    /// Whatever happens, the change of equity is what the parts say, to the last unit.
    #[test]
    fn equity_is_the_sum_of_its_parts(steps in prop::collection::vec(step(), 0..60)) {
        let mut rig = Rig::new();
        rig.sample(0);
        let (mut at, mut turnover) = (0, 0);
        for step in steps {
            at += 6 * 3_600 * Nanos::SECOND;
            match step {
                Step::Trade { buy, price, qty, fee, made } => {
                    let side = if buy { Side::Buy } else { Side::Sell };
                    let role = if made { Role::Maker } else { Role::Taker };
                    let order = rig.order(at, side, qty);
                    rig.fill(at + 1, order, price, qty, fee, role);
                    turnover += i128::from(price * qty);
                }
                Step::Market { bid } => rig.market(at, bid),
                Step::Funding { rate_e12 } => rig.funding(at, rate_e12),
            }
            rig.sample(at + 2);
        }
        let recording = rig.finish();
        let metrics = &recording.metrics;
        prop_assert_eq!(
            metrics.profit(),
            metrics.realised - metrics.fees + metrics.funding + metrics.unrealised
        );
        prop_assert_eq!(metrics.turnover, money(turnover));
        let by_instrument = metrics.instruments.iter().map(super::InstrumentSummary::profit);
        prop_assert_eq!(by_instrument.fold(Notional::ZERO, |a, b| a + b), metrics.profit());
        let by_day = metrics.days.iter().map(|day| day.profit);
        prop_assert_eq!(by_day.fold(Notional::ZERO, |a, b| a + b), metrics.profit());
        let fees_by_day = metrics.days.iter().map(|day| day.fees);
        prop_assert_eq!(fees_by_day.fold(Notional::ZERO, |a, b| a + b), metrics.fees);
        // When the run ends flat, round trips are all there was.
        if metrics.instruments.iter().all(|instrument| instrument.position.is_zero()) {
            let by_trip = recording.trips.iter().map(|trip| trip.profit);
            prop_assert_eq!(by_trip.fold(Notional::ZERO, |a, b| a + b), metrics.profit());
        }
        prop_assert!(metrics.exposed_ns <= metrics.ended_at.since(metrics.started_at));
        let peak = recording.equity.as_slice().iter().map(|s| s.high).max().unwrap();
        prop_assert!(metrics.drawdown.money_max <= peak.max(metrics.initial_equity));
        for ratio in [
            metrics.daily.sharpe, metrics.daily.sortino, metrics.daily.omega, metrics.daily.cagr,
            metrics.daily.calmar, metrics.total_return(), metrics.exposure(),
            metrics.slippage_bps(), metrics.trips.profit_factor(), metrics.trips.expectancy(),
        ] {
            prop_assert!(ratio.is_none_or(f64::is_finite));
        }
        prop_assert!(to_f64(metrics.final_equity).is_finite());
    }
}

/// The book's side of a rig, so that its own mistakes would show.
#[test]
fn the_rig_moves_its_market() {
    let mut rig = Rig::new();
    for bid in [120, 80, 81, 79] {
        rig.market(1, bid);
        let best = |side| rig.engine.state().markets[0].best(side).unwrap();
        assert_eq!(best(Side::Buy), Level { price: Price(bid), qty: Quantity(5) });
        assert_eq!(best(Side::Sell), Level { price: Price(bid + 2), qty: Quantity(5) });
    }
}
