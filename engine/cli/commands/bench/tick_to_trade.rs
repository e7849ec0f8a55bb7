//! `tercel bench tick-to-trade`: wire to wire over loopback, from a market message's last byte in to
//! its order's last byte out.

mod calls;
mod floor;
mod messages;
mod page;
mod peer;
mod probe;
mod table;
mod trader;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tercel_runtime::available_cores;

use self::floor::Wait;
use self::peer::{Doors, Seen};
use self::probe::{Probe, Stage};
use self::trader::Trader;
use super::event_loop::{Folder, load_average, machine, recorder};
use crate::commands::print;
use crate::exit::{Answer, Blame, Failure, Outcome, input};

/// Measure tick to trade over real sockets: from a market message in to its order out.
///
/// A peer on this machine speaks Binance's streams and WebSocket API over loopback. It sends trades
/// and depth messages of 40 levels by the clock, whether or not the engine keeps up, and times count
/// from when a message was to be sent until its order was read whole: both ways of the sockets, the
/// WebSocket, decoding, book, a Luau script, risk, journal, and the signed order. Floors are the same
/// bytes over bare TCP in the same run: polled busily (for inline and pinned) and blocking (for
/// shared). REST is answered in memory, and is none of what is measured.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel bench tick-to-trade --venue binance
  tercel bench tick-to-trade --profile inline --rates 1000 --rounds 5 --json > new.json
  tercel bench tick-to-trade --compare old.json --html page.html")]
pub(super) struct TickToTradeArgs {
    /// Whose protocol is spoken.
    #[arg(long, value_enum, default_value_t = VenueName::Binance)]
    venue: VenueName,
    /// How the engine gets at its sockets.
    #[arg(long, value_enum, default_value_t = Profiles::All)]
    profile: Profiles,
    /// Messages a second.
    #[arg(
        long,
        num_args = 1..,
        value_delimiter = ',',
        default_value = "1000,10000,50000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    rates: Vec<u32>,
    /// How long each round measures, after a second of warm-up.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Rounds at each rate, of which the one with the median p50 is shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Every so many messages one asks for an order.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..))]
    order_every: u64,
    /// The core of the engine's thread (inline and pinned).
    #[arg(long)]
    engine_core: Option<usize>,
    /// The core of the peer's and the journal's threads.
    #[arg(long)]
    peer_core: Option<usize>,
    /// The core of the feed's thread (pinned).
    #[arg(long)]
    feed_core: Option<usize>,
    /// Measure without a journal.
    #[arg(long)]
    no_journal: bool,
    /// Do not measure the stages, which takes a round more for inline and pinned.
    #[arg(long)]
    no_stages: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Also write one HTML page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show each row as a ratio to the same one of an earlier run's JSON.
    #[arg(long, value_name = "JSON")]
    compare: Option<PathBuf>,
}

/// Venues whose protocol the peer speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum VenueName {
    Binance,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Profiles {
    Inline,
    Pinned,
    Shared,
    All,
}

impl Profiles {
    const fn names(self) -> &'static [ProfileName] {
        match self {
            Self::Inline => &[ProfileName::Inline],
            Self::Pinned => &[ProfileName::Pinned],
            Self::Shared => &[ProfileName::Shared],
            Self::All => &[ProfileName::Inline, ProfileName::Pinned, ProfileName::Shared],
        }
    }
}

/// How the engine gets at its sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ProfileName {
    Inline,
    Pinned,
    Shared,
}

impl ProfileName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Pinned => "pinned",
            Self::Shared => "shared",
        }
    }

    /// Returns how the floor waits that this is held against.
    const fn floor(self) -> Wait {
        match self {
            Self::Inline | Self::Pinned => Wait::Busy,
            Self::Shared => Wait::Blocking,
        }
    }
}

/// One round.
#[derive(Clone, Copy, Debug)]
struct Plan {
    profile: ProfileName,
    rate: u32,
    seconds: u32,
    order_every: u64,
    engine_core: usize,
    peer_core: usize,
    feed_core: usize,
    has_journal: bool,
}

/// One profile at one rate: the round with the median p50.
struct Row {
    profile: ProfileName,
    rate: u32,
    seen: Seen,
    floor: Histogram<u64>,
    /// The p50 of each round.
    p50s_ns: Vec<u64>,
    failure: Option<String>,
    load: String,
}

