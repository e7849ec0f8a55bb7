//! Orders that depend on each other: one cancels the other, one triggers the others.

use tercel_core::Nanos;

use crate::exchange::Exchange;
use crate::exchange::place::made_up_name;
use crate::fixed::Fixed;
use crate::ids::{AccountId, ListId, MarketId, OrderId};
use crate::listing::Product;
use crate::order::{Execution, ExpiryReason, NewOrder, OrderKind, OrderStatus};
use crate::reject::Reject;
use crate::update::Update;

/// How the orders of a list depend on each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListKind {
    /// A pair: when one begins to work or ends, the other ends.
    Oco,
    /// When the first has filled, the second is placed.
    Oto,
    /// When the first has filled, the others are placed as a pair.
    Otoco,
}

/// Where a list is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListState {
    /// At least one order is open.
    Executing,
    /// All have ended.
    Done,
}

/// An order list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderList {
    /// Its number.
    pub id: ListId,
    /// Whose it is.
    pub account: AccountId,
    /// In which symbol.
    pub market: MarketId,
    /// How its orders depend on each other.
    pub kind: ListKind,
    /// The client's name for it.
    pub client_id: String,
    /// Its orders; the working one first where one triggers others.
    pub orders: Vec<OrderId>,
    /// Where it is.
    pub state: ListState,
    /// When it last changed.
    pub at: Nanos,
    /// What its pair has locked together, until one of them begins to work.
    locked: Fixed,
    /// Whether its waiting orders are to be placed.
    is_due: bool,
}

impl OrderList {
    /// Returns what its pair has locked together, until one of them begins to work.
    #[must_use]
    pub const fn locked(&self) -> Fixed {
        self.locked
    }

    /// Returns the orders that exclude each other.
    fn pair(&self) -> &[OrderId] {
        match self.kind {
            ListKind::Oco => &self.orders,
            ListKind::Oto => &[],
            ListKind::Otoco => &self.orders[1..],
        }
    }

    /// Returns the orders that wait for the first.
    fn waiting(&self) -> &[OrderId] {
        match self.kind {
            ListKind::Oco => &[],
            ListKind::Oto | ListKind::Otoco => &self.orders[1..],
        }
    }
}

impl Exchange {
    /// Places a pair of orders of which only one will trade: `above` the market's price and
    /// `below` it.
    ///
    /// # Errors
    ///
    /// If one of them breaks a rule, their prices do not enclose the market's, or the money for
    /// the dearer one is missing; nothing has changed then.
    pub fn place_oco(
        &mut self,
        account: AccountId,
        client_id: String,
        above: NewOrder,
        below: NewOrder,
    ) -> Result<ListId, Reject> {
        self.check_lists(account, above.market)?;
        self.check_pair(&above, &below)?;
        self.check(account, &above)?;
        self.check(account, &below)?;
        let locked = self.fund_pair(account, [&above, &below])?;
        let market = above.market;
        let list = self.new_list(account, market, ListKind::Oco, client_id, locked);
        let ids = [below, above]
            .map(|ask| self.record(account, ask, OrderStatus::New, Some(list), Fixed::ZERO));
        self.list_mut(list).orders = ids.to_vec();
        self.tell_list(list);
        // The one that waits for a price first: the other may trade at once and end it.
        let mut by_kind = ids;
        by_kind.sort_by_key(|id| !self.order_ref(*id).ask.kind.is_conditional());
        for id in by_kind {
            if self.order_ref(id).status.is_open() {
                self.enter(id);
            }
        }
        self.settle(market);
        Ok(list)
    }

    /// Places an order, and one or a pair (above, below) to be placed once it has filled.
    ///
    /// # Errors
    ///
    /// If an order breaks a rule or the money for the first is missing; nothing has changed then.
    pub fn place_oto(
        &mut self,
        account: AccountId,
        client_id: String,
        working: NewOrder,
        pending: Vec<NewOrder>,
    ) -> Result<ListId, Reject> {
        self.check_lists(account, working.market)?;
        self.check(account, &working)?;
        for ask in &pending {
            self.check_shape(account, ask)?;
        }
        if let [above, below] = pending.as_slice() {
            self.check_pair(above, below)?;
        }
        let locked = self.fund(account, &working)?;
        let market = working.market;
        let kind = if pending.len() == 1 { ListKind::Oto } else { ListKind::Otoco };
        let list = self.new_list(account, market, kind, client_id, Fixed::ZERO);
        let first = self.record(account, working, OrderStatus::New, Some(list), locked);
        let mut orders = vec![first];
        for ask in pending.into_iter().rev() {
            let status = OrderStatus::PendingNew;
            orders.push(self.record(account, ask, status, Some(list), Fixed::ZERO));
        }
        self.list_mut(list).orders = orders;
        self.tell_list(list);
        self.enter(first);
        self.settle(market);
        Ok(list)
    }

