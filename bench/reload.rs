//! What a reload costs a running engine: how long its thread is held up at once, how long the work
//! takes in all, and what that does to events that come by the clock whether or not it keeps up.
//!
//! Scripts are the shipped market makers, at work on a simulated venue, everything journaled to disk.
//! Each reload is another version by its text. A witness where the engine's events are taped counts
//! them: had one been lost, doubled or moved, the bench would fail.
//!
//! `cargo bench --bench reload`, with TERCEL_RELOADS for another number of reloads than 300. A
//! regression here is a gap in trading at every save of a strategy's file.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tercel_core::{
    AccountConfig, AccountId, AssetId, Engine, EngineConfig, Event, Instrument, InstrumentId,
    MarketData, MarketEvent, Nanos, RiskLimits, Seq, StrategyConfig, StrategyId,
};
use tercel_runtime::{
    Clock, Directive, EngineThread, EventLoop, Handle, IdleStrategy, JournalRecorder, Load,
    LoopOptions, MarketSink, MarketSource, PaperPort, Parts, RecordFailure, RecorderOptions,
    SourceFailure, SourceState, UtcClock, Version, Waiting, available_cores, control, placeholder,
};
use tercel_script::{Language, Limits, Script, Source};
use tercel_sim::market::{SeededMarket, SeededMarketConfig};
use tercel_sim::{SimVenue, VenueOptions};
use tercel_store::journal::{Journal, JournalOptions, RunStart};

/// Events a second.
const RATE: i64 = 100_000;
const WAIT: Duration = Duration::from_secs(30);

/// Gives events by the clock, each with the time at which it was due.
struct Schedule {
    clock: UtcClock,
    begun: Option<Nanos>,
    events: Vec<Event>,
    n_given: i64,
}

impl MarketSource for Schedule {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        let now = self.clock.now();
        let begun = *self.begun.get_or_insert(now);
        let interval = Nanos::SECOND / RATE;
        let most = i64::try_from(max).unwrap_or(i64::MAX);
        let n_due = ((now.0 - begun.0) / interval - self.n_given).min(most);
        for _ in 0..n_due {
            self.n_given += 1;
            let nth = usize::try_from(self.n_given - 1).expect("it counts up") % self.events.len();
            let mut event = self.events[nth].clone();
            if let Event::Market(market) = &mut event {
                market.received_at = begun.plus(self.n_given * interval);
                market.venue_at = market.received_at;
                if let MarketData::Trade { id, .. } = &mut market.data {
                    *id = u64::try_from(self.n_given).expect("it counts up");
                }
            }
            out.push(event);
        }
        Ok(if n_due > 0 { SourceState::Ready } else { SourceState::Idle })
    }
}

/// Sees every market event that the engine takes.
struct Witness {
    clock: UtcClock,
    n_seen: u64,
    seq: Seq,
    trade_id: u64,
    /// How late events were, by nanoseconds.
    late: Histogram<u64>,
}

impl MarketSink for Witness {
    fn take(&mut self, seq: Seq, market: &MarketEvent) {
        assert!(seq > self.seq, "events are numbered in order");
        self.n_seen += 1;
        self.seq = seq;
        if let MarketData::Trade { id, .. } = market.data {
            assert_eq!(id, self.n_seen, "no event is lost or comes twice");
            self.trade_id = id;
        }
        let late = self.clock.now().0.saturating_sub(market.received_at.0);
        self.late.saturating_record(u64::try_from(late).unwrap_or(0));
    }

    fn n_lost(&self) -> u64 {
        0
    }

    fn close(&mut self) -> Result<(), RecordFailure> {
        Ok(())
    }
}

fn instrument() -> Instrument {
    Instrument::new(InstrumentId(0), SeededMarketConfig::btcusdt()).expect("it is sound")
}

fn events() -> Vec<Event> {
    let config = SeededMarketConfig { duration_ns: 20 * Nanos::MINUTE, ..Default::default() };
    let mut market = SeededMarket::new(config).expect("it is sound");
    let mut events = Vec::new();
    while market.read_block(4_096, &mut events) > 0 {}
    events
}

