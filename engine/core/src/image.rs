//! The state as plain data, for whoever keeps it outside of memory, and back.
//!
//! A [`State`] has private parts whose shape is nobody's business: a book's window of ticks, an order
//! table's index. Its image says what they hold. Both directions name every field and leave none
//! out, so a new field that is forgotten in one of them does not compile. What can be derived is not in
//! an image, so it cannot contradict itself there; what can contradict itself is checked on the way back.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bars::{BarSeries, BarSpec, ClosedBar};
use crate::book::{BookState, Level, OrderBook};
use crate::event::Scope;
use crate::ids::{AccountId, ClientOrderId, InstrumentId, SeriesId, StrategyId};
use crate::instrument::{Instrument, InstrumentError, InstrumentSpec};
use crate::limits::{RiskLimits, TradingState};
use crate::num::{Nanos, Notional, Price};
use crate::orders::{Order, OrderTable};
use crate::position::Position;
use crate::scope::{Day, ScopeState};
use crate::state::{
    Account, Balance, Closing, Exposure, Listener, Market, Quote, State, StrategyState,
};
use crate::strategy::{Interest, Trade};
use crate::timers::{Timer, Timers};
use crate::value::Value;

/// A [`State`] as plain data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateImage {
    /// Names of the assets.
    pub assets: Vec<String>,
    /// The instruments, each at the index of its id.
    pub instruments: Vec<InstrumentSpec>,
    /// Their markets.
    pub markets: Vec<MarketImage>,
    /// The bar series.
    pub series: Vec<SeriesImage>,
    /// Our orders.
    pub orders: OrdersImage,
    /// The accounts.
    pub accounts: Vec<AccountImage>,
    /// The strategies.
    pub strategies: Vec<StrategyImage>,
    /// The engine as a whole.
    pub scope: ScopeImage,
    /// Id of the next order.
    pub next_order_id: ClientOrderId,
    /// When a flatten tries again what was refused.
    pub closing: Closing,
}

/// A [`Market`] as plain data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarketImage {
    /// The book.
    pub book: BookImage,
    /// The last best quote.
    pub quote: Option<Quote>,
    /// The last trade.
    pub last_trade: Option<Trade>,
    /// The last mark price.
    pub mark: Option<Price>,
    /// What it was worth before a restart.
    pub price_before: Option<Price>,
    /// Whether a book or quotes have ever come.
    pub has_book: bool,
    /// Whether bars arrive ready-made.
    pub has_bars: bool,
    /// Strategies that look at it, in the order in which they are called.
    pub listeners: Vec<(StrategyId, Interest)>,
}

/// A book as plain data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BookImage {
    /// Sequence number that it has reached.
    pub seq: u64,
    /// Whether and why it can be trusted.
    pub state: BookState,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
}

/// A [`BarSeries`] as plain data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeriesImage {
    /// The instrument.
    pub instrument: InstrumentId,
    /// What ends a bar.
    pub spec: BarSpec,
    /// How many closed bars it keeps at most.
    pub capacity: u64,
    /// How many bars have closed in all.
    pub n_closed: u64,
    /// The closed bars that it keeps, oldest first.
    pub history: Vec<ClosedBar>,
    /// The open bar and how many trades it has.
    pub open: Option<(ClosedBar, u32)>,
}

/// An [`OrderTable`] as plain data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrdersImage {
    /// How many orders it holds at most.
    pub capacity: u32,
    /// Working orders by instrument, in the order in which the table goes through them.
    pub working: Vec<Vec<OrderImage>>,
    /// Ended orders that late reports still find, longest ended first.
    pub ended: Vec<OrderImage>,
}

/// An order with what its table remembers of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderImage {
    /// The order.
    pub order: Order,
    /// The venue's numbers of its fills, newest first.
    pub trade_ids: Vec<u64>,
}

/// An [`Account`] as plain data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountImage {
    /// What people call it.
    pub name: String,
    /// What it holds, by asset.
    pub balances: Vec<Balance>,
    /// Whether orders that it cannot pay for are refused.
    pub check_balance: bool,
    /// Notional of perpetuals per unit of margin.
    pub leverage: u32,
    /// Its scope.
    pub scope: ScopeImage,
}

/// A [`StrategyState`] as plain data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyImage {
    /// What people call it.
    pub name: String,
    /// The account that it trades.
    pub account: AccountId,
    /// The instruments that it sees and may trade.
    pub instruments: Vec<InstrumentId>,
    /// The bar series that it is called for.
    pub series: Vec<SeriesId>,
    /// Its timers, in the order in which they were set.
    pub timers: Vec<Timer>,
    /// What it remembers, by ascending key.
    pub memory: Vec<(Arc<str>, Value)>,
    /// Whether it is called.
    pub is_running: bool,
    /// Its scope.
    pub scope: ScopeImage,
}

