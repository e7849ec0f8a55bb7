//! Answers to questions about the account that cannot be read.

use serde_json::{Value, json};
use tercel_adapters::binance::Product;
use tercel_adapters::{
    Answer, ErrorKind, FillCursor, Gateway, GatewayNotice, GatewayOptions, GatewayOut, News,
    OrderEntry, Request,
};
use tercel_core::{AccountId, AccountItem, Engine, Event, InstrumentKind, Nanos, Quantity};
use tercel_testkit::{Strings, engine_config};

use super::support::{Talk, instrument, listing};
use super::{INSTRUMENT, NOW, VenueText, answered, ask, key, limit, news, spot_order, talks};

/// How many there are in the answer to a request, which every question that it takes gets one of these
/// bodies for.
fn told(product: Product, request: Request, bodies: &[Value]) -> Result<usize, ErrorKind> {
    let mut talk = talks(product, OrderEntry::Rest).remove(0);
    ask(&mut talk, 1, request);
    assert_eq!(talk.calls.len(), bodies.len());
    for (call, body) in std::mem::take(&mut talk.calls).iter().zip(bodies) {
        talk.answer(call, 200, &body.to_string(), NOW);
    }
    answered(&mut talk).1.map(|answer| match answer {
        Answer::Positions(list) => list.len(),
        Answer::Orders(list) => list.len(),
        Answer::Fills(list, _) => list.len(),
        other => panic!("{other:?}"),
    })
}

fn with(mut row: Value, name: &str, value: Value) -> Value {
    row[name] = value;
    row
}

fn without(mut row: Value, name: &str) -> Value {
    row.as_object_mut().unwrap().remove(name);
    row
}

/// What no list of rows can be.
fn no_lists() -> [Value; 5] {
    [json!({}), json!(null), json!("[]"), json!([null]), json!([{}])]
}

/// Lists whose rows lack one of these fields, or have something else there.
fn broken(row: &Value, names: &[&str]) -> Vec<Value> {
    let rows = names.iter().flat_map(|name| {
        let lacking = without(row.clone(), name);
        [lacking, with(row.clone(), name, json!("?")), with(row.clone(), name, json!([]))]
    });
    // A row that is well does not make up for one that is not.
    rows.map(|broken| json!([row, broken])).chain(no_lists()).collect()
}

/// A list of positions that could not be read was taken for an account without positions: the comparison
/// with the venue called every position of ours gone, and with differences taken over wrote them off.
#[test]
fn positions_that_cannot_be_read_are_no_flat_account() {
    let row = json!({
        "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.010",
        "entryPrice": "61837.6", "updateTime": 1_720_736_417_660_i64,
    });
    let told = |body: Value| told(Product::UsdMargined, Request::Positions, &[body]);
    assert_eq!(told(json!([row])), Ok(1));
    assert_eq!(told(json!([])), Ok(0));
    assert_eq!(told(json!([with(row.clone(), "positionAmt", json!("0.000"))])), Ok(0));
    let unknown = with(without(row.clone(), "positionAmt"), "symbol", json!("XYZUSDT"));
    assert_eq!(told(json!([unknown, row])), Ok(1));
    for body in broken(&row, &["positionAmt", "entryPrice"]) {
        assert_eq!(told(body.clone()), Err(ErrorKind::OutcomeUnknown), "{body}");
    }
}

/// Orders that a list could not be read of were doubted, and those of other origin not seen.
#[test]
fn open_orders_that_cannot_be_read_are_no_empty_book() {
    let told = |body| told(Product::Spot, Request::OpenOrders { instrument: None }, &[body]);
    let row = spot_order("NEW", "0");
    assert_eq!(told(json!([row])), Ok(1));
    assert_eq!(told(json!([])), Ok(0));
    let unknown = with(without(row.clone(), "status"), "symbol", json!("XYZUSDT"));
    assert_eq!(told(json!([unknown, row])), Ok(1));
    for body in broken(&row, &["status", "side", "origQty", "executedQty"]) {
        assert_eq!(told(body.clone()), Err(ErrorKind::OutcomeUnknown), "{body}");
    }
}

/// Futures keep orders in two places: neither list makes up for the other.
#[test]
fn both_lists_of_open_orders_have_to_be_read() {
    let told = |bodies: [Value; 2]| {
        told(Product::UsdMargined, Request::OpenOrders { instrument: None }, &bodies)
    };
    let order = spot_order("NEW", "0");
    let algo = json!({
        "symbol": "BTCUSDT", "algoId": 2_146_760, "clientAlgoId": "tc7-2", "algoStatus": "NEW",
        "orderType": "STOP_MARKET", "side": "SELL", "quantity": "0.010",
        "triggerPrice": "61000.0", "updateTime": 1_720_736_417_660_i64,
    });
    assert_eq!(told([json!([order]), json!([algo])]), Ok(2));
    for body in no_lists() {
        assert_eq!(told([body.clone(), json!([])]), Err(ErrorKind::OutcomeUnknown), "{body}");
        assert_eq!(told([json!([]), body.clone()]), Err(ErrorKind::OutcomeUnknown), "{body}");
    }
    for body in broken(&algo, &["algoStatus", "side"]) {
        assert_eq!(told([json!([order]), body.clone()]), Err(ErrorKind::OutcomeUnknown), "{body}");
    }
}

