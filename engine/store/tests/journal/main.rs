//! The journal as its callers see it: what is handed over comes back, what is damaged is named.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod power;

use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tercel_core::{
    Command, Effect, Effects, Engine, Event, InstrumentId, Nanos, Notice, OrderRequest, OrderSpec,
    Price, Quantity, RiskLimits, Scope, Seq, Side, StrategyId, Value,
};
use tercel_store::journal::codec::encode;
use tercel_store::journal::{
    Entry, Journal, JournalError, JournalMode, JournalOptions, JournalReader, Record,
    RecordedEffect, RunStart,
};
use tercel_testkit::{Disk, DiskFaults, Random, Strings, engine_config, level, linear};

const SOON: Duration = Duration::from_secs(20);

fn start() -> RunStart {
    RunStart { run: 3, at: Nanos(77), config: "a = 1".to_owned(), version: "0.1".to_owned() }
}

fn run_started() -> Record {
    let RunStart { run, at, config, version } = start();
    Record::RunStarted { run, at, config, version }
}

fn disk() -> Disk {
    Disk::new(1, DiskFaults::default())
}

fn small_ring() -> JournalOptions {
    JournalOptions { ring_bytes: 4096, ..JournalOptions::default() }
}

fn log(seq: u64) -> Effect {
    let text = format!("entry {seq}");
    Effect::Notice(Notice::Log { strategy: StrategyId(0), text })
}

/// Hands over entries 1 to `n`.
fn fill(journal: &mut Journal, n: u64) -> u64 {
    (1..=n).map(|seq| put(journal, seq).unwrap()).last().unwrap()
}

fn put(journal: &mut Journal, seq: u64) -> Result<u64, JournalError> {
    journal.entry(Seq(seq), Nanos(10), &Event::Timer, &[log(seq)])
}

fn kinds() -> Vec<Record> {
    vec![
        Record::ScriptLoaded {
            strategy: StrategyId(0),
            name: "a.luau".to_owned(),
            hash: [7; 32],
            source: "return 1".to_owned(),
            modules: vec![("lib".to_owned(), "return {}".to_owned())],
            instruments: vec![InstrumentId(0)],
            seed: 9,
        },
        Record::Params {
            strategy: StrategyId(0),
            values: vec![("n".to_owned(), Value::Integer(-4))],
        },
        Record::Limits { scope: Scope::Engine, limits: Box::new(RiskLimits::default()) },
        Record::Snapshot {
            seq: Seq(2),
            now: Nanos(8),
            state_hash: 99,
            n_before: 3,
            bytes: vec![1; 50],
        },
        Record::Gap {
            at: Nanos(5),
            seq: Seq(2),
            n_market: 1,
            n_lost: 12,
            why: "no space left".to_owned(),
        },
    ]
}

/// A small journal with a record of every kind.
fn small(disk: &Disk) -> Vec<Record> {
    let mut journal =
        Journal::create_on(disk.backend(), start(), JournalOptions::default()).unwrap();
    let mut records = vec![run_started()];
    for record in kinds() {
        journal.record(&record).unwrap();
        records.push(record);
    }
    assert_eq!(journal.lease(10).unwrap(), 0..10);
    records.push(Record::IdLease { from: 0, to: 10 });
    let kill = Event::Command(Command::Kill(Scope::Engine));
    journal.entry(Seq(4), Nanos(6), &kill, &[Effect::Resync(InstrumentId(2))]).unwrap();
    records.push(Record::Entry(Entry {
        seq: Seq(4),
        now: Nanos(6),
        event: Some(kill),
        effects: vec![RecordedEffect::Resync(InstrumentId(2))],
    }));
    journal.end(Seq(5), 123, "done").unwrap();
    let reason = "done".to_owned();
    records.push(Record::RunEnded { seq: Seq(5), state_hash: 123, reason });
    records
}

fn read(reader: &JournalReader) -> Vec<Record> {
    reader.records().unwrap().map(|record| record.unwrap().1).collect()
}

