//! Calls of whoever runs the exchange: faults, the truth, time, money, the market.

use serde_json::{Map, Value, json};
use tercel_core::Side;

use crate::account::Account;
use crate::dialect::{Channel, Frame, Payload};
use crate::exchange::{Conditional, Exchange, millis};
use crate::fixed::Fixed;
use crate::http::{Request, Response};
use crate::order::{Fill, Order};
use crate::site::Site;

const HELP: &str = "GET /control/books | GET, POST, DELETE /control/faults | POST \
    /control/disconnect {\"only\": \"all|market|user|api\"} | POST /control/gap {\"n\": 1} | POST \
    /control/deposit {\"exchange\", \"key\", \"asset\", \"amount\"} | POST /control/market \
    {\"running\": false, \"exchange\", \"symbol\"} | POST /control/trade {\"exchange\", \"symbol\", \
    \"side\", \"price\", \"quantity\"} | POST /control/mark {\"exchange\", \"symbol\", \"price\"} | \
    POST /control/settings {...}";

impl Site {
    /// Answers a control call.
    pub(super) fn control(&mut self, request: &Request) -> Response {
        self.dialect.advance(self.now);
        let body = if request.body.trim().is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_str(&request.body).map_err(|error| format!("body: {error}"))
        };
        let outcome = body.and_then(|body| self.run_control(request, &body));
        match outcome {
            Ok(answer) => Response::json(200, answer.to_string()),
            Err(error) => Response::json(400, json!({"error": error, "help": HELP}).to_string()),
        }
    }

    fn run_control(&mut self, request: &Request, body: &Value) -> Result<Value, String> {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/control") => Ok(json!({"help": HELP})),
            ("GET", "/control/books") => Ok(self.books()),
            ("GET", "/control/faults") => Ok(self.faults.to_json()),
            ("POST", "/control/faults") => {
                let was_open = !self.faults.is_maintenance();
                self.faults.set(body)?;
                self.dialect.set_clock_skew(self.faults.clock_skew_ms());
                if was_open && self.faults.is_maintenance() {
                    self.dialect.say_farewell(self.now);
                    self.collect();
                    self.disconnect_all("all");
                }
                Ok(self.faults.to_json())
            }
            ("DELETE", "/control/faults") => {
                self.faults.clear();
                self.dialect.set_clock_skew(0);
                Ok(self.faults.to_json())
            }
            ("POST", "/control/disconnect") => {
                let n = self.disconnect_all(body["only"].as_str().unwrap_or("all"));
                Ok(json!({"disconnected": n}))
            }
            ("POST", "/control/gap") => {
                let n = body["n"].as_u64().unwrap_or(1);
                self.dialect.skip_updates(n);
                Ok(json!({"skipped": n}))
            }
            ("POST", "/control/settings") => {
                self.dialect.configure(body)?;
                Ok(json!({}))
            }
            ("POST", "/control/deposit") => self.deposit(body),
            ("POST", "/control/market") => self.run_market(body),
            ("POST", "/control/trade") => self.trade(body),
            ("POST", "/control/mark") => self.mark(body),
            (method, path) => Err(format!("unknown control call {method} {path}")),
        }
    }

    fn disconnect_all(&mut self, only: &str) -> usize {
        let mut n = 0;
        for (conn, purpose) in self.dialect.connections() {
            if only == "all" || only == purpose {
                self.dialect.closed(conn);
                let payload = Payload::Close(1006);
                let frame = Frame { conn, channel: Channel::Control, payload };
                self.outgoing.push((self.now, self.n_sent, frame));
                self.n_sent += 1;
                n += 1;
            }
        }
        n
    }

    /// Returns everything that accounts own and have asked for, as the exchange knows it.
    #[must_use]
    pub fn books(&mut self) -> Value {
        let mut books = Map::new();
        let names: Vec<_> = self.dialect.exchanges().iter().map(|(name, _)| *name).collect();
        for name in names {
            let mut accounts = Map::new();
            let mut of_exchange = Vec::new();
            for (known, exchange) in self.dialect.exchanges() {
                if known == name {
                    let listed = exchange.accounts();
                    of_exchange
                        .extend(listed.map(|(id, held)| (id, account_json(exchange, id, held))));
                }
            }
            for (id, account) in of_exchange {
                let key = self.dialect.account_name(name, id);
                accounts.insert(key.unwrap_or_else(|| id.0.to_string()), account);
            }
            let mut of = json!({"accounts": accounts});
            for (known, exchange) in self.dialect.exchanges() {
                if known == name {
                    of["time_ms"] = millis(exchange.now()).into();
                    of["books"] = tops(exchange);
                    let house = exchange.house().iter();
                    of["house"] = house.map(|(asset, n)| (asset.clone(), n.short())).collect();
                }
            }
            books.insert(name.to_owned(), of);
        }
        Value::Object(books)
    }

    /// Finds the exchange that a call names; the first where it names none.
    fn exchange_named(&mut self, body: &Value) -> Result<&mut Exchange, String> {
        let wanted = body["exchange"].as_str().map(str::to_owned);
        let mut exchanges = self.dialect.exchanges();
        let known: Vec<_> = exchanges.iter().map(|(name, _)| *name).collect();
        let idx = match &wanted {
            None => 0,
            Some(wanted) => known.iter().position(|name| name == wanted).ok_or_else(|| {
                format!("exchange: must be one of {}, got {wanted:?}", known.join(", "))
            })?,
        };
        Ok(exchanges.swap_remove(idx).1)
    }

    fn deposit(&mut self, body: &Value) -> Result<Value, String> {
        let amount = number(body, "amount")?;
        let asset = text(body, "asset")?;
        let name = body["exchange"].as_str().unwrap_or("spot").to_owned();
        let key = body["key"].as_str().map(str::to_owned);
        let ids: Vec<_> =
            self.exchange_named(body)?.accounts().map(|(account, _)| account).collect();
        let is_meant = |known: Option<String>| key.is_none() || known == key;
        let account = ids
            .into_iter()
            .find(|id| is_meant(self.dialect.account_name(&name, *id)))
            .ok_or("key: no account has it")?;
        let exchange = self.exchange_named(body)?;
        exchange.deposit(account, &asset, amount).map_err(|reject| reject.to_string())?;
        let balance = exchange.account(account).balance(&asset);
        self.dialect.advance(self.now);
        Ok(json!({"free": balance.free.short(), "locked": balance.locked.short()}))
    }

    fn run_market(&mut self, body: &Value) -> Result<Value, String> {
        let running = body["running"].as_bool().ok_or("running: must be true or false")?;
        let symbol = body["symbol"].as_str().map(str::to_owned);
        let wanted = body["exchange"].as_str().map(str::to_owned);
        let mut n = 0;
        for (name, exchange) in self.dialect.exchanges() {
            if wanted.as_ref().is_some_and(|wanted| wanted != name) {
                continue;
            }
            let ids: Vec<_> = exchange
                .markets()
                .filter(|(_, market)| symbol.as_ref().is_none_or(|s| *s == market.listing.symbol))
                .map(|(id, _)| id)
                .collect();
            for id in ids {
                exchange.set_crowd_running(id, running);
                n += 1;
            }
        }
        Ok(json!({"markets": n, "running": running}))
    }

    fn trade(&mut self, body: &Value) -> Result<Value, String> {
        let side = match body["side"].as_str() {
            Some("BUY") => Side::Buy,
            Some("SELL") => Side::Sell,
            _ => return Err(format!("side: must be BUY or SELL, got {}", body["side"])),
        };
        let (price, qty) = (number(body, "price")?, number(body, "quantity")?);
        let symbol = text(body, "symbol")?;
        let exchange = self.exchange_named(body)?;
        let market = exchange.market_id(&symbol).ok_or_else(|| unknown_symbol(&symbol))?;
        exchange.crowd_trade(market, side, price, qty);
        let last = exchange.market(market).last_price;
        self.dialect.advance(self.now);
        Ok(json!({"last_price": last.short()}))
    }

    fn mark(&mut self, body: &Value) -> Result<Value, String> {
        let price = number(body, "price")?;
        let symbol = text(body, "symbol")?;
        let exchange = self.exchange_named(body)?;
        let market = exchange.market_id(&symbol).ok_or_else(|| unknown_symbol(&symbol))?;
        exchange.set_mark(market, price, price);
        self.dialect.advance(self.now);
        Ok(json!({"mark": price.short()}))
    }
}

