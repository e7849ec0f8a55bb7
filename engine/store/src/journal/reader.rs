//! Reading a journal: in constant memory, one block at a time, checking on the way.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use redb::StorageBackend;
use tercel_core::{Nanos, Seq};

use super::block::{START, Walk};
use super::codec::{self, Kind};
use super::error::JournalError;
use super::file::{Blocks, File};
use super::head::{Head, Misfit};
use super::market_count::MarketCount;
use super::record::Record;

/// Memory for the database's cache: blocks are read once, in order.
const CACHE_BYTES: usize = 4 << 20;

/// A journal that is not being written.
///
/// A file that was closed well is not touched. One that a crash has left is repaired by being opened:
/// what no commit had finished is not there any more. Nobody else can have the file open to write.
#[derive(Debug)]
pub struct JournalReader {
    file: File,
    head: Head,
}

/// What [`JournalReader::verify`] counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Records in all.
    pub n_records: u64,
    /// Entries among them.
    pub n_entries: u64,
    /// Blocks that they lie in.
    pub n_blocks: u64,
    /// The last entry's number.
    pub last_seq: Option<Seq>,
    /// How many market events the run had taken by the last number that is on record: those that are on
    /// the tape alone have numbers too.
    pub n_market: u64,
    /// Why the run ended; `None` if it was not.
    pub end_reason: Option<String>,
    /// Where the journal failed and was opened again.
    pub holes: Vec<RecordedHole>,
}

/// What a journal tells of a hole in itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedHole {
    /// The record that tells of it, from 0.
    pub record: u64,
    /// The last entry before it.
    pub after: Option<Seq>,
    /// The event whose state ends it; if it was never ended, the engine's last when the journal worked
    /// again.
    pub until: Seq,
    /// Entries that were not taken meanwhile.
    pub n_lost: u64,
    /// Why the journal failed.
    pub why: String,
}

/// What [`JournalReader::outline`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalOutline {
    /// The run's number.
    pub run: u32,
    /// Version of the engine.
    pub version: String,
    /// When the run began, on the system's clock.
    pub started_at: Nanos,
    /// The time of its last entry, or of its start.
    pub last_at: Nanos,
    /// Entries.
    pub n_entries: u64,
    /// Snapshots.
    pub n_snapshots: u64,
    /// Why the run ended; `None` if it was not.
    pub end_reason: Option<String>,
}

/// A snapshot as it was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSnapshot {
    /// Which record it is.
    pub index: u64,
    /// Last number that the state includes.
    pub seq: Seq,
    /// The engine's time then.
    pub now: Nanos,
    /// Hash of the state.
    pub state_hash: u64,
    /// Number of the first record after the state was taken.
    pub n_before: u64,
    /// The state.
    pub bytes: Vec<u8>,
}

