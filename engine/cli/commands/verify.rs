//! `tercel verify`: whether a run's files are what was written.

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_store::journal::RecordedHole;
use tercel_store::runs::{Fault, RunFolder, Verification};

use crate::commands::{print, print_json};
use crate::data_folder::{DataFolder, blame};
use crate::exit::{Answer, Outcome};

/// Check every record of a run's journal and every block of its tape.
///
/// The records are chained by hash: a byte that changed, a record that is missing, added or moved is
/// found, and the first bad record is named with the place in the file where it begins. Exit code 1
/// if anything is wrong.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  tercel verify latest\n  tercel verify 12 --json")]
pub(crate) struct Args {
    /// Number of the run, `latest`, or the path of its folder or journal.
    run: String,
    #[command(flatten)]
    folder: DataFolder,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let run = args.folder.find(&args.run)?;
    let found = run.verify().map_err(blame)?;
    if args.json {
        let first_bad = found.journal_fault.as_ref().map(
            |Fault { record, byte, what }| json!({ "record": record, "byte": byte, "what": what }),
        );
        let holes: Vec<_> = found.holes.iter().map(hole_json).collect();
        print_json(&json!({
            "ok": found.is_good(),
            "run": run.number,
            "path": run.path,
            "records": found.n_records,
            "entries": found.n_entries,
            "sealed": found.is_sealed,
            "holes": holes,
            "first_bad": first_bad,
            "tape": {
                "events": found.n_taped,
                "lost": found.n_lost,
                "error": found.tape_fault,
            },
            "notes": found.notes,
        }))?;
    } else {
        print(&to_text(&run, &found))?;
    }
    Ok(if found.is_good() { Answer::Good } else { Answer::Negative })
}

/// A hole, with the keys that `tercel replay` uses.
fn hole_json(hole: &RecordedHole) -> Value {
    json!({
        "from": hole.after.map_or(1, |seq| seq.0 + 1),
        "to": hole.until.0,
        "lost": hole.n_lost,
        "why": hole.why,
        "record": hole.record,
    })
}

fn to_text(run: &RunFolder, found: &Verification) -> String {
    let mut text = format!("run     {}\n", run.path.display());
    text += &match &found.journal_fault {
        None => format!(
            "journal good: {} records, {} of them entries, {}\n",
            found.n_records,
            found.n_entries,
            if found.is_sealed { "ended" } else { "not ended" }
        ),
        Some(Fault { record, byte, what }) => {
            let place = byte.map_or(String::new(), |byte| format!(" (byte {byte} of the file)"));
            format!("journal DAMAGED at record {record}{place}: {what}\n")
        }
    };
    for hole in &found.holes {
        text += &format!(
            "hole    events {} to {}, {} entries or more: {}\n",
            hole.after.map_or(1, |seq| seq.0 + 1),
            hole.until.0,
            hole.n_lost,
            hole.why
        );
    }
    text += &match &found.tape_fault {
        None => format!("tape    good: {} events, {} left out\n", found.n_taped, found.n_lost),
        Some(what) => format!("tape    DAMAGED after {} events: {what}\n", found.n_taped),
    };
    for note in &found.notes {
        text += &format!("note    {note}\n");
    }
    text
}
