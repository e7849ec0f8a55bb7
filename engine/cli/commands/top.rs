//! `tercel top`: a running server on a screen.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::exit::{Outcome, input};
use crate::server_config::control_socket_in;
use crate::top;

/// Show a running server: book, positions, orders, strategies, latency, notices; with its switches.
///
/// Keys: p pause, r resume, f flatten, k kill, tab next book, q quit. Flatten and kill ask first.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  tercel top --data /var/lib/tercel")]
pub(crate) struct Args {
    /// The server's data folder, with its control socket in it.
    #[arg(long, env = "TERCEL_DATA", default_value = "tercel-data")]
    data: PathBuf,
    /// The control socket, if it is elsewhere.
    #[arg(long)]
    socket: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(input("`tercel top` needs a terminal for its keys and its screen"));
    }
    let socket = args.socket.clone().unwrap_or_else(|| control_socket_in(&args.data));
    top::run(&socket)
}
