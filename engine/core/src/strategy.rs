//! What the engine asks of a strategy, native or scripted.

use std::sync::Arc;

use crate::event::Signal;
use crate::ids::{ClientOrderId, InstrumentId, SeriesId};
use crate::intent::Intents;
use crate::limits::RiskReject;
use crate::market::Bar;
use crate::num::{Nanos, Price, Quantity, Side};
use crate::order::{Fill, RejectReason};
use crate::value::Value;
use crate::view::View;

/// A trading strategy: sees plain values, gives back intents.
///
/// It must be a function of what it is given: no clock, no randomness of its own, no I/O, or the
/// run cannot be repeated.
pub trait Strategy {
    /// Reacts to an event.
    ///
    /// # Errors
    ///
    /// A fault drops the call's intents, disables the strategy and cancels its orders; the engine
    /// goes on.
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault>;
}

/// Why a strategy's call failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind}: {message}{}", location(.file, .line))]
pub struct StrategyFault {
    /// Which bound or rule was broken.
    pub kind: FaultKind,
    /// What went wrong, in the script language's words.
    pub message: String,
    /// Script file, empty for native strategies.
    pub file: String,
    /// Line in the file, 0 where it is not known.
    pub line: u32,
}

fn location(file: &str, line: &u32) -> String {
    if file.is_empty() { String::new() } else { format!(" ({file}:{line})") }
}

/// Which bound or rule a failed call broke.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FaultKind {
    /// The script raised an error.
    Error,
    /// Too many operations in one call.
    Fuel,
    /// Too much memory.
    Memory,
    /// Calls nested too deep.
    Depth,
    /// Too many intents in one call.
    Intents,
    /// Too many host objects (indicators, series, timers).
    Quota,
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "script error",
            Self::Fuel => "operation limit",
            Self::Memory => "memory limit",
            Self::Depth => "call depth limit",
            Self::Intents => "intent limit",
            Self::Quota => "object limit",
        })
    }
}

/// What a strategy is called for. Market events come only as far as [`Interest`] says.
#[derive(Clone, Copy, Debug)]
pub enum StrategyEvent<'a> {
    /// The strategy begins; nothing else comes before.
    Start,
    /// Some of its parameters have new values.
    Params(&'a [(Arc<str>, Value)]),
    /// The book or its best quote changed and is coherent.
    Book {
        /// Whose.
        instrument: InstrumentId,
    },
    /// One level changed; the book may be in the middle of a list.
    Level {
        /// Whose.
        instrument: InstrumentId,
        /// Side of the level.
        side: Side,
        /// Its price.
        price: Price,
        /// Its new quantity.
        qty: Quantity,
    },
    /// A trade was printed.
    Trade {
        /// Of what.
        instrument: InstrumentId,
        /// The trade.
        trade: Trade,
    },
    /// A bar of a series closed.
    Bar {
        /// Which series.
        series: SeriesId,
        /// The closed bar.
        bar: &'a Bar,
        /// When it opened.
        open_at: Nanos,
    },
    /// One of the strategy's orders changed without a fill.
    Order {
        /// Which.
        order: ClientOrderId,
        /// How.
        change: OrderChange,
    },
    /// One of the strategy's orders traded. The position already includes it.
    Fill {
        /// Which.
        order: ClientOrderId,
        /// Of what.
        instrument: InstrumentId,
        /// The order's side.
        side: Side,
        /// The execution.
        fill: Fill,
        /// Whether the order is filled whole.
        done: bool,
    },
    /// A timer fired.
    Timer {
        /// Its name.
        name: &'a Arc<str>,
    },
    /// A message from outside.
    Signal(&'a Signal),
    /// The strategy ends; its intents still count.
    Stop,
}

/// A printed trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trade {
    /// Side of the taker, where known.
    pub aggressor: Option<Side>,
    /// Its price.
    pub price: Price,
    /// Its quantity.
    pub qty: Quantity,
    /// The venue's number of it; zero where it has none.
    pub id: u64,
    /// When the venue printed it.
    pub at: Nanos,
}

/// How an order changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderChange {
    /// The venue has it.
    Accepted,
    /// Price and quantity were changed.
    Replaced,
    /// It is gone, cancelled.
    Canceled,
    /// Its time ran out.
    Expired,
    /// Its trigger was reached.
    Triggered,
    /// Its fate is not known.
    Unknown,
    /// Risk refused it; it was never sent.
    Refused(RiskReject),
    /// The venue refused it.
    Rejected(RejectReason),
    /// The venue refused a cancel of it.
    CancelRejected(RejectReason),
    /// The venue refused a replace of it.
    ReplaceRejected(RejectReason),
}

impl OrderChange {
    /// Returns the change in snake case, as scripts see it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Replaced => "replaced",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Triggered => "triggered",
            Self::Unknown => "unknown",
            Self::Refused(_) => "refused",
            Self::Rejected(_) => "rejected",
            Self::CancelRejected(_) => "cancel_rejected",
            Self::ReplaceRejected(_) => "replace_rejected",
        }
    }

    /// Returns why, in snake case; empty where there is no reason to give.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.as_str(),
            Self::Rejected(reason)
            | Self::CancelRejected(reason)
            | Self::ReplaceRejected(reason) => reason.as_str(),
            Self::Accepted
            | Self::Replaced
            | Self::Canceled
            | Self::Expired
            | Self::Triggered
            | Self::Unknown => "",
        }
    }
}

/// Which market events a strategy is called for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Interest {
    /// [`StrategyEvent::Book`].
    pub book: bool,
    /// [`StrategyEvent::Level`].
    pub level: bool,
    /// [`StrategyEvent::Trade`].
    pub trade: bool,
}
