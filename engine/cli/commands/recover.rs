//! `tercel recover`: what the next start will do.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;
use tercel_core::Nanos;
use tercel_store::runs::RunCatalog;

use super::{print, print_json};
use crate::exit::{Answer, Blame, Outcome, input};
use crate::server::begin;

/// Show what the next start of the server would begin with, and what it would settle with the venue.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Folder of the runs.
    #[arg(long, env = "TERCEL_DATA", default_value = "tercel-data")]
    data: PathBuf,
    /// Change nothing. Required: a start is what recovers, this only tells.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if !args.dry_run {
        return Err(input(
            "recovery happens at every `tercel run`; to see what it would do: tercel recover --dry-run",
        ));
    }
    let catalog = RunCatalog::open(&args.data);
    // Held so that nothing is written while it is read.
    let _lock = if args.data.is_dir() { Some(catalog.lock().or_input()?) } else { None };
    let Some(recovered) = begin::predecessor(&catalog, false)? else {
        if args.json {
            print_json(&json!({ "run": null, "lines": [] }))?;
        } else {
            print("no run has begun here: the account begins as configured\n")?;
        }
        return Ok(Answer::Good);
    };
    let mut lines = begin::recovered_story(&recovered);
    let (run, last_seq, reason) = (recovered.run, recovered.last_seq, recovered.reason.clone());
    let (n_repeated, lease) = (recovered.n_repeated, recovered.lease.clone());
    let state = recovered.recovery.finish(recovered.last_now.max(Nanos(0)));
    lines.extend(begin::describe(&state));
    if let Some(lease) = lease {
        lines.push(format!(
            "a venue would be asked for orders of run {run} with numbers {} to {} that the journal \
             does not have",
            lease.start,
            lease.end.saturating_sub(1)
        ));
    }
    if args.json {
        let orders: Vec<_> = state.orders.all_working().map(|order| order.id.to_string()).collect();
        print_json(&json!({
            "run": run,
            "ended": reason,
            "last_seq": last_seq.0,
            "repeated": n_repeated,
            "orders_to_settle": orders,
            "lines": lines,
        }))?;
    } else {
        print(&(lines.join("\n") + "\n"))?;
    }
    Ok(Answer::Good)
}
