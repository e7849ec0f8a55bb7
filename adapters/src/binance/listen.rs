//! The private stream of a futures account, which is reached by a listen key.
//!
//! A key lives for an hour and is kept alive by calls. It is part of the stream's address, so it
//! is fetched before each attempt to connect; requests of the account go over REST meanwhile.

use std::sync::{Arc, Mutex};

use tercel_core::{InstrumentId, Nanos};

use super::account::unwrapped;
use super::desk::{Desk, Way};
use super::errors;
use super::operation::usdm;
use super::user::{self, Told};
use crate::document::{Document, Fields};
use crate::error::{Reaction, VenueError};
use crate::protocol::{
    CallAnswer, CallId, CallOutcome, DecodeError, EncodeError, Frame, News, Outbox, Protocol,
    RequestId, Tagged,
};

/// How often the key is kept alive: it lives twice as long.
const KEEP_EVERY_NS: i64 = 30 * Nanos::MINUTE;
/// Pause after a call for the key that failed, doubled each time.
const FIRST_RETRY_NS: i64 = Nanos::SECOND;
/// The longest pause, unless the venue refuses the account.
const LAST_RETRY_NS: i64 = Nanos::MINUTE;
/// Pause after a call that was refused because of who we are: only a person can mend that.
const REFUSED_NS: i64 = 15 * Nanos::MINUTE;

/// The venue's word for a listen key that is not, or not any more.
const NO_SUCH_KEY: &str = "-1125";

/// A listen key, shared with whoever makes the stream's address of it.
pub(crate) type SharedKey = Arc<Mutex<Option<String>>>;

/// One account's private stream.
#[derive(Debug)]
pub(crate) struct PrivateStream {
    desk: Desk,
    key: SharedKey,
    is_online: bool,
    /// The call for a key, or for its life.
    call: Option<CallId>,
    /// When to make the next one.
    due_at: Nanos,
    pause_ns: i64,
}

impl PrivateStream {
    pub(crate) const fn new(desk: Desk, key: SharedKey) -> Self {
        Self {
            desk,
            key,
            is_online: false,
            call: None,
            due_at: Nanos(i64::MIN),
            pause_ns: FIRST_RETRY_NS,
        }
    }

    fn set_key(&self, key: Option<String>) {
        // Whoever holds it only clones it, so it is never left poisoned.
        if let Ok(mut own) = self.key.lock() {
            *own = key;
        }
    }

    fn has_key(&self) -> bool {
        self.key.lock().is_ok_and(|key| key.is_some())
    }

    fn failed(&mut self, retry_after_s: Option<u32>, now: Nanos) {
        let asked_ns = i64::from(retry_after_s.unwrap_or(0)) * Nanos::SECOND;
        self.due_at = now.plus(self.pause_ns.max(asked_ns));
        self.pause_ns = (self.pause_ns * 2).min(LAST_RETRY_NS);
    }

    /// A call for a key, or for its life, was refused.
    fn refused(&mut self, error: VenueError, now: Nanos, out: &mut Outbox) {
        let is_alarm = error.kind.reaction() == Reaction::Alarm;
        if !self.is_online {
            if is_alarm {
                self.pause_ns = REFUSED_NS;
            }
            self.failed(error.retry_after_s, now);
            out.news.extend(is_alarm.then_some(News::Refused(error)));
        } else if is_alarm || error.code.as_str() == NO_SUCH_KEY {
            // Refused to live on: only a new key helps.
            self.set_key(None);
            out.reconnect = Some("the listen key was refused");
            self.failed(None, now);
        } else {
            // The venue is busy. The key lives on meanwhile, and with it a healthy stream.
            self.failed(error.retry_after_s, now);
        }
    }
}

impl Protocol for PrivateStream {
    fn subscribe(&mut self, now: Nanos, out: &mut Outbox) {
        // The address is the subscription.
        self.is_online = true;
        self.due_at = now.plus(KEEP_EVERY_NS);
        out.news.push(News::Online);
    }

    fn decode(
        &mut self,
        frame: Frame<'_>,
        received_at: Nanos,
        out: &mut Outbox,
    ) -> Result<(), DecodeError> {
        let told = self.desk.take_frame(
            frame.bytes(),
            Way::Calls,
            received_at,
            out,
            |directory, value, news| user::tell(directory, unwrapped(value), news),
        )?;
        match told {
            Some(Told::KeyExpired | Told::Ended) => {
                self.set_key(None);
                out.reconnect = Some("the listen key has expired");
                Ok(())
            }
            Some(Told::Unknown) => Err(DecodeError::UnknownMessage),
            Some(Told::Done) | None => Ok(()),
        }
    }

    fn encode(
        &mut self,
        request: &Tagged,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), EncodeError> {
        self.desk.encode(request, Way::Calls, now, out)
    }

    fn unsent(&mut self, request: RequestId) {
        self.desk.forget(request);
    }

    fn answer(&mut self, answer: &CallAnswer<'_>, received_at: Nanos, out: &mut Outbox) {
        let Some(outcome) = self.desk.take_call(answer, Way::Calls, received_at, out) else {
            return;
        };
        if self.call != Some(answer.id) {
            return;
        }
        self.call = None;
        let body = match outcome {
            CallOutcome::Answered { status: 200, body, .. } => body,
            CallOutcome::Answered { status, body, retry_after_s } => {
                let mut document = Document::new();
                let product = self.desk.product;
                let error = errors::of_answer(product, status, body, retry_after_s, &mut document);
                return self.refused(error, received_at, out);
            }
            CallOutcome::NotSent { .. } | CallOutcome::Lost => {
                return self.failed(None, received_at);
            }
        };
        self.pause_ns = FIRST_RETRY_NS;
        self.due_at = received_at.plus(KEEP_EVERY_NS);
        let told =
            self.desk.read(body, |value| value.text("listenKey").map(str::to_owned)).ok().flatten();
        match told {
            Some(key) => self.set_key(Some(key)),
            // Keeping alive need not repeat it.
            None if self.is_online => {}
            None => self.failed(None, received_at),
        }
    }

    fn on_timer(&mut self, now: Nanos, out: &mut Outbox) -> Nanos {
        let next = self.desk.on_timer(now, out);
        let is_wanted = self.is_online || !self.has_key();
        if self.call.is_none() && is_wanted && self.due_at <= now {
            let operation = if self.is_online { usdm::KEEP_STREAM } else { usdm::OPEN_STREAM };
            self.call = Some(self.desk.call_apart(&operation, now, out));
        }
        if self.call.is_some() || !is_wanted { next } else { next.min(self.due_at) }
    }

    fn disconnected(&mut self, now: Nanos, out: &mut Outbox) {
        if std::mem::replace(&mut self.is_online, false) {
            out.news.push(News::Offline);
        }
        // Asked for anew, the venue gives the same key with a whole hour to live.
        self.set_key(None);
        self.call = None;
        self.due_at = now;
        self.desk.disconnected(out);
    }

    fn resync(&mut self, _instrument: InstrumentId, _now: Nanos, _out: &mut Outbox) {}
}
