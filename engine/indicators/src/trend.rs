//! Ranges and trends: average true range, directional index, SuperTrend.

use crate::average::Rma;
use crate::bands::true_range;
use crate::{Bar, IndicatorError, period};

/// Average true range with Wilder's smoothing (TA-Lib `ATR`).
///
/// The first value comes with bar `n + 1`, the mean of `n` true ranges: the first bar has none,
/// for want of a close before it. TradingView counts the first bar's high less low and is a bar
/// earlier.
#[derive(Clone, Debug)]
pub struct Atr {
    average: Rma,
    last_close: Option<f64>,
}

impl Atr {
    /// Returns one of period `n`.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        Ok(Self { average: Rma::new(n)?, last_close: None })
    }

    /// Adds a bar; `None` until there are `n + 1`.
    pub fn update(&mut self, bar: &Bar) -> Option<f64> {
        if !bar.is_finite() {
            return self.value();
        }
        let last_close = self.last_close.replace(bar.close)?;
        self.average.update(true_range(bar, Some(last_close)))
    }

    /// Returns the average as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.average.value()
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.average.reset();
        self.last_close = None;
    }
}

/// Average directional index with its two directional indicators (TA-Lib `ADX`, `PLUS_DI`,
/// `MINUS_DI`), all from bar `2n` on.
///
/// Wilder's sums are smoothed from their first `n - 1` bars, as TA-Lib does; TradingView smooths
/// averages begun with `n`, which is close but not equal.
#[derive(Clone, Debug)]
pub struct Adx {
    n: f64,
    period: usize,
    last: Option<Bar>,
    n_moves: usize,
    plus: f64,
    minus: f64,
    range: f64,
    adx: f64,
    value: Option<AdxValue>,
}

/// Outputs of [`Adx`], each from 0 to 100.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdxValue {
    /// Strength of the trend.
    pub adx: f64,
    /// Upward indicator.
    pub plus_di: f64,
    /// Downward indicator.
    pub minus_di: f64,
}

impl Adx {
    /// Returns one of period `n`.
    ///
    /// # Errors
    ///
    /// If `n` is below 2 or above [`crate::MAX_PERIOD`].
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        if n < 2 {
            let (min, max) = (2, crate::MAX_PERIOD);
            return Err(IndicatorError::Period { what: "period", min, max, value: n as f64 });
        }
        let period = period("period", n)?;
        Ok(Self {
            n: n as f64,
            period,
            last: None,
            n_moves: 0,
            plus: 0.0,
            minus: 0.0,
            range: 0.0,
            adx: 0.0,
            value: None,
        })
    }

    /// Adds a bar; `None` until there are `2n`.
    pub fn update(&mut self, bar: &Bar) -> Option<AdxValue> {
        if !bar.is_finite() {
            return self.value;
        }
        let last = self.last.replace(*bar)?;
        let (up, down) = (bar.high - last.high, last.low - bar.low);
        let plus = if up > 0.0 && up > down { up } else { 0.0 };
        let minus = if down > 0.0 && down > up { down } else { 0.0 };
        let range = true_range(bar, Some(last.close));
        self.n_moves += 1;
        if self.n_moves < self.period {
            self.plus += plus;
            self.minus += minus;
            self.range += range;
            return None;
        }
        self.plus += plus - self.plus / self.n;
        self.minus += minus - self.minus / self.n;
        self.range += range - self.range / self.n;
        let (plus_di, minus_di) = if self.range > 0.0 {
            (100.0 * self.plus / self.range, 100.0 * self.minus / self.range)
        } else {
            (0.0, 0.0)
        };
        let sum = plus_di + minus_di;
        let dx = (sum > 0.0).then(|| 100.0 * (plus_di - minus_di).abs() / sum);
        let n_dx = self.n_moves - self.period + 1;
        if n_dx < self.period {
            self.adx += dx.unwrap_or(0.0);
            return None;
        }
        if n_dx == self.period {
            self.adx = (self.adx + dx.unwrap_or(0.0)) / self.n;
        } else if let Some(dx) = dx {
            self.adx = (self.adx * (self.n - 1.0) + dx) / self.n;
        }
        // Only the beginning is counted; a stream without end must not overflow it.
        self.n_moves = self.n_moves.min(2 * self.period);
        self.value = Some(AdxValue { adx: self.adx, plus_di, minus_di });
        self.value
    }

    /// Returns the outputs as of the last update.
    #[must_use]
    pub const fn value(&self) -> Option<AdxValue> {
        self.value
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.last = None;
        self.n_moves = 0;
        self.plus = 0.0;
        self.minus = 0.0;
        self.range = 0.0;
        self.adx = 0.0;
        self.value = None;
    }
}

/// SuperTrend (TradingView `ta.supertrend`): a line below the price in an up trend, above it in a
/// down trend, `factor` average true ranges from the middle of the bar, moving only with the trend.
///
/// The range is TradingView's: Wilder's average whose first bar counts its high less its low, so
/// values begin with bar `n`. The first trend is down, as there.
#[derive(Clone, Debug)]
pub struct SuperTrend {
    range: Rma,
    factor: f64,
    last_close: Option<f64>,
    bands: Option<(f64, f64)>,
    value: Option<SuperTrendValue>,
}

/// Outputs of [`SuperTrend`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SuperTrendValue {
    /// The line.
    pub line: f64,
    /// Whether the trend is up: then the line lies below the price.
    pub is_up: bool,
}

impl SuperTrend {
    /// Returns one of period `n` with bands `factor` ranges away.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize, factor: f64) -> Result<Self, IndicatorError> {
        let range = Rma::new(period("period", n)?)?;
        Ok(Self { range, factor, last_close: None, bands: None, value: None })
    }

    /// Adds a bar; `None` until there are `n`.
    pub fn update(&mut self, bar: &Bar) -> Option<SuperTrendValue> {
        if !bar.is_finite() {
            return self.value;
        }
        let last_close = self.last_close.replace(bar.close);
        let range = self.range.update(true_range(bar, last_close))?;
        let middle = f64::midpoint(bar.high, bar.low);
        let (mut lower, mut upper) = (middle - self.factor * range, middle + self.factor * range);
        if let (Some((last_lower, last_upper)), Some(last_close)) = (self.bands, last_close) {
            if lower <= last_lower && last_close >= last_lower {
                lower = last_lower;
            }
            if upper >= last_upper && last_close <= last_upper {
                upper = last_upper;
            }
        }
        self.bands = Some((lower, upper));
        let is_up = match self.value {
            None => false,
            Some(SuperTrendValue { is_up: false, .. }) => bar.close > upper,
            Some(SuperTrendValue { is_up: true, .. }) => bar.close >= lower,
        };
        self.value = Some(SuperTrendValue { line: if is_up { lower } else { upper }, is_up });
        self.value
    }

    /// Returns the outputs as of the last update.
    #[must_use]
    pub const fn value(&self) -> Option<SuperTrendValue> {
        self.value
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.range.reset();
        self.last_close = None;
        self.bands = None;
        self.value = None;
    }
}
