//! Requests, answers and signatures against those of other clients, read whole.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::Value;
use support::{Talk, instrument, json, listing};
use tercel_adapters::binance::operation::{Operation, Security, spot, usdm};
use tercel_adapters::binance::{
    Binance, Conditions, Leg, NewOrder, OrderList, Params, Product, Proof, Signed,
};
use tercel_adapters::{
    AccountSetup, Answer, CallId, CandleQuery, ClientIds, ClockOffset, Credentials, Digest,
    Encoding, Environment, FillCursor, Method, News, OrderEntry, OrderKey, OrderNews, Request,
    RequestId, Signer, Tagged, Topic, TopicKind, TradesFrom, TradesQuery, Venue as _, VenueText,
};
use tercel_core::{
    ClientOrderId, InstrumentId, InstrumentKind, Nanos, OrderSpec, Price, Quantity, Role, Side,
    TimeInForce,
};

const NOW: Nanos = Nanos(1_700_000_000_123 * Nanos::MILLI);
const FOLDER: &str = "exchanges/fixtures/ccxt-golden";

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    let text = text(value);
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

fn symbol(unified: &Value) -> String {
    unified.as_str().unwrap().split(':').next().unwrap().replace('/', "")
}

fn by_place(product: Product, method: &str, path: &str) -> Option<Operation> {
    let all = match product {
        Product::Spot => spot::ALL,
        Product::UsdMargined => usdm::ALL,
    };
    all.iter().find(|own| own.method.as_str() == method && own.path == path).copied()
}

/// Puts an order in unified words into ours.
fn order<'a>(product: Product, input: &'a [Value], symbol: &'a str) -> NewOrder<'a> {
    static NONE: Value = Value::Null;
    let extra = input.get(5).unwrap_or(&NONE);
    let number = |name: &str| decimal(&extra[name]);
    let price = input.get(4).and_then(decimal);
    let is_limit = input[1] == "limit";
    let priced = |trigger: Decimal,
                  limit: fn(Decimal, Decimal) -> Conditions,
                  market: fn(Decimal) -> Conditions| {
        if is_limit { limit(trigger, price.unwrap()) } else { market(trigger) }
    };
    let stop_limit = |trigger, price| Conditions::StopLimit { trigger, price };
    let take_limit = |trigger, price| Conditions::TakeProfitLimit { trigger, price };
    let kind = if let Some(trigger) = number("stopLossPrice").or_else(|| number("triggerPrice")) {
        priced(trigger, stop_limit, Conditions::Stop)
    } else if let Some(trigger) = number("takeProfitPrice") {
        priced(trigger, take_limit, Conditions::TakeProfit)
    } else if let Some(callback) = number("trailingPercent") {
        Conditions::Trailing { callback, activation: number("trailingTriggerPrice") }
    } else if is_limit {
        Conditions::Limit(price.unwrap())
    } else {
        Conditions::Market
    };
    let side = if input[2] == "buy" { Side::Buy } else { Side::Sell };
    let name = extra["clientOrderId"].as_str().unwrap_or_default();
    let mut order = NewOrder::new(symbol, side, kind, name);
    order.tif = match extra["timeInForce"].as_str() {
        Some("IOC") => TimeInForce::Ioc,
        Some("FOK") => TimeInForce::Fok,
        Some("GTD") => {
            TimeInForce::Gtd(Nanos(extra["goodTillDate"].as_i64().unwrap() * Nanos::MILLI))
        }
        _ => TimeInForce::Gtc,
    };
    let qty = decimal(&input[3]).unwrap();
    // The one habit of the other client that changes an order: a market buy is told its cost.
    if product == Product::Spot && kind == Conditions::Market && side == Side::Buy {
        order.quote_qty = Some(qty * price.unwrap());
    } else {
        let digits = if product == Product::Spot { 5 } else { 3 };
        order.qty =
            Some(qty.round_dp_with_strategy(digits, rust_decimal::RoundingStrategy::ToZero));
    }
    order.reduce_only = extra["reduceOnly"] == true;
    order.position_side = (extra["hedged"] == true).then_some("LONG");
    order.iceberg_qty = number("icebergAmount");
    order.self_trade_prevention =
        extra["selfTradePreventionMode"].is_string().then_some("EXPIRE_MAKER");
    order
}

fn leg<'a>(raw: &'a Value, prefix: &str) -> Leg<'a> {
    let named = |name: &str| &raw[format!("{prefix}{name}")];
    let number = |name: &str| decimal(named(name)).unwrap();
    let kind = match named("Type").as_str().unwrap() {
        "LIMIT" => Conditions::Limit(number("Price")),
        "LIMIT_MAKER" => Conditions::PostOnly(number("Price")),
        "STOP_LOSS" => Conditions::Stop(number("StopPrice")),
        "STOP_LOSS_LIMIT" => {
            Conditions::StopLimit { trigger: number("StopPrice"), price: number("Price") }
        }
        other => panic!("{other}"),
    };
    Leg { kind, tif: TimeInForce::Gtc, client_id: "" }
}

