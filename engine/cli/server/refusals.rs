//! Orders that risk refuses, told without drowning everything else.

use std::mem::Discriminant;
use std::time::{Duration, Instant};

use tercel_core::{Nanos, RiskReject};

/// How long after a refusal others of its kind are only counted.
const WINDOW: Duration = Duration::from_secs(1);

/// Counts refusals of one strategy for one kind of reason: the first is told, those of the second that
/// follows are told together, and so on until a second has none. The journal has them all.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<Series>);

#[derive(Debug)]
struct Series {
    strategy: String,
    kind: Discriminant<RiskReject>,
    /// Since when they are only counted.
    since: Instant,
    n: u64,
    /// When and with what words the last of them was refused.
    last: Option<(Nanos, String)>,
}

impl Refusals {
    /// Takes a refusal, and returns what is told of it now, if anything is.
    pub(super) fn refused(
        &mut self,
        strategy: &str,
        reason: &RiskReject,
        at: Nanos,
        words: String,
        now: Instant,
    ) -> Option<String> {
        let kind = std::mem::discriminant(reason);
        let is_own = |own: &&mut Series| own.kind == kind && own.strategy == strategy;
        let Some(series) = self.0.iter_mut().find(is_own) else {
            let strategy = strategy.to_owned();
            self.0.push(Series { strategy, kind, since: now, n: 0, last: None });
            return Some(words);
        };
        series.n += 1;
        series.last = Some((at, words));
        None
    }

    /// Returns what is told of those that were counted for long enough by now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(Nanos, String)> {
        let is_due = |own: &Series| now.saturating_duration_since(own.since) >= WINDOW;
        self.0.retain(|own| own.last.is_some() || !is_due(own));
        let due = self.0.iter_mut().filter(|own| is_due(own));
        due.filter_map(|own| {
            own.since = now;
            own.tell()
        })
        .collect()
    }

    /// Returns what is still to be told, at the end.
    pub(super) fn rest(&mut self) -> Vec<(Nanos, String)> {
        self.0.drain(..).filter_map(|mut own| own.tell()).collect()
    }
}

impl Series {
    fn tell(&mut self) -> Option<(Nanos, String)> {
        let n = std::mem::take(&mut self.n);
        let (at, words) = self.last.take()?;
        Some((at, if n == 1 { words } else { format!("{words}; {} more like it before", n - 1) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(refusals: &mut Refusals, strategy: &str, reason: RiskReject, at: Instant) -> bool {
        refusals.refused(strategy, &reason, Nanos(7), format!("{reason}"), at).is_some()
    }

    #[test]
    fn a_flood_is_one_line_a_second_for_each_strategy_and_kind() {
        let (mut refusals, begun) = (Refusals::default(), Instant::now());
        let after = |ms| begun + Duration::from_millis(ms);
        let full = |capacity| RiskReject::TableFull { capacity };
        assert!(told(&mut refusals, "a", full(1), begun), "the first is told");
        assert!(told(&mut refusals, "b", full(1), begun), "of each strategy");
        assert!(told(&mut refusals, "a", RiskReject::Precision, begun), "and of each kind");
        for ms in 1..=312 {
            assert!(!told(&mut refusals, "a", full(2), after(ms)));
        }
        assert!(refusals.due(after(999)).is_empty());
        let due = refusals.due(after(1_000));
        assert_eq!(due, [(Nanos(7), format!("{}; 311 more like it before", full(2)))]);
        assert!(!told(&mut refusals, "a", full(3), after(1_500)), "it goes on");
        assert!(told(&mut refusals, "b", full(3), after(1_500)), "this one had stopped");
        assert_eq!(refusals.due(after(2_000)), [(Nanos(7), full(3).to_string())]);
        assert!(refusals.due(after(3_000)).is_empty());
        assert!(told(&mut refusals, "a", full(4), after(3_001)), "a second without any");
        assert!(!told(&mut refusals, "a", full(5), after(3_002)));
        assert_eq!(
            refusals.rest(),
            [(Nanos(7), full(5).to_string())],
            "nothing is lost at the end"
        );
        assert!(refusals.rest().is_empty());
    }
}
