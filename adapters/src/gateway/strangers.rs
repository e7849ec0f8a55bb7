//! Executions that name no order of ours, held while one may be meant.
//!
//! Some venues tell an execution by their own number of the order alone. When the answer that would
//! have told that number is lost, or when a conditional order has fired and goes by another number
//! from then on, the execution comes before we know whose it is.

use std::collections::VecDeque;

use tercel_core::{InstrumentId, Nanos};

use crate::protocol::{FillNews, VenueText};

/// Executions that are held at most; the oldest are forgotten first, and found again by asking.
const MAX: usize = 4_096;

/// With when each of them came.
#[derive(Debug, Default)]
pub(super) struct Strangers(VecDeque<(FillNews, Nanos)>);

impl Strangers {
    /// Holds an execution; one that is held already is not held twice.
    pub(super) fn hold(&mut self, fill: FillNews, came_at: Nanos) {
        let is_it =
            |own: &FillNews| own.instrument == fill.instrument && own.trade_id == fill.trade_id;
        if self.0.iter().any(|(own, _)| is_it(own)) {
            return;
        }
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back((fill, came_at));
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
        self.take_if(|own, _| own.instrument == instrument && own.venue_order_id == venue_order_id)
    }

    /// Takes out the executions for which this says so, given also when they came.
    pub(super) fn take_if(
        &mut self,
        mut is_meant: impl FnMut(&FillNews, Nanos) -> bool,
    ) -> Vec<FillNews> {
        let mut taken = Vec::new();
        self.0.retain(|(fill, came_at)| {
            let is_meant = is_meant(fill, *came_at);
            if is_meant {
                taken.push(*fill);
            }
            !is_meant
        });
        taken
    }
}