fn list(raw: &Value) -> OrderList<'_> {
    let number = |name: &str| decimal(&raw[name]).unwrap();
    let side = |name: &str| if raw[name] == "BUY" { Side::Buy } else { Side::Sell };
    if raw["aboveType"].is_string() {
        return OrderList::Oco {
            side: side("side"),
            qty: number("quantity"),
            above: leg(raw, "above"),
            below: leg(raw, "below"),
        };
    }
    let (own, qty, working) = (side("workingSide"), number("workingQuantity"), leg(raw, "working"));
    let (pending_side, pending_qty) = (side("pendingSide"), number("pendingQuantity"));
    if raw["pendingType"].is_string() {
        let pending = leg(raw, "pending");
        return OrderList::Oto { side: own, qty, working, pending_side, pending_qty, pending };
    }
    let (above, below) = (leg(raw, "pendingAbove"), Some(leg(raw, "pendingBelow")));
    OrderList::Otoco { side: own, qty, working, pending_side, pending_qty, above, below }
}

/// Returns our request for a case: what is asked and with which parameters.
fn ours(product: Product, case: &Value) -> (Operation, Params) {
    let mut params = Params::new();
    let input = case["input"].as_array().unwrap();
    let of = |spot: Operation, usdm: Operation| match product {
        Product::Spot => spot,
        Product::UsdMargined => usdm,
    };
    let method = case["method"].as_str().unwrap();
    let market = |params: &mut Params, at: usize| {
        params.text("symbol", &symbol(&input[at]));
    };
    let operation = match method {
        "create_order" => {
            let symbol = symbol(&input[0]);
            order(product, input, &symbol).place(product, &mut params).unwrap()
        }
        "create_market_buy_order_with_cost" | "create_market_sell_order_with_cost" => {
            let symbol = symbol(&input[0]);
            let side = if method.contains("buy") { Side::Buy } else { Side::Sell };
            let name = input[2]["clientOrderId"].as_str().unwrap();
            let mut order = NewOrder::new(&symbol, side, Conditions::Market, name);
            order.quote_qty = decimal(&input[1]);
            order.place(product, &mut params).unwrap()
        }
        "edit_order" => {
            let symbol = symbol(&input[1]);
            let (qty, price) = (decimal(&input[4]).unwrap(), decimal(&input[5]).unwrap());
            if product == Product::Spot {
                let kind = Conditions::Limit(price);
                let mut order = NewOrder::new(&symbol, Side::Buy, kind, "");
                order.qty = Some(qty);
                order.place(product, &mut params).unwrap();
                params.text("cancelReplaceMode", "STOP_ON_FAILURE");
                params.id("cancelOrderId", input[0].as_str().unwrap());
                spot::REPLACE
            } else {
                params.text("symbol", &symbol).text("side", "BUY");
                params.id("orderId", input[0].as_str().unwrap());
                params.decimal("quantity", qty).decimal("price", price);
                usdm::AMEND
            }
        }
        "create_orders" => {
            let mut batch = b"[".to_vec();
            for (idx, one) in input[0].as_array().unwrap().iter().enumerate() {
                let symbol = symbol(&one["symbol"]);
                let fields = ["symbol", "type", "side", "amount", "price", "params"];
                let fields: Vec<Value> = fields.iter().map(|name| one[*name].clone()).collect();
                if idx > 0 {
                    batch.push(b',');
                }
                order(product, &fields, &symbol).push_batch_element(&mut batch).unwrap();
            }
            batch.push(b']');
            params.text("batchOrders", &String::from_utf8(batch).unwrap());
            usdm::PLACE_BATCH
        }
        "cancel_orders" => {
            market(&mut params, 1);
            let ids: Vec<_> =
                input[0].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
            params.text("orderIdList", &format!("[{}]", ids.join(",")));
            usdm::CANCEL_BATCH
        }
        "cancel_order" | "fetch_order" => {
            market(&mut params, 1);
            match input[0].as_str() {
                Some(id) => params.id("orderId", id),
                None => {
                    params.text("origClientOrderId", input[2]["clientOrderId"].as_str().unwrap())
                }
            };
            if method == "cancel_order" {
                of(spot::CANCEL, usdm::CANCEL)
            } else {
                of(spot::ORDER, usdm::ORDER)
            }
        }
        "cancel_all_orders"
        | "fetch_open_orders"
        | "fetch_closed_orders"
        | "fetch_ticker"
        | "fetch_funding_rate" => {
            market(&mut params, 0);
            match method {
                "cancel_all_orders" => of(spot::CANCEL_ALL, usdm::CANCEL_ALL),
                "fetch_open_orders" => of(spot::OPEN_ORDERS, usdm::OPEN_ORDERS),
                "fetch_closed_orders" => of(spot::ORDERS, usdm::ORDERS),
                "fetch_ticker" => of(spot::DAY, usdm::DAY),
                _ => usdm::MARK,
            }
        }
        "fetch_my_trades" => {
            market(&mut params, 0);
            if let Some(since) = input.get(1).and_then(Value::as_i64) {
                params.number("startTime", since);
                params.number("limit", input[2].as_i64().unwrap());
            }
            of(spot::FILLS, usdm::FILLS)
        }
        "fetch_order_book" => {
            market(&mut params, 0);
            if let Some(limit) = input.get(1).and_then(Value::as_i64) {
                params.number("limit", limit);
            }
            of(spot::DEPTH, usdm::DEPTH)
        }
        "set_leverage" => {
            market(&mut params, 1);
            params.number("leverage", input[0].as_i64().unwrap());
            usdm::LEVERAGE
        }
        "set_margin_mode" => {
            market(&mut params, 1);
            let isolated = input[0] == "isolated";
            params.text("marginType", if isolated { "ISOLATED" } else { "CROSSED" });
            usdm::MARGIN
        }
        "set_position_mode" => {
            params.boolean("dualSidePosition", input[0].as_bool().unwrap());
            usdm::SET_MODE
        }
        "fetch_positions" => usdm::BRACKETS,
        "fetch_balance" => of(spot::ACCOUNT, usdm::ACCOUNT),
        "fetch_time" => of(spot::TIME, usdm::TIME),
        "fetch_markets" => of(spot::RULES, usdm::RULES),
        "private_post_orderlist_oco"
        | "private_post_orderlist_oto"
        | "private_post_orderlist_otoco" => {
            let raw = &input[0];
            let id = raw["listClientOrderId"].as_str().unwrap_or_default();
            list(raw).place(raw["symbol"].as_str().unwrap(), id, &mut params).unwrap()
        }
        "fapiprivate_post_algoorder" => {
            let raw = &input[0];
            let trigger = decimal(&raw["triggerPrice"]).unwrap();
            let name = raw["clientAlgoId"].as_str().unwrap();
            let kind = Conditions::Stop(trigger);
            let mut order = NewOrder::new("BTCUSDT", Side::Sell, kind, name);
            (order.close_position, order.working_type) = (true, Some("MARK_PRICE"));
            order.place(product, &mut params).unwrap()
        }
        // Raw calls name the venue's own parameters: what is tried is the operation, its place,
        // its proof and its encoding.
        _ => {
            let path = case["url"].as_str().unwrap().split('?').next().unwrap();
            let path = &path[path.match_indices('/').nth(2).unwrap().0..];
            for (name, value) in input.first().and_then(Value::as_object).into_iter().flatten() {
                params.text(Box::leak(name.clone().into_boxed_str()), &text(value));
            }
            let found = by_place(product, case["http_method"].as_str().unwrap(), path);
            found.unwrap_or_else(|| panic!("no operation for {path}"))
        }
    };
    (operation, params)
}

