//! The journal and the tape of a run: what an entry and a market event cost the engine's thread, what
//! the disk takes, and how fast a run is read back. A regression in the first two is latency on every
//! order, in the last a longer outage.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tercel_core::{
    AccountId, AssetId, ClientOrderId, Effect, Event, ExecutionReport, Fill, InstrumentId,
    MarketData, MarketEvent, Nanos, Notice, Price, Quantity, ReportKind, Role, Seq, Side,
    StrategyId,
};
use tercel_runtime::{Clock, UtcClock};
use tercel_store::Metadata;
use tercel_store::journal::{
    Journal, JournalError, JournalOptions, JournalReader, Record, RunStart, Sent, codec,
};
use tercel_store::market_tape::{MarketTape, MarketTapeOptions};

const N_READ: u64 = 1_000_000;

/// A fill and what follows from it: the common entry of a busy run.
fn fill() -> (Event, [Effect; 1]) {
    let fill = Fill {
        trade_id: 4_711_000_123,
        price: Price(6_512_345),
        qty: Quantity(25),
        role: Role::Maker,
        fee: rust_decimal::Decimal::new(123_456, 8),
        fee_asset: AssetId(1),
    };
    let report = ExecutionReport {
        order: ClientOrderId::new(12, 345_678),
        account: AccountId(0),
        instrument: InstrumentId(3),
        venue_at: Nanos(1_760_000_000_000_000_000),
        received_at: Nanos(1_760_000_000_000_400_000),
        kind: ReportKind::Fill(fill),
    };
    let drawn =
        Notice::Draw { strategy: StrategyId(0), plot: tercel_core::PlotId(1), value_bits: 1 << 62 };
    (Event::Execution(report), [Effect::Notice(drawn)])
}

fn create(path: &Path) -> Journal {
    let start =
        RunStart { run: 12, at: Nanos(0), config: String::new(), version: "bench".to_owned() };
    // Room for every entry of a batch: what is measured is handing over, not waiting for the disk.
    let options = JournalOptions { ring_bytes: 256 << 20, ..JournalOptions::default() };
    Journal::create(path, start, options).expect("a new file in an empty folder")
}

/// Hands over `n` entries, waiting where the disk does not keep up.
fn hand_over(journal: &mut Journal, from: u64, n: u64) {
    let (event, effects) = fill();
    for seq in from..from + n {
        while let Err(error) = journal.entry(Seq(seq), Nanos(5), &event, &effects) {
            assert!(matches!(error, JournalError::Full { .. }), "{error}");
            journal.wait_durable(journal.n_records(), Duration::MAX).expect("the disk works");
        }
    }
}

