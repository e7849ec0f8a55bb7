//! What a venue refuses with, and what is to be done about it.

use tercel_core::RejectReason;

use crate::protocol::VenueText;

/// A refusal of a venue, mapped, with its own words kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind:?}: {code} {text}")]
pub struct VenueError {
    /// What it means.
    pub kind: ErrorKind,
    /// The venue's code.
    pub code: VenueText,
    /// The venue's words. Never holds what was sent.
    pub text: String,
    /// Seconds to wait, where the venue said so.
    pub retry_after_s: Option<u32>,
}

/// What a refusal means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ErrorKind {
    /// Whether the venue acted is not known: a timeout, a 5xx, a dropped connection.
    OutcomeUnknown,
    /// Too many requests or too much weight.
    RateLimited,
    /// The address is banned for a while.
    Banned,
    /// Too many orders.
    TooManyOrders,
    /// The venue is overloaded or under maintenance.
    Unavailable,
    /// The clock is off.
    Timestamp,
    /// Key, signature, address or permission are refused.
    Auth,
    /// A filter: price, quantity, notional, precision.
    Filter,
    /// A parameter or symbol is wrong: ours to mend.
    BadRequest,
    /// The account cannot pay.
    InsufficientBalance,
    /// The order is not known, or not any more.
    UnknownOrder,
    /// The client id was used already.
    DuplicateOrder,
    /// A post-only order would have taken.
    WouldTake,
    /// A trigger had been reached already.
    WouldTrigger,
    /// A reduce-only order would have grown the position.
    WouldIncrease,
    /// What was asked for is so already.
    NoChange,
    /// The request was never sent.
    NotSent,
    /// Anything else.
    Other,
}

/// What is to be done about a refusal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reaction {
    /// It is as wanted.
    Ignore,
    /// The request is wrong as it is: tell the strategy, never repeat it.
    Fix,
    /// Find out what is so by asking, then go on.
    Query,
    /// Measure the clock, then it may be tried again.
    Resync,
    /// It may be tried again later.
    Retry,
    /// Send no new orders for a while.
    Pause,
    /// A person has to act: stop trading the account.
    Alarm,
}

impl ErrorKind {
    /// Returns what is to be done.
    #[must_use]
    pub const fn reaction(self) -> Reaction {
        match self {
            Self::NoChange => Reaction::Ignore,
            Self::Filter
            | Self::BadRequest
            | Self::InsufficientBalance
            | Self::WouldTake
            | Self::WouldTrigger
            | Self::WouldIncrease
            | Self::Other => Reaction::Fix,
            Self::OutcomeUnknown | Self::UnknownOrder | Self::DuplicateOrder => Reaction::Query,
            Self::Timestamp => Reaction::Resync,
            Self::Unavailable | Self::NotSent => Reaction::Retry,
            Self::RateLimited | Self::Banned | Self::TooManyOrders => Reaction::Pause,
            Self::Auth => Reaction::Alarm,
        }
    }

    /// Returns whether an order that was refused with it is not at the venue for certain.
    #[must_use]
    pub const fn is_definite(self) -> bool {
        !matches!(self, Self::OutcomeUnknown | Self::DuplicateOrder)
    }

    /// Returns the reason that the engine is given.
    #[must_use]
    pub const fn reject_reason(self) -> RejectReason {
        match self {
            Self::RateLimited | Self::Banned | Self::TooManyOrders => RejectReason::RateLimited,
            Self::Filter => RejectReason::Filter,
            Self::InsufficientBalance => RejectReason::InsufficientBalance,
            Self::UnknownOrder => RejectReason::UnknownOrder,
            Self::WouldTake => RejectReason::WouldTake,
            Self::WouldTrigger => RejectReason::WouldTrigger,
            Self::WouldIncrease => RejectReason::WouldIncrease,
            Self::OutcomeUnknown
            | Self::Unavailable
            | Self::Timestamp
            | Self::Auth
            | Self::BadRequest
            | Self::DuplicateOrder
            | Self::NoChange
            | Self::NotSent
            | Self::Other => RejectReason::Other,
        }
    }
}
