//! A link against a scripted venue in memory: storms, and each rule by itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tercel_core::Nanos;

use super::*;
use crate::limits::{Limit, LimitKind, LimitScope};
use crate::net::limiter::Limiter;
use crate::net::memory::{Faults, MemoryNet, MemoryPeer, MemoryTransport};
use crate::net::transport::{Arrival, NotSent};
use crate::protocol::{Cost, DecodeError, Frame, Protocol, Request, RequestId};
use crate::venue::Manners;

const MS: i64 = 1_000_000;
const N_STREAMS: usize = 5;
/// Between two polls.
const STEP_NS: i64 = 20 * MS;

#[derive(Debug, Default)]
struct Log {
    /// Messages that the protocol wanted sent, each with a number of its own.
    n_wanted: usize,
    n_subscribed: usize,
    n_disconnected: usize,
    n_decoded: usize,
    /// What reached the transport: connection, time, text.
    sent: Vec<(usize, Nanos, String)>,
    attempts: Vec<Nanos>,
    /// Requests of which nothing was sent.
    unsent: Vec<RequestId>,
}

type SharedLog = Arc<Mutex<Log>>;

struct Chatter {
    log: SharedLog,
    reconnect_on: Option<&'static [u8]>,
}

const fn cost(priority: Priority) -> Cost {
    Cost { weight: u32::MIN, orders: 0, priority }
}

impl Chatter {
    fn say(&self, word: &str, cost: Cost, out: &mut Outbox) {
        let mut log = self.log.lock().unwrap();
        log.n_wanted += 1;
        let n = log.n_wanted;
        out.frame(cost, |bytes| bytes.extend_from_slice(format!("{word} #{n}").as_bytes()));
    }
}

impl Protocol for Chatter {
    fn subscribe(&mut self, _now: Nanos, out: &mut Outbox) {
        for stream in 0..N_STREAMS {
            self.say(&format!("sub {stream}"), cost(Priority::Query), out);
        }
        let mut log = self.log.lock().unwrap();
        assert_eq!(log.n_subscribed, log.n_disconnected, "subscribed twice on one connection");
        log.n_subscribed += 1;
    }

    fn decode(&mut self, frame: Frame<'_>, _: Nanos, out: &mut Outbox) -> Result<(), DecodeError> {
        let mut log = self.log.lock().unwrap();
        assert_eq!(log.n_subscribed, log.n_disconnected + 1, "decoded while not connected");
        log.n_decoded += 1;
        if Some(frame.bytes()) == self.reconnect_on {
            out.reconnect = Some("told to");
        }
        if frame.bytes() == b"who are you" {
            (out.reconnect, out.is_refused) = (Some("refused"), true);
        }
        if frame.bytes() == b"nonsense" { Err(DecodeError::UnknownMessage) } else { Ok(()) }
    }

    fn encode(&mut self, tagged: &Tagged, _: Nanos, out: &mut Outbox) -> Result<(), EncodeError> {
        let priority = match tagged.request {
            Request::Balances => Priority::Query,
            Request::Positions => Priority::Order,
            _ => Priority::Cancel,
        };
        let cost = Cost { weight: 1, orders: 0, priority };
        self.say("ask", cost, out);
        Ok(())
    }

    fn unsent(&mut self, request: RequestId) {
        self.log.lock().unwrap().unsent.push(request);
    }

    fn answer(&mut self, _: &CallAnswer<'_>, _: Nanos, _: &mut Outbox) {}

    fn on_timer(&mut self, now: Nanos, _: &mut Outbox) -> Nanos {
        now.plus(Nanos::SECOND)
    }

    fn disconnected(&mut self, _: Nanos, _: &mut Outbox) {
        let mut log = self.log.lock().unwrap();
        log.n_disconnected += 1;
        assert_eq!(log.n_subscribed, log.n_disconnected, "disconnected without subscribing");
    }

    fn resync(&mut self, _: InstrumentId, _: Nanos, out: &mut Outbox) {
        self.say("resync", cost(Priority::Query), out);
    }
}

/// Writes down what the link gives to a transport.
struct Recorded {
    inner: MemoryTransport,
    log: SharedLog,
    number: usize,
}

impl Transport for Recorded {
    fn connect(&mut self, address: &str, now: Nanos) {
        let mut log = self.log.lock().unwrap();
        self.number = log.attempts.len();
        log.attempts.push(now);
        drop(log);
        self.inner.connect(address, now);
    }

    fn state(&self) -> &TransportState {
        self.inner.state()
    }

