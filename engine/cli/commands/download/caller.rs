//! Asking, with patience: limits are waited for, failures tried again.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use tercel_adapters::net::{CallDriver, RestClient, Returned, ReturnedOutcome};
use tercel_adapters::{CallId, Venue};
use tercel_runtime::{Clock, UtcClock};

use super::series::Question;
use crate::exit::{Failure, Outcome};
use crate::progress::StatusLine;
use crate::signals::Signals;
use crate::venue::{VenueAccess, refusal};

/// Failures in a row after which it is given up.
const FAILURES_MAX: u32 = 6;
/// How often it is looked for an answer.
const POLL: Duration = Duration::from_millis(2);

/// Makes one call after the other.
pub(super) struct Caller<'a> {
    access: &'a VenueAccess,
    client: RestClient,
    clock: UtcClock,
    signals: Signals,
    status: StatusLine,
    n_calls: u64,
    n_refused: u64,
}

impl<'a> Caller<'a> {
    pub(super) fn new(access: &'a VenueAccess, signals: Signals, status: StatusLine) -> Self {
        let (client, clock) = (access.client(), UtcClock::system());
        Self { access, client, clock, signals, status, n_calls: 0, n_refused: 0 }
    }

    pub(super) fn venue(&self) -> &'a dyn Venue {
        &*self.access.venue
    }

    /// Returns how many calls were made.
    pub(super) const fn n_calls(&self) -> u64 {
        self.n_calls
    }

    /// Returns how many of them the venue refused because there were too many.
    pub(super) const fn n_refused(&self) -> u64 {
        self.n_refused
    }

    /// Takes the status line away.
    pub(super) fn end(&self) {
        self.status.end();
    }

    /// Asks for a page until it is there; `None` if somebody wants to stop. Where the venue says that
    /// there was too much, it is left alone for as long as it wants.
    pub(super) fn ask(
        &mut self,
        question: &Question,
        symbol: &str,
        progress: impl Fn() -> String,
    ) -> Outcome<Option<Vec<u8>>> {
        let mut n_failures = 0;
        loop {
            if self.signals.is_stopping() {
                return Ok(None);
            }
            self.n_calls += 1;
            let call = question.call(self.venue(), symbol, CallId(self.n_calls));
            let now = self.clock.now();
            self.client.submit(0, call, now);
            let Some(answer) = self.wait(&progress) else { return Ok(None) };
            let status = match &answer.outcome {
                ReturnedOutcome::Answered { status: 200..=299, body, .. } => {
                    return Ok(Some(body.clone()));
                }
                ReturnedOutcome::Answered { status, .. } => Some(*status),
                ReturnedOutcome::NotSent { .. } | ReturnedOutcome::Lost => None,
            };
            match status {
                // The budget has noted it: the next call goes when it may.
                Some(429) => {
                    self.n_refused += 1;
                    continue;
                }
                Some(500..) | None if n_failures < FAILURES_MAX => {}
                _ => {
                    return Err(Failure::Machine(anyhow!(
                        "{}: {}: {}; the same command goes on where this one has stopped",
                        self.venue().name(),
                        symbol,
                        refusal(&answer)
                    )));
                }
            }
            n_failures += 1;
            let pause = Instant::now() + Duration::from_millis(250 << n_failures);
            while Instant::now() < pause && !self.signals.is_stopping() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Waits for the answer, which may be held back until a budget allows the call.
    fn wait(&mut self, progress: &impl Fn() -> String) -> Option<Returned> {
        loop {
            let mut found = None;
            let now = self.clock.now();
            self.client.poll(now, &mut |_, answer| found = Some(answer.clone()));
            if found.is_some() {
                return found;
            }
            if self.signals.is_stopping() {
                return None;
            }
            let silent_ns = self.access.limiter.silent_until().since(now);
            self.status.show(|| {
                if silent_ns > 0 {
                    let seconds = silent_ns / tercel_core::Nanos::SECOND + 1;
                    format!("{}; the venue wants {seconds} s of silence", progress())
                } else {
                    progress()
                }
            });
            std::thread::sleep(POLL);
        }
    }
}
