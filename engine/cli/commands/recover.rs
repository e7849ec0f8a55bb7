//! `tercel recover`: what the next start will do.

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_adapters::CutOff;
use tercel_core::{ClientOrderId, Nanos};
use tercel_runtime::Recovered;

use super::{print, print_json};
use crate::data_folder::{DataFolder, blame};
use crate::exit::{Answer, Outcome};
use crate::server::begin;
use crate::server::predecessors::{predecessors, unrecorded};

/// Show what the next start of the server would begin with, and what it would settle with the venue.
///
/// Changes nothing: recovery happens at every `tercel run`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  tercel recover\n  tercel recover --data /var/lib/tercel --json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    folder: DataFolder,
    /// Change nothing, which this command never does: a start is what recovers.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let catalog = args.folder.catalog();
    // Held so that nothing is written while it is read.
    let is_there = args.folder.path().is_dir();
    let _lock = if is_there { Some(catalog.lock().map_err(blame)?) } else { None };
    let Some(before) = predecessors(&catalog, false)? else {
        if args.json {
            print_json(&json!({ "run": null, "lines": [] }))?;
        } else {
            print("no run has begun here: the account begins as configured\n")?;
        }
        return Ok(Answer::Good);
    };
    let told: Vec<_> = before.runs.into_iter().map(tell).collect();
    if !args.json {
        let lines: Vec<_> = told.into_iter().flat_map(|told| told.lines).collect();
        print(&(lines.join("\n") + "\n"))?;
        return Ok(Answer::Good);
    }
    match <[Told; 1]>::try_from(told) {
        Ok([only]) => print_json(&only.json)?,
        Err(all) => {
            let all: Vec<_> = all.into_iter().map(|told| told.json).collect();
            print_json(&json!({ "engines": all }))?;
        }
    }
    Ok(Answer::Good)
}

/// What is told of one run, to people and to programs.
struct Told {
    lines: Vec<String>,
    json: Value,
}

fn tell(recovered: Recovered) -> Told {
    let mut lines = begin::recovered_story(&recovered);
    let (run, last_seq, reason) = (recovered.run, recovered.last_seq, recovered.reason.clone());
    let (n_repeated, unrecorded) = (recovered.n_repeated, unrecorded(&recovered));
    let state = recovered.recovery.finish(recovered.last_now.max(Nanos(0)));
    lines.extend(begin::describe(&state));
    if let Some(CutOff { numbers, .. }) = unrecorded {
        lines.push(format!(
            "orders from {} on may have been sent and are on no record: a start asks the venue for them \
             before strategies begin, and halts if there are any, unless on_lost_order = \"tell\"",
            ClientOrderId::new(run, numbers.start)
        ));
    }
    let orders: Vec<_> = state.orders.all_working().map(|order| order.id.to_string()).collect();
    let json = json!({
        "run": run,
        "ended": reason,
        "last_seq": last_seq.0,
        "repeated": n_repeated,
        "orders_to_settle": orders,
        "lines": lines,
    });
    Told { lines, json }
}
