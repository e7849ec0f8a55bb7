//! The fair value that the simulated market follows: a random walk through changing regimes.

use crate::market::random::{ONE_Q16, Random};

/// What the market does for some minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Regime {
    /// Pulled back to where it was.
    Range,
    /// Drifts up.
    Rise,
    /// Drifts down.
    Fall,
    /// Wide moves without direction.
    Storm,
}

/// A fair value in 1/65536 of a tick.
#[derive(Clone, Debug)]
pub(super) struct FairValue {
    value_q16: i64,
    /// Where a range is pulled to: a slow average of the value.
    anchor_q16: i64,
    floor_q16: i64,
    /// Standard deviation of a step outside storms.
    sigma_q16: i64,
    regime: Regime,
    /// Steps until the regime changes.
    steps_left: u64,
    /// Mean length of a regime in steps.
    regime_steps: u64,
}

/// Share of a step's standard deviation that a trend drifts by, as a divisor. Over a regime of ten
/// thousand steps that is a move of one to two of its standard deviations.
const DRIFT_DIVISOR: i64 = 70;
/// Steps over which the anchor follows, and the pull works, as powers of two.
const ANCHOR_SHIFT: u32 = 14;
const PULL_SHIFT: u32 = 12;
/// One step in 32 is a jump of this many standard deviations.
const JUMP_P_Q16: u64 = ONE_Q16 / 32;
const JUMP: i64 = 3;

impl FairValue {
    /// Returns a value that starts at `ticks` and moves `sigma_q16` a step, with regimes of
    /// `regime_steps` steps on average.
    pub(super) const fn new(ticks: i64, sigma_q16: i64, regime_steps: u64) -> Self {
        let value_q16 = ticks << 16;
        Self {
            value_q16,
            anchor_q16: value_q16,
            floor_q16: value_q16 / 10,
            sigma_q16,
            regime: Regime::Range,
            steps_left: regime_steps / 2,
            regime_steps,
        }
    }

    /// Returns the value in whole ticks, rounded down.
    pub(super) const fn ticks(&self) -> i64 {
        self.value_q16 >> 16
    }

    /// Returns the value in 1/65536 of a tick.
    pub(super) const fn q16(&self) -> i64 {
        self.value_q16
    }

    /// Returns whether moves are wide now.
    pub(super) fn is_storm(&self) -> bool {
        self.regime == Regime::Storm
    }

    /// Moves one step.
    pub(super) fn step(&mut self, random: &mut Random) {
        if self.steps_left == 0 {
            self.change_regime(random);
        }
        self.steps_left -= 1;
        // Eighths of the usual deviation.
        let width = match self.regime {
            Regime::Range => 6,
            Regime::Rise | Regime::Fall => 8,
            Regime::Storm => 15,
        };
        let mut noise = (random.normal_q16() * self.sigma_q16) >> 16;
        if random.chance(JUMP_P_Q16) {
            noise *= JUMP;
        }
        let drift = match self.regime {
            Regime::Range => (self.anchor_q16 - self.value_q16) >> PULL_SHIFT,
            Regime::Rise => self.sigma_q16 / DRIFT_DIVISOR,
            Regime::Fall => -self.sigma_q16 / DRIFT_DIVISOR,
            Regime::Storm => 0,
        };
        self.shift(noise * width / 8 + drift);
        self.anchor_q16 += (self.value_q16 - self.anchor_q16) >> ANCHOR_SHIFT;
    }

    /// Moves the value by what somebody learnt. It never falls below a tenth of its start.
    pub(super) fn shift(&mut self, by_q16: i64) {
        self.value_q16 = (self.value_q16 + by_q16).max(self.floor_q16);
    }

    fn change_regime(&mut self, random: &mut Random) {
        self.regime = match random.below(100) {
            0..45 => Regime::Range,
            45..66 => Regime::Rise,
            66..87 => Regime::Fall,
            _ => Regime::Storm,
        };
        let steps = (random.exponential_q16() * self.regime_steps) >> 16;
        self.steps_left = steps.max(self.regime_steps / 8).max(1);
    }
}