    fn poll(
        &mut self,
        max: usize,
        clock: &mut dyn FnMut() -> Nanos,
        arrived: &mut dyn FnMut(Arrival<'_>, Nanos),
    ) -> usize {
        self.inner.poll(max, clock, arrived)
    }

    fn send(&mut self, text: &[u8], now: Nanos) -> Result<(), NotSent> {
        let sent = self.inner.send(text, now);
        if sent.is_ok() {
            let text = String::from_utf8(text.to_vec()).unwrap();
            self.log.lock().unwrap().sent.push((self.number, now, text));
        }
        sent
    }

    fn ping(&mut self, now: Nanos) -> Result<(), NotSent> {
        self.inner.ping(now)
    }

    fn close(&mut self, now: Nanos) {
        self.inner.close(now);
    }
}

struct Stage {
    now: Nanos,
    net: MemoryNet,
    link: Link<Recorded>,
    log: SharedLog,
    out: Outbox,
    /// Connections with the streams that were subscribed to on each.
    peers: Vec<(MemoryPeer, BTreeSet<String>, usize)>,
    /// Whether the venue sends data, and whether it pings.
    has_data: bool,
    has_pings: bool,
    next_push_at: Nanos,
    next_ping_at: Nanos,
}

const MANNERS: Manners = Manners { messages_per_s: 5, max_age_s: 0, silence_s: 30 };

fn stage(
    seed: u64,
    faults: Faults,
    manners: Manners,
    tune: impl FnOnce(&mut LinkOptions),
) -> Stage {
    stage_with(seed, faults, manners, Purpose::Market, Budget::unlimited(), tune)
}

fn stage_with(
    seed: u64,
    faults: Faults,
    manners: Manners,
    purpose: Purpose,
    budget: Budget,
    tune: impl FnOnce(&mut LinkOptions),
) -> Stage {
    let net = MemoryNet::new(seed, faults);
    let log = SharedLog::default();
    let connection = Connection {
        purpose,
        address: Box::new(|| Some("ws://venue/stream?key=secret".to_owned())),
        protocol: Box::new(Chatter { log: Arc::clone(&log), reconnect_on: Some(b"go away") }),
        manners,
    };
    let mut options = LinkOptions { seed, ..LinkOptions::default() };
    tune(&mut options);
    let (dial_net, dial_log) = (net.clone(), Arc::clone(&log));
    let dial = Box::new(move || Recorded {
        inner: dial_net.transport(),
        log: Arc::clone(&dial_log),
        number: 0,
    });
    let link = Link::new(connection, options, budget, dial);
    Stage {
        now: Nanos(1_000 * Nanos::SECOND),
        net,
        link,
        log,
        out: Outbox::default(),
        peers: Vec::new(),
        has_data: true,
        has_pings: true,
        next_push_at: Nanos(0),
        next_ping_at: Nanos(0),
    }
}

impl Stage {
    fn run(&mut self, ns: i64) {
        let end = self.now.plus(ns);
        while self.now < end {
            self.serve();
            let now = self.now;
            self.link.poll(&mut || now, &mut self.out);
            assert!(self.out.frames().next().is_none(), "frames are the link's to send");
            self.now = self.now.plus(STEP_NS);
        }
    }

    fn serve(&mut self) {
        while let Some(peer) = self.net.accept(self.now) {
            self.peers.push((peer, BTreeSet::new(), 0));
        }
        let now = self.now;
        // Over, and nothing of the other side's under way any more.
        self.peers.retain(|(peer, ..)| peer.is_open());
        for (peer, streams, n) in &mut self.peers {
            while let Some(text) = peer.receive(now) {
                *n += 1;
                let text = String::from_utf8(text).unwrap();
                if let Some(rest) = text.strip_prefix("sub ") {
                    streams.insert(rest.split(' ').next().unwrap().to_owned());
                }
            }
        }
        if self.next_push_at <= self.now {
            self.next_push_at = self.now.plus(100 * MS);
            for (peer, streams, _) in &self.peers {
                for stream in streams.iter().filter(|_| self.has_data) {
                    peer.send(stream.as_bytes(), self.now);
                }
            }
        }
        if self.next_ping_at <= self.now {
            self.next_ping_at = self.now.plus(5 * Nanos::SECOND);
            for (peer, ..) in self.peers.iter().filter(|_| self.has_pings) {
                peer.ping(self.now);
            }
        }
    }

