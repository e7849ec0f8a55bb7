//! Orders that rest: their place in the queue, and what fills them.

use tercel_core::{BookOrderAction, ClientOrderId, InstrumentId, MarketData, Nanos, TimeInForce};
use tercel_sim::QueueModel;

use crate::world::{
    Buy, Do, Sell, World, at, book_order, level, limit, market, post_only, quote, reduce_only,
    trade, two_sides, with_tif, world,
};

fn with_queue(mut world: World, queue: QueueModel) -> World {
    world.options.queue = queue;
    world
}

#[test]
fn trades_at_the_price_fill_what_is_beyond_the_queue() {
    world(two_sides())
        .place(1, limit(Buy, 99, 4))
        .then([at(2, trade(Sell, 99, 3)), at(3, trade(Sell, 99, 3)), at(4, trade(Sell, 99, 9))])
        .check(&["3: #1 made 1 at 99", "4: #1 made 3 at 99"]);
}

#[test]
fn takers_of_the_other_side_do_not_fill() {
    world(two_sides())
        .place(1, limit(Buy, 100, 4))
        .then([at(2, trade(Buy, 101, 50)), at(3, trade(Sell, 101, 50))])
        .check(&[]);
}

#[test]
fn without_a_takers_side_the_touch_tells_it() {
    let unknown = |price| MarketData::Trade {
        aggressor: None,
        price: tercel_core::Price(price),
        qty: tercel_core::Quantity(9),
        id: 0,
    };
    // At the bid: a sell. At the ask: a buy. Between them only what it went through.
    world(two_sides())
        .place(1, limit(Buy, 99, 1))
        .then([at(2, unknown(99))])
        .check(&["2: #1 made 1 at 99"]);
    world(two_sides())
        .place(1, limit(Buy, 100, 1))
        .then([at(2, unknown(101)), at(3, unknown(100)), at(4, unknown(99))])
        .check(&["4: #1 made 1 at 100"]);
}

#[test]
fn a_trade_through_the_price_fills_whatever_is_ahead() {
    world(two_sides())
        .place(1, limit(Buy, 99, 4))
        .then([at(2, trade(Sell, 98, 3)), at(3, trade(Sell, 99, 3))])
        .check(&["2: #1 made 3 at 99", "3: #1 made 1 at 99"]);
}

#[test]
fn cancels_do_not_move_the_queue_but_no_more_is_ahead_than_is_shown() {
    world(two_sides())
        .place(1, limit(Buy, 99, 4))
        .then([at(2, level(Buy, 99, 9)), at(3, level(Buy, 99, 6)), at(4, trade(Sell, 99, 5))])
        .check(&[]);
    world(two_sides())
        .place(1, limit(Buy, 99, 4))
        .then([at(2, level(Buy, 99, 2)), at(4, trade(Sell, 99, 5))])
        .check(&["4: #1 made 3 at 99"]);
}

#[test]
fn the_probabilistic_queue_moves_by_cancels() {
    let queue = |model| {
        let world = world(two_sides()).place(1, limit(Buy, 99, 4)).then([
            at(2, level(Buy, 99, 10)),
            at(3, level(Buy, 99, 6)),
            at(4, level(Buy, 99, 6)),
        ]);
        let test = with_queue(world, model).run().test;
        test.venue().queue_ahead(InstrumentId(0), ClientOrderId::new(1, 1)).unwrap().0
    };
    assert_eq!(queue(QueueModel::Pessimistic), 5);
    assert_eq!(queue(QueueModel::Probabilistic { power: 1 }), 3);
}

#[test]
fn one_trade_is_shared_among_our_orders() {
    world(two_sides())
        .place(1, limit(Buy, 99, 2))
        .place(2, limit(Buy, 100, 2))
        .place(3, limit(Buy, 99, 3))
        .then([at(4, trade(Sell, 99, 10)), at(5, trade(Sell, 99, 10))])
        .check(&[
            // Ten: two for the better price, five were ahead, two for the older order, one is left.
            "4: #2 made 2 at 100",
            "4: #1 made 2 at 99",
            "4: #3 made 1 at 99",
            "5: #3 made 2 at 99",
        ]);
}

#[test]
fn an_opposite_level_that_comes_to_the_price_fills_at_it() {
    world(two_sides())
        .place(1, limit(Buy, 100, 4))
        .place(2, limit(Buy, 99, 4))
        .then([at(3, level(Buy, 99, 0)), at(4, level(Buy, 98, 0)), at(5, level(Sell, 98, 6))])
        .check(&["5: #1 made 4 at 100", "5: #2 made 2 at 99"]);
    world([])
        .then([at(0, quote((99, 5), (101, 5), 0))])
        .place(1, limit(Buy, 100, 4))
        .then([at(2, quote((99, 5), (100, 3), 0)), at(3, quote((98, 5), (100, 3), 0))])
        .check(&["2: #1 made 3 at 100"]);
}

