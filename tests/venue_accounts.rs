//! One server, several accounts at a venue: each with its own key, on one engine and on several, against
//! the venue's own books.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "exchange/account.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod account;
#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use account::{books_hold, files_with, held_by, key_file, place_at};
use exchange::{Exchange, KEY, SECRET};
use rig::Place;
use rust_decimal::Decimal;
use serde_json::Value;

const OTHER_KEY: &str = "Lm3pQ8sVu1XyBc6DeZ0FgH9tJk4NrW7a";
const OTHER_SECRET: &str = "Yb2NdTq8Zk5GwXc1PfHs7RjVe4LmAo9u";

/// The accounts, in the configuration's order, with their keys.
const ACCOUNTS: [(&str, &str, &str); 2] =
    [("alpha", KEY, SECRET), ("beta", OTHER_KEY, OTHER_SECRET)];

/// Trades on every beat; the two meet each other's orders as well as the market's.
const SCRIPT: &str = r#"
strategy {
    name = "trader",
    timers = { beat = 40 },
    params = { { name = "shift", kind = "integer", default = 0, min = 0, max = 10, doc = "Of its turns." } },
}
local n = 0
function on_init() n = recall("n") or param("shift") end
function on_timer(name)
    n += 1
    remember("n", n)
    local best = bid()
    if not best then return end
    if n % 5 == 0 then cancel_all()
    elseif n % 4 == 0 then market_sell(0.01)
    elseif n % 3 == 0 then market_buy(0.01)
    else buy(0.01, best) end
end
"#;

fn exchange() -> Exchange {
    Exchange::start_with("BTCUSDT", &["--client", &format!("{OTHER_KEY}:{OTHER_SECRET}")])
}