#[test]
fn everything_comes_back_in_order() {
    let disk = disk();
    let records = small(&disk);
    let reader = JournalReader::open_on(disk.backend()).unwrap();
    assert_eq!(read(&reader), records);
    let verified = reader.verify().unwrap();
    assert_eq!((verified.n_records, verified.last_seq), (9, Some(Seq(4))));
    assert!(reader.is_sealed());
    assert_eq!(reader.last_lease(), Some(0..10));
    let snapshot = reader.last_snapshot().unwrap().unwrap();
    assert_eq!((snapshot.index, snapshot.seq, snapshot.state_hash), (4, Seq(2), 99));
    let tail: Vec<_> = reader.tail().unwrap().map(|record| record.unwrap().1).collect();
    assert_eq!(tail, records[3..], "from where the state was taken");
    for from in 0..=10 {
        let n = reader.records_from(from).unwrap().count();
        assert_eq!(n, 9usize.saturating_sub(usize::try_from(from).unwrap()));
    }
}

/// A process that was killed while it made its journal left a file that no database is in; every later
/// start found it, could not read it and refused to begin.
#[test]
fn a_journal_that_is_not_whole_has_no_name_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    // Without room in its ring it fails after the file is made and before it is whole.
    let fails = JournalOptions { ring_bytes: 0, ..JournalOptions::default() };
    Journal::create(&path, start(), fails).unwrap_err();
    assert!(!path.exists());
    std::fs::write(folder.path().join("run.journal.new"), "half a database").unwrap();
    Journal::create(&path, start(), JournalOptions::default()).unwrap().close().unwrap();
    assert_eq!(JournalReader::open(&path).unwrap().verify().unwrap().n_records, 1);
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["run.journal"]);
}

#[test]
fn a_file_lives_through_reopening_and_is_sealed_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    let options = JournalOptions::default();
    let mut journal = Journal::create(&path, start(), options).unwrap();
    fill(&mut journal, 1_000);
    journal.close().unwrap();
    assert!(matches!(Journal::create(&path, start(), options), Err(JournalError::Exists { .. })));

    let mut journal = Journal::open(&path, options).unwrap();
    assert_eq!((journal.n_records(), journal.durable_through()), (1_001, 1_001));
    assert!(matches!(put(&mut journal, 1_000), Err(JournalError::OutOfOrder { .. })));
    assert_eq!(put(&mut journal, 1_001).unwrap(), 1_002);
    journal.end(Seq(1_001), 1, "over").unwrap();
    assert!(matches!(Journal::open(&path, options), Err(JournalError::Sealed { .. })));

    let before = std::fs::read(&path).unwrap();
    let reader = JournalReader::open(&path).unwrap();
    assert_eq!(reader.verify().unwrap().n_records, 1_003);
    drop(reader);
    assert_eq!(std::fs::read(&path).unwrap(), before, "reading leaves a closed file as it is");
}

