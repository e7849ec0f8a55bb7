//! The book to trade on against the obvious one: generated updates, equal answers.

use std::cell::Cell;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::digest::Digest;
use crate::effect::StaleCause;

const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

/// One thing that happens to a book. Offsets count steps from the middle, away from it.
#[derive(Clone, Debug)]
enum Op {
    /// Sets a level; an offset below zero lies beyond the middle and may cross.
    Set { side: Side, offset: i64, qty: i64 },
    /// Takes the best levels of a side away.
    Eat { side: Side, n: usize },
    /// Moves the middle; levels that it leaves on the wrong side go.
    Walk { steps: i64 },
    /// A list's end, and the next one's begin, after a gap now and then.
    Batch { gap: bool },
    /// A snapshot of levels so many steps apart, best first or worst first.
    Snapshot { n: i64, apart: i64, best_first: bool },
    /// The link goes down.
    Invalidate,
    /// What a snapshot of the state does.
    Clone,
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn qty() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 1_i64..1_000, 4 => Just(0), 1 => Just(i64::MAX), 1 => -5_i64..0]
}

fn op() -> impl Strategy<Value = Op> {
    let offset = prop_oneof![
        60 => 1_i64..20,
        20 => 1_i64..1_500,
        // Around the window's end.
        10 => 2_900_i64..4_300,
        9 => 1_i64..1_000_000,
        1 => -3_i64..1,
    ];
    let steps = prop_oneof![80 => -3_i64..4, 10 => -700_i64..700, 5 => -9_000_i64..9_000, 1 => -(1_i64 << 36)..1 << 36];
    prop_oneof![
        600 => (side(), offset, qty()).prop_map(|(side, offset, qty)| Op::Set { side, offset, qty }),
        30 => (side(), 0_usize..12).prop_map(|(side, n)| Op::Eat { side, n }),
        60 => steps.prop_map(|steps| Op::Walk { steps }),
        100 => prop::bool::weighted(0.02).prop_map(|gap| Op::Batch { gap }),
        2 => (0_i64..400, prop_oneof![1_i64..4, 1_i64..300], any::<bool>())
            .prop_map(|(n, apart, best_first)| Op::Snapshot { n, apart, best_first }),
        1 => Just(Op::Invalidate),
        1 => Just(Op::Clone),
    ]
}

/// Where prices begin, and ticks a step.
fn terrain() -> impl Strategy<Value = (i64, i64)> {
    let start = prop_oneof![
        Just(1_i64),
        Just(600_000),
        Just(1 << 40),
        Just(-1_000_000_000),
        Just(i64::MAX - 2_000),
        Just(i64::MIN + 2_000),
        any::<i64>(),
    ];
    (start, prop_oneof![4 => Just(1_i64), 1 => Just(7), 1 => Just(100), 1 => Just(10_000_000)])
}

struct Pair {
    fast: OrderBook,
    naive: NaiveBook,
    middle: i64,
    step: i64,
    n_sets: u64,
}

impl Pair {
    fn price(&self, side: Side, offset: i64) -> Price {
        let away = offset.saturating_mul(self.step).saturating_mul(-side.sign());
        Price(self.middle.saturating_add(away))
    }

    fn set(&mut self, side: Side, price: Price, qty: i64) {
        self.fast.set(side, price, Quantity(qty));
        self.naive.set(side, price, Quantity(qty));
        self.n_sets += 1;
        assert_eq!(self.fast.qty_at(side, price), Quantity(qty.max(0)), "{side} {price}");
        assert_eq!(self.fast.best(side), self.naive.best(side), "best {side} after {price}");
    }

