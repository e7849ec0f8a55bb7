//! Conversations of accounts, word by word.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod history;
mod holdings;
mod stops;
#[path = "../support/mod.rs"]
mod support;
mod swaps;
mod unreadable;

use serde_json::{Value, json};
use support::{Talk, instrument, listing};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{
    AccountSetup, Answer, CallAnswer, CallOutcome, ClientIds, ClockOffset, Credentials,
    Environment, ErrorKind, FillCursor, Method, News, OrderEntry, OrderKey, OrderStatus, Purpose,
    Request, RequestId, Tagged, Venue as _, VenueText,
};
use tercel_core::{
    ClientOrderId, InstrumentId, InstrumentKind, Nanos, OrderKind, OrderSpec, Price, Quantity,
    Role, Side,
};

const NOW: Nanos = Nanos(1_700_000_000_123 * Nanos::MILLI);
const INSTRUMENT: InstrumentId = InstrumentId(0);

fn setup(entry: OrderEntry) -> AccountSetup {
    AccountSetup {
        credentials: Credentials::new("testApiKey0123456789", "testSecretKey0123456789abcdef"),
        ids: ClientIds::new("tc").unwrap(),
        clock: ClockOffset::default(),
        entry,
    }
}

fn talks(product: Product, entry: OrderEntry) -> Vec<Talk> {
    let (kind, tick, lot) = match product {
        Product::Spot => (InstrumentKind::Spot, "0.01", "0.00001"),
        Product::UsdMargined => (InstrumentKind::LinearPerpetual, "0.1", "0.001"),
    };
    let instruments = [instrument(0, "BTCUSDT", kind, tick, lot)];
    let venue = Binance::new(product, &Environment::Production);
    let listing = listing(&instruments, &["BTC", "USDT", "BNB"]);
    venue.account(&listing, &setup(entry)).unwrap().into_iter().map(Talk::new).collect()
}

fn key(counter: u64) -> OrderKey {
    OrderKey::first(ClientOrderId::new(7, counter))
}

/// Name of [`key`] 1.
const NAME: &str = "tc7-1";

fn limit(price: i64, qty: i64) -> OrderSpec {
    OrderSpec::limit(INSTRUMENT, Side::Buy, Price(price), Quantity(qty))
}

fn ask(talk: &mut Talk, id: u64, request: Request) {
    let tagged = Tagged { id: RequestId(id), request };
    talk.connection.protocol.encode(&tagged, NOW, &mut talk.out).unwrap();
    talk.calls.append(&mut talk.out.calls);
}

fn frame(talk: &mut Talk) -> Value {
    let frames = talk.frames();
    assert_eq!(frames.len(), 1, "{frames:?}");
    serde_json::from_str(&frames[0]).unwrap()
}

fn news(talk: &mut Talk) -> Vec<News> {
    std::mem::take(&mut talk.out.news)
}

fn answered(talk: &mut Talk) -> (u64, Result<Answer, ErrorKind>) {
    let news = news(talk);
    let [News::Answered { request, outcome }] = &news[..] else { panic!("{news:?}") };
    (request.0, outcome.clone().map_err(|error| error.kind))
}

