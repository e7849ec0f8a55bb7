//! Small instruments, accounts and engines to start a test from.

use rust_decimal::Decimal;
use tercel_core::{
    AccountConfig, AccountId, AssetId, EngineConfig, Event, Instrument, InstrumentId,
    InstrumentKind, InstrumentSpec, Interest, MarketData, MarketEvent, Nanos, Price, Quantity,
    RiskLimits, Side, StrategyConfig,
};

/// Returns a linear perpetual with tick 1 and lot 1, base asset 0, quote asset 1.
///
/// # Panics
///
/// Never: its grid is valid.
#[must_use]
pub fn linear(id: u16) -> Instrument {
    let spec = InstrumentSpec::linear("BTCUSDT", "1", "1");
    Instrument::new(InstrumentId(id), spec).expect("the grid is valid")
}

/// Returns a spot pair with tick 0.01 and lot 0.001, base asset 0, quote asset 1, fees of 0.1 %.
///
/// # Panics
///
/// Never: its grid is valid.
#[must_use]
pub fn spot(id: u16) -> Instrument {
    let fee = Decimal::new(1, 3);
    let spec = InstrumentSpec {
        kind: InstrumentKind::Spot,
        maker_fee: fee,
        taker_fee: fee,
        ..InstrumentSpec::linear("BTCUSDT", "0.01", "0.001")
    };
    Instrument::new(InstrumentId(id), spec).expect("the grid is valid")
}

/// Returns an account with a million of each of the two assets and no limits.
#[must_use]
pub fn account() -> AccountConfig {
    let million = Decimal::from(1_000_000);
    AccountConfig {
        name: "main".to_owned(),
        balances: vec![(AssetId(0), million), (AssetId(1), million)],
        limits: RiskLimits::default(),
        check_balance: false,
        leverage: 1,
    }
}

/// Returns a strategy on `account` that trades the first `n_instruments` and is called for all.
#[must_use]
pub fn strategy(account: u16, n_instruments: u16) -> StrategyConfig {
    StrategyConfig {
        name: "puppet".to_owned(),
        account: AccountId(account),
        instruments: (0..n_instruments).map(InstrumentId).collect(),
        interest: Interest { book: true, level: false, trade: true },
        series: Vec::new(),
        limits: RiskLimits::default(),
    }
}

/// Returns an engine of one account and one strategy over these instruments.
///
/// # Panics
///
/// If there are more than 65,535 instruments.
#[must_use]
pub fn engine_config(instruments: Vec<Instrument>) -> EngineConfig {
    let n = u16::try_from(instruments.len()).expect("few instruments");
    EngineConfig {
        run: 1,
        assets: vec!["BTC".to_owned(), "USDT".to_owned()],
        instruments,
        accounts: vec![account()],
        strategies: vec![strategy(0, n)],
        series: Vec::new(),
        limits: RiskLimits::default(),
        order_capacity: 1_024,
        intents_per_call: 64,
    }
}

/// Returns a complete change of one level of instrument `id` at time `at`.
#[must_use]
pub const fn level(id: u16, at: i64, side: Side, price: i64, qty: i64) -> Event {
    Event::Market(MarketEvent {
        venue_at: Nanos(at),
        received_at: Nanos(at),
        instrument: InstrumentId(id),
        data: MarketData::Level { side, price: Price(price), qty: Quantity(qty), last: true },
    })
}
