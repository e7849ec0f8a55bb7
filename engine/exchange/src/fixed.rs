//! The exchange's number: eight decimals in an integer.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// A price, a quantity or an amount of money, in units of 1e-8.
///
/// Sums and differences are exact; products and quotients name their rounding. What is parsed fits
/// 64 bits, so a product of two parsed numbers never overflows 128.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fixed(i128);

/// Why a text is no number of the exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FixedError {
    /// Not digits with at most one point.
    #[error("not a decimal number")]
    Malformed,
    /// More than eight decimals that are not zero.
    #[error("more than eight decimals")]
    Precision,
    /// Beyond 92 billion.
    #[error("too large")]
    Overflow,
}

impl Fixed {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One whole.
    pub const ONE: Self = Self(Self::SCALE);
    /// The largest number that can be parsed.
    pub const MAX: Self = Self(i64::MAX as i128);
    /// Units in one whole.
    pub const SCALE: i128 = 100_000_000;

    /// Wraps a count of 1e-8.
    #[must_use]
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// Returns a whole number.
    #[must_use]
    pub const fn whole(n: i64) -> Self {
        Self(n as i128 * Self::SCALE)
    }

    /// Returns the count of 1e-8.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Reads digits with at most one point and an optional minus.
    ///
    /// # Errors
    ///
    /// If the text is something else, has a ninth decimal, or exceeds [`Self::MAX`].
    pub fn parse(text: &str) -> Result<Self, FixedError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + decimals.len() == 0 || !all_digits(whole) || !all_digits(decimals) {
            return Err(FixedError::Malformed);
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > 8 {
            return Err(FixedError::Precision);
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > 11 {
            return Err(FixedError::Overflow);
        }
        let mut units = 0_i128;
        for byte in whole.bytes().chain(decimals.bytes()) {
            units = units * 10 + i128::from(byte - b'0');
        }
        for _ in decimals.len()..8 {
            units *= 10;
        }
        if units > Self::MAX.0 {
            return Err(FixedError::Overflow);
        }
        Ok(Self(if negative { -units } else { units }))
    }

    /// Returns the product, rounded towards minus infinity.
    #[must_use]
    pub const fn times_floor(self, other: Self) -> Self {
        Self((self.0 * other.0).div_euclid(Self::SCALE))
    }

    /// Returns the product, rounded towards plus infinity.
    #[must_use]
    pub const fn times_ceil(self, other: Self) -> Self {
        Self(-(-self.0 * other.0).div_euclid(Self::SCALE))
    }

    /// Returns the quotient, rounded towards minus infinity; zero where `other` is zero.
    #[must_use]
    pub const fn over_floor(self, other: Self) -> Self {
        if other.0 == 0 { Self::ZERO } else { Self((self.0 * Self::SCALE).div_euclid(other.0)) }
    }

    /// Returns a share of the number, `numerator / denominator`, rounded towards minus infinity.
    /// Zero where the denominator is.
    #[must_use]
    pub const fn share_floor(self, numerator: Self, denominator: Self) -> Self {
        if denominator.0 == 0 {
            return Self::ZERO;
        }
        Self((self.0 * numerator.0).div_euclid(denominator.0))
    }

    /// Returns the largest multiple of `step` that is not above the number.
    #[must_use]
    pub const fn floor_to(self, step: Self) -> Self {
        if step.0 == 0 { self } else { Self(self.0.div_euclid(step.0) * step.0) }
    }

    /// Returns whether the number is a multiple of `step`; always, where `step` is zero.
    #[must_use]
    pub const fn is_multiple_of(self, step: Self) -> bool {
        step.0 == 0 || self.0 % step.0 == 0
    }

    /// Returns the number without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Returns whether the number is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Returns whether the number is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns a whole number of `n` times this one.
    #[must_use]
    pub const fn scaled(self, n: i64) -> Self {
        Self(self.0 * n as i128)
    }

    /// Returns an `n`th of the number, rounded towards minus infinity.
    #[must_use]
    pub const fn divided(self, n: i64) -> Self {
        Self(self.0.div_euclid(n as i128))
    }

    /// Returns how many decimals the number needs.
    #[must_use]
    pub const fn decimals(self) -> usize {
        let mut left = self.0 % Self::SCALE;
        let mut decimals = 8;
        while decimals > 0 && left % 10 == 0 {
            left /= 10;
            decimals -= 1;
        }
        decimals
    }

    /// Writes the number with exactly so many decimals (at most eight), cutting off the rest.
    #[must_use]
    pub fn text(self, decimals: usize) -> String {
        let magnitude = self.0.unsigned_abs();
        let scale = Self::SCALE.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = magnitude / scale;
        if decimals == 0 {
            return format!("{sign}{whole}");
        }
        let part = format!("{:08}", magnitude % scale);
        format!("{sign}{whole}.{}", &part[..decimals.min(8)])
    }

    /// Writes the number with as many decimals as it needs.
    #[must_use]
    pub fn short(self) -> String {
        self.text(self.decimals())
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(8))
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Add for Fixed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Fixed {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Fixed {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Fixed {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Fixed {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Fixed {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_read_strictly() {
        assert_eq!(Fixed::parse("0.00000001"), Ok(Fixed::from_units(1)));
        assert_eq!(Fixed::parse("-12.5"), Ok(Fixed::from_units(-1_250_000_000)));
        assert_eq!(Fixed::parse(".5"), Ok(Fixed::from_units(50_000_000)));
        assert_eq!(Fixed::parse("1.000000000"), Ok(Fixed::ONE));
        assert_eq!(Fixed::parse("0.000000001"), Err(FixedError::Precision));
        assert_eq!(Fixed::parse("92233720369"), Err(FixedError::Overflow));
        for text in ["", ".", "-", "1e5", " 1", "+1", "1.2.3", "0x1", "NaN"] {
            assert_eq!(Fixed::parse(text), Err(FixedError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn texts_are_cut_not_rounded() {
        let number = Fixed::parse("1.23456789").unwrap();
        assert_eq!(number.text(8), "1.23456789");
        assert_eq!(number.text(2), "1.23");
        assert_eq!(number.text(0), "1");
        assert_eq!(Fixed::parse("-0.5").unwrap().short(), "-0.5");
        assert_eq!(Fixed::whole(40).short(), "40");
    }

    proptest! {
        #[test]
        fn a_written_number_is_read_back(units in -i128::from(i64::MAX)..=i128::from(i64::MAX)) {
            let number = Fixed::from_units(units);
            prop_assert_eq!(Fixed::parse(&number.to_string()), Ok(number));
            prop_assert_eq!(Fixed::parse(&number.short()), Ok(number));
        }

        #[test]
        fn floor_and_ceiling_enclose_the_product(a in -1_i64 << 50..1 << 50, b in -1_i64 << 50..1 << 50) {
            let (a, b) = (Fixed::from_units(a.into()), Fixed::from_units(b.into()));
            let (low, high) = (a.times_floor(b), a.times_ceil(b));
            prop_assert!(low.units() * Fixed::SCALE <= a.units() * b.units());
            prop_assert!(high.units() * Fixed::SCALE >= a.units() * b.units());
            prop_assert!((high - low).units() <= 1);
        }
    }
}
