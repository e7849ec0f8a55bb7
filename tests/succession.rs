//! What a start at a venue takes for its own of what earlier ones left there, and what not.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "exchange/account.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod account;
#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::time::{Duration, Instant};

use account::{files_with, key_file, place_at};
use exchange::{Exchange, KEY, SECRET};
use rig::Place;
use serde_json::{Value, json};
use tercel_core::OrderRequest;
use tercel_store::journal::{Record, RecordedEffect};

const OTHER_KEY: &str = "Lm3pQ8sVu1XyBc6DeZ0FgH9tJk4NrW7a";

/// Buys once in each of its lives, as soon as there is a price.
const ONCE: &str = r#"
strategy { name = "trader", timers = { beat = 50 } }
local is_done = false
function on_timer(name)
    if is_done or not bid() then return end
    is_done = true
    market_buy(0.01)
end
"#;

/// Leaves two orders far below the market in each of its lives.
const TWO: &str = r#"
strategy { name = "trader", timers = { beat = 50 } }
local is_done = false
function on_timer(name)
    local best = bid()
    if is_done or not best then return end
    is_done = true
    buy(0.01, best - 3000)
    buy(0.02, best - 2000)
end
"#;

/// Buys on every beat.
const ALWAYS: &str = r#"
strategy { name = "trader", timers = { beat = 50 } }
function on_timer(name)
    if bid() then market_buy(0.01) end
end
"#;

fn open_at(exchange: &Exchange) -> usize {
    let books = exchange.books();
    books["orders"].as_array().unwrap().iter().filter(|own| own["open"] == true).count()
}

fn told(status: &Value, text: &str) -> bool {
    let notices = status["notices"].as_array().unwrap();
    notices.iter().any(|own| own["text"].as_str().unwrap().contains(text))
}

