//! Whether a run's files are what was written.

use super::{RunFolder, RunsError};
use crate::error::StoreError;
use crate::journal::{JournalError, JournalReader, RecordedHole};
use crate::market_tape::{MarketTapeReader, Taped};

/// What was found in a run's files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verification {
    /// Records of the journal that are as they were written, from the first on.
    pub n_records: u64,
    /// Entries among them.
    pub n_entries: u64,
    /// Whether the run was ended.
    pub is_sealed: bool,
    /// Where entries are missing because the journal failed and was opened again. That is on record,
    /// and so nothing wrong.
    pub holes: Vec<RecordedHole>,
    /// The first thing wrong with the journal.
    pub journal_fault: Option<Fault>,
    /// Market events on the tape.
    pub n_taped: u64,
    /// Market events that are known to be missing on the tape.
    pub n_lost: u64,
    /// The first thing wrong with the tape.
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
    /// Returns whether nothing is wrong. Market data may be missing: the tape promises no more than to
    /// say so.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.journal_fault.is_none() && self.tape_fault.is_none()
    }
}

impl RunFolder {
    /// Reads all of a run and checks it: the chain of hashes over the journal, the order of its
    /// records, that all of them are there; and the checksums of the tape. In constant memory.
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
                }
                Err(error) if error.is_damage() => {
                    let fault = fault(error, Some(&|index| reader.place_of(&path, index)));
                    found.n_records = fault.record;
                    found.journal_fault = Some(fault);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.verify_tape(&mut found);
        Ok(found)
    }

    fn verify_tape(&self, found: &mut Verification) {
        let tape = self.tape();
        let is_there = tape.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if !is_there {
            return;
        }
        let mut check = || {
            let mut reader = match MarketTapeReader::open(&tape) {
                // Cut off before its first block: nothing is there, and nothing is damaged.
                Err(error @ StoreError::Truncated { .. }) => {
                    found.notes.push(error.to_string());
                    return Ok(());
                }
                opened => opened?,
            };
            while let Some(item) = reader.next_item()? {
                match item {
                    Taped::Event { .. } => found.n_taped += 1,
                    Taped::Gap { n_lost, .. } => found.n_lost += n_lost,
                }
            }
            found.notes.extend_from_slice(reader.notes());
            Ok::<(), StoreError>(())
        };
        if let Err(error) = check() {
            found.tape_fault = Some(error.to_string());
        }
    }
}

fn fault(error: JournalError, place: Option<&dyn Fn(u64) -> Option<u64>>) -> Fault {
    match error {
        JournalError::Damaged { index, what, .. } => {
            Fault { record: index, byte: place.and_then(|place| place(index)), what }
        }
        other => Fault { record: 0, byte: None, what: other.to_string() },
    }
}
