//! Reading the tape of a run, event by event with its number.

use std::path::{Path, PathBuf};

use tercel_core::{Event, MarketEvent};

use super::segments_of;
use crate::error::StoreError;
use crate::metadata::Metadata;
use crate::tape::TapeReader;

/// What lies next on the tape of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taped {
    /// An event as the engine took it.
    Event {
        /// How many market events the run had before.
        index: u64,
        /// The event.
        event: MarketEvent,
    },
    /// Events are missing: they were left out, or their segment is gone.
    Gap {
        /// Number of the first that is missing.
        index: u64,
        /// How many are.
        n_lost: u64,
    },
}

/// Reads the segments of a run one after the other, in constant memory.
///
/// Segments that a killed process or a failing disk cut are read up to their last whole block.
/// The tape may still be written to: what has come by the time that a segment is opened is read.
#[derive(Debug)]
pub struct MarketTapeReader {
    /// Those that are not open yet, last one first.
    segments: Vec<PathBuf>,
    segment: Option<TapeReader>,
    events: Vec<Event>,
    /// Place of the next event in `events`.
    at: usize,
    /// Number of the next event, when none is missing.
    next: Option<u64>,
    metadata: Metadata,
    notes: Vec<String>,
}

impl MarketTapeReader {
    /// Opens the tape in a folder, at its first event. Segments that were cut before they had any are
    /// left out and noted.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read, holds no segment, or its first segment is no tape; if all are cut
    /// before their first event, of what the last of them lacks.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(folder, error);
        let found = segments_of(folder).map_err(io)?;
        let mut segments: Vec<_> = found.into_iter().rev().map(|(_, path)| path).collect();
        let (mut notes, mut cut) = (Vec::new(), None);
        let metadata = loop {
            let Some(first) = segments.last() else {
                return Err(cut.unwrap_or_else(|| io(std::io::ErrorKind::NotFound.into())));
            };
            match TapeReader::open(first, true) {
                Ok(tape) => break tape.metadata().clone(),
                Err(error @ StoreError::Truncated { .. }) => {
                    notes.push(error.to_string());
                    cut = Some(error);
                    segments.pop();
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self { segments, segment: None, events: Vec::new(), at: 0, next: None, metadata, notes })
    }

    /// Returns what the events are about.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns what was noticed while reading, such as segments that are cut.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the number of the event after what was read so far, those that are missing before it
    /// included; `None` before anything was read. At the end, how many events the run had by then.
    #[must_use]
    pub const fn next_index(&self) -> Option<u64> {
        self.next
    }

    /// Opens the tape in a folder at the event with this number, or the next one that is kept.
    ///
    /// Opens O(log segments) of them and decodes at most one.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; also if a block on the way is damaged.
    pub fn seek(folder: &Path, index: u64) -> Result<Self, StoreError> {
        let mut reader = Self::open(folder)?;
        // Last one first: those from `n` on begin at or before the number.
        let (mut from, mut to) = (0, reader.segments.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            let begins_after = first_number(&reader.segments[middle])?.is_none_or(|n| n > index);
            if begins_after { from = middle + 1 } else { to = middle }
        }
        reader.segments.truncate(from + 1);
        while reader.next_block()? {
            let end = reader.next.unwrap_or(0) + reader.events.len() as u64;
            if end > index {
                let first = reader.next.unwrap_or(0);
                reader.at = usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
                reader.next = Some(first.max(index));
                break;
            }
        }
        Ok(reader)
    }

    /// Returns the next event or gap; `None` at the end.
    ///
    /// Before the first event that is kept no gap is told: its number says what is missing.
    ///
    /// # Errors
    ///
    /// If a block is damaged. Reading goes no further then.
    pub fn next_item(&mut self) -> Result<Option<Taped>, StoreError> {
        loop {
            if let Some(Event::Market(event)) = self.events.get(self.at) {
                let index = self.next.unwrap_or(0);
                self.at += 1;
                self.next = Some(index + 1);
                return Ok(Some(Taped::Event { index, event: *event }));
            }
            let expected = self.next;
            if !self.next_block()? {
                return Ok(None);
            }
            if let (Some(expected), Some(next)) = (expected, self.next)
                && next > expected
            {
                return Ok(Some(Taped::Gap { index: expected, n_lost: next - expected }));
            }
        }
    }

    /// Reads the next block and puts `next` to its number; returns whether there was one.
    fn next_block(&mut self) -> Result<bool, StoreError> {
        loop {
            let segment = match &mut self.segment {
                Some(segment) => segment,
                None => {
                    let Some(path) = self.segments.pop() else { return Ok(false) };
                    match TapeReader::open(&path, true) {
                        Ok(segment) => {
                            self.notes.extend(segment.report().notes.iter().cloned());
                            self.segment.insert(segment)
                        }
                        // Cut within its header: it has no events.
                        Err(error @ StoreError::Truncated { .. }) => {
                            self.notes.push(error.to_string());
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            self.events.clear();
            self.at = 0;
            match segment.next_block(&mut self.events) {
                Ok(Some(_)) => {
                    self.next = Some(segment.number().ok_or_else(|| StoreError::Corrupt {
                        path: segment.path().to_owned(),
                        offset: 0,
                        what: "a tape, but not of a run: its blocks have no numbers".to_owned(),
                    })?);
                    return Ok(true);
                }
                Ok(None) => self.segment = None,
                Err(error) => {
                    self.segments.clear();
                    self.segment = None;
                    return Err(error);
                }
            }
        }
    }
}

/// Returns the number of a segment's first event, if it has a whole block.
fn first_number(path: &Path) -> Result<Option<u64>, StoreError> {
    match TapeReader::open(path, true) {
        Ok(mut segment) => {
            segment.next_block(&mut Vec::new())?;
            Ok(segment.number())
        }
        Err(StoreError::Truncated { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
