//! Ticks and lots: found in the data where nobody says them, and used to convert it.

use rust_decimal::Decimal;

use crate::decimal::{Dec, POW10};

/// Finds the coarsest usual step that all values seen are multiples of.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepFinder {
    scale: u8,
    /// Greatest common divisor of the mantissas at `scale`; 0 before the first value.
    divisor: i64,
    pub(crate) n_values: u64,
}

impl StepFinder {
    pub(crate) fn see(&mut self, value: Dec) {
        if value.mantissa == 0 {
            return;
        }
        self.n_values += 1;
        let value = value.normalized();
        if value.scale > self.scale {
            let factor = POW10[usize::from(value.scale - self.scale)];
            self.divisor = self.divisor.checked_mul(factor).unwrap_or(1);
            self.scale = value.scale;
        }
        if self.divisor == 1 {
            return;
        }
        let factor = POW10[usize::from(self.scale - value.scale)];
        self.divisor = match value.mantissa.checked_mul(factor) {
            Some(mantissa) => gcd(self.divisor.abs(), mantissa.saturating_abs()),
            None => 1,
        };
    }

    /// Returns the step: a power of ten, or 5, 25, 2 or 125 times one where the values have it and
    /// there are enough of them to believe it; 1 if nothing was seen.
    pub(crate) fn step(&self) -> Decimal {
        let unit = Decimal::new(1, u32::from(self.scale));
        const ENOUGH: u64 = 1_000;
        if self.divisor == 0 || self.n_values < ENOUGH || self.scale == 0 {
            return unit;
        }
        let odd = [125, 25, 5, 2].into_iter().find(|factor| self.divisor % factor == 0);
        unit * Decimal::from(odd.unwrap_or(1))
    }
}

fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Converts decimals to whole steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    scale: u8,
    /// Mantissa of the step at `scale`.
    mantissa: i64,
}

impl Step {
    /// Returns the converter of a positive step.
    pub(crate) fn new(step: Decimal) -> Option<Self> {
        let step = step.normalize();
        let scale = u8::try_from(step.scale()).ok().filter(|scale| *scale <= 18)?;
        let mantissa = i64::try_from(step.mantissa()).ok().filter(|mantissa| *mantissa > 0)?;
        Some(Self { scale, mantissa })
    }

    /// Returns how many steps the value is, `None` off the grid or out of range.
    pub(crate) fn count(self, value: Dec) -> Option<i64> {
        let at_scale = if value.scale <= self.scale {
            value.mantissa.checked_mul(POW10[usize::from(self.scale - value.scale)])?
        } else {
            let factor = POW10[usize::from(value.scale - self.scale)];
            (value.mantissa % factor == 0).then(|| value.mantissa / factor)?
        };
        if self.mantissa == 1 {
            return Some(at_scale);
        }
        (at_scale % self.mantissa == 0).then(|| at_scale / self.mantissa)
    }
}

/// Reads floats as decimals: as multiples of a step where one is given, else without their noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floats {
    /// The step, and the same as a float.
    step: Option<(Step, f64)>,
}

impl Floats {
    pub(crate) fn new(step: Option<Decimal>) -> Self {
        use rust_decimal::prelude::ToPrimitive;
        Self { step: step.and_then(|step| Some((Step::new(step)?, step.to_f64()?))) }
    }

    /// Returns the decimal; `None` if it is not finite or does not fit.
    pub(crate) fn decimal(&self, value: f64) -> Option<Dec> {
        // Noise of single precision lands on the step too; a value between steps does not.
        const NEAR: f64 = 1e-3;
        if let Some((step, size)) = self.step {
            let count = (value / size).round();
            if (count * size - value).abs() <= NEAR * size {
                let count = Dec::from_f64(count).filter(|count| count.scale == 0)?;
                let mantissa = count.mantissa.checked_mul(step.mantissa)?;
                return Some(Dec { mantissa, scale: step.scale });
            }
        }
        Dec::near_f64(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Dec {
        Dec::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn quarters_are_found_once_there_are_enough_of_them() {
        let mut finder = StepFinder::default();
        for n in 0..2_000 {
            finder.see(Dec { mantissa: 475_000 + n * 25, scale: 2 });
        }
        assert_eq!(finder.step(), Decimal::new(25, 2));
        finder.see(dec("4750.30"));
        assert_eq!(finder.step(), Decimal::new(5, 2));
    }

    #[test]
    fn zeros_at_the_end_are_no_precision() {
        let mut finder = StepFinder::default();
        finder.see(dec("61837.63000000"));
        assert_eq!(finder.step(), Decimal::new(1, 2));
    }

    #[test]
    fn floats_land_on_a_given_step() {
        let floats = Floats::new(Some(Decimal::new(25, 2)));
        assert_eq!(floats.decimal(4_750.75), Some(dec("4750.75")));
        assert_eq!(floats.decimal(f64::from(100.3f32)), Dec::near_f64(f64::from(100.3f32)));
        let floats = Floats::new(Some(Decimal::new(1, 1)));
        assert_eq!(floats.decimal(f64::from(100.3f32)), Some(dec("100.3")));
        assert_eq!(floats.decimal(f64::INFINITY), None);
    }

    #[test]
    fn values_convert_or_are_refused() {
        let step = Step::new(Decimal::new(25, 2)).unwrap();
        assert_eq!(step.count(dec("4750.75000")), Some(19_003));
        assert_eq!(step.count(dec("4750.80")), None);
        assert_eq!(step.count(dec("4750.751")), None);
    }
}
