//! The versions of the server's strategies: loading, going back, parameters.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tercel_core::{
    Command, Effect, Engine, Event, InstrumentId, Notice, Seq, State, StrategyId, Value,
};
use tercel_runtime::{Directive, Handle, Load, LoadReport, Loaded, Version, Waiting, placeholder};
use tercel_script::{Language, Script};
use tercel_store::journal::{JournalReader, Record};
use tercel_store::runs::{RunCatalog, RunFolder};

use super::kept::Kept;
use super::{Server, hex, timing};

/// A strategy's versions.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    /// Which engine it is on; its version has the id that it has there.
    pub(crate) engine: usize,
    pub(crate) path: PathBuf,
    pub(crate) symbols: Vec<String>,
    pub(crate) seed: u64,
    /// Parameters that differ from the script's defaults.
    pub(crate) overrides: Vec<(String, Value)>,
    pub(crate) version: Version,
    pub(crate) generation: u64,
    /// Earlier versions, oldest first.
    pub(crate) history: Vec<Version>,
    /// Whether the file was refused when it was loaded last: any change near it may mend that.
    pub(crate) is_refused: bool,
    /// Whether a version is on its way, in its trial or in the shadow of the one that runs.
    pub(crate) is_loading: bool,
}

impl Slot {
    /// Returns the script's file and those of the modules that the running version requires.
    fn files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let here = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let here = here.unwrap_or_else(|| Path::new("."));
        let own = self.path.file_name().map(|name| here.join(name));
        let modules = self.version.script().modules().keys();
        own.into_iter().chain(modules.map(move |name| here.join(name)))
    }

    /// Refuses what a version on its way would undo.
    fn check_idle(&self) -> Result<(), String> {
        if self.is_loading {
            return Err(format!(
                "another version of {} is being tried or runs in shadow; ask again when it has taken \
                 over or was refused (`tercel ctl tail` tells)",
                self.name
            ));
        }
        Ok(())
    }
}

/// How long the engine may take to let a version take over.
const LOAD_WAIT: Duration = Duration::from_secs(60);
/// How long a shadow run may take.
const SHADOW_WAIT: Duration = Duration::from_secs(24 * 3_600);

