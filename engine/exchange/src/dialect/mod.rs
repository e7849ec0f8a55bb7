//! Venues' ways of speaking to one kind of exchange.
//!
//! A dialect owns the exchanges behind it, the connections of its clients, keys, limits and
//! streams. It gets bytes and time, and gives bytes: no socket, no clock.

pub mod binance;

use std::sync::Arc;

use serde_json::Value;
use tercel_core::Nanos;

use crate::exchange::Exchange;
use crate::http::{Request, Response};

/// A WebSocket connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// What a frame carries, so that faults can be limited to what flows by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// An answer to what the client sent.
    Answer,
    /// Public market data.
    Market,
    /// An account's own events.
    User,
    /// Pings and closings.
    Control,
}

/// What goes out on a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// A text message.
    Text(Arc<str>),
    /// A ping, to be answered by a pong with the same bytes.
    Ping(Vec<u8>),
    /// The end, with a code of RFC 6455.
    Close(u16),
}

/// One frame for one connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Where it goes.
    pub conn: ConnId,
    /// What kind it is.
    pub channel: Channel,
    /// What it says.
    pub payload: Payload,
}

/// A venue's protocol over one or more exchanges.
///
/// All times are the exchange's. Calls never block and never fail: what a client does wrong is
/// answered in the venue's words.
pub trait Dialect: Send {
    /// Answers a request.
    fn http(&mut self, now: Nanos, request: &Request) -> Response;

    /// Takes a WebSocket connection, or refuses it with an answer.
    ///
    /// # Errors
    ///
    /// If the path is not one of the venue's, or too many connections are open.
    fn open(&mut self, now: Nanos, conn: ConnId, request: &Request) -> Result<(), Response>;

    /// Takes a text message.
    fn text(&mut self, now: Nanos, conn: ConnId, text: &str);

    /// Takes a pong.
    fn pong(&mut self, now: Nanos, conn: ConnId);

    /// Forgets a connection that is gone.
    fn closed(&mut self, conn: ConnId);

    /// Lets time pass.
    fn advance(&mut self, now: Nanos);

    /// Moves the frames that are to go out to `into`.
    fn drain(&mut self, into: &mut Vec<Frame>);

    /// Returns whether a connection carries requests.
    fn is_request_channel(&self, conn: ConnId) -> bool;

    /// Returns the answer to a request on a connection that fails with an HTTP-like status.
    fn failure(&self, text: &str, status: u16) -> String;

    /// Returns the body of an HTTP answer that fails with a status.
    fn failure_body(&self, status: u16) -> String;

    /// Makes the venue's clock wrong by so many milliseconds.
    fn set_clock_skew(&mut self, skew_ms: i64);

    /// Tells all clients that the venue is about to close.
    fn say_farewell(&mut self, now: Nanos);

    /// Skips numbers in the sequences of all books, as if updates had been lost on the way.
    fn skip_updates(&mut self, n: u64);

    /// Changes settings by control: pings, lifetimes, limits.
    ///
    /// # Errors
    ///
    /// If a setting is unknown or its value out of range.
    fn configure(&mut self, settings: &Value) -> Result<(), String>;

    /// Returns the exchanges with their names.
    fn exchanges(&mut self) -> Vec<(&'static str, &mut Exchange)>;

    /// Returns the name of an account in one of the exchanges: its key.
    fn account_name(&self, exchange: &str, account: crate::ids::AccountId) -> Option<String>;

    /// Returns the addresses that clients connect to, for a server at `host:port`.
    fn addresses(&self, authority: &str) -> Value;

    /// Returns all connections.
    fn connections(&self) -> Vec<(ConnId, &'static str)>;
}
