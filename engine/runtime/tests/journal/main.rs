//! The recorder over a real journal: what is in it, what leaves when, and what a bad disk does.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod rig;

use std::time::Duration;

use tercel_core::{
    AccountId, Command, Effect, Effects, Event, OrderRequest, Scope, Seq, TradingState,
};
use tercel_runtime::{Durable, EndCause, Hole, RecorderOptions, Reexecution};
use tercel_script::Limits;
use tercel_store::journal::{Entry, JournalOptions, JournalReader, Record, Sent};
use tercel_store::market_tape::Taped;
use tercel_store::state;
use tercel_testkit::DiskFaults;

use rig::{Greedy, Kept, Over, Rig, account_of, at_once, engine, new_orders};

fn entries(reader: &JournalReader) -> Vec<Entry> {
    let records = reader.records().unwrap().map(|record| record.unwrap().1);
    let entries = records.filter_map(|record| match record {
        Record::Entry(entry) => Some(entry),
        _ => None,
    });
    entries.collect()
}

fn is_market(event: &Event) -> bool {
    matches!(event, Event::Market(_))
}

fn is_journaled(kept: &Kept) -> bool {
    !is_market(&kept.event) || !kept.effects.is_empty()
}

fn assert_same(entry: &Entry, kept: &Kept) {
    assert_eq!((entry.seq, entry.now), (kept.seq, kept.now));
    assert_eq!(entry.event.as_ref(), (!is_market(&kept.event)).then_some(&kept.event));
    assert_eq!(entry.effects.len(), kept.effects.len(), "{kept:?}");
    for (recorded, effect) in entry.effects.iter().zip(&kept.effects) {
        assert!(recorded.records(effect), "{recorded:?} is not {effect:?}");
    }
}

/// The journal is whole, sealed, and holds exactly what it should.
fn assert_complete(over: &Over) {
    let verified = over.reader.verify().unwrap();
    assert!(over.reader.is_sealed());
    assert_eq!(verified.last_seq, over.kept.last().map(|kept| kept.seq));
    let entries = entries(&over.reader);
    let expected: Vec<_> = over.kept.iter().filter(|kept| is_journaled(kept)).collect();
    assert_eq!(entries.len(), expected.len());
    entries.iter().zip(expected).for_each(|(entry, kept)| assert_same(entry, kept));
    let snapshot = over.reader.last_snapshot().unwrap().unwrap();
    assert_eq!(snapshot.state_hash, over.state_hash, "the state at the end is the last snapshot");
    assert_eq!(over.counts.n_missing, 0);
}

#[test]
fn everything_but_plain_market_data_is_journaled_and_the_run_is_sealed() {
    let mut rig = Rig::new(RecorderOptions::default(), JournalOptions::default());
    for n in 0..300 {
        rig.quote();
        rig.trade();
        if n % 50 == 49 {
            rig.command(Command::Kill(Scope::Engine));
            rig.quote_seen();
            rig.resume();
        }
    }
    rig.quote_seen();
    let over = rig.stop();
    assert_eq!(over.ending.cause, EndCause::Stopped);
    assert_eq!(over.ending.record_failure, None);
    assert_complete(&over);
    let n_plain = over.kept.iter().filter(|kept| !is_journaled(kept)).count();
    assert!(n_plain > 0, "some market data had no effects");
    let last = over.reader.records().unwrap().last().unwrap().unwrap().1;
    assert!(matches!(last, Record::RunEnded { reason, .. } if reason == "stopped"));
}

/// When requests left is on record: after their entries, in order of time, and of those that waited for
/// the disk as well.
#[test]
fn it_is_recorded_when_each_request_left() {
    let durable = Durable::Accounts(vec![AccountId(1)]);
    let mut rig = Rig::new(RecorderOptions { durable, ..RecorderOptions::default() }, at_once());
    for _ in 0..20 {
        rig.quote_seen();
    }
    rig.until("all are sent", |status| status.n_requests == 40);
    let over = rig.stop();
    let records = || over.reader.records().unwrap().map(|record| record.unwrap().1);
    let sent: Vec<Sent> = records()
        .filter_map(|record| match record {
            Record::Sent(sent) => Some(sent),
            _ => None,
        })
        .collect();
    let orders: Vec<_> = over.sent.iter().map(OrderRequest::id).collect();
    assert_eq!(sent.iter().map(|sent| sent.order).collect::<Vec<_>>(), orders);
    for own in &sent {
        assert!(own.decided_ns <= own.recorded_ns && own.recorded_ns <= own.sent_ns, "{own:?}");
        let entry = over.kept.iter().find(|kept| kept.seq == own.seq).unwrap();
        let sends =
            |effect: &Effect| matches!(effect, Effect::Send(request) if request.id() == own.order);
        assert!(entry.effects.iter().any(sends), "{own:?} is of {entry:?}");
        assert!(entry.now <= own.taken_at);
    }
    assert_complete(&over);
}

