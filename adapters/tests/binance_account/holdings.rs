//! What an account holds.

use serde_json::json;
use tercel_adapters::{Answer, ErrorKind, Request};

use super::{answered, ask, frame, futures, spot};

/// What is not listed is not held, so a list that cannot be read whole must not pass for one.
#[test]
fn holdings_that_cannot_be_read_are_no_empty_account() {
    let mut talk = spot();
    let mut told = |result: serde_json::Value| {
        ask(&mut talk, 1, Request::Balances);
        let id = frame(&mut talk)["id"].clone();
        talk.frame(&json!({"id": id, "status": 200, "result": result}).to_string(), super::NOW);
        answered(&mut talk).1.map(|answer| match answer {
            Answer::Holdings(list) => list.len(),
            other => panic!("{other:?}"),
        })
    };
    let held = |asset: &str, free: &str| json!({"asset": asset, "free": free, "locked": "0.5"});
    assert_eq!(told(json!({"balances": [held("USDT", "1"), held("XYZ", "?")]})), Ok(1));
    assert_eq!(told(json!({"balances": []})), Ok(0));
    assert_eq!(told(json!({"balances": [held("USDT", "")]})), Err(ErrorKind::OutcomeUnknown));
    assert_eq!(told(json!({})), Err(ErrorKind::OutcomeUnknown));
    let (mut talk, _) = futures();
    for (body, expected) in [
        (json!([{"asset": "USDT", "balance": "2.5", "updateTime": 1}]), Ok(1)),
        (json!([{"asset": "USDT", "updateTime": 1}]), Err(ErrorKind::OutcomeUnknown)),
        (json!({}), Err(ErrorKind::OutcomeUnknown)),
    ] {
        ask(&mut talk, 1, Request::Balances);
        let sent = frame(&mut talk);
        let answer = json!({"id": sent["id"], "status": 200, "result": body});
        talk.frame(&answer.to_string(), super::NOW);
        let outcome = answered(&mut talk).1.map(|answer| match answer {
            Answer::Holdings(list) => list.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(outcome, expected);
    }
}
