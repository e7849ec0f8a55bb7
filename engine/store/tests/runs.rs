//! The runs of a data folder: numbers that never recur, what each run is, which go, what is damaged.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tercel_core::{
    AccountId, ClientOrderId, Effect, Event, ExecutionReport, InstrumentId, MarketData,
    MarketEvent, Nanos, ReportKind, Seq,
};
use tercel_store::Metadata;
use tercel_store::journal::{CUT_OFF, Journal, JournalOptions, Record, RunStart};
use tercel_store::market_tape::{MarketTape, MarketTapeOptions};
use tercel_store::runs::{
    DataLock, PrunePolicy, RunCatalog, RunFolder, RunGroup, RunOutline, RunState, RunsError,
};
use tercel_testkit::Random;

const DAY: i64 = Nanos::DAY;

/// Writes the journal of a run that begins on a day and has so many entries.
fn write(run: &RunFolder, day: i64, n_entries: u64) -> Journal {
    let start = RunStart {
        run: run.number,
        at: Nanos(day * DAY),
        config: "x = 1".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let mut journal = Journal::create(&run.journal(), start, JournalOptions::default()).unwrap();
    for n in 1..=n_entries {
        let report = ExecutionReport {
            order: ClientOrderId::new(run.number, n),
            account: AccountId(0),
            instrument: InstrumentId(0),
            venue_at: Nanos(n.cast_signed()),
            received_at: Nanos(n.cast_signed()),
            kind: ReportKind::Accepted { venue_order_id: n * 7_777 },
        };
        let at = Nanos(day * DAY + n.cast_signed());
        journal.entry(Seq(n), at, &Event::Execution(report), &[]).unwrap();
    }
    journal
}

fn ended(catalog: &RunCatalog, lock: &DataLock, day: i64, n_entries: u64) -> RunFolder {
    let run = catalog.next_run(lock).unwrap();
    write(&run, day, n_entries).end(Seq(n_entries), 5, "asked to").unwrap();
    run
}

fn numbers(runs: &[RunOutline]) -> Vec<u32> {
    runs.iter().map(|run| run.folder.number).collect()
}

#[test]
fn numbers_never_recur_whatever_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(&folder.path().join("data"));
    assert_eq!(catalog.list().unwrap(), []);
    let lock = catalog.lock().unwrap();
    for number in 1..=3 {
        let run = catalog.next_run(&lock).unwrap();
        assert_eq!(run.number, number);
        assert!(run.path.ends_with(format!("runs/0000000{number}")) && run.path.is_dir());
    }
    fs::remove_dir_all(catalog.find("3").unwrap().path).unwrap();
    assert_eq!(catalog.next_run(&lock).unwrap().number, 4);
    // Without the note, the folders that are there say what was used.
    fs::remove_file(catalog.runs().join("last")).unwrap();
    assert_eq!(catalog.next_run(&lock).unwrap().number, 5);
    fs::write(catalog.runs().join("last"), "many").unwrap();
    let error = catalog.next_run(&lock).unwrap_err();
    assert!(error.to_string().contains("`many` is no run number"), "{error}");
    fs::write(catalog.runs().join("last"), "16777215\n").unwrap();
    assert!(matches!(catalog.next_run(&lock), Err(RunsError::NumbersExhausted { .. })));
}

#[test]
fn one_process_writes_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    let error = catalog.lock().unwrap_err();
    assert!(matches!(error, RunsError::Locked { .. }), "{error}");
    drop(lock);
    catalog.lock().unwrap();
}

