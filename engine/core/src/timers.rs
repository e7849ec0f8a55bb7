//! Timers of strategies, by name.

use std::sync::Arc;

use crate::digest::Digest;
use crate::num::Nanos;

/// A strategy's timers, few enough to be kept in a plain list.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    items: Vec<Timer>,
}

/// A timer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timer {
    /// The strategy's name for it.
    pub name: Arc<str>,
    /// When it fires.
    pub at: Nanos,
    /// After how long it fires again, in nanoseconds; `None` for once.
    pub every_ns: Option<i64>,
}

impl Timers {
    /// Returns the timers of a list, as they are.
    pub(crate) const fn from_list(items: Vec<Timer>) -> Self {
        Self { items }
    }

    /// Returns the timers in the order in which they were set.
    pub(crate) fn as_slice(&self) -> &[Timer] {
        &self.items
    }

    /// Returns whether no two have the same name, as must be.
    pub(crate) fn are_named_apart(&self) -> bool {
        let mut names: Vec<_> = self.items.iter().map(|timer| &timer.name).collect();
        names.sort_unstable();
        names.is_sorted_by(|a, b| a < b)
    }

    /// Sets a timer, replacing the one of the same name. O(timers).
    pub(crate) fn set(&mut self, timer: Timer) {
        match self.items.iter_mut().find(|other| other.name == timer.name) {
            Some(place) => *place = timer,
            None => self.items.push(timer),
        }
    }

    /// Removes the timer of this name, if there is one.
    pub(crate) fn cancel(&mut self, name: &str) {
        self.items.retain(|timer| &*timer.name != name);
    }

    /// Returns the timer of this name. O(timers).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Timer> {
        self.items.iter().find(|timer| &*timer.name == name)
    }

    /// Returns when the next timer fires.
    #[must_use]
    pub fn next_at(&self) -> Option<Nanos> {
        self.items.iter().map(|timer| timer.at).min()
    }

    /// Takes the earliest timer due at `now`; of equal ones, the one set first.
    ///
    /// A repeating timer is set again for its first time after `now`: beats that were slept
    /// through are not made up.
    pub(crate) fn take_due(&mut self, now: Nanos) -> Option<Arc<str>> {
        let (idx, _) =
            self.items.iter().enumerate().filter(|(_, t)| t.at <= now).min_by_key(|(_, t)| t.at)?;
        let timer = &mut self.items[idx];
        let name = Arc::clone(&timer.name);
        match timer.every_ns.filter(|every| *every > 0) {
            Some(every) => {
                let missed = now.since(timer.at) / every;
                timer.at = timer.at.plus(missed.saturating_add(1).saturating_mul(every));
            }
            None => {
                self.items.remove(idx);
            }
        }
        Some(name)
    }

    /// Mixes the timers into `digest`.
    pub(crate) fn digest(&self, digest: &mut Digest) {
        digest.u64(self.items.len() as u64);
        for timer in &self.items {
            digest.bytes(timer.name.as_bytes());
            digest.i64(timer.at.0);
            digest.i64(timer.every_ns.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(name: &str, at: i64, every_ns: Option<i64>) -> Timer {
        Timer { name: name.into(), at: Nanos(at), every_ns }
    }

    #[test]
    fn timers_fire_in_order_of_time_once_each() {
        let mut timers = Timers::default();
        timers.set(timer("late", 20, None));
        timers.set(timer("soon", 10, None));
        timers.set(timer("never", 99, None));
        assert_eq!(timers.take_due(Nanos(30)).as_deref(), Some("soon"));
        assert_eq!(timers.take_due(Nanos(30)).as_deref(), Some("late"));
        assert_eq!(timers.take_due(Nanos(30)), None);
    }

    #[test]
    fn a_repeating_timer_skips_the_beats_it_missed() {
        let mut timers = Timers::default();
        timers.set(timer("beat", 10, Some(10)));
        assert!(timers.take_due(Nanos(35)).is_some());
        assert_eq!(timers.take_due(Nanos(35)), None);
        assert_eq!(timers.next_at(), Some(Nanos(40)));
    }
}
