//! A client of a venue in the same process.

use aws_lc_rs::hmac;
use serde_json::Value;
use tercel_core::Nanos;
use tercel_exchange::dialect::binance::Credential;
use tercel_exchange::dialect::{ConnId, Frame, Payload};
use tercel_exchange::http::{Request, Response};
use tercel_exchange::{Answer, Fixed, Markets, Setup, Site};

/// A venue and a clock.
pub(crate) struct Rig {
    pub(crate) site: Site,
    pub(crate) now: Nanos,
    pub(crate) frames: Vec<Frame>,
}

/// When the tests take place: a full minute of 2026.
const START: Nanos = Nanos(1_780_000_020 * Nanos::SECOND);

pub(crate) fn sign(payload: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"demo");
    let tag = hmac::sign(&key, payload.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Rig {
    /// A venue without a crowd: nothing happens but what the test does.
    pub(crate) fn still() -> Self {
        let mut setup = Setup::new(START, 7);
        setup.markets = Markets::Still;
        Self::of(setup)
    }

    /// A venue with seeded markets.
    pub(crate) fn seeded() -> Self {
        Self::of(Setup::new(START, 7))
    }

    /// A still venue with another key of the same client.
    pub(crate) fn with_key(key: &str, credential: Credential) -> Self {
        let mut setup = Setup::new(START, 7);
        setup.markets = Markets::Still;
        setup.more_keys.push((key.to_owned(), credential));
        Self::of(setup)
    }

    fn of(mut setup: Setup) -> Self {
        setup.symbols = vec!["BTCUSDT".to_owned(), "ETHUSDT".to_owned()];
        setup.balances =
            vec![("USDT".to_owned(), Fixed::whole(100_000)), ("BTC".to_owned(), Fixed::whole(10))];
        Self { site: setup.binance().unwrap(), now: START, frames: Vec::new() }
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        self.now = self.now.plus(ms * Nanos::MILLI);
        self.site.advance(self.now);
    }

    pub(crate) fn ms(&self) -> i64 {
        self.now.0 / 1_000_000
    }

    pub(crate) fn request(&mut self, request: &Request) -> Answer {
        self.site.handle_http(self.now, request)
    }

    pub(crate) fn get(&mut self, target: &str) -> Value {
        let response = self.request(&Request::new("GET", target)).response().unwrap();
        serde_json::from_str(&response.body).unwrap()
    }

    /// Sends a signed request; the response as it is.
    pub(crate) fn send(&mut self, method: &str, path: &str, params: &str) -> Response {
        let request = self.signed(method, path, params);
        self.request(&request).response().unwrap()
    }

    pub(crate) fn signed(&self, method: &str, path: &str, params: &str) -> Request {
        let joint = if params.is_empty() { "" } else { "&" };
        let payload = format!("{params}{joint}timestamp={}", self.ms());
        let signature = sign(&payload);
        Request::new(method, &format!("{path}?{payload}&signature={signature}"))
            .with_header("X-MBX-APIKEY", "demo")
    }

    /// Sends a signed request that must go well.
    pub(crate) fn good(&mut self, method: &str, path: &str, params: &str) -> Value {
        let response = self.send(method, path, params);
        assert_eq!(response.status, 200, "{method} {path} {params}: {}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    /// Sends a signed request that must be refused: status, code and message.
    pub(crate) fn bad(&mut self, method: &str, path: &str, params: &str) -> (u16, i64, String) {
        let response = self.send(method, path, params);
        let body: Value = serde_json::from_str(&response.body).unwrap();
        let msg = body["msg"].as_str().unwrap_or_default().to_owned();
        (response.status, body["code"].as_i64().unwrap_or_default(), msg)
    }

    /// Calls the exchange's own controls.
    pub(crate) fn control(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let request = Request::new(method, path).with_body(&body.to_string());
        let response = self.request(&request).response().unwrap();
        assert_eq!(response.status, 200, "{}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    pub(crate) fn open(&mut self, target: &str) -> ConnId {
        self.site.on_ws_open(self.now, &Request::new("GET", target)).unwrap()
    }

    pub(crate) fn say(&mut self, conn: ConnId, message: &Value) {
        self.site.on_ws_text(self.now, conn, &message.to_string());
    }

    /// Returns what has come on a connection since the last look at any.
    pub(crate) fn heard(&mut self, conn: ConnId) -> Vec<Value> {
        self.frames.clear();
        self.site.drain(self.now, &mut self.frames);
        self.frames
            .iter()
            .filter(|frame| frame.conn == conn)
            .filter_map(|frame| match &frame.payload {
                Payload::Text(text) => Some(serde_json::from_str(text).unwrap()),
                Payload::Ping(_) | Payload::Close(_) => None,
            })
            .collect()
    }

    /// Asks on a connection of the WebSocket API and returns the answer.
    pub(crate) fn ask(&mut self, conn: ConnId, message: &Value) -> Value {
        self.say(conn, message);
        let heard = self.heard(conn);
        heard.into_iter().find(|answer| answer["id"] == message["id"]).unwrap()
    }

    /// Signs the parameters of a WebSocket request: sorted by name, as they are.
    pub(crate) fn signed_params(&self, mut params: Value) -> Value {
        params["apiKey"] = "demo".into();
        params["timestamp"] = self.ms().into();
        let members = params.as_object().unwrap();
        let mut parts: Vec<_> = members
            .iter()
            .map(|(name, value)| match value.as_str() {
                Some(text) => format!("{name}={text}"),
                None => format!("{name}={value}"),
            })
            .collect();
        parts.sort_unstable();
        params["signature"] = sign(&parts.join("&")).into();
        params
    }

    /// Lets somebody else sell or buy.
    pub(crate) fn crowd(&mut self, exchange: &str, side: &str, price: &str, quantity: &str) {
        let order = serde_json::json!({"exchange": exchange, "symbol": "BTCUSDT", "side": side,
                                       "price": price, "quantity": quantity});
        self.control("POST", "/control/trade", &order);
    }
}