    /// Cancels all orders of a list.
    ///
    /// # Errors
    ///
    /// If there is no such open list of the account.
    pub fn cancel_list(&mut self, account: AccountId, id: ListId) -> Result<(), Reject> {
        let list = self.lists.get(&id).filter(|list| list.account == account);
        let list = list.filter(|list| list.state == ListState::Executing);
        let list = list.ok_or(Reject::UnknownOrder)?;
        let (market, first) = (list.market, list.orders.clone());
        let open = first.into_iter().find(|order| self.order_ref(*order).status.is_open());
        if let Some(order) = open {
            self.cancel_one(order, None);
        }
        self.settle(market);
        Ok(())
    }

    fn check_lists(&self, account: AccountId, market: MarketId) -> Result<(), Reject> {
        let open = &self.account(account).open_lists;
        let n_open = open.iter().filter(|id| self.lists[id].market == market).count();
        if n_open >= self.market(market).listing.max_lists {
            return Err(Reject::MaxLists);
        }
        Ok(())
    }

    /// Checks that the market's price lies between those of a pair.
    fn check_pair(&self, above: &NewOrder, below: &NewOrder) -> Result<(), Reject> {
        let level = |ask: &NewOrder| {
            if ask.kind.is_conditional() { ask.stop_price } else { ask.price }
        };
        let last_price = self.market(above.market).last_price;
        let (high, low) = (level(above), level(below));
        // Trailing orders without a price are where the market is.
        let is_in_order = (high.is_zero() || high > low)
            && (low.is_zero() || low < last_price || !below.kind.is_conditional())
            && (high.is_zero() || high > last_price || !above.kind.is_conditional());
        let makes = |ask: &NewOrder, wrong: bool| ask.kind == OrderKind::LimitMaker && wrong;
        if !is_in_order || makes(above, high <= last_price) || makes(below, low >= last_price) {
            return Err(Reject::ListPrices);
        }
        Ok(())
    }

    /// Locks what the dearer of a pair needs.
    fn fund_pair(&mut self, account: AccountId, pair: [&NewOrder; 2]) -> Result<Fixed, Reject> {
        let needed =
            pair.map(|ask| self.lock_of(account, ask)).into_iter().max().unwrap_or(Fixed::ZERO);
        let asset = self.given_asset(pair[0].market, pair[0].side);
        self.lock(account, &asset, needed)?;
        Ok(needed)
    }

    fn new_list(
        &mut self,
        account: AccountId,
        market: MarketId,
        kind: ListKind,
        client_id: String,
        locked: Fixed,
    ) -> ListId {
        let id = ListId(self.next_list);
        self.next_list += 1;
        let client_id =
            if client_id.is_empty() { made_up_name(id.0 ^ (1 << 63)) } else { client_id };
        let list = OrderList {
            id,
            account,
            market,
            kind,
            client_id,
            orders: Vec::new(),
            state: ListState::Executing,
            at: self.now,
            locked,
            is_due: false,
        };
        self.lists.insert(id, list);
        self.account_mut(account).open_lists.insert(id);
        id
    }

    /// One of a pair begins to work: the other ends, and what both had locked becomes its own.
    pub(super) fn begin_leg(&mut self, id: OrderId) {
        let order = self.order_ref(id);
        let Some(list) = order.list.and_then(|list| self.lists.get(&list)) else { return };
        let list_id = list.id;
        let Some(sibling) = list.pair().iter().copied().find(|other| *other != id) else { return };
        if !list.pair().contains(&id) || !self.order_ref(sibling).status.is_open() {
            return;
        }
        let locked = std::mem::replace(&mut self.list_mut(list_id).locked, Fixed::ZERO);
        self.order_mut(id).locked += locked;
        self.expire(sibling, ExpiryReason::OcoTrigger);
        if !self.order_ref(id).ask.kind.is_market() {
            self.release_excess(id);
        }
    }