/// What real clients add by habit, and what differs from call to call.
fn compared(query: &str) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        let value = decoded(value);
        let is_habit = ["timestamp", "signature", "recvWindow", "newOrderRespType"].contains(&name);
        if is_habit || value.starts_with("x-TKT5PX2F") {
            continue;
        }
        let value = match value.parse::<Decimal>() {
            Ok(number) => number.normalize().to_string(),
            Err(_) if name == "batchOrders" => {
                let mut batch: Value = serde_json::from_str(&value).unwrap();
                for order in batch.as_array_mut().unwrap() {
                    order.as_object_mut().unwrap().remove("newOrderRespType");
                }
                // Keys in one order.
                let sorted: Vec<BTreeMap<String, Value>> = serde_json::from_value(batch).unwrap();
                format!("{sorted:?}")
            }
            Err(_) => value,
        };
        params.insert(name.to_ascii_lowercase(), value);
    }
    params
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let hex = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn signed(product: Product, key: &str, secret: &str) -> Signed {
    let setup = AccountSetup {
        credentials: Credentials::new(key, secret),
        ids: ClientIds::new("tc").unwrap(),
        clock: ClockOffset::default(),
        entry: OrderEntry::Rest,
    };
    Binance::new(product, &Environment::Production).signed(&setup).unwrap()
}

fn hmac(secret: &str, payload: &str) -> String {
    let signer = Signer::new(&SecretString::from(secret.to_owned()), Digest::Sha256).unwrap();
    let mut out = Vec::new();
    signer.sign(payload.as_bytes(), Encoding::Hex, &mut out);
    String::from_utf8(out).unwrap()
}

/// Returns how many cases there were; all of them have passed.
fn requests(product: Product, file: &str) -> Option<usize> {
    let golden = json(&format!("{FOLDER}/{file}"))?;
    let secret = golden["frozen"]["secret"].as_str().unwrap();
    let key = golden["frozen"]["apiKey"].as_str().unwrap();
    let mut signed = signed(product, key, secret);
    let venue = Binance::new(product, &Environment::Production);
    let mut n_cases = 0;
    for case in
        golden["methods"].as_object().unwrap().values().flat_map(|of| of.as_array().unwrap())
    {
        let what = format!("{file}: {} ({})", case["method"], case["description"]);
        let input = case["input"].as_array().unwrap();
        let call = match case["method"].as_str().unwrap() {
            // Pages are asked for by the venue's own builders, which bound them in time.
            "fetch_ohlcv" if input.len() > 2 => venue.candles(
                CallId(1),
                &CandleQuery {
                    symbol: "BTCUSDT",
                    minutes: 60,
                    from: Nanos(input[2].as_i64().unwrap() * Nanos::MILLI),
                    to: Nanos(i64::MAX),
                    limit: 100,
                },
            ),
            "fetch_ohlcv" => venue.candles(
                CallId(1),
                &CandleQuery {
                    symbol: "BTCUSDT",
                    minutes: 1,
                    from: Nanos(0),
                    to: Nanos(0),
                    limit: 500,
                },
            ),
            "fetch_trades" => venue.trades(
                CallId(1),
                &TradesQuery { symbol: "BTCUSDT", from: TradesFrom::Time(NOW), limit: 50 },
            ),
            _ => {
                let (operation, mut params) = ours(product, case);
                signed.call(&operation, &mut params, CallId(1), NOW)
            }
        };
        let theirs = case["url"].as_str().unwrap();
        let (their_place, mut their_query) = theirs.split_once('?').unwrap_or((theirs, ""));
        if let Some(body) = case["output"].as_str()
            && !body.is_empty()
        {
            their_query = body;
        }
        let (place, query) = call.url.split_once('?').unwrap_or((&call.url, ""));
        assert_eq!(call.method.as_str(), case["http_method"], "{what}");
        assert_eq!(place, their_place, "{what}");
        let (mut own, mut their) = (compared(query), compared(their_query));
        if case["method"] == "fetch_ohlcv" || case["method"] == "fetch_trades" {
            for name in ["starttime", "endtime", "limit"] {
                if !their.contains_key(name) {
                    own.remove(name);
                }
            }
            own.remove("endtime");
        }
        // The same number of an order in different types.
        their.remove("endtime");
        assert_eq!(own, their, "{what}");
        let key_header = call.headers.iter().find(|(name, _)| *name == "X-MBX-APIKEY");
        let wants_key = case["headers"]["X-MBX-APIKEY"].is_string();
        assert_eq!(key_header.map(|(_, value)| value.as_str()), wants_key.then_some(key), "{what}");
        if let Some((payload, signature)) = query.split_once("&signature=") {
            assert_eq!(signature, hmac(secret, payload), "{what}");
        } else {
            assert!(!their_query.contains("signature="), "{what}");
        }
        n_cases += 1;
    }
    Some(n_cases)
}

