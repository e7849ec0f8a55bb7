//! Binance: spot and USD-M futures, each with REST, streams and a WebSocket API.
//!
//! Written from the published protocol. What is as in the original: paths, parameters, filters,
//! codes and words of errors, signatures, weights and headers, names and shapes of streams, the
//! rules of sequence numbers, pings, lifetimes. What is simpler is told in the crate's guide.
//!
//! Everything is on one address. Spot is at the root (`/api/v3`, `/ws`, `/stream`, `/ws-api/v3`);
//! USD-M at `/fapi`, `/public`, `/market`, `/private`, `/ws-fapi/v1`, and with the retired paths
//! of its streams below `/fstream`.

mod auth;
mod connection;
mod desk;
mod error;
mod feeds;
mod limits;
mod params;
mod publish;
mod session;
mod spot;
mod usdm;
mod words;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::binance::auth::{ApiKey, Secret};
use crate::dialect::binance::connection::{Connection, Timing};
use crate::dialect::binance::desk::{Call, Desk, Endpoint, Security};
use crate::dialect::binance::error::ApiError;
use crate::dialect::binance::feeds::Feeds;
use crate::dialect::binance::limits::{Limiter, Limits};
use crate::dialect::binance::params::Params;
use crate::dialect::{ConnId, Dialect, Frame};
use crate::exchange::{Exchange, millis};
use crate::fixed::Fixed;
use crate::http::{Request, Response};
use crate::ids::AccountId;
use crate::reject::Reject;

/// Which of the venue's two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::dialect::binance) enum Product {
    Spot,
    Usdm,
}

/// What a client signs its requests with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// A secret shared with the client.
    Hmac(String),
    /// The client's public key: 32 bytes.
    Ed25519([u8; 32]),
}

impl Credential {
    /// Reads an Ed25519 public key in PEM, as venues take them; `None` if it is none.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = auth::base64_decode(body.trim())?;
        // What comes before the key says that it is one of this kind, always in the same bytes.
        let key = der.strip_prefix(&[48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0])?;
        key.try_into().ok().map(Self::Ed25519)
    }
}

/// The dialect: two exchanges, their clients' keys and connections.
#[derive(Debug)]
pub struct Binance {
    spot: Desk,
    usdm: Desk,
    keys: Vec<ApiKey>,
    connections: BTreeMap<ConnId, Connection>,
    timing: [Timing; 2],
    /// Connections that an address has opened in a window, and which window.
    connects: BTreeMap<String, (i64, i64)>,
    connects_max: i64,
    skew_ms: i64,
    frames: Vec<Frame>,
}

const SPOT_LIMITS: Limits = Limits {
    weight: 6_000,
    orders_10s: 100,
    orders_long: 200_000,
    long_ms: 86_400_000,
    patience: 20,
};
const USDM_LIMITS: Limits =
    Limits { weight: 2_400, orders_10s: 300, orders_long: 1_200, long_ms: 60_000, patience: 20 };

impl Binance {
    /// Puts the dialect in front of two exchanges.
    #[must_use]
    pub fn new(spot: Exchange, usdm: Exchange) -> Self {
        let (spot_feeds, usdm_feeds) =
            (Feeds::new(&spot, &[100, 1_000]), Feeds::new(&usdm, &[100, 250, 500]));
        let desk = |exchange, limits, feeds| Desk {
            exchange,
            limiter: Limiter::new(limits),
            feeds,
            listen_keys: BTreeMap::new(),
            next_listen_key: 1,
        };
        Self {
            spot: desk(spot, SPOT_LIMITS, spot_feeds),
            usdm: desk(usdm, USDM_LIMITS, usdm_feeds),
            keys: Vec::new(),
            connections: BTreeMap::new(),
            timing: [Timing::SPOT, Timing::USDM],
            connects: BTreeMap::new(),
            connects_max: 300,
            skew_ms: 0,
            frames: Vec::new(),
        }
    }

    /// Adds a client: an account on both exchanges behind one key. Returns the accounts.
    pub fn add_client(&mut self, key: &str, credential: &Credential) -> [AccountId; 2] {
        let secret = match credential {
            Credential::Hmac(secret) => Secret::hmac(secret),
            Credential::Ed25519(public) => Secret::Ed25519(public.to_vec()),
        };
        let spot = self.spot.exchange.add_account();
        let usdm = self.usdm.exchange.add_account();
        self.keys.push(ApiKey { key: key.to_owned(), secret, spot, usdm });
        [spot, usdm]
    }

    /// Gives a client money: on spot, and dollars also on USD-M.
    ///
    /// # Errors
    ///
    /// If the amount is negative and more than the client has.
    pub fn endow(
        &mut self,
        accounts: [AccountId; 2],
        asset: &str,
        amount: Fixed,
    ) -> Result<(), Reject> {
        self.spot.exchange.deposit(accounts[0], asset, amount)?;
        if matches!(asset, "USDT" | "USDC") {
            self.usdm.exchange.deposit(accounts[1], asset, amount)?;
        }
        Ok(())
    }

