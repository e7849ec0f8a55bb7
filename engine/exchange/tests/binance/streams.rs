//! Streams of both products.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tercel_exchange::dialect::Payload;

use crate::rig::Rig;

/// A book kept from a snapshot and changes, by the venue's published rule.
struct Copy {
    is_spot: bool,
    last: u64,
    has_begun: bool,
    sides: [BTreeMap<String, String>; 2],
}

impl Copy {
    fn new(snapshot: &Value, is_spot: bool) -> Self {
        let mut copy = Self {
            is_spot,
            last: snapshot["lastUpdateId"].as_u64().unwrap(),
            has_begun: false,
            sides: [BTreeMap::new(), BTreeMap::new()],
        };
        copy.set(snapshot, ["bids", "asks"]);
        copy
    }

    fn set(&mut self, message: &Value, names: [&str; 2]) {
        for (side, name) in self.sides.iter_mut().zip(names) {
            for level in message[name].as_array().unwrap() {
                let text = |idx: usize| level[idx].as_str().unwrap().to_owned();
                if text(1).trim_matches(['0', '.']).is_empty() {
                    side.remove(&text(0));
                } else {
                    side.insert(text(0), text(1));
                }
            }
        }
    }

    /// Applies a change; an error where the rule says that something is missing.
    fn apply(&mut self, message: &Value) -> Result<(), String> {
        let number = |name: &str| message[name].as_u64().unwrap();
        let (first, last) = (number("U"), number("u"));
        if last <= self.last && !self.has_begun {
            return Ok(());
        }
        let fits = match (self.is_spot, self.has_begun) {
            (true, false) => first <= self.last + 1 && self.last < last,
            (true, true) => first == self.last + 1,
            (false, false) => first <= self.last + 1 && self.last <= last,
            (false, true) => number("pu") == self.last,
        };
        if !fits {
            return Err(format!("{} does not follow {}", message, self.last));
        }
        (self.has_begun, self.last) = (true, last);
        self.set(message, ["b", "a"]);
        Ok(())
    }
}

#[test]
fn a_copied_book_equals_the_exchanges() {
    for (depth, stream, is_spot) in [
        ("/api/v3/depth?symbol=BTCUSDT&limit=5000", "/ws/btcusdt@depth@100ms", true),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=1000", "/public/ws/btcusdt@depth@100ms", false),
    ] {
        let mut rig = Rig::seeded();
        let conn = rig.open(stream);
        rig.pass(333);
        let mut copy = Copy::new(&rig.get(depth), is_spot);
        for _ in 0..100 {
            rig.pass(97);
            for message in rig.heard(conn) {
                copy.apply(&message).unwrap();
            }
        }
        assert!(copy.has_begun);
        // At the end of a slot nothing is pending.
        rig.pass(100 - rig.ms() % 100);
        for message in rig.heard(conn) {
            copy.apply(&message).unwrap();
        }
        let truth = Copy::new(&rig.get(depth), is_spot);
        assert_eq!(copy.last, truth.last);
        assert_eq!(copy.sides, truth.sides, "{stream}");
        // A gap is seen by whoever follows the rule.
        rig.control("POST", "/control/gap", &json!({"n": 3}));
        rig.pass(2_000);
        let messages = rig.heard(conn);
        assert!(messages.iter().any(|message| copy.apply(message).is_err()), "{stream}");
    }
}

#[test]
fn streams_are_named_only_where_they_are_combined() {
    let mut rig = Rig::seeded();
    let raw = rig.open("/ws/btcusdt@bookTicker");
    let combined = rig.open("/stream?streams=btcusdt@bookTicker/btcusdt@depth5");
    rig.pass(3_000);
    let messages = rig.heard(raw);
    assert!(messages.len() > 1 && messages.iter().all(|message| message["s"] == "BTCUSDT"));
    rig.pass(3_000);
    let messages = rig.heard(combined);
    let partial = messages.iter().find(|m| m["stream"] == "btcusdt@depth5").unwrap();
    assert_eq!(partial["data"]["bids"].as_array().unwrap().len(), 5);
    assert!(messages.iter().any(|message| message["stream"] == "btcusdt@bookTicker"));
    let answer = rig.ask(combined, &json!({"id": 7, "method": "LIST_SUBSCRIPTIONS"}));
    assert_eq!(answer["result"], json!(["btcusdt@bookTicker", "btcusdt@depth5"]));
    let params = json!(["btcusdt@bookTicker", "btcusdt@depth5"]);
    let answer = rig.ask(combined, &json!({"id": 8, "method": "UNSUBSCRIBE", "params": params}));
    assert_eq!(answer, json!({"result": null, "id": 8}));
    rig.pass(3_000);
    assert_eq!(rig.heard(combined), Vec::<Value>::new());
}

