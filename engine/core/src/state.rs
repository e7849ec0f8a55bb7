//! The engine's state: markets, orders, accounts and strategies, all indexed by dense ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bars::BarSeries;
use crate::book::{BookState, Level, OrderBook};
use crate::digest::Digest;
use crate::ids::{AccountId, ClientOrderId, SeriesId};
use crate::instrument::Instrument;
use crate::num::{Nanos, Notional, Price, Quantity, Side};
use crate::orders::OrderTable;
use crate::scope::ScopeState;
use crate::strategy::{Interest, Trade};
use crate::timers::Timers;
use crate::value::Value;

/// Everything that an engine knows. Cloning it is a snapshot.
#[derive(Clone, Debug)]
pub struct State {
    /// Names of the assets.
    pub assets: Vec<String>,
    /// The instruments.
    pub instruments: Vec<Instrument>,
    /// What is known of each instrument's market.
    pub markets: Vec<Market>,
    /// The bar series.
    pub series: Vec<BarSeries>,
    /// Our orders.
    pub orders: OrderTable,
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The strategies.
    pub strategies: Vec<StrategyState>,
    /// The engine as a whole.
    pub scope: ScopeState,
    /// Id of the next order.
    pub next_order_id: ClientOrderId,
    /// When a flatten tries again what was refused.
    pub closing: Closing,
}

/// When positions that a flatten could not close are tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closing {
    /// The time; [`Closing::NEVER`] if nothing waits for it.
    pub at: Nanos,
    /// Nanoseconds of the last pause before a try; zero if the last one came to something.
    pub pause_ns: i64,
}

impl Closing {
    /// The time of nothing.
    pub const NEVER: Nanos = Nanos(i64::MAX);
}

impl Default for Closing {
    fn default() -> Self {
        Self { at: Self::NEVER, pause_ns: 0 }
    }
}

/// What is known of one instrument's market.
#[derive(Clone, Debug)]
pub struct Market {
    /// Its book.
    pub book: OrderBook,
    /// The last best quote, where a feed has them.
    pub quote: Option<Quote>,
    /// The last trade.
    pub last_trade: Option<Trade>,
    /// The last mark price; of bars, the last close.
    pub mark: Option<Price>,
    /// What it was worth before a restart, from when on nothing is known: no price to trade on.
    pub price_before: Option<Price>,
    /// Whether a book or quotes have ever come: then bars and trades are no price to trade on.
    pub has_book: bool,
    /// Bar series built from this market.
    pub(crate) series: Vec<SeriesId>,
    /// Whether bars arrive ready-made: then trades do not build any.
    pub(crate) has_bars: bool,
    /// Strategies that look at this market.
    pub(crate) listeners: Vec<Listener>,
    /// Union of the listeners' interests, so that most events cost one look.
    pub(crate) interest: Interest,
}

/// A strategy that looks at a market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) strategy: u16,
    pub(crate) interest: Interest,
}

/// Best bid and ask with the sequence number that makes them comparable with the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote {
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
    /// Sequence number; zero where there is none.
    pub seq: u64,
}

impl Market {
    /// Returns the best level of a side: the quote's if it is newer than the book, else the book's.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        match &self.quote {
            Some(quote) if self.quote_leads(quote) => {
                let level = match side {
                    Side::Buy => quote.bid,
                    Side::Sell => quote.ask,
                };
                (level.qty.0 > 0).then_some(level)
            }
            _ => self.book.best(side),
        }
    }

    /// Returns whether the market can be traded on: it has a live book or, without any book, a
    /// quote or a price.
    #[must_use]
    pub fn is_live(&self) -> bool {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_planted(crate::sabotage::Bug::StaleBookTrades) {
            return true;
        }
        match self.book.state() {
            BookState::Live => true,
            BookState::Open | BookState::Stale(_) => false,
            BookState::Empty => self.quote.is_some() || !self.has_book,
        }
    }

    /// Returns the price to judge an order by: the middle of bid and ask (rounded down), else the
    /// side that is there, else the mark, else the last trade.
    #[must_use]
    pub fn reference(&self) -> Option<Price> {
        match (self.best(Side::Buy), self.best(Side::Sell)) {
            (Some(bid), Some(ask)) => Some(Price((bid.price.0 + ask.price.0).div_euclid(2))),
            (Some(one), None) | (None, Some(one)) => Some(one.price),
            (None, None) => self.mark.or_else(|| self.last_trade.map(|trade| trade.price)),
        }
    }

    /// Returns the price at which what is held is worth something: [`Self::reference`], but none while
    /// a snapshot of the book is half read. A stale book has one: what was known last is better than
    /// not to look at a loss for as long as a line is down.
    #[must_use]
    pub fn value(&self) -> Option<Price> {
        match self.book.state() {
            BookState::Open => None,
            BookState::Empty | BookState::Live | BookState::Stale(_) => self.reference(),
        }
    }

    /// Takes nothing that it was worth for current any more.
    pub(crate) fn forget_prices(&mut self) {
        self.price_before = self.reference().or(self.price_before);
        self.book = OrderBook::new();
        self.quote = None;
        self.mark = None;
        self.last_trade = None;
    }

    /// Returns the higher of a price and [`Self::reference`].
    pub(crate) fn dearest(&self, price: Price) -> Price {
        self.reference().map_or(price, |reference| reference.max(price))
    }

    fn quote_leads(&self, quote: &Quote) -> bool {
        match self.book.state() {
            BookState::Live | BookState::Open => quote.seq > self.book.seq(),
            BookState::Empty | BookState::Stale(_) => true,
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// What people call it.
    pub name: String,
    /// What it holds, by asset.
    pub balances: Vec<Balance>,
    /// Whether orders that it cannot pay for are refused.
    pub check_balance: bool,
    /// Notional of perpetuals per unit of margin.
    pub leverage: u32,
    /// Positions, exposures, counters and limits of the account.
    pub scope: ScopeState,
}

/// What an account holds of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    /// All of it.
    pub total: Notional,
    /// What open spot orders tie up.
    pub locked: Notional,
}

