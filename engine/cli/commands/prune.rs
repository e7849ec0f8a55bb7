//! `tercel prune`: make room.

use std::time::Duration;

use clap::Args as ClapArgs;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::json;
use tercel_store::runs::{PrunePolicy, RunOutline};

use crate::commands::runs::{size, to_json};
use crate::commands::{print, print_json};
use crate::data_folder::{DataFolder, blame};
use crate::exit::{Answer, Outcome, input};
use crate::timing::now;

/// Delete old runs: those that any of the rules names.
///
/// Never what the next start goes on with nor a run in use, and one that was cut off only with --force:
/// what became of its orders may not be known yet. The number of a deleted run is not used again.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  tercel prune --keep 30 --dry-run\n  tercel prune --older-than 90 --max-gb 20"
)]
pub(crate) struct Args {
    /// Keep so many of the newest runs.
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Delete runs whose last entry is older than so many days.
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Delete the oldest runs until all together take no more than so many gigabytes.
    #[arg(long, value_name = "G")]
    max_gb: Option<Decimal>,
    /// Delete runs that were cut off or cannot be read as well.
    #[arg(long)]
    force: bool,
    /// Say what would go, and delete nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    folder: DataFolder,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let policy = policy(args)?;
    let catalog = args.folder.catalog();
    let now = now();
    let gone = if args.dry_run || !catalog.runs().is_dir() {
        let runs = catalog.list().map_err(blame)?;
        policy.choose(&runs, now).into_iter().cloned().collect()
    } else {
        let lock = catalog.lock().map_err(blame)?;
        catalog.prune(&lock, &policy, now).map_err(blame)?
    };
    let n_bytes: u64 = gone.iter().map(RunOutline::n_bytes).sum();
    if args.json {
        let runs: Vec<_> = gone.iter().map(to_json).collect();
        print_json(&json!({ "dry_run": args.dry_run, "bytes": n_bytes, "pruned": runs }))?;
        return Ok(Answer::Good);
    }
    let verb = if args.dry_run { "would delete" } else { "deleted" };
    let mut text = String::new();
    for run in &gone {
        text += &format!("{verb} {}: {}\n", run.folder.path.display(), size(run.n_bytes()));
    }
    text += &format!("{verb} {} runs, {}\n", gone.len(), size(n_bytes));
    print(&text)?;
    Ok(Answer::Good)
}

fn policy(args: &Args) -> Outcome<PrunePolicy> {
    let bytes_max = match args.max_gb {
        None => None,
        Some(gigabytes) => {
            let bytes = gigabytes.checked_mul(Decimal::from(1_000_000_000));
            let bytes = bytes.and_then(|bytes| bytes.to_u64());
            Some(bytes.ok_or_else(|| {
                input(format!("--max-gb {gigabytes} is no size; give gigabytes, such as 20 or 0.5"))
            })?)
        }
    };
    if args.keep.is_none() && args.older_than.is_none() && bytes_max.is_none() {
        return Err(input(
            "no rule given; say which runs go with --keep, --older-than or --max-gb",
        ));
    }
    let older_than = args.older_than.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    Ok(PrunePolicy { keep: args.keep, older_than, bytes_max, force: args.force })
}
