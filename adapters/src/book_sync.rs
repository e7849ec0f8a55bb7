//! Putting a venue's snapshots and increments together into a book without gaps.
//!
//! Increments arrive before the snapshot that they continue: they are held, the snapshot is put
//! below them, and from then on each must follow the one before by the venue's own rule. What does
//! not follow is a gap: the engine is told, and the same begins anew. A book that is healthy takes
//! no snapshot, because one that was late would rewind it. Where a new one is wanted all the same,
//! increments go on to be told, and are held besides, to be put on top of it.

use std::collections::VecDeque;

use tercel_core::{
    Event, InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent, Nanos, Price, Quantity,
    Side, VenueId,
};

/// How a venue numbers its increments.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SequenceRule {
    /// Each begins one after the end of the one before (Binance spot).
    Contiguous,
    /// Each names the end of the one before (Binance futures); numbers in between are other
    /// instruments'.
    Linked,
}

/// One side's level: its price and its new quantity, zero to remove it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The price.
    pub price: Price,
    /// The quantity there from now on.
    pub qty: Quantity,
}

/// An increment's place in the sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Increment {
    /// First update in it.
    pub first: u64,
    /// Last update in it.
    pub last: u64,
    /// Last update of the increment before; not looked at by [`SequenceRule::Contiguous`].
    pub prev: u64,
    /// When the venue says that it was so.
    pub venue_at: Nanos,
    /// When it reached us.
    pub received_at: Nanos,
}

/// A snapshot's place in the sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotAt {
    /// Last update in it.
    pub last: u64,
    /// When the venue says that it was so.
    pub venue_at: Nanos,
    /// When it reached us.
    pub received_at: Nanos,
}

/// What a message did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub enum Step {
    /// It was used, held or rightly ignored.
    Done,
    /// A snapshot has to be fetched now: nothing is known yet, something was lost, or the one that
    /// came is older than what is held.
    NeedSnapshot,
}

/// Increments that are held at most. Older ones make way: a snapshot that is older than they are
/// is refused then.
const HELD_MAX: usize = 4_096;
/// Levels that are held at most: 1 MiB.
const HELD_LEVELS_MAX: usize = 65_536;

/// One book's way from what the venue sends to what the engine takes.
#[derive(Clone, Debug)]
pub struct BookSync {
    venue: VenueId,
    instrument: InstrumentId,
    rule: SequenceRule,
    state: State,
    /// Up to where all was known when a live book's next snapshot was asked for, while it is awaited.
    renewed_from: Option<u64>,
    /// Sequence number that the engine's book has.
    told: u64,
    held: VecDeque<Held>,
    levels: VecDeque<Change>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing has come since the connection was opened.
    Idle,
    /// A snapshot is awaited.
    Waiting,
    /// All is known up to `last`. `joined` once an increment has followed the snapshot.
    Live { last: u64, joined: bool },
}

#[derive(Clone, Copy, Debug)]
struct Held {
    increment: Increment,
    n_bids: usize,
    n_asks: usize,
}

impl BookSync {
    /// Returns a book of which nothing is known.
    #[must_use]
    pub const fn new(venue: VenueId, instrument: InstrumentId, rule: SequenceRule) -> Self {
        Self {
            venue,
            instrument,
            rule,
            state: State::Idle,
            renewed_from: None,
            told: 0,
            held: VecDeque::new(),
            levels: VecDeque::new(),
        }
    }

