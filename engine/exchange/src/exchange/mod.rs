//! The exchange itself: symbols, accounts and orders, without a venue's words for them.
//!
//! Nothing here reads a clock, draws a random number or knows a protocol. Time comes with
//! [`Exchange::advance`]; what happened is collected as [`Update`]s until somebody takes them.

mod amend;
mod cancel;
mod checks;
mod conditionals;
pub(crate) mod lists;
mod margin;
mod market;
mod matching;
mod money;
mod place;
mod triggers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tercel_core::Nanos;

pub use cancel::CancelOnly;
pub use conditionals::{Conditional, ConditionalStatus, NewConditional, TriggerBy};
pub use margin::{MarginSummary, PositionView};
pub use market::Market;
pub(crate) use market::PAST_TRADES_A_MINUTE;
pub(crate) use matching::Taker;
pub(crate) use place::made_up_name;
pub use place::millis;

use crate::account::{Account, MarketSettings};
use crate::crowd::Crowd;
use crate::exchange::lists::OrderList;
use crate::fixed::Fixed;
use crate::ids::{AccountId, ConditionalId, ListId, MarketId, OrderId};
use crate::listing::Listing;
use crate::order::{Execution, Fill, Order};
use crate::reject::Reject;
use crate::update::{PositionCause, Report, Update};

/// Orders that are remembered after they have ended.
const ENDED_MAX: usize = 50_000;

/// An exchange: price-time matching per symbol, accounts with balances or margin, order lists,
/// conditional orders, candles.
///
/// Deterministic: equal calls give equal updates.
#[derive(Debug)]
pub struct Exchange {
    now: Nanos,
    markets: Vec<Market>,
    by_symbol: BTreeMap<String, MarketId>,
    /// When each symbol's crowd acts next.
    crowds: BTreeSet<(Nanos, MarketId)>,
    accounts: Vec<Account>,
    /// Fees earned, losses covered, per asset.
    house: BTreeMap<String, Fixed>,
    orders: BTreeMap<OrderId, Order>,
    ended: VecDeque<OrderId>,
    by_client: BTreeMap<(AccountId, MarketId, String), OrderId>,
    lists: BTreeMap<ListId, OrderList>,
    conditionals: BTreeMap<ConditionalId, Conditional>,
    /// Orders that end by themselves, by when.
    deadlines: BTreeSet<(Nanos, OrderId)>,
    /// When all orders of an account in a symbol are canceled unless it asks again.
    dead_man: BTreeMap<(AccountId, MarketId), Nanos>,
    next_order: u64,
    next_list: u64,
    next_conditional: u64,
    next_report: u64,
    next_prevented: u64,
    updates: Vec<Update>,
}

impl Exchange {
    /// Opens an exchange with these symbols; `crowds` gives each its market, or none.
    #[must_use]
    pub fn new(now: Nanos, listings: Vec<(Listing, Option<Crowd>)>) -> Self {
        let markets: Vec<_> =
            listings.into_iter().map(|(listing, crowd)| Market::new(listing, crowd, now)).collect();
        let next_at = |market: &Market| market.crowd.as_ref().and_then(Crowd::next_at);
        let crowds = markets
            .iter()
            .enumerate()
            .filter_map(|(idx, market)| Some((next_at(market)?, MarketId(idx))))
            .collect();
        let by_symbol = markets
            .iter()
            .enumerate()
            .map(|(idx, market)| (market.listing.symbol.clone(), MarketId(idx)))
            .collect();
        Self {
            now,
            markets,
            by_symbol,
            crowds,
            accounts: vec![Account::default()],
            house: BTreeMap::new(),
            orders: BTreeMap::new(),
            ended: VecDeque::new(),
            by_client: BTreeMap::new(),
            lists: BTreeMap::new(),
            conditionals: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            dead_man: BTreeMap::new(),
            next_order: 1_000,
            next_list: 1,
            next_conditional: 2_000_000,
            next_report: 1,
            next_prevented: 1,
            updates: Vec::new(),
        }
    }

    /// Returns the exchange's time.
    #[must_use]
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// Moves time on: the market goes about its business, orders and switches fall due. Time that
    /// lies in the past is ignored.
    pub fn advance(&mut self, now: Nanos) {
        if now <= self.now {
            return;
        }
        // Markets are played one event at a time in the order of their times, so that no symbol
        // sees another one's future.
        while let Some(&(at, market)) = self.crowds.first().filter(|(at, _)| *at <= now) {
            self.crowds.pop_first();
            self.now = self.now.max(at);
            self.play_crowd(market);
            self.await_crowd(market);
        }
        self.now = now;
        self.expire_due();
        self.pull_dead_man();
        for market in &mut self.markets {
            let price = market.last_price;
            market.candles.advance(now, price);
        }
    }

    /// Adds an account and returns its number.
    pub fn add_account(&mut self) -> AccountId {
        self.accounts.push(Account::default());
        AccountId::of_index(self.accounts.len() - 1)
    }

