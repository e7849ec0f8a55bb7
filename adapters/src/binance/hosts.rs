//! Where the venue is to be found.

use crate::venue::Environment;

/// Which of the venue's markets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Product {
    /// Spot.
    Spot,
    /// Perpetual and dated futures margined in stable coins.
    UsdMargined,
}

/// Returns whether orders at a host are real: it is one of the venue's, and not of its test network or
/// its demo accounts.
///
/// Every name under the venue's domains counts, because there are more than its documents list
/// (`api1` to `api4`, `api-gcp` and others). Its test network has domains of its own.
#[must_use]
pub fn is_production(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_venues = DOMAINS.iter().any(|domain| {
        host.strip_suffix(domain).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    });
    is_venues && !host.split('.').next().is_some_and(|first| first.starts_with("demo-"))
}

/// Domains of the venue. Those of its test network, `binance.vision` and `binancefuture.com`, have
/// besides it nothing but market data.
const DOMAINS: [&str; 2] = ["binance.com", "binance.us"];

/// Addresses of a product.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hosts {
    /// Base of REST addresses.
    pub(crate) rest: String,
    /// Base of market streams.
    pub(crate) streams: String,
    /// The WebSocket API; `None` where there is none.
    pub(crate) api: Option<String>,
    /// Base of private streams with a listen key (futures).
    pub(crate) private: String,
}

/// What a futures stream is reached under; spot has one base for all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Base {
    /// Books and best quotes.
    Public,
    /// Trades, bars, mark prices.
    Market,
}

impl Hosts {
    pub(crate) fn new(product: Product, environment: &Environment) -> Self {
        let of = |rest: &str, streams: &str, api: Option<&str>| Self {
            rest: rest.to_owned(),
            streams: streams.to_owned(),
            api: api.map(str::to_owned),
            private: streams.to_owned(),
        };
        match (product, environment) {
            (Product::Spot, Environment::Production) => of(
                "https://api.binance.com",
                "wss://stream.binance.com:9443",
                Some("wss://ws-api.binance.com:443/ws-api/v3"),
            ),
            (Product::Spot, Environment::Testnet) => of(
                "https://testnet.binance.vision",
                "wss://stream.testnet.binance.vision",
                Some("wss://ws-api.testnet.binance.vision/ws-api/v3"),
            ),
            (Product::Spot, Environment::Demo) => of(
                "https://demo-api.binance.com",
                "wss://demo-stream.binance.com:9443",
                Some("wss://demo-ws-api.binance.com/ws-api/v3"),
            ),
            (Product::UsdMargined, Environment::Production) => of(
                "https://fapi.binance.com",
                "wss://fstream.binance.com",
                Some("wss://ws-fapi.binance.com/ws-fapi/v1"),
            ),
            (Product::UsdMargined, Environment::Testnet) => of(
                "https://testnet.binancefuture.com",
                "wss://fstream.binancefuture.com",
                Some("wss://testnet.binancefuture.com/ws-fapi/v1"),
            ),
            // The venue names no WebSocket API for demo futures: orders go over REST.
            (Product::UsdMargined, Environment::Demo) => {
                of("https://demo-fapi.binance.com", "wss://fstream.binancefuture.com", None)
            }
            (_, Environment::Custom { rest, streams, private }) => {
                let trim = |base: &String| base.trim_end_matches('/').to_owned();
                let path = match product {
                    Product::Spot => "/ws-api/v3",
                    Product::UsdMargined => "/ws-fapi/v1",
                };
                // Either the whole address of the API or the base that its path belongs to.
                let private = trim(private);
                let api = match private.split_once("/ws-") {
                    Some(_) => private.clone(),
                    None => format!("{private}{path}"),
                };
                let private = private.split("/ws-").next().unwrap_or_default().to_owned();
                Self { rest: trim(rest), streams: trim(streams), api: Some(api), private }
            }
        }
    }

    /// Returns the address of combined market streams.
    pub(crate) fn market(&self, product: Product, base: Base) -> String {
        let path = match (product, base) {
            (Product::Spot, _) => "",
            (Product::UsdMargined, Base::Public) => "/public",
            (Product::UsdMargined, Base::Market) => "/market",
        };
        format!("{}{path}/stream", self.streams)
    }

    /// Returns the address of an account's private stream (futures).
    pub(crate) fn private(&self, listen_key: &str) -> String {
        format!("{}/private/ws?listenKey={listen_key}", self.private)
    }
}

impl Product {
    /// Returns the product's name as a venue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spot => "binance",
            Self::UsdMargined => "binance-usdm",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str) -> &str {
        let (_, rest) = address.split_once("://").unwrap();
        rest.split(['/', ':']).next().unwrap()
    }

    #[test]
    fn hosts_of_production_are_told_from_the_others() {
        for product in [Product::Spot, Product::UsdMargined] {
            for (environment, is_real) in [
                (Environment::Production, true),
                (Environment::Testnet, false),
                (Environment::Demo, false),
            ] {
                let hosts = Hosts::new(product, &environment);
                let addresses =
                    [Some(hosts.rest), Some(hosts.streams), hosts.api, Some(hosts.private)];
                for address in addresses.iter().flatten() {
                    assert_eq!(is_production(host(address)), is_real, "{address}");
                }
            }
        }
        for real in ["api3.binance.com", "API.Binance.COM.", "binance.com", "api.binance.us"] {
            assert!(is_production(real), "{real}");
        }
        for other in ["127.0.0.1", "localhost", "notbinance.com", "api.binance.com.example", ""] {
            assert!(!is_production(other), "{other}");
        }
    }
}
