//! The tape of a run: what is read is what was recorded, and what is missing is said.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tercel_core::{
    Bar, BookOrderAction, InstrumentId, MarketData, MarketEvent, Nanos, Price, Quantity, Side,
};
use tercel_store::market_tape::{MarketTape, MarketTapeOptions, MarketTapeReader, Taped};
use tercel_store::{Metadata, StoreError, TapeReader};
use tercel_testkit::Random;

/// Numbers of every length and sign, the last ones among them.
fn number(random: &mut Random) -> i64 {
    match random.below(6) {
        0 => [0, i64::MIN, i64::MAX, -1, 255, 256, 65_535, 65_536][random.index(8)],
        1 => random.bits().cast_signed(),
        _ => random.bits().cast_signed() >> random.below(64),
    }
}

fn event(random: &mut Random, before: &MarketEvent) -> MarketEvent {
    let n = |random: &mut Random| number(random);
    let (a, b, c, d, e) = (n(random), n(random), n(random), n(random), n(random));
    let (price, qty, id) = (Price(a), Quantity(b), c.cast_unsigned());
    let side = if random.chance(50) { Side::Buy } else { Side::Sell };
    let last = random.chance(50);
    let data = match random.below(12) {
        0 => MarketData::Clear { seq: id },
        1 => MarketData::Batch { prev: a.cast_unsigned(), seq: id },
        2 => MarketData::Trade { aggressor: random.chance(70).then_some(side), price, qty, id },
        3 => MarketData::Quote {
            bid_px: price,
            bid_qty: qty,
            ask_px: Price(d),
            ask_qty: Quantity(e),
            seq: id,
        },
        4 => {
            let (high, low, close) = (Price(b), Price(c), Price(d));
            let bar = Bar { open: price, high, low, close, volume: Quantity(e) };
            MarketData::Bar { interval_ms: u32::try_from(id >> 32).unwrap(), bar }
        }
        5 => {
            let action = [
                BookOrderAction::Add,
                BookOrderAction::Modify,
                BookOrderAction::Cancel,
                BookOrderAction::Execute,
            ][random.index(4)];
            MarketData::BookOrder { action, side, price, qty, order_id: id, last }
        }
        6 => MarketData::Mark { mark: price, index: Price(d) },
        7 => MarketData::Funding { rate_e12: a },
        _ => MarketData::Level { side, price, qty, last },
    };
    let (mut venue_at, mut received_at) = (before.venue_at, before.received_at);
    match random.below(8) {
        // As often before the last one as after it: the engine keeps the order that it saw.
        0 => (venue_at, received_at) = (Nanos(number(random)), Nanos(number(random))),
        1 => venue_at = venue_at.plus(random.between(-9, 9) * Nanos::MILLI),
        2..5 => received_at = received_at.plus(random.between(-50, 90_000)),
        _ => {}
    }
    let is_other = random.chance(20);
    let instrument =
        if is_other { InstrumentId(id.to_le_bytes()[0].into()) } else { before.instrument };
    MarketEvent { venue_at, received_at, instrument, data }
}

fn events(seed: u64, n: usize) -> Vec<MarketEvent> {
    let mut random = Random::new(seed);
    let mut last = MarketEvent {
        venue_at: Nanos(0),
        received_at: Nanos(0),
        instrument: InstrumentId(0),
        data: MarketData::Funding { rate_e12: 0 },
    };
    (0..n)
        .map(|_| {
            last = event(&mut random, &last);
            last
        })
        .collect()
}

/// A ring that holds whatever a test records.
fn roomy() -> MarketTapeOptions {
    MarketTapeOptions { ring_events: 1 << 18, ..MarketTapeOptions::default() }
}

fn record(folder: &Path, options: MarketTapeOptions, events: &[MarketEvent]) -> MarketTape {
    let mut tape = MarketTape::create(folder, &Metadata::default(), options).unwrap();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(tape.record(event), index as u64);
    }
    tape
}

fn read(folder: &Path) -> Vec<Taped> {
    let mut reader = MarketTapeReader::open(folder).unwrap();
    std::iter::from_fn(|| reader.next_item().unwrap()).collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn numbered(events: &[MarketEvent]) -> Vec<Taped> {
    (0..).zip(events).map(|(index, event)| Taped::Event { index, event: *event }).collect()
}

/// Waits until the tape's thread has done something.
fn wait_for(mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing happens");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_field_of_every_event_comes_back_with_its_number_over_many_segments() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let events = events(seed, 60_000);
        let options = MarketTapeOptions { segment_bytes: 200_000, ..roomy() };
        record(folder.path(), options, &events).close().unwrap();
        assert!(segments(folder.path()).len() > 3, "one segment is no test");
        assert!(read(folder.path()) == numbered(&events), "seed {seed}");
        // Segments are tapes like any other.
        let first = TapeReader::open(&segments(folder.path())[0], false).unwrap();
        assert!(first.n_events() > 1_000);
    }
}

