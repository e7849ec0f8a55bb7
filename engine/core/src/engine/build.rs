//! Building an engine from its configuration, or again from a snapshot.

use std::collections::{BTreeMap, VecDeque};

use crate::bars::{BarSeries, BarSpec};
use crate::book::OrderBook;
use crate::config::{ConfigError, EngineConfig, SeriesConfig};
use crate::effect::Effects;
use crate::engine::Engine;
use crate::event::Scope;
use crate::ids::{AccountId, ClientOrderId, SeriesId, StrategyId};
use crate::intent::Intents;
use crate::num::{Notional, Seq};
use crate::orders::OrderTable;
use crate::scope::ScopeState;
use crate::state::{Account, Balance, Closing, Listener, Market, State, StrategyState};
use crate::strategy::{Interest, Strategy};
use crate::timers::Timers;

impl Engine {
    /// Builds an engine. Strategies are called after their `Command::Start`.
    ///
    /// # Errors
    ///
    /// If an id points nowhere or a number is out of its range.
    pub fn new(
        config: &EngineConfig,
        strategies: Vec<Box<dyn Strategy>>,
    ) -> Result<Self, ConfigError> {
        check(config, strategies.len())?;
        let state = build_state(config)?;
        Ok(Self::assemble(state, strategies, config.intents_per_call))
    }

    /// Builds an engine that goes on from a snapshot with fresh strategies.
    ///
    /// # Errors
    ///
    /// If there are not as many strategies as the snapshot has.
    pub fn restore(
        snapshot: State,
        strategies: Vec<Box<dyn Strategy>>,
        intents_per_call: usize,
    ) -> Result<Self, ConfigError> {
        if snapshot.strategies.len() != strategies.len() {
            let configured = snapshot.strategies.len();
            return Err(ConfigError::StrategyCount { configured, given: strategies.len() });
        }
        let mut state = snapshot;
        state.make_room();
        Ok(Self::assemble(state, strategies, intents_per_call))
    }

    /// Returns a list of effects with room for what one event usually gives.
    #[must_use]
    pub fn effects() -> Effects {
        Effects::with_capacity(256)
    }

    pub(super) fn assemble(
        state: State,
        strategies: Vec<Box<dyn Strategy>>,
        intents_per_call: usize,
    ) -> Self {
        let mut engine = Self {
            state,
            strategies,
            intents: Intents::with_capacity(intents_per_call),
            echoes: VecDeque::with_capacity(intents_per_call.max(64)),
            due: VecDeque::with_capacity(64),
            watches_losses: false,
            deadline: None,
            last_seq: Seq(0),
            repeats: false,
        };
        engine.refresh_watch();
        engine.refresh_deadline();
        engine
    }
}

fn build_state(config: &EngineConfig) -> Result<State, ConfigError> {
    let n_instruments = config.instruments.len();
    let mut markets: Vec<_> = (0..n_instruments).map(|_| Market::new()).collect();
    let mut series = Vec::with_capacity(config.series.len());
    for (idx, item) in config.series.iter().enumerate() {
        let id = SeriesId(u16::try_from(idx).expect("counted in check"));
        markets[item.instrument.index()].series.push(id);
        series.push(BarSeries::new(item.instrument, item.spec, item.history));
    }
    for (idx, strategy) in config.strategies.iter().enumerate() {
        let id = u16::try_from(idx).expect("counted in check");
        for instrument in &strategy.instruments {
            markets[instrument.index()]
                .listen(Listener { strategy: id, interest: strategy.interest });
        }
    }
    let mut accounts = Vec::with_capacity(config.accounts.len());
    for (idx, account) in config.accounts.iter().enumerate() {
        let id = AccountId(u16::try_from(idx).expect("counted in check"));
        let mut balances = vec![Balance::default(); config.assets.len()];
        for (asset, amount) in &account.balances {
            let total = Notional::from_decimal(*amount).ok_or_else(|| ConfigError::OutOfRange {
                what: format!("balance of account {}", account.name),
                expected: "a decimal of at most 18 places",
                value: amount.to_string(),
            })?;
            balances[asset.index()].total = total;
        }
        accounts.push(Account {
            name: account.name.clone(),
            balances,
            check_balance: account.check_balance,
            leverage: account.leverage,
            scope: ScopeState::new(Scope::Account(id), n_instruments, account.limits.clone()),
        });
    }
    let strategies = config.strategies.iter().enumerate().map(|(idx, strategy)| StrategyState {
        name: strategy.name.clone(),
        account: strategy.account,
        instruments: strategy.instruments.clone(),
        series: strategy.series.clone(),
        timers: Timers::default(),
        memory: BTreeMap::new(),
        is_running: false,
        scope: ScopeState::new(
            Scope::Strategy(super::strategy_id(idx)),
            n_instruments,
            strategy.limits.clone(),
        ),
    });
    Ok(State {
        assets: config.assets.clone(),
        instruments: config.instruments.clone(),
        markets,
        series,
        orders: OrderTable::new(n_instruments, config.order_capacity),
        accounts,
        strategies: strategies.collect(),
        scope: ScopeState::new(Scope::Engine, n_instruments, config.limits.clone()),
        next_order_id: ClientOrderId::new(config.run, 1),
        closing: Closing::default(),
    })
}