/// An order that a history which could not be read did not show was called vanished, and cancelled.
#[test]
fn a_history_that_cannot_be_read_shows_nothing_gone() {
    let request = Request::OrderHistory { instrument: INSTRUMENT, since: Nanos(0) };
    for body in broken(&spot_order("FILLED", "0.00847000"), &["status", "executedQty"]) {
        let told = told(Product::Spot, request.clone(), std::slice::from_ref(&body));
        assert_eq!(told, Err(ErrorKind::OutcomeUnknown), "{body}");
    }
}

/// Executions that were left out of a list were asked for no more, because later ones had come.
#[test]
fn executions_that_cannot_be_read_are_asked_for_again() {
    let request = || Request::Fills { instrument: INSTRUMENT, since: FillCursor::Since(Nanos(0)) };
    let told = |body| told(Product::Spot, request(), &[body]);
    let row = json!({
        "symbol": "BTCUSDT", "id": 28_457, "orderId": 100_234, "price": "23416.1", "qty": "0.001",
        "commission": "0.0001", "commissionAsset": "BNB", "time": 1_499_865_549_590_i64,
        "isBuyer": true, "isMaker": false,
    });
    assert_eq!(told(json!([row])), Ok(1));
    assert_eq!(told(json!([])), Ok(0));
    for body in broken(&row, &["id", "price", "qty", "commission", "time", "isBuyer", "isMaker"]) {
        assert_eq!(told(body.clone()), Err(ErrorKind::OutcomeUnknown), "{body}");
    }
}

/// An order that an answer did not show was left to its events, as if the venue had said nothing else.
#[test]
fn an_order_that_cannot_be_read_is_not_known_to_be_there() {
    let key = key(1);
    let name = VenueText::from("12569099453").unwrap();
    for request in [
        Request::Place { key, spec: limit(2_341_610, 847) },
        Request::Cancel { key, venue_order_id: name, instrument: INSTRUMENT },
        Request::QueryOrder { key, venue_order_id: name, instrument: INSTRUMENT },
    ] {
        for body in [json!({}), json!([]), without(spot_order("NEW", "0"), "status")] {
            let told = told(Product::Spot, request.clone(), std::slice::from_ref(&body));
            assert_eq!(told, Err(ErrorKind::OutcomeUnknown), "{body}");
        }
    }
}

/// An account as its gateway sees it, whose venue answers with these positions and nothing else.
struct Account {
    talk: Talk,
    gateway: Gateway,
    out: GatewayOut,
}

impl Account {
    fn new() -> Self {
        let kind = InstrumentKind::LinearPerpetual;
        let instruments = vec![instrument(0, "BTCUSDT", kind, "0.1", "0.001")];
        let engine = engine_config(instruments.clone());
        let engine = Engine::new(&engine, vec![Strings::default().puppet()]).unwrap();
        let options = GatewayOptions { has_positions: true, ..GatewayOptions::default() };
        let listing = listing(&instruments, &["BTC", "USDT", "BNB"]);
        let state = engine.snapshot();
        let gateway = Gateway::new(AccountId(0), listing, options, &state, NOW);
        let talk = talks(Product::UsdMargined, OrderEntry::Rest).remove(0);
        let mut account = Self { talk, gateway, out: GatewayOut::default() };
        account.gateway.news(&News::Online, NOW, &mut account.out);
        account
    }

    /// Answers what is asked of the venue, and returns what people and the engine are told.
    fn answer(&mut self, positions: &Value) -> (Vec<GatewayNotice>, Vec<Event>) {
        while !self.out.requests.is_empty() {
            for asked in std::mem::take(&mut self.out.requests) {
                ask(&mut self.talk, asked.id.0, asked.request);
            }
            for call in std::mem::take(&mut self.talk.calls) {
                let is_positions = call.url.contains("/positionRisk");
                let body = if is_positions { positions.to_string() } else { "[]".to_owned() };
                self.talk.answer(&call, 200, &body, NOW);
            }
            for news in news(&mut self.talk) {
                self.gateway.news(&news, NOW, &mut self.out);
            }
        }
        (std::mem::take(&mut self.out.notices), std::mem::take(&mut self.out.events))
    }
}

#[test]
fn a_comparison_with_positions_that_cannot_be_read_is_put_off_and_told() {
    let row = json!({
        "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.010",
        "entryPrice": "61837.6", "updateTime": 1_720_736_417_660_i64,
    });
    let mut account = Account::new();
    let (_, events) = account.answer(&json!([row]));
    let is_told = |event: &Event| {
        matches!(event, Event::Account(update) if matches!(
            update.item,
            AccountItem::Position { instrument: INSTRUMENT, qty: Quantity(-10), .. }
        ))
    };
    assert!(events.iter().any(is_told), "{events:?}");
    for body in [json!({}), json!([without(row.clone(), "positionAmt")])] {
        assert!(account.gateway.reconcile_now(NOW, &mut account.out));
        let (notices, events) = account.answer(&body);
        assert!(events.is_empty(), "{events:?}");
        let [GatewayNotice::QueryFailed { error, .. }] = &notices[..] else {
            panic!("{notices:?}")
        };
        assert_eq!(error.kind, ErrorKind::OutcomeUnknown);
        // Long before it would be compared again anyway.
        let soon = NOW.plus(10 * Nanos::SECOND);
        assert!(account.gateway.compares_at() < soon);
        account.gateway.on_timer(soon, &mut account.out);
        let (notices, events) = account.answer(&json!([row]));
        assert!(events.is_empty(), "{events:?}");
        let compared = GatewayNotice::Reconciled { n_orders: 0, n_differences: 0 };
        assert_eq!(notices, [compared]);
    }
}
