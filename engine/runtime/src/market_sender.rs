//! Market data into a ring that may be full: what is lost is told, not hidden.

use tercel_core::{Event, InstrumentId, LinkEvent, LinkState, VenueId};

use crate::ring::Sender;

/// Sends live market data without ever waiting for the engine.
///
/// When the ring is full, events are dropped and counted, and what they were about is remembered.
/// As soon as there is room again, a [`LinkState::Gap`] goes ahead of everything else for each
/// instrument that lost something, so its book is stale before the next of its events is seen.
#[derive(Debug)]
pub struct MarketSender {
    ring: Sender<Event>,
    /// Venue of each instrument.
    venues: Vec<VenueId>,
    /// What a gap has to be told of, each once. Bounded by instruments and venues.
    gaps: Vec<LinkEvent>,
}

impl MarketSender {
    /// Returns a sender for instruments at these venues, by index of the instrument.
    #[must_use]
    pub fn new(ring: Sender<Event>, venues: Vec<VenueId>) -> Self {
        let gaps = Vec::with_capacity(venues.len());
        Self { ring, venues, gaps }
    }

    /// Sends an event, or drops it if there is no room. Never waits. Returns whether it went.
    ///
    /// # Panics
    ///
    /// If a market event names an instrument beyond the list.
    pub fn send(&mut self, event: Event) -> bool {
        if !self.gaps.is_empty() && !self.tell_gaps() {
            self.lose(&event);
            return false;
        }
        match self.ring.push(event) {
            Ok(()) => true,
            Err(event) => {
                self.lose(&event);
                false
            }
        }
    }

    /// Tells the gaps that are still to be told, as far as there is room; returns whether all are.
    /// To be called now and then while there is nothing to send.
    pub fn tell_gaps(&mut self) -> bool {
        while let Some(gap) = self.gaps.last() {
            if self.ring.push(Event::Link(*gap)).is_err() {
                return false;
            }
            self.gaps.pop();
        }
        true
    }

    /// Returns whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring.is_closed()
    }

    #[cold]
    fn lose(&mut self, event: &Event) {
        self.ring.counters().count_dropped();
        let (venue, instrument) = match event {
            Event::Market(market) => {
                (self.venues[market.instrument.index()], Some(market.instrument))
            }
            Event::Link(link) => (link.venue, link.instrument),
            // Nothing else comes from a source of market data; its loss concerns no book.
            Event::Execution(_)
            | Event::Account(_)
            | Event::Timer
            | Event::Signal(_)
            | Event::Command(_) => return,
        };
        self.remember(LinkEvent { venue, instrument, state: LinkState::Gap });
    }

    fn remember(&mut self, gap: LinkEvent) {
        let covers = |known: Option<InstrumentId>| known.is_none() || known == gap.instrument;
        if !self.gaps.iter().any(|known| known.venue == gap.venue && covers(known.instrument)) {
            self.gaps.push(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use tercel_core::Side;
    use tercel_testkit::level;

    use super::*;
    use crate::ring::ring;

    fn gap(instrument: u16) -> Event {
        Event::Link(LinkEvent {
            venue: VenueId(0),
            instrument: Some(InstrumentId(instrument)),
            state: LinkState::Gap,
        })
    }

    #[test]
    fn what_is_lost_is_told_before_anything_else_passes() {
        let (sender, mut receiver) = ring(3);
        let counters = std::sync::Arc::clone(sender.counters());
        let mut market = MarketSender::new(sender, vec![VenueId(0); 2]);
        let event = |id, at| level(id, at, Side::Buy, 100, 1);
        for at in 0..3 {
            assert!(market.send(event(0, at)));
        }
        assert!(!market.send(event(1, 3)));
        assert!(!market.send(event(1, 4)));
        let mut out = Vec::new();
        receiver.drain(&mut out, 2);
        assert!(market.send(event(0, 5)));
        receiver.drain(&mut out, 9);
        let expected = [event(0, 0), event(0, 1), event(0, 2), gap(1), event(0, 5)];
        assert_eq!(out, expected);
        assert_eq!(counters.status().n_dropped, 2);
    }

    #[test]
    fn every_instrument_that_lost_something_is_told_once() {
        let (sender, mut receiver) = ring(2);
        let mut market = MarketSender::new(sender, vec![VenueId(0); 3]);
        for at in 0..2 {
            market.send(level(0, at, Side::Buy, 100, 1));
        }
        for id in [1, 2, 1, 2] {
            market.send(level(id, 9, Side::Buy, 100, 1));
        }
        let mut out = Vec::new();
        receiver.drain(&mut out, 9);
        out.clear();
        assert!(market.tell_gaps());
        receiver.drain(&mut out, 9);
        out.sort_by_key(|event| format!("{event:?}"));
        assert_eq!(out, [gap(1), gap(2)]);
    }
}