    fn both<T: PartialEq + std::fmt::Debug>(
        &mut self,
        fast: impl FnOnce(&mut OrderBook) -> T,
        naive: impl FnOnce(&mut NaiveBook) -> T,
    ) {
        assert_eq!(fast(&mut self.fast), naive(&mut self.naive));
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Set { side, offset, qty } => self.set(side, self.price(side, offset), qty),
            Op::Eat { side, n } => {
                for level in self.naive.levels(side).take(n).collect::<Vec<_>>() {
                    self.set(side, level.price, 0);
                }
            }
            Op::Walk { steps } => {
                self.middle = self.middle.saturating_add(steps.saturating_mul(self.step));
                for side in SIDES {
                    let middle = Price(self.middle);
                    let crossed = |level: &Level| side.crosses(level.price, middle);
                    for level in self.naive.levels(side).take_while(crossed).collect::<Vec<_>>() {
                        self.set(side, level.price, 0);
                    }
                }
            }
            Op::Batch { gap } => {
                self.both(OrderBook::end, NaiveBook::end);
                let prev = self.naive.seq() + u64::from(gap);
                self.both(|book| book.begin(prev, prev + 3), |book| book.begin(prev, prev + 3));
                if gap || matches!(self.naive.state(), BookState::Stale(StaleCause::Crossed)) {
                    self.apply(&Op::Snapshot { n: 50, apart: 1, best_first: true });
                }
            }
            Op::Snapshot { n, apart, best_first } => {
                let seq = self.naive.seq() + 10;
                self.both(|book| book.clear(seq), |book| book.clear(seq));
                for nth in 0..n {
                    let nth = if best_first { nth } else { n - 1 - nth };
                    for side in SIDES {
                        self.set(side, self.price(side, 1 + nth * apart), 1 + nth);
                    }
                }
                self.both(OrderBook::end, NaiveBook::end);
            }
            Op::Invalidate => {
                let cause = StaleCause::Link;
                self.both(|book| book.invalidate(cause), |book| book.invalidate(cause));
            }
            Op::Clone => self.fast = self.fast.clone(),
        }
        self.check_counts();
    }

    fn check_counts(&self) {
        assert_eq!(self.fast.state(), self.naive.state());
        assert_eq!(self.fast.seq(), self.naive.seq());
        for side in SIDES {
            assert_eq!(self.fast.n_levels(side), self.naive.n_levels(side));
        }
    }

    fn check_all(&self) {
        self.fast.store().assert_sound();
        for side in SIDES {
            assert!(self.fast.levels(side).eq(self.naive.levels(side)), "{side}: {:?}", self.fast);
            assert_eq!(self.fast.depth_qty(side, 20), self.naive.depth_qty(side, 20));
            for qty in [1, 500, 30_000].map(Quantity) {
                let limit = Some(self.price(side.opposite(), 9));
                assert_eq!(self.fast.walk(side, qty, limit), self.naive.walk(side, qty, limit));
                assert_eq!(self.fast.walk(side, qty, None), self.naive.walk(side, qty, None));
            }
        }
        assert_eq!(digest(&self.fast), digest(&self.naive));
    }
}

fn digest<L: PriceLevels>(book: &Book<L>) -> u64 {
    let mut digest = Digest::new();
    book.digest(&mut digest);
    digest.value()
}

#[test]
fn a_million_updates_leave_both_books_equal() {
    let n_sets = Cell::new(0);
    let config = Config { cases: 120, failure_persistence: None, ..Config::default() };
    let strategy = (terrain(), prop::collection::vec(op(), 3_000..5_000));
    let result = TestRunner::new(config).run(&strategy, |((middle, step), ops)| {
        let (fast, naive) = (OrderBook::new(), NaiveBook::new());
        let mut books = Pair { fast, naive, middle, step, n_sets: 0 };
        for (n, op) in ops.iter().enumerate() {
            books.apply(op);
            if n % 250 == 0 {
                books.check_all();
            }
        }
        books.check_all();
        n_sets.set(n_sets.get() + books.n_sets);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }

    assert!(n_sets.get() >= 1_000_000, "{} updates", n_sets.get());
}
