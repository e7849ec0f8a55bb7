//! Changing orders that are open.

use crate::exchange::Exchange;
use crate::exchange::cancel::CancelOnly;
use crate::fixed::Fixed;
use crate::ids::{AccountId, OrderId};
use crate::order::{Execution, ExpiryReason, OrderKind, TimeInForce};
use crate::reject::Reject;

impl Exchange {
    /// Makes a resting order smaller without losing its place; it may get a new name.
    ///
    /// # Errors
    ///
    /// If the order is not open or not the account's, would grow or stay as it is, or breaks a
    /// rule with the new quantity.
    pub fn amend(
        &mut self,
        account: AccountId,
        id: OrderId,
        qty: Fixed,
        client_id: Option<String>,
    ) -> Result<(), Reject> {
        let order = self.orders.get(&id).filter(|order| order.account == account);
        let order = order.filter(|order| order.status.is_open()).ok_or(Reject::UnknownOrder)?;
        let ask = &order.ask;
        let listing = &self.market(ask.market).listing;
        if ask.kind.is_market() {
            return Err(Reject::WrongKind);
        }
        if qty == ask.qty {
            return Err(Reject::NoChange);
        }
        if qty > ask.qty {
            return Err(Reject::AmendIncrease);
        }
        if qty < listing.step
            || qty <= order.filled + order.prevented
            || !qty.is_multiple_of(listing.step)
        {
            return Err(Reject::LotSize);
        }
        if ask.price.times_floor(qty) < listing.min_notional {
            return Err(Reject::Notional);
        }
        if order.n_changes >= listing.max_amends {
            return Err(Reject::MaxChanges);
        }
        let (market, side, price, by) = (ask.market, ask.side, ask.price, ask.qty - qty);
        self.markets[market.0].book.reduce(side, price, id, by);
        let order = self.order_mut(id);
        order.ask.qty = qty;
        order.n_changes += 1;
        let former = client_id.map(|name| std::mem::replace(&mut order.ask.client_id, name));
        if former.is_some() {
            let name = order.ask.client_id.clone();
            self.by_client.insert((account, market, name), id);
        }
        self.release_excess(id);
        self.report_with(id, Execution::Replaced, |report| report.request_id = former);
        self.tell_balances(account, market);
        self.settle(market);
        Ok(())
    }

    /// Gives a resting limit order another price and quantity, as if it had come anew. One that
    /// has traded as much as the new quantity already is canceled.
    ///
    /// # Errors
    ///
    /// If the order is not open, not the account's or no limit order, or the change breaks a rule;
    /// the order is as before then.
    pub fn modify(
        &mut self,
        account: AccountId,
        id: OrderId,
        price: Fixed,
        qty: Fixed,
    ) -> Result<(), Reject> {
        let order = self.orders.get(&id).filter(|order| order.account == account);
        let order = order.filter(|order| order.status.is_open()).ok_or(Reject::UnknownOrder)?;
        let before = order.ask.clone();
        let (filled, market) = (order.filled + order.prevented, before.market);
        if before.kind != OrderKind::Limit {
            return Err(Reject::WrongKind);
        }
        if (price, qty) == (before.price, before.qty) {
            return Err(Reject::NoChange);
        }
        if qty <= filled {
            return self.cancel(account, id, CancelOnly::Any, None);
        }
        let mut after = before.clone();
        (after.price, after.qty) = (price, qty);
        // Checked without itself: its own name and its own margin are not in the way.
        self.account_mut(account).open.remove(&id);
        let anonymous = crate::order::NewOrder { client_id: String::new(), ..after };
        let checked =
            self.check_shape(account, &anonymous).and_then(|()| self.check_margin(account, &after));
        self.account_mut(account).open.insert(id);
        checked?;
        let market_mut = &mut self.markets[market.0];
        market_mut.book.remove(before.side, before.price, id);
        let crosses = market_mut.would_match(after.side, price);
        let order = self.order_mut(id);
        order.ask = after;
        order.n_changes += 1;
        self.report(id, Execution::Replaced);
        if crosses && before.tif == TimeInForce::Gtx {
            self.expire(id, ExpiryReason::WouldTake);
        } else {
            self.work(id);
        }
        self.settle(market);
        Ok(())
    }
}
