//! Messages that wait for the venue's leave to be sent.

use std::collections::VecDeque;

use tercel_core::Nanos;
use tercel_crash::{Point, point};

use super::RequestError;
use super::line::Line;
use crate::net::counters::LinkCounters;
use crate::net::limiter::Budget;
use crate::net::pace::Pace;
use crate::net::transport::{NotSent, Transport};
use crate::protocol::{Cost, OutFrame, Priority};

/// Messages that wait at most.
const QUEUE_MAX: usize = 4_096;

/// A bounded queue: cancels first, all else in the order of coming.
#[derive(Debug)]
pub(super) struct Queue {
    messages_per_s: u32,
    pace: Pace,
    waiting: VecDeque<(Box<[u8]>, Cost)>,
    n_cancels: usize,
    /// When the first one may be sent.
    next_at: Nanos,
}

const NEVER: Nanos = Nanos(i64::MAX);

impl Queue {
    pub(super) fn new(messages_per_s: u32) -> Self {
        let pace = Pace::new(messages_per_s);
        Self { messages_per_s, pace, waiting: VecDeque::new(), n_cancels: 0, next_at: NEVER }
    }

    /// A new connection has a count of its own.
    pub(super) fn begin(&mut self) {
        self.clear();
        self.pace = Pace::new(self.messages_per_s);
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.n_cancels = 0;
        self.next_at = NEVER;
    }

    /// Returns when something is to be sent.
    pub(super) const fn next_at(&self) -> Nanos {
        self.next_at
    }

    /// Lets a message wait; returns whether there is room.
    pub(super) fn push(&mut self, frame: OutFrame<'_>) -> bool {
        if self.waiting.len() >= QUEUE_MAX {
            return false;
        }
        let message = (Box::from(frame.text), frame.cost);
        if frame.cost.priority == Priority::Cancel {
            self.waiting.insert(self.n_cancels, message);
            self.n_cancels += 1;
        } else {
            self.waiting.push_back(message);
        }
        self.next_at = Nanos(i64::MIN);
        true
    }

    /// Sends a message past all that wait, or not at all.
    pub(super) fn send_now<T: Transport>(
        &mut self,
        frame: OutFrame<'_>,
        line: &mut Line<T>,
        budget: &Budget,
        now: Nanos,
        counters: &LinkCounters,
    ) -> Result<(), RequestError> {
        if !self.pace.may_send(now) {
            return Err(RequestError::NoBudget { until: self.pace.free_at() });
        }
        budget
            .take(&frame.cost, now)
            .map_err(|refusal| RequestError::NoBudget { until: refusal.until })?;
        point(Point::SocketSend);
        line.transport.send(frame.text, now).map_err(|_| RequestError::NotOpen)?;
        point(Point::SocketSent);
        self.sent(line, now, counters);
        Ok(())
    }

    /// Sends what waits, as far as pace and budget allow. Returns whether the connection takes it.
    pub(super) fn send<T: Transport>(
        &mut self,
        line: &mut Line<T>,
        budget: &Budget,
        now: Nanos,
        counters: &LinkCounters,
    ) -> bool {
        self.next_at = NEVER;
        while let Some((text, cost)) = self.waiting.front() {
            if !self.pace.may_send(now) {
                self.next_at = self.pace.free_at();
                return true;
            }
            match budget.take(cost, now) {
                Ok(()) => match line.transport.send(text, now) {
                    Ok(()) => self.sent(line, now, counters),
                    Err(NotSent::Full) => return false,
                    // Its end is told by the connection's state; what is no text never will be.
                    Err(NotSent::NotOpen | NotSent::NotText) => {}
                },
                Err(refusal) if refusal.until == NEVER => counters.refused(),
                Err(refusal) => {
                    self.next_at = refusal.until;
                    return true;
                }
            }
            self.waiting.pop_front();
            self.n_cancels = self.n_cancels.saturating_sub(1);
        }
        true
    }

    fn sent<T>(&mut self, line: &mut Line<T>, now: Nanos, counters: &LinkCounters) {
        self.pace.sent(now);
        line.sent_at = now;
        counters.sent();
    }
}
