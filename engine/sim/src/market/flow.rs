//! When orders arrive and from whom: self-exciting market orders and parents that are worked in
//! many children.

use tercel_core::{Nanos, Side};

use crate::market::random::{ONE_Q16, Random, exp2_neg_q16, pareto_shape};

/// Arrival rate of market orders: a base plus what recent ones excite, fading with two half-lives.
///
/// Each order raises the rate so that it brings about 0.45 more within a fraction of a second and
/// 0.3 more within seconds: three of four orders answer another one. Rates are in events per
/// thousand seconds.
#[derive(Clone, Debug)]
pub(super) struct Excitation {
    fast_q16: u64,
    slow_q16: u64,
    faded_to: Nanos,
}

/// Market orders that answer none, in events per thousand seconds.
const BASE_RATE: u64 = 2_400;
const FAST_HALF_LIFE_NS: i64 = 80 * Nanos::MILLI;
const SLOW_HALF_LIFE_NS: i64 = 6 * Nanos::SECOND;
/// Offspring times ln 2 over half-life: 0.45 × 0.693 / 0.08 s, and 0.3 × 0.693 / 6 s.
const FAST_KICK: u64 = 3_899;
const SLOW_KICK: u64 = 35;
/// Rates that runaway excitation stops at: about 60 orders a second.
const RATE_MAX: u64 = 60_000;

impl Excitation {
    pub(super) const fn new(now: Nanos) -> Self {
        Self { fast_q16: 0, slow_q16: (2 * BASE_RATE) << 16, faded_to: now }
    }

    /// Returns the rate as of the last fade.
    pub(super) const fn rate(&self) -> u64 {
        BASE_RATE + ((self.fast_q16 + self.slow_q16) >> 16)
    }

    /// Lets the excitation fade until `now`.
    pub(super) fn fade(&mut self, now: Nanos) {
        let span = now.since(self.faded_to).unsigned_abs();
        let fade = |rate_q16: u64, half_life: i64| {
            let half_lives_q16 = (span << 16) / half_life.unsigned_abs();
            (rate_q16 * exp2_neg_q16(half_lives_q16)) >> 16
        };
        self.fast_q16 = fade(self.fast_q16, FAST_HALF_LIFE_NS);
        self.slow_q16 = fade(self.slow_q16, SLOW_HALF_LIFE_NS);
        self.faded_to = now;
    }

    /// Raises the rate after `n` orders.
    pub(super) fn kick(&mut self, n: u64) {
        self.fast_q16 = (self.fast_q16 + ((n * FAST_KICK) << 16)).min(RATE_MAX << 16);
        self.slow_q16 = (self.slow_q16 + ((n * SLOW_KICK) << 16)).min(RATE_MAX << 16);
    }
}

/// Large orders worked in pieces: the reason why trades of one side follow each other for minutes.
#[derive(Clone, Debug)]
pub(super) struct Parents {
    slots: [Parent; 3],
}

#[derive(Clone, Copy, Debug)]
struct Parent {
    side: Side,
    children_left: u64,
}

/// Lengths of parents have an infinite variance: sign correlation then decays as a power law.
const LENGTH_SHAPE: u64 = pareto_shape(150);
const LENGTH_MAX: u64 = 400;

impl Parents {
    pub(super) const fn new() -> Self {
        Self { slots: [Parent { side: Side::Buy, children_left: 0 }; 3] }
    }

    /// Returns the side of the next market order. `p_buy_q16` is the chance that a new parent buys.
    pub(super) fn next_side(&mut self, p_buy_q16: u64, random: &mut Random) -> Side {
        let idx = if random.chance(ONE_Q16 / 2) {
            0
        } else {
            1 + usize::from(random.chance(ONE_Q16 / 2))
        };
        let parent = &mut self.slots[idx];
        if parent.children_left == 0 {
            parent.side = coin(p_buy_q16, random);
            parent.children_left = ((4 * random.pareto_q16(LENGTH_SHAPE)) >> 16).min(LENGTH_MAX);
        }
        parent.children_left -= 1;
        parent.side
    }
}

/// Returns a buy with the given chance, else a sell.
pub(super) fn coin(p_buy_q16: u64, random: &mut Random) -> Side {
    if random.chance(p_buy_q16) { Side::Buy } else { Side::Sell }
}