/// Checks a row of the table in the README, so that it counts what is counted here.
fn told(what: &str, n_pass: usize, n_listed: usize) {
    let row = format!("| {what} | {} | {n_pass} | {n_listed} |", n_pass + n_listed);
    let readme = include_str!("../README.md");
    assert!(readme.contains(&row), "adapters/README.md lacks the row\n{row}");
}

#[test]
fn requests_are_those_of_another_client() {
    let Some(spot) = requests(Product::Spot, "binance.request.json") else { return };
    let usdm = requests(Product::UsdMargined, "binanceusdm.request.json").unwrap();
    told("ccxt requests, spot", spot, 0);
    told("ccxt requests, USD-M", usdm, 0);
}

#[test]
fn signatures_are_exact() {
    let Some(vectors) = json(&format!("{FOLDER}/signature_vectors.json")) else { return };
    let mut n_pass = 0;
    for vector in vectors.as_array().unwrap() {
        if !vector["exchange"].as_str().unwrap().starts_with("binance") {
            continue;
        }
        let (secret, prehash) =
            (vector["secret"].as_str().unwrap(), vector["prehash"].as_str().unwrap());
        assert_eq!(hmac(secret, prehash), vector["expected"], "{}", vector["description"]);
        let description = vector["description"].as_str().unwrap();
        if description.contains("WS-API") {
            // The whole frame, from parameters in another order.
            let key = vector["apiKey"].as_str().unwrap();
            let mut params = Params::new();
            let mut at = NOW;
            for pair in prehash.split('&').rev() {
                let (name, value) = pair.split_once('=').unwrap();
                match name {
                    "timestamp" => at = Nanos(value.parse::<i64>().unwrap() * Nanos::MILLI),
                    "apiKey" => {}
                    _ => {
                        params.text(Box::leak(name.to_owned().into_boxed_str()), value);
                    }
                }
            }
            let mut frame = Vec::new();
            signed(Product::Spot, key, secret).push_frame(
                "\"uds-1\"",
                "userDataStream.subscribe.signature",
                &mut params,
                Proof::Signature,
                at,
                &mut frame,
            );
            let frame: Value = serde_json::from_slice(&frame).unwrap();
            assert_eq!(frame["params"]["signature"], vector["expected"], "{description}");
            if vector["ws_frame"].is_object() {
                assert_eq!(frame, vector["ws_frame"], "{description}");
            }
        }
        n_pass += 1;
    }
    told("signature vectors", n_pass, 0);
}

/// An account that has asked something.
struct Asking {
    talk: Talk,
    next: u64,
}

const SYMBOLS: [&str; 4] = ["BTCUSDT", "LTCBTC", "BNBBTC", "ETHUSDT"];

impl Asking {
    fn new(product: Product) -> Self {
        let kind = match product {
            Product::Spot => InstrumentKind::Spot,
            Product::UsdMargined => InstrumentKind::LinearPerpetual,
        };
        let instruments: Vec<_> = SYMBOLS
            .iter()
            .zip(0..)
            .map(|(symbol, id)| instrument(id, symbol, kind, "0.000001", "0.00001"))
            .collect();
        let listing = listing(&instruments, &["BTC", "USDT", "BNB", "LTC"]);
        let setup = AccountSetup {
            credentials: Credentials::new("k", "s"),
            ids: ClientIds::new("tc").unwrap(),
            clock: ClockOffset::default(),
            entry: OrderEntry::Rest,
        };
        let venue = Binance::new(product, &Environment::Production);
        let connection = venue.account(&listing, &setup).unwrap().remove(0);
        Self { talk: Talk::new(connection), next: 0 }
    }

    /// Asks over REST and answers all of its calls with one body.
    fn ask(&mut self, request: Request, body: &Value) -> Answer {
        self.next += 1;
        let tagged = Tagged { id: RequestId(self.next), request };
        self.talk.connection.protocol.encode(&tagged, NOW, &mut self.talk.out).unwrap();
        let calls = std::mem::take(&mut self.talk.out.calls);
        for call in calls {
            let is_first = !call.url.contains("lgo");
            let empty = Value::Array(Vec::new());
            let body = if is_first { body } else { &empty };
            self.talk.answer(&call, 200, &body.to_string(), NOW);
        }
        let news = std::mem::take(&mut self.talk.out.news);
        match news.into_iter().next() {
            Some(News::Answered { outcome: Ok(answer), .. }) => answer,
            other => panic!("{other:?}"),
        }
    }
}

