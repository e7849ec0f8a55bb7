//! Trading on bars: times are seconds, so that a bar's quarters can be told.

use std::convert::Infallible;

use tercel_core::{
    BarSpec, Engine, Event, InstrumentId, Intents, Nanos, Notional, Quantity, SeriesConfig,
    SeriesId, Strategy, StrategyEvent, StrategyFault, TimeInForce, View,
};
use tercel_sim::{Backtest, BacktestOptions, SimVenue};

use crate::world::{
    Buy, Do, Sell, World, at, bar, level, limit, market, post_only, reduce_only, stop, stop_limit,
    with_tif, world,
};

const S: i64 = Nanos::SECOND;

/// Bars from -1 s and 0 s at 100, then these from 1 s on.
fn bars(then: &[[i64; 4]]) -> World {
    let before = [-1, 0].map(|open_at| bar(open_at, [100, 100, 100, 100], 10));
    let then = (1..).zip(then).map(|(open_at, prices)| bar(open_at, *prices, 10));
    world(before.into_iter().chain(then))
}

/// Compares with times in milliseconds; `@` only where the venue's time is not the engine's.
#[track_caller]
fn check(world: World, expected: &[&str]) {
    let told = world.run().news().into_iter();
    let told: Vec<_> = told
        .map(|line| {
            let (time, rest) = line.split_once(':').unwrap();
            format!("{}:{rest}", time.parse::<i64>().unwrap() / Nanos::MILLI)
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn an_order_sent_on_a_close_fills_at_the_next_open() {
    check(bars(&[[104, 110, 90, 100]]).place(S, market(Buy, 2)), &["1000: #1 took 2 at 104"]);
    // One nanosecond later that open has passed.
    let late = bars(&[[104, 110, 90, 100], [120, 130, 110, 120]]).place(S + 1, market(Buy, 2));
    check(late, &["2000: #1 took 2 at 120"]);
}

#[test]
fn an_order_sent_on_the_last_close_never_fills() {
    let outcome = bars(&[[104, 110, 90, 100]]).place(2 * S, market(Buy, 2)).run();
    assert_eq!(outcome.told, ["2000000000: #1 accepted"]);
}

/// Buys one on every close.
struct Buyer;

impl Strategy for Buyer {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        _view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        if let StrategyEvent::Bar { .. } = event {
            intents.place(market(Buy, 1)).unwrap();
        }
        Ok(())
    }
}

#[test]
fn what_a_strategy_decides_on_each_close_fills_at_each_next_open() {
    let World { mut config, options, events, .. } =
        bars(&[[104, 110, 90, 100], [120, 130, 110, 120]]);
    let spec = BarSpec::Time { interval_ms: 1_000 };
    config.series = vec![SeriesConfig { instrument: InstrumentId(0), spec, history: 1 }];
    config.strategies[0].series = vec![SeriesId(0)];
    let engine = Engine::new(&config, vec![Box::new(Buyer)]).unwrap();
    let venue = SimVenue::new(&config.instruments, options).unwrap();
    let mut test = Backtest::new(engine, venue, BacktestOptions::default());
    let mut block = Some(events);
    let source = |list: &mut Vec<Event>| {
        list.extend(block.take().into_iter().flatten());
        Ok::<_, Infallible>(list.len())
    };
    let Ok(summary) = test.run(source, &mut ());
    // Four closes, of which the last has no next open.
    let position = test.engine().state().accounts[0].scope.positions[0];
    assert_eq!((summary.n_requests, position.qty), (4, Quantity(3)));
    assert_eq!(position.cost, Notional((100 + 104 + 120) * Notional::ONE));
}

#[test]
fn market_and_stop_fills_slip_against_the_order() {
    let slipping = |order| {
        let mut world = bars(&[[10_001, 10_101, 9_901, 10_001]]).place(S, order);
        world.options.bars.slippage_bps = 5;
        world
    };
    check(slipping(market(Buy, 1)), &["1000: #1 took 1 at 10007"]);
    check(slipping(market(Sell, 1)), &["1000: #1 took 1 at 9995"]);
    check(slipping(stop(Buy, 10_050, 1)), &["1500: #1 triggered", "1500: #1 took 1 at 10056"]);
    check(slipping(limit(Sell, 10_050, 1)), &["1500: #1 made 1 at 10050"]);
    check(slipping(limit(Buy, 10_050, 1)), &["1000: #1 took 1 at 10001"]);
}

#[test]
fn the_path_decides_what_happens_first() {
    let both = |prices| bars(&[prices]).place(S, limit(Buy, 95, 1)).place(S, limit(Sell, 105, 1));
    check(both([100, 106, 90, 100]), &["1250: #2 made 1 at 105", "1500: #1 made 1 at 95"]);
    check(both([100, 110, 94, 100]), &["1250: #1 made 1 at 95", "1500: #2 made 1 at 105"]);
    check(both([100, 105, 95, 100]), &["1250: #1 made 1 at 95", "1500: #2 made 1 at 105"]);
    // Inside a leg the nearer price comes first, and what the leg ends on is touched.
    let ladder = bars(&[[100, 101, 90, 92]])
        .place(S, limit(Buy, 90, 1))
        .place(S, limit(Buy, 97, 1))
        .place(S, stop(Sell, 95, 1));
    check(
        ladder,
        &[
            "1500: #2 made 1 at 97",
            "1500: #3 triggered",
            "1500: #3 took 1 at 95",
            "1500: #1 made 1 at 90",
        ],
    );
}

#[test]
fn gaps_fill_at_the_open() {
    check(bars(&[[90, 92, 88, 91]]).place(S, limit(Buy, 95, 1)), &["1000: #1 took 1 at 90"]);
    let rested = bars(&[[100, 101, 99, 100], [90, 92, 88, 91]]).place(S, limit(Buy, 95, 1));
    check(rested, &["2000: #1 made 1 at 90"]);
    let stopped = bars(&[[90, 92, 88, 91]]).place(S, stop(Sell, 95, 1));
    check(stopped, &["1000: #1 triggered", "1000: #1 took 1 at 90"]);
}

#[test]
fn a_stop_limit_rests_where_its_limit_is_not_met() {
    // Jumps over trigger and limit, comes back to the limit on its way up.
    let gap = bars(&[[90, 99, 88, 91]]).place(S, stop_limit(Sell, 97, 96, 1));
    check(gap, &["1000: #1 triggered", "1500: #1 made 1 at 96"]);
    let inside = bars(&[[100, 101, 90, 92]]).place(S, stop_limit(Sell, 97, 96, 1));
    check(inside, &["1500: #1 triggered", "1500: #1 took 1 at 97"]);
}

#[test]
fn immediate_orders_have_the_open_only() {
    let immediate =
        |tif, price| bars(&[[100, 110, 90, 100]]).place(S, with_tif(tif, limit(Buy, price, 1)));
    check(immediate(TimeInForce::Ioc, 99), &["1000: #1 canceled"]);
    check(immediate(TimeInForce::Fok, 99), &["1000: #1 canceled"]);
    check(immediate(TimeInForce::Ioc, 100), &["1000: #1 took 1 at 100"]);
}

#[test]
fn orders_expire_inside_bars() {
    let until = |end, price| {
        let order = with_tif(TimeInForce::Gtd(Nanos(end)), limit(Buy, price, 1));
        bars(&[[100, 101, 90, 92], [90, 90, 90, 90]]).place(S, order)
    };
    check(until(S + S / 2, 95), &["1500: #1 expired"]);
    check(until(S + S / 2 + 1, 95), &["1500: #1 made 1 at 95"]);
}

#[test]
fn post_only_and_reduce_only_hold_on_bars() {
    let post = bars(&[[100, 101, 90, 92]]).place(S, post_only(limit(Buy, 100, 1)));
    check(post, &["1000: #1 rejected: WouldTake"]);
    let reduce = bars(&[[100, 100, 100, 100], [100, 110, 100, 100]])
        .place(S, market(Buy, 2))
        .place(2 * S, reduce_only(limit(Sell, 105, 2)))
        .place(2 * S, market(Sell, 1));
    check(
        reduce,
        &[
            "1000: #1 took 2 at 100",
            "2000: #3 took 1 at 100",
            "2500: #2 made 1 at 105",
            "2500: #2 canceled",
        ],
    );
}

#[test]
fn fills_of_a_bar_may_be_bounded_by_its_volume() {
    let mut capped = bars(&[[100, 110, 90, 100], [100, 110, 90, 100]])
        .place(S, market(Buy, 2))
        .place(S, limit(Buy, 95, 5));
    capped.options.bars.volume_cap_bps = Some(4_000);
    check(capped, &["1000: #1 took 2 at 100", "1250: #2 made 2 at 95", "2250: #2 made 3 at 95"]);
}

#[test]
fn a_decision_on_a_fill_inside_a_bar_waits_for_the_next() {
    // Cancelled on the close at which the next bar opens: that bar does not fill it.
    let cancelled = bars(&[[100, 101, 99, 100], [90, 90, 90, 90]])
        .place(S, limit(Buy, 95, 1))
        .plan(2 * S, Do::Cancel(1));
    check(cancelled, &["2000: #1 canceled"]);
    // Cancelled inside the bar, but the bar has happened: the fill stands.
    let late = bars(&[[100, 101, 90, 100]]).place(S, limit(Buy, 95, 1)).plan(S + 1, Do::Cancel(1));
    check(late, &["1000: #1 cancel rejected: UnknownOrder", "1500: #1 made 1 at 95"]);
    let moved = bars(&[[100, 101, 90, 100], [96, 99, 80, 85]])
        .place(S, limit(Buy, 89, 1))
        .plan(S + 1, Do::Replace(1, 95, 1));
    check(moved, &["1000: #1 replaced by 1 at 95", "2500: #1 made 1 at 95"]);
}

#[test]
fn ticks_end_trading_on_bars() {
    let ticks: Vec<Event> =
        vec![at(2 * S + 1, level(Sell, 101, 5)), at(2 * S + 2, level(Sell, 102, 5))];
    let mixed = bars(&[[100, 100, 100, 100]]).place(2 * S, market(Buy, 2)).then(ticks).then([bar(
        3,
        [90, 90, 90, 90],
        10,
    )]);
    check(mixed, &["2000: #1 canceled"]);
}
