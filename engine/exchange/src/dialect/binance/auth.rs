//! Keys and signatures.

use aws_lc_rs::{hmac, signature};

use crate::dialect::binance::error::ApiError;
use crate::dialect::binance::params::{Params, percent_decode};
use crate::http::Request;
use crate::ids::AccountId;

/// What a key signs with.
#[derive(Clone, Debug)]
pub(super) enum Secret {
    Hmac(Box<hmac::Key>),
    /// A public key of 32 bytes.
    Ed25519(Vec<u8>),
}

/// A client's key and the accounts that it opens.
#[derive(Clone, Debug)]
pub(super) struct ApiKey {
    pub(super) key: String,
    pub(super) secret: Secret,
    pub(super) spot: AccountId,
    pub(super) usdm: AccountId,
}

impl Secret {
    pub(super) fn hmac(secret: &str) -> Self {
        Self::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    /// Returns whether a signature is this key's over a payload.
    pub(super) fn verifies(&self, payload: &[u8], signed: &str) -> bool {
        match self {
            Self::Hmac(key) => {
                hex_decode(signed).is_some_and(|tag| hmac::verify(key, payload, &tag).is_ok())
            }
            Self::Ed25519(public) => base64_decode(signed).is_some_and(|tag| {
                signature::UnparsedPublicKey::new(&signature::ED25519, public)
                    .verify(payload, &tag)
                    .is_ok()
            }),
        }
    }
}

/// Returns what a request's signature covers, query and body as sent without the signature itself,
/// and the signature.
pub(super) fn signed_payload(request: &Request) -> (Vec<u8>, Option<String>) {
    let mut signed = None;
    let mut payload = Vec::with_capacity(request.query.len() + request.body.len());
    for text in [&request.query, &request.body] {
        let mut is_first = true;
        for part in text.split('&') {
            if let Some(value) = part.strip_prefix("signature=") {
                signed = signed.or_else(|| percent_decode(&value.replace('+', "%2B")));
                continue;
            }
            if !is_first {
                payload.push(b'&');
            }
            is_first = false;
            payload.extend_from_slice(part.as_bytes());
        }
    }
    (payload, signed)
}

/// Returns what a WebSocket request's signature covers: its parameters sorted by name, as they are.
pub(super) fn sorted_payload(params: &Params) -> Vec<u8> {
    let mut parts: Vec<_> = params.iter().filter(|(name, _)| *name != "signature").collect();
    parts.sort_unstable();
    let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("&").into_bytes()
}

/// Checks a request's time against the venue's, in milliseconds.
pub(super) fn check_time(params: &Params, server_ms: i64) -> Result<(), ApiError> {
    let text = params.required("timestamp")?;
    let bad = || super::params::illegal("timestamp", "^[0-9]{1,20}$");
    let timestamp: i64 = text.parse().map_err(|_| bad())?;
    // Sixteen digits are microseconds.
    let timestamp_us = match text.len() {
        16.. => timestamp,
        _ => timestamp.checked_mul(1_000).ok_or_else(bad)?,
    };
    let window = params.fixed("recvWindow")?.unwrap_or(crate::fixed::Fixed::whole(5_000));
    if window > crate::fixed::Fixed::whole(60_000) {
        return Err(ApiError::new(
            -1131,
            "Value for parameter 'recvWindow' is not valid. Cannot be greater than 60000.",
        ));
    }
    let window_us = i64::try_from(window.units() / 100_000).unwrap_or(i64::MAX);
    let server_us = server_ms.saturating_mul(1_000);
    if timestamp_us >= server_us.saturating_add(1_000_000) {
        let msg = "Timestamp for this request was 1000ms ahead of the server's time.";
        return Err(ApiError::new(-1021, msg));
    }
    if server_us.saturating_sub(timestamp_us) > window_us {
        let msg = "Timestamp for this request is outside of the recvWindow.";
        return Err(ApiError::new(-1021, msg));
    }
    Ok(())
}

fn hex_decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|idx| u8::from_str_radix(&text[idx..idx + 2], 16).ok()).collect()
}

/// Decodes base64 with or without padding.
pub(super) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push(u8::try_from((bits >> n_bits) & 0xFF).ok()?);
            bits &= (1 << n_bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const SIGNED: &str = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";

    #[test]
    fn the_published_example_verifies_wherever_its_parts_are() {
        let first = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC";
        let rest = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let all = format!("{first}&{rest}");
        let secret = Secret::hmac(SECRET);
        let in_query = Request::new("POST", &format!("/api/v3/order?{all}&signature={SIGNED}"));
        let in_body = Request::new("POST", "/api/v3/order")
            .with_body(&format!("{all}&signature={}", SIGNED.to_uppercase()));
        for request in [in_query, in_body] {
            let (payload, signed) = signed_payload(&request);
            assert_eq!(payload, all.as_bytes());
            assert!(secret.verifies(&payload, &signed.unwrap()));
        }
        assert!(!secret.verifies(b"symbol=LTCBTC", SIGNED));
        assert!(!secret.verifies(all.as_bytes(), "zz"));
        assert!(!secret.verifies(all.as_bytes(), "é"));
    }

    #[test]
    fn query_and_body_are_signed_without_anything_between() {
        let request = Request::new("POST", "/api/v3/order?symbol=LTCBTC&side=BUY")
            .with_body("quantity=1&signature=ab");
        let (payload, signed) = signed_payload(&request);
        assert_eq!(payload, b"symbol=LTCBTC&side=BUYquantity=1");
        assert_eq!(signed.as_deref(), Some("ab"));
    }

    #[test]
    fn a_request_from_another_time_is_refused() {
        let check = |query: &str| {
            check_time(&Params::from_query(query, "").unwrap(), 1_000_000).map_err(|e| e.code)
        };
        assert_eq!(check("timestamp=1000999"), Ok(()));
        assert_eq!(check("timestamp=1001000"), Err(-1021));
        assert_eq!(check("timestamp=995000"), Ok(()));
        assert_eq!(check("timestamp=994999"), Err(-1021));
        assert_eq!(check("timestamp=994999&recvWindow=5001.5"), Ok(()));
        assert_eq!(check("timestamp=994999&recvWindow=60001"), Err(-1131));
        assert_eq!(check("timestamp=abc"), Err(-1100));
        assert_eq!(check(""), Err(-1102));
    }
}