fn key() -> OrderKey {
    OrderKey::first(ClientOrderId::new(1, 1))
}

fn check_order(order: &OrderNews, parsed: &Value, what: &str) {
    let lot: Decimal = "0.00001".parse().unwrap();
    let qty = |qty: Quantity| (Decimal::from(qty.0) * lot).normalize();
    assert_eq!(order.venue_order_id.as_str(), text(&parsed["id"]), "{what}");
    assert_eq!(order.side.as_str(), parsed["side"], "{what}");
    assert_eq!(Some(qty(order.qty)), decimal(&parsed["amount"]).map(|n| n.normalize()), "{what}");
    if let Some(filled) = decimal(&parsed["filled"]) {
        assert_eq!(qty(order.filled), filled.normalize(), "{what}");
    }
    let status = match parsed["status"].as_str().unwrap() {
        "open" => !order.status.is_over(),
        "closed" => order.status == tercel_adapters::OrderStatus::Filled,
        "canceled" => order.status == tercel_adapters::OrderStatus::Canceled,
        other => panic!("{other}"),
    };
    assert!(status, "{what}: {:?}", order.status);
}

/// Returns whether a case is read; else it is one of those that are listed.
fn response(product: Product, case: &Value) -> bool {
    let (raw, parsed) = (&case["httpResponse"], &case["parsedResponse"]);
    let what = format!("{} ({})", case["method"], case["description"]);
    let mut asking = Asking::new(product);
    let venue = Binance::new(product, &Environment::Production);
    let body = raw.to_string();
    let instrument = InstrumentId(0);
    let venue_order_id = VenueText::from("1").unwrap();
    let price_tick: Decimal = "0.000001".parse().unwrap();
    match case["method"].as_str().unwrap() {
        "create_order" => {
            let spec = OrderSpec::limit(instrument, Side::Buy, Price(1), Quantity(1));
            let Answer::Order(order, fills) = asking.ask(Request::Place { key: key(), spec }, raw)
            else {
                panic!("{what}")
            };
            check_order(&order, parsed, &what);
            assert_eq!(fills.len(), raw["fills"].as_array().map_or(0, Vec::len), "{what}");
        }
        "cancel_order" | "fetch_order" => {
            let key = key();
            let request = if case["method"] == "cancel_order" {
                Request::Cancel { key, venue_order_id, instrument }
            } else {
                Request::QueryOrder { key, venue_order_id, instrument }
            };
            let Answer::Order(order, _) = asking.ask(request, raw) else { panic!("{what}") };
            check_order(&order, parsed, &what);
        }
        "fetch_open_orders" | "fetch_orders" => {
            let request = if case["method"] == "fetch_orders" {
                Request::OrderHistory { instrument, since: NOW }
            } else {
                Request::OpenOrders { instrument: Some(instrument) }
            };
            let Answer::Orders(orders) = asking.ask(request, raw) else { panic!("{what}") };
            for (order, parsed) in orders.iter().zip(parsed.as_array().unwrap()) {
                check_order(order, parsed, &what);
            }
            assert_eq!(orders.len(), raw.as_array().unwrap().len());
        }
        "fetch_my_trades" => {
            let request = Request::Fills { instrument, since: FillCursor::Since(NOW) };
            let Answer::Fills(fills, false) = asking.ask(request, raw) else { panic!("{what}") };
            assert_eq!(fills.len(), raw.as_array().unwrap().len());
            for (fill, parsed) in fills.iter().zip(parsed.as_array().unwrap()) {
                assert_eq!(fill.trade_id.to_string(), text(&parsed["id"]), "{what}");
                let price = Decimal::from(fill.price.0) * price_tick;
                assert_eq!(Some(price.normalize()), decimal(&parsed["price"]), "{what}");
                assert_eq!(fill.side.as_str(), parsed["side"], "{what}");
                assert_eq!(fill.role == Role::Maker, parsed["takerOrMaker"] == "maker", "{what}");
                assert_eq!(Some(fill.fee), decimal(&parsed["fee"]["cost"]), "{what}");
            }
        }
        "edit_order" => {
            let spec = OrderSpec::limit(instrument, Side::Buy, Price(1), Quantity(1));
            let request = Request::CancelReplace {
                key: key(),
                new_key: key().next(),
                spec,
                only_unfilled: true,
            };
            let Answer::Replaced { old, new } = asking.ask(request, raw) else { panic!("{what}") };
            assert_eq!((old.venue_order_id.as_str(), new.venue_order_id.as_str()), ("9", "10"));
        }
        "fetch_balance" => {
            let Answer::Holdings(holdings) = asking.ask(Request::Balances, raw) else {
                panic!("{what}")
            };
            assert_eq!(holdings.len(), raw["balances"].as_array().unwrap().len(), "{what}");
        }
        "fetch_ohlcv" => {
            let candles = venue.parse_candles(body.as_bytes()).unwrap();
            for (candle, row) in candles.iter().zip(parsed.as_array().unwrap()) {
                assert_eq!(candle.open_at.0 / Nanos::MILLI, row[0].as_i64().unwrap(), "{what}");
                let own = [candle.open, candle.high, candle.low, candle.close, candle.volume];
                for (own, theirs) in own.iter().zip(&row.as_array().unwrap()[1..]) {
                    assert_eq!(Some(own.normalize()), decimal(theirs), "{what}");
                }
            }
            assert_eq!(candles.len(), raw.as_array().unwrap().len());
        }
        "fetch_trades" => {
            let trades = venue.parse_trades(body.as_bytes()).unwrap();
            for (trade, parsed) in trades.iter().zip(parsed.as_array().unwrap()) {
                assert_eq!(Some(trade.price), decimal(&parsed["price"]), "{what}");
                assert_eq!(trade.aggressor.as_str(), parsed["side"], "{what}");
            }
            assert_eq!(trades.len(), raw.as_array().unwrap().len());
        }
        "fetch_time" => {
            let time = venue.parse_server_time(body.as_bytes()).unwrap();
            assert_eq!(Some(time.0 / Nanos::MILLI), parsed.as_i64());
        }
        "set_leverage" => {
            let request = Request::SetLeverage { instrument, leverage: 21 };
            assert_eq!(asking.ask(request, raw), Answer::Done);
        }
        // Snapshots are read by the market connection, and tried in `binance_books`; tickers of a
        // day are not read at all.
        "fetch_order_book" | "fetch_ticker" => return false,
        other => panic!("no answer to {other}"),
    }
    true
}

