//! How fast messages may be sent on one connection.

use std::collections::VecDeque;

use tercel_core::Nanos;

/// Counts the messages of the last second.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Zero for no bound.
    per_s: usize,
    sent_at: VecDeque<Nanos>,
}

/// A second as the venue may count it: messages bunch up on their way.
const SECOND_NS: i64 = Nanos::SECOND + 100_000_000;

impl Pace {
    /// Of a bound of three or more, one is left for answers to the venue's pings, which count too.
    pub(crate) fn new(messages_per_s: u32) -> Self {
        let per_s = usize::try_from(messages_per_s).unwrap_or(usize::MAX);
        let per_s = if per_s >= 3 { per_s - 1 } else { per_s };
        Self { per_s, sent_at: VecDeque::with_capacity(per_s.min(1_024)) }
    }

    /// Returns whether a message may be sent now.
    pub(crate) fn may_send(&mut self, now: Nanos) -> bool {
        if self.per_s == 0 {
            return true;
        }
        while self.sent_at.front().is_some_and(|at| at.plus(SECOND_NS) <= now) {
            self.sent_at.pop_front();
        }
        self.sent_at.len() < self.per_s
    }

    /// Notes that a message was sent.
    pub(crate) fn sent(&mut self, now: Nanos) {
        if self.per_s > 0 {
            self.sent_at.push_back(now);
        }
    }

    /// Returns when the next message may be sent.
    pub(crate) fn free_at(&self) -> Nanos {
        match self.sent_at.front() {
            Some(at) if self.per_s > 0 && self.sent_at.len() >= self.per_s => at.plus(SECOND_NS),
            _ => Nanos(i64::MIN),
        }
    }
}
