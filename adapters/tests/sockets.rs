//! Market data over real sockets on loopback, busy-polled and behind tokio: what is sent arrives,
//! and what goes wrong is found out.
#![expect(clippy::unwrap_used, reason = "code of tests")]

mod toy;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tercel_adapters::net::{
    Backoff, Budget, BusySocket, CallFaults, CloseReason, Faults, Limiter, LinkOptions, Listener,
    Loss, MarketDriver, MarketSetup, MemoryCallNet, MemoryCalls, MemoryNet, NotSent, ResyncHandle,
    Tls, TokioSocket, Transport, TransportState, run_shared,
};
use tercel_adapters::{ClockOffset, Listing, Manners};
use tercel_core::{Event, InstrumentId, LinkState, Nanos, VenueId};
use toy::{MANNERS, Peer, Server, Toy, expect_text, linger, link, now, prices, say, topics, toy};

/// The same market data behind either kind of socket.
enum Feed {
    Busy(Box<MarketDriver<BusySocket, MemoryCalls>>, Vec<Event>),
    Shared(Arc<Mutex<Vec<Event>>>, ResyncHandle),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Busy,
    Shared,
}

const KINDS: [Kind; 2] = [Kind::Busy, Kind::Shared];

fn options() -> LinkOptions {
    let backoff = Backoff { floor_ns: 1_000_000, base_ns: 20_000_000, cap_ns: 200_000_000 };
    LinkOptions { backoff, ..LinkOptions::default() }
}

fn feed(kind: Kind, venue: Toy, n_topics: u16, tls: &Tls) -> Feed {
    feed_with(kind, venue, n_topics, tls, Budget::unlimited())
}

fn feed_with(kind: Kind, venue: Toy, n_topics: u16, tls: &Tls, budget: Budget) -> Feed {
    let listing = Listing::new(VenueId(0), &[], &[]);
    let topics = topics(n_topics);
    let setup = MarketSetup {
        listing: &listing,
        topics: &topics,
        budget,
        clock: ClockOffset::default(),
        link: options(),
        quiet_ns: i64::MAX,
    };
    let calls = MemoryCallNet::new(0, CallFaults::NONE).driver(Budget::unlimited());
    let (venue, tls) = (Arc::new(venue), tls.clone());
    match kind {
        Kind::Busy => {
            let dial = move || BusySocket::new(tls.clone());
            Feed::Busy(Box::new(MarketDriver::new(venue, &setup, calls, dial)), Vec::new())
        }
        Kind::Shared => {
            let dial = move || TokioSocket::new(tls.clone());
            let driver = MarketDriver::new(venue, &setup, calls, dial);
            let resyncs = driver.resyncs().clone();
            let events = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::downgrade(&events);
            std::thread::spawn(move || {
                run_shared(driver, now, |news| match heard.upgrade() {
                    Some(events) => {
                        events.lock().unwrap().append(news);
                        Listener::Listens
                    }
                    None => Listener::IsGone,
                })
            });
            Feed::Shared(events, resyncs)
        }
    }
}

impl Feed {
    /// Returns all that was heard so far.
    fn events(&mut self) -> Vec<Event> {
        match self {
            Self::Busy(driver, events) => {
                driver.poll(&mut now, events);
                events.clone()
            }
            Self::Shared(events, _) => events.lock().unwrap().clone(),
        }
    }

    fn resyncs(&self) -> ResyncHandle {
        match self {
            Self::Busy(driver, _) => driver.resyncs().clone(),
            Self::Shared(_, resyncs) => resyncs.clone(),
        }
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        toy::wait_until(what, || {
            events = self.events();
            is_so(&events)
        });
        events
    }
}

fn states(events: &[Event]) -> Vec<LinkState> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Link(link) => Some(link.state),
            _ => None,
        })
        .collect()
}

fn say_prices(peer: &mut Peer, from: i64, to: i64) {
    for price in from..to {
        say(peer, &format!("t 0 {price}"));
    }
}