/// The shipped script with a last line of its own.
fn version(language: Language, n: usize) -> Version {
    let (folder, file, comment) = match language {
        Language::Luau => ("lua", "imbalance_maker.luau", "--"),
        Language::Rhai => ("rhai", "imbalance_maker.rhai", "//"),
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(folder).join(file);
    let text = std::fs::read_to_string(&path).expect("the script is there");
    let text = format!("{text}\n{comment} version {n}\n");
    let source = Source { path, file: file.to_owned(), language, text };
    let script = Script::check(source, &Limits::of(language)).expect("the script is sound");
    Version::new(StrategyId(0), script, [], &[], &[instrument()], 1).expect("it binds")
}

fn engine(version: &Version) -> Engine {
    let config = EngineConfig {
        run: 1,
        assets: vec!["BTC".to_owned(), "USDT".to_owned()],
        instruments: vec![instrument()],
        accounts: vec![AccountConfig {
            name: "main".to_owned(),
            balances: vec![(AssetId(1), 100_000_000.into())],
            limits: RiskLimits::default(),
            check_balance: true,
            leverage: 1,
        }],
        strategies: vec![StrategyConfig {
            name: "maker".to_owned(),
            account: AccountId(0),
            instruments: vec![InstrumentId(0)],
            interest: version.script().manifest().interest(),
            series: Vec::new(),
            limits: RiskLimits::default(),
        }],
        series: Vec::new(),
        limits: RiskLimits::default(),
        order_capacity: 65_536,
        intents_per_call: 256,
    };
    let mut engine = Engine::new(&config, vec![placeholder()]).expect("it is sound");
    version.take_over(&mut engine, false).expect("it binds");
    engine
}

fn recorder(path: &Path, witness: Witness) -> JournalRecorder<Witness> {
    let start = RunStart { run: 1, at: Nanos(0), config: String::new(), version: String::new() };
    let options = JournalOptions::default();
    let journal = Journal::create(path, start, options).expect("a temporary folder");
    let path = path.to_owned();
    let reopen = move || Journal::open(&path, options);
    let options = RecorderOptions { lease: 1 << 22, ..RecorderOptions::default() };
    JournalRecorder::new(journal, reopen, witness, options).expect("a temporary folder")
}

/// What a run of an engine came to.
struct Outcome {
    pauses: Histogram<u64>,
    late: Histogram<u64>,
    n_events: u64,
    n_orders: u64,
}

/// Runs an engine for so many reloads, or as long as they would take.
fn run(language: Language, n_reloads: usize, is_quiet: bool) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let late = || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that make sense");
    let clock = UtcClock::system();
    let witness =
        Witness { clock: UtcClock::system(), n_seen: 0, seq: Seq(0), trade_id: 0, late: late() };
    let recorder = recorder(&folder.path().join("run.journal"), witness);
    let (handle, control) = control(16);
    let core = available_cores().get(1).copied();
    let thread = EngineThread::spawn(core, move |_| {
        let source =
            Schedule { clock: UtcClock::system(), begun: None, events: events(), n_given: 0 };
        let venue = SimVenue::new(&[instrument()], VenueOptions::default()).expect("it is sound");
        let parts = Parts {
            engine: engine(&version(language, 0)),
            clock,
            port: PaperPort::new(venue),
            recorder,
            observer: (),
            sources: vec![source],
        };
        let options = LoopOptions { idle: IdleStrategy::BusySpin, ..LoopOptions::default() };
        let mut event_loop = EventLoop::new(parts, control, options);
        let ending = event_loop.run();
        assert_eq!(ending.record_failure, None, "everything was recorded");
        let parts = event_loop.into_parts();
        let witness = parts.recorder.market();
        let n_given = u64::try_from(parts.sources[0].n_given).expect("it counts up");
        // What was polled when the loop was told to stop is not taken.
        assert!(n_given - witness.n_seen <= 64, "{n_given} given, {} seen", witness.n_seen);
        (witness.late.clone(), witness.n_seen, ending.summary.n_requests)
    })
    .expect("a thread");
    let pauses = reload(&handle, language, n_reloads, is_quiet);
    handle.stop();
    let (late, n_events, n_orders) = thread.join();
    Outcome { pauses, late, n_events, n_orders }
}

fn reload(handle: &Handle, language: Language, n_reloads: usize, is_quiet: bool) -> Histogram<u64> {
    let mut pauses = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds");
    while handle.status(WAIT).expect("an answer").n_market < 10_000 {}
    for n in 1..=n_reloads {
        let begun = Instant::now();
        if !is_quiet {
            let (answer, answered) = sync_channel(1);
            let version = version(language, n);
            let load = Load { version, shadow: 0, waiting: Waiting::default(), answer };
            handle.direct(Directive::Load(Box::new(load))).expect("there is room");
            let report = answered.recv_timeout(WAIT).expect("in time").expect("it takes over");
            pauses.saturating_record(u64::try_from(report.pause.as_nanos()).unwrap_or(u64::MAX));
        }
        std::thread::sleep(Duration::from_millis(20).saturating_sub(begun.elapsed()));
    }
    pauses
}

#[expect(clippy::cast_precision_loss, reason = "a time is shown with few digits")]
fn micros(histogram: &Histogram<u64>, quantile: f64) -> String {
    format!("{:.0}", histogram.value_at_quantile(quantile) as f64 / 1e3)
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn main() {
    let n_reloads = std::env::var("TERCEL_RELOADS").ok().and_then(|n| n.parse().ok());
    let n_reloads = n_reloads.unwrap_or(300);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{RATE} events a second, {n_reloads} reloads 20 ms apart; microseconds");
    println!("load average {}", load.trim());
    println!(
        "{:<8} {:>8} {:>8}  {:>7} {:>7} {:>7} {:>7}   {:>7} {:>7} {:>7} {:>7}",
        "", "events", "requests", "pause50", "99", "99.9", "max", "late50", "99", "99.9", "max"
    );
    for language in [Language::Luau, Language::Rhai] {
        for is_quiet in [true, false] {
            let outcome = run(language, n_reloads, is_quiet);
            let name = if is_quiet { "none".to_owned() } else { format!("{language:?}") };
            print!("{name:<8} {:>8} {:>8} ", outcome.n_events, outcome.n_orders);
            for histogram in [&outcome.pauses, &outcome.late] {
                for quantile in [0.5, 0.99, 0.999, 1.0] {
                    print!(" {:>7}", micros(histogram, quantile));
                }
                print!("  ");
            }
            println!();
        }
    }
}
