//! `tercel verify`: whether a run's files are what was written.

use clap::Args as ClapArgs;
use serde_json::json;
use tercel_store::runs::{Fault, RunFolder, Verification};

use crate::commands::{print, print_json};
use crate::data_folder::{DataFolder, blame, reading_journals};
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
    let run = args.folder.catalog().find(&args.run).map_err(blame)?;
    let found = reading_journals(|| run.verify().map_err(blame))?;
    if args.json {
        let first_bad = found.journal_fault.as_ref().map(
            |Fault { record, byte, what }| json!({ "record": record, "byte": byte, "what": what }),
        );
        print_json(&json!({
            "ok": found.is_good(),
            "run": run.number,
            "path": run.path,
            "records": found.n_records,
            "entries": found.n_entries,
            "sealed": found.is_sealed,
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
    text += &match &found.tape_fault {
        None => format!("tape    good: {} events, {} left out\n", found.n_taped, found.n_lost),
        Some(what) => format!("tape    DAMAGED after {} events: {what}\n", found.n_taped),
    };
    for note in &found.notes {
        text += &format!("note    {note}\n");
    }
    text
}
