//! Orders that take: what they find, at what price, and what they leave to others.

use tercel_core::{
    AccountId, Event, Instrument, InstrumentId, LinkEvent, LinkState, MarketData, Nanos, Quantity,
    TimeInForce, VenueId,
};

use crate::world::{
    Buy, Sell, at, level, limit, market, post_only, quote, reduce_only, trade, two_sides, with_tif,
    world,
};

#[test]
fn a_market_order_walks_the_book_and_the_rest_is_cancelled() {
    world(two_sides())
        .place(1, market(Buy, 8))
        .then([at(9, level(Buy, 97, 1))])
        .check(&["1: #1 took 5 at 101", "1: #1 took 3 at 102"]);
    world(two_sides()).place(1, market(Sell, 20)).then([at(9, level(Buy, 97, 1))]).check(&[
        "1: #1 took 5 at 99",
        "1: #1 took 7 at 98",
        "1: #1 canceled",
    ]);
}

#[test]
fn two_orders_never_take_the_same_quantity() {
    world(two_sides())
        .place(1, market(Buy, 4))
        .place(2, market(Buy, 4))
        .then([at(3, level(Buy, 97, 1)), at(4, level(Sell, 101, 5))])
        .place(5, market(Buy, 4))
        .then([at(9, level(Buy, 97, 2))])
        .check(&[
            "1: #1 took 4 at 101",
            "2: #2 took 1 at 101",
            "2: #2 took 3 at 102",
            "5: #3 took 4 at 101",
        ]);
}

#[test]
fn a_limit_order_takes_up_to_its_limit_and_rests() {
    world(two_sides())
        .place(1, limit(Buy, 101, 8))
        .then([at(3, trade(Sell, 101, 2)), at(4, trade(Sell, 100, 9))])
        .check(&["1: #1 took 5 at 101", "3: #1 made 2 at 101", "4: #1 made 1 at 101"]);
}

#[test]
fn immediate_orders_do_not_rest() {
    world(two_sides())
        .place(1, with_tif(TimeInForce::Ioc, limit(Buy, 101, 8)))
        .place(2, with_tif(TimeInForce::Ioc, limit(Buy, 100, 8)))
        .place(3, with_tif(TimeInForce::Fok, limit(Buy, 102, 8)))
        .place(4, with_tif(TimeInForce::Fok, limit(Buy, 102, 7)))
        .then([at(9, level(Buy, 97, 1))])
        .check(&[
            "1: #1 took 5 at 101",
            "1: #1 canceled",
            "2: #2 canceled",
            "3: #3 rejected: NotFillable",
            "4: #4 took 7 at 102",
        ]);
}

#[test]
fn what_finds_nothing_or_may_not_take_is_rejected() {
    world([at(0, level(Buy, 99, 5))])
        .place(1, market(Buy, 1))
        .place(2, post_only(limit(Sell, 99, 1)))
        .place(3, post_only(limit(Sell, 100, 1)))
        .then([at(9, level(Buy, 97, 1))])
        .check(&["1: #1 rejected: NoLiquidity", "2: #2 rejected: WouldTake"]);
}

#[test]
fn a_newer_quote_narrows_the_book() {
    let snapshot = |seq| at(0, MarketData::Clear { seq });
    let book = || [vec![snapshot(10)], two_sides()].concat();
    world(book())
        .then([at(1, quote((99, 1), (102, 3), 11))])
        .place(2, market(Buy, 9))
        .then([at(9, level(Buy, 97, 1))])
        .check(&["2: #1 took 3 at 102", "2: #1 canceled"]);
    world(book())
        .then([at(1, quote((99, 1), (100, 2), 10))])
        .place(2, market(Buy, 5))
        .then([at(9, level(Buy, 97, 1))])
        .check(&["2: #1 took 5 at 101"]);
}

#[test]
fn the_book_that_counts_is_the_one_at_arrival() {
    world(two_sides())
        .latency(10, 5)
        .place(1, market(Buy, 3))
        .then([
            at(10, level(Sell, 101, 0)),
            at(11, level(Sell, 102, 2)),
            at(12, level(Sell, 102, 9)),
        ])
        .check(&["16: #1 took 2 at 102 @11", "16: #1 canceled @11"]);
}