    /// Brings money into an account, or takes it out if negative.
    ///
    /// # Errors
    ///
    /// If more is taken out than is free.
    pub fn deposit(
        &mut self,
        account: AccountId,
        asset: &str,
        amount: Fixed,
    ) -> Result<(), Reject> {
        let at = self.now;
        let balance = self.account_mut(account).balance_mut(asset);
        if balance.free + amount < Fixed::ZERO {
            return Err(Reject::InsufficientBalance);
        }
        balance.free += amount;
        self.account_mut(account).updated_at = at.0;
        self.updates.push(Update::Deposit { account, asset: asset.to_owned(), amount, at });
        let assets = vec![(asset.to_owned(), self.account(account).balance(asset))];
        self.updates.push(Update::Balances { account, assets, at });
        let cause = PositionCause::Deposit;
        self.updates.push(Update::Position { account, market: None, cause, at });
        Ok(())
    }

    /// Moves what happened since the last call to `into`.
    pub fn drain_updates(&mut self, into: &mut Vec<Update>) {
        into.append(&mut self.updates);
    }

    /// Returns a symbol's number.
    #[must_use]
    pub fn market_id(&self, symbol: &str) -> Option<MarketId> {
        self.by_symbol.get(symbol).copied()
    }

    /// Returns a symbol.
    ///
    /// # Panics
    ///
    /// If the number is not one of this exchange.
    #[must_use]
    pub fn market(&self, id: MarketId) -> &Market {
        &self.markets[id.0]
    }

    /// Returns all symbols with their numbers.
    pub fn markets(&self) -> impl Iterator<Item = (MarketId, &Market)> {
        self.markets.iter().enumerate().map(|(idx, market)| (MarketId(idx), market))
    }

    /// Opens or closes a symbol.
    pub fn set_trading(&mut self, market: MarketId, is_trading: bool) {
        self.markets[market.0].is_trading = is_trading;
    }

    /// Lets the crowd of a symbol act, or holds it still.
    pub fn set_crowd_running(&mut self, market: MarketId, is_running: bool) {
        let now = self.now;
        if let Some(crowd) = &mut self.markets[market.0].crowd {
            crowd.set_running(now, is_running);
            self.crowds.retain(|(_, other)| *other != market);
            self.await_crowd(market);
        }
    }

    /// Notes when a symbol's crowd acts next.
    fn await_crowd(&mut self, market: MarketId) {
        let crowd = self.markets[market.0].crowd.as_ref();
        if let Some(at) = crowd.and_then(Crowd::next_at) {
            self.crowds.insert((at, market));
        }
    }

    /// Returns an account.
    ///
    /// # Panics
    ///
    /// If the number is not one of this exchange.
    #[must_use]
    pub fn account(&self, id: AccountId) -> &Account {
        &self.accounts[id.0 as usize]
    }

