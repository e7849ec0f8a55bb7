//! A book that has seen its usual depth allocates no more, whatever its market does.

mod counting;

use counting::allocations;
use tercel_core::{Book, BookState, NaiveBook, OrderBook, Price, PriceLevels, Quantity, Side};
use tercel_testkit::Random;

const N_FAR: i64 = 3_000;

/// A market that walks, jumps, and resyncs now and then.
struct Market {
    random: Random,
    middle: i64,
    seq: u64,
}

impl Market {
    const fn new() -> Self {
        Self { random: Random::new(11), middle: 600_000, seq: 0 }
    }

    /// Sends a snapshot: levels at every tick near the touch, and wide apart behind.
    fn snapshot<L: PriceLevels>(&mut self, book: &mut Book<L>) {
        self.seq += 1;
        book.clear(self.seq);
        for nth in 0..1_000 + N_FAR {
            let distance = if nth < 1_000 { 1 + nth } else { 1_000 + (nth - 1_000) * 37 };
            for side in [Side::Buy, Side::Sell] {
                book.set(side, Price(self.middle - side.sign() * distance), Quantity(1 + nth));
            }
        }
        assert_eq!(book.end(), Ok(()));
    }

    /// Sends `n` lists of ten changes each, near the touch and far from it.
    fn trade<L: PriceLevels>(&mut self, book: &mut Book<L>, n: usize) {
        for nth in 0..n {
            if nth % 5_000 == 4_999 {
                self.middle += self.random.between(-20_000, 20_000);
                self.snapshot(book);
            }
            self.middle += self.random.between(-2, 2);
            for side in [Side::Buy, Side::Sell] {
                while let Some(level) = book.best(side)
                    && side.crosses(level.price, Price(self.middle))
                {
                    book.set(side, level.price, Quantity::ZERO);
                }
            }
            self.seq += 1;
            assert_eq!(book.begin(self.seq - 1, self.seq), Ok(()));
            for _ in 0..10 {
                let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
                let near = self.random.chance(70);
                let distance = self.random.between(1, if near { 30 } else { N_FAR * 37 });
                // Levels come and go alike, so that the depth stays about the same.
                let qty = if self.random.chance(70) { 0 } else { self.random.between(1, 1_000) };
                book.set(side, Price(self.middle - side.sign() * distance), Quantity(qty));
            }
            assert_eq!(book.end(), Ok(()));
        }
    }
}

#[test]
fn steady_state_updates_allocate_nothing() {
    let mut market = Market::new();
    let mut book = OrderBook::new();
    market.snapshot(&mut book);
    market.trade(&mut book, 10_000);
    let (n, ()) = allocations(|| market.trade(&mut book, 100_000));
    assert_eq!(n, 0, "a million updates and 20 snapshots");
    assert_eq!(book.state(), BookState::Live);
    let n_levels = book.n_levels(Side::Buy) + book.n_levels(Side::Sell);
    assert!(n_levels > 2_000, "the book has {n_levels} levels left: too few to prove anything");

    let (n, _) = allocations(|| {
        let cost = book.walk(Side::Buy, Quantity(10_000), None);
        (cost, book.depth_qty(Side::Sell, 50), book.levels(Side::Buy).count())
    });
    assert_eq!(n, 0, "questions");
}

#[test]
fn a_market_without_a_book_costs_no_heap_memory() {
    let (n, book) = allocations(OrderBook::new);
    assert_eq!((n, book.n_levels(Side::Buy)), (0, 0));
}

#[test]
fn the_counter_sees_what_the_obvious_book_allocates() {
    let mut market = Market::new();
    let mut book = NaiveBook::new();
    market.snapshot(&mut book);
    market.trade(&mut book, 1_000);
    let (n, ()) = allocations(|| market.trade(&mut book, 1_000));
    assert!(n > 0, "the maps allocate nodes");
}
