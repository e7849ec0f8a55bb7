//! What every language's functions do: one method per function of the API table.
//!
//! The host is shared between a strategy and the functions of its virtual machine. While a hook
//! runs, the engine's view is lent to the thread ([`Host::lend`]) and the call's intents are in the
//! host; between calls it has neither, so nothing of a call can be kept.

mod account;
mod arguments;
mod bars;
mod bound;
mod indicators;
mod keep;
mod market;
mod options;
mod orders;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use scoped_tls_hkt::scoped_thread_local;
use tercel_core::{
    ClientOrderId, FaultKind, Instrument, InstrumentId, Intents, Nanos, SeriesId, StrategyFault,
    Value, View,
};

pub(crate) use self::bars::BarField;
pub(crate) use self::keep::tree_of as tree_of_kept;
pub(crate) use self::options::OrderOptions;
use crate::error::HostError;
use crate::grid::Grid;
use crate::language::Language;
use crate::limits::{Limits, StopSwitch};
use crate::lines::ScriptLine;
use crate::manifest::{Manifest, ParamSpec, ParamValue, ParamValues};
use crate::random::Random;
use crate::tree::Tree;
use crate::{names, number};

// A reference: saving and restoring a pointer costs a third of copying the view.
scoped_thread_local!(static VIEW: for<'a> &'a View<'a>);

/// A host with its machine's functions as co-owners.
pub(crate) type SharedHost = Rc<RefCell<Host>>;

/// What a function of the host gives back.
pub(crate) type HostResult<T> = Result<T, HostError>;

/// The host of one script in one machine.
#[derive(Debug)]
pub(crate) struct Host {
    file: String,
    language: Language,
    pub(crate) limits: Limits,
    pub(crate) stop: StopSwitch,
    manifest: Option<Manifest>,
    params: ParamValues,
    markets: Vec<BoundMarket>,
    series: Vec<BoundSeries>,
    random: Random,
    indicators: Vec<indicators::Kept>,
    bound: Vec<bound::BoundIndicator>,
    /// Time of the event: of a bar its opening, else the engine's.
    event_at: Nanos,
    /// Whether a hook runs.
    in_call: bool,
    /// Index of the event's instrument.
    current: usize,
    /// Index of the series whose bar closed.
    current_series: usize,
    intents: Intents,
    /// Id that the next order had when the call began: tells the run and this call's own orders.
    first_order_id: ClientOrderId,
    /// The lines that this call's intents were made in, with the intents' places; `None` unless they
    /// are to be noted.
    lines: Option<Vec<(usize, ScriptLine)>>,
    /// The first broken bound of the call.
    broken: Option<StrategyFault>,
    log_left: usize,
    names: BTreeSet<Arc<str>>,
    plots: Vec<keep::Plot>,
    keys: BTreeSet<Arc<str>>,
}

/// An instrument that the strategy trades.
#[derive(Debug)]
struct BoundMarket {
    id: InstrumentId,
    symbol: String,
    price: Grid,
    qty: Grid,
    instrument: Instrument,
    /// Best bid and ask as they were last told: most events leave three of four numbers alone, and
    /// each takes a division.
    touch: [arguments::Touch; 2],
}

#[derive(Debug)]
struct BoundSeries {
    id: SeriesId,
    label: String,
}

/// What a machine that trades is bound to; a machine that only checks has none.
#[derive(Debug, Default)]
pub(crate) struct HostBinding {
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) series: Vec<SeriesId>,
    pub(crate) labels: Vec<String>,
    pub(crate) params: ParamValues,
    pub(crate) seed: u64,
    /// Whether to note the lines that intents are made in.
    pub(crate) notes_lines: bool,
}

impl Host {
    /// Returns the host of a script that is about to be loaded.
    pub(crate) fn new(
        file: &str,
        language: Language,
        limits: &Limits,
        stop: StopSwitch,
        binding: HostBinding,
    ) -> Self {
        let markets = binding.instruments.into_iter().map(|instrument| BoundMarket {
            id: instrument.id,
            symbol: instrument.spec.symbol.clone(),
            price: Grid::new(instrument.spec.tick),
            qty: Grid::new(instrument.spec.lot),
            instrument,
            touch: Default::default(),
        });
        let series = binding.series.into_iter().zip(binding.labels);
        Self {
            file: file.to_owned(),
            language,
            limits: limits.clone(),
            stop,
            manifest: None,
            params: binding.params,
            markets: markets.collect(),
            series: series.map(|(id, label)| BoundSeries { id, label }).collect(),
            random: Random::new(binding.seed),
            indicators: Vec::new(),
            bound: Vec::new(),
            event_at: Nanos::default(),
            in_call: false,
            current: 0,
            current_series: 0,
            intents: Intents::with_capacity(0),
            first_order_id: ClientOrderId::default(),
            lines: binding.notes_lines.then(Vec::new),
            broken: None,
            log_left: limits.log_bytes,
            names: BTreeSet::new(),
            plots: Vec::new(),
            keys: BTreeSet::new(),
        }
    }

    /// Returns the host for its co-owners.
    pub(crate) fn shared(self) -> SharedHost {
        Rc::new(RefCell::new(self))
    }

    /// Lends the view to this thread while `call` runs.
    pub(crate) fn lend<R>(view: &View<'_>, call: impl FnOnce() -> R) -> R {
        VIEW.set(view, call)
    }

    /// Takes over the call's intents. `first_order_id` is the id that its first order will have.
    pub(crate) fn begin(&mut self, intents: &mut Intents) {
        self.first_order_id = intents.next_order_id();
        std::mem::swap(&mut self.intents, intents);
        self.in_call = true;
        self.log_left = self.limits.log_bytes;
    }

