//! Everything between a [`Protocol`](crate::Protocol) and the wire.
//!
//! A [`Transport`] carries WebSocket messages: [`BusySocket`] on a socket that is polled over and
//! over, [`TokioSocket`] behind tokio, [`MemoryTransport`] in memory with faults. A [`Link`] keeps
//! one connection alive over any of them. A [`Limiter`] holds a venue's budgets; a
//! [`CallDriver`] carries calls over REST within them. A [`MarketDriver`] puts them together for
//! market data.

mod backoff;
mod busy;
mod call_driver;
mod counters;
mod dial;
mod floor;
mod limiter;
mod link;
mod market_driver;
mod memory;
mod memory_calls;
mod offset;
mod pace;
mod quiet;
mod random;
mod rest;
mod shared;
mod tls;
mod tokio_socket;
mod transport;
mod window;

pub use backoff::Backoff;
pub use busy::BusySocket;
pub use call_driver::{CallDriver, Returned, ReturnedOutcome};
pub use counters::{LinkCounters, LinkCounts};
pub use floor::{Floor, FloorKind, measure_floor};
pub use limiter::{Budget, EndpointLimit, Limiter, LimiterCounts, Rebuke, Refusal, Shares};
pub use link::{Link, LinkOptions, Loss, RequestError};
pub use market_driver::{MarketDriver, MarketNotice, MarketSetup, ResyncHandle};
pub use memory::{FaultCounts, Faults, MemoryNet, MemoryPeer, MemoryTransport};
pub use memory_calls::{CallFaultCounts, CallFaults, MemoryCallNet, MemoryCalls};
pub use offset::OffsetMeter;
pub use rest::{Rest, RestClient, RestError, RestOptions, UsageOf};
pub use shared::{Listener, run_shared};
pub use tls::Tls;
pub use tokio_socket::TokioSocket;
pub use transport::{Arrival, CloseReason, NotSent, Transport, TransportState};
