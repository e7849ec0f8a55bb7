//! Parquet: what is exported reads back, tables from elsewhere are read, damage is refused.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int64Array, RecordBatch, StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use tercel_core::{
    Bar, BookOrderAction, Event, InstrumentId, InstrumentKind, InstrumentSpec, LinkEvent,
    LinkState, MarketData, MarketEvent, Nanos, Price, Quantity, Side, VenueId,
};
use tercel_store::{Metadata, OpenOptions, Reader, StoreError, TapeWriter, export_parquet};
use tercel_testkit::Random;

fn metadata() -> Metadata {
    let mut metadata = Metadata::default();
    let (base, quote) = (metadata.asset("BTC"), metadata.asset("USDT"));
    let spot = InstrumentSpec {
        kind: InstrumentKind::Spot,
        base,
        quote,
        ..InstrumentSpec::linear("BTCUSDT", "0.05", "0.00001")
    };
    let inverse = InstrumentSpec {
        kind: InstrumentKind::InversePerpetual,
        multiplier: 100.into(),
        base,
        quote: metadata.asset("USD"),
        ..InstrumentSpec::linear("BTCUSD_PERP", "0.5", "1")
    };
    metadata.instruments = vec![spot, inverse];
    metadata
}

/// A stream of every kind of event, no two but those of one list at one time.
fn stream(n: i64) -> Vec<Event> {
    let mut random = Random::new(11);
    let mut events = Vec::new();
    for at in 1..=n {
        let instrument = InstrumentId(u16::from(at > 1 && random.chance(30)));
        let (venue_at, received_at) = (Nanos(at * 1_000_000), Nanos(at * 1_000_000 + 250));
        let px = |random: &mut Random| Price(random.between(900_000, 1_000_000));
        let qty = |random: &mut Random| Quantity(random.between(0, 5_000_000));
        let side = |random: &mut Random| if random.chance(50) { Side::Buy } else { Side::Sell };
        let number = |random: &mut Random| u64::try_from(random.between(0, i64::MAX)).unwrap();
        let level = |random: &mut Random, last: bool| MarketData::Level {
            side: side(random),
            price: px(random),
            qty: qty(random),
            last,
        };
        let kind = if at == 1 { 0 } else { random.between(0, 9) };
        let list = match kind {
            0 => vec![
                MarketData::Clear { seq: number(&mut random) },
                level(&mut random, false),
                level(&mut random, true),
            ],
            1 | 2 => vec![
                MarketData::Batch { prev: number(&mut random), seq: number(&mut random) },
                level(&mut random, true),
            ],
            3 => vec![MarketData::Trade {
                aggressor: random.chance(80).then(|| side(&mut random)),
                price: px(&mut random),
                qty: qty(&mut random),
                id: number(&mut random),
            }],
            4 => vec![MarketData::Quote {
                bid_px: px(&mut random),
                bid_qty: qty(&mut random),
                ask_px: px(&mut random),
                ask_qty: qty(&mut random),
                seq: number(&mut random),
            }],
            5 => vec![MarketData::Bar {
                interval_ms: if random.chance(50) { 60_000 } else { 0 },
                bar: Bar {
                    open: px(&mut random),
                    high: px(&mut random),
                    low: px(&mut random),
                    close: px(&mut random),
                    volume: qty(&mut random),
                },
            }],
            6 => vec![MarketData::Mark { mark: px(&mut random), index: Price(0) }],
            7 => vec![MarketData::Funding { rate_e12: random.between(-1_000_000, 1_000_000) }],
            _ => {
                use BookOrderAction::{Add, Cancel, Execute, Modify};
                let action = [Add, Modify, Cancel, Execute];
                let action = action[usize::try_from(random.between(0, 3)).unwrap()];
                vec![MarketData::BookOrder {
                    action,
                    side: side(&mut random),
                    price: px(&mut random),
                    qty: qty(&mut random),
                    order_id: number(&mut random),
                    last: random.chance(50),
                }]
            }
        };
        let market = |data| MarketEvent { venue_at, received_at, instrument, data };
        events.extend(list.into_iter().map(|data| Event::Market(market(data))));
        if kind == 2 && random.chance(30) {
            let (venue, instrument) = (VenueId::default(), Some(instrument));
            events.push(Event::Link(LinkEvent { venue, instrument, state: LinkState::Gap }));
        }
    }
    events
}

