//! What is traded in the world, by whom, and within which limits.

use rust_decimal::Decimal;
use tercel_core::{
    AccountConfig, AccountId, AssetId, EngineConfig, Instrument, InstrumentId, InstrumentKind,
    InstrumentSpec, Interest, Quantity, RiskLimits, Scope, StrategyConfig, StrategyId,
};

use crate::plan::Plan;

/// The perpetual and the spot pair.
pub(crate) const PERPETUAL: InstrumentId = InstrumentId(0);
pub(crate) const SPOT: InstrumentId = InstrumentId(1);
pub(crate) const N_INSTRUMENTS: usize = 2;

/// The strategy in Luau, the native one, the one in Rhai.
pub(crate) const MAKER: StrategyId = StrategyId(0);
pub(crate) const PUPPET: StrategyId = StrategyId(1);
pub(crate) const TAKER: StrategyId = StrategyId(2);
pub(crate) const N_STRATEGIES: usize = 3;

pub(crate) const N_ACCOUNTS: usize = 2;

pub(crate) const BASE: AssetId = AssetId(0);
pub(crate) const QUOTE: AssetId = AssetId(1);

/// What every account holds of either asset at the start, in whole units.
pub(crate) const FUNDS: i128 = 1_000_000;

/// Most intents of one call.
pub(crate) const INTENTS: usize = 32;

/// Returns the account of a strategy.
pub(crate) const fn account_of(strategy: StrategyId) -> AccountId {
    AccountId(if strategy.0 == TAKER.0 { 1 } else { 0 })
}

/// Money of one tick and one lot in 1e-18 of the quote, written down beside the engine's own
/// arithmetic: 0.5 × 0.01, and 0.1 × 0.1.
pub(crate) const fn unit(instrument: InstrumentId) -> i128 {
    if instrument.0 == PERPETUAL.0 { 5_000_000_000_000_000 } else { 10_000_000_000_000_000 }
}

/// One lot of the spot pair in 1e-18 of the base.
pub(crate) const SPOT_LOT: i128 = 100_000_000_000_000_000;

pub(crate) fn instruments() -> Vec<Instrument> {
    let fee = |places| Decimal::new(places, 4);
    let perpetual = InstrumentSpec {
        price_band_bps: 2_000,
        maker_fee: fee(2),
        taker_fee: fee(5),
        ..InstrumentSpec::linear("BTCPERP", "0.5", "0.01")
    };
    let spot = InstrumentSpec {
        kind: InstrumentKind::Spot,
        maker_fee: fee(10),
        taker_fee: fee(10),
        ..InstrumentSpec::linear("BTCSPOT", "0.1", "0.1")
    };
    [(PERPETUAL, perpetual), (SPOT, spot)]
        .into_iter()
        .map(|(id, spec)| Instrument::new(id, spec).expect("its grid is valid"))
        .collect()
}

/// Returns every scope's limits.
pub(crate) fn limits(plan: &Plan) -> Vec<(Scope, RiskLimits)> {
    let strategies = (0..).take(N_STRATEGIES).map(|n| {
        let limits = RiskLimits {
            order_qty: Some(Quantity(20)),
            position_qty: Some(plan.strategy_position),
            ..RiskLimits::default()
        };
        (Scope::Strategy(StrategyId(n)), limits)
    });
    let accounts = (0..).take(N_ACCOUNTS).map(|n| {
        let limits = RiskLimits {
            position_qty: Some(plan.account_position),
            open_orders: Some(plan.open_orders),
            daily_loss: plan.daily_loss,
            on_halt: plan.on_halt,
            ..RiskLimits::default()
        };
        (Scope::Account(AccountId(n)), limits)
    });
    let engine = RiskLimits {
        orders_per_second: Some(plan.orders_per_second),
        on_halt: plan.on_halt,
        ..RiskLimits::default()
    };
    strategies.chain(accounts).chain([(Scope::Engine, engine)]).collect()
}

pub(crate) fn config(plan: &Plan) -> EngineConfig {
    let limits_of = |wanted: Scope| {
        let found = limits(plan).into_iter().find(|(scope, _)| *scope == wanted);
        found.map(|(_, limits)| limits).unwrap_or_default()
    };
    let funds = Decimal::from(FUNDS);
    let accounts = (0..).take(N_ACCOUNTS).map(|n| AccountConfig {
        name: format!("account {n}"),
        balances: vec![(BASE, funds), (QUOTE, funds)],
        limits: limits_of(Scope::Account(AccountId(n))),
        check_balance: true,
        leverage: 2,
    });
    let strategies = (0..).take(N_STRATEGIES).map(|n| StrategyConfig {
        name: ["maker", "puppet", "taker"][usize::from(n)].to_owned(),
        account: account_of(StrategyId(n)),
        instruments: vec![PERPETUAL, SPOT],
        interest: Interest { book: true, level: true, trade: true },
        series: Vec::new(),
        limits: limits_of(Scope::Strategy(StrategyId(n))),
    });
    EngineConfig {
        run: 1,
        assets: vec!["BTC".to_owned(), "USDT".to_owned()],
        instruments: instruments(),
        accounts: accounts.collect(),
        strategies: strategies.collect(),
        series: Vec::new(),
        limits: limits_of(Scope::Engine),
        order_capacity: 2_048,
        intents_per_call: INTENTS,
    }
}
