//! The WebSocket API: the same functions as over HTTP, and sessions.

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::ConnId;
use crate::dialect::binance::auth::{self, Secret};
use crate::dialect::binance::connection::{Connection, Purpose};
use crate::dialect::binance::desk::Security;
use crate::dialect::binance::error::ApiError;
use crate::dialect::binance::params::Params;
use crate::dialect::binance::{Binance, Product, endpoints};
use crate::dialect::{Channel, Frame, Payload};
use crate::ids::AccountId;

impl Binance {
    /// Answers a request of the WebSocket API.
    pub(super) fn answer_session(&mut self, now: Nanos, conn: ConnId, text: &str) -> Value {
        let Ok(Value::Object(request)) = serde_json::from_str::<Value>(text) else {
            let error = ApiError::new(-1135, "Invalid JSON Request");
            return json!({"id": null, "status": 400, "error": error.body(), "rateLimits": []});
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
        let params = match request.get("params") {
            None | Some(Value::Null) => Params::default(),
            Some(Value::Object(members)) => Params::from_json(members),
            Some(_) => {
                let error = ApiError::new(-1135, "JSON sent for parameter 'params' is not valid");
                return json!({"id": id, "status": 400, "error": error.body(), "rateLimits": []});
            }
        };
        let Some(connection) = self.connections.get(&conn).cloned() else { return Value::Null };
        let outcome = self.call(now, conn, &connection, method, &params);
        let mut answer = match outcome {
            Ok(result) => json!({"id": id, "status": 200, "result": result}),
            Err(error) => json!({"id": id, "status": error.status, "error": error.body()}),
        };
        let told = params.get("returnRateLimits").map(|told| told == "true");
        let usually = matches!(connection.purpose, Purpose::Api { tells_limits: true, .. });
        if told.unwrap_or(usually) {
            let is_order = method.starts_with("order");
            let account = is_order.then(|| self.session_account(&connection, &params)).flatten();
            answer["rateLimits"] =
                self.limits_json(now, connection.product, account, &connection.peer);
        }
        answer
    }

    fn limits_json(
        &mut self,
        now: Nanos,
        product: Product,
        account: Option<AccountId>,
        peer: &str,
    ) -> Value {
        let limiter = &mut self.desk(product).limiter;
        let mut listed: Vec<Value> =
            account.map(|account| limiter.order_counts(now, account).into()).unwrap_or_default();
        listed.push(json!({
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": limiter.limits.weight,
            "count": limiter.used_weight(now, peer),
        }));
        Value::Array(listed)
    }

    fn session_account(&self, connection: &Connection, params: &Params) -> Option<AccountId> {
        let key = match (params.get("apiKey"), &connection.purpose) {
            (Some(key), _) => self.find_key(Some(key)).ok(),
            (None, Purpose::Api { logon, .. }) => *logon,
            (None, Purpose::Streams { .. }) => None,
        };
        key.map(|idx| Self::account_of(&self.keys[idx], connection.product))
    }

    fn call(
        &mut self,
        now: Nanos,
        conn: ConnId,
        connection: &Connection,
        method: &str,
        params: &Params,
    ) -> Result<Value, ApiError> {
        match method {
            "session.logon" => return self.log_on(now, conn, connection, params),
            "session.status" => return Ok(self.session_status(now, conn)),
            "session.logout" => {
                self.log_out(now, conn);
                return Ok(self.session_status(now, conn));
            }
            "userDataStream.subscribe" if connection.product == Product::Spot => {
                let Purpose::Api { logon: Some(idx), .. } = &connection.purpose else {
                    return Err(ApiError::new(-2014, "API-key format invalid.").with_status(401));
                };
                return self.subscribe_user(conn, self.keys[*idx].spot);
            }
            "userDataStream.subscribe.signature" if connection.product == Product::Spot => {
                self.weigh(now, connection, 2)?;
                let idx = self.verify(now, connection, params)?;
                return self.subscribe_user(conn, self.keys[idx].spot);
            }
            "userDataStream.unsubscribe" if connection.product == Product::Spot => {
                return self.unsubscribe_user(now, conn, params);
            }
            "session.subscriptions" => return Ok(self.subscriptions(conn)),
            _ => {}
        }
        let product = connection.product;
        let found =
            endpoints(product).iter().find(|known| known.ws == method && !method.is_empty());
        let endpoint = found.ok_or_else(|| {
            ApiError::new(-1020, format!("This operation is not supported: '{method}'."))
        })?;
        self.weigh(now, connection, (endpoint.weight)(params))?;
        let account = match endpoint.security {
            Security::Public => AccountId::CROWD,
            Security::Key => {
                let idx = match (params.get("apiKey"), &connection.purpose) {
                    (None, Purpose::Api { logon: Some(idx), .. }) => *idx,
                    (key, _) => self.find_key(key)?,
                };
                Self::account_of(&self.keys[idx], product)
            }
            Security::Signed => {
                let idx = self.verify(now, connection, params)?;
                Self::account_of(&self.keys[idx], product)
            }
        };
        self.run(now, product, endpoint, params, account, &connection.peer)
    }

    fn weigh(&mut self, now: Nanos, connection: &Connection, weight: i64) -> Result<(), ApiError> {
        self.desk(connection.product).limiter.request(now, &connection.peer, weight)
    }

    /// Checks time and signature of a request; a session's requests need none.
    fn verify(
        &self,
        now: Nanos,
        connection: &Connection,
        params: &Params,
    ) -> Result<usize, ApiError> {
        if let (None, Purpose::Api { logon: Some(idx), .. }) =
            (params.get("apiKey"), &connection.purpose)
        {
            auth::check_time(params, self.server_ms(now))?;
            return Ok(*idx);
        }
        let idx = self.find_key(params.get("apiKey"))?;
        auth::check_time(params, self.server_ms(now))?;
        let signed = params.required("signature")?;
        if !self.keys[idx].secret.verifies(&auth::sorted_payload(params), signed) {
            return Err(ApiError::new(-1022, "Signature for this request is not valid."));
        }
        Ok(idx)
    }

    fn log_on(
        &mut self,
        now: Nanos,
        conn: ConnId,
        connection: &Connection,
        params: &Params,
    ) -> Result<Value, ApiError> {
        self.weigh(now, connection, 2)?;
        let idx = self.find_key(params.get("apiKey"))?;
        if !matches!(self.keys[idx].secret, Secret::Ed25519(_)) {
            let msg = "Unsupported API key type: session.logon is only for Ed25519 keys.";
            return Err(ApiError::new(-4056, msg).with_status(401));
        }
        let idx = self.verify(now, connection, params)?;
        if let Some(Connection { purpose: Purpose::Api { logon, .. }, .. }) =
            self.connections.get_mut(&conn)
        {
            *logon = Some(idx);
        }
        Ok(self.session_status(now, conn))
    }

    fn log_out(&mut self, now: Nanos, conn: ConnId) {
        let now_ms = self.server_ms(now);
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if let Purpose::Api { logon, .. } = &mut connection.purpose {
            *logon = None;
        }
        let ended = std::mem::take(&mut connection.user_streams);
        for id in ended.into_keys() {
            self.tell_terminated(conn, id, now_ms);
        }
    }

    fn session_status(&self, now: Nanos, conn: ConnId) -> Value {
        let connection = self.connections.get(&conn);
        let key = match connection.map(|connection| &connection.purpose) {
            Some(Purpose::Api { logon: Some(idx), .. }) => Some(self.keys[*idx].key.clone()),
            _ => None,
        };
        let since = connection.map_or(now, |connection| connection.opened_at);
        json!({
            "apiKey": key,
            "authorizedSince": key.is_some().then(|| self.server_ms(now)),
            "connectedSince": self.server_ms(since),
            "returnRateLimits": true,
            "serverTime": self.server_ms(now),
            "userDataStream": connection.is_some_and(|c| !c.user_streams.is_empty()),
        })
    }

    fn subscribe_user(&mut self, conn: ConnId, account: AccountId) -> Result<Value, ApiError> {
        let connection = self.connections.get_mut(&conn);
        let connection = connection.ok_or_else(|| ApiError::new(-1001, "Disconnected."))?;
        if connection.user_streams.values().any(|known| *known == account) {
            let msg = "User Data Stream subscription already active.";
            return Err(ApiError::new(-2035, msg));
        }
        let id = connection.next_user_stream;
        connection.next_user_stream += 1;
        connection.user_streams.insert(id, account);
        Ok(json!({"subscriptionId": id}))
    }

    fn unsubscribe_user(
        &mut self,
        now: Nanos,
        conn: ConnId,
        params: &Params,
    ) -> Result<Value, ApiError> {
        let only = params.integer("subscriptionId")?.map(i64::cast_unsigned);
        let now_ms = self.server_ms(now);
        let Some(connection) = self.connections.get_mut(&conn) else { return Ok(json!({})) };
        let ended: Vec<u64> = connection
            .user_streams
            .keys()
            .copied()
            .filter(|id| only.is_none_or(|only| only == *id))
            .collect();
        if ended.is_empty() && only.is_some() {
            let msg = "User Data Stream subscription not active.";
            return Err(ApiError::new(-2036, msg));
        }
        connection.user_streams.retain(|id, _| !ended.contains(id));
        for id in ended {
            self.tell_terminated(conn, id, now_ms);
        }
        Ok(json!({}))
    }

    fn subscriptions(&self, conn: ConnId) -> Value {
        let streams = self.connections.get(&conn).map(|connection| &connection.user_streams);
        let ids = streams.into_iter().flat_map(|streams| streams.keys());
        ids.map(|id| json!({"subscriptionId": id})).collect()
    }

    fn tell_terminated(&mut self, conn: ConnId, id: u64, now_ms: i64) {
        let event = json!({"subscriptionId": id,
                           "event": {"e": "eventStreamTerminated", "E": now_ms}});
        let payload = Payload::Text(event.to_string().into());
        self.frames.push(Frame { conn, channel: Channel::User, payload });
    }
}
