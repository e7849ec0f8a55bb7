//! `tercel bench loop`: from a message in one ring to its order in the next, under open load.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;
use hdrhistogram::Histogram;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tercel_core::{Engine, Instrument, InstrumentId, Nanos};
use tercel_runtime::{
    Clock, Control, EngineThread, EventLoop, Feed, FeedOptions, IdleStrategy, JournalRecorder,
    LoopOptions, Overflow, Parts, RecordFailure, Recorder, RecorderCounts, RecorderOptions,
    RingSource, RingStatus, UtcClock, available_cores, control, pin_current_thread, ring,
};
use tercel_script::{Language, Limits, Script, Source};
use tercel_sim::market::SeededMarketConfig;
use tercel_store::journal::{Journal, JournalOptions, RunStart};

use super::street::{Base, Desk, Schedule, Street, Times};
use crate::commands::print;
use crate::config::Config;
use crate::exit::{Answer, Blame, Outcome, input};
use crate::plan::Plan;

/// Measure the running loop: from a message in a ring to its order in a ring, through book, script,
/// risk and journal.
///
/// A feed thread and the engine's thread spin on a core each. Messages are sent by the clock whether
/// or not the engine keeps up, and times count from when a message was to be sent, so that a stall
/// counts for every message that it delays. The journal is a real one in a temporary folder, and its
/// thread shares the feed's core.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel bench loop
  tercel bench loop --rates 100000 --seconds 10 --rounds 9 --json")]