impl Server {
    /// Loads a strategy's file again. Returns what is told of it; nothing if it has not changed and
    /// is not to be loaded whatever it is.
    pub(super) fn reload(
        &self,
        n: usize,
        shadow: u64,
        force: bool,
    ) -> Result<Option<String>, String> {
        // Nobody who asks how things stand waits for a script to be compiled.
        let path = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.get(n).ok_or("there is no such strategy")?.path.clone()
        };
        let language = Language::of(&path).ok_or("the script's name tells no language")?;
        let script =
            Script::load(&path, &self.script_limits(language)).map_err(|e| e.to_string())?;
        self.one_at_a_time(n, || self.load_script(n, script, shadow, force))
    }

    /// Lets a script take over with the parameters that are set now, unless it is the one that runs.
    fn load_script(
        &self,
        n: usize,
        script: Script,
        shadow: u64,
        force: bool,
    ) -> Result<Option<String>, String> {
        let (overrides, symbols, seed, running, engine) = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.get(n).ok_or("there is no such strategy")?;
            let (overrides, symbols) = (slot.overrides.clone(), slot.symbols.clone());
            (overrides, symbols, slot.seed, slot.version.clone(), slot.engine)
        };
        let known: Vec<_> = script.manifest().params.iter().map(|spec| &spec.name).collect();
        // A parameter that a version does not know any more is not its business.
        let overrides: Vec<_> = overrides
            .iter()
            .filter(|(name, _)| known.contains(&name))
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let version =
            Version::new(running.strategy(), script, overrides, &symbols, &self.instruments, seed)
                .map_err(|error| error.to_string())?;
        self.check_engine(engine, &version)?;
        if version.hash() == running.hash() && !force {
            return Ok(None);
        }
        let told = self.try_version(n, &version.wrapped(timing::timed), shadow)?;
        let name = self.name_of(n);
        let unkept = self.keep(|kept| kept.went_back(&name, None));
        Ok(Some(format!("{told}{unkept}")))
    }

    /// Goes back to a version that was loaded before, in this run or an earlier one.
    pub(super) fn roll_back(&self, n: usize, hash: &str) -> Result<String, String> {
        let (strategy, engine, name, known) = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.get(n).ok_or("there is no such strategy")?;
            let known = slot.history.iter().rev().find(|own| hex(own.hash()).starts_with(hash));
            (slot.version.strategy(), slot.engine, slot.name.clone(), known.cloned())
        };
        let version = match known {
            Some(version) => version,
            None => self.recorded(engine, strategy, hash).ok_or_else(|| {
                format!("{name} never had a version {hash}; see `tercel ctl status`")
            })?,
        };
        self.check_engine(engine, &version)?;
        let hash = hex(version.hash());
        let version = version.wrapped(timing::timed);
        let told = self.one_at_a_time(n, || self.try_version(n, &version, 0))?;
        let unkept = self.keep(|kept| kept.went_back(&name, Some(hash)));
        Ok(format!("{told}{unkept}"))
    }

    /// Refuses a version that trades what its engine, one of several, was not dealt: it may not follow the
    /// market, and another engine may trade it.
    fn check_engine(&self, engine: usize, version: &Version) -> Result<(), String> {
        let traded = &self.engines[engine].traded;
        let foreign = version.instruments().iter().find(|id| !traded.contains(id));
        match foreign.filter(|_| self.engines.len() > 1) {
            None => Ok(()),
            Some(id) => Err(format!(
                "it trades {}, which engine {} did not when it started; restart the server to deal anew",
                self.instruments[id.index()].spec.symbol,
                engine + 1
            )),
        }
    }

    /// Looks for a version in the journals of the engine's earlier runs, newest first.
    fn recorded(&self, engine: usize, strategy: StrategyId, hash: &str) -> Option<Version> {
        let folders = RunCatalog::open(&self.data).folders().ok()?;
        let is_own = |folder: &RunFolder| {
            folder.number < self.engines[0].run
                && folder.group().is_ok_and(|group| {
                    group.n as usize == self.engines.len()
                        && group.index_of(folder.number) as usize == engine
                })
        };
        for folder in folders.iter().rev().filter(|folder| is_own(folder)) {
            let Ok(reader) = JournalReader::open(&folder.journal()) else { continue };
            let Ok(records) = reader.records() else { continue };
            let mut found: Option<Loaded> = None;
            for (_, record) in records.flatten() {
                match &record {
                    Record::ScriptLoaded { strategy: id, hash: own, .. } if *id == strategy => {
                        found = Loaded::of(&record).filter(|_| hex(own).starts_with(hash));
                    }
                    Record::Params { strategy: id, values } if *id == strategy => {
                        let Some(loaded) = found.take() else { continue };
                        let limits = |language| self.script_limits(language);
                        if let Ok(version) = Version::recorded(&loaded, values, limits) {
                            return Some(version);
                        }
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Lets a version of a strategy take over, while no other does and no parameters are set.
    fn one_at_a_time<T>(
        &self,
        n: usize,
        load: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        self.begin_loading(n)?;
        let loaded = load();
        if let Some(slot) = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get_mut(n) {
            slot.is_loading = false;
        }
        loaded
    }

    /// Takes note that a version is on its way: parameters that were set meanwhile would be lost with
    /// the version that they were set for.
    fn begin_loading(&self, n: usize) -> Result<(), String> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get_mut(n).ok_or("there is no such strategy")?;
        slot.check_idle()?;
        slot.is_loading = true;
        Ok(())
    }

    /// Tries a version on a copy of the engine, then lets it take over.
    fn try_version(&self, n: usize, version: &Version, shadow: u64) -> Result<String, String> {
        let engine = self.engine_of(n)?;
        dry_run(&engine, version, self.intents_per_call)?;
        let (answer, answered) = sync_channel(1);
        let waiting = Waiting::default();
        let load = Load { version: version.clone(), shadow, waiting: waiting.clone(), answer };
        engine.direct(Directive::Load(Box::new(load))).map_err(|e| e.to_string())?;
        let report = wait_for(&answered, &waiting, shadow)?;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get_mut(n).ok_or("there is no such strategy")?;
        let old = std::mem::replace(&mut slot.version, version.clone());
        slot.history.push(old);
        slot.generation += 1;
        Ok(told(&slot.name, slot.generation, version, &report))
    }

    /// Returns the engine that a strategy is on.
    fn engine_of(&self, n: usize) -> Result<Handle, String> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(n).ok_or("there is no such strategy")?;
        Ok(self.shards.engines()[slot.engine].clone())
    }

    /// Changes parameters of a running strategy, between two events and without a reload.
    pub(super) fn set(&self, n: usize, changes: &[(String, String)]) -> Result<String, String> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get_mut(n).ok_or("there is no such strategy")?;
        slot.check_idle()?;
        let specs = &slot.version.script().manifest().params;
        let mut values = Vec::new();
        for (name, text) in changes {
            let known: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
            let Some(spec) = specs.iter().find(|spec| spec.name == *name) else {
                let remedy = crate::toml_file::suggestion(name, &known);
                return Err(format!("{} has no parameter {name}{remedy}", slot.name));
            };
            let value = spec.kind.parse(text).map_err(|error| format!("{name}: {error}"))?;
            values.push((name.clone(), value.to_value()));
        }
        let command = Command::SetParams(
            slot.version.strategy(),
            values.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect(),
        );
        slot.version.set_params(&values).map_err(|error| error.to_string())?;
        self.shards.engines()[slot.engine].send(command).map_err(|error| error.to_string())?;
        for (name, value) in values {
            slot.overrides.retain(|(own, _)| *own != name);
            slot.overrides.push((name, value));
        }
        let all: Vec<_> = changes.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let unkept = self.keep(|kept| kept.set(&slot.name, changes));
        Ok(format!("{}: {}{unkept}", slot.name, all.join(", ")))
    }

    /// Notes something for the start after this one; returns what is to be said if that fails.
    fn keep(&self, change: impl FnOnce(&mut Kept)) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.clone();
        change(&mut kept);
        if *kept == before {
            return String::new();
        }
        let written = kept.write(&self.kept_in);
        written.err().map_or_else(String::new, |error| {
            format!("; the next start will not know of it: {}: {error}", self.kept_in.display())
        })
    }

    /// Returns the folders that scripts and what they require lie in.
    pub(super) fn script_folders(&self) -> BTreeSet<PathBuf> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots
            .iter()
            .flat_map(Slot::files)
            .filter_map(|file| file.parent().map(PathBuf::from))
            .collect()
    }

    /// Loads the strategies again that are made of these files. Others stay as they are: a version that
    /// somebody went back to is not undone by saving another strategy.
    pub(super) fn files_changed(&self, paths: &BTreeSet<PathBuf>) {
        let is_concerned = |slot: &Slot| {
            slot.is_refused
                || slot.files().any(|file| paths.iter().any(|path| is_same_script(path, &file)))
        };
        let concerned: Vec<_> = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.iter().map(is_concerned).collect()
        };
        let concerned = concerned.into_iter().enumerate().filter(|(_, own)| *own);
        concerned.for_each(|(n, _)| self.reload_and_tell(n));
    }

    /// Tells of a reload that somebody asked for by saving a file.
    fn reload_and_tell(&self, n: usize) {
        let now = super::now();
        let done = self.reload(n, self.shadow_events, false);
        if let Some(slot) = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get_mut(n) {
            slot.is_refused = done.is_err();
        }
        match done {
            Ok(None) => {}
            Ok(Some(text)) => self.notices.tell(now, "info", text),
            Err(why) => {
                let name = self.name_of(n);
                let text = format!("{name}: the version that runs stays: {why}");
                self.notices.tell(now, "error", text);
            }
        }
    }
}

