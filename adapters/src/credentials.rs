//! What an account proves itself with.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use secrecy::{ExposeSecret, SecretString};

use crate::client_id::ClientIds;
use crate::clock::ClockOffset;

/// An account's key at a venue. Its parts are wiped when it is dropped and never shown.
#[derive(Clone)]
pub struct Credentials {
    /// The key's name, sent with each request.
    pub key: SecretString,
    /// The shared secret, or the private key as PEM.
    pub secret: SecretString,
    /// The passphrase, where the venue has one.
    pub passphrase: Option<SecretString>,
}

impl Credentials {
    /// Returns the credentials of a key and its secret, without a passphrase.
    #[must_use]
    pub fn new(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { key: key.into().into(), secret: secret.into().into(), passphrase: None }
    }

    /// Returns a digest of the key's name, whatever its secret, by which it is known again among those of
    /// one domain: of another domain's digests, and of the key, it says nothing.
    #[must_use]
    pub fn digest(&self, domain: u32) -> u64 {
        let mut context = Context::new(&SHA256);
        context.update(b"tercel: the key of an account\0");
        context.update(&domain.to_be_bytes());
        context.update(self.key.expose_secret().as_bytes());
        let digest = context.finish();
        digest.as_ref().iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte))
    }

    /// Returns whether both are of one key, whatever their secrets.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.key.expose_secret() == other.key.expose_secret()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// A key that cannot be used. Says nothing of the key itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither a shared secret nor a private key in PKCS#8 PEM.
    #[error("the secret is neither a plain text nor an Ed25519 or RSA key as PKCS#8 PEM")]
    Unreadable,
    /// The venue does not take this kind of key for this.
    #[error("the venue takes no {0} key here")]
    Unsupported(&'static str),
    /// The key holds bytes that no header can carry.
    #[error("the key holds characters other than letters, digits and punctuation")]
    NotPrintable,
    /// Something that the venue needs is not there.
    #[error("the venue needs a {0}, which is not given")]
    Missing(&'static str),
}

/// An account that is to be traded on.
#[derive(Clone, Debug)]
pub struct AccountSetup {
    /// What it proves itself with.
    pub credentials: Credentials,
    /// How its orders are named.
    pub ids: ClientIds,
    /// The venue's clock.
    pub clock: ClockOffset,
    /// Which way its orders go.
    pub entry: OrderEntry,
}

/// Which way orders go to a venue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OrderEntry {
    /// Over a WebSocket where the venue takes orders there: a round trip less. Over REST else.
    #[default]
    Fastest,
    /// Over REST.
    Rest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_keys_and_domains_apart_and_not_secrets() {
        let digest = |key, secret, domain| Credentials::new(key, secret).digest(domain);
        assert_eq!(digest("a", "b", 1), digest("a", "c", 1));
        assert_ne!(digest("a", "b", 1), digest("A", "b", 1));
        assert_ne!(digest("a", "b", 1), digest("a", "b", 2));
    }
}
