//! The native strategy of the tick workload: an average of the middle on every event, an order on
//! every 2,000th.

use tercel_core::{
    InstrumentId, Intents, OrderSpec, Quantity, Side, Strategy, StrategyEvent, StrategyFault, View,
};

/// Follows the middle of the book; its script twins are in `bench/peers`.
pub(super) struct Follower {
    quantity: Quantity,
    average: Option<f64>,
    n_events: u64,
}

const ALPHA: f64 = 2.0 / 101.0;
const DECIDE_EVERY: u64 = 2_000;
const ID: InstrumentId = InstrumentId(0);

impl Follower {
    pub(super) const fn new(quantity: Quantity) -> Self {
        Self { quantity, average: None, n_events: 0 }
    }
}

impl Strategy for Follower {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        if !matches!(event, StrategyEvent::Book { .. } | StrategyEvent::Trade { .. }) {
            return Ok(());
        }
        self.n_events += 1;
        let (Some(bid), Some(ask)) = (view.best(ID, Side::Buy), view.best(ID, Side::Sell)) else {
            return Ok(());
        };
        #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^52 ticks")]
        let middle = (bid.price.0 + ask.price.0) as f64 / 2.0;
        let average = self.average.map_or(middle, |average| average + ALPHA * (middle - average));
        self.average = Some(average);
        if self.n_events.is_multiple_of(DECIDE_EVERY) {
            let side = if middle > average { Side::Buy } else { Side::Sell };
            // One order a call is always within the limit.
            let _ = intents.place(OrderSpec::market(ID, side, self.quantity));
        }
        Ok(())
    }
}
