//! Orders of a run that was cut off, and that has no record of them.

use tercel_core::{Command, OrderSpec, Price, Quantity, Scope, Side};
use tercel_testkit::linear;

use super::super::*;
use super::script::{INSTRUMENT, Script};
use crate::error::{ErrorKind, VenueError};
use crate::protocol::{Answer, OrderNews, OrderStatus};

fn limit() -> OrderSpec {
    OrderSpec::limit(INSTRUMENT, Side::Buy, Price(90), Quantity(5))
}

/// Begins after run 3, which was cut off and has no record of its orders from the seventh on.
fn begun(lost: LostPolicy) -> Script {
    let cut = CutOff { run: 3, numbers: 7..100, at: Nanos(900 * Nanos::SECOND) };
    let options = GatewayOptions { lost, ..GatewayOptions::default() };
    let mut script = Script::after(linear(0), options, vec![cut]);
    script.tell(News::Online);
    script
}

fn order(script: &Script, run: u32, number: u64, status: OrderStatus, filled: i64) -> OrderNews {
    let key = OrderKey::first(ClientOrderId::new(run, number));
    script.order(Some(key), &number.to_string(), limit(), status, filled)
}

/// Returns what is told of lost orders: which, how much of it filled, and whether it halts.
fn told(script: &Script) -> Vec<(u64, i64, bool)> {
    let lost = |notice: &GatewayNotice| match notice {
        GatewayNotice::Lost { order, filled, halts, .. } => {
            Some((order.counter(), filled.0, *halts))
        }
        _ => None,
    };
    script.notices.iter().filter_map(lost).collect()
}

const fn asks_history(request: &Request) -> bool {
    matches!(request, Request::OrderHistory { .. })
}

/// The orders that a run had sent last and not recorded were never asked for: their executions were in what
/// the account held, the strategy began without them, and bought again.
#[test]
fn lost_orders_are_found_before_anybody_trades() {
    for (policy, halts) in [(LostPolicy::Halt, true), (LostPolicy::Tell, false)] {
        let mut script = begun(policy);
        let asked = script.asked();
        let history = asked.iter().find(|own| asks_history(&own.request)).unwrap().clone();
        let Request::OrderHistory { instrument, since } = history.request else { unreachable!() };
        assert_eq!((instrument, since), (INSTRUMENT, Nanos(840 * Nanos::SECOND)));
        script.answer_all(asked.into_iter().filter(|own| own.id != history.id), &[]);
        assert_eq!(script.n_compared(), 0, "the history is a part of it");
        let list = [(2, 8), (3, 6), (3, 7), (3, 8), (3, 100)];
        let list = list.map(|(run, number)| order(&script, run, number, OrderStatus::Filled, 5));
        script.answer(history.id, Answer::Orders(list.to_vec()));
        assert_eq!(told(&script), [(7, 5, halts), (8, 5, halts)]);
        let is_halt = |event: &Event| *event == Event::Command(Command::Halt(Scope::Engine));
        assert_eq!(script.events().iter().any(is_halt), halts);
        let asked = script.asked();
        script.answer_all(asked.into_iter(), &[]);
        assert_eq!(script.n_compared(), 1);
        // It is read once.
        script.pass(61 * Nanos::SECOND);
        assert!(!script.asked().iter().any(|own| asks_history(&own.request)));
    }
}

/// One that works still is withdrawn as any order that is not known, and one that comes late is told, too.
#[test]
fn a_lost_order_is_told_whatever_brings_it_to_light() {
    let mut script = begun(LostPolicy::Halt);
    let open = order(&script, 3, 7, OrderStatus::Open, 0);
    let asked = script.asked();
    script.answer_all(asked.into_iter(), &[open]);
    assert_eq!(told(&script), [(7, 0, true)]);
    let cancels = |request: &Request| matches!(request, Request::Cancel { .. });
    script.asked_for(cancels);
    let late = order(&script, 3, 9, OrderStatus::Filled, 5);
    script.tell(News::Order(late));
    script.tell(News::Order(late));
    assert_eq!(told(&script), [(7, 0, true), (9, 5, true)]);
}

/// Without the history nothing is known: it is asked for again.
#[test]
fn a_history_that_is_refused_is_asked_for_again() {
    let mut script = begun(LostPolicy::Halt);
    let history = script.asked_for(asks_history);
    let error = VenueError {
        kind: ErrorKind::Unavailable,
        code: VenueText::new(),
        text: "busy".to_owned(),
        retry_after_s: None,
    };
    script.tell(News::Answered { request: history.id, outcome: Err(error) });
    script.pass(10 * Nanos::SECOND);
    let asked = script.asked();
    assert!(asked.iter().any(|own| asks_history(&own.request)), "{asked:?}");
    script.answer_all(asked.into_iter(), &[]);
    let asked = script.asked();
    script.answer_all(asked.into_iter(), &[]);
    assert_eq!((script.n_compared(), told(&script)), (1, Vec::new()));
}
