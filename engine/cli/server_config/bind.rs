//! Strategies brought together with their scripts and with what the feed has.

use std::collections::BTreeSet;

use tercel_core::{AccountId, Instrument, RiskLimits};
use tercel_script::{ParamKind, ParamValues, Script, ScriptError};

use super::ServerFile;
use super::strategy::StrategySection;
use super::values::Setting;
use crate::exit::{Blame, Failure, Outcome};
use crate::script_file::language_of;
use crate::toml_file::{Step, suggestion};

/// A strategy whose script compiles, and whose parameters, symbols and limits fit.
#[derive(Debug)]
pub(crate) struct BoundStrategy {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    pub(crate) script: Script,
    pub(crate) params: ParamValues,
    /// What it trades, in the script's order.
    pub(crate) instruments: Vec<Instrument>,
    /// Its own limits, and `[limits.strategy]` where it has none.
    pub(crate) limits: RiskLimits,
    pub(crate) seed: u64,
}

impl ServerFile {
    /// Loads all scripts and binds them to the instruments of the feed.
    ///
    /// Refuses with the line of the file that is wrong. An error of a script names the script's
    /// line as well.
    pub(crate) fn bind(&self, instruments: &[Instrument]) -> Outcome<Vec<BoundStrategy>> {
        let mut names = BTreeSet::new();
        let sections = self.config.strategies.iter().enumerate();
        sections
            .map(|(n, section)| {
                let bound = self.bind_one(n, section, instruments)?;
                if !names.insert(bound.name.clone()) {
                    return Err(self.wrong(
                        n,
                        &["script"],
                        &format!(
                            "\"{}\" is another strategy's name already; give this one its own: \
                             name = \"...\"",
                            bound.name
                        ),
                    ));
                }
                Ok(bound)
            })
            .collect()
    }

    fn bind_one(
        &self,
        n: usize,
        section: &StrategySection,
        instruments: &[Instrument],
    ) -> Outcome<BoundStrategy> {
        let path = section.script.display();
        let language = language_of(&section.script)
            .map_err(|failure| self.wrong(n, &["script"], &failure.to_string()))?;
        let limits = self.config.script.limits(language);
        let script = Script::load(&section.script, &limits).map_err(|error| {
            let message = match &error {
                ScriptError::Read { cause, .. } => format!("{path} cannot be read: {cause}"),
                _ => error.to_string(),
            };
            self.wrong(n, &["script"], &message)
        })?;
        let manifest = script.manifest();
        let traded = self.traded(n, section, &manifest.instruments, instruments)?;
        manifest.series(&traded).map_err(|e| self.wrong(n, &["script"], &e.to_string()))?;
        let risk = section
            .limits
            .or(&self.config.limits.strategy)
            .to_risk("strategy", instruments)
            .map_err(|e| self.wrong(n, &["limits"], &e.to_string()))?;
        Ok(BoundStrategy {
            name: section.name.clone().unwrap_or_else(|| manifest.name.clone()),
            account: self.config.account_of(section),
            params: self.params(n, section, &script)?,
            instruments: traded,
            limits: risk,
            seed: section.seed.unwrap_or(self.config.run.seed),
            script,
        })
    }

    fn params(&self, n: usize, section: &StrategySection, script: &Script) -> Outcome<ParamValues> {
        let manifest = script.manifest();
        for (name, setting) in &section.params {
            let Some(spec) = manifest.params.iter().find(|spec| spec.name == *name) else {
                let known: Vec<_> = manifest.params.iter().map(|p| p.name.as_str()).collect();
                let message =
                    format!("{} has no such parameter{}", manifest.file, suggestion(name, &known));
                return Err(self.wrong(n, &["params", name], &message));
            };
            let is_accepted =
                is_of(&spec.kind, setting) && spec.kind.parse(&setting.to_string()).is_ok();
            if !is_accepted {
                let message = format!("{} is not {}", written(setting), spec.kind);
                return Err(self.wrong(n, &["params", name], &message));
            }
        }
        let texts: Vec<_> =
            section.params.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect();
        manifest.params(texts.iter().map(|(name, text)| (*name, text.as_str()))).or_input()
    }

    fn traded(
        &self,
        n: usize,
        section: &StrategySection,
        declared: &[String],
        instruments: &[Instrument],
    ) -> Outcome<Vec<Instrument>> {
        let (wanted, key) = match (section.symbols.as_slice(), declared) {
            ([], []) => return Ok(instruments.to_vec()),
            ([], declared) => (declared, "script"),
            (symbols, []) => (symbols, "symbols"),
            (symbols, declared) if symbols == declared => (symbols, "symbols"),
            (_, declared) => {
                let message = format!(
                    "the script says itself that it trades {}; leave symbols out",
                    declared.join(", ")
                );
                return Err(self.wrong(n, &["symbols"], &message));
            }
        };
        let find = |symbol: &String| {
            let found = instruments.iter().find(|i| i.spec.symbol == *symbol);
            found.cloned().ok_or_else(|| {
                let known: Vec<_> = instruments.iter().map(|i| i.spec.symbol.as_str()).collect();
                let remedy = suggestion(symbol, &known);
                self.wrong(n, &[key], &format!("the feed has no {symbol}{remedy}"))
            })
        };
        wanted.iter().map(find).collect()
    }

    /// Returns a failure at a key of the nth strategy.
    fn wrong(&self, n: usize, keys: &[&str], message: &str) -> Failure {
        let mut way = vec![Step::Key("strategy"), Step::Item(n)];
        way.extend(keys.iter().map(|key| Step::Key(key)));
        self.source.wrong(&way, message)
    }
}

/// Whether a setting has a parameter's type; a whole number is a number as well.
const fn is_of(kind: &ParamKind, setting: &Setting) -> bool {
    matches!(
        (kind, setting),
        (ParamKind::Integer { .. } | ParamKind::Number { .. }, Setting::Integer(_))
            | (ParamKind::Number { .. }, Setting::Number(_))
            | (ParamKind::Boolean { .. }, Setting::Boolean(_))
            | (ParamKind::Text { .. } | ParamKind::Choice { .. }, Setting::Text(_))
    )
}

/// Returns a setting as the file has it.
fn written(setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
