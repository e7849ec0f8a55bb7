//! Bands and channels: standard deviation, Bollinger, Keltner, Donchian.

use crate::average::Ema;
use crate::window::SumWindow;
use crate::{Bar, Highest, IndicatorError, Lowest, period};

/// An upper and a lower line around a middle one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bands {
    /// Upper line.
    pub upper: f64,
    /// Middle line.
    pub middle: f64,
    /// Lower line.
    pub lower: f64,
}

/// Population standard deviation (TA-Lib `STDDEV`, dividing by `n`). TradingView's default and
/// pandas' divide by `n` and `n - 1` in turn.
///
/// Values are taken relative to the first one of each window's round, so that squares of large
/// prices do not swallow small deviations.
#[derive(Clone, Debug)]
pub struct StdDev {
    window: SumWindow,
    origin: f64,
    sum: f64,
    squares: f64,
}

impl StdDev {
    /// Returns one over `n` values.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        let window = SumWindow::new(period("period", n)?);
        Ok(Self { window, origin: 0.0, sum: 0.0, squares: 0.0 })
    }

    /// Adds a value; `None` until there are `n`.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        self.add(value);
        self.value()
    }

    /// Returns the deviation as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.mean_and_deviation().map(|(_, deviation)| deviation)
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.window.reset();
        self.origin = 0.0;
        self.sum = 0.0;
        self.squares = 0.0;
    }

    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if self.window.values().is_empty() {
            self.origin = value;
        }
        if let Some(old) = self.window.push(value) {
            let old = old - self.origin;
            self.sum -= old;
            self.squares -= old * old;
        }
        let new = value - self.origin;
        self.sum += new;
        self.squares += new * new;
        if self.window.has_come_round() {
            // Once a period the sums are taken afresh, about a value of today.
            self.origin = value;
            let relative = self.window.values().iter().map(|v| v - value);
            (self.sum, self.squares) =
                relative.fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    fn mean_and_deviation(&self) -> Option<(f64, f64)> {
        if !self.window.is_full() {
            return None;
        }
        let n = self.window.values().len() as f64;
        let mean = self.sum / n;
        let variance = (self.squares / n - mean * mean).max(0.0);
        Some((self.origin + mean, variance.sqrt()))
    }
}

/// Bollinger bands (TA-Lib `BBANDS`): simple average and population standard deviation.
#[derive(Clone, Debug)]
pub struct Bollinger {
    deviation: StdDev,
    width: f64,
}

impl Bollinger {
    /// Returns one over `n` values, `width` standard deviations wide on each side.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize, width: f64) -> Result<Self, IndicatorError> {
        Ok(Self { deviation: StdDev::new(n)?, width })
    }

    /// Adds a value; `None` until there are `n`.
    pub fn update(&mut self, value: f64) -> Option<Bands> {
        self.deviation.add(value);
        self.value()
    }

    /// Returns the bands as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<Bands> {
        let (middle, deviation) = self.deviation.mean_and_deviation()?;
        let reach = self.width * deviation;
        Some(Bands { upper: middle + reach, middle, lower: middle - reach })
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.deviation.reset();
    }
}

/// Keltner channel (TradingView `ta.kc`): exponential average of the close, `width` exponential
/// averages of the true range on each side. The first bar has no true range, for want of a close
/// before it, so the channel begins with bar `n + 1` (the middle line alone would be a bar earlier).
/// Others smooth the range like ATR.
#[derive(Clone, Debug)]
pub struct Keltner {
    middle: Ema,
    range: Ema,
    width: f64,
    last_close: Option<f64>,
    value: Option<Bands>,
}

impl Keltner {
    /// Returns one over `n` bars, `width` ranges wide on each side.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize, width: f64) -> Result<Self, IndicatorError> {
        let (middle, range) = (Ema::new(n)?, Ema::new(n)?);
        Ok(Self { middle, range, width, last_close: None, value: None })
    }

    /// Adds a bar; `None` until there are `n + 1`.
    pub fn update(&mut self, bar: &Bar) -> Option<Bands> {
        if !bar.is_finite() {
            return self.value;
        }
        let middle = self.middle.update(bar.close);
        let last_close = self.last_close.replace(bar.close)?;
        let range = self.range.update(true_range(bar, Some(last_close)));
        let (middle, reach) = (middle?, self.width * range?);
        self.value = Some(Bands { upper: middle + reach, middle, lower: middle - reach });
        self.value
    }

    /// Returns the channel as of the last update.
    #[must_use]
    pub const fn value(&self) -> Option<Bands> {
        self.value
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.middle.reset();
        self.range.reset();
        self.last_close = None;
        self.value = None;
    }
}

/// Donchian channel (as TradingView draws it): highest high and lowest low of the last `n` bars,
/// the newest included, and their middle. Libraries that leave the newest bar out are a bar behind.
#[derive(Clone, Debug)]
pub struct Donchian {
    highest: Highest,
    lowest: Lowest,
}

impl Donchian {
    /// Returns one over `n` bars.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        Ok(Self { highest: Highest::new(n)?, lowest: Lowest::new(n)? })
    }

    /// Adds a bar; `None` until there are `n`.
    pub fn update(&mut self, bar: &Bar) -> Option<Bands> {
        if bar.is_finite() {
            self.highest.update(bar.high);
            self.lowest.update(bar.low);
        }
        self.value()
    }

    /// Returns the channel as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<Bands> {
        let (upper, lower) = (self.highest.value()?, self.lowest.value()?);
        Some(Bands { upper, middle: f64::midpoint(upper, lower), lower })
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.highest.reset();
        self.lowest.reset();
    }
}

/// Returns the largest of the bar's range and its reaches from the close before.
pub(crate) fn true_range(bar: &Bar, last_close: Option<f64>) -> f64 {
    let range = bar.high - bar.low;
    match last_close {
        Some(close) => range.max((bar.high - close).abs()).max((bar.low - close).abs()),
        None => range,
    }
}
