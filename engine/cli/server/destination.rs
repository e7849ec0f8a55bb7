//! Where a run's orders go: what a state must not be carried over.
//!
//! What a paper account holds exists nowhere else. Taken over by a run at a venue it would be sold there
//! for real; and orders that work at a venue are not over because the next run is on paper. Nor does one account
//! at a venue hold what another one does: an address or a key that has changed may be another account's.

use serde::Deserialize;
use tercel_runtime::Recovered;
use tercel_store::runs::AccountKey;

use super::live::Keys;
use crate::exit::{Outcome, input};
use crate::server_config::ServerFile;
use crate::server_config::exchange::{EnvironmentName, VenueName};
use crate::server_config::sections::{JournalModeName, Mode};

/// What a recorded configuration says of where orders go; nothing else of it is read, so that a key
/// that later versions do not know is no hindrance.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Recorded {
    run: RecordedRun,
    exchange: RecordedExchange,
    journal: RecordedJournal,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RecordedJournal {
    mode: JournalModeName,
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
    rest: Option<String>,
    private: Option<String>,
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
    let now = RecordedExchange {
        name: own.exchange.name,
        environment: own.exchange.environment,
        rest: own.exchange.rest.clone(),
        private: own.exchange.private.clone(),
    };
    let (then, now) = (text(then.run.mode, &then.exchange), text(own.run.mode, &now));
    if then == now {
        return Ok(());
    }
    Err(input(format!(
        "run {run} traded {then}, the configuration says {now}: what it holds and what it ordered are not \
         there; restore the configuration, take another [run] data folder, or begin anew with --fresh"
    )))
}

/// Returns whether a run's orders went to a venue without waiting for their records.
pub(super) fn sends_unrecorded(recovered: &Recovered) -> bool {
    // A configuration that does not tell is refused elsewhere.
    toml::from_str(&recovered.config).is_ok_and(|then: Recorded| {
        then.run.mode != Mode::Paper && then.journal.mode == JournalModeName::Async
    })
}

fn text(mode: Mode, exchange: &RecordedExchange) -> String {
    let (venue, environment) = (exchange.name.as_str(), exchange.environment.as_str());
    // Where a market is followed says nothing of the account.
    let addresses = [("rest", &exchange.rest), ("private", &exchange.private)];
    let address = |(name, own): (&str, &Option<String>)| {
        own.as_ref().map(|own| format!(", {name} {}", own.trim_end_matches('/')))
    };
    match mode {
        Mode::Paper => "on paper".to_owned(),
        Mode::Testnet | Mode::Live => {
            let addresses: String = addresses.into_iter().filter_map(address).collect();
            format!("{} at {venue} ({environment}{addresses})", mode.as_str())
        }
    }
}

/// Returns by which keys the accounts are traded, as digests that mean something in this data folder alone.
pub(super) fn account_keys(file: &ServerFile, keys: &Keys, installation: u32) -> Vec<AccountKey> {
    let accounts = file.config.all_accounts();
    let noted = keys.iter().map(|(id, key)| AccountKey {
        account: accounts[id.index()].name.clone(),
        digest: key.digest(installation),
    });
    noted.collect()
}

/// Returns the accounts that had other keys then than now.
pub(super) fn with_other_keys(then: &[AccountKey], now: &[AccountKey]) -> Vec<String> {
    let is_other = |now: &&AccountKey| {
        then.iter().any(|then| then.account == now.account && then.digest != now.digest)
    };
    now.iter().filter(is_other).map(|own| own.account.clone()).collect()
}
