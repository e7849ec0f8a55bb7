//! Rings between two threads, each on a core of its own: ours, a bare rtrb, and one atomic word that
//! both spin on, which is what two cores need to talk at all. A regression here is latency on every
//! market event.
//!
//! One iteration is a round trip: there through one ring, back through another.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tercel_core::{Event, Side};
use tercel_runtime::{available_cores, pin_current_thread, ring};
use tercel_testkit::level;

const CAPACITY: usize = 4_096;

/// Pins both threads where there are two cores; else the figures are the scheduler's.
fn pin(nth: usize) {
    let cores = available_cores();
    if let (true, Some(core)) = (cores.len() > 1, cores.get(nth)) {
        pin_current_thread(*core).expect("the core is there");
    }
}

/// Times `n` round trips: `there` and `back` are the near side's, `echo` is what the far side does
/// until there is nothing more.
fn round_trips(
    n: u64,
    mut trip: impl FnMut(u64) + Send + 'static,
    echo: impl FnOnce() + Send + 'static,
) -> Duration {
    // Both on threads of their own: Criterion's is not pinned, for what it starts would be as well.
    let (ready, is_ready) = std::sync::mpsc::channel();
    let far = std::thread::spawn(move || {
        pin(1);
        ready.send(()).expect("the near side waits");
        echo();
    });
    let near = std::thread::spawn(move || {
        pin(0);
        // The far side begins on any core: spinning on it would keep it from leaving.
        is_ready.recv().expect("the far side has a core");
        // Both are warm once it has answered.
        (0..1_000).for_each(&mut trip);
        let begun = Instant::now();
        (0..n).for_each(&mut trip);
        begun.elapsed()
    });
    let spent = near.join().expect("the near side ends by itself");
    far.join().expect("the far side ends with the near side");
    spent
}

fn spin<T>(mut take: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = take() {
            return value;
        }
        spin_loop();
    }
}

fn atomic_word(n: u64) -> Duration {
    let word = Arc::new(AtomicU64::new(0));
    let far = Arc::clone(&word);
    let mut at = 0;
    let total = n + 1_000;
    round_trips(
        n,
        move |_| {
            word.store(at + 1, Ordering::Release);
            spin(|| (word.load(Ordering::Acquire) == at + 2).then_some(()));
            at += 2;
        },
        move || {
            for n in 0..total {
                spin(|| (far.load(Ordering::Acquire) == 2 * n + 1).then_some(()));
                far.store(2 * n + 2, Ordering::Release);
            }
        },
    )
}

fn bare_rtrb(n: u64) -> Duration {
    let (mut there, mut far_in) = rtrb::RingBuffer::<Event>::new(CAPACITY);
    let (mut far_out, mut back) = rtrb::RingBuffer::<Event>::new(CAPACITY);
    let event = level(0, 1, Side::Buy, 100, 5);
    let total = n + 1_000;
    round_trips(
        n,
        move |_| {
            there.push(event.clone()).expect("there is room");
            black_box(spin(|| back.pop().ok()));
        },
        move || {
            for _ in 0..total {
                let event = spin(|| far_in.pop().ok());
                far_out.push(event).expect("there is room");
            }
        },
    )
}

fn own_ring(n: u64) -> Duration {
    let (mut there, mut far_in) = ring::<Event>(CAPACITY);
    let (mut far_out, mut back) = ring::<Event>(CAPACITY);
    let event = level(0, 1, Side::Buy, 100, 5);
    let total = n + 1_000;
    round_trips(
        n,
        move |_| {
            there.push(event.clone()).expect("there is room");
            black_box(spin(|| back.pop()));
        },
        move || {
            for _ in 0..total {
                let event = spin(|| far_in.pop());
                far_out.push(event).expect("there is room");
            }
        },
    )
}

/// As the event loop takes them: in blocks, into a list.
fn own_ring_drained(n: u64) -> Duration {
    let (mut there, mut far_in) = ring::<Event>(CAPACITY);
    let (mut far_out, mut back) = ring::<Event>(CAPACITY);
    let event = level(0, 1, Side::Buy, 100, 5);
    let total = n + 1_000;
    round_trips(
        n,
        move |_| {
            there.push(event.clone()).expect("there is room");
            black_box(spin(|| back.pop()));
        },
        move || {
            let (mut taken, mut n_taken) = (Vec::with_capacity(64), 0);
            while n_taken < total {
                n_taken += spin(|| Some(far_in.drain(&mut taken, 64)).filter(|n| *n > 0)) as u64;
                for event in taken.drain(..) {
                    far_out.push(event).expect("there is room");
                }
            }
        },
    )
}

fn rings(c: &mut Criterion) {
    let mut group = c.benchmark_group("ring round trip");
    group.sample_size(30).measurement_time(Duration::from_secs(4));
    group.bench_function("an atomic word", |b| b.iter_custom(atomic_word));
    group.bench_function("bare rtrb", |b| b.iter_custom(bare_rtrb));
    group.bench_function("ours", |b| b.iter_custom(own_ring));
    group.bench_function("ours, drained", |b| b.iter_custom(own_ring_drained));
    group.finish();
}

criterion_group!(benches, rings);
criterion_main!(benches);
