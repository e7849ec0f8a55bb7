//! One thread that follows a whole venue: how many depth messages a second it takes from a socket,
//! decodes, puts in sequence and, in the second row of each pair, enters into the engine's books;
//! what TLS adds; and the memory that many books need.
//!
//! ```text
//! cargo bench -p tercel-adapters --bench feed [-- SYMBOLS [SECONDS]]
//! ```
//!
//! The peer is a thread of this process that sends increments of 20 levels a side, of all symbols in
//! turn, as fast as the socket takes them: what it reaches is the rate that the feed's thread bears,
//! or that of the peer if that is less. Books begin with snapshots of 1,000 levels a side. Neither
//! thread is bound to a core.

mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peer::{FIRST_UPDATE, Peer, symbol};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::net::{
    BusySocket, CallDriver, Limiter, LinkOptions, MarketDriver, MarketSetup, Returned,
    ReturnedOutcome,
};
use tercel_adapters::{Call, ClockOffset, Environment, Listing, Topic, TopicKind};
use tercel_core::{
    Engine, Event, Instrument, InstrumentId, InstrumentKind, InstrumentSpec, MarketData, Nanos,
    Seq, VenueId,
};
use tercel_testkit::engine_config;

/// Levels on a side of a snapshot.
const SNAPSHOT_LEVELS: u64 = 1_000;
/// How long all books may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::print_stdout, reason = "the result of a program")]
fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let mut number = |or: u64| args.next().and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let (most, seconds) = (number(500).clamp(1, 1_000), number(3).max(1));
    println!("                     messages a s  levels a s  feed's core  memory of books");
    for n_symbols in [1, most] {
        for is_secure in [false, true] {
            for is_entered in [false, true] {
                let name = format!(
                    "{n_symbols} {}{}{}",
                    if n_symbols == 1 { "symbol" } else { "symbols" },
                    if is_secure { ", TLS" } else { "" },
                    if is_entered { ", books" } else { "" }
                );
                let round = run(n_symbols, is_secure, is_entered, Duration::from_secs(seconds));
                println!(
                    "{name:<20} {:>12.0} {:>11.0} {:>11.0}% {:>12.1} MB",
                    round.messages_per_s,
                    round.levels_per_s,
                    round.share * 100.0,
                    round.books_mb,
                );
            }
        }
    }
}

struct Round {
    messages_per_s: f64,
    levels_per_s: f64,
    /// Time that the feed's thread was on a core.
    share: f64,
    /// What was added to the process from before its first instrument until all books stood.
    books_mb: f64,
}

fn run(n_symbols: u64, is_secure: bool, is_entered: bool, span: Duration) -> Round {
    let before_mb = resident_mb();
    let peer = Peer::start(n_symbols, is_secure);
    let mut feed = Feed::new(&peer, n_symbols, is_entered);
    let begun = Instant::now();
    feed.run(|feed| {
        assert!(begun.elapsed() < PATIENCE, "{} of {n_symbols} books began", feed.n_live);
        feed.n_live < n_symbols
    });
    let books_mb = resident_mb() - before_mb;
    // What was held or buffered while the books began is none of the rate.
    let warm = Instant::now();
    feed.run(|_| warm.elapsed() < Duration::from_millis(300));
    let (begun, at_start_s) = (Instant::now(), thread_s());
    (feed.n_messages, feed.n_levels) = (0, 0);
    feed.run(|_| begun.elapsed() < span);
    let spent = begun.elapsed().as_secs_f64();
    Round {
        messages_per_s: count(feed.n_messages) / spent,
        levels_per_s: count(feed.n_levels) / spent,
        share: (thread_s() - at_start_s) / spent,
        books_mb,
    }
}

struct Feed {
    driver: MarketDriver<BusySocket, Snapshots>,
    engine: Option<Engine>,
    seq: Seq,
    events: Vec<Event>,
    /// Books of which the snapshot has been seen.
    n_live: u64,
    n_messages: u64,
    n_levels: u64,
}