    /// Returns all accounts but the crowd's.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        self.accounts.iter().enumerate().skip(1).map(|(idx, held)| (AccountId::of_index(idx), held))
    }

    /// Returns what the exchange has earned in fees, less what it has covered, per asset.
    #[must_use]
    pub const fn house(&self) -> &BTreeMap<String, Fixed> {
        &self.house
    }

    /// Returns an order; `None` if there is none, or it ended too long ago.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// Returns the latest order of an account with a name.
    #[must_use]
    pub fn order_by_client(
        &self,
        account: AccountId,
        market: MarketId,
        client_id: &str,
    ) -> Option<&Order> {
        let id = self.by_client.get(&(account, market, client_id.to_owned()))?;
        self.orders.get(id)
    }

    /// Returns all remembered orders of an account, in the order of their numbers.
    pub fn orders_of(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        self.orders.values().filter(move |order| order.account == account)
    }

    /// Returns an account's open orders, in the order of their numbers.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        self.account(account).open.iter().filter_map(|id| self.orders.get(id))
    }

    /// Returns an order's trades, the oldest first.
    pub fn fills_of(&self, order: &Order) -> Vec<Fill> {
        let fills = &self.account(order.account).fills;
        fills.iter().filter(|fill| fill.order == order.id).cloned().collect()
    }

    /// Returns an order list.
    #[must_use]
    pub fn list(&self, id: ListId) -> Option<&OrderList> {
        self.lists.get(&id)
    }

    /// Returns an account's order lists, in the order of their numbers.
    pub fn lists_of(&self, account: AccountId) -> impl Iterator<Item = &OrderList> {
        self.lists.values().filter(move |list| list.account == account)
    }

    /// Returns a conditional order.
    #[must_use]
    pub fn conditional(&self, id: ConditionalId) -> Option<&Conditional> {
        self.conditionals.get(&id)
    }

    /// Returns an account's conditional orders, in the order of their numbers.
    pub fn conditionals_of(&self, account: AccountId) -> impl Iterator<Item = &Conditional> {
        self.conditionals.values().filter(move |conditional| conditional.account == account)
    }

    /// Sets the leverage of an account in a perpetual.
    ///
    /// # Errors
    ///
    /// If it is out of the symbol's range.
    pub fn set_leverage(
        &mut self,
        account: AccountId,
        market: MarketId,
        leverage: i64,
    ) -> Result<(), Reject> {
        if !(1..=self.market(market).listing.max_leverage).contains(&leverage) {
            return Err(Reject::Leverage);
        }
        let settings = MarketSettings { leverage, ..self.account(account).settings_of(market) };
        self.account_mut(account).settings.insert(market, settings);
        self.updates.push(Update::Leverage { account, market, leverage, at: self.now });
        Ok(())
    }

    /// Sets whether an account's positions in a perpetual have a margin of their own.
    ///
    /// # Errors
    ///
    /// If that is so already, or the account has orders or a position there.
    pub fn set_isolated(
        &mut self,
        account: AccountId,
        market: MarketId,
        is_isolated: bool,
    ) -> Result<(), Reject> {
        let settings = self.account(account).settings_of(market);
        if settings.is_isolated == is_isolated {
            return Err(Reject::NoChange);
        }
        if self.is_busy(account, Some(market)) {
            return Err(Reject::HasOpenOrders);
        }
        let settings = MarketSettings { is_isolated, ..settings };
        self.account_mut(account).settings.insert(market, settings);
        let (cause, at) = (PositionCause::MarginType, self.now);
        self.updates.push(Update::Position { account, market: Some(market), cause, at });
        Ok(())
    }

    /// Sets whether an account's long and short positions are separate.
    ///
    /// # Errors
    ///
    /// If that is so already, or the account has orders or positions.
    pub fn set_hedged(&mut self, account: AccountId, is_hedged: bool) -> Result<(), Reject> {
        if self.account(account).is_hedged == is_hedged {
            return Err(Reject::NoChange);
        }
        if self.is_busy(account, None) {
            return Err(Reject::HasOpenOrders);
        }
        self.account_mut(account).is_hedged = is_hedged;
        Ok(())
    }

    /// Cancels all orders of an account in a symbol at a time, unless asked again; `None` to stop.
    pub fn set_dead_man(&mut self, account: AccountId, market: MarketId, at: Option<Nanos>) {
        match at {
            Some(at) => self.dead_man.insert((account, market), at),
            None => self.dead_man.remove(&(account, market)),
        };
    }

    fn is_busy(&self, account: AccountId, market: Option<MarketId>) -> bool {
        let concerns = |other: MarketId| market.is_none_or(|market| market == other);
        let open = |order: &Order| concerns(order.ask.market);
        let held = &self.account(account).positions;
        self.open_orders(account).any(open)
            || held.iter().any(|((other, _), held)| concerns(*other) && !held.qty.is_zero())
    }

    pub(crate) fn market_mut(&mut self, id: MarketId) -> &mut Market {
        &mut self.markets[id.0]
    }

    fn account_mut(&mut self, id: AccountId) -> &mut Account {
        &mut self.accounts[id.0 as usize]
    }

    fn order_ref(&self, id: OrderId) -> &Order {
        self.orders.get(&id).expect("orders outlive every place that names them")
    }

    fn order_mut(&mut self, id: OrderId) -> &mut Order {
        self.orders.get_mut(&id).expect("orders outlive every place that names them")
    }

    pub(crate) fn new_order_id(&mut self) -> OrderId {
        self.next_order += 1;
        OrderId(self.next_order)
    }

    fn report(&mut self, id: OrderId, execution: Execution) {
        self.report_with(id, execution, |_| {});
    }

    fn report_with(
        &mut self,
        id: OrderId,
        execution: Execution,
        fill_in: impl FnOnce(&mut Report),
    ) {
        let at = self.now;
        let order = self.order_mut(id);
        order.updated_at = at;
        let mut report = Report {
            order: order.clone(),
            execution,
            fill: None,
            request_id: None,
            prevented: None,
            id: self.next_report,
            at,
        };
        fill_in(&mut report);
        self.next_report += 1;
        self.updates.push(Update::Order(Box::new(report)));
    }

    /// Forgets the orders that ended longest ago.
    fn forget(&mut self) {
        while self.ended.len() > ENDED_MAX {
            let Some(id) = self.ended.pop_front() else { return };
            let Some(order) = self.orders.remove(&id) else { continue };
            let key = (order.account, order.ask.market, order.ask.client_id);
            if self.by_client.get(&key) == Some(&id) {
                self.by_client.remove(&key);
            }
            if let Some(list) = order.list {
                self.lists.remove(&list);
            }
        }
    }

    fn expire_due(&mut self) {
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > self.now {
                return;
            }
            self.deadlines.pop_first();
            if self.orders.get(&id).is_some_and(|order| order.status.is_open()) {
                self.expire(id, crate::order::ExpiryReason::GoodTillDate);
                let market = self.order_ref(id).ask.market;
                self.settle(market);
            }
        }
    }

    fn pull_dead_man(&mut self) {
        let due: Vec<_> =
            self.dead_man.iter().filter(|(_, at)| **at <= self.now).map(|(key, _)| *key).collect();
        for (account, market) in due {
            self.dead_man.remove(&(account, market));
            self.cancel_all(account, market);
        }
    }
}
