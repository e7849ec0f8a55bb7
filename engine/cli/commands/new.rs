//! `tercel new`: a script to begin with.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};

use crate::commands::print;
use crate::exit::{Answer, Blame, Outcome, input};

/// Write a small strategy to begin with.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  tercel new my_strategy --lang lua\n  tercel backtest --script my_strategy.luau"
)]
pub(crate) struct Args {
    /// What it is called: lower-case letters, digits and underscores.
    name: String,
    /// Its language.
    #[arg(long, value_enum, default_value = "lua")]
    lang: Lang,
    /// The folder to write it into.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Lang {
    Lua,
    Rhai,
}

/// What a new script in Lua is.
pub(crate) const LUA: &str = include_str!("../templates/new.luau");
const RHAI: &str = include_str!("../templates/new.rhai");

pub(crate) fn run(args: &Args) -> Outcome {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if args.name.is_empty() || !args.name.chars().all(is_name) {
        let name = &args.name;
        return Err(input(format!(
            "`{name}` is no name for a strategy: use lower-case letters, digits and underscores"
        )));
    }
    let (template, ending) = match args.lang {
        Lang::Lua => (LUA, "luau"),
        Lang::Rhai => (RHAI, "rhai"),
    };
    let path = args.folder.join(format!("{}.{ending}", args.name));
    let shown = path.display();
    if path.exists() {
        return Err(input(format!("{shown} exists; choose another name or remove it")));
    }
    let text = template.replace("my_strategy", &args.name);
    std::fs::write(&path, text).with_context(|| format!("write {shown}")).or_machine()?;
    print(&format!("wrote {shown}\nnext: tercel backtest --script {shown}\n"))?;
    Ok(Answer::Good)
}
