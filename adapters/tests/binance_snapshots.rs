//! When snapshots of Binance's books are fetched.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::{Talk, instrument, listing};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{Environment, Topic, TopicKind, Venue as _};
use tercel_core::{Event, InstrumentId, InstrumentKind, LinkState, MarketData, Nanos};

const MS: i64 = Nanos::MILLI;

fn open() -> Talk {
    let instruments = [instrument(0, "BTCUSDT", InstrumentKind::Spot, "0.01", "0.00001")];
    let venue = Binance::new(Product::Spot, &Environment::Production);
    let topic = Topic { instrument: InstrumentId(0), kind: TopicKind::Book };
    let connection = venue.market(&listing(&instruments, &[]), &[topic]).swap_remove(0);
    let mut talk = Talk::new(connection);
    talk.open(Nanos(0));
    talk
}

fn increment(n: u64) -> String {
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{n},"u":{n},"b":[["100.00","{n}"]],"a":[]}}}}"#
    )
}

fn n_lists(talk: &mut Talk) -> usize {
    let ends = |event: &Event| {
        matches!(event, Event::Market(market)
            if matches!(market.data, MarketData::Level { last: true, .. }))
    };
    talk.events().filter(ends).count()
}

#[test]
fn the_first_increment_fetches_its_snapshot_at_once() {
    let mut talk = open();
    assert!(talk.calls.is_empty());
    talk.frame(&increment(8), Nanos(3 * MS));
    assert_eq!(talk.calls.len(), 1);
    talk.frame(&increment(9), Nanos(4 * MS));
    talk.timer(Nanos(2_000 * MS));
    assert_eq!(talk.calls.len(), 1, "one is under way");
    let call = talk.calls.pop().unwrap();
    talk.answer(
        &call,
        200,
        r#"{"lastUpdateId":8,"bids":[["99.00","1"]],"asks":[]}"#,
        Nanos(5 * MS),
    );
    assert_eq!(n_lists(&mut talk), 2);
    talk.timer(Nanos(4_000 * MS));
    assert!(talk.calls.is_empty());
}

#[test]
fn a_book_that_says_nothing_fetches_one_after_a_second() {
    let mut talk = open();
    talk.timer(Nanos(999 * MS));
    assert!(talk.calls.is_empty());
    talk.timer(Nanos(1_000 * MS));
    let call = talk.calls.pop().unwrap();
    talk.frame(&increment(8), Nanos(1_001 * MS));
    assert!(talk.calls.is_empty(), "one is under way");
    talk.answer(
        &call,
        200,
        r#"{"lastUpdateId":7,"bids":[["99.00","1"]],"asks":[]}"#,
        Nanos(1_002 * MS),
    );
    assert_eq!(n_lists(&mut talk), 2);
}

/// A quiet book whose snapshot was to be fetched anew stayed live at the prices of before, deaf to its
/// own stream, for as long as the snapshot could not be had.
#[test]
fn a_book_that_is_fetched_anew_is_heard_meanwhile() {
    let mut talk = open();
    talk.frame(&increment(8), Nanos(MS));
    let call = talk.calls.pop().unwrap();
    let snapshot = |last: u64| format!(r#"{{"lastUpdateId":{last},"bids":[],"asks":[]}}"#);
    talk.answer(&call, 200, &snapshot(8), Nanos(2 * MS));
    n_lists(&mut talk);
    talk.connection.protocol.resync(InstrumentId(0), Nanos(20_000 * MS), &mut talk.out);
    let call = talk.out.calls.pop().unwrap();
    talk.frame(&increment(9), Nanos(20_001 * MS));
    assert_eq!(n_lists(&mut talk), 1);
    talk.answer(&call, 503, "", Nanos(20_002 * MS));
    talk.frame(&increment(10), Nanos(20_003 * MS));
    assert_eq!(n_lists(&mut talk), 1, "its own stream vouches for it");
    talk.timer(Nanos(21_002 * MS));
    let call = talk.calls.pop().unwrap();
    talk.answer(&call, 503, "", Nanos(21_003 * MS));
    let told: Vec<_> = talk.events().collect();
    let is_gap = |event: &Event| matches!(event, Event::Link(link) if link.state == LinkState::Gap);
    assert!(matches!(&told[..], [event] if is_gap(event)), "nothing vouches for it: {told:?}");
    talk.frame(&increment(11), Nanos(21_004 * MS));
    assert_eq!(n_lists(&mut talk), 0);
    talk.timer(Nanos(23_003 * MS));
    let call = talk.calls.pop().unwrap();
    talk.answer(&call, 200, &snapshot(10), Nanos(23_004 * MS));
    assert_eq!(n_lists(&mut talk), 2);
}
