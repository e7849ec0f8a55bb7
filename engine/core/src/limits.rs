//! Risk limits as configured, and the reasons for which an order is refused.

use std::fmt;

use crate::event::Scope;
use crate::num::{Notional, Price, Quantity};

/// State of a scope: what it may still do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum TradingState {
    /// Trades freely within its limits.
    #[default]
    Active,
    /// Only orders that shrink a position.
    Reducing,
    /// No new orders; cancels pass. What becomes of open ones, [`OnHalt`] and [`Command::Kill`] say.
    ///
    /// [`Command::Kill`]: crate::Command::Kill
    Halted,
}

impl TradingState {
    /// Returns the state in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reducing => "reducing",
            Self::Halted => "halted",
        }
    }
}

/// What becomes of a scope's open orders when it is halted by itself: by a limit that trips, by a
/// venue that fills too much, by a record that cannot be written. A kill by command always cancels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OnHalt {
    /// They are cancelled.
    #[default]
    Cancel,
    /// They stay at the venue, where they may still fill.
    Keep,
}

/// Limits of one scope (strategy, account or engine). `None` means not limited.
///
/// Money is in the quote currency; quotes of different instruments are added up as equals.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RiskLimits {
    /// Largest quantity of one order, in lots.
    pub order_qty: Option<Quantity>,
    /// Largest notional of one order.
    pub order_notional: Option<Notional>,
    /// Largest position in one instrument, in lots, with open orders at their worst case.
    pub position_qty: Option<Quantity>,
    /// Largest sum over instruments of worst-case positions' notionals.
    pub gross_exposure: Option<Notional>,
    /// Furthest that a limit price may lie beyond the touch, against us, in basis points of it.
    pub price_collar_bps: Option<u32>,
    /// Most orders open at once.
    pub open_orders: Option<u32>,
    /// Most orders and replaces in any second (sliding).
    pub orders_per_second: Option<u32>,
    /// Most orders and replaces in a UTC day.
    pub orders_per_day: Option<u32>,
    /// Most cancels and replaces per hundred orders of the UTC day, judged from the hundredth order.
    pub cancels_per_100_orders: Option<u32>,
    /// Largest loss in a UTC day, realised and unrealised, fees included. Trips the kill switch.
    pub daily_loss: Option<Notional>,
    /// Largest fall of profit from its highest point. Trips the kill switch.
    pub drawdown: Option<Notional>,
    /// Least time between a fill and the next order that grows a position, in nanoseconds.
    pub cooldown_ns: Option<i64>,
    /// Most fills in a UTC day.
    pub trades_per_day: Option<u32>,
    /// What becomes of open orders when the scope is halted by itself.
    pub on_halt: OnHalt,
}

