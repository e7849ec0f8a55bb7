//! Conditional futures orders: apart from the orders that come of them.

use serde_json::{Value, json};
use tercel_adapters::{Answer, ErrorKind, OrderStatus, Request, VenueText};
use tercel_core::{Nanos, Quantity};

use super::support::Talk;
use super::{INSTRUMENT, NAME, NOW, answered, ask, frame, futures, key, news};

/// A stop as the conditional service shows it once it has fired.
fn algo(status: &str, resulting: &str) -> Value {
    json!({"algoId": 123, "clientAlgoId": NAME, "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET", "symbol": "BTCUSDT", "side": "SELL", "positionSide": "BOTH",
        "timeInForce": "GTC", "quantity": "0.010", "algoStatus": status,
        "actualOrderId": resulting, "triggerPrice": "51900.0", "price": "0.0", "updateTime": 7})
}

/// What came of it, under a name of the venue's.
fn resulting(status: &str, executed: &str) -> Value {
    json!({"avgPrice": "51890.0", "clientOrderId": "x-made-up", "executedQty": executed,
        "orderId": 987, "origQty": "0.010", "price": "0", "reduceOnly": false, "side": "SELL",
        "positionSide": "BOTH", "status": status, "stopPrice": "0", "symbol": "BTCUSDT",
        "timeInForce": "GTC", "type": "MARKET", "origType": "STOP_MARKET", "updateTime": 8})
}

fn query(talk: &mut Talk, number: &str) {
    let venue_order_id = VenueText::from(number).unwrap();
    ask(talk, 2, Request::QueryOrder { key: key(1), venue_order_id, instrument: INSTRUMENT });
}

/// A stop that fired and filled while its stream was away was told as cancelled with nothing filled:
/// the conditional service says that it is finished, and not how. The strategy believed itself long
/// when its stop had closed the position.
#[test]
fn a_finished_stop_is_asked_for_under_its_new_number() {
    for (status, executed, expected) in [
        ("FILLED", "0.010", (OrderStatus::Filled, Quantity(10))),
        ("EXPIRED", "0.004", (OrderStatus::Expired, Quantity(4))),
        ("CANCELED", "0", (OrderStatus::Canceled, Quantity(0))),
        ("PARTIALLY_FILLED", "0.004", (OrderStatus::Open, Quantity(4))),
    ] {
        let (mut talk, _) = futures();
        query(&mut talk, "a123");
        let call = talk.calls.pop().unwrap();
        assert!(call.url.contains("/fapi/v1/algoOrder?algoId=123&"), "{}", call.url);
        talk.answer(&call, 200, &algo("FINISHED", "987").to_string(), NOW);
        assert!(news(&mut talk).is_empty(), "half of the answer is none");
        let sent = frame(&mut talk);
        assert_eq!(sent["method"], "order.status");
        assert_eq!(sent["params"]["orderId"], 987);
        let answer =
            json!({"id": sent["id"], "status": 200, "result": resulting(status, executed)});
        talk.frame(&answer.to_string(), NOW);
        let (_, outcome) = answered(&mut talk);
        let Ok(Answer::Order(order, _)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((order.status, order.filled), expected);
        assert_eq!((order.key, order.venue_order_id.as_str()), (Some(key(1)), "987"));
    }
}

/// Until the plain service knows what came of it, nothing is said of it.
#[test]
fn a_finished_stop_whose_order_is_not_shown_yet_is_unknown() {
    let (mut talk, _) = futures();
    query(&mut talk, "a123");
    let call = talk.calls.pop().unwrap();
    talk.answer(&call, 200, &algo("FINISHED", "987").to_string(), NOW);
    let sent = frame(&mut talk);
    let error = json!({"code": -2013, "msg": "Order does not exist."});
    talk.frame(&json!({"id": sent["id"], "status": 400, "error": error}).to_string(), NOW);
    assert_eq!(answered(&mut talk), (2, Err(ErrorKind::UnknownOrder)));
}

/// The history shows both: they are one order of ours.
#[test]
fn a_history_tells_a_stop_and_what_came_of_it_as_one() {
    let (mut talk, _) = futures();
    ask(&mut talk, 4, Request::OrderHistory { instrument: INSTRUMENT, since: Nanos(0) });
    let calls = std::mem::take(&mut talk.calls);
    talk.answer(&calls[1], 200, &json!([algo("FINISHED", "987")]).to_string(), NOW);
    talk.answer(&calls[0], 200, &json!([resulting("EXPIRED", "0.004")]).to_string(), NOW);
    // Each service is asked for what follows, until there is nothing.
    let calls = std::mem::take(&mut talk.calls);
    assert!(calls[0].url.contains("/fapi/v1/allAlgoOrders?symbol=BTCUSDT&algoId=124&limit=1000&"));
    assert!(calls[1].url.contains("/fapi/v1/allOrders?symbol=BTCUSDT&orderId=988&limit=1000&"));
    calls.iter().for_each(|call| talk.answer(call, 200, "[]", NOW));
    let (_, outcome) = answered(&mut talk);
    let Ok(Answer::Orders(orders)) = outcome else { panic!("{outcome:?}") };
    let told: Vec<_> = orders.iter().map(|own| (own.key, own.status, own.filled.0)).collect();
    assert_eq!(told, [(Some(key(1)), OrderStatus::Expired, 4)]);
}

/// On the stream, too, the end of a conditional order is not how what came of it has ended, unless it
/// was filled whole.
#[test]
fn a_finished_stop_is_over_only_if_it_was_filled() {
    let event = |executed: &str, resulting: &str| {
        let (_, mut talk) = futures();
        talk.open(NOW);
        news(&mut talk);
        let order = json!({"caid": NAME, "aid": 123, "at": "CONDITIONAL", "o": "STOP_MARKET",
            "s": "BTCUSDT", "S": "SELL", "ps": "BOTH", "f": "GTC", "q": "0.010", "X": "FINISHED",
            "ai": resulting, "ap": "0", "aq": executed, "tp": "51900", "p": "0"});
        talk.frame(&json!({"e": "ALGO_UPDATE", "T": 6, "E": 7, "o": order}).to_string(), NOW);
        let told = news(&mut talk);
        let [tercel_adapters::News::Order(order)] = &told[..] else { panic!("{told:?}") };
        (order.status, order.filled.0)
    };
    assert_eq!(event("0.010", "987"), (OrderStatus::Filled, 10));
    assert_eq!(event("0.004", "987"), (OrderStatus::Open, 4));
    assert_eq!(event("0", "987"), (OrderStatus::Open, 0));
    assert_eq!(event("0", ""), (OrderStatus::Canceled, 0));
}