#[test]
fn durable_accounts_wait_for_the_disk_and_nobody_else_does() {
    let durable = Durable::Accounts(vec![AccountId(1)]);
    let mut rig = Rig::new(RecorderOptions { durable, ..RecorderOptions::default() }, at_once());
    rig.quote_seen();
    rig.until("both are sent", |status| status.n_requests == 2);
    rig.disk.hold();
    for _ in 0..5 {
        rig.quote_seen();
    }
    let status = rig.until("all is handled", |status| status.n_open_orders == 12);
    assert_eq!((status.n_held, status.n_requests), (5, 7), "the market went on");
    rig.disk.release();
    rig.until("all are sent", |status| status.n_held == 0 && status.n_requests == 12);
    let over = rig.stop();
    let durable: Vec<_> =
        over.sent.iter().copied().filter(|request| account_of(request) == AccountId(1)).collect();
    assert!(new_orders(&durable).is_sorted());
    assert_eq!(durable.len(), 6);
    assert_complete(&over);
}

/// What is true of every trouble: trading halts, says why, and only cancels leave.
fn assert_halted(rig: &mut Rig, why: &str) {
    let status = rig.until_fails(why);
    assert_eq!(status.state, TradingState::Halted);
    assert!(status.record_failure.as_ref().unwrap().contains("then resume"), "{status:?}");
    let sent = rig.new_orders();
    rig.resume();
    rig.quote_seen();
    rig.until("halted again", |status| status.state == TradingState::Halted);
    assert_eq!(rig.new_orders(), sent, "no order leaves");
}

/// And of its end: it trades again after a resume, and not before.
fn assert_recovers(rig: &mut Rig) {
    let status = rig.until_works();
    assert_eq!(status.state, TradingState::Halted, "to trade again is a decision");
    let n_sent = rig.n_sent();
    rig.quote_seen();
    assert_eq!(rig.n_sent(), n_sent);
    rig.resume();
    rig.until("active", |status| status.state == TradingState::Active);
    rig.quote_seen();
    rig.until("orders leave again", |status| status.n_held == 0);
    assert_eq!(rig.n_sent(), n_sent + 2);
}

#[test]
fn a_full_ring_halts_and_loses_nothing() {
    let journal = JournalOptions { ring_bytes: 4_096, ..at_once() };
    let mut rig = Rig::new(RecorderOptions::default(), journal);
    rig.quote_seen();
    rig.disk.hold();
    for _ in 0..200 {
        rig.quote();
    }
    assert_halted(&mut rig, "ring is full");
    rig.disk.release();
    assert_recovers(&mut rig);
    let over = rig.stop();
    assert_complete(&over);
}

#[test]
fn a_disk_that_does_not_answer_halts_before_anything_is_full() {
    let stall = Duration::from_millis(30);
    let mut rig = Rig::new(RecorderOptions { stall, ..RecorderOptions::default() }, at_once());
    rig.quote_seen();
    rig.disk.hold();
    rig.quote_seen();
    assert_halted(&mut rig, "has not answered");
    rig.disk.release();
    assert_recovers(&mut rig);
    let over = rig.stop();
    assert_complete(&over);
}

fn quick() -> RecorderOptions {
    RecorderOptions { reopen_interval: Duration::from_millis(5), ..RecorderOptions::default() }
}

/// The journal is whole and its last snapshot with its tail leads to the end, though something is
/// missing before.
fn assert_resumable(over: &Over) {
    over.reader.verify().unwrap();
    assert!(over.reader.is_sealed());
    let snapshot = over.reader.last_snapshot().unwrap().unwrap();
    assert_eq!(snapshot.state_hash, over.state_hash);
    for entry in entries(&over.reader) {
        let kept = over.kept.iter().find(|kept| kept.seq == entry.seq).unwrap();
        assert_same(&entry, kept);
    }
    let snapshots = over.reader.records().unwrap().filter_map(|record| match record.unwrap().1 {
        Record::Snapshot { seq, state_hash, .. } => Some((seq, state_hash)),
        _ => None,
    });
    let snapshots: Vec<_> = snapshots.collect();
    let hole = holes(over);
    assert!(!hole.is_empty() || over.counts.n_missing == 0);
    if let Some(last) = hole.last() {
        assert!(snapshots.iter().any(|(seq, _)| seq >= last), "a snapshot ends the hole");
        let records = || over.reader.records().unwrap().map(|record| record.unwrap().1);
        let gap = records().position(|own| matches!(own, Record::Gap { .. }));
        let end = records()
            .position(|own| matches!(own, Record::Snapshot { seq, .. } if seq >= *last))
            .unwrap();
        let before = records().take(gap.expect("the hole is told")).filter_map(|own| match own {
            Record::Entry(entry) => Some(entry.seq),
            _ => None,
        });
        assert!(gap.unwrap() < end, "it is told before the snapshot that ends it");
        assert!(before.max().is_none_or(|seq| seq < hole[0]), "it is told where it begins");
    }
    assert_snapshots(over, &snapshots);
    assert_replays(over);
}

