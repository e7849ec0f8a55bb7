//! Connections: where they lead, what they listen to, how long they live.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::binance::feeds::read_stream;
use crate::dialect::binance::params::Params;
use crate::dialect::binance::{Binance, Product};
use crate::dialect::{Channel, ConnId, Frame, Payload};
use crate::http::{Request, Response};
use crate::ids::AccountId;

/// How long connections live and how they are kept alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timing {
    /// Time between pings.
    pub(super) ping_ns: i64,
    /// Time without a pong after which the connection is closed.
    pub(super) pong_ns: i64,
    /// Time after which it is closed anyway.
    pub(super) lifetime_ns: i64,
    /// Messages that a client may send on streams in a second.
    pub(super) messages_max: u32,
}

/// Streams that a connection may listen to.
const STREAMS_MAX: usize = 1_024;
/// Window in which an address may open so many connections.
const CONNECTS_NS: i64 = 5 * Nanos::MINUTE;

impl Timing {
    pub(super) const SPOT: Self = Self {
        ping_ns: 20 * Nanos::SECOND,
        pong_ns: 60 * Nanos::SECOND,
        lifetime_ns: Nanos::DAY,
        messages_max: 5,
    };
    pub(super) const USDM: Self = Self {
        ping_ns: 3 * Nanos::MINUTE,
        pong_ns: 10 * Nanos::MINUTE,
        lifetime_ns: Nanos::DAY,
        messages_max: 10,
    };
}

/// What a connection is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Streams; wrapped with their names where combined.
    Streams { is_combined: bool },
    /// Requests. `logon` is the key of a session.
    Api { logon: Option<usize>, tells_limits: bool },
}

/// An open connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) product: Product,
    pub(super) purpose: Purpose,
    pub(super) peer: String,
    pub(super) opened_at: Nanos,
    pub(super) pinged_at: Nanos,
    pub(super) ponged_at: Nanos,
    /// Messages of the client in a second, and which second.
    pub(super) n_messages: (i64, u32),
    /// User streams by number: whose.
    pub(super) user_streams: BTreeMap<u64, AccountId>,
    pub(super) next_user_stream: u64,
    /// Listen keys that it hears: by key, whose.
    pub(super) listen_keys: BTreeMap<String, AccountId>,
}

impl Connection {
    pub(super) const fn is_api(&self) -> bool {
        matches!(self.purpose, Purpose::Api { .. })
    }

    /// Returns a word for what the connection is for.
    pub(super) fn purpose(&self) -> &'static str {
        match &self.purpose {
            Purpose::Api { .. } if self.user_streams.is_empty() => "api",
            Purpose::Api { .. } => "user",
            Purpose::Streams { .. } if self.listen_keys.is_empty() => "market",
            Purpose::Streams { .. } => "user",
        }
    }
}

impl Binance {
    /// Takes a connection by its path.
    pub(super) fn open_connection(
        &mut self,
        now: Nanos,
        conn: ConnId,
        request: &Request,
    ) -> Result<(), Response> {
        let not_found =
            || Response::json(404, json!({"code": -1000, "msg": "Not Found"}).to_string());
        if !self.may_connect(now, &request.peer) {
            let msg = "Too many connection attempts from IP; current limit is 300 per '5 MINUTE'.";
            return Err(Response::json(429, json!({"code": -1034, "msg": msg}).to_string()));
        }
        let query = Params::from_query(&request.query, "").map_err(|_| not_found())?;
        let path = request.path.trim_end_matches('/');
        let (product, rest) = route(path);
        let mut connection = Connection {
            product,
            purpose: Purpose::Streams { is_combined: false },
            peer: request.peer.clone(),
            opened_at: now,
            pinged_at: now,
            ponged_at: now,
            n_messages: (0, 0),
            user_streams: BTreeMap::new(),
            next_user_stream: 0,
            listen_keys: BTreeMap::new(),
        };
        let mut names: Vec<String> = Vec::new();
        match rest {
            "/ws-api/v3" | "/ws-fapi/v1" => {
                let tells_limits = query.get("returnRateLimits") != Some("false");
                connection.purpose = Purpose::Api { logon: None, tells_limits };
                if rest == "/ws-fapi/v1" {
                    connection.product = Product::Usdm;
                }
            }
            "/stream" => {
                connection.purpose = Purpose::Streams { is_combined: true };
                let streams = query.get("streams").unwrap_or_default();
                names.extend(streams.split('/').map(str::to_owned));
            }
            _ => {
                let named = rest.strip_prefix("/ws").ok_or_else(not_found)?;
                names.extend(named.split('/').map(str::to_owned));
            }
        }
        names.extend(query.get("listenKey").map(str::to_owned));
        names.retain(|name| !name.is_empty());
        // The retired address of a user's stream does not say which product it is of.
        if names.iter().any(|name| self.usdm.listen_keys.contains_key(name)) {
            connection.product = Product::Usdm;
        }
        self.connections.insert(conn, connection);
        for name in names {
            self.subscribe(conn, &name);
        }
        Ok(())
    }