#[test]
fn what_a_full_ring_left_out_is_a_gap_that_says_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(1, 300_000);
    let options = MarketTapeOptions { ring_events: 64, ..roomy() };
    let mut tape = record(folder.path(), options, &events[..299_000]);
    // The thread comes after: its ring is empty for the next ones, then full to the end.
    wait_for(|| MarketTapeReader::open(folder.path()).is_ok());
    events[299_000..].iter().for_each(|event| {
        tape.record(event);
    });
    let n_lost = tape.n_lost();
    assert!(n_lost > 0, "the ring was never full");
    tape.close().unwrap();
    let (mut next, mut n_missing) = (0, 0);
    for item in read(folder.path()) {
        match item {
            Taped::Event { index, event } => {
                assert_eq!(index, next);
                assert_eq!(event, events[usize::try_from(index).unwrap()]);
                next += 1;
            }
            Taped::Gap { index, n_lost } => {
                assert_eq!(index, next);
                next += n_lost;
                n_missing += n_lost;
            }
        }
    }
    assert_eq!((next, n_missing), (300_000, n_lost), "numbers account for all events");
}

/// A replayed feed can wait, and used to lose what the disk was too slow for.
#[test]
fn an_event_that_may_wait_for_room_is_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(2, 50_000);
    let options =
        MarketTapeOptions { ring_events: 64, patience: Duration::from_secs(30), ..roomy() };
    let tape = record(folder.path(), options, &events);
    assert_eq!(tape.n_lost(), 0);
    tape.close().unwrap();
    assert!(read(folder.path()) == numbered(&events));
}

#[test]
fn a_run_is_read_from_any_of_its_events_on() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(2, 50_000);
    let options = MarketTapeOptions { segment_bytes: 100_000, ..roomy() };
    record(folder.path(), options, &events).close().unwrap();
    for index in [0, 1, 4_095, 4_096, 4_097, 20_000, 49_999] {
        let mut reader = MarketTapeReader::seek(folder.path(), index).unwrap();
        for index in index..events.len().min(usize::try_from(index).unwrap() + 5_000) as u64 {
            let event = events[usize::try_from(index).unwrap()];
            assert_eq!(reader.next_item().unwrap(), Some(Taped::Event { index, event }));
        }
    }
    let mut reader = MarketTapeReader::seek(folder.path(), 50_000).unwrap();
    assert_eq!(reader.next_item().unwrap(), None);
}

#[test]
fn the_oldest_segments_go_and_the_rest_keeps_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(3, 100_000);
    let options = MarketTapeOptions { segment_bytes: 50_000, bytes_max: Some(400_000), ..roomy() };
    record(folder.path(), options, &events).close().unwrap();
    let n_bytes: u64 =
        segments(folder.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!((200_000..700_000).contains(&n_bytes), "{n_bytes} bytes are kept");
    let items = read(folder.path());
    let Taped::Event { index: first, .. } = items[0] else { panic!("no gap comes first") };
    assert!(first > 0);
    assert!(items == numbered(&events)[usize::try_from(first).unwrap()..]);
    // Asked for what is gone, it begins with the first that is there.
    let mut reader = MarketTapeReader::seek(folder.path(), 5).unwrap();
    assert_eq!(reader.next_item().unwrap(), Some(items[0]));
}

#[test]
fn old_segments_go_and_the_last_one_stays_however_old() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(4, 40_000);
    let options = MarketTapeOptions { segment_bytes: 1, age_max: Some(Duration::ZERO), ..roomy() };
    record(folder.path(), options, &events).close().unwrap();
    assert_eq!(segments(folder.path()).len(), 1);
}

#[test]
fn a_segment_that_was_cut_anywhere_is_read_to_its_last_whole_block() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(5, 20_000);
    record(folder.path(), roomy(), &events).close().unwrap();
    let path = segments(folder.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let mut random = Random::new(9);
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let len = 40 + random.index(whole.len() - 40);
        fs::write(&path, &whole[..len]).unwrap();
        let items = read(folder.path());
        assert!(items == numbered(&events)[..items.len()], "cut at {len}");
        lengths.insert(items.len());
    }
    assert!(lengths.len() > 4, "{lengths:?}");
}

/// The process died while it created a segment: the tape began with nothing, and nothing after it could
/// be read.
#[test]
fn segments_that_were_cut_before_their_first_event_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(8, 40_000);
    let options = MarketTapeOptions { segment_bytes: 50_000, ..roomy() };
    record(folder.path(), options, &events).close().unwrap();
    let paths = segments(folder.path());
    assert!(paths.len() > 3);
    let whole = fs::read(&paths[0]).unwrap();
    for len in [0, 1, 7, 20] {
        fs::write(&paths[0], &whole[..len]).unwrap();
        let mut reader = MarketTapeReader::open(folder.path()).unwrap();
        assert!(reader.notes()[0].contains("00000001"), "{:?}", reader.notes());
        let first = reader.next_item().unwrap();
        let Some(Taped::Event { index, .. }) = first else { panic!("{first:?}") };
        assert!(index > 0, "its number says what is missing");
        assert_eq!(first, Some(numbered(&events)[usize::try_from(index).unwrap()]));
        let mut reader = MarketTapeReader::seek(folder.path(), 0).unwrap();
        assert_eq!(reader.next_item().unwrap(), first);
    }
    for path in &paths {
        fs::write(path, []).unwrap();
    }
    let error = MarketTapeReader::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains(".tape") || error.contains("0000"), "{error}");
}

