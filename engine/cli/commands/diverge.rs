//! `tercel diverge`: where a run and its simulation over the same market differ.

mod files;
mod latencies;
mod outcome;
mod text;

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use tercel_core::Nanos;
use tercel_runtime::{RecordedRun, ResimulationError, Survey};
use tercel_sim::divergence::{Comparison, LatencyFit};
use tercel_store::StoreError;
use tercel_store::journal::JournalReader;
use tercel_store::runs::RunFolder;

use self::latencies::Latencies;
use self::outcome::Divergence;
use super::{print, print_json, replay};
use crate::data_folder::{DataFolder, blame_run, open_journal};
use crate::exit::{Answer, Failure, Outcome, input};
use crate::server_config::ServerFile;

/// Backtest a run over its own tape and show, order by order, where the simulation and what happened
/// differ.
///
/// The run's strategies, with the versions, parameters, seeds, limits and commands that are recorded,
/// trade the run's market again, against a simulated venue with the options of `[venue]`. Orders are
/// paired by strategy, instrument, side, type and place in the sequence of those, as close in time as
/// can be. A difference is what the run did, less what the simulation did.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel diverge latest
  tercel diverge 12 --write-latencies latencies.csv   # for latency_file in [venue]
  tercel diverge 12 --latencies fitted --all --csv orders.csv

Exit codes: 0 every order went the same way, 1 some did not, 2 wrong input (no such run, no tape, a tape
that is cut), 3 failure of the machine.")]
pub(crate) struct Args {
    /// Number of the run, `latest`, or the path of its folder or journal.
    #[arg(default_value = "latest")]
    run: String,
    #[command(flatten)]
    folder: DataFolder,
    /// Latencies of the simulated venue: `configured` as in the run's `[venue]`, `fitted` to what the
    /// run's journal says, or a file such as --write-latencies writes.
    #[arg(long, value_name = "configured|fitted|FILE", default_value = "configured")]
    latencies: Latencies,
    /// Write the latencies that the journal says, in the format of `latency_file` in `[venue]`.
    #[arg(long, value_name = "FILE")]
    write_latencies: Option<PathBuf>,
    /// Orders that were sent further apart than this many milliseconds are no pair.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=3_600_000))]
    within_ms: u32,
    /// Show so many of the orders that differ, those that make most money's difference first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    worst: usize,
    /// Show all orders, in the order in which they were sent.
    #[arg(long, conflicts_with = "worst")]
    all: bool,
    /// Write all orders as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// If the tape's end is missing, compare up to where it goes.
    #[arg(long)]
    accept_truncated: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let folder = args.folder.find(&args.run)?;
    let divergence = examine(args, &folder)?;
    if let Some(path) = &args.write_latencies {
        files::write_latencies(&divergence, path)?;
    }
    if let Some(path) = &args.csv {
        files::write_orders(&divergence, path)?;
    }
    if args.json {
        print_json(&divergence.to_json())?;
    } else {
        let worst = (!args.all).then_some(args.worst);
        print(&divergence.to_text(worst))?;
    }
    let is_equal = divergence.comparison.is_equal() && divergence.simulated.faults.is_empty();
    Ok(if is_equal { Answer::Good } else { Answer::Negative })
}

/// Simulates a run and compares.
fn examine(args: &Args, folder: &RunFolder) -> Outcome<Divergence> {
    let journal = open_journal(folder)?;
    let file = replay::configuration(folder, &journal)?;
    let (run, survey) = read(args, folder, &journal, &file)?;
    let fit = fit(&run, &survey);
    let options = args.latencies.venue_options(&file.config.venue, fit.as_ref())?;
    let simulated =
        run.simulate(&folder.tape(), options, &mut ()).map_err(|error| whose(error, folder))?;
    let comparison = Comparison::of(
        &run.state().instruments,
        &survey.last_prices,
        run.orders.orders(),
        simulated.orders.orders(),
        i64::from(args.within_ms) * Nanos::MILLI,
    );
    let (number, latencies) = (folder.number, args.latencies.clone());
    Ok(Divergence { number, run, survey, fit, simulated, comparison, latencies })
}

/// Reads journal and tape, as far as both go.
fn read(
    args: &Args,
    folder: &RunFolder,
    journal: &JournalReader,
    file: &ServerFile,
) -> Outcome<(RecordedRun, Survey)> {
    let limits = |language| file.config.script.limits(language);
    let intents = file.config.script.intents.unwrap_or(256);
    let read = |until| {
        RecordedRun::read(journal, &limits, intents, until).map_err(|error| whose(error, folder))
    };
    let mut run = read(None)?;
    let survey = survey(&mut run, folder)?;
    if survey.n_missing_first > 0 {
        return Err(input(format!(
            "run {}: the first {} market events are not on its tape any more, and a simulation must \
             begin where the run began; keep more of the tape with keep_gb and keep_days in [tape]",
            folder.number, survey.n_missing_first
        )));
    }
    if survey.n_until >= run.n_market {
        return Ok((run, survey));
    }
    if !args.accept_truncated {
        let until = survey.last_at.map_or_else(|| "nowhere".to_owned(), crate::report::moment);
        return Err(input(format!(
            "run {}: its tape ends after {} of {} market events, at {until}; to compare up to there, \
             say --accept-truncated",
            folder.number, survey.n_until, run.n_market
        )));
    }
    let mut run = read(Some(survey.n_until))?;
    let survey = self::survey(&mut run, folder)?;
    Ok((run, survey))
}

fn survey(run: &mut RecordedRun, folder: &RunFolder) -> Outcome<Survey> {
    run.survey(&folder.tape()).map_err(|error| whose(error, folder))
}

/// Fits a latency model to the orders that know latency.
fn fit(run: &RecordedRun, survey: &Survey) -> Option<LatencyFit> {
    let knows_latency = |id: tercel_core::InstrumentId| {
        survey.has_ticks.get(id.index()).copied().unwrap_or_default()
    };
    let requests: Vec<_> =
        run.orders.requests().iter().filter(|one| knows_latency(one.instrument)).copied().collect();
    let answers: Vec<_> =
        run.orders.answers().iter().filter(|one| knows_latency(one.instrument)).copied().collect();
    LatencyFit::of(&requests, &answers)
}

/// Whose fault it is that a run is not simulated.
fn whose(error: ResimulationError, folder: &RunFolder) -> Failure {
    match error {
        ResimulationError::Tape(StoreError::Io { cause, .. })
            if cause.kind() == ErrorKind::NotFound =>
        {
            input(format!(
                "run {} has no tape, so there is no market to simulate: was enabled = false in \
                 [tape], or did the run end before its first block?",
                folder.number
            ))
        }
        other => blame_run(folder)(other),
    }
}