/// A [`ScopeState`] as plain data; whose it is, its place says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScopeImage {
    /// What it may do.
    pub state: TradingState,
    /// Whether its halt leaves open orders where they are.
    pub keeps_orders: bool,
    /// Whether what its strategies hold is to be closed.
    pub flattens: bool,
    /// Its limits.
    pub limits: RiskLimits,
    /// Its net position in each instrument.
    pub positions: Vec<Position>,
    /// Its worst case in each instrument.
    pub exposures: Vec<Exposure>,
    /// Sum of the exposures' worst notionals.
    pub gross: Notional,
    /// Working orders.
    pub open_orders: u32,
    /// What the current UTC day has seen.
    pub today: Day,
    /// When it last had a fill.
    pub last_fill_at: Option<Nanos>,
    /// Highest profit so far.
    pub pnl_max: Notional,
    /// Realised profit after fees and funding.
    pub net_realised: Notional,
    /// When the last orders were sent, oldest first.
    pub recent: Vec<Nanos>,
}

/// Why an image is of no state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImageError {
    /// An instrument cannot exist.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    /// Parts contradict each other.
    #[error("{part} {index}: {what}")]
    Contradiction {
        /// Kind of the part that is wrong.
        part: &'static str,
        /// Which of them, from 0.
        index: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Returns an error unless `holds`.
pub(crate) fn ensure(
    holds: bool,
    part: &'static str,
    index: usize,
    what: &'static str,
) -> Result<(), ImageError> {
    if holds { Ok(()) } else { Err(ImageError::Contradiction { part, index, what }) }
}

impl State {
    /// Returns the state as plain data. Allocates; O(everything).
    #[must_use]
    pub fn image(&self) -> StateImage {
        let Self {
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
        } = self;
        StateImage {
            assets: assets.clone(),
            instruments: instruments.iter().map(|instrument| instrument.spec.clone()).collect(),
            markets: markets.iter().map(Market::image).collect(),
            series: series.iter().map(BarSeries::image).collect(),
            orders: orders.image(),
            accounts: accounts.iter().map(Account::image).collect(),
            strategies: strategies.iter().map(StrategyState::image).collect(),
            scope: scope.image(),
            next_order_id: *next_order_id,
            closing: *closing,
        }
    }

    /// Returns the state that an image is of: one that behaves in all as the one that the image was
    /// taken of. Takes no more memory than the image does; room for more orders and bars is made by
    /// [`crate::Engine::restore`].
    ///
    /// # Errors
    ///
    /// If ids point nowhere, lists have the wrong length, or an order, a book or a bar series cannot
    /// be as it is said to be. That counts add up, such as a position's fills, is not checked.
    pub fn from_image(image: StateImage) -> Result<Self, ImageError> {
        let StateImage {
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
        } = image;
        let counts = Counts {
            assets: id_count("assets", assets.len())?,
            instruments: id_count("instruments", instruments.len())?,
            series: id_count("series", series.len())?,
            accounts: id_count("accounts", accounts.len())?,
            strategies: id_count("strategies", strategies.len())?,
        };
        let instruments = (0..).zip(instruments).map(|(id, spec)| {
            let known = spec.base.0 < counts.assets && spec.quote.0 < counts.assets;
            ensure(known, "instrument", usize::from(id), "its assets are not there")?;
            Ok(Instrument::new(InstrumentId(id), spec)?)
        });
        let instruments = instruments.collect::<Result<Vec<_>, ImageError>>()?;
        let n_markets = markets.len();
        ensure(n_markets == instruments.len(), "markets", n_markets, "as many as instruments")?;
        let series = series
            .into_iter()
            .enumerate()
            .map(|(index, image)| BarSeries::from_image(image, index, counts.instruments))
            .collect::<Result<Vec<_>, _>>()?;
        let markets = markets.into_iter().enumerate().map(|(index, image)| {
            let own = |(id, item): (u16, &BarSeries)| {
                (item.instrument.index() == index).then_some(SeriesId(id))
            };
            let series = (0..).zip(&series).filter_map(own).collect();
            Market::from_image(image, index, series, counts.strategies)
        });
        let markets = markets.collect::<Result<_, _>>()?;
        Ok(Self {
            assets,
            markets,
            series,
            orders: OrderTable::from_image(orders, &counts)?,
            accounts: (0..)
                .zip(accounts)
                .map(|(id, image)| Account::from_image(image, AccountId(id), &counts))
                .collect::<Result<_, _>>()?,
            strategies: (0..)
                .zip(strategies)
                .map(|(id, image)| StrategyState::from_image(image, StrategyId(id), &counts))
                .collect::<Result<_, _>>()?,
            scope: ScopeState::from_image(scope, Scope::Engine, 0, &counts)?,
            next_order_id,
            closing,
            instruments,
        })
    }

    /// Makes the room that a state was configured with, so that nothing on the way allocates.
    pub(crate) fn make_room(&mut self) {
        self.orders.make_room();
        self.series.iter_mut().for_each(BarSeries::make_room);
        let scopes = self.accounts.iter_mut().map(|account| &mut account.scope);
        let strategies = self.strategies.iter_mut().map(|strategy| &mut strategy.scope);
        scopes.chain(strategies).chain([&mut self.scope]).for_each(ScopeState::make_room);
    }
}

/// How many there are of what ids point to.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) assets: u16,
    pub(crate) instruments: u16,
    pub(crate) series: u16,
    pub(crate) accounts: u16,
    pub(crate) strategies: u16,
}

