//! What the venue charges.

use rust_decimal::Decimal;
use tercel_core::{Instrument, Nanos, Notional, Price, Quantity, Role};

/// Fees of fills, as fractions of their notional, paid in the settlement asset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum FeeModel {
    /// The instrument's own fees; where it says nothing (both are zero), 0.1 % for either role.
    #[default]
    Instrument,
    /// The same for everybody; zeros make trading free.
    Flat {
        /// Fee of a maker fill; negative is a rebate.
        maker: Decimal,
        /// Fee of a taker fill.
        taker: Decimal,
    },
    /// By what the account has traded in the current UTC day and the 29 before it, over all
    /// instruments, in quote. The highest tier whose threshold is reached applies.
    Tiered(Vec<FeeTier>),
}

/// A step of a fee schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeeTier {
    /// Turnover from which it applies; the first tier's is zero, and they ascend.
    pub from_turnover: Notional,
    /// Fee of a maker fill; negative is a rebate.
    pub maker: Decimal,
    /// Fee of a taker fill.
    pub taker: Decimal,
}

impl FeeModel {
    /// Returns the fee of a fill, exact to 1e-18 and rounded against the account beyond that.
    ///
    /// `turnover` is the account's, without this fill.
    #[must_use]
    pub fn fee(
        &self,
        instrument: &Instrument,
        role: Role,
        price: Price,
        qty: Quantity,
        turnover: Notional,
    ) -> Decimal {
        let rate = self.rate(instrument, role, turnover);
        let value = instrument.settlement_units(price, qty).unwrap_or(Notional::ZERO);
        times_rounded_up(value.abs(), rate).to_decimal()
    }

    fn rate(&self, instrument: &Instrument, role: Role, turnover: Notional) -> Decimal {
        let (maker, taker) = match self {
            Self::Instrument => {
                let (maker, taker) = (instrument.spec.maker_fee, instrument.spec.taker_fee);
                if maker.is_zero() && taker.is_zero() {
                    (DEFAULT_FEE, DEFAULT_FEE)
                } else {
                    (maker, taker)
                }
            }
            Self::Flat { maker, taker } => (*maker, *taker),
            Self::Tiered(tiers) => {
                let reached = tiers.partition_point(|tier| tier.from_turnover <= turnover);
                let tier = reached.checked_sub(1).map(|idx| &tiers[idx]);
                tier.map_or((DEFAULT_FEE, DEFAULT_FEE), |tier| (tier.maker, tier.taker))
            }
        };
        match role {
            Role::Maker => maker,
            Role::Taker => taker,
        }
    }

    /// Returns what is wrong with the model, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self::Tiered(tiers) = self else { return None };
        let Some(first) = tiers.first() else {
            return Some("a fee schedule needs at least one tier, got none".to_owned());
        };
        if first.from_turnover != Notional::ZERO {
            return Some(format!(
                "the first fee tier must start at a turnover of 0, got {}",
                first.from_turnover
            ));
        }
        let unordered =
            tiers.windows(2).find(|pair| pair[0].from_turnover >= pair[1].from_turnover);
        unordered.map(|pair| format!("fee tiers must ascend: {} does not", pair[1].from_turnover))
    }
}

/// One tenth of a percent.
const DEFAULT_FEE: Decimal = Decimal::from_parts(1, 0, 0, false, 3);

/// Returns money times a decimal, rounded up to 1e-18: a fee up, a rebate down.
fn times_rounded_up(money: Notional, rate: Decimal) -> Notional {
    let mantissa = rate.mantissa();
    let scale = 10i128.pow(rate.scale());
    // Whole multiples of the scale first: money times a mantissa might not fit.
    let (whole, part) = (money.0 / scale, money.0 % scale);
    let exact = whole.saturating_mul(mantissa);
    let rounded = -(-part.saturating_mul(mantissa)).div_euclid(scale);
    Notional(exact.saturating_add(rounded))
}

/// What an account has traded, by UTC day.
#[derive(Clone, Debug)]
pub(crate) struct Turnover {
    days: [Notional; N_DAYS],
    /// The day that was counted last; its place is itself modulo the number of days.
    today: i64,
    sum: Notional,
}

/// Days of turnover that decide a tier, today included.
const N_DAYS: usize = 30;

