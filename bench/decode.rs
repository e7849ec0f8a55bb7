//! What it costs to understand and to say something at a venue.
//!
//! `depth` and `trade` are paid for every message of a feed, so a regression there lowers how many
//! instruments one thread can follow. `order` is the last step between a decision and the wire.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{
    AccountSetup, CallAnswer, CallOutcome, ClientIds, ClockOffset, Connection, Credentials,
    Environment, Frame, Listing, OrderEntry, OrderKey, Outbox, Request, RequestId, Tagged, Topic,
    TopicKind, Venue as _,
};
use tercel_core::{
    ClientOrderId, Instrument, InstrumentId, InstrumentKind, InstrumentSpec, Nanos, OrderSpec,
    Price, Quantity, Side, VenueId,
};

const INSTRUMENT: InstrumentId = InstrumentId(0);

fn listing() -> Listing {
    let mut spec = InstrumentSpec::linear("BTCUSDT", "0.01", "0.00001");
    spec.kind = InstrumentKind::Spot;
    let instrument = Instrument::new(INSTRUMENT, spec).expect("the grid is Bitcoin's");
    Listing::new(VenueId(0), &[instrument], &["BTC".to_owned(), "USDT".to_owned()])
}

/// Returns a market connection whose book stands at number 0.
fn market(out: &mut Outbox) -> Connection {
    let venue = Binance::new(Product::Spot, &Environment::Production);
    let kinds = [TopicKind::Book, TopicKind::Trades, TopicKind::Quotes];
    let topics = kinds.map(|kind| Topic { instrument: INSTRUMENT, kind });
    let mut connection = venue.market(&listing(), &topics).remove(0);
    connection.protocol.subscribe(Nanos(0), out);
    connection.protocol.on_timer(Nanos(2 * Nanos::SECOND), out);
    let call = out.calls.pop().expect("a snapshot is asked for");
    let body = br#"{"lastUpdateId":0,"bids":[["1.00","1"]],"asks":[]}"#;
    let outcome = CallOutcome::Answered { status: 200, body, retry_after_s: None };
    connection.protocol.answer(&CallAnswer { id: call.id, outcome }, Nanos(1), out);
    out.events.clear();
    connection
}

/// Returns the nth increment, of 20 levels a side, as the venue writes it.
fn depth(n: u64) -> String {
    let side = |from: u64| {
        let level = |k: u64| {
            let (price, qty) = (6_180_000 + from + k * 7, (n * 13 + k * 7_919) % 3_000_000);
            format!(
                "[\"{}.{:02}000000\",\"{}.{:05}000\"]",
                price / 100,
                price % 100,
                qty / 100_000,
                qty % 100_000
            )
        };
        (0..20).map(level).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{n},"u":{n},"b":[{}],"a":[{}]}}}}"#,
        side(n % 50),
        side(500 + n % 50)
    )
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let mut out = Outbox::default();

    // From bytes to events with a book kept in step; numbers go on, so every message counts.
    let mut connection = market(&mut out);
    let mut n = 0;
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("thousand depth messages of 40 levels", |b| {
        b.iter_batched(
            || {
                let messages: Vec<String> = (1..=1_000).map(|k| depth(n + k)).collect();
                n += 1_000;
                messages
            },
            |messages| {
                for message in &messages {
                    let frame = Frame::Text(message.as_bytes());
                    connection
                        .protocol
                        .decode(frame, Nanos(1), &mut out)
                        .expect("it is well-formed");
                    black_box(&out.events);
                    out.events.clear();
                }
                messages
            },
            BatchSize::LargeInput,
        );
    });

    group.throughput(Throughput::Elements(1));
    for (name, message) in [
        (
            "trade",
            r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#,
        ),
        (
            "best quote",
            r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}"#,
        ),
        (
            "trade, the long way",
            r#"{"\u0065":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#,
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let frame = Frame::Text(black_box(message).as_bytes());
                connection.protocol.decode(frame, Nanos(1), &mut out).expect("it is well-formed");
                black_box(&out.events);
                out.events.clear();
            });
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let setup = AccountSetup {
        credentials: Credentials::new("k".repeat(64), "s".repeat(64)),
        ids: ClientIds::new("tc").expect("a plain prefix"),
        clock: ClockOffset::default(),
        entry: OrderEntry::Fastest,
    };
    let venue = Binance::new(Product::Spot, &Environment::Production);
    let mut connection = venue.account(&listing(), &setup).expect("the key is one").remove(0);
    let mut out = Outbox::default();
    connection.protocol.subscribe(Nanos(0), &mut out);
    out.clear_frames();
    let mut n = 0;
    c.bench_function("encode/limit order, signed with HMAC", |b| {
        b.iter(|| {
            n += 1;
            let key = OrderKey::first(ClientOrderId::new(1, n));
            let spec = OrderSpec::limit(INSTRUMENT, Side::Buy, Price(6_183_763), Quantity(2_000));
            let tagged = Tagged { id: RequestId(n), request: Request::Place { key, spec } };
            connection
                .protocol
                .encode(&tagged, Nanos(1_700_000_000 * Nanos::SECOND), &mut out)
                .expect("the venue has it");
            black_box(out.frames().count());
            out.clear_frames();
            // Answers do not come here, so what waits for them is closed now and then.
            if n.is_multiple_of(1_000) {
                connection.protocol.disconnected(Nanos(0), &mut out);
                connection.protocol.subscribe(Nanos(0), &mut out);
                out.news.clear();
                out.clear_frames();
            }
        });
    });
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
