//! A copy of a state that is made in steps, while the engine goes on.
//!
//! A full table of orders takes milliseconds to copy, and an engine cannot wait for milliseconds. So it
//! is copied some pages at a time, between events; pages that change meanwhile are copied again, and
//! the last step takes those few that are left together with everything else.

use crate::orders::{CopiedOrders, OrderTable, OrdersCopy};
use crate::state::State;

/// A copy in the making. It must be given the state of the same engine each time.
///
/// # Examples
///
/// ```
/// # fn example(engine: &tercel_core::Engine) -> tercel_core::State {
/// let mut copy = tercel_core::StateCopy::default();
/// // Between events:
/// while copy.advance(engine.state(), 16) == 16 {}
/// copy.finish(engine.state()).into_state()
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct StateCopy {
    orders: OrdersCopy,
}

/// A whole copy, but for what can be made of it elsewhere.
#[derive(Debug)]
pub struct CopiedState {
    /// All but the orders.
    rest: State,
    orders: CopiedOrders,
}

impl StateCopy {
    /// Copies at most `max` pages of 64 orders or fills that are not in the copy as they are. Returns
    /// how many: fewer than `max` if all are. A page takes a few microseconds.
    pub fn advance(&mut self, state: &State, max: usize) -> usize {
        self.orders.advance(&state.orders, max)
    }

    /// Copies what is left and everything but the orders: the state as it is now.
    #[must_use]
    pub fn finish(self, state: &State) -> CopiedState {
        let State {
            assets,
            instruments,
            markets,
            series,
            orders,
            accounts,
            strategies,
            scope,
            next_order_id,
            closing,
        } = state;
        CopiedState {
            orders: self.orders.finish(orders),
            rest: State {
                assets: assets.clone(),
                instruments: instruments.clone(),
                markets: markets.clone(),
                series: series.clone(),
                orders: OrderTable::new(0, 1),
                accounts: accounts.clone(),
                strategies: strategies.clone(),
                scope: scope.clone(),
                next_order_id: *next_order_id,
                closing: *closing,
            },
        }
    }
}

impl CopiedState {
    /// Returns the state that was copied. O(orders): for another thread than the engine's.
    #[must_use]
    pub fn into_state(self) -> State {
        State { orders: self.orders.into_table(), ..self.rest }
    }
}
