//! Our orders' names at a venue.
//!
//! A name is `<prefix><run>-<counter>` in base 36, with `-<revision>` where a replace made a new
//! order at the venue out of one of ours. The prefix tells our orders from those of other origin on
//! the same account, and two installations from each other.

use std::fmt::Write as _;

use tercel_core::ClientOrderId;

use crate::protocol::VenueText;

/// An order at a venue: ours, in its nth form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OrderKey {
    /// Our order.
    pub id: ClientOrderId,
    /// How many orders at the venue came before it for the same order of ours.
    pub revision: u16,
}

impl OrderKey {
    /// Returns the first form of an order.
    #[must_use]
    pub const fn first(id: ClientOrderId) -> Self {
        Self { id, revision: 0 }
    }

    /// Returns the form after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { id: self.id, revision: self.revision + 1 }
    }
}

/// How orders are named at a venue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientIds {
    prefix: String,
}

/// A prefix that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("order id prefix `{0}`: give 1 to 6 lower-case letters or digits, a letter first")]
pub struct PrefixError(String);

/// Digits of base 36.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

impl ClientIds {
    /// Returns the names with this prefix.
    ///
    /// # Errors
    ///
    /// If the prefix is not 1 to 6 lower-case letters or digits beginning with a letter.
    pub fn new(prefix: &str) -> Result<Self, PrefixError> {
        let is_fine = (1..=6).contains(&prefix.len())
            && prefix.starts_with(|c: char| c.is_ascii_lowercase())
            && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !is_fine {
            return Err(PrefixError(prefix.to_owned()));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    /// Returns an order's name: at most 6 + 5 + 1 + 8 + 1 + 4 = 25 characters. Does not allocate.
    #[must_use]
    pub fn name(&self, key: OrderKey) -> VenueText {
        let mut text = VenueText::new();
        text.push_str(&self.prefix);
        push_base36(&mut text, key.id.run());
        text.push('-');
        push_base36(&mut text, key.id.counter());
        if key.revision > 0 {
            text.push('-');
            push_base36(&mut text, u64::from(key.revision));
        }
        text
    }

    /// Returns the order that a name stands for; `None` if it is not one of ours.
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<OrderKey> {
        let rest = name.strip_prefix(self.prefix.as_str())?;
        let mut parts = rest.split('-');
        let run = u32::try_from(base36(parts.next()?)?).ok().filter(|run| *run < 1 << 24)?;
        let counter = base36(parts.next()?).filter(|n| *n <= ClientOrderId::COUNTER_MAX)?;
        let revision = match parts.next() {
            Some(text) => u16::try_from(base36(text)?).ok().filter(|n| *n > 0)?,
            None => 0,
        };
        if parts.next().is_some() {
            return None;
        }
        Some(OrderKey { id: ClientOrderId::new(run, counter), revision })
    }
}

fn push_base36(text: &mut VenueText, mut value: u64) {
    let mut digits = [0_u8; 13];
    let mut at = digits.len();
    loop {
        at -= 1;
        // Below 36, so it fits.
        digits[at] = DIGITS[usize::try_from(value % 36).unwrap_or_default()];
        value /= 36;
        if value == 0 {
            break;
        }
    }
    for &digit in &digits[at..] {
        let _ = text.write_char(char::from(digit));
    }
}

/// Only the form that is written: no leading zeros, no capitals, so one order has one name.
fn base36(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty()
        && (text == "0" || !text.starts_with('0'))
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if is_plain { u64::from_str_radix(text, 36).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_order() {
        let ids = ClientIds::new("t9").unwrap();
        for run in [0, 1, 35, 36, (1 << 24) - 1] {
            for counter in [0, 1, 35, 36, 123_456_789, ClientOrderId::COUNTER_MAX] {
                for revision in [0, 1, 40, u16::MAX] {
                    let key = OrderKey { id: ClientOrderId::new(run, counter), revision };
                    let name = ids.name(key);
                    assert!(name.len() <= 25, "{name}");
                    assert_eq!(ids.parse(&name), Some(key), "{name}");
                }
            }
        }
    }

    #[test]
    fn names_of_other_origin_are_not_ours() {
        let ids = ClientIds::new("tc").unwrap();
        for name in
            ["", "tc", "tc1", "tc-1", "tc1-", "tc01-1", "tc1-A", "x1-1", "tc1-1-0", "tc1-1-1-1"]
        {
            assert_eq!(ids.parse(name), None, "{name}");
        }
        assert_eq!(ids.parse(&"z".repeat(40)), None);
    }

    #[test]
    fn only_short_plain_prefixes_are_taken() {
        for prefix in ["", "1a", "Tc", "abcdefg", "a-b"] {
            assert!(ClientIds::new(prefix).is_err(), "{prefix}");
        }
    }
}
