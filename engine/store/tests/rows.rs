//! Bars and trades by line.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use tercel_core::{Event, MarketData, Side};
use tercel_store::{OpenOptions, Reader};
use tercel_testkit::shared_data;

fn read(path: &Path) -> (Vec<MarketData>, Reader) {
    let mut reader = Reader::open(&[path.to_owned()], &OpenOptions::default()).unwrap();
    let (mut block, mut all) = (Vec::new(), Vec::new());
    while reader.read_block(&mut block).unwrap() > 0 {
        all.extend(block.drain(..).filter_map(|event| match event {
            Event::Market(market) => Some(market.data),
            _ => None,
        }));
    }
    (all, reader)
}

#[test]
fn every_row_of_the_bar_files_is_a_bar() {
    let Some(folder) = shared_data("bars") else { return };
    for (file, n_rows) in [
        ("bitfinex_BTCUSD_1m_2018.csv.gz", 520_499),
        ("bitfinex_BTCUSD_1m_2019.csv.gz", 512_727),
        ("btc-perp_1m_20211231-20220201.csv.gz", 45_031),
        ("ethusdt-perp_15m_202410-202605.csv.gz", 53_929),
    ] {
        let (events, reader) = read(&folder.join(file));
        assert_eq!(reader.report().n_bad, 0, "{:?}", reader.report().bad_lines);
        assert!(events.iter().all(|data| matches!(data, MarketData::Bar { .. })));
        assert_eq!(events.len(), n_rows, "{file}");
    }
}

#[test]
fn signed_sizes_tell_the_taker() {
    let Some(folder) = shared_data("trades") else { return };
    let (events, reader) = read(&folder.join("bitmex_XBTUSD_trades_20180101_first500k.csv.gz"));
    assert_eq!((events.len(), reader.report().n_bad), (500_000, 0));
    assert_eq!(reader.metadata().instruments[0].symbol, "XBTUSD");
    let sold = events.iter().filter(|data| {
        matches!(data, MarketData::Trade { aggressor: Some(Side::Sell), qty, .. } if qty.0 > 0)
    });
    assert!((200_000..300_000).contains(&sold.count()));
}

#[test]
fn a_column_for_the_side_is_obeyed_and_bad_lines_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trades.csv");
    let text = "time,id,side,amount,price\n1514764802610,7,sell,1.5,100.5\n\
                1514764802611,8,Buy,2,101\n1514764802612,9,both,2,101\n";
    std::fs::write(&path, text).unwrap();
    let (events, reader) = read(&path);
    let sides: Vec<_> = events
        .iter()
        .map(|data| match data {
            MarketData::Trade { aggressor, id, .. } => (*aggressor, *id),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sides, [(Some(Side::Sell), 7), (Some(Side::Buy), 8)]);
    let report = reader.report();
    assert_eq!((report.n_bad, report.bad_lines[0].line), (1, 4));
    assert!(report.bad_lines[0].reason.contains("`both`"), "{}", report.bad_lines[0].reason);
}
