//! `tercel sync`: a venue's books against ours, by hand.

mod compare;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_adapters::Listing;
use tercel_core::{Nanos, VenueId};
use tercel_store::runs::RunCatalog;

use self::compare::{Difference, compare};
use crate::commands::{print, print_json};
use crate::control_api::{Comparison, Request};
use crate::control_client::Client;
use crate::exit::{Answer, Blame, Outcome, input};
use crate::server::predecessors::{check_instruments, predecessors};
use crate::server_config::ServerFile;
use crate::server_config::feed::FeedKind;
use crate::server_config::sections::Mode;
use crate::venue::{Asker, VenueAccess, account_setup, credentials};

/// Compare a venue's books with ours: open orders, executions, balances, positions.
///
/// Without a running server, the venue is asked (by REST, nothing else) and compared with what the last
/// run's journal says. Nothing is changed, here or there: the next `tercel run` settles what differs by
/// itself, as `on_difference` and `on_orphan` say. With a server running on the data folder, that is
/// asked to compare now, as it does after each connect, and what it found is shown.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  tercel sync\n  tercel sync --config live.toml --json\n\n\
    Exit codes: 0 equal, 1 something differs, 2 wrong input or a refused key, 3 the machine or the venue \
    failed.")]
pub(crate) struct Args {
    /// Configuration of the server whose account it is.
    #[arg(long, value_name = "TOML", default_value = "tercel.toml")]
    config: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let file = ServerFile::read(&args.config)?;
    let config = &file.config;
    if config.feed.kind != FeedKind::Exchange || config.run.mode == Mode::Paper {
        return Err(input(format!(
            "{} trades on paper: there is no account at a venue to compare with",
            args.config.display()
        )));
    }
    let socket = config.control_socket();
    if UnixStream::connect(&socket).is_ok() {
        return by_server(args, &socket);
    }
    by_hand(args, &file)
}

/// Asks the running server.
fn by_server(args: &Args, socket: &Path) -> Outcome {
    let value = Client::new(socket).call_slowly(&Request::Reconcile).or_machine()?;
    let found: Comparison = serde_json::from_value(value).or_machine()?;
    if args.json {
        print_json(&json!({
            "by": "server",
            "equal": found.is_equal,
            "open_orders": found.n_orders,
            "lines": found.lines,
        }))?;
    } else {
        let mut text: String = found.lines.iter().map(|line| format!("{line}\n")).collect();
        if found.is_equal {
            text += "equal\n";
        }
        print(&text)?;
    }
    Ok(if found.is_equal { Answer::Good } else { Answer::Negative })
}

/// Asks the venue and reads the journal.
fn by_hand(args: &Args, file: &ServerFile) -> Outcome {
    let config = &file.config;
    let catalog = RunCatalog::open(&config.run.data);
    // Held so that no server begins meanwhile.
    let _lock = if config.run.data.is_dir() { Some(catalog.lock().or_input()?) } else { None };
    let Some(before) = predecessors(&catalog, false)? else {
        return Err(input(format!(
            "{}: no run has begun there: nothing to compare with",
            config.run.data.display()
        )));
    };
    let recovered = before.only("there is no account at a venue to compare with")?;
    let key = credentials(&config.exchange)?;
    let access = Arc::new(VenueAccess::open(&config.exchange)?);
    access.measure_clock()?;
    let (instruments, assets) = access.listing(&config.exchange.symbols)?;
    check_instruments(&recovered, &instruments)?;
    let (run, ended_at) = (recovered.run, recovered.last_now);
    let state = recovered.recovery.finish(ended_at.max(Nanos(0)));
    let listing = Listing::new(VenueId(0), &instruments, &assets);
    let setup = account_setup(&config.exchange, key, &access)?;
    let mut asker = Asker::new(access, &listing, &setup)?;
    let differences = compare(&mut asker, &state, &instruments, &assets, ended_at)?;
    let is_equal = differences.is_empty();
    if args.json {
        let list: Vec<Value> = differences.iter().map(Difference::to_json).collect();
        print_json(&json!({
            "by": "journal",
            "run": run,
            "as_of_ns": ended_at.0,
            "equal": is_equal,
            "differences": list,
        }))?;
    } else {
        let at = crate::report::exact_moment(ended_at);
        let mut text = format!("run {run} as of {at} against the venue:\n");
        text.extend(differences.iter().map(Difference::to_text));
        if is_equal {
            text += "equal\n";
        }
        print(&text)?;
    }
    Ok(if is_equal { Answer::Good } else { Answer::Negative })
}
