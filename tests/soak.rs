//! A market day within minutes, and storms at a venue: memory and handles stay where they were.
//!
//! `TERCEL_SOAK=long` makes them long: a whole day, and a million messages of the venue.

#![expect(clippy::print_stdout, reason = "figures of what was seen")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "exchange/account.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod account;
#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::time::{Duration, Instant};

use account::place_at;
use exchange::Exchange;
use rig::{Place, Server};
use serde_json::{Value, json};

fn is_long() -> bool {
    std::env::var("TERCEL_SOAK").is_ok_and(|text| text == "long")
}

/// What a process had at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    rss_kb: u64,
    n_handles: usize,
}

/// Looks at a process from time to time.
struct Watch {
    what: &'static str,
    id: u32,
    begun: Instant,
    samples: Vec<Sample>,
}

impl Watch {
    fn new(what: &'static str, id: u32) -> Self {
        Self { what, id, begun: Instant::now(), samples: Vec::new() }
    }

    /// Takes a sample; returns whether the process is still there.
    fn look(&mut self) -> bool {
        let folder = format!("/proc/{}", self.id);
        let Ok(status) = std::fs::read_to_string(format!("{folder}/status")) else { return false };
        let Some(line) = status.lines().find(|line| line.starts_with("VmRSS:")) else {
            return false;
        };
        let rss_kb = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let Ok(handles) = std::fs::read_dir(format!("{folder}/fd")) else { return false };
        let n_handles = handles.count();
        self.samples.push(Sample { at: self.begun.elapsed(), rss_kb, n_handles });
        true
    }

    /// Compares what was seen after the warm-up, the first third: the second third with the last, so
    /// that what grows without end is told from what goes up and down.
    fn check(&self, band_kb: u64, handles: usize) {
        let warm = &self.samples[self.samples.len() / 3..];
        let (before, after) = warm.split_at(warm.len() / 2);
        assert!(before.len() > 5, "{}: too few samples: {}", self.what, self.samples.len());
        let rss = |samples: &[Sample]| samples.iter().map(|own| own.rss_kb).max().unwrap();
        let files = |samples: &[Sample]| samples.iter().map(|own| own.n_handles).max().unwrap();
        println!(
            "{}: {} samples in {:.0} s; at most {} kB and {} handles, then {} kB and {} handles",
            self.what,
            self.samples.len(),
            self.begun.elapsed().as_secs_f64(),
            rss(before),
            files(before),
            rss(after),
            files(after)
        );
        let is_flat =
            rss(after) <= rss(before) + band_kb && files(after) <= files(before) + handles;
        assert!(is_flat, "{}: not within {band_kb} kB and {handles} handles: {self}", self.what);
    }
}

impl std::fmt::Display for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.samples.iter().try_for_each(|Sample { at, rss_kb, n_handles }| {
            write!(f, "\n{:8.2} s {rss_kb:8} kB {n_handles:4} handles", at.as_secs_f64())
        })
    }
}

/// First gives more orders than the engine keeps, 65,536 with those that ended: until then each of them
/// takes memory, in the table and in every snapshot. Then trades now and then, all day.
const DAY_TRADER: &str = r#"
strategy { name = "trader", timers = { beat = 100 } }
local n = 0
function on_init() n = recall("n") or 0 end
function on_reload(old) n = old.n or 0 end
function on_timer(name)
    local best = bid()
    if not best then return end
    n += 1
    remember("n", n)
    if n <= 800 then
        if n % 2 == 0 then cancel_all() else for k = 1, 200 do buy(0.001, best - 500 - k) end end
        return
    elseif n == 801 then
        set_timer("beat", 4000, true)
    end
    if n % 4 == 0 then cancel_all()
    elseif n % 4 == 1 then market_buy(0.01)
    elseif n % 4 == 2 then market_sell(0.01)
    else buy(0.01, best - 5) end
end
"#;

