//! `[exchange]`: the venue whose market is followed, and on which orders are placed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::values::within;

/// `[exchange]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExchangeSection {
    /// Which venue.
    pub(crate) name: VenueName,
    /// Which of its installations.
    pub(crate) environment: EnvironmentName,
    /// Base of REST addresses of a custom installation.
    pub(crate) rest: Option<String>,
    /// Base of market streams of a custom installation.
    pub(crate) streams: Option<String>,
    /// Base of private streams and of the WebSocket API of a custom installation, or the address of the latter.
    pub(crate) private: Option<String>,
    /// What is followed and may be traded.
    pub(crate) symbols: Vec<String>,
    /// What is followed of each.
    pub(crate) topics: Vec<TopicName>,

    /// Where the key is.
    pub(crate) credentials: CredentialsFrom,
    /// Beginning of the names of the environment variables, or name of the systemd credential.
    pub(crate) credentials_name: String,
    /// The file, where the key is in one.
    pub(crate) credentials_file: Option<PathBuf>,
    /// What our orders' names at the venue begin with.
    pub(crate) order_prefix: String,
    /// Which way orders go.
    pub(crate) order_entry: EntryName,

    /// Seconds between two comparisons of the venue's books with ours; 0 for at connects only.
    #[serde(deserialize_with = "within::<_, _, 0, 86400>")]
    pub(crate) reconcile_every_s: u64,
    /// What is done when holdings or positions differ.
    pub(crate) on_difference: OnDifference,
    /// What is done about an order with our prefix that is not known.
    pub(crate) on_orphan: OnOrphan,
    /// What is done about an order that a run which was cut off had sent and has no record of.
    pub(crate) on_lost_order: OnLostOrder,
    /// What is done about working orders of other origin.
    pub(crate) foreign_orders: ForeignOrders,
    /// The strategy that they belong to, once they are adopted.
    pub(crate) foreign_owner: Option<String>,
}

/// Venues that can be traded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VenueName {
    /// Binance, spot.
    #[default]
    Binance,
    /// Binance, USD-M futures.
    BinanceUsdm,
}

impl VenueName {
    /// Returns the word that the configuration has for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::BinanceUsdm => "binance_usdm",
        }
    }
}

/// Installations of a venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EnvironmentName {
    /// Real money.
    #[default]
    Production,
    /// The venue's test network.
    Testnet,
    /// The venue's demo accounts.
    Demo,
    /// Addresses given one by one.
    Custom,
}

impl EnvironmentName {
    /// Returns the word that the configuration has for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Testnet => "testnet",
            Self::Demo => "demo",
            Self::Custom => "custom",
        }
    }
}

/// Kinds of market data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TopicName {
    /// The book.
    Book,
    /// Trades.
    Trades,
    /// Best bid and ask.
    Quotes,
    /// Closed one-minute bars.
    Bars,
    /// Mark price and funding.
    Mark,
}

/// Where a key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialsFrom {
    /// In environment variables.
    #[default]
    Env,
    /// In a file that only its owner may read.
    File,
    /// With systemd.
    Systemd,
}

/// Where the key of one account is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyPlace {
    pub(crate) from: CredentialsFrom,
    /// Beginning of the names of the environment variables, or name of the systemd credential.
    pub(crate) name: String,
    /// The file, where the key is in one.
    pub(crate) file: Option<PathBuf>,
}

impl KeyPlace {
    /// Returns whether both are the same place, so that the key there would be one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.from == other.from
            && match self.from {
                CredentialsFrom::File => self.file == other.file,
                CredentialsFrom::Env | CredentialsFrom::Systemd => self.name == other.name,
            }
    }
}

/// Which way orders go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntryName {
    /// Over a WebSocket where the venue has one for orders.
    #[default]
    Fastest,
    /// Over REST.
    Rest,
}

/// What is done when the venue's books differ from ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnDifference {
    /// The venue is right.
    #[default]
    Adopt,
    /// It is told, and nothing is changed.
    Report,
}

/// What is done about an order that bears our prefix and is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnOrphan {
    /// It is withdrawn.
    #[default]
    Cancel,
    /// It is left alone.
    Leave,
}

/// What is done about an order that a run which was cut off had sent and has no record of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnLostOrder {
    /// The engine is halted.
    #[default]
    Halt,
    /// It is told.
    Tell,
}

/// What is done about working orders that somebody else has placed on the account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ForeignOrders {
    /// They are left alone.
    #[default]
    Leave,
    /// They are taken for a strategy's own.
    Adopt,
}

impl ExchangeSection {
    /// Returns where the key is of an account that says nothing itself.
    pub(super) fn key_place(&self) -> KeyPlace {
        KeyPlace {
            from: self.credentials,
            name: self.credentials_name.clone(),
            file: self.credentials_file.clone(),
        }
    }
}

impl Default for ExchangeSection {
    fn default() -> Self {
        Self {
            name: VenueName::Binance,
            environment: EnvironmentName::Production,
            rest: None,
            streams: None,
            private: None,
            symbols: Vec::new(),
            topics: vec![TopicName::Book, TopicName::Trades],
            credentials: CredentialsFrom::Env,
            credentials_name: "TERCEL".to_owned(),
            credentials_file: None,
            order_prefix: "tc".to_owned(),
            order_entry: EntryName::Fastest,
            reconcile_every_s: 60,
            on_difference: OnDifference::Adopt,
            on_orphan: OnOrphan::Cancel,
            on_lost_order: OnLostOrder::Halt,
            foreign_orders: ForeignOrders::Leave,
            foreign_owner: None,
        }
    }
}
