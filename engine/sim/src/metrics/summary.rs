//! The sums and ratios of a run.

use tercel_core::{InstrumentId, Nanos, Notional, Quantity};

use crate::metrics::daily::DailyRatios;
use crate::metrics::drawdown::Drawdown;
use crate::metrics::ratio;
use crate::metrics::to_f64;
use crate::metrics::trips::TripStats;

/// The sums and ratios of a run; the module's page defines them.
#[derive(Clone, PartialEq, Debug)]
pub struct Metrics {
    /// Time of the first thing seen.
    pub started_at: Nanos,
    /// Time of the last.
    pub ended_at: Nanos,
    /// Equity before the first fill.
    pub initial_equity: Notional,
    /// Equity at the end.
    pub final_equity: Notional,
    /// Profit of what was closed, before fees and funding.
    pub realised: Notional,
    /// Profit of what is still open.
    pub unrealised: Notional,
    /// Fees paid, rebates deducted.
    pub fees: Notional,
    /// Funding received, payments deducted.
    pub funding: Notional,
    /// Sum of the notionals of fills.
    pub turnover: Notional,
    /// Of which made, not taken.
    pub maker_turnover: Notional,
    /// What fills cost against the middle at their orders' send.
    pub slippage: Notional,
    /// Number of fills.
    pub n_fills: u64,
    /// Ratios of daily returns.
    pub daily: DailyRatios,
    /// Falls of equity.
    pub drawdown: Drawdown,
    /// Round trips.
    pub trips: TripStats,
    /// Time with any position open, in nanoseconds.
    pub exposed_ns: i64,
    /// Orders.
    pub orders: OrderCounts,
    /// What was refused, most frequent first.
    pub rejections: Vec<Rejection>,
    /// By instrument, those that traded.
    pub instruments: Vec<InstrumentSummary>,
    /// By UTC day, oldest first.
    pub days: Vec<DaySummary>,
}

impl Metrics {
    /// Returns final equity less initial equity.
    #[must_use]
    pub fn profit(&self) -> Notional {
        self.final_equity - self.initial_equity
    }

    /// Returns the profit as a share of initial equity.
    #[must_use]
    pub fn total_return(&self) -> Option<f64> {
        let initial = to_f64(self.initial_equity);
        (initial > 0.0).then_some(to_f64(self.profit()) / initial)
    }

    /// Returns the share of time with a position.
    #[must_use]
    pub fn exposure(&self) -> Option<f64> {
        ratio(self.exposed_ns as f64, self.ended_at.since(self.started_at) as f64)
    }

    /// Returns the share of turnover that was made.
    #[must_use]
    pub fn maker_share(&self) -> Option<f64> {
        ratio(to_f64(self.maker_turnover), to_f64(self.turnover))
    }

    /// Returns slippage in basis points of turnover.
    #[must_use]
    pub fn slippage_bps(&self) -> Option<f64> {
        ratio(to_f64(self.slippage) * 10_000.0, to_f64(self.turnover))
    }

    /// Returns the share of sent orders that traded at all.
    #[must_use]
    pub fn fill_ratio(&self) -> Option<f64> {
        ratio(self.orders.filled as f64, self.orders.sent as f64)
    }
}

/// Orders and requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderCounts {
    /// New orders sent.
    pub sent: u64,
    /// Replaces sent.
    pub replaces: u64,
    /// Cancels sent.
    pub cancels: u64,
    /// Orders that traded at least once.
    pub filled: u64,
    /// Orders that ended cancelled.
    pub canceled: u64,
    /// Orders that expired.
    pub expired: u64,
    /// Orders that the venue refused.
    pub rejected: u64,
    /// Cancels and replaces that the venue refused.
    pub requests_rejected: u64,
    /// Orders and changes that risk refused before they were sent.
    pub risk_rejected: u64,
}

/// Who refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RejectedBy {
    /// The engine's risk checks.
    Risk,
    /// The venue, an order.
    Venue,
    /// The venue, a cancel or replace.
    VenueRequest,
}

impl RejectedBy {
    /// Returns who in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Venue => "venue",
            Self::VenueRequest => "venue, on change",
        }
    }
}

/// How often something was refused for one reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// Who refused.
    pub by: RejectedBy,
    /// Why, in snake case.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// What was traded in an instrument by all strategies, in quote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InstrumentSummary {
    /// Which.
    pub instrument: InstrumentId,
    /// Fills.
    pub n_fills: u64,
    /// Round trips that ended.
    pub n_trips: u64,
    /// Of which with profit.
    pub n_wins: u64,
    /// Quantity traded.
    pub volume: Quantity,
    /// Notional traded.
    pub turnover: Notional,
    /// Of which made.
    pub maker_turnover: Notional,
    /// Profit of what was closed, before fees and funding.
    pub realised: Notional,
    /// Profit of what is open.
    pub unrealised: Notional,
    /// Fees paid.
    pub fees: Notional,
    /// Funding received.
    pub funding: Notional,
    /// Cost against the middle at the send.
    pub slippage: Notional,
    /// Position at the end, all strategies together.
    pub position: Quantity,
}

impl InstrumentSummary {
    /// Returns the profit after fees and funding, open positions included.
    #[must_use]
    pub fn profit(&self) -> Notional {
        self.realised + self.unrealised - self.fees + self.funding
    }
}

/// A UTC day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DaySummary {
    /// Which, counted from 1970-01-01.
    pub day: i64,
    /// Equity at its end.
    pub close: Notional,
    /// Equity at its end less equity at the end of the day before.
    pub profit: Notional,
    /// Fills.
    pub n_fills: u64,
    /// Orders sent.
    pub n_orders: u64,
    /// Fees paid, in quote.
    pub fees: Notional,
    /// Notional traded.
    pub turnover: Notional,
}