/// Executed again, over its holes, the run comes to the same end.
fn assert_replays(over: &Over) {
    let market = over.kept.iter().filter_map(|kept| match kept.event {
        Event::Market(event) => Some(event),
        _ => None,
    });
    let tape: Vec<_> =
        (0..).zip(market).map(|(index, event)| Taped::Event { index, event }).collect();
    let done = Reexecution {
        journal: &over.reader,
        tape: Some(tape.into_iter()),
        native: &|_| Box::new(Greedy),
        limits: &Limits::of,
        intents_per_call: 64,
        until: None,
        noted: None,
    }
    .run()
    .unwrap();
    assert_eq!((&done.difference, &done.stopped), (&None, &None));
    assert_eq!(Some(done.last_seq), over.kept.last().map(|kept| kept.seq));
    assert_eq!(done.engine.state_hash(), over.state_hash);
    let told = over.reader.verify().unwrap().holes;
    let ends = |hole: &Hole| (hole.to, hole.n_lost, hole.why.clone());
    let expected: Vec<_> =
        told.iter().map(|hole| (hole.until, hole.n_lost, hole.why.clone())).collect();
    assert_eq!(done.holes.iter().map(ends).collect::<Vec<_>>(), expected);
    for missing in holes(over) {
        let is_told = |hole: &Hole| hole.from <= missing && missing <= hole.to;
        assert!(done.holes.iter().any(is_told), "{missing} is in no hole: {:?}", done.holes);
    }
    assert!(done.holes.iter().all(|hole| !hole.why.is_empty()), "{:?}", done.holes);
}

/// What should be in the journal and is not.
fn holes(over: &Over) -> Vec<Seq> {
    let there: Vec<_> = entries(&over.reader).iter().map(|entry| entry.seq).collect();
    let kept = over.kept.iter().filter(|kept| is_journaled(kept)).map(|kept| kept.seq);
    kept.filter(|seq| !there.contains(seq)).collect()
}

/// The snapshots are those of an engine that takes the same events.
fn assert_snapshots(over: &Over, snapshots: &[(Seq, u64)]) {
    let (mut again, mut effects) = (engine(), Effects::default());
    let mut snapshots = snapshots.iter().peekable();
    if let Some((_, hash)) = snapshots.next_if(|(seq, _)| *seq == Seq(0)) {
        assert_eq!(again.state_hash(), *hash, "the state at the beginning");
    }
    for kept in &over.kept {
        again.handle(kept.seq, kept.now, &kept.event, &mut effects);
        effects.clear();
        while let Some((seq, hash)) = snapshots.next_if(|(seq, _)| *seq == kept.seq) {
            assert_eq!(again.state_hash(), *hash, "state after {seq}");
        }
    }
    assert_eq!(snapshots.next(), None);
    assert_eq!(again.state_hash(), over.state_hash);
}

#[test]
fn a_failed_commit_halts_and_the_journal_is_opened_again() {
    for at in 1..6 {
        let mut rig = Rig::new(quick(), at_once());
        rig.quote_seen();
        rig.until("sent", |status| status.n_requests == 2);
        rig.disk.set_faults(DiskFaults { fail_at: Some(at), ..DiskFaults::default() });
        // Opening again may hit the operation that fails as well: whoever does, it is over then.
        let mut n = 0;
        while rig.handle.status(rig::SOON).unwrap().state != TradingState::Halted && n < 10_000 {
            rig.quote();
            n += 1;
        }
        assert_recovers(&mut rig);
        let over = rig.stop();
        assert_eq!(over.counts.n_reopened, 1, "operation {at}");
        assert_resumable(&over);
    }
}

#[test]
fn a_full_disk_halts_until_there_is_room() {
    let mut rig = Rig::new(quick(), at_once());
    rig.quote_seen();
    let capacity = Some(rig.disk.content().len() as u64);
    rig.disk.set_faults(DiskFaults { capacity, ..DiskFaults::default() });
    while rig.handle.status(rig::SOON).unwrap().record_failure.is_none() {
        rig.quote();
    }
    assert_halted(&mut rig, "free space");
    rig.disk.set_faults(DiskFaults::default());
    assert_recovers(&mut rig);
    let over = rig.stop();
    assert!(over.counts.n_reopened > 0 && over.counts.n_missing > 0, "{:?}", over.counts);
    assert_resumable(&over);
}

