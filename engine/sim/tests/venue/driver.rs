//! The driver: order of things, start and end, samples, blocks.

use std::convert::Infallible;

use tercel_core::{Engine, Event, Nanos};
use tercel_sim::{Backtest, BacktestOptions, SimVenue, Summary, VenueOptions};
use tercel_testkit::{Seen, Strings, engine_config, linear};

use crate::world::{Buy, Sell, World, at, late, level, limit, market, trade, two_sides, world};

#[test]
fn the_venue_hears_first_and_the_engine_when_it_receives() {
    // The ask is gone at the venue before the order arrives, though the engine still sees it.
    world([late(0, 50, level(Sell, 101, 5)), late(60, 110, level(Sell, 101, 0))])
        .latency(20, 1)
        .place(55, market(Buy, 1))
        .then([late(61, 111, level(Sell, 105, 5))])
        .check(&["76: #1 took 1 at 105 @75"]);
}

#[test]
fn at_one_time_the_venue_comes_before_the_engine() {
    // Trade, arriving request and market event all at 20: the trade cannot fill what arrives then.
    world(two_sides())
        .latency(19, 0)
        .place(1, limit(Buy, 100, 1))
        .then([at(20, trade(Sell, 100, 1)), at(21, level(Buy, 90, 1))])
        .check(&[]);
}

#[test]
fn times_that_run_backwards_are_taken_at_the_time_before() {
    let outcome = world(two_sides())
        .then([late(50, 90, level(Sell, 101, 4)), late(40, 80, level(Sell, 101, 3))])
        // The venue's clock was ahead of ours: what we received has happened.
        .then([late(200, 100, level(Sell, 101, 2))])
        .place(95, market(Buy, 9))
        .place(100, market(Buy, 9))
        .run();
    let told: Vec<_> = outcome.told.iter().filter(|line| line.contains("at 101")).collect();
    assert_eq!(told, ["95: #1 took 3 at 101", "100: #2 took 2 at 101"]);
    assert_eq!(outcome.summary.ended_at, Some(Nanos(100)));
}

#[test]
fn what_is_under_way_at_the_end_still_arrives() {
    let outcome = world(two_sides())
        .latency(30, 40)
        .then([at(1, level(Buy, 90, 1))])
        .place(1, market(Buy, 1))
        .run();
    assert_eq!(outcome.told.last().unwrap(), "71: #1 took 1 at 101 @31");
    assert_eq!(outcome.summary.ended_at, Some(Nanos(71)));
    assert_eq!(outcome.samples, [71]);
}

#[test]
fn samples_lie_at_multiples_and_at_the_end() {
    let mut world = world([at(10, level(Buy, 99, 1)), at(20, level(Buy, 99, 2))])
        .then([at(45, level(Buy, 99, 3))]);
    world.driver = BacktestOptions { sample_interval_ns: 10 };
    assert_eq!(world.run().samples, [20, 30, 40, 45]);
}

/// Runs a puppet over events, one a block.
fn run_puppet(events: &[Event]) -> (Vec<Seen>, Summary) {
    let strings = Strings::default();
    let config = engine_config(vec![linear(0)]);
    let engine = Engine::new(&config, vec![strings.puppet()]).unwrap();
    let venue = SimVenue::new(&config.instruments, VenueOptions::default()).unwrap();
    let mut test = Backtest::new(engine, venue, BacktestOptions::default());
    let mut blocks = events.chunks(1);
    let source = |list: &mut Vec<Event>| {
        let block = blocks.next().unwrap_or_default();
        list.extend_from_slice(block);
        Ok::<_, Infallible>(block.len())
    };
    let Ok(summary) = test.run(source, &mut ());
    (strings.seen(), summary)
}

#[test]
fn strategies_start_before_the_first_event_and_stop_after_the_last() {
    let (seen, summary) = run_puppet(&[at(5, level(Buy, 99, 1)), at(7, level(Buy, 99, 2))]);
    assert_eq!(seen.first(), Some(&Seen::Start));
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Book).count(), 2);
    assert_eq!(seen.last(), Some(&Seen::Stop));
    assert_eq!((summary.started_at, summary.n_events), (Some(Nanos(5)), 2));
}

#[test]
fn an_empty_source_starts_nothing() {
    let (seen, summary) = run_puppet(&[]);
    assert_eq!(seen, []);
    assert_eq!(summary, Summary::default());
}

#[test]
fn blocks_of_any_size_make_the_same_run() {
    let events: Vec<_> = (0..500)
        .map(|n| {
            let side = if n % 2 == 0 { Buy } else { Sell };
            let price = if n % 2 == 0 { 90 + n % 9 } else { 101 + n % 9 };
            late(n * 1_000_000, n * 1_000_000 + (n * 7_919_131) % 30_000_000, level(side, price, n))
        })
        .collect();
    let run = |block| {
        let mut world = world(events.clone())
            .latency(20 * Nanos::MILLI, 20 * Nanos::MILLI)
            .place(150 * Nanos::MILLI, limit(Buy, 100, 3))
            .place(200 * Nanos::MILLI, market(Buy, 40));
        world.block = block;
        let outcome = world.run();
        let hash = outcome.test.engine().state_hash();
        (hash, outcome.summary, outcome.news())
    };
    let whole = run(500);
    assert!(!whole.2.is_empty(), "{:?}", whole.2);
    for block in [1, 3, 64] {
        assert_eq!(run(block), whole, "blocks of {block}");
    }
}

#[test]
fn a_source_that_fails_ends_the_run_with_its_error() {
    let World { config, options, .. } = world([]);
    let engine = Engine::new(&config, vec![Strings::default().puppet()]).unwrap();
    let venue = SimVenue::new(&config.instruments, options).unwrap();
    let mut test = Backtest::new(engine, venue, BacktestOptions::default());
    let mut n_blocks = 0;
    let source = |list: &mut Vec<Event>| {
        n_blocks += 1;
        if n_blocks > 2 {
            return Err("line 3: not a number");
        }
        list.push(at(n_blocks, level(Buy, 99, 1)));
        Ok(1)
    };
    assert_eq!(test.run(source, &mut ()), Err("line 3: not a number"));
}
