//! `tercel top`: a running server on a screen.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::data_folder::DataFolder;
use crate::exit::{Outcome, input};
use crate::top;

/// Show a running server: book, positions, orders, strategies, latency, notices; with its switches.
///
/// Keys: p pause, r resume, f flatten, k kill, tab next book, q quit. Flatten and kill ask first.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  tercel top --data /var/lib/tercel")]
pub(crate) struct Args {
    #[command(flatten)]
    folder: DataFolder,
    /// The control socket, if it is elsewhere.
    #[arg(long)]
    socket: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(input("`tercel top` needs a terminal for its keys and its screen"));
    }
    top::run(&args.folder.control_socket(args.socket.as_deref()))
}
