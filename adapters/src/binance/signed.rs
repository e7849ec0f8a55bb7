//! Requests with a time and a signature: over REST, and in frames of the WebSocket API.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use tercel_core::Nanos;

use super::operation::{Operation, Security};
use super::params::{Params, push_string};
use crate::clock::ClockOffset;
use crate::credentials::{Credentials, KeyError};
use crate::protocol::{Call, CallId, Priority};
use crate::sign::{Digest, Encoding, Signer};

/// How long after it was made an order may still be sent: half of the venue's receive window.
const ORDER_FRESH_NS: i64 = 2_500 * Nanos::MILLI;
/// The same for what can wait; longer than the receive window makes no sense for a signature.
const SIGNED_FRESH_NS: i64 = 4 * Nanos::SECOND;
/// The same for what bears no signature.
const PUBLIC_FRESH_NS: i64 = 5 * Nanos::MINUTE;

/// Puts requests of one account into words.
pub struct Signed {
    rest: String,
    key: SecretString,
    signer: Signer,
    clock: ClockOffset,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// Returns the words of an account.
    ///
    /// # Errors
    ///
    /// If its key cannot be used.
    pub fn new(
        rest: &str,
        credentials: &Credentials,
        clock: &ClockOffset,
    ) -> Result<Self, KeyError> {
        let key = credentials.key.expose_secret();
        if key.is_empty() {
            return Err(KeyError::Missing("key"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::NotPrintable);
        }
        Ok(Self {
            rest: rest.to_owned(),
            key: credentials.key.clone(),
            signer: Signer::new(&credentials.secret, Digest::Sha256)?,
            clock: clock.clone(),
            payload: Vec::new(),
            signature: Vec::new(),
        })
    }

    /// Returns whether the key can open sessions, in which requests need no signature.
    #[must_use]
    pub const fn opens_sessions(&self) -> bool {
        self.signer.is_ed25519()
    }

    fn timestamp(&self, now: Nanos) -> i64 {
        self.clock.venue_time(now).0.div_euclid(Nanos::MILLI)
    }

    const fn encoding(&self) -> Encoding {
        if self.signer.is_hmac() { Encoding::Hex } else { Encoding::Base64 }
    }

    /// Returns a request over REST. All parameters stand in the query, whatever the method.
    pub fn call(
        &mut self,
        operation: &Operation,
        params: &mut Params,
        id: CallId,
        now: Nanos,
    ) -> Call {
        let fresh_ns = match (operation.security, operation.cost.priority) {
            (Security::Signed, Priority::Order) => ORDER_FRESH_NS,
            (Security::Signed, _) => SIGNED_FRESH_NS,
            (Security::Public | Security::Key, _) => PUBLIC_FRESH_NS,
        };
        if operation.security == Security::Signed {
            params.number("timestamp", self.timestamp(now));
        }
        self.payload.clear();
        params.push_query(&mut self.payload);
        let mut url = String::with_capacity(256);
        url.push_str(&self.rest);
        url.push_str(operation.path);
        if !self.payload.is_empty() {
            url.push('?');
            // Percent-encoded, so it is ASCII.
            url.push_str(&String::from_utf8_lossy(&self.payload));
        }
        if operation.security == Security::Signed {
            self.signature.clear();
            self.signer.sign(&self.payload, self.encoding(), &mut self.signature);
            url.push_str("&signature=");
            url.push_str(&crate::percent::encoded(&String::from_utf8_lossy(&self.signature)));
        }
        let headers = match operation.security {
            Security::Public => Vec::new(),
            Security::Key | Security::Signed => {
                vec![("X-MBX-APIKEY", self.key.expose_secret().to_owned())]
            }
        };
        Call {
            id,
            method: operation.method,
            url,
            headers,
            body: Vec::new(),
            cost: operation.cost,
            expires_at: now.plus(fresh_ns),
        }
    }

    /// Appends a frame of the WebSocket API: signed by itself, or, in a session, only with its
    /// time. `id` is written as it is, so a text has to bring its quotes.
    pub fn push_frame(
        &mut self,
        id: &str,
        method: &str,
        params: &mut Params,
        proof: Proof,
        now: Nanos,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b"{\"id\":");
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b",\"method\":\"");
        out.extend_from_slice(method.as_bytes());
        out.extend_from_slice(b"\",\"params\":{");
        match proof {
            Proof::None => {}
            Proof::Key => {
                params.text("apiKey", self.key.expose_secret());
            }
            Proof::Session => {
                params.number("timestamp", self.timestamp(now));
            }
            Proof::Signature => {
                params.text("apiKey", self.key.expose_secret());
                params.number("timestamp", self.timestamp(now));
                params.sort();
                self.payload.clear();
                params.push_raw(&mut self.payload);
                self.signature.clear();
                self.signer.sign(&self.payload, self.encoding(), &mut self.signature);
            }
        }
        params.push_json(out);
        if proof == Proof::Signature {
            out.extend_from_slice(b",\"signature\":");
            push_string(&self.signature, out);
        }
        out.extend_from_slice(b"}}");
    }
}

/// What a frame of the WebSocket API proves itself with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Proof {
    /// Nothing.
    None,
    /// The key's name.
    Key,
    /// The session that was logged on to.
    Session,
    /// A signature of its own.
    Signature,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        // The payload of a frame holds the key's name, and both are of use to nobody else.
        use zeroize::Zeroize as _;
        self.payload.zeroize();
        self.signature.zeroize();
    }
}
