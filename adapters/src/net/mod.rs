//! Everything between a [`Protocol`](crate::Protocol) and the wire.
//!
//! A [`Transport`] carries WebSocket messages: [`BusySocket`] on a socket that is polled over and
//! over, `TokioSocket` behind tokio, [`MemoryTransport`] in memory with faults. A [`Link`] keeps
//! one connection alive over any of them. A [`Limiter`] holds a venue's budgets; a
//! [`CallDriver`] carries calls over REST within them.

mod backoff;
mod busy;
mod call_driver;
mod counters;
mod dial;
mod limiter;
mod link;
mod memory;
mod memory_calls;
mod offset;
mod pace;
mod random;
mod rest;
mod tls;
mod transport;
mod window;

pub use backoff::Backoff;
pub use busy::BusySocket;
pub use call_driver::{CallDriver, Returned, ReturnedOutcome};
pub use counters::{LinkCounters, LinkCounts};
pub use limiter::{Budget, EndpointLimit, Limiter, LimiterCounts, Rebuke, Refusal, Shares};
pub use link::{Link, LinkOptions, Loss, RequestError};
pub use memory::{Faults, MemoryNet, MemoryPeer, MemoryTransport};
pub use memory_calls::{CallFaults, MemoryCallNet, MemoryCalls};
pub use offset::OffsetMeter;
pub use rest::{Rest, RestClient, RestError, RestOptions, UsageOf};
pub use tls::Tls;
pub use transport::{Arrival, CloseReason, NotSent, Transport, TransportState};
