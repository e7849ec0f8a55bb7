//! Addresses of a custom installation: what they must be before a key is sent to them.
//!
//! Only the plainest form is taken, without a user, a query or escapes, so that what is judged here is
//! what the connections will go to.

use std::net::{IpAddr, Ipv6Addr};

use tercel_adapters::binance::is_production;

use super::exchange::ExchangeSection;
use super::sections::Mode;
use crate::exit::Outcome;
use crate::toml_file::{Step, TomlFile};

/// Checks those addresses of a section that are there.
pub(super) fn check(section: &ExchangeSection, mode: Mode, source: &TomlFile) -> Outcome<()> {
    for (key, text, plain) in [
        ("rest", &section.rest, "http"),
        ("streams", &section.streams, "ws"),
        ("private", &section.private, "ws"),
    ] {
        let Some(text) = text else { continue };
        if let Err(message) = judge(text, plain, mode) {
            return Err(source.wrong(&[Step::Key("exchange"), Step::Key(key)], &message));
        }
    }
    Ok(())
}

/// Says what is wrong with an address whose scheme is `plain`, or that with an `s`.
fn judge(text: &str, plain: &str, mode: Mode) -> Result<(), String> {
    let Some((is_secure, host)) = parts(text, plain) else {
        return Err(format!(
            "\"{text}\" is no address such as {plain}://127.0.0.1:9000 or {plain}s://host/path"
        ));
    };
    if !is_secure && !is_loopback(host) {
        return Err(format!(
            "\"{text}\" would carry the key in the clear; only this machine's loopback is reached \
             without encryption, so make it {plain}s://{}",
            &text[plain.len() + "://".len()..]
        ));
    }
    if mode == Mode::Testnet && is_production(host) {
        return Err(format!("{host} is real money; set run.mode = \"live\", or another address"));
    }
    Ok(())
}

/// Takes an address apart into whether it is encrypted, and its host.
fn parts<'a>(text: &'a str, plain: &str) -> Option<(bool, &'a str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_secure = scheme.strip_prefix(plain).and_then(|more| match more {
        "" => Some(false),
        "s" => Some(true),
        _ => None,
    })?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !path.chars().all(is_plain) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, after)
        }
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    if !port.is_empty() {
        port.strip_prefix(':')?.parse::<u16>().ok()?;
    }
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    (!host.is_empty() && host.chars().all(is_of_host)).then_some((is_secure, host))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_plain_host_is_no_address() {
        for text in [
            "",
            "box",
            "127.0.0.1:9000",
            "ftp://127.0.0.1",
            "httpss://a",
            "ws://127.0.0.1",
            "http://",
            "http:///spot",
            "https://a:b",
            "https://a:99999",
            "https://a b/",
            "https://user@api.binance.com",
            "https://api%2Ebinance.com",
            "https://a\\b",
            "https://a?x=1",
            "https://a/x#y",
            "https://[::1",
            "https://[a.b]",
            "https://ａ.com",
        ] {
            assert!(
                judge(text, "http", Mode::Paper).unwrap_err().contains("is no address"),
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_loopback_is_reached_in_the_clear() {
        for host in ["127.0.0.1:9000", "127.8.9.1/x", "[::1]:9000", "localhost"] {
            assert_eq!(judge(&format!("ws://{host}"), "ws", Mode::Live), Ok(()), "{host}");
        }
        for host in
            ["example.com", "10.0.0.1:9000", "127.0.0.1.example.com", "2130706433", "0.0.0.0"]
        {
            let refused = judge(&format!("ws://{host}"), "ws", Mode::Testnet).unwrap_err();
            assert!(refused.ends_with(&format!("make it wss://{host}")), "{refused}");
        }
    }
}
