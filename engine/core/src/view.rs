//! What a strategy sees during a call: values of the moment, read only.

use std::sync::Arc;

use crate::bars::BarSeries;
use crate::book::{Level, OrderBook};
use crate::ids::{AssetId, ClientOrderId, InstrumentId, SeriesId, StrategyId};
use crate::instrument::Instrument;
use crate::limits::TradingState;
use crate::num::{Nanos, Notional, Price, Side};
use crate::orders::Order;
use crate::position::Position;
use crate::state::{Balance, Market, State, StrategyState};
use crate::strategy::Trade;
use crate::timers::Timer;
use crate::value::Value;

/// The engine's state as one strategy may see it, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    state: &'a State,
    strategy: StrategyId,
    now: Nanos,
}

impl<'a> View<'a> {
    pub(crate) const fn new(state: &'a State, strategy: StrategyId, now: Nanos) -> Self {
        Self { state, strategy, now }
    }

    /// Returns the time of the event that is being handled.
    #[must_use]
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// Returns the strategy's id.
    #[must_use]
    pub const fn strategy(&self) -> StrategyId {
        self.strategy
    }

    /// Returns the strategy's instruments in the order it declared them.
    #[must_use]
    pub fn instruments(&self) -> &'a [InstrumentId] {
        &self.own().instruments
    }

    /// Returns an instrument's definition.
    #[must_use]
    pub fn instrument(&self, id: InstrumentId) -> &'a Instrument {
        &self.state.instruments[id.index()]
    }

    /// Returns the best level of a side. O(1).
    #[must_use]
    pub fn best(&self, id: InstrumentId, side: Side) -> Option<Level> {
        self.market(id).best(side)
    }

    /// Returns the book, for depth.
    #[must_use]
    pub fn book(&self, id: InstrumentId) -> &'a OrderBook {
        &self.market(id).book
    }

    /// Returns whether the market can be traded on.
    #[must_use]
    pub fn is_live(&self, id: InstrumentId) -> bool {
        self.market(id).is_live()
    }

    /// Returns the last trade.
    #[must_use]
    pub fn last_trade(&self, id: InstrumentId) -> Option<Trade> {
        self.market(id).last_trade
    }

    /// Returns the mark price; of bars, the last close.
    #[must_use]
    pub fn mark(&self, id: InstrumentId) -> Option<Price> {
        self.market(id).mark
    }

    /// Returns the price that risk judges by: middle of the book, else mark, else last trade.
    #[must_use]
    pub fn reference(&self, id: InstrumentId) -> Option<Price> {
        self.market(id).reference()
    }

    /// Returns the strategy's own position.
    #[must_use]
    pub fn position(&self, id: InstrumentId) -> &'a Position {
        &self.own().scope.positions[id.index()]
    }

    /// Returns the position of the strategy's account.
    #[must_use]
    pub fn account_position(&self, id: InstrumentId) -> &'a Position {
        &self.state.accounts[self.own().account.index()].scope.positions[id.index()]
    }

    /// Returns what the strategy's account holds of an asset.
    #[must_use]
    pub fn balance(&self, asset: AssetId) -> Balance {
        let account = &self.state.accounts[self.own().account.index()];
        account.balances.get(asset.index()).copied().unwrap_or_default()
    }

    /// Returns the name of an asset.
    #[must_use]
    pub fn asset_name(&self, asset: AssetId) -> &'a str {
        self.state.assets.get(asset.index()).map_or("", String::as_str)
    }

    /// Returns the equity of the strategy's account in quote. O(instruments).
    #[must_use]
    pub fn equity(&self) -> Notional {
        self.state.equity(self.own().account)
    }

    /// Returns the strategy's profit since its start in quote, realised and unrealised, after fees.
    #[must_use]
    pub fn pnl(&self) -> Notional {
        self.own().scope.pnl(&self.state.instruments, &self.state.markets)
    }

    /// Returns one of the strategy's orders, working or recently ended.
    #[must_use]
    pub fn order(&self, id: ClientOrderId) -> Option<&'a Order> {
        self.state.orders.get(id).filter(|order| order.strategy == self.strategy)
    }

    /// Returns the strategy's working orders of an instrument, in order of nothing in particular
    /// but reproducibly.
    pub fn open_orders(&self, id: InstrumentId) -> impl Iterator<Item = &'a Order> + use<'a> {
        let strategy = self.strategy;
        self.state.orders.working(id).filter(move |order| order.strategy == strategy)
    }

    /// Returns a bar series.
    #[must_use]
    pub fn series(&self, id: SeriesId) -> &'a BarSeries {
        &self.state.series[id.index()]
    }

    /// Returns the ids of the strategy's bar series in the order it declared them.
    #[must_use]
    pub fn all_series(&self) -> &'a [SeriesId] {
        &self.own().series
    }

    /// Returns the strategy's timer of this name. O(timers).
    #[must_use]
    pub fn timer(&self, name: &str) -> Option<&'a Timer> {
        self.own().timers.get(name)
    }

    /// Returns a remembered value.
    #[must_use]
    pub fn recall(&self, key: &str) -> Option<&'a Value> {
        self.own().memory.get(key)
    }

    /// Returns all remembered values in order of their keys.
    pub fn memory(&self) -> impl Iterator<Item = (&'a Arc<str>, &'a Value)> + use<'a> {
        self.own().memory.iter()
    }

    /// Returns what the strategy may do: the strictest of its own, its account's and the engine's
    /// states.
    #[must_use]
    pub fn trading_state(&self) -> TradingState {
        let account = &self.state.accounts[self.own().account.index()];
        self.own().scope.state.max(account.scope.state).max(self.state.scope.state)
    }

    fn market(&self, id: InstrumentId) -> &'a Market {
        &self.state.markets[id.index()]
    }

    fn own(&self) -> &'a StrategyState {
        &self.state.strategies[self.strategy.index()]
    }
}
