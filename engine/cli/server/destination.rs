//! Where a run's orders go: what a state must not be carried over.
//!
//! What a paper account holds exists nowhere else. Taken over by a run at a venue it would be sold there
//! for real; and orders that work at a venue are not over because the next run is on paper.

use serde::Deserialize;
use tercel_runtime::Recovered;

use crate::exit::{Outcome, input};
use crate::server_config::ServerFile;
use crate::server_config::exchange::{EnvironmentName, VenueName};
use crate::server_config::sections::Mode;

/// What a recorded configuration says of where orders go; nothing else of it is read, so that a key
/// that later versions do not know is no hindrance.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Recorded {
    run: RecordedRun,
    exchange: RecordedExchange,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RecordedRun {
    mode: Mode,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RecordedExchange {
    name: VenueName,
    environment: EnvironmentName,
}

/// Refuses a state whose orders went elsewhere.
pub(super) fn check(recovered: &Recovered, file: &ServerFile) -> Outcome<()> {
    let run = recovered.run;
    let then: Recorded = toml::from_str(&recovered.config).map_err(|error| {
        input(format!(
            "run {run}: its configuration does not tell where its orders went: {error}; begin anew with \
             --fresh"
        ))
    })?;
    let own = &file.config;
    let then = text(then.run.mode, then.exchange.name, then.exchange.environment);
    let now = text(own.run.mode, own.exchange.name, own.exchange.environment);
    if then == now {
        return Ok(());
    }
    Err(input(format!(
        "run {run} traded {then}, the configuration says {now}: what it holds and what it ordered are not \
         there; restore the configuration, take another [run] data folder, or begin anew with --fresh"
    )))
}

fn text(mode: Mode, venue: VenueName, environment: EnvironmentName) -> String {
    match mode {
        Mode::Paper => "on paper".to_owned(),
        Mode::Testnet | Mode::Live => {
            format!("{} at {} ({})", mode.as_str(), venue.as_str(), environment.as_str())
        }
    }
}