#[test]
fn the_list_tells_how_each_run_stands() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    ended(&catalog, &lock, 1, 10);
    let cut = catalog.next_run(&lock).unwrap();
    let mut journal = write(&cut, 2, 20);
    let snapshot = Record::Snapshot {
        seq: Seq(20),
        now: Nanos(0),
        state_hash: 1,
        n_before: 21,
        bytes: vec![7],
    };
    journal.record(&snapshot).unwrap();
    journal.close().unwrap();
    let mut tape =
        MarketTape::create(&cut.tape(), &Metadata::default(), MarketTapeOptions::default())
            .unwrap();
    tape.record(&market());
    tape.close().unwrap();
    let garbage = catalog.next_run(&lock).unwrap();
    fs::write(garbage.journal(), "not a database").unwrap();
    catalog.next_run(&lock).unwrap();
    let open = catalog.next_run(&lock).unwrap();
    let journal = write(&open, 3, 5);

    let runs = catalog.list().unwrap();
    assert_eq!(numbers(&runs), [1, 2, 3, 4, 5]);
    let [first, cut, garbage, empty, open] = &runs[..] else { unreachable!() };
    assert_eq!(first.state, RunState::Ended { reason: "asked to".to_owned() });
    assert_eq!((first.started_at, first.last_at), (Some(Nanos(DAY)), Some(Nanos(DAY + 10))));
    assert_eq!((first.n_entries, first.n_snapshots), (10, 0));
    assert!(first.journal_bytes > 0 && first.tape_bytes == 0);
    assert_eq!((cut.state.clone(), cut.n_entries, cut.n_snapshots), (RunState::Cut, 20, 1));
    assert!(cut.tape_bytes > 0);
    assert!(matches!(garbage.state, RunState::Unreadable { .. }), "{garbage:?}");
    assert_eq!(empty.state, RunState::Empty);
    assert_eq!(open.state, RunState::InUse);
    journal.close().unwrap();
}

fn market() -> MarketEvent {
    let data = MarketData::Funding { rate_e12: 1 };
    MarketEvent { venue_at: Nanos(0), received_at: Nanos(0), instrument: InstrumentId(0), data }
}

#[test]
fn runs_go_by_count_age_and_size_but_never_the_newest_nor_one_that_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    for day in 1..=6 {
        if day == 2 {
            write(&catalog.next_run(&lock).unwrap(), day, 5).close().unwrap();
        } else {
            ended(&catalog, &lock, day, 5);
        }
    }
    let runs = catalog.list().unwrap();
    let now = Nanos(10 * DAY);
    let chosen = |policy: PrunePolicy| -> Vec<u32> {
        policy.choose(&runs, now).iter().map(|run| run.folder.number).collect()
    };
    let none = PrunePolicy::default();
    assert_eq!(chosen(none), Vec::<u32>::new());
    assert_eq!(chosen(PrunePolicy { keep: Some(2), ..none }), [1, 3, 4]);
    assert_eq!(chosen(PrunePolicy { keep: Some(0), force: true, ..none }), [1, 2, 3, 4, 5]);
    let days = |n: u64| Some(Duration::from_secs(n * 86_400));
    assert_eq!(chosen(PrunePolicy { older_than: days(6), ..none }), [1, 3]);
    assert_eq!(chosen(PrunePolicy { older_than: days(0), ..none }), [1, 3, 4, 5]);
    let each = runs[0].n_bytes();
    let most = Some(3 * each + each / 2);
    assert_eq!(chosen(PrunePolicy { bytes_max: most, ..none }), [1, 3, 4]);
    assert_eq!(chosen(PrunePolicy { bytes_max: Some(0), ..none }), [1, 3, 4, 5]);

    let policy = PrunePolicy { keep: Some(2), ..none };
    assert_eq!(numbers(&catalog.prune(&lock, &policy, now).unwrap()), [1, 3, 4]);
    assert_eq!(numbers(&catalog.list().unwrap()), [2, 5, 6]);
    let names: Vec<_> =
        fs::read_dir(catalog.runs()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "nothing else is left: {names:?}");
    let forced = PrunePolicy { keep: Some(1), force: true, ..none };
    catalog.prune(&lock, &forced, now).unwrap();
    assert_eq!(numbers(&catalog.list().unwrap()), [6]);
    assert_eq!(catalog.next_run(&lock).unwrap().number, 7);
}

#[test]
fn runs_are_found_by_what_people_call_them() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    let runs = [ended(&catalog, &lock, 1, 1), ended(&catalog, &lock, 2, 1)];
    assert_eq!(catalog.find("latest").unwrap(), runs[1]);
    assert_eq!(catalog.find("1").unwrap(), runs[0]);
    assert_eq!(catalog.find("00000002").unwrap(), runs[1]);
    for path in [runs[0].path.clone(), runs[0].journal()] {
        assert_eq!(catalog.find(path.to_str().unwrap()).unwrap(), runs[0]);
    }
    for nothing in ["3", "no/such/run", "", "last"] {
        assert!(matches!(catalog.find(nothing), Err(RunsError::NoRun { .. })), "{nothing}");
    }
}

