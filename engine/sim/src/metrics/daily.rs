//! Ratios of daily returns.

use crate::metrics::ratio;

/// Days in a year: crypto markets do not close.
const DAYS_A_YEAR: f64 = 365.0;

/// Ratios of a series of daily returns; each is `None` where it is not defined.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct DailyRatios {
    /// Mean return times 365.
    pub annual_return: Option<f64>,
    /// Growth a year if it went on like this.
    pub cagr: Option<f64>,
    /// Deviation of returns a year.
    pub volatility: Option<f64>,
    /// Mean over deviation, a year.
    pub sharpe: Option<f64>,
    /// Mean over downside deviation, a year.
    pub sortino: Option<f64>,
    /// Sum of gains over sum of losses.
    pub omega: Option<f64>,
    /// Growth a year over the maximum drawdown.
    pub calmar: Option<f64>,
}

impl DailyRatios {
    /// Computes the ratios of equity at the start and at the end of each day; all are `None` with
    /// fewer than two days.
    ///
    /// `drawdown_max` is a share of the peak. O(days).
    #[must_use]
    pub fn new(initial: f64, closes: &[f64], drawdown_max: Option<f64>) -> Self {
        let returns = daily_returns(initial, closes);
        if returns.len() < 2 || returns.len() < closes.len() {
            return Self::default();
        }
        let n = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / n;
        let variance = returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let deviation = variance.sqrt();
        let downside = (returns.iter().map(|r| r.min(0.0).powi(2)).sum::<f64>() / n).sqrt();
        let gains: f64 = returns.iter().map(|r| r.max(0.0)).sum();
        let losses: f64 = returns.iter().map(|r| (-r).max(0.0)).sum();
        let growth = closes.last().and_then(|last| ratio(*last, initial));
        let cagr = growth
            .filter(|growth| *growth >= 0.0)
            .map(|growth| growth.powf(DAYS_A_YEAR / n) - 1.0)
            .filter(|cagr| cagr.is_finite());
        let year = DAYS_A_YEAR.sqrt();
        Self {
            annual_return: Some(mean * DAYS_A_YEAR),
            cagr,
            volatility: Some(deviation * year),
            sharpe: ratio(mean, deviation).map(|sharpe| sharpe * year),
            sortino: ratio(mean, downside).map(|sortino| sortino * year),
            omega: ratio(gains, losses),
            calmar: cagr.zip(drawdown_max).and_then(|(cagr, drawdown)| ratio(cagr, drawdown)),
        }
    }
}

/// Returns each day's return; the list ends where equity is not positive, since what follows has
/// no meaning as a share of it.
pub(crate) fn daily_returns(initial: f64, closes: &[f64]) -> Vec<f64> {
    let opens = std::iter::once(&initial).chain(closes);
    let days = opens.zip(closes).take_while(|(open, _)| **open > 0.0);
    days.map(|(open, close)| close / open - 1.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close_to(actual: Option<f64>, expected: f64) {
        let actual = actual.expect("defined");
        assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
    }

    /// Returns of +10 %, −5 %, +2 %, worked out by hand: mean 7/300, squared deviations
    /// 0.0058778, 0.0053778 and 0.0000111 sum to 0.0112667, losses 0.05, gains 0.12.
    #[test]
    fn ratios_agree_with_the_hand() {
        let closes = [110.0, 104.5, 106.59];
        let ratios = DailyRatios::new(100.0, &closes, Some(0.05));
        let (mean, variance) = (0.07 / 3.0, 0.011_266_666_666_666_667 / 2.0_f64);
        close_to(ratios.annual_return, mean * 365.0);
        close_to(ratios.volatility, variance.sqrt() * 365f64.sqrt());
        close_to(ratios.sharpe, mean / variance.sqrt() * 365f64.sqrt());
        close_to(ratios.sortino, mean / (0.0025f64 / 3.0).sqrt() * 365f64.sqrt());
        close_to(ratios.omega, 2.4);
        let cagr = 1.0659f64.powf(365.0 / 3.0) - 1.0;
        close_to(ratios.cagr, cagr);
        assert!((ratios.calmar.unwrap() / (cagr / 0.05) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn fewer_than_two_days_have_no_ratios() {
        assert_eq!(DailyRatios::new(100.0, &[101.0], Some(0.1)), DailyRatios::default());
        assert_eq!(DailyRatios::new(100.0, &[], None), DailyRatios::default());
    }

    #[test]
    fn what_would_divide_by_zero_is_none() {
        let flat = DailyRatios::new(100.0, &[100.0, 100.0], Some(0.0));
        assert_eq!((flat.sharpe, flat.sortino, flat.omega, flat.calmar), (None, None, None, None));
        assert_eq!((flat.cagr, flat.volatility), (Some(0.0), Some(0.0)));
        let winning = DailyRatios::new(100.0, &[110.0, 130.0], Some(0.0));
        assert!(winning.sharpe.is_some());
        assert_eq!((winning.sortino, winning.omega, winning.calmar), (None, None, None));
    }

    #[test]
    fn ruin_has_no_ratios_but_no_infinities_either() {
        assert_eq!(DailyRatios::new(100.0, &[0.0, 0.0], Some(1.0)), DailyRatios::default());
        assert_eq!(DailyRatios::new(0.0, &[5.0, 6.0], None), DailyRatios::default());
        let ruined = DailyRatios::new(100.0, &[50.0, -10.0], Some(1.1));
        assert_eq!(ruined.cagr, None);
        assert!(ruined.sharpe.unwrap().is_finite());
    }
}