/// Orders were named after prefix, run and number, and each data folder begins at run 1. The first order
/// of a second folder on the same account bore the name of the first folder's: never executed, it was
/// asked for by its name, and the venue told of the old one. A fill was booked that never was.
#[test]
fn a_new_folder_takes_no_fill_of_an_old_ones_order() {
    let exchange = Exchange::start("BTCUSDT");
    let first = place_at(&exchange, ONCE, 2);
    let mut server = first.start();
    server.wait_until(|status| status["positions"][0]["quantity"] == "0.01000");
    assert_eq!(server.stop("-TERM"), Some(0));
    let n_fills = exchange.n_fills();

    let rule = json!({"match": "order.place", "fate": "silence", "executes": false, "count": 1});
    exchange.control("faults", &json!({"requests": [rule]}));
    let second = place_at(&exchange, ONCE, 2);
    let mut server = second.start();
    let status = server.wait_until(|status| told(status, "settled"));
    assert_eq!(exchange.n_fills(), n_fills, "the venue has executed nothing");
    assert_eq!(status["positions"], json!([]), "{:#}", status["positions"]);
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// The news that an old folder's orders were withdrawn ended the new folder's, which bore the same names:
/// they went on working at the venue with nobody knowing of them.
#[test]
fn a_new_folder_loses_no_order_to_news_of_an_old_ones() {
    let exchange = Exchange::start("BTCUSDT");
    let first = place_at(&exchange, TWO, 2);
    let mut server = first.start();
    server.wait_until(|status| status["n_open_orders"] == 2);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!(open_at(&exchange), 2, "they are left");

    exchange.control("faults", &json!({"streams": {"delay_ms": 2_500, "only": "user"}}));
    let second = place_at(&exchange, TWO, 2);
    let mut server = second.start();
    server.wait_until(|status| {
        exchange.books()["orders"].as_array().unwrap().len() == 4
            && status["n_open_orders"] == 2
            && open_at(&exchange) == 2
    });
    // Until all that is under way has come.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        let status = server.status().unwrap();
        assert_eq!((open_at(&exchange), &status["n_open_orders"]), (2, &json!(2)), "{status:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// Writes into the configuration that a server was started with.
fn reconfigure(place: &Place, change: impl Fn(&str) -> String) {
    let path = place.path("tercel.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(&config)).unwrap();
}

/// Checks that a start is refused, and returns why.
fn refused(place: &Place, args: &[&str]) -> String {
    let refused = place.tercel(&[&["run"], args].concat());
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("--fresh") && text.contains("another [run] data folder"), "{text}");
    text
}

/// Starts with further arguments, and stops again once the account was compared.
fn lives(place: &Place, args: &[&str]) -> Value {
    let mut server = place.spawn_with(args, &[]);
    let status = server.wait_until(|status| told(status, "compared with the venue"));
    assert_eq!(server.stop("-TERM"), Some(0));
    status
}

/// Only mode, venue and environment had to be as they were: with another address or another key in the same
/// folder the server went on with what one account held on another one, which had never bought it. A flatten
/// there really sold it.
#[test]
fn what_an_account_holds_is_not_carried_to_another() {
    let start = || Exchange::start_with("BTCUSDT", &["--client", &format!("{OTHER_KEY}:{SECRET}")]);
    let (exchange, other) = (start(), start());
    let place = place_at(&exchange, ONCE, 2);
    let mut server = place.start();
    server.wait_until(|status| status["positions"][0]["quantity"] == "0.01000");
    assert_eq!(server.stop("-TERM"), Some(0));

    // The same key elsewhere.
    reconfigure(&place, |config| config.replace(&exchange.address, &other.address));
    let text = refused(&place, &[]);
    assert!(text.contains(&exchange.address) && text.contains(&other.address), "{text}");
    reconfigure(&place, |config| config.replace(&other.address, &exchange.address));

    // Another account's key, and then a new one of the same account.
    reconfigure(&place, |config| config.replace("venue.key", "other.key"));
    key_file(&place, "other.key", OTHER_KEY, SECRET);
    let text = refused(&place, &[]);
    assert!(text.contains("\"main\"") && text.contains("--new-key"), "{text}");
    assert!(!text.contains(OTHER_KEY) && !text.contains(KEY), "{text}");
    std::fs::write(place.script(), "strategy { name = \"trader\" }\nfunction on_book() end\n")
        .unwrap();
    let status = lives(&place, &["--new-key"]);
    assert!(told(&status, "account main has another key, as --new-key says"), "{status:#}");
    assert_eq!(status["positions"][0]["quantity"], "0.01000");
    lives(&place, &[]);
    // Which is the one that counts from then on.
    reconfigure(&place, |config| config.replace("other.key", "venue.key"));
    refused(&place, &[]);
    assert_eq!(lives(&place, &["--fresh"])["positions"], json!([]));
    lives(&place, &[]);
    for key in [KEY, OTHER_KEY, SECRET] {
        assert_eq!(files_with(&place.path(""), key), Vec::<String>::new(), "a key leaked");
    }
}

/// A server that was killed between sending an order and recording it never asked for that order, though it said
/// that it would. The next start took over what the account held by then, its strategy knew of no order and no
/// fill, and bought again.
#[test]
fn an_order_that_is_on_no_record_halts_the_next_start() {
    if !tercel_crash::ENABLED {
        println!("skipped: this build has no crash points");
        return;
    }
    let exchange = Exchange::start("BTCUSDT");
    let n_orders = || exchange.books()["orders"].as_array().map_or(0, Vec::len);
    let unrecorded = |place: &Place| {
        let told = place.json(&["recover", "--json"])["lines"].to_string();
        assert!(told.contains("may have been sent and are on no record"), "{told}");
        n_recorded(place)
    };
    // Whether the order leaves before its record is written is chance.
    for count in 12.. {
        assert!(count < 32, "no order was lost");
        let place = place_at(&exchange, ALWAYS, 2);
        let before = n_orders();
        let server = place.spawn(&[("TERCEL_CRASH_AT", &format!("commit.begin:{count}"))]);
        server.wait("it dies at a commit");
        let sent = n_orders();
        if sent - before == unrecorded(&place) {
            continue;
        }
        let mut server = place.start();
        let status = server.wait_until(|status| told(status, "compared with the venue"));
        let notices = status["notices"].as_array().unwrap();
        let lost = |own: &&Value| own["text"].as_str().unwrap().contains("is on no record");
        let alarm = notices.iter().find(lost).unwrap_or_else(|| panic!("{status:#}"));
        assert_eq!(alarm["level"], "error");
        let text = alarm["text"].as_str().unwrap();
        assert!(text.contains("buy 0.01 at the market, of it 0.01 filled"), "{text}");
        let status = server.wait_until(|status| status["strategies"][0]["is_running"] == true);
        assert_eq!((&status["state"], n_orders()), (&json!("halted"), sent), "{status:#}");
        assert!(place.tercel(&["ctl", "resume"]).status.success());
        server.wait_until(|_| n_orders() > sent + 2);
        assert_eq!(server.stop("-TERM"), Some(0));
        let replayed = place.json(&["replay", "latest", "--json"]);
        assert_eq!(replayed["identical"], true, "{replayed:#}");
        return;
    }
}

/// How many orders the last run's journal has.
fn n_recorded(place: &Place) -> usize {
    let is_new =
        |effect: &RecordedEffect| matches!(effect, RecordedEffect::Send(OrderRequest::New { .. }));
    let journal = rig::journal(place.runs().last().unwrap());
    let n_of = |record: Record| match record {
        Record::Entry(entry) => entry.effects.iter().filter(|effect| is_new(effect)).count(),
        _ => 0,
    };
    journal.records().unwrap().map(|record| n_of(record.unwrap().1)).sum()
}