/// Why the engine refused an order before it was sent. Each carries the numbers that decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RiskReject {
    /// Quantity is zero or negative.
    NonPositiveQuantity {
        /// The order's quantity.
        qty: Quantity,
    },
    /// Below the instrument's smallest quantity.
    MinQuantity {
        /// The order's quantity.
        qty: Quantity,
        /// The least.
        min: Quantity,
    },
    /// Above the instrument's largest quantity.
    MaxQuantity {
        /// The order's quantity.
        qty: Quantity,
        /// The most.
        max: Quantity,
    },
    /// Below the instrument's smallest notional.
    MinNotional {
        /// The order's notional.
        notional: Notional,
        /// The least.
        min: Notional,
    },
    /// Limit or trigger price is zero or negative.
    NonPositivePrice {
        /// The price.
        price: Price,
    },
    /// A price or quantity from the script does not lie on the instrument's grid.
    Precision,
    /// Price times quantity does not fit.
    Overflow,
    /// No such instrument, or the strategy does not trade it.
    UnknownInstrument,
    /// No such working order of this strategy.
    UnknownOrder,
    /// The order already has a cancel or replace in flight, or cannot be replaced.
    NotReplaceable,
    /// No room for another order in the engine's table.
    TableFull {
        /// How many it holds.
        capacity: u32,
    },
    /// The scope is halted.
    Halted {
        /// Which scope.
        scope: Scope,
    },
    /// The scope is reducing, and the order could grow a position.
    Reducing {
        /// Which scope.
        scope: Scope,
    },
    /// Reduce-only, but there is no position on the other side to reduce by this much.
    WouldIncrease {
        /// The strategy's position.
        position: Quantity,
        /// The order's signed quantity.
        order: Quantity,
    },
    /// The book is stale: it has a gap, is crossed, or its link is down.
    StaleBook,
    /// There is no price to judge the order by.
    NoReference,
    /// Beyond the instrument's price band.
    PriceBand {
        /// The order's price.
        price: Price,
        /// The reference.
        reference: Price,
        /// The band.
        limit_bps: u32,
    },
    /// Beyond the price collar.
    PriceCollar {
        /// Which scope's limit.
        scope: Scope,
        /// The order's price.
        price: Price,
        /// The touch that it was compared with.
        reference: Price,
        /// The limit.
        limit_bps: u32,
    },
    /// Order quantity limit.
    OrderQuantity {
        /// Which scope's limit.
        scope: Scope,
        /// The order's quantity.
        qty: Quantity,
        /// The limit.
        limit: Quantity,
    },
    /// Order notional limit.
    OrderNotional {
        /// Which scope's limit.
        scope: Scope,
        /// The order's notional.
        notional: Notional,
        /// The limit.
        limit: Notional,
    },
    /// Position limit, open orders at their worst.
    Position {
        /// Which scope's limit.
        scope: Scope,
        /// Worst-case position with this order.
        worst: Quantity,
        /// The limit.
        limit: Quantity,
    },
    /// Gross exposure limit, open orders at their worst.
    GrossExposure {
        /// Which scope's limit.
        scope: Scope,
        /// Exposure with this order.
        exposure: Notional,
        /// The limit.
        limit: Notional,
    },
    /// Too many open orders.
    OpenOrders {
        /// Which scope's limit.
        scope: Scope,
        /// The limit.
        limit: u32,
    },
    /// Too many orders within a second.
    OrdersPerSecond {
        /// Which scope's limit.
        scope: Scope,
        /// The limit.
        limit: u32,
    },
    /// Too many orders today.
    OrdersPerDay {
        /// Which scope's limit.
        scope: Scope,
        /// The limit.
        limit: u32,
    },
    /// Too many cancels for the orders sent today.
    CancelRatio {
        /// Which scope's limit.
        scope: Scope,
        /// Cancels per hundred orders now.
        per_100: u32,
        /// The limit.
        limit: u32,
    },
    /// Too soon after the last fill.
    Cooldown {
        /// Which scope's limit.
        scope: Scope,
        /// Nanoseconds left to wait.
        left_ns: i64,
    },
    /// Too many fills today.
    TradesPerDay {
        /// Which scope's limit.
        scope: Scope,
        /// The limit.
        limit: u32,
    },
    /// It would trade with our own order.
    SelfCross {
        /// The order's price; the resting order's for a market order.
        price: Price,
        /// Our order's price on the other side.
        resting: Price,
    },
    /// The account cannot pay for it.
    InsufficientBalance {
        /// What it needs.
        needed: Notional,
        /// What is free.
        free: Notional,
    },
}

impl RiskReject {
    /// Returns the reason in snake case, as scripts, reports and metrics count it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NonPositiveQuantity { .. } => "non_positive_quantity",
            Self::MinQuantity { .. } => "min_quantity",
            Self::MaxQuantity { .. } => "max_quantity",
            Self::MinNotional { .. } => "min_notional",
            Self::NonPositivePrice { .. } => "non_positive_price",
            Self::Precision => "precision",
            Self::Overflow => "overflow",
            Self::UnknownInstrument => "unknown_instrument",
            Self::UnknownOrder => "unknown_order",
            Self::NotReplaceable => "not_replaceable",
            Self::TableFull { .. } => "table_full",
            Self::Halted { .. } => "halted",
            Self::Reducing { .. } => "reducing",
            Self::WouldIncrease { .. } => "would_increase",
            Self::StaleBook => "stale_book",
            Self::NoReference => "no_reference",
            Self::PriceBand { .. } => "price_band",
            Self::PriceCollar { .. } => "price_collar",
            Self::OrderQuantity { .. } => "order_quantity",
            Self::OrderNotional { .. } => "order_notional",
            Self::Position { .. } => "position",
            Self::GrossExposure { .. } => "gross_exposure",
            Self::OpenOrders { .. } => "open_orders",
            Self::OrdersPerSecond { .. } => "orders_per_second",
            Self::OrdersPerDay { .. } => "orders_per_day",
            Self::CancelRatio { .. } => "cancel_ratio",
            Self::Cooldown { .. } => "cooldown",
            Self::TradesPerDay { .. } => "trades_per_day",
            Self::SelfCross { .. } => "self_cross",
            Self::InsufficientBalance { .. } => "insufficient_balance",
        }
    }
}

