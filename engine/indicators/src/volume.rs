//! Indicators of volume: VWAP, volume ratio, on-balance volume, money flow.

use crate::window::SumWindow;
use crate::{Bar, IndicatorError, period};

/// Volume-weighted average price of the UTC day so far (TradingView `ta.vwap` of `hlc3`, whose
/// session of a crypto market is the UTC day). `None` while the day has no volume.
#[derive(Clone, Debug, Default)]
pub struct Vwap {
    day: Option<i64>,
    value_sum: f64,
    volume_sum: f64,
}

const DAY_NS: i64 = 86_400_000_000_000;

impl Vwap {
    /// Returns one before its first bar.
    #[must_use]
    pub const fn new() -> Self {
        Self { day: None, value_sum: 0.0, volume_sum: 0.0 }
    }

    /// Adds a bar at its typical price.
    pub fn update(&mut self, bar: &Bar) -> Option<f64> {
        if bar.is_finite() {
            self.add(bar.at_ns, bar.typical(), bar.volume);
        }
        self.value()
    }

    /// Adds a volume at a price.
    pub fn add(&mut self, at_ns: i64, price: f64, volume: f64) {
        let day = at_ns.div_euclid(DAY_NS);
        if self.day.replace(day) != Some(day) {
            self.value_sum = 0.0;
            self.volume_sum = 0.0;
        }
        self.value_sum += price * volume;
        self.volume_sum += volume;
    }

    /// Returns the average as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.volume_sum > 0.0).then(|| self.value_sum / self.volume_sum)
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }
}

/// Volume of the bar against the mean of the last `n` bars, itself included; 1 is usual. No
/// platform sets a standard. `None` where the mean is 0.
#[derive(Clone, Debug)]
pub struct VolumeRatio {
    window: SumWindow,
    last: f64,
}

impl VolumeRatio {
    /// Returns one over `n` bars.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        Ok(Self { window: SumWindow::new(period("period", n)?), last: 0.0 })
    }

    /// Adds a bar; `None` until there are `n`.
    pub fn update(&mut self, bar: &Bar) -> Option<f64> {
        if bar.is_finite() {
            self.window.push(bar.volume);
            self.last = bar.volume;
        }
        self.value()
    }

    /// Returns the ratio as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.window.mean().filter(|mean| *mean > 0.0).map(|mean| self.last / mean)
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.window.reset();
        self.last = 0.0;
    }
}

/// On-balance volume (TA-Lib `OBV`): begins with the first bar's volume. TradingView begins with 0.
#[derive(Clone, Debug, Default)]
pub struct Obv {
    last_close: Option<f64>,
    sum: f64,
}

impl Obv {
    /// Returns one before its first bar.
    #[must_use]
    pub const fn new() -> Self {
        Self { last_close: None, sum: 0.0 }
    }

    /// Adds a bar.
    pub fn update(&mut self, bar: &Bar) -> Option<f64> {
        if bar.is_finite() {
            match self.last_close.replace(bar.close) {
                None => self.sum = bar.volume,
                Some(last) if bar.close > last => self.sum += bar.volume,
                Some(last) if bar.close < last => self.sum -= bar.volume,
                Some(_) => {}
            }
        }
        self.value()
    }

    /// Returns the volume as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.last_close.map(|_| self.sum)
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }
}

/// Money flow index (TA-Lib `MFI`), from 0 to 100. Like there, flows of less than 1 in sum give 0.
#[derive(Clone, Debug)]
pub struct Mfi {
    positive: SumWindow,
    negative: SumWindow,
    last_typical: Option<f64>,
}

impl Mfi {
    /// Returns one over `n` changes.
    ///
    /// # Errors
    ///
    /// If `n` is 0 or above [`crate::MAX_PERIOD`].
    pub fn new(n: usize) -> Result<Self, IndicatorError> {
        let n = period("period", n)?;
        Ok(Self { positive: SumWindow::new(n), negative: SumWindow::new(n), last_typical: None })
    }

    /// Adds a bar; `None` until there are `n + 1`.
    pub fn update(&mut self, bar: &Bar) -> Option<f64> {
        if !bar.is_finite() {
            return self.value();
        }
        let typical = bar.typical();
        let change = typical - self.last_typical.replace(typical)?;
        let flow = typical * bar.volume;
        // Equal means of other three prices differ in their last bits: that is no change.
        let rounding = 8.0 * f64::EPSILON * typical.abs();
        self.positive.push(if change > rounding { flow } else { 0.0 });
        self.negative.push(if change < -rounding { flow } else { 0.0 });
        self.value()
    }

    /// Returns the index as of the last update.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        if !self.positive.is_full() {
            return None;
        }
        let sum = self.positive.sum() + self.negative.sum();
        Some(if sum < 1.0 { 0.0 } else { 100.0 * self.positive.sum() / sum })
    }

    /// Forgets everything.
    pub const fn reset(&mut self) {
        self.positive.reset();
        self.negative.reset();
        self.last_typical = None;
    }
}
