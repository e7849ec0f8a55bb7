//! `tercel runs`: what was run.

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_store::runs::{RunOutline, RunState};

use crate::commands::{print, print_json};
use crate::data_folder::{DataFolder, blame};
use crate::exit::{Answer, Outcome};
use crate::report::exact_moment;

/// List the runs of a data folder: when each began and ended, why, and what it holds.
///
/// Reads every journal that no process has open; a run that was cut off is repaired by that.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  tercel runs\n  tercel runs --data /var/lib/tercel --json")]
pub(crate) struct Args {
    #[command(flatten)]
    folder: DataFolder,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let catalog = args.folder.catalog();
    let runs = catalog.list().map_err(blame)?;
    if args.json {
        let runs: Vec<_> = runs.iter().map(to_json).collect();
        print_json(&json!({ "folder": catalog.runs(), "runs": runs }))?;
        return Ok(Answer::Good);
    }
    if runs.is_empty() {
        print(&format!("no runs in {}\n", catalog.runs().display()))?;
        return Ok(Answer::Good);
    }
    let mut text = format!(
        "{:>8}  {:<6}  {:<20}  {:<20}  {:>11}  {:>9}  {:>9}  {:>9}  state\n",
        "run", "engine", "began", "last entry", "entries", "snapshots", "journal", "tape"
    );
    for run in &runs {
        let moment = |at: Option<_>| {
            at.map_or_else(|| "-".to_owned(), |at| exact_moment(at).chars().take(19).collect())
        };
        text += &format!(
            "{:>8}  {:<6}  {:<20}  {:<20}  {:>11}  {:>9}  {:>9}  {:>9}  {}\n",
            run.folder.number,
            engine(run),
            moment(run.started_at),
            moment(run.last_at),
            run.n_entries,
            run.n_snapshots,
            size(run.journal_bytes),
            size(run.tape_bytes),
            in_words(&run.state),
        );
    }
    print(&text)?;
    Ok(Answer::Good)
}

/// Says which of the engines of its start a run is of, where there were several: those have numbers in a
/// row.
fn engine(run: &RunOutline) -> String {
    let group = &run.group;
    if group.n == 1 {
        return String::new();
    }
    format!("{}/{}", group.index_of(run.folder.number) + 1, group.n)
}

/// Returns a run with stable keys.
pub(crate) fn to_json(run: &RunOutline) -> Value {
    let (reason, what) = match &run.state {
        RunState::Ended { reason } => (Some(reason), None),
        RunState::Unreadable { what } => (None, Some(what)),
        RunState::Cut | RunState::InUse | RunState::Empty => (None, None),
    };
    json!({
        "run": run.folder.number,
        "path": run.folder.path,
        "first_run": run.group.first,
        "engine": run.group.index_of(run.folder.number) + 1,
        "engines": run.group.n,
        "state": state(&run.state),
        "end_reason": reason,
        "error": what,
        "started_at_ns": run.started_at.map(|at| at.0),
        "last_at_ns": run.last_at.map(|at| at.0),
        "ended_at_ns": reason.and(run.last_at).map(|at| at.0),
        "entries": run.n_entries,
        "snapshots": run.n_snapshots,
        "journal_bytes": run.journal_bytes,
        "tape_bytes": run.tape_bytes,
    })
}

const fn state(state: &RunState) -> &'static str {
    match state {
        RunState::Ended { .. } => "ended",
        RunState::Cut => "cut",
        RunState::InUse => "in_use",
        RunState::Empty => "empty",
        RunState::Unreadable { .. } => "unreadable",
    }
}

fn in_words(state: &RunState) -> String {
    match state {
        RunState::Ended { reason } => format!("ended: {reason}"),
        RunState::Cut => "cut off".to_owned(),
        RunState::InUse => "in use".to_owned(),
        RunState::Empty => "cut off before it began".to_owned(),
        RunState::Unreadable { what } => format!("unreadable: {what}"),
    }
}

/// Returns bytes as people read them, to three digits or so.
pub(crate) fn size(n_bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, unit)| n_bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", n_bytes / unit, n_bytes % unit * 10 / unit),
        None => format!("{n_bytes} B"),
    }
}
