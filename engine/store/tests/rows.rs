//! Bars and trades by line.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use tercel_core::{Event, MarketData, Side};
use tercel_store::{OpenOptions, Reader};
use tercel_testkit::shared_data;

fn read(path: &Path) -> (Vec<MarketData>, Reader) {
    read_all(&[path.to_owned()], &OpenOptions::default())
}

fn read_all(paths: &[PathBuf], options: &OpenOptions) -> (Vec<MarketData>, Reader) {
    let mut reader = Reader::open(paths, options).unwrap();
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

/// Takers and instruments of a text's trades.
fn takers(text: &str) -> (Vec<Option<Side>>, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("XBTUSD.csv");
    std::fs::write(&path, text).unwrap();
    let (events, reader) = read(&path);
    let taker = |data: &MarketData| match data {
        MarketData::Trade { aggressor, .. } => *aggressor,
        other => panic!("{other:?}"),
    };
    (events.iter().map(taker).collect(), reader)
}

#[test]
fn a_column_for_the_maker_tells_the_taker() {
    let (takers, reader) = takers(
        "time,price,qty,is_buyer_maker\n1514764802610,100.5,3,true\n\
         1514764802611,101,2,False\n1514764802612,101,2,1\n1514764802613,101,-2,true\n",
    );
    assert_eq!(takers, [Some(Side::Sell), Some(Side::Buy)]);
    let reasons: Vec<_> = reader.report().bad_lines.iter().map(|bad| bad.reason.clone()).collect();
    assert_eq!(reasons[0], "is_buyer_maker `1` is neither true nor false");
    assert!(reasons[1].contains("negative, though a column tells the taker"), "{}", reasons[1]);
}

/// Sizes without sign or side used to be told as bought.
#[test]
fn what_tells_no_taker_has_none() {
    let rows = "time,price,size\n1514764802610,100.5,3\n1514764802611,101,2\n";
    let (unsigned, reader) = takers(rows);
    assert_eq!(unsigned, [None, None]);
    assert_eq!(reader.report().counts["trades whose taker is not told"], 2);
    // One negative size shows that the sign tells it, for the rows before too.
    let (signed, reader) = takers(&format!("{rows}1514764802612,101,-1\n"));
    assert_eq!(signed, [Some(Side::Buy), Some(Side::Buy), Some(Side::Sell)]);
    assert!(reader.findings().iter().any(|said| said.contains("sizes with signs")));
}

#[test]
fn a_column_for_the_symbol_makes_instruments_and_an_option_takes_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trades.csv");
    let text = "timestamp,symbol,side,size,price\n\
                2019-01-01D00:00:00.123456789,XBTUSD,Buy,5,3700.5\n\
                2019-01-01D00:00:01.000000001,ETHUSD,Sell,7,130.25\n\
                2019-01-01D00:00:02.000000000,,Sell,7,130.25\n";
    std::fs::write(&path, text).unwrap();
    let (events, reader) = read(&path);
    let names = |reader: &Reader| -> Vec<String> {
        reader.metadata().instruments.iter().map(|spec| spec.symbol.clone()).collect()
    };
    assert_eq!((events.len(), names(&reader)), (2, vec!["XBTUSD".into(), "ETHUSD".into()]));
    assert_eq!(reader.metadata().instruments[1].tick.to_string(), "0.01");
    assert_eq!(reader.report().bad_lines[0].reason, "symbol `` is not a name");

    let only = |symbol: &str| OpenOptions { symbol: Some(symbol.into()), ..OpenOptions::default() };
    let (events, reader) = read_all(std::slice::from_ref(&path), &only("ETHUSD"));
    assert_eq!((events.len(), names(&reader)), (1, vec!["ETHUSD".into()]));
    let refused = Reader::open(std::slice::from_ref(&path), &only("LTCUSD")).unwrap_err();
    assert!(refused.to_string().contains("ETHUSD, XBTUSD"), "{refused}");
    std::fs::write(&path, text.lines().take(2).collect::<Vec<_>>().join("\n")).unwrap();
    let (_, reader) = read_all(std::slice::from_ref(&path), &only("BTC"));
    assert_eq!(names(&reader), ["BTC"], "a single one is called so");
    // Two files of two symbols are not one instrument, whatever is asked for.
    let other = folder.path().join("other.csv");
    std::fs::write(&other, text.replace("XBTUSD", "LTCUSD")).unwrap();
    let (events, reader) = read_all(&[path.clone(), other.clone()], &only("XBTUSD"));
    assert_eq!((events.len(), names(&reader)), (1, vec!["XBTUSD".into()]));
    Reader::open(&[path, other], &only("BTC")).unwrap_err();
}

