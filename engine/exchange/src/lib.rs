//! An exchange in a box.
#![forbid(unsafe_code)]

mod account;
mod book;
mod candles;
mod crowd;
pub mod dialect;
mod exchange;
mod faults;
mod fixed;
pub mod http;
mod ids;
mod listing;
mod order;
mod reject;
pub mod server;
mod setup;
mod site;
mod update;

pub use account::{Account, Balance, MarketSettings, Position};
pub use book::{Book, Resting};
pub use candles::{Candle, Candles, Interval};
pub use crowd::{Crowd, Flow};
pub use exchange::lists::{ListKind, ListState, OrderList};
pub use exchange::{
    CancelOnly, Conditional, ConditionalStatus, Exchange, MarginSummary, Market, NewConditional,
    PositionView, TriggerBy, millis,
};
pub use faults::{Faults, RequestFate};
pub use fixed::{Fixed, FixedError};
pub use ids::{AccountId, ConditionalId, ListId, MarketId, OrderId};
pub use listing::{Listing, Product};
pub use order::{
    Execution, ExpiryReason, Fill, NewOrder, Order, OrderKind, OrderStatus, PositionSide,
    SelfTrade, TimeInForce, Trail,
};
pub use reject::Reject;
pub use setup::{Markets, Recording, Setup, SetupError};
pub use site::{Answer, Site};
pub use update::{Aggregate, PositionCause, Prevented, Report, Trade, Update};