#[test]
fn answers_mean_what_another_client_says() {
    for (product, file, what) in [
        (Product::Spot, "binance.response.json", "ccxt answers, spot"),
        (Product::UsdMargined, "binanceusdm.response.json", "ccxt answers, USD-M"),
    ] {
        let Some(golden) = json(&format!("{FOLDER}/{file}")) else { return };
        let cases: Vec<_> = golden["methods"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|of| of.as_array().unwrap())
            .collect();
        let n_pass = cases.iter().filter(|case| response(product, case)).count();
        told(what, n_pass, cases.len() - n_pass);
    }
}

#[test]
fn instruments_are_read_from_real_rules() {
    let Some(golden) = json(&format!("{FOLDER}/instruments_raw.json")) else { return };
    for (path, product) in
        [("/api/v3/exchangeInfo", Product::Spot), ("/fapi/v1/exchangeInfo", Product::UsdMargined)]
    {
        let rules = &golden["binance"][path];
        let venue = Binance::new(product, &Environment::Production);
        let listed = venue.parse_instruments(rules.to_string().as_bytes()).unwrap();
        assert_eq!(listed.n_unreadable, 0);
        assert_eq!(listed.instruments.len(), rules["symbols"].as_array().unwrap().len());
        let bitcoin = listed.instruments.iter().find(|own| own.symbol == "BTCUSDT").unwrap();
        assert!(bitcoin.trading && bitcoin.base == "BTC" && bitcoin.quote == "USDT");
        assert!(bitcoin.tick > Decimal::ZERO && bitcoin.lot > Decimal::ZERO);
        assert!(bitcoin.min_notional > Decimal::ZERO);
        assert!(!listed.limits.is_empty());
    }
}

/// Every code of the other client's table that asks for a person, a pause or a query here.
#[test]
fn codes_agree_with_another_clients_table() {
    let Some(map) = json(&format!("{FOLDER}/error_map.json")) else { return };
    let (mut n_pass, mut n_listed) = (0, 0);
    for (product, name, sections) in [
        (Product::Spot, "binance", ["spot", "exact"]),
        (Product::UsdMargined, "binanceusdm", ["linear", "exact"]),
    ] {
        let table = &map[name]["exceptions"];
        for section in sections {
            let codes = if section == "exact" { &table["exact"] } else { &table[section]["exact"] };
            for (code, theirs) in codes.as_object().into_iter().flatten() {
                let Ok(code) = code.parse::<i64>() else { continue };
                // Services beside trading have codes of their own, and one is a quantity here.
                let is_trading = match product {
                    Product::Spot => code > -3_000,
                    Product::UsdMargined => code > -3_000 || (-5_999..=-4_000).contains(&code),
                };
                if !is_trading || code == -4_005 {
                    n_listed += 1;
                    continue;
                }
                let mut asking = Asking::new(product);
                let tagged = Tagged { id: RequestId(1), request: Request::Balances };
                let Talk { connection, out, .. } = &mut asking.talk;
                connection.protocol.encode(&tagged, NOW, out).unwrap();
                let call = asking.talk.out.calls.remove(0);
                let body = format!("{{\"code\":{code},\"msg\":\"\"}}");
                asking.talk.answer(&call, 400, &body, NOW);
                let news = std::mem::take(&mut asking.talk.out.news);
                let [News::Answered { outcome, .. }] = &news[..] else { panic!("{news:?}") };
                let kind = match outcome {
                    Ok(_) => None,
                    Err(error) => Some(format!("{:?}", error.kind)),
                };
                let kind = kind.as_deref();
                match theirs.as_str().unwrap() {
                    "RateLimitExceeded" | "DDoSProtection" => {
                        assert!(
                            matches!(kind, Some("RateLimited" | "TooManyOrders" | "Banned")),
                            "{code}: {kind:?}"
                        );
                    }
                    "InvalidNonce" => assert_eq!(kind, Some("Timestamp"), "{code}"),
                    "OrderNotFound" => {
                        assert!(
                            matches!(kind, Some("UnknownOrder" | "BadRequest")),
                            "{code}: {kind:?}"
                        );
                    }
                    "InsufficientFunds" => {
                        assert!(
                            !matches!(kind, None | Some("UnknownOrder" | "OutcomeUnknown")),
                            "{code}: {kind:?}"
                        );
                    }
                    _ => {}
                }
                n_pass += 1;
            }
        }
    }
    told("ccxt error codes", n_pass, n_listed);
}

