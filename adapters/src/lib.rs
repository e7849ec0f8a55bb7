//! Real venues: one module per venue over one [`Protocol`] without I/O, the connections that carry
//! it, and what is the same for all of them.
//!
//! The way of a message: a transport reads a frame and stamps it, a [`Protocol`] decodes it into an
//! [`Outbox`] (market events for the engine, [`News`] of orders for the gateway, frames and calls to
//! send), and the driver sends what is there. Nothing in a protocol has a socket or a clock, so the
//! same code runs behind a busy-polled socket, behind tokio, and in a test with a virtual clock.

mod account;
mod accounts;
pub mod binance;
mod book_sync;
mod capabilities;
mod client_id;
mod clock;
mod credentials;
mod digits;
mod document;
mod error;
mod gateway;
mod grid;
mod limits;
mod listing;
pub mod net;
mod normal;
mod percent;
mod protocol;
mod reference;
mod scan;
mod secrets;
mod sign;
mod symbols;
mod venue;

pub use account::AccountDriver;
pub use accounts::Accounts;
pub use book_sync::{BookSync, Change, Increment, SequenceRule, SnapshotAt, Step};
pub use capabilities::{Capabilities, Support};
pub use client_id::{ClientIds, OrderKey};
pub use clock::ClockOffset;
pub use credentials::{AccountSetup, Credentials, KeyError, OrderEntry};
pub use error::{ErrorKind, Reaction, VenueError};
pub use gateway::{
    CutOff, DifferencePolicy, ForeignPolicy, Gateway, GatewayNotice, GatewayOptions, GatewayOut,
    LostPolicy, OrphanPolicy, ReplaceStyle,
};
pub use grid::Grid;
pub use limits::{Limit, LimitKind, LimitScope, Usage};
pub use listing::Listing;
pub use protocol::{
    Answer, Call, CallAnswer, CallId, CallOutcome, Cost, DecodeError, EncodeError, FillCursor,
    FillNews, Frame, Holding, Method, News, OrderNews, OrderStatus, OutFrame, Outbox, PositionNews,
    Priority, Protocol, Request, RequestId, Tagged, VenueText,
};
pub use reference::{
    Aggregate, Candle, CandleQuery, Listed, ListedInstrument, TradesFrom, TradesQuery,
};
pub use secrets::{KeySource, SecretError};
pub use sign::{Digest, Encoding, Signer};
pub use venue::{Connection, Environment, Manners, Purpose, Topic, TopicKind, Venue};
