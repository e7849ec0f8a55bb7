//! What makes up a venue: its addresses, its connections, its words.

use tercel_core::{InstrumentId, Nanos};

use crate::capabilities::Capabilities;
use crate::credentials::{AccountSetup, KeyError};
use crate::gateway::ReplaceStyle;
use crate::limits::{Limit, Usage};
use crate::listing::Listing;
use crate::protocol::{Call, CallId, DecodeError, Protocol};
use crate::reference::{Aggregate, Candle, CandleQuery, Listed, TradesQuery};

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
    /// The best levels of the book, at least so many where the venue has it, whole each time.
    Top(u8),
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
    /// `None` while the protocol has still to fetch one by a call, which
    /// [`Protocol::on_timer`] asks for: it is called before the connection is open, too.
    pub address: Box<dyn Fn() -> Option<String> + Send>,
    /// What is said on it.
    pub protocol: Box<dyn Protocol>,
    /// What the venue asks of who holds it.
    pub manners: Manners,
}

/// What a venue asks of who holds a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Manners {
    /// Messages that may be sent in a second.
    pub messages_per_s: u32,
    /// Age in seconds at which it is better opened anew: the venue cuts it some time later.
    pub max_age_s: u32,
    /// Silence in seconds, pings of the venue included, after which it is dead.
    pub silence_s: u32,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// A venue, or one of its products. One value serves all accounts and connections.
///
/// The calls that it makes are for whoever holds a REST connection; their answers' bodies come
/// back to the `parse_*` beside them.
pub trait Venue: Send + Sync {
    /// Returns the venue's name in lower case, such as `binance`.
    fn name(&self) -> &'static str;

    /// Returns what the venue can do.
    fn capabilities(&self) -> &Capabilities;

    /// Returns the budgets that the venue grants as far as is known beforehand; those that
    /// [`parse_instruments`](Self::parse_instruments) returns take their place.
    fn limits(&self) -> Vec<Limit>;

    /// Returns what a header of a REST answer says about a budget; `None` for other headers.
    fn usage(&self, header: &str, value: &str) -> Option<Usage>;

    /// Returns how a working order's price and quantity are changed here.
    fn replace_style(&self) -> ReplaceStyle {
        ReplaceStyle::CancelThenPlace
    }

    /// Returns the connections that carry these topics, as few as the venue's limits allow.
    fn market(&self, listing: &Listing, topics: &[Topic]) -> Vec<Connection>;

    /// Returns the connections of an account.
    ///
    /// # Errors
    ///
    /// If the account's key is none for this venue.
    fn account(&self, listing: &Listing, setup: &AccountSetup)
    -> Result<Vec<Connection>, KeyError>;

    /// Asks for the venue's time.
    fn server_time(&self, id: CallId) -> Call;

    /// Returns the venue's time when it answered.
    ///
    /// # Errors
    ///
    /// If the body is not an answer to that.
    fn parse_server_time(&self, body: &[u8]) -> Result<Nanos, DecodeError>;

    /// Asks for all instruments and limits.
    fn instruments(&self, id: CallId) -> Call;

    /// Returns what is listed.
    ///
    /// # Errors
    ///
    /// If the body is not an answer to that. Single instruments that cannot be understood are
    /// left out and counted.
    fn parse_instruments(&self, body: &[u8]) -> Result<Listed, DecodeError>;

    /// Asks for a page of candles.
    fn candles(&self, id: CallId, query: &CandleQuery<'_>) -> Call;

    /// Returns the candles of a page, oldest first.
    ///
    /// # Errors
    ///
    /// If the body is not an answer to that.
    fn parse_candles(&self, body: &[u8]) -> Result<Vec<Candle>, DecodeError>;

    /// Asks for a page of trades.
    fn trades(&self, id: CallId, query: &TradesQuery<'_>) -> Call;

    /// Returns the trades of a page, oldest first.
    ///
    /// # Errors
    ///
    /// If the body is not an answer to that.
    fn parse_trades(&self, body: &[u8]) -> Result<Vec<Aggregate>, DecodeError>;
}
