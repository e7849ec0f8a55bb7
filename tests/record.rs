//! A venue's market data recorded over real sockets, against what the venue says itself.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use exchange::Exchange;
use rust_decimal::Decimal;
use serde_json::{Value, json};

fn tercel(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tercel")).args(args).output().unwrap()
}

fn record(exchange: &Exchange, folder: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tercel"))
        .args(["record", "--output"])
        .arg(folder)
        .args(exchange.arguments())
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

fn tapes(folder: &Path) -> Vec<PathBuf> {
    let mut tapes: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // By the second in the name, and the number behind it.
    tapes.sort_by_key(|path| (path.to_str().unwrap().len(), path.clone()));
    tapes
}

fn inspect(tapes: &[PathBuf]) -> Value {
    let mut args = vec!["inspect", "--json", "--book-at", "end"];
    args.extend(tapes.iter().map(|path| path.to_str().unwrap()));
    let output = tercel(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn levels(side: &Value) -> Vec<(Decimal, Decimal)> {
    let number = |value: &Value| value.as_str().unwrap().parse::<Decimal>().unwrap().normalize();
    let pair = |level: &Value| (number(&level[0]), number(&level[1]));
    side.as_array().unwrap().iter().map(pair).collect()
}

/// Waits until the recorder has written so many bytes.
fn wait_for(folder: &Path, n_bytes: u64) {
    let begun = Instant::now();
    loop {
        let sizes = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let n: u64 = sizes.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
        if n >= n_bytes {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is recorded");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is recorded, through a cut connection and lost increments, ends with the venue's own book; each
/// tape alone does, too, and where something was lost stands a mark.
#[test]
fn the_book_of_the_tapes_is_the_venues() {
    let exchange = Exchange::start("BTCUSDT,ETHUSDT");
    let folder = tempfile::tempdir().unwrap();
    let more = ["--symbols", "BTCUSDT,ETHUSDT", "--topics", "book,trades,quotes", "--json"];
    let recorder = record(&exchange, folder.path(), &[&more[..], &["--tape-age", "2s"]].concat());
    wait_for(folder.path(), 4_000);
    assert_eq!(exchange.control("disconnect", &json!({"only": "market"}))["disconnected"], 1);
    std::thread::sleep(Duration::from_millis(2_500));
    exchange.control("gap", &json!({"n": 3}));
    std::thread::sleep(Duration::from_millis(3_000));
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let still = json!({"running": false, "exchange": "spot", "symbol": symbol});
        exchange.control("market", &still);
    }
    std::thread::sleep(Duration::from_millis(1_500));
    signal(&recorder, "-TERM");
    let output = recorder.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "--json says nothing besides");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["disconnects"], 1);
    assert!(summary["gaps"].as_u64().unwrap() >= 4, "{summary:#}");
    assert_eq!(summary["unreadable"], 0);
    let tapes = tapes(folder.path());
    assert!(tapes.len() >= 3, "{tapes:?}");
    assert!(tapes.iter().all(|path| path.extension().unwrap() == "tape"), "{tapes:?}");
    let all = inspect(&tapes);
    assert_eq!(all["gaps"], 0, "nothing is missing that no mark tells of: {all:#}");
    assert_eq!(all["crossed"], 0);
    assert!(all["interruptions"].as_u64().unwrap() >= 4, "{all:#}");
    let last = inspect(&tapes[tapes.len() - 1..]);
    for (found, symbol) in [(0, "BTCUSDT"), (1, "ETHUSDT")] {
        let truth = exchange.get(&format!("/api/v3/depth?symbol={symbol}&limit=5000"));
        for inspected in [&all, &last] {
            let own = &inspected["instruments"][found];
            assert_eq!(own["symbol"], symbol);
            assert_eq!(own["book"]["update_id"], truth["lastUpdateId"], "{symbol}");
            for side in ["bids", "asks"] {
                assert!(levels(&truth[side]).len() > 5);
                assert_eq!(levels(&own["book"][side]), levels(&truth[side]), "{symbol} {side}");
            }
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lua/imbalance_maker.luau");
    let mut args = vec!["backtest", "--json", "--symbol", "BTCUSDT", "--script"];
    args.extend([script.to_str().unwrap(), "--data"]);
    args.extend(tapes.iter().map(|path| path.to_str().unwrap()));
    let output = tercel(&args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["events"].as_u64().unwrap() > 1_000, "{report:#}");
    assert_eq!(report["faults"], json!([]));
}

/// A killed recorder leaves what it had, under another name than a whole tape's, and the next one goes
/// on beside it: between the two stands a mark.
#[test]
fn a_killed_recorder_leaves_what_it_had() {
    let exchange = Exchange::start("BTCUSDT");
    let folder = tempfile::tempdir().unwrap();
    let more = ["--symbols", "BTCUSDT", "--status-every", "200ms"];
    let mut killed = record(&exchange, folder.path(), &more);
    wait_for(folder.path(), 6_000);
    killed.kill().unwrap();
    let said = killed.wait_with_output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.lines().count() >= 2, "a line now and then: {said}");
    assert!(said.lines().all(|line| line.contains(" events, ")), "{said}");
    let left = tapes(folder.path());
    assert_eq!(left.len(), 1);
    let part = left[0].to_str().unwrap().to_owned();
    assert!(part.ends_with(".tape.part"));
    let refused = tercel(&["inspect", &part]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--accept-truncated"));
    let second = folder.path().join("second");
    let output =
        record(&exchange, &second, &[&more[..], &["--for", "3s"]].concat()).wait_with_output();
    assert_eq!(output.unwrap().status.code(), Some(0));
    let whole = tapes(&second);
    let both =
        tercel(&["inspect", "--json", "--accept-truncated", &part, whole[0].to_str().unwrap()]);
    let both: Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!((&both["gaps"], &both["interruptions"]), (&json!(0), &json!(1)), "{both:#}");
    assert_eq!(both["snapshots"], 2);
}

#[test]
fn what_cannot_be_recorded_is_said() {
    let exchange = Exchange::start("BTCUSDT");
    let folder = tempfile::tempdir().unwrap();
    let said = |more: &[&str]| {
        let output = record(&exchange, folder.path(), more).wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said(&["--symbols", "BTCUSTD", "--for", "1s"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("lists no BTCUSTD") && text.contains("BTCUSDT"), "{text}");
    let (code, text) = said(&["--for", "1s"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--symbols"), "{text}");
    let (code, text) = said(&["--symbols", "BTCUSDT", "--until", "2020-01-01"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("in the past"), "{text}");
    let (code, text) = said(&["--symbols", "BTCUSDT", "--for", "soon"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("10m"), "{text}");
    assert!(tapes(folder.path()).is_empty());
    // Spot has no mark prices: nothing can arrive.
    let (code, text) = said(&["--symbols", "BTCUSDT", "--topics", "mark", "--for", "2s"]);
    assert_eq!(code, Some(1), "{text}");
}
