//! Orders of other origin with the names of ours.

use tercel_core::{OrderSpec, Price, Quantity, RejectReason, Side};

use super::super::*;
use super::script::{ID, INSTRUMENT, Script, filled, stop};
use crate::error::{ErrorKind, VenueError};
use crate::protocol::{Answer, FillNews, OrderStatus};

const KEY: OrderKey = OrderKey::first(ID);

fn limit() -> OrderSpec {
    OrderSpec::limit(INSTRUMENT, Side::Buy, Price(90), Quantity(5))
}

fn n_told(script: &Script) -> usize {
    let is_it = |notice: &&GatewayNotice| matches!(notice, GatewayNotice::NameTaken { .. });
    script.notices.iter().filter(is_it).count()
}

/// A second data folder named its orders like a first one's. That the first one's were withdrawn was taken
/// for news of the second one's: they worked on with nobody knowing of them.
#[test]
fn the_end_of_a_namesake_is_not_the_end_of_an_order() {
    let mut script = Script::futures();
    let placed = script.place(limit());
    let open = script.order(Some(KEY), "72", limit(), OrderStatus::Open, 0);
    script.answer(placed, Answer::Order(open, Vec::new()));
    assert!(matches!(script.reports()[..], [ReportKind::Accepted { venue_order_id: 72 }]));
    for _ in 0..2 {
        let other = script.order(Some(KEY), "71", limit(), OrderStatus::Canceled, 0);
        script.tell(News::Order(other));
    }
    assert_eq!((script.reports(), script.gateway.n_orders()), (Vec::new(), (1, 0)));
    assert_eq!(n_told(&script), 1);
    let end = script.order(Some(KEY), "72", limit(), OrderStatus::Canceled, 0);
    script.tell(News::Order(end));
    assert_eq!(script.reports(), [ReportKind::Canceled]);
}

/// An execution of it is somebody else's.
#[test]
fn a_fill_of_a_namesake_is_not_booked() {
    let mut script = Script::futures();
    let placed = script.place(limit());
    let open = script.order(Some(KEY), "72", limit(), OrderStatus::Open, 0);
    script.answer(placed, Answer::Order(open, Vec::new()));
    script.reports();
    let fill = script.fill("71", 1, Side::Buy, 5);
    script.tell(News::Fill(FillNews { key: Some(KEY), ..fill }));
    assert_eq!(script.reports(), Vec::new());
    assert!(script.notices.iter().any(|own| matches!(own, GatewayNotice::ForeignFill { .. })));
    let fill = script.fill("72", 2, Side::Buy, 5);
    script.tell(News::Fill(FillNews { key: Some(KEY), ..fill }));
    assert_eq!(filled(&script.reports()), [(2, 5)]);
}

/// An order that was never executed was asked for by its name, and the venue told of one of long ago: a fill
/// was booked that never was.
#[test]
fn an_order_of_long_ago_does_not_answer_for_one_that_never_came() {
    let mut script = Script::futures();
    let long_ago = script.order(Some(KEY), "71", limit(), OrderStatus::Filled, 5);
    script.now = script.now.plus(30 * 24 * 3_600 * Nanos::SECOND);
    let placed = script.place(limit());
    let error = VenueError {
        kind: ErrorKind::OutcomeUnknown,
        code: VenueText::new(),
        text: "no answer".to_owned(),
        retry_after_s: None,
    };
    script.tell(News::Answered { request: placed, outcome: Err(error) });
    assert_eq!(script.reports(), [ReportKind::Unknown]);
    let asks = |request: &Request| matches!(request, Request::QueryOrder { .. });
    for is_decided in [false, true] {
        script.pass(if is_decided { 60 * Nanos::SECOND } else { Nanos::SECOND });
        let asked = script.asked_for(asks);
        script.answer(asked.id, Answer::Order(long_ago, Vec::new()));
        // While it may still be on its way, nothing is known.
        let expected = [ReportKind::Rejected(RejectReason::Other)];
        assert_eq!(script.reports(), expected[..usize::from(is_decided)]);
    }
    assert_eq!(script.gateway.n_orders(), (0, 0));
}

/// The number of a conditional order changes once, when it fires.
#[test]
fn a_stop_that_has_fired_is_no_namesake_of_itself() {
    let mut script = Script::futures();
    let placed = script.place(stop(5));
    let waiting = script.order(Some(KEY), "a9", stop(5), OrderStatus::Waiting, 0);
    script.answer(placed, Answer::Order(waiting, Vec::new()));
    let open = script.order(Some(KEY), "72", stop(5), OrderStatus::Open, 0);
    script.tell(News::Order(open));
    // Late.
    script.tell(News::Order(waiting));
    let end = script.order(Some(KEY), "72", stop(5), OrderStatus::Canceled, 0);
    script.tell(News::Order(end));
    let reports = script.reports();
    assert!(
        matches!(
            reports[..],
            [ReportKind::Accepted { .. }, ReportKind::Triggered, ReportKind::Canceled]
        ),
        "{reports:?}"
    );
    assert_eq!(n_told(&script), 0);
}
