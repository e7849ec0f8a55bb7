//! Comparing the venue's books with ours, answer by answer.

use tercel_core::{OrderSpec, Price, Quantity, Side};

use super::super::*;
use super::script::{ID, INSTRUMENT, Script};
use crate::protocol::{Answer, OrderStatus, PositionNews};

fn differences(script: &Script) -> Vec<&GatewayNotice> {
    let is_one = |notice: &&GatewayNotice| {
        use GatewayNotice::{HoldingDiffers, PositionDiffers};
        matches!(notice, HoldingDiffers { .. } | PositionDiffers { .. })
    };
    script.notices.iter().filter(is_one).collect()
}

/// An answer to an earlier comparison came after a fill and was taken for one to the comparison that
/// had begun since: the position of before the fill was adopted, and the engine told so.
#[test]
fn answers_to_an_earlier_comparison_are_none_to_this_one() {
    let mut script = Script::futures();
    let spec = OrderSpec::limit(INSTRUMENT, Side::Buy, Price(90), Quantity(5));
    let request = script.place(spec);
    let news = script.order(Some(OrderKey::first(ID)), "77", spec, OrderStatus::Open, 0);
    script.answer(request, Answer::Order(news, Vec::new()));
    script.pass(61 * Nanos::SECOND);
    let early = script.asked_for(|request| *request == Request::Positions);
    // Nothing comes of it in time, so another one begins. Meanwhile the order is filled.
    script.pass(4 * Nanos::SECOND);
    let fill = script.fill("77", 1, Side::Buy, 5);
    script.tell(News::Fill(fill));
    script.pass(3 * Nanos::SECOND);
    script.n_compared();
    let asked = script.asked();
    let find = |is_it: fn(&Request) -> bool| asked.iter().find(|own| is_it(&own.request)).unwrap();
    let orders = find(|request| matches!(request, Request::OpenOrders { .. }));
    script.answer(orders.id, Answer::Orders(Vec::new()));
    script.answer(find(|request| *request == Request::Balances).id, Answer::Holdings(Vec::new()));
    script.answer(early.id, Answer::Positions(Vec::new()));
    assert!(script.asked().is_empty(), "not all is there");
    let position = PositionNews {
        instrument: INSTRUMENT,
        qty: fill.qty,
        price: fill.price,
        venue_at: script.now,
    };
    let positions = find(|request| *request == Request::Positions);
    script.answer(positions.id, Answer::Positions(vec![position]));
    let fills = script.asked_for(|request| matches!(request, Request::Fills { .. }));
    script.answer(fills.id, Answer::Fills(vec![fill], false));
    assert!(differences(&script).is_empty(), "{:?}", script.notices);
    assert_eq!(script.n_compared(), 1);
}
