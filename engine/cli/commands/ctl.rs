//! `tercel ctl`: talks to a running server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::{print, print_json};
use crate::control_api::{EngineStatus, NoticeStatus, Request, ScopeName, Status};
use crate::control_client::{CallError, Client, PATIENCE};
use crate::data_folder::DataFolder;
use crate::exit::{Answer, Blame, Failure, Outcome, input};

/// Ask a running server how it stands, or tell it what to do.
///
/// A scope is `engine`, `account:NAME` or `strategy:NAME`. Exit codes: 0 done, 1 the server refused,
/// 2 no server is there, 3 it does not answer: what was asked may be done or not.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel ctl status
  tercel ctl pause strategy:maker
  tercel ctl set fast=8 slow=21
  tercel ctl tail --json

With --json, `status` prints the status, `positions` and `orders` one list of it under that name, the
other commands what was done as `done`, or null; `tail` prints an object a line.")]
pub(crate) struct Args {
    #[command(flatten)]
    folder: DataFolder,
    /// Its control socket, if that is elsewhere.
    #[arg(long, global = true)]
    socket: Option<PathBuf>,
    /// Print one JSON object instead of text; of `tail`, one a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How everything stands.
    Status,
    /// Let a scope only shrink its positions.
    Pause(OfScope),
    /// Let a scope trade again.
    Resume(OfScope),
    /// Cancel a scope's orders and refuse new ones.
    Kill(OfScope),
    /// Cancel a scope's orders and close its positions.
    Flatten(OfScope),
    /// Change parameters of a strategy, without loading it again.
    Set {
        /// The strategy; not needed if there is one only.
        #[arg(long, default_value = "")]
        strategy: String,
        /// NAME=VALUE
        #[arg(required = true)]
        values: Vec<String>,
    },
    /// Load a strategy's script again from its file.
    Reload {
        /// The strategy; not needed if there is one only.
        #[arg(default_value = "")]
        strategy: String,
        /// Events that the new version first sees in the shadow of the old one.
        #[arg(long, default_value_t = 0)]
        shadow: u64,
    },
    /// Go back to a version of a script that was loaded before.
    Rollback {
        /// The beginning of its hash.
        hash: String,
        /// The strategy; not needed if there is one only.
        #[arg(long, default_value = "")]
        strategy: String,
    },
    /// Positions.
    Positions,
    /// Open orders.
    Orders,
    /// Notices as they come, until interrupted.
    Tail,
    /// Stop the strategies and end the server.
    Stop,
}

#[derive(Debug, ClapArgs)]
struct OfScope {
    /// engine, account:NAME or strategy:NAME
    #[arg(default_value = "engine")]
    scope: String,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let scope = |of: &OfScope| ScopeName { scope: of.scope.clone() };
    let request = match &args.what {
        What::Status | What::Positions | What::Orders => Request::Status,
        What::Pause(of) => Request::Pause(scope(of)),
        What::Resume(of) => Request::Resume(scope(of)),
        What::Kill(of) => Request::Kill(scope(of)),
        What::Flatten(of) => Request::Flatten(scope(of)),
        What::Set { strategy, values } => {
            Request::Set { strategy: strategy.clone(), values: assignments(values)? }
        }
        What::Reload { strategy, shadow } => {
            Request::Reload { strategy: strategy.clone(), shadow: *shadow }
        }
        What::Rollback { strategy, hash } => {
            Request::Rollback { strategy: strategy.clone(), hash: hash.clone() }
        }
        What::Tail => Request::Tail,
        What::Stop => Request::Stop,
    };
    let path = args.folder.control_socket(args.socket.as_deref());
    let mut client = Client::new(&path).patient(args.what.patience());
    match ask(args, &mut client, &request) {
        Ok(()) => Ok(Answer::Good),
        Err(Trouble::Call(CallError::Refused(why))) => {
            eprintln!("refused: {why}");
            Ok(Answer::Negative)
        }
        Err(Trouble::Call(error)) => Err(args.blame(error)),
        Err(Trouble::Own(failure)) => Err(failure),
    }
}

