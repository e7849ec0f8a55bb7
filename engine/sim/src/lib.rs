//! Simulated venue, backtest driver, seeded market and performance metrics.
//!
//! Everything here is a function of its inputs: time comes with the events, prices and quantities
//! are integers, and two runs over the same data give the same bits.
#![forbid(unsafe_code)]

pub mod divergence;
pub mod market;
pub mod metrics;

mod cues;
mod driver;
mod effects_hash;
mod feed;
mod fees;
mod latency;
mod observer;
mod options;
mod port;
mod venue;

pub use cues::Cues;
pub use driver::{Backtest, BacktestOptions, Summary};
pub use effects_hash::EffectsHash;
pub use fees::{FeeModel, FeeTier};
pub use latency::{LatencyModel, LatencySample};
pub use observer::Observer;
pub use options::{BarOptions, QueueModel, VenueError, VenueOptions};
pub use port::VenuePort;
pub use venue::SimVenue;
