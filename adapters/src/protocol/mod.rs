//! A conversation with a venue, without I/O.

mod call;
mod news;
mod outbox;
mod request;

use tercel_core::Nanos;

pub use call::{Call, CallAnswer, CallId, CallOutcome, Cost, Method, Priority};
pub(crate) use news::is_dormant_number;
pub use news::{Answer, FillNews, Holding, News, OrderNews, OrderStatus, PositionNews, VenueText};
pub use outbox::{OutFrame, Outbox};
pub use request::{FillCursor, Request, RequestId, Tagged};

/// What arrived in one WebSocket message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// A text message.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> Frame<'a> {
    /// Returns the bytes.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// One connection's conversation: bytes in, events, news and bytes out.
///
/// A protocol keeps what the venue's rules need (sequence numbers, pending calls, login state) and
/// nothing else. It never blocks, never reads a clock and never fails for good: what cannot be
/// understood is an error that the driver counts, and what breaks the conversation asks the
/// [`Outbox`] for a new connection.
pub trait Protocol: Send {
    /// The connection is open: logs in and subscribes. Called again after every reconnect, when all
    /// that was known about the venue's state is to be forgotten.
    fn subscribe(&mut self, now: Nanos, out: &mut Outbox);

    /// Understands a message.
    ///
    /// # Errors
    ///
    /// If it is not what the venue is known to send. Nothing was changed by it then, unless a book
    /// can no longer be trusted for it, which the events tell.
    fn decode(
        &mut self,
        frame: Frame<'_>,
        received_at: Nanos,
        out: &mut Outbox,
    ) -> Result<(), DecodeError>;

    /// Puts a request into the venue's words: a frame on this connection, or a call over REST.
    ///
    /// # Errors
    ///
    /// If this conversation cannot carry it, or the venue has no words for it.
    fn encode(&mut self, request: &Tagged, now: Nanos, out: &mut Outbox)
    -> Result<(), EncodeError>;

    /// Nothing of what this request was put into has been sent, nor will be: it is answered by whoever
    /// asked, or asked for on another way, and not here.
    fn unsent(&mut self, request: RequestId);

    /// Takes the answer to a [`Call`] that this protocol asked for.
    fn answer(&mut self, answer: &CallAnswer<'_>, received_at: Nanos, out: &mut Outbox);

    /// Does what time asks for: pings, renewals, questions that were not answered. Returns when it
    /// is to be called next at the latest; [`Nanos`] of `i64::MAX` for never.
    fn on_timer(&mut self, now: Nanos, out: &mut Outbox) -> Nanos;

    /// The connection is gone. Books behind it are told stale here.
    fn disconnected(&mut self, now: Nanos, out: &mut Outbox);

    /// Fetches a new snapshot of a book, where this connection carries one.
    fn resync(&mut self, instrument: tercel_core::InstrumentId, now: Nanos, out: &mut Outbox);
}

/// A message that could not be understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not protobuf, where that was expected.
    #[error("byte {at}: {what}")]
    Syntax {
        /// Where.
        at: usize,
        /// What was expected.
        what: &'static str,
    },
    /// A message of a kind that is not known: counted, else ignored.
    #[error("unknown message")]
    UnknownMessage,
    /// A field that is needed is not there or has an impossible value.
    #[error("field `{0}` is missing or has an impossible value")]
    Field(&'static str),
    /// A price or quantity is not on the instrument's grid.
    #[error("{field} {value} is not on the grid of {symbol}")]
    OffGrid {
        /// Which field.
        field: &'static str,
        /// Its text.
        value: VenueText,
        /// The instrument.
        symbol: VenueText,
    },
    /// The symbol is not one that was asked for.
    #[error("unknown symbol {0}")]
    UnknownSymbol(VenueText),
}

/// A request that could not be put into words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// This connection carries no requests, or is not ready to.
    #[error("the connection does not take orders now")]
    NotReady,
    /// The venue has no such thing.
    #[error("the venue has no {0}")]
    Unsupported(&'static str),
}