impl Balance {
    /// Returns what is free; negative if the venue's truth is less than what is locked.
    #[must_use]
    pub fn free(&self) -> Notional {
        self.total - self.locked
    }
}

/// A strategy's state, apart from what it keeps to itself.
#[derive(Clone, Debug)]
pub struct StrategyState {
    /// What people call it.
    pub name: String,
    /// The account that it trades.
    pub account: AccountId,
    /// The instruments that it sees and may trade, in its own order.
    pub instruments: Vec<crate::InstrumentId>,
    /// The bar series that it is called for.
    pub series: Vec<SeriesId>,
    /// Its timers.
    pub timers: Timers,
    /// What it remembers.
    pub memory: BTreeMap<Arc<str>, Value>,
    /// Whether it is called: after its start, until its stop or a fault.
    pub is_running: bool,
    /// Positions, exposures, counters and limits of the strategy.
    pub scope: ScopeState,
}

impl StrategyState {
    /// Keeps a value; [`Value::Nil`] forgets the key.
    pub(crate) fn remember(&mut self, key: &Arc<str>, value: &Value) {
        if *value == Value::Nil {
            self.memory.remove(key);
        } else {
            self.memory.insert(Arc::clone(key), value.clone());
        }
    }
}

impl State {
    /// Returns the digest of all state that decides what happens next.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut digest = Digest::new();
        digest.u64(self.next_order_id.0);
        digest.i64(self.closing.at.0);
        digest.i64(self.closing.pause_ns);
        for market in &self.markets {
            market.book.digest(&mut digest);
            for price in [market.mark, market.price_before] {
                digest.i64(price.map_or(i64::MIN, |price| price.0));
            }
            for side in [Side::Buy, Side::Sell] {
                let best = market.best(side);
                digest.i64(best.map_or(i64::MIN, |level| level.price.0));
                digest.i64(best.map_or(0, |level| level.qty.0));
            }
            digest.u64(market.last_trade.map_or(0, |trade| trade.id));
        }
        self.series.iter().for_each(|series| series.digest(&mut digest));
        self.orders.digest(&mut digest);
        for account in &self.accounts {
            for balance in &account.balances {
                digest.i128(balance.total.0);
                digest.i128(balance.locked.0);
            }
            account.scope.digest(&mut digest);
        }
        for strategy in &self.strategies {
            strategy.timers.digest(&mut digest);
            digest.u64(u64::from(strategy.is_running));
            for (key, value) in &strategy.memory {
                digest.bytes(key.as_bytes());
                value.digest(&mut digest);
            }
            strategy.scope.digest(&mut digest);
        }
        self.scope.digest(&mut digest);
        digest.value()
    }

    /// Returns when the next timer fires or bar ends.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let timers = self.strategies.iter().filter_map(|strategy| strategy.timers.next_at());
        let bars = self.series.iter().filter_map(BarSeries::deadline);
        let closing = Some(self.closing.at).filter(|at| *at != Closing::NEVER);
        timers.chain(bars).chain(closing).min()
    }

    /// Returns the equity of an account in quote: quote and settlement balances at face value,
    /// spot holdings of a base at its market's reference price, and the unrealised profit of
    /// perpetuals. Quotes of different names are added as equals.
    #[must_use]
    pub fn equity(&self, account: AccountId) -> Notional {
        let account = &self.accounts[account.index()];
        let is_quote =
            |asset: usize| self.instruments.iter().any(|i| i.spec.quote.index() == asset);
        let mut equity = Notional::ZERO;
        for (asset, balance) in account.balances.iter().enumerate() {
            if is_quote(asset) {
                equity += balance.total;
            } else if let Some(value) = self.asset_value(asset, balance.total) {
                equity += value;
            }
        }
        for (instrument, market) in self.instruments.iter().zip(&self.markets) {
            if instrument.is_perpetual()
                && let Some(reference) = market.reference()
            {
                let position = &account.scope.positions[instrument.id.index()];
                let profit = position.unrealised(instrument, reference);
                equity += instrument.in_quote(profit, reference);
            }
        }
        equity
    }

    /// Values an amount of an asset at the first market that has it as its base and has a price.
    fn asset_value(&self, asset: usize, amount: Notional) -> Option<Notional> {
        self.instruments.iter().zip(&self.markets).find_map(|(instrument, market)| {
            let reference = market.reference()?;
            (instrument.spec.base.index() == asset)
                .then(|| instrument.value_of_base(amount, reference))
                .flatten()
        })
    }
}

impl Value {
    fn digest(&self, digest: &mut Digest) {
        match self {
            Self::Nil => digest.u64(0),
            Self::Bool(value) => digest.u64(1 + u64::from(*value)),
            Self::Integer(value) => {
                digest.u64(3);
                digest.i64(*value);
            }
            Self::Float(bits) => {
                digest.u64(4);
                digest.u64(*bits);
            }
            Self::Text(text) => {
                digest.u64(5);
                digest.bytes(text.as_bytes());
            }
        }
    }
}

/// Worst-case quantities of one instrument in one scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exposure {
    /// What open buys could still add, in lots.
    pub open_buys: Quantity,
    /// What open sells could still take, in lots.
    pub open_sells: Quantity,
    /// Notional of the worse end when it was last computed.
    pub worst: Notional,
}