/// Strips the comments and the commas at the end that these files have.
fn relaxed(text: &str) -> Option<Value> {
    let mut plain = String::new();
    for line in text.lines() {
        let mut in_string = false;
        let mut before = ' ';
        let mut kept = String::new();
        for c in line.chars() {
            if c == '"' && before != '\\' {
                in_string = !in_string;
            }
            if c == '/' && before == '/' && !in_string {
                kept.pop();
                break;
            }
            kept.push(c);
            before = c;
        }
        plain.push_str(&kept);
        plain.push('\n');
    }
    let mut out = String::new();
    let mut rest = plain.chars().peekable();
    let mut in_string = false;
    while let Some(c) = rest.next() {
        if c == '"' {
            in_string = !in_string;
        }
        if c == ',' && !in_string {
            let mut ahead = rest.clone();
            let next = ahead.find(|c| !c.is_whitespace());
            if matches!(next, Some(']' | '}')) {
                continue;
            }
        }
        out.push(c);
    }
    serde_json::from_str(&out).ok()
}

fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
    found.sort();
}

fn product_of(path: &std::path::Path) -> Product {
    if path.to_string_lossy().contains("UsdFutures") { Product::UsdMargined } else { Product::Spot }
}

#[test]
fn places_and_answers_are_those_of_a_second_client() {
    let Some(root) = support::shared("exchanges/fixtures/jkorf/binance/Endpoints") else { return };
    let mut found = Vec::new();
    files(&root, &mut found);
    let (mut n_pass, mut n_listed) = (0, 0);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.trim_start_matches('\u{feff}');
        let mut lines = text.lines();
        let (method, place, is_signed) =
            (lines.next().unwrap().trim(), lines.next().unwrap().trim(), lines.next().unwrap());
        let product = product_of(&path);
        let Some(operation) = by_place(product, method, place) else {
            // Services beside trading, and older forms of those that are used.
            n_listed += 1;
            continue;
        };
        let signed = operation.security == Security::Signed;
        assert_eq!(signed, is_signed.trim() == "true", "{}", path.display());
        let body: String = lines.collect::<Vec<_>>().join("\n");
        if let Some(body) = relaxed(&body) {
            answer_of(product, &operation, &body, &path);
        }
        n_pass += 1;
    }
    told("JKorf endpoints", n_pass, n_listed);
}

/// Reads an answer by whatever asks for it.
fn answer_of(product: Product, operation: &Operation, body: &Value, path: &std::path::Path) {
    let what = path.display();
    let mut asking = Asking::new(product);
    let instrument = InstrumentId(0);
    let venue_order_id = VenueText::from("1").unwrap();
    let key = key();
    let bytes = body.to_string();
    let venue = Binance::new(product, &Environment::Production);
    let known = |value: &Value| value["symbol"].as_str().is_none_or(|own| SYMBOLS.contains(&own));
    // Some examples are abridged to nothing.
    if body.as_array().is_some_and(Vec::is_empty) || body.is_null() {
        return;
    }
    if !known(body) || !body.as_array().into_iter().flatten().all(known) {
        return;
    }
    if *operation == spot::ORDER || *operation == usdm::ORDER {
        let answer = asking.ask(Request::QueryOrder { key, venue_order_id, instrument }, body);
        assert!(matches!(answer, Answer::Order(..)), "{what}");
    } else if *operation == spot::CANCEL || *operation == usdm::CANCEL {
        let answer = asking.ask(Request::Cancel { key, venue_order_id, instrument }, body);
        assert!(matches!(answer, Answer::Order(..)), "{what}");
    } else if *operation == usdm::BALANCES {
        let answer = asking.ask(Request::Balances, body);
        assert!(matches!(&answer, Answer::Holdings(own) if !own.is_empty()), "{what}: {answer:?}");
    } else if *operation == usdm::POSITIONS {
        let answer = asking.ask(Request::Positions, body);
        assert!(matches!(answer, Answer::Positions(_)), "{what}");
    } else if *operation == spot::RULES || *operation == usdm::RULES {
        venue.parse_instruments(bytes.as_bytes()).unwrap();
    } else if *operation == spot::CANDLES || *operation == usdm::CANDLES {
        assert!(!venue.parse_candles(bytes.as_bytes()).unwrap().is_empty(), "{what}");
    } else if *operation == spot::AGGREGATES || *operation == usdm::AGGREGATES {
        assert!(!venue.parse_trades(bytes.as_bytes()).unwrap().is_empty(), "{what}");
    } else if *operation == spot::COMMISSION || *operation == usdm::COMMISSION {
        tercel_adapters::binance::fees(product, bytes.as_bytes()).unwrap();
    }
}

#[test]
fn websocket_methods_are_those_of_a_second_client() {
    let Some(root) = support::shared("exchanges/fixtures/jkorf/binance/Socket") else { return };
    let mut found = Vec::new();
    files(&root, &mut found);
    let (mut n_pass, mut n_listed) = (0, 0);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let sent = text.trim_start_matches(['\u{feff}', '>', ' ']).lines().next().unwrap();
        let sent: Value = serde_json::from_str(sent).unwrap();
        let method = sent["method"].as_str().unwrap();
        let all = match product_of(&path) {
            Product::Spot => spot::ALL,
            Product::UsdMargined => usdm::ALL,
        };
        if all.iter().any(|own| own.ws == Some(method)) { n_pass += 1 } else { n_listed += 1 }
    }
    told("JKorf WebSocket methods", n_pass, n_listed);
}

