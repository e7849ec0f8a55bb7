//! `tercel run`: the headless server.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::exit::Outcome;
use crate::server;
use crate::server_config::ServerFile;

/// Run strategies on paper, as a server, until stopped.
///
/// Every start goes on from what the run before it left, however that ended: positions, money, what
/// scripts remember, timers. Control it with `tercel ctl`, watch it with `tercel top`. Exit codes: 0
/// stopped or out of data, 2 wrong configuration, 3 the machine failed, 130 a second signal.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Configuration; `tercel config init` writes one.
    #[arg(long, value_name = "TOML", default_value = "tercel.toml")]
    config: PathBuf,
    /// Forget what earlier runs left: begin with the account as configured.
    #[arg(long)]
    fresh: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    server::run(&ServerFile::read(&args.config)?, args.fresh)
}
