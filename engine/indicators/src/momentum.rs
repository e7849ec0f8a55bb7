//! Oscillators: RSI, MACD, rate of change, stochastic, commodity channel index.

use crate::average::Ema;
use crate::window::SumWindow;
use crate::{Bar, Highest, IndicatorError, Lowest, Sma, period};

/// Relative strength index with Wilder's smoothing (TA-Lib `RSI`).
///
/// The first value comes with value `n + 1`, from the plain means of the first `n` changes. Without
/// any change it is 0, as TA-Lib has it; TradingView says 100 there. Cutler's variant (plain means
/// throughout) is another indicator.
#[derive(Clone, Debug)]
pub struct Rsi {
    n: f64,
    n_changes: usize,
    warm_up: usize,
    last: Option<f64>,
    gain: f64,
    loss: f64,
}

impl Rsi {
    /// Returns one of period `n`.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        let warm_up = period("period", n)?;
        Ok(Self { n: n as f64, n_changes: 0, warm_up, last: None, gain: 0.0, loss: 0.0 })
    }

    /// Adds a value; `None` until there are `n + 1`.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return self.value();
        }
        let change = value - self.last.replace(value)?;
        let (gain, loss) = (change.max(0.0), (-change).max(0.0));
        if self.n_changes >= self.warm_up {
            self.gain = (self.gain * (self.n - 1.0) + gain) / self.n;
            self.loss = (self.loss * (self.n - 1.0) + loss) / self.n;
            return self.value();
        }
        self.gain += gain;
        self.loss += loss;
        self.n_changes += 1;
        if self.n_changes == self.warm_up {
            self.gain /= self.n;
            self.loss /= self.n;
        }
        self.value()
    }

    /// Returns the index as of the last update, from 0 to 100.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        if self.n_changes < self.warm_up {
            return None;
        }
        let sum = self.gain + self.loss;
        Some(if sum > 0.0 { 100.0 * self.gain / sum } else { 0.0 })
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.n_changes = 0;
        self.last = None;
        self.gain = 0.0;
        self.loss = 0.0;
    }
}

/// Moving average convergence divergence (TA-Lib `MACD`).
///
/// Both averages give their first value together, with value number `slow`, the fast one begun with
/// the mean of the last `fast` values before; all three outputs begin once the signal line exists.
/// TradingView begins the fast average with the very first values, and shows the line earlier.
#[derive(Clone, Debug)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Ema,
    /// Values to pass by before the fast average begins.
    skip: usize,
    n_skipped: usize,
    value: Option<MacdValue>,
}

/// Outputs of [`Macd`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MacdValue {
    /// Fast average less slow average.
    pub macd: f64,
    /// Exponential average of the line.
    pub signal: f64,
    /// Line less signal.
    pub histogram: f64,
}

impl Macd {
    /// Returns one with these periods.
    ///
    /// # Errors
    ///
    /// If a period is out of range, or `fast` is not below `slow`.
    pub fn new(fast: usize, slow: usize, signal: usize) -> Result<Self, IndicatorError> {
        let slow_ema = Ema::new(period("slow", slow)?)?;
        if fast >= slow {
            #[expect(clippy::cast_precision_loss, reason = "shown in a message only")]
            let value = fast as f64;
            return Err(IndicatorError::Period { what: "fast", min: 1, max: slow - 1, value });
        }
        Ok(Self {
            fast: Ema::new(period("fast", fast)?)?,
            slow: slow_ema,
            signal: Ema::new(period("signal", signal)?)?,
            skip: slow - fast,
            n_skipped: 0,
            value: None,
        })
    }

    /// Adds a value; `None` until there are `slow + signal - 1`.
    pub fn update(&mut self, value: f64) -> Option<MacdValue> {
        if !value.is_finite() {
            return self.value;
        }
        let slow = self.slow.update(value);
        if self.n_skipped < self.skip {
            self.n_skipped += 1;
            return None;
        }
        let macd = self.fast.update(value)? - slow?;
        let signal = self.signal.update(macd)?;
        self.value = Some(MacdValue { macd, signal, histogram: macd - signal });
        self.value
    }

    /// Returns the outputs as of the last update.
    #[must_use]
    pub const fn value(&self) -> Option<MacdValue> {
        self.value
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.fast.reset();
        self.slow.reset();
        self.signal.reset();
        self.n_skipped = 0;
        self.value = None;
    }
}

