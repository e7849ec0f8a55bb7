//! Text read eight bytes at a time, each eight as one number, the first byte lowest.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// Returns the eight bytes at `at`.
#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Returns eight bytes less the digit zero: the values of digits, and more than nine for what is
/// none.
#[inline]
pub(crate) const fn values(word: u64) -> u64 {
    word ^ ZEROS
}

/// Returns the place of the first `byte` in a word.
#[inline]
pub(crate) const fn first(word: u64, byte: u8) -> Option<usize> {
    place(marks(word, byte))
}

/// Returns the place of the first of two bytes in a word.
#[inline]
pub(crate) const fn first_of(word: u64, one: u8, other: u8) -> Option<usize> {
    place(marks(word, one) | marks(word, other))
}

/// Returns how many bits of a word lie before the first `byte`; 64 if it is not there.
#[inline]
pub(crate) const fn bits_before(word: u64, byte: u8) -> u32 {
    marks(word, byte).trailing_zeros() & !7
}

/// Marks bytes of a value: the lowest set bit is right, those above it may lie.
#[inline]
const fn marks(word: u64, byte: u8) -> u64 {
    let zeroed = word ^ (ONES * byte as u64);
    zeroed.wrapping_sub(ONES) & !zeroed & HIGHS
}

#[inline]
const fn place(marks: u64) -> Option<usize> {
    if marks == 0 { None } else { Some(place_of(marks)) }
}

/// Returns the place of the lowest mark, 8 if there is none.
#[inline]
const fn place_of(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Returns the whole number that a text begins with, of up to fifteen digits, and what is behind
/// it. `None` if there is none or a longer one, or if the text is not of sixteen bytes.
#[inline]
pub(crate) fn whole(text: &[u8]) -> Option<(u64, &[u8])> {
    let window = text.first_chunk::<16>()?;
    let head = values(word(window, 0)?);
    let others = marks_of_others(head);
    if others != 0 {
        let n = place_of(others);
        if n == 0 {
            return None;
        }
        return Some((joined(head << (64 - 8 * n)), &text[n..]));
    }
    let others = marks_of_others(values(word(window, 8)?));
    if others == 0 {
        return None;
    }
    let n = place_of(others);
    // The last eight digits, and those before them, which are none if there are eight in all: all
    // of the word goes then, which takes two steps.
    let low = joined(values(word(window, n)?));
    let high = joined(head << 1 << (63 - 8 * n));
    Some((high * 100_000_000 + low, &text[8 + n..]))
}

/// Returns the number of the thirteen digits that a text begins with, and what is behind them, a
/// further digit included.
#[inline]
pub(crate) fn thirteen(text: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, behind) = text.split_first_chunk::<13>()?;
    let head = values(word(digits, 0)?);
    let tail = values(word(digits, 5)?);
    if marks_of_others(head) | marks_of_others(tail) != 0 {
        return None;
    }
    // The first three of the tail are the last three of the head.
    Some((joined(head) * 100_000 + joined(tail & (u64::MAX << 24)), behind))
}

/// Returns a text behind the digits that it begins with.
#[inline]
pub(crate) fn behind_digits(mut text: &[u8]) -> &[u8] {
    while let Some(word) = word(text, 0) {
        let others = marks_of_others(values(word));
        text = &text[place_of(others)..];
        if others != 0 {
            return text;
        }
    }
    while let [b'0'..=b'9', rest @ ..] = text {
        text = rest;
    }
    text
}

/// Marks bytes that are no values of digits: the lowest set bit is right, those above it may lie.
#[inline]
const fn marks_of_others(values: u64) -> u64 {
    const ABOVE_NINE: u64 = u64::from_le_bytes([0x76; 8]);
    (values.wrapping_add(ABOVE_NINE) | values) & HIGHS
}

/// Returns the number that eight digits (as values, the first one lowest) make; `None` if one of
/// them is none.
#[inline]
pub(crate) const fn digits(values: u64) -> Option<u64> {
    if marks_of_others(values) == 0 { Some(joined(values)) } else { None }
}

/// Returns the number that the values of eight digits make, the first one lowest.
#[inline]
const fn joined(values: u64) -> u64 {
    // Neighbours are put together three times: to 2, to 4, to 8 digits.
    let pairs = (values.wrapping_mul(10 * 256 + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 * 65_536 + 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 * 4_294_967_296 + 1) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whole_numbers_are_read(
            value in 0_u64..1_000_000_000_000_000, n_zeros in 0_usize..3, behind in "[^0-9]",
        ) {
            let text = format!("{}{value}", "0".repeat(n_zeros));
            let padded = format!("{text}{behind}0123456789abcdef");
            let rest = &padded.as_bytes()[text.len()..];
            let expected = (text.len() < 16).then_some((value, rest));
            prop_assert_eq!(whole(padded.as_bytes()), expected);
            prop_assert_eq!(behind_digits(padded.as_bytes()), rest);
        }

        #[test]
        fn thirteen_digits_are_read(text in "[0-9]{13}", behind in ".{0,9}", other in "[^0-9]", at in 0_usize..13) {
            let padded = format!("{text}{behind}");
            let expected = (text.parse().unwrap(), behind.as_bytes());
            prop_assert_eq!(thirteen(padded.as_bytes()), Some(expected));
            let broken = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(thirteen(broken.as_bytes()), None);
        }

        #[test]
        fn noise_is_read_quietly(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = whole(&bytes);
            let _ = thirteen(&bytes);
            let _ = behind_digits(&bytes);
        }
    }
}
