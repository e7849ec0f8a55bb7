//! Indicators that the host feeds itself: with every bar of a series, before the hook is called.

use tercel_indicators::{Bar, Input};

use super::{Host, HostResult};
use crate::error::HostError;
use crate::hook::{MAX_BOUND, Numbers};
use crate::number;

/// An indicator that bars are fed to.
#[derive(Debug)]
pub(super) struct BoundIndicator {
    /// Index of the indicator.
    indicator: usize,
    /// Index of the series.
    series: usize,
    /// What it is plotted as.
    plot: Option<usize>,
}

impl Host {
    /// `bind(indicator, label?, series?)`: feeds the indicator with the bars of a series and hands
    /// its first output to `on_bar`. Returns the indicator.
    pub(crate) fn bind(
        &mut self,
        indicator: f64,
        label: Option<&str>,
        series: Option<f64>,
    ) -> HostResult<f64> {
        if self.in_call {
            return Err(HostError::wrong("bind is called at the top of the script"));
        }
        if self.bound.len() >= MAX_BOUND {
            return Err(HostError::wrong(format!("more than {MAX_BOUND} bound indicators")));
        }
        let series = match series {
            Some(series) => number::index(series, "series", 0, u32::from(u16::MAX))?,
            None => 0,
        };
        // A machine that only checks has no series to compare with.
        if !self.series.is_empty() && series >= self.series.len() {
            return Err(HostError::wrong(format!(
                "there is no bar series {series}; the strategy has {}, counted from 0",
                self.series.len()
            )));
        }
        let plot = label.map(|label| self.plot_id(label)).transpose()?;
        let kept = self.kept(indicator)?;
        if kept.is_bound {
            return Err(HostError::wrong("the indicator is bound already"));
        }
        kept.is_bound = true;
        let index = number::index(indicator, "indicator", 0, u32::MAX)?;
        self.bound.push(BoundIndicator { indicator: index, series, plot });
        Ok(indicator)
    }

    /// Returns how many indicators are bound.
    pub(crate) const fn n_bound(&self) -> usize {
        self.bound.len()
    }

    /// Feeds a bar of a series to the indicators that are bound to it, and adds the values of all
    /// to `numbers`. Plots come before what the hook wishes.
    pub(super) fn feed(&mut self, series: usize, bar: &Bar, numbers: &Numbers) {
        for n in 0..self.bound.len() {
            let bound = &self.bound[n];
            // Indicators are never taken away, so the index holds.
            let kept = &mut self.indicators[bound.indicator];
            let value = if bound.series != series {
                kept.indicator.output(0)
            } else {
                let value = match kept.spec.input {
                    Input::Price => kept.indicator.update_price(bar.close),
                    Input::Bar => kept.indicator.update_bar(bar),
                };
                if let (Some(plot), Some(value)) = (bound.plot, value) {
                    // A bound that breaks ends the call whatever the script does.
                    let _ = self.draw(plot, value);
                }
                value
            };
            numbers.push(value);
        }
    }
}
