//! Who watches a run: recorders, hashes, progress. They see everything and change nothing.

use tercel_core::{Effect, Engine, ExecutionReport, Nanos, Seq};

/// Watches a run from outside the engine.
///
/// Of one event, [`Self::on_report`] comes before [`Self::on_effects`]. `()` watches nothing, a
/// pair watches with both its members, first to last.
pub trait Observer {
    /// After each event that gave effects (not called when there are none).
    fn on_effects(&mut self, seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine);

    /// Each execution report, after the engine took it.
    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine);

    /// At every multiple of the sample interval that the run's clock passes, and at the end.
    fn on_sample(&mut self, now: Nanos, engine: &Engine);
}

impl Observer for () {
    fn on_effects(&mut self, _seq: Seq, _now: Nanos, _effects: &[Effect], _engine: &Engine) {}
    fn on_report(&mut self, _now: Nanos, _report: &ExecutionReport, _engine: &Engine) {}
    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn on_effects(&mut self, seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        self.0.on_effects(seq, now, effects, engine);
        self.1.on_effects(seq, now, effects, engine);
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        self.0.on_report(now, report, engine);
        self.1.on_report(now, report, engine);
    }

    fn on_sample(&mut self, now: Nanos, engine: &Engine) {
        self.0.on_sample(now, engine);
        self.1.on_sample(now, engine);
    }
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn on_effects(&mut self, seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        (**self).on_effects(seq, now, effects, engine);
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        (**self).on_report(now, report, engine);
    }

    fn on_sample(&mut self, now: Nanos, engine: &Engine) {
        (**self).on_sample(now, engine);
    }
}