#[test]
fn trades_add_up_to_candles_and_aggregates() {
    let mut rig = Rig::seeded();
    let names = "btcusdt@trade/btcusdt@aggTrade/btcusdt@kline_1m/btcusdt@miniTicker";
    let conn = rig.open(&format!("/stream?streams={names}"));
    let (mut traded, mut aggregated, mut closed) = (0.0, 0.0, Vec::new());
    let (mut last_trade, mut last_aggregate) = (None, None);
    for _ in 0..140 {
        rig.pass(500);
        for message in rig.heard(conn) {
            let data = &message["data"];
            let qty = || data["q"].as_str().unwrap().parse::<f64>().unwrap();
            match data["e"].as_str().unwrap() {
                "trade" => {
                    let id = data["t"].as_u64().unwrap();
                    assert!(last_trade.is_none_or(|last| id == last + 1));
                    last_trade = Some(id);
                    traded += qty();
                }
                "aggTrade" => {
                    let id = data["a"].as_u64().unwrap();
                    assert!(last_aggregate.is_none_or(|last| id == last + 1));
                    last_aggregate = Some(id);
                    aggregated += qty();
                }
                "kline" if data["k"]["x"] == true => closed.push(data["k"].clone()),
                "kline" | "24hrMiniTicker" => {}
                other => panic!("{other}"),
            }
        }
    }
    assert!(traded > 0.0 && (traded - aggregated).abs() < 1e-6, "{traded} {aggregated}");
    assert_eq!(closed.len(), 1, "one minute has ended");
    let open = closed[0]["t"].as_i64().unwrap();
    let target = format!("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={open}&limit=1");
    let listed = rig.get(&target);
    for (idx, name) in ["t", "o", "h", "l", "c", "v"].into_iter().enumerate() {
        assert_eq!(listed[0][idx], closed[0][name], "{name}");
    }
}

#[test]
fn an_account_hears_of_its_orders() {
    let mut rig = Rig::still();
    let conn = rig.open("/ws-api/v3");
    let params = rig.signed_params(json!({}));
    let request = json!({"id": "u", "method": "userDataStream.subscribe.signature",
                         "params": params});
    assert_eq!(rig.ask(conn, &request)["result"], json!({"subscriptionId": 0}));
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=50000&\
                 newClientOrderId=first";
    rig.good("POST", "/api/v3/order", order);
    rig.crowd("spot", "SELL", "50000", "0.25");
    rig.good(
        "DELETE",
        "/api/v3/order",
        "symbol=BTCUSDT&origClientOrderId=first&newClientOrderId=off",
    );
    let events: Vec<Value> = rig
        .heard(conn)
        .into_iter()
        .map(|message| {
            assert_eq!(message["subscriptionId"], 0);
            message["event"].clone()
        })
        .collect();
    let told: Vec<String> = events
        .iter()
        .map(|event| match event["e"].as_str().unwrap() {
            "executionReport" => {
                format!("{} {} {}/{}", event["x"], event["X"], event["c"], event["C"])
            }
            _ => format!("{} {}", event["B"][0]["f"], event["B"][1]["l"]),
        })
        .map(|line| line.replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "NEW NEW first/",
            "10.00000000 50000.00000000",
            "TRADE PARTIALLY_FILLED first/",
            "10.24975000 37500.00000000",
            "CANCELED CANCELED off/first",
            "10.24975000 0.00000000",
        ]
    );
    let trade = &events[2];
    assert_eq!((&trade["l"], &trade["L"]), (&json!("0.25000000"), &json!("50000.00000000")));
    assert_eq!((&trade["n"], &trade["N"]), (&json!("0.00025000"), &json!("BTC")));
    let stop = json!({"id": 2, "method": "userDataStream.unsubscribe", "params": {}});
    rig.say(conn, &stop);
    assert!(rig.heard(conn).iter().any(|m| m["event"]["e"] == "eventStreamTerminated"));
}

#[test]
fn a_silent_client_is_pinged_and_left() {
    let mut rig = Rig::still();
    let (silent, lively) = (rig.open("/ws/btcusdt@trade"), rig.open("/ws/btcusdt@trade"));
    let (mut pings, mut closed) = (0, Vec::new());
    for _ in 0..200 {
        rig.pass(1_000);
        rig.heard(silent);
        let frames = std::mem::take(&mut rig.frames);
        for frame in frames {
            match frame.payload {
                Payload::Ping(_) if frame.conn == lively => {
                    pings += 1;
                    rig.site.on_ws_pong(rig.now, lively);
                }
                Payload::Close(_) => closed.push(frame.conn),
                Payload::Ping(_) | Payload::Text(_) => {}
            }
        }
    }
    assert_eq!(pings, 10, "every twenty seconds");
    assert_eq!(closed, [silent]);
    rig.control("POST", "/control/settings", &json!({"lifetime_ms": 300_000}));
    rig.pass(150_000);
    rig.heard(lively);
    assert!(rig.frames.iter().any(|frame| frame.payload == Payload::Close(1001)));
}

#[test]
fn who_talks_too_much_is_cut_off() {
    let mut rig = Rig::still();
    let conn = rig.open("/ws");
    let wish = json!({"id": 1, "method": "SUBSCRIBE", "params": ["btcusdt@trade"]});
    for _ in 0..5 {
        rig.say(conn, &wish);
    }
    assert_eq!(rig.heard(conn).len(), 5);
    rig.pass(1_000);
    for _ in 0..6 {
        rig.say(conn, &wish);
    }
    rig.heard(conn);
    assert!(rig.frames.iter().any(|frame| frame.payload == Payload::Close(1008)));
    let many: Vec<_> = (0..1_025).map(|n| format!("btcusdt@depth{n}")).collect();
    let conn = rig.open("/ws");
    rig.say(conn, &json!({"id": 2, "method": "SUBSCRIBE", "params": many}));
    rig.heard(conn);
    assert!(rig.frames.iter().any(|frame| frame.payload == Payload::Close(1008)));
    for _ in 0..298 {
        rig.open("/ws");
    }
    let refused = rig.site.on_ws_open(rig.now, &tercel_exchange::http::Request::new("GET", "/ws"));
    assert_eq!(refused.unwrap_err().status, 429);
}
