//! The journal of a run: the numbered, chained list of what went into the engine and what came out.
//!
//! It owns the bytes of records. It knows no engine: it neither replays nor judges what it records.

pub mod codec;
mod record;

pub use record::{Entry, Record, RecordedEffect};
