//! The journal's own thread: takes records off the ring, chains them into blocks, commits each
//! block in one transaction, and raises the watermark.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rtrb::Consumer;

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
    pub(super) file: File,
    pub(super) head: Head,
    pub(super) ring: Consumer<u8>,
    pub(super) shared: Arc<Shared>,
    /// Longest time that a record waits for others to share its commit.
    pub(super) linger: Duration,
}

impl Committer {
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
        let mut block = Block::after(self.head.n_records, self.head.hash);
        loop {
            // Read before the ring: what was handed over before the close is then seen.
            let is_closing = self.shared.is_closing();
            let is_full = self.fill(&mut block)?;
            if block.is_empty() {
                if is_closing {
                    return Ok(());
                }
                thread::park_timeout(self.linger);
                continue;
            }
            self.head.hash = block.hash();
            self.head.last_block = block.first();
            self.head.n_blocks += 1;
            self.file.commit(&block, &self.head)?;
            self.shared.raise(block.end());
            block.begin_next();
            if !is_full && !is_closing {
                thread::park_timeout(self.linger);
            }
        }
    }

    /// Moves records from the ring into the block; returns whether more are waiting.
    fn fill(&mut self, block: &mut Block) -> Result<bool, JournalError> {
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
