//! Signatures of requests.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};

use crate::credentials::KeyError;

/// The hash of an HMAC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encoding {
    /// Hexadecimal in small letters.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// Signs with one key, whose schedule is computed once.
pub struct Signer(Kind);

enum Kind {
    Hmac(Box<hmac::Key>),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, SystemRandom),
}

impl Signer {
    /// Returns the signer of a secret: a private Ed25519 or RSA key if it is a PEM, else a shared
    /// secret for an HMAC with this hash.
    ///
    /// # Errors
    ///
    /// If the secret is empty, or a PEM with another kind of key.
    pub fn new(secret: &SecretString, digest: Digest) -> Result<Self, KeyError> {
        let secret = secret.expose_secret().trim();
        if secret.is_empty() {
            return Err(KeyError::Missing("secret"));
        }
        let Some(pem) = secret.strip_prefix("-----BEGIN") else {
            let algorithm = match digest {
                Digest::Sha256 => hmac::HMAC_SHA256,
                Digest::Sha512 => hmac::HMAC_SHA512,
            };
            return Ok(Self(Kind::Hmac(Box::new(hmac::Key::new(algorithm, secret.as_bytes())))));
        };
        let der = pem_body(pem).ok_or(KeyError::Unreadable)?;
        let der = der.expose_secret();
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self(Kind::Ed25519(pair)));
        }
        let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        let pair = pair.map_err(|_| KeyError::Unreadable)?;
        Ok(Self(Kind::Rsa(pair, SystemRandom::new())))
    }

    /// Returns whether it is an Ed25519 key, with which some venues open sessions.
    #[must_use]
    pub const fn is_ed25519(&self) -> bool {
        matches!(self.0, Kind::Ed25519(_))
    }

    /// Returns whether it is a shared secret rather than a private key.
    #[must_use]
    pub const fn is_hmac(&self) -> bool {
        matches!(self.0, Kind::Hmac(_))
    }

    /// Appends the signature of `payload` to `out`. With a shared secret it does not allocate
    /// where `out` has room.
    pub fn sign(&self, payload: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
        match &self.0 {
            // Cloning the context copies the two hash states that the key has led to.
            Kind::Hmac(key) => encode(hmac::sign(key, payload).as_ref(), encoding, out),
            Kind::Ed25519(pair) => encode(pair.sign(payload).as_ref(), encoding, out),
            Kind::Rsa(pair, random) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                // Fails only where the buffer's length is not the modulus's, which it is.
                if pair.sign(&RSA_PKCS1_SHA256, random, payload, &mut signature).is_ok() {
                    encode(&signature, encoding, out);
                }
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Hmac(_) => "Signer(HMAC)",
            Kind::Ed25519(_) => "Signer(Ed25519)",
            Kind::Rsa(..) => "Signer(RSA)",
        })
    }
}

fn encode(bytes: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match encoding {
        Encoding::Hex => {
            let start = out.len();
            out.resize(start + bytes.len() * 2, 0);
            for (pair, byte) in out[start..].chunks_exact_mut(2).zip(bytes) {
                pair[0] = DIGITS[usize::from(byte >> 4)];
                pair[1] = DIGITS[usize::from(byte & 15)];
            }
        }
        Encoding::Base64 => {
            let start = out.len();
            out.resize(start + bytes.len().div_ceil(3) * 4, 0);
            let written = BASE64.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
            out.truncate(start + written);
        }
    }
}

/// Returns what is between the lines of a PEM.
fn pem_body(pem: &str) -> Option<secrecy::SecretSlice<u8>> {
    let body = pem.split_once("-----\n").or_else(|| pem.split_once("-----\r\n"))?.1;
    let body = body.split("-----END").next()?;
    let text: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let text = SecretString::from(text);
    Some(BASE64.decode(text.expose_secret()).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac_of(digest: Digest, payload: &str) -> String {
        let signer = Signer::new(&"key".to_owned().into(), digest).unwrap();
        let mut out = Vec::new();
        signer.sign(payload.as_bytes(), Encoding::Hex, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shared_secrets_sign_as_published() {
        // The well-known example of both hashes.
        let text = "The quick brown fox jumps over the lazy dog";
        assert_eq!(
            hmac_of(Digest::Sha256, text),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
        assert!(hmac_of(Digest::Sha512, text).starts_with("b42af09057bac1e2d41708e48a902e09b5ff"));
    }

    #[test]
    fn private_keys_are_told_apart() {
        // Keys made for this test.
        let ed25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let signer = Signer::new(&ed25519.to_owned().into(), Digest::Sha256).unwrap();
        assert!(signer.is_ed25519());
        let mut out = Vec::new();
        signer.sign(b"", Encoding::Base64, &mut out);
        // RFC 8032, 7.1, test 1.
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="
        );
        for broken in ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "-----BEGIN"]
        {
            let refused = Signer::new(&broken.to_owned().into(), Digest::Sha256);
            assert_eq!(refused.unwrap_err(), KeyError::Unreadable);
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let signer = Signer::new(&"hunter2".to_owned().into(), Digest::Sha256).unwrap();
        assert_eq!(format!("{signer:?}"), "Signer(HMAC)");
    }
}
