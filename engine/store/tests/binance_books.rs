//! Books rebuilt from real captures equal those that were computed independently.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use serde_json::Value;
use tercel_store::{Inspection, OpenOptions, Reader, TapeWriter, inspect};
use tercel_testkit::shared_data;

fn walk(paths: &[PathBuf]) -> Inspection {
    let mut reader = Reader::open(paths, &OpenOptions::default()).unwrap();
    let found = inspect(&mut reader, None, |_| ()).unwrap();
    assert_eq!(reader.report().n_bad, 0, "{:?}", reader.report().bad_lines);
    found
}

fn import(path: &Path, folder: &Path) -> PathBuf {
    let mut reader = Reader::open(&[path.to_owned()], &OpenOptions::default()).unwrap();
    let tape = folder.join("data.tape");
    let mut writer = TapeWriter::create(&tape, reader.metadata()).unwrap();
    let mut events = Vec::new();
    while reader.read_block(&mut events).unwrap() > 0 {
        writer.write(&events).unwrap();
        events.clear();
    }
    writer.finish().unwrap();
    tape
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

fn check(found: &Inspection, expected: &Value) {
    let instrument = &found.instruments[0];
    let book = &instrument.book;
    assert_eq!(book.update_id, expected["final_update_id"].as_u64().unwrap());
    for (levels, side) in [(&book.bids, "bid"), (&book.asks, "ask")] {
        assert_eq!(levels.len() as u64, expected[format!("{side}_levels")].as_u64().unwrap());
        let top = expected[format!("top10_{side}s")].as_array().unwrap();
        for ((price, qty), expected) in levels.iter().zip(top) {
            assert_eq!((*price, *qty), (decimal(&expected[0]), decimal(&expected[1])));
        }
        let sum: Decimal = levels.iter().map(|(_, qty)| *qty).sum();
        assert_eq!(sum, decimal(&expected[format!("sum_{side}_qty")]));
    }
    assert_eq!(instrument.n_trades, expected["trade_count"].as_u64().unwrap());
    assert_eq!(instrument.base_volume, decimal(&expected["trade_base_volume"]));
    assert_eq!((found.gaps, found.crossed), (0, 0));
}

#[test]
fn rebuilt_books_equal_the_expected_ones_from_text_and_from_tape() {
    let Some(folder) = shared_data("l2_binance_ws") else { return };
    let expected = std::fs::read_to_string(folder.join("EXPECTED.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    for (file, expected) in expected.as_object().unwrap() {
        let path = folder.join(file);
        let found = walk(std::slice::from_ref(&path));
        check(&found, expected);
        let tape = import(&path, temporary.path());
        assert_eq!(walk(&[tape]), found, "{file} through a tape");
    }
}

#[test]
fn every_capture_replays_without_gap_or_crossing() {
    let Some(folder) = shared_data("l2_binance_ws") else { return };
    let mut n_events = 0;
    for symbol in [
        "spot_btcusdt",
        "spot_ethusdt",
        "cm_btcusd_perp",
        "cm_ethusd_perp",
        "usdm_btcusdt",
        "usdm_ethusdt",
    ] {
        let days = ["20240808", "20240809"].map(|day| folder.join(format!("{symbol}_{day}.gz")));
        let paths: Vec<_> = days.into_iter().filter(|path| path.exists()).collect();
        let found = walk(&paths);
        assert_eq!((found.gaps, found.crossed), (0, 0), "{symbol}");
        assert_eq!(found.instruments.len(), 1, "the second day goes on with the first's book");
        n_events += found.n_events;
    }
    // Snapshot levels and those of diffs that the snapshot already held are why this is not just
    // the number of lines' items.
    assert!(n_events > 2_900_000, "{n_events}");
}
