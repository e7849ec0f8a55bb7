//! `tercel replay`: executes a recorded run again.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde_json::json;
use tercel_core::Seq;
use tercel_runtime::{
    Difference, Hole, ReadAhead, Reexecuted, Reexecution, ScriptPlace, placeholder,
};
use tercel_script::Hook;
use tercel_store::StoreError;
use tercel_store::journal::{JournalReader, Record};
use tercel_store::market_tape::MarketTapeReader;
use tercel_store::runs::RunFolder;

use super::{print, print_json, what_if};
use crate::data_folder::{DataFolder, blame_run, open_journal};
use crate::exit::{Answer, Blame, Outcome, input};
use crate::script_file::{self, assignment};
use crate::server_config::ServerFile;
use crate::toml_file::TomlFile;

/// Execute a recorded run again, from its journal and its tape, and compare everything.
///
/// The same scripts over the same inputs must give the same orders, notices and states, or the first
/// difference is shown. A tape that ends before the run does is told, with how far the comparison goes:
/// a process that is killed takes the last of its tape with it.
///
/// With --script or --set, the run's market is traded twice from a fresh account: by the recorded script
/// with its recorded parameters, limits, symbols and seed, and by another script or with other
/// parameters. Of a run with several strategies it is the first one.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel replay latest
  tercel replay 12 --until 40000 --json
  tercel replay 12 --set fast=8
  tercel replay 12 --script my_strategy.luau --set fast=8

Exit codes: 0 identical to the end, or to --until; 1 a difference, or the tape ends before that (with
--script and --set: a script that failed); 2 wrong input; 3 failure of the machine.")]
pub(crate) struct Args {
    /// The run: a number, `latest`, or a path.
    #[arg(default_value = "latest")]
    run: String,
    #[command(flatten)]
    folder: DataFolder,
    /// Last event to execute.
    #[arg(long, value_name = "SEQ")]
    until: Option<u64>,
    /// What if: run this script over the same market, beside the recorded one.
    #[arg(long, value_name = "FILE", conflicts_with = "until")]
    script: Option<PathBuf>,
    /// What if: run with these parameters.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "until")]
    set: Vec<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let folder = args.folder.find(&args.run)?;
    let journal = open_journal(&folder)?;
    let file = configuration(&folder, &journal)?;
    if args.script.is_some() || !args.set.is_empty() {
        let overrides =
            args.set.iter().map(|text| assignment(text)).collect::<Outcome<Vec<_>>>()?;
        let limits = |language| file.config.script.limits(language);
        let script =
            args.script.as_deref().map(|path| script_file::load(path, limits)).transpose()?;
        return what_if::run(&folder, &journal, &file, script, &overrides, args.json);
    }
    let (done, wall) = again(&folder, &journal, &file, args.until.map(Seq))?;
    let wall_s = wall.as_secs_f64();
    let is_identical = done.difference.is_none();
    // What is not compared may differ: a run that is executed in part is not the same run.
    let is_complete = done.stopped.is_none();
    if args.json {
        print_json(&json!({
            "identical": is_identical,
            "complete": is_complete,
            "entries": done.n_entries,
            "events": done.n_events,
            "states": done.n_states,
            "last_seq": done.last_seq.0,
            "wall_s": wall_s,
            "stopped": done.stopped,
            "holes": done.holes.iter().map(hole_json).collect::<Vec<_>>(),
            "first_difference": done.difference.as_ref().map(to_json),
        }))?;
    } else {
        let mut text = format!(
            "run {}: {} events executed again in {wall_s:.2} s, {} entries and {} states compared\n",
            folder.number, done.n_events, done.n_entries, done.n_states
        );
        for hole in &done.holes {
            text.push_str(&hole_text(hole));
        }
        if let Some(why) = &done.stopped {
            text.push_str(&format!("it goes no further than event {}: {why}\n", done.last_seq.0));
        }
        match &done.difference {
            None if is_complete => text.push_str("identical\n"),
            None => text.push_str(&format!(
                "identical as far as it goes; --until {} asks for no more\n",
                done.last_seq.0
            )),
            Some(difference) => text.push_str(&to_text(difference)),
        }
        print(&text)?;
    }
    Ok(if is_identical && is_complete { Answer::Good } else { Answer::Negative })
}

