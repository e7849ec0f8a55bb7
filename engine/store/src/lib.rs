//! Everything on disk: journals, the tape, and importers of other formats that are read in place.
//!
//! [`Reader::open`] tells a file's format from its first bytes, finds its instruments and steps,
//! and gives one stream of events whatever the format. [`TapeWriter`] keeps such a stream compact
//! and checked. [`journal::Journal`] records what an engine was told and what it wished. Nothing here
//! knows the engine that will eat the events.
#![forbid(unsafe_code)]

mod container;
mod convert;
mod decimal;
mod detect;
mod error;
mod export;
mod formats;
mod grid;
mod inspect;
pub mod journal;
mod lines;
pub mod market_tape;
mod metadata;
mod options;
mod raw;
mod reader;
mod recording;
mod report;
pub mod runs;
mod source;
pub mod state;
mod survey;
mod tables;
mod tape;
mod time;
mod window;

pub use container::{Container, Member, Unwrapped};
pub use decimal::{Dec, parse_u64};
pub use detect::{Detected, Format};
pub use error::StoreError;
pub use export::{ParquetExport, export_parquet};
pub use inspect::{BookView, Inspection, inspect};
pub use metadata::Metadata;
pub use options::OpenOptions;
pub use reader::Reader;
pub use recording::{RecordedTape, Recording, RecordingOptions};
pub use report::{BadLine, Report};
pub use tape::{TapeAppender, TapeReader, TapeSummary, TapeWriter};
pub use time::{TimeUnit, parse_date};
pub use window::Window;