fn check(config: &EngineConfig, n_strategies: usize) -> Result<(), ConfigError> {
    if config.strategies.len() != n_strategies {
        let configured = config.strategies.len();
        return Err(ConfigError::StrategyCount { configured, given: n_strategies });
    }
    for (what, len) in [
        ("number of instruments", config.instruments.len()),
        ("number of accounts", config.accounts.len()),
        ("number of strategies", config.strategies.len()),
        ("number of series", config.series.len()),
        ("number of assets", config.assets.len()),
    ] {
        in_range(what, len, len < usize::from(u16::MAX), "below 65535")?;
    }
    let run_fits = config.run < 1 << 24;
    in_range("run", config.run as usize, run_fits, "below 2^24")?;
    let orders_fit = (1..=1 << 24).contains(&config.order_capacity);
    in_range("order_capacity", config.order_capacity, orders_fit, "between 1 and 2^24")?;
    in_range("intents_per_call", config.intents_per_call, config.intents_per_call > 0, "positive")?;
    for (index, instrument) in config.instruments.iter().enumerate() {
        let symbol = &instrument.spec.symbol;
        if instrument.id.index() != index {
            return Err(ConfigError::Misplaced {
                symbol: symbol.clone(),
                id: instrument.id.0,
                index,
            });
        }
        for asset in [instrument.spec.base, instrument.spec.quote] {
            exists(symbol, "asset", asset.0, config.assets.len())?;
        }
    }
    for account in &config.accounts {
        for (asset, _) in &account.balances {
            exists(&account.name, "asset", asset.0, config.assets.len())?;
        }
    }
    for series in &config.series {
        check_series(series, config.instruments.len())?;
    }
    for strategy in &config.strategies {
        exists(&strategy.name, "account", strategy.account.0, config.accounts.len())?;
        for instrument in &strategy.instruments {
            exists(&strategy.name, "instrument", instrument.0, config.instruments.len())?;
        }
        for series in &strategy.series {
            exists(&strategy.name, "series", series.0, config.series.len())?;
        }
    }
    Ok(())
}

pub(super) fn check_series(series: &SeriesConfig, n_instruments: usize) -> Result<(), ConfigError> {
    exists("a series", "instrument", series.instrument.0, n_instruments)?;
    let (what, positive) = match series.spec {
        BarSpec::Time { interval_ms } => ("bar interval", interval_ms > 0),
        BarSpec::Tick { trades } => ("trades in a bar", trades > 0),
        BarSpec::Volume { lots } => ("volume of a bar", lots > 0),
    };
    in_range(what, 0, positive, "positive")
}

pub(super) fn in_range(
    what: &str,
    value: usize,
    holds: bool,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::OutOfRange { what: what.to_owned(), expected, value: value.to_string() })
}

pub(super) fn exists(
    what: &str,
    kind: &'static str,
    id: u16,
    count: usize,
) -> Result<(), ConfigError> {
    if usize::from(id) < count {
        return Ok(());
    }
    Err(ConfigError::Dangling { what: what.to_owned(), kind, id, count })
}

impl Market {
    fn new() -> Self {
        Self {
            book: OrderBook::new(),
            quote: None,
            last_trade: None,
            mark: None,
            price_before: None,
            has_book: false,
            series: Vec::new(),
            has_bars: false,
            listeners: Vec::new(),
            interest: Interest::default(),
        }
    }

    /// Takes a strategy off the listeners.
    pub(super) fn forget(&mut self, id: StrategyId) {
        let others = std::mem::take(&mut self.listeners);
        self.interest = Interest::default();
        others
            .into_iter()
            .filter(|other| other.strategy != id.0)
            .for_each(|other| self.listen(other));
    }

    pub(crate) fn listen(&mut self, listener: Listener) {
        self.interest.book |= listener.interest.book;
        self.interest.level |= listener.interest.level;
        self.interest.trade |= listener.interest.trade;
        self.listeners.push(listener);
    }
}
