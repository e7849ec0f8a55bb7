//! What orders there were.

use serde_json::{Value, json};
use tercel_adapters::binance::Product;
use tercel_adapters::{Answer, OrderEntry, Request};
use tercel_core::Nanos;

use super::{INSTRUMENT, NAME, NOW, answered, ask, spot_order, talks};

fn form(n: i64) -> Value {
    let mut order = spot_order(if n == 2_300 { "NEW" } else { "CANCELED" }, "0");
    order["orderId"] = json!(10_000 + n);
    let mut name = NAME.to_owned();
    if n > 0 {
        // In base 36.
        let digit = |n: i64| char::from_digit(u32::try_from(n).unwrap(), 36).unwrap();
        let digits = [n / 1_296, n / 36 % 36, n % 36].map(digit);
        let text: String = digits.iter().collect();
        name = format!("{NAME}-{}", text.trim_start_matches('0'));
    }
    order["clientOrderId"] = json!(name);
    order
}

/// Of an order that had been replaced a thousand times, one page of a thousand showed old forms alone:
/// after a restart the last of those was taken for the present one, which was over, and the order was
/// told as cancelled while it worked on.
#[test]
fn a_history_is_read_to_its_end() {
    let mut talk = talks(Product::Spot, OrderEntry::Rest).remove(0);
    talk.open(NOW);
    talk.frames();
    ask(&mut talk, 1, Request::OrderHistory { instrument: INSTRUMENT, since: Nanos(5_000_000) });
    for (page, asked) in [
        (0..1_000, "startTime=5&limit=1000&"),
        (1_000..2_000, "orderId=11000&limit=1000&"),
        (2_000..2_301, "orderId=12000&limit=1000&"),
    ] {
        let call = talk.calls.pop().unwrap();
        let expected = format!("/api/v3/allOrders?symbol=BTCUSDT&{asked}");
        assert!(call.url.contains(&expected), "{} and {expected}", call.url);
        assert!(talk.out.news.is_empty(), "answered before its end");
        let page: Vec<_> = page.map(form).collect();
        talk.answer(&call, 200, &json!(page).to_string(), NOW);
    }
    assert!(talk.calls.is_empty());
    let Ok(Answer::Orders(orders)) = answered(&mut talk).1 else { panic!() };
    assert_eq!(orders.len(), 2_301);
    let last = orders.iter().max_by_key(|order| order.key).unwrap();
    assert_eq!((last.key.unwrap().revision, last.status.is_over()), (2_300, false));
}

/// Without an end, the venue's first page ends a day after it begins.
#[test]
fn a_first_page_that_is_short_is_not_the_last() {
    let mut talk = talks(Product::Spot, OrderEntry::Rest).remove(0);
    talk.open(NOW);
    talk.frames();
    ask(&mut talk, 1, Request::OrderHistory { instrument: INSTRUMENT, since: Nanos(5_000_000) });
    for page in [vec![form(0), form(1)], vec![form(2)]] {
        let call = talk.calls.pop().unwrap();
        talk.answer(&call, 200, &json!(page).to_string(), NOW);
    }
    let Ok(Answer::Orders(orders)) = answered(&mut talk).1 else { panic!() };
    assert_eq!(orders.len(), 3);
}
