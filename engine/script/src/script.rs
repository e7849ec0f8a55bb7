//! From a file to a strategy: check first, build later.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tercel_core::{Instrument, SeriesId};

use crate::error::ScriptError;
use crate::hook::Hooks;
use crate::host::{Host, HostBinding, SharedHost};
use crate::language::Language;
use crate::limits::{Limits, StopSwitch};
use crate::lines::{LineNotes, NotedStrategy};
use crate::luau::{Bytecode, LuauBuilder};
use crate::manifest::{Manifest, ParamValues};
use crate::modules::Modules;
use crate::rhai::RhaiBuilder;
use crate::runtime::Builder;
use crate::strategy::ScriptStrategy;

/// A script that was checked: it compiles, its top level runs, its declaration is sound.
#[derive(Clone, Debug)]
pub struct Script {
    source: Source,
    modules: Modules,
    bytecode: Bytecode,
    limits: Limits,
    manifest: Manifest,
}

/// The text of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Where it was read from; modules are looked for beside it.
    pub path: PathBuf,
    /// The file's name, which errors name.
    pub file: String,
    /// Its language.
    pub language: Language,
    /// Its text.
    pub text: String,
}

/// What a script is bound to when it is built.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The instruments that it trades, those of [`Manifest::instruments`] in its order; any, at
    /// least one, if it names none.
    pub instruments: Vec<Instrument>,
    /// The ids of the series that [`Manifest::series`] returned for these instruments, in its order.
    pub series: Vec<SeriesId>,
    /// Its parameters, from [`Manifest::params`].
    pub params: ParamValues,
    /// Decides what `random` draws.
    pub seed: u64,
    /// Whether it takes the place of a running version of itself: then its first call is
    /// `on_reload`.
    pub reload: bool,
}

/// What a machine is made of, and shares with those who made it.
pub(crate) struct Parts {
    pub(crate) source: Source,
    pub(crate) bytecode: Rc<Bytecode>,
    pub(crate) modules: Rc<RefCell<Modules>>,
    pub(crate) host: SharedHost,
}

impl Script {
    /// Reads and checks a script. Runs its top level once, with default parameters.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, does not compile, fails at its top level, or declares something
    /// that makes no sense; with file and line where they are known.
    pub fn load(path: &Path, limits: &Limits) -> Result<Self, ScriptError> {
        let language =
            Language::of(path).ok_or_else(|| ScriptError::Language { path: path.to_owned() })?;
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ScriptError::Read { path: path.to_owned(), cause })?;
        let file = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Self::check(Source { path: path.to_owned(), file, language, text }, limits)
    }

    /// Checks a script whose text is already there.
    ///
    /// # Errors
    ///
    /// As [`Self::load`], reading apart.
    pub fn check(source: Source, limits: &Limits) -> Result<Self, ScriptError> {
        let bytes_left = room_beside(&source, limits)?;
        let folder = source.path.parent().map(|folder| match folder {
            here if here.as_os_str().is_empty() => PathBuf::from("."),
            folder => folder.to_owned(),
        });
        Self::check_with(source, Modules::reading(folder, bytes_left), limits)
    }

    /// Checks a script as it was recorded, with the texts of what it requires by name. Reads no file.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub fn recorded(
        source: Source,
        modules: BTreeMap<String, String>,
        limits: &Limits,
    ) -> Result<Self, ScriptError> {
        room_beside(&source, limits)?;
        Self::check_with(source, Modules::known(modules), limits)
    }

    fn check_with(source: Source, modules: Modules, limits: &Limits) -> Result<Self, ScriptError> {
        let binding = HostBinding::default();
        let begun = begin(&source, modules, Bytecode::default(), limits, binding);
        let Begun { mut builder, host, modules, .. } = begun;
        let runtime = whole(|| builder.step())?;
        let manifest = declared(&source, &host, runtime.hooks())?;
        let mut modules = modules.borrow().clone();
        modules.seal();
        let bytecode = match source.language {
            Language::Luau => Bytecode::of(&source, &modules),
            Language::Rhai => Bytecode::default(),
        };
        Ok(Self { source, modules, bytecode, limits: limits.clone(), manifest })
    }

    /// Returns what the script declares.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the script's text.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the texts of what it requires, by name: with the source, all that decides what it
    /// does.
    #[must_use]
    pub const fn modules(&self) -> &BTreeMap<String, String> {
        self.modules.texts()
    }

    /// Builds the strategy. Runs the top level again, with the binding's parameters.
    ///
    /// # Errors
    ///
    /// If the binding does not fit the declaration, or the top level fails or declares something
    /// else than it did when it was checked.
    pub fn instantiate(&self, binding: Binding) -> Result<ScriptStrategy, ScriptError> {
        let mut build = self.build(binding)?;
        whole(|| build.step())
    }

    /// Begins to build the strategy, on the thread where it is to stay, for whoever cannot wait until
    /// all of it is done.
    ///
    /// # Errors
    ///
    /// If the binding does not fit the declaration.
    pub fn build(&self, binding: Binding) -> Result<StrategyBuild, ScriptError> {
        self.begin_build(binding, false)
    }

    /// Builds the strategy as [`Self::instantiate`] does, with functions that note which line of the
    /// script made which intent: for runs that are executed again. It decides what the other decides.
    ///
    /// # Errors
    ///
    /// As [`Self::instantiate`].
    pub fn instantiate_noted(
        &self,
        binding: Binding,
        notes: &LineNotes,
    ) -> Result<NotedStrategy, ScriptError> {
        let mut build = self.begin_build(binding, true)?;
        Ok(NotedStrategy::new(whole(|| build.step())?, notes.clone()))
    }

    fn begin_build(
        &self,
        binding: Binding,
        notes_lines: bool,
    ) -> Result<StrategyBuild, ScriptError> {
        let labels = self.fit(&binding)?;
        let reload = binding.reload;
        let binding = HostBinding {
            instruments: binding.instruments,
            series: binding.series,
            labels,
            params: binding.params,
            seed: binding.seed,
            notes_lines,
        };
        let (modules, bytecode) = (self.modules.clone(), self.bytecode.clone());
        let Begun { builder, host, stop, .. } =
            begin(&self.source, modules, bytecode, &self.limits, binding);
        Ok(StrategyBuild { script: self.clone(), builder, host, stop, reload })
    }

    /// Checks a binding against the declaration. Returns the labels of its series.
    fn fit(&self, binding: &Binding) -> Result<Vec<String>, ScriptError> {
        let manifest = &self.manifest;
        let symbols: Vec<_> =
            binding.instruments.iter().map(|instrument| &instrument.spec.symbol).collect();
        let wanted: Vec<_> = manifest.instruments.iter().collect();
        if symbols.is_empty() || (!wanted.is_empty() && symbols != wanted) {
            let message = format!("bound to instruments {symbols:?}, declares {wanted:?}");
            return Err(manifest.binding_error(message));
        }
        let labels = manifest.series_labels(&binding.instruments)?;
        if labels.len() != binding.series.len() {
            let message = format!(
                "bound to {} bar series, declares {} ({})",
                binding.series.len(),
                labels.len(),
                labels.join(", ")
            );
            return Err(manifest.binding_error(message));
        }
        let named = manifest.params.iter().map(|spec| spec.name.as_str());
        if !binding.params.iter().map(|(name, _)| name).eq(named) {
            let message = "bound to the parameters of another script".to_owned();
            return Err(manifest.binding_error(message));
        }
        for spec in &manifest.params {
            if !binding.params.get(&spec.name).is_some_and(|value| spec.kind.accepts(value)) {
                let message = format!("expected {}", spec.kind);
                return Err(ScriptError::Param { name: spec.name.clone(), message });
            }
        }
        Ok(labels)
    }
}