/// A folder for a server that trades both accounts.
fn place_of(exchange: &Exchange, engines: usize) -> Place {
    let place = place_at(exchange, SCRIPT, 2);
    let path = place.path("tercel.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let (head, _) = config.split_once("[[strategy]]").unwrap();
    let mut config = head
        .replace("[run]\n", &format!("[run]\nengines = {engines}\n"))
        // They are to trade on, whatever the last orders before a kill have come to.
        .replace("credentials_file = \"venue.key\"\n", "on_lost_order = \"tell\"\n");
    for (n, (name, key, secret)) in ACCOUNTS.iter().enumerate() {
        config += &format!(
            "[[accounts]]\nname = \"{name}\"\ncredentials_file = \"{name}.key\"\n[[strategy]]\n\
             script = \"trader.luau\"\nname = \"{name}-trader\"\naccount = \"{name}\"\nparams = {{ \
             shift = {n} }}\n"
        );
        key_file(&place, &format!("{name}.key"), key, secret);
    }
    std::fs::write(&path, config).unwrap();
    place
}

fn n_fills(exchange: &Exchange) -> Vec<usize> {
    let of = |key: &str| exchange.books_of(key)["fills"].as_array().map_or(0, Vec::len);
    ACCOUNTS.iter().map(|(_, key, _)| of(key)).collect()
}

/// Whether nothing is open at the venue, and each account holds here what it holds there.
fn agrees(exchange: &Exchange, status: &Value) -> bool {
    let is_equal = |(n, (_, key, _)): (usize, &(&str, &str, &str))| {
        let books = exchange.books_of(key);
        let is_flat = books["orders"].as_array().unwrap().iter().all(|own| own["open"] == false);
        let is_equal = |asset: &&str| {
            let ours = held_by(status, n, asset).unwrap_or_default();
            (ours - books_hold(&books, asset)).abs() < Decimal::new(1, 6)
        };
        is_flat && ["BTC", "USDT"].iter().all(is_equal)
    };
    status["n_open_orders"] == 0 && ACCOUNTS.iter().enumerate().all(is_equal)
}

/// Trades, is killed and started again `n_kills` times, then stops trading and is compared with the venue's
/// books in every way that there is.
fn lives(engines: usize, n_kills: u64) {
    let exchange = exchange();
    let place = place_of(&exchange, engines);
    let traded_on = |before: &[usize]| {
        let now = n_fills(&exchange);
        before.iter().zip(now).all(|(before, now)| now >= before + 3)
    };
    for n in 0..n_kills {
        let before = n_fills(&exchange);
        let server = place.start();
        let begun = Instant::now();
        while !traded_on(&before) {
            assert!(begun.elapsed() < Duration::from_secs(60), "they do not trade: {before:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(37 * n % 90));
        server.kill();
    }
    let before = n_fills(&exchange);
    let mut server = place.start();
    server.wait_until(|_| traded_on(&before));
    assert!(place.tercel(&["ctl", "kill", "account:beta"]).status.success());
    // The other one goes on alone.
    let before = n_fills(&exchange)[0];
    server.wait_until(|_| n_fills(&exchange)[0] >= before + 3);
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    server.wait_until(|status| agrees(&exchange, status));

    // Every order is one account's, and was placed once.
    let mut names = BTreeSet::new();
    for (name, key, _) in ACCOUNTS {
        let books = exchange.books_of(key);
        let orders = books["orders"].as_array().unwrap();
        assert!(orders.len() > 10, "{name} hardly traded: {}", orders.len());
        for order in orders {
            let id = order["client_id"].as_str().unwrap();
            assert!(names.insert(id.to_owned()), "{name}: {id} was placed twice");
        }
    }

    let by_server = place.json(&["sync", "--json"]);
    assert_eq!((&by_server["by"], &by_server["equal"]), (&"server".into(), &true.into()));
    let lines = by_server["lines"].to_string();
    for (name, ..) in ACCOUNTS {
        let told = format!("{name}: compared with the venue: 0 open orders, 0 differences");
        assert!(lines.contains(&told), "{lines}");
    }
    assert_eq!(server.stop("-TERM"), Some(0));
    let by_hand = place.json(&["sync", "--json"]);
    let accounts = by_hand["accounts"].as_array().unwrap();
    let names: Vec<_> = accounts.iter().map(|own| own["account"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    // Orders that were sent just before a kill are on no record: only the venue knows of their fills.
    let has_only_fills = |own: &Value| {
        let differences = own["differences"].as_array().unwrap();
        differences.iter().all(|own| own["kind"] == "fill")
    };
    assert!(accounts.iter().all(has_only_fills), "{by_hand:#}");

    // Both runs of several engines are executed again.
    let runs = place.runs();
    for run in &runs[runs.len() - engines..] {
        let number = run.file_name().unwrap().to_str().unwrap();
        let replayed = place.json(&["replay", number, "--json"]);
        assert_eq!(replayed["identical"], true, "{replayed:#}");
    }
    for secret in [KEY, SECRET, OTHER_KEY, OTHER_SECRET] {
        assert_eq!(files_with(&place.path(""), secret), Vec::<String>::new(), "a key leaked");
    }
}

#[test]
fn one_engine_trades_two_accounts() {
    lives(1, 3);
}

#[test]
fn two_engines_trade_an_account_each() {
    lives(2, 2);
}

/// An account whose key is missing, or is another's, trades nothing and stops the others from starting.
#[test]
fn each_account_has_a_key_of_its_own() {
    let exchange = exchange();
    let place = place_of(&exchange, 1);
    std::fs::remove_file(place.path("beta.key")).unwrap();
    let refused = |texts: &[&str]| {
        let refused = place.tercel(&["run"]);
        let text = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(texts.iter().all(|wanted| text.contains(wanted)), "{text}");
        assert!(!text.contains(KEY) && !text.contains(SECRET), "{text}");
    };
    refused(&["beta.key"]);
    key_file(&place, "beta.key", KEY, SECRET);
    refused(&["\"alpha\"", "\"beta\"", "same key"]);
    assert!(!place.data().exists(), "nothing was begun");
}