    /// Adds another key to the accounts of a client.
    pub fn add_key(&mut self, of: [AccountId; 2], key: &str, credential: &Credential) {
        let secret = match credential {
            Credential::Hmac(secret) => Secret::hmac(secret),
            Credential::Ed25519(public) => Secret::Ed25519(public.to_vec()),
        };
        self.keys.push(ApiKey { key: key.to_owned(), secret, spot: of[0], usdm: of[1] });
    }

    fn desk(&mut self, product: Product) -> &mut Desk {
        match product {
            Product::Spot => &mut self.spot,
            Product::Usdm => &mut self.usdm,
        }
    }

    const fn server_ms(&self, now: Nanos) -> i64 {
        millis(now) + self.skew_ms
    }

    const fn account_of(key: &ApiKey, product: Product) -> AccountId {
        match product {
            Product::Spot => key.spot,
            Product::Usdm => key.usdm,
        }
    }

    fn find_key(&self, key: Option<&str>) -> Result<usize, ApiError> {
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Err(ApiError::new(-2014, "API-key format invalid.").with_status(401));
        };
        let found = self.keys.iter().position(|known| known.key == key);
        found.ok_or_else(|| {
            let msg = "Invalid API-key, IP, or permissions for action.";
            ApiError::new(-2015, msg).with_status(401)
        })
    }

    /// Runs an endpoint for somebody who may call it.
    fn run(
        &mut self,
        now: Nanos,
        product: Product,
        endpoint: &Endpoint,
        params: &Params,
        account: AccountId,
        peer: &str,
    ) -> Result<Value, ApiError> {
        let server_ms = self.server_ms(now);
        let desk = self.desk(product);
        let n_orders = (endpoint.orders)(params);
        if n_orders > 0 {
            desk.limiter.orders(now, account, n_orders)?;
        }
        let answer = (endpoint.run)(desk, &Call { params, server_ms, account })?;
        if n_orders > 0 {
            desk.limiter.refund(peer, (endpoint.weight)(params));
        }
        Ok(answer)
    }

    fn answer_http(&mut self, now: Nanos, request: &Request) -> (Response, Option<Product>) {
        let product = if request.path.starts_with("/fapi") { Product::Usdm } else { Product::Spot };
        let name = format!("{} {}", request.method, request.path);
        let Some(endpoint) = endpoints(product).iter().find(|known| known.http == name) else {
            let body = json!({"timestamp": self.server_ms(now), "status": 404,
                              "error": "Not Found", "message": "No message available",
                              "path": request.path});
            return (Response::json(404, body.to_string()), None);
        };
        let mut account = AccountId::CROWD;
        let outcome = self.admit(now, product, endpoint, request).and_then(|(params, who)| {
            account = who;
            self.run(now, product, endpoint, &params, who, &request.peer)
        });
        let mut response = match outcome {
            Ok(value) => Response::json(200, value.to_string()),
            Err(error) => {
                let mut response = Response::json(error.status, error.body().to_string());
                if let Some(seconds) = error.retry_after {
                    response.headers.push(("Retry-After".to_owned(), seconds.to_string()));
                }
                response
            }
        };
        self.add_headers(now, product, endpoint, account, &request.peer, &mut response);
        (response, Some(product))
    }

    /// Checks weight, key, time and signature of a request.
    fn admit(
        &mut self,
        now: Nanos,
        product: Product,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<(Params, AccountId), ApiError> {
        let params = Params::from_query(&request.query, &request.body)?;
        let weight = (endpoint.weight)(&params);
        self.desk(product).limiter.request(now, &request.peer, weight)?;
        if endpoint.security == Security::Public {
            return Ok((params, AccountId::CROWD));
        }
        let key = &self.keys[self.find_key(request.header("x-mbx-apikey"))?];
        if endpoint.security == Security::Signed {
            let (payload, signed) = auth::signed_payload(request);
            let signed = signed.filter(|signed| !signed.is_empty());
            let signed = signed.ok_or_else(|| ApiError::missing("signature"))?;
            auth::check_time(&params, self.server_ms(now))?;
            if !key.secret.verifies(&payload, &signed) {
                return Err(ApiError::new(-1022, "Signature for this request is not valid."));
            }
        }
        Ok((params, Self::account_of(key, product)))
    }

    fn add_headers(
        &mut self,
        now: Nanos,
        product: Product,
        endpoint: &Endpoint,
        account: AccountId,
        peer: &str,
        response: &mut Response,
    ) {
        let desk = self.desk(product);
        let used = desk.limiter.used_weight(now, peer).to_string();
        let mut add = |name: &str, value: String| response.headers.push((name.to_owned(), value));
        if product == Product::Spot {
            add("x-mbx-used-weight", used.clone());
        }
        add("x-mbx-used-weight-1m", used);
        if endpoint.security == Security::Signed && endpoint.http.contains("rder") {
            let [short, long] = desk.limiter.used_orders(now, account);
            let long_name = if product == Product::Spot { "1d" } else { "1m" };
            add("x-mbx-order-count-10s", short.to_string());
            add(&format!("x-mbx-order-count-{long_name}"), long.to_string());
        }
    }
}

