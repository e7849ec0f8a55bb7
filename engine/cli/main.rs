//! The `tercel` command.

mod amounts;
mod commands;
mod config;
mod control_api;
mod control_client;
mod data;
mod data_folder;
mod doctor;
mod exit;
mod logging;
mod metrics;
mod paper_venue;
mod plan;
mod progress;
mod report;
mod script_file;
mod script_log;
mod server;
mod server_config;
mod signals;
mod supervisor;
mod timing;
mod toml_file;
mod top;
mod venue;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    backtest, bench, check, config as config_command, ctl, demo, diverge, doctor as doctor_command,
    download, exchange, export, import, indicators, inspect, new, prune, record, recover, replay,
    run, runs, simulate, sync, top as top_command, trace, venues, verify,
};

/// A low-latency trading engine whose strategies are scripts.
///
/// Exit codes: 0 good, 1 a negative answer, 2 wrong input or usage, 3 failure of the machine, 130 a second
/// interrupt, which ends a command at once.
#[derive(Debug, Parser)]
#[command(name = "tercel", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backtest(Box<backtest::Args>),
    Import(import::Args),
    Inspect(inspect::Args),
    Check(check::Args),
    New(new::Args),
    Indicators(indicators::Args),
    Venues(venues::Args),
    Runs(runs::Args),
    Verify(verify::Args),
    Export(export::Args),
    Prune(prune::Args),
    Bench(bench::Args),
    Config(config_command::Args),
    Run(run::Args),
    Ctl(ctl::Args),
    Demo(demo::Args),
    Record(record::Args),
    Download(download::Args),
    Recover(recover::Args),
    Replay(replay::Args),
    Simulate(simulate::Args),
    Sync(sync::Args),
    Trace(trace::Args),
    Diverge(diverge::Args),
    Doctor(doctor_command::Args),
    Top(top_command::Args),
    Exchange(exchange::Args),
}

fn main() -> ExitCode {
    abort_on_panic();
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Backtest(args) => backtest::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Check(args) => check::run(&args),
        Command::New(args) => new::run(&args),
        Command::Indicators(args) => indicators::run(&args),
        Command::Venues(args) => venues::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Prune(args) => prune::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Config(args) => config_command::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Download(args) => download::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Sync(args) => sync::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Diverge(args) => diverge::run(&args),
        Command::Doctor(args) => doctor_command::run(&args),
        Command::Top(args) => top_command::run(&args),
        Command::Exchange(args) => exchange::run(&args),
    };
    match outcome {
        Ok(answer) => answer.into(),
        Err(failure) => failure.report(),
    }
}

/// A broken invariant ends the process at once. Unwinding stays compiled in, because Luau raises
/// its errors by unwinding through the functions that it calls, and because a damaged journal shows
/// by a panic of the database under it.
fn abort_on_panic() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if tercel_store::journal::panic_is_expected() {
            return;
        }
        show(info);
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_help_of_every_command_has_an_example() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            let (_, example) = help.split_once("Example").unwrap_or_default();
            assert!(example.contains(&format!("tercel {name}")), "{name}: {help}");
        }
    }
}
