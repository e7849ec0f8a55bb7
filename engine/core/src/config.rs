//! What an engine is built from.

use rust_decimal::Decimal;

use crate::bars::BarSpec;
use crate::ids::{AccountId, AssetId, InstrumentId, SeriesId};
use crate::instrument::Instrument;
use crate::limits::RiskLimits;
use crate::strategy::Interest;

/// Everything that an engine is told before its first event.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Number of the run: the prefix of its order ids, never used twice.
    pub run: u32,
    /// Names of the assets by id.
    pub assets: Vec<String>,
    /// The instruments, each at the index of its id.
    pub instruments: Vec<Instrument>,
    /// The accounts by id.
    pub accounts: Vec<AccountConfig>,
    /// The strategies by id.
    pub strategies: Vec<StrategyConfig>,
    /// The bar series by id.
    pub series: Vec<SeriesConfig>,
    /// Limits of the whole engine.
    pub limits: RiskLimits,
    /// Orders that the table holds, working and recently ended together.
    pub order_capacity: usize,
    /// Intents that a strategy may give in one call.
    pub intents_per_call: usize,
}

/// An account.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// What people call it.
    pub name: String,
    /// What it holds at the start.
    pub balances: Vec<(AssetId, Decimal)>,
    /// Its limits.
    pub limits: RiskLimits,
    /// Whether orders that it cannot pay for are refused.
    pub check_balance: bool,
    /// Notional of perpetuals per unit of margin; at least 1.
    pub leverage: u32,
}

/// A strategy's place in the engine.
#[derive(Clone, Debug)]
pub struct StrategyConfig {
    /// What people call it.
    pub name: String,
    /// The account that it trades.
    pub account: AccountId,
    /// The instruments that it sees and may trade.
    pub instruments: Vec<InstrumentId>,
    /// Which market events it is called for.
    pub interest: Interest,
    /// The bar series that it is called for.
    pub series: Vec<SeriesId>,
    /// Its limits.
    pub limits: RiskLimits,
}

/// A bar series.
#[derive(Clone, Debug)]
pub struct SeriesConfig {
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// What ends a bar.
    pub spec: BarSpec,
    /// How many closed bars are kept; at least one is.
    pub history: usize,
}

/// Why a configuration cannot be an engine.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// An id points nowhere.
    #[error("{what} refers to {kind} {id}, but there are {count}")]
    Dangling {
        /// What refers.
        what: String,
        /// Kind of the thing referred to.
        kind: &'static str,
        /// The id.
        id: u16,
        /// How many there are.
        count: usize,
    },
    /// An instrument is not at the index of its id.
    #[error("instrument {symbol} has id {id} but stands at index {index}")]
    Misplaced {
        /// Which.
        symbol: String,
        /// Its id.
        id: u16,
        /// Where it stands.
        index: usize,
    },
    /// A number is out of its range.
    #[error("{what} must be {expected}, got {value}")]
    OutOfRange {
        /// Which number.
        what: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        value: String,
    },
    /// There are not as many strategies as configurations of them.
    #[error("{configured} strategies are configured, but {given} were given")]
    StrategyCount {
        /// Configurations.
        configured: usize,
        /// Strategies.
        given: usize,
    },
}
