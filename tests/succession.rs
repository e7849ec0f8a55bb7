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

use account::place_at;
use exchange::Exchange;
use serde_json::{Value, json};

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