    fn open_peers(&self) -> Vec<&(MemoryPeer, BTreeSet<String>, usize)> {
        self.peers.iter().filter(|(peer, ..)| peer.is_open()).collect()
    }

    fn check_is_well(&self) {
        assert!(self.link.is_open());
        let open = self.open_peers();
        let (_, streams, n) = open.last().expect("one connection is open");
        assert_eq!(streams.len(), N_STREAMS, "every stream is subscribed to anew");
        assert_eq!(*n, N_STREAMS, "and once");
    }

    fn check_rules(&self) {
        let log = self.log.lock().unwrap();
        let texts: BTreeSet<_> = log.sent.iter().map(|(.., text)| text).collect();
        assert_eq!(texts.len(), log.sent.len(), "something was sent twice");
        // Four a second of five: one is kept for pongs.
        for (idx, (number, at, _)) in log.sent.iter().enumerate() {
            let in_second = log.sent[idx..]
                .iter()
                .take_while(|(other, later, _)| other == number && *later < at.plus(Nanos::SECOND));
            assert!(in_second.count() <= 4, "more than four messages in a second");
        }
    }
}

/// What `cases` says in the environment, for longer storms by hand.
fn n_storms() -> u64 {
    std::env::var("TERCEL_STORMS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

#[test]
fn after_a_storm_the_link_is_open_and_everything_subscribed_anew() {
    let mut n_losses = 0;
    for seed in 0..n_storms() {
        let limit = Limit {
            kind: LimitKind::Connections,
            scope: LimitScope::Address,
            interval_ms: 60_000,
            max: 12,
        };
        let budget = Limiter::new(&[limit]).address();
        let manners = Manners { max_age_s: 60, ..MANNERS };
        let mut stage = stage_with(seed, Faults::STORM, manners, Purpose::Market, budget, |_| {});
        stage.run(60 * Nanos::SECOND);
        stage.net.set_faults(Faults::NONE);
        // Whatever is half open is found out by silence, whatever waits is let go.
        stage.run(130 * Nanos::SECOND);
        stage.check_rules();
        let renewed = stage.link.counters().read();
        n_losses += renewed.losses;
        let log = stage.log.lock().unwrap();
        for (idx, at) in log.attempts.iter().enumerate() {
            let later =
                log.attempts[idx..].iter().filter(|other| **other < at.plus(60 * Nanos::SECOND));
            assert!(later.count() <= 12, "seed {seed}: the budget of connections is exceeded");
        }
        drop(log);
        // Unless it is being renewed this very moment.
        for _ in 0..200 {
            if stage.open_peers().last().is_some_and(|(_, streams, _)| streams.len() == N_STREAMS) {
                break;
            }
            stage.run(50 * MS);
        }
        stage.check_is_well();
    }
    assert!(n_losses > n_storms(), "a storm loses connections: {n_losses}");
}

#[test]
fn attempts_keep_the_bounds_of_the_backoff() {
    let faults = Faults { refuse_ppm: 1_000_000, ..Faults::NONE };
    let mut stage = stage(7, faults, MANNERS, |_| {});
    stage.run(600 * Nanos::SECOND);
    let log = stage.log.lock().unwrap();
    let backoff = Backoff::default();
    let mut waits: Vec<i64> = Vec::new();
    for (n, pair) in log.attempts.windows(2).enumerate() {
        let wait = pair[1].0 - pair[0].0;
        let ceiling = backoff.ceiling_ns(u32::try_from(n).unwrap() + 1);
        assert!(wait >= backoff.floor_ns, "{wait}");
        assert!(wait <= ceiling + 3 * STEP_NS, "{wait} after {n} failures");
        waits.push(wait);
    }
    assert!(waits.len() > 20 && waits.len() < 120, "{}", waits.len());
    let late: BTreeSet<_> = waits[8..].iter().map(|wait| wait / Nanos::SECOND).collect();
    assert!(late.len() > 5, "the waits are spread: {late:?}");
}

#[test]
fn an_old_connection_is_left_only_when_the_new_one_is_open() {
    let manners = Manners { max_age_s: 100, ..MANNERS };
    let delayed = Faults { delay_ns: (500 * MS, 500 * MS), ..Faults::NONE };
    let mut stage = stage(1, delayed, manners, |_| {});
    for _ in 0..6_000 {
        let was_open = stage.link.is_open();
        stage.run(STEP_NS);
        assert!(stage.link.is_open() || !was_open, "it is never without a connection");
    }
    let counts = stage.link.counters().read();
    assert_eq!((counts.renewals, counts.losses, counts.connects), (1, 0, 2));
    assert_eq!(stage.open_peers().len(), 1);
    stage.check_rules();
}

#[test]
fn a_connection_with_orders_waits_for_a_quiet_moment() {
    let manners = Manners { max_age_s: 30, messages_per_s: 50, ..MANNERS };
    let budget = Budget::unlimited();
    let mut stage = stage_with(3, Faults::NONE, manners, Purpose::Orders, budget, |_| {});
    for n in 0..80 {
        stage.run(500 * MS);
        let request = Tagged { id: RequestId(n), request: Request::Positions };
        stage.link.request(&request, stage.now, &mut stage.out).unwrap();
        assert_eq!(stage.link.counters().read().renewals, 0, "requests are under way");
    }
    stage.run(3 * Nanos::SECOND);
    assert_eq!(stage.link.counters().read().renewals, 1);
}

#[test]
fn half_open_is_found_out_by_silence() {
    let mut stage = stage(1, Faults::NONE, MANNERS, |_| {});
    stage.run(5 * Nanos::SECOND);
    stage.peers[0].0.freeze();
    stage.run(29 * Nanos::SECOND);
    assert_eq!(stage.link.counters().read().losses, 0);
    stage.run(3 * Nanos::SECOND);
    assert_eq!(stage.link.last_loss(), Some(&Loss::Silent));
    stage.run(5 * Nanos::SECOND);
    stage.check_is_well();
}

#[test]
fn a_venue_that_only_answers_pings_is_alive_but_not_for_streams() {
    let mut stage = stage(1, Faults::NONE, MANNERS, |options| {
        options.data_silence_ns = 60 * Nanos::SECOND;
    });
    (stage.has_data, stage.has_pings) = (false, false);
    stage.run(59 * Nanos::SECOND);
    let counts = stage.link.counters().read();
    assert_eq!(counts.losses, 0, "our own pings are answered");
    assert!(counts.pings >= 3, "{counts:?}");
    stage.run(2 * Nanos::SECOND);
    assert_eq!(stage.link.last_loss(), Some(&Loss::DataSilent));
}

#[test]
fn a_protocol_that_wants_a_new_connection_gets_one_and_is_not_let_to_hammer() {
    let mut stage = stage(1, Faults::NONE, MANNERS, |_| {});
    for _ in 0..600 {
        stage.run(100 * MS);
        let now = stage.now;
        for (peer, ..) in &stage.peers {
            peer.send(b"go away", now);
        }
    }
    assert!(stage.link.last_loss() == Some(&Loss::Wanted("told to")));
    let n_attempts = stage.net.n_attempts();
    assert!((5..40).contains(&n_attempts), "{n_attempts} in a minute");
}

#[test]
fn a_link_whose_login_was_refused_stays_away_for_long() {
    let mut stage = stage(1, Faults::NONE, MANNERS, |_| {});
    stage.run(Nanos::SECOND);
    let now = stage.now;
    for (peer, ..) in &stage.peers {
        peer.send(b"who are you", now);
    }
    stage.run(14 * Nanos::MINUTE);
    assert_eq!(stage.link.last_loss(), Some(&Loss::Wanted("refused")));
    assert_eq!(stage.net.n_attempts(), 1);
    stage.run(2 * Nanos::MINUTE);
    assert_eq!(stage.net.n_attempts(), 2);
    assert!(stage.link.is_open());
}

#[test]
fn requests_are_refused_at_once_where_they_could_only_be_late() {
    let limit =
        Limit { kind: LimitKind::Weight, scope: LimitScope::Address, interval_ms: 60_000, max: 10 };
    let budget = Limiter::new(&[limit]).address();
    let manners = Manners { messages_per_s: 0, ..MANNERS };
    let mut stage = stage_with(1, Faults::NONE, manners, Purpose::Orders, budget, |_| {});
    let mut id = 0;
    let mut ask = |stage: &mut Stage, request| {
        id += 1;
        let request = Tagged { id: RequestId(id), request };
        stage.link.request(&request, stage.now, &mut stage.out)
    };
    assert_eq!(ask(&mut stage, Request::Positions), Err(RequestError::NotOpen));
    stage.run(Nanos::SECOND);
    let n_before = stage.log.lock().unwrap().sent.len();
    let granted = (0..20).filter(|_| ask(&mut stage, Request::Positions).is_ok()).count();
    assert_eq!(granted, 10, "nineteen twentieths of ten, rounded up");
    assert!(matches!(
        ask(&mut stage, Request::Positions),
        Err(RequestError::NoBudget { until }) if until > stage.now
    ));
    // The first of all, ten that found no room, and that one are the protocol's no more.
    let unsent = [1].into_iter().chain(12..=22).map(RequestId).collect::<Vec<_>>();
    assert_eq!(stage.log.lock().unwrap().unsent, unsent);
    // A query waits instead.
    assert_eq!(ask(&mut stage, Request::Balances), Ok(()));
    stage.run(Nanos::SECOND);
    assert_eq!(stage.log.lock().unwrap().sent.len(), n_before + 10);
    stage.run(70 * Nanos::SECOND);
    assert_eq!(stage.log.lock().unwrap().sent.len(), n_before + 11);
}

#[test]
fn what_cannot_be_understood_is_counted_by_kind() {
    let mut stage = stage(1, Faults::NONE, MANNERS, |_| {});
    stage.run(Nanos::SECOND);
    stage.peers[0].0.send(b"nonsense", stage.now);
    stage.run(Nanos::SECOND);
    assert_eq!(stage.link.counters().read().unknown, 1);
    assert!(stage.link.is_open());
}

#[test]
fn an_address_that_has_to_be_fetched_is_waited_for() {
    let mut stage = stage(1, Faults::NONE, MANNERS, |_| {});
    let known = Arc::new(Mutex::new(None::<String>));
    let asked = Arc::clone(&known);
    stage.link.connection.address = Box::new(move || asked.lock().unwrap().clone());
    stage.run(Nanos::SECOND);
    assert_eq!(stage.net.n_attempts(), 0);
    *known.lock().unwrap() = Some("ws://venue/ws/fresh".to_owned());
    stage.run(Nanos::SECOND);
    assert_eq!(stage.peers[0].0.address(), "ws://venue/ws/fresh");
}

#[test]
fn no_address_is_told_in_any_error_or_debug_text() {
    let faults = Faults { refuse_ppm: 1_000_000, ..Faults::NONE };
    let mut stage = stage(1, faults, MANNERS, |_| {});
    stage.run(Nanos::SECOND);
    let told = format!("{:?} {}", stage.link, stage.link.last_loss().unwrap());
    assert!(!told.contains("secret"), "{told}");
    stage.run(10 * Nanos::SECOND);
    let told = stage.link.take_trouble().unwrap().to_string();
    assert!(!told.contains("secret"), "{told}");
}

/// A server whose account never connected said nothing at all: why its strategies did not begin was in no
/// log.
#[test]
fn what_fails_again_and_again_is_told_once_for_each_reason() {
    let faults = Faults { refuse_ppm: 1_000_000, ..Faults::NONE };
    let mut stage = stage(1, faults, MANNERS, |_| {});
    while stage.net.n_attempts() < 2 {
        assert_eq!(stage.link.take_trouble(), None, "once is nothing");
        stage.run(20 * MS);
    }
    stage.run(2 * Nanos::MINUTE);
    assert!(stage.net.n_attempts() > 3);
    let told = stage.link.take_trouble();
    assert!(matches!(told, Some(Loss::Closed(_))), "{told:?}");
    stage.run(10 * Nanos::MINUTE);
    assert_eq!(stage.link.take_trouble(), None, "it was told");
    stage.link.trouble.failed(&Loss::ConnectTimeout);
    stage.link.trouble.failed(told.as_ref().unwrap());
    assert_eq!(stage.link.take_trouble(), Some(Loss::ConnectTimeout));
    stage.link.trouble.held();
    stage.link.trouble.failed(&Loss::Silent);
    assert_eq!(stage.link.take_trouble(), None, "it had held: this is the first again");
    stage.link.trouble.failed(&Loss::Silent);
    assert_eq!(stage.link.take_trouble(), Some(Loss::Silent));
}

#[test]
fn an_address_that_is_not_to_be_had_is_told() {
    let mut stage = stage(1, Faults::NONE, MANNERS, |_| {});
    stage.link.connection.address = Box::new(|| None);
    for (status, wanted) in [(503, None), (503, Some("HTTP status 503")), (503, None)] {
        stage.run(Nanos::SECOND);
        let outcome = CallOutcome::Answered { status, body: b"", retry_after_s: None };
        let answer = CallAnswer { id: crate::protocol::CallId(1), outcome };
        stage.link.answer(&answer, stage.now, &mut stage.out);
        let told = stage.link.take_trouble();
        assert_eq!(told, wanted.map(|why| Loss::NoAddress(why.to_owned())));
    }
}