/// Quietens what the database's panics print; they are caught and told as damage.
fn quietly<T>(body: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let result = body();
    std::panic::set_hook(hook);
    result
}

#[test]
fn a_whole_run_is_good_and_each_flipped_byte_of_a_record_is_found_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    let run = ended(&catalog, &lock, 1, 2_000);
    let good = run.verify().unwrap();
    assert!(good.is_good() && good.is_sealed);
    assert_eq!((good.n_records, good.n_entries), (2_002, 2_000));

    let whole = fs::read(run.journal()).unwrap();
    let mut random = Random::new(3);
    let (mut n_found, mut n_placed) = (0, 0);
    for n in (1..=2_000_u64).step_by(97) {
        // The venue's number of the order stands nowhere else.
        let needle = (n * 7_777).to_le_bytes();
        let needle: &[u8] = &needle[..needle.iter().rposition(|byte| *byte != 0).unwrap() + 1];
        let copy = folder.path().join("copy");
        let places = find_all(&whole, needle);
        if needle.len() < 3 || places.len() != 1 {
            continue;
        }
        let at = places[0] + random.index(needle.len());
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << random.below(8);
        fs::create_dir_all(&copy).unwrap();
        let run = RunFolder::at(&copy);
        fs::write(run.journal(), &bytes).unwrap();
        let fault = quietly(|| run.verify()).unwrap().journal_fault.unwrap();
        assert_eq!(fault.record, n, "entry {n} is record {n}");
        n_found += 1;
        if let Some(byte) = fault.byte {
            let at = at as u64;
            assert!(byte < at && at < byte + 100, "{byte} is where the record of {at} begins");
            n_placed += 1;
        }
    }
    assert!(n_found > 10 && n_placed == n_found, "{n_found} found, {n_placed} placed");
}

fn find_all(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(needle)).collect()
}

#[test]
fn damage_anywhere_in_a_run_is_told_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    let run = catalog.next_run(&lock).unwrap();
    // And five hundred market events, which are on the tape.
    write(&run, 1, 300).end(Seq(800), 5, "asked to").unwrap();
    let mut tape =
        MarketTape::create(&run.tape(), &Metadata::default(), MarketTapeOptions::default())
            .unwrap();
    (0..500).for_each(|_| {
        tape.record(&market());
    });
    tape.close().unwrap();
    let good = run.verify().unwrap();
    assert_eq!((good.n_taped, good.n_lost), (500, 0));
    let segment = run.tape().join("00000001.tape");
    let mut random = Random::new(4);
    for path in [run.journal(), segment] {
        let whole = fs::read(&path).unwrap();
        let mut n_found = 0;
        for _ in 0..150 {
            let mut bytes = whole.clone();
            let at = random.index(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            fs::write(&path, &bytes).unwrap();
            let found = quietly(|| run.verify()).unwrap();
            if found.is_good() {
                // Of bytes that nobody reads.
                assert_eq!((found.n_records, found.n_entries), (302, 300), "{}", path.display());
            } else {
                n_found += 1;
            }
        }
        assert!(n_found > 0, "{}", path.display());
        fs::write(&path, &whole).unwrap();
    }
    assert!(run.verify().unwrap().is_good());
    fs::write(run.journal(), []).unwrap();
    assert!(!run.verify().is_ok_and(|found| found.is_good()));
    assert!(RunFolder::at(Path::new("nowhere")).verify().is_err());
}

/// A server was killed between making its tape's first file and giving the system the first block. Its
/// tape was called damaged, and its run could not be replayed.
#[test]
fn a_tape_that_was_cut_before_its_first_block_is_empty_and_not_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    let run = catalog.next_run(&lock).unwrap();
    write(&run, 1, 5).close().unwrap();
    fs::create_dir(run.tape()).unwrap();
    for cut in [&b""[..], b"TERC"] {
        fs::write(run.tape().join("00000001.tape"), cut).unwrap();
        let found = run.verify().unwrap();
        assert!(found.is_good(), "{found:?}");
        assert_eq!((found.n_taped, found.notes.len()), (0, 1), "{found:?}");
    }
    fs::write(run.tape().join("00000001.tape"), [b'x'; 64]).unwrap();
    assert!(!run.verify().unwrap().is_good(), "what is no tape is told");
}

