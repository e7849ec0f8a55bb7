//! `tercel replay --script`: the same market, another script or other parameters.

use std::ffi::OsStr;

use serde_json::{Value, json};
use tercel_core::{Event, State};
use tercel_runtime::{Loaded, Version};
use tercel_script::{ParamValue, ParamValues, Script};
use tercel_sim::metrics::{Recorder, RecorderLimits};
use tercel_sim::{Backtest, BacktestOptions, SimVenue, Summary};
use tercel_store::StoreError;
use tercel_store::journal::{JournalReader, Record};
use tercel_store::market_tape::{MarketTapeReader, Taped};
use tercel_store::runs::RunFolder;
use tercel_store::state;

use super::{print, print_json};
use crate::config::{Config, LimitsSection};
use crate::data::blame;
use crate::data_folder::blame_run;
use crate::exit::{Answer, Blame, Outcome, input};
use crate::paper_venue::venue_options;
use crate::plan::Plan;
use crate::server_config::ServerFile;
use crate::server_config::strategy::StrategySection;

/// What one version made of the market.
struct Made {
    label: String,
    summary: Summary,
    orders: u64,
    fills: u64,
    profit: String,
    fees: String,
    faults: usize,
}

/// Runs the recorded script and another one over the run's market, from a fresh account.
///
/// Both have the strategy's recorded instruments, seed and limits, and the recorded parameters where
/// those differ from the script's own; `overrides` change those of the other one only.
pub(super) fn run(
    folder: &RunFolder,
    journal: &JournalReader,
    file: &ServerFile,
    script: Option<Script>,
    overrides: &[(&str, &str)],
    json: bool,
) -> Outcome {
    let recorded = recorded(folder, journal, file)?;
    let state = first_state(folder, journal)?;
    let config = config_of(file, &state, &recorded)?;
    let other = script.unwrap_or_else(|| recorded.script().clone());
    let own = changed_params(&recorded);
    let own: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // A parameter that the other script does not know is not its business.
    let known = |name: &str| other.manifest().params.iter().any(|spec| spec.name == name);
    let merged: Vec<_> =
        own.iter().filter(|(name, _)| known(name)).chain(overrides).copied().collect();
    let label = other.source().file.clone();
    let made = [
        make(folder, &config, &recorded, (recorded.script().clone(), &own), "recorded")?,
        make(folder, &config, &recorded, (other, &merged), &label)?,
    ];
    let (name, n) = (&state.strategies[recorded.strategy().index()].name, state.strategies.len());
    if json {
        print_json(&json!({
            "strategy": name,
            "strategies": n,
            "versions": made.iter().map(to_json).collect::<Vec<_>>(),
        }))?;
    } else {
        let mut text = to_text(&made);
        if n > 1 {
            let n_others = n - 1;
            text +=
                &format!("of the run's strategies only {name} trades here, {n_others} do not\n");
        }
        print(&text)?;
    }
    Ok(if made.iter().any(|one| one.faults > 0) { Answer::Negative } else { Answer::Good })
}

/// Returns the configuration of a backtest of one strategy as the server's says it.
fn config_of(file: &ServerFile, state: &State, recorded: &Version) -> Outcome<Config> {
    let strategy = &state.strategies[recorded.strategy().index()];
    let name = &state.accounts[strategy.account.index()].name;
    let account = file.config.all_accounts().into_iter().find(|item| item.name == *name);
    let account =
        account.ok_or_else(|| input(format!("the run's configuration has no account {name}")))?;
    // By name: one of several engines has some of the configuration's strategies.
    let is_named = |own: &&StrategySection| own.name.as_ref() == Some(&strategy.name);
    let file_name = OsStr::new(&recorded.script().source().file);
    let is_its =
        |own: &&StrategySection| own.name.is_none() && own.script.file_name() == Some(file_name);
    let sections = || file.config.strategies.iter();
    let mut limits =
        LimitsSection { account: account.limits.clone(), ..file.config.limits.clone() };
    if let Some(section) = sections().find(is_named).or_else(|| sections().find(is_its)) {
        limits.strategy = section.limits.or(&limits.strategy);
    }
    Ok(Config {
        account: account.section(),
        limits,
        venue: file.config.venue.clone(),
        script: file.config.script.clone(),
        ..Config::default()
    })
}