/// Rate of change in percent against the value `n` before (TA-Lib `ROC`); 0 where that was 0.
#[derive(Clone, Debug)]
pub struct Roc {
    window: SumWindow,
    value: Option<f64>,
}

impl Roc {
    /// Returns one against the value `n` before.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        Ok(Self { window: SumWindow::new(period("period", n)?), value: None })
    }

    /// Adds a value; `None` until there are `n + 1`.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return self.value;
        }
        let before = self.window.push(value)?;
        self.value = Some(if before == 0.0 { 0.0 } else { (value / before - 1.0) * 100.0 });
        self.value
    }

    /// Returns the rate as of the last update.
    #[must_use]
    pub const fn value(&self) -> Option<f64> {
        self.value
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.window.reset();
        self.value = None;
    }
}

/// Slow stochastic oscillator with plain averages (TA-Lib `STOCH` with `SMA`).
///
/// `%K` is the place of the close between the lowest low and the highest high of `k` bars, averaged
/// over `slow`; `%D` is `%K` averaged over `d`. Both begin together. A range of zero counts as 0.
#[derive(Clone, Debug)]
pub struct Stochastic {
    highest: Highest,
    lowest: Lowest,
    slow: Sma,
    d: Sma,
    value: Option<StochasticValue>,
}

/// Outputs of [`Stochastic`], each from 0 to 100.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StochasticValue {
    /// Slow `%K`.
    pub k: f64,
    /// Slow `%D`.
    pub d: f64,
}

impl Stochastic {
    /// Returns one with these periods.
    ///
    /// # Errors
    ///
    /// If a period is out of range.
    pub fn new(k: usize, slow: usize, d: usize) -> Result<Self, IndicatorError> {
        Ok(Self {
            highest: Highest::new(k)?,
            lowest: Lowest::new(k)?,
            slow: Sma::new(slow)?,
            d: Sma::new(d)?,
            value: None,
        })
    }

    /// Adds a bar; `None` until there are `k + slow + d - 2`.
    pub fn update(&mut self, bar: &Bar) -> Option<StochasticValue> {
        if !bar.is_finite() {
            return self.value;
        }
        let (high, low) = (self.highest.update(bar.high), self.lowest.update(bar.low));
        let (high, low) = (high?, low?);
        let range = high - low;
        let fast = if range == 0.0 { 0.0 } else { (bar.close - low) / range * 100.0 };
        let k = self.slow.update(fast)?;
        let d = self.d.update(k)?;
        self.value = Some(StochasticValue { k, d });
        self.value
    }

    /// Returns the outputs as of the last update.
    #[must_use]
    pub const fn value(&self) -> Option<StochasticValue> {
        self.value
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.highest.reset();
        self.lowest.reset();
        self.slow.reset();
        self.d.reset();
        self.value = None;
    }
}

/// Commodity channel index of the typical price (TA-Lib `CCI`).
///
/// O(n) per update: the mean deviation is taken from a mean that moves, so every value counts anew.
#[derive(Clone, Debug)]
pub struct Cci {
    window: SumWindow,
    value: Option<f64>,
}

impl Cci {
    /// Returns one over `n` bars.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        Ok(Self { window: SumWindow::new(period("period", n)?), value: None })
    }

    /// Adds a bar; `None` until there are `n`. O(n).
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn update(&mut self, bar: &Bar) -> Option<f64> {
        if !bar.is_finite() {
            return self.value;
        }
        let typical = bar.typical();
        self.window.push(typical);
        if !self.window.is_full() {
            return None;
        }
        let values = self.window.values();
        // Added up afresh: a flat window must have exactly its price as its mean.
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let deviation = values.iter().map(|value| (value - mean).abs()).sum::<f64>();
        let deviation = deviation / values.len() as f64;
        let distance = typical - mean;
        let is_flat = distance == 0.0 || deviation == 0.0;
        self.value = Some(if is_flat { 0.0 } else { distance / (0.015 * deviation) });
        self.value
    }

    /// Returns the index as of the last update.
    #[must_use]
    pub const fn value(&self) -> Option<f64> {
        self.value
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.window.reset();
        self.value = None;
    }
}
