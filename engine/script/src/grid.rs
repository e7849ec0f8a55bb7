//! Between a script's floats and an instrument's ticks and lots.

use rust_decimal::Decimal;

use crate::number;

/// The grid of an instrument's prices or quantities: all multiples of a decimal step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Grid {
    step: Decimal,
    mantissa: i64,
    /// Ten to the step's scale, exact as a float up to 10^22.
    scale: f64,
    mantissa_float: f64,
    /// Whether `scale` is exact.
    is_exact: bool,
}

/// Which way a value between two steps goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Rounding {
    /// To the next step below.
    Down,
    /// To the next step above.
    Up,
    /// To the closer step; half goes away from zero.
    Near,
}

/// How far from a step a float may lie, in steps, and still mean the step.
const TOLERANCE: f64 = 1e-6;

impl Grid {
    /// Returns the grid of multiples of `step`, a positive decimal.
    pub(crate) fn new(step: Decimal) -> Self {
        let step = step.normalize();
        // Steps are small decimals; one that does not fit would be coarser than any market's.
        let mantissa = i64::try_from(step.mantissa()).unwrap_or(i64::MAX);
        let scale = 10f64.powi(i32::try_from(step.scale()).unwrap_or(28));
        let is_exact = step.scale() <= 22;
        Self { step, mantissa, scale, mantissa_float: number::float(mantissa), is_exact }
    }

    /// Returns `count` steps as the float closest to the exact decimal value.
    #[inline]
    pub(crate) fn value(&self, count: i64) -> f64 {
        const EXACT: i64 = 1 << 53;
        match count.checked_mul(self.mantissa) {
            // Numerator and denominator are exact, so the one division rounds once.
            Some(units) if (-EXACT..=EXACT).contains(&units) && self.is_exact => {
                number::float(units) / self.scale
            }
            _ => self.value_of_large(count),
        }
    }

    /// Returns the number of steps that a float means, `None` if it lies between two steps, is not
    /// finite or is too large for floats to tell steps apart.
    pub(crate) fn count(&self, value: f64) -> Option<i64> {
        let steps = self.steps(value);
        let nearest = steps.round();
        // Where floats are coarser than the tolerance, their own spacing is what can be asked for.
        let tolerance = TOLERANCE.max(steps.abs() * f64::EPSILON * 2.0);
        if (steps - nearest).abs() <= tolerance { number::whole(nearest) } else { None }
    }

    /// Returns the value moved to a step; `None` if it is not finite or too large.
    ///
    /// A value within the tolerance of a step is that step whatever the direction.
    pub(crate) fn round(&self, value: f64, rounding: Rounding) -> Option<f64> {
        let count = match self.count(value) {
            Some(count) => count,
            None => {
                let steps = self.steps(value);
                number::whole(match rounding {
                    Rounding::Down => steps.floor(),
                    Rounding::Up => steps.ceil(),
                    Rounding::Near => steps.round(),
                })?
            }
        };
        Some(self.value(count))
    }

    /// Returns the step itself.
    pub(crate) fn step(&self) -> f64 {
        self.value(1)
    }

    fn steps(&self, value: f64) -> f64 {
        value * self.scale / self.mantissa_float
    }

    /// Beyond 2^53 units the decimal's own text is the way to the closest float.
    #[cold]
    fn value_of_large(&self, count: i64) -> f64 {
        match Decimal::from(count).checked_mul(self.step) {
            Some(exact) => number::decimal(exact),
            None => number::float(count) * self.mantissa_float / self.scale,
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the closest float is what is promised")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(step: &str) -> Grid {
        Grid::new(step.parse().unwrap())
    }

    #[test]
    fn values_are_the_floats_that_a_reader_would_parse() {
        assert_eq!(grid("0.1").value(616_597), 61_659.7);
        assert_eq!(grid("0.1").value(3), 0.3);
        assert_eq!(grid("0.00001").value(-7), -0.00007);
        assert_eq!(grid("2.5").value(3), 7.5);
        assert_eq!(grid("100").value(12), 1_200.0);
        assert_eq!(grid("0.00000001").value(i64::MAX), 92_233_720_368.547_76);
    }

    #[test]
    fn floats_near_a_step_mean_it_and_others_mean_nothing() {
        let tenths = grid("0.1");
        assert_eq!(tenths.count(0.1 + 0.2), Some(3));
        assert_eq!(tenths.count(0.35), None);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert_eq!(tenths.count(value), None, "{value}");
            assert_eq!(tenths.round(value, Rounding::Near), None, "{value}");
        }
        assert_eq!(grid("0.00000001").count(123.456_789_01), Some(12_345_678_901));
    }

    #[test]
    fn rounding_goes_where_it_is_told() {
        let halves = grid("0.5");
        assert_eq!(halves.round(1.2, Rounding::Down), Some(1.0));
        assert_eq!(halves.round(1.2, Rounding::Up), Some(1.5));
        assert_eq!(halves.round(1.2, Rounding::Near), Some(1.0));
        assert_eq!(grid("0.1").round(0.1 + 0.2, Rounding::Up), Some(0.3));
    }

    proptest! {
        #[test]
        fn a_value_counts_back_to_its_steps(
            count in -1_000_000_000_000i64..1_000_000_000_000,
            step in prop::sample::select(vec!["0.01", "0.1", "0.00001", "0.25", "5", "0.003"]),
        ) {
            let grid = grid(step);
            prop_assert_eq!(grid.count(grid.value(count)), Some(count));
        }

        #[test]
        fn a_value_is_the_closest_float(
            count in any::<i64>(),
            step in prop::sample::select(vec!["0.01", "0.1", "0.00000001", "0.25", "5", "0.003"]),
        ) {
            let exact = Decimal::from(count) * step.parse::<Decimal>().unwrap();
            prop_assert_eq!(grid(step).value(count), exact.to_string().parse::<f64>().unwrap());
        }
    }
}
