//! Functions whose effects outlast the call: timers, memory, log and report.

use std::sync::Arc;

use tercel_core::{FaultKind, Intent, Nanos, PlotId, Value, View};

use super::{Host, HostResult, VIEW};
use crate::error::HostError;
use crate::number;
use crate::tree::Tree;

/// Longest timer: a year and a day.
const MAX_TIMER_MS: f64 = 367.0 * 86_400_000.0;

/// A series that the script plots.
#[derive(Debug)]
pub(super) struct Plot {
    name: Arc<str>,
    is_told: bool,
}

impl Host {
    /// Learns what earlier calls, perhaps of an earlier run, have left behind.
    pub(crate) fn learn(&mut self, view: &View<'_>) {
        self.keys = view.memory().map(|(key, _)| Arc::clone(key)).collect();
    }

    /// `set_timer(name, ms, repeat?)`: calls `on_timer(name)` after `ms` milliseconds.
    pub(crate) fn set_timer(&mut self, name: &str, ms: f64, repeat: bool) -> HostResult<()> {
        let now = self.view("set_timer", |view| view.now())?;
        let span_ns = Some(ms)
            .filter(|ms| (0.001..=MAX_TIMER_MS).contains(ms))
            .and_then(|ms| number::nearest(ms * 1e3)?.checked_mul(Nanos::MICRO))
            .ok_or_else(|| {
                HostError::wrong(format!(
                    "set_timer: ms must be from 0.001 to {MAX_TIMER_MS}, got {ms}"
                ))
            })?;
        let name = self.name("timer", name)?;
        let every_ns = repeat.then_some(span_ns);
        self.push(Intent::SetTimer { name, at: now.plus(span_ns), every_ns })
    }

    /// `cancel_timer(name)`: removes a timer.
    pub(crate) fn cancel_timer(&mut self, name: &str) -> HostResult<()> {
        self.view("cancel_timer", |_| ())?;
        let name = self.name("timer", name)?;
        self.push(Intent::CancelTimer { name })
    }

    /// `remember(key, value)`: keeps a value across calls, reloads and restarts.
    pub(crate) fn remember(&mut self, key: &str, value: &Tree) -> HostResult<()> {
        self.view("remember", |_| ())?;
        let value = match value {
            Tree::Nil => Value::Nil,
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Number(value) => Value::Float(value.to_bits()),
            Tree::Text(text) => {
                self.short("remember: text", text)?;
                Value::Text(text.clone())
            }
            Tree::List(_) | Tree::Map(_) => {
                return Err(HostError::wrong(format!(
                    "remember: a value is nothing, a boolean, a number or text, got {}",
                    value.kind()
                )));
            }
        };
        let key = match self.keys.get(key) {
            Some(known) => Arc::clone(known),
            None => {
                self.short("remember: key", key)?;
                self.room("remembered keys", self.keys.len())?;
                let key: Arc<str> = key.into();
                self.keys.insert(Arc::clone(&key));
                key
            }
        };
        if value == Value::Nil {
            self.keys.remove(&key);
        }
        self.push(Intent::Remember { key, value })
    }

    /// `recall(key)`: returns a remembered value, also one of this call.
    pub(crate) fn recall(&self, key: &str) -> HostResult<Value> {
        self.view("recall", |_| ())?;
        let fresh = self.intents.as_slice().iter().rev().find_map(|intent| match intent {
            Intent::Remember { key: known, value } if **known == *key => Some(value.clone()),
            _ => None,
        });
        let kept = || VIEW.with(|view: &View<'_>| view.recall(key).cloned());
        Ok(fresh.or_else(kept).unwrap_or_default())
    }

    /// Returns all remembered values by key: the argument of `on_reload`.
    pub(crate) fn memory(view: &View<'_>) -> Tree {
        let entries = view.memory().map(|(key, value)| (key.to_string(), tree_of(value)));
        Tree::Map(entries.collect())
    }

    /// `log(text)`: writes a line to the log.
    pub(crate) fn log(&mut self, text: &str) -> HostResult<()> {
        self.view("log", |_| ())?;
        match self.log_left.checked_sub(text.len()) {
            Some(left) => self.log_left = left,
            None => {
                let limit = self.limits.log_bytes;
                let message = format!("more than {limit} bytes logged in one call");
                return Err(self.break_bound(FaultKind::Quota, message));
            }
        }
        self.push(Intent::Log { text: text.to_owned() })
    }

    /// `plot(series, value)`: adds a point to a series of the report.
    pub(crate) fn plot(&mut self, series: &str, value: f64) -> HostResult<()> {
        self.view("plot", |_| ())?;
        let plot = self.plot_id(series)?;
        self.draw(plot, value)
    }

    /// Returns the index of a plot of this name, a new one if there is none.
    pub(super) fn plot_id(&mut self, name: &str) -> HostResult<usize> {
        if let Some(known) = self.plots.iter().position(|plot| *plot.name == *name) {
            return Ok(known);
        }
        self.short("plot", name)?;
        self.room("plots", self.plots.len())?;
        self.plots.push(Plot { name: name.into(), is_told: false });
        Ok(self.plots.len() - 1)
    }

    /// Adds a point to a plot, whose name is told before its first one.
    pub(super) fn draw(&mut self, plot: usize, value: f64) -> HostResult<()> {
        // There are no more than the limit of objects.
        let id = PlotId(u16::try_from(plot).unwrap_or(u16::MAX));
        if let Some(plot) = self.plots.get_mut(plot).filter(|plot| !plot.is_told) {
            plot.is_told = true;
            let name = Arc::clone(&plot.name);
            self.push(Intent::NamePlot { plot: id, name })?;
        }
        self.push(Intent::Draw { plot: id, value_bits: value.to_bits() })
    }

    /// `mark(label, price)`: puts a marker into the report.
    pub(crate) fn mark(&mut self, label: &str, price: f64) -> HostResult<()> {
        self.view("mark", |_| ())?;
        self.short("mark: label", label)?;
        self.push(Intent::Mark { label: label.into(), price_bits: price.to_bits() })
    }

    /// Returns the shared name; the same one every time, so that repeating it costs nothing.
    fn name(&mut self, what: &str, name: &str) -> HostResult<Arc<str>> {
        if let Some(known) = self.names.get(name) {
            return Ok(Arc::clone(known));
        }
        self.short(what, name)?;
        self.room("names of timers", self.names.len())?;
        let shared: Arc<str> = name.into();
        self.names.insert(Arc::clone(&shared));
        Ok(shared)
    }

    /// Refuses another object where there are as many as allowed.
    pub(super) fn room(&mut self, what: &str, len: usize) -> HostResult<()> {
        let limit = self.limits.objects;
        if u32::try_from(len).is_ok_and(|len| len < limit) {
            return Ok(());
        }
        Err(self.break_bound(FaultKind::Quota, format!("more than {limit} {what}")))
    }
}

/// Returns a remembered value as a script sees it.
pub(crate) fn tree_of(value: &Value) -> Tree {
    match value {
        Value::Nil => Tree::Nil,
        Value::Bool(value) => Tree::Bool(*value),
        Value::Integer(value) => Tree::Number(number::float(*value)),
        Value::Float(bits) => Tree::Number(f64::from_bits(*bits)),
        Value::Text(text) => Tree::Text(text.clone()),
    }
}
