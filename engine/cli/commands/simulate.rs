//! `tercel simulate`: the whole engine in worlds made from seeds, where everything goes wrong.

use std::time::Instant;

use clap::Args as ClapArgs;
use serde_json::{Map, Value, json};
use tercel_simulate::{Counts, Failure, Named, Outcome as Lived, Simulation, Summary};

use super::{print, print_json};
use crate::exit::{Answer, Blame, Outcome};

/// Live through worlds made from seeds: real engine, scripts, journal and recovery; a market, a venue,
/// a network, a disk, a clock and an operator that go wrong. Promises are checked after every event.
///
/// Exit code 1 if one is broken, or if some kind of fault never happened in 100 runs or more.
/// Example: `tercel simulate --seed 1 --runs 300`; again one of them, with its story: `tercel simulate
/// --seed 17 --trace`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds from there on.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Tell the story of the world, event by event. Of one seed only.
    #[arg(long, conflicts_with_all = ["runs", "json"])]
    trace: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs from which on a kind of fault that never happened is a fault of the simulation.
const RUNS_OF_ALL_KINDS: u64 = 100;

pub(crate) fn run(args: &Args) -> Outcome {
    // A panic is one of the things that are looked for: it must not end the program.
    drop(std::panic::take_hook());
    let simulation = Simulation::new().or_machine()?;
    let begun = Instant::now();
    let mut summary = Summary::default();
    let mut digest = 0;
    for seed in (args.seed..).take(usize::try_from(args.runs).unwrap_or(usize::MAX)) {
        let lived = if args.trace { trace(&simulation, seed)? } else { simulation.run(seed) };
        digest = lived.digest;
        summary.add(&lived);
        if let Some(failure) = lived.failure
            && !args.json
        {
            print(&told(&failure))?;
        }
    }
    let wall_s = begun.elapsed().as_secs_f64();
    let missing: Vec<_> = summary.faults.missing().map(Named::name).collect();
    let must_have_all = summary.n_runs >= RUNS_OF_ALL_KINDS;
    let is_good = summary.failures.is_empty() && (missing.is_empty() || !must_have_all);
    if args.json {
        print_json(&json!({
            "ok": is_good,
            "seed": args.seed,
            "runs": summary.n_runs,
            "events": summary.n_events,
            "processes": summary.n_processes,
            "fills": summary.n_fills,
            "simulated_s": summary.span_ns / 1_000_000_000,
            "wall_s": wall_s,
            "digest": (summary.n_runs == 1).then(|| format!("{digest:016x}")),
            "faults": counts(&summary.faults),
            "never_fired": missing,
            "checks": counts(&summary.checks),
            "failure_rate_below": bound(&summary),
            "failures": summary.failures.iter().map(to_json).collect::<Vec<_>>(),
        }))?;
    } else {
        print(&table(&summary, wall_s, digest, &missing, must_have_all))?;
    }
    Ok(if is_good { Answer::Good } else { Answer::Negative })
}

fn trace(simulation: &Simulation, seed: u64) -> Outcome<Lived> {
    let mut gone = None;
    let lived = simulation.trace(seed, |line| {
        if gone.is_none() {
            gone = print(&format!("{line}\n")).err();
        }
    });
    gone.map_or(Ok(lived), Err)
}

/// With 95 % certainty fewer worlds than this fail, if none of so many did.
fn bound(summary: &Summary) -> Option<f64> {
    let n_runs = u32::try_from(summary.n_runs).ok().filter(|n| *n > 0)?;
    summary.failures.is_empty().then(|| 3.0 / f64::from(n_runs))
}

fn counts<K: Named>(counts: &Counts<K>) -> Map<String, Value> {
    counts.iter().map(|(thing, n)| (thing.name().to_owned(), n.into())).collect()
}

fn to_json(failure: &Failure) -> Value {
    json!({
        "seed": failure.seed,
        "process": failure.run,
        "event": failure.seq.0,
        "invariant": failure.violation.invariant.name(),
        "expected": failure.violation.expected,
        "found": failure.violation.found,
        "command": command(failure),
    })
}

fn command(failure: &Failure) -> String {
    format!("tercel simulate --seed {} --trace", failure.seed)
}

fn told(failure: &Failure) -> String {
    let violation = &failure.violation;
    format!(
        "seed {}, process {}, event {}: broken: {}\n  expected  {}\n  found     {}\n  again     {}\n",
        failure.seed,
        failure.run,
        failure.seq,
        violation.invariant.name(),
        violation.expected,
        violation.found,
        command(failure)
    )
}

fn table(
    summary: &Summary,
    wall_s: f64,
    digest: u64,
    missing: &[&str],
    must_have_all: bool,
) -> String {
    let hours = summary.span_ns / 1_000_000_000 / 360;
    let mut text = format!(
        "{} runs, {} events, {} processes, {} fills; {}.{} simulated hours in {wall_s:.1} s\n",
        summary.n_runs,
        summary.n_events,
        summary.n_processes,
        summary.n_fills,
        hours / 10,
        hours % 10
    );
    if summary.n_runs == 1 {
        text.push_str(&format!("digest {digest:016x}\n"));
    }
    text.push_str("\nfaults\n");
    text.push_str(&rows(&summary.faults));
    text.push_str("\nchecks\n");
    text.push_str(&rows(&summary.checks));
    text.push('\n');
    if !missing.is_empty() {
        let list = missing.join(", ");
        text.push_str(&match must_have_all {
            true => format!("never happened, which is a failure: {list}\n"),
            false => format!("never happened in so few runs: {list}\n"),
        });
    }
    text.push_str(&match bound(summary) {
        // Of so few worlds there is nothing to say.
        Some(bound) if bound >= 1.0 => "nothing broken\n".to_owned(),
        Some(bound) => format!(
            "nothing broken: fewer than {:.2} % of such worlds break anything, with 95 % certainty \
             (3/N)\n",
            bound * 100.0
        ),
        None => format!("{} of {} runs broke a promise\n", summary.failures.len(), summary.n_runs),
    });
    text
}

fn rows<K: Named>(counts: &Counts<K>) -> String {
    counts.iter().map(|(thing, n)| format!("  {:<48}{n:>12}\n", thing.name())).collect()
}
