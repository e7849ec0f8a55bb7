//! Threads, rings, clock and the event loop around the engine.
//!
//! This crate owns everything that the engine must not have: time, threads and queues. It never
//! decides anything about orders.
#![forbid(unsafe_code)]

mod affinity;
mod clock;
mod idle;
mod market_sender;
mod replay_clock;
mod ring;

pub use affinity::{PinError, available_cores, pin_current_thread};
pub use clock::{Clock, ManualClock, SystemTimes, TimeSource, UtcClock};
pub use idle::{Idle, IdleStrategy, Waker};
pub use market_sender::MarketSender;
pub use replay_clock::ReplayClock;
pub use ring::{Receiver, RingCounters, RingStatus, Sender, ring};
