//! The order book, beside the obvious one.
//!
//! `near` is what each market event costs before a strategy is called: a regression there slows
//! backtests and live trading alike. `deep` is what feeds of whole books send most of the time,
//! `snapshot` what a resync costs, `replay` all of a feed in one figure.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tercel_core::{
    Book, BookState, Level, MapLevels, Price, PriceLevels, Quantity, Side, TickLevels,
};
use tercel_testkit::Random;

/// Bitcoin in tenths of a dollar.
const MIDDLE: i64 = 600_000;
/// Levels a side of a dense book.
const DEPTH: i64 = 2_500;

#[derive(Clone, Copy)]
struct Update {
    side: Side,
    price: Price,
    qty: Quantity,
}

/// Returns a side and a number of ticks behind its touch: 90 % within 20, the rest within 2,000.
fn near_the_touch(random: &mut Random) -> i64 {
    if random.chance(90) { random.between(0, 19) } else { random.between(20, 2_000) }
}

/// Returns a number of ticks behind the touch that no window reaches.
fn deep(random: &mut Random) -> i64 {
    random.between(5_000, 100_000)
}

/// Returns `n` updates, and a few, of a book of [`DEPTH`] levels whose touch walks at random. One
/// update in four removes a level, and levels that the touch runs over are removed first, so that
/// the sides never cross.
fn stream(n: usize, mut distance: impl FnMut(&mut Random) -> i64) -> Vec<Update> {
    let mut random = Random::new(7);
    let mut book = full::<MapLevels>(DEPTH, 1);
    let mut middle = MIDDLE;
    let mut updates = Vec::with_capacity(n + 100);
    while updates.len() < n {
        if random.chance(10) {
            middle += random.between(-2, 2) - (middle - MIDDLE) / 500;
        }
        let side = if random.chance(50) { Side::Buy } else { Side::Sell };
        let price = Price(middle - side.sign() * (1 + distance(&mut random)));
        let qty = if random.chance(25) { 0 } else { random.between(1, 1_000_000) };
        let crossed = |level: &Level| side.crosses(price, level.price);
        let run_over: Vec<_> = book.levels(side.opposite()).take_while(crossed).collect();
        for level in run_over {
            let side = side.opposite();
            updates.push(Update { side, price: level.price, qty: Quantity::ZERO });
            book.set(side, level.price, Quantity::ZERO);
        }
        updates.push(Update { side, price, qty: Quantity(qty) });
        book.set(side, price, Quantity(qty));
    }
    updates
}

/// Returns a book of `n` levels a side, `apart` ticks from each other.
fn full<L: PriceLevels>(n: i64, apart: i64) -> Book<L> {
    let mut book = Book::new();
    load(&mut book, n, apart);
    book
}

fn load<L: PriceLevels>(book: &mut Book<L>, n: i64, apart: i64) {
    book.clear(1);
    for nth in 0..n {
        for side in [Side::Buy, Side::Sell] {
            let price = MIDDLE - side.sign() * (1 + nth * apart);
            book.set(side, Price(price), Quantity(1 + nth));
        }
    }
    assert!(book.end().is_ok());
}

/// Measures one `set` of a stream that repeats.
fn updates<L: PriceLevels>(c: &mut Criterion, name: &str, book: &mut Book<L>, stream: &[Update]) {
    stream.iter().for_each(|update| book.set(update.side, update.price, update.qty));
    let mut next = stream.iter().cycle();
    c.bench_function(name, |b| {
        b.iter(|| {
            if let Some(update) = next.next() {
                book.set(update.side, update.price, update.qty);
            }
        });
    });
}

fn all<L: PriceLevels>(c: &mut Criterion, kind: &str) {
    let near = stream(10_000, near_the_touch);
    updates(c, &format!("near/{kind}"), &mut full::<L>(DEPTH, 1), &near);
    updates(c, &format!("deep/{kind}"), &mut full::<L>(5_000, 20), &stream(10_000, deep));

    let book = full::<L>(DEPTH, 1);
    c.bench_function(&format!("best/{kind}"), |b| {
        b.iter(|| black_box(&book).best(black_box(Side::Buy)));
    });
    c.bench_function(&format!("walk 10 levels/{kind}"), |b| {
        b.iter(|| black_box(&book).walk(Side::Buy, black_box(Quantity(55)), None));
    });

    // The touch goes, the next best is found, and the touch comes back.
    let mut book = full::<L>(2_500, 3);
    c.bench_function(&format!("remove best, best, restore/{kind}"), |b| {
        b.iter(|| {
            let best = book.best(Side::Sell);
            if let Some(level) = best {
                book.set(Side::Sell, level.price, Quantity::ZERO);
                black_box(book.best(Side::Sell));
                book.set(Side::Sell, level.price, level.qty);
            }
        });
    });

    for (name, apart) in [("dense", 1), ("sparse", 20)] {
        let mut book = full::<L>(5_000, apart);
        c.bench_function(&format!("snapshot of 10,000 levels, {name}/{kind}"), |b| {
            b.iter(|| load(&mut book, 5_000, apart));
        });
    }
}

fn replay<L: PriceLevels>(c: &mut Criterion, kind: &str, stream: &[Update]) {
    let mut group = c.benchmark_group("replay of 2,000,000 updates");
    group.throughput(Throughput::Elements(stream.len() as u64));
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let mut book = Book::<L>::new();
    group.bench_function(kind, |b| {
        b.iter(|| {
            load(&mut book, DEPTH, 1);
            for update in stream {
                book.set(update.side, update.price, update.qty);
                let _ = book.end();
            }
            // A stale book would skip the check for crossed sides.
            assert_eq!(black_box(&book).state(), BookState::Live);
        });
    });
    group.finish();
}

fn benches(c: &mut Criterion) {
    all::<TickLevels>(c, "fast");
    all::<MapLevels>(c, "naive");
    let stream = stream(2_000_000, near_the_touch);
    replay::<TickLevels>(c, "fast", &stream);
    replay::<MapLevels>(c, "naive", &stream);
}

criterion_group! {
    name = book;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = benches
}
criterion_main!(book);
