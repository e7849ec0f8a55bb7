//! Orders that somebody else places on the account, with the same key, while a server runs on it.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "the tests of other commands need more of it")]
#[path = "exchange/account.rs"]
mod account;
#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::time::Duration;

use account::place_at;
use exchange::Exchange;
use rig::Place;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Does nothing by itself.
const IDLE: &str = r#"
strategy { name = "idle", timers = { beat = 1000 } }
function on_timer(name) end
"#;

fn adopting(exchange: &Exchange) -> Place {
    let place = place_at(exchange, IDLE, 2);
    let path = place.path("tercel.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace(
        "[exchange]\n",
        "[exchange]\nforeign_orders = \"adopt\"\nforeign_owner = \"idle\"\n",
    );
    std::fs::write(&path, config).unwrap();
    place
}

fn texts(status: &Value) -> Vec<&str> {
    let notices = status["notices"].as_array().unwrap().iter();
    notices.map(|own| own["text"].as_str().unwrap()).collect()
}

/// Somebody else's buy at a price, in dollars.
fn buy(exchange: &Exchange, quantity: &str, price: Decimal) -> Value {
    let query = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}"
    );
    exchange.signed("POST", "/api/v3/order", &query)["orderId"].take()
}

/// An adopted order is filled, survives a kill of the process with its link to the venue, and goes when
/// everything is stopped. The account's first holdings are no difference.
#[test]
fn adopted_orders_are_filled_survive_and_are_killed() {
    let exchange = Exchange::start("BTCUSDT");
    let place = adopting(&exchange);
    let mut server = place.start();
    let status = server.wait_until(|status| {
        texts(status).iter().any(|text| text.starts_with("compared with the venue"))
    });
    let said = texts(&status);
    assert!(said.iter().any(|text| text.contains("BTC: the account begins with")), "{said:?}");
    assert!(!said.iter().any(|text| text.contains("our books say")), "{said:?}");

    let best = exchange.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT")["bidPrice"].take();
    let best: Decimal = best.as_str().unwrap().parse().unwrap();
    let near = best.floor() - Decimal::from(2_000);
    buy(&exchange, "0.03", Decimal::from(20_000));
    buy(&exchange, "0.01", near);
    let status = server.wait_until(|status| status["n_open_orders"] == 2);
    let said = texts(&status);
    let n_adopted = said.iter().filter(|text| text.contains("of other origin; it is")).count();
    assert_eq!(n_adopted, 2, "{said:?}");
    // Until its journal is on the disk.
    std::thread::sleep(Duration::from_millis(1_500));
    server.kill();

    let mut server = place.start();
    server.wait_until(|status| {
        status["n_open_orders"] == 2
            && texts(status).iter().any(|text| text.starts_with("compared with the venue: 2"))
    });
    // The crowd sells down to the nearer one.
    exchange.control(
        "trade",
        &json!({
            "exchange": "spot", "symbol": "BTCUSDT", "side": "SELL", "price": near.to_string(),
            "quantity": "100000",
        }),
    );
    let status = server.wait_until(|status| status["n_open_orders"] == 1);
    assert_eq!(status["positions"][0]["quantity"], "0.01000", "{status:#}");
    assert_eq!(place.json(&["sync", "--json"])["equal"], true);

    assert!(place.tercel(&["ctl", "kill"]).status.success());
    server.wait_until(|status| {
        let books = exchange.books();
        let orders = books["orders"].as_array().unwrap();
        orders.iter().all(|own| own["open"] != true) && status["n_open_orders"] == 0
    });
    // What comes after a kill goes as well.
    buy(&exchange, "0.02", Decimal::from(20_000));
    server.wait_until(|status| {
        let books = exchange.books();
        let orders = books["orders"].as_array().unwrap();
        orders.len() == 3
            && orders.iter().all(|own| own["open"] != true)
            && status["n_open_orders"] == 0
    });
    assert_eq!(server.stop("-TERM"), Some(0));
    for run in place.runs() {
        let number = run.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(place.tercel(&["verify", &number]).status.success(), "run {number}");
    }
    assert_eq!(place.json(&["replay", "latest", "--json"])["identical"], true);
    assert_eq!(place.json(&["sync", "--json"])["equal"], true);
}

#[test]
fn an_owner_that_does_not_exist_is_refused() {
    let exchange = Exchange::start("BTCUSDT");
    let place = adopting(&exchange);
    let path = place.path("tercel.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace("\"idle\"", "\"idel\"");
    std::fs::write(&path, config).unwrap();
    let refused = place.tercel(&["run", "--config", "tercel.toml"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("no strategy is called \"idel\"; there is idle"), "{text}");
}