    /// Returns whether the book is whole and current.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// Returns whether a snapshot is awaited.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting) || self.renewed_from.is_some()
    }

    /// Forgets everything: the connection is gone.
    pub fn reset(&mut self) {
        self.state = State::Idle;
        self.renewed_from = None;
        self.forget_held();
    }

    /// Begins anew with the next snapshot, which has to be fetched now. A live book stays so until it
    /// is there.
    pub const fn resync(&mut self) {
        match self.state {
            State::Live { last, .. } => self.renewed_from = Some(last),
            State::Idle | State::Waiting => self.state = State::Waiting,
        }
    }

    /// The snapshot that was to be fetched could not be had. A live book of which nothing was heard
    /// since it was asked for is given up: nobody knows whether it is still so. Tells the engine.
    pub fn not_renewed(&mut self, events: &mut Vec<Event>) {
        if let (State::Live { last, .. }, Some(from)) = (self.state, self.renewed_from)
            && last == from
        {
            self.lose(events);
        }
    }

    /// Gives the book up: an increment could not be used. Tells the engine and begins anew with
    /// the next snapshot, which has to be fetched.
    pub fn lose(&mut self, events: &mut Vec<Event>) {
        if self.is_live() {
            events.push(self.gap());
        }
        self.state = State::Waiting;
        self.renewed_from = None;
        self.forget_held();
    }

    const fn gap(&self) -> Event {
        Event::Link(LinkEvent {
            venue: self.venue,
            instrument: Some(self.instrument),
            state: LinkState::Gap,
        })
    }

    /// Takes an increment. Appends what follows of it for the engine to `events`.
    #[inline]
    pub fn increment(
        &mut self,
        increment: &Increment,
        bids: &[Change],
        asks: &[Change],
        events: &mut Vec<Event>,
    ) -> Step {
        match self.state {
            State::Live { last, joined } => {
                if increment.last <= last {
                    return Step::Done;
                }
                if !self.follows(last, joined, increment) {
                    events.push(self.gap());
                    self.state = State::Waiting;
                    self.renewed_from = None;
                    self.hold(increment, bids, asks);
                    return Step::NeedSnapshot;
                }
                if self.renewed_from.is_some() {
                    self.hold(increment, bids, asks);
                }
                self.tell(increment, bids.iter().copied(), asks.iter().copied(), events);
                self.state = State::Live { last: increment.last, joined: true };
                Step::Done
            }
            State::Waiting => {
                self.hold(increment, bids, asks);
                Step::Done
            }
            State::Idle => {
                self.state = State::Waiting;
                self.hold(increment, bids, asks);
                Step::NeedSnapshot
            }
        }
    }

    /// Takes a snapshot that was fetched. Appends it and the increments that were held for it to
    /// `events`. Ignored unless one is awaited.
    pub fn snapshot(
        &mut self,
        snapshot: &SnapshotAt,
        bids: &[Change],
        asks: &[Change],
        events: &mut Vec<Event>,
    ) -> Step {
        if !self.is_waiting() {
            return Step::Done;
        }
        while self.held.front().is_some_and(|held| held.increment.last <= snapshot.last) {
            self.drop_oldest();
        }
        if let Some(held) = self.held.front()
            && !self.follows(snapshot.last, false, &held.increment)
        {
            return Step::NeedSnapshot;
        }
        if let State::Live { last, .. } = self.state
            && self.held.is_empty()
            && snapshot.last < last
        {
            // From before it was asked for: what came after it was not held.
            return Step::NeedSnapshot;
        }
        self.renewed_from = None;
        let event = |data| market(self.instrument, snapshot.venue_at, snapshot.received_at, data);
        events.push(event(MarketData::Clear { seq: snapshot.last }));
        push_levels(event, bids.iter().copied(), asks.iter().copied(), events);
        if bids.is_empty() && asks.is_empty() {
            // An empty book is a book: its list has to end, too.
            let (price, qty) = (Price(0), Quantity::ZERO);
            events.push(event(MarketData::Level { side: Side::Buy, price, qty, last: true }));
        }
        self.told = snapshot.last;
        let mut state = State::Live { last: snapshot.last, joined: false };
        let levels = std::mem::take(&mut self.levels);
        let held = std::mem::take(&mut self.held);
        let mut rest = levels.iter().copied();
        for held in &held {
            let bids = rest.clone().take(held.n_bids);
            let asks = rest.clone().skip(held.n_bids).take(held.n_asks);
            self.tell(&held.increment, bids, asks, events);
            // Passed with the levels that were just told.
            if let Some(n) = (held.n_bids + held.n_asks).checked_sub(1) {
                rest.nth(n);
            }
            state = State::Live { last: held.increment.last, joined: true };
        }
        self.state = state;
        Step::Done
    }

    /// Returns whether an increment continues what is known up to `last`.
    const fn follows(&self, last: u64, joined: bool, increment: &Increment) -> bool {
        match self.rule {
            SequenceRule::Contiguous => increment.first <= last + 1,
            // The increment covers everything after `prev`, so a snapshot anywhere behind `prev`
            // joins on to it. The venue's documents ask for `first <= last`, which shuts out
            // snapshots taken between two increments of a quiet instrument.
            SequenceRule::Linked if joined => increment.prev == last,
            SequenceRule::Linked => increment.prev <= last,
        }
    }

    fn hold(&mut self, increment: &Increment, bids: &[Change], asks: &[Change]) {
        if let Some(newest) = self.held.back() {
            if increment.last <= newest.increment.last {
                return;
            }
            if !self.follows(newest.increment.last, true, increment) {
                // Something was lost before the snapshot came: what is older is of no use.
                self.forget_held();
            }
        }
        let n_levels = bids.len() + asks.len();
        while !self.held.is_empty()
            && (self.held.len() >= HELD_MAX || self.levels.len() + n_levels > HELD_LEVELS_MAX)
        {
            self.drop_oldest();
        }
        self.levels.extend(bids);
        self.levels.extend(asks);
        self.held.push_back(Held { increment: *increment, n_bids: bids.len(), n_asks: asks.len() });
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.held.pop_front() {
            self.levels.drain(..oldest.n_bids + oldest.n_asks);
        }
    }

    /// Gives the memory back, too: books wait at the start and hardly ever again.
    fn forget_held(&mut self) {
        self.held = VecDeque::new();
        self.levels = VecDeque::new();
    }

    #[inline]
    fn tell(
        &mut self,
        increment: &Increment,
        bids: impl ExactSizeIterator<Item = Change>,
        asks: impl ExactSizeIterator<Item = Change>,
        events: &mut Vec<Event>,
    ) {
        if bids.len() + asks.len() == 0 {
            // A list without an end would leave the book open.
            return;
        }
        let event = |data| market(self.instrument, increment.venue_at, increment.received_at, data);
        events.push(event(MarketData::Batch { prev: self.told, seq: increment.last }));
        push_levels(event, bids, asks, events);
        self.told = increment.last;
    }
}

