//! Moving averages.

use crate::window::SumWindow;
use crate::{IndicatorError, period};

/// Simple moving average (TA-Lib `SMA`).
#[derive(Clone, Debug)]
pub struct Sma(SumWindow);

impl Sma {
    /// Returns one over `n` values.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        Ok(Self(SumWindow::new(period("period", n)?)))
    }

    /// Adds a value; `None` until there are `n`.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        if value.is_finite() {
            self.0.push(value);
        }
        self.0.mean()
    }

    /// Returns the average as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.0.mean()
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.0.reset();
    }
}

/// A smoothing that begins with the mean of its first `n` values.
#[derive(Clone, Debug)]
struct Smoothed {
    n: usize,
    alpha: f64,
    n_seen: usize,
    sum: f64,
    value: f64,
}

impl Smoothed {
    const fn new(n: usize, alpha: f64) -> Self {
        Self { n, alpha, n_seen: 0, sum: 0.0, value: 0.0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    fn update(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return self.value();
        }
        if self.n_seen >= self.n {
            self.value += self.alpha * (value - self.value);
            return Some(self.value);
        }
        self.n_seen += 1;
        self.sum += value;
        if self.n_seen == self.n {
            self.value = self.sum / self.n as f64;
        }
        self.value()
    }

    fn value(&self) -> Option<f64> {
        (self.n_seen >= self.n).then_some(self.value)
    }

    const fn reset(&mut self) {
        self.n_seen = 0;
        self.sum = 0.0;
    }
}

/// Exponential moving average with `alpha = 2 / (n + 1)` (TA-Lib `EMA`).
///
/// It begins with the mean of the first `n` values. pandas' `ewm(adjust=False)` and some charting
/// libraries begin with the first value instead; the difference fades over a few periods.
#[derive(Clone, Debug)]
pub struct Ema(Smoothed);

impl Ema {
    /// Returns one of period `n`.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        let n = period("period", n)?;
        Ok(Self(Smoothed::new(n, 2.0 / (n as f64 + 1.0))))
    }

    /// Adds a value; `None` until there are `n`.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        self.0.update(value)
    }

    /// Returns the average as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.0.value()
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.0.reset();
    }
}

/// Wilder's moving average with `alpha = 1 / n` (TradingView `ta.rma`), begun with the mean of the
/// first `n` values.
#[derive(Clone, Debug)]
pub struct Rma(Smoothed);

impl Rma {
    /// Returns one of period `n`.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        let n = period("period", n)?;
        Ok(Self(Smoothed::new(n, 1.0 / n as f64)))
    }

    /// Adds a value; `None` until there are `n`.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        self.0.update(value)
    }

    /// Returns the average as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.0.value()
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.0.reset();
    }
}

/// Linearly weighted moving average, the newest value weighing `n`, the oldest 1 (TA-Lib `WMA`).
#[derive(Clone, Debug)]
pub struct Wma {
    window: SumWindow,
    weighted: f64,
}

impl Wma {
    /// Returns one over `n` values.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        let window = SumWindow::new(period("period", n)?);
        Ok(Self { window, weighted: 0.0 })
    }

    /// Adds a value; `None` until there are `n`.
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn update(&mut self, value: f64) -> Option<f64> {
        if value.is_finite() {
            if self.window.is_full() {
                // Everything in the window loses one weight, the newest gets them all.
                self.weighted -= self.window.sum();
                self.weighted += value * self.window.values().len() as f64;
                self.window.push(value);
            } else {
                self.window.push(value);
                self.weighted += value * self.window.values().len() as f64;
            }
            if self.window.has_come_round() {
                // The ring has just come round: its first place holds the oldest value.
                self.weighted =
                    self.window.values().iter().zip(1..).map(|(v, w)| v * f64::from(w)).sum();
            }
        }
        self.value()
    }

    /// Returns the average as of the last update.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    pub fn value(&self) -> Option<f64> {
        let n = self.window.values().len() as f64;
        self.window.is_full().then(|| self.weighted / (n * (n + 1.0) / 2.0))
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.window.reset();
        self.weighted = 0.0;
    }
}