#[test]
fn messages_arrive_whole_and_in_order() {
    for kind in KINDS {
        let server = Server::start(|_, peer| {
            assert_eq!(expect_text(peer, "sub"), "sub 1");
            say_prices(peer, 0, 2_000);
            linger(peer);
        });
        let mut feed = feed(kind, toy(server.address()), 1, &Tls::public());
        let events = feed.wait_until("all messages", |events| prices(events).len() == 2_000);
        assert_eq!(events[0], link(0, LinkState::Up));
        assert_eq!(prices(&events), (0..2_000).collect::<Vec<_>>());
    }
}

#[test]
fn a_dropped_connection_is_told_and_subscribed_to_anew() {
    for kind in KINDS {
        let server = Server::start(|number, peer| {
            expect_text(peer, "sub");
            let from = i64::try_from(number).unwrap() * 10;
            say_prices(peer, from, from + 10);
            if number >= 4 {
                linger(peer);
            }
        });
        let mut feed = feed(kind, toy(server.address()), 1, &Tls::public());
        let events = feed.wait_until("the fifth", |events| prices(events).contains(&49));
        assert_eq!(prices(&events), (0..50).collect::<Vec<_>>());
        let expected: Vec<_> = [LinkState::Up, LinkState::Down].repeat(5)[..9].to_vec();
        assert_eq!(states(&events), expected);
        assert_eq!(server.n_connections(), 5);
    }
}

#[test]
fn a_half_open_connection_is_found_out() {
    for kind in KINDS {
        let server = Server::start(|number, peer| {
            expect_text(peer, "sub");
            say_prices(peer, 0, 1);
            if number == 0 {
                // Neither reads nor answers pings.
                std::thread::park();
            }
            linger(peer);
        });
        let manners = Manners { silence_s: 1, ..MANNERS };
        let mut feed = feed(kind, Toy { manners, ..toy(server.address()) }, 1, &Tls::public());
        let begun = Instant::now();
        let events = feed.wait_until("a second connection", |events| prices(events).len() == 2);
        assert_eq!(states(&events), [LinkState::Up, LinkState::Down, LinkState::Up]);
        assert!(begun.elapsed() >= Duration::from_secs(1));
        // The second one answers our pings and so stays.
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(server.n_connections(), 2);
    }
}

#[test]
fn pings_are_answered_with_what_they_hold() {
    for kind in KINDS {
        let server = Server::start(|_, peer| {
            expect_text(peer, "sub");
            peer.send(tungstenite::Message::Ping("1700000000".into())).unwrap();
            loop {
                if let tungstenite::Message::Pong(bytes) = peer.read().unwrap() {
                    assert_eq!(&bytes[..], b"1700000000");
                    break;
                }
            }
            say_prices(peer, 7, 8);
            linger(peer);
        });
        let mut feed = feed(kind, toy(server.address()), 1, &Tls::public());
        feed.wait_until("the answer to the pong", |events| prices(events) == [7]);
    }
}

#[test]
fn a_slow_consumer_loses_nothing_that_the_venue_waits_with() {
    const N: i64 = 30_000;
    let server = Server::start(|_, peer| {
        expect_text(peer, "sub");
        say_prices(peer, 0, N);
        linger(peer);
    });
    let mut feed = feed(Kind::Busy, toy(server.address()), 1, &Tls::public());
    feed.wait_until("the first", |events| !prices(events).is_empty());
    // Buffers of both sides fill up meanwhile.
    std::thread::sleep(Duration::from_millis(200));
    let Feed::Busy(driver, events) = &mut feed else { unreachable!() };
    toy::wait_until("the rest", || {
        driver.poll(&mut now, events);
        prices(&events[events.len().saturating_sub(1)..]) == [N - 1]
    });
    assert_eq!(prices(events), (0..N).collect::<Vec<_>>());
}

#[test]
fn a_venue_that_does_not_read_is_not_waited_for() {
    let server = Server::start(|_, _| std::thread::park());
    let mut socket = BusySocket::new(Tls::public());
    socket.connect(&server.address(), now());
    toy::wait_until("open", || {
        socket.poll(1, &mut now, &mut |_, _| {});
        *socket.state() == TransportState::Open
    });
    let text = vec![b'x'; 64 << 10];
    let refused = (0..1_000).find_map(|_| socket.send(&text, now()).err());
    assert_eq!(refused, Some(NotSent::Full));
}

