//! Putting a venue's snapshots and increments together into a book without gaps.
//!
//! Increments arrive before the snapshot that they continue: they are held, the snapshot is put
//! below them, and from then on each must follow the one before by the venue's own rule. What does
//! not follow is a gap: the engine is told, and the same begins anew. A book that is healthy takes
//! no snapshot, because one that was late would rewind it. Where a new one is wanted all the same,
//! increments go on to be told, and are held besides, to be put on top of it.

mod events;
mod held;
mod sequence;

use std::collections::VecDeque;

use tercel_core::{
    Event, InstrumentId, LinkEvent, LinkState, MarketData, Price, Quantity, Side, VenueId,
};

pub(crate) use events::{market, push_levels};
pub use sequence::{Change, Increment, SequenceRule, SnapshotAt, Step};

use held::Held;

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

#[cfg(test)]
mod tests;
