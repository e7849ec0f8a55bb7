//! Spot over HTTP and over its WebSocket API.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tercel_exchange::dialect::binance::Credential;
use tercel_exchange::http::Request;

use crate::rig::{Rig, sign};

const ORDER: &str = "/api/v3/order";

fn limit(side: &str, quantity: &str, price: &str) -> String {
    format!(
        "symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}"
    )
}

#[test]
fn refusals_have_the_venues_codes_and_words() {
    let mut rig = Rig::still();
    for (params, code, msg) in [
        (limit("BUY", "0.000001", "60000"), -1013, "Filter failure: LOT_SIZE"),
        (limit("BUY", "0.00001", "60000"), -1013, "Filter failure: NOTIONAL"),
        (limit("BUY", "0.01", "60000.001"), -1013, "Filter failure: PRICE_FILTER"),
        (limit("BUY", "0.01", "600"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (
            limit("BUY", "9", "60000"),
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        (
            limit("BUY", "0.123456789", "60000"),
            -1111,
            "Parameter 'quantity' has too much precision.",
        ),
        (
            limit("BUY", "1e-2", "60000"),
            -1100,
            "Illegal characters found in parameter 'quantity'; legal range is \
             '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
        ),
        (limit("HOLD", "0.01", "60000"), -1117, "Invalid side."),
        ("symbol=NOPE&side=BUY&type=MARKET&quantity=1".to_owned(), -1121, "Invalid symbol."),
        (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=60000".to_owned(),
            -1102,
            "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
        ),
        (
            "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&price=60000".to_owned(),
            -1106,
            "Parameter 'price' sent when not required.",
        ),
        (
            "symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.01&stopPrice=70000".to_owned(),
            -2010,
            "Stop price would trigger immediately.",
        ),
    ] {
        let expected = (400, code, msg.to_owned());
        assert_eq!(rig.bad("POST", ORDER, &params), expected, "{params}");
    }
    let unknown = (400, -2011, "Unknown order sent.".to_owned());
    assert_eq!(rig.bad("DELETE", ORDER, "symbol=BTCUSDT&orderId=5"), unknown);
    let missing = (400, -2013, "Order does not exist.".to_owned());
    assert_eq!(rig.bad("GET", ORDER, "symbol=BTCUSDT&origClientOrderId=x"), missing);
    rig.good("POST", ORDER, &format!("{}&newClientOrderId=twin", limit("BUY", "0.01", "50000")));
    let twin = format!("{}&newClientOrderId=twin", limit("BUY", "0.01", "50000"));
    assert_eq!(rig.bad("POST", ORDER, &twin), (400, -2010, "Duplicate order sent.".to_owned()));
    // What was refused has left nothing behind.
    assert_eq!(rig.good("GET", "/api/v3/openOrders", "").as_array().unwrap().len(), 1);
}

#[test]
fn a_request_is_checked_before_it_is_read() {
    let mut rig = Rig::still();
    let mut code = |request: Request| {
        let response = rig.request(&request).response().unwrap();
        let body: Value = serde_json::from_str(&response.body).unwrap();
        (response.status, body["code"].as_i64().unwrap())
    };
    let ms = 1_780_000_020_000_i64;
    let signed = |payload: &str| {
        Request::new("GET", &format!("/api/v3/account?{payload}&signature={}", sign(payload)))
    };
    let now = format!("timestamp={ms}");
    assert_eq!(code(Request::new("GET", "/api/v3/account")), (401, -2014));
    assert_eq!(code(signed(&now).with_header("X-MBX-APIKEY", "stranger")), (401, -2015));
    let known = |request: Request| request.with_header("X-MBX-APIKEY", "demo");
    assert_eq!(code(known(Request::new("GET", "/api/v3/account"))), (400, -1102));
    let forged = Request::new("GET", &format!("/api/v3/account?{now}&signature=abcd"));
    assert_eq!(code(known(forged)), (400, -1022));
    assert_eq!(code(known(signed(&format!("timestamp={}", ms - 5_001)))), (400, -1021));
    assert_eq!(code(known(signed(&format!("timestamp={}", ms + 1_000)))), (400, -1021));
    let wide = format!("recvWindow=60000&timestamp={}", ms - 50_000);
    let response = rig.request(&known(signed(&wide))).response().unwrap();
    assert_eq!(response.status, 200);
}

#[test]
fn money_is_locked_moved_and_freed() {
    let mut rig = Rig::still();
    let balances = |rig: &mut Rig| -> Vec<[String; 3]> {
        let account = rig.good("GET", "/api/v3/account", "omitZeroBalances=true");
        let listed = account["balances"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        listed.iter().map(|b| [text(&b["asset"]), text(&b["free"]), text(&b["locked"])]).collect()
    };
    let order = rig.good("POST", ORDER, &limit("BUY", "1", "50000"));
    assert_eq!(balances(&mut rig)[1], ["USDT", "50000.00000000", "50000.00000000"]);
    // Somebody sells cheaper: the order gets its own price and pays in what it gets.
    rig.crowd("spot", "SELL", "49000", "0.4");
    let found = rig.good("GET", ORDER, &format!("symbol=BTCUSDT&orderId={}", order["orderId"]));
    assert_eq!(found["status"], "PARTIALLY_FILLED");
    assert_eq!(found["cummulativeQuoteQty"], "20000.00000000");
    assert_eq!(
        balances(&mut rig),
        [
            ["BTC", "10.39960000", "0.00000000"].map(str::to_owned),
            ["USDT", "50000.00000000", "30000.00000000"].map(str::to_owned),
        ]
    );
    let gone = rig.good("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT");
    assert_eq!(gone[0]["status"], "CANCELED");
    assert_eq!(balances(&mut rig)[1], ["USDT", "80000.00000000", "0.00000000"]);
    let fills = rig.good("GET", "/api/v3/myTrades", "symbol=BTCUSDT");
    assert_eq!(fills[0]["commission"], "0.00040000");
    assert_eq!((&fills[0]["commissionAsset"], &fills[0]["isMaker"]), (&json!("BTC"), &json!(true)));
}

#[test]
fn times_in_force_end_as_they_should() {
    let mut rig = Rig::still();
    rig.good("POST", ORDER, &limit("SELL", "0.5", "61000"));
    let mut place = |params: &str| {
        let order = rig.good("POST", ORDER, &format!("{params}&selfTradePreventionMode=NONE"));
        (
            order["status"].as_str().unwrap().to_owned(),
            order["executedQty"].as_str().unwrap().to_owned(),
            order["expiryReason"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let expected = |status: &str, executed: &str, reason: &str| {
        (status.to_owned(), executed.to_owned(), reason.to_owned())
    };
    let buy = |tif: &str, qty: &str| {
        format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce={tif}&quantity={qty}&price=61000")
    };
    assert_eq!(
        place(&buy("FOK", "0.6")),
        expected("EXPIRED", "0.00000000", "UNFILLED_FOK_ORDER_EXPIRED")
    );
    assert_eq!(
        place(&buy("IOC", "0.6")),
        expected("EXPIRED", "0.50000000", "UNFILLED_IOC_QUANTITY_EXPIRED")
    );
    assert_eq!(
        place("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1"),
        expected("EXPIRED", "0.00000000", "INSUFFICIENT_LIQUIDITY")
    );
}

#[test]
fn a_pair_ends_when_one_of_it_begins() {
    let mut rig = Rig::still();
    let pair = "symbol=BTCUSDT&side=SELL&quantity=1&aboveType=LIMIT_MAKER&abovePrice=65000&\
                belowType=STOP_LOSS_LIMIT&belowStopPrice=55000&belowPrice=54000&\
                belowTimeInForce=GTC&listClientOrderId=pair";
    let list = rig.good("POST", "/api/v3/orderList/oco", pair);
    assert_eq!(list["listOrderStatus"], "EXECUTING");
    let account = rig.good("GET", "/api/v3/account", "omitZeroBalances=true");
    assert_eq!(account["balances"][0]["locked"], "1.00000000", "once for both");
    rig.crowd("spot", "BUY", "65000", "0.25");
    let list = rig.good("GET", "/api/v3/orderList", "origClientOrderId=pair");
    let statuses: Vec<_> = list["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| {
            let params = format!("symbol=BTCUSDT&orderId={}", order["orderId"]);
            rig.good("GET", ORDER, &params)["status"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(statuses, ["EXPIRED", "PARTIALLY_FILLED"]);
    let wrong = pair.replace("55000", "66000").replace("pair", "wrong");
    let msg = "The relationship of the prices for the orders is not correct.";
    assert_eq!(rig.bad("POST", "/api/v3/orderList/oco", &wrong), (400, -2010, msg.to_owned()));
}

#[test]
fn an_order_that_fills_places_the_next_ones() {
    let mut rig = Rig::still();
    let params = "symbol=BTCUSDT&workingType=LIMIT&workingSide=BUY&workingPrice=59000&\
                  workingQuantity=0.5&workingTimeInForce=GTC&pendingSide=SELL&\
                  pendingQuantity=0.4&pendingAboveType=LIMIT_MAKER&pendingAbovePrice=62000&\
                  pendingBelowType=STOP_LOSS&pendingBelowStopPrice=57000";
    let list = rig.good("POST", "/api/v3/orderList/otoco", params);
    let statuses = |rig: &mut Rig| -> Vec<String> {
        let open = rig.good("GET", "/api/v3/openOrders", "symbol=BTCUSDT");
        let mut of: Vec<_> = open
            .as_array()
            .unwrap()
            .iter()
            .map(|order| format!("{} {}", order["type"], order["status"]).replace('"', ""))
            .collect();
        of.sort();
        of
    };
    assert_eq!(
        statuses(&mut rig),
        ["LIMIT NEW", "LIMIT_MAKER PENDING_NEW", "STOP_LOSS PENDING_NEW"]
    );
    rig.crowd("spot", "SELL", "59000", "0.5");
    assert_eq!(statuses(&mut rig), ["LIMIT_MAKER NEW", "STOP_LOSS NEW"]);
    // The price falls to the stop, and somebody is there to buy what it sells.
    rig.good("POST", ORDER, &limit("BUY", "0.1", "57000"));
    rig.crowd("spot", "SELL", "57000", "0.05");
    let id = list["orders"][2]["orderId"].clone();
    let above = rig.good("GET", ORDER, &format!("symbol=BTCUSDT&orderId={id}"));
    assert_eq!(above["status"], "EXPIRED");
    assert_eq!(above["expiryReason"], "OCO_TRIGGER");
}

#[test]
fn one_order_is_replaced_by_another_or_neither() {
    let mut rig = Rig::still();
    let order = rig.good("POST", ORDER, &limit("BUY", "0.1", "50000"));
    let replace = |id: &Value, price: &str, mode: &str| {
        format!("{}&cancelReplaceMode={mode}&cancelOrderId={id}", limit("BUY", "0.1", price))
    };
    const PATH: &str = "/api/v3/order/cancelReplace";
    let done = rig.good("POST", PATH, &replace(&order["orderId"], "51000", "STOP_ON_FAILURE"));
    assert_eq!(done["newOrderResponse"]["price"], "51000.00000000");
    let again = replace(&order["orderId"], "52000", "STOP_ON_FAILURE");
    let response = rig.send("POST", PATH, &again);
    let body: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!((response.status, &body["code"]), (400, &json!(-2022)));
    assert_eq!(body["data"]["newOrderResult"], "NOT_ATTEMPTED");
    let again = replace(&order["orderId"], "52000", "ALLOW_FAILURE");
    let response = rig.send("POST", PATH, &again);
    let body: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!((response.status, &body["code"]), (409, &json!(-2021)));
    assert_eq!(body["data"]["cancelResponse"]["code"], -2011);
    assert_eq!(body["data"]["newOrderResult"], "SUCCESS");
}

#[test]
fn a_smaller_order_keeps_its_place() {
    let mut rig = Rig::still();
    let first = rig.good("POST", ORDER, &limit("BUY", "0.5", "50000"));
    rig.good("POST", ORDER, &limit("BUY", "0.5", "50000"));
    const PATH: &str = "/api/v3/order/amend/keepPriority";
    let params = |qty: &str| format!("symbol=BTCUSDT&orderId={}&newQty={qty}", first["orderId"]);
    let amended = rig.good("PUT", PATH, &params("0.2"));
    assert_eq!(amended["amendedOrder"]["qty"], "0.20000000");
    let growth = "Order amend (quantity increase) is not supported.".to_owned();
    assert_eq!(rig.bad("PUT", PATH, &params("0.3")), (400, -2038, growth));
    rig.crowd("spot", "SELL", "50000", "0.3");
    let fills = rig.good("GET", "/api/v3/myTrades", "symbol=BTCUSDT");
    let traded: Vec<_> = fills.as_array().unwrap().iter().map(|fill| &fill["qty"]).collect();
    assert_eq!(traded, ["0.20000000", "0.10000000"]);
    assert_eq!(fills[0]["orderId"], first["orderId"]);
}

#[test]
fn a_session_does_what_http_does() {
    let mut rig = Rig::still();
    let conn = rig.open("/ws-api/v3");
    let order = json!({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                       "quantity": "0.1", "price": "50000", "newClientOrderId": "übrig"});
    let params = rig.signed_params(order.clone());
    let answer = rig.ask(conn, &json!({"id": 1, "method": "order.place", "params": params}));
    assert_eq!(answer["error"]["code"], -1100, "the name has a letter too many: {answer}");
    let mut plain = order;
    plain["newClientOrderId"] = "mine".into();
    let params = rig.signed_params(plain);
    let answer = rig.ask(conn, &json!({"id": 2, "method": "order.place", "params": params}));
    assert_eq!((&answer["status"], &answer["result"]["status"]), (&json!(200), &json!("NEW")));
    let limits = answer["rateLimits"].as_array().unwrap();
    assert_eq!(limits[0]["rateLimitType"], "ORDERS");
    let mut forged = rig.signed_params(json!({"symbol": "BTCUSDT", "origClientOrderId": "mine"}));
    forged["signature"] = "00".into();
    let answer = rig.ask(conn, &json!({"id": 3, "method": "order.status", "params": forged}));
    assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!(400), &json!(-1022)));
    let params = rig.signed_params(json!({"symbol": "BTCUSDT", "origClientOrderId": "mine"}));
    let answer = rig.ask(conn, &json!({"id": 4, "method": "order.cancel", "params": params}));
    assert_eq!(answer["result"]["status"], "CANCELED");
    let answer = rig.ask(conn, &json!({"id": "t", "method": "time"}));
    assert_eq!(answer["result"]["serverTime"], rig.ms());
    let answer = rig.ask(conn, &json!({"id": 5, "method": "order.dream"}));
    assert_eq!(answer["error"]["code"], -1020);
}

#[test]
fn who_asks_too_much_waits() {
    let mut rig = Rig::still();
    rig.control(
        "POST",
        "/control/settings",
        &json!({"spot_weight": 50, "patience": 1,
                                                      "spot_orders_10s": 2}),
    );
    for _ in 0..2 {
        rig.good("GET", "/api/v3/account", "");
    }
    let response = rig.send("GET", "/api/v3/account", "");
    assert_eq!(response.status, 429);
    assert_eq!(response.header("Retry-After"), Some("60"), "the window ends with the minute");
    assert_eq!(response.header("X-MBX-USED-WEIGHT-1M"), Some("60"));
    assert_eq!(rig.send("GET", "/api/v3/account", "").status, 418);
    rig.pass(121_000);
    for _ in 0..2 {
        let response = rig.send("POST", ORDER, &limit("BUY", "0.01", "50000"));
        assert_eq!(response.status, 200, "{}", response.body);
        assert_eq!(response.header("x-mbx-used-weight-1m"), Some("0"), "what is accepted is free");
    }
    let refused = rig.bad("POST", ORDER, &limit("BUY", "0.01", "50000"));
    let msg = "Too many new orders; current limit is 2 orders per 10 SECOND.".to_owned();
    assert_eq!(refused, (429, -1015, msg));
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |group: &[u8]| {
        let value = group.iter().fold(0, |value, bit| value << 1 | usize::from(*bit));
        char::from(LETTERS[value << (6 - group.len())])
    };
    let mut text: String = bits.chunks(6).map(letter).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[test]
fn a_session_is_opened_by_an_ed25519_key() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let mut der = vec![48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];
    der.extend_from_slice(pair.public_key().as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der));
    let credential = Credential::from_pem(&pem).unwrap();
    assert_eq!(Credential::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n"), None);
    let mut rig = Rig::with_key("ed", credential);
    let conn = rig.open("/ws-api/v3");
    let payload = format!("apiKey=ed&timestamp={}", rig.ms());
    let params = json!({"apiKey": "ed", "timestamp": rig.ms(),
                        "signature": base64(pair.sign(payload.as_bytes()).as_ref())});
    let logon = json!({"id": 1, "method": "session.logon", "params": params});
    assert_eq!(rig.ask(conn, &logon)["result"]["apiKey"], "ed");
    // From here on neither key nor signature is needed.
    let order = json!({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                       "quantity": "0.1", "price": "50000", "timestamp": rig.ms()});
    let answer = rig.ask(conn, &json!({"id": 2, "method": "order.place", "params": order}));
    assert_eq!(answer["status"], 200, "{answer}");
    let answer = rig.ask(conn, &json!({"id": 3, "method": "userDataStream.subscribe"}));
    assert_eq!(answer["result"]["subscriptionId"], 0);
    rig.ask(conn, &json!({"id": 4, "method": "session.logout"}));
    let answer = rig.ask(
        conn,
        &json!({"id": 5, "method": "account.status",
                                       "params": {"timestamp": rig.ms()}}),
    );
    assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!(401), &json!(-2014)));
    // A shared secret opens no session.
    let params = rig.signed_params(json!({}));
    let answer = rig.ask(conn, &json!({"id": 6, "method": "session.logon", "params": params}));
    assert_eq!(answer["status"], 401);
}