#[test]
fn secure_connections_are_made_with_who_is_trusted_only() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der = certified.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    let server = Server::with_tls(Some(Arc::new(config)), |_, peer| {
        expect_text(peer, "sub");
        say_prices(peer, 0, 500);
        linger(peer);
    });
    let address = format!("wss://localhost:{}/stream?listenKey=secret", server.port);
    let trusting = Tls::trusting(&[&der]).unwrap();
    for kind in KINDS {
        let mut feed = feed(kind, toy(address.clone()), 1, &trusting);
        let events = feed.wait_until("all messages", |events| prices(events).len() == 500);
        assert_eq!(prices(&events), (0..500).collect::<Vec<_>>());
    }
    let mut feed = feed(Kind::Busy, toy(address), 1, &Tls::public());
    let Feed::Busy(driver, events) = &mut feed else { unreachable!() };
    toy::wait_until("a refusal", || {
        driver.poll(&mut now, events);
        driver.links()[0].last_loss().is_some()
    });
    let loss = driver.links()[0].last_loss().unwrap();
    assert!(matches!(loss, Loss::Closed(CloseReason::Tls(_))), "{loss:?}");
    assert!(!format!("{loss} {driver:?}").contains("secret"), "{loss}");
    assert!(events.is_empty());
}

#[test]
fn addresses_that_are_none_and_hosts_that_are_not_there_are_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, expected) in [
        ("http://127.0.0.1/".to_owned(), CloseReason::Address),
        ("nonsense".to_owned(), CloseReason::Address),
        (format!("ws://{free}/"), CloseReason::Io(std::io::ErrorKind::ConnectionRefused)),
    ] {
        let mut socket = BusySocket::new(Tls::public());
        socket.connect(&address, now());
        toy::wait_until("an end", || {
            socket.poll(1, &mut now, &mut |_, _| {});
            *socket.state() != TransportState::Connecting
        });
        assert_eq!(*socket.state(), TransportState::Closed(expected), "{address}");
    }
}

#[test]
fn a_venue_that_says_too_many_is_left_alone() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let _ = socket.read(&mut [0; 4_096]);
            let _ =
                socket.write_all(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let limiter = Limiter::new(&[]);
    let venue = toy(format!("ws://{addr}/"));
    let mut feed = feed_with(Kind::Busy, venue, 1, &Tls::public(), limiter.address());
    let Feed::Busy(driver, events) = &mut feed else { unreachable!() };
    toy::wait_until("a refusal", || {
        driver.poll(&mut now, events);
        driver.links()[0].last_loss().is_some()
    });
    let expected = Loss::Closed(CloseReason::Status(429));
    assert_eq!(driver.links()[0].last_loss(), Some(&expected));
    assert!(limiter.silent_until() > now());
}

#[test]
fn a_fresh_snapshot_can_be_asked_for_from_any_thread() {
    for kind in KINDS {
        let server = Server::start(|number, peer| {
            expect_text(peer, "sub");
            say_prices(peer, i64::try_from(number).unwrap(), i64::try_from(number).unwrap() + 1);
            let text = expect_text(peer, "resync");
            assert_eq!(text, "resync 1", "only the connection that carries it asks");
            say_prices(peer, 100, 101);
            linger(peer);
        });
        let venue = Toy { per_connection: 1, ..toy(server.address()) };
        let mut feed = feed(kind, venue, 2, &Tls::public());
        feed.wait_until("both", |events| prices(events).len() == 2);
        let resyncs = feed.resyncs();
        std::thread::spawn(move || resyncs.ask(InstrumentId(1))).join().unwrap();
        let events = feed.wait_until("a snapshot", |events| prices(events).contains(&100));
        assert_eq!(prices(&events).iter().filter(|price| **price == 100).count(), 1);
    }
}