#[test]
fn after_a_gap_nothing_can_be_taken_until_a_snapshot() {
    let link = LinkEvent { venue: VenueId(0), instrument: None, state: LinkState::Gap };
    let refused = world(two_sides())
        .latency(10, 0)
        .place(1, market(Buy, 1))
        .then([at(5, level(Buy, 97, 1)), Event::Link(link), at(30, level(Buy, 97, 2))])
        .run();
    assert_eq!(refused.told.last().unwrap(), "11: #1 rejected: NoLiquidity");
}

#[test]
fn reduce_only_is_cut_to_the_position_or_refused() {
    world(two_sides())
        .place(1, market(Buy, 3))
        .place(2, market(Sell, 2))
        .place(3, reduce_only(market(Sell, 1)))
        .then([at(9, level(Buy, 97, 1))])
        .check(&["1: #1 took 3 at 101", "2: #2 took 2 at 99", "3: #3 took 1 at 99"]);
    // The engine lets the second go because the first has not been reported yet.
    world(two_sides())
        .place(1, market(Buy, 3))
        .then([at(20, level(Buy, 97, 1))])
        .latency(0, 5)
        .place(10, reduce_only(market(Sell, 2)))
        .place(11, reduce_only(market(Sell, 3)))
        .place(12, reduce_only(market(Sell, 1)))
        .check(&[
            "6: #1 took 3 at 101 @1",
            "15: #2 took 2 at 99 @10",
            "16: #3 took 1 at 99 @11",
            "16: #3 canceled @11",
            "17: #4 rejected: WouldIncrease @12",
        ]);
}

#[test]
fn filters_are_the_instruments() {
    let mut world = world(two_sides())
        .place(1, limit(Buy, 150, 1))
        .place(2, limit(Buy, 100, 2))
        .place(3, reduce_only(limit(Buy, 100, 2)))
        .place(4, limit(Buy, 100, 3))
        .then([at(9, level(Buy, 97, 1))]);
    let mut spec = world.config.instruments[0].spec.clone();
    spec.min_quantity = 2.into();
    spec.min_notional = 300.into();
    // Only the venue knows of the filters: the engine would refuse such orders itself.
    world.listed = Some(vec![Instrument::new(InstrumentId(0), spec).unwrap()]);
    let told = world.run().told;
    assert_eq!(told[..2], ["1: #1 rejected: Filter", "2: #2 rejected: Filter"]);
    assert_eq!(told.last().unwrap(), "4: #4 accepted");
}

#[test]
fn takers_slip_by_basis_points_but_not_beyond_their_limit() {
    let mut world = world([at(0, level(Sell, 10_001, 5)), at(0, level(Buy, 9_999, 5))])
        .place(1, market(Buy, 1))
        .place(2, market(Sell, 1))
        .place(3, limit(Buy, 10_003, 1))
        .then([at(9, level(Buy, 97, 1))]);
    world.options.taker_slippage_bps = 5;
    world.check(&["1: #1 took 1 at 10007", "2: #2 took 1 at 9994", "3: #3 took 1 at 10003"]);
}

#[test]
fn where_only_trades_are_told_the_last_one_can_be_taken() {
    world([at(0, trade(Buy, 100, 4))])
        .place(1, market(Buy, 3))
        .place(2, market(Sell, 3))
        .then([at(9, trade(Buy, 100, 4))])
        .check(&["1: #1 took 3 at 100", "2: #2 took 1 at 100", "2: #2 canceled"]);
}

#[test]
fn positions_and_balances_are_told_exactly() {
    let outcome = world(two_sides())
        .place(1, market(Buy, 8))
        .place(2, market(Sell, 3))
        .then([at(9, level(Buy, 97, 1))])
        .run();
    let state = outcome.test.engine().state();
    assert_eq!(state.accounts[0].scope.positions[0].qty, Quantity(5));
    let venue = outcome.test.venue();
    assert_eq!(venue.position(AccountId(0), InstrumentId(0)), Quantity(5));
    assert_eq!(outcome.summary.n_requests, 2);
    assert_eq!(outcome.summary.ended_at, Some(Nanos(9)));
}
