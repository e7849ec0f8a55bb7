//! Functions that make and feed indicators.

use tercel_core::FaultKind;
use tercel_indicators::{Bar, Indicator, IndicatorSpec, Input, find};

use super::{Host, HostResult};
use crate::error::HostError;
use crate::{names, number};

/// An indicator of a script with its row of the catalog.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) spec: &'static IndicatorSpec,
    pub(super) indicator: Indicator,
    /// Whether the host feeds it, so that the script must not.
    pub(super) is_bound: bool,
}

impl Host {
    /// `ema(period)` and its like: makes an indicator and returns its handle.
    pub(crate) fn make_indicator(&mut self, name: &str, parameters: &[f64]) -> HostResult<f64> {
        let indicator = Indicator::build(name, parameters)
            .map_err(|error| HostError::wrong(format!("{name}: {error}")))?;
        let spec = find(name).ok_or_else(|| HostError::wrong(format!("no indicator {name}")))?;
        let limit = self.limits.objects;
        if self.indicators.len() >= limit as usize {
            let message = format!("more than {limit} indicators");
            return Err(self.break_bound(FaultKind::Quota, message));
        }
        self.indicators.push(Kept { spec, indicator, is_bound: false });
        Ok(number::float(i64::try_from(self.indicators.len() - 1).unwrap_or(i64::MAX)))
    }

    /// `update(indicator, value)`: feeds a number and returns the first output.
    pub(crate) fn update(&mut self, indicator: f64, value: f64) -> HostResult<Option<f64>> {
        let kept = self.free(indicator)?;
        match kept.spec.input {
            Input::Price => Ok(kept.indicator.update_price(value)),
            Input::Bar => Err(HostError::wrong(format!(
                "{} is fed with bars: update_bar(indicator, open, high, low, close, volume)",
                kept.spec.name
            ))),
        }
    }

    /// `update_bar(indicator, open, high, low, close, volume, time?)`: feeds a bar and returns the
    /// first output.
    pub(crate) fn update_bar(
        &mut self,
        indicator: f64,
        [open, high, low, close, volume]: [f64; 5],
        time: Option<f64>,
    ) -> HostResult<Option<f64>> {
        let at_ns = match time {
            Some(millis) => super::options::time_of(millis)?.0,
            None => self.event_at.0,
        };
        let kept = self.free(indicator)?;
        Ok(kept.indicator.update_bar(&Bar { at_ns, open, high, low, close, volume }))
    }

    /// `output(indicator, name)`: returns an output as of the last update.
    pub(crate) fn output(&mut self, indicator: f64, name: &str) -> HostResult<Option<f64>> {
        let kept = self.kept(indicator)?;
        match kept.spec.outputs.iter().position(|output| *output == name) {
            Some(n) => Ok(kept.indicator.output(n)),
            None => {
                let what = format!("output of {}", kept.spec.name);
                Err(HostError::wrong(names::unknown(
                    &what,
                    name,
                    kept.spec.outputs.iter().copied(),
                )))
            }
        }
    }

    /// Returns an indicator that the script may feed.
    fn free(&mut self, indicator: f64) -> HostResult<&mut Kept> {
        let kept = self.kept(indicator)?;
        if kept.is_bound {
            return Err(HostError::wrong(format!(
                "this {} is bound: it is fed with bars, and on_bar gets its value",
                kept.spec.name
            )));
        }
        Ok(kept)
    }

    pub(super) fn kept(&mut self, indicator: f64) -> HostResult<&mut Kept> {
        let n = self.indicators.len();
        number::whole(indicator)
            .and_then(|idx| usize::try_from(idx).ok())
            .and_then(|idx| self.indicators.get_mut(idx))
            .ok_or_else(|| {
                HostError::wrong(format!(
                    "{indicator} is not an indicator; the script has made {n}"
                ))
            })
    }
}
