//! Our orders' names at a venue.
//!
//! A name is `<prefix><run>-<counter>` in base 36, with `-<revision>` where a replace made a new
//! order at the venue out of one of ours. The prefix tells our orders from those of other origin on
//! the same account, and two servers on it from each other.
//!
//! Each data folder numbers its runs from 1. So that the orders of two folders with one prefix have
//! different names, the run is not written as it is: a number that the folder has drawn for itself turns
//! the circle of all run numbers. A name of another folder then reads as one of a run that never was.

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
    /// By how much the circle of run numbers is turned; below [`RUNS`].
    installation: u64,
}

/// A prefix that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("order id prefix `{0}`: give 1 to 6 lower-case letters or digits, a letter first")]
pub struct PrefixError(String);

/// Runs that there can be, numbered from 1.
const RUNS: u64 = (1 << 24) - 1;

/// Digits of base 36.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

impl ClientIds {
    /// Returns the names with this prefix, in which runs have their own numbers.
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
        Ok(Self { prefix: prefix.to_owned(), installation: 0 })
    }

    /// Returns the names with the same prefix for the orders of a data folder that has drawn this number.
    #[must_use]
    pub fn of_installation(self, number: u32) -> Self {
        Self { installation: u64::from(number) % RUNS, ..self }
    }

    /// Returns an order's name: at most 6 + 5 + 1 + 8 + 1 + 4 = 25 characters. Does not allocate.
    #[must_use]
    pub fn name(&self, key: OrderKey) -> VenueText {
        let mut text = VenueText::new();
        text.push_str(&self.prefix);
        push_base36(&mut text, turned(key.id.run(), self.installation));
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
        let run = base36(parts.next()?).filter(|run| *run <= RUNS)?;
        let run = u32::try_from(turned(run, RUNS - self.installation)).ok()?;
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

/// Returns the run number that lies so far on in the circle. Run 0, which never trades, is none of it.
const fn turned(run: u64, by: u64) -> u64 {
    if run == 0 { 0 } else { (run - 1 + by) % RUNS + 1 }
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
        let runs = [0, 1, 35, 36, (1 << 24) - 2, (1 << 24) - 1];
        let counters = [0, 1, 35, 36, 123_456_789, ClientOrderId::COUNTER_MAX];
        for installation in [0, 1, 7_654_321, (1 << 24) - 2, (1 << 24) - 1, u32::MAX] {
            let ids = ClientIds::new("t9").unwrap().of_installation(installation);
            for (run, counter) in runs.iter().flat_map(|run| counters.map(|n| (*run, n))) {
                for revision in [0, 1, 40, u16::MAX] {
                    let key = OrderKey { id: ClientOrderId::new(run, counter), revision };
                    let name = ids.name(key);
                    assert!(name.len() <= 25, "{name}");
                    assert_eq!(ids.parse(&name), Some(key), "{name}");
                }
            }
        }
    }

    /// Each data folder begins at run 1: its first order bore the name of another folder's first order on
    /// the same account, and news of the one was taken for news of the other.
    #[test]
    fn another_folders_orders_have_other_names() {
        let of = |number| ClientIds::new("tc").unwrap().of_installation(number);
        let key = OrderKey::first(ClientOrderId::new(1, 1));
        let (first, second) = (of(5), of(70_000));
        assert_eq!((of(0).name(key).as_str(), first.name(key).as_str()), ("tc1-1", "tc6-1"));
        assert_ne!(first.name(key), second.name(key));
        // What the other one reads is ours, and of no run that it had: an orphan.
        let read = second.parse(&first.name(key)).unwrap();
        assert!(read.id.run() > 1_000 && read.id.adopted_number().is_none(), "{read:?}");
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
