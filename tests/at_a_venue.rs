//! The server as a process against a venue as a process: real sockets, real kills, and the venue's
//! own books to compare with.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "exchange/account.rs"]
mod account;
#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use account::{books_hold, files_with, held, place_at};
use exchange::{Exchange, KEY, SECRET};
use rig::Place;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Trades on every beat.
const SCRIPT: &str = r#"
strategy { name = "trader", timers = { beat = 40 } }
local n = 0
function on_init() n = recall("n") or 0 end
function on_timer(name)
    n += 1
    remember("n", n)
    local best = bid()
    if not best then return end
    if n % 5 == 0 then cancel_all()
    elseif n % 4 == 0 then market_sell(0.01)
    elseif n % 3 == 0 then market_buy(0.01)
    else buy(0.01, best - 50) end
end
"#;

/// An order is followed from the message that caused it to its fill, hop by hop.
#[test]
fn the_hops_of_an_order_are_told() {
    let exchange = Exchange::start("BTCUSDT");
    let place = place_at(&exchange, SCRIPT, 2);
    let script = "strategy { name = \"once\" }\nlocal is_done = false\nlocal function enter()\n    \
                  market_buy(0.01)\nend\nfunction on_book(bid)\n    if is_done or not bid then \
                  return end\n    is_done = true\n    enter()\nend\n";
    std::fs::write(place.script(), script).unwrap();
    let mut server = place.start();
    server.wait_until(|status| {
        let all = status["positions"].as_array().unwrap();
        all.first().is_some_and(|own| own["n_fills"].as_u64() > Some(0))
    });
    assert_eq!(server.stop("-TERM"), Some(0));
    let traced = place.json(&["trace", "latest", "T1-1", "--json"]);
    let links = traced["links"].as_array().unwrap();
    let hops: Vec<_> = links.iter().map(|link| link["hop"].as_str().unwrap()).collect();
    let begin = ["received", "taken", "decided", "recorded", "sent", "received", "taken"];
    assert_eq!(hops.get(..begin.len()), Some(&begin[..]), "{traced:#}");
    let times: Vec<_> =
        links[..begin.len()].iter().map(|link| link["at_ns"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let own = &links[2]["script_line"];
    assert_eq!((own["hook"].as_str(), own["line"].as_u64()), (Some("on_book"), Some(4)), "{own}");
    let is_fill = |link: &Value| link["what"].as_str().unwrap().starts_with("filled");
    assert!(links.iter().any(is_fill), "{traced:#}");
    let text = place.tercel(&["trace", "latest", "T1-1"]).stdout;
    let text = String::from_utf8(text).unwrap();
    println!("{text}");
    assert!(text.contains("trader.luau:4 in on_book: strategy once places it"), "{text}");
    assert!(text.contains("to the account's thread"), "{text}");
}

/// Killed at any moment and started again, the server ends with the venue's books: nothing was sent
/// twice, nothing was forgotten, and its key is nowhere but in its file.
#[test]
fn killed_again_and_again_it_agrees_with_the_venue() {
    let exchange = Exchange::start("BTCUSDT");
    let place = place_at(&exchange, SCRIPT, 2);
    // It is to trade on, whatever the last orders before a kill have come to.
    let path = place.path("tercel.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("[exchange]\n", "[exchange]\non_lost_order = \"tell\"\n"))
        .unwrap();
    for n in 0..6_u64 {
        let before = exchange.n_fills();
        let server = place.start();
        let begun = Instant::now();
        while exchange.n_fills() < before + 3 {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not trade");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(37 * n % 90));
        server.kill();
    }
    let mut server = place.start();
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    server.wait_until(|status| {
        let books = exchange.books();
        let orders = books["orders"].as_array().unwrap();
        let is_flat = !orders.iter().any(|order| order["open"] == true);
        is_flat
            && status["n_open_orders"] == 0
            && ["BTC", "USDT"].iter().all(|asset| {
                let gap = held(status, asset).unwrap_or_default() - books_hold(&books, asset);
                gap.abs() < Decimal::new(1, 6)
            })
    });
    let books = exchange.books();
    let mut names = BTreeMap::new();
    for order in books["orders"].as_array().unwrap() {
        *names.entry(order["client_id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert!(names.len() > 20, "it hardly traded: {names:?}");
    let twice: Vec<_> = names.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    assert_eq!(server.stop("-TERM"), Some(0));
    for run in place.runs() {
        let number = run.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(place.tercel(&["verify", &number]).status.success(), "run {number}");
    }
    let folder = place.path("");
    assert_eq!(files_with(&folder, SECRET), Vec::<String>::new(), "the secret leaked");
    assert_eq!(files_with(&folder, KEY), Vec::<String>::new(), "the key leaked");
}

/// A paper run used to go on with a venue's account and the other way round, and a strategy could lose
/// sight of an instrument in which it had orders.
#[test]
fn a_state_goes_on_only_where_its_orders_went() {
    let exchange = Exchange::start("BTCUSDT,ETHUSDT");
    let place = place_at(&exchange, SCRIPT, 2);
    let path = place.path("tercel.toml");
    let config = std::fs::read_to_string(&path)
        .unwrap()
        .replace("symbols = [\"BTCUSDT\"]", "symbols = [\"BTCUSDT\", \"ETHUSDT\"]")
        + "symbols = [\"BTCUSDT\"]\n";
    std::fs::write(&path, &config).unwrap();
    let mut server = place.start();
    let status = server.wait_until(|status| status["n_open_orders"].as_u64() > Some(0));
    assert_eq!((&status["mode"], &status["links"][0]["is_up"]), (&json!("testnet"), &json!(true)));
    server.kill();
    for (other, wanted) in [
        (config.replace("\"testnet\"", "\"paper\""), "testnet at binance (custom"),
        (config.replace("custom\"", "custom\"\nname = \"binance_usdm\""), "binance_usdm"),
        (
            config.replace("symbols = [\"BTCUSDT\"]\n", "symbols = [\"ETHUSDT\"]\n"),
            "trader does not trade BTCUSDT any more",
        ),
    ] {
        std::fs::write(&path, other).unwrap();
        let refused = place.tercel(&["run", "--config", "tercel.toml"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains(wanted) && text.contains("--fresh"), "{text}");
    }
    std::fs::write(&path, &config).unwrap();
    place.start().kill();
}

/// Buys a little, leaves two orders far below the market, and then nothing more, ever.
const QUIET: &str = r#"
strategy { name = "trader", timers = { beat = 100 } }
local n = 0
function on_init() n = recall("n") or 0 end
function on_timer(name)
    local best = bid()
    if not best then return end
    if n == 0 then market_buy(0.01)
    elseif n == 3 then buy(0.01, best - 3000)
    elseif n == 6 then buy(0.02, best - 2000) end
    if n < 10 then
        n += 1
        remember("n", n)
    end
end
"#;

fn sync(place: &Place, code: i32) -> Value {
    let output = place.tercel(&["sync", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text} {errors}");
    serde_json::from_str(&text).unwrap()
}

/// How many differences there are of each kind.
fn kinds(found: &Value) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for own in found["accounts"][0]["differences"].as_array().unwrap() {
        *kinds.entry(own["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    kinds
}

/// What others did at the venue while no server ran is shown, all of it and nothing else; and a server
/// that runs compares when it is asked to.
#[test]
fn what_was_done_by_hand_is_what_sync_shows() {
    let exchange = Exchange::start("BTCUSDT");
    let place = place_at(&exchange, QUIET, 3_600);
    let refused = place.tercel(&["sync"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no run has begun"));
    let mut server = place.start();
    server.wait_until(|status| {
        status["n_open_orders"] == 2 && status["positions"][0]["quantity"] == "0.01000"
    });
    // Until its journal is on the disk.
    std::thread::sleep(Duration::from_millis(1_500));
    server.kill();
    let open = |books: &Value| -> Vec<Value> {
        let orders = books["orders"].as_array().unwrap();
        orders.iter().filter(|order| order["open"] == true).cloned().collect()
    };
    let before = exchange.books();
    let found = sync(&place, 0);
    assert_eq!((&found["by"], &found["equal"]), (&json!("journal"), &json!(true)), "{found:#}");
    assert_eq!(exchange.books()["orders"], before["orders"], "asking changes nothing");

    let ours = open(&before);
    let of_price = |order: &Value| order["price"].as_str().unwrap().parse::<Decimal>().unwrap();
    let lower = ours.iter().min_by_key(|order| of_price(order)).unwrap();
    let upper = ours.iter().max_by_key(|order| of_price(order)).unwrap();
    let lower_name = lower["client_id"].as_str().unwrap();
    exchange.signed(
        "DELETE",
        "/api/v3/order",
        &format!("symbol=BTCUSDT&origClientOrderId={lower_name}"),
    );
    let mut kinds_expected = BTreeMap::from([("open_order", 1)]);
    assert_eq!(kinds(&sync(&place, 1)), kinds_expected);
    // The crowd sells down to the other one.
    let trade = json!({
        "exchange": "spot", "symbol": "BTCUSDT", "side": "SELL", "price": upper["price"],
        "quantity": "100000",
    });
    exchange.control("trade", &trade);
    let filled = exchange.books()["fills"].as_array().unwrap().len()
        - before["fills"].as_array().unwrap().len();
    assert!(filled > 0, "it was reached");
    kinds_expected = BTreeMap::from([("open_order", 2), ("fill", filled), ("balance", 2)]);
    assert_eq!(kinds(&sync(&place, 1)), kinds_expected);
    let foreign = exchange.signed(
        "POST",
        "/api/v3/order",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.03&price=20000",
    );
    let bought = exchange.signed(
        "POST",
        "/api/v3/order",
        "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.005&newOrderRespType=FULL",
    );
    let n_foreign = bought["fills"].as_array().unwrap().len();
    kinds_expected.extend([("foreign_order", 1), ("foreign_fill", n_foreign)]);
    let found = sync(&place, 1);
    assert_eq!(kinds(&found), kinds_expected, "{found:#}");
    let list = found["accounts"][0]["differences"].as_array().unwrap();
    let of = |kind: &str| list.iter().filter(|own| own["kind"] == kind).collect::<Vec<_>>();
    let said: Vec<_> = of("open_order").iter().map(|own| own["theirs"].clone()).collect();
    assert!(said.contains(&json!("canceled with 0 filled")), "{said:?}");
    assert!(said.contains(&json!("filled with 0.02 filled")), "{said:?}");
    let number = foreign["orderId"].to_string();
    assert!(of("foreign_order")[0]["about"].as_str().unwrap().contains(&number));
    let books = exchange.books();
    for own in of("balance") {
        let asset = own["about"].as_str().unwrap();
        let theirs: Decimal = own["theirs"].as_str().unwrap().parse().unwrap();
        assert_eq!(theirs, books_hold(&books, asset), "{asset}");
    }
    let text = place.tercel(&["sync"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert_eq!(text.lines().count(), 1 + list.len(), "{text}");

    let mut server = place.start();
    server.wait_until(|status| status["n_open_orders"] == 0);
    let found = sync(&place, 1);
    assert_eq!(found["by"], "server", "{found:#}");
    let lines = found["lines"].to_string();
    assert!(lines.contains("1 open orders of other origin"), "{lines}");
    exchange.signed("DELETE", "/api/v3/order", &format!("symbol=BTCUSDT&orderId={number}"));
    let found = sync(&place, 0);
    assert_eq!((&found["equal"], &found["open_orders"]), (&json!(true), &json!(0)), "{found:#}");
    exchange.control(
        "deposit",
        &json!({"exchange": "spot", "key": KEY, "asset": "USDT", "amount": "77"}),
    );
    let lines = sync(&place, 1)["lines"].to_string();
    assert!(lines.contains("USDT: the venue holds"), "{lines}");
    assert_eq!(sync(&place, 0)["equal"], true, "it was taken over");
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// Three orders worked on at the venue after an interrupt, and the last words of the server were how many
/// events it had seen.
#[test]
fn a_server_that_stops_names_the_orders_that_stay() {
    let exchange = Exchange::start("BTCUSDT");
    let script = "strategy { name = \"rest\", timers = { beat = 100 } }\nlocal n = 0\nfunction on_timer()\n    \
                  if n < 2 and bid() then\n        n = n + 1\n        buy(0.01, math.floor(bid() * 0.9) - n)\n    end\nend\n";
    let place = place_at(&exchange, script, 2);
    let mut server = place.start();
    server.wait_until(|status| status["n_open_orders"].as_u64() == Some(2));
    server.signal("-INT");
    let (exit, said) = server.wait("it was interrupted");
    assert_eq!(exit.code(), Some(0), "{said}");
    let line = said.lines().find(|line| line.starts_with("run 1 stopped")).unwrap();
    assert!(line.ends_with("; 2 open orders stay at the venue: T1-1, T1-2"), "{line}");
    let log = std::fs::read_dir(place.path("log")).unwrap().next().unwrap().unwrap().path();
    let log = std::fs::read_to_string(log).unwrap();
    let told = log.lines().find(|line| line.contains("open orders stay")).unwrap();
    assert!(told.contains("WARN"), "{told}");
}

fn alarms(status: &Value) -> Vec<String> {
    let notices = status["notices"].as_array().unwrap();
    let alarms = notices.iter().filter(|own| own["level"] == "error");
    alarms.map(|own| own["text"].as_str().unwrap().to_owned()).collect()
}

/// A login that the venue refuses is told as an alarm, and not tried again and again.
#[test]
fn a_refused_login_is_an_alarm_and_no_hammering() {
    let exchange = Exchange::start("BTCUSDT");
    let wrong = [(SECRET, "Xz5oRkV0tQn3SxMiBg7YpCj2AeDlFh9u", "-1022"), (KEY, "unknown", "-2015")];
    for (right, wrong, code) in wrong {
        let place = place_at(&exchange, QUIET, 2);
        let path = place.path("venue.key");
        let text = std::fs::read_to_string(&path).unwrap().replace(right, wrong);
        std::fs::write(&path, text).unwrap();
        let mut server = place.start();
        let told = server.wait_until(|status| !alarms(status).is_empty());
        assert!(alarms(&told)[0].contains(code), "{:?}", alarms(&told));
        std::thread::sleep(Duration::from_secs(5));
        let later = alarms(&server.status().unwrap());
        assert_eq!(later.len(), 1, "it is told at each attempt: {later:?}");
        assert_eq!(place.tercel(&["sync"]).status.code(), Some(3), "not connected");
        assert_eq!(server.stop("-TERM"), Some(0));
        let refused = place.tercel(&["sync"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains("refuses the account's key") && text.contains(code), "{text}");
        assert!(!text.contains(wrong), "{text}");
    }
}

/// An account that never connects was told nowhere: no line, no notice, and every link was up.
#[test]
fn an_account_that_cannot_connect_is_told_with_the_reason() {
    let exchange = Exchange::start("BTCUSDT");
    let place = place_at(&exchange, QUIET, 2);
    let path = place.path("tercel.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    // Nobody listens on it once this is gone.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = format!("private = \"ws://{}\"", exchange.address);
    let config = config.replace(&own, &format!("private = \"ws://{nobody}\""));
    std::fs::write(&path, config).unwrap();
    let mut server = place.start();
    let wanted = "again and again: connection failed: connection refused";
    let told = |status: &Value| {
        let notices = status["notices"].as_array().unwrap();
        notices.iter().filter(|own| own["text"].as_str().unwrap().contains(wanted)).count()
    };
    let status = server.wait_until(|status| told(status) > 0);
    let links = status["links"].as_array().unwrap();
    let up: Vec<_> = links.iter().map(|own| (&own["name"], &own["is_up"])).collect();
    let expected = [(&json!("exchange"), &json!(true)), (&json!("account main"), &json!(false))];
    assert_eq!(up, expected, "{status:#}");
    assert_eq!(links[1]["failure"], json!("connection failed: connection refused"));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(told(&server.status().unwrap()), 1, "it is told at each attempt");
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// A process that dies of a fault with a key in its memory leaves no image of that memory, whatever its
/// parent allows; and the key is in nothing that it wrote.
#[test]
fn a_process_that_dies_leaves_no_core() {
    use std::os::unix::process::ExitStatusExt;

    let exchange = Exchange::start("BTCUSDT");
    for (name, number) in [("-ABRT", 6), ("-SEGV", 11)] {
        let place = place_at(&exchange, SCRIPT, 2);
        let file = |name: &str| std::fs::File::create(place.path(name)).unwrap();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "ulimit -S -c $(ulimit -H -c); exec \"$0\" run --config tercel.toml"])
            .arg(env!("CARGO_BIN_EXE_tercel"))
            .current_dir(place.path(""))
            .stdout(file("out.txt"))
            .stderr(file("err.txt"))
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let before = exchange.n_fills();
        while exchange.n_fills() < before + 2 {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not trade");
            std::thread::sleep(Duration::from_millis(20));
        }
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let core: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(core, ["0", "0"], "both limits, so that nothing raises them again");
        let id = child.id().to_string();
        let status = loop {
            // The first one may be looked into by a handler, which then lets the next one pass.
            let _ = std::process::Command::new("kill").args([name, &id]).status().unwrap();
            std::thread::sleep(Duration::from_millis(50));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
        };
        assert_eq!(status.signal(), Some(number), "{status}");
        assert!(!status.core_dumped(), "{status}");
        let names = std::fs::read_dir(place.path("")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        let is_core = |name: &std::ffi::OsString| name.to_string_lossy().contains("core");
        assert!(!names.iter().any(is_core), "{names:?}");
        let folder = place.path("");
        assert!(place.path("err.txt").metadata().unwrap().len() > 0, "something was said");
        assert_eq!(files_with(&folder, SECRET), Vec::<String>::new(), "the secret leaked");
        assert_eq!(files_with(&folder, KEY), Vec::<String>::new(), "the key leaked");
    }
}

/// The venue counts what an address asks of it in a minute. A server that was started again and again
/// waited without a word, and then said that the venue had not answered.
#[test]
fn a_start_that_waits_for_the_venues_budget_says_so() {
    let exchange = Exchange::start("BTCUSDT");
    let place = place_at(&exchange, SCRIPT, 2);
    let log = || {
        let files = std::fs::read_dir(place.path("log")).into_iter().flatten();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>()
    };
    // The exchange's minute may end between its being asked for much and the start.
    let begun = Instant::now();
    while !log().contains("budget is used up") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", log());
        // Twenty each, of six thousand.
        for _ in 0..250 {
            exchange.get("/api/v3/exchangeInfo");
        }
        let server = place.spawn(&[]);
        std::thread::sleep(Duration::from_secs(2));
        server.kill();
    }
}

/// Futures: position and wallet are the venue's after trades, kills and restarts, and no order is sent
/// twice.
#[test]
fn futures_are_traded_like_spot() {
    let exchange = Exchange::start("BTCUSDT");
    let account = || exchange.get("/control/books")["usdm"]["accounts"][KEY].take();
    let n_fills = || account()["fills"].as_array().map_or(0, Vec::len);
    let place = place_at(&exchange, SCRIPT, 10);
    let path = place.path("tercel.toml");
    // No order leaves before it is on the disk, or a strategy that is killed may lose one of its own.
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace("[exchange]\n", "[exchange]\nname = \"binance_usdm\"\n");
    std::fs::write(&path, config.replace("[journal]\n", "[journal]\nmode = \"durable\"\n"))
        .unwrap();
    for n in 0..3_u64 {
        let before = n_fills();
        let server = place.start();
        let begun = Instant::now();
        while n_fills() < before + 4 {
            let status = server.status();
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not trade: {status:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(41 * n));
        server.kill();
    }
    let mut server = place.start();
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    let status = server.wait_until(|status| {
        let books = account();
        let position = books["positions"][0]["quantity"].as_str().unwrap_or("0");
        let ours = status["positions"][0]["quantity"].as_str().unwrap_or("0");
        let (ours, theirs): (Decimal, Decimal) = (ours.parse().unwrap(), position.parse().unwrap());
        let is_quiet = books["orders"].as_array().unwrap().iter().all(|own| own["open"] != true);
        is_quiet && status["n_open_orders"] == 0 && ours == theirs
    });
    assert_eq!(alarms(&status), Vec::<String>::new());
    let mut names = BTreeMap::new();
    for order in account()["orders"].as_array().unwrap() {
        *names.entry(order["client_id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert!(names.len() > 10 && names.values().all(|n| *n == 1), "sent twice: {names:?}");
    assert_eq!(sync(&place, 0)["equal"], true);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!(sync(&place, 0)["by"], "journal");
    let latest = place.tercel(&["verify", "latest"]);
    assert!(latest.status.success(), "{}", String::from_utf8_lossy(&latest.stdout));
}
