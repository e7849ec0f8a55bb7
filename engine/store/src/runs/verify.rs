//! Whether a run's files are what was written.

use std::path::{Path, PathBuf};

use super::{RunFolder, RunsError};
use crate::error::StoreError;
use crate::journal::{CUT_OFF, JournalError, JournalReader, RecordedHole};
use crate::market_tape::{MarketTapeReader, Taped, segments_of};

/// What was found in a run's files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verification {
    /// Records of the journal that are as they were written, from the first on.
    pub n_records: u64,
    /// Entries among them.
    pub n_entries: u64,
    /// Whether the run was ended.
    pub is_sealed: bool,
    /// Whether it ended by itself, and its tape before it; a run that was cut off is sealed by the next
    /// start.
    pub is_in_order: bool,
    /// Where entries are missing because the journal failed and was opened again. That is on record,
    /// and so nothing wrong.
    pub holes: Vec<RecordedHole>,
    /// The first thing wrong with the journal.
    pub journal_fault: Option<Fault>,
    /// Whether there is a tape.
    pub has_tape: bool,
    /// Market events on the tape.
    pub n_taped: u64,
    /// Market events before those: their files were removed, as the oldest ones are after a while.
    pub n_removed: u64,
    /// Market events that the run took by its last record, or that the tape counts, and that are missing
    /// all the same. All of them, if there is no tape.
    pub n_lost: u64,
    /// The first thing wrong with the tape. That events are missing is none, unless their file is cut or
    /// gone from the tape of a run that ended in order.
    pub tape_fault: Option<String>,
    /// What else was noticed, such as segments without an end.
    pub notes: Vec<String>,
}

/// Something wrong with a journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The first bad record, from 0.
    pub record: u64,
    /// Where that record begins in the file; `None` where the database cannot say.
    pub byte: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl Verification {
    /// Returns whether nothing is wrong. Market data may be missing that was never written: the tape
    /// promises no more than to say so.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.journal_fault.is_none() && self.tape_fault.is_none()
    }
}

impl RunFolder {
    /// Reads all of a run and checks it: the chain of hashes over the journal, the order of its
    /// records, that all of them are there; the checksums of the tape; and that it has as many market
    /// events as the journal's numbers count. In constant memory.
    ///
    /// The database that holds a journal panics on some damage to its own pages; that is caught and
    /// told as damage, unless the process aborts on panics that
    /// [`crate::journal::panic_is_expected`] says are expected.
    ///
    /// # Errors
    ///
    /// If the files cannot be opened for another reason than damage.
    pub fn verify(&self) -> Result<Verification, RunsError> {
        let mut found = Verification::default();
        let mut n_market = None;
        let path = self.journal();
        let reader = match JournalReader::open(&path) {
            Ok(reader) => Some(reader),
            Err(error) if error.is_damage() => {
                found.journal_fault = Some(fault(error, None));
                None
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(reader) = reader {
            found.is_sealed = reader.is_sealed();
            match reader.verify() {
                Ok(verified) => {
                    found.n_records = verified.n_records;
                    found.n_entries = verified.n_entries;
                    found.holes = verified.holes;
                    found.is_in_order = verified.end_reason.is_some_and(|why| why != CUT_OFF);
                    n_market = Some(verified.n_market);
                }
                Err(error) if error.is_damage() => {
                    let fault = fault(error, Some(&|index| reader.place_of(&path, index)));
                    found.n_records = fault.record;
                    found.journal_fault = Some(fault);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Err(error) = self.verify_tape(&mut found, n_market) {
            found.tape_fault = Some(error.to_string());
        }
        Ok(found)
    }

    /// Reads the tape. `n_market` events were taken, where the journal is good.
    fn verify_tape(
        &self,
        found: &mut Verification,
        n_market: Option<u64>,
    ) -> Result<(), StoreError> {
        let tape = self.tape();
        let segments = match segments_of(&tape) {
            Ok(segments) => segments,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                found.n_lost = n_market.unwrap_or(0);
                return Ok(());
            }
            Err(error) => return Err(StoreError::io(&tape, error)),
        };
        found.has_tape = true;
        let mut end = 0;
        let read = read_tape(&tape, &segments, found, &mut end);
        found.n_lost = n_market.unwrap_or(0).max(end) - found.n_taped - found.n_removed;
        read?;
        if let Some(n_market) = n_market.filter(|_| found.is_in_order) {
            found.tape_fault = fault_of_ended(found, &segments, end, n_market);
        }
        Ok(())
    }
}

/// Counts what is on a tape. `end` is how many events the run had by the last of them.
fn read_tape(
    folder: &Path,
    segments: &[(u32, PathBuf)],
    found: &mut Verification,
    end: &mut u64,
) -> Result<(), StoreError> {
    let Some((oldest, _)) = segments.first() else { return Ok(()) };
    let mut reader = match MarketTapeReader::open(folder) {
        // Cut off before its first block: nothing is there, and nothing is damaged.
        Err(error @ StoreError::Truncated { .. }) => {
            found.notes.push(error.to_string());
            return Ok(());
        }
        opened => opened?,
    };
    let read = loop {
        match reader.next_item() {
            Ok(Some(Taped::Event { index, .. })) => {
                if found.n_taped == 0 && *oldest > 1 {
                    found.n_removed = index;
                }
                found.n_taped += 1;
            }
            Ok(Some(Taped::Gap { .. })) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // The last block may have no event, but the number of what would come next.
    *end = reader.next_index().unwrap_or(0);
    found.notes.extend_from_slice(reader.notes());
    read
}

/// Returns what is wrong with the tape of a run that ended in order: every file of it was ended, and the
/// last one counts all events. Only the oldest ones are ever removed.
fn fault_of_ended(
    found: &Verification,
    segments: &[(u32, PathBuf)],
    end: u64,
    n_market: u64,
) -> Option<String> {
    if let Some(cut) = found.notes.first() {
        return Some(format!("{cut}; the disk failed during the run, or it was cut since"));
    }
    if let Some(pair) = segments.windows(2).find(|pair| pair[0].0 + 1 != pair[1].0) {
        return Some(format!("segment {} is not there", pair[0].0 + 1));
    }
    if end == n_market {
        return None;
    }
    Some(if segments.is_empty() {
        format!("no segment is there, and the run took {n_market} market events")
    } else {
        format!("it ends after {end} market events, and the run took {n_market}")
    })
}

fn fault(error: JournalError, place: Option<&dyn Fn(u64) -> Option<u64>>) -> Fault {
    match error {
        JournalError::Damaged { index, what, .. } => {
            Fault { record: index, byte: place.and_then(|place| place(index)), what }
        }
        other => Fault { record: 0, byte: None, what: other.to_string() },
    }
}
