//! The long way round for messages that the quick scanner does not take.

use std::io::Write as _;

use simd_json::prelude::*;
use simd_json::{Buffers, Tape};

/// Rewrites JSON of any shape into the plain shape that the scanner reads: no white space, no
/// escapes, of keys that occur twice the last. One is used over and over.
pub(crate) struct Normaliser {
    copy: Vec<u8>,
    buffers: Buffers,
    /// Empty between messages; kept for its allocation.
    tape: Tape<'static>,
    plain: Vec<u8>,
}

impl Normaliser {
    pub(crate) fn new() -> Self {
        Self {
            copy: Vec::new(),
            buffers: Buffers::new(1_024),
            tape: Tape(Vec::new()),
            plain: Vec::new(),
        }
    }

    /// Returns the message in plain shape; `None` if it is not JSON.
    ///
    /// Bare numbers with a fraction or an exponent have gone through a 64-bit float, which holds
    /// 15 digits exactly; longer ones become `null`, because a wrong price is worse than none.
    pub(crate) fn plain(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        self.copy.clear();
        self.copy.extend_from_slice(bytes);
        self.plain.clear();
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let read = simd_json::fill_tape(&mut self.copy, &mut self.buffers, &mut tape);
        if read.is_ok() {
            write_value(tape.as_value(), &mut self.plain);
        }
        self.tape = tape.reset();
        read.is_ok().then_some(&self.plain)
    }
}

fn write_value(value: simd_json::tape::Value<'_, '_>, out: &mut Vec<u8>) {
    if let Some(object) = value.as_object() {
        out.push(b'{');
        let mut is_first = true;
        for (idx, (key, value)) in object.iter().enumerate() {
            if object.iter().skip(idx + 1).any(|(later, _)| later == key) {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            write_text(key, out);
            out.push(b':');
            write_value(value, out);
        }
        out.push(b'}');
    } else if let Some(array) = value.as_array() {
        out.push(b'[');
        for (idx, value) in array.iter().enumerate() {
            if idx > 0 {
                out.push(b',');
            }
            write_value(value, out);
        }
        out.push(b']');
    } else if let Some(text) = value.as_str() {
        write_text(text, out);
    } else {
        write_static(value, out);
    }
}

/// Nothing that is needed has quotes, backslashes or control characters in it.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend(text.bytes().map(|byte| match byte {
        b'"' | b'\\' | 0..=0x1f => b'?',
        other => other,
    }));
    out.push(b'"');
}

fn write_static(value: simd_json::tape::Value<'_, '_>, out: &mut Vec<u8>) {
    let start = out.len();
    // Writing to a vector does not fail.
    let _ = if let Some(value) = value.as_bool() {
        write!(out, "{value}")
    } else if let Some(value) = value.as_i64() {
        write!(out, "{value}")
    } else if let Some(value) = value.as_u64() {
        write!(out, "{value}")
    } else if let Some(value) = value.as_f64() {
        let written = write!(out, "{value:e}");
        let mantissa = out[start..].split(|byte| *byte == b'e').next().unwrap_or_default();
        if mantissa.iter().filter(|byte| byte.is_ascii_digit()).count() > 15 {
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
        written
    } else {
        write!(out, "null")
    };
}

impl std::fmt::Debug for Normaliser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Normaliser").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, plain: &str) {
        let mut normaliser = Normaliser::new();
        for _ in 0..2 {
            let got = normaliser.plain(text.as_bytes()).map(<[u8]>::to_vec);
            assert_eq!(got.map(|got| String::from_utf8(got).unwrap()).as_deref(), Some(plain));
        }
    }

    #[test]
    fn shapes_are_plain_afterwards() {
        check(r#" { "\u0061" : [ 1 , "x\ty\"" , null ] } "#, r#"{"a":[1,"x?y?",null]}"#);
        check(r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2,"a":3}"#);
        check("[1.5e-7,61837.63,-2,true]", "[1.5e-7,6.183763e4,-2,true]");
        check("[1234567890.1234567]", "[null]");
    }

    #[test]
    fn what_is_not_json_is_nothing() {
        for text in ["", "{", "{\"a\":}", "nonsense"] {
            assert!(Normaliser::new().plain(text.as_bytes()).is_none(), "{text}");
        }
    }
}
