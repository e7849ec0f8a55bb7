//! What an order asks for, and what is said back about it.

use rust_decimal::Decimal;

use crate::ids::{AccountId, AssetId, ClientOrderId, InstrumentId, StrategyId};
use crate::num::{Nanos, Price, Quantity, Side};

/// Price conditions of an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OrderKind {
    /// Trades at once at what the book offers.
    Market,
    /// Trades at `price` or better.
    Limit {
        /// Worst acceptable price.
        price: Price,
    },
    /// Becomes a market order when the market reaches `trigger`.
    Stop {
        /// Price that wakes it: at or above for a buy, at or below for a sell.
        trigger: Price,
    },
    /// Becomes a limit order when the market reaches `trigger`.
    StopLimit {
        /// Price that wakes it.
        trigger: Price,
        /// Worst acceptable price then.
        price: Price,
    },
}

impl OrderKind {
    /// Returns the limit price, if the kind has one.
    #[must_use]
    pub const fn limit_price(self) -> Option<Price> {
        match self {
            Self::Market | Self::Stop { .. } => None,
            Self::Limit { price } | Self::StopLimit { price, .. } => Some(price),
        }
    }

    /// Returns the trigger price, if the kind has one.
    #[must_use]
    pub const fn trigger(self) -> Option<Price> {
        match self {
            Self::Market | Self::Limit { .. } => None,
            Self::Stop { trigger } | Self::StopLimit { trigger, .. } => Some(trigger),
        }
    }

    /// Returns the same kind with another limit price; kinds without one stay as they are.
    #[must_use]
    pub const fn with_limit_price(self, price: Price) -> Self {
        match self {
            Self::Market | Self::Stop { .. } => self,
            Self::Limit { .. } => Self::Limit { price },
            Self::StopLimit { trigger, .. } => Self::StopLimit { trigger, price },
        }
    }
}

/// How long an order lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeInForce {
    /// Until it is filled or cancelled.
    Gtc,
    /// What cannot trade at once is cancelled.
    Ioc,
    /// All at once or nothing.
    Fok,
    /// Until the given time.
    Gtd(Nanos),
}

/// An order as asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OrderSpec {
    /// What to trade.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Price conditions.
    pub kind: OrderKind,
    /// How much, in lots; positive.
    pub qty: Quantity,
    /// How long it lives.
    pub tif: TimeInForce,
    /// Whether it must rest: refused by the venue rather than take.
    pub post_only: bool,
    /// Whether it may only shrink the position.
    pub reduce_only: bool,
}

impl OrderSpec {
    /// Returns a good-till-cancelled limit order.
    #[must_use]
    pub const fn limit(instrument: InstrumentId, side: Side, price: Price, qty: Quantity) -> Self {
        Self {
            instrument,
            side,
            kind: OrderKind::Limit { price },
            qty,
            tif: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
        }
    }

    /// Returns a market order.
    #[must_use]
    pub const fn market(instrument: InstrumentId, side: Side, qty: Quantity) -> Self {
        Self {
            instrument,
            side,
            kind: OrderKind::Market,
            qty,
            tif: TimeInForce::Ioc,
            post_only: false,
            reduce_only: false,
        }
    }
}

/// What is sent to a venue. A port accepts it only as [`crate::Approved`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderRequest {
    /// Places an order.
    New {
        /// Our id of it.
        id: ClientOrderId,
        /// Account that trades.
        account: AccountId,
        /// Strategy that asked.
        strategy: StrategyId,
        /// The order.
        spec: OrderSpec,
    },
    /// Changes price and total quantity of a working order.
    Replace {
        /// The order.
        id: ClientOrderId,
        /// Its account.
        account: AccountId,
        /// Its instrument.
        instrument: InstrumentId,
        /// New limit price.
        price: Price,
        /// New total quantity, what is filled included.
        qty: Quantity,
    },
    /// Withdraws a working order.
    Cancel {
        /// The order.
        id: ClientOrderId,
        /// Its account.
        account: AccountId,
        /// Its instrument.
        instrument: InstrumentId,
    },
}

impl OrderRequest {
    /// Returns the order that the request is about.
    #[must_use]
    pub const fn id(&self) -> ClientOrderId {
        match *self {
            Self::New { id, .. } | Self::Replace { id, .. } | Self::Cancel { id, .. } => id,
        }
    }

    /// Returns the account that the order is of.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        match *self {
            Self::New { account, .. }
            | Self::Replace { account, .. }
            | Self::Cancel { account, .. } => account,
        }
    }
}

/// What a venue says about one of our orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecutionReport {
    /// The order.
    pub order: ClientOrderId,
    /// Its account.
    pub account: AccountId,
    /// Its instrument.
    pub instrument: InstrumentId,
    /// When the venue says that it happened.
    pub venue_at: Nanos,
    /// When it reached us.
    pub received_at: Nanos,
    /// What happened.
    pub kind: ReportKind,
}

/// What happened to an order at the venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportKind {
    /// The venue has it.
    Accepted {
        /// The venue's number of the order; zero where it has none.
        venue_order_id: u64,
    },
    /// Part or all of it traded.
    Fill(Fill),
    /// It is gone, cancelled.
    Canceled,
    /// Price and total quantity were changed.
    Replaced {
        /// Limit price now.
        price: Price,
        /// Total quantity now, what is filled included.
        qty: Quantity,
    },
    /// The venue refused the order.
    Rejected(RejectReason),
    /// The venue refused to cancel; the order is as it was.
    CancelRejected(RejectReason),
    /// The venue refused to replace; the order is as it was.
    ReplaceRejected(RejectReason),
    /// Its time ran out.
    Expired,
    /// Its trigger price was reached.
    Triggered,
    /// The outcome of sending it is not known (timeout, dropped socket).
    Unknown,
}

/// One execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// The venue's number of the execution: with the order, what tells fills apart.
    pub trade_id: u64,
    /// Price.
    pub price: Price,
    /// Quantity, positive.
    pub qty: Quantity,
    /// Whether the order rested or took.
    pub role: Role,
    /// Fee paid; negative is a rebate.
    pub fee: Decimal,
    /// Asset that the fee was paid in.
    pub fee_asset: AssetId,
}

/// Which side of a trade an order was on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// It rested in the book.
    Maker,
    /// It took from the book.
    Taker,
}

impl Role {
    /// Returns `maker` or `taker`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Taker => "taker",
        }
    }
}

/// Why a venue refused a request, mapped from its own codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RejectReason {
    /// A post-only order would have taken.
    WouldTake,
    /// A fill-or-kill order could not be filled whole.
    NotFillable,
    /// There was nothing on the other side.
    NoLiquidity,
    /// A reduce-only order would have grown or opened a position.
    WouldIncrease,
    /// The account cannot pay for it.
    InsufficientBalance,
    /// The venue does not know the order (any more).
    UnknownOrder,
    /// The order breaks a filter: price, quantity or notional.
    Filter,
    /// The trigger had already been reached.
    WouldTrigger,
    /// Too many requests.
    RateLimited,
    /// Anything else.
    Other,
}

impl RejectReason {
    /// Returns the reason in snake case, as scripts and reports see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldTake => "would_take",
            Self::NotFillable => "not_fillable",
            Self::NoLiquidity => "no_liquidity",
            Self::WouldIncrease => "would_increase",
            Self::InsufficientBalance => "insufficient_balance",
            Self::UnknownOrder => "unknown_order",
            Self::Filter => "filter",
            Self::WouldTrigger => "would_trigger",
            Self::RateLimited => "rate_limited",
            Self::Other => "other",
        }
    }
}