    /// Counts a connection of an address; returns whether it is not one too many.
    fn may_connect(&mut self, now: Nanos, peer: &str) -> bool {
        let window = now.0.div_euclid(CONNECTS_NS);
        if !self.connects.contains_key(peer) {
            self.connects.insert(peer.to_owned(), (window, 0));
        }
        let connects = self.connects.get_mut(peer).expect("inserted above");
        if connects.0 != window {
            *connects = (window, 0);
        }
        connects.1 += 1;
        connects.1 <= self.connects_max
    }

    /// Counts a message of a client on streams; closes the connection at one too many.
    fn may_speak(&mut self, now: Nanos, conn: ConnId) -> bool {
        let Some(connection) = self.connections.get_mut(&conn) else { return false };
        let timing = match connection.product {
            Product::Spot => &self.timing[0],
            Product::Usdm => &self.timing[1],
        };
        let second = now.0.div_euclid(Nanos::SECOND);
        if connection.n_messages.0 != second {
            connection.n_messages = (second, 0);
        }
        connection.n_messages.1 += 1;
        let may = connection.n_messages.1 <= timing.messages_max;
        if !may {
            self.close(conn, 1008);
        }
        may
    }

    fn close(&mut self, conn: ConnId, code: u16) {
        let payload = Payload::Close(code);
        self.frames.push(Frame { conn, channel: Channel::Control, payload });
        self.connections.remove(&conn);
        self.spot.feeds.forget(conn);
        self.usdm.feeds.forget(conn);
    }

    /// Tells all clients that the venue is about to close.
    pub(super) fn tell_shutdown(&mut self, now: Nanos) {
        let event = json!({"e": "serverShutdown", "E": self.server_ms(now)});
        for (conn, connection) in &self.connections {
            let message = match connection.purpose {
                Purpose::Api { .. } => json!({"event": event}),
                Purpose::Streams { is_combined: true } => {
                    json!({"stream": "!serverShutdown", "data": event})
                }
                Purpose::Streams { is_combined: false } => event.clone(),
            };
            let payload = Payload::Text(message.to_string().into());
            self.frames.push(Frame { conn: *conn, channel: Channel::Answer, payload });
        }
    }

