//! Between a venue's decimal texts and counts of ticks or lots: exact, without floats.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::digits::{bits_before, digits, first_of, values, word};

/// The steps of an instrument's prices or quantities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    /// The step is `mantissa` times ten to the minus `scale`, with no zero at the mantissa's end.
    mantissa: u64,
    scale: u32,
    /// The step in units of 1e-8; zero where it is no whole number of them.
    eighths: u64,
    /// One more than 2^64 divided by `eighths`, rounded down: division by multiplication.
    inverse: u64,
    /// Of a step that is a power of ten, the bits of a word that its decimals leave for whole
    /// digits, a digit a byte, but no more than seven; zero for other steps.
    whole_bits: u32,
    /// The bits that they take.
    part_bits: u32,
    /// How far up they go to be the last of a word, zero if there are none.
    part_shift: u32,
    /// The bits of a word of decimals that are finer than such a step.
    beyond: u64,
}

/// Eight bytes with a point among them, eight decimals behind it, and a quote.
const WIDE: usize = 18;

/// Decimals that the quick way reads.
const QUICK_DECIMALS: u32 = 8;
/// Ten to the [`QUICK_DECIMALS`].
const QUICK_ONE: u64 = 100_000_000;

impl Grid {
    /// Returns the grid of a step; `None` if it is not positive or has more than 18 digits.
    #[must_use]
    pub fn new(step: Decimal) -> Option<Self> {
        let step = step.normalize();
        let mantissa = u64::try_from(step.mantissa()).ok().filter(|digits| *digits > 0)?;
        let scale = step.scale();
        if mantissa > 10_u64.pow(18) {
            return None;
        }
        let eighths = QUICK_DECIMALS
            .checked_sub(scale)
            .and_then(|missing| mantissa.checked_mul(10_u64.pow(missing)))
            // Beyond, the quotient of a quick number would not be exact.
            .filter(|eighths| *eighths < 1 << 40)
            .unwrap_or(0);
        let inverse = if eighths > 1 { u64::MAX / eighths + 1 } else { 0 };
        let (whole_bits, part_bits) =
            if mantissa == 1 && scale < 8 { ((64 - 8 * scale).min(56), 8 * scale) } else { (0, 0) };
        let part_shift = (64 - part_bits) % 64;
        let beyond = u64::MAX << part_bits;
        Some(Self { mantissa, scale, eighths, inverse, whole_bits, part_bits, part_shift, beyond })
    }

