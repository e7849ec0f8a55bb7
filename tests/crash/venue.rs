//! Killed while it trades at a venue that keeps its own books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::Value;
use tercel_adapters::ClientIds;
use tercel_store::runs::RunCatalog;
use tercel_testkit::Random;

use crate::account::{books_hold, held, place_at};
use crate::audit::{Audit, audit};
use crate::exchange::Exchange;
use crate::moments::n_kills;
use crate::points::{Needs, die_at, is_skipped, set, wishes};
use crate::rig::Place;
use crate::{Deaths, at_once, script};

/// A folder for a server at the exchange. Its orders wait for the disk: then the venue can know of
/// none that the journal does not.
fn place(exchange: &Exchange) -> Place {
    let place = place_at(exchange, &script(25, 80), 2);
    set(&place, "[journal]\n", "[journal]\nmode = \"durable\"\n");
    place
}

/// Starts once more, withdraws what rests, and compares both sides' books.
fn settle(place: &Place, exchange: &Exchange, deaths: &Deaths) -> Audit {
    let mut server = place.start();
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    server.wait_until(|status| {
        let books = exchange.books();
        let orders = books["orders"].as_array().unwrap();
        !orders.iter().any(|order| order["open"] == true)
            && status["n_open_orders"] == 0
            && ["BTC", "USDT"].iter().all(|asset| {
                let gap = held(status, asset).unwrap_or_default() - books_hold(&books, asset);
                gap.abs() < Decimal::new(1, 6)
            })
    });
    assert_eq!(server.stop("-TERM"), Some(0));
    let found = audit(place, deaths);
    compare(&exchange.books(), place, &found);
    found
}

/// Orders, fills and the position that follows from them, on both sides.
fn compare(books: &Value, place: &Place, found: &Audit) {
    let installation = RunCatalog::open(&place.data()).installation().unwrap();
    let names = ClientIds::new("tc").unwrap().of_installation(installation);
    let mut by_number = BTreeMap::new();
    let mut at_venue = BTreeSet::new();
    for order in books["orders"].as_array().unwrap() {
        let name = order["client_id"].as_str().unwrap();
        let id = names.parse(name).unwrap_or_else(|| panic!("{name} is not ours")).id;
        assert!(at_venue.insert(id), "order {id} is at the venue twice");
        assert!(found.sent.contains(&id), "order {id} was sent and is on no record");
        by_number.insert(order["id"].as_u64().unwrap(), id);
    }
    let mut trades = BTreeSet::new();
    let mut position = Decimal::ZERO;
    for fill in books["fills"].as_array().unwrap() {
        let quantity: Decimal = fill["quantity"].as_str().unwrap().parse().unwrap();
        position += if fill["side"] == "BUY" { quantity } else { -quantity };
        let order = by_number[&fill["order_id"].as_u64().unwrap()];
        trades.insert((order, fill["trade_id"].as_u64().unwrap()));
    }
    assert_eq!(found.trades, trades, "the fills of the venue's books are ours");
    let lot = Decimal::new(1, 5);
    assert_eq!(Decimal::from(found.position) * lot, position, "so is the position");
}

/// Lives at one exchange: it counts what an address asks of it in a minute, as the real one does, and
/// each start asks for much.
const LIVES: usize = 7;

/// Says what all exchanges together came to: kills, orders, fills.
fn told(what: &str, found: Vec<(usize, Audit)>) -> [usize; 3] {
    let [mut n_kills, mut n_orders, mut n_fills] = [0; 3];
    for (n, audit) in found {
        n_kills += n;
        n_orders += audit.sent.len();
        n_fills += audit.trades.len();
    }
    println!("{n_kills} kills at {what} at a venue: {n_orders} orders, {n_fills} fills");
    [n_kills, n_orders, n_fills]
}

#[test]
fn at_every_point_between_engine_and_venue() {
    if is_skipped() {
        return;
    }
    let on_both_sides = [
        "request.begin",
        "request.end",
        "report.taken",
        "report.handled",
        "event.handled",
        "event.recorded",
        "commit.begin",
        "commit.end",
        "commit.told",
    ];
    let mut of_life = wishes(&[Needs::Life]);
    of_life.retain(|wish| on_both_sides.contains(&wish.point.name()) && wish.count.get() < 40);
    assert_eq!(of_life.len(), 2 * on_both_sides.len());
    let of_sockets = [wishes(&[Needs::Venue]), of_life].concat();
    let of_calls = wishes(&[Needs::Calls]);
    let groups = of_sockets.chunks(LIVES).map(|some| (some, "fastest"));
    let found = at_once(groups.chain([(&of_calls[..], "rest")]), |(wishes, entry)| {
        let exchange = Exchange::start("BTCUSDT");
        let place = place(&exchange);
        let entry = format!("order_entry = \"{entry}\"\nreconcile_every_s");
        set(&place, "reconcile_every_s", &entry);
        let mut deaths = Deaths::default();
        die_at(&place, wishes, &mut deaths);
        (deaths.n, settle(&place, &exchange, &deaths))
    });
    let [n_kills, n_orders, n_fills] = told("points", found);
    assert!(n_orders > n_kills / 3 && n_fills > 0, "it trades");
}

#[test]
fn at_any_moment_at_a_venue() {
    let n_groups = (n_kills() / 8).div_ceil(LIVES);
    // Not all at once: that is many sockets and processes.
    let found: Vec<_> = at_once(0..3, |part| {
        (part..n_groups).step_by(3).map(|group| kill(group as u64)).collect::<Vec<_>>()
    });
    let [n_kills, _, n_fills] = told("any moment", found.into_iter().flatten().collect());
    assert!(n_fills > n_kills, "it trades");
}

/// Kills the servers of one exchange, and compares both sides' books then.
fn kill(seed: u64) -> (usize, Audit) {
    let mut random = Random::new(seed);
    let exchange = Exchange::start("BTCUSDT");
    let place = place(&exchange);
    let mut deaths = Deaths::default();
    while deaths.n < LIVES {
        let before = exchange.n_fills();
        let mut server = place.spawn(&[]);
        server.wait_up();
        // Every other one has traded when it dies.
        if deaths.n.is_multiple_of(2) {
            server.wait_until(|_| exchange.n_fills() > before);
        }
        let ms = random.between(0, 300);
        std::thread::sleep(Duration::from_millis(u64::try_from(ms).unwrap()));
        server.kill();
        deaths.note(&place, format!("{ms} ms"));
    }
    (deaths.n, settle(&place, &exchange, &deaths))
}
