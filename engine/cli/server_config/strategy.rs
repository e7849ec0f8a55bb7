//! `[[strategy]]`: one script that trades.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::values::{Setting, some_name, some_within};
use crate::config::Limits;

/// One of `[[strategy]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StrategySection {
    /// What it is called; what its script calls itself if absent.
    #[serde(default, deserialize_with = "some_name")]
    pub(crate) name: Option<String>,
    /// The account that it trades; the only one if absent.
    #[serde(default, deserialize_with = "some_name")]
    pub(crate) account: Option<String>,
    /// Its script.
    pub(crate) script: PathBuf,
    /// What it trades; what its script names if absent, and else all that the feed has.
    #[serde(default)]
    pub(crate) symbols: Vec<String>,
    /// Its script's parameters, where they differ from their defaults.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, Setting>,
    /// Its limits; those of `[limits.strategy]` where it has none.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Seed of its random numbers; the run's seed if absent.
    #[serde(default, deserialize_with = "some_within::<_, _, 0, 9223372036854775807>")]
    pub(crate) seed: Option<u64>,
}
