//! USD-M futures.

use serde_json::{Value, json};

use crate::rig::Rig;

const ORDER: &str = "/fapi/v1/order";
const ALGO: &str = "/fapi/v1/algoOrder";

fn limit(side: &str, quantity: &str, price: &str) -> String {
    format!(
        "symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}"
    )
}

fn position(rig: &mut Rig) -> Value {
    let positions = rig.good("GET", "/fapi/v3/positionRisk", "symbol=BTCUSDT");
    positions[0].clone()
}

#[test]
fn a_position_is_opened_valued_and_closed() {
    let mut rig = Rig::still();
    assert_eq!(rig.good("GET", "/fapi/v3/positionRisk", ""), json!([]));
    rig.good("POST", ORDER, &limit("BUY", "0.5", "60000"));
    rig.crowd("usdm", "SELL", "60000", "0.5");
    let held = position(&mut rig);
    assert_eq!(
        (&held["positionAmt"], &held["entryPrice"]),
        (&json!("0.500"), &json!("60000.00000000"))
    );
    assert_eq!(held["positionInitialMargin"], "1500.00000000", "twenty times leverage");
    let mark = json!({"exchange": "usdm", "symbol": "BTCUSDT", "price": "61000"});
    rig.control("POST", "/control/mark", &mark);
    assert_eq!(position(&mut rig)["unRealizedProfit"], "500.00000000");
    rig.good("POST", ORDER, &format!("{}&reduceOnly=true", limit("SELL", "0.5", "61000")));
    rig.crowd("usdm", "BUY", "61000", "0.5");
    assert_eq!(rig.good("GET", "/fapi/v3/positionRisk", ""), json!([]));
    let account = rig.good("GET", "/fapi/v3/account", "");
    // 500 earned, two maker fees of 0.02 %: 6 and 6.1.
    assert_eq!(account["totalWalletBalance"], "100487.90000000");
    let fills = rig.good("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT");
    assert_eq!(fills[1]["realizedPnl"], "500.00000000");
}

#[test]
fn refusals_have_the_venues_codes() {
    let mut rig = Rig::still();
    let code = |rig: &mut Rig, path: &str, params: &str| rig.bad("POST", path, params).1;
    for (params, expected) in [
        (limit("BUY", "40", "60000"), -2019),
        (limit("BUY", "0.001", "60000"), -4164),
        (limit("BUY", "0.01", "60000.05"), -4014),
        (format!("{}&reduceOnly=true", limit("SELL", "0.01", "61000")), -2022),
        (format!("{}&positionSide=LONG", limit("BUY", "0.01", "60000")), -4061),
        (
            "symbol=BTCUSDT&side=SELL&type=STOP_MARKET&stopPrice=50000&quantity=0.1".to_owned(),
            -4120,
        ),
    ] {
        assert_eq!(code(&mut rig, ORDER, &params), expected, "{params}");
    }
    let trigger = "symbol=BTCUSDT&algoType=CONDITIONAL&side=SELL&type=STOP_MARKET&quantity=0.1&\
                   triggerPrice=60001";
    assert_eq!(code(&mut rig, ALGO, trigger), -2021);
    rig.good("POST", ORDER, &limit("SELL", "0.01", "60100"));
    let posts = limit("BUY", "0.01", "60100").replace("GTC", "GTX");
    assert_eq!(code(&mut rig, ORDER, &posts), -5022);
    let margin = "symbol=BTCUSDT&marginType=CROSSED";
    assert_eq!(code(&mut rig, "/fapi/v1/marginType", margin), -4046);
    assert_eq!(code(&mut rig, "/fapi/v1/positionSide/dual", "dualSidePosition=false"), -4059);
    assert_eq!(code(&mut rig, "/fapi/v1/positionSide/dual", "dualSidePosition=true"), -4067);
    assert_eq!(code(&mut rig, "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=126"), -4028);
}

#[test]
fn a_moved_order_goes_behind_the_others() {
    let mut rig = Rig::still();
    let first = rig.good("POST", ORDER, &limit("BUY", "0.1", "59000"));
    let second = rig.good("POST", ORDER, &limit("BUY", "0.1", "59000"));
    let change =
        format!("symbol=BTCUSDT&orderId={}&side=BUY&quantity=0.2&price=59000", first["orderId"]);
    let changed = rig.good("PUT", ORDER, &change);
    assert_eq!(changed["origQty"], "0.200");
    assert_eq!(rig.bad("PUT", ORDER, &change).1, -5027);
    rig.crowd("usdm", "SELL", "59000", "0.1");
    let fills = rig.good("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT");
    assert_eq!(fills[0]["orderId"], second["orderId"]);
}

#[test]
fn a_batch_is_one_answer_each() {
    let mut rig = Rig::still();
    let order = |quantity: &str| {
        json!({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
               "quantity": quantity, "price": "50000", "newClientOrderId": format!("q{quantity}")})
    };
    let list = json!([order("0.1"), order("0.0001"), order("0.2")]).to_string();
    let escaped: String = list.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answers = rig.good("POST", "/fapi/v1/batchOrders", &format!("batchOrders={escaped}"));
    assert_eq!(answers[0]["status"], "NEW");
    assert_eq!(answers[1]["code"], -1111);
    assert_eq!(answers[2]["clientOrderId"], "q0.2");
    let ids = format!("%5B{},77%5D", answers[0]["orderId"]);
    let canceled =
        rig.good("DELETE", "/fapi/v1/batchOrders", &format!("symbol=BTCUSDT&orderIdList={ids}"));
    assert_eq!((&canceled[0]["status"], &canceled[1]["code"]), (&json!("CANCELED"), &json!(-2011)));
    rig.good("POST", "/fapi/v1/countdownCancelAll", "symbol=BTCUSDT&countdownTime=5000");
    rig.pass(4_900);
    assert_eq!(rig.good("GET", "/fapi/v1/openOrders", "").as_array().unwrap().len(), 1);
    rig.pass(200);
    assert_eq!(rig.good("GET", "/fapi/v1/openOrders", ""), json!([]));
}

