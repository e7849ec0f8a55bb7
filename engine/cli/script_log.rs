//! What scripts log during a backtest, on standard error.

use std::io::Write;

use tercel_core::{Effect, Engine, ExecutionReport, Nanos, Notice, Seq};
use tercel_sim::Observer;

use crate::report::exact_moment;

/// Shows the lines, or counts them.
#[derive(Debug)]
pub(crate) struct ScriptLog {
    is_shown: bool,
    n_lines: u64,
}

impl ScriptLog {
    /// Returns one that shows what is logged, if asked to.
    pub(crate) const fn new(is_shown: bool) -> Self {
        Self { is_shown, n_lines: 0 }
    }

    /// Returns how many lines were logged and not shown.
    pub(crate) const fn n_hidden(&self) -> u64 {
        if self.is_shown { 0 } else { self.n_lines }
    }
}

impl Observer for ScriptLog {
    fn on_effects(&mut self, _seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        for effect in effects {
            let Effect::Notice(Notice::Log { strategy, text }) = effect else { continue };
            self.n_lines += 1;
            if self.is_shown {
                let name = &engine.state().strategies[strategy.index()].name;
                // Where standard error is closed there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "{} {name}: {text}", exact_moment(now));
            }
        }
    }

    fn on_report(&mut self, _now: Nanos, _report: &ExecutionReport, _engine: &Engine) {}

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}
