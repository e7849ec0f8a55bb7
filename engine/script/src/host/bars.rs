//! Functions that read closed bars.

use tercel_core::{Bar, ClosedBar};

use super::{BoundMarket, Host, HostResult, millis};
use crate::error::HostError;
use crate::number;

/// A column of a bar.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BarField {
    Open,
    High,
    Low,
    Close,
    Volume,
}

impl BarField {
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::Open => "bar_open",
            Self::High => "bar_high",
            Self::Low => "bar_low",
            Self::Close => "bar_close",
            Self::Volume => "bar_volume",
        }
    }

    fn of(self, bar: &Bar, market: &BoundMarket) -> f64 {
        match self {
            Self::Open => market.price.value(bar.open.0),
            Self::High => market.price.value(bar.high.0),
            Self::Low => market.price.value(bar.low.0),
            Self::Close => market.price.value(bar.close.0),
            Self::Volume => market.qty.value(bar.volume.0),
        }
    }
}

impl Host {
    /// `bar_open(back, series?)` and its like: returns a column of the bar `back` bars ago, 0 for
    /// the last closed one.
    pub(crate) fn bar_field(
        &self,
        field: BarField,
        back: f64,
        series: Option<f64>,
    ) -> HostResult<Option<f64>> {
        self.bar(field.function(), back, series, |market, closed| field.of(&closed.bar, market))
    }

    /// `bar_time(back, series?)`: returns when the bar opened, in milliseconds.
    pub(crate) fn bar_time(&self, back: f64, series: Option<f64>) -> HostResult<Option<f64>> {
        self.bar("bar_time", back, series, |_, closed| millis(closed.open_at))
    }

    /// `bar_count(series?)`: returns how many closed bars are kept.
    pub(crate) fn bar_count(&self, series: Option<f64>) -> HostResult<f64> {
        let idx = self.series_idx(series)?;
        self.view("bar_count", |view| {
            let len = view.series(self.series[idx].id).len();
            number::float(i64::try_from(len).unwrap_or(i64::MAX))
        })
    }

    /// `bar_series()`: returns the index of the series whose bar closed last.
    pub(crate) fn bar_series(&self) -> HostResult<f64> {
        let idx = self.series_idx(None)?;
        self.view("bar_series", |_| number::float(i64::try_from(idx).unwrap_or(i64::MAX)))
    }

    /// `bar_length(series?)`: returns the length of a series' bars as it was declared: `1m`.
    pub(crate) fn bar_length(&self, series: Option<f64>) -> HostResult<&str> {
        let idx = self.series_idx(series)?;
        self.view("bar_length", |_| ())?;
        Ok(&self.series[idx].label)
    }

    fn bar<R>(
        &self,
        function: &str,
        back: f64,
        series: Option<f64>,
        read: impl FnOnce(&BoundMarket, &ClosedBar) -> R,
    ) -> HostResult<Option<R>> {
        let back = number::index(back, "back", 0, u32::MAX)?;
        let idx = self.series_idx(series)?;
        self.view(function, |view| {
            let series = view.series(self.series[idx].id);
            let market = self.markets.iter().find(|market| market.id == series.instrument)?;
            series.get(back).map(|closed| read(market, closed))
        })
    }

    fn series_idx(&self, series: Option<f64>) -> HostResult<usize> {
        let idx = match series {
            None => self.current_series,
            Some(handle) => number::whole(handle)
                .and_then(|idx| usize::try_from(idx).ok())
                .unwrap_or(usize::MAX),
        };
        if idx < self.series.len() {
            return Ok(idx);
        }
        Err(HostError::wrong(format!(
            "there is no bar series {}; the strategy has {}, counted from 0",
            series.unwrap_or(0.0),
            self.series.len()
        )))
    }
}
