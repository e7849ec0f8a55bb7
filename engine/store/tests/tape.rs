//! Tapes: what is written reads back, what is damaged is refused with its place.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use tercel_core::{
    Event, InstrumentId, InstrumentSpec, MarketData, MarketEvent, Nanos, OrderBook, Price,
    Quantity, Side,
};
use tercel_store::{Metadata, OpenOptions, Reader, StoreError, TapeReader, TapeWriter};
use tercel_testkit::Random;

fn events(n: i64) -> Vec<Event> {
    let mut random = Random::new(7);
    let event = |at: i64| {
        let side = if random.chance(50) { Side::Buy } else { Side::Sell };
        let data = MarketData::Level {
            side,
            price: Price(random.between(9_900, 10_100)),
            qty: Quantity(random.between(0, 500)),
            last: true,
        };
        let (venue_at, received_at) = (Nanos(at * 1_000), Nanos(at * 1_000 + 250));
        Event::Market(MarketEvent { venue_at, received_at, instrument: InstrumentId(0), data })
    };
    (0..n).map(event).collect()
}

fn write(folder: &Path, events: &[Event]) -> PathBuf {
    let path = folder.join("x.tape");
    let mut metadata = Metadata::default();
    metadata.asset("BTC");
    metadata.asset("USDT");
    metadata.instruments.push(InstrumentSpec::linear("BTCUSDT", "0.1", "0.001"));
    let mut writer = TapeWriter::create(&path, &metadata).unwrap();
    writer.write(events).unwrap();
    writer.finish().unwrap();
    path
}

fn read(path: &Path, accept_truncated: bool) -> Result<Vec<Event>, StoreError> {
    let mut reader = TapeReader::open(path, accept_truncated)?;
    let mut events = Vec::new();
    while reader.read_block(&mut events)? > 0 {}
    Ok(events)
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    for n in [0, 1, 8_192, 20_000] {
        let events = events(n);
        let path = write(folder.path(), &events);
        assert_eq!(read(&path, false).unwrap(), events);
        assert_eq!(TapeReader::open(&path, false).unwrap().n_events(), events.len() as u64);
    }
}

#[test]
fn any_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let original = events(9_000);
    let path = write(folder.path(), &original);
    let bytes = std::fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.tape");
    let mut random = Random::new(1);
    for _ in 0..400 {
        let mut copy = bytes.clone();
        let at = random.index(copy.len());
        copy[at] ^= 1 << random.below(8);
        std::fs::write(&damaged, &copy).unwrap();
        match read(&damaged, false) {
            Ok(_) => panic!("a flipped bit in byte {at} was not noticed"),
            Err(StoreError::Corrupt { .. } | StoreError::Truncated { .. }) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn a_cut_tape_is_refused_and_usable_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let original = events(30_000);
    let path = write(folder.path(), &original);
    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.tape");
    let mut random = Random::new(2);
    for _ in 0..60 {
        let len = 200 + random.index(bytes.len() - 200);
        std::fs::write(&cut, &bytes[..len]).unwrap();
        let refused = read(&cut, false).unwrap_err();
        assert!(matches!(refused, StoreError::Truncated { .. }), "{refused}");
        let usable = read(&cut, true).unwrap();
        assert_eq!(usable[..], original[..usable.len()]);
        let is_whole = usable.len().is_multiple_of(4_096) || usable.len() == original.len();
        assert!(is_whole, "{} events are not whole blocks", usable.len());
    }
}

#[test]
fn seeking_skips_what_lies_before() {
    let folder = tempfile::tempdir().unwrap();
    let original = events(50_000);
    let path = write(folder.path(), &original);
    let mut reader = TapeReader::open(&path, false).unwrap();
    reader.seek(Nanos(40_000_000));
    let mut events = Vec::new();
    reader.read_block(&mut events).unwrap();
    let at = original.iter().position(|event| *event == events[0]).unwrap();
    assert!((30_000..=40_000).contains(&at), "{at}");
}

#[test]
fn a_stretch_of_time_keeps_the_book_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let all = events(10_000);
    let path = write(folder.path(), &all);
    let (from, to) = (Nanos(5_000_000), Nanos(6_000_000));
    let options = OpenOptions { from: Some(from), to: Some(to), ..OpenOptions::default() };
    let mut reader = Reader::open(&[path], &options).unwrap();
    let mut events = Vec::new();
    while reader.read_block(&mut events).unwrap() > 0 {}
    let mut n_inside = 0;
    let mut book = OrderBook::default();
    for event in &events {
        let Event::Market(market) = event else { panic!("a tape of market data") };
        assert!((from..to).contains(&market.received_at), "{:?}", market.received_at);
        n_inside += usize::from(market.venue_at != from || market.received_at != from);
        match market.data {
            MarketData::Clear { seq } => book.clear(seq),
            MarketData::Level { side, price, qty, .. } => book.set(side, price, qty),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(n_inside, 1_000);
    let mut whole = OrderBook::default();
    for event in &all[..6_000] {
        if let Event::Market(MarketEvent {
            data: MarketData::Level { side, price, qty, .. }, ..
        }) = event
        {
            whole.set(*side, *price, *qty);
        }
    }
    for side in [Side::Buy, Side::Sell] {
        assert!(book.levels(side).eq(whole.levels(side)), "{side}");
    }
}

#[test]
fn a_tape_that_was_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tape");
    drop(TapeWriter::create(&path, &Metadata::default()).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