fn hot_side(c: &mut Criterion) {
    let (event, effects) = fill();
    let mut group = c.benchmark_group("journal");
    let mut out = Vec::with_capacity(256);
    group.bench_function("encode an entry", |b| {
        b.iter(|| {
            out.clear();
            codec::encode_entry(Seq(7), Nanos(5), black_box(&event), &effects, &mut out);
            black_box(out.len())
        });
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut journal = create(&folder.path().join("hot"));
    let mut next = 1;
    group.bench_function("hand an entry over", |b| {
        b.iter_custom(|n| {
            let mut spent = Duration::ZERO;
            let mut left = n;
            while left > 0 {
                let batch = left.min(1_000_000);
                let began = Instant::now();
                hand_over(&mut journal, next, batch);
                spent += began.elapsed();
                journal.wait_durable(journal.n_records(), Duration::MAX).expect("the disk works");
                next += batch;
                left -= batch;
            }
            spent
        });
    });
    let mut n_sent = 0;
    group.bench_function("hand over when a request left", |b| {
        b.iter_custom(|n| {
            let mut spent = Duration::ZERO;
            let mut left = n;
            while left > 0 {
                let batch = left.min(1_000_000);
                let began = Instant::now();
                for _ in 0..batch {
                    n_sent += 1;
                    let sent = sent(n_sent);
                    while let Err(error) = journal.record(&Record::Sent(sent)) {
                        assert!(matches!(error, JournalError::Full { .. }), "{error}");
                        let n = journal.n_records();
                        journal.wait_durable(n, Duration::MAX).expect("the disk works");
                    }
                }
                spent += began.elapsed();
                journal.wait_durable(journal.n_records(), Duration::MAX).expect("the disk works");
                left -= batch;
            }
            spent
        });
    });
    let mut clock = UtcClock::system();
    group.bench_function("look at the clock", |b| b.iter(|| black_box(clock.now())));
    group.finish();
}

/// When the `n`th request left.
fn sent(n: u64) -> Sent {
    Sent {
        seq: Seq(n),
        order: ClientOrderId::new(12, n),
        taken_at: Nanos(1_760_000_000_000_400_000),
        decided_ns: 1_950,
        recorded_ns: 2_020,
        sent_ns: 9_300,
    }
}

fn disk_side(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = c.benchmark_group("journal");
    group.sample_size(10).throughput(Throughput::Elements(N_READ));
    let mut n_files = 0;
    group.bench_function("a million entries to disk", |b| {
        b.iter_custom(|n| {
            (0..n)
                .map(|_| {
                    let path = folder.path().join(format!("write-{n_files}"));
                    n_files += 1;
                    let mut journal = create(&path);
                    let began = Instant::now();
                    hand_over(&mut journal, 1, N_READ);
                    journal.close().expect("the disk works");
                    let spent = began.elapsed();
                    std::fs::remove_file(&path).expect("a file of ours");
                    spent
                })
                .sum()
        });
    });
    let path = folder.path().join("read");
    let mut journal = create(&path);
    hand_over(&mut journal, 1, N_READ);
    journal.close().expect("the disk works");
    group.bench_function("open and read a million entries", |b| {
        b.iter(|| {
            let reader = JournalReader::open(&path).expect("written above");
            let mut n = 0;
            for record in reader.records().expect("readable") {
                record.expect("whole");
                n += 1;
            }
            assert_eq!(n, N_READ + 1);
        });
    });
    group.finish();
}

fn tape_side(c: &mut Criterion) {
    const BATCH: u64 = 1 << 20;
    let event = |n: i64| MarketEvent {
        venue_at: Nanos(1_760_000_000_000_000_000 + n * 1_000),
        received_at: Nanos(1_760_000_000_000_400_000 + n * 1_000),
        instrument: InstrumentId(3),
        data: MarketData::Level {
            side: Side::Buy,
            price: Price(6_512_345 + n % 16),
            qty: Quantity(25 + n % 1_000),
            last: n % 8 == 0,
        },
    };
    let events: Vec<_> = (0..4_096).map(event).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut n_tapes = 0;
    // Room for a batch: what is measured is handing over, beside a thread that writes.
    let options = MarketTapeOptions { ring_events: 1 << 20, ..MarketTapeOptions::default() };
    let mut group = c.benchmark_group("tape");
    group.sample_size(20).throughput(Throughput::Elements(1));
    group.bench_function("hand a market event over", |b| {
        b.iter_custom(|n| {
            let (mut spent, mut left) = (Duration::ZERO, n);
            while left > 0 {
                let place = folder.path().join(format!("{n_tapes}"));
                n_tapes += 1;
                let mut tape = MarketTape::create(&place, &Metadata::default(), options)
                    .expect("a new folder");
                let batch = left.min(BATCH);
                let began = Instant::now();
                for event in events.iter().cycle().take(usize::try_from(batch).unwrap_or(0)) {
                    tape.record(black_box(event));
                }
                spent += began.elapsed();
                tape.close().expect("the disk works");
                std::fs::remove_dir_all(&place).expect("a folder of ours");
                left -= batch;
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, hot_side, tape_side, disk_side);
criterion_main!(benches);