/// The stages of one profile.
struct Stages {
    profile: ProfileName,
    rate: u32,
    times: Vec<Histogram<u64>>,
}

/// All that was measured.
struct Measured {
    machine: String,
    cores: String,
    has_journal: bool,
    order_every: u64,
    rows: Vec<Row>,
    stages: Vec<Stages>,
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

pub(super) fn run(args: &TickToTradeArgs) -> Outcome {
    let old = args.compare.as_deref().map(read_old).transpose()?;
    let VenueName::Binance = args.venue;
    let cores = cores(args)?;
    let mut rows = Vec::new();
    let mut stages = Vec::new();
    for profile in args.profile.names() {
        for (idx, rate) in args.rates.iter().enumerate() {
            let plan = Plan {
                profile: *profile,
                rate: *rate,
                seconds: args.seconds,
                order_every: args.order_every,
                engine_core: cores[0],
                peer_core: cores[1],
                feed_core: cores[2],
                has_journal: !args.no_journal,
            };
            rows.push(row(plan, args.rounds)?);
            // Tokio's sockets are not to be wrapped, and a stage is best seen unhurried.
            if idx == 0 && *profile != ProfileName::Shared && !args.no_stages {
                let probe = Arc::new(Probe::new());
                round(plan, Some(&probe))?;
                stages.push(Stages { profile: *profile, rate: *rate, times: probe.times() });
            }
        }
    }
    let measured = Measured {
        machine: machine(),
        cores: format!(
            "engine on core {}, peer and journal on core {}, feed of pinned on core {}",
            cores[0], cores[1], cores[2]
        ),
        has_journal: !args.no_journal,
        order_every: args.order_every,
        rows,
        stages,
    };
    if let Some(path) = &args.html {
        std::fs::write(path, page::page(&measured))
            .with_context(|| format!("write {}", path.display()))
            .or_machine()?;
    }
    let mut value = json_of(&measured);
    if let Some(old) = &old {
        value["compared"] = compared(&value, old);
    }
    if args.json {
        crate::commands::print_json(&value)?;
    } else {
        print(&table::text(&measured, value.get("compared")))?;
    }
    Ok(Answer::Good)
}

/// Returns the cores of engine, peer and feed: where there are only two, the feed shares the
/// engine's, and `pinned` measures the scheduler.
fn cores(args: &TickToTradeArgs) -> Outcome<[usize; 3]> {
    let own = available_cores();
    let last = own.last().copied().unwrap_or_default();
    let nth = |n: usize| own.get(n).copied().unwrap_or(last);
    let engine = args.engine_core.unwrap_or_else(|| nth(1));
    let peer = args.peer_core.unwrap_or_else(|| nth(0));
    let feed = args.feed_core.unwrap_or_else(|| nth(2));
    for core in [engine, peer, feed] {
        if !own.contains(&core) {
            return Err(input(format!("core {core} is not there; choose of {own:?}")));
        }
    }
    Ok([engine, peer, feed])
}

fn row(plan: Plan, rounds: u32) -> Outcome<Row> {
    let load = load_average();
    let mut seen = Vec::new();
    let mut failure = None;
    for _ in 0..rounds {
        let (own, failed) = round(plan, None)?;
        seen.push(own);
        failure = failure.or(failed);
    }
    seen.sort_by_key(|own| own.from_intended.value_at_quantile(0.5));
    let p50s_ns = seen.iter().map(|own| own.from_intended.value_at_quantile(0.5)).collect();
    let seen = seen.swap_remove((seen.len() - 1) / 2);
    let floor = floor::measure(plan.profile.floor(), &plan, seen.order_bytes).or_machine()?;
    Ok(Row { profile: plan.profile, rate: plan.rate, seen, floor, p50s_ns, failure, load })
}

/// Runs an engine against a peer once.
fn round(plan: Plan, probe: Option<&Arc<Probe>>) -> Outcome<(Seen, Option<String>)> {
    let doors = Doors::open().or_machine()?;
    let addresses = doors.addresses().or_machine()?;
    let folder = Folder::new()?;
    let recorder = if plan.has_journal {
        Some(recorder(folder.path(), plan.peer_core, plan.rate)?)
    } else {
        None
    };
    let watching = probe.cloned();
    let peer = std::thread::Builder::new()
        .name("tercel-peer".to_owned())
        .spawn(move || peer::run(&doors, &plan, watching.as_deref()))
        .or_machine()?;
    let trader = Trader::start(plan, addresses, recorder, probe.cloned())?;
    let seen = peer.join().map_err(|_| input("the peer's thread panicked"))?;
    let failure = trader.stop()?;
    let seen = seen.map_err(Failure::Machine)?;
    Ok((seen, failure))
}

/// Returns a histogram of three digits over a nanosecond to a minute; what takes longer counts as a
/// minute.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds")
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of two times is shown with two decimals")]
fn ratio(a: u64, b: u64) -> f64 {
    (a as f64 / b.max(1) as f64 * 1e3).round() / 1e3
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let value =
        |(name, at): &(&str, f64)| ((*name).to_owned(), json!(times.value_at_quantile(*at)));
    Value::Object(QUANTILES.iter().map(value).collect())
}

fn json_of(measured: &Measured) -> Value {
    let row = |row: &Row| {
        let (seen, floor) = (&row.seen, &row.floor);
        let to_floor = QUANTILES.iter().map(|(name, at)| {
            let (own, floor) =
                (seen.from_intended.value_at_quantile(*at), floor.value_at_quantile(*at));
            ((*name).to_owned(), json!(ratio(own, floor)))
        });
        json!({
            "profile": row.profile.as_str(),
            "rate": row.rate,
            "rate_reached": seen.n_messages * 1_000_000_000 / seen.span_ns.max(1),
            "asked": seen.n_asked,
            "orders": seen.from_intended.len(),
            "from_intended_ns": quantiles(&seen.from_intended),
            "from_written_ns": quantiles(&seen.from_written),
            "floor": if row.profile.floor() == Wait::Busy { "busy" } else { "blocking" },
            "floor_ns": quantiles(floor),
            "to_floor": to_floor.collect::<serde_json::Map<_, _>>(),
            "rounds_p50_ns": row.p50s_ns,
            "failure": row.failure,
            "load_average": row.load,
        })
    };
    let stages = measured.stages.iter().map(|own| {
        let stages = Stage::ALL.iter().zip(&own.times).map(|(stage, times)| {
            json!({
                "stage": stage.name(),
                "what": stage.meaning(),
                "n": times.len(),
                "ns": quantiles(times),
            })
        });
        json!({
            "profile": own.profile.as_str(),
            "rate": own.rate,
            "stages": stages.collect::<Vec<_>>(),
        })
    });
    json!({
        "venue": "binance",
        "machine": measured.machine,
        "cores": measured.cores,
        "journal": measured.has_journal,
        "order_every": measured.order_every,
        "rows": measured.rows.iter().map(row).collect::<Vec<_>>(),
        "stages": stages.collect::<Vec<_>>(),
    })
}

fn read_old(path: &Path) -> Outcome<Value> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("read {}", path.display()))
        .or_input()?;
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("{}: not the output of --json", path.display()))
        .or_input()?;
    if value["rows"].as_array().is_none() {
        return Err(input(format!("{}: has no rows; give the output of --json", path.display())));
    }
    Ok(value)
}

