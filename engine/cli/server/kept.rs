//! What was set on strategies while they ran, for the start after.
//!
//! A configuration says what strategies begin with; `ctl set` and `ctl rollback` change that. Each run notes
//! what is so, and the next one keeps the parameters unless the configuration's own were changed meanwhile.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tercel_store::journal::source_hash;

use super::begin::Setup;
use super::hex;
use crate::exit::{Outcome, input};
use crate::server_config::ServerFile;

/// What was set, by the strategies' names.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Kept(BTreeMap<String, OfOne>);

/// What was set on one strategy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct OfOne {
    /// Parameters, in the words of whoever set them.
    params: BTreeMap<String, String>,
    /// Hash of the version that somebody went back to.
    version: Option<String>,
}

/// The file, in the folder of a start's first run.
const NOTE: &str = "set.json";

/// What a recorded configuration says of strategies' parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Recorded {
    strategy: Vec<RecordedStrategy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RecordedStrategy {
    params: toml::Table,
}

/// What is told of it at the start: a level, and a line.
type Told = (&'static str, String);

impl Kept {
    /// Returns what a run has noted; nothing if it noted nothing.
    pub(super) fn read(folder: &Path) -> Outcome<Self> {
        let path = folder.join(NOTE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text,
        };
        text.map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
            .map_err(|error| {
                input(format!(
                    "{}: {error}; it says what was set while that run lasted: mend it, or delete it and set \
                     that anew",
                    path.display()
                ))
            })
    }

    /// Notes it. It is there whole or not at all, and durable.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let temporary = folder.join("set.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        std::fs::rename(&temporary, folder.join(NOTE))?;
        File::open(folder)?.sync_all()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes parameters that were set.
    pub(super) fn set(&mut self, strategy: &str, changes: &[(String, String)]) {
        self.of(strategy).params.extend(changes.iter().cloned());
    }

    /// Notes which version somebody went back to, or that the file's runs again.
    pub(super) fn went_back(&mut self, strategy: &str, version: Option<String>) {
        if version.is_some() || self.0.contains_key(strategy) {
            self.of(strategy).version = version;
        }
    }

    /// Returns whether a parameter was set.
    pub(super) fn has(&self, strategy: &str, param: &str) -> bool {
        self.0.get(strategy).is_some_and(|own| own.params.contains_key(param))
    }

    fn of(&mut self, strategy: &str) -> &mut OfOne {
        self.0.entry(strategy.to_owned()).or_default()
    }

    /// Gives the strategies what was set on them, where the configuration's parameters are those of `recorded`
    /// still; forgets the rest. Returns what is to be told.
    pub(super) fn give(
        &mut self,
        setup: &mut Setup,
        file: &ServerFile,
        recorded: &str,
    ) -> Vec<Told> {
        let parse = |text: &str| toml::from_str::<Recorded>(text).unwrap_or_default().strategy;
        let (then, now) = (parse(recorded), parse(&file.source.record()));
        let params =
            |list: &[RecordedStrategy], n: usize| list.get(n).map(|own| own.params.clone());
        let mut told = Vec::new();
        for (n, own) in setup.strategies.iter_mut().enumerate() {
            let Some(mut kept) = self.0.remove(&own.name) else { continue };
            let name = &own.name;
            let hash = hex(&source_hash(&own.script.source().text, own.script.modules()));
            if let Some(version) = kept.version.take().filter(|version| *version != hash) {
                let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
                told.push((
                    "warn",
                    format!(
                        "{name}: it had been rolled back to version {}; the file's version {} runs again",
                        short(&version),
                        short(&hash)
                    ),
                ));
            }
            let is_same = params(&then, n) == params(&now, n);
            for (param, text) in std::mem::take(&mut kept.params) {
                let specs = &own.script.manifest().params;
                let spec = specs.iter().find(|spec| spec.name == param);
                let value = spec.and_then(|spec| spec.kind.parse(&text).ok());
                let all =
                    own.params.iter().map(|(name, value)| (name.to_owned(), value.to_value()));
                let mut all: BTreeMap<_, _> = all.collect();
                let given = value.filter(|_| is_same).and_then(|value| {
                    all.insert(param.clone(), value.to_value());
                    let all = all.iter().map(|(name, value)| (name.as_str(), value));
                    own.script.manifest().params_of(all).ok()
                });
                match given {
                    Some(given) => {
                        own.params = given;
                        told.push(("info", format!("{name}: {param} stays {text}, as it was set")));
                        kept.params.insert(param, text);
                    }
                    None if is_same => told.push((
                        "warn",
                        format!("{name}: {param} had been set to {text}, which the script does not take"),
                    )),
                    None => told.push((
                        "warn",
                        format!(
                            "{name}: {param} had been set to {text}; the configuration's parameters have \
                             changed since and count"
                        ),
                    )),
                }
            }
            if kept != OfOne::default() {
                self.0.insert(own.name.clone(), kept);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_read_as_it_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::read(folder.path()).unwrap();
        assert!(kept.is_empty());
        kept.went_back("one", None);
        assert!(kept.is_empty(), "nothing was set");
        kept.set("one", &[("quantity".to_owned(), "0.002".to_owned())]);
        kept.set("one", &[("quantity".to_owned(), "0.003".to_owned())]);
        kept.went_back("two", Some("abcd".to_owned()));
        kept.write(folder.path()).unwrap();
        assert_eq!(Kept::read(folder.path()).unwrap(), kept);
        assert!(kept.has("one", "quantity") && !kept.has("two", "quantity"));
        std::fs::write(folder.path().join(NOTE), "{").unwrap();
        let refused = Kept::read(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("set.json"), "{refused}");
    }
}