/// Executes a run again as it was, and tells how long that took. Where it differs it is executed once
/// more with notes of the lines of scripts, which take time and are wanted for one event only.
fn again(
    folder: &RunFolder,
    journal: &JournalReader,
    file: &ServerFile,
    until: Option<Seq>,
) -> Outcome<(Reexecuted, Duration)> {
    let begun = Instant::now();
    let done = once(folder, journal, file, until, None)?;
    let wall = begun.elapsed();
    let Some(difference) = &done.difference else { return Ok((done, wall)) };
    let noted = once(folder, journal, file, Some(difference.seq), Some(BTreeSet::new()))?;
    let is_same = noted.difference.as_ref().is_some_and(|own| own.seq == difference.seq);
    Ok((if is_same { noted } else { done }, wall))
}

/// Executes a run again, and keeps what scripts did at the events of `noted`, if any are given.
pub(super) fn once(
    folder: &RunFolder,
    journal: &JournalReader,
    file: &ServerFile,
    until: Option<Seq>,
    noted: Option<BTreeSet<Seq>>,
) -> Outcome<Reexecuted> {
    let tape = match MarketTapeReader::open(&folder.tape()) {
        Ok(mut tape) => {
            let items = std::iter::from_fn(move || tape.next_item().transpose());
            Some(ReadAhead::new(items).or_machine()?)
        }
        // None was kept, or the run was cut off before its first block.
        Err(StoreError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => None,
        Err(StoreError::Truncated { .. }) => None,
        Err(error) => return Err(blame_run(folder)(error)),
    };
    let limits = |language| file.config.script.limits(language);
    Reexecution {
        journal,
        tape,
        native: &|_| placeholder(),
        limits: &limits,
        intents_per_call: file.config.script.intents.unwrap_or(256),
        until,
        noted,
    }
    .run()
    .map_err(blame_run(folder))
}

/// Returns the configuration that a run was started with.
pub(super) fn configuration(folder: &RunFolder, journal: &JournalReader) -> Outcome<ServerFile> {
    let mut records = journal.records().map_err(blame_run(folder))?;
    let first = records.next().transpose().map_err(blame_run(folder))?;
    let Some((_, Record::RunStarted { config, run, .. })) = first else {
        return Err(input("the run has no beginning"));
    };
    ServerFile::of(TomlFile::of_record(&format!("configuration of run {run}"), &config))
}

fn to_json(difference: &Difference) -> serde_json::Value {
    json!({
        "seq": difference.seq.0,
        "now_ns": difference.now.0,
        "event": difference.event,
        "expected": difference.expected,
        "got": difference.got,
        "script_line": difference.place.as_ref().map(place_json),
        "scripts": difference.scripts,
    })
}

fn hole_json(hole: &Hole) -> serde_json::Value {
    json!({
        "from": hole.from.0,
        "to": hole.to.0,
        "lost": hole.n_lost,
        "why": hole.why,
        "at_ns": hole.at.0,
        "scripts_executed_from": hole.executed_from.map(|seq| seq.0),
    })
}

fn hole_text(hole: &Hole) -> String {
    let scripts = hole.executed_from.map_or_else(
        || "to the end".to_owned(),
        |seq| format!("until they are loaded anew at event {}", seq.0),
    );
    format!(
        "hole: events {} to {} are not compared, {} entries or more are missing: {}\n  it goes on from \
         the recorded state after event {}; what scripts kept to themselves is in no state, so their \
         wishes are taken from the record {scripts}\n",
        hole.from.0, hole.to.0, hole.n_lost, hole.why, hole.to.0
    )
}

/// A place in a script, for machines.
pub(super) fn place_json(place: &ScriptPlace) -> serde_json::Value {
    json!({
        "strategy": place.strategy.0,
        "hook": place.hook.map(Hook::name),
        "file": place.line.as_ref().map(|line| &line.file),
        "line": place.line.as_ref().map(|line| line.line),
        "is_begin": place.is_begin,
    })
}

fn to_text(difference: &Difference) -> String {
    format!(
        "differs at event {}, at {}\n  event     {}\n  recorded  {}\n  now       {}\n  \
         line      {}\n  scripts   {}\n",
        difference.seq.0,
        crate::report::exact_moment(difference.now),
        difference.event,
        difference.expected,
        difference.got,
        difference
            .place
            .as_ref()
            .map_or_else(|| "none: no script wished it".to_owned(), ToString::to_string),
        difference.scripts.join(", ")
    )
}
