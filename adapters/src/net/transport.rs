//! What carries WebSocket messages, whatever it is made of.

use std::io::ErrorKind;
use std::task::Waker;

use tercel_core::Nanos;

use crate::protocol::Frame;

/// A client's end of one WebSocket connection. No call blocks.
///
/// A transport answers pings itself and tells of them, because they are signs of life. It is used
/// for one connection: a new one takes a new transport.
pub trait Transport {
    /// Begins to connect. The address is never repeated in a reason or a log: it may hold a key.
    fn connect(&mut self, address: &str, now: Nanos);

    /// Returns how things stand, as of the last poll.
    fn state(&self) -> &TransportState;

    /// Moves the connection on and hands at most `max` things that have arrived to `arrived`, each
    /// with the time at which it was read whole. Returns how many. With `max` of zero only
    /// connecting makes progress.
    fn poll(
        &mut self,
        max: usize,
        clock: &mut dyn FnMut() -> Nanos,
        arrived: &mut dyn FnMut(Arrival<'_>, Nanos),
    ) -> usize;

    /// Sends a text message, now or as soon as the connection takes it.
    ///
    /// # Errors
    ///
    /// If nothing of it was or will be sent. Without an error it may still be lost with the
    /// connection.
    fn send(&mut self, text: &[u8], now: Nanos) -> Result<(), NotSent>;

    /// Sends a ping, to hear whether anybody is there.
    ///
    /// # Errors
    ///
    /// If nothing of it was or will be sent.
    fn ping(&mut self, now: Nanos) -> Result<(), NotSent>;

    /// Says goodbye, as far as that is possible at once, and closes.
    fn close(&mut self, now: Nanos);

    /// Names who is to be woken when there is something to poll. Transports that are polled busily
    /// wake nobody.
    fn wake_with(&mut self, _waker: &Waker) {}
}

/// Something that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival<'a> {
    /// A message.
    Frame(Frame<'a>),
    /// A ping, which was answered.
    Ping,
    /// The answer to a ping.
    Pong,
}

/// How a connection stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransportState {
    /// Not open yet.
    Connecting,
    /// Messages go both ways.
    Open,
    /// Over.
    Closed(CloseReason),
}

/// Why a connection is over, or never came to be. Holds no address and nothing that was sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CloseReason {
    /// Nobody has asked for it yet.
    #[error("not connected yet")]
    NotConnected,
    /// This side wanted so.
    #[error("closed by this side")]
    Asked,
    /// The venue said goodbye.
    #[error("closed by the venue (code {})", .0.map_or_else(|| "none".to_owned(), |code| code.to_string()))]
    ByVenue(Option<u16>),
    /// The system says so.
    #[error("connection failed: {0}")]
    Io(ErrorKind),
    /// Not an address of a WebSocket.
    #[error("the address is not of the form ws://host or wss://host")]
    Address,
    /// The host's name has no address.
    #[error("the host's name cannot be resolved")]
    UnknownHost,
    /// No secure connection could be agreed on.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server answered with this HTTP status instead of a WebSocket.
    #[error("HTTP status {0} instead of a WebSocket")]
    Status(u16),
    /// What arrived is not what a WebSocket may send.
    #[error("the WebSocket protocol was violated")]
    Protocol,
    /// A message is longer than is accepted.
    #[error("a message is too long")]
    TooLong,
    /// The venue does not take what is sent.
    #[error("the venue does not read what is sent")]
    Stuck,
}

/// Nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotSent {
    /// The connection is not open.
    #[error("the connection is not open")]
    NotOpen,
    /// Too much waits for being sent already.
    #[error("the venue does not read what is sent")]
    Full,
    /// The message is not text.
    #[error("the message is not UTF-8")]
    NotText,
}
