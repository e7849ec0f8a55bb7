//! What happens in the exchanges, put into the streams of those who listen.

mod market;

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::binance::connection::Purpose;
use crate::dialect::binance::desk::Desk;
use crate::dialect::binance::feeds::{Stream, Topic};
use crate::dialect::binance::{Binance, Product, spot, usdm};
use crate::dialect::{Channel, Frame, Payload};
use crate::exchange::millis;
use crate::ids::{AccountId, MarketId};
use crate::update::Update;

/// Time between looks at what streams with a rhythm have to send.
const SLOT_NS: i64 = 50 * Nanos::MILLI;
/// How long a listen key lives without being asked for again.
pub(super) const LISTEN_KEY_NS: i64 = 60 * Nanos::MINUTE;

impl Binance {
    /// Lets time pass in slots, so that streams with a rhythm see each of its beats.
    pub(super) fn advance_in_slots(&mut self, now: Nanos) {
        loop {
            let at = self.spot.exchange.now().max(self.usdm.exchange.now());
            let boundary = Nanos((at.0.div_euclid(SLOT_NS) + 1) * SLOT_NS);
            let to = boundary.min(now);
            self.spot.exchange.advance(to);
            self.usdm.exchange.advance(to);
            self.publish(to);
            if to == boundary {
                self.beat(Product::Spot, to);
                self.beat(Product::Usdm, to);
            }
            if to >= now {
                return;
            }
        }
    }

    /// Sends what has happened since the last call.
    pub(super) fn publish(&mut self, now: Nanos) {
        for product in [Product::Spot, Product::Usdm] {
            let mut updates = Vec::new();
            self.desk(product).exchange.drain_updates(&mut updates);
            for update in updates {
                self.publish_update(product, now, update);
            }
        }
    }

    fn publish_update(&mut self, product: Product, now: Nanos, update: Update) {
        let now_ms = self.server_ms(now);
        match update {
            Update::Level { market, side, price, .. } => {
                self.desk(product).feeds.level_changed(market, side, price);
                self.publish_best(product, market, now_ms);
            }
            Update::Trade { market, trade } => {
                let stream = Stream { market: Some(market), topic: Topic::Trade };
                self.publish_market(product, stream, |desk| {
                    market::trade(desk, product, market, &trade, now_ms)
                });
            }
            Update::Aggregate { market, trade } => {
                let stream = Stream { market: Some(market), topic: Topic::AggTrade };
                self.publish_market(product, stream, |desk| {
                    market::aggregate(desk, product, market, &trade, now_ms)
                });
            }
            Update::Mark { .. } => {}
            Update::Liquidation { order, .. } => {
                for market in [Some(order.ask.market), None] {
                    let stream = Stream { market, topic: Topic::Liquidations };
                    self.publish_market(product, stream, |desk| {
                        usdm::user::liquidation(&desk.exchange, &order, now_ms)
                    });
                }
            }
            other => match product {
                Product::Spot => self.publish_spot_user(now_ms, &other),
                Product::Usdm => self.publish_usdm_user(now_ms, &other),
            },
        }
    }

    fn publish_spot_user(&mut self, now_ms: i64, update: &Update) {
        let exchange = &self.spot.exchange;
        let (account, event) = match update {
            Update::Order(report) => {
                let event = spot::user::execution_report(exchange, report, now_ms);
                (report.order.account, event)
            }
            Update::List { account, list, state, .. } => {
                let Some(list) = exchange.list(*list) else { return };
                (*account, spot::user::list_status(exchange, list, *state, now_ms))
            }
            Update::Balances { account, assets, at } => {
                (*account, spot::user::account_position(assets, millis(*at), now_ms))
            }
            Update::Deposit { account, asset, amount, .. } => {
                (*account, spot::user::balance_update(asset, *amount, now_ms))
            }
            _ => return,
        };
        for (conn, connection) in &self.connections {
            for (id, owner) in &connection.user_streams {
                if *owner == account {
                    let wrapped = json!({"subscriptionId": id, "event": event});
                    let payload = Payload::Text(wrapped.to_string().into());
                    self.frames.push(Frame { conn: *conn, channel: Channel::User, payload });
                }
            }
        }
    }

    fn publish_usdm_user(&mut self, now_ms: i64, update: &Update) {
        for (account, event) in usdm::user::events(&self.usdm.exchange, update, now_ms) {
            self.send_to_listen_keys(account, &event);
        }
    }

    fn send_to_listen_keys(&mut self, account: AccountId, event: &Value) {
        let text = event.to_string();
        for (conn, connection) in &self.connections {
            for (key, owner) in &connection.listen_keys {
                if *owner != account {
                    continue;
                }
                let is_combined = connection.purpose == Purpose::Streams { is_combined: true };
                let text = if is_combined {
                    format!("{{\"stream\":\"{key}\",\"data\":{text}}}")
                } else {
                    text.clone()
                };
                let payload = Payload::Text(text.into());
                self.frames.push(Frame { conn: *conn, channel: Channel::User, payload });
            }
        }
    }

