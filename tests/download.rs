//! A venue's history downloaded over real sockets, against what the venue says itself.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use exchange::Exchange;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tercel_core::{Event, MarketData, MarketEvent};
use tercel_store::TapeReader;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn command(exchange: &Exchange, folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tercel"));
    command.args(["download", "--output"]).arg(folder).args(exchange.arguments()).args(more);
    command
}

fn download(exchange: &Exchange, folder: &Path, more: &[&str]) -> Output {
    command(exchange, folder, more).output().unwrap()
}

fn spawn(exchange: &Exchange, folder: &Path, more: &[&str]) -> Child {
    let mut command = command(exchange, folder, more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn json_of(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|cause| panic!("{cause}: {error}"))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn ns(ms: i64) -> String {
    format!("{ms}000000")
}

fn number(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

fn read(path: &Path) -> (Vec<MarketEvent>, tercel_core::Instrument) {
    let mut reader = TapeReader::open(path, false).unwrap();
    let instrument = reader.metadata().instruments().unwrap().swap_remove(0);
    let mut events = Vec::new();
    while reader.read_block(&mut events).unwrap() > 0 {}
    let market = events.into_iter().map(|event| match event {
        Event::Market(market) => market,
        other => panic!("{other:?}"),
    });
    (market.collect(), instrument)
}

/// The whole file below a folder, by a part of its name.
fn file(folder: &Path, part: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(folder.join("binance")).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.to_str().unwrap().contains(part));
    assert_eq!(found.len(), 1, "{part}: {found:?}");
    found.remove(0)
}

/// Kills downloads again and again until one ends; returns how many were killed.
fn download_with_kills(exchange: &Exchange, folder: &Path, args: &[&str]) -> u32 {
    let size = || {
        let entries = std::fs::read_dir(folder.join("binance")).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>()
    };
    let mut n_kills = 0;
    loop {
        let (mut child, before, begun) = (spawn(exchange, folder, args), size(), Instant::now());
        // Each gets at least a page further.
        while size() <= before + 200 && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it gets no further");
            std::thread::sleep(Duration::from_millis(3));
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return n_kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        n_kills += 1;
    }
}

/// Killed again and again, a download ends with the bytes of one that was not, and those are the
/// venue's own rows.
#[test]
fn killed_again_and_again_it_has_every_row_once() {
    let exchange = Exchange::start_with("BTCUSDT", &["--speed", "100"]);
    let folder = tempfile::tempdir().unwrap();
    let oldest = &exchange.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=0&limit=1")[0];
    let bars_from = oldest[0].as_i64().unwrap() + 7 * MINUTE_MS;
    std::thread::sleep(Duration::from_secs(7));
    exchange.control("market", &json!({"running": false}));
    let trades_to = now_ms() / 1_000 * 1_000 + 1_000;
    std::thread::sleep(Duration::from_secs(7));
    let bars_to = bars_from + 4_100 * MINUTE_MS;
    let (bars_from_ns, bars_to_ns) = (ns(bars_from), ns(bars_to));
    let bars =
        ["--symbols", "BTCUSDT", "--bars", "1m", "--from", &bars_from_ns, "--to", &bars_to_ns];
    let (trades_from_ns, trades_to_ns) = (ns(trades_to - 3 * HOUR_MS), ns(trades_to));
    let trades =
        ["--symbols", "BTCUSDT", "--trades", "--from", &trades_from_ns, "--to", &trades_to_ns];
    let whole = folder.path().join("whole");
    for args in [&bars[..], &trades[..]] {
        let output = download(&exchange, &whole, args);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    exchange.control("faults", &json!({"answer_delay_ms": 120}));
    let cut = folder.path().join("cut");
    for (args, part) in [(&bars[..], "-1m-"), (&trades[..], "-trades-")] {
        assert!(download_with_kills(&exchange, &cut, args) >= 2, "{part}: hardly interrupted");
        let (ours, theirs) = (file(&cut, part), file(&whole, part));
        assert_eq!(ours.file_name(), theirs.file_name());
        assert!(std::fs::read(ours).unwrap() == std::fs::read(theirs).unwrap(), "{part} differ");
    }
    exchange.call("DELETE", "/control/faults", "", "");

    let (rows, instrument) = read(&file(&cut, "-1m-"));
    assert_eq!(rows.len(), 4_100);
    for (n, page) in (0..).zip(rows.chunks(1_000)) {
        let from = bars_from + n * 1_000 * MINUTE_MS;
        let path = format!(
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={from}&limit={}",
            page.len()
        );
        let theirs = exchange.get(&path);
        for (row, theirs) in page.iter().zip(theirs.as_array().unwrap()) {
            let MarketData::Bar { interval_ms: 60_000, bar } = row.data else { panic!("{row:?}") };
            assert_eq!(row.venue_at.0 / 1_000_000, theirs[0].as_i64().unwrap() + MINUTE_MS);
            for (price, idx) in [(bar.open, 1), (bar.high, 2), (bar.low, 3), (bar.close, 4)] {
                assert_eq!(instrument.price_decimal(price), number(&theirs[idx]));
            }
            assert_eq!(instrument.quantity_decimal(bar.volume), number(&theirs[5]));
        }
    }
    let (rows, instrument) = read(&file(&cut, "-trades-"));
    assert!(rows.len() > 2_500, "{}", rows.len());
    let mut n = 0;
    let mut path = "/api/v3/aggTrades?symbol=BTCUSDT&limit=1000&fromId=0".to_owned();
    loop {
        let theirs = exchange.get(&path);
        let Some(last) = theirs.as_array().unwrap().last() else { break };
        path = format!(
            "/api/v3/aggTrades?symbol=BTCUSDT&limit=1000&fromId={}",
            last["a"].as_u64().unwrap() + 1
        );
        for theirs in theirs.as_array().unwrap() {
            let row = rows[n];
            let MarketData::Trade { price, qty, id, aggressor } = row.data else {
                panic!("{row:?}")
            };
            assert_eq!(
                (id, row.venue_at.0 / 1_000_000),
                (theirs["a"].as_u64().unwrap(), theirs["T"].as_i64().unwrap())
            );
            assert_eq!(instrument.price_decimal(price), number(&theirs["p"]));
            assert_eq!(instrument.quantity_decimal(qty), number(&theirs["q"]));
            assert_eq!(aggressor == Some(tercel_core::Side::Sell), theirs["m"] == true);
            n += 1;
        }
    }
    assert_eq!(n, rows.len(), "no more and no less than the venue has");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lua/ema_cross.luau");
    let output = Command::new(env!("CARGO_BIN_EXE_tercel"))
        .args(["backtest", "--json", "--script"])
        .args([&script, Path::new("--data"), &file(&cut, "-1m-")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(json_of(&output)["events"], 4_100);
}

/// What the venue refuses as too much is waited for, and what is there is not asked for again.
#[test]
fn limits_are_waited_for() {
    let exchange = Exchange::start("BTCUSDT");
    let folder = tempfile::tempdir().unwrap();
    let rule = json!({"requests": [{
        "match": "GET /api/v3/klines", "fate": "status", "status": 429, "executes": false,
        "retry_after": 2, "count": 2,
    }]});
    exchange.control("faults", &rule);
    let to = now_ms() / MINUTE_MS * MINUTE_MS;
    let (from, to) = (ns(to - 100 * MINUTE_MS), ns(to));
    let args = ["--symbols", "BTCUSDT", "--bars", "1m", "--from", &from, "--to", &to, "--json"];
    let begun = Instant::now();
    let output = download(&exchange, folder.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(begun.elapsed() >= Duration::from_secs(4), "twice two seconds");
    let said = json_of(&output);
    assert_eq!(said["refused_as_too_many"], 2, "{said:#}");
    assert_eq!(said["calls"], 3, "{said:#}");
    let own = &said["files"][0];
    assert_eq!((&own["rows"], &own["missing"]), (&json!(100), &json!(0)), "{said:#}");
    let again = json_of(&download(&exchange, folder.path(), &args));
    assert_eq!((&again["calls"], &again["files"][0]["was_there"]), (&json!(0), &json!(true)));
    // Failures of the venue are tried again, too.
    let rule = json!({"requests": [{
        "match": "GET /api/v3/klines", "fate": "status", "status": 503, "executes": false, "count": 2,
    }]});
    exchange.control("faults", &rule);
    let output = download(&exchange, &folder.path().join("b"), &args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(json_of(&output)["files"][0]["rows"], 100);
}

/// Asked to stop, it says that it is not done, and the same command goes on.
#[test]
fn what_is_missing_is_told() {
    let exchange = Exchange::start("BTCUSDT");
    let folder = tempfile::tempdir().unwrap();
    let oldest = &exchange.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=0&limit=1")[0];
    let oldest = oldest[0].as_i64().unwrap();
    let (from, to) = (ns(oldest - 60 * MINUTE_MS), ns(oldest + 3_000 * MINUTE_MS));
    let args = ["--symbols", "BTCUSDT", "--bars", "1m", "--from", &from, "--to", &to];
    exchange.control("faults", &json!({"answer_delay_ms": 700}));
    let child = spawn(&exchange, folder.path(), &args);
    std::thread::sleep(Duration::from_millis(2_500));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(".tape.part: ") && text.contains("goes on with it"), "{text}");
    exchange.call("DELETE", "/control/faults", "", "");
    let said = json_of(&download(&exchange, folder.path(), &[&args[..], &["--json"]].concat()));
    let own = &said["files"][0];
    assert!(own["rows_before"].as_u64().unwrap() >= 1_000, "{said:#}");
    assert_eq!((&own["rows"], &own["missing"]), (&json!(3_000), &json!(60)), "{said:#}");
    let hole = json!([[(oldest - 60 * MINUTE_MS) * 1_000_000, oldest * 1_000_000]]);
    assert_eq!(own["holes"], hole, "{said:#}");
}

#[test]
fn what_cannot_be_downloaded_is_said() {
    let exchange = Exchange::start("BTCUSDT");
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (ns(now_ms() - HOUR_MS), ns(now_ms() / MINUTE_MS * MINUTE_MS - MINUTE_MS));
    let later = ns(now_ms() + 10 * MINUTE_MS);
    let check = |args: &[&str], remedy: &str| {
        let output = download(&exchange, folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(remedy), "{args:?}: {error}");
    };
    let symbol = ["--symbols", "BTCUSDT"];
    let span = ["--from", &from, "--to", &to];
    check(&[&["--symbols", "BTCUSTD", "--bars", "1m"][..], &span].concat(), "BTCUSDT");
    check(&[&["--bars", "1m"][..], &span].concat(), "--symbols");
    check(&[&symbol[..], &span].concat(), "--bars 1m");
    check(&[&symbol[..], &["--bars", "7m"], &span].concat(), "15m");
    check(&[&symbol[..], &["--bars", "1m", "--from", &to, "--to", &from]].concat(), "not before");
    check(&[&symbol[..], &["--bars", "1m", "--from", "yesterday"]].concat(), "2024-08-08");
    check(&[&symbol[..], &["--bars", "1m", "--from", &from, "--to", &later]].concat(), "earlier");
    check(&[&symbol[..], &["--trades", "--from", &from, "--to", &later]].concat(), "earlier");
    check(&[&symbol[..], &["--bars", "1m", "--tick", "7"], &span].concat(), "--tick");
    let gone = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tercel"))
        .args(["download", "--rest", "http://127.0.0.1:9", "--output"])
        .arg(gone.path())
        .args([&symbol[..], &["--bars", "1m"], &span].concat())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "nobody is there");
}