    /// Gives the intents back. Returns the bound that the call broke, if it broke one.
    pub(crate) fn end(&mut self, intents: &mut Intents) -> Option<StrategyFault> {
        std::mem::swap(&mut self.intents, intents);
        self.in_call = false;
        self.broken.take()
    }

    /// Remembers a broken bound, so that catching the error does not help.
    #[cold]
    pub(crate) fn break_bound(&mut self, kind: FaultKind, message: impl Into<String>) -> HostError {
        let error = HostError::limit(kind, message);
        if self.broken.is_none() {
            let file = self.file.clone();
            let message = error.message.clone();
            self.broken = Some(StrategyFault { kind, message, file, line: 0 });
        }
        error
    }

    /// Says where the bound was broken, which only the language knows.
    #[cold]
    pub(crate) fn place_break(&mut self, file: String, line: u32) {
        if let Some(fault) = self.broken.as_mut().filter(|fault| fault.line == 0) {
            fault.file = file;
            fault.line = line;
        }
    }

    /// Returns whether the lines are noted that intents are made in. Never changes.
    pub(crate) const fn notes_lines(&self) -> bool {
        self.lines.is_some()
    }

    /// Returns how many intents the call has made so far.
    pub(crate) fn n_intents(&self) -> usize {
        self.intents.len()
    }

    /// Notes the line that made the intents from the `first` on.
    pub(crate) fn note_line(&mut self, first: usize, file: &str, line: u32) {
        let made = first..self.intents.len();
        if let Some(lines) = &mut self.lines {
            lines.extend(made.map(|n| (n, ScriptLine { file: file.to_owned(), line })));
        }
    }

    /// Takes what was noted.
    pub(crate) fn take_lines(&mut self) -> Vec<(usize, ScriptLine)> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns the bound that the script has broken, if it has broken one.
    pub(crate) const fn broken(&self) -> Option<&StrategyFault> {
        self.broken.as_ref()
    }

    /// Returns the script's file name.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// `strategy(table)`: takes the declaration.
    pub(crate) fn declare(&mut self, tree: &Tree) -> HostResult<()> {
        if self.in_call {
            return Err(HostError::wrong("strategy is called once, at the top of the script"));
        }
        if self.manifest.is_some() {
            return Err(HostError::wrong("strategy was called already"));
        }
        let manifest = Manifest::read(&self.file, self.language, tree).map_err(HostError::wrong)?;
        if self.markets.is_empty() {
            self.params = ParamValues::defaults(&manifest.params);
        }
        self.manifest = Some(manifest);
        Ok(())
    }

    /// Returns the declaration, if the script has made one.
    pub(crate) const fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// `param(name)`: returns a parameter's value.
    pub(crate) fn param(&self, name: &str) -> HostResult<&ParamValue> {
        let Some(manifest) = &self.manifest else {
            return Err(HostError::wrong("param is called after strategy, which declares it"));
        };
        self.params.get(name).ok_or_else(|| {
            let known = manifest.params.iter().map(|spec: &ParamSpec| spec.name.as_str());
            HostError::wrong(names::unknown("parameter", name, known))
        })
    }

    /// Takes new values of parameters: what `param` returns from now on.
    pub(crate) fn set_params(&mut self, values: &[(Arc<str>, Value)]) {
        self.params.set(values);
    }

    /// `now()`: returns the engine's time in milliseconds.
    pub(crate) fn now(&self) -> HostResult<f64> {
        self.view("now", |view| millis(view.now()))
    }

    /// `random()`: returns a number from 0 up to but not including 1.
    pub(crate) fn random(&mut self) -> f64 {
        self.random.unit()
    }

    /// Reads the view, which is there only while a hook runs.
    fn view<R>(&self, function: &str, read: impl FnOnce(View<'_>) -> R) -> HostResult<R> {
        if !self.in_call {
            return Err(outside(function));
        }
        Ok(VIEW.with(|view| read(*view)))
    }

    /// Reads the view and one of the strategy's markets, by default the event's.
    fn market<R>(
        &self,
        function: &str,
        instrument: Option<f64>,
        read: impl FnOnce(View<'_>, &BoundMarket) -> R,
    ) -> HostResult<R> {
        if !self.in_call {
            return Err(outside(function));
        }
        let market = self.bound(instrument)?;
        Ok(VIEW.with(|view| read(*view, market)))
    }

    fn bound(&self, instrument: Option<f64>) -> HostResult<&BoundMarket> {
        let index = match instrument {
            None => self.current,
            Some(handle) => number::whole(handle)
                .and_then(|index| usize::try_from(index).ok())
                .unwrap_or(usize::MAX),
        };
        self.markets.get(index).ok_or_else(|| {
            HostError::wrong(format!(
                "there is no instrument {}; the strategy has {}, counted from 0",
                instrument.unwrap_or(0.0),
                self.markets.len()
            ))
        })
    }

    /// Refuses a text that is too long to be kept.
    fn short(&mut self, what: &str, text: &str) -> HostResult<()> {
        if text.len() <= self.limits.text_bytes {
            return Ok(());
        }
        let limit = self.limits.text_bytes;
        let message = format!("{what} of {} bytes, at most {limit} are allowed", text.len());
        Err(self.break_bound(FaultKind::Quota, message))
    }
}

#[cold]
fn outside(function: &str) -> HostError {
    HostError::wrong(format!(
        "{function} works inside hooks only: nothing is known yet while the script is loaded"
    ))
}

/// Returns a time as scripts see it.
pub(crate) fn millis(time: Nanos) -> f64 {
    number::float(time.0) / 1e6
}
