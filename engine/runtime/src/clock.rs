//! Time: what a clock is to the event loop, and the one of live and paper trading.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tercel_core::Nanos;

/// Time as the event loop needs it.
///
/// There are two kinds. Where time passes by itself ([`UtcClock`], [`ManualClock`]), an event
/// happens when it arrives. In a replay ([`crate::ReplayClock`]) events happen at their own times,
/// and the clock only says how far things may go.
pub trait Clock {
    /// Returns the time, in nanoseconds since 1970 UTC; never earlier than before.
    fn now(&mut self) -> Nanos;

    /// Tells the time of the first event. Only a replay takes it from there.
    fn begin(&mut self, first: Nanos);

    /// Returns up to when things may happen now.
    fn horizon(&mut self) -> Nanos;

    /// Lets something happen that was due at `at`, and returns when it happens: in a replay then,
    /// elsewhere now.
    fn reach(&mut self, at: Nanos) -> Nanos;

    /// Returns whether events happen at their own times.
    fn is_replay(&self) -> bool;
}

/// What a [`UtcClock`] reads.
pub trait TimeSource {
    /// Returns nanoseconds since some moment; never less than before.
    fn monotonic_ns(&mut self) -> i64;

    /// Returns nanoseconds since 1970 UTC as the system believes; may jump.
    fn utc_ns(&mut self) -> i64;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemTimes(Instant);

impl SystemTimes {
    /// Returns the system's clocks, the monotonic one counted from now.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemTimes {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeSource for SystemTimes {
    fn monotonic_ns(&mut self) -> i64 {
        i64::try_from(self.0.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }

    fn utc_ns(&mut self) -> i64 {
        // Before 1970 or after 2262 the machine's clock is not set: then as far as it goes.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// UTC that never goes backward: the monotonic clock, held to the system's.
///
/// Once a second of readings the system's clock is asked, and the difference is made up by at most
/// a thousandth of the time that has passed: a system clock that is set forward or back moves this
/// one slowly, and what was measured by it stays true to 0.1 %.
#[derive(Debug)]
pub struct UtcClock<S = SystemTimes> {
    source: S,
    /// Added to the monotonic time.
    offset_ns: i64,
    calibrated_at: i64,
    /// What the system's clock was ahead when last asked, before correction.
    error_ns: i64,
    last: Nanos,
}

/// Time between two looks at the system's clock.
const CALIBRATION_NS: i64 = Nanos::SECOND;

/// The part of the time passed that a calibration may correct: one in so many.
const SLEW: i64 = 1_000;

impl UtcClock {
    /// Returns a clock over the operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(SystemTimes::new())
    }
}

impl<S: TimeSource> UtcClock<S> {
    /// Returns a clock over this source, right from the start.
    #[must_use]
    pub fn new(mut source: S) -> Self {
        let monotonic = source.monotonic_ns();
        let offset_ns = source.utc_ns().saturating_sub(monotonic);
        let last = Nanos(monotonic.saturating_add(offset_ns));
        Self { source, offset_ns, calibrated_at: monotonic, error_ns: 0, last }
    }

    /// Lets the clock begin at `at` if the system's shows less, as where somebody has set that back
    /// since an earlier process ended at `at`. Time passes from there, and the difference is made up
    /// like any other: without this a loop that may not go back would stand still until then.
    #[must_use]
    pub fn not_before(mut self, at: Nanos) -> Self {
        let behind = at.since(self.last).max(0);
        self.offset_ns = self.offset_ns.saturating_add(behind);
        self.last = self.last.max(at);
        self
    }

    /// Returns how far the system's clock was ahead of this one when it was last asked, in
    /// nanoseconds. More than some milliseconds means that somebody has set it.
    #[must_use]
    pub const fn error_ns(&self) -> i64 {
        self.error_ns
    }

    #[cold]
    fn calibrate(&mut self, monotonic: i64) {
        let passed = monotonic.saturating_sub(self.calibrated_at);
        self.calibrated_at = monotonic;
        self.error_ns =
            self.source.utc_ns().saturating_sub(monotonic.saturating_add(self.offset_ns));
        let most = passed / SLEW;
        self.offset_ns = self.offset_ns.saturating_add(self.error_ns.clamp(-most, most));
    }
}

impl<S: TimeSource> Clock for UtcClock<S> {
    #[inline]
    fn now(&mut self) -> Nanos {
        let monotonic = self.source.monotonic_ns();
        if monotonic.saturating_sub(self.calibrated_at) >= CALIBRATION_NS {
            self.calibrate(monotonic);
        }
        // A correction backward stands still for a moment instead.
        self.last = self.last.max(Nanos(monotonic.saturating_add(self.offset_ns)));
        self.last
    }

    fn begin(&mut self, _first: Nanos) {}

    fn horizon(&mut self) -> Nanos {
        self.now()
    }

    fn reach(&mut self, _at: Nanos) -> Nanos {
        self.now()
    }

    fn is_replay(&self) -> bool {
        false
    }
}

/// A clock that moves when told to.
#[derive(Clone, Debug)]
pub struct ManualClock(std::sync::Arc<std::sync::atomic::AtomicI64>);

impl ManualClock {
    /// Returns a clock that stands at `at`. Its clones are the same clock.
    #[must_use]
    pub fn new(at: Nanos) -> Self {
        Self(std::sync::Arc::new(std::sync::atomic::AtomicI64::new(at.0)))
    }

    /// Moves the clock to `at`, unless it is past that.
    pub fn set(&self, at: Nanos) {
        self.0.fetch_max(at.0, std::sync::atomic::Ordering::SeqCst);
    }

    /// Moves the clock on by `span_ns`; not back.
    pub fn advance(&self, span_ns: i64) {
        self.0.fetch_add(span_ns.max(0), std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&mut self) -> Nanos {
        Nanos(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn begin(&mut self, _first: Nanos) {}

    fn horizon(&mut self) -> Nanos {
        self.now()
    }

    fn reach(&mut self, _at: Nanos) -> Nanos {
        self.now()
    }

    fn is_replay(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Fake {
        monotonic: Rc<Cell<i64>>,
        utc: Rc<Cell<i64>>,
    }

    impl Fake {
        /// Lets time pass, the system's clock being set by `jump` meanwhile.
        fn pass(&self, ns: i64, jump: i64) {
            self.monotonic.set(self.monotonic.get() + ns);
            self.utc.set(self.utc.get() + ns + jump);
        }
    }

    impl TimeSource for Fake {
        fn monotonic_ns(&mut self) -> i64 {
            self.monotonic.get()
        }

        fn utc_ns(&mut self) -> i64 {
            self.utc.get()
        }
    }

    #[test]
    fn it_tells_utc_from_the_start() {
        let fake = Fake::default();
        fake.utc.set(1_700_000_000 * Nanos::SECOND);
        let mut clock = UtcClock::new(fake.clone());
        assert_eq!(clock.now(), Nanos(1_700_000_000 * Nanos::SECOND));
        fake.pass(17, 0);
        assert_eq!(clock.now(), Nanos(1_700_000_000 * Nanos::SECOND + 17));
    }

    #[test]
    fn it_never_goes_backward_whatever_the_system_does() {
        let fake = Fake::default();
        let mut random = tercel_testkit::Random::new(5);
        let mut clock = UtcClock::new(fake.clone());
        let mut before = clock.now();
        for _ in 0..100_000 {
            let jump = if random.chance(5) { random.between(-3_600, 3_600) } else { 0 };
            fake.pass(random.between(0, 2 * Nanos::SECOND), jump * Nanos::SECOND);
            let now = clock.now();
            assert!(now >= before, "{before:?} then {now:?}");
            before = now;
        }
    }

    #[test]
    fn a_jump_is_made_up_by_a_thousandth_of_the_time() {
        for jump in [Nanos::SECOND, -Nanos::SECOND] {
            let fake = Fake::default();
            let mut clock = UtcClock::new(fake.clone());
            fake.pass(Nanos::SECOND, jump);
            let now = clock.now();
            assert_eq!(clock.error_ns(), jump);
            assert_eq!(now.0, Nanos::SECOND + jump / 1_000);
            for _ in 0..1_000 {
                fake.pass(Nanos::SECOND, 0);
                clock.now();
            }
            assert_eq!(clock.error_ns(), 0, "made up after a thousand seconds");
            assert_eq!(clock.now().0, fake.utc.get());
        }
    }

    /// A process that began after its machine's clock was set back by an hour stood still for an hour:
    /// no timer fired and the orders of "this second" were used up.
    #[test]
    fn it_goes_on_from_where_an_earlier_one_ended() {
        let fake = Fake::default();
        let ended = Nanos(3_600 * Nanos::SECOND);
        let mut clock = UtcClock::new(fake.clone()).not_before(ended);
        assert_eq!(clock.now(), ended);
        fake.pass(Nanos::SECOND / 2, 0);
        assert_eq!(clock.now(), ended.plus(Nanos::SECOND / 2), "time passes");
        for _ in 0..3_700_000 {
            fake.pass(Nanos::SECOND, 0);
            clock.now();
        }
        assert_eq!(clock.now().0, fake.utc.get(), "and the difference is made up");
        let ahead = Fake::default();
        ahead.pass(2 * ended.0, 0);
        assert_eq!(UtcClock::new(ahead).not_before(ended).now(), Nanos(2 * ended.0));
    }

    #[test]
    fn the_systems_clocks_are_read() {
        let mut clock = UtcClock::system();
        let (first, second) = (clock.now(), clock.now());
        assert!(first.0 > 1_600_000_000 * Nanos::SECOND && second >= first);
    }

    #[test]
    fn a_manual_clock_moves_only_forward() {
        let mut clock = ManualClock::new(Nanos(5));
        clock.set(Nanos(3));
        clock.advance(-9);
        assert_eq!(clock.now(), Nanos(5));
        clock.clone().advance(2);
        assert_eq!(clock.now(), Nanos(7));
    }
}
