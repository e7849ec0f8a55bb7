//! An exchange in a box: matching, accounts and margin behind a real venue's protocol.
//!
//! Point a client at it and it trades as on the venue, for nothing. It exists so that whatever
//! speaks a venue's protocol can be tested against something that checks every byte, and goes
//! wrong on demand in every way in which venues do.
//!
//! # Layers
//!
//! ```text
//!  server (tokio, axum)      sockets, threads, the clock: the only ones in the crate
//!    └─ Site                 connections, faults, control calls
//!         └─ dialect         bytes in, bytes out: paths, signatures, JSON, streams, limits
//!              └─ Exchange   orders, books, money, margin; no words of any venue
//!                   └─ Crowd everybody else: a seeded or recorded market, played as orders
//! ```
//!
//! Everything below the server is a function of its inputs: time comes with each call, chance from
//! seeds, and two runs of equal calls give equal bytes. So a test needs no socket and no patience:
//!
//! ```
//! use tercel_core::Nanos;
//! use tercel_exchange::http::Request;
//! use tercel_exchange::{Setup, Site};
//!
//! let start = Nanos(1_780_000_020 * Nanos::SECOND);
//! let mut site: Site = Setup::new(start, 1).binance()?;
//! let conn = site.on_ws_open(start, &Request::new("GET", "/ws/btcusdt@trade")).unwrap();
//! let later = start.plus(60 * Nanos::SECOND);
//! site.advance(later);
//! let mut frames = Vec::new();
//! site.drain(later, &mut frames);
//! assert!(frames.iter().any(|frame| frame.conn == conn));
//!
//! let book = Request::new("GET", "/api/v3/depth?symbol=BTCUSDT&limit=5");
//! let answer = site.handle_http(later, &book).response().unwrap();
//! assert_eq!(answer.status, 200);
//! # Ok::<(), tercel_exchange::SetupError>(())
//! ```
//!
//! [`server::Server::start`] puts a [`Site`] on a socket; `tercel exchange` does that from the
//! command line and prints the addresses as one line of JSON.
//!
//! # Control
//!
//! Calls below `/control`, over HTTP or by [`Site::handle_http`]; bodies and answers are JSON.
//!
//! | call | what |
//! |---|---|
//! | `GET /control/books` | the truth: per exchange and key balances, positions, orders, conditional orders, fills; tops of books; fees |
//! | `GET`, `POST`, `DELETE /control/faults` | the switches as they are; changed; all off |
//! | `POST /control/disconnect` `{"only": "market"}` | cuts connections: `all`, `market`, `user`, `api` |
//! | `POST /control/gap` `{"n": 3}` | loses what books have not sent yet and skips sequence numbers |
//! | `POST /control/deposit` `{"exchange": "spot", "asset": "USDT", "amount": "5"}` | money from outside |
//! | `POST /control/market` `{"running": false}` | holds the crowd still, or lets it go on |
//! | `POST /control/trade` `{"exchange": "spot", "symbol", "side", "price", "quantity"}` | an order of the crowd |
//! | `POST /control/mark` `{"exchange": "usdm", "symbol", "price"}` | a mark price |
//! | `POST /control/settings` `{"ping_interval_ms": 1000}` | pings, pongs, lifetime, limits |
//!
//! The switches of `/control/faults`, all optional:
//!
//! ```json
//! {
//!   "streams": {"drop_ppm": 0, "duplicate_ppm": 0, "reorder_ppm": 0, "delay_ms": 0,
//!               "jitter_ms": 0, "stall": false, "only": "all"},
//!   "requests": [{"match": "POST /api/v3/order", "fate": "silence", "executes": true,
//!                 "count": 1, "ppm": 1000000, "status": 503, "retry_after": null}],
//!   "answer_delay_ms": 0, "clock_skew_ms": 0, "maintenance": false,
//!   "refuse_connections": false, "seed": 1
//! }
//! ```
//!
//! A rule of `requests` is about those whose `METHOD /path` contains `match`; on a WebSocket API
//! the method is `WS` and the path the method's name, such as `WS order.place`. Its `fate` is
//! `status` (an error answer), `silence` (no answer ever) or `break` (the connection ends); the
//! request was executed or not as `executes` says.
//!
//! # A dialect more
//!
//! A venue is one module that implements [`dialect::Dialect`] over one or more [`Exchange`]s; see
//! [`dialect::binance`]. It owns keys, limits and streams, turns requests into calls such as
//! [`Exchange::place`] and [`Update`]s into messages. Nothing here is shared with the adapters that
//! speak the same protocols from the other side, so that one misreading is not made twice.
//!
//! # What is simpler than on a real venue
//!
//! - Numbers have eight decimals; prices times quantities must not need more.
//! - One fee tier; no discount for paying in another asset, no rebates of counted orders.
//! - Margin has one bracket per symbol; one asset does not back another.
//! - A liquidation is one market order; what is missing the house pays.
//! - No pegged orders, order lists with `opo`, smart order routing, SBE or FIX; times are in
//!   milliseconds.
//! - The seeded market does not learn from accounts: it trades with them and fills up what they
//!   took after 300 ms, but its prices are its own.
#![forbid(unsafe_code)]

mod account;
mod book;
mod candles;
mod crowd;
pub mod dialect;
mod exchange;
mod faults;
mod fixed;
pub mod http;
mod ids;
mod listing;
mod order;
mod reject;
pub mod server;
mod setup;
mod site;
mod update;

pub use account::{Account, Balance, MarketSettings, Position};
pub use book::{Book, Resting};
pub use candles::{Candle, Candles, Interval};
pub use crowd::{Crowd, Flow};
pub use exchange::lists::{ListKind, ListState, OrderList};
pub use exchange::{
    CancelOnly, Conditional, ConditionalStatus, Exchange, MarginSummary, Market, NewConditional,
    PositionView, TriggerBy, millis,
};
pub use faults::{FaultCounts, Faults, RequestFate};
pub use fixed::{Fixed, FixedError};
pub use ids::{AccountId, ConditionalId, ListId, MarketId, OrderId};
pub use listing::{Listing, Product};
pub use order::{
    Execution, ExpiryReason, Fill, NewOrder, Order, OrderKind, OrderStatus, PositionSide,
    SelfTrade, TimeInForce, Trail,
};
pub use reject::Reject;
pub use setup::{Markets, Recording, Setup, SetupError};
pub use site::{Answer, Site};
pub use update::{Aggregate, PositionCause, Prevented, Report, Trade, Update};
