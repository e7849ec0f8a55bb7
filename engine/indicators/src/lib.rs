//! Streaming technical indicators.
//!
//! One value or bar goes in, one value comes out, nothing is allocated after construction. Values
//! and warm-up follow TA-Lib where TA-Lib has the indicator; each type says whom it follows and
//! where others differ. An update costs O(1), amortised for the windows that find extremes and
//! re-add their sums, except [`Cci`], which is O(period) by its definition.
//!
//! Written here rather than taken from a crate: the windowed sums are re-added once per period, so
//! they do not drift however long the stream is, which the crates that match TA-Lib bit for bit do
//! not do, and an update costs a few nanoseconds.
//!
//! A value that is not finite is not counted: the update returns what the one before returned.
#![forbid(unsafe_code)]

mod average;
mod bands;
mod catalog;
mod momentum;
mod trend;
mod volume;
mod window;

pub use average::{Ema, Rma, Sma, Wma};
pub use bands::{Bands, Bollinger, Donchian, Keltner, StdDev};
pub use catalog::{
    CATALOG, Indicator, IndicatorSpec, Input, MAX_OUTPUTS, ParameterSpec, Source, find,
};
pub use momentum::{Cci, Macd, MacdValue, Roc, Rsi, Stochastic, StochasticValue};
pub use trend::{Adx, AdxValue, Atr, SuperTrend, SuperTrendValue};
pub use volume::{Mfi, Obv, VolumeRatio, Vwap};
pub use window::{Highest, Lowest};

/// Longest period of any indicator.
pub const MAX_PERIOD: usize = 10_000;

/// A bar as indicators take it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Bar {
    /// When it opened, in nanoseconds since 1970 UTC; only [`Vwap`] looks at it.
    pub at_ns: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Quantity traded.
    pub volume: f64,
}

impl Bar {
    /// Returns the mean of high, low and close.
    #[must_use]
    pub fn typical(&self) -> f64 {
        (self.high + self.low + self.close) / 3.0
    }

    /// Returns whether all of its numbers are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let sum = self.open + self.high + self.low + self.close + self.volume;
        sum.is_finite()
    }
}

/// Why an indicator cannot be built.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum IndicatorError {
    /// A period is zero, too long or not whole.
    #[error("{what} must be a whole number from {min} to {max}, got {value}")]
    Period {
        /// Which parameter.
        what: &'static str,
        /// Least value.
        min: usize,
        /// Largest value.
        max: usize,
        /// The refused value.
        value: f64,
    },
    /// A number is out of its range.
    #[error("{what} must be from {min} to {max}, got {value}")]
    Number {
        /// Which parameter.
        what: &'static str,
        /// Least value.
        min: f64,
        /// Largest value.
        max: f64,
        /// The refused value.
        value: f64,
    },
    /// There is no indicator of this name.
    #[error("there is no indicator `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// More parameters than the indicator has.
    #[error("{name} takes at most {max} parameters, got {given}")]
    TooMany {
        /// The indicator.
        name: &'static str,
        /// How many it takes.
        max: usize,
        /// How many were given.
        given: usize,
    },
}

/// Returns the period if it is within 1 and [`MAX_PERIOD`].
pub(crate) fn period(what: &'static str, value: usize) -> Result<usize, IndicatorError> {
    if (1..=MAX_PERIOD).contains(&value) {
        return Ok(value);
    }
    #[expect(clippy::cast_precision_loss, reason = "shown in a message only")]
    let value = value as f64;
    Err(IndicatorError::Period { what, min: 1, max: MAX_PERIOD, value })
}
