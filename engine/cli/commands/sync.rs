//! `tercel sync`: a venue's books against ours, by hand.

mod compare;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_adapters::Listing;
use tercel_core::{AccountId, Nanos, VenueId};
use tercel_runtime::Recovered;
use tercel_store::runs::RunCatalog;

use self::compare::{Difference, Ours, compare};
use crate::commands::{print, print_json};
use crate::control_api::{Comparison, Request};
use crate::control_client::Client;
use crate::data_folder::blame;
use crate::exit::{Answer, Blame, Outcome, input};
use crate::report::exact_moment;
use crate::server::keys;
use crate::server::predecessors::{check_instruments, predecessors};
use crate::server_config::ServerFile;
use crate::server_config::feed::FeedKind;
use crate::server_config::sections::Mode;
use crate::venue::{Asker, VenueAccess, account_setup};

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
    let installation = catalog.installation().map_err(blame)?;
    let keys = keys(file)?;
    let access = Arc::new(VenueAccess::open(&config.exchange)?);
    access.measure_clock()?;
    let (instruments, assets) = access.listing(&config.exchange.symbols)?;
    let listing = Listing::new(VenueId(0), &instruments, &assets);
    let mut compared = Vec::new();
    for recovered in before.runs {
        check_instruments(&recovered, &instruments)?;
        check_accounts(&recovered, file)?;
        let (run, ended_at) = (recovered.run, recovered.last_now);
        let state = recovered.recovery.finish(ended_at.max(Nanos(0)));
        let is_traded = |id: AccountId| state.strategies.iter().any(|own| own.account == id);
        for (account, key) in keys.iter().filter(|(id, _)| is_traded(*id)) {
            let setup = account_setup(&config.exchange, key.clone(), &access, installation)?;
            let mut asker = Asker::new(Arc::clone(&access), &listing, &setup)?;
            let name = state.accounts[account.index()].name.clone();
            let ours = Ours {
                state: &state,
                account: *account,
                instruments: &instruments,
                assets: &assets,
                ended_at,
            };
            let differences = compare(&mut asker, &ours)?;
            compared.push(Compared { run, name, ended_at, differences });
        }
    }
    show(args, &compared)?;
    let is_equal = compared.iter().all(|own| own.differences.is_empty());
    Ok(if is_equal { Answer::Good } else { Answer::Negative })
}

/// What came of one account.
struct Compared {
    run: u32,
    name: String,
    /// The time up to which the run's journal goes.
    ended_at: Nanos,
    differences: Vec<Difference>,
}

fn show(args: &Args, compared: &[Compared]) -> Outcome<()> {
    if args.json {
        let accounts = compared.iter().map(|own| {
            let list: Vec<Value> = own.differences.iter().map(Difference::to_json).collect();
            json!({
                "account": own.name,
                "run": own.run,
                "as_of_ns": own.ended_at.0,
                "equal": own.differences.is_empty(),
                "differences": list,
            })
        });
        return print_json(&json!({
            "by": "journal",
            "equal": compared.iter().all(|own| own.differences.is_empty()),
            "accounts": accounts.collect::<Vec<_>>(),
        }));
    }
    let mut text = String::new();
    for own in compared {
        let at = exact_moment(own.ended_at);
        text += &match compared.len() {
            1 => format!("run {} as of {at} against the venue:\n", own.run),
            _ => format!("run {}, account {}, as of {at} against the venue:\n", own.run, own.name),
        };
        text.extend(own.differences.iter().map(Difference::to_text));
        if own.differences.is_empty() {
            text += "equal\n";
        }
    }
    print(&text)
}

/// Refuses a state of other accounts, whose books are not those of these keys.
fn check_accounts(recovered: &Recovered, file: &ServerFile) -> Outcome<()> {
    let then: Vec<_> =
        recovered.recovery.state().accounts.iter().map(|own| own.name.clone()).collect();
    let now: Vec<_> = file.config.all_accounts().into_iter().map(|own| own.name).collect();
    if then == now {
        return Ok(());
    }
    Err(input(format!(
        "run {} had the accounts {}, the configuration has {}: give the configuration that it ran with",
        recovered.run,
        then.join(", "),
        now.join(", ")
    )))
}
