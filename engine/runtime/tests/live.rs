//! Live market data over loopback sockets in the three profiles.
#![expect(clippy::unwrap_used, reason = "code of tests")]

#[path = "../../../adapters/tests/toy/mod.rs"]
mod toy;

use std::sync::Arc;

use tercel_adapters::net::{
    Backoff, Budget, BusySocket, CallFaults, LinkOptions, MarketDriver, MarketSetup, MemoryCallNet,
    MemoryCalls, Tls, TokioSocket, Transport,
};
use tercel_adapters::{ClockOffset, Listing};
use tercel_core::{Event, LinkState, VenueId};
use tercel_runtime::live::{LiveSource, SharedFeed};
use tercel_runtime::{
    Control, Feed, FeedOptions, Handle, IdleStrategy, MarketSource, Overflow, RingSource,
    SourceState, UtcClock, control,
};
use toy::{Server, Toy, expect_text, linger, link, prices, say, topics, toy, wait_until};

fn driver<T: Transport>(
    venue: Toy,
    dial: impl Fn() -> T + Clone + Send + 'static,
) -> MarketDriver<T, MemoryCalls> {
    let backoff = Backoff { floor_ns: 1_000_000, base_ns: 20_000_000, cap_ns: 200_000_000 };
    let setup = MarketSetup {
        listing: &Listing::new(VenueId(0), &[], &[]),
        topics: &topics(2),
        budget: Budget::unlimited(),
        clock: ClockOffset::default(),
        link: LinkOptions { backoff, ..LinkOptions::default() },
        quiet_ns: i64::MAX,
    };
    let calls = MemoryCallNet::new(0, CallFaults::NONE).driver(Budget::unlimited());
    MarketDriver::new(Arc::new(venue), &setup, calls, dial)
}

fn inline(venue: Toy) -> LiveSource<BusySocket, MemoryCalls, UtcClock> {
    LiveSource::new(driver(venue, || BusySocket::new(Tls::public())), UtcClock::system())
}

fn pinned(venue: Toy, capacity: usize, control: &Control) -> (Feed, RingSource) {
    let options = FeedOptions {
        capacity,
        overflow: Overflow::Gap(vec![VenueId(0); 2]),
        idle: IdleStrategy::SpinThenYield { spins: 8 },
        core: None,
    };
    Feed::spawn(options, control, move || Ok(inline(venue))).unwrap()
}

fn shared(venue: Toy, capacity: usize, control: &Control) -> (SharedFeed, RingSource) {
    let driver = driver(venue, || TokioSocket::new(Tls::public()));
    let venues = vec![VenueId(0); 2];
    SharedFeed::spawn(capacity, venues, control, driver, UtcClock::system()).unwrap()
}

/// Two connections: the first breaks after its messages, the second goes on.
fn server() -> Server {
    Server::start(|number, peer| {
        expect_text(peer, "sub 2");
        let from = i64::try_from(number).unwrap() * 500;
        for price in from..from + 500 {
            say(peer, &format!("t {} {price}", price % 2));
        }
        if number > 0 {
            linger(peer);
        }
    })
}

fn check_all_is_heard(source: &mut impl MarketSource) {
    let mut events = Vec::new();
    wait_until("all messages of both connections", || {
        assert_ne!(source.poll(&mut events, 64).unwrap(), SourceState::Ended);
        prices(&events).len() == 1_000
    });
    assert_eq!(prices(&events), (0..1_000).collect::<Vec<_>>());
    let (up, down) = (LinkState::Up, LinkState::Down);
    let links: Vec<_> =
        events.iter().filter(|event| matches!(event, Event::Link(_))).cloned().collect();
    let expected =
        [link(0, up), link(1, up), link(0, down), link(1, down), link(0, up), link(1, up)];
    assert_eq!(links, expected);
}

fn engine() -> (Handle, Control) {
    control(16)
}

#[test]
fn the_engines_own_thread_hears_everything() {
    let server = server();
    check_all_is_heard(&mut inline(toy(server.address())));
}

#[test]
fn a_pinned_thread_hears_everything_and_ends_with_the_engine() {
    let server = server();
    let (_handle, control) = engine();
    let (feed, mut source) = pinned(toy(server.address()), 4_096, &control);
    check_all_is_heard(&mut source);
    drop(source);
    assert!(feed.join().is_none());
}

#[test]
fn a_shared_thread_hears_everything_and_ends_with_the_engine() {
    let server = server();
    let (_handle, control) = engine();
    let (feed, mut source) = shared(toy(server.address()), 4_096, &control);
    check_all_is_heard(&mut source);
    drop(source);
    feed.join();
}

/// What no room is left for is told as a gap of each instrument, before anything later of it.
#[test]
fn an_engine_that_is_too_slow_is_told_of_every_gap() {
    for is_pinned in [true, false] {
        let server = Server::start(|_, peer| {
            expect_text(peer, "sub 2");
            for price in 0..5_000 {
                say(peer, &format!("t {} {price}", price % 2));
            }
            linger(peer);
        });
        let (_handle, control) = engine();
        let venue = toy(server.address());
        let mut source =
            if is_pinned { pinned(venue, 64, &control).1 } else { shared(venue, 64, &control).1 };
        // Two links and 5,000 messages for 64 places.
        let counters = Arc::clone(source.counters());
        wait_until("a loss", || counters.status().n_dropped >= 5_002 - 64);
        let mut events = Vec::new();
        let gaps = [link(0, LinkState::Gap), link(1, LinkState::Gap)];
        wait_until("both gaps", || {
            source.poll(&mut events, 64).unwrap();
            gaps.iter().all(|gap| events.contains(gap))
        });
        assert_eq!(prices(&events), (0..62).collect::<Vec<_>>(), "pinned: {is_pinned}");
        assert_eq!(events.iter().filter(|event| gaps.contains(event)).count(), 2);
    }
}
