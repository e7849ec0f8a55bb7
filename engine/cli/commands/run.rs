//! `tercel run`: the headless server.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::exit::{Outcome, input};
use crate::server::{self, Before};
use crate::server_config::ServerFile;
use crate::server_config::sections::Mode;

/// Run strategies as a server, on paper or at a venue, until stopped.
///
/// What is traded where is in the configuration. With mode = "live" the orders are for real money:
/// then --live has to be given as well, and the limits are shown first.
///
/// Every start goes on from what the run before it left, however that ended: positions, money, what
/// scripts remember, timers. Control it with `tercel ctl`, watch it with `tercel top`.
///
/// Orders that are open at a venue stay there when it is stopped, by an interrupt, a termination or
/// `tercel ctl stop`: the last line names them, and the next start goes on with them. A script that does
/// not want that withdraws its own: `function on_stop() cancel_all() end`. Exit codes: 0 stopped or out
/// of data, 2 wrong configuration, 3 the machine failed, 130 a second signal.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  tercel run\n  tercel run --config live.toml --live")]
pub(crate) struct Args {
    /// Configuration; `tercel config init` writes one.
    #[arg(long, value_name = "TOML", default_value = "tercel.toml")]
    config: PathBuf,
    /// Forget what earlier runs left: begin with the account as configured.
    #[arg(long)]
    fresh: bool,
    /// Go on although an account's key is another than the last run's: a new key of the same account.
    #[arg(long, conflicts_with = "fresh")]
    new_key: bool,
    /// Trade for real money: needed with mode = "live", refused with any other.
    #[arg(long)]
    live: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let file = ServerFile::read(&args.config)?;
    let before = match (args.fresh, args.new_key) {
        (true, _) => Before::Forgotten,
        (false, false) => Before::TakenOver,
        (false, true) => Before::TakenOverWithNewKeys,
    };
    match (file.config.run.mode, args.live) {
        (Mode::Live, false) => Err(input(format!(
            "{} trades for real money (run.mode = \"live\"); give --live as well if that is meant",
            args.config.display()
        ))),
        (Mode::Paper | Mode::Testnet, true) => Err(input(format!(
            "--live, but {} does not trade for real money; set run.mode = \"live\", or leave \
             --live out",
            args.config.display()
        ))),
        _ => server::run(&file, before),
    }
}
