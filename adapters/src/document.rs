//! JSON as a tree, for what does not come by the thousand a second.

use rust_decimal::Decimal;
use simd_json::prelude::*;
use simd_json::{Buffers, Tape};

use crate::protocol::{DecodeError, VenueText};

/// A value in a [`Document`].
pub(crate) type Value<'t, 'i> = simd_json::tape::Value<'t, 'i>;

/// Reads JSON into a tree that lives for one call. One is used over and over, so that nothing is
/// allocated once it has grown.
pub(crate) struct Document {
    copy: Vec<u8>,
    buffers: Buffers,
    /// Empty between calls; kept for its allocation.
    tape: Tape<'static>,
}

impl Document {
    pub(crate) fn new() -> Self {
        Self { copy: Vec::new(), buffers: Buffers::new(1_024), tape: Tape(Vec::new()) }
    }

    /// Reads `bytes` and hands the tree to `look`.
    pub(crate) fn read<T>(
        &mut self,
        bytes: &[u8],
        look: impl FnOnce(Value<'_, '_>) -> T,
    ) -> Result<T, DecodeError> {
        self.copy.clear();
        self.copy.extend_from_slice(bytes);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let read = simd_json::fill_tape(&mut self.copy, &mut self.buffers, &mut tape);
        let answer = match read {
            Ok(()) => Ok(look(tape.as_value())),
            Err(_) => Err(DecodeError::Syntax { at: 0, what: "JSON" }),
        };
        self.tape = tape.reset();
        answer
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

/// Reading fields of a value; what is missing or `null` or of another kind is `None`.
pub(crate) trait Fields<'t, 'i: 't> {
    fn field(&self, name: &str) -> Option<Value<'t, 'i>>;

    /// Returns a field's text.
    fn text(&self, name: &str) -> Option<&'i str> {
        self.field(name)?.into_string()
    }

    /// Returns a field's text, or its number as text; empty if it is neither.
    fn short(&self, name: &str) -> VenueText {
        self.field(name).map_or_else(VenueText::new, short)
    }

    /// Returns a field's decimal number, written as a text or as a number.
    fn decimal(&self, name: &str) -> Option<Decimal> {
        self.field(name).and_then(decimal)
    }

    /// Returns a field's whole number, written as a text or as a number.
    fn integer(&self, name: &str) -> Option<i64> {
        let value = self.field(name)?;
        value.as_i64().or_else(|| value.into_string()?.parse().ok())
    }

    /// Returns a field's truth value, written as a text or bare.
    fn truth(&self, name: &str) -> Option<bool> {
        let value = self.field(name)?;
        value.as_bool().or_else(|| match value.into_string()? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// Returns a field's elements; none if it is not an array.
    fn items(&self, name: &str) -> Vec<Value<'t, 'i>> {
        self.field(name).map_or_else(Vec::new, items)
    }
}

impl<'t, 'i: 't> Fields<'t, 'i> for Value<'t, 'i> {
    fn field(&self, name: &str) -> Option<Self> {
        self.as_object()?.get(name)
    }
}

/// Returns an array's elements; none if it is not one.
pub(crate) fn items<'t, 'i>(value: Value<'t, 'i>) -> Vec<Value<'t, 'i>> {
    value.as_array().map_or_else(Vec::new, |array| array.iter().collect())
}

/// Returns a text or a number as a text; empty if it is neither or too long.
pub(crate) fn short(value: Value<'_, '_>) -> VenueText {
    use std::fmt::Write as _;
    let mut text = VenueText::new();
    let written = if let Some(own) = value.into_string() {
        write!(text, "{own}")
    } else if let Some(own) = value.as_i64() {
        write!(text, "{own}")
    } else if let Some(own) = value.as_u64() {
        write!(text, "{own}")
    } else if let Some(own) = value.as_f64() {
        write!(text, "{own}")
    } else {
        Ok(())
    };
    if written.is_err() {
        text.clear();
    }
    text
}

/// Returns a decimal number, written as a text or as a number, exponents included. A bare number
/// with a fraction has gone through a 64-bit float, which holds 15 digits exactly.
pub(crate) fn decimal(value: Value<'_, '_>) -> Option<Decimal> {
    let text = short(value);
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_any_writing() {
        let mut document = Document::new();
        let text =
            br#"{"a":"0.10","b":2.5,"c":"7","d":7,"e":"true","f":null,"g":[1,2],"h":"1e-3"}"#;
        for _ in 0..2 {
            document
                .read(text, |value| {
                    assert_eq!(value.decimal("a"), Some("0.10".parse().unwrap()));
                    assert_eq!(value.decimal("b"), Some("2.5".parse().unwrap()));
                    assert_eq!(value.decimal("h"), Some("0.001".parse().unwrap()));
                    assert_eq!((value.integer("c"), value.integer("d")), (Some(7), Some(7)));
                    assert_eq!((value.truth("e"), value.truth("f")), (Some(true), None));
                    assert_eq!(value.items("g").len(), 2);
                    assert_eq!(value.short("d").as_str(), "7");
                })
                .unwrap();
        }
        assert!(document.read(b"{", |_| ()).is_err());
    }
}