/// Returns the parameters that are not what the script says itself.
fn changed_params(version: &Version) -> Vec<(String, String)> {
    let defaults = ParamValues::defaults(&version.script().manifest().params);
    let is_changed = |(name, value): &(&str, &ParamValue)| defaults.get(name) != Some(value);
    let changed = version.params().iter().filter(is_changed);
    changed.map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

/// Returns the first version of the run's first strategy.
fn recorded(folder: &RunFolder, journal: &JournalReader, file: &ServerFile) -> Outcome<Version> {
    let mut loaded = None;
    for record in journal.records().map_err(blame_run(folder))? {
        let (_, record) = record.map_err(blame_run(folder))?;
        if let Some(found) = Loaded::of(&record) {
            loaded = Some(found);
        } else if let (Record::Params { values, .. }, Some(loaded)) = (&record, &loaded) {
            let limits = |language| file.config.script.limits(language);
            return Version::recorded(loaded, values, limits).or_input();
        }
    }
    Err(input("the run has loaded no script"))
}

/// Returns the state that the run began with.
fn first_state(folder: &RunFolder, journal: &JournalReader) -> Outcome<State> {
    let mut records = journal.records().map_err(blame_run(folder))?;
    let state = records.find_map(|record| match record {
        Ok((_, Record::Snapshot { bytes, .. })) => Some(state::decode(&bytes)),
        _ => None,
    });
    state.ok_or_else(|| input("the run has no snapshot"))?.or_input()
}

fn make(
    folder: &RunFolder,
    config: &Config,
    recorded: &Version,
    (script, overrides): (Script, &[(&str, &str)]),
    label: &str,
) -> Outcome<Made> {
    let mut tape = MarketTapeReader::open(&folder.tape()).map_err(blame)?;
    let instruments = tape.metadata().instruments().map_err(blame)?;
    let assets = tape.metadata().assets.clone();
    let plan = Plan::over(script, overrides, instruments, assets, config, recorded.seed())?
        .trading(recorded.instruments());
    let engine = plan.engine(config, |strategy| strategy)?;
    let venue = SimVenue::new(&plan.instruments, venue_options(&config.venue)?).or_input()?;
    let mut recorder = Recorder::new(RecorderLimits::default(), &engine);
    let mut test = Backtest::new(engine, venue, BacktestOptions::default());
    let summary = test.run(|events| read(&mut tape, events), &mut recorder).map_err(blame)?;
    let recording = recorder.finish(test.engine());
    let metrics = &recording.metrics;
    Ok(Made {
        label: label.to_owned(),
        summary,
        orders: metrics.orders.sent,
        fills: metrics.n_fills,
        profit: metrics.profit().to_string(),
        fees: metrics.fees.to_string(),
        faults: recording.faults.len(),
    })
}

/// Events that are read at once.
const BLOCK: usize = 4_096;

/// Reads on, over what is missing: both versions see the same.
fn read(tape: &mut MarketTapeReader, out: &mut Vec<Event>) -> Result<usize, StoreError> {
    let before = out.len();
    while out.len() - before < BLOCK {
        match tape.next_item()? {
            Some(Taped::Event { event, .. }) => out.push(Event::Market(event)),
            Some(Taped::Gap { .. }) => {}
            None => break,
        }
    }
    Ok(out.len() - before)
}

fn to_json(made: &Made) -> Value {
    json!({
        "script": made.label,
        "events": made.summary.n_events,
        "orders": made.orders,
        "fills": made.fills,
        "net_profit": made.profit,
        "fees": made.fees,
        "faults": made.faults,
    })
}

fn to_text(made: &[Made; 2]) -> String {
    let [a, b] = made;
    let row = |name: &str, a: &str, b: &str| format!("{name:12} {a:>24} {b:>24}\n");
    [
        row("", &a.label, &b.label),
        row("events", &a.summary.n_events.to_string(), &b.summary.n_events.to_string()),
        row("orders", &a.orders.to_string(), &b.orders.to_string()),
        row("fills", &a.fills.to_string(), &b.fills.to_string()),
        row("net profit", &a.profit, &b.profit),
        row("fees", &a.fees, &b.fees),
        row("faults", &a.faults.to_string(), &b.faults.to_string()),
    ]
    .concat()
}