fn unknown_symbol(symbol: &str) -> String {
    format!("symbol: {symbol:?} is not traded here")
}

fn text(body: &Value, name: &str) -> Result<String, String> {
    let found = body[name].as_str().map(str::to_owned);
    found.ok_or_else(|| format!("{name}: must be a text, got {}", body[name]))
}

fn number(body: &Value, name: &str) -> Result<Fixed, String> {
    let found = body[name].as_str().and_then(|text| Fixed::parse(text).ok());
    found.ok_or_else(|| format!("{name}: must be a decimal number in quotes, got {}", body[name]))
}

fn account_json(exchange: &Exchange, id: crate::ids::AccountId, held: &Account) -> Value {
    let balances: Map<String, Value> = held
        .balances
        .iter()
        .map(|(asset, balance)| {
            let both = json!({"free": balance.free.short(), "locked": balance.locked.short()});
            (asset.clone(), both)
        })
        .collect();
    let positions: Vec<Value> = held
        .positions
        .iter()
        .map(|((market, side), position)| {
            json!({
                "symbol": exchange.market(*market).listing.symbol,
                "side": format!("{side:?}").to_uppercase(),
                "quantity": position.qty.short(),
                "entry": position.entry.short(),
                "realized": position.realized.short(),
            })
        })
        .collect();
    json!({
        "balances": balances,
        "positions": positions,
        "orders": exchange.orders_of(id).map(|order| order_json(exchange, order)).collect::<Vec<_>>(),
        "conditionals": exchange.conditionals_of(id).map(|own| conditional_json(exchange, own)).collect::<Vec<_>>(),
        "fills": held.fills.iter().map(|fill| fill_json(exchange, fill)).collect::<Vec<_>>(),
    })
}

