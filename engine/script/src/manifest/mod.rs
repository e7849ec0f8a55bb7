//! What a script says about itself: read once, used by everybody who has to ask before it runs.

mod bars;
mod params;
mod read;

use tercel_core::{Instrument, Interest, SeriesConfig};

pub use self::bars::{BarLength, BarRequest};
pub use self::params::{ParamKind, ParamSpec, ParamValue, ParamValues};
use crate::error::ScriptError;
use crate::hook::{Hook, Hooks};
use crate::language::Language;

/// A script's declaration: the argument of its call of `strategy`, and the hooks that it defines.
#[derive(Clone, PartialEq, Debug)]
pub struct Manifest {
    /// File name of the script, for messages.
    pub file: String,
    /// Its language.
    pub language: Language,
    /// What the strategy is called.
    pub name: String,
    /// What it does, in a sentence or two; may be empty.
    pub doc: String,
    /// Symbols of the instruments that it needs, in its own order; empty if it takes what the data
    /// has.
    pub instruments: Vec<String>,
    /// Book levels a side that it looks at; 0 for the best quote only.
    pub depth: u32,
    /// Bar series that it is called for.
    pub bars: Vec<BarRequest>,
    /// Closed bars that are kept of each series.
    pub history: usize,
    /// Timers that run from the start.
    pub timers: Vec<TimerSpec>,
    /// Its parameters, in the order in which they were declared.
    pub params: Vec<ParamSpec>,
    /// The hooks that it defines; at least one.
    pub hooks: Hooks,
}

/// A repeating timer that is set before the first call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimerSpec {
    /// Its name, the argument of `on_timer`.
    pub name: String,
    /// After how long it fires, again and again; positive.
    pub every_ms: u64,
}

impl Manifest {
    /// Returns which market events the strategy has to be called for.
    #[must_use]
    pub const fn interest(&self) -> Interest {
        Interest {
            book: self.hooks.contains(Hook::Book),
            level: false,
            trade: self.hooks.contains(Hook::Trade),
        }
    }

    /// Returns the bar series that the engine has to build when the strategy trades `instruments`:
    /// for each declared bar length in order, one of the instrument that it names or, if it names
    /// none, one of every instrument.
    ///
    /// [`Binding::series`](crate::Binding::series) takes the ids that these are given, in this order.
    ///
    /// # Errors
    ///
    /// If a declaration names an instrument that is not there, or a volume is not a multiple of the
    /// instrument's lot.
    pub fn series(&self, instruments: &[Instrument]) -> Result<Vec<SeriesConfig>, ScriptError> {
        let mut series = Vec::new();
        for request in &self.bars {
            for instrument in self.instruments_of(request, instruments)? {
                let spec = request.length.spec(instrument).map_err(|m| self.binding_error(m))?;
                series.push(SeriesConfig {
                    instrument: instrument.id,
                    spec,
                    history: self.history,
                });
            }
        }
        Ok(series)
    }

    /// Returns the values that the parameters have: defaults, changed by `overrides` as names and
    /// texts such as a command line gives them. Of two overrides of one name the later counts.
    ///
    /// # Errors
    ///
    /// If a name is unknown, or a value has not the parameter's type or lies out of its bounds.
    pub fn params<'a>(
        &self,
        overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<ParamValues, ScriptError> {
        ParamValues::parse(&self.params, overrides)
    }

    /// Returns the values that the parameters have: defaults, with `changes` as the engine carries
    /// them.
    ///
    /// # Errors
    ///
    /// As [`Self::params`].
    pub fn params_of<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, &'a tercel_core::Value)>,
    ) -> Result<ParamValues, ScriptError> {
        ParamValues::of(&self.params, changes)
    }

    /// Returns the positions in `bars` of the series that [`Self::series`] returns, in its order.
    pub(crate) fn series_labels(
        &self,
        instruments: &[Instrument],
    ) -> Result<Vec<String>, ScriptError> {
        let mut labels = Vec::new();
        for request in &self.bars {
            for _ in self.instruments_of(request, instruments)? {
                labels.push(request.length.to_string());
            }
        }
        Ok(labels)
    }

    pub(crate) fn binding_error(&self, message: String) -> ScriptError {
        ScriptError::Binding { file: self.file.clone(), message }
    }

    fn instruments_of<'a>(
        &self,
        request: &BarRequest,
        instruments: &'a [Instrument],
    ) -> Result<Vec<&'a Instrument>, ScriptError> {
        let Some(symbol) = &request.instrument else { return Ok(instruments.iter().collect()) };
        let named: Vec<_> = instruments.iter().filter(|i| i.spec.symbol == *symbol).collect();
        if named.is_empty() {
            let symbols = instruments.iter().map(|i| i.spec.symbol.as_str());
            let message = crate::names::unknown("instrument of bars", symbol, symbols);
            return Err(self.binding_error(message));
        }
        Ok(named)
    }
}
