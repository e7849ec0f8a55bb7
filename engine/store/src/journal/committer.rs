//! The journal's own thread: takes records off the ring, chains them into blocks, commits each
//! block in one transaction, and raises the watermark.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rtrb::Consumer;
use tercel_crash::{Point, point};

use super::block::Block;
use super::error::JournalError;
use super::file::File;
use super::head::Head;
use super::shared::Shared;

/// A block is committed when it has grown to this size, in bytes.
const BLOCK_BYTES: usize = 256 << 10;

/// Length that stands for "the record was put aside".
pub(super) const ASIDE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Committer {
    file: File,
    head: Head,
    ring: Consumer<u8>,
    shared: Arc<Shared>,
    /// Longest time that a record waits for others to share its commit.
    linger: Duration,
    /// What is being gathered.
    block: Block,
}

/// What one commit came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Committed {
    /// There was nothing.
    Nothing,
    /// All that there was.
    All,
    /// A full block; more is waiting.
    Part,
}

impl Committer {
    pub(super) fn new(
        file: File,
        head: Head,
        ring: Consumer<u8>,
        shared: Arc<Shared>,
        linger: Duration,
    ) -> Self {
        let block = Block::after(head.n_records, head.hash);
        Self { file, head, ring, shared, linger, block }
    }

    /// Runs until the journal is closed or a commit fails.
    ///
    /// The file is closed before the failure is told, so that it can be opened again at once.
    pub(super) fn run(self) {
        let alarm = Alarm(Arc::clone(&self.shared));
        if let Err(error) = self.commit_all() {
            alarm.0.fail(error.to_string());
        }
    }

    fn commit_all(mut self) -> Result<(), JournalError> {
        loop {
            // Read before the ring: what was handed over before the close is then seen.
            let is_closing = self.shared.is_closing();
            match self.commit()? {
                Committed::Nothing if is_closing => return Ok(()),
                Committed::All if is_closing => {}
                Committed::Nothing | Committed::All => thread::park_timeout(self.linger),
                Committed::Part => {}
            }
        }
    }

    /// Commits what waits, at most a block of it.
    pub(super) fn commit(&mut self) -> Result<Committed, JournalError> {
        let is_full = self.fill()?;
        if self.block.is_empty() {
            return Ok(Committed::Nothing);
        }
        #[cfg(feature = "sabotage")]
        if tercel_core::sabotage::is_planted(tercel_core::sabotage::Bug::CommitIsSkipped)
            && self.block.first() % 3 == 2
        {
            self.shared.raise(self.block.end());
            self.block.begin_next();
            return Ok(Committed::All);
        }
        self.head.hash = self.block.hash();
        self.head.last_block = self.block.first();
        self.head.n_blocks += 1;
        point(Point::BlockGathered);
        self.file.commit(&self.block, &self.head)?;
        point(Point::CommitEnd);
        self.shared.raise(self.block.end());
        point(Point::CommitTold);
        self.block.begin_next();
        Ok(if is_full { Committed::Part } else { Committed::All })
    }

    /// Moves records from the ring into the block; returns whether more are waiting.
    fn fill(&mut self) -> Result<bool, JournalError> {
        let block = &mut self.block;
        while block.bytes().len() < BLOCK_BYTES {
            let mut len = [0; 4];
            if self.ring.pop_entire_slice(&mut len).is_err() {
                return Ok(false);
            }
            let index = block.end();
            let len = u32::from_le_bytes(len);
            if len == ASIDE {
                let record = self.shared.take_aside().expect("put aside before its length");
                self.head.note(&record).map_err(|misfit| self.file.place.damaged(index, misfit))?;
                block.push(&record, &[]);
                continue;
            }
            let len = usize::try_from(len).expect("a length that fitted into the ring");
            let chunk = self.ring.read_chunk(len).expect("length and record come as one");
            let (front, back) = chunk.as_slices();
            if back.is_empty() {
                self.head.note(front)
            } else {
                self.head.note(&[front, back].concat())
            }
            .map_err(|misfit| self.file.place.damaged(index, misfit))?;
            block.push(front, back);
            chunk.commit_all();
        }
        Ok(true)
    }
}

/// Tells who waits for a commit that a panic ended them all.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail("the journal's thread panicked".to_owned());
        }
    }
}
