//! A seeded series of one-minute bars: cheap data for strategies that trade on bars.

use tercel_core::{Bar, Event, MarketData, MarketEvent, Nanos, Price, Quantity};

use crate::market::config::{SeededMarketConfig, SeededMarketError};
use crate::market::fair::FairValue;
use crate::market::random::{Random, pareto_shape};

/// A reproducible series of one-minute bars, as a source of events or an iterator.
///
/// Takes the same configuration as [`crate::market::SeededMarket`]; what concerns books and marks
/// is ignored. The price is the fair value of that market, not its trades, so equal seeds do not
/// give the same prices. A bar is stamped with the minute that it closes at, in both clocks.
#[derive(Clone, Debug)]
pub struct SeededBars {
    config: SeededMarketConfig,
    random: Random,
    fair: FairValue,
    close_at: Nanos,
    end_at: Nanos,
}

/// Steps of the price within a bar.
const STEPS: i64 = 6;
/// Typical trades in a minute.
const TRADES_A_MINUTE: i64 = 400;
const VOLUME_SHAPE: u64 = pareto_shape(250);

impl SeededBars {
    /// Builds a series.
    ///
    /// # Errors
    ///
    /// If a field of the configuration is out of its range.
    pub fn new(config: SeededMarketConfig) -> Result<Self, SeededMarketError> {
        config.check()?;
        let sigma_q16 = config.sigma_q16(Nanos::MINUTE / STEPS);
        // Regimes of half a day on average.
        let regime_steps = 720 * STEPS.unsigned_abs();
        Ok(Self {
            random: Random::new(config.seed),
            fair: FairValue::new(config.start_price.0, sigma_q16, regime_steps),
            close_at: Nanos(config.start_at.0.div_euclid(Nanos::MINUTE) * Nanos::MINUTE),
            end_at: config.start_at.plus(config.duration_ns),
            config,
        })
    }

    /// Appends up to `n` bars; returns how many, which is none only at the end.
    pub fn read_block(&mut self, n: usize, events: &mut Vec<Event>) -> usize {
        let before = events.len();
        events.extend(self.by_ref().take(n).map(Event::Market));
        events.len() - before
    }
}

impl Iterator for SeededBars {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        self.close_at = self.close_at.plus(Nanos::MINUTE);
        if self.close_at > self.end_at {
            return None;
        }
        let open = self.fair.ticks();
        let (mut high, mut low) = (open, open);
        for _ in 0..STEPS {
            self.fair.step(&mut self.random);
            high = high.max(self.fair.ticks());
            low = low.min(self.fair.ticks());
        }
        // Wide bars trade more: a storm's minute several times a calm one's.
        let usual = (self.config.sigma_q16(Nanos::MINUTE) >> 16).max(1);
        let width_e2 = ((high - low) * 100 / usual).clamp(20, 600);
        let size_q16 = self.random.pareto_q16(VOLUME_SHAPE).min(50 << 16).cast_signed();
        let volume = (self.config.typical_lots * TRADES_A_MINUTE * width_e2 / 100 * size_q16) >> 16;
        let bar = Bar {
            open: Price(open),
            high: Price(high),
            low: Price(low),
            close: Price(self.fair.ticks()),
            volume: Quantity(volume),
        };
        Some(MarketEvent {
            venue_at: self.close_at,
            received_at: self.close_at,
            instrument: self.config.instrument,
            data: MarketData::Bar { interval_ms: 60_000, bar },
        })
    }
}
