//! `tercel config`: the configuration of a server, written and checked.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use tercel_runtime::Shard;
use tercel_script::ParamValue;
use tercel_sim::SimVenue;

use crate::commands::{print, print_json};
use crate::exit::{Answer, Blame, Failure, Outcome, input};
use crate::paper_venue::venue_options;
use crate::server::begin::Setup;
use crate::server_config::exchange::CredentialsFrom;
use crate::server_config::feed::FeedKind;
use crate::server_config::sections::Mode;
use crate::server_config::{BoundStrategy, ServerFile};
use crate::toml_file::TomlFile;
use crate::venue::VenueAccess;

/// Write or check the configuration of a server.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel config init
  tercel config check tercel.toml
  tercel config systemd tercel.toml > tercel.service")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Init(InitArgs),
    Check(CheckArgs),
    Systemd(SystemdArgs),
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

/// Print a unit for systemd that runs a server with this configuration, hardened and watched.
#[derive(Debug, ClapArgs)]
struct SystemdArgs {
    /// The configuration.
    file: PathBuf,
    /// The user that the server runs as.
    #[arg(long, default_value = "tercel")]
    user: String,
}

/// What `init` writes.
pub(crate) const TEMPLATE: &str = include_str!("../templates/tercel.toml");

pub(crate) fn run(args: &Args) -> Outcome {
    match &args.what {
        What::Init(args) => init(args),
        What::Check(args) => check(args),
        What::Systemd(args) => systemd(args),
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

fn systemd(args: &SystemdArgs) -> Outcome {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if args.user.is_empty() || !args.user.chars().all(is_name) {
        return Err(input(format!("--user {:?} is no name of a user", args.user)));
    }
    let path = std::path::absolute(&args.file).or_machine()?;
    let file = ServerFile::read(&path)?;
    let exe = std::env::current_exe().or_machine()?;
    print(&unit(&file, &path, &exe, &args.user)?)?;
    Ok(Answer::Good)
}

const UNIT: &str = include_str!("../templates/tercel.service");

/// Fills the template in; `path` is where the file is, from the root.
fn unit(file: &ServerFile, path: &Path, exe: &Path, user: &str) -> Outcome<String> {
    let config = &file.config;
    let socket = config.control_socket();
    let mut folders = vec![config.run.data.as_path()];
    folders.extend(
        [config.log.file.as_deref(), Some(&socket)].into_iter().flatten().filter_map(Path::parent),
    );
    let mut distinct: Vec<&Path> = Vec::new();
    for folder in folders {
        if !distinct.iter().any(|known| folder.starts_with(known)) {
            distinct.push(folder);
        }
    }
    let folders = distinct.iter().map(|folder| quoted(folder)).collect::<Outcome<Vec<_>>>()?;
    let in_command = |path: &Path| quoted(path).map(|text| text.replace('$', "$$"));
    let working = path.parent().unwrap_or_else(|| Path::new("/"));
    Ok(UNIT
        .replace("{exe}", &in_command(exe)?)
        .replace("{exec_config}", &in_command(path)?)
        // Who has a unit made of a configuration for real money asks for it.
        .replace("{live}", if config.run.mode == Mode::Live { " --live" } else { "" })
        .replace("{credentials}", &credentials(file, path)?)
        .replace("{config}", &quoted(path)?)
        .replace("{folders}", &folders.join(" "))
        // This setting takes the rest of its line, without quotes.
        .replace("{working}", &working.display().to_string().replace('%', "%%"))
        .replace("{user}", user))
}

/// Returns the lines that hand over the keys that orders need, where systemd has to.
fn credentials(file: &ServerFile, path: &Path) -> Outcome<String> {
    let config = &file.config;
    if config.run.mode == Mode::Paper {
        return Ok(String::new());
    }
    let accounts = config.all_accounts();
    let beside = |ending: &str| quoted(&path.with_extension(ending));
    let (mut variables, mut handed_over) = (Vec::new(), String::new());
    for account in &accounts {
        let place = account.key_place(&config.exchange);
        let name = &place.name;
        match place.from {
            CredentialsFrom::File => {}
            CredentialsFrom::Env => variables.push(format!("{name}_KEY=... and {name}_SECRET=...")),
            CredentialsFrom::Systemd => {
                // The only one has the configuration's name, one of several its own.
                let ending = match accounts.len() {
                    1 => "key".to_owned(),
                    _ => format!("{}.key", account.name),
                };
                handed_over += &format!("LoadCredential={name}:{}\n", beside(&ending)?);
            }
        }
    }
    let mut lines = String::new();
    if !variables.is_empty() {
        lines += &format!(
            "# {}, in a file of mode 0600 that belongs to root.\nEnvironmentFile={}\n",
            variables.join(", "),
            beside("env")?
        );
    }
    if !handed_over.is_empty() {
        lines += "# Lines key = ... and secret = ..., in a file of mode 0600 that belongs to root. Encrypted:\n\
                  # `systemd-creds encrypt`, and LoadCredentialEncrypted= here.\n";
        lines += &handed_over;
    }
    Ok(lines)
}

/// Writes a path as a word of a unit.
fn quoted(path: &Path) -> Outcome<String> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    let text = text.ok_or_else(|| input(format!("{path:?} cannot be written into a unit")))?;
    let text = text.replace('%', "%%");
    if text.chars().any(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ';')) {
        return Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    }
    Ok(text)
}

