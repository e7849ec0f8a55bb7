//! The events of a source under two cursors: the venue's, ahead, and the engine's.

use tercel_core::{Engine, Event, MarketData, MarketEvent, Nanos};

use crate::cues::Cues;
use crate::venue::SimVenue;

/// A source's events between the venue's clock and the engine's.
///
/// The venue is never behind the engine: an event happens before it is received. What both have
/// seen makes room for the next block, so the list holds what is on its way and a block or two.
pub(crate) struct Feed<S, C> {
    source: S,
    cues: C,
    events: Vec<Event>,
    venue: Cursor,
    engine: Cursor,
    /// Whether the venue's next event is a bar that happens before it is received.
    is_venue_bar: bool,
    /// When events without a time at the very start happen, unless the cues say.
    first_at: Nanos,
}

/// A place in the list with the time of the event there, [`NEVER`] at the end.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    idx: usize,
    at: Nanos,
    /// Time of the event before.
    clock: Nanos,
}

const NEVER: Nanos = Nanos(i64::MAX);

impl Cursor {
    const fn new() -> Self {
        Self { idx: 0, at: NEVER, clock: Nanos(i64::MIN) }
    }
}

impl<S, C, E> Feed<S, C>
where
    S: FnMut(&mut Vec<Event>) -> Result<usize, E>,
    C: Cues,
{
    /// Reads the first block.
    pub(crate) fn open(source: S, cues: C) -> Result<Self, E> {
        let (venue, engine) = (Cursor::new(), Cursor::new());
        let (events, first_at) = (Vec::new(), Nanos(0));
        let mut feed = Self { source, cues, events, venue, engine, is_venue_bar: false, first_at };
        feed.refill()?;
        // Events without a time at the very start happen at the first time that there is.
        let first = feed.events.iter().find_map(market);
        if let Some(first) = first {
            feed.venue.clock = SimVenue::time_of(first);
            feed.first_at = first.received_at;
        } else if !feed.events.is_empty() {
            feed.venue.clock = Nanos(0);
        }
        feed.look_at_venue_event();
        feed.look_at_engine_event();
        Ok(feed)
    }

    /// Returns when the venue's next event happens.
    #[inline]
    pub(crate) const fn venue_at(&self) -> Nanos {
        self.venue.at
    }

    /// Returns when the engine's next event is received.
    #[inline]
    pub(crate) const fn engine_at(&self) -> Nanos {
        self.engine.at
    }

    /// Returns whether the venue's next event is a bar that the engine may not yet have: at one
    /// time it then comes after what the engine does.
    #[inline]
    pub(crate) const fn is_venue_bar(&self) -> bool {
        self.is_venue_bar
    }

    /// Returns the venue's next event; there is one while [`Self::venue_at`] is not the end.
    #[inline]
    pub(crate) fn venue_event(&self) -> &Event {
        &self.events[self.venue.idx]
    }

    /// Returns the engine's next event; there is one while [`Self::engine_at`] is not the end.
    #[inline]
    pub(crate) fn engine_event(&self) -> &Event {
        &self.events[self.engine.idx]
    }

    /// Moves the venue on, reading a block where the list ends.
    #[inline]
    pub(crate) fn next_venue_event(&mut self) -> Result<(), E> {
        self.venue.idx += 1;
        if self.venue.idx == self.events.len() {
            self.refill()?;
        }
        self.look_at_venue_event();
        Ok(())
    }

    /// Moves the engine on.
    #[inline]
    pub(crate) fn next_engine_event(&mut self) {
        self.engine.idx += 1;
        self.look_at_engine_event();
    }

    /// Lets the cues do what comes before the engine's next event.
    #[inline]
    pub(crate) fn prepare(&mut self, engine: &mut Engine) {
        let event = &self.events[self.engine.idx];
        if !matches!(event, Event::Market(_)) {
            self.cues.before(engine, event);
        }
    }

    #[inline]
    fn look_at_venue_event(&mut self) {
        self.is_venue_bar = false;
        let Some(event) = self.events.get(self.venue.idx) else {
            self.venue.at = NEVER;
            return;
        };
        if let Event::Market(event) = event {
            self.venue.clock = self.venue.clock.max(SimVenue::time_of(event));
            // A bar without length, or one received as it opened, must not fall behind the engine.
            self.is_venue_bar = matches!(event.data, MarketData::Bar { .. })
                && self.venue.clock < event.received_at;
        }
        self.venue.at = self.venue.clock;
    }

    #[inline]
    fn look_at_engine_event(&mut self) {
        let Some(event) = self.events.get(self.engine.idx) else {
            self.engine.at = NEVER;
            return;
        };
        self.engine.clock = self.engine.clock.max(match event {
            Event::Market(event) => event.received_at,
            _ => self.cues.next_at().unwrap_or(self.first_at),
        });
        self.engine.at = self.engine.clock;
    }

    /// Drops what both have seen and reads on until there is something new or nothing left.
    #[cold]
    fn refill(&mut self) -> Result<(), E> {
        let n_seen = self.engine.idx;
        self.events.drain(..n_seen);
        self.engine.idx = 0;
        self.venue.idx -= n_seen;
        let n_pending = self.events.len();
        // As much as is pending at least, so that moving it up costs a constant for each event.
        while self.events.len() <= 2 * n_pending {
            let n_before = self.events.len();
            (self.source)(&mut self.events)?;
            if self.events.len() <= n_before {
                break;
            }
        }
        Ok(())
    }
}

const fn market(event: &Event) -> Option<&MarketEvent> {
    match event {
        Event::Market(event) => Some(event),
        _ => None,
    }
}