const fn endpoints(product: Product) -> &'static [Endpoint] {
    match product {
        Product::Spot => spot::ENDPOINTS,
        Product::Usdm => usdm::ENDPOINTS,
    }
}

impl Dialect for Binance {
    fn http(&mut self, now: Nanos, request: &Request) -> Response {
        self.advance(now);
        let (response, product) = self.answer_http(now, request);
        if product.is_some() {
            self.publish(now);
        }
        response
    }

    fn open(&mut self, now: Nanos, conn: ConnId, request: &Request) -> Result<(), Response> {
        self.advance(now);
        self.open_connection(now, conn, request)
    }

    fn text(&mut self, now: Nanos, conn: ConnId, text: &str) {
        self.advance(now);
        self.take_text(now, conn, text);
        self.publish(now);
    }

    fn pong(&mut self, now: Nanos, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.ponged_at = now;
        }
    }

    fn closed(&mut self, conn: ConnId) {
        self.connections.remove(&conn);
        self.spot.feeds.forget(conn);
        self.usdm.feeds.forget(conn);
    }

    fn advance(&mut self, now: Nanos) {
        self.advance_in_slots(now);
        self.tend_connections(now);
    }

    fn drain(&mut self, into: &mut Vec<Frame>) {
        into.append(&mut self.frames);
    }

    fn is_request_channel(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_some_and(Connection::is_api)
    }

    fn failure(&self, text: &str, status: u16) -> String {
        let request: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let error: Value = serde_json::from_str(&self.failure_body(status)).unwrap_or(Value::Null);
        json!({"id": request["id"], "status": status, "error": error}).to_string()
    }

    fn failure_body(&self, status: u16) -> String {
        let (code, msg) = match status {
            429 => (-1003, "Too many requests queued."),
            418 => (-1003, "Way too much request weight used; IP banned."),
            403 => (-1002, "You are not authorized to execute this request."),
            503 => (
                -1008,
                "Server is currently overloaded with other requests. Please try again in a few \
                 minutes.",
            ),
            504 | 408 => (
                -1007,
                "Timeout waiting for response from backend server. Send status unknown; execution \
                 status unknown.",
            ),
            _ => (-1000, "An unknown error occurred while processing the request."),
        };
        json!({"code": code, "msg": msg}).to_string()
    }

    fn set_clock_skew(&mut self, skew_ms: i64) {
        self.skew_ms = skew_ms;
    }

    fn say_farewell(&mut self, now: Nanos) {
        self.tell_shutdown(now);
    }

    fn skip_updates(&mut self, n: u64) {
        for desk in [&mut self.spot, &mut self.usdm] {
            desk.skip_updates(n);
        }
    }

    fn configure(&mut self, settings: &Value) -> Result<(), String> {
        self.change_settings(settings)
    }

    fn exchanges(&mut self) -> Vec<(&'static str, &mut Exchange)> {
        vec![("spot", &mut self.spot.exchange), ("usdm", &mut self.usdm.exchange)]
    }

    fn account_name(&self, exchange: &str, account: AccountId) -> Option<String> {
        let product = if exchange == "spot" { Product::Spot } else { Product::Usdm };
        let key = self.keys.iter().find(|key| Self::account_of(key, product) == account)?;
        Some(key.key.clone())
    }

    fn addresses(&self, authority: &str) -> Value {
        let at = |scheme: &str, path: &str| format!("{scheme}://{authority}{path}");
        json!({
            "binance_spot": {
                "rest": at("http", ""),
                "streams": at("ws", ""),
                "named_streams": at("ws", "/stream"),
                "ws_api": at("ws", "/ws-api/v3"),
            },
            "binance_usdm": {
                "rest": at("http", ""),
                "streams": at("ws", ""),
                "public": at("ws", "/public"),
                "market": at("ws", "/market"),
                "private": at("ws", "/private"),
                "legacy_streams": at("ws", "/fstream"),
                "ws_api": at("ws", "/ws-fapi/v1"),
            },
        })
    }

    fn connections(&self) -> Vec<(ConnId, &'static str)> {
        self.connections.iter().map(|(id, connection)| (*id, connection.purpose())).collect()
    }
}