fn read(paths: &[PathBuf], options: &OpenOptions) -> (Vec<Event>, Reader) {
    let mut reader = Reader::open(paths, options).unwrap();
    let mut events = Vec::new();
    while reader.read_block(&mut events).unwrap() > 0 {}
    (events, reader)
}

#[test]
fn what_was_exported_reads_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("x.tape");
    let events = stream(3_000);
    let mut writer = TapeWriter::create(&tape, &metadata()).unwrap();
    writer.write(&events).unwrap();
    writer.finish().unwrap();
    let mut reader = Reader::open(&[tape], &OpenOptions::default()).unwrap();
    let written = export_parquet(&mut reader, folder.path()).unwrap().files;
    let names: Vec<_> =
        written.iter().map(|(path, _)| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["levels", "trades", "quotes", "bars", "marks", "fundings"]);
    assert_eq!(written.iter().map(|(_, n)| n).sum::<u64>(), events.len() as u64);

    let paths: Vec<_> = written.into_iter().map(|(path, _)| path).collect();
    let (again, reader) = read(&paths, &OpenOptions::default());
    assert_eq!(reader.report().n_bad, 0, "{:?}", reader.report().bad_lines);
    assert_eq!(again.len(), events.len());
    for (n, (again, event)) in again.iter().zip(&events).enumerate() {
        assert_eq!(again, event, "event {n}");
    }
    for (again, spec) in reader.metadata().instruments.iter().zip(&metadata().instruments) {
        let InstrumentSpec { symbol, kind, multiplier, tick, lot, .. } = spec;
        assert_eq!(
            (&again.symbol, &again.kind, &again.multiplier, &again.tick, &again.lot),
            (symbol, kind, multiplier, tick, lot)
        );
    }
}

