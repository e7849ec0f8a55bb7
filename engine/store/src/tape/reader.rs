//! Reading a tape: block by block, each checked before any of its events is believed.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tercel_core::{Event, Nanos};

use super::{
    BLOCK_EVENTS, BLOCK_HEADER, BLOCK_MAGIC, BlockEntry, END_MAGIC, INDEX_MAGIC, LONGEST_BLOCK,
    MAGIC, VERSION, block_crc, codec, header,
};
use crate::error::StoreError;
use crate::metadata::Metadata;
use crate::report::Report;

/// Reads a tape in constant memory.
#[derive(Debug)]
pub struct TapeReader {
    path: PathBuf,
    file: BufReader<File>,
    metadata: Metadata,
    index: Vec<BlockEntry>,
    next: usize,
    payload: Vec<u8>,
    report: Report,
}

impl TapeReader {
    /// Opens a tape.
    ///
    /// # Errors
    ///
    /// If it is no tape, of a newer version, damaged in its header or index, or without its end
    /// (unless `accept_truncated`: then the blocks that are whole are read).
    pub fn open(path: &Path, accept_truncated: bool) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(path, error);
        let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(io)?);
        let corrupt = |offset: u64, what: &str| StoreError::Corrupt {
            path: path.to_owned(),
            offset,
            what: what.to_owned(),
        };
        let truncated = |offset| StoreError::Truncated { path: path.to_owned(), offset };
        let len = file.get_ref().metadata().map_err(io)?.len();
        let mut head = [0; 20];
        file.read_exact(&mut head).map_err(|_| truncated(len))?;
        if &head[..8] != MAGIC {
            return Err(corrupt(0, "not a tape"));
        }
        let version = u16::from_le_bytes([head[8], head[9]]);
        if version != VERSION {
            let what = format!("tape version {version}, this program reads version {VERSION}");
            return Err(corrupt(8, &what));
        }
        let metadata_len = u32_at(&head, 12);
        if u64::from(metadata_len) + 20 > len {
            return Err(truncated(len));
        }
        let mut bytes = vec![0; metadata_len as usize];
        file.read_exact(&mut bytes).map_err(|_| truncated(len))?;
        if crc32fast::hash(&bytes) != u32_at(&head, 16) {
            return Err(corrupt(20, "the header's checksum does not fit"));
        }
        let metadata =
            header::read(&bytes).ok_or_else(|| corrupt(20, "the header is malformed"))?;
        let start = 20 + u64::from(metadata_len);
        let mut report = Report::default();
        let index = match read_index(&mut file, start, len) {
            Ok(index) => index,
            Err(what) if accept_truncated => {
                let (index, end) = walk(&mut file, start, len).map_err(io)?;
                report.notes.push(format!(
                    "{}: {what}; {} whole blocks up to byte {end} are used",
                    path.display(),
                    index.len()
                ));
                index
            }
            Err("no index") => return Err(truncated(len)),
            Err(what) => return Err(corrupt(len, what)),
        };
        let payload = Vec::new();
        Ok(Self { path: path.to_owned(), file, metadata, index, next: 0, payload, report })
    }

    /// Returns what the tape is about.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns what was noticed while reading.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// Returns how many events the tape holds.
    #[must_use]
    pub fn n_events(&self) -> u64 {
        self.index.iter().map(|entry| u64::from(entry.n_events)).sum()
    }

    /// Goes to the first block that has events at or after `at`. O(log blocks).
    pub fn seek(&mut self, at: Nanos) {
        self.next = self.index.partition_point(|entry| entry.last < at.0);
    }

    /// Goes to where reading has to begin for books to be right at `at`: the last block before it
    /// in which a snapshot begins, else the first one.
    pub fn seek_for(&mut self, at: Nanos) {
        let end = self.index.partition_point(|entry| entry.last < at.0);
        self.next = self.index[..end].iter().rposition(|entry| entry.has_snapshot).unwrap_or(0);
    }

    /// Appends the events of the next block to `out` and returns how many; 0 at the end.
    ///
    /// # Errors
    ///
    /// If the block is damaged: none of its events is returned.
    pub fn read_block(&mut self, out: &mut Vec<Event>) -> Result<usize, StoreError> {
        let Some(entry) = self.index.get(self.next).copied() else { return Ok(0) };
        let corrupt = |what: &str| StoreError::Corrupt {
            path: self.path.clone(),
            offset: entry.offset,
            what: what.to_owned(),
        };
        let io = |error| StoreError::io(&self.path, error);
        let here = self.file.stream_position().map_err(io)?;
        if here != entry.offset {
            // Relative, so that reading on keeps what is buffered.
            let distance = entry.offset.cast_signed().wrapping_sub(here.cast_signed());
            self.file.seek_relative(distance).map_err(io)?;
        }
        let mut head = [0; BLOCK_HEADER];
        self.file.read_exact(&mut head).map_err(|_| corrupt("the block is cut"))?;
        if &head[..4] != BLOCK_MAGIC {
            return Err(corrupt("no block begins here"));
        }
        let (len, n_events) = (u32_at(&head, 4), u32_at(&head, 8));
        if len > LONGEST_BLOCK || n_events as usize > BLOCK_EVENTS {
            return Err(corrupt("the block's length is impossible"));
        }
        self.payload.resize(len as usize, 0);
        self.file.read_exact(&mut self.payload).map_err(|_| corrupt("the block is cut"))?;
        if block_crc(&head[4..28], &self.payload) != u32_at(&head, 28) {
            return Err(corrupt("the block's checksum does not fit"));
        }
        let before = out.len();
        out.reserve(n_events as usize);
        if let Err(bad) = codec::decode(&self.payload, n_events, out) {
            out.truncate(before);
            return Err(corrupt(&format!("event at byte {} of the block is malformed", bad.at)));
        }
        self.next += 1;
        self.report.n_lines += u64::from(n_events);
        Ok(out.len() - before)
    }
}

