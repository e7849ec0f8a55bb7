//! `tercel config`: the configuration of a server, written and checked.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use tercel_script::ParamValue;

use crate::commands::backtest::venue_options;
use crate::commands::{print, print_json};
use crate::exit::{Answer, Blame, Failure, Outcome, input};
use crate::server_config::{BoundStrategy, ServerFile};
use crate::toml_file::TomlFile;

/// Write or check the configuration of a server.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel config init
  tercel config check tercel.toml")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Init(InitArgs),
    Check(CheckArgs),
}

/// Write a configuration with every key, its default and what it means.
#[derive(Debug, ClapArgs)]
struct InitArgs {
    /// The file to write.
    #[arg(long, default_value = "tercel.toml")]
    out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

/// Check a configuration: its keys, and whether its scripts, parameters, symbols and data fit.
///
/// Exit code 1 if something does not. Opens the data of the feed, but starts nothing.
#[derive(Debug, ClapArgs)]
struct CheckArgs {
    /// The configuration.
    file: PathBuf,
    /// Print one JSON object instead of text: what is configured, defaults included.
    #[arg(long)]
    json: bool,
}

/// What `init` writes.
pub(crate) const TEMPLATE: &str = include_str!("../templates/tercel.toml");

pub(crate) fn run(args: &Args) -> Outcome {
    match &args.what {
        What::Init(args) => init(args),
        What::Check(args) => check(args),
    }
}

fn init(args: &InitArgs) -> Outcome {
    let shown = args.out.display();
    if args.out.exists() && !args.force {
        return Err(input(format!("{shown} exists; choose another --out, or replace it: --force")));
    }
    std::fs::write(&args.out, TEMPLATE).with_context(|| format!("write {shown}")).or_machine()?;
    print(&format!("wrote {shown}\nnext: tercel new my_strategy; tercel config check {shown}\n"))?;
    Ok(Answer::Good)
}

fn check(args: &CheckArgs) -> Outcome {
    let source = TomlFile::read(&args.file)?;
    let checked = ServerFile::of(source).and_then(|file| {
        venue_options(&file.config.venue)?;
        let instruments = file.open_feed()?.instruments;
        for (scope, limits) in
            [("account", &file.config.limits.account), ("engine", &file.config.limits.engine)]
        {
            limits.to_risk(scope, &instruments)?;
        }
        let strategies = file.bind(&instruments)?;
        Ok((file, strategies))
    });
    match checked {
        Ok((file, strategies)) => {
            if args.json {
                let config = serde_json::to_value(&file.config).or_machine()?;
                let strategies: Vec<_> = strategies.iter().map(to_json).collect();
                print_json(&json!({ "ok": true, "strategies": strategies, "config": config }))?;
            } else {
                print(&text(args, &file, &strategies))?;
            }
            Ok(Answer::Good)
        }
        Err(Failure::Input(error)) => {
            if args.json {
                print_json(&json!({ "ok": false, "error": format!("{error:#}") }))?;
            } else {
                eprintln!("error: {error:#}");
            }
            Ok(Answer::Negative)
        }
        Err(machine) => Err(machine),
    }
}

fn text(args: &CheckArgs, file: &ServerFile, strategies: &[BoundStrategy]) -> String {
    let mut text = format!("{}: sound\n", args.file.display());
    text += &format!("data       {}\n", file.config.run.data.display());
    for strategy in strategies {
        let params: Vec<_> = strategy
            .params
            .iter()
            .map(|(name, value)| format!("{name} = {}", param(value)))
            .collect();
        text += &format!(
            "strategy   {} ({}) on {}{}{}\n",
            strategy.name,
            strategy.script.manifest().file,
            symbols(strategy).join(", "),
            if params.is_empty() { "" } else { " with " },
            params.join(", ")
        );
    }
    text
}

fn symbols(strategy: &BoundStrategy) -> Vec<&str> {
    strategy.instruments.iter().map(|instrument| instrument.spec.symbol.as_str()).collect()
}

fn to_json(strategy: &BoundStrategy) -> Value {
    let params: serde_json::Map<_, _> =
        strategy.params.iter().map(|(name, value)| (name.to_owned(), param(value))).collect();
    json!({
        "name": strategy.name,
        "script": strategy.script.source().path,
        "symbols": symbols(strategy),
        "params": params,
        "seed": strategy.seed,
    })
}

fn param(value: &ParamValue) -> Value {
    match value {
        ParamValue::Integer(value) => json!(value),
        ParamValue::Number(value) => json!(value),
        ParamValue::Boolean(value) => json!(value),
        ParamValue::Text(value) => json!(value),
    }
}