impl JournalReader {
    /// Opens a journal to read it.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is damaged or has no run in it.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::over(File::open_to_read(path, CACHE_BYTES)?)
    }

    /// Opens a journal in other storage than a file.
    ///
    /// # Errors
    ///
    /// As [`JournalReader::open`].
    pub fn open_on(backend: impl StorageBackend) -> Result<Self, JournalError> {
        Self::over(File::open_on(backend, CACHE_BYTES)?)
    }

    fn over(file: File) -> Result<Self, JournalError> {
        let head = file.head_of_run()?;
        Ok(Self { file, head })
    }

    /// Returns how many records there are.
    #[must_use]
    pub const fn n_records(&self) -> u64 {
        self.head.n_records
    }

    /// Returns whether the run is over.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.head.is_sealed
    }

    /// Returns the order numbers that were leased last.
    #[must_use]
    pub fn last_lease(&self) -> Option<Range<u64>> {
        self.head.lease.clone()
    }

    /// Returns all records in order. Memory for one block is held, whatever the journal's length.
    ///
    /// # Errors
    ///
    /// If the file cannot be read. What is damaged shows when the iterator reaches it.
    pub fn records(&self) -> Result<Records, JournalError> {
        Records::new(self.file.blocks()?, self.head.clone(), 0)
    }

    /// Returns the records from `index` on. Those before it in the same block are checked as well;
    /// earlier blocks are not read.
    ///
    /// # Errors
    ///
    /// As [`JournalReader::records`].
    pub fn records_from(&self, index: u64) -> Result<Records, JournalError> {
        let blocks = self.file.blocks()?;
        let first = blocks.block_of(index)?.unwrap_or(0);
        let mut records = Records::new(blocks, self.head.clone(), first)?;
        while records.index < index.min(self.head.n_records) {
            records.next_bytes()?;
        }
        Ok(records)
    }

    /// Returns the last snapshot.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is damaged.
    pub fn last_snapshot(&self) -> Result<Option<StoredSnapshot>, JournalError> {
        let Some(index) = self.head.snapshot else { return Ok(None) };
        match self.records_from(index)?.next() {
            Some(Ok((index, Record::Snapshot { seq, now, state_hash, n_before, bytes }))) => {
                Ok(Some(StoredSnapshot { index, seq, now, state_hash, n_before, bytes }))
            }
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => {
                Err(self.file.place.damaged(index, "the head says that it is a snapshot"))
            }
        }
    }

    /// Returns the records after the state of the last snapshot was taken, the snapshot itself among
    /// them; all records if there is none.
    ///
    /// # Errors
    ///
    /// As [`JournalReader::records`].
    pub fn tail(&self) -> Result<Records, JournalError> {
        let begin = self.last_snapshot()?.map_or(0, |snapshot| snapshot.n_before);
        self.records_from(begin)
    }

    /// Returns the hash of each recorded state by the last number that it includes.
    ///
    /// Skips from record to record and checks none: going through [`JournalReader::records`] does.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn state_hashes(&self) -> Result<BTreeMap<Seq, u64>, JournalError> {
        let blocks = self.file.blocks()?;
        let mut hashes = BTreeMap::new();
        let (mut first, mut block) = (0, Vec::new());
        while blocks.read(first, &mut block)? {
            let begin = first;
            for (_, record) in super::block::unchecked(&block) {
                first += 1;
                hashes.extend(codec::state_hash(record));
            }
            if first == begin {
                break;
            }
        }
        Ok(hashes)
    }

    /// Reads everything and checks that the records are whole, in order, chained and as the head says.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] names the first bad record.
    pub fn verify(&self) -> Result<Verified, JournalError> {
        let mut records = self.records()?;
        let mut head = Head::empty();
        let mut n_entries = 0;
        let mut market = MarketCount::default();
        let mut end_reason = None;
        let mut holes: Vec<RecordedHole> = Vec::new();
        // Whether no state has ended the last one.
        let mut is_open = false;
        while let Some(bytes) = records.next_bytes()? {
            let index = head.n_records;
            let after = head.last_seq;
            let record = codec::decode(bytes);
            let record = record.map_err(|error| self.file.place.damaged(index, error))?;
            head.note(bytes).map_err(|misfit| self.file.place.damaged(index, misfit))?;
            market.note(&record);
            match record {
                Record::Entry(_) => n_entries += 1,
                Record::RunEnded { reason, .. } => end_reason = Some(reason),
                Record::Gap { seq: until, n_lost, why, .. } => {
                    match holes.last_mut().filter(|_| is_open) {
                        Some(hole) => (hole.until, hole.n_lost) = (until, hole.n_lost + n_lost),
                        None => {
                            let hole = RecordedHole { record: index, after, until, n_lost, why };
                            holes.push(hole);
                        }
                    }
                    is_open = true;
                }
                Record::Snapshot { seq, .. } if std::mem::take(&mut is_open) => {
                    holes.iter_mut().rev().take(1).for_each(|hole| hole.until = seq);
                }
                _ => {}
            }
        }
        head.hash = records.hash;
        head.n_blocks = records.n_blocks;
        head.last_block = records.block_first;
        let n_blocks = records.blocks.n_blocks()?;
        if head != self.head || n_blocks != head.n_blocks {
            let what = "the records before it are not those that the head counts";
            return Err(self.file.place.damaged(head.n_records, what));
        }
        Ok(Verified {
            n_records: head.n_records,
            n_entries,
            n_blocks,
            last_seq: head.last_seq,
            n_market: market.n_events(),
            end_reason,
            holes,
        })
    }

    /// Counts what is in the journal. Checks the chain on its way, decodes next to nothing.
    ///
    /// # Errors
    ///
    /// As [`JournalReader::verify`], apart from damage that the chain does not show.
    pub fn outline(&self) -> Result<JournalOutline, JournalError> {
        let place = &self.file.place;
        let mut records = self.records()?;
        let mut outline = None;
        let mut index = 0;
        while let Some(bytes) = records.next_bytes()? {
            let malformed = |error| place.damaged(index, error);
            match (codec::kind(bytes).map_err(malformed)?, &mut outline) {
                (Kind::RunStarted, None) => {
                    let Record::RunStarted { run, at, version, .. } =
                        codec::decode(bytes).map_err(malformed)?
                    else {
                        unreachable!("its kind says so");
                    };
                    outline = Some(JournalOutline {
                        run,
                        version,
                        started_at: at,
                        last_at: at,
                        n_entries: 0,
                        n_snapshots: 0,
                        end_reason: None,
                    });
                }
                (Kind::RunStarted, Some(_)) | (_, None) => {
                    return Err(place.damaged(index, Misfit::Start));
                }
                (Kind::Entry(_), Some(outline)) => {
                    outline.n_entries += 1;
                    outline.last_at = codec::time_of_entry(bytes).map_err(malformed)?;
                }
                (Kind::Snapshot, Some(outline)) => outline.n_snapshots += 1,
                (Kind::RunEnded, Some(outline)) => {
                    if let Record::RunEnded { reason, .. } =
                        codec::decode(bytes).map_err(malformed)?
                    {
                        outline.end_reason = Some(reason);
                    }
                }
                (Kind::IdLease(_) | Kind::Other, Some(_)) => {}
            }
            index += 1;
        }
        outline.ok_or_else(|| JournalError::NoRun { place: place.name() })
    }

    /// Returns where in the file a record begins: its length, then its bytes. `None` if its block cannot
    /// be read or found. Reads the file up to there.
    #[must_use]
    pub fn place_of(&self, path: &Path, index: u64) -> Option<u64> {
        let blocks = self.file.blocks().ok()?;
        let first = blocks.block_of(index).ok()??;
        let mut block = Vec::new();
        blocks.read(first, &mut block).ok().filter(|found| *found)?;
        let n = usize::try_from(index - first).ok()?;
        let (within, _) = super::block::unchecked(&block).nth(n)?;
        let begin = find_in_file(path, &block)?;
        Some(begin + within as u64)
    }
}