/// A run that took a report and then so many market events, of which its tape has those segments.
struct TapedRun {
    _folder: tempfile::TempDir,
    run: RunFolder,
    segments: Vec<PathBuf>,
}

const N_TAPED: u64 = 40_000;

fn taped(end: impl FnOnce(Journal)) -> TapedRun {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let run = catalog.next_run(&catalog.lock().unwrap()).unwrap();
    let journal = write(&run, 1, 1);
    let options = MarketTapeOptions {
        segment_bytes: 12_000,
        ring_events: 1 << 16,
        ..MarketTapeOptions::default()
    };
    let mut tape = MarketTape::create(&run.tape(), &Metadata::default(), options).unwrap();
    (0..N_TAPED).for_each(|_| {
        tape.record(&market());
    });
    tape.close().unwrap();
    end(journal);
    let mut segments: Vec<_> =
        fs::read_dir(run.tape()).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    assert!(segments.len() > 3, "{} segments", segments.len());
    TapedRun { _folder: folder, run, segments }
}

fn in_order(journal: Journal) {
    journal.end(Seq(1 + N_TAPED), 5, "asked to").unwrap();
}

fn halve(path: &Path) {
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
}

/// Of a run that had ended in order the last file of its tape was cut in half, then deleted: `tape good,
/// 0 left out` was said of both. Nobody asked the journal, whose numbers count what the engine took.
#[test]
fn a_tape_that_lacks_what_an_ended_run_took_is_not_good() {
    let check = |harm: &dyn Fn(&[PathBuf]), n_removed: u64, what: &str| {
        let TapedRun { run, segments, .. } = &taped(in_order);
        let whole = run.verify().unwrap();
        assert!(whole.is_good(), "{whole:?}");
        assert_eq!((whole.n_taped, whole.n_lost, whole.n_removed), (N_TAPED, 0, 0));
        harm(segments);
        let found = run.verify().unwrap();
        assert!(found.n_taped < N_TAPED, "{found:?}");
        assert_eq!((found.n_taped + found.n_lost + found.n_removed), N_TAPED, "{found:?}");
        assert_eq!(found.n_removed > 0, n_removed > 0, "{found:?}");
        match &found.tape_fault {
            Some(fault) => assert!(!what.is_empty() && fault.contains(what), "{fault}"),
            None => assert_eq!(what, ""),
        }
    };
    check(&|own| halve(own.last().unwrap()), 0, "whole blocks");
    check(&|own| fs::remove_file(own.last().unwrap()).unwrap(), 0, "the run took 40000");
    check(&|own| halve(&own[1]), 0, "00000002.tape");
    check(&|own| halve(&own[0]), 0, "00000001.tape");
    check(&|own| fs::write(&own[0], b"TERC").unwrap(), 0, "00000001.tape");
    check(&|own| fs::remove_file(&own[1]).unwrap(), 0, "segment 2 is not there");
    check(&|own| own.iter().for_each(|own| fs::remove_file(own).unwrap()), 0, "no segment");
    // The oldest ones go by themselves: that is no damage, and said.
    check(&|own| fs::remove_file(&own[0]).unwrap(), 1, "");
}

/// A killed process has not written its last blocks: that is said and no damage, also once the run was
/// sealed by the next start.
#[test]
fn what_a_killed_run_did_not_tape_is_left_out_and_no_damage() {
    let market_with_effects = |mut journal: Journal| {
        let data = Event::Market(market());
        let resync = [Effect::Resync(InstrumentId(0))];
        journal.entry(Seq(1 + N_TAPED), Nanos(2 * DAY), &data, &resync).unwrap();
        journal
    };
    let sealed = |journal: Journal| {
        market_with_effects(journal).end(Seq(1 + N_TAPED), 0, CUT_OFF).unwrap();
    };
    let open = |journal: Journal| market_with_effects(journal).close().unwrap();
    for TapedRun { run, segments, .. } in [taped(sealed), taped(open)] {
        halve(segments.last().unwrap());
        let found = run.verify().unwrap();
        assert!(found.is_good() && !found.notes.is_empty(), "{found:?}");
        assert!(found.n_lost > 0, "{found:?}");
        assert_eq!(found.n_taped + found.n_lost, N_TAPED, "{found:?}");
    }
}

