//! What a venue is to a driver: requests go in, events come out, time is told.

use tercel_core::{Approved, Event, Nanos, OrderRequest};

/// A door to a venue, simulated or real. Neither call blocks.
pub trait VenuePort {
    /// Hands over a request at `now`.
    fn send(&mut self, request: Approved<OrderRequest>, now: Nanos);

    /// Returns the next event that has reached us by `now`, oldest first.
    fn poll(&mut self, now: Nanos) -> Option<Event>;
}
