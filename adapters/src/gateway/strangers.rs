//! Executions that name no order of ours, held while one may be meant.
//!
//! Some venues tell an execution by their own number of the order alone. When the answer that would
//! have told that number is lost, the execution comes before we know whose it is.

use std::collections::VecDeque;

use tercel_core::InstrumentId;

use crate::protocol::{FillNews, VenueText};

/// Executions that are held at most; the oldest are forgotten first, and found again by asking.
const MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Strangers(VecDeque<FillNews>);

impl Strangers {
    /// Holds an execution; one that is held already is not held twice.
    pub(super) fn hold(&mut self, fill: FillNews) {
        let is_known = self
            .0
            .iter()
            .any(|own| own.instrument == fill.instrument && own.trade_id == fill.trade_id);
        if is_known {
            return;
        }
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back(fill);
    }

    /// Returns whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out the executions of an order.
    pub(super) fn take(
        &mut self,
        instrument: InstrumentId,
        venue_order_id: VenueText,
    ) -> Vec<FillNews> {
        self.take_if(|own| own.instrument == instrument && own.venue_order_id == venue_order_id)
    }

    /// Takes out all executions of an instrument.
    pub(super) fn take_all(&mut self, instrument: InstrumentId) -> Vec<FillNews> {
        self.take_if(|own| own.instrument == instrument)
    }

    /// Returns the instruments of what is held.
    pub(super) fn instruments(&self) -> Vec<InstrumentId> {
        let mut instruments: Vec<_> = self.0.iter().map(|own| own.instrument).collect();
        instruments.sort_unstable();
        instruments.dedup();
        instruments
    }

    fn take_if(&mut self, is_meant: impl Fn(&FillNews) -> bool) -> Vec<FillNews> {
        let (taken, kept): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|own| is_meant(own));
        self.0 = kept.into();
        taken
    }
}
