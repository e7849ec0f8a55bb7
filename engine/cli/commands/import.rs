//! `tercel import`: any known format into a tape, or out to Parquet.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args as ClapArgs;
use serde_json::json;
use tercel_store::{Reader, Report, TapeWriter, export_parquet};

use crate::commands::{print, print_json};
use crate::data::{DataOptions, blame};
use crate::exit::{Answer, Blame, Outcome, input};
use crate::progress::Progress;

/// Write market data of any known format into a tape.
///
/// A tape is compact, checked and read many times faster than text. Nothing is left under the
/// output's name unless all of the input was read.
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
    let mut reader = args.options.open(&args.data)?;
    let begun = Instant::now();
    let written =
        if args.parquet { to_parquet(args, &mut reader)? } else { to_tape(args, &mut reader)? };
    let seconds = begun.elapsed().as_secs_f64();
    let report = reader.report();
    if args.json {
        let files: Vec<_> = written
            .iter()
            .map(
                |file| json!({ "path": file.path, "events": file.n_events, "bytes": file.n_bytes }),
            )
            .collect();
        print_json(&json!({
            "files": files,
            "found": reader.findings(),
            "bad_lines": report.n_bad,
            "counts": report.counts,
            "notes": report.notes,
            "wall_s": seconds,
        }))?;
        return Ok(Answer::Good);
    }
    let mut text = String::new();
    for found in reader.detected() {
        text += &format!("read   {}: {}\n", found.member.display(), found.format.as_str());
    }
    for finding in reader.findings() {
        text += &format!("found  {finding}\n");
    }
    text += &notes(&report);
    for file in written {
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let each = file.n_bytes as f64 / file.n_events.max(1) as f64;
        let Written { path, n_events, n_bytes } = file;
        let path = path.display();
        text +=
            &format!("wrote  {path}: {n_events} events, {n_bytes} bytes ({each:.1} an event)\n");
    }
    print(&text)?;
    Ok(Answer::Good)
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

struct Written {
    path: PathBuf,
    n_events: u64,
    n_bytes: u64,
}

fn to_tape(args: &Args, reader: &mut Reader) -> Outcome<Vec<Written>> {
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
    Ok(vec![Written { path, n_events: summary.n_events, n_bytes: summary.n_bytes }])
}

fn to_parquet(args: &Args, reader: &mut Reader) -> Outcome<Vec<Written>> {
    let files = export_parquet(reader, &args.output).map_err(blame)?;
    let measured = files.into_iter().map(|(path, n_events)| {
        let n_bytes = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        Ok(Written { path, n_events, n_bytes })
    });
    measured.collect::<anyhow::Result<_>>().or_machine()
}
