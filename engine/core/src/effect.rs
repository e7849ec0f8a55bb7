//! What the engine wants done: its only output.

use std::fmt;
use std::sync::Arc;

use crate::event::Scope;
use crate::ids::{AccountId, ClientOrderId, InstrumentId, PlotId, StrategyId};
use crate::limits::{RiskReject, TradingState};
use crate::num::{Notional, Price, Quantity};
use crate::order::OrderRequest;
use crate::risk::Approved;
use crate::strategy::StrategyFault;
use crate::timers::Timer;
use crate::value::Value;

/// A wish of the engine.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Send this to the venue.
    Send(Approved<OrderRequest>),
    /// Fetch a new snapshot of the book.
    Resync(InstrumentId),
    /// Keep this value of a script.
    Remember {
        /// Whose.
        strategy: StrategyId,
        /// Its key.
        key: Arc<str>,
        /// The value; `Nil` forgets.
        value: Value,
    },
    /// Keep this timer, in place of the strategy's one of the same name.
    SetTimer {
        /// Whose.
        strategy: StrategyId,
        /// The timer.
        timer: Timer,
    },
    /// Forget the strategy's timer of this name.
    CancelTimer {
        /// Whose.
        strategy: StrategyId,
        /// Its name.
        name: Arc<str>,
    },
    /// Tell people.
    Notice(Notice),
}

/// News for logs, alerts, reports and the dashboard.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// A script wrote a line.
    Log {
        /// Whose.
        strategy: StrategyId,
        /// The line.
        text: String,
    },
    /// A script named a series that it will draw.
    NamePlot {
        /// Whose.
        strategy: StrategyId,
        /// The series.
        plot: PlotId,
        /// What people call it.
        name: Arc<str>,
    },
    /// A script drew a point.
    Draw {
        /// Whose.
        strategy: StrategyId,
        /// The series.
        plot: PlotId,
        /// The point, as the bits of an `f64`.
        value_bits: u64,
    },
    /// A script set a marker.
    Mark {
        /// Whose.
        strategy: StrategyId,
        /// The label.
        label: Arc<str>,
        /// Where, as the bits of an `f64` price.
        price_bits: u64,
    },
    /// An order was refused before it was sent.
    RiskReject {
        /// Whose.
        strategy: StrategyId,
        /// The id that the order would have had, or the order that was to be changed.
        order: ClientOrderId,
        /// Why.
        reason: RiskReject,
    },
    /// A strategy failed; it is called no more.
    Fault {
        /// Which.
        strategy: StrategyId,
        /// What happened.
        fault: StrategyFault,
    },
    /// A book cannot be trusted until a snapshot.
    BookStale {
        /// Which.
        instrument: InstrumentId,
        /// Why.
        cause: StaleCause,
    },
    /// A scope's state changed.
    State {
        /// Which scope.
        scope: Scope,
        /// Its state now.
        state: TradingState,
        /// Why.
        cause: StateCause,
    },
    /// A resume lets loss limits that were reached count from here on.
    LossMarks {
        /// Which scope.
        scope: Scope,
        /// The profit from which the loss of the day counts.
        pnl_open: Notional,
        /// The profit from which the drawdown counts.
        pnl_max: Notional,
    },
    /// Funding was paid on the positions of an instrument, at this price: what a record needs to pay it
    /// again, for market data is not in it.
    Funding {
        /// Which instrument.
        instrument: InstrumentId,
        /// Fraction of notional paid by longs to shorts, in units of 1e-12.
        rate_e12: i64,
        /// The price that positions were valued at.
        mark: Price,
    },
    /// An account's position turned out to be another than ours: somebody else has changed it, by a
    /// liquidation, a deleveraging or by hand. What a record needs to take it over again.
    PositionDiffers {
        /// Which account.
        account: AccountId,
        /// Of which instrument.
        instrument: InstrumentId,
        /// What our books said, signed.
        was: Quantity,
        /// What the venue says, signed.
        is: Quantity,
        /// Average entry price of that, as the venue tells it.
        entry: Price,
        /// The price at which what went was realised; at what it had cost where none is known.
        at: Option<Price>,
    },
    /// Part of a strategy's position was taken from it, because its account holds less.
    PositionTaken {
        /// Whose.
        strategy: StrategyId,
        /// On which account.
        account: AccountId,
        /// Of which instrument.
        instrument: InstrumentId,
        /// How much of it, signed as the position was.
        qty: Quantity,
        /// The price at which it was realised; at what it had cost where none is known.
        at: Option<Price>,
    },
    /// A report was refused: for an unknown order, or impossible in the order's state.
    ReportRefused {
        /// The order that it named.
        order: ClientOrderId,
        /// Why.
        cause: ReportRefusal,
    },
}

/// Why a book became stale.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StaleCause {
    /// Sequence numbers are missing.
    Gap {
        /// Sequence that the book had.
        have: u64,
        /// Sequence that the next list builds on.
        needed: u64,
    },
    /// The best bid is not below the best ask at the end of a list.
    Crossed,
    /// The connection reported loss.
    Link,
}

/// Why a scope's state changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StateCause {
    /// Somebody asked.
    Command,
    /// The daily loss limit was reached.
    DailyLoss,
    /// The drawdown limit was reached.
    Drawdown,
    /// The venue filled more than was ordered: the books do not agree.
    Overfill {
        /// By how much the report exceeds the order.
        excess: Quantity,
    },
}

impl fmt::Display for StateCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command => f.write_str("by command"),
            Self::DailyLoss => f.write_str("the daily loss limit is reached"),
            Self::Drawdown => f.write_str("the drawdown limit is reached"),
            Self::Overfill { excess } => {
                write!(f, "the venue filled {} lots more than was ordered", excess.0)
            }
        }
    }
}

/// Why a report was not applied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReportRefusal {
    /// No order of this id is known.
    UnknownOrder,
    /// The fill was applied before.
    DuplicateFill,
    /// The order is over and the report is not a fill.
    AfterEnd,
    /// The report says nothing new.
    Stale,
    /// The fill exceeds what was ordered.
    Overfill,
    /// Quantity or price of the fill is not positive.
    Malformed,
}

/// The wishes of one call of [`crate::Engine::handle`], in order.
#[derive(Debug, Default)]
pub struct Effects {
    items: Vec<Effect>,
}

impl Effects {
    /// Returns an empty list with room for `capacity` effects. Allocates once.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { items: Vec::with_capacity(capacity) }
    }

    /// Adds an effect.
    pub fn push(&mut self, effect: Effect) {
        self.items.push(effect);
    }

    /// Adds a notice.
    pub fn notice(&mut self, notice: Notice) {
        self.items.push(Effect::Notice(notice));
    }

    /// Returns whether nothing is wished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the effects in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Effect] {
        &self.items
    }

    /// Forgets all effects, keeping the allocation.
    pub fn clear(&mut self) {
        self.items.clear();
    }
}
