//! Decimal text to integers, without a float between.

/// A decimal number: `mantissa / 10^scale`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dec {
    /// The digits.
    pub mantissa: i64,
    /// How many of them stand behind the point; at most 18.
    pub scale: u8,
}

/// Powers of ten that fit 64 bits.
pub(crate) const POW10: [i64; 19] = {
    let mut powers = [1; 19];
    let mut n = 1;
    while n < 19 {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

impl Dec {
    /// Parses plain decimals such as `-12.50`, and exponents such as `1e-7`.
    ///
    /// Returns `None` for anything else and for what does not fit 64 bits and 18 places.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, text),
        };
        // Eighteen digits cannot overflow, and hardly a price has more.
        let (mut mantissa, mut scale, mut n_digits, mut seen_point) = (0i64, 0u8, 0u8, false);
        for (at, byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    if n_digits >= 18 {
                        return Self::parse_slowly(text);
                    }
                    mantissa = mantissa * 10 + i64::from(byte - b'0');
                    n_digits += u8::from(mantissa != 0);
                    scale += u8::from(seen_point);
                    if scale > 18 {
                        return Self::parse_slowly(text);
                    }
                }
                b'.' if !seen_point => seen_point = true,
                b'e' | b'E' if at > 0 => return Self::parse_slowly(text),
                _ => return None,
            }
        }
        let has_digit = digits.iter().any(u8::is_ascii_digit);
        has_digit.then_some(Self { mantissa: if negative { -mantissa } else { mantissa }, scale })
    }

    /// Returns the whole number.
    #[must_use]
    pub const fn whole(value: i64) -> Self {
        Self { mantissa: value, scale: 0 }
    }

    /// Returns the same value without zeros at the end.
    #[must_use]
    pub const fn normalized(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        if self.mantissa == 0 {
            self.scale = 0;
        }
        self
    }

    /// Returns whether the value is greater, whatever the scales.
    pub(crate) fn is_above(self, other: Self) -> bool {
        let scale = self.scale.max(other.scale);
        let at_scale = |dec: Self| {
            i128::from(dec.mantissa) * i128::from(POW10[usize::from(scale - dec.scale)])
        };
        at_scale(self) > at_scale(other)
    }

    /// Returns the mantissa at a scale, cut there; `None` if it does not fit.
    pub(crate) fn at_scale(self, scale: u8) -> Option<i64> {
        if scale >= self.scale {
            let factor = POW10.get(usize::from(scale - self.scale))?;
            return self.mantissa.checked_mul(*factor);
        }
        Some(self.mantissa / POW10.get(usize::from(self.scale - scale))?)
    }

    /// Converts the shortest decimal that reads back as this float; `None` if it is not finite or
    /// does not fit.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        Self::parse(format!("{value}").as_bytes())
    }

    /// Converts the shortest decimal that is this float but for the noise of arithmetic, such as
    /// 100.3 for 100.30000000000001; `None` if it is not finite or does not fit.
    ///
    /// Noise is what changes the thirteenth digit and those behind: quantities may have more than
    /// nine good ones.
    #[must_use]
    pub fn near_f64(value: f64) -> Option<Self> {
        const NOISE: f64 = 1e-12;
        const GOOD_DIGITS: usize = 12;
        let exact = Self::from_f64(value);
        // A float that was written as a decimal reads back short.
        let is_short = |dec: &Self| dec.mantissa.unsigned_abs() < 10u64.pow(15);
        if exact.as_ref().is_some_and(is_short) || !value.is_finite() {
            return exact;
        }
        let rounded = (GOOD_DIGITS..=16).find_map(|digits| {
            let text = format!("{value:.*e}", digits - 1);
            let is_near = (text.parse::<f64>().ok()? - value).abs() <= NOISE * value.abs();
            is_near.then(|| Self::parse(text.as_bytes())).flatten()
        });
        rounded.map(Self::normalized).or(exact)
    }

    /// Long numbers, exponents: rare, so by the general library.
    #[cold]
    fn parse_slowly(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let value = if text.contains(['e', 'E']) {
            rust_decimal::Decimal::from_scientific(text).ok()?
        } else {
            text.parse::<rust_decimal::Decimal>().ok()?
        };
        let value = value.normalize();
        let scale = u8::try_from(value.scale()).ok().filter(|scale| *scale <= 18)?;
        Some(Self { mantissa: i64::try_from(value.mantissa()).ok()?, scale })
    }
}

/// Parses a whole number of digits only.
#[must_use]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_parse_exactly() {
        let parse = |text: &str| Dec::parse(text.as_bytes()).map(|d| (d.mantissa, d.scale));
        assert_eq!(parse("61837.63000000"), Some((6_183_763_000_000, 8)));
        assert_eq!(parse("-0.05"), Some((-5, 2)));
        assert_eq!(parse("1e-7"), Some((1, 7)));
        assert_eq!(parse("5E3"), Some((5_000, 0)));
        assert_eq!(parse("0.000000000000000000"), Some((0, 18)));
        for bad in ["", "-", ".", "1.2.3", "abc", "1e", "e5", "12a", "99999999999999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn floats_lose_their_noise_and_nothing_else() {
        for (float, text) in [
            (0.1 + 0.2, "0.3"),
            (100.300_000_000_000_01, "100.3"),
            (61_837.63, "61837.63"),
            (1_234_567_890.5, "1234567890.5"),
            (123_456_789.123_456, "123456789.123456"),
            (-1e-9 * 3.0, "-0.000000003"),
            (0.0, "0"),
        ] {
            assert_eq!(Dec::near_f64(float), Dec::parse(text.as_bytes()), "{float}");
        }
        assert_eq!(Dec::near_f64(f64::NAN), None);
        assert_eq!(Dec::near_f64(1e300), None);
    }

    proptest! {
        #[test]
        fn decimals_of_twelve_digits_survive_arithmetic(
            mantissa in -999_999_999_999i64..=999_999_999_999,
            scale in 0u8..=12,
        ) {
            let dec = Dec { mantissa, scale }.normalized();
            let float: f64 = format!("{mantissa}e-{scale}").parse().unwrap();
            prop_assert_eq!(Dec::near_f64(float * 3.0 / 3.0), Some(dec));
        }

        #[test]
        fn no_text_panics_and_numbers_read_back(text in "[-+0-9.eE]{0,24}", value: i64, scale in 0u8..=18) {
            let _ = Dec::parse(text.as_bytes());
            let decimal = rust_decimal::Decimal::new(value, u32::from(scale));
            let parsed = Dec::parse(decimal.to_string().as_bytes()).unwrap().normalized();
            prop_assert_eq!(parsed, Dec { mantissa: value, scale }.normalized());
        }
    }
}