    /// Returns the steps of the number that a text begins with, whose opening quote was taken, and
    /// what is behind its closing one. `None` if it is not on the grid or not of the plain kind: up
    /// to eight digits, and a point and up to eight more or nothing. Then [`steps`](Self::steps) has
    /// the answer.
    #[expect(clippy::inline_always, reason = "a call costs a fifth of what there is to do")]
    #[inline(always)]
    pub(crate) fn quick<'a>(&self, text: &'a [u8]) -> Option<(i64, &'a [u8])> {
        // As long as the longest plain number with its quote, so that the text's end is looked for
        // once.
        if let Some(window) = text.first_chunk::<WIDE>()
            && let Some((steps, n)) = self.joint(window)
        {
            return Some((steps, &text[n..]));
        }
        self.quick_rest(text)
    }

    /// The same for numbers at a text's end, or of more digits than one word has, or on other grids.
    #[inline(never)]
    fn quick_rest<'a>(&self, text: &'a [u8]) -> Option<(i64, &'a [u8])> {
        let mut window = [0; WIDE];
        let n = text.len().min(WIDE);
        window[..n].copy_from_slice(&text[..n]);
        let (steps, n) = self.joint(&window).or_else(|| self.apart(&window))?;
        Some((steps, text.get(n..)?))
    }

    /// Returns the steps of a number on a grid of a power of ten that has up to seven digits, a
    /// point, and decimals; and how many bytes it takes with its closing quote. `None` if together
    /// with the grid's decimals it has more than eight digits.
    ///
    /// Whole digits and decimals are put together as texts and read as one number, so nothing has
    /// to be divided.
    #[expect(clippy::inline_always, reason = "a call costs a fifth of what there is to do")]
    #[inline(always)]
    fn joint(&self, text: &[u8; WIDE]) -> Option<(i64, usize)> {
        let head = word(text, 0)?;
        let n_bits = bits_before(head, b'.');
        if n_bits == 0 || n_bits > self.whole_bits {
            return None;
        }
        let whole = values(head) << (64 - n_bits);
        let tail_at = n_bits as usize / 8 + 1;
        let tail = word(text, tail_at)?;
        // Many venues always write eight decimals, so it is first seen whether they have.
        let (part, n) = if text[tail_at + 8] == b'"' && values(tail) & self.beyond == 0 {
            (values(tail), 8)
        } else {
            decimals(tail, text[tail_at + 8]).filter(|(part, _)| part & self.beyond == 0)?
        };
        let steps = digits(whole >> self.part_bits | part << self.part_shift)?;
        Some((steps.cast_signed(), tail_at + n + 1))
    }

    /// The same for numbers and grids of any kind: digits before and behind the point are numbers of
    /// their own.
    fn apart(&self, text: &[u8; WIDE]) -> Option<(i64, usize)> {
        let head = word(text, 0)?;
        let n_whole = first_of(head, b'.', b'"').unwrap_or(8);
        if n_whole == 0 {
            return None;
        }
        let whole = digits(values(head) << (64 - 8 * n_whole))? * QUICK_ONE;
        match text[n_whole] {
            b'"' => Some((self.divide(whole)?, n_whole + 1)),
            b'.' => {
                let (part, n_part) = decimals(word(text, n_whole + 1)?, text[n_whole + 9])?;
                Some((self.divide(whole + digits(part)?)?, n_whole + n_part + 2))
            }
            _ => None,
        }
    }

    /// Returns how many steps `units` of 1e-8 are.
    #[inline]
    fn divide(&self, units: u64) -> Option<i64> {
        let steps = match self.eighths {
            0 => return None,
            1 => units,
            // The product errs by less than one step, upwards, and only between steps: for a
            // number on the grid it is exact, and for others the check below fails.
            _ => u64::try_from((u128::from(units) * u128::from(self.inverse)) >> 64).ok()?,
        };
        (steps.wrapping_mul(self.eighths) == units).then(|| steps.cast_signed())
    }

    /// Returns the steps of a number in any form that JSON allows, exponents included; `None` if
    /// it is no number, not on the grid, or out of range.
    #[must_use]
    pub fn steps(&self, text: &[u8]) -> Option<i64> {
        let number = Number::parse(text)?;
        if number.digits == 0 {
            return Some(0);
        }
        let shift = number.exponent.checked_add(i32::try_from(self.scale).ok()?)?;
        let scaled = shifted(number.digits, shift)?;
        let mantissa = u128::from(self.mantissa);
        if !scaled.is_multiple_of(mantissa) {
            return None;
        }
        number.signed(scaled / mantissa)
    }

    /// Returns the steps nearest to a number that need not lie on the grid, halves away from
    /// zero; `None` if it is no number or out of range.
    #[must_use]
    pub fn nearest(&self, text: &[u8]) -> Option<i64> {
        let number = Number::parse(text)?;
        let (amount, step) = self.amount(&number)?;
        number.signed(amount.checked_add(step / 2)? / step)
    }

    /// Returns a number and the step in one unit.
    fn amount(&self, number: &Number) -> Option<(u128, u128)> {
        let shift = number.exponent.checked_add(i32::try_from(self.scale).ok()?)?;
        let mantissa = u128::from(self.mantissa);
        if shift >= 0 {
            return Some((shifted(number.digits, shift)?, mantissa));
        }
        let power = 10_u128.checked_pow(shift.unsigned_abs());
        match power.and_then(|power| power.checked_mul(mantissa)) {
            Some(step) => Some((number.digits, step)),
            // Finer than anything that could reach half a step.
            None => Some((0, mantissa)),
        }
    }

    /// Returns the steps of a number that need not lie on the grid, rounded towards zero; `None` if
    /// it is no number or out of range.
    #[must_use]
    pub fn floor(&self, text: &[u8]) -> Option<i64> {
        let number = Number::parse(text)?;
        let (amount, step) = self.amount(&number)?;
        number.signed(amount / step)
    }

    /// Returns the value of so many steps.
    #[must_use]
    pub fn decimal(&self, steps: i64) -> Decimal {
        let units = i128::from(steps) * i128::from(self.mantissa);
        Decimal::try_from_i128_with_scale(units, self.scale).unwrap_or_default().normalize()
    }
}

/// A number's digits and the power of ten that they are counted in, with no zeros at the end.
struct Number {
    negative: bool,
    digits: u128,
    exponent: i32,
}

impl Number {
    fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let mut digits: u128 = 0;
        let mut exponent: i32 = 0;
        // Zeros are held back, so that those at the end neither overflow nor count.
        let mut n_zeros: u32 = 0;
        let mut n_digits = 0;
        let mut point = false;
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'0'..=b'9' => {
                    n_digits += 1;
                    if byte == b'0' {
                        n_zeros += 1;
                    } else {
                        if digits > 0 {
                            digits = digits.checked_mul(10_u128.checked_pow(n_zeros)?)?;
                        }
                        digits = digits.checked_mul(10)?.checked_add(u128::from(byte - b'0'))?;
                        n_zeros = 0;
                    }
                    exponent -= i32::from(point);
                }
                b'.' if !point && n_digits > 0 => point = true,
                b'e' | b'E' if n_digits > 0 => {
                    exponent = exponent.checked_add(power(&text[at + 1..])?)?;
                    break;
                }
                _ => return None,
            }
            at += 1;
        }
        if n_digits == 0 || text.get(at.wrapping_sub(1)) == Some(&b'.') {
            return None;
        }
        exponent = exponent.checked_add(i32::try_from(n_zeros).ok()?)?;
        Some(Self { negative, digits, exponent })
    }

    fn signed(&self, steps: u128) -> Option<i64> {
        let steps = steps.to_i64()?;
        Some(if self.negative { -steps } else { steps })
    }
}