/// Returns the ratios of new rows to the old ones of the same profile and rate.
fn compared(new: &Value, old: &Value) -> Value {
    let rows = |value: &Value| value["rows"].as_array().cloned().unwrap_or_default();
    let old = rows(old);
    let same = |a: &Value, b: &Value| a["profile"] == b["profile"] && a["rate"] == b["rate"];
    rows(new)
        .iter()
        .filter_map(|row| {
            let before = old.iter().find(|before| same(row, before))?;
            let ratios = QUANTILES.iter().filter_map(|(name, _)| {
                let of = |row: &Value| row["from_intended_ns"][name].as_u64();
                Some(((*name).to_owned(), json!(ratio(of(row)?, of(before)?))))
            });
            Some(json!({
                "profile": row["profile"],
                "rate": row["rate"],
                "to_old": ratios.collect::<serde_json::Map<_, _>>(),
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_with_those_of_their_profile_and_rate() {
        let row = |rate: u32, p50: u64| json!({ "profile": "inline", "rate": rate, "from_intended_ns": { "p50": p50 } });
        let (old, new) =
            (json!({ "rows": [row(1, 100)] }), json!({ "rows": [row(1, 150), row(2, 9)] }));
        let compared = compared(&new, &old);
        assert_eq!(compared.as_array().unwrap().len(), 1);
        assert_eq!(compared[0]["to_old"]["p50"], 1.5);
    }
}
