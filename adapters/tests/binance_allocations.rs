//! Decoding asks nothing of the allocator once the buffers have grown.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod counting;
mod support;

use support::{Talk, instrument, listing};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{Environment, Frame, Topic, TopicKind, Venue as _};
use tercel_core::{InstrumentId, InstrumentKind, Nanos};

#[test]
fn messages_cost_no_allocation_after_the_first_ones() {
    let instruments = [instrument(0, "BTCUSDT", InstrumentKind::Spot, "0.01", "0.00001")];
    let venue = Binance::new(Product::Spot, &Environment::Production);
    let kinds = [TopicKind::Book, TopicKind::Quotes, TopicKind::Trades];
    let topics = kinds.map(|kind| Topic { instrument: InstrumentId(0), kind });
    let connection = venue.market(&listing(&instruments, &[]), &topics).swap_remove(0);
    let mut talk = Talk::new(connection);
    talk.open(Nanos(0));
    talk.timer(Nanos(2 * Nanos::SECOND));
    let call = talk.calls.pop().unwrap();
    talk.answer(&call, 200, r#"{"lastUpdateId":0,"bids":[["1.00","1"]],"asks":[]}"#, Nanos(1));
    let levels: Vec<String> =
        (0..20).map(|n| format!("[\"618{n:02}.63000000\",\"1.5{n:02}00000\"]")).collect();
    let message = |n: u64| {
        let levels = levels.join(",");
        [
            format!(
                r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{n},"u":{n},"b":[{levels}],"a":[{levels}]}}}}"#
            ),
            format!(
                r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":{n},"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}}}"#
            ),
            format!(
                r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{n},"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}}}"#
            ),
            // Escaped, and so read the long way.
            format!(
                r#"{{"\u0075":{n},"s":"BTCUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}}"#
            ),
        ]
    };
    let messages: Vec<String> = (1..=2_000).flat_map(message).collect();
    let protocol = &mut talk.connection.protocol;
    let out = &mut talk.out;
    let mut n_events = 0;
    let mut run = |messages: &[String]| {
        for message in messages {
            protocol.decode(Frame::Text(message.as_bytes()), Nanos(1), out).unwrap();
            n_events += out.events.len();
            out.events.clear();
        }
    };
    run(&messages[..400]);
    let (n_allocations, ()) = counting::allocations(|| run(&messages[400..]));
    assert_eq!(n_allocations, 0);
    assert!(n_events > 2_000 * 44);
}
