//! Simulated venue, backtest driver, seeded market and performance metrics.
//!
//! Everything here is a function of its inputs: time comes with the events, prices and quantities
//! are integers, and two runs over the same data give the same bits.
#![forbid(unsafe_code)]

pub mod market;
pub mod metrics;

mod effects_hash;
mod observer;
mod port;

pub use effects_hash::EffectsHash;
pub use observer::Observer;
pub use port::VenuePort;
