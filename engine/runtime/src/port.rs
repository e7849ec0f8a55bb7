//! What a venue is to the event loop.

use std::collections::VecDeque;

use tercel_core::{
    Approved, Event, ExecutionReport, InstrumentId, MarketEvent, Nanos, OrderRequest,
};
use tercel_sim::{SimVenue, VenuePort};

/// A venue's door with what the event loop needs beyond sending and polling. No call blocks.
pub trait Port: VenuePort {
    /// Shows an event of the market, before the engine sees it.
    fn on_event(&mut self, now: Nanos, event: &Event);

    /// Lets requests that have arrived by `now` act.
    fn advance(&mut self, now: Nanos);

    /// Returns when requests next act, where the port knows: `i64::MAX` for never.
    fn next_action_at(&self) -> Nanos;

    /// Returns when it next has something to say: `i64::MAX` for never, `i64::MIN` for a port that
    /// does not know and has to be asked.
    fn next_report_at(&self) -> Nanos;

    /// Returns whether requests or reports are under way that are worth waiting for at the end.
    fn is_busy(&self) -> bool;

    /// Returns whether strategies may begin: a venue's account has to be compared with ours first.
    /// Until then they are not called, while books are built and reports are taken.
    fn is_ready(&self) -> bool {
        true
    }

    /// Returns whether another thread has put something in that a poll would give: asked before
    /// the engine thread sleeps.
    fn has_more(&self) -> bool {
        false
    }

    /// Has the venue's books compared with ours now; returns whether that is begun, which needs a real
    /// venue and a connection to it.
    fn reconcile(&mut self) -> bool {
        false
    }

    /// Fetches a new snapshot of a book, where that can be done.
    fn resync(&mut self, instrument: InstrumentId, now: Nanos);
}

/// A simulated venue for paper trading: it is shown the same market data as the engine.
#[derive(Debug)]
pub struct PaperPort {
    venue: SimVenue,
    /// What it has to say of orders that it does not know.
    lost: VecDeque<ExecutionReport>,
}

impl PaperPort {
    /// Returns the port of this venue.
    #[must_use]
    pub const fn new(venue: SimVenue) -> Self {
        Self { venue, lost: VecDeque::new() }
    }

    /// Lets the venue say first what became of orders that an earlier one had: it died with its
    /// process, and they with it.
    #[must_use]
    pub fn forgetting(mut self, lost: impl IntoIterator<Item = ExecutionReport>) -> Self {
        self.lost.extend(lost);
        self
    }

    /// Returns the venue.
    #[must_use]
    pub const fn venue(&self) -> &SimVenue {
        &self.venue
    }
}

impl VenuePort for PaperPort {
    fn send(&mut self, request: Approved<OrderRequest>, now: Nanos) {
        self.venue.send(request, now);
    }

    fn poll(&mut self, now: Nanos) -> Option<Event> {
        match self.lost.pop_front() {
            Some(report) => Some(Event::Execution(report)),
            None => self.venue.poll(now),
        }
    }
}

impl Port for PaperPort {
    fn on_event(&mut self, now: Nanos, event: &Event) {
        match event {
            Event::Market(market) => {
                self.venue.on_market(now, market);
            }
            other => self.venue.on_event(other),
        }
    }

    fn advance(&mut self, now: Nanos) {
        self.venue.advance(now);
    }

    fn next_action_at(&self) -> Nanos {
        self.venue.next_action_at()
    }

    fn next_report_at(&self) -> Nanos {
        match self.lost.front() {
            Some(report) => report.received_at,
            None => self.venue.next_report_at(),
        }
    }

    fn is_busy(&self) -> bool {
        self.venue.is_busy()
    }

    /// Market data that is replayed brings its next snapshot when it does.
    fn resync(&mut self, _instrument: InstrumentId, _now: Nanos) {}
}

/// When a market event happens at the venue and when at the engine.
pub(crate) fn times_of(event: &MarketEvent) -> (Nanos, Nanos) {
    (SimVenue::time_of(event), event.received_at)
}
