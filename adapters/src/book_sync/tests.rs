use proptest::prelude::*;
use tercel_core::{BookState, MarketEvent, Nanos, OrderBook};

use super::held::{HELD_LEVELS_MAX, HELD_MAX};
use super::*;

fn change(price: i64, qty: i64) -> Change {
    Change { price: Price(price), qty: Quantity(qty) }
}

fn increment(first: u64, last: u64, prev: u64) -> Increment {
    Increment { first, last, prev, venue_at: Nanos(1), received_at: Nanos(2) }
}

fn snapshot(last: u64) -> SnapshotAt {
    SnapshotAt { last, venue_at: Nanos(1), received_at: Nanos(2) }
}

fn sync(rule: SequenceRule) -> BookSync {
    BookSync::new(VenueId(0), InstrumentId(0), rule)
}

/// The engine's book, with what it would refuse.
#[derive(Default)]
struct Taker {
    book: OrderBook,
    n_gaps: usize,
}

impl Taker {
    fn take(&mut self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            match event {
                Event::Link(_) => self.n_gaps += 1,
                Event::Market(MarketEvent { data, .. }) => match data {
                    MarketData::Clear { seq } => self.book.clear(seq),
                    MarketData::Batch { prev, seq } => self.book.begin(prev, seq).unwrap(),
                    MarketData::Level { side, price, qty, last } => {
                        self.book.set(side, price, qty);
                        if last {
                            self.book.end().unwrap();
                        }
                    }
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn what_came_before_the_snapshot_is_put_on_top_of_it() {
    let mut sync = sync(SequenceRule::Contiguous);
    let (mut events, mut taker) = (Vec::new(), Taker::default());
    let step = sync.increment(&increment(5, 9, 0), &[change(99, 1)], &[], &mut events);
    assert_eq!(step, Step::NeedSnapshot);
    let step = sync.increment(&increment(10, 12, 0), &[change(100, 7)], &[], &mut events);
    assert_eq!((step, events.len()), (Step::Done, 0));
    let step = sync.snapshot(&snapshot(9), &[change(98, 1)], &[change(101, 1)], &mut events);
    assert_eq!(step, Step::Done);
    taker.take(&mut events);
    assert_eq!(taker.book.state(), BookState::Live);
    assert_eq!(taker.book.best(Side::Buy).unwrap().price, Price(100));
    assert_eq!(taker.book.qty_at(Side::Buy, Price(99)), Quantity(0));
}

#[test]
fn a_snapshot_that_is_too_old_is_fetched_again() {
    for rule in [SequenceRule::Contiguous, SequenceRule::Linked] {
        let mut sync = sync(rule);
        let mut events = Vec::new();
        let _ = sync.increment(&increment(12, 15, 11), &[], &[], &mut events);
        assert_eq!(sync.snapshot(&snapshot(10), &[], &[], &mut events), Step::NeedSnapshot);
        assert!(events.is_empty() && sync.is_waiting());
        assert_eq!(sync.snapshot(&snapshot(11), &[], &[], &mut events), Step::Done);
        assert!(sync.is_live());
    }
}

#[test]
fn a_late_snapshot_does_not_rewind_a_healthy_book() {
    let mut sync = sync(SequenceRule::Contiguous);
    let mut events = Vec::new();
    sync.resync();
    let _ = sync.snapshot(&snapshot(10), &[change(1, 1)], &[], &mut events);
    let _ = sync.increment(&increment(11, 12, 0), &[change(2, 1)], &[], &mut events);
    events.clear();
    for last in [5, 12, 20] {
        let _ = sync.snapshot(&snapshot(last), &[change(1, 9)], &[], &mut events);
    }
    assert!(events.is_empty());
    let step = sync.increment(&increment(13, 13, 0), &[change(2, 0)], &[], &mut events);
    assert_eq!((step, events.len()), (Step::Done, 2));
}

/// A healthy book whose snapshot was asked for anew held everything back until it came, without a
/// word: the engine went on at the prices of before, for good if it could not be had.
#[test]
fn a_live_book_goes_on_until_its_next_snapshot_is_there() {
    for rule in [SequenceRule::Contiguous, SequenceRule::Linked] {
        let mut sync = sync(rule);
        let (mut events, mut taker) = (Vec::new(), Taker::default());
        sync.resync();
        let _ = sync.snapshot(&snapshot(10), &[change(1, 1)], &[change(9, 1)], &mut events);
        let _ = sync.increment(&increment(11, 12, 10), &[change(2, 1)], &[], &mut events);
        sync.resync();
        assert!(sync.is_live() && sync.is_waiting());
        let _ = sync.increment(&increment(13, 14, 12), &[change(3, 1)], &[], &mut events);
        let _ = sync.increment(&increment(15, 16, 14), &[change(4, 1)], &[], &mut events);
        taker.take(&mut events);
        assert_eq!(taker.book.best(Side::Buy).unwrap().price, Price(4));
        // What it has missed without a word is in the snapshot, what came after it is not.
        let bids = [change(1, 1), change(2, 1), change(3, 7)];
        let step = sync.snapshot(&snapshot(14), &bids, &[change(9, 1)], &mut events);
        assert_eq!(step, Step::Done);
        taker.take(&mut events);
        assert_eq!((taker.n_gaps, taker.book.state()), (0, BookState::Live));
        assert_eq!(taker.book.best(Side::Buy).unwrap().price, Price(4));
        assert_eq!(taker.book.qty_at(Side::Buy, Price(3)), Quantity(7));
        assert!(!sync.is_waiting());
        let step = sync.increment(&increment(17, 18, 16), &[change(4, 0)], &[], &mut events);
        assert_eq!(step, Step::Done);
        taker.take(&mut events);
        assert_eq!(taker.book.best(Side::Buy).unwrap().price, Price(3));
    }
}

#[test]
fn a_snapshot_from_before_it_was_asked_for_rewinds_nothing() {
    let mut sync = sync(SequenceRule::Contiguous);
    let mut events = Vec::new();
    sync.resync();
    let _ = sync.snapshot(&snapshot(10), &[change(1, 1)], &[], &mut events);
    sync.resync();
    events.clear();
    assert_eq!(sync.snapshot(&snapshot(9), &[change(5, 1)], &[], &mut events), Step::NeedSnapshot);
    let _ = sync.increment(&increment(11, 11, 0), &[], &[], &mut events);
    assert_eq!(sync.snapshot(&snapshot(9), &[change(5, 1)], &[], &mut events), Step::NeedSnapshot);
    assert!(events.is_empty() && sync.is_live());
    assert_eq!(sync.snapshot(&snapshot(10), &[change(1, 1)], &[], &mut events), Step::Done);
}

#[test]
fn a_book_that_nothing_vouches_for_is_given_up() {
    let mut sync = sync(SequenceRule::Contiguous);
    let (mut events, mut taker) = (Vec::new(), Taker::default());
    sync.resync();
    let _ = sync.snapshot(&snapshot(10), &[change(1, 1)], &[], &mut events);
    sync.resync();
    let _ = sync.increment(&increment(11, 11, 0), &[change(2, 1)], &[], &mut events);
    sync.not_renewed(&mut events);
    assert!(sync.is_live() && sync.is_waiting(), "its increments vouch for it");
    sync.resync();
    sync.not_renewed(&mut events);
    taker.take(&mut events);
    assert!(!sync.is_live() && sync.is_waiting());
    assert_eq!(taker.n_gaps, 1);
}

#[test]
fn a_gap_is_told_and_mended() {
    let mut sync = sync(SequenceRule::Linked);
    let (mut events, mut taker) = (Vec::new(), Taker::default());
    sync.resync();
    let _ = sync.snapshot(&snapshot(10), &[change(1, 1)], &[change(5, 1)], &mut events);
    // Increments without levels move the sequence without a word to the engine.
    assert_eq!(sync.increment(&increment(20, 22, 10), &[], &[], &mut events), Step::Done);
    assert_eq!(
        sync.increment(&increment(30, 31, 22), &[change(2, 1)], &[], &mut events),
        Step::Done
    );
    let step = sync.increment(&increment(50, 51, 40), &[change(3, 1)], &[], &mut events);
    assert_eq!(step, Step::NeedSnapshot);
    taker.take(&mut events);
    assert_eq!(taker.n_gaps, 1);
    let _ = sync.snapshot(&snapshot(45), &[change(2, 2)], &[change(5, 1)], &mut events);
    taker.take(&mut events);
    assert_eq!(taker.book.state(), BookState::Live);
    assert_eq!(taker.book.best(Side::Buy).unwrap().price, Price(3));
}

#[test]
fn what_is_held_is_bounded() {
    let mut sync = sync(SequenceRule::Contiguous);
    let mut events = Vec::new();
    let levels = [change(1, 1); 100];
    for n in 1..=10_000 {
        let _ = sync.increment(&increment(n, n, 0), &levels, &[], &mut events);
    }
    assert!(sync.held.len() <= HELD_MAX && sync.levels.len() <= HELD_LEVELS_MAX);
    assert_eq!(sync.snapshot(&snapshot(100), &[], &[], &mut events), Step::NeedSnapshot);
    assert_eq!(sync.snapshot(&snapshot(9_990), &[], &[], &mut events), Step::Done);
    // The snapshot with the end of its list, and ten lists.
    assert_eq!(events.len(), 2 + 10 * 101);
}

proptest! {
    /// Whatever is lost, doubled or late: a live book equals the venue's.
    #[test]
    fn a_live_book_is_the_venues(
        linked in any::<bool>(),
        seed in proptest::collection::vec((1_i64..40, 0_i64..4, 0_u8..100, 0_u64..3), 1..200),
    ) {
        let rule = if linked { SequenceRule::Linked } else { SequenceRule::Contiguous };
        let mut sync = sync(rule);
        let (mut events, mut taker) = (Vec::new(), Taker::default());
        let mut truth = std::collections::BTreeMap::new();
        let (mut last, mut prev) = (100_u64, 99_u64);
        let mut fetched: Option<(u64, Vec<Change>)> = None;
        let mut sent: Option<(Increment, Change)> = None;
        for (price, qty, fate, jump) in seed {
            let first = last + 1 + if linked { jump } else { 0 };
            let increment = increment(first, first + jump, last);
            (prev, last) = (last, increment.last);
            truth.insert(price, qty);
            // A fifth of the increments is lost, some come twice.
            if fate >= 20 {
                if sync.increment(&increment, &[change(price, qty)], &[], &mut events)
                    == Step::NeedSnapshot && fetched.is_none()
                {
                    let bids = truth.iter().map(|(p, q)| change(*p, *q)).collect();
                    fetched = Some((last, bids));
                }
                if fate > 90 && let Some((increment, change)) = sent {
                    let _ = sync.increment(&increment, &[change], &[], &mut events);
                }
                sent = Some((increment, change(price, qty)));
            }
            // Somebody wants a new one.
            if fate % 11 == 0 && fetched.is_none() {
                sync.resync();
                let bids = truth.iter().map(|(p, q)| change(*p, *q)).collect();
                fetched = Some((last, bids));
            }
            // The snapshot arrives some time after it was made.
            if fate % 3 == 0 && let Some((at, bids)) = fetched.take()
                && sync.snapshot(&snapshot(at), &bids, &[], &mut events) == Step::NeedSnapshot
            {
                let bids = truth.iter().map(|(p, q)| change(*p, *q)).collect();
                fetched = Some((last, bids));
            }
            taker.take(&mut events);
            if let State::Live { last: known, .. } = sync.state && known == last {
                for (price, qty) in &truth {
                    let got = taker.book.qty_at(Side::Buy, Price(*price));
                    prop_assert_eq!(got, Quantity(*qty));
                }
            }
        }
        prop_assert!(prev < last);
    }
}
