//! Order-by-order data: books rebuilt from it, and what it lacks, counted.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Read;
use std::path::Path;

use tercel_core::{Event, MarketData, NaiveBook, Side};
use tercel_store::{Member, OpenOptions, Reader, Report};
use tercel_testkit::shared_data;

fn read(path: &Path, mut see: impl FnMut(&MarketData)) -> (Reader, Report) {
    let mut reader = Reader::open(&[path.to_owned()], &OpenOptions::default()).unwrap();
    let mut events = Vec::new();
    while reader.read_block(&mut events).unwrap() > 0 {
        for event in events.drain(..) {
            if let Event::Market(market) = event {
                see(&market.data);
            }
        }
    }
    let report = reader.report();
    assert_eq!(report.n_bad, 0, "{:?}", report.bad_lines);
    (reader, report)
}

/// Prices and sizes of five bids and five asks, best first.
type Top = [Vec<(i64, i64)>; 2];

fn top(book: &NaiveBook) -> Top {
    [Side::Buy, Side::Sell]
        .map(|side| book.levels(side).take(5).map(|level| (level.price.0, level.qty.0)).collect())
}

#[test]
fn lobster_books_equal_every_row_of_the_orderbook_file() {
    let Some(folder) = shared_data("l3_lobster") else { return };
    let path = folder.join("LOBSTER_SampleFile_AMZN_2012-06-21_5.zip");
    let mut book = NaiveBook::default();
    let mut seen: Vec<Top> = Vec::new();
    let mut n_trades = 0;
    let (reader, report) = read(&path, |data| match *data {
        MarketData::Clear { seq } => book.clear(seq),
        MarketData::Level { side, price, qty, last } => {
            book.set(side, price, qty);
            if last {
                book.end().unwrap();
                let top = top(&book);
                if seen.last() != Some(&top) {
                    seen.push(top);
                }
            }
        }
        MarketData::Trade { .. } => n_trades += 1,
        _ => {}
    });
    // Hidden orders trade at half cents, which is no tick.
    let spec = &reader.metadata().instruments[0];
    assert_eq!((spec.symbol.as_str(), spec.tick.to_string().as_str()), ("AMZN", "0.01"));

    let members = Member::list(&path).unwrap();
    let rows = members.iter().find(|member| member.display().contains("_orderbook_")).unwrap();
    let mut text = String::new();
    rows.open().unwrap().read_to_string(&mut text).unwrap();
    let mut expected: Vec<Top> = Vec::new();
    let mut n_rows = 0;
    for line in text.lines() {
        n_rows += 1;
        let cells: Vec<i64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let levels = cells.chunks_exact(4);
        let row = [
            levels.clone().map(|level| (level[2] / 100, level[3])).collect(),
            levels.map(|level| (level[0] / 100, level[1])).collect(),
        ];
        if expected.last() != Some(&row) {
            expected.push(row);
        }
    }
    assert_eq!(n_rows, 155_935);
    assert_eq!(seen.len(), expected.len());
    assert!(seen == expected, "every change of five levels on both sides, in order");

    assert_eq!(report.n_lines, 155_935);
    let count = |what: &str| report.counts.get(what).copied().unwrap_or(0);
    let between = count("executions of hidden orders between ticks, left out");
    assert_eq!((n_trades + between, between), (8_974 + 2_445, 63));
    assert_eq!(count("best prices that only the orderbook file told"), 0);
    assert_eq!(count("crossed books"), 0);
    assert_eq!(count("executions of hidden orders"), 2_445);
    assert_eq!(count("changes of orders from before the window"), 7_329 + 1_052 + 110);
    let out_of_sight = [
        count("levels that came into sight"),
        count("levels whose size had changed out of sight"),
        count("levels that had gone out of sight"),
        count("deletions of another size than the order had"),
    ];
    assert_eq!(out_of_sight, [3_158, 7_849, 4_322, 5]);
}

#[test]
fn bitstamp_orders_that_cross_are_held_back_and_trades_told_once() {
    let Some(folder) = shared_data("l3_bitstamp") else { return };
    let mut book = NaiveBook::default();
    let (mut n_trades, mut traded) = (0, 0);
    let (reader, report) = read(&folder.join("orders.csv.gz"), |data| match *data {
        MarketData::Clear { seq } => book.clear(seq),
        MarketData::Level { side, price, qty, last } => {
            book.set(side, price, qty);
            if last {
                book.end().unwrap();
            }
        }
        MarketData::Trade { qty, .. } => {
            n_trades += 1;
            traded += qty.0;
        }
        _ => {}
    });
    assert_eq!(report.n_lines, 314_057 + 1);
    assert_eq!(reader.metadata().instruments[0].symbol, "BTCUSD", "as meta.json says");
    let count = |what: &str| report.counts.get(what).copied().unwrap_or(0);
    assert_eq!(count("events for unknown orders"), 13);
    assert_eq!(count("local times before the line's before"), 1);
    assert_eq!(count("stale orders that crossed the book"), 2);
    // The feed's trade file has 284 trades of 15.02983915 in all.
    assert_eq!((n_trades, traded), (282, 1_502_971_158));
    assert_eq!(count("crossed books"), 0);
}

#[test]
fn market_by_order_records_are_all_known() {
    let Some(folder) = shared_data("l3_cme_es_mbo") else { return };
    let mut book = NaiveBook::default();
    let (mut n_stale, mut n_trades) = (0, 0);
    let path = folder.join("esh4-glbx-mdp3-20231225.mbo.dbn.zst");
    let (_, report) = read(&path, |data| match *data {
        MarketData::Clear { seq } => book.clear(seq),
        MarketData::Level { side, price, qty, last } => {
            book.set(side, price, qty);
            if last && book.end().is_err() {
                n_stale += 1;
            }
        }
        MarketData::Trade { .. } => n_trades += 1,
        _ => {}
    });
    assert_eq!(report.n_lines, 68_792);
    let count = |what: &str| report.counts.get(what).copied().unwrap_or(0);
    assert_eq!(count("events for unknown orders"), 0);
    assert_eq!(count("book states"), 47_022);
    assert_eq!(count("crossed books"), 891);
    // The auction crosses the book once; when it has ended, the whole book is told anew.
    assert_eq!((n_stale, n_trades), (1, 2_973));
    assert!(book.best(Side::Buy).unwrap().price < book.best(Side::Sell).unwrap().price);
}
