//! Cancels, replaces, stops, and what they race with.

use crate::world::{
    Buy, Do, Sell, at, level, limit, market, quote, reduce_only, stop, stop_limit, trade,
    two_sides, world,
};

#[test]
fn shrinking_at_one_price_keeps_the_place_in_the_queue() {
    world(two_sides())
        .place(1, limit(Buy, 99, 4))
        .then([at(2, level(Buy, 99, 20))])
        .plan(3, Do::Replace(1, 99, 3))
        .then([at(4, trade(Sell, 99, 6))])
        .check(&["3: #1 replaced by 3 at 99", "4: #1 made 1 at 99"]);
}

#[test]
fn growing_or_moving_goes_to_the_back() {
    world(two_sides())
        .place(1, limit(Buy, 99, 4))
        .then([at(2, level(Buy, 99, 20))])
        .plan(3, Do::Replace(1, 99, 5))
        .then([at(4, trade(Sell, 99, 20)), at(5, trade(Sell, 99, 1))])
        .check(&["3: #1 replaced by 5 at 99", "5: #1 made 1 at 99"]);
    world(two_sides())
        .place(1, limit(Buy, 100, 1))
        .plan(2, Do::Replace(1, 99, 1))
        .then([at(4, trade(Sell, 99, 5)), at(5, trade(Sell, 99, 1))])
        .check(&["2: #1 replaced by 1 at 99", "5: #1 made 1 at 99"]);
}

#[test]
fn a_replace_may_take() {
    world(two_sides())
        .place(1, limit(Buy, 99, 4))
        .plan(2, Do::Replace(1, 101, 8))
        .then([at(3, trade(Sell, 101, 9))])
        .check(&["2: #1 replaced by 8 at 101", "2: #1 took 5 at 101", "3: #1 made 3 at 101"]);
}

#[test]
fn a_fill_that_comes_first_wins_against_cancel_and_replace() {
    world(two_sides())
        .latency(10, 10)
        .place(1, limit(Buy, 100, 4))
        .plan(30, Do::Cancel(1))
        .then([at(39, trade(Sell, 100, 4)), at(99, level(Buy, 90, 1))])
        .check(&["49: #1 made 4 at 100 @39", "50: #1 cancel rejected: UnknownOrder @40"]);
    world(two_sides())
        .latency(10, 10)
        .place(1, limit(Buy, 100, 4))
        .plan(30, Do::Replace(1, 99, 4))
        .then([at(39, trade(Sell, 100, 4)), at(99, level(Buy, 90, 1))])
        .check(&["49: #1 made 4 at 100 @39", "50: #1 replace rejected: UnknownOrder @40"]);
    // A fill at the very moment comes first too; part of it leaves a rest to cancel.
    world(two_sides())
        .latency(10, 10)
        .place(1, limit(Buy, 100, 4))
        .plan(30, Do::Cancel(1))
        .then([at(40, trade(Sell, 100, 3)), at(41, trade(Sell, 100, 3))])
        .check(&["50: #1 made 3 at 100 @40", "50: #1 canceled @40"]);
    // Less than is filled already cannot be asked for.
    world(two_sides())
        .latency(10, 10)
        .place(1, limit(Buy, 100, 4))
        .plan(30, Do::Replace(1, 100, 2))
        .then([at(39, trade(Sell, 100, 3)), at(99, level(Buy, 90, 1))])
        .check(&["49: #1 made 3 at 100 @39", "50: #1 replace rejected: Filter @40"]);
}

#[test]
fn a_cancel_that_comes_first_wins_against_the_fill() {
    world(two_sides())
        .latency(10, 10)
        .place(1, limit(Buy, 100, 4))
        .plan(30, Do::Cancel(1))
        .then([at(41, trade(Sell, 100, 4)), at(99, level(Buy, 90, 1))])
        .check(&["50: #1 canceled @40"]);
}

#[test]
fn stops_wake_by_the_last_trade() {
    world(two_sides())
        .then([at(1, trade(Buy, 100, 1))])
        .place(2, stop(Buy, 101, 6))
        .place(3, stop_limit(Sell, 98, 98, 9))
        .then([
            at(4, level(Sell, 100, 1)),
            at(4, level(Sell, 100, 0)),
            at(5, trade(Buy, 101, 1)),
            at(6, trade(Sell, 97, 1)),
            at(7, trade(Buy, 98, 12)),
        ])
        .check(&[
            "5: #1 triggered",
            "5: #1 took 5 at 101",
            "5: #1 took 1 at 102",
            "6: #2 triggered",
            "6: #2 took 5 at 99",
            "6: #2 took 4 at 98",
        ]);
    world(two_sides())
        .then([at(1, trade(Buy, 100, 1))])
        .place(2, stop_limit(Sell, 98, 100, 2))
        .then([at(3, trade(Sell, 98, 1)), at(4, trade(Buy, 100, 2))])
        .check(&["3: #1 triggered", "4: #1 made 2 at 100"]);
}

#[test]
fn without_trades_stops_wake_by_the_touch() {
    world([at(0, quote((99, 5), (101, 5), 0))])
        .place(1, stop(Buy, 103, 2))
        .then([at(2, quote((99, 5), (102, 5), 0)), at(3, quote((99, 5), (103, 5), 0))])
        .check(&["3: #1 triggered", "3: #1 took 2 at 103"]);
}

#[test]
fn a_stop_that_would_wake_at_once_is_rejected() {
    world(two_sides())
        .then([at(1, trade(Buy, 100, 1))])
        .place(2, stop(Buy, 100, 2))
        .place(3, stop(Sell, 100, 2))
        .place(4, stop(Sell, 99, 2))
        .then([at(9, level(Buy, 90, 1))])
        .check(&["2: #1 rejected: WouldTrigger", "3: #2 rejected: WouldTrigger"]);
}

#[test]
fn a_stop_that_finds_nothing_is_cancelled() {
    world(two_sides())
        .then([at(1, trade(Buy, 100, 1))])
        .place(2, market(Buy, 5))
        .place(3, reduce_only(stop(Sell, 98, 2)))
        .place(4, market(Sell, 5))
        .then([at(5, trade(Sell, 98, 1))])
        .check(&["2: #1 took 5 at 101", "4: #3 took 5 at 99", "5: #2 triggered", "5: #2 canceled"]);
}

#[test]
fn a_waiting_stop_can_be_moved_and_cancelled() {
    world(two_sides())
        .then([at(1, trade(Buy, 100, 1))])
        .place(2, stop_limit(Sell, 98, 97, 2))
        .place(3, stop(Sell, 98, 2))
        .plan(4, Do::Replace(1, 99, 1))
        .plan(5, Do::Cancel(2))
        .then([at(6, trade(Sell, 98, 1))])
        .check(&[
            "4: #1 replaced by 1 at 99",
            "5: #2 canceled",
            "6: #1 triggered",
            "6: #1 took 1 at 99",
        ]);
}
