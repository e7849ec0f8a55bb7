//! Real venues around the event loop: accounts as its port, a market as its source.
//!
//! | profile | sockets | who polls them |
//! |---|---|---|
//! | `inline` | busy-polled | the engine's thread: [`LiveSource`] is its source, [`LivePort`] its port |
//! | `pinned` | busy-polled | a [`Feed`](crate::Feed) thread with a [`LiveSource`], through a ring; the account's by the engine's thread |
//! | `shared` | tokio's | a [`SharedFeed`] and an [`AccountThread`] that sleep, through rings |

mod account_thread;
mod port;
mod resync;
mod shared;

use tercel_adapters::net::{CallDriver, MarketDriver, Transport};
use tercel_core::Event;

pub use self::account_thread::{AccountThread, RingPort};
pub use self::port::LivePort;
pub use self::resync::WithResyncs;
pub use self::shared::SharedFeed;
use crate::clock::Clock;
use crate::source::{MarketSource, SourceFailure, SourceState};

/// A venue's market data, polled by whoever polls this. Never blocks and never ends: connections
/// that are lost are opened anew, and what that does to books is told by events.
#[derive(Debug)]
pub struct LiveSource<T, C, K> {
    driver: MarketDriver<T, C>,
    clock: K,
}

impl<T, C, K> LiveSource<T, C, K> {
    /// Returns a source over this driver. The clock stamps what arrives; it has to tell the same
    /// time as the engine's.
    #[must_use]
    pub const fn new(driver: MarketDriver<T, C>, clock: K) -> Self {
        Self { driver, clock }
    }

    /// Returns the driver.
    #[must_use]
    pub const fn driver(&self) -> &MarketDriver<T, C> {
        &self.driver
    }
}

impl<T: Transport, C: CallDriver, K: Clock> MarketSource for LiveSource<T, C, K> {
    /// The bound is each connection's batch, not `max`: a message is not cut in two.
    fn poll(&mut self, out: &mut Vec<Event>, _max: usize) -> Result<SourceState, SourceFailure> {
        let clock = &mut self.clock;
        match self.driver.poll(&mut || clock.now(), out) {
            0 => Ok(SourceState::Idle),
            _ => Ok(SourceState::Ready),
        }
    }
}
