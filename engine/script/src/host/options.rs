//! What an order may ask for beyond price and quantity.

use tercel_core::{Nanos, TimeInForce};

use super::HostResult;
use crate::error::HostError;
use crate::tree::Tree;
use crate::{names, number};

/// The options of an order: words for the common ones, a table for the rest.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct OrderOptions {
    pub(crate) post_only: bool,
    pub(crate) reduce_only: bool,
    pub(crate) tif: Option<TimeInForce>,
    pub(crate) stop: Option<f64>,
    pub(crate) instrument: Option<f64>,
}

const WORDS: [&str; 5] = ["post_only", "reduce_only", "ioc", "fok", "gtc"];
const KEYS: [&str; 7] = ["post_only", "reduce_only", "ioc", "fok", "until", "stop", "instrument"];

impl OrderOptions {
    /// Reads words parted by spaces: `post_only reduce_only`. Does not allocate.
    pub(crate) fn from_words(words: &str) -> HostResult<Self> {
        let mut options = Self::default();
        for word in words.split_ascii_whitespace() {
            match word {
                "post_only" => options.post_only = true,
                "reduce_only" => options.reduce_only = true,
                "ioc" => options.tif = Some(TimeInForce::Ioc),
                "fok" => options.tif = Some(TimeInForce::Fok),
                "gtc" => options.tif = Some(TimeInForce::Gtc),
                other => {
                    return Err(HostError::wrong(names::unknown("order option", other, WORDS)));
                }
            }
        }
        Ok(options)
    }

    /// Reads words, a table, or nothing.
    pub(crate) fn from_tree(tree: &Tree) -> HostResult<Self> {
        match tree {
            Tree::Nil => Ok(Self::default()),
            Tree::Text(words) => Self::from_words(words),
            Tree::List(items) if items.is_empty() => Ok(Self::default()),
            Tree::Map(entries) => {
                let mut options = Self::default();
                for (key, value) in entries {
                    options.set(key, value)?;
                }
                Ok(options)
            }
            other => Err(HostError::wrong(format!(
                "order options are words such as \"post_only\" or a table, got {}",
                other.kind()
            ))),
        }
    }

    fn set(&mut self, key: &str, value: &Tree) -> HostResult<()> {
        match (key, value) {
            ("post_only", Tree::Bool(on)) => self.post_only = *on,
            ("reduce_only", Tree::Bool(on)) => self.reduce_only = *on,
            ("ioc", Tree::Bool(on)) => self.tif = on.then_some(TimeInForce::Ioc).or(self.tif),
            ("fok", Tree::Bool(on)) => self.tif = on.then_some(TimeInForce::Fok).or(self.tif),
            ("until", Tree::Number(time)) => self.tif = Some(TimeInForce::Gtd(time_of(*time)?)),
            ("stop", Tree::Number(price)) => self.stop = Some(*price),
            ("instrument", Tree::Number(handle)) => self.instrument = Some(*handle),
            (key, value) if KEYS.contains(&key) => {
                return Err(HostError::wrong(format!(
                    "order option {key} cannot be {}",
                    value.kind()
                )));
            }
            (unknown, _) => {
                return Err(HostError::wrong(names::unknown("order option", unknown, KEYS)));
            }
        }
        Ok(())
    }
}

/// Returns the moment that a number of milliseconds since 1970 means.
pub(super) fn time_of(millis: f64) -> HostResult<Nanos> {
    // Up to the year 2262, where nanoseconds end.
    if !(0.0..9.2e12).contains(&millis) {
        return Err(HostError::wrong(format!("{millis} is not a time in milliseconds")));
    }
    number::nearest(millis * 1e3)
        .and_then(|micros| micros.checked_mul(Nanos::MICRO))
        .map(Nanos)
        .ok_or_else(|| HostError::wrong(format!("{millis} is not a time in milliseconds")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_tables_say_the_same() {
        let words = OrderOptions::from_words("ioc reduce_only").unwrap();
        let table = Tree::Map(vec![
            ("ioc".to_owned(), Tree::Bool(true)),
            ("reduce_only".to_owned(), Tree::Bool(true)),
        ]);
        assert_eq!(OrderOptions::from_tree(&table).unwrap(), words);
        assert_eq!(OrderOptions::from_tree(&Tree::Nil).unwrap(), OrderOptions::default());
    }

    #[test]
    fn unknown_options_are_refused() {
        let error = OrderOptions::from_words("post-only").unwrap_err();
        assert!(error.message.contains("did you mean \"post_only\"?"), "{error}");
        let table = Tree::Map(vec![("stop".to_owned(), Tree::Text("5".to_owned()))]);
        let error = OrderOptions::from_tree(&table).unwrap_err();
        assert_eq!(error.message, "order option stop cannot be text");
    }
}