fn check(args: &CheckArgs) -> Outcome {
    let source = TomlFile::read(&args.file)?;
    let checked = ServerFile::of(source).and_then(|file| {
        let options = venue_options(&file.config.venue)?;
        let (instruments, assets) = match file.config.feed.kind {
            FeedKind::Exchange => {
                let section = &file.config.exchange;
                VenueAccess::open(section)?.listing(&section.symbols)?
            }
            FeedKind::Seeded | FeedKind::Tape => {
                let feed = file.open_feed()?;
                (feed.instruments, feed.assets)
            }
        };
        let setup = Setup::of(&file, instruments, assets, None)?;
        let shards = setup.deal(&file)?;
        // It refuses what only its models can tell, such as latencies out of order.
        SimVenue::new(&setup.instruments, options).or_input()?;
        Ok((file, setup.strategies, shards))
    });
    match checked {
        Ok((file, strategies, shards)) => {
            if args.json {
                let config = serde_json::to_value(&file.config).or_machine()?;
                let strategies: Vec<_> = strategies.iter().map(to_json).collect();
                let engines: Vec<_> =
                    shards.iter().map(|shard| json!({ "strategies": names(shard) })).collect();
                print_json(&json!({
                    "ok": true,
                    "strategies": strategies,
                    "engines": engines,
                    "config": config,
                }))?;
            } else {
                print(&text(args, &file, &strategies, &shards))?;
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

fn text(
    args: &CheckArgs,
    file: &ServerFile,
    strategies: &[BoundStrategy],
    shards: &[Shard],
) -> String {
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
    if shards.len() > 1 {
        for shard in shards {
            text += &format!("engine {}   {}\n", shard.index + 1, names(shard).join(", "));
        }
    }
    text
}

/// Names of the strategies that an engine gets.
fn names(shard: &Shard) -> Vec<&str> {
    shard.config.strategies.iter().map(|own| own.name.as_str()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_absolute_quoted_paths_and_its_own_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a b%c");
        std::fs::create_dir(&root).unwrap();
        let path = root.join("tercel.toml");
        let text = "[[strategy]]\nscript = \"a.luau\"\n[log]\nfile = \"logs/t.log\"\n";
        std::fs::write(&path, text).unwrap();
        let file = ServerFile::read(&path).unwrap();
        let unit = unit(&file, &path, Path::new("/opt/te$t/tercel"), "trader").unwrap();
        let shown = root.display().to_string().replace('%', "%%");
        for line in [
            format!("ExecStart=/opt/te$$t/tercel run --config \"{shown}/tercel.toml\""),
            format!("ReadWritePaths=\"{shown}/tercel-data\" \"{shown}/logs\""),
            format!("WorkingDirectory={shown}"),
            "User=trader".to_owned(),
        ] {
            assert!(unit.lines().any(|have| have == line), "{line}\n{unit}");
        }
        assert!(!unit.contains("--live") && !unit.contains("LoadCredential"), "{unit}");
        let settings = unit.lines().filter(|line| !line.starts_with('#'));
        assert!(settings.clone().all(|line| !line.contains('{')), "{unit}");
        assert!(settings.filter(|line| line.contains('=')).count() > 30);
    }
    /// A unit for a live configuration lacked `--live`, so that the server refused to start, and nothing
    /// handed the key over.
    #[test]
    fn a_unit_of_a_live_server_says_so_and_hands_the_key_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tercel.toml");
        let unit_of = |credentials: &str| {
            let text = format!(
                "[run]\nmode = \"live\"\n[feed]\nkind = \"exchange\"\n[exchange]\nsymbols = [\"BTCUSDT\"]\n\
                 credentials = \"{credentials}\"\n{}[[strategy]]\nscript = \"a.luau\"\n",
                if credentials == "file" { "credentials_file = \"own.key\"\n" } else { "" }
            );
            std::fs::write(&path, text).unwrap();
            let file = ServerFile::read(&path).unwrap();
            unit(&file, &path, Path::new("/opt/tercel"), "trader").unwrap()
        };
        let here = folder.path().display();
        for (credentials, line) in [
            ("env", format!("EnvironmentFile={here}/tercel.env")),
            ("systemd", format!("LoadCredential=TERCEL:{here}/tercel.key")),
            ("file", "User=trader".to_owned()),
        ] {
            let unit = unit_of(credentials);
            let start = format!("ExecStart=/opt/tercel run --config {here}/tercel.toml --live");
            for line in [line, start] {
                assert!(unit.lines().any(|have| have == line), "{line}\n{unit}");
            }
        }
    }
}
