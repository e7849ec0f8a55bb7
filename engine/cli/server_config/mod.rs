//! The configuration of a server: strict TOML, of which only a strategy is required.
//!
//! A file is read once into a [`ServerConfig`] whose values are in range, whose keys fit each other
//! and whose paths are resolved against the file's own folder. What needs the scripts and the data to
//! be judged is in [`bind`].

pub(crate) mod accounts;
mod addresses;
mod bind;
mod check;
pub(crate) mod exchange;
pub(crate) mod feed;
pub(crate) mod sections;
pub(crate) mod strategy;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{AccountSection, LimitsSection, ScriptSection, VenueSection};
use crate::exit::{Failure, Outcome};
use crate::paper_venue::with_fees;
use crate::toml_file::{Step, TomlFile};

use self::accounts::AccountItem;
pub(crate) use self::bind::BoundStrategy;
use self::exchange::ExchangeSection;
use self::feed::{Feed, FeedSection};
use self::sections::{
    ControlSection, JournalSection, LogSection, MetricsSection, ReloadSection, RunSection,
    TapeSection,
};
use self::strategy::StrategySection;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) run: RunSection,
    pub(crate) feed: FeedSection,
    pub(crate) exchange: ExchangeSection,
    #[serde(rename = "strategy")]
    pub(crate) strategies: Vec<StrategySection>,
    pub(crate) account: AccountSection,
    pub(crate) accounts: Vec<AccountItem>,
    pub(crate) limits: LimitsSection,
    pub(crate) venue: VenueSection,
    pub(crate) script: ScriptSection,
    pub(crate) journal: JournalSection,
    pub(crate) tape: TapeSection,
    pub(crate) reload: ReloadSection,
    pub(crate) log: LogSection,
    pub(crate) metrics: MetricsSection,
    pub(crate) control: ControlSection,
}

/// A configuration and the file that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct ServerFile {
    pub(crate) config: ServerConfig,
    /// Its text, and where in it a value stands.
    pub(crate) source: TomlFile,
}

impl ServerFile {
    /// Reads a file, checks it for itself and resolves its paths.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        Self::of(TomlFile::read(path)?)
    }

    /// As [`Self::read`], of a text that is already there.
    pub(crate) fn of(source: TomlFile) -> Outcome<Self> {
        let mut config: ServerConfig = source.parse()?;
        check::check(&config, &source)?;
        config.resolve(source.folder());
        Ok(Self { config, source })
    }

    /// Returns the configuration as one of several engines has it.
    pub(crate) fn of_engine(&self, index: usize) -> Self {
        let mut own = self.clone();
        own.config.run = self.config.run.of_engine(index);
        own
    }

    /// Opens the feed at its beginning, its instruments with the venue's fees.
    pub(crate) fn open_feed(&self) -> Outcome<Feed> {
        let opened = self.config.feed.open(self.config.run.seed);
        let mut feed = opened.map_err(|failure| match failure {
            Failure::Input(error) => {
                let way = [Step::Key("feed"), Step::Key("paths")];
                self.source.wrong(&way, &error.to_string())
            }
            machine => machine,
        })?;
        feed.instruments = with_fees(feed.instruments, &self.config.venue);
        Ok(feed)
    }
}

impl ServerConfig {
    /// Returns the path of the control socket.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.control.socket.clone().unwrap_or_else(|| control_socket_in(&self.run.data))
    }

    /// Makes relative paths relative to the file's folder instead of the process's.
    fn resolve(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        resolve(&mut self.run.data);
        self.feed.paths.iter_mut().for_each(resolve);
        self.strategies.iter_mut().map(|strategy| &mut strategy.script).for_each(resolve);
        self.venue.latency_file.iter_mut().for_each(resolve);
        self.log.file.iter_mut().for_each(resolve);
        self.exchange.credentials_file.iter_mut().for_each(resolve);
        let accounts = self.accounts.iter_mut();
        accounts.filter_map(|own| own.credentials_file.as_mut()).for_each(resolve);
        self.control.socket.iter_mut().for_each(resolve);
    }
}

/// Returns where the control socket of a server with this data folder is, unless configured
/// otherwise.
pub(crate) fn control_socket_in(data: &Path) -> PathBuf {
    data.join("control.sock")
}
