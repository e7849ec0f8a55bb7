//! What goes wrong on purpose, and what the exchange's own books say about it.

use serde_json::{Value, json};
use tercel_exchange::Answer;
use tercel_exchange::dialect::Payload;
use tercel_exchange::http::Request;

use crate::rig::Rig;

const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=50000";

fn n_orders(rig: &mut Rig) -> usize {
    let books = rig.control("GET", "/control/books", &Value::Null);
    books["spot"]["accounts"]["demo"]["orders"].as_array().unwrap().len()
}

#[test]
fn a_request_that_fails_was_executed_or_not_as_switched() {
    let mut rig = Rig::still();
    let cases = [("status", false), ("silence", true), ("break", true), ("status", true)];
    for (n, (fate, executes)) in cases.into_iter().enumerate() {
        let before = n_orders(&mut rig);
        let rule = json!({"match": "POST /api/v3/order", "fate": fate, "executes": executes,
                          "status": 504, "count": 1});
        rig.control("POST", "/control/faults", &json!({"requests": [rule]}));
        let request =
            rig.signed("POST", "/api/v3/order", &format!("{ORDER}&newClientOrderId=n{n}"));
        match (fate, rig.request(&request)) {
            ("silence", Answer::Silence) | ("break", Answer::Broken) => {}
            ("status", Answer::Reply { response, .. }) => {
                assert_eq!(response.status, 504);
                assert!(response.body.contains("-1007"), "{}", response.body);
            }
            (_, other) => panic!("{fate}: {other:?}"),
        }
        assert_eq!(n_orders(&mut rig) - before, usize::from(executes), "{fate} {executes}");
        // The next one is served again.
        rig.good("GET", "/api/v3/account", "");
    }
}

#[test]
fn a_session_request_can_be_executed_unheard() {
    let mut rig = Rig::still();
    let conn = rig.open("/ws-api/v3");
    let place = |rig: &mut Rig| {
        let params = rig.signed_params(json!({
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.1", "price": "50000",
        }));
        rig.say(conn, &json!({"id": 9, "method": "order.place", "params": params}));
        rig.heard(conn)
    };
    let rule = |fate: &str, executes: bool| {
        json!({"requests": [{"match": "WS order.place", "fate": fate, "executes": executes,
                             "count": 1}]})
    };
    rig.control("POST", "/control/faults", &rule("silence", true));
    assert_eq!(place(&mut rig), Vec::<Value>::new());
    assert_eq!(n_orders(&mut rig), 1);
    rig.control("POST", "/control/faults", &rule("status", false));
    let answer = &place(&mut rig)[0];
    assert_eq!((&answer["id"], &answer["status"]), (&json!(9), &json!(503)));
    assert_eq!(n_orders(&mut rig), 1);
    rig.control("POST", "/control/faults", &rule("break", true));
    place(&mut rig);
    assert!(rig.frames.iter().any(|frame| frame.payload == Payload::Close(1006)));
    assert_eq!(n_orders(&mut rig), 2);
}

#[test]
fn messages_are_lost_doubled_late_and_in_disorder() {
    let mut rig = Rig::seeded();
    let conn = rig.open("/ws/btcusdt@bookTicker");
    let run = |rig: &mut Rig, switches: Value| -> Vec<u64> {
        rig.control("POST", "/control/faults", &json!({"streams": switches}));
        rig.site.on_ws_pong(rig.now, conn);
        let mut numbers = Vec::new();
        for _ in 0..200 {
            rig.pass(100);
            numbers.extend(rig.heard(conn).iter().map(|message| message["u"].as_u64().unwrap()));
        }
        rig.control("DELETE", "/control/faults", &Value::Null);
        numbers
    };
    let is_sorted = |numbers: &[u64]| numbers.windows(2).all(|pair| pair[0] < pair[1]);
    let calm = run(&mut rig, json!({}));
    assert!(calm.len() > 50 && is_sorted(&calm));
    let lossy = run(&mut rig, json!({"drop_ppm": 900_000}));
    assert!(lossy.len() * 3 < calm.len() && is_sorted(&lossy));
    let doubled = run(&mut rig, json!({"duplicate_ppm": 500_000}));
    assert!(doubled.windows(2).any(|pair| pair[0] == pair[1]));
    assert_eq!(run(&mut rig, json!({"stall": true})), Vec::<u64>::new());
    let for_users = run(&mut rig, json!({"stall": true, "only": "user"}));
    assert!(!for_users.is_empty(), "market data flows");
    let disordered = run(&mut rig, json!({"reorder_ppm": 200_000}));
    assert!(disordered.windows(2).any(|pair| pair[0] > pair[1]));
}

#[test]
fn a_venue_under_maintenance_serves_nobody() {
    let mut rig = Rig::still();
    let conn = rig.open("/ws/btcusdt@trade");
    rig.control("POST", "/control/faults", &json!({"maintenance": true}));
    assert_eq!(rig.heard(conn)[0]["e"], "serverShutdown");
    assert!(rig.frames.iter().any(|frame| matches!(frame.payload, Payload::Close(_))));
    assert_eq!(rig.send("GET", "/api/v3/account", "").status, 503);
    let refused = rig.site.on_ws_open(rig.now, &Request::new("GET", "/ws"));
    assert_eq!(refused.unwrap_err().status, 503);
    rig.control("DELETE", "/control/faults", &Value::Null);
    rig.good("GET", "/api/v3/account", "");
}

#[test]
fn a_wrong_clock_refuses_right_times() {
    let mut rig = Rig::still();
    rig.control("POST", "/control/faults", &json!({"clock_skew_ms": 7_000}));
    assert_eq!(rig.get("/api/v3/time")["serverTime"], rig.ms() + 7_000);
    assert_eq!(rig.bad("GET", "/api/v3/account", "").1, -1021);
    rig.control("POST", "/control/faults", &json!({"clock_skew_ms": -900}));
    rig.good("GET", "/api/v3/account", "");
}

#[test]
fn equal_seeds_give_equal_venues() {
    let run = || {
        let mut rig = Rig::seeded();
        let conn = rig.open("/stream?streams=btcusdt@depth@100ms/btcusdt@trade/ethusdt@bookTicker");
        rig.control("POST", "/control/faults", &json!({"streams": {"drop_ppm": 100_000}}));
        let mut said = Vec::new();
        for n in 0..50 {
            rig.pass(130);
            if n % 10 == 0 {
                rig.good(
                    "POST",
                    "/api/v3/order",
                    "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2",
                );
            }
            said.extend(rig.heard(conn));
        }
        (said, rig.control("GET", "/control/books", &Value::Null))
    };
    assert_eq!(run(), run());
}

#[test]
fn a_wrong_control_call_says_what_is_wrong() {
    let mut rig = Rig::still();
    let request = Request::new("POST", "/control/deposit")
        .with_body(&json!({"asset": "USDT", "amount": 5}).to_string());
    let response = rig.request(&request).response().unwrap();
    assert_eq!(response.status, 400);
    assert!(response.body.contains("amount: must be a decimal number in quotes, got 5"));
    let free = rig.control(
        "POST",
        "/control/deposit",
        &json!({"asset": "USDT", "amount": "5", "key": "demo"}),
    );
    assert_eq!(free["free"], "100005");
}
