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
use crate::manifest::{Manifest, ParamValues};
use crate::modules::Modules;
use crate::runtime::ScriptRuntime;
use crate::strategy::ScriptStrategy;

/// A script that was checked: it compiles, its top level runs, its declaration is sound.
#[derive(Clone, Debug)]
pub struct Script {
    source: Source,
    modules: Modules,
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

/// Machines that run a source, and what they share with it.
pub(crate) struct Parts<'a> {
    pub(crate) source: &'a Source,
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
        let (runtime, host, mut modules) =
            build(&source, modules, limits, StopSwitch::default(), binding)?;
        let manifest = declared(&source, &host, runtime.hooks())?;
        modules.seal();
        Ok(Self { source, modules, limits: limits.clone(), manifest })
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
        let labels = self.fit(&binding)?;
        let stop = StopSwitch::default();
        let reload = binding.reload;
        let binding = HostBinding {
            instruments: binding.instruments,
            series: binding.series,
            labels,
            params: binding.params,
            seed: binding.seed,
        };
        let (runtime, host, _) =
            build(&self.source, self.modules.clone(), &self.limits, stop.clone(), binding)?;
        if declared(&self.source, &host, runtime.hooks())? != self.manifest {
            return Err(self.manifest.binding_error(
                "strategy declares something else than when it was checked; a declaration must not \
                 depend on parameters or chance"
                    .to_owned(),
            ));
        }
        Ok(ScriptStrategy::new(runtime, host, stop, self.manifest.timers.clone(), reload))
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

/// Builds a machine with the script in it, its top level run.
fn build(
    source: &Source,
    modules: Modules,
    limits: &Limits,
    stop: StopSwitch,
    binding: HostBinding,
) -> Result<(Box<dyn ScriptRuntime>, SharedHost, Modules), ScriptError> {
    let host = Host::new(&source.file, source.language, limits, stop, binding).shared();
    let modules = Rc::new(RefCell::new(modules));
    let parts = Parts { source, modules: Rc::clone(&modules), host: Rc::clone(&host) };
    let runtime: Box<dyn ScriptRuntime> = match source.language {
        Language::Luau => Box::new(crate::luau::Luau::load(&parts)?),
        Language::Rhai => Box::new(crate::rhai::Rhai::load(&parts)?),
    };
    let modules = modules.borrow().clone();
    Ok((runtime, host, modules))
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