#[test]
fn cells_may_stand_between_semicolons_or_tabs_behind_a_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    let text = "\u{feff}Date;Open;High;Low;Close;Volume\n\
                2018-01-01 00:00:00;1;2;1;2;5\n2018-01-01 00:01:00;2;3;1.5;2;\n";
    for (separator, said) in [(";", "semicolons"), ("\t", "tabs"), (",", "")] {
        std::fs::write(&path, text.replace(';', separator)).unwrap();
        let (events, reader) = read(&path);
        assert_eq!(events.len(), 1, "{separator}");
        let reason = &reader.report().bad_lines[0].reason;
        assert_eq!(reason, "volume `` is not a decimal number");
        assert!(reader.findings().iter().any(|finding| finding.contains(said)));
        assert_eq!(reader.detected()[0].time_unit.as_deref(), Some("dates"));
    }
}

/// Lengths of the bars by symbol.
fn lengths(paths: &[PathBuf]) -> Vec<(String, u32)> {
    let mut reader = Reader::open(paths, &OpenOptions::default()).unwrap();
    let mut events = Vec::new();
    while reader.read_block(&mut events).unwrap() > 0 {}
    let bars = events.iter().filter_map(|event| match event {
        Event::Market(market) => match market.data {
            MarketData::Bar { interval_ms, .. } => Some((market.instrument, interval_ms)),
            _ => None,
        },
        _ => None,
    });
    let mut found: Vec<_> = bars
        .map(|(id, ms)| (reader.metadata().instruments[id.index()].symbol.clone(), ms))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Interleaved symbols used to have the distance between each other.
#[test]
fn each_symbol_has_its_own_bar_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    let mut text = "time,symbol,open,high,low,close,volume\n".to_owned();
    for minute in 0..10 {
        text += &format!("{},AAA,1,2,1,2,5\n", 1_514_764_800 + minute * 60);
        if minute % 5 == 0 {
            text += &format!("{},BBB,1,2,1,2,5\n", 1_514_764_810 + minute * 60);
        }
    }
    text += "1514764820,CCC,1,2,1,2,5\n";
    std::fs::write(&path, text).unwrap();
    assert_eq!(
        lengths(&[path]),
        [("AAA".into(), 60_000), ("BBB".into(), 300_000), ("CCC".into(), 60_000)],
        "one bar alone is as long as the others of its file"
    );
}

#[test]
fn a_bar_alone_in_its_file_is_as_long_as_in_the_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let day = 1_514_764_800;
    let paths = ["AAAAAUSD-1.csv", "AAAAAUSD-2.csv"].map(|name| folder.path().join(name));
    let head = "time,open,high,low,close,volume\n";
    let row = |n: i64| format!("{},1,2,1,2,5\n", day + n * 86_400);
    std::fs::write(&paths[0], format!("{head}{}", row(0))).unwrap();
    std::fs::write(&paths[1], format!("{head}{}{}", row(1), row(2))).unwrap();
    assert_eq!(lengths(&paths), [("AAAAAUSD".into(), 86_400_000)]);
    let (_, reader) = read(&paths[0]);
    assert!(reader.findings().iter().any(|said| said.contains("its length is not known")));
}

#[test]
fn marks_are_rounded_to_the_tick_that_trades_show() {
    let folder = tempfile::tempdir().unwrap();
    let trades = folder.path().join("bitmex_trades_2020-04-01_XBTUSD.csv");
    let ticker = folder.path().join("bitmex_derivative_ticker_2020-04-01_XBTUSD.csv");
    let common = "exchange,symbol,timestamp,local_timestamp";
    let at = "bitmex,XBTUSD,1585699200245000,1585699200404670";
    std::fs::write(&trades, format!("{common},id,side,price,amount\n{at},,sell,6425.5,3\n"))
        .unwrap();
    let columns = "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,\
                   last_price,index_price,mark_price";
    let rows = format!("{common},{columns}\n{at},,,,1,6425.5,6424.99,6425.6789\n");
    std::fs::write(&ticker, rows).unwrap();
    let (events, reader) = read_all(&[ticker, trades.clone()], &OpenOptions::default());
    assert_eq!(reader.metadata().instruments[0].tick.to_string(), "0.1");
    let MarketData::Mark { mark, index } = events[0] else { panic!("{events:?}") };
    assert_eq!((mark.0, index.0), (64_256, 64_249));

    let liquidations = folder.path().join("bitmex_liquidations_2020-04-01_XBTUSD.csv");
    std::fs::rename(trades, &liquidations).unwrap();
    let refused = Reader::open(&[liquidations], &OpenOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("liquidations by its name"), "{refused}");
}
