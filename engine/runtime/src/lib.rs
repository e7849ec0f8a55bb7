//! Threads, rings, clock and the event loop around the engine.
//!
//! This crate owns everything that the engine must not have: time, threads and queues. It never
//! decides anything about orders.
//!
//! [`EventLoop`] is the middle: it gives an engine its events and sends what it wishes. [`Profile`]
//! says how market data reaches it: polled by the engine's own thread, or by a [`Feed`] thread and
//! a ring. [`Handle`] is what other threads hold of a running engine.
#![forbid(unsafe_code)]

mod affinity;
mod beginning;
mod clock;
mod control;
mod directive;
mod event_loop;
mod feed;
mod idle;
mod journal;
pub mod live;
mod loads;
mod market_sender;
mod market_sink;
mod port;
mod read_ahead;
mod recorder;
mod recover;
mod reexecution;
mod replay_clock;
mod resimulation;
mod ring;
mod script_lines;
mod shadow;
mod shards;
mod source;
mod thread;
mod version;

pub use affinity::{PinError, available_cores, pin_current_thread};
pub use beginning::{BeginError, begin_run};
pub use clock::{Clock, ManualClock, SystemTimes, TimeSource, UtcClock};
pub use control::{CommandRefused, Control, Handle, Status, control};
pub use directive::{Directive, Load, LoadReport, Look, ShadowReport, Waiting};
pub use event_loop::{EndCause, Ending, EventLoop, LoopOptions, Parts};
pub use feed::{Feed, FeedOptions, Overflow, RingSource};
pub use idle::{Idle, IdleStrategy, Waker};
pub use journal::{Durable, JournalRecorder, RecorderCounts, RecorderOptions};
pub use loads::BadLoad;
pub use market_sender::MarketSender;
pub use market_sink::MarketSink;
pub use port::{PaperPort, Port};
pub use read_ahead::ReadAhead;
pub use recorder::{RecordFailure, RecordProgress, Recorder, Ticket};
pub use recover::{Continued, RecoverError, Recovered, recover};
pub use reexecution::{Difference, Hole, Reexecuted, Reexecution, ReexecutionError, TapeSource};
pub use replay_clock::ReplayClock;
pub use resimulation::{RecordedRun, ResimulationError, Simulated, Survey};
pub use ring::{Receiver, RingCounters, RingStatus, Sender, ring};
pub use script_lines::{ScriptPlace, script_places};
pub use shadow::placeholder;
pub use shards::{
    DealBy, DealError, Shard, Shards, ShardsHandle, ShardsRefused, ShardsStatus, StartLine,
    StartOff, Starter, deal,
};
pub use source::{MarketSource, SourceFailure, SourceState};
pub use thread::{EngineThread, Profile};
pub use version::{Loaded, Version, VersionError, Wrap};
