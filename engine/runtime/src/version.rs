//! A version of a strategy: all that decides what it does, as it is recorded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tercel_core::{
    ConfigError, Engine, Instrument, InstrumentId, SeriesConfig, SeriesId, Strategy, StrategyId,
    StrategyPlace, Value,
};
use tercel_script::{
    Binding, Language, Limits, LineNotes, ParamValues, Script, ScriptError, ScriptStrategy, Source,
    StrategyBuild,
};
use tercel_store::journal::{Record, source_hash};

/// A script with its parameters, the instruments that it trades and the seed of what it draws.
///
/// It can go from thread to thread: the machine that runs it is built where it is to stay, by
/// [`Version::take_over`].
#[derive(Clone, Debug)]
pub struct Version {
    strategy: StrategyId,
    script: Script,
    params: ParamValues,
    instruments: Vec<InstrumentId>,
    seed: u64,
    hash: [u8; 32],
    wrap: Option<Wrap>,
}

/// Puts something around a strategy.
pub type Wrap = fn(StrategyId, Box<dyn Strategy>) -> Box<dyn Strategy>;

/// Why a version cannot run.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The script says no.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The engine says no.
    #[error(transparent)]
    Engine(#[from] ConfigError),
    /// The name of the script tells no language.
    #[error("{name}: expected a name that ends in .luau, .lua or .rhai")]
    Language {
        /// The name.
        name: String,
    },
    /// An instrument that the script needs is not there.
    #[error("{script} needs {symbol}, which is not among the instruments of this run ({known})")]
    Instrument {
        /// The script.
        script: String,
        /// What it needs.
        symbol: String,
        /// What there is.
        known: String,
    },
}