/// Where entries were lost, the gap says how far the tape had come.
#[test]
fn a_hole_in_the_journal_does_not_hide_what_the_tape_lacks() {
    let gap = |mut journal: Journal| {
        // Seven entries that nobody has recorded came meanwhile.
        let (at, why) = (Nanos(DAY), "no space left".to_owned());
        let (seq, n_market, n_lost) = (Seq(8 + 30_000), 30_000, 7);
        journal.record(&Record::Gap { at, seq, n_market, n_lost, why }).unwrap();
        journal.end(Seq(8 + N_TAPED), 5, "asked to").unwrap();
    };
    let TapedRun { run, segments, .. } = &taped(gap);
    let whole = run.verify().unwrap();
    assert!(whole.is_good(), "{whole:?}");
    assert_eq!((whole.n_taped, whole.n_lost, whole.holes.len()), (N_TAPED, 0, 1));
    fs::remove_file(segments.last().unwrap()).unwrap();
    let found = run.verify().unwrap();
    assert_eq!(found.n_taped + found.n_lost, N_TAPED);
    assert!(!found.is_good() && found.n_lost > 0, "{found:?}");
}

/// Gives a run a beginning: what the next start would go on with.
fn begun(run: &RunFolder, day: i64) {
    let mut journal = write(run, day, 1);
    let (seq, now) = (Seq(1), Nanos(day * DAY));
    let bytes = vec![7];
    journal.record(&Record::Snapshot { seq, now, state_hash: 1, n_before: 2, bytes }).unwrap();
    journal.end(seq, 1, "stopped").unwrap();
}

#[test]
fn runs_of_one_start_have_numbers_in_a_row_and_know_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    let three = catalog.next_group(&lock, 3, "accounts").unwrap();
    assert_eq!(three.iter().map(|run| run.number).collect::<Vec<_>>(), [1, 2, 3]);
    let group = RunGroup { first: 1, n: 3, deal: "accounts".to_owned() };
    assert!(three.iter().all(|run| run.group().unwrap() == group));
    let alone = catalog.next_run(&lock).unwrap();
    assert_eq!((alone.number, alone.group().unwrap()), (4, RunGroup::alone(4)));
    let groups: Vec<_> = catalog.list().unwrap().into_iter().map(|run| run.group).collect();
    assert_eq!(groups, [group.clone(), group.clone(), group, RunGroup::alone(4)]);
    fs::write(three[1].path.join("group"), "garbage").unwrap();
    let listed = &catalog.list().unwrap()[1];
    assert!(matches!(&listed.state, RunState::Unreadable { what } if what.contains("garbage")));
    fs::write(catalog.runs().join("last"), "16777213\n").unwrap();
    let error = catalog.next_group(&lock, 3, "accounts").unwrap_err();
    assert!(matches!(error, RunsError::NumbersExhausted { .. }), "{error}");
    let last = catalog.next_group(&lock, 2, "accounts").unwrap();
    assert_eq!(last[1].number, (1 << 24) - 1);
}

/// Runs that were cut off before they began were the newest ones, so the one before them, with all that
/// the account held, was deleted, and the next start began with nothing.
#[test]
fn what_the_next_start_goes_on_with_is_never_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let lock = catalog.lock().unwrap();
    let kept = |catalog: &RunCatalog| {
        let policy = PrunePolicy { keep: Some(1), force: true, ..PrunePolicy::default() };
        catalog.prune(&lock, &policy, Nanos(9 * DAY)).unwrap();
        numbers(&catalog.list().unwrap())
    };
    begun(&catalog.next_run(&lock).unwrap(), 1);
    for run in catalog.next_group(&lock, 2, "accounts").unwrap() {
        begun(&run, 2);
    }
    assert_eq!(kept(&catalog), [2, 3], "a start's runs stay together");
    let half = catalog.next_group(&lock, 2, "accounts").unwrap();
    begun(&half[0], 3);
    assert_eq!(kept(&catalog), [2, 3, 4, 5], "half a start is none");
    begun(&half[1], 3);
    assert_eq!(kept(&catalog), [4, 5]);
    begun(&catalog.next_run(&lock).unwrap(), 4);
    catalog.next_run(&lock).unwrap();
    assert_eq!(kept(&catalog), [6, 7]);
}
