//! Binance: spot and USD-M futures.
//!
//! Written after the public documents of the venue as of July 2026.

mod hosts;
mod market;
mod message;

pub use hosts::Product;

use hosts::Hosts;

use crate::listing::Listing;
use crate::venue::{Connection, Environment, Topic};

/// A product of Binance in one of its installations.
#[derive(Debug)]
pub struct Binance {
    product: Product,
    hosts: Hosts,
}

impl Binance {
    /// Returns a product in an installation.
    #[must_use]
    pub fn new(product: Product, environment: &Environment) -> Self {
        Self { product, hosts: Hosts::new(product, environment) }
    }

    /// Returns the connections that carry these topics.
    #[must_use]
    pub fn market(&self, listing: &Listing, topics: &[Topic]) -> Vec<Connection> {
        market::connections(self.product, &self.hosts, listing, topics)
    }
}
