//! Calls in memory, in virtual time, with seeded faults: for tests and storms.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercel_core::Nanos;

use super::call_driver::{CallDriver, Returned, ReturnedOutcome};
use super::limiter::Budget;
use super::random::Random;
use crate::protocol::{Call, CallId, Priority};

/// What goes wrong with calls, how often, in millionths of all calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallFaults {
    /// Never sent, and that is known.
    pub not_sent_ppm: u32,
    /// Lost before the venue acted.
    pub lost_before_ppm: u32,
    /// Lost after the venue acted.
    pub lost_after_ppm: u32,
    /// Answered with status 503 before the venue acted.
    pub failed_before_ppm: u32,
    /// Answered with status 503 after the venue acted.
    pub failed_after_ppm: u32,
    /// Shortest and longest way, each way, in nanoseconds.
    pub delay_ns: (i64, i64),
    /// After how many nanoseconds a call counts as lost.
    pub timeout_ns: i64,
}

/// How often each fault of a [`MemoryCallNet`] has struck.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CallFaultCounts {
    /// Calls that never left.
    pub n_not_sent: u64,
    /// Calls that were lost on the way.
    pub n_lost_before: u64,
    /// Calls whose answers were lost.
    pub n_lost_after: u64,
    /// Calls that were answered with a failure and not acted on.
    pub n_failed_before: u64,
    /// Calls that were answered with a failure although they were acted on.
    pub n_failed_after: u64,
}

impl CallFaults {
    /// Nothing goes wrong, and nothing takes time.
    pub const NONE: Self = Self {
        not_sent_ppm: 0,
        lost_before_ppm: 0,
        lost_after_ppm: 0,
        failed_before_ppm: 0,
        failed_after_ppm: 0,
        delay_ns: (0, 0),
        timeout_ns: 10 * Nanos::SECOND,
    };

    /// Everything goes wrong, often.
    pub const STORM: Self = Self {
        not_sent_ppm: 20_000,
        lost_before_ppm: 30_000,
        lost_after_ppm: 30_000,
        failed_before_ppm: 20_000,
        failed_after_ppm: 20_000,
        delay_ns: (200_000, 80_000_000),
        timeout_ns: 10 * Nanos::SECOND,
    };
}

/// A venue's REST server in memory, and the network before it. Cloning shares.
#[derive(Clone, Debug)]
pub struct MemoryCallNet(Arc<Mutex<Net>>);

#[derive(Debug)]
struct Net {
    random: Random,
    faults: CallFaults,
    counts: CallFaultCounts,
    n_drivers: usize,
    n_calls: u64,
    /// By the time of arrival.
    requests: BTreeMap<(Nanos, u64), Pending>,
    answers: BTreeMap<(Nanos, u64), (usize, u32, Returned)>,
}

#[derive(Debug)]
struct Pending {
    driver: usize,
    tag: u32,
    call: Call,
    fate: Fate,
    sent_at: Nanos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Well,
    LostBefore,
    LostAfter,
    FailedBefore,
    FailedAfter,
}

impl MemoryCallNet {
    /// Returns a server that nobody has called. The same seed and use bring the same faults.
    #[must_use]
    pub fn new(seed: u64, faults: CallFaults) -> Self {
        Self(Arc::new(Mutex::new(Net {
            random: Random::new(seed),
            faults,
            counts: CallFaultCounts::default(),
            n_drivers: 0,
            n_calls: 0,
            requests: BTreeMap::new(),
            answers: BTreeMap::new(),
        })))
    }

    /// Changes what goes wrong from here on.
    pub fn set_faults(&self, faults: CallFaults) {
        self.lock().faults = faults;
    }

    /// Returns a client, with what it may use of the venue's budgets.
    #[must_use]
    pub fn driver(&self, budget: Budget) -> MemoryCalls {
        let mut net = self.lock();
        let number = net.n_drivers;
        net.n_drivers += 1;
        drop(net);
        MemoryCalls { net: self.clone(), number, budget, waiting: VecDeque::new() }
    }

    /// Lets the venue act on the calls that have arrived by `now`: `act` returns status and body.
    pub fn serve(&self, now: Nanos, mut act: impl FnMut(&Call) -> (u16, Vec<u8>)) {
        loop {
            // Not held while the venue acts: it may look at the network itself.
            let request = {
                let mut net = self.lock();
                let Some(entry) = net.requests.first_entry() else { return };
                if entry.key().0 > now {
                    return;
                }
                entry.remove()
            };
            let acts = !matches!(request.fate, Fate::LostBefore | Fate::FailedBefore);
            let (status, body) = if acts { act(&request.call) } else { (503, Vec::new()) };
            self.lock().answer(request, status, body, now);
        }
    }

