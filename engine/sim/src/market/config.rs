//! What a seeded market is built from.

use rust_decimal::Decimal;
use tercel_core::{InstrumentId, InstrumentSpec, Nanos, Price};

/// What a seeded market is built from. The default is four hours of a BTCUSDT-like perpetual.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeededMarketConfig {
    /// Picks the market: equal configurations give equal events to the byte.
    pub seed: u64,
    /// Whose events these are.
    pub instrument: InstrumentId,
    /// Time of the first event.
    pub start_at: Nanos,
    /// How long the market is open, in nanoseconds; positive.
    pub duration_ns: i64,
    /// Price at the start; at least [`Self::MIN_START_PRICE`] ticks, so that the book has room.
    pub start_price: Price,
    /// Typical quantity of a trade in lots; positive, at most a billion.
    pub typical_lots: i64,
    /// Volatility in percent a year of 365 days, outside storms; between 1 and 1,000.
    pub annual_volatility_pct: u32,
    /// Most levels on each side of the book; between 20 and 400.
    pub levels: usize,
    /// Whether best bid and ask also come as quotes, ahead of the book's changes.
    pub quotes: bool,
    /// Milliseconds between mark prices, in steps of 50; zero for no marks.
    pub mark_interval_ms: u32,
}

/// Why a configuration is no market.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("seeded market: {field} must be {expected}, got {value}")]
pub struct SeededMarketError {
    /// Which field.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
    /// What it is.
    pub value: i64,
}

impl Default for SeededMarketConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            instrument: InstrumentId(0),
            // 2025-01-06 06:00 UTC: a funding payment at 08:00 lies in the middle.
            start_at: Nanos(1_736_143_200 * Nanos::SECOND),
            duration_ns: 240 * Nanos::MINUTE,
            start_price: Price(600_000),
            typical_lots: 16,
            annual_volatility_pct: 45,
            levels: 160,
            quotes: false,
            mark_interval_ms: 1_000,
        }
    }
}

impl SeededMarketConfig {
    /// The least start price, in ticks.
    pub const MIN_START_PRICE: Price = Price(50_000);

    /// Returns the instrument that the default market trades: a linear perpetual with a tick of
    /// 0.1 and a lot of 0.001, on asset 0 quoted in asset 1, at two and five basis points of fee.
    #[must_use]
    pub fn btcusdt() -> InstrumentSpec {
        InstrumentSpec {
            min_quantity: Decimal::new(1, 3),
            max_quantity: Decimal::from(1_000),
            min_notional: Decimal::from(5),
            price_band_bps: 500,
            maker_fee: Decimal::new(2, 4),
            taker_fee: Decimal::new(5, 4),
            ..InstrumentSpec::linear("BTCUSDT", "0.1", "0.001")
        }
    }

    /// Checks all fields.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of its range.
    pub fn check(&self) -> Result<(), SeededMarketError> {
        let levels = i64::try_from(self.levels).unwrap_or(i64::MAX);
        let end_fits = self.start_at.0.checked_add(self.duration_ns).is_some();
        let price = self.start_price.0;
        let volatility = i64::from(self.annual_volatility_pct);
        let mark = i64::from(self.mark_interval_ms);
        for (field, value, holds, expected) in [
            ("start_at", self.start_at.0, self.start_at.0 >= 0, "zero or later"),
            ("duration_ns", self.duration_ns, self.duration_ns > 0, "positive"),
            ("duration_ns", self.duration_ns, end_fits, "short enough to end before the year 2262"),
            (
                "start_price",
                price,
                (Self::MIN_START_PRICE.0..=1 << 32).contains(&price),
                "between 50,000 and 2^32 ticks",
            ),
            (
                "typical_lots",
                self.typical_lots,
                (1..=1_000_000_000).contains(&self.typical_lots),
                "between 1 and 1,000,000,000",
            ),
            (
                "annual_volatility_pct",
                volatility,
                (1..=1_000).contains(&volatility),
                "between 1 and 1,000",
            ),
            ("levels", levels, (20..=400).contains(&levels), "between 20 and 400"),
            ("mark_interval_ms", mark, mark % 50 == 0, "a multiple of 50"),
        ] {
            if !holds {
                return Err(SeededMarketError { field, expected, value });
            }
        }
        Ok(())
    }

    /// Returns the standard deviation of a price change over `span_ns` in 1/65536 of a tick.
    pub(super) fn sigma_q16(&self, span_ns: i64) -> i64 {
        const YEAR_NS: u128 = 365 * Nanos::DAY.unsigned_abs() as u128;
        let price_q16 = u128::from(self.start_price.0.unsigned_abs()) << 16;
        let annual_q16 = price_q16 * u128::from(self.annual_volatility_pct) / 100;
        // The root of span over year, with 32 fractional bits.
        let root_q32 = ((u128::from(span_ns.unsigned_abs()) << 64) / YEAR_NS).isqrt();
        i64::try_from((annual_q16 * root_q32) >> 32).expect("bounded by the checked fields")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_named_with_its_value() {
        let config = SeededMarketConfig { duration_ns: 0, ..SeededMarketConfig::default() };
        let refused = config.check().unwrap_err();
        assert_eq!(refused.to_string(), "seeded market: duration_ns must be positive, got 0");
        let config = SeededMarketConfig { levels: 5, ..SeededMarketConfig::default() };
        assert_eq!(config.check().unwrap_err().field, "levels");
    }

    #[test]
    fn volatility_scales_with_the_root_of_time() {
        let config = SeededMarketConfig { annual_volatility_pct: 50, ..Default::default() };
        assert_eq!(config.sigma_q16(365 * Nanos::DAY) >> 16, 300_000);
        assert_eq!(config.sigma_q16(Nanos::SECOND) >> 16, 53);
    }
}