/// Returns how many bytes a script leaves for what it requires.
fn room_beside(source: &Source, limits: &Limits) -> Result<usize, ScriptError> {
    let (bytes, limit) = (source.text.len(), limits.source_bytes);
    limit.checked_sub(bytes).ok_or_else(|| ScriptError::TooLarge {
        file: source.file.clone(),
        bytes,
        limit,
    })
}

/// A strategy in the making: its machine's library, functions, code and top level, step by step, each
/// a fraction of a millisecond unless the script's own top level takes longer.
pub struct StrategyBuild {
    script: Script,
    builder: Box<dyn Builder>,
    host: SharedHost,
    stop: StopSwitch,
    reload: bool,
}

impl std::fmt::Debug for StrategyBuild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StrategyBuild").field("script", &self.script).finish_non_exhaustive()
    }
}

impl StrategyBuild {
    /// Takes the next step; returns the strategy after the last.
    ///
    /// # Errors
    ///
    /// If the top level fails or declares something else than it did when it was checked. There is no
    /// going on then.
    pub fn step(&mut self) -> Result<Option<ScriptStrategy>, ScriptError> {
        let Some(runtime) = self.builder.step()? else { return Ok(None) };
        let manifest = &self.script.manifest;
        if declared(&self.script.source, &self.host, runtime.hooks())? != *manifest {
            return Err(manifest.binding_error(
                "strategy declares something else than when it was checked; a declaration must not \
                 depend on parameters or chance"
                    .to_owned(),
            ));
        }
        let (host, stop) = (Rc::clone(&self.host), self.stop.clone());
        let timers = manifest.timers.clone();
        Ok(Some(ScriptStrategy::new(runtime, host, stop, timers, self.reload)))
    }
}

/// A machine that is begun, and what it shares.
struct Begun {
    builder: Box<dyn Builder>,
    host: SharedHost,
    modules: Rc<RefCell<Modules>>,
    stop: StopSwitch,
}

/// Begins to build a machine with the script in it.
fn begin(
    source: &Source,
    modules: Modules,
    bytecode: Bytecode,
    limits: &Limits,
    binding: HostBinding,
) -> Begun {
    let stop = StopSwitch::default();
    let host = Host::new(&source.file, source.language, limits, stop.clone(), binding).shared();
    let modules = Rc::new(RefCell::new(modules));
    let parts = Parts {
        source: source.clone(),
        bytecode: Rc::new(bytecode),
        modules: Rc::clone(&modules),
        host: Rc::clone(&host),
    };
    let builder: Box<dyn Builder> = match source.language {
        Language::Luau => Box::new(LuauBuilder::new(parts)),
        Language::Rhai => Box::new(RhaiBuilder::new(parts)),
    };
    Begun { builder, host, modules, stop }
}

/// Takes all steps at once.
fn whole<T, E>(mut step: impl FnMut() -> Result<Option<T>, E>) -> Result<T, E> {
    loop {
        if let Some(whole) = step()? {
            return Ok(whole);
        }
    }
}

/// Returns the declaration with the hooks.
fn declared(source: &Source, host: &SharedHost, hooks: Hooks) -> Result<Manifest, ScriptError> {
    let fail = |message: &str| ScriptError::Manifest {
        file: source.file.clone(),
        message: message.to_owned(),
    };
    let manifest = host.borrow().manifest().cloned();
    let mut manifest = manifest.ok_or_else(|| {
        fail(
            "strategy is not called: the script must declare itself at its top, such as \
              strategy { name = \"my_strategy\" }",
        )
    })?;
    if hooks.is_empty() {
        return Err(fail("the script defines no hook, such as on_book or on_bar"));
    }
    manifest.hooks = hooks;
    Ok(manifest)
}