    /// Returns how often each fault has struck.
    #[must_use]
    pub fn counts(&self) -> CallFaultCounts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Net> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Net {
    fn draw_fate(&mut self) -> Fate {
        let (random, faults, counts) = (&mut self.random, &self.faults, &mut self.counts);
        for (ppm, fate, count) in [
            (faults.lost_before_ppm, Fate::LostBefore, &mut counts.n_lost_before),
            (faults.lost_after_ppm, Fate::LostAfter, &mut counts.n_lost_after),
            (faults.failed_before_ppm, Fate::FailedBefore, &mut counts.n_failed_before),
            (faults.failed_after_ppm, Fate::FailedAfter, &mut counts.n_failed_after),
        ] {
            if random.chance(ppm) {
                *count += 1;
                return fate;
            }
        }
        Fate::Well
    }

    fn draw_delay(&mut self) -> i64 {
        let (low, high) = self.faults.delay_ns;
        self.random.between(low, high)
    }

    fn send(&mut self, driver: usize, tag: u32, call: Call, now: Nanos) {
        let arrives_at = now.plus(self.draw_delay());
        let fate = self.draw_fate();
        self.n_calls += 1;
        let request = Pending { driver, tag, call, fate, sent_at: now };
        self.requests.insert((arrives_at, self.n_calls), request);
    }

    fn answer(&mut self, request: Pending, status: u16, body: Vec<u8>, now: Nanos) {
        let answered =
            |status, body| ReturnedOutcome::Answered { status, body, retry_after_s: None };
        let lost_at = request.sent_at.plus(self.faults.timeout_ns);
        let (outcome, at) = match request.fate {
            Fate::Well => (answered(status, body), now.plus(self.draw_delay())),
            Fate::FailedBefore | Fate::FailedAfter => {
                (answered(503, b"maintenance".to_vec()), now.plus(self.draw_delay()))
            }
            Fate::LostBefore | Fate::LostAfter => (ReturnedOutcome::Lost, lost_at),
        };
        let (outcome, at) =
            if at > lost_at { (ReturnedOutcome::Lost, lost_at) } else { (outcome, at) };
        let id = request.call.id;
        self.come_back(request.driver, request.tag, id, outcome, (request.sent_at, at));
    }

    fn come_back(
        &mut self,
        driver: usize,
        tag: u32,
        id: CallId,
        outcome: ReturnedOutcome,
        (sent_at, received_at): (Nanos, Nanos),
    ) {
        self.n_calls += 1;
        let returned = Returned { id, outcome, usage: Vec::new(), sent_at, received_at };
        self.answers.insert((received_at, self.n_calls), (driver, tag, returned));
    }
}

/// A client of a [`MemoryCallNet`].
#[derive(Debug)]
pub struct MemoryCalls {
    net: MemoryCallNet,
    number: usize,
    budget: Budget,
    /// Queries that wait for the budget.
    waiting: VecDeque<(u32, Call)>,
}

impl MemoryCalls {
    /// Sends a call if the budget allows it; gives it back if it has to wait.
    fn try_send(&self, tag: u32, call: Call, now: Nanos) -> Option<(u32, Call)> {
        let is_urgent = matches!(call.cost.priority, Priority::Cancel | Priority::Order);
        let mut net = self.net.lock();
        let ppm = net.faults.not_sent_ppm;
        let is_lost = net.random.chance(ppm);
        net.counts.n_not_sent += u64::from(is_lost);
        let is_over = call.expires_at <= now || is_lost;
        if !is_over {
            match self.budget.take_call(&call, now) {
                Ok(()) => {
                    net.send(self.number, tag, call, now);
                    return None;
                }
                Err(refusal) if !is_urgent && refusal.until < Nanos(i64::MAX) => {
                    return Some((tag, call));
                }
                Err(_) => {}
            }
        }
        let outcome = ReturnedOutcome::NotSent { why: "no budget, or too late".to_owned() };
        net.come_back(self.number, tag, call.id, outcome, (now, now));
        None
    }
}

impl CallDriver for MemoryCalls {
    fn submit(&mut self, tag: u32, call: Call, now: Nanos) {
        let back = self.try_send(tag, call, now);
        self.waiting.extend(back);
    }

    fn poll(&mut self, now: Nanos, answered: &mut dyn FnMut(u32, &Returned)) -> usize {
        for _ in 0..self.waiting.len() {
            let Some((tag, call)) = self.waiting.pop_front() else { break };
            let back = self.try_send(tag, call, now);
            self.waiting.extend(back);
        }
        let mut n = 0;
        loop {
            let mut net = self.net.lock();
            let own = net
                .answers
                .range(..=(now, u64::MAX))
                .find(|(_, (driver, ..))| *driver == self.number)
                .map(|(key, _)| *key);
            let Some((_, tag, returned)) = own.and_then(|key| net.answers.remove(&key)) else {
                return n;
            };
            drop(net);
            answered(tag, &returned);
            n += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Cost, Method};

    fn call(id: u64) -> Call {
        Call {
            id: CallId(id),
            method: Method::Get,
            url: "http://venue/time".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            cost: Cost { weight: 1, orders: 0, priority: Priority::Query },
            expires_at: Nanos(i64::MAX),
        }
    }

    #[test]
    fn every_call_is_answered_once_and_what_is_lost_may_have_been_done() {
        let net = MemoryCallNet::new(5, CallFaults::STORM);
        let mut calls = net.driver(Budget::unlimited());
        let mut done = Vec::new();
        let mut answers = BTreeMap::new();
        for step in 0..4_000_u64 {
            let now = Nanos(i64::try_from(step).unwrap() * 10_000_000);
            if step < 2_000 {
                calls.submit(3, call(step), now);
            }
            net.serve(now, |call| {
                done.push(call.id.0);
                (200, b"done".to_vec())
            });
            calls.poll(now, &mut |tag, returned| {
                assert_eq!(tag, 3);
                assert!(answers.insert(returned.id.0, returned.outcome.clone()).is_none());
            });
        }
        assert_eq!(answers.len(), 2_000);
        let count = |is: fn(&ReturnedOutcome) -> bool, was_done: bool| {
            answers.iter().filter(|(id, own)| is(own) && done.contains(id) == was_done).count()
        };
        let is_lost = |own: &ReturnedOutcome| *own == ReturnedOutcome::Lost;
        let is_well =
            |own: &ReturnedOutcome| matches!(own, ReturnedOutcome::Answered { status: 200, .. });
        assert!(count(is_lost, true) > 10 && count(is_lost, false) > 10);
        assert_eq!(count(|own| matches!(own, ReturnedOutcome::NotSent { .. }), true), 0);
        assert_eq!(count(is_well, false), 0);
        assert!(count(is_well, true) > 1_500);
    }
}
