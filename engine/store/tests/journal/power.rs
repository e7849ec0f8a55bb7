//! Power cuts, failing and full disks: what was acknowledged as durable is there afterwards.

use std::time::Duration;

use tercel_core::{Event, Nanos, Seq};
use tercel_store::journal::{
    Entry, Journal, JournalError, JournalMode, JournalOptions, JournalReader, Record,
    RecordedEffect,
};
use tercel_testkit::{Disk, DiskFaults, Random};

use crate::{SOON, log, read, start};

/// Seeds of a test run; each loses power several times.
const N_SEEDS: u64 = 500;
const N_CUTS: u64 = 4;

/// What happened, so that a test can tell that anything did.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    n_cuts: u64,
    /// Of those, the ones that hit a write, a sync or a change of length.
    n_cuts_within_a_commit: u64,
    /// Records that were there after a cut and had been said to be durable before it; one that had
    /// been and was not there fails the test.
    n_acknowledged: u64,
    n_lost_unacknowledged: u64,
    n_kept_unacknowledged: u64,
    n_leases: u64,
}

/// What the test knows of a journal.
#[derive(Debug, Default)]
struct Known {
    /// Handed over, in order.
    records: Vec<Record>,
    /// Order numbers below this one were given out.
    lease_end: u64,
    n_acknowledged: u64,
}

impl Known {
    fn next_seq(&self) -> Seq {
        let last = self.records.iter().rev().find_map(|record| match record {
            Record::Entry(entry) => Some(entry.seq.0),
            _ => None,
        });
        Seq(last.unwrap_or(0) + 1)
    }
}

/// Writes until the power goes or it has had enough.
fn write(
    journal: &mut Journal,
    random: &mut Random,
    known: &mut Known,
    tally: &mut Tally,
) -> Result<(), JournalError> {
    for _ in 0..random.below(80) {
        let (seq, now) = (known.next_seq(), Nanos(5));
        let ticket = match random.below(20) {
            0 => {
                let n = 1 + u32::try_from(random.below(9)).unwrap();
                // What is handed over may be in the file even if nobody gets the lease.
                let from = known.lease_end.max(last_lease_end(&known.records));
                let to = from + u64::from(n);
                known.records.push(Record::IdLease { from, to });
                let lease = journal.lease(n)?;
                assert_eq!(lease, from..to);
                known.lease_end = lease.end;
                tally.n_leases += 1;
                journal.n_records()
            }
            1 => {
                let bytes = vec![9; random.index(3_000)];
                let record = Record::Snapshot { seq, now, state_hash: 1, n_before: 0, bytes };
                known.records.push(record.clone());
                with_patience(journal, |journal| journal.record(&record))?
            }
            2 => {
                // Where there is no thread, somebody has to.
                journal.commit();
                continue;
            }
            _ => {
                let effects = [log(seq.0)];
                known.records.push(Record::Entry(Entry {
                    seq,
                    now,
                    event: Some(Event::Timer),
                    effects: effects
                        .iter()
                        .map(|effect| match effect {
                            tercel_core::Effect::Notice(notice) => {
                                RecordedEffect::Notice(notice.clone())
                            }
                            other => panic!("{other:?}"),
                        })
                        .collect(),
                }));
                with_patience(journal, |journal| journal.entry(seq, now, &Event::Timer, &effects))?
            }
        };
        if random.chance(30) {
            journal.wait_durable(ticket, SOON)?;
        }
    }
    Ok(())
}

fn last_lease_end(records: &[Record]) -> u64 {
    let ends = records.iter().rev().find_map(|record| match record {
        Record::IdLease { to, .. } => Some(*to),
        _ => None,
    });
    ends.unwrap_or(0)
}

/// Waits for the disk where the ring is full: these tests are not about that.
fn with_patience(
    journal: &mut Journal,
    mut call: impl FnMut(&mut Journal) -> Result<u64, JournalError>,
) -> Result<u64, JournalError> {
    loop {
        match call(journal) {
            Err(JournalError::Full { .. }) => journal.wait_durable(journal.n_records(), SOON)?,
            other => return other,
        }
    }
}

/// Opens the journal and compares it with what is known; forgets what is lost.
fn check(disk: &Disk, known: &mut Known, tally: &mut Tally) -> Result<(), String> {
    let reader = JournalReader::open_on(disk.backend()).map_err(|error| error.to_string())?;
    let verified = reader.verify().map_err(|error| error.to_string())?;
    let n = verified.n_records;
    let acknowledged = known.n_acknowledged;
    if n < acknowledged {
        let first = &known.records[usize::try_from(n).unwrap()];
        return Err(format!("{} acknowledged records are lost, first {first:?}", acknowledged - n));
    }
    if n > known.records.len() as u64 {
        return Err(format!("{n} records, only {} were handed over", known.records.len()));
    }
    let lost = known.records.split_off(usize::try_from(n).unwrap());
    if read(&reader) != known.records {
        return Err("other records than were handed over".to_owned());
    }
    if last_lease_end(&known.records) < known.lease_end {
        return Err("a lease that was given out is gone".to_owned());
    }
    tally.n_acknowledged += acknowledged;
    tally.n_kept_unacknowledged += n - acknowledged;
    tally.n_lost_unacknowledged += lost.len() as u64;
    Ok(())
}

