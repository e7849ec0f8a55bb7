//! `tercel bench`: how fast this machine runs whole backtests.

mod event_loop;
mod follower;
mod street;
mod tick_to_trade;
mod workload;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use crate::commands::print;
use crate::data::DataOptions;
use crate::exit::{Answer, Outcome, input};

use workload::{Measured, Variant, Workload};

/// Measure whole backtests on one thread: events a CPU second, native and scripted.
///
/// Risk, order tracking and the simulated venue are on. The events are in memory before the clock
/// starts, unless --stream reads them from their files meanwhile. Compare figures of one run only: machines differ, and so do their moods.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel bench
  tercel bench --data btc.tape --runs 7 --json
  tercel bench --data btc.tape --stream --strategy native")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Market data to run over; else a generated stream of two million events.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Runs of each, of which the median counts.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Read the data while running, as a backtest does, instead of from memory.
    #[arg(long, requires = "data")]
    stream: bool,
    /// Measure this kind of strategy alone.
    #[arg(long)]
    strategy: Option<Variant>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: DataOptions,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run the workload that other engines are measured on (see bench/peers), a JSON line each.
    Peers(PeerArgs),
    Loop(event_loop::LoopArgs),
    TickToTrade(tick_to_trade::TickToTradeArgs),
}

#[derive(Debug, ClapArgs)]
struct PeerArgs {
    /// Ticks, as hftbacktest's .npz.
    #[arg(long)]
    ticks: Option<PathBuf>,
    /// One-minute bars, as CSV.
    #[arg(long)]
    bars: Option<PathBuf>,
    /// Print JSON lines (there is no other output).
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    match &args.what {
        Some(What::Peers(peers)) => return run_peers(peers, &args.options),
        Some(What::Loop(running)) => return event_loop::run(running),
        Some(What::TickToTrade(wired)) => return tick_to_trade::run(wired),
        None => {}
    }
    if args.runs == 0 {
        return Err(input("--runs must be at least 1"));
    }
    let mut rows = Vec::new();
    let workloads = if args.data.is_empty() {
        vec![Workload::generated_ticks()?, Workload::generated_bars()?]
    } else {
        vec![Workload::of_files(&args.data, &args.options)?]
    };
    for workload in &workloads {
        let wanted = |variant: &&Variant| args.strategy.is_none_or(|only| only == **variant);
        for variant in workload.variants().iter().filter(wanted) {
            let mut runs = Vec::new();
            for _ in 0..args.runs {
                runs.push(if args.stream {
                    workload.measure_stream(variant, &args.data, &args.options)?
                } else {
                    workload.measure(variant)?
                });
            }
            runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
            rows.push((workload.name.clone(), variant, runs));
        }
    }
    if args.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(workload, variant, runs)| {
                let median = &runs[runs.len() / 2];
                json!({
                    "workload": workload,
                    "variant": variant.name(),
                    "events": median.n_events,
                    "orders": median.n_orders,
                    "events_per_cpu_s": median.rate(),
                    "min": runs[0].rate(),
                    "max": runs[runs.len() - 1].rate(),
                })
            })
            .collect();
        crate::commands::print_json(&json!({ "runs": args.runs, "rows": rows }))?;
        return Ok(Answer::Good);
    }
    let mut text = format!(
        "{:<10} {:<8} {:>10} {:>8}   million events a CPU second\n{:<10} {:<8} {:>10} {:>8} {:>9} {:>9} {:>9}\n",
        "workload", "strategy", "events", "orders", "", "", "", "", "median", "min", "max"
    );
    for (workload, variant, runs) in rows {
        let median = &runs[runs.len() / 2];
        text += &format!(
            "{:<10} {:<8} {:>10} {:>8} {:>9.2} {:>9.2} {:>9.2}\n",
            workload,
            variant.name(),
            median.n_events,
            median.n_orders,
            median.rate() / 1e6,
            runs[0].rate() / 1e6,
            runs[runs.len() - 1].rate() / 1e6,
        );
    }
    print(&text)?;
    Ok(Answer::Good)
}

fn run_peers(args: &PeerArgs, options: &DataOptions) -> Outcome {
    let mut lines = Vec::new();
    for (path, is_ticks) in [(&args.ticks, true), (&args.bars, false)] {
        let Some(path) = path else { continue };
        let workload = Workload::of_peers(path, is_ticks, options)?;
        for variant in workload.variants() {
            // Once to warm up, then the run that counts.
            workload.measure(variant)?;
            lines.push(peer_line(&workload, variant.name(), &workload.measure(variant)?));
        }
    }
    if lines.is_empty() {
        return Err(input("name --ticks FILE.npz, --bars FILE.csv or both"));
    }
    for line in lines {
        print(&format!("{line}\n"))?;
    }
    Ok(Answer::Good)
}

fn peer_line(workload: &Workload, variant: &str, measured: &Measured) -> Value {
    json!({
        "peer": "tercel",
        "version": env!("CARGO_PKG_VERSION"),
        "workload": workload.name,
        "variant": variant,
        "events": measured.n_events,
        "orders": measured.n_orders,
        "cpu_s": measured.cpu_s,
        "wall_s": measured.wall_s,
        "events_per_cpu_s": measured.rate(),
        "position": measured.position,
        "buys": measured.n_buys,
        "net_profit": measured.net_profit,
        "fees": measured.fees,
    })
}