impl Turnover {
    pub(crate) const fn new() -> Self {
        Self { days: [Notional::ZERO; N_DAYS], today: i64::MIN, sum: Notional::ZERO }
    }

    /// Returns the turnover of today and the days before it that count.
    pub(crate) fn as_of(&mut self, now: Nanos) -> Notional {
        self.roll(now);
        self.sum
    }

    /// Counts a fill.
    pub(crate) fn add(&mut self, now: Nanos, notional: Notional) {
        self.roll(now);
        self.days[place(self.today)] += notional;
        self.sum += notional;
    }

    fn roll(&mut self, now: Nanos) {
        let day = now.day();
        if day <= self.today {
            return;
        }
        let passed = day.saturating_sub(self.today);
        let n_days = i64::try_from(N_DAYS).unwrap_or(i64::MAX);
        for ago in 0..passed.min(n_days) {
            let gone = &mut self.days[place(day - ago)];
            self.sum -= std::mem::take(gone);
        }
        self.today = day;
    }
}

fn place(day: i64) -> usize {
    usize::try_from(day.rem_euclid(30)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use tercel_core::{InstrumentId, InstrumentSpec};

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn linear() -> Instrument {
        Instrument::new(InstrumentId(0), InstrumentSpec::linear("X", "0.01", "0.001")).unwrap()
    }

    fn money(units: i128) -> Notional {
        Notional(units * Notional::ONE)
    }

    #[test]
    fn an_instrument_that_says_nothing_costs_a_tenth_of_a_percent() {
        let fee = |instrument: &Instrument, role| {
            let model = FeeModel::Instrument;
            model.fee(instrument, role, Price(123_456), Quantity(789), Notional::ZERO)
        };
        let mut x = linear();
        assert_eq!(fee(&x, Role::Taker), decimal("0.97406784"));
        assert_eq!(fee(&x, Role::Maker), decimal("0.97406784") - Decimal::ZERO);
        x.spec.maker_fee = decimal("-0.0001");
        x.spec.taker_fee = decimal("0.00055");
        assert_eq!(fee(&x, Role::Maker), decimal("-0.097406784"));
        assert_eq!(fee(&x, Role::Taker), decimal("0.535737312"));
    }

    #[test]
    fn what_money_cannot_hold_is_rounded_against_the_account() {
        assert_eq!(times_rounded_up(Notional(10), decimal("0.25")), Notional(3));
        assert_eq!(times_rounded_up(Notional(10), decimal("-0.25")), Notional(-2));
        let large = Notional(i128::MAX / 10_000);
        assert_eq!(times_rounded_up(large, decimal("0.001")).0, large.0 / 1_000 + 1);
    }

    #[test]
    fn the_tier_follows_the_turnover_of_thirty_days() {
        let tier = |from, maker, taker| FeeTier {
            from_turnover: money(from),
            maker: decimal(maker),
            taker: decimal(taker),
        };
        let model = FeeModel::Tiered(vec![tier(0, "0.001", "0.002"), tier(100, "0", "0.001")]);
        let x = linear();
        let at = |turnover| model.fee(&x, Role::Taker, Price(100), Quantity(1_000), turnover);
        assert_eq!(at(money(99)), decimal("0.002"));
        assert_eq!(at(money(100)), decimal("0.001"));

        let day = |n: i64| Nanos(n * Nanos::DAY + 5);
        let mut turnover = Turnover::new();
        turnover.add(day(-1), money(1));
        turnover.add(day(0), money(2));
        turnover.add(day(10), money(4));
        assert_eq!(turnover.as_of(day(28)), money(7));
        assert_eq!(turnover.as_of(day(29)), money(6));
        assert_eq!(turnover.as_of(day(30)), money(4));
        assert_eq!(turnover.as_of(day(400)), money(0));
    }

    #[test]
    fn schedules_that_make_no_sense_are_refused() {
        let tier = |from| FeeTier {
            from_turnover: money(from),
            maker: Decimal::ZERO,
            taker: Decimal::ZERO,
        };
        assert!(FeeModel::Tiered(vec![]).problem().is_some());
        assert!(FeeModel::Tiered(vec![tier(1)]).problem().is_some());
        assert!(FeeModel::Tiered(vec![tier(0), tier(5), tier(5)]).problem().is_some());
        assert!(FeeModel::Tiered(vec![tier(0), tier(5)]).problem().is_none());
    }
}