    pub(super) fn subscribe(&mut self, conn: ConnId, name: &str) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let product = connection.product;
        let desk = match product {
            Product::Spot => &mut self.spot,
            Product::Usdm => &mut self.usdm,
        };
        if let Some((account, _)) = desk.listen_keys.get(name) {
            connection.listen_keys.insert(name.to_owned(), *account);
        } else if let Some(stream) = read_stream(name, &desk.exchange, product == Product::Spot) {
            desk.feeds.subscribe(conn, stream, name);
        }
    }

    fn unsubscribe(&mut self, conn: ConnId, name: &str) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let product = connection.product;
        connection.listen_keys.remove(name);
        let desk = self.desk(product);
        if let Some(stream) = read_stream(name, &desk.exchange, product == Product::Spot) {
            desk.feeds.unsubscribe(conn, stream);
        }
    }

    /// Takes a message: a request of the WebSocket API, or a wish for streams.
    pub(super) fn take_text(&mut self, now: Nanos, conn: ConnId, text: &str) {
        let Some(connection) = self.connections.get(&conn) else { return };
        if connection.is_api() {
            let answer = self.answer_session(now, conn, text);
            self.send(conn, Channel::Answer, &answer.to_string());
            return;
        }
        if !self.may_speak(now, conn) {
            return;
        }
        let answer = match serde_json::from_str::<Value>(text) {
            Ok(request) => self.answer_subscription(conn, &request),
            Err(_) => json!({"error": {"code": 3, "msg": "Invalid JSON: expected value"}}),
        };
        self.send(conn, Channel::Answer, &answer.to_string());
    }

    fn answer_subscription(&mut self, conn: ConnId, request: &Value) -> Value {
        let id = request["id"].clone();
        let refused = |code: i64, msg: &str| json!({"error": {"code": code, "msg": msg}, "id": id});
        let names: Option<Vec<String>> = request["params"].as_array().map(|names| {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        });
        match (request["method"].as_str(), names) {
            (Some("SUBSCRIBE"), Some(names)) => {
                let desks = [&self.spot, &self.usdm];
                let n: usize = desks.iter().map(|desk| desk.feeds.names_of(conn).len()).sum();
                if n + names.len() > STREAMS_MAX {
                    self.close(conn, 1008);
                    return refused(2, "Invalid request: too many streams");
                }
                for name in &names {
                    self.subscribe(conn, name);
                }
                json!({"result": null, "id": id})
            }
            (Some("UNSUBSCRIBE"), Some(names)) => {
                for name in &names {
                    self.unsubscribe(conn, name);
                }
                json!({"result": null, "id": id})
            }
            (Some("LIST_SUBSCRIPTIONS"), _) => {
                let Some(connection) = self.connections.get(&conn) else { return Value::Null };
                let mut names: Vec<String> = connection.listen_keys.keys().cloned().collect();
                for desk in [&self.spot, &self.usdm] {
                    names.extend(desk.feeds.names_of(conn).into_iter().map(str::to_owned));
                }
                json!({"result": names, "id": id})
            }
            (Some("GET_PROPERTY"), _) => {
                let is_combined = self.connections.get(&conn).is_some_and(|connection| {
                    connection.purpose == Purpose::Streams { is_combined: true }
                });
                json!({"result": is_combined, "id": id})
            }
            (Some("SET_PROPERTY"), _) => {
                if let (Some(connection), Some(is_combined)) =
                    (self.connections.get_mut(&conn), request["params"][1].as_bool())
                {
                    connection.purpose = Purpose::Streams { is_combined };
                }
                json!({"result": null, "id": id})
            }
            (Some("SUBSCRIBE" | "UNSUBSCRIBE"), None) => {
                refused(2, "Invalid request: params must be an array of strings")
            }
            _ => refused(2, "Invalid request: unknown method"),
        }
    }

    pub(super) fn send(&mut self, conn: ConnId, channel: Channel, text: &str) {
        self.frames.push(Frame { conn, channel, payload: Payload::Text(text.into()) });
    }

    /// Pings who is due, closes who is silent or too old, ends listen keys.
    pub(super) fn tend_connections(&mut self, now: Nanos) {
        let mut over = Vec::new();
        for (conn, connection) in &mut self.connections {
            let timing = match connection.product {
                Product::Spot => &self.timing[0],
                Product::Usdm => &self.timing[1],
            };
            let is_silent = connection.pinged_at > connection.ponged_at
                && now.since(connection.ponged_at) >= timing.ping_ns + timing.pong_ns;
            if is_silent || now.since(connection.opened_at) >= timing.lifetime_ns {
                over.push(*conn);
            } else if now.since(connection.pinged_at) >= timing.ping_ns {
                connection.pinged_at = now;
                let payload = Payload::Ping((now.0 / 1_000_000).to_string().into_bytes());
                self.frames.push(Frame { conn: *conn, channel: Channel::Control, payload });
            }
        }
        for conn in over {
            self.close(conn, 1001);
        }
        self.expire_listen_keys(now);
    }

    /// Changes timing and limits by control.
    pub(super) fn change_settings(&mut self, settings: &Value) -> Result<(), String> {
        let Some(settings) = settings.as_object() else {
            return Err("settings must be a JSON object".to_owned());
        };
        for (name, value) in settings {
            let number = value.as_i64().filter(|number| *number > 0);
            let number = number.ok_or_else(|| {
                format!("setting {name}: must be a positive whole number, got {value}")
            })?;
            let ns = number.saturating_mul(1_000_000);
            match name.as_str() {
                "ping_interval_ms" => self.timing.iter_mut().for_each(|t| t.ping_ns = ns),
                "pong_timeout_ms" => self.timing.iter_mut().for_each(|t| t.pong_ns = ns),
                "lifetime_ms" => self.timing.iter_mut().for_each(|t| t.lifetime_ns = ns),
                "messages_per_second" => {
                    let most = u32::try_from(number).unwrap_or(u32::MAX);
                    self.timing.iter_mut().for_each(|timing| timing.messages_max = most);
                }
                "connections_5m" => self.connects_max = number,
                "spot_weight" => self.spot.limiter.limits.weight = number,
                "usdm_weight" => self.usdm.limiter.limits.weight = number,
                "spot_orders_10s" => self.spot.limiter.limits.orders_10s = number,
                "usdm_orders_10s" => self.usdm.limiter.limits.orders_10s = number,
                "patience" => {
                    self.spot.limiter.limits.patience = number;
                    self.usdm.limiter.limits.patience = number;
                }
                _ => {
                    return Err(format!(
                        "unknown setting {name}: known are ping_interval_ms, pong_timeout_ms, \
                         lifetime_ms, messages_per_second, connections_5m, spot_weight, usdm_weight, spot_orders_10s, usdm_orders_10s, \
                         patience"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Returns the product that a path leads to and what is left of the path.
fn route(path: &str) -> (Product, &str) {
    let mut rest = path;
    let mut product = Product::Spot;
    for prefix in ["/fstream", "/public", "/market", "/private"] {
        if let Some(shorter) = rest.strip_prefix(prefix) {
            (product, rest) = (Product::Usdm, shorter);
        }
    }
    // Some clients tell spot from futures by the name of spot's host, `stream…`.
    if let Some(shorter) = rest.strip_prefix("/stream").filter(|rest| !rest.is_empty()) {
        rest = shorter;
    }
    (product, rest)
}