impl fmt::Display for RiskReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonPositiveQuantity { qty } => {
                write!(f, "quantity of {qty} lots is not positive")
            }
            Self::MinQuantity { qty, min } => {
                write!(f, "quantity of {qty} lots is below the instrument's minimum of {min}")
            }
            Self::MaxQuantity { qty, max } => {
                write!(f, "quantity of {qty} lots is above the instrument's maximum of {max}")
            }
            Self::MinNotional { notional, min } => {
                write!(f, "notional of {notional} is below the instrument's minimum of {min}")
            }
            Self::NonPositivePrice { price } => write!(f, "price of {price} ticks is not positive"),
            Self::Precision => f.write_str("price or quantity is not on the instrument's grid"),
            Self::Overflow => f.write_str("price times quantity is out of range"),
            Self::UnknownInstrument => f.write_str("no such instrument"),
            Self::UnknownOrder => f.write_str("no such working order"),
            Self::NotReplaceable => {
                f.write_str("the order cannot be changed now: a request is in flight or it is over")
            }
            Self::TableFull { capacity } => write!(f, "all {capacity} order places are taken"),
            Self::Halted { scope } => write!(f, "{scope} is halted"),
            Self::Reducing { scope } => {
                write!(f, "{scope} may only reduce, and this order could grow the position")
            }
            Self::WouldIncrease { position, order } => write!(
                f,
                "reduce-only order of {order} lots does not shrink the position of {position}"
            ),
            Self::StaleBook => f.write_str("the book is stale"),
            Self::NoReference => f.write_str("no market price yet to judge the order by"),
            Self::PriceBand { price, reference, limit_bps } => write!(
                f,
                "price of {price} ticks is more than {limit_bps} bps from {reference} (price band)"
            ),
            Self::PriceCollar { scope, price, reference, limit_bps } => write!(
                f,
                "price of {price} ticks is more than {limit_bps} bps beyond the touch at {reference} ({scope} collar)"
            ),
            Self::OrderQuantity { scope, qty, limit } => {
                write!(f, "quantity of {qty} lots exceeds the {scope} limit of {limit}")
            }
            Self::OrderNotional { scope, notional, limit } => {
                write!(f, "notional of {notional} exceeds the {scope} limit of {limit}")
            }
            Self::Position { scope, worst, limit } => {
                write!(
                    f,
                    "worst-case position of {worst} lots exceeds the {scope} limit of {limit}"
                )
            }
            Self::GrossExposure { scope, exposure, limit } => {
                write!(f, "gross exposure of {exposure} exceeds the {scope} limit of {limit}")
            }
            Self::OpenOrders { scope, limit } => {
                write!(f, "{scope} already has its limit of {limit} open orders")
            }
            Self::OrdersPerSecond { scope, limit } => {
                write!(f, "{scope} has sent its limit of {limit} orders within a second")
            }
            Self::OrdersPerDay { scope, limit } => {
                write!(f, "{scope} has sent its limit of {limit} orders today")
            }
            Self::CancelRatio { scope, per_100, limit } => write!(
                f,
                "{scope} has {per_100} cancels per 100 orders today, over its limit of {limit}"
            ),
            Self::Cooldown { scope, left_ns } => {
                write!(f, "{scope} cools down for {left_ns} ns more after its last fill")
            }
            Self::TradesPerDay { scope, limit } => {
                write!(f, "{scope} has had its limit of {limit} fills today")
            }
            Self::SelfCross { price, resting } => {
                write!(f, "price of {price} ticks would trade with our own order at {resting}")
            }
            Self::InsufficientBalance { needed, free } => {
                write!(f, "needs {needed}, but only {free} is free")
            }
        }
    }
}
