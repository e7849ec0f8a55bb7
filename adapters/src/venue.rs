//! What makes up a venue: its addresses, its connections, its words.

use tercel_core::InstrumentId;

use crate::capabilities::Capabilities;
use crate::protocol::Protocol;

/// Which of a venue's installations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Environment {
    /// Real money.
    Production,
    /// The venue's test network.
    Testnet,
    /// The venue's demo accounts on real market data.
    Demo,
    /// Addresses given one by one, as for an exchange in a box.
    Custom {
        /// Base of REST addresses, such as `http://127.0.0.1:9000`.
        rest: String,
        /// Base of market streams.
        streams: String,
        /// Address of private streams or of the WebSocket API.
        private: String,
    },
}

/// What is wanted of a market.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Topic {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Of it what.
    pub kind: TopicKind,
}

/// A kind of market data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TopicKind {
    /// The book: a snapshot and increments.
    Book,
    /// Trades.
    Trades,
    /// Best bid and ask.
    Quotes,
    /// Closed bars of this many minutes.
    Bars(u16),
    /// Mark price and funding of a perpetual.
    Mark,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// Market data, shared by all accounts.
    Market,
    /// One account's orders, and its private stream unless that has a connection of its own.
    Orders,
    /// One account's private stream.
    Private,
}

/// A connection that is to be held.
pub struct Connection {
    /// What it is for.
    pub purpose: Purpose,
    /// Where to. Asked again before each attempt, because listen keys are part of some addresses:
    /// `None` while the protocol has still to fetch one by a call.
    pub address: Box<dyn Fn() -> Option<String> + Send>,
    /// What is said on it.
    pub protocol: Box<dyn Protocol>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// A venue. One value serves all accounts and connections.
pub trait Venue: Send + Sync {
    /// Returns the venue's name in lower case, such as `binance`.
    fn name(&self) -> &'static str;

    /// Returns what the venue can do.
    fn capabilities(&self) -> &Capabilities;

    /// Returns the connections that carry these topics, as few as the venue's limits allow.
    fn market(&self, topics: &[Topic]) -> Vec<Connection>;
}
