//! The commands, one file each.

pub(crate) mod backtest;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod ctl;
pub(crate) mod demo;
pub(crate) mod diverge;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod exchange;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod indicators;
pub(crate) mod inspect;
pub(crate) mod new;
pub(crate) mod prune;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod simulate;
pub(crate) mod sync;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod venues;
pub(crate) mod verify;
mod what_if;

use std::io::Write;

use serde_json::Value;

use crate::exit::{Blame, Outcome};

/// Prints text on standard output. A reader that has gone away is no failure.
pub(crate) fn print(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.or_machine(),
    }
}

/// Prints one JSON object, and nothing else.
pub(crate) fn print_json(value: &Value) -> Outcome<()> {
    print(&format!("{value:#}\n"))
}