/// Returns an item of market data.
#[inline]
pub(crate) const fn market(
    instrument: InstrumentId,
    venue_at: Nanos,
    received_at: Nanos,
    data: MarketData,
) -> Event {
    Event::Market(MarketEvent { venue_at, received_at, instrument, data })
}

/// Appends levels, the last of them flagged.
#[inline]
pub(crate) fn push_levels(
    event: impl Fn(MarketData) -> Event,
    bids: impl ExactSizeIterator<Item = Change>,
    asks: impl ExactSizeIterator<Item = Change>,
    events: &mut Vec<Event>,
) {
    let n_levels = bids.len() + asks.len();
    events.reserve(n_levels);
    let sides = bids.map(|bid| (Side::Buy, bid)).chain(asks.map(|ask| (Side::Sell, ask)));
    events.extend(sides.enumerate().map(|(idx, (side, Change { price, qty }))| {
        event(MarketData::Level { side, price, qty, last: idx + 1 == n_levels })
    }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tercel_core::{BookState, OrderBook};

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
        assert_eq!(
            sync.snapshot(&snapshot(9), &[change(5, 1)], &[], &mut events),
            Step::NeedSnapshot
        );
        let _ = sync.increment(&increment(11, 11, 0), &[], &[], &mut events);
        assert_eq!(
            sync.snapshot(&snapshot(9), &[change(5, 1)], &[], &mut events),
            Step::NeedSnapshot
        );
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
}
