//! What the exchange tells the outside: everything that a dialect turns into messages.

use tercel_core::{Nanos, Side};

use crate::account::Balance;
use crate::exchange::Conditional;
use crate::exchange::lists::ListState;
use crate::fixed::Fixed;
use crate::ids::{AccountId, ListId, MarketId, OrderId};
use crate::order::{Execution, Fill, Order};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Update {
    /// An order of an account changed.
    Order(Box<Report>),
    /// An order list changed.
    List {
        /// Whose.
        account: AccountId,
        /// Which.
        list: ListId,
        /// What it is now.
        state: ListState,
        /// When.
        at: Nanos,
    },
    /// A conditional order changed.
    Conditional {
        /// What it is now.
        conditional: Box<Conditional>,
        /// When.
        at: Nanos,
    },
    /// Balances changed by trading or locking.
    Balances {
        /// Whose.
        account: AccountId,
        /// Which assets, and what there is of them now.
        assets: Vec<(String, Balance)>,
        /// When.
        at: Nanos,
    },
    /// Money came from outside or left.
    Deposit {
        /// Whose.
        account: AccountId,
        /// Which asset.
        asset: String,
        /// How much; negative when it left.
        amount: Fixed,
        /// When.
        at: Nanos,
    },
    /// A wallet or a position changed.
    Position {
        /// Whose.
        account: AccountId,
        /// Which; `None` where only the wallet did.
        market: Option<MarketId>,
        /// By what.
        cause: PositionCause,
        /// When.
        at: Nanos,
    },
    /// Leverage of a symbol changed.
    Leverage {
        /// Whose.
        account: AccountId,
        /// Of which symbol.
        market: MarketId,
        /// To how much.
        leverage: i64,
        /// When.
        at: Nanos,
    },
    /// Two orders traded.
    Trade {
        /// In which symbol.
        market: MarketId,
        /// How.
        trade: Trade,
    },
    /// All trades of one incoming order at one price.
    Aggregate {
        /// In which symbol.
        market: MarketId,
        /// How.
        trade: Aggregate,
    },
    /// Visible quantity of a level changed.
    Level {
        /// In which symbol.
        market: MarketId,
        /// Which side.
        side: Side,
        /// At which price.
        price: Fixed,
        /// Number of the change.
        update_id: u64,
        /// When.
        at: Nanos,
    },
    /// Mark price moved.
    Mark {
        /// Of which symbol.
        market: MarketId,
        /// When.
        at: Nanos,
    },
    /// A position was closed by force.
    Liquidation {
        /// The order that closed it, as it ended.
        order: Box<Order>,
        /// When.
        at: Nanos,
    },
}

/// Why a position or a wallet changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PositionCause {
    /// An order traded.
    Order,
    /// Funding was paid.
    Funding,
    /// Money came or left.
    Deposit,
    /// Cross became isolated or the other way round.
    MarginType,
}

/// An order after something happened to it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The order as it is now.
    pub order: Order,
    /// What happened.
    pub execution: Execution,
    /// The trade, if it was one.
    pub fill: Option<Fill>,
    /// Name of the request that changed it, where the venue gives requests names of their own.
    pub request_id: Option<String>,
    /// What it would have traded with itself.
    pub prevented: Option<Prevented>,
    /// Number of this report.
    pub id: u64,
    /// When.
    pub at: Nanos,
}

/// A trade that did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prevented {
    /// Its number.
    pub id: u64,
    /// The order on the other side.
    pub counter: OrderId,
    /// Price.
    pub price: Fixed,
    /// Quantity.
    pub qty: Fixed,
}

/// A trade as everybody sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trade {
    /// Ascends by one per symbol.
    pub id: u64,
    /// Price.
    pub price: Fixed,
    /// Quantity in the base asset.
    pub qty: Fixed,
    /// Side of the order that came.
    pub aggressor: Side,
    /// When.
    pub at: Nanos,
}

/// Trades of one incoming order at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// Ascends by one per symbol.
    pub id: u64,
    /// Price.
    pub price: Fixed,
    /// Quantity in the base asset.
    pub qty: Fixed,
    /// First trade.
    pub first: u64,
    /// Last trade.
    pub last: u64,
    /// Side of the order that came.
    pub aggressor: Side,
    /// When.
    pub at: Nanos,
}
