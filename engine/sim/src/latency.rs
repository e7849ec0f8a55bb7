//! How long requests travel to the venue and its answers back.

use tercel_core::Nanos;

/// Latency of the order connection, there and back.
///
/// The default is a pessimistic constant: 20 ms each way, what a retail connection to a distant
/// venue sees on a bad day. Whatever the model, messages of one direction never overtake each
/// other: an order connection is one TCP stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LatencyModel {
    /// Always the same, in nanoseconds; not negative.
    Constant {
        /// From the engine to the venue.
        request_ns: i64,
        /// From the venue to the engine.
        answer_ns: i64,
    },
    /// Interpolated linearly (in integers, rounded down) between measurements in ascending order
    /// of time; before the first and after the last it stays at theirs.
    Interpolated(Vec<LatencySample>),
}

/// What was measured at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LatencySample {
    /// When.
    pub at: Nanos,
    /// From the engine to the venue, in nanoseconds; not negative.
    pub request_ns: i64,
    /// From the venue to the engine, in nanoseconds; not negative.
    pub answer_ns: i64,
}

impl LatencyModel {
    /// Twenty milliseconds each way.
    pub const DEFAULT: Self =
        Self::Constant { request_ns: 20 * Nanos::MILLI, answer_ns: 20 * Nanos::MILLI };

    /// No latency at all: for tests, and for results that flatter.
    pub const NONE: Self = Self::Constant { request_ns: 0, answer_ns: 0 };

    /// Returns how long a request that is sent at `at` travels. O(log samples).
    #[must_use]
    pub fn request_ns(&self, at: Nanos) -> i64 {
        match self {
            Self::Constant { request_ns, .. } => *request_ns,
            Self::Interpolated(samples) => interpolate(samples, at, |sample| sample.request_ns),
        }
    }

    /// Returns how long an answer that leaves the venue at `at` travels. O(log samples).
    #[must_use]
    pub fn answer_ns(&self, at: Nanos) -> i64 {
        match self {
            Self::Constant { answer_ns, .. } => *answer_ns,
            Self::Interpolated(samples) => interpolate(samples, at, |sample| sample.answer_ns),
        }
    }

    /// Returns what is wrong with the model, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Constant { request_ns, answer_ns } => (*request_ns < 0 || *answer_ns < 0)
                .then(|| format!("latency must not be negative, got {request_ns}/{answer_ns} ns")),
            Self::Interpolated(samples) => {
                if samples.is_empty() {
                    return Some("a latency model needs at least one sample, got none".to_owned());
                }
                let negative = samples.iter().position(|s| s.request_ns < 0 || s.answer_ns < 0);
                if let Some(idx) = negative {
                    return Some(format!("latency sample {idx} is negative: {:?}", samples[idx]));
                }
                let unordered = samples.windows(2).position(|pair| pair[0].at >= pair[1].at);
                unordered.map(|idx| {
                    format!("latency samples must ascend in time: sample {} does not", idx + 1)
                })
            }
        }
    }
}

impl Default for LatencyModel {
    fn default() -> Self {
        Self::DEFAULT
    }
}

fn interpolate(samples: &[LatencySample], at: Nanos, value: impl Fn(&LatencySample) -> i64) -> i64 {
    let after = samples.partition_point(|sample| sample.at <= at);
    match (after.checked_sub(1).map(|before| &samples[before]), samples.get(after)) {
        (Some(before), Some(after)) => {
            let span = i128::from(after.at.since(before.at));
            let passed = i128::from(at.since(before.at));
            let rise = i128::from(value(after)) - i128::from(value(before));
            // Between two 64-bit values, so it is one.
            let between = (rise * passed).div_euclid(span);
            value(before) + i64::try_from(between).unwrap_or(0)
        }
        (Some(only), None) | (None, Some(only)) => value(only),
        (None, None) => 0,
    }
}

/// One direction of a connection: what was sent later never arrives earlier.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    last_arrival: Nanos,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self { last_arrival: Nanos(i64::MIN) }
    }

    /// Returns when a message that leaves at `at` and needs `span_ns` arrives.
    pub(crate) fn arrival(&mut self, at: Nanos, span_ns: i64) -> Nanos {
        self.last_arrival = self.last_arrival.max(at.plus(span_ns));
        self.last_arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64, request_ns: i64, answer_ns: i64) -> LatencySample {
        LatencySample { at: Nanos(at), request_ns, answer_ns }
    }

    #[test]
    fn latency_is_interpolated_between_samples_and_constant_outside() {
        let model = LatencyModel::Interpolated(vec![sample(100, 10, 50), sample(200, 20, 40)]);
        let both = |at| (model.request_ns(Nanos(at)), model.answer_ns(Nanos(at)));
        assert_eq!(both(0), (10, 50));
        assert_eq!(both(100), (10, 50));
        assert_eq!(both(155), (15, 44));
        assert_eq!(both(200), (20, 40));
        assert_eq!(both(999), (20, 40));
    }

    #[test]
    fn messages_do_not_overtake_each_other() {
        let mut line = Line::new();
        assert_eq!(line.arrival(Nanos(0), 100), Nanos(100));
        assert_eq!(line.arrival(Nanos(10), 5), Nanos(100));
        assert_eq!(line.arrival(Nanos(99), 5), Nanos(104));
    }

    #[test]
    fn models_that_make_no_sense_are_refused() {
        let problem = |samples| LatencyModel::Interpolated(samples).problem();
        assert!(problem(vec![]).is_some());
        assert!(problem(vec![sample(5, 1, 1), sample(5, 1, 1)]).is_some());
        assert!(problem(vec![sample(5, -1, 1)]).is_some());
        assert!(problem(vec![sample(5, 1, 1), sample(6, 1, 1)]).is_none());
    }
}
