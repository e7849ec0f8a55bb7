//! A seeded world around the whole engine.
//!
//! One seed is one world: a market, a venue with books of its own, a network, a disk, a clock, an
//! operator, and all that goes wrong with them, around the real engine with real scripts, the real
//! event loop, the real journal and the real recovery. Everything happens in one thread, when the
//! world says so, and equal seeds give equal worlds. What the engine promises is checked after every
//! event ([`Invariant`]); what goes wrong is counted where its effect was seen ([`Fault`]).
//!
//! First things go wrong and nothing may be broken; then the faults end, and everything must settle.
//!
//! It never decides anything for the engine: it plays everybody else.
#![forbid(unsafe_code)]

mod counts;
mod desk;
mod fault;
mod fuse;
mod invariant;
mod judge;
mod ledger;
mod life;
mod listing;
mod market;
mod net;
mod operator;
mod plan;
mod restart;
mod simulation;
mod strategies;
mod times;
mod venue;
mod world;

pub use counts::{Counts, Named};
pub use fault::Fault;
pub use invariant::{Invariant, Violation};
pub use simulation::{Failure, Outcome, Simulation, SimulationError, Summary};