impl Feed {
    fn new(peer: &Peer, n_symbols: u64, is_entered: bool) -> Self {
        let instruments: Vec<_> = (0..n_symbols).map(instrument).collect();
        let listing = Listing::new(VenueId(0), &instruments, &["BTC".into(), "USDT".into()]);
        let environment = Environment::Custom {
            rest: "http://localhost:1".to_owned(),
            streams: peer.address(),
            private: String::new(),
        };
        let topics: Vec<_> = instruments
            .iter()
            .map(|own| Topic { instrument: own.id, kind: TopicKind::Book })
            .collect();
        let limiter = Limiter::new(&[]);
        let setup = MarketSetup {
            listing: &listing,
            topics: &topics,
            budget: limiter.address(),
            clock: ClockOffset::default(),
            link: LinkOptions::default(),
            quiet_ns: i64::MAX,
        };
        let venue = Arc::new(Binance::new(Product::Spot, &environment));
        let tls = peer.trusting();
        let dial = move || BusySocket::new(tls.clone());
        let driver = MarketDriver::new(venue, &setup, Snapshots::default(), dial);
        let engine = is_entered.then(|| {
            let mut config = engine_config(instruments);
            config.strategies.clear();
            Engine::new(&config, Vec::new()).expect("it has no strategies to fit")
        });
        let (seq, events) = (Seq(0), Vec::new());
        Self { driver, engine, seq, events, n_live: 0, n_messages: 0, n_levels: 0 }
    }

    fn run(&mut self, goes_on: impl Fn(&Self) -> bool) {
        let mut effects = Engine::effects();
        while goes_on(self) {
            self.driver.poll(&mut now, &mut self.events);
            for event in self.events.drain(..) {
                if let Event::Market(market) = &event {
                    match market.data {
                        MarketData::Clear { .. } => self.n_live += 1,
                        MarketData::Batch { .. } => self.n_messages += 1,
                        _ => self.n_levels += 1,
                    }
                }
                if let Some(engine) = &mut self.engine {
                    self.seq = Seq(self.seq.0 + 1);
                    engine.handle(self.seq, now_of(&event), &event, &mut effects);
                    effects.clear();
                }
            }
        }
    }
}

fn instrument(n: u64) -> Instrument {
    let mut spec = InstrumentSpec::linear(&symbol(n), "0.01", "0.00001");
    spec.kind = InstrumentKind::Spot;
    let id = InstrumentId(u16::try_from(n).expect("few symbols"));
    Instrument::new(id, spec).expect("the grid is Bitcoin's")
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

fn now_of(event: &Event) -> Nanos {
    match event {
        Event::Market(market) => market.received_at,
        _ => Nanos(0),
    }
}

/// Answers each call for a book with the next poll.
#[derive(Default)]
struct Snapshots(Vec<(u32, Returned)>);

impl CallDriver for Snapshots {
    fn submit(&mut self, tag: u32, call: Call, now: Nanos) {
        let body = if call.url.contains("/depth") {
            let side = |at: fn(u64) -> u64| {
                let level = |k| format!("[\"{}.00\",\"1.5\"]", at(k));
                (0..SNAPSHOT_LEVELS).map(level).collect::<Vec<_>>().join(",")
            };
            format!(
                r#"{{"lastUpdateId":{FIRST_UPDATE},"bids":[{}],"asks":[{}]}}"#,
                side(|k| 59_000 - k),
                side(|k| 63_000 + k)
            )
        } else {
            format!(r#"{{"serverTime":{}}}"#, now.0.div_euclid(Nanos::MILLI))
        };
        let outcome =
            ReturnedOutcome::Answered { status: 200, body: body.into_bytes(), retry_after_s: None };
        let usage = Vec::new();
        let returned = Returned { id: call.id, outcome, usage, sent_at: now, received_at: now };
        self.0.push((tag, returned));
    }

    fn poll(&mut self, _now: Nanos, answered: &mut dyn FnMut(u32, &Returned)) -> usize {
        let n = self.0.len();
        for (tag, returned) in self.0.drain(..) {
            answered(tag, &returned);
        }
        n
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
const fn count(n: u64) -> f64 {
    n as f64
}

/// Returns the nth field of a file of numbers, as Linux has them.
fn field(path: &str, skip: usize) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().nth(skip).and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// Returns the process's memory.
fn resident_mb() -> f64 {
    field("/proc/self/statm", 1) * 4_096.0 / 1e6
}

/// Returns how long the calling thread has been on a core.
fn thread_s() -> f64 {
    field("/proc/thread-self/schedstat", 0) / 1e9
}