#[test]
fn more_than_may_wait_opens_the_journal_again() {
    let journal = JournalOptions { ring_bytes: 4_096, ..at_once() };
    let mut rig = Rig::new(RecorderOptions { backlog: 8, ..quick() }, journal);
    rig.quote_seen();
    rig.disk.hold();
    for _ in 0..300 {
        rig.quote();
    }
    assert_halted(&mut rig, "room for wait");
    rig.disk.release();
    assert_recovers(&mut rig);
    let over = rig.stop();
    assert!(over.counts.n_missing > 0);
    assert_resumable(&over);
}

#[test]
fn an_order_whose_number_is_not_leased_does_not_leave() {
    let mut rig = Rig::new(RecorderOptions { lease: 16, ..quick() }, at_once());
    rig.quote_seen();
    rig.until("sent", |status| status.n_requests == 2);
    rig.disk.hold();
    for _ in 0..30 {
        rig.quote();
    }
    assert_halted(&mut rig, "leased up to");
    // Numbers 0 to 15 are leased; the next lease may have been durable before the disk hung. Orders
    // come in pairs from 1 on, and half a record does not leave.
    let last = *rig.new_orders().last().unwrap();
    assert!(last == 14 || last == 30, "{last}");
    rig.disk.release();
    assert_recovers(&mut rig);
    let over = rig.stop();
    let ids = new_orders(&over.sent);
    let mut unique = ids.clone();
    unique.dedup();
    assert!(ids.is_sorted() && unique == ids, "no number recurs");
    let end = over.reader.last_lease().unwrap().end;
    assert!(ids.iter().all(|id| *id < end));
    assert_complete(&over);
}

#[test]
fn leases_are_renewed_in_time_without_waiting() {
    let mut rig = Rig::new(RecorderOptions { lease: 1_024, ..quick() }, at_once());
    for _ in 0..2_000 {
        rig.quote_seen();
    }
    rig.until("all is sent", |status| status.n_requests == 4_000);
    let over = rig.stop();
    assert_eq!(over.ending.record_failure, None);
    assert_eq!(new_orders(&over.sent).len(), 4_000);
    assert!(over.reader.last_lease().unwrap().start >= 4_000 - 1_024);
    assert_complete(&over);
}

#[test]
fn snapshots_stand_where_their_tails_begin() {
    let options = RecorderOptions { snapshot_entries: 10, ..quick() };
    let mut rig = Rig::new(options, at_once());
    for _ in 0..400 {
        rig.quote_seen();
    }
    let over = rig.stop();
    assert!(over.counts.n_snapshots >= 3, "{:?}", over.counts);
    assert!(over.counts.snapshot_pause_max > Duration::ZERO);
    let records: Vec<_> = over.reader.records().unwrap().map(|r| r.unwrap().1).collect();
    let mut snapshots = Vec::new();
    for record in &records {
        let Record::Snapshot { seq, state_hash, n_before, bytes, .. } = record else { continue };
        assert_eq!(state::decode(bytes).unwrap().hash(), *state_hash);
        snapshots.push((*seq, *state_hash));
        let (before, after) = records.split_at(usize::try_from(*n_before).unwrap());
        let seq_of = |record: &Record| match record {
            Record::Entry(entry) => Some(entry.seq),
            _ => None,
        };
        assert!(before.iter().filter_map(seq_of).all(|other| other <= *seq));
        assert!(after.iter().filter_map(seq_of).all(|other| other > *seq));
    }
    assert_snapshots(&over, &snapshots);
    assert_complete(&over);
}

#[test]
fn snapshots_come_after_a_time_if_anything_happened() {
    let snapshot_interval = Duration::from_millis(5);
    let options = RecorderOptions { snapshot_interval, ..quick() };
    let mut rig = Rig::new(options, at_once());
    rig.quote_seen();
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(40) {
        rig.until("answers", |_| true);
    }
    let over = rig.stop();
    // One for the orders, none for the silence after them, one at the end.
    let n = over.counts.n_snapshots;
    assert!((2..=3).contains(&n), "{n}");
    assert_complete(&over);
}

#[test]
fn cancels_are_recorded_too() {
    let mut rig = Rig::new(quick(), at_once());
    rig.quote_seen();
    rig.command(Command::Kill(Scope::Engine));
    rig.until("cancelled", |status| status.n_requests == 4);
    let over = rig.stop();
    let is_cancel = |request: &OrderRequest| matches!(request, OrderRequest::Cancel { .. });
    assert_eq!(over.sent.iter().filter(|request| is_cancel(request)).count(), 2);
    let recorded = over
        .kept
        .iter()
        .flat_map(|kept| &kept.effects)
        .filter(|effect| matches!(effect, Effect::Send(request) if is_cancel(request)));
    assert_eq!(recorded.count(), 2);
    assert_complete(&over);
}