    /// An order of a list has ended: what depends on it follows.
    pub(super) fn leg_ended(&mut self, id: OrderId) {
        let order = self.order_ref(id);
        let (status, account) = (order.status, order.account);
        // It ended because the other one of its pair has begun, which goes on.
        let gave_way = order.expiry == Some(ExpiryReason::OcoTrigger);
        let (market, side) = (order.ask.market, order.ask.side);
        let Some(list) = order.list.and_then(|list| self.lists.get(&list)) else { return };
        let list_id = list.id;
        let is_first_of_others = !list.waiting().is_empty() && list.orders[0] == id;
        let rest: Vec<_> = if is_first_of_others { list.waiting() } else { list.pair() }
            .iter()
            .copied()
            .filter(|other| *other != id && self.order_ref(*other).status.is_open())
            .filter(|_| !gave_way)
            .collect();
        if is_first_of_others && status == OrderStatus::Filled {
            self.list_mut(list_id).is_due = true;
        } else if !rest.is_empty() {
            for other in rest {
                // It may have gone with another of the rest.
                if !self.order_ref(other).status.is_open() {
                    continue;
                }
                match (status, is_first_of_others) {
                    (OrderStatus::Canceled, _) => self.cancel_one(other, None),
                    (_, true) => self.expire(other, ExpiryReason::OtoPhaseOneExpired),
                    (_, false) => self.expire(other, ExpiryReason::OcoTrigger),
                }
            }
        }
        let list = &self.lists[&list_id];
        let all_ended = list.orders.iter().all(|other| !self.order_ref(*other).status.is_open());
        if all_ended && list.state == ListState::Executing && !list.orders.is_empty() {
            let now = self.now;
            let list = self.list_mut(list_id);
            (list.state, list.at) = (ListState::Done, now);
            let locked = std::mem::replace(&mut list.locked, Fixed::ZERO);
            if locked.is_positive() {
                let asset = self.given_asset(market, side);
                self.unlock(account, &asset, locked);
            }
            self.account_mut(account).open_lists.remove(&list_id);
            self.tell_list(list_id);
        }
    }

    /// Places the orders of a symbol's lists whose first order has filled; returns whether there
    /// were any.
    pub(super) fn place_pending(&mut self, market: MarketId) -> bool {
        let due: Vec<_> = self
            .accounts
            .iter()
            .flat_map(|account| &account.open_lists)
            .filter(|id| self.lists[id].is_due && self.lists[id].market == market)
            .copied()
            .collect();
        for id in &due {
            self.list_mut(*id).is_due = false;
            self.place_waiting(*id);
        }
        !due.is_empty()
    }

    fn place_waiting(&mut self, list_id: ListId) {
        let list = &self.lists[&list_id];
        let account = list.account;
        let ids: Vec<_> = list
            .waiting()
            .iter()
            .copied()
            .filter(|id| self.order_ref(*id).status == OrderStatus::PendingNew)
            .collect();
        let asks: Vec<_> = ids.iter().map(|id| self.order_ref(*id).ask.clone()).collect();
        let is_spot = asks
            .first()
            .is_some_and(|ask| self.market(ask.market).listing.product == Product::Spot);
        debug_assert!(is_spot, "order lists are for spot only");
        let funded = match asks.as_slice() {
            [] => return,
            [ask] => self.check_now(ask).and_then(|()| self.fund(account, ask)),
            [first, second, ..] => self
                .check_now(first)
                .and_then(|()| self.check_now(second))
                .and_then(|()| self.fund_pair(account, [first, second])),
        };
        let Ok(locked) = funded else {
            self.expire(ids[0], ExpiryReason::Rejected);
            return;
        };
        if let [only] = ids.as_slice() {
            self.order_mut(*only).locked = locked;
        } else {
            self.list_mut(list_id).locked = locked;
        }
        for id in &ids {
            let now = self.now;
            let order = self.order_mut(*id);
            order.status = OrderStatus::New;
            if !order.ask.kind.is_conditional() {
                (order.is_working, order.working_at) = (true, Some(now));
            }
            self.report(*id, Execution::New);
        }
        let mut by_kind = ids;
        by_kind.sort_by_key(|id| !self.order_ref(*id).ask.kind.is_conditional());
        for id in by_kind {
            if self.order_ref(id).status.is_open() {
                self.enter(id);
            }
        }
    }

    fn list_mut(&mut self, id: ListId) -> &mut OrderList {
        self.lists.get_mut(&id).expect("lists outlive their orders")
    }

    fn tell_list(&mut self, id: ListId) {
        let list = &self.lists[&id];
        let (account, state, at) = (list.account, list.state, self.now);
        self.updates.push(Update::List { account, list: id, state, at });
    }
}