fn order_json(exchange: &Exchange, order: &Order) -> Value {
    let ask = &order.ask;
    json!({
        "id": order.id.0,
        "client_id": ask.client_id,
        "symbol": exchange.market(ask.market).listing.symbol,
        "side": format!("{:?}", ask.side).to_uppercase(),
        "kind": format!("{:?}", ask.kind),
        "tif": format!("{:?}", ask.tif).to_uppercase(),
        "price": ask.price.short(),
        "stop_price": ask.stop_price.short(),
        "quantity": ask.qty.short(),
        "filled": order.filled.short(),
        "quote_filled": order.quote_filled.short(),
        "locked": order.locked.short(),
        "status": format!("{:?}", order.status),
        "open": order.status.is_open(),
        "list": order.list.map(|list| list.0),
        "conditional": order.conditional.map(|id| id.0),
        "created_ms": millis(order.created_at),
        "updated_ms": millis(order.updated_at),
    })
}

fn conditional_json(exchange: &Exchange, conditional: &Conditional) -> Value {
    let ask = &conditional.asked.ask;
    json!({
        "id": conditional.id.0,
        "client_id": ask.client_id,
        "symbol": exchange.market(ask.market).listing.symbol,
        "side": format!("{:?}", ask.side).to_uppercase(),
        "kind": format!("{:?}", ask.kind),
        "price": ask.price.short(),
        "stop_price": ask.stop_price.short(),
        "quantity": ask.qty.short(),
        "status": format!("{:?}", conditional.status),
        "order": conditional.order.map(|id| id.0),
        "created_ms": millis(conditional.created_at),
        "updated_ms": millis(conditional.updated_at),
    })
}

fn fill_json(exchange: &Exchange, fill: &Fill) -> Value {
    json!({
        "trade_id": fill.trade_id,
        "order_id": fill.order.0,
        "symbol": exchange.market(fill.market).listing.symbol,
        "side": format!("{:?}", fill.side).to_uppercase(),
        "price": fill.price.short(),
        "quantity": fill.qty.short(),
        "fee": fill.fee.short(),
        "fee_asset": fill.fee_asset,
        "maker": fill.is_maker,
        "realized": fill.realized.short(),
        "time_ms": millis(fill.at),
    })
}

fn tops(exchange: &Exchange) -> Value {
    let top = |market: &crate::exchange::Market, side: Side| -> Vec<Value> {
        let depth = market.book.depth(side, 5);
        depth.iter().map(|(price, qty)| json!([price.short(), qty.short()])).collect()
    };
    let listed: Map<String, Value> = exchange
        .markets()
        .map(|(_, market)| {
            let book = json!({
                "update_id": market.book.update_id(),
                "bids": top(market, Side::Buy),
                "asks": top(market, Side::Sell),
                "last_price": market.last_price.short(),
                "mark": market.mark.short(),
            });
            (market.listing.symbol.clone(), book)
        })
        .collect();
    Value::Object(listed)
}