/// The driver over memory: what only takes time is tested in virtual time.
struct Virtual {
    now: Nanos,
    net: MemoryNet,
    calls: MemoryCallNet,
    driver: MarketDriver<tercel_adapters::net::MemoryTransport, MemoryCalls>,
    clock: ClockOffset,
    heard: Vec<String>,
    peers: Vec<tercel_adapters::net::MemoryPeer>,
    out: Vec<Event>,
}

impl Virtual {
    fn new(quiet_ns: i64) -> Self {
        let net = MemoryNet::new(1, Faults::NONE);
        let faults = CallFaults { delay_ns: (3_000_000, 9_000_000), ..CallFaults::NONE };
        let calls = MemoryCallNet::new(1, faults);
        let listing = Listing::new(VenueId(0), &[], &[]);
        let clock = ClockOffset::default();
        let setup = MarketSetup {
            listing: &listing,
            topics: &topics(2),
            budget: Budget::unlimited(),
            clock: clock.clone(),
            link: LinkOptions::default(),
            quiet_ns,
        };
        let dialed = net.clone();
        let driver = MarketDriver::new(
            Arc::new(toy("ws://venue".to_owned())),
            &setup,
            calls.driver(Budget::unlimited()),
            move || dialed.transport(),
        );
        let now = Nanos(1_000 * Nanos::SECOND);
        let (heard, peers, out) = (Vec::new(), Vec::new(), Vec::new());
        Self { now, net, calls, driver, clock, heard, peers, out }
    }

    fn run(&mut self, seconds: i64, mut act: impl FnMut(&Self)) {
        let end = self.now.plus(seconds * Nanos::SECOND);
        while self.now < end {
            let now = self.now;
            self.peers.extend(self.net.accept(now));
            for peer in &self.peers {
                while let Some(text) = peer.receive(now) {
                    self.heard.push(String::from_utf8(text).unwrap());
                }
            }
            act(self);
            let venue_time = now.plus(250_000_000);
            self.calls.serve(now, |_| (200, venue_time.0.to_string().into_bytes()));
            self.driver.poll(&mut || now, &mut self.out);
            self.now = now.plus(1_000_000);
        }
    }
}

#[test]
fn the_venues_clock_is_measured_again_and_again() {
    let mut stage = Virtual::new(i64::MAX);
    stage.run(3, |_| {});
    let error_ns = (stage.clock.ns() - 250_000_000).abs();
    assert!(error_ns <= 5_000_000, "{error_ns} ns off");
    stage.clock.measured(0);
    stage.run(302, |_| {});
    assert_ne!(stage.clock.ns(), 0, "measured again by itself");
}

#[test]
fn a_book_that_stands_still_is_fetched_anew_ever_more_rarely() {
    let mut stage = Virtual::new(60 * Nanos::SECOND);
    stage.run(600, |stage| {
        // The first book lives, the second does not.
        if stage.now.0 % (5 * Nanos::SECOND) == 0
            && let Some(peer) = stage.peers.first()
        {
            peer.send(b"l 0 5", stage.now);
        }
    });
    let n_asked =
        |id: u16| stage.heard.iter().filter(|text| **text == format!("resync {id}")).count();
    assert_eq!(n_asked(0), 0);
    // After one, three and seven minutes.
    assert_eq!(n_asked(1), 3);
}

/// Trades of an instrument kept a book from being missed whose own stream had fallen silent: the
/// engine went on at prices that stood still, for as long as the instrument was traded.
#[test]
fn trades_do_not_hide_a_book_that_stands_still() {
    let mut stage = Virtual::new(60 * Nanos::SECOND);
    stage.run(100, |stage| {
        let peer = stage.peers.first().filter(|_| stage.now.0 % Nanos::SECOND == 0);
        if let Some(peer) = peer {
            peer.send(b"l 0 5", stage.now);
            peer.send(b"t 1 7", stage.now);
        }
    });
    let asked: Vec<_> = stage.heard.iter().filter(|text| text.starts_with("resync")).collect();
    assert_eq!(asked, ["resync 1"]);
}