#[test]
fn a_market_day_on_paper_leaves_memory_and_handles_flat() {
    let place = Place::new(DAY_TRADER, "\"max\"");
    let minutes = if is_long() { 1_440 } else { 480 };
    let text = std::fs::read_to_string(place.path("tercel.toml")).unwrap();
    let text = text
        .replace("[feed]", &format!("[tape]\nsegment_mb = 1\n[feed]\nminutes = {minutes}"))
        // Often, so that a quick machine has had some of each before it is measured.
        .replace("snapshot_every_entries = 200", "snapshot_every_s = 1");
    std::fs::write(place.path("tercel.toml"), text).unwrap();
    let mut server = place.spawn(&[]);
    server.wait_until(|status| status["strategies"][0]["orders_today"].as_u64() > Some(79_000));
    let mut watch = Watch::new("a day on paper", server.id());
    let mut n_saved = 0;
    while watch.look() {
        // Another version about every half second.
        if watch.samples.len().is_multiple_of(5) {
            n_saved += 1;
            std::fs::write(place.script(), format!("{DAY_TRADER}-- {n_saved}\n")).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let (exit, said) = server.wait("the market's end");
    assert!(exit.success(), "{exit}: {said}");
    println!("{}", said.trim());
    watch.check(16 << 10, 4);
    let run = place.runs().remove(0);
    let n_segments = std::fs::read_dir(run.join("tape")).unwrap().count();
    let loads = rig::journal(&run).records().unwrap().fold([0; 2], |[loads, states], record| {
        use tercel_store::journal::Record;
        match record.unwrap().1 {
            Record::ScriptLoaded { .. } => [loads + 1, states],
            Record::Snapshot { .. } => [loads, states + 1],
            _ => [loads, states],
        }
    });
    println!("{n_segments} segments of tape, [versions, snapshots] = {loads:?}");
    assert!(n_segments > 1, "the tape was rotated");
    assert!(loads[0] > 2, "scripts were loaded: {loads:?}");
    assert!(loads[1] > 3, "snapshots were taken: {loads:?}");
}

/// Trades at a venue, several times a second.
const STORM_TRADER: &str = r#"
strategy { name = "trader", timers = { beat = 250 } }
local n = 0
function on_timer(name)
    local best = bid()
    if not best then return end
    n += 1
    if n % 4 == 0 then cancel_all()
    elseif n % 4 == 1 then market_buy(0.01)
    elseif n % 4 == 2 then market_sell(0.01)
    else buy(0.01, best - 50) end
end
"#;

fn n_market(status: &Value) -> u64 {
    status["tape"]["n_events"].as_u64().unwrap()
}

/// Lets it work for a while, looking at both.
fn work(both: &mut [Watch; 2], time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        assert!(both.iter_mut().all(Watch::look), "both are there");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One round: messages, connections that are cut again and again, a consumer that stands still.
fn round(exchange: &Exchange, server: &Server<'_>, both: &mut [Watch; 2]) {
    // A connection that lasts makes the waits between attempts short again, half a minute of it.
    work(both, Duration::from_secs(if is_long() { 45 } else { 2 }));
    for _ in 0..8 {
        exchange.control("disconnect", &json!({"only": "all"}));
        work(both, Duration::from_millis(200));
    }
    server.signal("-STOP");
    work(both, Duration::from_secs(1));
    server.signal("-CONT");
}

#[test]
fn storms_at_a_venue_leave_memory_and_handles_flat() {
    let exchange =
        Exchange::start_with("BTCUSDT", &["--speed", if is_long() { "150" } else { "100" }]);
    exchange.control("settings", &json!({"connections_5m": 1_000_000}));
    let place = place_at(&exchange, DAY_TRADER, 2);
    std::fs::write(place.script(), STORM_TRADER).unwrap();
    let mut server = place.start();
    let mut both =
        [Watch::new("the server", server.id()), Watch::new("the exchange", exchange.id())];
    let n_wanted = if is_long() { 1_000_000 } else { 0 };
    let mut n_rounds = 0;
    loop {
        n_rounds += 1;
        round(&exchange, &server, &mut both);
        let n = n_market(&server.wait_until(|_| true));
        if n_rounds >= 6 && n >= n_wanted {
            break;
        }
    }
    let status = server.wait_until(|status| status["n_open_orders"].as_u64().is_some());
    println!("{n_rounds} rounds, {} messages of the market", n_market(&status));
    for watch in &both {
        watch.check(16 << 10, 6);
    }
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    server.wait_until(|status| {
        let books = exchange.books();
        let is_open = books["orders"].as_array().unwrap().iter().any(|own| own["open"] == true);
        !is_open && status["n_open_orders"] == 0
    });
    assert_eq!(server.stop("-TERM"), Some(0));
}