/// Why a request was not asked, answered and shown.
enum Trouble {
    Call(CallError),
    Own(Failure),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

fn ask(args: &Args, client: &mut Client, request: &Request) -> Result<(), Trouble> {
    if matches!(args.what, What::Tail) {
        return client.follow(request, |notice| show(args, notice).map_err(Trouble::Own));
    }
    let result = client.call(request)?;
    if matches!(args.what, What::Stop) {
        // Its last connections go with the process, after everything that it locks.
        client.wait_for_end(END_WAIT)?;
    }
    show(args, result).map_err(Trouble::Own)
}

/// How long a server may take to end.
const END_WAIT: Duration = Duration::from_secs(60);

/// How long the engine may take to let a version take over.
const LOAD_WAIT: Duration = Duration::from_secs(200);

/// How long a version may run in the shadow of another.
const SHADOW_WAIT: Duration = Duration::from_secs(25 * 3_600);

impl What {
    /// Returns how long the server may take for its answer.
    const fn patience(&self) -> Duration {
        match self {
            Self::Reload { shadow: 1.., .. } => SHADOW_WAIT,
            Self::Reload { .. } | Self::Rollback { .. } => LOAD_WAIT,
            _ => PATIENCE,
        }
    }

    /// Whether it changes nothing.
    const fn only_asks(&self) -> bool {
        matches!(self, Self::Status | Self::Positions | Self::Orders | Self::Tail)
    }
}

impl Args {
    /// Says whose fault it is that there is no answer.
    fn blame(&self, error: CallError) -> Failure {
        match &error {
            CallError::NoServer { path, cause } => input(format!(
                "{}: {cause}; is a server running there? (--data names its folder)",
                path.display()
            )),
            CallError::Unanswered { .. } if self.what.only_asks() => Failure::Machine(error.into()),
            CallError::Unanswered { .. } | CallError::Unconfirmed(_) | CallError::Refused(_) => {
                Failure::Machine(anyhow::anyhow!("asked, but not confirmed: {error}"))
            }
        }
    }
}

fn assignments(texts: &[String]) -> Outcome<BTreeMap<String, String>> {
    texts
        .iter()
        .map(|text| {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| input(format!("{text}: expected NAME=VALUE, such as fast=8")))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn show(args: &Args, result: Value) -> Outcome<()> {
    match &args.what {
        What::Status | What::Positions | What::Orders if !args.json => {
            let status: Status = serde_json::from_value(result).or_machine()?;
            print(&match args.what {
                What::Positions => positions(&status),
                What::Orders => orders(&status),
                _ => overview(&status),
            })
        }
        What::Status => print_json(&result),
        What::Positions => print_json(&json!({ "positions": result["positions"] })),
        What::Orders => print_json(&json!({ "orders": result["orders"] })),
        What::Tail if !args.json => {
            let notice: NoticeStatus = serde_json::from_value(result).or_machine()?;
            let at = crate::report::exact_moment(tercel_core::Nanos(notice.at_ns));
            print(&format!("{at} {:5} {}\n", notice.level, notice.text))
        }
        // One line each, so that a reader can follow.
        What::Tail => print(&format!("{result}\n")),
        _ if args.json => print_json(&json!({ "done": result })),
        _ => match result.as_str() {
            Some(text) => print(&format!("{text}\n")),
            None => print("done\n"),
        },
    }
}

fn overview(status: &Status) -> String {
    let mut text = format!(
        "run {} ({}), event {}, up {} s, engine {:?}\n",
        status.run, status.mode, status.seq, status.uptime_s, status.state
    );
    text.push_str(&troubles(status));
    for (engine, number) in several_engines(status).zip(1..) {
        text.push_str(&format!(
            "engine {number} (run {}): {:?}, event {}, {} open orders, {}\n",
            engine.run,
            engine.state,
            engine.seq,
            engine.n_open_orders,
            engine.strategies.join(", ")
        ));
    }
    for account in &status.accounts {
        text.push_str(&format!(
            "account {}: equity {}, profit {}\n",
            account.name, account.equity, account.pnl
        ));
    }
    for own in &status.strategies {
        let hash = own.hash.get(..12).unwrap_or(&own.hash);
        let running = if own.is_running { "runs" } else { "stands still" };
        text.push_str(&format!(
            "strategy {}{}: {running}, {:?}, {} version {} ({hash}), profit {}, {} orders and {} \
             fills today\n",
            own.name,
            on_account(status, &own.account),
            own.state,
            own.script,
            own.generation,
            own.pnl,
            own.orders_today,
            own.fills_today
        ));
        if let Some(fault) = &own.fault {
            text.push_str(&format!("  stopped by a fault: {fault}\n"));
        }
    }
    text.push_str(&positions(status));
    text.push_str(&format!("{} open orders\n", status.n_open_orders));
    let journal = &status.journal;
    match &journal.failure {
        Some(why) => text.push_str(&format!("journal: {why}\n")),
        None => text.push_str(&format!(
            "journal: {} records, {} of them on the disk\n",
            journal.n_records, journal.n_durable
        )),
    }
    text
}

/// Says what is not as it should be: connections, books, and what somebody has to act on.
fn troubles(status: &Status) -> String {
    let mut text = String::new();
    for link in status.links.iter().filter(|link| !link.is_up) {
        let engine = link.engine.map_or_else(String::new, |number| format!(" of engine {number}"));
        let why = link.failure.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        text.push_str(&format!("DOWN: {}{engine}{why}\n", link.name));
    }
    for instrument in status.instruments.iter().filter(|own| !own.is_live) {
        text.push_str(&format!(
            "STALE: the book of {}; strategies are not called for it\n",
            instrument.symbol
        ));
    }
    let alarm = status.notices.iter().rev().find(|notice| notice.level == "error");
    if let Some(alarm) = alarm {
        let at = crate::report::exact_moment(tercel_core::Nanos(alarm.at_ns));
        text.push_str(&format!("last alarm, {at}: {}\n", alarm.text));
    }
    text
}

/// Returns the engines where there is more than one.
fn several_engines(status: &Status) -> impl Iterator<Item = &EngineStatus> {
    status.engines.iter().filter(|_| status.engines.len() > 1)
}

/// Names an account where there is more than one.
fn on_account(status: &Status, name: &str) -> String {
    if status.accounts.len() > 1 { format!(" on {name}") } else { String::new() }
}

fn positions(status: &Status) -> String {
    let row = |own: &crate::control_api::PositionStatus| {
        format!(
            "position {}{} {}: {} at {}, open {}, realised {}, {} fills\n",
            own.strategy,
            on_account(status, &own.account),
            own.symbol,
            own.quantity,
            own.average_price.as_deref().unwrap_or("-"),
            own.unrealised,
            own.realised,
            own.n_fills
        )
    };
    status.positions.iter().map(row).collect()
}

fn orders(status: &Status) -> String {
    let row = |own: &crate::control_api::OrderStatus| {
        format!(
            "{} {}{} {} {} {} at {}: {} filled, {}, {} ms old\n",
            own.id,
            own.strategy,
            on_account(status, &own.account),
            own.side,
            own.quantity,
            own.symbol,
            own.price.as_deref().unwrap_or(&own.kind),
            own.filled,
            own.status,
            own.age_ms
        )
    };
    let all: String = status.orders.iter().map(row).collect();
    if all.is_empty() { "no open orders\n".to_owned() } else { all }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::control_api::sample;

    /// A server whose account could not be reached, whose books were stale and whose strategy had failed
    /// looked like one that was well.
    #[test]
    fn an_overview_says_what_is_wrong() {
        let mut status = sample::busy();
        assert!(!overview(&status).contains("DOWN") && !overview(&status).contains("STALE"));
        status.links.push(sample::account_link());
        status.instruments[0].is_live = false;
        expect![[r#"
            run 7 (paper), event 1204417, up 93784 s, engine Reducing
            DOWN: account main: connection failed: connection refused
            STALE: the book of BTCUSDT; strategies are not called for it
            last alarm, 2025-01-06T08:00:01.5Z: cross failed: ema_cross.rhai:31: on_bar: division by zero
            account main: equity 100231.48, profit 231.48
            strategy maker: runs, Active, imbalance_maker.luau version 3 (9f2c61d04be7), profit 231.48, 4418 orders and 418 fills today
            strategy cross: stands still, Halted, ema_cross.rhai version 1 (07aa5be3c921), profit 0.00, 0 orders and 0 fills today
              stopped by a fault: ema_cross.rhai:31: on_bar: division by zero
            position maker BTCUSDT: -0.120 at 60110.25, open -1.61, realised 233.09, 418 fills
            2 open orders
            journal: 5216 records, 5209 of them on the disk
        "#]].assert_eq(&overview(&status));
        status.links[1].engine = Some(2);
        assert!(overview(&status).contains("DOWN: account main of engine 2: connection failed"));
    }
}
