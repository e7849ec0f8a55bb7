//! Conditional orders that the venue numbers apart from the orders that come of them.
//!
//! A futures stop is known as `a123` while it waits. What comes of it when it fires is another order
//! at the venue, with a number and a name of its own, and executions are told by that number.

use tercel_core::{AccountId, OrderRequest, ReportKind, Side};

use super::super::*;
use super::script::{ID, INSTRUMENT, Script, filled, stop};
use crate::protocol::{Answer, OrderNews, OrderStatus};

const KEY: Option<OrderKey> = Some(OrderKey::first(ID));

/// Places a stop that the venue takes and lets wait.
fn waiting() -> Script {
    let mut script = Script::futures();
    let request = script.place(stop(5));
    let news = script.order(KEY, "a123", stop(5), OrderStatus::Waiting, 0);
    script.answer(request, Answer::Order(news, Vec::new()));
    assert_eq!(script.reports(), [ReportKind::Accepted { venue_order_id: 0 }]);
    script
}

fn told(script: &mut Script, number: &str, status: OrderStatus, filled: i64) -> OrderNews {
    let is_algo = number.starts_with('a');
    let news = script.order(if is_algo { KEY } else { None }, number, stop(5), status, filled);
    script.tell(News::Order(news));
    news
}

fn says_foreign(notice: &GatewayNotice) -> bool {
    matches!(notice, GatewayNotice::ForeignFill { .. } | GatewayNotice::Foreign { .. })
}

/// A stop that had fired was known by its first number for ever: its executions, told by the second,
/// were taken for somebody else's, the order stayed open, and as executions seemed to be missing no
/// comparison came to its end any more. The strategy held a position that its stop had closed.
#[test]
fn a_stop_that_fires_is_followed_under_its_new_number() {
    let mut script = waiting();
    let fired = script.order(KEY, "987", stop(5), OrderStatus::Open, 0);
    script.tell(News::Order(fired));
    assert_eq!(script.reports(), [ReportKind::Triggered]);
    script.tell(News::Fill(script.fill("987", 1, Side::Sell, 2)));
    // News of the first number that is late changes nothing.
    told(&mut script, "a123", OrderStatus::Waiting, 0);
    script.tell(News::Fill(script.fill("987", 2, Side::Sell, 3)));
    assert_eq!(filled(&script.reports()), [(1, 2), (2, 3)]);
    assert!(!script.notices.iter().any(says_foreign), "{:?}", script.notices);
    assert_eq!(script.gateway.n_orders(), (0, 0));
}

/// The same if the executions come before the word that ties both numbers together.
#[test]
fn executions_that_come_before_the_new_number_wait_for_it() {
    let mut script = waiting();
    script.tell(News::Fill(script.fill("987", 1, Side::Sell, 2)));
    told(&mut script, "987", OrderStatus::Open, 2);
    script.tell(News::Fill(script.fill("987", 2, Side::Sell, 3)));
    told(&mut script, "987", OrderStatus::Filled, 5);
    script.pass(Nanos::SECOND);
    assert!(script.reports().is_empty());
    let over = script.order(KEY, "987", stop(5), OrderStatus::Filled, 5);
    script.tell(News::Order(over));
    let reports = script.reports();
    assert_eq!(reports[0], ReportKind::Triggered);
    assert_eq!(filled(&reports), [(1, 2), (2, 3)]);
    assert!(!script.notices.iter().any(says_foreign), "{:?}", script.notices);
    assert_eq!(script.gateway.n_orders(), (0, 0));
}

/// What comes of a stop has a name of the venue's: its end, an answer to a question about it, and its
/// place among the open orders are known by its number alone.
#[test]
fn what_comes_of_a_stop_is_known_by_its_number() {
    let mut script = waiting();
    let fired = script.order(KEY, "987", stop(5), OrderStatus::Open, 0);
    script.tell(News::Order(fired));
    script.reports();
    script.n_compared();
    script.pass(61 * Nanos::SECOND);
    let open = script.order(None, "987", stop(5), OrderStatus::Open, 0);
    script.compare(vec![open]);
    assert!(!script.notices.iter().any(says_foreign), "{:?}", script.notices);
    assert_eq!((script.n_compared(), script.gateway.n_orders()), (1, (1, 0)));
    let (id, account, instrument) = (ID, AccountId(0), INSTRUMENT);
    let cancel = script.send(&OrderRequest::Cancel { id, account, instrument });
    let over = script.order(None, "987", stop(5), OrderStatus::Canceled, 0);
    script.answer(cancel, Answer::Order(over, Vec::new()));
    assert_eq!(script.reports(), [ReportKind::Canceled]);
    assert_eq!(script.gateway.n_orders(), (0, 0));
}

/// A stop may wait for days. Executions that nobody here has asked for are not held for it beyond
/// the next look at the venue's orders that shows it still waiting; no comparison would end before.
#[test]
fn a_stop_that_waits_takes_no_strangers_for_its_own_for_long() {
    let mut script = waiting();
    script.n_compared();
    script.tell(News::Fill(script.fill("555", 9, Side::Buy, 1)));
    assert!(!script.notices.iter().any(says_foreign));
    let still = script.order(KEY, "a123", stop(5), OrderStatus::Waiting, 0);
    script.pass(61 * Nanos::SECOND);
    script.compare(vec![still]);
    script.pass(2 * Nanos::SECOND);
    script.compare(vec![still]);
    assert!(script.notices.iter().any(says_foreign), "{:?}", script.notices);
    assert_eq!(script.n_compared(), 1);
    assert!(script.reports().is_empty());
    assert_eq!(script.gateway.n_orders(), (1, 0));
}

/// What has come of a stop rests among the open orders before anybody here knows its number: it is not
/// called somebody else's while one of ours may have become it.
#[test]
fn what_may_have_come_of_a_stop_is_not_called_foreign() {
    let mut script = waiting();
    script.n_compared();
    let resting = script.order(None, "987", stop(5), OrderStatus::Open, 0);
    script.pass(61 * Nanos::SECOND);
    for asked in script.asked() {
        if matches!(asked.request, Request::OpenOrders { .. }) {
            script.answer(asked.id, Answer::Orders(vec![resting]));
        }
    }
    assert!(!script.notices.iter().any(says_foreign), "{:?}", script.notices);
    // Next to a stop that waits still it was somebody else's all along.
    let still = script.order(KEY, "a123", stop(5), OrderStatus::Waiting, 0);
    script.pass(61 * Nanos::SECOND);
    for asked in script.asked() {
        if matches!(asked.request, Request::OpenOrders { .. }) {
            script.answer(asked.id, Answer::Orders(vec![still, resting]));
        }
    }
    let told = |notice: &GatewayNotice| matches!(notice, GatewayNotice::Foreign { n_orders: 1 });
    assert!(script.notices.iter().any(told), "{:?}", script.notices);
}
