//! Spot orders that are withdrawn and placed anew in one step.

use serde_json::{Value, json};
use tercel_adapters::{Answer, ErrorKind, OrderStatus, Request};

use super::support::Talk;
use super::{NAME, NOW, answered, ask, frame, key, limit, spot, spot_order};

fn swap() -> Request {
    Request::CancelReplace {
        key: key(1),
        new_key: key(1).next(),
        spec: limit(2_341_610, 847),
        only_unfilled: true,
    }
}

#[test]
fn a_swap_forbids_to_trade_twice_and_tells_what_it_did() {
    let mut talk = spot();
    let mut results = Vec::new();
    for (status, body) in [
        (
            200,
            json!({"result": {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS",
            "cancelResponse": spot_order("CANCELED", "0"), "newOrderResponse": spot_order("NEW", "0")}}),
        ),
        (
            409,
            json!({"error": {"code": -2021, "msg": "Order cancel-replace partially failed.",
            "data": {"cancelResult": "SUCCESS", "newOrderResult": "FAILURE",
                "cancelResponse": spot_order("CANCELED", "0"),
                "newOrderResponse": {"code": -2010, "msg": "Account has insufficient balance"}}}}),
        ),
        (
            400,
            json!({"error": {"code": -2022, "msg": "Order cancel-replace failed.",
            "data": {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED",
                "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
                "newOrderResponse": null}}}),
        ),
    ] {
        ask(&mut talk, 9, swap());
        let sent = frame(&mut talk);
        assert_eq!(sent["method"], "order.cancelReplace");
        assert_eq!(sent["params"]["cancelRestrictions"], "ONLY_NEW");
        assert_eq!(sent["params"]["cancelReplaceMode"], "STOP_ON_FAILURE");
        assert_eq!(sent["params"]["cancelOrigClientOrderId"], NAME);
        assert_eq!(sent["params"]["newClientOrderId"], format!("{NAME}-1"));
        let mut answer = body;
        answer["id"] = sent["id"].clone();
        answer["status"] = json!(status);
        talk.frame(&answer.to_string(), NOW);
        results.push(answered(&mut talk).1);
    }
    let Ok(Answer::Replaced { old, new }) = &results[0] else { panic!("{results:?}") };
    assert_eq!((old.status, new.status), (OrderStatus::Canceled, OrderStatus::Open));
    let Ok(Answer::Replaced { old, new }) = &results[1] else { panic!("{results:?}") };
    assert_eq!((old.status, new.status), (OrderStatus::Canceled, OrderStatus::Rejected));
    assert_eq!(new.key, Some(key(1).next()));
    assert_eq!(results[2], Err(ErrorKind::UnknownOrder));
}

/// The second half of a swap that the venue has no answer to.
fn half(talk: &mut Talk, status: u16, new_result: &str, new: &Value) -> Result<Answer, ErrorKind> {
    ask(talk, 9, swap());
    let id = frame(talk)["id"].clone();
    let data = json!({"cancelResult": "SUCCESS", "newOrderResult": new_result,
        "cancelResponse": spot_order("CANCELED", "0"), "newOrderResponse": new});
    let error =
        json!({"code": -2021, "msg": "Order cancel-replace partially failed.", "data": data});
    talk.frame(&json!({"id": id, "status": status, "error": error}).to_string(), NOW);
    answered(talk).1
}

/// Any code beside the new order of a half-done swap was taken for its refusal. After a timeout it
/// may be in the book all the same: it worked on, and nobody here knew of it.
#[test]
fn the_new_order_of_a_swap_is_refused_only_by_a_definite_refusal() {
    let mut talk = spot();
    for code in [-1007, -1006, -1000, -1001] {
        let new = json!({"code": code, "msg": "Timeout waiting for response from backend server."});
        assert_eq!(half(&mut talk, 409, "FAILURE", &new), Err(ErrorKind::OutcomeUnknown), "{code}");
    }
    let new = json!({"code": -2010, "msg": "Duplicate order sent."});
    assert_eq!(half(&mut talk, 409, "FAILURE", &new), Err(ErrorKind::OutcomeUnknown));
    assert_eq!(half(&mut talk, 409, "FAILURE", &Value::Null), Err(ErrorKind::OutcomeUnknown));
    for (code, result) in [(-2010, "FAILURE"), (-1013, "FAILURE"), (-1015, "FAILURE")] {
        let new = json!({"code": code, "msg": "No."});
        let outcome = half(&mut talk, 409, result, &new);
        let Ok(Answer::Replaced { new, .. }) = outcome else { panic!("{code}: {outcome:?}") };
        assert_eq!(new.status, OrderStatus::Rejected);
    }
    let outcome = half(&mut talk, 409, "NOT_ATTEMPTED", &Value::Null);
    assert!(matches!(outcome, Ok(Answer::Replaced { .. })), "{outcome:?}");
}