#[test]
fn a_stop_closes_the_position_and_is_told() {
    let mut rig = Rig::still();
    let key = rig.send("POST", "/fapi/v1/listenKey", "");
    let key: Value = serde_json::from_str(&key.body).unwrap();
    let conn = rig.open(&format!("/private/ws?listenKey={}", key["listenKey"].as_str().unwrap()));
    rig.good("POST", ORDER, &limit("BUY", "0.5", "60000"));
    rig.crowd("usdm", "SELL", "60000", "0.5");
    let stop = "symbol=BTCUSDT&algoType=CONDITIONAL&side=SELL&type=STOP_MARKET&closePosition=true&\
                triggerPrice=58000&workingType=MARK_PRICE";
    let stop = rig.good("POST", ALGO, stop);
    assert_eq!(stop["algoStatus"], "NEW");
    // Somebody who buys what the stop will sell, and a mark that sets it off.
    rig.control("POST", "/control/faults", &json!({}));
    rig.heard(conn);
    let mark = json!({"exchange": "usdm", "symbol": "BTCUSDT", "price": "57900"});
    rig.control("POST", "/control/mark", &mark);
    let told: Vec<String> = rig
        .heard(conn)
        .iter()
        .map(|event| match event["e"].as_str().unwrap() {
            "ALGO_UPDATE" => format!("algo {}", event["o"]["X"]),
            "ORDER_TRADE_UPDATE" => format!("order {} {}", event["o"]["x"], event["o"]["ot"]),
            other => other.to_owned(),
        })
        .map(|line| line.replace('"', ""))
        .collect();
    // Nobody buys, so the market order that the stop placed expires.
    assert_eq!(
        told,
        ["order NEW MARKET", "algo TRIGGERED", "order EXPIRED STOP_MARKET", "algo FINISHED"]
    );
    let found = rig.good("GET", ALGO, &format!("algoId={}", stop["algoId"]));
    assert_eq!(found["algoStatus"], "FINISHED");
}

#[test]
fn who_cannot_bear_the_mark_is_liquidated() {
    let mut rig = Rig::seeded();
    rig.good("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=100");
    rig.good("POST", "/fapi/v1/marginType", "symbol=BTCUSDT&marginType=ISOLATED");
    let bought = rig.good(
        "POST",
        ORDER,
        "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newOrderRespType=RESULT",
    );
    assert_eq!(bought["status"], "FILLED");
    let conn = rig.open("/market/ws/btcusdt@forceOrder");
    let entry: f64 = position(&mut rig)["entryPrice"].as_str().unwrap().parse().unwrap();
    let at: f64 = position(&mut rig)["liquidationPrice"].as_str().unwrap().parse().unwrap();
    assert!(at < entry && at > entry * 0.985, "a hundredth of margin is near: {at} of {entry}");
    let mark =
        json!({"exchange": "usdm", "symbol": "BTCUSDT", "price": format!("{:.1}", at - 1.0)});
    rig.control("POST", "/control/mark", &mark);
    assert_eq!(rig.good("GET", "/fapi/v3/positionRisk", "symbol=BTCUSDT"), json!([]));
    assert_eq!(rig.heard(conn)[0]["o"]["S"], "SELL");
    let orders = rig.good("GET", "/fapi/v1/allOrders", "symbol=BTCUSDT");
    let last = orders.as_array().unwrap().last().unwrap();
    assert!(last["clientOrderId"].as_str().unwrap().starts_with("autoclose-"));
}

#[test]
fn a_listen_key_ends_unless_it_is_kept() {
    let mut rig = Rig::still();
    let first = rig.good("POST", "/fapi/v1/listenKey", "");
    let key = first["listenKey"].as_str().unwrap().to_owned();
    let conn = rig.open(&format!("/fstream/ws/{key}"));
    rig.pass(50 * 60_000);
    rig.good("PUT", "/fapi/v1/listenKey", "");
    rig.pass(30 * 60_000);
    let order = limit("BUY", "0.01", "50000");
    rig.good("POST", ORDER, &order);
    // The connection has not answered pings, so a new one listens.
    let later = rig.open(&format!("/private/stream?streams={key}"));
    rig.good("POST", ORDER, &order);
    let heard = rig.heard(later);
    assert_eq!(heard[0]["stream"], key.as_str());
    assert_eq!(heard[0]["data"]["o"]["X"], "NEW");
    assert_eq!(rig.heard(conn), Vec::<Value>::new());
    for _ in 0..31 {
        rig.pass(60_000);
        rig.site.on_ws_pong(rig.now, later);
    }
    assert!(rig.heard(later).iter().any(|m| m["data"]["e"] == "listenKeyExpired"));
    assert_eq!(rig.bad("PUT", "/fapi/v1/listenKey", "").1, -1125);
}
