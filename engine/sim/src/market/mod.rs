//! A market made from a seed: order book and trades, or bars, without any data at hand.
//!
//! Everything is integer arithmetic on a fixed stream of random bits, so a seed means the same
//! events on every machine and in every build. Nothing here reacts to our orders: it is data, like
//! a recorded tape, and goes through the simulated venue the same way.

mod bars;
mod config;
mod fair;
mod flow;
mod generator;
mod ladder;
mod random;
#[cfg(test)]
mod tests;

pub use bars::SeededBars;
pub use config::{SeededMarketConfig, SeededMarketError};
pub use generator::SeededMarket;
