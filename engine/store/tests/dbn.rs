//! Databento files of every schema that is read, cut ones, and damaged ones.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::ffi::c_char;
use std::path::{Path, PathBuf};

use dbn::encode::EncodeRecord;
use dbn::encode::dbn::Encoder;
use dbn::{
    BboMsg, BidAskPair, FlagSet, HasRType, MappingInterval, MboMsg, Mbp1Msg, Mbp10Msg, Metadata,
    OhlcvMsg, RecordHeader, SType, Schema, SymbolMapping, TradeMsg, UNDEF_PRICE, rtype,
};
use proptest::prelude::*;
use tercel_core::{Event, MarketData, MarketEvent, Side};
use tercel_store::{OpenOptions, Reader, Report, StoreError};

const AT: u64 = 1_700_000_000_000_000_000;
const NANO: i64 = 1_000_000_000;

fn metadata(schema: Schema) -> Metadata {
    let mut metadata = Metadata::builder()
        .dataset("GLBX.MDP3")
        .schema(Some(schema))
        .start(AT)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .build();
    let day = metadata.start().date();
    let interval = MappingInterval { start_date: day, end_date: day, symbol: "7".to_owned() };
    metadata.mappings =
        vec![SymbolMapping { raw_symbol: "ESH4".to_owned(), intervals: vec![interval] }];
    metadata
}

fn encode<R: dbn::encode::DbnEncodable>(schema: Schema, records: &[R]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, &metadata(schema)).unwrap();
    records.iter().for_each(|record| encoder.encode_record(record).unwrap());
    bytes
}

fn header<R: HasRType<Header = RecordHeader>>(rtype: u8, n: u64) -> RecordHeader {
    RecordHeader::new::<R>(rtype, 1, 7, AT + n * 1_000)
}

fn letter(letter: u8) -> c_char {
    c_char::from_ne_bytes([letter])
}

fn last() -> FlagSet {
    FlagSet::new(dbn::flags::LAST)
}

fn pair(bid: (i64, u32), ask: (i64, u32)) -> BidAskPair {
    BidAskPair { bid_px: bid.0, bid_sz: bid.1, ask_px: ask.0, ask_sz: ask.1, bid_ct: 1, ask_ct: 1 }
}

fn added(n: u64, side: u8, price: i64) -> MboMsg {
    MboMsg {
        hd: header::<MboMsg>(rtype::MBO, n),
        order_id: n,
        price: price * NANO / 4,
        size: 2,
        flags: last(),
        action: letter(b'A'),
        side: letter(side),
        ts_recv: AT + n * 1_000 + 500,
        ..MboMsg::default()
    }
}

fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("x.dbn");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &Path, options: &OpenOptions) -> Result<(Vec<MarketEvent>, Report), StoreError> {
    let mut reader = Reader::open(&[path.to_owned()], options)?;
    assert!(reader.metadata().instruments.iter().all(|spec| spec.symbol == "ESH4"));
    let (mut block, mut all) = (Vec::new(), Vec::new());
    while reader.read_block(&mut block)? > 0 {
        all.extend(block.drain(..).filter_map(|event| match event {
            Event::Market(market) => Some(market),
            _ => None,
        }));
    }
    Ok((all, reader.report()))
}

fn data(bytes: &[u8]) -> Vec<MarketData> {
    let folder = tempfile::tempdir().unwrap();
    let (events, report) = read(&write(folder.path(), bytes), &OpenOptions::default()).unwrap();
    assert_eq!(report.n_bad, 0, "{:?}", report.bad_lines);
    events.into_iter().map(|event| event.data).collect()
}