#[test]
fn a_flipped_byte_is_told_or_costs_blocks_but_never_gives_other_events() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(6, 10_000);
    record(folder.path(), roomy(), &events).close().unwrap();
    let path = segments(folder.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let mut random = Random::new(10);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        let at = random.index(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        fs::write(&path, &bytes).unwrap();
        let Ok(mut reader) = MarketTapeReader::open(folder.path()) else { continue };
        let items: Vec<_> = std::iter::from_fn(|| reader.next_item().ok().flatten()).collect();
        assert!(items == numbered(&events)[..items.len()], "byte {at}");
    }
}

#[test]
fn a_disk_that_fails_costs_events_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tape");
    let events = events(7, 30_000);
    let options = MarketTapeOptions { segment_bytes: 1, linger: Duration::ZERO, ..roomy() };
    let mut tape = record(&place, options, &events[..10_000]);
    wait_for(|| segments(&place).len() >= 3);
    // Gone from under it, so that the next segment cannot be made.
    fs::rename(&place, folder.path().join("elsewhere")).unwrap();
    events[10_000..20_000].iter().for_each(|event| {
        tape.record(event);
    });
    wait_for(|| tape.failure().is_some());
    fs::rename(folder.path().join("elsewhere"), &place).unwrap();
    let mut n_events = 20_000;
    wait_for(|| {
        tape.record(&events[n_events]);
        n_events += 1;
        tape.failure().is_none()
    });
    let n_lost = tape.n_lost();
    tape.close().unwrap();
    let mut n_gaps = 0;
    let mut n_kept = 0;
    for item in read(&place) {
        match item {
            Taped::Event { index, event } => {
                assert_eq!(event, events[usize::try_from(index).unwrap()]);
                n_kept += 1;
            }
            Taped::Gap { n_lost, .. } => n_gaps += n_lost,
        }
    }
    assert!(n_lost > 0);
    // Files that could not be made leave no gap in the numbers of those that are there.
    let paths = segments(&place);
    assert!(paths.last().unwrap().ends_with(format!("{:08}.tape", paths.len())), "{paths:?}");
    assert_eq!(n_gaps, n_lost);
    assert_eq!(n_kept + n_gaps, n_events as u64);
}

#[test]
fn a_folder_with_a_tape_in_it_takes_no_other_and_an_empty_one_has_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(MarketTapeReader::open(folder.path()), Err(StoreError::Io { .. })));
    record(folder.path(), roomy(), &events(8, 10)).close().unwrap();
    let again = MarketTape::create(folder.path(), &Metadata::default(), roomy());
    assert!(matches!(again, Err(StoreError::Io { .. })));
    // A tape that is not of a run has no numbers to go by.
    let path = segments(folder.path()).remove(0);
    let mut writer = tercel_store::TapeWriter::create(&path, &Metadata::default()).unwrap();
    let events: Vec<_> = events(8, 10).into_iter().map(tercel_core::Event::Market).collect();
    writer.write(&events).unwrap();
    writer.finish().unwrap();
    let error = MarketTapeReader::open(folder.path()).unwrap().next_item().unwrap_err();
    assert!(error.to_string().contains("not of a run"), "{error}");
}

/// The test runs itself as another process, which records until it is killed.
#[test]
fn a_killed_process_leaves_a_tape_that_is_read_to_its_last_whole_block() {
    const PLACE: &str = "TERCEL_TEST_TAPE";
    let events = events(11, 200_000);
    if let Some(place) = std::env::var_os(PLACE) {
        let options = MarketTapeOptions {
            segment_bytes: 300_000,
            linger: Duration::from_millis(20),
            ..roomy()
        };
        let mut tape =
            MarketTape::create(Path::new(&place), &Metadata::default(), options).unwrap();
        for event in events.iter().cycle() {
            tape.record(event);
            // Slowly enough that the ring is never full, and no block before its time.
            if tape.n_events().is_multiple_of(1_000) {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tape");
    let name = "a_killed_process_leaves_a_tape_that_is_read_to_its_last_whole_block";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(PLACE, &place)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| fs::read_dir(&place).is_ok_and(|entries| entries.count() > 2));
    child.kill().unwrap();
    child.wait().unwrap();
    let items = read(&place);
    assert!(items.len() > 10_000, "{}", items.len());
    for (n, item) in items.iter().enumerate() {
        let (index, event) = (n as u64, events[n % events.len()]);
        assert_eq!(*item, Taped::Event { index, event });
    }
    let mut reader = MarketTapeReader::open(&place).unwrap();
    while reader.next_item().unwrap().is_some() {}
    assert_eq!(reader.notes().len(), 1, "the last segment was open: {:?}", reader.notes());
}