/// An approval comes from the engine alone, so this is where a `Send` is recorded and compared.
#[test]
fn an_approved_order_is_recorded_byte_by_byte() {
    let strings = Strings::default();
    let config = engine_config(vec![linear(0)]);
    let mut engine = Engine::new(&config, vec![strings.puppet()]).unwrap();
    let disk = disk();
    let mut journal = Journal::create_on(disk.backend(), start(), small_ring()).unwrap();
    let mut expected = Vec::new();
    let spec = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(99), Quantity(5));
    let events = [
        Event::Command(Command::Start(StrategyId(0))),
        level(0, 1, Side::Buy, 98, 10),
        level(0, 2, Side::Sell, 102, 10),
        level(0, 3, Side::Sell, 101, 10),
        Event::Command(Command::Kill(Scope::Engine)),
    ];
    for (event, seq) in events.iter().zip(1..) {
        let mut effects = Effects::default();
        if seq == 4 {
            strings.place(spec);
        }
        engine.handle(Seq(seq), Nanos(3), event, &mut effects);
        journal.entry(Seq(seq), Nanos(3), event, effects.as_slice()).unwrap();
        expected.extend(effects.as_slice().iter().cloned());
    }
    journal.close().unwrap();
    let recorded: Vec<_> = read(&JournalReader::open_on(disk.backend()).unwrap())
        .into_iter()
        .flat_map(|record| match record {
            Record::Entry(entry) => entry.effects,
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(recorded.len(), expected.len());
    assert!(recorded.iter().zip(&expected).all(|(recorded, effect)| recorded.records(effect)));
    let sent = recorded.iter().find_map(|effect| match effect {
        RecordedEffect::Send(OrderRequest::New { spec, .. }) => Some(*spec),
        _ => None,
    });
    assert_eq!(sent, Some(spec));
    let other = RecordedEffect::Resync(InstrumentId(9));
    assert!(!expected.iter().any(|effect| other.records(effect)));
}

#[test]
fn the_watermark_is_behind_what_the_disk_has_and_never_ahead() {
    let disk = disk();
    let options = JournalOptions { mode: JournalMode::Durable, ..JournalOptions::default() };
    let mut journal = Journal::create_on(disk.backend(), start(), options).unwrap();
    disk.hold();
    let ticket = put(&mut journal, 1).unwrap();
    assert!(matches!(
        journal.wait_durable(ticket, Duration::from_millis(20)),
        Err(JournalError::TimedOut { ticket: 2, durable: 1 })
    ));
    disk.release();
    journal.wait_durable(ticket, SOON).unwrap();
    assert_eq!(journal.durable_through(), ticket);
}

#[test]
fn a_full_ring_refuses_and_the_refused_entry_must_come_next() {
    let disk = disk();
    let mut journal = Journal::create_on(disk.backend(), start(), small_ring()).unwrap();
    disk.hold();
    let refused = (1..10_000)
        .find(|seq| match put(&mut journal, *seq) {
            Ok(_) => false,
            Err(JournalError::Full { capacity: 4096 }) => true,
            Err(other) => panic!("{other}"),
        })
        .expect("4 KiB hold no ten thousand entries");
    assert!(matches!(
        put(&mut journal, refused + 1),
        Err(JournalError::Owed { owed, .. }) if owed == Seq(refused)
    ));
    disk.release();
    journal.wait_durable(journal.n_records(), SOON).unwrap();
    put(&mut journal, refused).unwrap();
    put(&mut journal, refused + 1).unwrap();
    journal.close().unwrap();
    let reader = JournalReader::open_on(disk.backend()).unwrap();
    assert_eq!(reader.verify().unwrap().last_seq, Some(Seq(refused + 1)));
    assert_eq!(reader.n_records(), refused + 2);
}

#[test]
fn records_larger_than_the_ring_keep_their_place() {
    let disk = disk();
    let mut journal = Journal::create_on(disk.backend(), start(), small_ring()).unwrap();
    let snapshot = |seq| Record::Snapshot {
        seq: Seq(seq),
        now: Nanos(0),
        state_hash: seq,
        n_before: 0,
        bytes: vec![3; 1 << 20],
    };
    for seq in 1..=4 {
        put(&mut journal, seq).unwrap();
        journal.record(&snapshot(seq)).unwrap();
    }
    journal.close().unwrap();
    let records = read(&JournalReader::open_on(disk.backend()).unwrap());
    for (pair, seq) in records[1..].chunks(2).zip(1..) {
        assert!(matches!(&pair[0], Record::Entry(entry) if entry.seq == Seq(seq)));
        assert_eq!(pair[1], snapshot(seq));
    }
    // More than a few of them at a time are too much.
    let mut journal = Journal::open_on(disk.backend(), small_ring()).unwrap();
    disk.hold();
    let full = (0..20).find_map(|_| journal.record(&snapshot(9)).err());
    assert!(matches!(full, Some(JournalError::Full { .. })));
    disk.release();
}

/// A ring that was full in the very moment in which a run ended left it without an end.
#[test]
fn an_end_waits_for_room() {
    let stepped = JournalOptions { mode: JournalMode::Stepped, ..small_ring() };
    let n_fit = {
        let mut journal = Journal::create_on(disk().backend(), start(), stepped).unwrap();
        (1..10_000).find(|seq| put(&mut journal, *seq).is_err()).unwrap() - 1
    };
    let disk = disk();
    let mut journal = Journal::create_on(disk.backend(), start(), stepped).unwrap();
    for seq in 1..=n_fit {
        put(&mut journal, seq).unwrap();
    }
    // Longer than an entry, for which there is no room.
    let reason = "because of ".repeat(30);
    journal.end(Seq(n_fit), 0, &reason).unwrap();
    let reader = JournalReader::open_on(disk.backend()).unwrap();
    assert!(reader.is_sealed());
    let last = read(&reader).pop();
    assert!(matches!(last, Some(Record::RunEnded { reason: own, .. }) if own == reason));
}

#[test]
fn records_with_calls_of_their_own_are_refused() {
    let disk = disk();
    let mut journal = Journal::create_on(disk.backend(), start(), small_ring()).unwrap();
    for record in [
        Record::IdLease { from: 0, to: 1 },
        Record::RunEnded { seq: Seq(0), state_hash: 0, reason: String::new() },
        Record::Entry(Entry { seq: Seq(1), now: Nanos(0), event: None, effects: vec![] }),
    ] {
        assert!(matches!(journal.record(&record), Err(JournalError::Misplaced { .. })));
    }
    assert_eq!(journal.n_records(), 1);
}

#[test]
fn leases_never_overlap_and_end_with_the_run() {
    let disk = disk();
    let options = JournalOptions::default();
    let mut journal = Journal::create_on(disk.backend(), start(), options).unwrap();
    assert_eq!(journal.lease(1 << 20).unwrap(), 0..1 << 20);
    assert_eq!(journal.lease(5).unwrap(), 1 << 20..(1 << 20) + 5);
    // The commit of this lease fails: nobody gets it.
    disk.set_faults(DiskFaults { cut_at: Some(1), ..DiskFaults::default() });
    assert!(matches!(journal.lease(7), Err(JournalError::Failed { .. })));
    assert!(matches!(journal.lease(7), Err(JournalError::Failed { .. })));
    assert!(matches!(put(&mut journal, 1), Err(JournalError::Failed { .. })));
    assert!(journal.check().is_err());
    drop(journal);
    disk.power_cut(DiskFaults::default());
    let mut journal = Journal::open_on(disk.backend(), options).unwrap();
    assert_eq!(journal.lease(3).unwrap(), (1 << 20) + 5..(1 << 20) + 8);
    for _ in 0..255 {
        journal.lease(u32::MAX).unwrap();
    }
    assert!(matches!(journal.lease(u32::MAX), Err(JournalError::IdsExhausted { .. })));
    assert!(matches!(journal.lease(0), Err(JournalError::IdsExhausted { .. })));
}

#[test]
fn a_lease_ahead_of_need_does_not_wait_and_is_told_when_it_counts() {
    let disk = disk();
    let mut journal =
        Journal::create_on(disk.backend(), start(), JournalOptions::default()).unwrap();
    assert_eq!(journal.lease(10).unwrap(), 0..10);
    disk.hold();
    let (ids, ticket) = journal.lease_ahead(10).unwrap();
    assert_eq!(ids, 10..20);
    assert!(journal.durable_through() < ticket);
    disk.release();
    journal.wait_durable(ticket, SOON).unwrap();
    drop(journal);
    assert_eq!(JournalReader::open_on(disk.backend()).unwrap().last_lease(), Some(10..20));
}

#[test]
fn a_snapshot_encoded_elsewhere_is_one_like_any_other() {
    let disk = disk();
    let mut journal =
        Journal::create_on(disk.backend(), start(), JournalOptions::default()).unwrap();
    fill(&mut journal, 3);
    let (seq, now, bytes) = (Seq(3), Nanos(0), vec![7; 100_000]);
    let record = Record::Snapshot { seq, now, state_hash: 9, n_before: 4, bytes: bytes.clone() };
    let mut encoded = Vec::new();
    encode(&record, &mut encoded);
    assert_eq!(journal.encoded_snapshot(encoded).unwrap(), 5);
    put(&mut journal, 4).unwrap();
    encoded = Vec::new();
    encode(&Record::IdLease { from: 0, to: 9 }, &mut encoded);
    let refused = journal.encoded_snapshot(encoded);
    assert!(matches!(refused, Err(JournalError::Misplaced { .. })), "{refused:?}");
    journal.end(Seq(4), 0, "done").unwrap();
    let reader = JournalReader::open_on(disk.backend()).unwrap();
    assert_eq!(read(&reader)[4], record);
    assert_eq!(reader.last_snapshot().unwrap().unwrap().bytes, bytes);
    assert_eq!(reader.verify().unwrap().n_records, 7);
}

#[test]
fn a_run_cut_off_at_its_creation_is_told_from_damage() {
    let disk = disk();
    drop(Database::builder().create_with_backend(disk.backend()).unwrap());
    assert!(matches!(
        Journal::open_on(disk.backend(), small_ring()),
        Err(JournalError::NoRun { .. })
    ));
    assert!(matches!(JournalReader::open_on(disk.backend()), Err(JournalError::NoRun { .. })));
}

const BLOCKS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("blocks");

fn all_blocks(disk: &Disk) -> Vec<(u64, Vec<u8>)> {
    let database = Database::builder().create_with_backend(disk.backend()).unwrap();
    let blocks = database.begin_read().unwrap().open_table(BLOCKS).unwrap();
    let rows = blocks.iter().unwrap().map(Result::unwrap);
    rows.map(|(key, value)| (key.value(), value.value().to_vec())).collect()
}

fn change(content: &[u8], edit: impl FnOnce(&mut redb::Table<'_, u64, &'static [u8]>)) -> Disk {
    let disk = Disk::with_content(content.to_vec(), 0, DiskFaults::default());
    let database = Database::builder().create_with_backend(disk.backend()).unwrap();
    let transaction = database.begin_write().unwrap();
    edit(&mut transaction.open_table(BLOCKS).unwrap());
    transaction.commit().unwrap();
    drop(database);
    disk
}

/// Returns the first bad record, which verifying and reading must agree on.
fn first_bad(disk: &Disk) -> u64 {
    let reader = JournalReader::open_on(disk.backend()).unwrap();
    let Err(JournalError::Damaged { index, .. }) = reader.verify() else {
        panic!("damage was not found");
    };
    index
}

#[test]
fn every_flipped_byte_of_every_block_is_found_and_its_record_named() {
    let disk = disk();
    small(&disk);
    let content = disk.content();
    let mut n_flips = 0;
    for (key, block) in all_blocks(&disk) {
        let n_records = frames(&block);
        for at in 0..block.len() {
            let mut bad = block.clone();
            bad[at] ^= 1 << (at % 8);
            let disk = change(&content, |table| {
                table.insert(key, bad.as_slice()).unwrap();
            });
            let expected = key + n_records.iter().filter(|end| **end <= at).count() as u64;
            assert_eq!(first_bad(&disk), expected, "block {key}, byte {at}");
            n_flips += 1;
        }
    }
    assert!(n_flips > 400, "{n_flips}");
}

/// Returns where the records of a block end, by the layout that its format says.
fn frames(block: &[u8]) -> Vec<usize> {
    let (mut at, mut ends) = (16, Vec::new());
    while at < block.len() {
        let len = u32::from_le_bytes(*block[at..].first_chunk().unwrap());
        at += 4 + usize::try_from(len).unwrap() + 16;
        ends.push(at);
    }
    ends
}

#[test]
fn lost_doubled_and_swapped_blocks_are_found() {
    let disk = disk();
    let mut journal = Journal::create_on(disk.backend(), start(), small_ring()).unwrap();
    for seq in 1..=4 {
        let ticket = put(&mut journal, seq).unwrap();
        journal.wait_durable(ticket, SOON).unwrap();
    }
    journal.close().unwrap();
    let content = disk.content();
    let blocks = all_blocks(&disk);
    assert_eq!(blocks.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for lost in 0..5 {
        let disk = change(&content, |table| drop(table.remove(lost).unwrap()));
        assert_eq!(first_bad(&disk), lost);
    }
    let swapped = change(&content, |table| {
        table.insert(2, blocks[3].1.as_slice()).unwrap();
        table.insert(3, blocks[2].1.as_slice()).unwrap();
    });
    assert_eq!(first_bad(&swapped), 2);
    let longer = change(&content, |table| {
        table.insert(9, blocks[3].1.as_slice()).unwrap();
    });
    assert_eq!(first_bad(&longer), 5);
}

#[test]
fn random_damage_to_the_file_is_an_error_or_harmless_but_never_a_panic() {
    let disk = disk();
    let records = small(&disk);
    let content = disk.content();
    let mut random = Random::new(5);
    let (mut n_errors, mut n_harmless) = (0, 0);
    for round in 0..600 {
        let mut bad = content.clone();
        for _ in 0..=random.below(4) {
            // Half of the damage into the first pages, where the database keeps its own records.
            let len = if random.chance(50) { 16_384.min(bad.len()) } else { bad.len() };
            let at = random.index(len);
            bad[at] ^= 1 << random.below(8);
        }
        if round % 10 == 0 {
            bad.truncate(random.index(bad.len()));
        }
        let disk = Disk::with_content(bad, 0, DiskFaults::default());
        let read = || -> Result<Vec<Record>, JournalError> {
            let reader = JournalReader::open_on(disk.backend())?;
            reader.verify()?;
            reader.records()?.map(|record| record.map(|(_, record)| record)).collect()
        };
        match read() {
            Ok(read) => {
                assert_eq!(read, records);
                n_harmless += 1;
            }
            Err(_) => n_errors += 1,
        }
    }
    assert!(n_errors > 50 && n_harmless > 50, "{n_errors} errors, {n_harmless} harmless");
}
