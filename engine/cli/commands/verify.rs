//! `tercel verify`: whether a run's files are what was written.

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_store::journal::{JournalReader, RecordedHole};
use tercel_store::runs::{Fault, RunFolder, Verification};

use crate::commands::{print, print_json, replay};
use crate::data_folder::{DataFolder, blame};
use crate::exit::{Answer, Outcome};

/// Check every record of a run's journal and every block of its tape.
///
/// The records are chained by hash: a byte that changed, a record that is missing, added or moved is
/// found, and the first bad record is named with the place in the file where it begins. The journal's
/// numbers count the market events that the run took, and so what the tape lacks is told; of a run that
/// ended in order a file of the tape that is cut or gone, other than the oldest, is a fault. Exit code 1 if
/// anything is wrong.
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
    let mut found = run.verify().map_err(blame)?;
    if found.is_in_order && !found.has_tape && is_taped(&run) {
        found.tape_fault = Some("its folder is not there, and the run was to keep one".to_owned());
    }
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
                "removed": found.n_removed,
                "error": found.tape_fault,
            },
            "notes": found.notes,
        }))?;
    } else {
        print(&to_text(&run, &found))?;
    }
    Ok(if found.is_good() { Answer::Good } else { Answer::Negative })
}

/// Returns whether the configuration of a run says that it keeps a tape; not if there is none to read.
fn is_taped(run: &RunFolder) -> bool {
    let Ok(journal) = JournalReader::open(&run.journal()) else { return false };
    replay::configuration(run, &journal).is_ok_and(|file| file.config.tape.enabled)
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
    let Verification { n_taped, n_lost, n_removed, .. } = found;
    text += &match &found.tape_fault {
        None if !found.has_tape => format!("tape    none: {n_lost} events were not kept\n"),
        None => format!("tape    good: {n_taped} events, {n_lost} left out\n"),
        Some(what) => format!("tape    DAMAGED: {what}; {n_taped} events, {n_lost} missing\n"),
    };
    if *n_removed > 0 {
        text += &format!("        {n_removed} events before them are removed\n");
    }
    for note in &found.notes {
        text += &format!("note    {note}\n");
    }
    text
}
