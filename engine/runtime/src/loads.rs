//! Versions of strategies on their way out of a journal.

use tercel_core::{Engine, StrategyId};
use tercel_script::{Language, Limits, LineNotes};
use tercel_store::journal::Record;

use crate::version::{Loaded, Version, VersionError};

/// A recorded script that does not run any more.
#[derive(Debug, thiserror::Error)]
#[error("record {index}: {error}")]
pub struct BadLoad {
    /// The record that has its parameters.
    pub index: u64,
    /// Why not.
    pub error: VersionError,
}

/// Versions that were loaded and have not taken over.
pub(crate) struct Loads<'a> {
    limits: &'a dyn Fn(Language) -> Limits,
    loaded: Option<Loaded>,
    waiting: Vec<(u64, Version)>,
    pub(crate) names: Vec<String>,
}

impl<'a> Loads<'a> {
    pub(crate) const fn new(limits: &'a dyn Fn(Language) -> Limits) -> Self {
        Self { limits, loaded: None, waiting: Vec::new(), names: Vec::new() }
    }

    /// Takes a record of a script's load or of its parameters; others say nothing here.
    pub(crate) fn take(&mut self, index: u64, record: &Record) -> Result<(), BadLoad> {
        if let Some(loaded) = Loaded::of(record) {
            self.loaded = Some(loaded);
        } else if let Record::Params { strategy, values } = record
            && let Some(loaded) = self.loaded.take().filter(|own| own.strategy == *strategy)
        {
            let version = Version::recorded(&loaded, values, self.limits)
                .map_err(|error| BadLoad { index, error })?;
            self.names.push(loaded.name);
            self.waiting.push((index, version));
        }
        Ok(())
    }

    /// Lets them take over, with notes of the lines of their intents if there are any. Returns whose
    /// places they took.
    pub(crate) fn enter(
        &mut self,
        engine: &mut Engine,
        reload: bool,
        notes: Option<&LineNotes>,
    ) -> Result<Vec<StrategyId>, BadLoad> {
        let mut entered = Vec::new();
        for (index, version) in self.waiting.drain(..) {
            entered.push(version.strategy());
            match notes {
                Some(notes) => version.take_over_noted(engine, reload, notes),
                None => version.take_over(engine, reload),
            }
            .map_err(|error| BadLoad { index, error })?;
        }
        Ok(entered)
    }

    /// Gives them away, each with the record that has its parameters.
    pub(crate) fn drain(&mut self) -> Vec<(u64, Version)> {
        std::mem::take(&mut self.waiting)
    }
}
