//! The trading engine as a pure state machine.
//!
//! One value, [`Engine`], and one function that changes it, [`Engine::handle`]: an [`Event`] goes
//! in, [`Effect`]s come out. Nothing here has a clock, does I/O, starts a thread or draws a random
//! number, so live trading, paper trading, backtests and replays are drivers around one call.
#![forbid(unsafe_code)]

mod bars;
mod book;
mod config;
mod digest;
mod effect;
mod engine;
mod event;
mod ids;
mod image;
mod instrument;
mod intent;
mod limits;
mod losses;
mod market;
mod num;
mod order;
mod orders;
mod pages;
mod position;
mod risk;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod scope;
mod state;
mod state_copy;
mod strategy;
mod timers;
mod value;
mod view;

pub use bars::{BarSeries, BarSpec, ClosedBar, ClosedBars};
pub use book::{
    Book, BookState, Level, MapLevels, NaiveBook, OrderBook, PriceLevels, TickLevels, Walk,
    imbalance_e6, microprice_e6,
};
pub use config::{AccountConfig, ConfigError, EngineConfig, SeriesConfig, StrategyConfig};
pub use digest::Digest;
pub use effect::{Effect, Effects, Notice, ReportRefusal, StaleCause, StateCause};
pub use engine::{Engine, Recovery, RecoveryError, StrategyPlace};
pub use event::{
    AccountItem, AccountUpdate, Adoption, Command, Event, LinkEvent, LinkState, Scope, Signal,
};
pub use ids::{
    AccountId, AssetId, ClientOrderId, InstrumentId, PlotId, SeriesId, StrategyId, VenueId,
};
pub use image::{
    AccountImage, BookImage, ImageError, MarketImage, OrderImage, OrdersImage, ScopeImage,
    SeriesImage, StateImage, StrategyImage,
};
pub use instrument::{Instrument, InstrumentError, InstrumentKind, InstrumentSpec};
pub use intent::{Intent, Intents, TooManyIntents};
pub use limits::{OnHalt, RiskLimits, RiskReject, TradingState};
pub use market::{Bar, BookOrderAction, MarketData, MarketEvent};
pub use num::{Nanos, Notional, Price, Quantity, Seq, Side};
pub use order::{
    ExecutionReport, Fill, OrderKind, OrderRequest, OrderSpec, RejectReason, ReportKind, Role,
    TimeInForce,
};
pub use orders::{Change, Order, OrderState, OrderTable, Pending, Replacement};
pub use position::{Position, ValueOutOfRange};
pub use risk::Approved;
pub use scope::{Day, ScopeState};
pub use state::{Account, Balance, Closing, Exposure, Market, Quote, State, StrategyState};
pub use state_copy::{CopiedState, StateCopy};
pub use strategy::{
    FaultKind, Interest, OrderChange, Strategy, StrategyEvent, StrategyFault, Trade,
};
pub use timers::{Timer, Timers};
pub use value::Value;
pub use view::View;
