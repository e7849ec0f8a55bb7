//! Floats to whole numbers, with the range check that a cast needs.

use rust_decimal::Decimal;

use crate::error::HostError;

/// Largest whole number up to which every whole number is a float.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns the value as an integer if it is whole and exactly representable.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
#[expect(clippy::float_cmp, reason = "a whole number equals itself truncated, exactly")]
pub(crate) const fn whole(value: f64) -> Option<i64> {
    // There and back rather than `trunc`, which is a call of a library on the oldest processors.
    let truncated = value as i64;
    if value.abs() <= MAX_EXACT && float(truncated) == value { Some(truncated) } else { None }
}

/// Returns the whole number nearest to the value, `None` where floats cannot tell neighbours apart.
pub(crate) fn nearest(value: f64) -> Option<i64> {
    whole(value.round())
}

/// Returns an argument that must be a whole number between two bounds.
pub(crate) fn index(value: f64, what: &str, min: u32, max: u32) -> Result<usize, HostError> {
    whole(value)
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| (min..=max).contains(n))
        .map(|n| n as usize)
        .ok_or_else(|| {
            HostError::wrong(format!(
                "{what} must be a whole number from {min} to {max}, got {value}"
            ))
        })
}

/// Returns an integer as a float, rounded to the nearest.
#[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
pub(crate) const fn float(value: i64) -> f64 {
    value as f64
}

/// Returns a 128-bit integer as a float, rounded to the nearest.
#[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
pub(crate) const fn float_wide(value: i128) -> f64 {
    value as f64
}

/// Returns the float closest to a decimal.
pub(crate) fn decimal(value: Decimal) -> f64 {
    match whole(float_wide(value.mantissa())) {
        // Both parts are exact, so the one division rounds once.
        Some(mantissa) if i128::from(mantissa) == value.mantissa() && value.scale() <= 22 => {
            float(mantissa) / 10f64.powi(i32::try_from(value.scale()).unwrap_or(28))
        }
        // Longer ones go the way of a reader: their text is a float's text.
        _ => value.to_string().parse().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_representable_numbers_are_integers() {
        assert_eq!(whole(3.0), Some(3));
        assert_eq!(whole(-2.0), Some(-2));
        for value in [0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e16] {
            assert_eq!(whole(value), None, "{value}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the closest float is what is promised")]
    fn decimals_become_the_floats_that_a_reader_would_parse() {
        for text in ["0", "-0.00075", "0.1", "12345678901234567890.123456789", "1e-28"] {
            let value = Decimal::from_scientific(text).or_else(|_| text.parse()).unwrap();
            assert_eq!(decimal(value), text.parse::<f64>().unwrap(), "{text}");
        }
    }

    #[test]
    fn an_index_out_of_range_says_what_it_must_be() {
        let error = index(0.0, "level", 1, 50).unwrap_err();
        assert_eq!(error.message, "level must be a whole number from 1 to 50, got 0");
    }
}