/// Waits until a version has taken over, or for so long that it is not to any more.
fn wait_for(
    answered: &Receiver<Result<LoadReport, String>>,
    waiting: &Waiting,
    shadow: u64,
) -> Result<LoadReport, String> {
    let wait = if shadow > 0 { SHADOW_WAIT } else { LOAD_WAIT };
    match answered.recv_timeout(wait) {
        Ok(report) => report,
        Err(RecvTimeoutError::Disconnected) => Err("the engine has ended".to_owned()),
        Err(RecvTimeoutError::Timeout) if waiting.give_up() => Err(if shadow > 0 {
            let hours = SHADOW_WAIT.as_secs() / 3_600;
            format!(
                "its shadow run has not seen {shadow} events within {hours} hours; it is given up"
            )
        } else {
            "the engine has not taken it over in time; it is given up".to_owned()
        }),
        // It is taking over at this moment.
        Err(RecvTimeoutError::Timeout) => answered
            .recv_timeout(LOAD_WAIT)
            .map_err(|_| "the engine has not said how it took over; restart it".to_owned())?,
    }
}

/// Lets a version take over in a copy of the engine that sends nothing, on this thread.
fn dry_run(engine: &Handle, version: &Version, intents_per_call: usize) -> Result<(), String> {
    let (state, now) = engine.snapshot(LOAD_WAIT).map_err(|e| e.to_string())?;
    let id = version.strategy();
    if let Some(symbol) = abandoned(&state, id, version.instruments()) {
        return Err(format!(
            "the new version does not trade {symbol}, where the strategy has a position or orders: \
             flatten it first"
        ));
    }
    let nobody = state.strategies.iter().map(|_| placeholder()).collect();
    let mut engine = Engine::restore(state, nobody, intents_per_call).map_err(|e| e.to_string())?;
    version.take_over(&mut engine, true).map_err(|e| e.to_string())?;
    let mut effects = Engine::effects();
    engine.handle(Seq(1), now, &Event::Command(Command::Start(id)), &mut effects);
    let fault = effects.as_slice().iter().find_map(|effect| match effect {
        Effect::Notice(Notice::Fault { fault, .. }) => Some(fault.to_string()),
        _ => None,
    });
    fault.map_or(Ok(()), |fault| Err(format!("its first call fails: {fault}")))
}