/// Returns the values of up to eight decimals that a quote ends, and how many there are; `next` is
/// the byte behind the word. `None` if there are none or more.
#[inline]
fn decimals(word: u64, next: u8) -> Option<(u64, usize)> {
    match bits_before(word, b'"') {
        0 => None,
        64 => (next == b'"').then_some((values(word), 8)),
        n_bits => Some((values(word) & !(u64::MAX << n_bits), n_bits as usize / 8)),
    }
}

/// Reads what follows the `e`.
fn power(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i32 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i32::from(byte - b'0'))?;
    }
    Some(if negative { -value } else { value })
}

/// Returns `digits` times ten to the `by`, if that is a whole number in range.
fn shifted(digits: u128, by: i32) -> Option<u128> {
    let factor = 10_u128.checked_pow(by.unsigned_abs());
    if by >= 0 {
        if digits == 0 { Some(0) } else { digits.checked_mul(factor?) }
    } else {
        let factor = factor?;
        digits.is_multiple_of(factor).then(|| digits / factor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(step: &str) -> Grid {
        Grid::new(step.parse().unwrap()).unwrap()
    }

    fn quick(step: &str, text: &str) -> Option<i64> {
        let padded = format!("\"{text}\",\"0.00000000\"]]}}");
        let (steps, rest) = grid(step).quick(&padded.as_bytes()[1..])?;
        assert_eq!(rest, &padded.as_bytes()[text.len() + 2..]);
        Some(steps)
    }

    #[test]
    fn plain_numbers_are_read_quickly() {
        assert_eq!(quick("0.01", "61837.63000000"), Some(6_183_763));
        assert_eq!(quick("0.1", "61659.70"), Some(616_597));
        assert_eq!(quick("1", "672.00000000"), Some(672));
        assert_eq!(quick("1", "672"), Some(672));
        assert_eq!(quick("0.00000001", "99999999.99999999"), Some(9_999_999_999_999_999));
        assert_eq!(quick("5", "12345670"), Some(2_469_134));
        assert_eq!(quick("0.05", "0.00"), Some(0));
        assert_eq!(quick("0.05", "0.15"), Some(3));
    }

    #[test]
    fn what_is_off_the_grid_is_nothing() {
        for (step, text) in
            [("0.01", "1.001"), ("0.05", "0.16"), ("5", "7"), ("1", "0.5"), ("1", "5.")]
        {
            assert_eq!(quick(step, text), None, "{text}");
            assert_eq!(grid(step).steps(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_form_of_a_number_is_read() {
        let grid = grid("0.01");
        for (text, steps) in [
            ("1e2", 10_000),
            ("1E+2", 10_000),
            ("12.5e-1", 125),
            ("-0.01", -1),
            ("0E-10", 0),
            ("0.010000000000000000000000000000000000000000000", 1),
            ("92233720368547758.07", i64::MAX),
            ("1000e-5", 1),
            ("0e999999999", 0),
        ] {
            assert_eq!(grid.steps(text.as_bytes()), Some(steps), "{text}");
        }
        for text in ["", "-", ".5", "1.", "1e", "1e+", "abc", "1.2.3", "1e99", "0x1", "1 "] {
            assert_eq!(grid.steps(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_nearest_step_is_found() {
        let grid = grid("0.1");
        for (text, steps) in
            [("11794.15", 117_942), ("11794.14999999", 117_941), ("-0.05", -1), ("1e-80", 0)]
        {
            assert_eq!(grid.nearest(text.as_bytes()), Some(steps), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            mantissa in 1_u32..2_000, scale in 0_u32..10, steps in -1_000_000_000_i64..1_000_000_000
        ) {
            let grid = Grid::new(Decimal::new(i64::from(mantissa), scale)).unwrap();
            let text = grid.decimal(steps).to_string();
            prop_assert_eq!(grid.steps(text.as_bytes()), Some(steps));
        }

        #[test]
        fn both_ways_agree(
            mantissa in prop_oneof![Just(1_i64), Just(5), Just(25), 1_i64..1_000_000],
            scale in 0_u32..9,
            whole in 0_u32..100_000_000, part in "[0-9]{1,8}",
        ) {
            let grid = Grid::new(Decimal::new(mantissa, scale)).unwrap();
            let text = format!("{whole}.{part}");
            let padded = format!("{text}\",\"0.00000000\"]]}}");
            let quick = grid.quick(padded.as_bytes()).map(|(steps, _)| steps);
            prop_assert_eq!(quick, grid.steps(text.as_bytes()));
            let exact = text.parse::<Decimal>().unwrap() / grid.decimal(1);
            let expected = exact.fract().is_zero().then(|| exact.to_i64().unwrap());
            prop_assert_eq!(quick, expected);
        }

        #[test]
        fn quick_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = grid("0.01").quick(&bytes);
            let _ = grid("0.01").steps(&bytes);
            let _ = grid("0.01").nearest(&bytes);
        }
    }
}