/// The files had their names from their first rows on: an import that failed left some that no Parquet
/// reader opens, and tables of an earlier import beside the new ones.
#[test]
fn an_export_replaces_the_one_before_it_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let export = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, lines).unwrap();
        export_parquet(&mut Reader::open(&[path], &OpenOptions::default()).unwrap(), &out)
    };
    let names = || -> Vec<_> {
        let mut names: Vec<_> =
            std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let trades = "time,price,size\n1514764802610,100.5,3\n1514764802611,101,-2\n";
    export("BTCUSDT.csv", trades).unwrap();
    let first = std::fs::read(out.join("trades.parquet")).unwrap();
    // Enough for a first part to be written, and damage after it.
    let tape = folder.path().join("x.tape");
    let trade = |n: u64| {
        let at = Nanos(1_514_764_802_610_000_000 + n.cast_signed());
        let (price, qty) = (Price(100), Quantity(1));
        let data = MarketData::Trade { aggressor: None, price, qty, id: n };
        let instrument = InstrumentId(0);
        Event::Market(MarketEvent { venue_at: at, received_at: at, instrument, data })
    };
    let mut writer = TapeWriter::create(&tape, &metadata()).unwrap();
    writer.write(&(0..140_000).map(trade).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    let mut bytes = std::fs::read(&tape).unwrap();
    let at = bytes.len() * 9 / 10;
    bytes[at] ^= 1;
    std::fs::write(&tape, bytes).unwrap();
    let mut cut = Reader::open(&[tape], &OpenOptions::default()).unwrap();
    export_parquet(&mut cut, &out).unwrap_err();
    assert_eq!(names(), ["trades.parquet"]);
    assert_eq!(std::fs::read(out.join("trades.parquet")).unwrap(), first);

    let bars = "time,open,high,low,close,volume\n1514764800000,1,2,1,2,5\n";
    let done = export("ETHUSDT.csv", bars).unwrap();
    assert_eq!(done.files, [(out.join("bars.parquet"), 1)]);
    assert_eq!(done.removed, [out.join("trades.parquet")]);
    assert_eq!(names(), ["bars.parquet"]);
}

fn write(folder: &Path, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let path = folder.join("BTCUSDT.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn times() -> ArrayRef {
    let times = vec![Some(1_514_764_800_000), Some(1_514_764_860_000), None];
    Arc::new(TimestampMillisecondArray::from(times))
}

#[test]
fn bars_from_elsewhere_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let prices = |prices: [f64; 3]| Arc::new(Float64Array::from(prices.to_vec())) as ArrayRef;
    let path = write(
        folder.path(),
        vec![
            ("Unrelated", Arc::new(BooleanArray::from(vec![true; 3]))),
            ("Open", prices([0.1 + 0.2, 0.4, 0.4])),
            ("HIGH", prices([0.5, 0.5, 0.5])),
            ("low", prices([0.1, 0.1, 0.1])),
            ("Close", prices([0.4, 0.4, 0.4])),
            ("Volume", prices([1e-7, 5.0, 5.0])),
            ("Open Time", times()),
        ],
    );
    let (events, reader) = read(&[path], &OpenOptions::default());
    let bars: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Market(MarketEvent { data: MarketData::Bar { interval_ms, bar }, .. }) => {
                (*interval_ms, bar.open.0, bar.volume.0)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bars, [(60_000, 3, 1), (60_000, 4, 50_000_000)]);
    let spec = &reader.metadata().instruments[0];
    assert_eq!((spec.symbol.as_str(), spec.tick.to_string().as_str()), ("BTCUSDT", "0.1"));
    assert_eq!(reader.report().bad_lines[0].reason, "the time is null");
    assert_eq!(reader.detected()[0].time_unit.as_deref(), Some("milliseconds"));
}

#[test]
fn trades_from_elsewhere_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = Decimal128Array::from(vec![1_500, 2_500, 0]).with_precision_and_scale(20, 3);
    let whole = vec![1_514_764_800_000_000, 1_514_764_860_000_000, 1_514_764_860_000_001];
    let sides: DictionaryArray<Int32Type> = vec!["buy", "SELL", "buy"].into_iter().collect();
    let path = write(
        folder.path(),
        vec![
            ("ts", Arc::new(Int64Array::from(whole))),
            ("Price", Arc::new(Float32Array::from(vec![100.3, 100.4, 100.5]))),
            ("qty", Arc::new(sizes.unwrap())),
            ("side", Arc::new(sides)),
            ("symbol", Arc::new(StringViewArray::from(vec!["AAA", "BBB", "AAA"]))),
            ("trade_id", Arc::new(StringArray::from(vec!["7", "x", "9"]))),
        ],
    );
    let (events, reader) = read(&[path], &OpenOptions::default());
    let trades: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Market(MarketEvent {
                data: MarketData::Trade { aggressor, price, qty, id },
                instrument,
                ..
            }) => (instrument.0, *aggressor, price.0, qty.0, *id),
            other => panic!("{other:?}"),
        })
        .collect();
    let (buy, sell) = (Some(Side::Buy), Some(Side::Sell));
    assert_eq!(trades, [(0, buy, 1_003, 15, 7), (1, sell, 1_004, 25, 0)]);
    let report = reader.report();
    assert_eq!(report.bad_lines[0].reason, "the size is zero");
    assert_eq!(report.counts["trades whose id is not a number"], 1);
    assert_eq!(reader.detected()[0].time_unit.as_deref(), Some("microseconds"));
}

#[test]
fn other_tables_are_refused_with_what_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), vec![("time", times()), ("mood", times())]);
    let refused = Reader::open(std::slice::from_ref(&path), &OpenOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("columns time, mood"), "{refused}");
    let nested: ArrayRef =
        Arc::new(arrow::array::ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
            Some(vec![Some(1)]),
            None,
            None,
        ]));
    let columns = vec![("time", times()), ("price", nested), ("size", times())];
    let path = write(folder.path(), columns);
    let refused = Reader::open(&[path], &OpenOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("column `price` has type List"), "{refused}");
}

#[test]
fn a_cut_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), vec![("time", times()), ("price", times()), ("size", times())]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    let refused = Reader::open(&[path], &OpenOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Parquet { .. }), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn damaged_tables_never_panic(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let sizes: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let path = write(folder.path(), vec![("time", times()), ("price", sizes.clone()), ("size", sizes)]);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(mut reader) = Reader::open(&[path], &OpenOptions::default()) {
            let mut events = Vec::new();
            while reader.read_block(&mut events).is_ok_and(|n| n > 0) {}
        }
    }
}
