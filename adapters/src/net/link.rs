//! One connection's life: connect, subscribe, decode, renew, and begin again when it is lost.

mod line;
mod queue;
#[cfg(test)]
mod tests;
mod trouble;

use std::sync::Arc;
use std::task::Waker;

use tercel_core::{InstrumentId, Nanos};

use self::line::Line;
use self::queue::Queue;
use self::trouble::Trouble;
use super::backoff::Backoff;
use super::counters::LinkCounters;
use super::limiter::{Budget, Rebuke};
use super::random::Random;
use super::transport::{Arrival, CloseReason, Transport, TransportState};
use crate::protocol::{CallAnswer, CallOutcome, EncodeError, OutFrame, Outbox, Priority, Tagged};
use crate::venue::{Connection, Purpose};

/// How a link behaves beyond what the venue asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkOptions {
    /// Waits between attempts.
    pub backoff: Backoff,
    /// Nanoseconds after which an attempt to connect has failed.
    pub connect_ns: i64,
    /// Nanoseconds without a message, pings aside, after which the connection counts as dead: a
    /// venue may go on pinging while its streams stand still. `i64::MAX` for never.
    pub data_silence_ns: i64,
    /// Nanoseconds that a connection must have lasted for its loss to count as a first failure.
    pub stable_ns: i64,
    /// Messages handled in one poll at most.
    pub batch: usize,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            connect_ns: 10 * Nanos::SECOND,
            data_silence_ns: i64::MAX,
            stable_ns: 30 * Nanos::SECOND,
            batch: 64,
            seed: 0,
        }
    }
}

/// A request that did not go out. Nothing of it reached the venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// The protocol has no words for it, or not now.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The connection is not open.
    #[error("the connection is not open")]
    NotOpen,
    /// A budget is used up.
    #[error("the venue's budget is used up until {until}", until = .until.0)]
    NoBudget {
        /// When it is worth asking again.
        until: Nanos,
    },
}

/// Why a link has let go of a connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Loss {
    /// The connection is over.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// It took too long to connect.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// Not even a ping was heard.
    #[error("nothing was heard, not even a ping")]
    Silent,
    /// Pings were heard, but no messages.
    #[error("no messages were heard")]
    DataSilent,
    /// The protocol wanted a new one.
    #[error("{0}")]
    Wanted(&'static str),
    /// More messages wait to be sent than there is room for.
    #[error("too many messages wait to be sent")]
    Overflow,
    /// It was exchanged for a newer one, before the venue would have cut it.
    #[error("it is exchanged for a newer one")]
    Renewed,
    /// There was none, because the call that asks for its address came to nothing.
    #[error("asking for its address: {0}")]
    NoAddress(String),
}

/// A connection that is kept alive: what [`Connection`] says is to be held, over any transport.
///
/// Owns no clock and no thread: whoever polls it brings the time. It never sends a message twice
/// by itself: what had not been sent when a connection was lost is dropped, and the protocol says
/// anew what is to be said. Each `subscribe` is followed by one `disconnected`, so no book behind
/// it stays silently stale.
pub struct Link<T> {
    connection: Connection,
    options: LinkOptions,
    budget: Budget,
    dial: Box<dyn FnMut() -> T + Send>,
    random: Random,
    /// The connection that is spoken on, or will be once it is open.
    line: Option<Line<T>>,
    /// The one that will take its place.
    successor: Option<Line<T>>,
    /// Whether `subscribe` was called and `disconnected` was not yet.
    is_subscribed: bool,
    n_failures: u32,
    retry_at: Nanos,
    timer_at: Nanos,
    queue: Queue,
    counters: Arc<LinkCounters>,
    last_loss: Option<Loss>,
    trouble: Trouble,
    waker: Option<Waker>,
}

/// How soon a protocol is asked again after it was given something that may have set it a time.
const TIMER_LAG_NS: i64 = 50_000_000;

/// How long a link stays away whose login was refused. What is wrong is for a person to mend, at the venue
/// or here; only the former is found out by trying.
const REFUSED_NS: i64 = 15 * Nanos::MINUTE;

