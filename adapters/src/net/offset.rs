//! How far a venue's clock is from ours, measured.

use std::collections::VecDeque;

use tercel_core::Nanos;

use crate::clock::ClockOffset;

/// Measures a venue's clock by its answers: of the last few the one that took the least time
/// counts, because the venue read its clock somewhere between asking and hearing.
///
/// Answers that took longer than two seconds say too little: the offset could be wrong by a second,
/// which is what venues tolerate ahead of theirs. They are not used.
#[derive(Debug)]
pub struct OffsetMeter {
    offset: ClockOffset,
    samples: VecDeque<Sample>,
    next_at: Nanos,
    is_under_way: bool,
    n_to_take: u32,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    received_at: Nanos,
    round_trip_ns: i64,
    offset_ns: i64,
}

/// Longest round trip that is used.
const ROUND_TRIP_NS_MAX: i64 = 2 * Nanos::SECOND;

/// Age at which a sample is forgotten: clocks drift apart.
const SAMPLE_AGE_NS: i64 = 1_800 * Nanos::SECOND;

const SAMPLES: usize = 8;

/// Between two measurements, and between the samples of one.
const INTERVAL_NS: i64 = 300 * Nanos::SECOND;
const SAMPLE_INTERVAL_NS: i64 = 500_000_000;
const SAMPLES_EACH: u32 = 3;

impl OffsetMeter {
    /// Returns a meter that wants to measure at once.
    #[must_use]
    pub const fn new(offset: ClockOffset) -> Self {
        Self {
            offset,
            samples: VecDeque::new(),
            next_at: Nanos(i64::MIN),
            is_under_way: false,
            n_to_take: SAMPLES_EACH,
        }
    }

    /// Returns what it measures.
    #[must_use]
    pub const fn offset(&self) -> &ClockOffset {
        &self.offset
    }

    /// Returns whether the venue is to be asked for its time now; if so, the caller asks.
    pub fn asks(&mut self, now: Nanos) -> bool {
        let asks = !self.is_under_way && self.next_at <= now;
        self.is_under_way |= asks;
        asks
    }

    /// Returns when it next wants to ask.
    #[must_use]
    pub const fn next_at(&self) -> Nanos {
        if self.is_under_way { Nanos(i64::MAX) } else { self.next_at }
    }

    /// Wants to measure anew, because the venue refused a time: what is known is forgotten, as a
    /// clock has been set.
    pub fn doubt(&mut self, now: Nanos) {
        self.samples.clear();
        self.n_to_take = SAMPLES_EACH;
        self.next_at = self.next_at.min(now);
    }

    /// Takes an answer.
    pub fn measured(&mut self, sent_at: Nanos, received_at: Nanos, venue_at: Nanos) {
        let round_trip_ns = received_at.0.saturating_sub(sent_at.0);
        if !(0..=ROUND_TRIP_NS_MAX).contains(&round_trip_ns) {
            return self.failed(received_at);
        }
        let middle = sent_at.plus(round_trip_ns / 2);
        let offset_ns = venue_at.0.saturating_sub(middle.0);
        self.samples.retain(|own| own.received_at.plus(SAMPLE_AGE_NS) > received_at);
        // One that contradicts the new one beyond what both may err tells of a clock that was set.
        self.samples.retain(|own| {
            (own.offset_ns - offset_ns).abs() <= (own.round_trip_ns + round_trip_ns) / 2 + DRIFT_NS
        });
        self.samples.push_back(Sample { received_at, round_trip_ns, offset_ns });
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        if let Some(best) = self.samples.iter().min_by_key(|own| own.round_trip_ns) {
            self.offset.measured(best.offset_ns);
        }
        self.is_under_way = false;
        self.n_to_take = self.n_to_take.saturating_sub(1);
        if self.n_to_take == 0 {
            self.n_to_take = SAMPLES_EACH;
            self.next_at = received_at.plus(INTERVAL_NS);
        } else {
            self.next_at = received_at.plus(SAMPLE_INTERVAL_NS);
        }
    }

    /// Takes note that there was no answer, or none of use.
    pub const fn failed(&mut self, now: Nanos) {
        self.is_under_way = false;
        self.next_at = now.plus(10 * SAMPLE_INTERVAL_NS);
    }
}

/// What two clocks may drift apart while a sample is kept: 10 parts in a million, rounded up.
const DRIFT_NS: i64 = 20_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn the_quickest_answer_counts() {
        let mut meter = OffsetMeter::new(ClockOffset::default());
        // The venue is 300 ms ahead; ways are of unequal length.
        let mut now = Nanos(0);
        for (there, back) in [(100, 20), (10, 12), (300, 100)] {
            assert!(meter.asks(now) && !meter.asks(now));
            let (reached, heard) = (now.plus(there * MS), now.plus((there + back) * MS));
            meter.measured(now, heard, reached.plus(300 * MS));
            assert!(!meter.asks(heard));
            now = meter.next_at();
        }
        assert_eq!(meter.offset().ns(), 299 * MS);
        assert!(now.0 > 299 * Nanos::SECOND, "three at once, then a pause");
    }

    #[test]
    fn answers_that_took_too_long_say_nothing() {
        let mut meter = OffsetMeter::new(ClockOffset::default());
        assert!(meter.asks(Nanos(0)));
        meter.measured(Nanos(0), Nanos(9 * Nanos::SECOND), Nanos(0));
        assert_eq!(meter.offset().ns(), 0);
        assert!(!meter.asks(Nanos(9 * Nanos::SECOND)));
        assert!(meter.asks(Nanos(15 * Nanos::SECOND)));
    }

    #[test]
    fn a_clock_that_was_set_is_followed_at_once() {
        let mut meter = OffsetMeter::new(ClockOffset::default());
        for n in 0..8 {
            let now = Nanos(n * Nanos::SECOND);
            meter.measured(now, now.plus(MS), now);
        }
        // Set forward by a second; the way is slower than before.
        let now = Nanos(60 * Nanos::SECOND);
        meter.measured(now, now.plus(40 * MS), now.plus(Nanos::SECOND));
        assert!((meter.offset().ns() - Nanos::SECOND).abs() <= 40 * MS);
    }

    #[test]
    fn doubt_measures_at_once() {
        let mut meter = OffsetMeter::new(ClockOffset::default());
        for n in 0..3 {
            let now = Nanos(n * Nanos::SECOND);
            assert!(meter.asks(now));
            meter.measured(now, now.plus(MS), now);
        }
        assert!(!meter.asks(Nanos(60 * Nanos::SECOND)));
        meter.doubt(Nanos(60 * Nanos::SECOND));
        assert!(meter.asks(Nanos(60 * Nanos::SECOND)));
    }
}
