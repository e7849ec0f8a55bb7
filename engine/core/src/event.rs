//! Everything that can happen: the only input of the engine.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::ids::{AccountId, AssetId, ClientOrderId, InstrumentId, StrategyId, VenueId};
use crate::limits::RiskLimits;
use crate::market::MarketEvent;
use crate::num::{Nanos, Price, Quantity};
use crate::order::{ExecutionReport, OrderSpec};
use crate::value::Value;

/// An input of the engine.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Market data.
    Market(MarketEvent),
    /// News of one of our orders.
    Execution(ExecutionReport),
    /// What a venue says that an account holds.
    Account(AccountUpdate),
    /// A connection changed.
    Link(LinkEvent),
    /// Time has come: every timer due at `now` fires.
    Timer,
    /// A message from outside for a strategy.
    Signal(Arc<Signal>),
    /// An operator or the runtime asks for something.
    Command(Command),
}

/// One item of an account's state as the venue tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountUpdate {
    /// The account.
    pub account: AccountId,
    /// The item.
    pub item: AccountItem,
    /// Whether a snapshot's list ends here.
    pub last: bool,
}

/// An item of an account's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountItem {
    /// Total holding of an asset; what open orders lock is computed here, not taken over.
    Balance {
        /// The asset.
        asset: AssetId,
        /// Free and locked together.
        total: Decimal,
    },
    /// Net position in an instrument.
    Position {
        /// The instrument.
        instrument: InstrumentId,
        /// Signed quantity.
        qty: Quantity,
        /// Average entry price.
        price: Price,
    },
    /// A working order that somebody else has placed on the account, and that is ours from here on;
    /// or, of one that was told so before, its terms as that somebody has changed them.
    Order(Adoption),
}

/// An order of other origin that is taken over.
///
/// Its executions so far are in what the account holds, and are booked no more. Those after
/// [`Self::as_of`] come as reports, like any other order's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Adoption {
    /// Our id of it from here on: one of [`ClientOrderId::adopted`].
    pub order: ClientOrderId,
    /// The strategy that it belongs to from here on.
    pub strategy: StrategyId,
    /// The venue's number of it, which is all that it is known by there.
    pub venue_order_id: u64,
    /// The order, with its total quantity.
    pub spec: OrderSpec,
    /// What of it was filled before.
    pub filled: Quantity,
    /// Whether it has no trigger, or its trigger has been reached.
    pub triggered: bool,
    /// The venue's time until which its executions are known.
    pub as_of: Nanos,
}

/// A connection's change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkEvent {
    /// The venue.
    pub venue: VenueId,
    /// The instrument whose stream it is; `None` for the order connection.
    pub instrument: Option<InstrumentId>,
    /// The new state.
    pub state: LinkState,
}

/// State of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LinkState {
    /// Data flows.
    Up,
    /// Connection lost: books behind it are stale.
    Down,
    /// Messages were lost: books behind it are stale until a snapshot.
    Gap,
}

/// A message from outside, journaled as an input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signal {
    /// Strategy that it is for.
    pub strategy: StrategyId,
    /// What it is called.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Something that an operator or the runtime asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Begins the strategy: sent once before its first event, and again for a version that takes
    /// its place. Scripts run `on_init`, or `on_reload` in the second case.
    Start(StrategyId),
    /// Runs `on_stop` of the strategy; its intents still count.
    Stop(StrategyId),
    /// Lets the scope trade.
    Resume(Scope),
    /// Lets the scope only shrink positions; one that is killed stays so.
    Reduce(Scope),
    /// Stops the scope: cancels its orders and refuses new ones until `Resume` or `Flatten`.
    Kill(Scope),
    /// Cancels the scope's orders and closes its positions with reduce-only market orders; until it is
    /// resumed also what orders fill before their cancels come.
    Flatten(Scope),
    /// Gives the strategy new values of some of its parameters.
    SetParams(StrategyId, Box<[(Arc<str>, Value)]>),
    /// Replaces the scope's limits.
    SetLimits(Scope, Box<RiskLimits>),
    /// Stops the scope like a limit that trips: refuses new orders, and cancels those that are open
    /// unless the scope's limits say that they stay. One that is halted already stays as it is.
    Halt(Scope),
}

/// What limits, switches and commands apply to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// One strategy.
    Strategy(StrategyId),
    /// One account with all of its strategies.
    Account(AccountId),
    /// Everything.
    Engine,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Strategy(id) => write!(f, "strategy {id}"),
            Self::Account(id) => write!(f, "account {id}"),
            Self::Engine => f.write_str("engine"),
        }
    }
}

// Rings and tapes hold events by value.
const _: () = assert!(size_of::<Event>() <= 128);
