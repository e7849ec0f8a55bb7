//! A port whose books come from a live market.

use tercel_adapters::net::ResyncHandle;
use tercel_core::{Approved, Event, InstrumentId, Nanos, OrderRequest};
use tercel_sim::VenuePort;

use crate::port::Port;

/// A port whose books come from a live market: a simulated venue on a real feed.
#[derive(Debug)]
pub struct WithResyncs<P> {
    port: P,
    resyncs: ResyncHandle,
}

impl<P> WithResyncs<P> {
    /// Returns the port with somebody who fetches snapshots.
    #[must_use]
    pub const fn new(port: P, resyncs: ResyncHandle) -> Self {
        Self { port, resyncs }
    }
}

impl<P: VenuePort> VenuePort for WithResyncs<P> {
    fn send(&mut self, request: Approved<OrderRequest>, now: Nanos) {
        self.port.send(request, now);
    }

    fn poll(&mut self, now: Nanos) -> Option<Event> {
        self.port.poll(now)
    }
}

impl<P: Port> Port for WithResyncs<P> {
    fn on_event(&mut self, now: Nanos, event: &Event) {
        self.port.on_event(now, event);
    }

    fn advance(&mut self, now: Nanos) {
        self.port.advance(now);
    }

    fn next_action_at(&self) -> Nanos {
        self.port.next_action_at()
    }

    fn next_report_at(&self) -> Nanos {
        self.port.next_report_at()
    }

    fn is_busy(&self) -> bool {
        self.port.is_busy()
    }

    fn is_ready(&self) -> bool {
        self.port.is_ready()
    }

    fn has_more(&self) -> bool {
        self.port.has_more()
    }

    fn resync(&mut self, instrument: InstrumentId, _now: Nanos) {
        self.resyncs.ask(instrument);
    }
}