/// Opens a spot account and subscribes to its events.
fn spot() -> Talk {
    let mut talk = talks(Product::Spot, OrderEntry::Fastest).remove(0);
    let frames = talk.open(NOW);
    let subscribe: Value = serde_json::from_str(&frames[0]).unwrap();
    assert_eq!(subscribe["method"], "userDataStream.subscribe.signature");
    assert_eq!(
        subscribe["params"],
        json!({
            "apiKey": "testApiKey0123456789", "timestamp": 1_700_000_000_123_i64,
            "signature": "3927bc6f764d511d3c32e6939e72e7aede4ba362e4f5fd2c9e38b131a95992f6",
        })
    );
    assert!(news(&mut talk).is_empty());
    talk.frame(r#"{"id":"events","status":200,"result":{"subscriptionId":0}}"#, NOW);
    assert_eq!(news(&mut talk), [News::Online]);
    talk
}

fn spot_order(status: &str, executed: &str) -> Value {
    json!({
        "symbol": "BTCUSDT", "orderId": 12_569_099_453_i64, "orderListId": -1,
        "clientOrderId": NAME, "transactTime": 1_660_801_715_793_i64, "price": "23416.10000000",
        "origQty": "0.00847000", "executedQty": executed, "status": status,
        "timeInForce": "GTC", "type": "LIMIT", "side": "BUY",
    })
}

#[test]
fn a_spot_order_is_placed_and_answered_over_the_websocket() {
    let mut talk = spot();
    ask(&mut talk, 5, Request::Place { key: key(1), spec: limit(2_341_610, 847) });
    let sent = frame(&mut talk);
    assert_eq!(sent["method"], "order.place");
    let mut params = sent["params"].clone();
    let signature = params.as_object_mut().unwrap().remove("signature").unwrap();
    assert_eq!(signature.as_str().unwrap().len(), 64);
    assert_eq!(
        params,
        json!({
            "apiKey": "testApiKey0123456789", "newClientOrderId": NAME, "price": "23416.1",
            "quantity": "0.00847", "side": "BUY", "symbol": "BTCUSDT", "timeInForce": "GTC",
            "timestamp": 1_700_000_000_123_i64, "type": "LIMIT",
        })
    );
    let mut result = spot_order("PARTIALLY_FILLED", "0.00635000");
    result["fills"] = json!([{
        "price": "23416.10000000", "qty": "0.00635000", "commission": "0.0001",
        "commissionAsset": "BNB", "tradeId": 1_650_422_481_i64,
    }]);
    let answer = json!({
        "id": sent["id"], "status": 200, "result": result,
        "rateLimits": [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10,
            "limit": 50, "count": 3}],
    });
    talk.frame(&answer.to_string(), NOW);
    assert_eq!(talk.out.usage.len(), 1);
    assert_eq!((talk.out.usage[0].interval_ms, talk.out.usage[0].used), (10_000, 3));
    let (request, outcome) = answered(&mut talk);
    let Ok(Answer::Order(order, fills)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((request, order.key, order.status), (5, Some(key(1)), OrderStatus::Open));
    assert_eq!((order.qty, order.filled), (Quantity(847), Quantity(635)));
    assert_eq!(order.kind, OrderKind::Limit { price: Price(2_341_610) });
    assert_eq!(fills.len(), 1);
    assert_eq!((fills[0].qty, fills[0].role), (Quantity(635), Role::Taker));
    assert_eq!(fills[0].fee_asset.unwrap().0, 2);
}

#[test]
fn refusals_are_answered_with_their_meaning() {
    let mut talk = spot();
    for (id, status, code, text, kind) in [
        (
            1,
            400,
            -2010,
            "Account has insufficient balance for requested action.",
            ErrorKind::InsufficientBalance,
        ),
        (2, 400, -1013, "Filter failure: LOT_SIZE", ErrorKind::Filter),
        (3, 503, -1000, "", ErrorKind::OutcomeUnknown),
        (4, 429, -1003, "Too much", ErrorKind::RateLimited),
    ] {
        ask(&mut talk, id, Request::Place { key: key(1), spec: limit(100, 1) });
        let sent = frame(&mut talk);
        let answer = json!({
            "id": sent["id"], "status": status,
            "error": {"code": code, "msg": text,
                "data": {"serverTime": 1_000, "retryAfter": 3_500}},
        });
        talk.frame(&answer.to_string(), NOW);
        let news = news(&mut talk);
        let [News::Answered { outcome: Err(error), .. }] = &news[..] else { panic!("{news:?}") };
        assert_eq!((error.kind, error.retry_after_s), (kind, Some(3)));
    }
}

#[test]
fn what_was_said_on_a_lost_connection_has_no_known_outcome() {
    let mut talk = spot();
    ask(&mut talk, 3, Request::Place { key: key(1), spec: limit(100, 1) });
    talk.frames();
    talk.connection.protocol.disconnected(NOW, &mut talk.out);
    let told = news(&mut talk);
    assert_eq!(told[0], News::Offline);
    let News::Answered { outcome: Err(error), .. } = &told[1] else { panic!("{told:?}") };
    assert_eq!(error.kind, ErrorKind::OutcomeUnknown);
    // A withdrawal goes another way rather than wait.
    let cancel = Request::Cancel {
        key: key(1),
        venue_order_id: VenueText::from("77").unwrap(),
        instrument: INSTRUMENT,
    };
    ask(&mut talk, 4, cancel);
    let call = talk.calls.pop().unwrap();
    assert_eq!(call.method, Method::Delete);
    assert!(call.url.starts_with(
        "https://api.binance.com/api/v3/order?symbol=BTCUSDT&orderId=77&timestamp=1700000000123&signature="
    ));
    assert_eq!(call.headers, [("X-MBX-APIKEY", "testApiKey0123456789".to_owned())]);
    assert!(!format!("{call:?}").contains("testApiKey"), "keys are not shown");
    for (outcome, kind) in [
        (CallOutcome::NotSent { why: "too late" }, ErrorKind::NotSent),
        (CallOutcome::Lost, ErrorKind::OutcomeUnknown),
    ] {
        ask(&mut talk, 6, Request::Balances);
        let id = talk.calls.pop().unwrap().id;
        let answer = CallAnswer { id, outcome };
        talk.connection.protocol.answer(&answer, NOW, &mut talk.out);
        assert_eq!(answered(&mut talk).1, Err(kind));
    }
}

/// A frame that a connection did not take any more stayed open at the desk. The same request went over
/// REST; the end of the connection then told its outcome to be unknown, and its true answer was not
/// heard any more.
#[test]
fn what_was_never_said_is_answered_on_its_other_way_alone() {
    let mut talk = spot();
    ask(&mut talk, 3, Request::Place { key: key(1), spec: limit(100, 1) });
    talk.frames();
    talk.connection.protocol.unsent(RequestId(3));
    talk.connection.protocol.disconnected(NOW, &mut talk.out);
    assert_eq!(news(&mut talk), [News::Offline]);
    ask(&mut talk, 3, Request::Place { key: key(1), spec: limit(100, 1) });
    let call = talk.calls.pop().unwrap();
    talk.answer(&call, 200, &spot_order("NEW", "0").to_string(), NOW);
    let (request, outcome) = answered(&mut talk);
    assert!(matches!((request, &outcome), (3, Ok(Answer::Order(..)))), "{outcome:?}");
}

#[test]
fn a_silent_venue_is_not_waited_for_without_end() {
    let mut talk = spot();
    ask(&mut talk, 3, Request::Balances);
    assert_eq!(talk.timer(NOW), NOW.plus(10 * Nanos::SECOND));
    talk.timer(NOW.plus(11 * Nanos::SECOND));
    assert_eq!(answered(&mut talk), (3, Err(ErrorKind::OutcomeUnknown)));
}

fn report(fields: Value) -> String {
    let mut event = json!({
        "e": "executionReport", "E": 1_499_405_658_658_i64, "s": "BTCUSDT", "c": NAME, "S": "BUY",
        "o": "LIMIT", "f": "GTC", "q": "1.00000000", "p": "100.10000000", "P": "0.00000000",
        "g": -1, "C": "", "x": "NEW", "X": "NEW", "r": "NONE", "i": 4_293_153, "l": "0.00000000",
        "z": "0.00000000", "L": "0.00000000", "n": "0", "N": null, "T": 1_499_405_658_657_i64,
        "t": -1, "w": true, "m": false,
    });
    for (name, value) in fields.as_object().unwrap() {
        event[name] = value.clone();
    }
    json!({"subscriptionId": 0, "event": event}).to_string()
}

#[test]
fn reports_become_news() {
    let mut talk = spot();
    talk.frame(&report(json!({})), NOW);
    talk.frame(
        &report(json!({"x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.4", "z": "0.4",
            "L": "100.10", "n": "0.01", "N": "USDT", "t": 17, "m": true})),
        NOW,
    );
    // The cancel's own id stands where the order's stood before.
    talk.frame(
        &report(json!({"x": "CANCELED", "X": "CANCELED", "c": "web_1", "C": NAME, "z": "0.4"})),
        NOW,
    );
    talk.frame(
        &report(json!({"o": "STOP_LOSS_LIMIT", "P": "99.00", "w": false, "c": "tc7-2"})),
        NOW,
    );
    talk.frame(&report(json!({"c": "web_77", "X": "EXPIRED_IN_MATCH", "x": "EXPIRED"})), NOW);
    let news = news(&mut talk);
    let orders: Vec<_> = news
        .iter()
        .filter_map(|news| match news {
            News::Order(order) => Some((order.key, order.status, order.filled.0)),
            _ => None,
        })
        .collect();
    assert_eq!(
        orders,
        [
            (Some(key(1)), OrderStatus::Open, 0),
            (Some(key(1)), OrderStatus::Open, 40_000),
            (Some(key(1)), OrderStatus::Canceled, 40_000),
            (Some(key(2)), OrderStatus::Waiting, 0),
            (None, OrderStatus::Expired, 0),
        ]
    );
    // An execution comes before the state that it leads to.
    let News::Fill(fill) = &news[1] else { panic!("{news:?}") };
    assert_eq!((fill.trade_id, fill.price, fill.qty), (17, Price(10_010), Quantity(40_000)));
    assert_eq!((fill.role, fill.fee.to_string().as_str()), (Role::Maker, "0.01"));
}

#[test]
fn holdings_are_told_whole_and_an_ended_stream_is_opened_again() {
    let mut talk = spot();
    let position = json!({"subscriptionId": 0, "event": {"e": "outboundAccountPosition",
        "E": 2, "u": 1, "B": [{"a": "USDT", "f": "11818.5", "l": "182.5"},
            {"a": "XYZ", "f": "1", "l": "0"}]}});
    talk.frame(&position.to_string(), NOW);
    let told = news(&mut talk);
    let [News::Holding(holding)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((holding.asset.0, holding.total.to_string().as_str()), (1, "12001.0"));
    talk.frame(r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}"#, NOW);
    assert_eq!(news(&mut talk), [News::Offline]);
    assert_eq!(frame(&mut talk)["method"], "userDataStream.subscribe.signature");
    talk.frame(r#"{"event":{"e":"serverShutdown","E":1}}"#, NOW);
    assert!(talk.out.reconnect.is_some());
    talk.frame(r#"{"subscriptionId":0,"event":{"e":"somethingNew"}}"#, NOW);
    assert_eq!(talk.n_errors, 1);
}

#[test]
fn sessions_are_opened_with_keys_that_can() {
    let mut setup = setup(OrderEntry::Fastest);
    // Made for tests, RFC 8032.
    setup.credentials = Credentials::new(
        "edKey",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n",
    );
    let instruments = [instrument(0, "BTCUSDT", InstrumentKind::Spot, "0.01", "0.00001")];
    let venue = Binance::new(Product::Spot, &Environment::Testnet);
    let connection = venue.account(&listing(&instruments, &[]), &setup).unwrap().remove(0);
    assert_eq!((connection.address)().unwrap(), "wss://ws-api.testnet.binance.vision/ws-api/v3");
    let mut talk = Talk::new(connection);
    let frames = talk.open(NOW);
    assert!(frames[0].contains(r#""method":"session.logon""#) && frames[0].contains("signature"));
    talk.frame(r#"{"id":"logon","status":200,"result":{}}"#, NOW);
    assert_eq!(frame(&mut talk)["method"], "userDataStream.subscribe");
    ask(&mut talk, 1, Request::Balances);
    let sent = frame(&mut talk);
    assert_eq!(
        sent["params"],
        json!({"omitZeroBalances": "true", "timestamp": 1_700_000_000_123_i64})
    );
}

fn futures() -> (Talk, Talk) {
    let mut both = talks(Product::UsdMargined, OrderEntry::Fastest);
    let (private, mut orders) = (both.pop().unwrap(), both.pop().unwrap());
    assert_eq!(private.connection.purpose, Purpose::Private);
    assert!(orders.open(NOW).is_empty());
    (orders, private)
}

#[test]
fn futures_stops_go_to_their_own_service_and_are_found_there() {
    let (mut talk, _) = futures();
    let mut spec = limit(500_000, 10);
    spec.kind = OrderKind::StopLimit { trigger: Price(519_000), price: Price(520_000) };
    ask(&mut talk, 1, Request::Place { key: key(1), spec });
    let sent = frame(&mut talk);
    assert_eq!(sent["method"], "algoOrder.place");
    let params = &sent["params"];
    for (name, value) in [
        ("algoType", "CONDITIONAL"),
        ("type", "STOP"),
        ("clientAlgoId", NAME),
        ("triggerPrice", "51900"),
        ("price", "52000"),
        ("quantity", "0.01"),
    ] {
        assert_eq!(params[name], value, "{name}");
    }
    let algo = json!({"algoId": 3_000_000_000_003_505_i64, "clientAlgoId": NAME,
        "algoType": "CONDITIONAL", "orderType": "STOP", "symbol": "BTCUSDT", "side": "BUY",
        "positionSide": "BOTH", "timeInForce": "GTC", "quantity": "0.010", "algoStatus": "NEW",
        "triggerPrice": "51900.0", "price": "52000.0", "updateTime": 1_762_507_264_143_i64});
    talk.frame(&json!({"id": sent["id"], "status": 200, "result": algo}).to_string(), NOW);
    let (_, outcome) = answered(&mut talk);
    let Ok(Answer::Order(order, _)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(order.venue_order_id.as_str(), "a3000000000003505");
    assert_eq!((order.key, order.status), (Some(key(1)), OrderStatus::Waiting));
    // Asked by name only, both services are looked through.
    let query = Request::QueryOrder {
        key: key(1),
        venue_order_id: VenueText::new(),
        instrument: INSTRUMENT,
    };
    ask(&mut talk, 2, query);
    let sent = frame(&mut talk);
    assert_eq!(sent["method"], "order.status");
    let unknown = json!({"id": sent["id"], "status": 400,
        "error": {"code": -2013, "msg": "Order does not exist."}});
    talk.frame(&unknown.to_string(), NOW);
    assert!(news(&mut talk).is_empty());
    let call = talk.calls.pop().unwrap();
    assert!(call.url.contains("/fapi/v1/algoOrder?clientAlgoId=tc7-1&"), "{}", call.url);
    talk.answer(&call, 200, &algo.to_string(), NOW);
    assert!(matches!(answered(&mut talk), (2, Ok(Answer::Order(..)))));
    // And known to neither, it is unknown.
    let cancel = Request::Cancel {
        key: key(1),
        venue_order_id: order.venue_order_id,
        instrument: INSTRUMENT,
    };
    ask(&mut talk, 3, cancel);
    let sent = frame(&mut talk);
    assert_eq!(sent["method"], "algoOrder.cancel");
    assert_eq!(sent["params"]["algoId"], 3_000_000_000_003_505_i64);
    for _ in 0..2 {
        let id = sent["id"].as_u64().unwrap();
        let error = json!({"code": -2011, "msg": "Unknown order sent."});
        talk.frame(&json!({"id": id, "status": 400, "error": error}).to_string(), NOW);
        if let Some(next) = talk.frames().first() {
            let next: Value = serde_json::from_str(next).unwrap();
            assert_eq!(next["method"], "order.cancel");
            let refused = json!({"id": next["id"], "status": 400, "error": error});
            talk.frame(&refused.to_string(), NOW);
        }
    }
    assert_eq!(answered(&mut talk), (3, Err(ErrorKind::UnknownOrder)));
}

#[test]
fn futures_lists_are_put_together_of_both_services() {
    let (mut talk, _) = futures();
    ask(&mut talk, 4, Request::OpenOrders { instrument: None });
    let plain = json!([{"avgPrice": "0", "clientOrderId": NAME, "executedQty": "0.001",
        "orderId": 1_917_641, "origQty": "0.40", "origType": "LIMIT", "price": "9300.1",
        "reduceOnly": false, "side": "BUY", "positionSide": "BOTH", "status": "PARTIALLY_FILLED",
        "stopPrice": "0", "symbol": "BTCUSDT", "timeInForce": "GTC", "type": "LIMIT",
        "updateTime": 1_579_276_756_075_i64}]);
    let algos = json!([{"algoId": 5, "clientAlgoId": "tc7-2", "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "algoStatus": "NEW",
        "triggerPrice": "9000.0", "price": "0", "actualOrderId": "", "updateTime": 1}]);
    let calls = std::mem::take(&mut talk.calls);
    assert_eq!(calls.len(), 2);
    assert!(calls[1].url.contains("/fapi/v1/openAlgoOrders?"));
    talk.answer(&calls[1], 200, &algos.to_string(), NOW);
    assert!(news(&mut talk).is_empty());
    talk.answer(&calls[0], 200, &plain.to_string(), NOW);
    let (_, outcome) = answered(&mut talk);
    let Ok(Answer::Orders(orders)) = outcome else { panic!("{outcome:?}") };
    let keys: Vec<_> = orders.iter().map(|order| order.key).collect();
    assert_eq!(keys, [Some(key(2)), Some(key(1))]);
    assert_eq!(orders[0].kind, OrderKind::Stop { trigger: Price(90_000) });
}

#[test]
fn futures_settings_and_amendments_find_their_words() {
    let (mut talk, _) = futures();
    let amend = Request::Amend {
        key: key(1),
        venue_order_id: VenueText::from("123456789").unwrap(),
        spec: limit(500_000, 1),
        price: Price(501_000),
        qty: Quantity(2),
    };
    ask(&mut talk, 1, amend);
    let sent = frame(&mut talk);
    assert_eq!(sent["method"], "order.modify");
    assert_eq!(sent["params"]["orderId"], 123_456_789);
    assert_eq!(
        (&sent["params"]["price"], &sent["params"]["quantity"]),
        (&json!("50100"), &json!("0.002"))
    );
    for (request, path) in [
        (
            Request::SetLeverage { instrument: INSTRUMENT, leverage: 10 },
            "/leverage?symbol=BTCUSDT&leverage=10&",
        ),
        (
            Request::SetMarginMode { instrument: INSTRUMENT, isolated: true },
            "/marginType?symbol=BTCUSDT&marginType=ISOLATED&",
        ),
        (Request::SetHedgeMode { hedge: false }, "/positionSide/dual?dualSidePosition=false&"),
    ] {
        ask(&mut talk, 2, request);
        let call = talk.calls.pop().unwrap();
        assert!(call.url.contains(path), "{}", call.url);
        // As it was is as it is wanted.
        talk.answer(&call, 400, r#"{"code":-4046,"msg":"No need to change margin type."}"#, NOW);
        assert_eq!(answered(&mut talk), (2, Ok(Answer::Done)));
    }
}

#[test]
fn a_refused_key_is_told_and_not_tried_again_soon() {
    let mut talk = talks(Product::Spot, OrderEntry::Fastest).remove(0);
    let mut say = |error: &str| {
        talk.open(NOW);
        talk.frame(&format!(r#"{{"id":"events","status":400,"error":{error}}}"#), NOW);
        assert!(talk.out.reconnect.take().is_some());
        let is_refused = std::mem::take(&mut talk.out.is_refused);
        talk.connection.protocol.disconnected(NOW, &mut talk.out);
        (is_refused, news(&mut talk))
    };
    assert_eq!(say(r#"{"code":-1003,"msg":"Too many requests."}"#), (false, vec![]));
    for code in [-1022, -2014, -2015] {
        let (is_refused, told) = say(&format!(r#"{{"code":{code},"msg":"No."}}"#));
        let [News::Refused(error)] = &told[..] else { panic!("{told:?}") };
        assert!(is_refused);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Auth, &*code.to_string()));
    }
    let (_, mut talk) = futures();
    talk.timer(NOW);
    let call = talk.calls.pop().unwrap();
    let body = r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#;
    talk.answer(&call, 401, body, NOW);
    assert!(
        matches!(&news(&mut talk)[..], [News::Refused(error)] if error.kind == ErrorKind::Auth)
    );
    let next = talk.timer(NOW);
    assert_eq!(next, NOW.plus(15 * Nanos::MINUTE));
    talk.timer(next);
    assert_eq!(talk.calls.pop().unwrap().method, Method::Post, "it may have been mended");
}

#[test]
fn a_listen_key_is_fetched_kept_and_fetched_anew() {
    let (_, mut talk) = futures();
    assert_eq!((talk.connection.address)(), None);
    talk.timer(NOW);
    let call = talk.calls.pop().unwrap();
    assert_eq!(
        (call.method, call.url.as_str()),
        (Method::Post, "https://fapi.binance.com/fapi/v1/listenKey")
    );
    talk.timer(NOW);
    assert!(talk.calls.is_empty(), "asked for once");
    talk.answer(&call, 503, "", NOW);
    let next = talk.timer(NOW);
    assert_eq!(next, NOW.plus(Nanos::SECOND));
    talk.timer(next);
    let call = talk.calls.pop().unwrap();
    talk.answer(&call, 200, r#"{"listenKey":"pqia91"}"#, next);
    assert_eq!(
        (talk.connection.address)().unwrap(),
        "wss://fstream.binance.com/private/ws?listenKey=pqia91"
    );
    talk.open(next);
    assert_eq!(news(&mut talk), [News::Online]);
    let later = talk.timer(next);
    assert_eq!(later, next.plus(30 * Nanos::MINUTE));
    talk.timer(later);
    let call = talk.calls.pop().unwrap();
    assert_eq!(call.method, Method::Put);
    talk.answer(&call, 200, "{}", later);
    assert!(talk.out.reconnect.is_none());
    talk.frame(r#"{"e":"listenKeyExpired","E":1,"listenKey":"pqia91"}"#, later);
    assert!(talk.out.reconnect.take().is_some());
    assert_eq!((talk.connection.address)(), None);
    talk.connection.protocol.disconnected(later, &mut talk.out);
    assert_eq!(news(&mut talk), [News::Offline]);
    talk.timer(later);
    assert_eq!(talk.calls.pop().unwrap().method, Method::Post);
}

/// One refused call to keep the key alive, such as a 429 or a 503 in a busy minute, tore a healthy
/// private stream down, half an hour before the key would have expired.
#[test]
fn a_listen_key_outlives_a_busy_venue() {
    let keep = |status: u16, body: &str| {
        let (_, mut talk) = futures();
        talk.timer(NOW);
        let call = talk.calls.pop().unwrap();
        talk.answer(&call, 200, r#"{"listenKey":"pqia91"}"#, NOW);
        talk.open(NOW);
        let later = talk.timer(NOW);
        talk.timer(later);
        let call = talk.calls.pop().unwrap();
        let outcome =
            CallOutcome::Answered { status, body: body.as_bytes(), retry_after_s: Some(7) };
        let answer = CallAnswer { id: call.id, outcome };
        talk.connection.protocol.answer(&answer, later, &mut talk.out);
        (talk, later)
    };
    for (status, body) in [
        (429, r#"{"code":-1003,"msg":"Too many requests."}"#),
        (503, ""),
        (400, r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#),
    ] {
        let (mut talk, later) = keep(status, body);
        assert!(talk.out.reconnect.is_none(), "{status}");
        assert!((talk.connection.address)().is_some());
        let next = talk.timer(later);
        assert_eq!(next, later.plus(7 * Nanos::SECOND), "as the venue has asked");
        talk.timer(next);
        assert_eq!(talk.calls.pop().unwrap().method, Method::Put);
    }
    for (status, code) in [(400, -1125), (401, -2015)] {
        let (talk, _) = keep(status, &format!(r#"{{"code":{code},"msg":"No."}}"#));
        assert!(talk.out.reconnect.is_some(), "{code}");
        assert_eq!((talk.connection.address)(), None);
    }
}

#[test]
fn a_lack_of_margin_is_told() {
    let (_, mut talk) = futures();
    talk.open(NOW);
    news(&mut talk);
    let position = |symbol: &str| json!({"s": symbol, "ps": "BOTH", "pa": "1.3", "mm": "1.6"});
    let event = json!({"e": "MARGIN_CALL", "E": 1, "cw": "3.1",
        "p": [position("BTCUSDT"), position("XYZUSDT")]});
    talk.frame(&event.to_string(), NOW);
    let told = news(&mut talk);
    assert_eq!(told, [News::MarginCall(Some(INSTRUMENT)), News::MarginCall(None)]);
    talk.frame(r#"{"e":"MARGIN_CALL","E":1}"#, NOW);
    assert_eq!(news(&mut talk), [News::MarginCall(None)]);
}

#[test]
fn futures_events_become_news() {
    let (_, mut talk) = futures();
    talk.open(NOW);
    news(&mut talk);
    for event in [
        json!({"e": "TRADE_LITE", "E": 1, "T": 1, "s": "BTCUSDT", "q": "0.001", "p": "0",
            "m": false, "c": NAME, "S": "BUY", "L": "64089.20", "l": "0.040", "t": 1, "i": 2}),
        json!({"e": "ORDER_TRADE_UPDATE", "E": 2, "T": 3, "o": {"s": "BTCUSDT", "c": NAME,
            "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "0.010", "p": "64089.2", "sp": "0",
            "x": "TRADE", "X": "FILLED", "i": 8_886_774, "l": "0.010", "z": "0.010",
            "L": "64089.2", "N": "USDT", "n": "0.25", "T": 3, "t": 99, "m": false, "ps": "BOTH"}}),
        json!({"stream": "x", "data": {"e": "ACCOUNT_UPDATE", "E": 4, "T": 5, "a": {"m": "ORDER",
            "B": [{"a": "USDT", "wb": "122624.12", "cw": "1", "bc": "0"}],
            "P": [{"s": "BTCUSDT", "pa": "-0.010", "ep": "64089.2", "ps": "BOTH"},
                {"s": "BTCUSDT", "pa": "1", "ep": "1", "ps": "LONG"}]}}}),
        json!({"e": "ALGO_UPDATE", "T": 6, "E": 7, "o": {"caid": "tc7-2", "aid": 2_148_719,
            "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT", "S": "SELL", "ps": "BOTH",
            "f": "GTC", "q": "0.01", "X": "TRIGGERED", "ai": "8886775", "ap": "0", "aq": "0",
            "tp": "63000", "p": "0"}}),
    ] {
        talk.frame(&event.to_string(), NOW);
    }
    assert_eq!(talk.n_errors, 0, "{:?}", talk.errors);
    let news = news(&mut talk);
    let [
        News::Fill(fill),
        News::Order(order),
        News::Holding(holding),
        News::Position(position),
        News::Order(algo),
    ] = &news[..]
    else {
        panic!("{news:?}")
    };
    assert_eq!((fill.key, fill.trade_id, fill.price), (Some(key(1)), 99, Price(640_892)));
    assert_eq!((order.status, order.filled), (OrderStatus::Filled, Quantity(10)));
    assert_eq!(holding.total.to_string(), "122624.12");
    assert_eq!((position.qty, position.price), (Quantity(-10), Price(640_892)));
    assert_eq!((algo.key, algo.status), (Some(key(2)), OrderStatus::Open));
    assert_eq!(algo.venue_order_id.as_str(), "8886775");
}

#[test]
fn executions_come_in_pages() {
    let mut talk = talks(Product::Spot, OrderEntry::Rest).remove(0);
    talk.open(NOW);
    talk.frames();
    ask(&mut talk, 1, Request::Fills { instrument: INSTRUMENT, since: FillCursor::After(28_456) });
    let call = talk.calls.pop().unwrap();
    assert!(call.url.contains("/api/v3/myTrades?symbol=BTCUSDT&fromId=28457&limit=1000&"));
    let trade = |id: u64| {
        json!({"symbol": "BTCUSDT", "id": id, "orderId": 100_234, "price": "4.01", "qty": "12.0",
            "commission": "10.1", "commissionAsset": "BNB", "time": 1_499_865_549_590_i64,
            "isBuyer": true, "isMaker": false, "isBestMatch": true})
    };
    let page: Vec<_> = (0..1_000).map(|n| trade(29_999 - n)).collect();
    talk.answer(&call, 200, &json!(page).to_string(), NOW);
    let Ok(Answer::Fills(fills, more)) = answered(&mut talk).1 else { panic!() };
    assert!(more && fills.len() == 1_000);
    assert!(fills.is_sorted_by_key(|fill| fill.trade_id), "oldest first");
}

/// The venue's five messages a second are those of a market stream. Held against an account's
/// requests they refused nine of ten orders of a market maker as too many.
#[test]
fn orders_are_not_counted_as_messages_of_a_stream() {
    for product in [Product::Spot, Product::UsdMargined] {
        for talk in talks(product, OrderEntry::Fastest) {
            assert!(talk.connection.manners.messages_per_s >= 300, "{product:?}");
        }
    }
}
