//! The conversation of an account over the WebSocket API: orders, and on spot its events, too.

use tercel_core::{InstrumentId, Nanos};

use super::desk::{Desk, Way};
use super::errors;
use super::hosts::Product;
use super::signed::Proof;
use super::user::{self, Told};
use crate::document::{Fields, Value};
use crate::error::{Reaction, VenueError};
use crate::protocol::{
    CallAnswer, Cost, DecodeError, EncodeError, Frame, News, Outbox, Priority, Protocol, RequestId,
    Tagged,
};

/// A login or subscription that is not answered by then is taken for lost.
const ANSWER_WITHIN_NS: i64 = 10 * Nanos::SECOND;
/// What a login is known by.
const LOGON: &str = "logon";
/// What a subscription is known by.
const SUBSCRIBE: &str = "events";

/// One account's connection to the WebSocket API.
#[derive(Debug)]
pub(crate) struct Account {
    desk: Desk,
    /// Whether orders go over REST although they could go here.
    by_rest: bool,
    state: State,
    /// When an answer to a login or subscription is late.
    late_at: Option<Nanos>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed,
    /// The connection is open; a session is asked for with keys that can have one.
    LoggingOn,
    /// Requests are taken; events are not subscribed to yet.
    Open,
    /// Events come.
    Online,
}

impl Account {
    pub(crate) const fn new(desk: Desk, by_rest: bool) -> Self {
        Self { desk, by_rest, state: State::Closed, late_at: None }
    }

    const fn has_events(&self) -> bool {
        matches!(self.desk.product, Product::Spot)
    }

    /// Returns which way requests go now.
    const fn way(&self) -> Way {
        match self.state {
            State::Open | State::Online if !self.by_rest => Way::Frames(self.proof()),
            // Rather a slower way than none: a cancel must not wait for a connection.
            _ => Way::Calls,
        }
    }

    const fn proof(&self) -> Proof {
        if self.desk.signed.opens_sessions() { Proof::Session } else { Proof::Signature }
    }

    fn opened(&mut self, now: Nanos, out: &mut Outbox) {
        self.state = State::Open;
        self.late_at = None;
        if self.has_events() {
            self.subscribe_to_events(now, out);
        }
    }

    fn subscribe_to_events(&mut self, now: Nanos, out: &mut Outbox) {
        let (method, proof) = if self.desk.signed.opens_sessions() {
            ("userDataStream.subscribe", Proof::None)
        } else {
            ("userDataStream.subscribe.signature", Proof::Signature)
        };
        self.desk.say_apart(SUBSCRIBE, method, cost(2), proof, now, out);
        self.late_at = Some(now.plus(ANSWER_WITHIN_NS));
    }
}

const fn cost(weight: u32) -> Cost {
    Cost { weight, orders: 0, priority: Priority::Cancel }
}

/// What came that is no answer to a request.
enum Other {
    Logon(Result<(), VenueError>),
    Subscribed(Result<(), VenueError>),
    Event(Told),
    Shutdown,
    Unknown,
}

impl Protocol for Account {
    fn subscribe(&mut self, now: Nanos, out: &mut Outbox) {
        if self.desk.signed.opens_sessions() {
            self.state = State::LoggingOn;
            self.desk.say_apart(LOGON, "session.logon", cost(2), Proof::Signature, now, out);
            self.late_at = Some(now.plus(ANSWER_WITHIN_NS));
        } else {
            self.opened(now, out);
        }
    }

    fn decode(
        &mut self,
        frame: Frame<'_>,
        received_at: Nanos,
        out: &mut Outbox,
    ) -> Result<(), DecodeError> {
        let (way, product) = (self.way(), self.desk.product);
        let other = self.desk.take_frame(
            frame.bytes(),
            way,
            received_at,
            out,
            |directory, value, news| {
                if let Some(id) = value.text("id") {
                    let outcome = outcome(product, value);
                    return match id {
                        LOGON => Other::Logon(outcome),
                        SUBSCRIBE => Other::Subscribed(outcome),
                        _ => Other::Unknown,
                    };
                }
                let event = value.field("event").unwrap_or(value);
                if event.text("e") == Some("serverShutdown") {
                    return Other::Shutdown;
                }
                Other::Event(user::tell(directory, event, news))
            },
        )?;
        let Some(other) = other else { return Ok(()) };
        match other {
            Other::Logon(Ok(())) => self.opened(received_at, out),
            Other::Logon(Err(error)) => refused(error, "the login was refused", out),
            Other::Subscribed(Ok(())) => {
                self.state = State::Online;
                self.late_at = None;
                out.news.push(News::Online);
            }
            Other::Subscribed(Err(error)) => {
                refused(error, "the subscription to the account was refused", out);
            }
            Other::Event(Told::Ended) if self.state == State::Online => {
                self.state = State::Open;
                out.news.push(News::Offline);
                self.subscribe_to_events(received_at, out);
            }
            Other::Event(Told::Done | Told::Ended | Told::KeyExpired) => {}
            Other::Event(Told::Unknown) | Other::Unknown => {
                return Err(DecodeError::UnknownMessage);
            }
            Other::Shutdown => out.reconnect = Some("the venue shuts this server down"),
        }
        Ok(())
    }

    fn encode(
        &mut self,
        request: &Tagged,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), EncodeError> {
        self.desk.encode(request, self.way(), now, out)
    }

    fn unsent(&mut self, request: RequestId) {
        self.desk.forget(request);
    }

    fn answer(&mut self, answer: &CallAnswer<'_>, received_at: Nanos, out: &mut Outbox) {
        let way = self.way();
        self.desk.take_call(answer, way, received_at, out);
    }

    fn on_timer(&mut self, now: Nanos, out: &mut Outbox) -> Nanos {
        let mut next = self.desk.on_timer(now, out);
        if let Some(late_at) = self.late_at {
            if late_at <= now {
                self.late_at = None;
                out.reconnect = Some("the login was not answered");
            } else {
                next = next.min(late_at);
            }
        }
        next
    }

    fn disconnected(&mut self, _now: Nanos, out: &mut Outbox) {
        if self.state == State::Online {
            out.news.push(News::Offline);
        }
        self.state = State::Closed;
        self.late_at = None;
        self.desk.disconnected(out);
    }

    fn resync(&mut self, _instrument: InstrumentId, _now: Nanos, _out: &mut Outbox) {}
}

/// Returns whether a login or subscription was accepted.
fn outcome(product: Product, answer: Value<'_, '_>) -> Result<(), VenueError> {
    let status = answer.integer("status").and_then(|status| u16::try_from(status).ok());
    match (status, answer.field("error")) {
        (Some(200), _) => Ok(()),
        (status, Some(error)) => Err(errors::of_frame(product, status.unwrap_or(0), error)),
        (status, None) => Err(errors::refusal(product, status.unwrap_or(0), 0, "", None)),
    }
}

/// Gives the connection up, for long if the refusal is of who we are.
fn refused(error: VenueError, why: &'static str, out: &mut Outbox) {
    out.reconnect = Some(why);
    if error.kind.reaction() == Reaction::Alarm {
        out.is_refused = true;
        out.news.push(News::Refused(error));
    }
}

/// Returns the event in a message of a stream, which may be wrapped.
pub(crate) fn unwrapped<'t, 'i>(value: Value<'t, 'i>) -> Value<'t, 'i> {
    value.field("data").filter(|data| data.text("e").is_some()).unwrap_or(value)
}
