//! Percent-encoding of query values, as it has to be done before signing.

/// Appends a value with everything but letters, digits and `-_.~` encoded. Does not allocate where
/// `out` has room.
pub(crate) fn push(value: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            _ => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
            }
        }
    }
}

/// Returns a value encoded.
pub(crate) fn encoded(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    push(value.as_bytes(), &mut out);
    // Only ASCII was written.
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_characters_stay_and_others_are_encoded() {
        assert_eq!(encoded("BTCUSDT-1_a.b~"), "BTCUSDT-1_a.b~");
        assert_eq!(encoded("１ [\"/+="), "%EF%BC%91%20%5B%22%2F%2B%3D");
    }
}
