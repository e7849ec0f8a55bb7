//! The tape: market data as the engine takes it, compact, checked, and seekable by time.
//!
//! A file is a header, blocks, and an index:
//!
//! ```text
//! "TERCELTP" version:u16 flags:u16 len:u32 crc:u32 metadata      the header
//! "BLK1" len:u32 n_events:u32 first:i64 last:i64 crc:u32 bytes   a block, many times
//! "IDX1" len:u32 n_blocks:u32 crc:u32 entries offset:u64 "TERCELEN"
//! ```
//!
//! Flag 1 says that blocks are numbered: the bytes of each begin with the number of its first event
//! in 64 bits, counted from 0 over all tapes of one run, so that it shows where events are missing. A
//! block without events then only says how many there were.
//!
//! Numbers are little-endian. Every block stands alone: it starts from zero and can be read
//! without those before it. Its checksum covers its header fields too. A writer that dies leaves no
//! index: the reader then finds the blocks by walking them, and says that the file ends too early.

mod appender;
mod codec;
mod header;
mod reader;
mod writer;

pub use appender::TapeAppender;
pub use reader::TapeReader;
pub(crate) use writer::BlockWriter;
pub use writer::{TapeSummary, TapeWriter};

/// First bytes of a tape.
pub(crate) const MAGIC: &[u8; 8] = b"TERCELTP";
const BLOCK_MAGIC: &[u8; 4] = b"BLK1";
const INDEX_MAGIC: &[u8; 4] = b"IDX1";
const END_MAGIC: &[u8; 8] = b"TERCELEN";
const VERSION: u16 = 2;
/// Flag in the header: blocks say the number of their first event.
const NUMBERED: u16 = 1;
/// Bytes before a block's payload.
const BLOCK_HEADER: usize = 4 + 4 + 4 + 8 + 8 + 4;
/// Most events in a block.
pub(crate) const BLOCK_EVENTS: usize = 4_096;
/// No block is longer, whatever a damaged length says.
const LONGEST_BLOCK: u32 = 16 << 20;

/// Where a block lies and which receive times it spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct BlockEntry {
    offset: u64,
    first: i64,
    last: i64,
    n_events: u32,
    /// Whether a snapshot of a book begins in it.
    has_snapshot: bool,
}

impl BlockEntry {
    const SIZE: usize = 8 + 8 + 8 + 4 + 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
        out.extend_from_slice(&self.n_events.to_le_bytes());
        out.push(u8::from(self.has_snapshot));
    }

    fn read(bytes: &[u8; Self::SIZE]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            word
        };
        let mut count = [0; 4];
        count.copy_from_slice(&bytes[24..28]);
        Self {
            offset: u64::from_le_bytes(word(0)),
            first: i64::from_le_bytes(word(8)),
            last: i64::from_le_bytes(word(16)),
            n_events: u32::from_le_bytes(count),
            has_snapshot: bytes[28] != 0,
        }
    }
}

/// Returns the checksum of a block: of its header fields and its bytes.
fn block_crc(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}
