//! Taking orders back.

use crate::exchange::Exchange;
use crate::ids::{AccountId, MarketId, OrderId};
use crate::order::{Execution, OrderStatus};
use crate::reject::Reject;

/// Which status an order must have for a cancel to take it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelOnly {
    /// Any open one.
    Any,
    /// Nothing has traded.
    New,
    /// Something has traded.
    PartiallyFilled,
}

impl Exchange {
    /// Cancels an open order, and the list that it belongs to. `request_id` is the name of the
    /// request, told in the report.
    ///
    /// # Errors
    ///
    /// If the order is not open, not the account's, or not in the asked status.
    pub fn cancel(
        &mut self,
        account: AccountId,
        id: OrderId,
        only: CancelOnly,
        request_id: Option<String>,
    ) -> Result<(), Reject> {
        let order = self.orders.get(&id).filter(|order| order.account == account);
        let order = order.filter(|order| order.status.is_open()).ok_or(Reject::UnknownOrder)?;
        let fits = match only {
            CancelOnly::Any => true,
            CancelOnly::New => order.status == OrderStatus::New,
            CancelOnly::PartiallyFilled => order.status == OrderStatus::PartiallyFilled,
        };
        if !fits {
            return Err(Reject::CancelRestrictions);
        }
        let market = order.ask.market;
        self.cancel_one(id, request_id);
        self.settle(market);
        Ok(())
    }

    /// Cancels all open orders of an account in a symbol; returns them in the order of their
    /// numbers.
    pub fn cancel_all(&mut self, account: AccountId, market: MarketId) -> Vec<OrderId> {
        let ids: Vec<_> = self
            .open_orders(account)
            .filter(|order| order.ask.market == market)
            .map(|order| order.id)
            .collect();
        for id in &ids {
            // The rest of a list goes with its first order.
            if self.order_ref(*id).status.is_open() {
                self.cancel_one(*id, None);
            }
        }
        self.settle(market);
        ids
    }

    pub(super) fn cancel_one(&mut self, id: OrderId, request_id: Option<String>) {
        self.order_mut(id).status = OrderStatus::Canceled;
        self.end(id, Execution::Canceled, request_id);
    }
}
