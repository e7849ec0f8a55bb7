//! `tercel import`: any known format into a tape, or out to Parquet.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args as ClapArgs;
use serde_json::json;
use tercel_store::{ParquetExport, Reader, Report, TapeWriter, export_parquet};

use crate::commands::{print, print_json};
use crate::data::{DataOptions, blame};
use crate::exit::{Answer, Blame, Outcome, input};
use crate::progress::Progress;

/// Write market data of any known format into a tape.
///
/// A tape is compact, checked and read many times faster than text. Nothing is left under the
/// output's name, and an earlier import stays as it is, unless all of the input was read.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  tercel import BTCUSDT-aggTrades-2024-03.zip --output btc.tape\n  tercel import btc.tape --output btc/ --parquet"
)]
pub(crate) struct Args {
    /// Files of any known format, plain or in .gz, .zst or .zip.
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// Where to write: a tape, or with --parquet a folder.
    #[arg(short, long)]
    output: PathBuf,
    /// Write Parquet files, one a kind of data, instead of a tape.
    #[arg(long)]
    parquet: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: DataOptions,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.data.contains(&args.output) {
        return Err(input(format!("{} is both input and output", args.output.display())));
    }
    if let Some(path) =
        args.data.iter().find(|path| args.parquet && is_table_in(&args.output, path))
    {
        return Err(input(format!(
            "{} is input and lies where the tables are written, which it may be taken for; choose \
             another folder for --output",
            path.display()
        )));
    }
    let mut reader = args.options.open(&args.data)?;
    let begun = Instant::now();
    let imported =
        if args.parquet { to_parquet(args, &mut reader)? } else { to_tape(args, &mut reader)? };
    let seconds = begun.elapsed().as_secs_f64();
    let report = reader.report();
    if args.json {
        let files: Vec<_> = imported
            .files
            .iter()
            .map(
                |file| json!({ "path": file.path, "events": file.n_events, "bytes": file.n_bytes }),
            )
            .collect();
        print_json(&json!({
            "files": files,
            "removed": imported.removed,
            "found": reader.findings(),
            "bad_lines": report.n_bad,
            "counts": report.counts,
            "notes": report.notes,
            "wall_s": seconds,
        }))?;
        return Ok(Answer::Good);
    }
    let Imported { files, removed } = imported;
    let mut text = String::new();
    for found in reader.detected() {
        text += &format!("read   {}: {}\n", found.member.display(), found.format.as_str());
    }
    for finding in reader.findings() {
        text += &format!("found  {finding}\n");
    }
    text += &notes(&report);
    for file in files {
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let each = file.n_bytes as f64 / file.n_events.max(1) as f64;
        let Written { path, n_events, n_bytes } = file;
        let path = path.display();
        text +=
            &format!("wrote  {path}: {n_events} events, {n_bytes} bytes ({each:.1} an event)\n");
    }
    for path in removed {
        text += &format!("gone   {}: of an earlier import\n", path.display());
    }
    print(&text)?;
    Ok(Answer::Good)
}

/// Returns whether a file could be taken for a table of an earlier import into the folder.
fn is_table_in(folder: &Path, path: &Path) -> bool {
    let is_parquet = path.extension().is_some_and(|ending| ending == "parquet");
    let (folder, path) = (folder.canonicalize(), path.canonicalize());
    is_parquet && path.is_ok_and(|path| folder.is_ok_and(|folder| path.parent() == Some(&folder)))
}

/// Returns what was noticed while reading, a line each.
pub(crate) fn notes(report: &Report) -> String {
    let mut text = String::new();
    for (what, n) in &report.counts {
        text += &format!("count  {n} {what}\n");
    }
    for note in &report.notes {
        text += &format!("note   {note}\n");
    }
    if report.n_bad > 0 {
        text += &format!("bad    {} lines refused; the first:\n", report.n_bad);
        for bad in report.bad_lines.iter().take(10) {
            text += &format!("         {}:{}: {}\n", bad.file, bad.line, bad.reason);
        }
    }
    text
}

/// What an import has done.
struct Imported {
    files: Vec<Written>,
    /// Files of an earlier import that would have read as part of this one.
    removed: Vec<PathBuf>,
}

struct Written {
    path: PathBuf,
    n_events: u64,
    n_bytes: u64,
}

fn to_tape(args: &Args, reader: &mut Reader) -> Outcome<Imported> {
    let mut writer = TapeWriter::create(&args.output, reader.metadata()).or_machine()?;
    let progress = Progress::begin("importing", args.json);
    let mut events = Vec::new();
    while reader.read_block(&mut events).map_err(blame)? > 0 {
        writer.write(&events).or_machine()?;
        progress.advance(events.len());
        events.clear();
    }
    progress.end();
    let summary = writer.finish().or_machine()?;
    let path = args.output.clone();
    let file = Written { path, n_events: summary.n_events, n_bytes: summary.n_bytes };
    Ok(Imported { files: vec![file], removed: Vec::new() })
}

fn to_parquet(args: &Args, reader: &mut Reader) -> Outcome<Imported> {
    let ParquetExport { files, removed } = export_parquet(reader, &args.output).map_err(blame)?;
    let measured = files.into_iter().map(|(path, n_events)| {
        let n_bytes = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        Ok(Written { path, n_events, n_bytes })
    });
    let files = measured.collect::<anyhow::Result<_>>().or_machine()?;
    Ok(Imported { files, removed })
}