fn id_count(part: &'static str, len: usize) -> Result<u16, ImageError> {
    let count = u16::try_from(len).ok().filter(|count| *count < u16::MAX);
    count.ok_or(ImageError::Contradiction {
        part,
        index: len,
        what: "more than ids can tell apart",
    })
}

impl Market {
    fn image(&self) -> MarketImage {
        let Self {
            book,
            quote,
            last_trade,
            mark,
            price_before,
            has_book,
            has_bars,
            listeners,
            // Those of the series that name this market, and the union of the listeners' interests.
            series: _,
            interest: _,
        } = self;
        let listeners = listeners
            .iter()
            .map(|Listener { strategy, interest }| (StrategyId(*strategy), *interest))
            .collect();
        MarketImage {
            book: book.image(),
            quote: *quote,
            last_trade: *last_trade,
            mark: *mark,
            price_before: *price_before,
            has_book: *has_book,
            has_bars: *has_bars,
            listeners,
        }
    }

    fn from_image(
        image: MarketImage,
        index: usize,
        series: Vec<SeriesId>,
        n_strategies: u16,
    ) -> Result<Self, ImageError> {
        let MarketImage {
            book,
            quote,
            last_trade,
            mark,
            price_before,
            has_book,
            has_bars,
            listeners,
        } = image;
        let mut market = Self {
            book: OrderBook::from_image(book, index)?,
            quote,
            last_trade,
            mark,
            price_before,
            has_book,
            series,
            has_bars,
            listeners: Vec::with_capacity(listeners.len()),
            interest: Interest::default(),
        };
        for (strategy, interest) in listeners {
            ensure(strategy.0 < n_strategies, "market", index, "its listener is not there")?;
            market.listen(Listener { strategy: strategy.0, interest });
        }
        Ok(market)
    }
}

impl Account {
    fn image(&self) -> AccountImage {
        let Self { name, balances, check_balance, leverage, scope } = self;
        AccountImage {
            name: name.clone(),
            balances: balances.clone(),
            check_balance: *check_balance,
            leverage: *leverage,
            scope: scope.image(),
        }
    }

    fn from_image(image: AccountImage, id: AccountId, counts: &Counts) -> Result<Self, ImageError> {
        let AccountImage { name, balances, check_balance, leverage, scope } = image;
        let fits = balances.len() == usize::from(counts.assets);
        ensure(fits, "account", id.index(), "not one balance an asset")?;
        let scope = ScopeState::from_image(scope, Scope::Account(id), id.index(), counts)?;
        Ok(Self { name, balances, check_balance, leverage, scope })
    }
}

impl StrategyState {
    fn image(&self) -> StrategyImage {
        let Self { name, account, instruments, series, timers, memory, is_running, scope } = self;
        StrategyImage {
            name: name.clone(),
            account: *account,
            instruments: instruments.clone(),
            series: series.clone(),
            timers: timers.as_slice().to_vec(),
            memory: memory.iter().map(|(key, value)| (Arc::clone(key), value.clone())).collect(),
            is_running: *is_running,
            scope: scope.image(),
        }
    }

    fn from_image(
        image: StrategyImage,
        id: StrategyId,
        counts: &Counts,
    ) -> Result<Self, ImageError> {
        let StrategyImage { name, account, instruments, series, timers, memory, is_running, scope } =
            image;
        let ensure = |holds, what| ensure(holds, "strategy", id.index(), what);
        ensure(account.0 < counts.accounts, "its account is not there")?;
        let known = instruments.iter().all(|instrument| instrument.0 < counts.instruments);
        ensure(known, "its instrument is not there")?;
        let known = series.iter().all(|series| series.0 < counts.series);
        ensure(known, "its series is not there")?;
        let ascends = memory.is_sorted_by(|(a, _), (b, _)| a < b);
        ensure(ascends, "keys of its memory out of order")?;
        let timers = Timers::from_list(timers);
        ensure(timers.are_named_apart(), "two timers of one name")?;
        Ok(Self {
            name,
            account,
            instruments,
            series,
            timers,
            memory: memory.into_iter().collect::<BTreeMap<_, _>>(),
            is_running,
            scope: ScopeState::from_image(scope, Scope::Strategy(id), id.index(), counts)?,
        })
    }
}