/// A file that was cut within a record used to end like a whole one.
#[test]
fn a_file_that_ends_within_a_record_is_refused_and_usable_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let orders: Vec<_> = (1..=3).map(|n| added(n, b'B', 19_000 - n as i64)).collect();
    let bytes = encode(Schema::Mbo, &orders);
    let cut = &bytes[..bytes.len() - 10];
    let path = write(folder.path(), cut);
    let refused = read(&path, &OpenOptions::default()).unwrap_err();
    let StoreError::Truncated { offset, .. } = refused else { panic!("{refused}") };
    assert_eq!(offset, cut.len() as u64);
    let options = OpenOptions { accept_truncated: true, ..OpenOptions::default() };
    let (events, report) = read(&path, &options).unwrap();
    assert_eq!((events.len(), report.n_lines), (5, 2), "a clear, two orders, two levels");
    assert!(report.notes[0].contains("ends too early at byte"), "{:?}", report.notes);

    let packed = zstd::encode_all(cut, 3).unwrap();
    let path = folder.path().join("x.dbn.zst");
    std::fs::write(&path, &packed[..packed.len() - 5]).unwrap();
    let refused = read(&path, &OpenOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Truncated { .. }), "{refused}");
    // Within the metadata nothing is usable.
    let refused = read(&write(folder.path(), &bytes[..50]), &options).unwrap_err();
    assert!(matches!(refused, StoreError::Truncated { offset: 50, .. }), "{refused}");
}

