//! A venue's market data, as every command follows it.

use std::sync::Arc;

use tercel_adapters::net::{
    Backoff, LinkOptions, MarketDriver, MarketSetup, RestClient, Transport,
};
use tercel_adapters::{Listing, Topic};
use tercel_core::Nanos;
use tercel_runtime::{Clock, UtcClock};

use super::VenueAccess;

/// A book that nothing was heard of for so long is fetched anew: it may be quiet, or mute.
const QUIET_NS: i64 = 60 * Nanos::SECOND;

impl VenueAccess {
    /// Returns the market, over transports that `dial` makes. It connects with its first poll.
    pub(crate) fn market<T: Transport>(
        &self,
        listing: &Listing,
        topics: &[Topic],
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> MarketDriver<T, RestClient> {
        let setup = MarketSetup {
            listing,
            topics,
            budget: self.limiter.address(),
            clock: self.offset.clone(),
            link: link_options(seed()),
            quiet_ns: QUIET_NS,
        };
        MarketDriver::new(Arc::clone(&self.venue), &setup, self.client(), dial)
    }
}

/// Returns how links behave.
pub(crate) fn link_options(seed: u64) -> LinkOptions {
    LinkOptions { backoff: Backoff::default(), seed, ..LinkOptions::default() }
}

/// Jitter has to differ between processes that were cut off together.
pub(crate) fn seed() -> u64 {
    let now = UtcClock::system().now();
    now.0.unsigned_abs() ^ (u64::from(std::process::id()) << 40)
}
