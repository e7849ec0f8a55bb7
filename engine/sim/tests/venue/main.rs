//! What the simulated venue and the driver do, one behaviour a test.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bars;
mod driver;
mod requests;
mod resting;
mod taking;
mod world;