/// Returns whether two paths name one script; modules are named without their ending, and the system
/// tells of changes by paths from the root.
fn is_same_script(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| std::path::absolute(path).map(|path| path.with_extension(""));
    matches!((whole(one), whole(other)), (Ok(one), Ok(other)) if one == other)
}

/// Returns an instrument in which a strategy has a position or orders and which is not among these.
pub(super) fn abandoned(
    state: &State,
    id: StrategyId,
    instruments: &[InstrumentId],
) -> Option<String> {
    let own = &state.strategies[id.index()];
    let is_busy = |instrument: &InstrumentId| {
        !own.scope.positions[instrument.index()].qty.is_zero()
            || state.orders.working(*instrument).any(|order| order.strategy == id)
    };
    let is_gone = |instrument: &&InstrumentId| !instruments.contains(*instrument);
    let gone = own.instruments.iter().filter(is_gone).find(|instrument| is_busy(instrument))?;
    Some(state.instruments[gone.index()].spec.symbol.clone())
}

fn told(name: &str, generation: u64, version: &Version, report: &LoadReport) -> String {
    let hash = hex(version.hash());
    let pause_us = report.pause.as_secs_f64() * 1e6;
    let mut text = format!(
        "{name}: version {generation} ({}) runs from event {} on; no pause was longer than {pause_us:.0} us",
        hash.get(..12).unwrap_or(&hash),
        report.seq.0
    );
    if let Some(shadow) = &report.shadow {
        text.push_str(&format!(
            "; in shadow it wished otherwise after {} of {} events",
            shadow.n_different, shadow.n_events
        ));
        for difference in shadow.differences.iter().take(3) {
            text.push_str("\n  ");
            text.push_str(difference);
        }
    }
    text
}