/// Reads the index at the end.
fn read_index(
    file: &mut BufReader<File>,
    start: u64,
    len: u64,
) -> Result<Vec<BlockEntry>, &'static str> {
    const TAIL: u64 = 16;
    if len < start + TAIL + 16 {
        return Err("no index");
    }
    let mut tail = [0; 16];
    file.seek(SeekFrom::Start(len - TAIL)).map_err(|_| "no index")?;
    file.read_exact(&mut tail).map_err(|_| "no index")?;
    if &tail[8..] != END_MAGIC {
        return Err("no index");
    }
    let mut offset = [0; 8];
    offset.copy_from_slice(&tail[..8]);
    let offset = u64::from_le_bytes(offset);
    let in_range = offset >= start && offset.checked_add(16 + TAIL).is_some_and(|end| end <= len);
    if !in_range {
        return Err("the index lies outside the file");
    }
    let mut head = [0; 16];
    file.seek(SeekFrom::Start(offset)).map_err(|_| "no index")?;
    file.read_exact(&mut head).map_err(|_| "no index")?;
    let entries_len = u32_at(&head, 4) as usize;
    let fits = offset + 16 + entries_len as u64 + TAIL == len;
    let n_blocks = u32_at(&head, 8) as usize;
    if &head[..4] != INDEX_MAGIC
        || !fits
        || n_blocks.checked_mul(BlockEntry::SIZE) != Some(entries_len)
    {
        return Err("the index is malformed");
    }
    let mut bytes = vec![0; entries_len];
    file.read_exact(&mut bytes).map_err(|_| "the index is cut")?;
    if crc32fast::hash(&bytes) != u32_at(&head, 12) {
        return Err("the index's checksum does not fit");
    }
    file.seek(SeekFrom::Start(start)).map_err(|_| "no index")?;
    let (entries, _) = bytes.as_chunks::<{ BlockEntry::SIZE }>();
    Ok(entries.iter().map(BlockEntry::read).collect())
}

/// Finds the whole blocks of a tape without an index, and where they end.
fn walk(
    file: &mut BufReader<File>,
    start: u64,
    len: u64,
) -> std::io::Result<(Vec<BlockEntry>, u64)> {
    let mut index = Vec::new();
    let mut offset = start;
    let mut payload = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    while offset + BLOCK_HEADER as u64 <= len {
        let mut head = [0; BLOCK_HEADER];
        file.read_exact(&mut head)?;
        let block_len = u32_at(&head, 4);
        let end = offset + BLOCK_HEADER as u64 + u64::from(block_len);
        if &head[..4] != BLOCK_MAGIC || block_len > LONGEST_BLOCK || end > len {
            break;
        }
        payload.resize(block_len as usize, 0);
        file.read_exact(&mut payload)?;
        if block_crc(&head[4..28], &payload) != u32_at(&head, 28) {
            break;
        }
        let (first, last) = (i64_at(&head, 12), i64_at(&head, 20));
        let n_events = u32_at(&head, 8);
        // Whether a snapshot begins here is in the lost index. Only the first block is sure to be a
        // beginning.
        let has_snapshot = index.is_empty();
        index.push(BlockEntry { offset, first, last, n_events, has_snapshot });
        offset = end;
    }
    file.seek(SeekFrom::Start(start))?;
    Ok((index, offset))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(word)
}
