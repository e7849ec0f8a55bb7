//! The clock of a replay: time is the events' own, let go at a speed or as fast as possible.

use tercel_core::Nanos;

use crate::clock::{Clock, SystemTimes, TimeSource};

/// Tells the events' time.
///
/// It holds things back until their time has come at the chosen speed, but the time that is told
/// is always theirs: what a run does depends neither on the speed nor on the machine.
#[derive(Debug)]
pub struct ReplayClock<S = SystemTimes> {
    source: S,
    speed: Speed,
    /// The first event's time and the monotonic time of then.
    origin: Option<(Nanos, i64)>,
    now: Nanos,
}

/// How fast time passes, in thousandths of real time; `None` for as fast as possible.
type Speed = Option<u32>;

impl ReplayClock {
    /// Returns a clock that goes as fast as the events are handled.
    #[must_use]
    pub fn unpaced() -> Self {
        Self { source: SystemTimes::new(), speed: None, origin: None, now: Nanos(i64::MIN) }
    }

    /// Returns a clock that goes at `per_mille` thousandths of real time (1,000 is real time);
    /// zero is as fast as possible.
    #[must_use]
    pub fn paced(per_mille: u32) -> Self {
        Self::over(SystemTimes::new(), per_mille)
    }
}

impl<S: TimeSource> ReplayClock<S> {
    /// Returns a clock at `per_mille` thousandths of a source's monotonic time; zero is as fast as
    /// possible.
    #[must_use]
    pub fn over(source: S, per_mille: u32) -> Self {
        let speed = (per_mille > 0).then_some(per_mille);
        Self { source, speed, origin: None, now: Nanos(i64::MIN) }
    }
}

impl<S: TimeSource> Clock for ReplayClock<S> {
    fn now(&mut self) -> Nanos {
        self.now
    }

    fn begin(&mut self, first: Nanos) {
        self.origin = Some((first, self.source.monotonic_ns()));
        self.now = first;
    }

    fn horizon(&mut self) -> Nanos {
        let Some(per_mille) = self.speed else { return Nanos(i64::MAX) };
        let Some((first, since)) = self.origin else { return Nanos(i64::MIN) };
        let passed = i128::from(self.source.monotonic_ns().saturating_sub(since));
        let passed = passed * i128::from(per_mille) / 1_000;
        first.plus(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    fn reach(&mut self, at: Nanos) -> Nanos {
        self.now = self.now.max(at);
        self.now
    }

    fn is_replay(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(i64);

    impl TimeSource for Counter {
        fn monotonic_ns(&mut self) -> i64 {
            self.0 += 100;
            self.0
        }

        fn utc_ns(&mut self) -> i64 {
            0
        }
    }

    #[test]
    fn time_is_the_events_and_pace_is_only_a_horizon() {
        let mut clock = ReplayClock::over(Counter(0), 2_500);
        clock.begin(Nanos(1_000));
        assert_eq!(clock.horizon(), Nanos(1_250));
        assert_eq!(clock.horizon(), Nanos(1_500));
        assert_eq!(clock.reach(Nanos(1_003)), Nanos(1_003));
        assert_eq!(clock.reach(Nanos(1_001)), Nanos(1_003), "never backward");
        assert_eq!(clock.now(), Nanos(1_003));
    }

    #[test]
    fn without_a_pace_there_is_no_horizon() {
        let mut clock = ReplayClock::paced(0);
        clock.begin(Nanos(7));
        assert_eq!((clock.now(), clock.horizon()), (Nanos(7), Nanos(i64::MAX)));
    }
}
