//! Events of a replay between their source and the engine, under two cursors: the venue is shown
//! each event at the venue's time, the engine gets it at its receive time.

use tercel_core::{Event, MarketData, Nanos};

use super::NEVER;
use crate::port::times_of;

/// What is not yet handled.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) events: Vec<Event>,
    venue: Cursor,
    engine: Cursor,
    is_venue_bar: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cursor {
    idx: usize,
    at: Nanos,
    /// Time of the event before.
    clock: Nanos,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let cursor = Cursor { idx: 0, at: NEVER, clock: Nanos(i64::MIN) };
        Self {
            events: Vec::with_capacity(4_096),
            venue: cursor,
            engine: cursor,
            is_venue_bar: false,
        }
    }

    /// When the venue is shown its next event; the end of time if there is none.
    #[inline]
    pub(super) const fn venue_at(&self) -> Nanos {
        self.venue.at
    }

    /// When the engine gets its next event; the end of time if there is none.
    #[inline]
    pub(super) const fn engine_at(&self) -> Nanos {
        self.engine.at
    }

    /// Whether the venue's next event is a bar that began before the engine may know of it.
    #[inline]
    pub(super) const fn is_venue_bar(&self) -> bool {
        self.is_venue_bar
    }

    /// Whether the venue has been shown all that is here.
    #[inline]
    pub(super) const fn is_shown(&self) -> bool {
        self.venue.idx == self.events.len()
    }

    #[inline]
    pub(super) fn venue_event(&self) -> &Event {
        &self.events[self.venue.idx]
    }

    #[inline]
    pub(super) fn engine_event(&self) -> &Event {
        &self.events[self.engine.idx]
    }

    #[inline]
    pub(super) fn next_venue_event(&mut self) {
        self.venue.idx += 1;
        self.look_at_venue_event();
    }

    #[inline]
    pub(super) fn next_engine_event(&mut self) {
        self.engine.idx += 1;
        self.look_at_engine_event();
    }

    /// Makes room at the end: forgets what both have seen, when it is worth moving the rest.
    pub(super) fn make_room(&mut self) {
        let n_seen = self.engine.idx;
        if n_seen > 0 && n_seen * 2 >= self.events.len() {
            self.events.drain(..n_seen);
            self.engine.idx = 0;
            self.venue.idx -= n_seen;
        }
    }

    /// Takes note of events that were appended.
    pub(super) fn arrived(&mut self) {
        if self.venue.clock == Nanos(i64::MIN) {
            self.first_times();
        }
        if self.venue.at == NEVER {
            self.look_at_venue_event();
        }
        if self.engine.at == NEVER {
            self.look_at_engine_event();
        }
    }

    /// Events without a time at the very start happen at the first time that there is.
    fn first_times(&mut self) {
        let first = self.events.iter().find_map(|event| match event {
            Event::Market(market) => Some(times_of(market)),
            _ => None,
        });
        let (venue, engine) = first.unwrap_or((Nanos(0), Nanos(0)));
        if !self.events.is_empty() {
            (self.venue.clock, self.engine.clock) = (venue, engine);
        }
    }

    #[inline]
    fn look_at_venue_event(&mut self) {
        self.is_venue_bar = false;
        let Some(event) = self.events.get(self.venue.idx) else {
            self.venue.at = NEVER;
            return;
        };
        if let Event::Market(market) = event {
            let (venue_at, received_at) = times_of(market);
            self.venue.clock = self.venue.clock.max(venue_at);
            self.is_venue_bar =
                matches!(market.data, MarketData::Bar { .. }) && self.venue.clock < received_at;
        }
        self.venue.at = self.venue.clock;
    }

    #[inline]
    fn look_at_engine_event(&mut self) {
        let Some(event) = self.events.get(self.engine.idx) else {
            self.engine.at = NEVER;
            return;
        };
        if let Event::Market(market) = event {
            self.engine.clock = self.engine.clock.max(market.received_at);
        }
        self.engine.at = self.engine.clock;
    }
}
