//! What carries calls over REST, whatever it is made of.

use std::task::Waker;

use tercel_core::Nanos;

use crate::limits::Usage;
use crate::protocol::{Call, CallAnswer, CallId, CallOutcome};

/// Carries calls and brings their answers. No call blocks.
///
/// Every call that is submitted is answered exactly once: orders and cancels that the budget does
/// not allow come back unsent with the next poll, everything else waits for its turn until it has
/// expired.
pub trait CallDriver {
    /// Takes over a call. `tag` comes back with the answer, for callers that keep apart several
    /// protocols, whose own numbers may be the same.
    fn submit(&mut self, tag: u32, call: Call, now: Nanos);

    /// Hands over the answers that have arrived; returns how many.
    fn poll(&mut self, now: Nanos, answered: &mut dyn FnMut(u32, &Returned)) -> usize;

    /// Names who is to be woken when there is something to poll. Drivers that are polled busily
    /// wake nobody.
    fn wake_with(&mut self, _waker: &Waker) {}
}

/// The answer to a call, owned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Returned {
    /// Which call.
    pub id: CallId,
    /// What came back.
    pub outcome: ReturnedOutcome,
    /// What the venue said about its budgets.
    pub usage: Vec<Usage>,
    /// When it was sent; when it was given up, if it was not.
    pub sent_at: Nanos,
    /// When the answer was there.
    pub received_at: Nanos,
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq)]
pub enum ReturnedOutcome {
    /// The venue answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body.
        body: Vec<u8>,
        /// Seconds after which to try again, where the venue said so.
        retry_after_s: Option<u32>,
    },
    /// It was surely never sent.
    NotSent {
        /// Why: may name the host, and nothing else of the address.
        why: String,
    },
    /// It may have been sent, and whether the venue acted on it is not known.
    Lost,
}

impl std::fmt::Debug for ReturnedOutcome {
    /// Leaves out the body: listen keys come in one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered { status, body, retry_after_s } => f
                .debug_struct("Answered")
                .field("status", status)
                .field("body_bytes", &body.len())
                .field("retry_after_s", retry_after_s)
                .finish(),
            Self::NotSent { why } => f.debug_struct("NotSent").field("why", why).finish(),
            Self::Lost => f.write_str("Lost"),
        }
    }
}

impl Returned {
    /// Returns the answer to a call that was not sent, for this reason.
    #[must_use]
    pub fn not_sent(id: CallId, why: &str, now: Nanos) -> Self {
        let outcome = ReturnedOutcome::NotSent { why: why.to_owned() };
        Self { id, outcome, usage: Vec::new(), sent_at: now, received_at: now }
    }

    /// Returns the answer as a protocol takes it.
    #[must_use]
    pub fn answer(&self) -> CallAnswer<'_> {
        let outcome = match &self.outcome {
            ReturnedOutcome::Answered { status, body, retry_after_s } => {
                CallOutcome::Answered { status: *status, body, retry_after_s: *retry_after_s }
            }
            ReturnedOutcome::NotSent { why } => CallOutcome::NotSent { why },
            ReturnedOutcome::Lost => CallOutcome::Lost,
        };
        CallAnswer { id: self.id, outcome }
    }

    /// Returns the body of an answer that went well.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        match &self.outcome {
            ReturnedOutcome::Answered { status: 200..=299, body, .. } => Some(body),
            _ => None,
        }
    }
}