#[test]
fn a_price_that_is_not_shown_is_behind_all_that_comes_to_be_shown() {
    world([])
        .then([at(0, quote((99, 5), (101, 5), 0))])
        .place(1, limit(Buy, 98, 4))
        .then([
            at(2, trade(Sell, 98, 100)),
            at(3, quote((98, 8), (101, 5), 0)),
            at(4, trade(Sell, 98, 9)),
            at(5, quote((97, 8), (101, 5), 0)),
            at(6, trade(Sell, 98, 2)),
        ])
        .check(&["4: #1 made 1 at 98", "6: #1 made 2 at 98"]);
}

#[test]
fn a_snapshot_clamps_the_queue() {
    world(two_sides())
        .place(1, limit(Buy, 99, 1))
        .then([
            at(2, MarketData::Clear { seq: 9 }),
            at(2, level(Buy, 99, 2)),
            at(3, trade(Sell, 99, 3)),
        ])
        .check(&["3: #1 made 1 at 99"]);
}

#[test]
fn by_order_the_queue_is_exact() {
    use BookOrderAction::{Add, Cancel, Execute, Modify};
    let events = || {
        vec![
            at(0, book_order(Add, Buy, 99, 5, 1)),
            at(0, book_order(Add, Buy, 99, 3, 2)),
            at(0, level(Buy, 99, 8)),
            at(0, level(Sell, 101, 5)),
        ]
    };
    let ahead = |then: Vec<MarketData>| {
        let then = then.into_iter().map(|data| at(2, data));
        let world = world(events()).place(1, limit(Buy, 99, 4)).then(then);
        let outcome = with_queue(world, QueueModel::Fifo).run();
        let order = ClientOrderId::new(1, 1);
        let ahead = outcome.test.venue().queue_ahead(InstrumentId(0), order);
        let fills = outcome.told.into_iter().filter(|line| line.contains("made")).collect();
        (ahead.map(|qty| qty.0), fills)
    };
    let fills = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let add = book_order(Add, Buy, 99, 9, 3);
    assert_eq!(ahead(vec![add]), (Some(8), fills(&[])));
    assert_eq!(ahead(vec![add, book_order(Cancel, Buy, 99, 0, 1)]), (Some(3), fills(&[])));
    assert_eq!(ahead(vec![add, book_order(Cancel, Buy, 99, 0, 3)]), (Some(8), fills(&[])));
    assert_eq!(ahead(vec![book_order(Modify, Buy, 99, 2, 1)]), (Some(5), fills(&[])));
    assert_eq!(ahead(vec![book_order(Modify, Buy, 99, 6, 1)]), (Some(3), fills(&[])));
    assert_eq!(ahead(vec![book_order(Execute, Buy, 99, 4, 1)]), (Some(4), fills(&[])));
    // Prints are told beside executions and must not count twice.
    assert_eq!(ahead(vec![trade(Sell, 99, 50)]), (Some(8), fills(&[])));
    // An execution behind ours, or at a worse price, would have been ours.
    let executed = vec![add, book_order(Execute, Buy, 99, 3, 3)];
    assert_eq!(ahead(executed), (Some(8), fills(&["2: #1 made 3 at 99"])));
    let through = vec![book_order(Add, Buy, 98, 9, 4), book_order(Execute, Buy, 98, 9, 4)];
    assert_eq!(ahead(through), (None, fills(&["2: #1 made 4 at 99"])));
}

#[test]
fn orders_expire_when_their_time_comes() {
    let until = |end| with_tif(TimeInForce::Gtd(Nanos(end)), limit(Buy, 99, 4));
    world(two_sides())
        .place(1, until(30))
        .place(2, until(1))
        .then([at(29, trade(Sell, 98, 1)), at(30, trade(Sell, 98, 1)), at(31, trade(Sell, 98, 9))])
        .check(&["2: #2 expired", "29: #1 made 1 at 99", "30: #1 made 1 at 99", "30: #1 expired"]);
}

#[test]
fn reduce_only_orders_go_when_there_is_nothing_to_reduce() {
    world(two_sides())
        .place(1, market(Buy, 3))
        .place(2, reduce_only(limit(Sell, 103, 2)))
        .place(3, reduce_only(limit(Sell, 104, 1)))
        .place(4, market(Sell, 1))
        .then([at(6, level(Sell, 101, 0)), at(7, trade(Buy, 105, 9)), at(9, level(Buy, 90, 1))])
        .check(&[
            "1: #1 took 3 at 101",
            "4: #4 took 1 at 99",
            "7: #2 made 2 at 103",
            "7: #3 canceled",
        ]);
}

#[test]
fn resting_orders_of_one_account_wait_out_a_cross_of_their_own_making() {
    // The remainder rests at 101, and what it took there has not been told anew.
    world(two_sides())
        .place(1, limit(Buy, 101, 8))
        .then([at(2, level(Buy, 97, 1)), at(3, level(Sell, 101, 2)), at(4, level(Sell, 102, 1))])
        .check(&["1: #1 took 5 at 101", "3: #1 made 2 at 101"]);
}

#[test]
fn post_only_orders_make() {
    world(two_sides())
        .place(1, post_only(limit(Buy, 100, 1)))
        .plan(2, Do::Replace(1, 101, 1))
        .then([at(3, trade(Sell, 100, 1))])
        .check(&["2: #1 replace rejected: WouldTake", "3: #1 made 1 at 100"]);
}