pub(super) struct LoopArgs {
    /// Messages a second; 0 for as fast as possible.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "10000,100000,200000,0")]
    rates: Vec<u32>,
    /// How long each round measures, after a second of warm-up.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Rounds at each rate, of which all are shown.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The strategy has a reason to order every so many messages; at least 2.
    #[arg(long, default_value_t = 10)]
    order_every: u32,
    /// The core of the engine's thread.
    #[arg(long, default_value_t = 1)]
    engine_core: usize,
    /// The core of the feed's and the journal's threads.
    #[arg(long, default_value_t = 0)]
    feed_core: usize,
    /// Measure without a journal.
    #[arg(long)]
    no_journal: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// A strategy that orders when the bid outweighs the ask.
const SCRIPT: &str = r#"
strategy { name = "outweighed", doc = "Buys when the best bid comes to outweigh the best ask." }

local last = 0

function on_book(bid: number, bid_qty: number, ask: number, ask_qty: number)
    local imbalance = (bid_qty - ask_qty) / (bid_qty + ask_qty)
    if imbalance > 0.5 and last <= 0.5 then
        buy(0.001, bid)
    end
    last = imbalance
end
"#;

/// One round at one rate.
struct Row {
    rate: u32,
    times: Times,
    ring: RingStatus,
    counts: RecorderCounts,
    failure: Option<String>,
    /// Load average of the minute before.
    load: String,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    fn rate_reached(&self) -> f64 {
        self.times.n_events as f64 * 1e9 / (self.times.span_ns.max(1) as f64)
    }
}

pub(super) fn run(args: &LoopArgs) -> Outcome {
    if args.order_every < 2 {
        return Err(input("--order-every must be at least 2: an order needs a change to follow"));
    }
    for core in [args.engine_core, args.feed_core] {
        if !available_cores().contains(&core) {
            return Err(input(format!(
                "core {core} is not there; choose of {:?}",
                available_cores()
            )));
        }
    }
    let mut rows = Vec::new();
    for rate in &args.rates {
        for _ in 0..args.rounds.max(1) {
            rows.push(round(args, *rate)?);
        }
    }
    if args.json {
        let rows: Vec<_> = rows.iter().map(row_json).collect();
        crate::commands::print_json(&json!({
            "machine": machine(),
            "engine_core": args.engine_core,
            "feed_core": args.feed_core,
            "order_every": args.order_every,
            "journal": !args.no_journal,
            "rows": rows,
        }))?;
    } else {
        print(&text(args, &rows))?;
    }
    Ok(Answer::Good)
}

fn round(args: &LoopArgs, rate: u32) -> Outcome<Row> {
    let load = load_average();
    // As fast as possible, there is no telling how long it takes: two million events a second do.
    let per_second = if rate == 0 { 2_000_000 } else { u64::from(rate) };
    let schedule = Schedule {
        rate,
        n_events: per_second * u64::from(args.seconds + 1),
        n_warm_up: per_second,
        order_every: u64::from(args.order_every),
    };
    let base = Base::new(UtcClock::system().now());
    let (orders_in, orders_out) = ring(1 << 16);
    let (_handle, control) = control(16);
    let feed = FeedOptions {
        capacity: 1 << 16,
        // Nothing may be lost: what waits outside the ring is late, and counted as late.
        overflow: Overflow::Wait,
        idle: IdleStrategy::BusySpin,
        core: Some(args.feed_core),
    };
    let (feed, source) =
        Feed::spawn(feed, &control, move || Ok(Street::new(base, schedule, orders_out)))
            .or_machine()?;
    let counters = std::sync::Arc::clone(source.counters());
    let desk = Desk::new(base, &schedule, orders_in);
    let folder = Folder::new()?;
    let recorder =
        if args.no_journal { None } else { Some(recorder(folder.path(), args.feed_core, rate)?) };
    let thread = EngineThread::spawn(Some(args.engine_core), move |_| match recorder {
        Some(recorder) => {
            let (times, recorder, failure) = drive(recorder, desk, source, control)?;
            Ok((times, recorder.counts(), failure))
        }
        None => {
            let (times, (), failure) = drive((), desk, source, control)?;
            Ok((times, RecorderCounts::default(), failure))
        }
    })
    .or_machine()?;
    let over: Outcome<_> = thread.join();
    let (times, counts, failure) = over?;
    let _ = feed.join();
    let failure = failure.map(|failure| failure.to_string());
    Ok(Row { rate, times, ring: counters.status(), counts, failure, load })
}

/// Runs an engine until there is no more market data.
fn drive<R: Recorder>(
    recorder: R,
    port: Desk,
    source: RingSource,
    control: Control,
) -> Outcome<(Times, R, Option<RecordFailure>)> {
    let (clock, engine) = (UtcClock::system(), engine()?);
    let parts = Parts { engine, clock, port, recorder, observer: (), sources: vec![source] };
    let options = LoopOptions { idle: IdleStrategy::BusySpin, ..LoopOptions::default() };
    let mut running = EventLoop::new(parts, control, options);
    let ending = running.run();
    let parts = running.into_parts();
    Ok((parts.port.times, parts.recorder, ending.record_failure))
}

/// Makes the journal on the feed's core, where its threads then stay.
pub(super) fn recorder(folder: &Path, core: usize, rate: u32) -> Outcome<JournalRecorder> {
    let path = folder.join("run.journal");
    let make = move || -> Outcome<JournalRecorder> {
        pin_current_thread(core).or_machine()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let start = RunStart { run: 1, at: Nanos(0), config: String::new(), version };
        let mut options = JournalOptions::default();
        if rate == 0 {
            // As fast as possible, more is recorded than a disk takes: room for all of a round.
            options.ring_bytes = 512 << 20;
        }
        let journal = Journal::create(&path, start, options).or_machine()?;
        let reopen = move || Journal::open(&path, options);
        let options = RecorderOptions { lease: 1 << 22, ..RecorderOptions::default() };
        JournalRecorder::new(journal, reopen, (), options).or_machine()
    };
    std::thread::spawn(make).join().map_err(|_| input("the journal's thread panicked"))?
}

fn engine() -> Outcome<Engine> {
    let mut config = Config::default();
    config.account.quote = Decimal::from(100_000_000);
    let source = Source {
        path: PathBuf::from("outweighed.luau"),
        file: "outweighed.luau".to_owned(),
        language: Language::Luau,
        text: SCRIPT.to_owned(),
    };
    let script = Script::check(source, &Limits::of(Language::Luau)).or_machine()?;
    let instrument =
        Instrument::new(InstrumentId(0), SeededMarketConfig::btcusdt()).or_machine()?;
    let assets = vec!["BTC".to_owned(), "USDT".to_owned()];
    Plan::bound(script, vec![instrument], assets, &config)?.engine(&config, |strategy| strategy)
}

/// A temporary folder that goes with its value.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("tercel-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).or_machine()?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

fn row_json(row: &Row) -> Value {
    let quantiles = |times: &Histogram<u64>| -> Value {
        let value =
            |(name, at): &(&str, f64)| ((*name).to_owned(), json!(times.value_at_quantile(*at)));
        Value::Object(QUANTILES.iter().map(value).collect())
    };
    json!({
        "rate": row.rate,
        "rate_reached": row.rate_reached(),
        "events": row.times.n_events,
        "orders": row.times.n_orders,
        "from_intended_ns": quantiles(&row.times.from_intended),
        "from_sent_ns": quantiles(&row.times.from_sent),
        "ring_full": row.ring.n_full,
        "ring_depth_max": row.ring.depth_max,
        "entries": row.counts.n_entries,
        "snapshots": row.counts.n_snapshots,
        "snapshot_pause_ns_max":
            u64::try_from(row.counts.snapshot_pause_max.as_nanos()).unwrap_or(u64::MAX),
        "failure": row.failure,
        "load_average": row.load,
    })
}

fn text(args: &LoopArgs, rows: &[Row]) -> String {
    let mut text = format!(
        "{}\nengine on core {}, feed and journal on core {}, an order every {} messages, {}\n\n\
         {:>9} {:>9} {:>8} {:>32} {:>32} {:>7} {:>6}\n\
         {:>9} {:>9} {:>8} {:>8} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7} {:>6}\n",
        machine(),
        args.engine_core,
        args.feed_core,
        args.order_every,
        if args.no_journal { "no journal" } else { "journal on disk" },
        "",
        "",
        "",
        "µs from when it was to be sent",
        "µs from when it was sent",
        "times",
        "load",
        "rate",
        "reached",
        "orders",
        "p50",
        "p99",
        "p99.9",
        "max",
        "p50",
        "p99",
        "p99.9",
        "max",
        "full",
        "1 min",
    );
    for row in rows {
        let rate = if row.rate == 0 { "most".to_owned() } else { row.rate.to_string() };
        text += &format!("{rate:>9} {:>9.0} {:>8} ", row.rate_reached(), row.times.n_orders);
        for times in [&row.times.from_intended, &row.times.from_sent] {
            for (_, at) in QUANTILES {
                text += &format!("{:>7} ", micros(times.value_at_quantile(at)));
            }
            text += " ";
        }
        text += &format!("{:>5} {:>6}\n", row.ring.n_full, row.load);
        if let Some(failure) = &row.failure {
            text += &format!("          recording failed: {failure}\n");
        }
    }
    let pause = rows.iter().map(|row| row.counts.snapshot_pause_max).max();
    if let Some(pause) = pause.filter(|pause| *pause > Duration::ZERO) {
        text += &format!("\nlongest pause for a snapshot: {pause:.1?}\n");
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "a time is shown with two decimals")]
fn micros(ns: u64) -> String {
    let us = ns as f64 / 1e3;
    if us < 100.0 { format!("{us:.2}") } else { format!("{us:.0}") }
}

/// Returns what the machine is, and how long reading its clock takes.
pub(super) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown CPU", |(_, name)| name.trim());
    let base = Base::new(Nanos(0));
    let mut clock = UtcClock::system();
    const READS: u32 = 100_000;
    let begun = std::time::Instant::now();
    (0..READS).for_each(|_| {
        std::hint::black_box((clock.now(), base));
    });
    let read = begun.elapsed() / READS;
    format!("{model}, cores {:?}, a look at the clock {read:?}", available_cores())
}

pub(super) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
