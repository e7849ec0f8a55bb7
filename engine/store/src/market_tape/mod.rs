//! The market data of a live run, kept so that the run can be executed again from it and its journal.
//!
//! [`MarketTape`] is held by the engine's thread: it numbers every market event that the engine takes
//! and puts it into a ring. A thread of the tape's own writes segments, tapes like any other whose blocks
//! say the number of their first event. [`MarketTapeReader`] gives them back with their numbers.
//!
//! It is best effort, unlike the journal: where the ring is full or the disk fails, events are left
//! out and counted, the numbers show where, and trading goes on. What was written is given to the
//! system block by block, so a killed process loses what its last blocks gathered, at most
//! [`MarketTapeOptions::linger`] of data, and a segment is forced to the disk when it is full.
//!
//! # Examples
//!
//! ```
//! use tercel_core::{InstrumentId, MarketData, MarketEvent, Nanos};
//! use tercel_store::Metadata;
//! use tercel_store::market_tape::{MarketTape, MarketTapeOptions, MarketTapeReader, Taped};
//!
//! # let folder = tempfile::tempdir()?;
//! let (venue_at, received_at) = (Nanos(1), Nanos(2));
//! let data = MarketData::Funding { rate_e12: 7 };
//! let event = MarketEvent { venue_at, received_at, instrument: InstrumentId(0), data };
//! let options = MarketTapeOptions::default();
//! let mut tape = MarketTape::create(folder.path(), &Metadata::default(), options)?;
//! tape.record(&event);
//! tape.close()?;
//!
//! let mut reader = MarketTapeReader::open(folder.path())?;
//! assert_eq!(reader.next_item()?, Some(Taped::Event { index: 0, event }));
//! assert_eq!(reader.next_item()?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod reader;
mod segments;
mod writer;

pub use reader::{MarketTapeReader, Taped};
pub use writer::{MarketTape, MarketTapeOptions};

/// Ending of a segment's name, behind its number.
const ENDING: &str = "tape";

/// Returns the segments of a folder by ascending number.
pub(crate) fn segments_of(
    folder: &std::path::Path,
) -> std::io::Result<Vec<(u32, std::path::PathBuf)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_segment = path.extension().is_some_and(|ending| ending == ENDING);
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_| is_segment) {
            segments.push((number, path));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}