/// Writes, loses power and looks, over and over; returns what was not as promised.
///
/// All but the moments at which the journal's thread looks at its ring follows from the seed.
fn run(seed: u64, ignore_every: Option<u64>, tally: &mut Tally) -> Result<(), String> {
    let mut random = Random::new(seed);
    let healthy = DiskFaults { ignore_every, ..DiskFaults::default() };
    let disk = Disk::new(seed, healthy);
    let mode = [JournalMode::Async, JournalMode::Durable, JournalMode::Stepped][random.index(3)];
    let linger = Duration::from_micros(50);
    let options = JournalOptions { mode, ring_bytes: 4096, linger, cache_bytes: 1 << 20 };
    let told = |error: JournalError| error.to_string();
    let mut journal = Journal::create_on(disk.backend(), start(), options).map_err(told)?;
    let mut known = Known { records: vec![crate::run_started()], ..Known::default() };
    for _ in 0..N_CUTS {
        let cut_at = random.chance(80).then(|| 1 + random.below(150));
        disk.set_faults(DiskFaults { cut_at, ..healthy });
        let result = write(&mut journal, &mut random, &mut known, tally);
        known.n_acknowledged = journal.durable_through();
        match result {
            Ok(()) => {}
            Err(JournalError::Failed { .. }) => tally.n_cuts_within_a_commit += 1,
            Err(other) => return Err(other.to_string()),
        }
        disk.power_off();
        drop(journal);
        disk.power_cut(healthy);
        tally.n_cuts += 1;
        check(&disk, &mut known, tally)?;
        journal = Journal::open_on(disk.backend(), options).map_err(told)?;
        known.lease_end = last_lease_end(&known.records);
    }
    Ok(())
}

#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let mut tally = Tally::default();
    for seed in 0..N_SEEDS {
        if let Err(what) = run(seed, None, &mut tally) {
            panic!("seed {seed}: {what}");
        }
    }
    println!("{tally:?}");
    assert_eq!(tally.n_cuts, 2_000);
    assert!(tally.n_cuts_within_a_commit > N_SEEDS / 4, "{tally:?}");
    assert!(tally.n_acknowledged > 20 * N_SEEDS, "{tally:?}");
    assert!(tally.n_lost_unacknowledged > N_SEEDS, "{tally:?}");
    assert!(tally.n_leases > N_SEEDS, "{tally:?}");
}

/// A disk that answers every tenth sync without doing it must be found out by the very same checks:
/// if it is not, they check nothing.
#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let mut tally = Tally::default();
    let n_caught = (0..N_SEEDS).filter(|seed| run(*seed, Some(10), &mut tally).is_err()).count();
    println!("caught with {n_caught} of {N_SEEDS} seeds");
    assert!(n_caught > 2, "caught with {n_caught} of {N_SEEDS} seeds: {tally:?}");
}

#[test]
fn a_cut_while_a_journal_is_created_leaves_a_run_or_none() {
    let mut n_runs = 0;
    for cut_at in 1..60 {
        let faults = DiskFaults { cut_at: Some(cut_at), ..DiskFaults::default() };
        let disk = Disk::new(cut_at, faults);
        let created = Journal::create_on(disk.backend(), start(), JournalOptions::default());
        let is_created = created.is_ok();
        disk.power_off();
        drop(created);
        disk.power_cut(DiskFaults::default());
        match JournalReader::open_on(disk.backend()) {
            Ok(reader) => {
                assert_eq!(reader.verify().unwrap().n_records, 1);
                n_runs += 1;
            }
            Err(error) => assert!(!is_created, "cut at {cut_at}: {error}"),
        }
    }
    assert!((1..59).contains(&n_runs), "{n_runs} runs of 59");
}

/// Entries are handed over until the journal stops; then it is opened again.
fn stops_and_opens_again(seed: u64, faults: DiskFaults) {
    let disk = Disk::new(seed, DiskFaults::default());
    let options = JournalOptions { cache_bytes: 1 << 20, ..JournalOptions::default() };
    let mut journal = Journal::create_on(disk.backend(), start(), options).unwrap();
    disk.set_faults(faults);
    let stop = (1..10_000).find_map(|seq| {
        let effects = [log(seq), log(seq)];
        let ticket = journal.entry(Seq(seq), Nanos(0), &Event::Timer, &effects);
        ticket.and_then(|ticket| journal.wait_durable(ticket, SOON)).err()
    });
    assert!(matches!(stop, Some(JournalError::Failed { .. })), "{faults:?}: {stop:?}");
    let refused = journal.entry(Seq(20_000), Nanos(0), &Event::Timer, &[]);
    assert!(refused.is_err(), "a journal that stopped takes nothing");
    let acknowledged = journal.durable_through();
    let handed_over = journal.n_records();
    drop(journal);
    disk.set_faults(DiskFaults::default());
    let mut journal = Journal::open_on(disk.backend(), options).unwrap();
    assert!((acknowledged..=handed_over).contains(&journal.n_records()));
    let ticket = journal.entry(Seq(30_000), Nanos(0), &Event::Timer, &[]).unwrap();
    journal.wait_durable(ticket, SOON).unwrap();
    journal.close().unwrap();
    let reader = JournalReader::open_on(disk.backend()).unwrap();
    assert_eq!(reader.verify().unwrap().last_seq, Some(Seq(30_000)));
}

#[test]
fn a_failed_operation_stops_the_journal_and_opening_recovers() {
    for fail_at in 1..80 {
        let faults = DiskFaults { fail_at: Some(fail_at), ..DiskFaults::default() };
        stops_and_opens_again(fail_at, faults);
    }
}

#[test]
fn a_full_disk_stops_the_journal_and_room_lets_it_go_on() {
    let disk = Disk::new(0, DiskFaults::default());
    drop(Journal::create_on(disk.backend(), start(), JournalOptions::default()).unwrap());
    let capacity = Some(disk.content().len() as u64);
    stops_and_opens_again(1, DiskFaults { capacity, ..DiskFaults::default() });
}