impl Version {
    /// Binds a checked script: to the instruments that it names or, if it names none, to those of
    /// `symbols`, or to all if there are none either.
    ///
    /// # Errors
    ///
    /// If an instrument is not among `known`, or the parameters do not fit.
    pub fn new<'a>(
        strategy: StrategyId,
        script: Script,
        params: impl IntoIterator<Item = (&'a str, &'a Value)>,
        symbols: &[String],
        known: &[Instrument],
        seed: u64,
    ) -> Result<Self, VersionError> {
        let named = &script.manifest().instruments;
        let wanted = if named.is_empty() { symbols } else { named };
        let all = |instruments: &[Instrument]| instruments.iter().map(|own| own.id).collect();
        let instruments =
            if wanted.is_empty() { all(known) } else { find(&script, wanted, known)? };
        let params = script.manifest().params_of(params)?;
        let hash = source_hash(&script.source().text, script.modules());
        Ok(Self { strategy, script, params, instruments, seed, hash, wrap: None })
    }

    /// Returns a version of what was bound already.
    #[must_use]
    pub fn of(
        strategy: StrategyId,
        script: Script,
        params: ParamValues,
        instruments: Vec<InstrumentId>,
        seed: u64,
    ) -> Self {
        let hash = source_hash(&script.source().text, script.modules());
        Self { strategy, script, params, instruments, seed, hash, wrap: None }
    }

    /// Lets the strategy be wrapped as it is built, on the thread where it stays: to time its calls.
    #[must_use]
    pub const fn wrapped(mut self, wrap: Wrap) -> Self {
        self.wrap = Some(wrap);
        self
    }

    /// Returns the version that two records tell of: of a script's load and of its parameters.
    ///
    /// # Errors
    ///
    /// If the script does not pass its checks any more, or the parameters do not fit.
    pub fn recorded(
        loaded: &Loaded,
        params: &[(String, Value)],
        limits: impl Fn(Language) -> Limits,
    ) -> Result<Self, VersionError> {
        let path = PathBuf::from(&loaded.name);
        let language = Language::of(Path::new(&loaded.name))
            .ok_or_else(|| VersionError::Language { name: loaded.name.clone() })?;
        let source =
            Source { file: loaded.name.clone(), path, language, text: loaded.source.clone() };
        let modules: BTreeMap<_, _> = loaded.modules.iter().cloned().collect();
        let hash = source_hash(&source.text, &modules);
        let script = Script::recorded(source, modules, &limits(language))?;
        let params = params.iter().map(|(name, value)| (name.as_str(), value));
        let params = script.manifest().params_of(params)?;
        let (strategy, seed) = (loaded.strategy, loaded.seed);
        Ok(Self {
            strategy,
            script,
            params,
            instruments: loaded.instruments.clone(),
            seed,
            hash,
            wrap: None,
        })
    }

    /// Returns the strategy that it is a version of.
    #[must_use]
    pub const fn strategy(&self) -> StrategyId {
        self.strategy
    }

    /// Returns the script.
    #[must_use]
    pub const fn script(&self) -> &Script {
        &self.script
    }

    /// Returns what decides what it draws at random.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the hash of the script's text and of what it requires.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Returns its parameters.
    #[must_use]
    pub const fn params(&self) -> &ParamValues {
        &self.params
    }

    /// Returns the instruments that it trades, in its own order.
    #[must_use]
    pub fn instruments(&self) -> &[InstrumentId] {
        &self.instruments
    }

    /// Takes new values of some parameters.
    ///
    /// # Errors
    ///
    /// If one is unknown or not accepted; then none is taken.
    pub fn set_params(&mut self, changes: &[(String, Value)]) -> Result<(), VersionError> {
        let mut values: Vec<_> =
            self.params.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect();
        values.extend(changes.iter().cloned());
        let values = values.iter().map(|(name, value)| (name.as_str(), value));
        self.params = self.script.manifest().params_of(values)?;
        Ok(())
    }

    /// Returns what a journal keeps of it, from which [`Version::recorded`] makes it again.
    #[must_use]
    pub fn records(&self) -> [Record; 2] {
        let source = self.script.source();
        let modules = self.script.modules();
        let loaded = Record::ScriptLoaded {
            strategy: self.strategy,
            name: source.file.clone(),
            hash: self.hash,
            source: source.text.clone(),
            modules: modules.iter().map(|(name, text)| (name.clone(), text.clone())).collect(),
            instruments: self.instruments.clone(),
            seed: self.seed,
        };
        let values =
            self.params.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect();
        [loaded, Record::Params { strategy: self.strategy, values }]
    }

    /// Builds the script's machine on this thread and puts it into the strategy's place. Its first
    /// call comes with the next `Command::Start`: `on_reload` if it follows another version, else
    /// `on_init`.
    ///
    /// # Errors
    ///
    /// If the script fails at its top level, or wants what the engine cannot give. The version before
    /// it stays then.
    pub fn take_over(&self, engine: &mut Engine, reload: bool) -> Result<(), VersionError> {
        let strategy = self.script.instantiate(self.binding(engine, reload)?)?;
        self.place(engine, self.wrap_up(strategy))?;
        Ok(())
    }

    /// Does what [`Self::take_over`] does, with a strategy that notes the lines of its intents. Nothing
    /// is put around it.
    ///
    /// # Errors
    ///
    /// As [`Self::take_over`].
    pub(crate) fn take_over_noted(
        &self,
        engine: &mut Engine,
        reload: bool,
        notes: &LineNotes,
    ) -> Result<(), VersionError> {
        let strategy = self.script.instantiate_noted(self.binding(engine, reload)?, notes)?;
        self.place(engine, Box::new(strategy))?;
        Ok(())
    }

    /// Begins to build the script's machine on this thread. The engine may go on meanwhile, as long as
    /// no other version takes over.
    ///
    /// # Errors
    ///
    /// If it wants what the engine cannot give.
    pub(crate) fn build(
        &self,
        engine: &Engine,
        reload: bool,
    ) -> Result<StrategyBuild, VersionError> {
        Ok(self.script.build(self.binding(engine, reload)?)?)
    }

    /// Puts what was built into the strategy's place. Returns what was there.
    ///
    /// # Errors
    ///
    /// If it wants what the engine cannot give.
    pub(crate) fn place(
        &self,
        engine: &mut Engine,
        strategy: Box<dyn Strategy>,
    ) -> Result<Box<dyn Strategy>, VersionError> {
        let place = StrategyPlace {
            instruments: self.instruments.clone(),
            interest: self.script.manifest().interest(),
            series: self.series(engine)?,
        };
        Ok(engine.replace_strategy(self.strategy, &place, strategy)?)
    }

    /// Puts around what was built what is to be around it.
    pub(crate) fn wrap_up(&self, strategy: ScriptStrategy) -> Box<dyn Strategy> {
        let strategy: Box<dyn Strategy> = Box::new(strategy);
        match self.wrap {
            Some(wrap) => wrap(self.strategy, strategy),
            None => strategy,
        }
    }

    fn binding(&self, engine: &Engine, reload: bool) -> Result<Binding, VersionError> {
        Ok(Binding {
            instruments: self.own_instruments(engine),
            series: self.series_ids(engine)?,
            params: self.params.clone(),
            seed: self.seed,
            reload,
        })
    }

    /// Returns the ids that its bar series have, or would be given.
    ///
    /// # Errors
    ///
    /// If it wants bars that the engine cannot give.
    pub fn series_ids(&self, engine: &Engine) -> Result<Vec<SeriesId>, VersionError> {
        Ok(engine.series_ids(&self.series(engine)?)?)
    }

    fn series(&self, engine: &Engine) -> Result<Vec<SeriesConfig>, VersionError> {
        Ok(self.script.manifest().series(&self.own_instruments(engine))?)
    }

    fn own_instruments(&self, engine: &Engine) -> Vec<Instrument> {
        let known = &engine.state().instruments;
        self.instruments.iter().filter_map(|id| known.get(id.index()).cloned()).collect()
    }
}

/// What a journal has of a script's load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The strategy that it runs for.
    pub strategy: StrategyId,
    /// The script's file name.
    pub name: String,
    /// Its text.
    pub source: String,
    /// Names and texts of what it requires.
    pub modules: Vec<(String, String)>,
    /// What it trades, in its own order.
    pub instruments: Vec<InstrumentId>,
    /// Decides what it draws at random.
    pub seed: u64,
}

impl Loaded {
    /// Returns what a record tells of a script's load; `None` if it is of another kind.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let Record::ScriptLoaded { strategy, name, source, modules, instruments, seed, .. } =
            record
        else {
            return None;
        };
        Some(Self {
            strategy: *strategy,
            name: name.clone(),
            source: source.clone(),
            modules: modules.clone(),
            instruments: instruments.clone(),
            seed: *seed,
        })
    }
}

fn find(
    script: &Script,
    wanted: &[String],
    known: &[Instrument],
) -> Result<Vec<InstrumentId>, VersionError> {
    let id_of = |symbol: &String| {
        let own = known.iter().find(|instrument| instrument.spec.symbol == *symbol);
        own.map(|instrument| instrument.id).ok_or_else(|| VersionError::Instrument {
            script: script.source().file.clone(),
            symbol: symbol.clone(),
            known: known.iter().map(|own| own.spec.symbol.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    wanted.iter().map(id_of).collect()
}