/// Returns where a block's bytes lie in a file. The database keeps a value in one piece.
fn find_in_file(path: &Path, block: &[u8]) -> Option<u64> {
    const PIECE: usize = 4 << 20;
    let mut file = std::fs::File::open(path).ok()?;
    let mut window = Vec::with_capacity(block.len() + PIECE);
    let mut begin = 0;
    loop {
        let n_read = Read::by_ref(&mut file).take(PIECE as u64).read_to_end(&mut window).ok()?;
        if let Some(at) = memchr::memmem::find(&window, block) {
            return Some(begin + at as u64);
        }
        if n_read == 0 {
            return None;
        }
        let n_done = (window.len() + 1).saturating_sub(block.len());
        window.drain(..n_done);
        begin += n_done as u64;
    }
}

/// The records of a journal with their numbers, in order. Ends after the first error.
#[derive(Debug)]
pub struct Records {
    blocks: Blocks,
    head: Head,
    /// The block that is being walked, and its first record.
    block: Vec<u8>,
    block_first: u64,
    n_blocks: u64,
    walk: Option<Walk>,
    /// The next record.
    index: u64,
    /// Stands for everything before it.
    hash: super::block::Hash,
    is_over: bool,
}

impl Records {
    /// Returns the records from that one on with which the block `first` begins.
    pub(super) fn new(blocks: Blocks, head: Head, first: u64) -> Result<Self, JournalError> {
        let mut records = Self {
            blocks,
            head,
            block: Vec::new(),
            block_first: first,
            n_blocks: 0,
            walk: None,
            index: first,
            hash: START,
            is_over: false,
        };
        if first > 0 {
            // The block's own word is taken for what came before it: only reading all would tell.
            records.load(None)?;
        }
        Ok(records)
    }

    /// Walks to the end, checking everything.
    pub(super) fn run_to_end(mut self) -> Result<(), JournalError> {
        while self.next_bytes()?.is_some() {}
        Ok(())
    }

    fn load(&mut self, before: Option<super::block::Hash>) -> Result<(), JournalError> {
        if !self.blocks.read(self.index, &mut self.block)? {
            return Err(self.blocks.place.damaged(self.index, "its block is missing"));
        }
        let walk = Walk::begin(&self.block, before)
            .map_err(|what| self.blocks.place.damaged(self.index, what))?;
        self.block_first = self.index;
        self.n_blocks += 1;
        self.walk = Some(walk);
        Ok(())
    }

    /// Returns the next record's bytes, `None` after the last.
    fn next_bytes(&mut self) -> Result<Option<&[u8]>, JournalError> {
        let range = loop {
            if let Some(walk) = &mut self.walk {
                let record = walk
                    .next(&self.block)
                    .map_err(|what| self.blocks.place.damaged(self.index, what))?;
                self.hash = walk.hash(&self.block);
                if let Some(range) = record {
                    break range;
                }
            }
            if self.index == self.head.n_records {
                if self.hash != self.head.hash {
                    let what = "the records before it are not those that the head stands for";
                    return Err(self.blocks.place.damaged(self.index, what));
                }
                return Ok(None);
            }
            self.load(self.walk.as_ref().map_or(Some(START), |_| Some(self.hash)))?;
        };
        if self.index == self.head.n_records {
            let what = "it comes after the end that the head names";
            return Err(self.blocks.place.damaged(self.index, what));
        }
        self.index += 1;
        Ok(Some(&self.block[range]))
    }
}

impl Iterator for Records {
    type Item = Result<(u64, Record), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let index = self.index;
        let result = match self.next_bytes() {
            Ok(None) => {
                self.is_over = true;
                return None;
            }
            Ok(Some(bytes)) => codec::decode(bytes).map_err(|error| error.to_string()),
            Err(error) => {
                self.is_over = true;
                return Some(Err(error));
            }
        };
        Some(match result {
            Ok(record) => Ok((index, record)),
            Err(what) => {
                self.is_over = true;
                Err(self.blocks.place.damaged(index, what))
            }
        })
    }
}
