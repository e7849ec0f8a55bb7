//! What time it is, and how long calls into strategies take: a histogram for each hook.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use hdrhistogram::Histogram;
use tercel_core::{Intents, Nanos, Strategy, StrategyEvent, StrategyFault, View};

use crate::report::LatencyRow;

/// Returns the time on the system's clock; the ends of what can be told stand for what is beyond them.
pub(crate) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The histograms of a run.
#[derive(Clone, Debug)]
pub(crate) struct HookTimes(Rc<RefCell<Vec<HookTime>>>);

/// A hook's name, how long its calls took, in nanoseconds, and all of them together.
type HookTime = (&'static str, Histogram<u64>, u64);

impl HookTimes {
    /// Returns empty histograms.
    pub(crate) fn new() -> Self {
        Self(Rc::default())
    }

    /// Returns the strategy with every `every`th of its calls timed. A clock read costs some tens
    /// of nanoseconds, about what a short hook takes, so timing all of them slows a run down.
    pub(crate) fn timed(&self, strategy: Box<dyn Strategy>, every: u32) -> Box<dyn Strategy> {
        Box::new(Timed { strategy, times: self.clone(), every, n_calls: 0 })
    }

    /// Returns the percentiles of each hook that was called.
    pub(crate) fn rows(&self) -> Vec<LatencyRow> {
        let row = |(name, times, sum_ns): &HookTime| LatencyRow {
            name: (*name).to_owned(),
            count: times.len(),
            sum_ns: *sum_ns,
            p50_ns: times.value_at_quantile(0.5),
            p90_ns: times.value_at_quantile(0.9),
            p99_ns: times.value_at_quantile(0.99),
            p999_ns: times.value_at_quantile(0.999),
            max_ns: times.max(),
        };
        self.0.borrow().iter().map(row).collect()
    }

    fn record(&self, name: &'static str, ns: u64) {
        let mut all = self.0.borrow_mut();
        let at = all.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
            // Three digits over a nanosecond to a minute; longer calls are counted at the end.
            let times = Histogram::new_with_bounds(1, 60_000_000_000, 3);
            all.push((name, times.expect("the bounds are valid"), 0));
            all.len() - 1
        });
        all[at].1.saturating_record(ns);
        all[at].2 = all[at].2.saturating_add(ns);
    }
}

struct Timed {
    strategy: Box<dyn Strategy>,
    times: HookTimes,
    every: u32,
    n_calls: u32,
}

impl Strategy for Timed {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        self.n_calls += 1;
        if self.n_calls < self.every {
            return self.strategy.on_event(event, view, intents);
        }
        self.n_calls = 0;
        let begun = Instant::now();
        let result = self.strategy.on_event(event, view, intents);
        let ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.times.record(hook_name(event), ns);
        result
    }
}

const fn hook_name(event: &StrategyEvent<'_>) -> &'static str {
    match event {
        StrategyEvent::Start => "on_init",
        StrategyEvent::Params(_) => "params",
        StrategyEvent::Book { .. } => "on_book",
        StrategyEvent::Level { .. } => "on_level",
        StrategyEvent::Trade { .. } => "on_trade",
        StrategyEvent::Bar { .. } => "on_bar",
        StrategyEvent::Order { .. } => "on_order",
        StrategyEvent::Fill { .. } => "on_fill",
        StrategyEvent::Timer { .. } => "on_timer",
        StrategyEvent::Signal(_) => "on_signal",
        StrategyEvent::Stop => "on_stop",
    }
}