    /// Sends best bid and ask if they changed.
    fn publish_best(&mut self, product: Product, market: MarketId, now_ms: i64) {
        let desk = self.desk(product);
        let best = market::best_of(desk, market);
        if desk.feeds.best.insert(market, best) == Some(best) {
            return;
        }
        for of in [Some(market), None] {
            let stream = Stream { market: of, topic: Topic::BookTicker };
            self.publish_market(product, stream, |desk| {
                market::book_ticker(desk, product, market, &best, now_ms)
            });
        }
    }

    /// Sends what streams with a rhythm have to send at the end of a slot.
    fn beat(&mut self, product: Product, now: Nanos) {
        let now_ms = self.server_ms(now);
        let slot_ms = millis(now);
        let rhythms = self.desk(product).feeds.rhythms;
        for rhythm in rhythms {
            if slot_ms % rhythm == 0 {
                self.publish_depth(product, *rhythm, now_ms);
            }
        }
        let streams: Vec<Stream> = self.desk(product).feeds.listeners.keys().copied().collect();
        for stream in streams {
            let every_ms = match stream.topic {
                Topic::Partial(_, ms) | Topic::MarkPrice(ms) => ms,
                Topic::Kline(_) | Topic::MiniTicker | Topic::Ticker | Topic::AvgPrice => 1_000,
                Topic::Trade
                | Topic::AggTrade
                | Topic::BookTicker
                | Topic::Depth(_)
                | Topic::Liquidations => continue,
            };
            // Candles of futures come four times a second, and each one's last word when it ends.
            let every_ms = match (stream.topic, product) {
                (Topic::Kline(_), Product::Usdm) => 250,
                _ => every_ms,
            };
            if slot_ms % every_ms == 0 {
                self.publish_rhythmic(product, stream, now_ms);
            }
        }
    }

    fn publish_rhythmic(&mut self, product: Product, stream: Stream, now_ms: i64) {
        if let Topic::Kline(_) = stream.topic {
            let bodies = market::klines(self.desk(product), stream, now_ms);
            for body in bodies {
                self.publish_market(product, stream, |_| body);
            }
            return;
        }
        self.publish_market(product, stream, |desk| {
            market::rhythmic(desk, product, stream, now_ms)
        });
    }

    fn publish_depth(&mut self, product: Product, rhythm: i64, now_ms: i64) {
        let desk = self.desk(product);
        let markets: Vec<MarketId> = desk.exchange.markets().map(|(id, _)| id).collect();
        for market in markets {
            let desk = self.desk(product);
            let Some(pending) = desk.feeds.pending.get_mut(&(market, rhythm)) else { continue };
            if pending.levels.is_empty() {
                continue;
            }
            let levels = std::mem::take(&mut pending.levels);
            let before = pending.sent;
            pending.sent = desk.exchange.market(market).book.update_id();
            let stream = Stream { market: Some(market), topic: Topic::Depth(rhythm) };
            self.publish_market(product, stream, |desk| {
                market::depth(desk, product, market, &levels, before, now_ms)
            });
        }
    }

    /// Sends a message to all listeners of a stream; makes it only if there are any.
    fn publish_market(
        &mut self,
        product: Product,
        stream: Stream,
        make: impl FnOnce(&Desk) -> Value,
    ) {
        let desk = match product {
            Product::Spot => &self.spot,
            Product::Usdm => &self.usdm,
        };
        let Some(listeners) = desk.feeds.listeners.get(&stream) else { return };
        let text: std::sync::Arc<str> = make(desk).to_string().into();
        for (conn, name) in listeners {
            let is_combined = self.connections.get(conn).is_some_and(|connection| {
                connection.purpose == Purpose::Streams { is_combined: true }
            });
            let text = if is_combined {
                format!("{{\"stream\":\"{name}\",\"data\":{text}}}").into()
            } else {
                text.clone()
            };
            let payload = Payload::Text(text);
            self.frames.push(Frame { conn: *conn, channel: Channel::Market, payload });
        }
    }

    /// Ends listen keys that nobody has asked for in time.
    pub(super) fn expire_listen_keys(&mut self, now: Nanos) {
        let keys = &self.usdm.listen_keys;
        let over: Vec<_> = keys
            .iter()
            .filter(|(_, (_, until))| *until <= now)
            .map(|(key, (account, _))| (key.clone(), *account))
            .collect();
        for (key, account) in over {
            let now_ms = self.server_ms(now);
            let event = json!({"e": "listenKeyExpired", "E": now_ms, "listenKey": key});
            self.send_to_listen_keys(account, &event);
            self.usdm.listen_keys.remove(&key);
            for connection in self.connections.values_mut() {
                connection.listen_keys.remove(&key);
            }
        }
    }
}

impl Desk {
    /// Skips numbers in all books' sequences and forgets what had not been sent: to a client it is
    /// as if messages had been lost.
    pub(super) fn skip_updates(&mut self, n: u64) {
        let markets: Vec<MarketId> = self.exchange.markets().map(|(id, _)| id).collect();
        for market in markets {
            self.exchange.market_mut(market).book.skip_update_ids(n);
            let update_id = self.exchange.market(market).book.update_id();
            for rhythm in self.feeds.rhythms {
                if let Some(pending) = self.feeds.pending.get_mut(&(market, *rhythm)) {
                    pending.levels.clear();
                    pending.sent = update_id;
                }
            }
        }
    }
}
