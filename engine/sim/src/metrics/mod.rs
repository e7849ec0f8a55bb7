//! What a run did and how well: a [`Recorder`] watches it, [`Metrics`] sum it up.
//!
//! Money is summed exactly in [`tercel_core::Notional`], in the quote currency; only ratios are
//! floats. A ratio that is not defined (no losing trade, fewer than two days) is `None`, never NaN
//! or infinite.
//!
//! # Definitions
//!
//! *Equity* is that of all accounts together, valued at the reference price of each market, at
//! every sample. A *day* is a UTC day; a sample at midnight closes the day before. Days without a
//! sample between others have a return of zero. The first day's return is against the initial
//! equity, which is that of the first sample if nothing had traded by then.
//!
//! With daily returns `r` over `n` days, 365 days a year and no risk-free rate:
//!
//! | figure | definition |
//! |---|---|
//! | total return | final equity / initial equity − 1 |
//! | annual return | mean(r) · 365 |
//! | CAGR | (final / initial)^(365 / n) − 1 |
//! | volatility | sample deviation(r) · √365 |
//! | Sharpe | mean(r) / sample deviation(r) · √365 |
//! | Sortino | mean(r) / √mean(min(r, 0)²) · √365 |
//! | Omega | Σ max(r, 0) / Σ max(−r, 0) |
//! | Calmar | CAGR / maximum drawdown |
//! | maximum drawdown | largest fall of equity below its peak, as a share of that peak |
//! | drawdown duration | longest time from a peak until it was reached again, or the end |
//!
//! A *round trip* goes from flat to flat, of one strategy in one instrument; a fill through zero
//! ends one and begins the next, its fee split by quantity. Its profit is after fees and funding.
//!
//! | figure | definition |
//! |---|---|
//! | win rate | trips with profit / all trips |
//! | profit factor | Σ profits of winners / Σ losses of losers |
//! | expectancy | mean profit of a trip |
//! | exposure | share of the run's time with any position open |
//! | turnover | Σ notional of fills |
//! | slippage | Σ (price − middle at the order's send) · quantity, bought; the reverse, sold |
//! | maker share | share of turnover that was made, not taken |
//! | fill ratio | orders that traded at all / orders sent |

mod daily;
mod decimated;
mod drawdown;
mod recorder;
mod records;
mod summary;
#[cfg(test)]
mod tests;
mod trips;

pub use daily::DailyRatios;
pub use decimated::{Decimated, Merge};
pub use drawdown::Drawdown;
pub use recorder::{Recorder, RecorderLimits, Recording};
pub use records::{
    DrawPoint, DrawSeries, EquitySample, Fault, FillRecord, Marker, PriceSample, PriceSeries,
    RoundTrip,
};
pub use summary::{DaySummary, InstrumentSummary, Metrics, OrderCounts, RejectedBy, Rejection};
pub use trips::TripStats;

use tercel_core::Notional;

/// Returns money as a float, for ratios and charts only.
#[must_use]
pub fn to_f64(money: Notional) -> f64 {
    money.0 as f64 / Notional::ONE as f64
}

/// Returns a quotient if it is defined and finite.
#[must_use]
pub(crate) fn ratio(part: f64, whole: f64) -> Option<f64> {
    let quotient = part / whole;
    (whole.abs() > 0.0 && quotient.is_finite()).then_some(quotient)
}