#[test]
fn trades_have_their_taker() {
    let trade = |n: u64, side: u8| TradeMsg {
        hd: header::<TradeMsg>(rtype::MBP_0, n),
        price: 4_750 * NANO + NANO / 4,
        size: 3,
        action: letter(b'T'),
        side: letter(side),
        ts_recv: AT + n * 1_000 + 500,
        ..TradeMsg::default()
    };
    let takers: Vec<_> = data(&encode(Schema::Trades, &[trade(1, b'A'), trade(2, b'N')]))
        .into_iter()
        .map(|data| match data {
            MarketData::Trade { aggressor, qty, .. } => (aggressor, qty.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(takers, [(Some(Side::Sell), 3), (None, 3)]);
}

#[test]
fn best_quotes_are_told_when_they_change_and_trades_beside_them() {
    let record = |n: u64, action: u8, bid: i64, ask: i64| Mbp1Msg {
        hd: header::<Mbp1Msg>(rtype::MBP_1, n),
        price: bid * NANO,
        size: 1,
        action: letter(action),
        side: letter(b'A'),
        flags: last(),
        ts_recv: AT + n * 1_000,
        levels: [pair((bid * NANO, 5), (ask * NANO, 6))],
        ..Mbp1Msg::default()
    };
    let mut crossed = record(4, b'A', 101, 101);
    crossed.flags = FlagSet::empty();
    let mut empty = record(5, b'C', 100, 101);
    empty.levels[0].ask_px = UNDEF_PRICE;
    for schema in [Schema::Mbp1, Schema::Tbbo] {
        let records =
            [record(1, b'A', 100, 101), record(2, b'T', 100, 101), crossed.clone(), empty.clone()];
        let told = data(&encode(schema, &records));
        let [quote, MarketData::Trade { aggressor, .. }] = told[..] else { panic!("{told:?}") };
        assert_eq!(aggressor, Some(Side::Sell));
        let MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, .. } = quote else {
            panic!("{quote:?}")
        };
        assert_eq!((bid_px.0, bid_qty.0, ask_px.0, ask_qty.0), (100, 5, 101, 6));
    }
    let sampled = |n: u64| BboMsg {
        hd: RecordHeader::new::<BboMsg>(rtype::BBO_1S, 1, 7, u64::MAX),
        ts_recv: AT + n,
        levels: [pair((100 * NANO, 5), (101 * NANO, 6))],
        ..BboMsg::default_for_schema(Schema::Bbo1S)
    };
    assert_eq!(data(&encode(Schema::Bbo1S, &[sampled(1), sampled(2)])).len(), 1);
}

#[test]
fn ten_levels_are_a_book_of_what_changed() {
    let empty = pair((UNDEF_PRICE, 0), (UNDEF_PRICE, 0));
    let mut first = Mbp10Msg {
        hd: header::<Mbp10Msg>(rtype::MBP_10, 1),
        action: letter(b'A'),
        flags: last(),
        ts_recv: AT,
        levels: std::array::from_fn(|_| empty.clone()),
        ..Mbp10Msg::default()
    };
    first.levels[0] = pair((100 * NANO, 5), (101 * NANO, 6));
    first.levels[1] = pair((99 * NANO, 7), (UNDEF_PRICE, 0));
    let mut second = first.clone();
    second.ts_recv = AT + 1;
    second.levels[1] = pair((98 * NANO, 7), (UNDEF_PRICE, 0));
    let told: Vec<_> = data(&encode(Schema::Mbp10, &[first, second]))
        .into_iter()
        .map(|data| match data {
            MarketData::Clear { .. } => (0, 0, true),
            MarketData::Level { price, qty, last, .. } => (price.0, qty.0, last),
            other => panic!("{other:?}"),
        })
        .collect();
    let list = [(100, 5, false), (99, 7, false), (101, 6, true)];
    assert_eq!(told, [&[(0, 0, true)], &list[..], &[(99, 0, false), (98, 7, true)]].concat());
}

#[test]
fn a_bar_is_as_long_as_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    for (schema, rtype, ms) in [
        (Schema::Ohlcv1S, rtype::OHLCV_1S, 1_000),
        (Schema::Ohlcv1M, rtype::OHLCV_1M, 60_000),
        (Schema::Ohlcv1H, rtype::OHLCV_1H, 3_600_000),
        (Schema::Ohlcv1D, rtype::OHLCV_1D, 86_400_000),
    ] {
        let bar = OhlcvMsg {
            hd: header::<OhlcvMsg>(rtype, 0),
            open: 100 * NANO,
            high: 102 * NANO,
            low: 99 * NANO,
            close: 101 * NANO,
            volume: 12,
        };
        // One bar alone has no distance to another.
        let path = write(folder.path(), &encode(schema, &[bar]));
        let (events, _) = read(&path, &OpenOptions::default()).unwrap();
        let MarketData::Bar { interval_ms, bar } = events[0].data else { panic!("{events:?}") };
        assert_eq!((interval_ms, bar.close.0, bar.volume.0), (ms, 101, 12));
        let closes_at = i64::try_from(AT).unwrap() + i64::from(ms) * 1_000_000;
        assert_eq!(events[0].venue_at.0, closes_at);
    }
}

#[test]
fn other_schemas_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = encode::<MboMsg>(Schema::Statistics, &[]);
    let refused = read(&write(folder.path(), &bytes), &OpenOptions::default()).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("schema statistics"), "{refused}");
    assert!(refused.contains("trades"), "{refused}");
}

/// The length of the metadata is allocated before it is read.
#[test]
fn a_damaged_length_does_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = encode::<MboMsg>(Schema::Mbo, &[]);
    bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let refused = read(&write(folder.path(), &bytes), &OpenOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
}

/// The library reads the record behind one of odd length from where none may lie.
#[test]
fn a_record_that_would_shift_the_others_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = encode(Schema::Mbo, &[added(1, b'B', 19_000), added(2, b'A', 19_001)]);
    let first = bytes.len() - 2 * 56;
    bytes[first] = 15;
    let refused = read(&write(folder.path(), &bytes), &OpenOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("no record is 60 bytes long"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_never_panic(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = encode(Schema::Mbo, &[added(1, b'B', 19_000), added(2, b'A', 19_001)]);
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        let path = write(folder.path(), &bytes);
        if let Ok(mut reader) = Reader::open(&[path], &OpenOptions::default()) {
            let mut events = Vec::new();
            while reader.read_block(&mut events).is_ok_and(|n| n > 0) {}
        }
    }
}
