//! Requests and signatures, against those of another client.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::Value;
use tercel_adapters::binance::operation::{Operation, spot, usdm};
use tercel_adapters::binance::{
    Binance, Conditions, Leg, NewOrder, OrderList, Params, Product, Proof, Signed,
};
use tercel_adapters::{
    AccountSetup, CallId, CandleQuery, ClientIds, ClockOffset, Credentials, Digest, Encoding,
    Environment, OrderEntry, Signer, TradesFrom, TradesQuery, Venue as _,
};
use tercel_core::{Nanos, Side, TimeInForce};

use crate::support::json;
use crate::{FOLDER, NOW, by_place, decimal, symbol, text, told};

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
