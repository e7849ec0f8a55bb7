//! The bar backtest of the EMA/RSI strategy against an independent calculation in Python, trade by
//! trade.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::Command;

use rust_decimal::Decimal;
use tercel_testkit::shared_data;

/// Time, side, price, quantity, fee.
type Trade = (i64, String, Decimal, Decimal, Decimal);

fn trades(path: &Path, time: &str) -> Vec<Trade> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names = reader.headers().unwrap().clone();
    let at = |name: &str| names.iter().position(|other| other == name).unwrap();
    let [time, side, price, qty, fee] = [time, "side", "price", "quantity", "fee"].map(at);
    let decimal = |text: &str| text.parse::<Decimal>().unwrap().normalize();
    reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            let side = row[side].to_owned();
            let (price, qty, fee) = (decimal(&row[price]), decimal(&row[qty]), decimal(&row[fee]));
            (row[time].parse().unwrap(), side, price, qty, fee)
        })
        .collect()
}

#[test]
fn every_trade_of_a_year_of_bars_equals_the_oracles() {
    let Some(bars) = shared_data("bars/bitfinex_BTCUSD_1m_2019.csv.gz") else { return };
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours.csv"), folder.path().join("theirs.csv"));
    // Both round to the same grid: the finest step that the file's prices have.
    let tick = "0.00000001";
    let output = Command::new("python3")
        .arg(root.join("tests/oracle/ema_rsi.py"))
        .arg(&bars)
        .args(["--tick", tick, "--out"])
        .arg(&theirs)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new(env!("CARGO_BIN_EXE_tercel"))
        .args(["backtest", "--script"])
        .arg(root.join("scripts/lua/ema_cross.luau"))
        .arg("--data")
        .arg(&bars)
        .args(["--tick", tick, "--json", "--trades"])
        .arg(&ours)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (ours, theirs) = (trades(&ours, "venue_time_ns"), trades(&theirs, "time_ns"));
    for (n, (left, right)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(left, right, "trade {n}");
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 30_000, "{} trades", ours.len());
    println!("{} trades equal", ours.len());
}