/// Silence before a connection with orders under way is exchanged for a newer one, and how long
/// such a silence is waited for.
const QUIET_NS: i64 = Nanos::SECOND;
const QUIET_WAIT_NS: i64 = 60 * Nanos::SECOND;

impl<T> std::fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("purpose", &self.connection.purpose)
            .field("is_subscribed", &self.is_subscribed)
            .field("n_failures", &self.n_failures)
            .field("last_loss", &self.last_loss)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> Link<T> {
    /// Returns a link that will connect with its first poll. `dial` makes the transports, one for
    /// each attempt.
    #[must_use]
    pub fn new(
        connection: Connection,
        options: LinkOptions,
        budget: Budget,
        dial: Box<dyn FnMut() -> T + Send>,
    ) -> Self {
        let queue = Queue::new(connection.manners.messages_per_s);
        Self {
            connection,
            options,
            budget,
            dial,
            random: Random::new(options.seed),
            line: None,
            successor: None,
            is_subscribed: false,
            n_failures: 0,
            retry_at: Nanos(i64::MIN),
            timer_at: Nanos(i64::MIN),
            queue,
            counters: Arc::default(),
            last_loss: None,
            trouble: Trouble::default(),
            waker: None,
        }
    }

    /// Returns what the connection is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.connection.purpose
    }

    /// Returns whether messages go both ways.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_subscribed
    }

    /// Returns the counts.
    #[must_use]
    pub const fn counters(&self) -> &Arc<LinkCounters> {
        &self.counters
    }

    /// Returns why the last connection was lost.
    #[must_use]
    pub const fn last_loss(&self) -> Option<&Loss> {
        self.last_loss.as_ref()
    }

    /// Returns why attempts fail one after the other, if that was not returned before: each reason
    /// once, until a connection has held.
    pub const fn take_trouble(&mut self) -> Option<Loss> {
        self.trouble.take()
    }

    /// Names who is to be woken when there is something to poll.
    pub fn wake_with(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_some_and(|own| own.will_wake(waker)) {
            return;
        }
        self.waker = Some(waker.clone());
        for line in self.line.iter_mut().chain(&mut self.successor) {
            line.transport.wake_with(waker);
        }
    }

    /// Returns when a poll is needed at the latest, if nothing arrives before.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        let manners = &self.connection.manners;
        let mut at = self.timer_at;
        match &self.line {
            None => at = at.min(self.retry_at),
            Some(line) => at = at.min(line.deadline(manners, &self.options)),
        }
        if let Some(line) = &self.successor {
            at = at.min(line.deadline(manners, &self.options));
        }
        if self.is_subscribed { at.min(self.queue.next_at()) } else { at }
    }

    /// Moves on with everything: connects, reads, decodes into `out`, sends, keeps times. Returns
    /// how many messages were handled. Never blocks.
    ///
    /// Frames of `out` are sent and gone afterwards; calls, events and news are the caller's.
    pub fn poll(&mut self, clock: &mut dyn FnMut() -> Nanos, out: &mut Outbox) -> usize {
        let n = self.read(clock, out);
        let now = clock();
        if self.timer_at <= now {
            self.timer_at = self.connection.protocol.on_timer(now, out);
        }
        self.look(clock, now, out);
        self.follow(now, out);
        n
    }

    /// Puts a request to the venue: frames are sent, calls are left in `out` for the caller.
    ///
    /// # Errors
    ///
    /// If nothing of it was sent, and nothing will be: the protocol has forgotten it.
    pub fn request(
        &mut self,
        request: &Tagged,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), RequestError> {
        let n_calls = out.calls.len();
        if let Err(error) = self.connection.protocol.encode(request, now, out) {
            return self.unsent(request, error.into(), out);
        }
        self.timer_at = self.timer_at.min(now.plus(TIMER_LAG_NS));
        // Calls go another way.
        let (mut n_sent, mut refusal) = (out.calls.len() - n_calls, None);
        for frame in out.frames() {
            match self.send(frame, now) {
                Ok(()) => n_sent += 1,
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(error) if n_sent == 0 => self.unsent(request, error, out),
            // What is missing of it is late some time, and its outcome unknown then.
            _ => {
                out.clear_frames();
                Ok(())
            }
        }
    }

    /// Sends a frame, or lets it wait where that may be.
    fn send(&mut self, frame: OutFrame<'_>, now: Nanos) -> Result<(), RequestError> {
        let line = self.line.as_mut().filter(|_| self.is_subscribed);
        let line = line.ok_or(RequestError::NotOpen)?;
        match frame.cost.priority {
            Priority::Cancel | Priority::Order => {
                self.queue.send_now(frame, line, &self.budget, now, &self.counters)
            }
            Priority::Query | Priority::Bulk if self.queue.push(frame) => Ok(()),
            Priority::Query | Priority::Bulk => {
                Err(RequestError::NoBudget { until: self.queue.next_at().max(now) })
            }
        }
    }

    fn unsent(
        &mut self,
        request: &Tagged,
        error: RequestError,
        out: &mut Outbox,
    ) -> Result<(), RequestError> {
        out.clear_frames();
        self.connection.protocol.unsent(request.id);
        self.counters.refused();
        Err(error)
    }

    /// Gives the protocol the answer to a call that it asked for.
    pub fn answer(&mut self, answer: &CallAnswer<'_>, received_at: Nanos, out: &mut Outbox) {
        if self.line.is_none() && (self.connection.address)().is_none() {
            self.unaddressed(&answer.outcome);
        }
        self.connection.protocol.answer(answer, received_at, out);
        self.timer_at = self.timer_at.min(received_at.plus(TIMER_LAG_NS));
        self.follow(received_at, out);
    }

    /// A call was answered while there is no address, which is one of those that ask for it.
    fn unaddressed(&mut self, outcome: &CallOutcome<'_>) {
        let why = match outcome {
            CallOutcome::Answered { status: 200..=299, .. } => return,
            CallOutcome::Answered { status, .. } => format!("HTTP status {status}"),
            CallOutcome::NotSent { why } => format!("not sent: {why}"),
            CallOutcome::Lost => "no answer".to_owned(),
        };
        let loss = Loss::NoAddress(why);
        self.trouble.failed(&loss);
        self.last_loss = Some(loss);
    }

    /// Fetches a new snapshot of a book, where this connection carries one.
    pub fn resync(&mut self, instrument: InstrumentId, now: Nanos, out: &mut Outbox) {
        if self.is_subscribed {
            self.connection.protocol.resync(instrument, now, out);
            self.timer_at = self.timer_at.min(now.plus(TIMER_LAG_NS));
            self.follow(now, out);
        }
    }

    /// Says goodbye and lets go of the connection. The next poll would open a new one.
    pub fn close(&mut self, now: Nanos, out: &mut Outbox) {
        for mut line in self.line.take().into_iter().chain(self.successor.take()) {
            line.transport.close(now);
        }
        self.last_loss = Some(Loss::Closed(CloseReason::Asked));
        self.unsubscribed(now, out);
    }

    /// Reads what has arrived and decodes it.
    fn read(&mut self, clock: &mut dyn FnMut() -> Nanos, out: &mut Outbox) -> usize {
        let Some(line) = &mut self.line else { return 0 };
        let max = if self.is_subscribed { self.options.batch } else { 0 };
        let (protocol, counters) = (&mut self.connection.protocol, &self.counters);
        let Line { transport, heard_at, data_at, .. } = line;
        let mut has_data = false;
        let n = transport.poll(max, clock, &mut |arrival, at| {
            *heard_at = at;
            let Arrival::Frame(frame) = arrival else { return counters.ping() };
            *data_at = at;
            has_data = true;
            counters.frame(frame.bytes().len());
            if let Err(error) = protocol.decode(frame, at, out) {
                counters.decode_error(&error);
            }
        });
        if has_data {
            self.timer_at = self.timer_at.min(line.data_at.plus(TIMER_LAG_NS));
        }
        n
    }

    /// Looks how the connections stand and does what follows.
    fn look(&mut self, clock: &mut dyn FnMut() -> Nanos, now: Nanos, out: &mut Outbox) {
        if let Some(successor) = &mut self.successor {
            successor.transport.poll(0, clock, &mut |_, _| {});
            self.look_at_successor(now, out);
        }
        let Some(line) = &mut self.line else { return self.connect(now, out) };
        match line.transport.state() {
            TransportState::Open if !self.is_subscribed => self.opened(now, out),
            TransportState::Open => self.look_at_silence(now, out),
            TransportState::Connecting if line.is_late(now, &self.options) => {
                self.lost(Loss::ConnectTimeout, now, out);
            }
            TransportState::Connecting => {}
            TransportState::Closed(reason) => {
                let reason = reason.clone();
                self.heed(&reason, now);
                self.lost(reason.into(), now, out);
            }
        }
    }

    fn connect(&mut self, now: Nanos, out: &mut Outbox) {
        if self.retry_at <= now {
            self.line = self.dial(now);
            // An address that has still to be fetched is a matter of moments.
            if self.line.is_none() {
                self.retry_at = self.retry_at.max(now.plus(TIMER_LAG_NS));
            }
        }
        out.clear_frames();
    }

    /// Begins an attempt, if the address is known and the budget allows it.
    fn dial(&mut self, now: Nanos) -> Option<Line<T>> {
        let address = (self.connection.address)()?;
        if let Err(refusal) = self.budget.take_connection(now) {
            self.retry_at = self.retry_at.max(refusal.until);
            return None;
        }
        let mut transport = (self.dial)();
        if let Some(waker) = &self.waker {
            transport.wake_with(waker);
            // Connecting makes its first step with the next poll.
            waker.wake_by_ref();
        }
        transport.connect(&address, now);
        Some(Line::new(transport, now))
    }

    fn opened(&mut self, now: Nanos, out: &mut Outbox) {
        let Some(line) = &mut self.line else { return };
        let max_age_s = i64::from(self.connection.manners.max_age_s);
        // Connections that were opened together are not renewed together.
        let max_age_ns = max_age_s * Nanos::SECOND;
        line.opened(now, max_age_ns - self.random.between(0, max_age_ns / 20));
        self.counters.connected();
        self.is_subscribed = true;
        self.queue.begin();
        self.connection.protocol.subscribe(now, out);
        self.timer_at = now;
    }

    fn look_at_silence(&mut self, now: Nanos, out: &mut Outbox) {
        let Some(line) = &mut self.line else { return };
        let silence_ns = i64::from(self.connection.manners.silence_s) * Nanos::SECOND;
        if silence_ns > 0 && line.heard_at.plus(silence_ns) <= now {
            return self.lost(Loss::Silent, now, out);
        }
        if line.data_at.plus(self.options.data_silence_ns) <= now {
            return self.lost(Loss::DataSilent, now, out);
        }
        if silence_ns > 0 && line.heard_at.max(line.pinged_at).plus(silence_ns / 2) <= now {
            line.pinged_at = now;
            // One that cannot be sent is found out by the silence that follows.
            let _ = line.transport.ping(now);
        }
        if line.renew_at <= now && self.successor.is_none() && self.retry_at <= now {
            self.successor = self.dial(now);
            if self.successor.is_none() {
                self.retry_at = self.retry_at.max(now.plus(Nanos::SECOND));
            }
        }
    }

    fn look_at_successor(&mut self, now: Nanos, out: &mut Outbox) {
        let Some(successor) = &mut self.successor else { return };
        match successor.transport.state() {
            TransportState::Connecting if !successor.is_late(now, &self.options) => {}
            TransportState::Connecting | TransportState::Closed(_) => {
                if let TransportState::Closed(reason) = successor.transport.state() {
                    let reason = reason.clone();
                    self.heed(&reason, now);
                }
                self.drop_successor(now);
                self.n_failures = self.n_failures.saturating_add(1);
                self.retry_at = now.plus(self.draw_wait());
            }
            TransportState::Open => {
                let is_waited_for = successor.begun_at.plus(QUIET_WAIT_NS) > now;
                let is_talking =
                    self.line.as_ref().is_some_and(|line| line.sent_at.plus(QUIET_NS) > now);
                // Answers that are under way on the old one would be lost with it.
                if self.connection.purpose != Purpose::Market && is_talking && is_waited_for {
                    return;
                }
                if let Some(mut old) = self.line.take() {
                    old.transport.close(now);
                    self.counters.renewed();
                }
                self.last_loss = Some(Loss::Renewed);
                self.unsubscribed(now, out);
                self.n_failures = 0;
                self.line = self.successor.take();
            }
        }
    }

    fn drop_successor(&mut self, now: Nanos) {
        if let Some(mut successor) = self.successor.take() {
            successor.transport.close(now);
        }
    }

    /// Tells the budget when a venue refuses connections because there were too many.
    fn heed(&self, reason: &CloseReason, now: Nanos) {
        match reason {
            // Some answer a flood with a 403 of their firewall.
            CloseReason::Status(429 | 403) => self.budget.rebuked(Rebuke::TooMany, None, now),
            CloseReason::Status(418) => self.budget.rebuked(Rebuke::Banned, None, now),
            _ => {}
        }
    }

    /// The connection is gone, or is let go.
    fn lost(&mut self, loss: Loss, now: Nanos, out: &mut Outbox) {
        let Some(mut line) = self.line.take() else { return };
        line.transport.close(now);
        let was_stable = line.opened_at.is_some_and(|at| at.plus(self.options.stable_ns) <= now);
        self.n_failures = if was_stable { 1 } else { self.n_failures.saturating_add(1) };
        if self.is_subscribed {
            self.counters.lost();
        }
        if was_stable {
            self.trouble.held();
        }
        self.trouble.failed(&loss);
        self.last_loss = Some(loss);
        self.unsubscribed(now, out);
        self.retry_at = now.plus(self.draw_wait());
        // One that is being opened already need not be waited for.
        self.line = self.successor.take();
    }

    /// Leaves the venue alone for a long while.
    fn stay_away(&mut self, now: Nanos) {
        for mut line in self.line.take().into_iter().chain(self.successor.take()) {
            line.transport.close(now);
        }
        self.retry_at = now.plus(REFUSED_NS);
    }

    fn draw_wait(&mut self) -> i64 {
        self.options.backoff.draw(self.n_failures, &mut self.random)
    }

    fn unsubscribed(&mut self, now: Nanos, out: &mut Outbox) {
        self.queue.clear();
        out.clear_frames();
        out.reconnect = None;
        if std::mem::take(&mut self.is_subscribed) {
            self.connection.protocol.disconnected(now, out);
            self.timer_at = now;
        }
        // There is no connection for what it may have said on leaving.
        out.clear_frames();
    }

    /// Sends what the protocol wants sent, and reconnects if it wants that.
    fn follow(&mut self, now: Nanos, out: &mut Outbox) {
        let is_refused = std::mem::take(&mut out.is_refused);
        if let Some(wish) = out.reconnect.take() {
            self.lost(Loss::Wanted(wish), now, out);
        }
        if is_refused {
            self.stay_away(now);
        }
        for usage in out.usage.drain(..) {
            self.budget.used(&usage, now);
        }
        let Some(line) = self.line.as_mut().filter(|_| self.is_subscribed) else {
            return out.clear_frames();
        };
        let mut is_full = false;
        for frame in out.frames() {
            is_full |= !self.queue.push(frame);
        }
        out.clear_frames();
        let is_stuck = !self.queue.send(line, &self.budget, now, &self.counters);
        if is_full {
            self.lost(Loss::Overflow, now, out);
        } else if is_stuck {
            self.lost(Loss::Closed(CloseReason::Stuck), now, out);
        }
    }
}