#[test]
fn operations_and_parameters_are_those_of_the_venues_own_client() {
    let folder = "exchanges/fixtures/binance-connector-rust";
    let Some(spot_rest) = json(&format!("{folder}/spot_rest_api.json")) else { return };
    let usdm_rest = json(&format!("{folder}/usdm_rest_api.json")).unwrap();
    let (mut n_pass, mut n_listed) = (0, 0);
    for (product, documented, own) in
        [(Product::Spot, &spot_rest, spot::ALL), (Product::UsdMargined, &usdm_rest, usdm::ALL)]
    {
        let documented = documented.as_array().unwrap();
        for operation in own {
            // Two are the same place with and without an instrument, and one is older than the list.
            let theirs = documented.iter().find(|theirs| {
                theirs["path"] == operation.path && theirs["method"] == operation.method.as_str()
            });
            let is_undocumented =
                operation.path == "/fapi/v1/positionSide/dual" && operation.method == Method::Get;
            assert!(theirs.is_some() || is_undocumented, "{}", operation.path);
        }
        for theirs in documented.iter().filter(|theirs| theirs["path"].is_string()) {
            let (method, path) =
                (theirs["method"].as_str().unwrap(), theirs["path"].as_str().unwrap());
            match by_place(product, method, path) {
                Some(operation) => {
                    let signed = operation.security == Security::Signed;
                    // One of them is documented without its signature.
                    let is_special = path == "/api/v3/account/commission";
                    assert!(is_special || theirs["signed"] == signed, "{path}");
                    answer_of(product, &operation, &theirs["example_response"], path.as_ref());
                    n_pass += 1;
                }
                None => n_listed += 1,
            }
        }
    }
    told("connector operations, REST", n_pass, n_listed);
    let (mut n_pass, mut n_listed) = (0, 0);
    for (file, own) in [("spot", spot::ALL), ("usdm", usdm::ALL)] {
        let documented = json(&format!("{folder}/{file}_websocket_api.json")).unwrap();
        let documented: Vec<&str> = documented
            .as_array()
            .unwrap()
            .iter()
            .map(|theirs| theirs["ws_method"].as_str().unwrap().trim_start_matches('/'))
            .collect();
        for operation in own {
            if let Some(method) = operation.ws {
                assert!(documented.contains(&method), "{method}");
            }
        }
        for method in documented {
            let is_own = own.iter().any(|operation| operation.ws == Some(method));
            let is_session = method.starts_with("session.logon")
                || method.starts_with("userDataStream.subscribe");
            if is_own || is_session { n_pass += 1 } else { n_listed += 1 }
        }
    }
    told("connector operations, WebSocket", n_pass, n_listed);
}

/// Returns the push of a file of subscriptions, without its placeholders.
fn pushed(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.trim_start_matches('\u{feff}');
    let pushes = text.split("\n=").skip(1);
    pushes.filter_map(|push| relaxed(push.split("\n>").next().unwrap_or(push))).collect()
}

#[test]
fn pushes_of_a_second_client_are_understood() {
    let Some(root) = support::shared("exchanges/fixtures/jkorf/binance/Subscriptions") else {
        return;
    };
    let mut found = Vec::new();
    files(&root, &mut found);
    let (mut n_pass, mut n_listed) = (0, 0);
    for path in found {
        let product = product_of(&path);
        let kind = match product {
            Product::Spot => InstrumentKind::Spot,
            Product::UsdMargined => InstrumentKind::LinearPerpetual,
        };
        let symbols = ["BTCUSDT", "ETHBTC", "BNBBTC", "BNBUSDT", "ETHUSDT"];
        let instruments: Vec<_> = symbols
            .iter()
            .zip(0..)
            .map(|(symbol, id)| instrument(id, symbol, kind, "0.00000001", "0.00000001"))
            .collect();
        let listing = listing(&instruments, &["BTC", "USDT", "ETH", "BNB"]);
        let venue = Binance::new(product, &Environment::Production);
        let topics: Vec<_> = instruments
            .iter()
            .map(|own| Topic { instrument: own.id, kind: TopicKind::Book })
            .collect();
        let setup = AccountSetup {
            credentials: Credentials::new("k", "s"),
            ids: ClientIds::new("tc").unwrap(),
            clock: ClockOffset::default(),
            entry: OrderEntry::Fastest,
        };
        let mut market = Talk::new(venue.market(&listing, &topics).remove(0));
        let account = venue.account(&listing, &setup).unwrap().pop().unwrap();
        let mut account = Talk::new(account);
        market.open(NOW);
        account.open(NOW);
        let pushes = pushed(&path);
        // Two files are about many subscriptions at once and push nothing.
        n_listed += usize::from(pushes.is_empty());
        for push in pushes {
            let (text, before) = (push.to_string(), market.n_errors + account.n_errors);
            market.frame(&text, NOW);
            account.frame(&text, NOW);
            let refused = market.n_errors + account.n_errors - before;
            // Exactly one of both has a use for it, or it is of a stream that is not subscribed to.
            if refused == 1 {
                n_pass += 1
            } else {
                n_listed += 1
            }
            let odd: Vec<_> = market
                .errors
                .iter()
                .chain(&account.errors)
                .filter(|error| !error.starts_with("unknown message"))
                .collect();
            assert!(refused <= 2 && odd.is_empty(), "{}: {odd:?}", path.display());
        }
    }
    told("JKorf pushes", n_pass, n_listed);
}
