//! Reading a tape: block by block, each checked before any of its events is believed.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tercel_core::{Event, Nanos};

use super::{
    BLOCK_EVENTS, BLOCK_HEADER, BLOCK_MAGIC, BlockEntry, END_MAGIC, INDEX_MAGIC, LONGEST_BLOCK,
    MAGIC, NUMBERED, VERSION, block_crc, codec, header,
};
use crate::container::{Container, Member, Unwrapped};
use crate::error::StoreError;
use crate::metadata::Metadata;
use crate::report::Report;

/// Reads a tape in constant memory: a file of its own, or inside gzip, zstd or zip.
#[derive(Debug)]
pub struct TapeReader {
    path: PathBuf,
    input: Input,
    metadata: Metadata,
    /// The blocks; of a wrapped tape those that were read so far.
    index: Vec<BlockEntry>,
    next: usize,
    payload: Vec<u8>,
    is_numbered: bool,
    /// Of the first event of the block that was read last, where blocks are numbered.
    number: Option<u64>,
    report: Report,
}

#[derive(Debug)]
enum Input {
    /// A file, with its index.
    File(BufReader<File>),
    /// Inside a container: read from its beginning to its end.
    Wrapped { bytes: Box<Unwrapped>, offset: u64, accept_truncated: bool, is_done: bool },
}

impl TapeReader {
    /// Opens a tape that lies in a file of its own.
    ///
    /// # Errors
    ///
    /// If it is no tape, of a newer version, damaged in its header or index, or without its end
    /// (unless `accept_truncated`: then the blocks that are whole are read).
    pub fn open(path: &Path, accept_truncated: bool) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(path, error);
        let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(io)?);
        let len = file.get_ref().metadata().map_err(io)?.len();
        let (metadata, start, is_numbered) = read_header(&mut file, path, |_| {
            StoreError::Truncated { path: path.to_owned(), offset: len }
        })?;
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
            Err(NO_INDEX) => {
                return Err(StoreError::Truncated { path: path.to_owned(), offset: len });
            }
            Err(what) => return Err(corrupt(path, len, what)),
        };
        Ok(Self {
            path: path.to_owned(),
            input: Input::File(file),
            metadata,
            index,
            next: 0,
            payload: Vec::new(),
            is_numbered,
            number: None,
            report,
        })
    }

    /// Opens a tape that may be inside a container.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; of a wrapped tape damage shows only where it is read.
    pub fn open_member(member: &Member, accept_truncated: bool) -> Result<Self, StoreError> {
        if member.container == Container::Plain {
            return Self::open(&member.path, accept_truncated);
        }
        let mut bytes = Box::new(member.open()?);
        let path = member.path.clone();
        let failed = bytes.explainer();
        let (metadata, offset, is_numbered) = read_header(&mut bytes, &path, failed)?;
        let input = Input::Wrapped { bytes, offset, accept_truncated, is_done: false };
        Ok(Self {
            path,
            input,
            metadata,
            index: Vec::new(),
            next: 0,
            payload: Vec::new(),
            is_numbered,
            number: None,
            report: Report::default(),
        })
    }

    /// Returns what the tape is about.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns where the tape lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the blocks; of a wrapped tape those that were read so far.
    pub(super) fn blocks(&self) -> &[BlockEntry] {
        &self.index
    }

    /// Returns whether blocks say the number of their first event.
    pub(super) const fn is_numbered(&self) -> bool {
        self.is_numbered
    }

    /// Returns where the next block begins once all before it were read; of a wrapped tape, in what
    /// is inside.
    pub(super) fn position(&mut self) -> std::io::Result<u64> {
        match &mut self.input {
            Input::File(file) => file.stream_position(),
            Input::Wrapped { offset, .. } => Ok(*offset),
        }
    }

    /// Returns what was noticed while reading.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// Returns how many events the tape holds; of a wrapped tape, how many were read so far.
    #[must_use]
    pub fn n_events(&self) -> u64 {
        self.index.iter().map(|entry| u64::from(entry.n_events)).sum()
    }

    /// Returns a time that no event comes before.
    #[must_use]
    pub fn starts_at(&self) -> Nanos {
        match self.input {
            Input::File(_) => {
                let first = self.index.iter().map(|entry| entry.first).min();
                Nanos(first.unwrap_or(i64::MAX))
            }
            Input::Wrapped { .. } => Nanos(i64::MIN),
        }
    }

    /// Goes to the first block that has events at or after `at`. O(log blocks). A wrapped tape
    /// stays where it is.
    pub fn seek(&mut self, at: Nanos) {
        if let Input::File(_) = self.input {
            self.next = self.index.partition_point(|entry| entry.last < at.0);
        }
    }

    /// Goes to where reading has to begin for books to be right at `at`: the last block before it
    /// in which a snapshot begins, else the first one. A wrapped tape stays where it is.
    pub fn seek_for(&mut self, at: Nanos) {
        if let Input::File(_) = self.input {
            let end = self.index.partition_point(|entry| entry.last < at.0);
            self.next = self.index[..end].iter().rposition(|entry| entry.has_snapshot).unwrap_or(0);
        }
    }

    /// Appends the events of the next block to `out` and returns how many; 0 at the end.
    ///
    /// # Errors
    ///
    /// If the block is damaged: none of its events is returned.
    pub fn read_block(&mut self, out: &mut Vec<Event>) -> Result<usize, StoreError> {
        while let Some(n_events) = self.next_block(out)? {
            if n_events > 0 {
                return Ok(n_events);
            }
        }
        Ok(0)
    }

    /// Returns the number of the first event of the block that was read last, in a numbered tape.
    pub(crate) const fn number(&self) -> Option<u64> {
        self.number
    }

    /// Appends the events of the next block to `out` and returns how many; `None` at the end.
    pub(crate) fn next_block(&mut self, out: &mut Vec<Event>) -> Result<Option<usize>, StoreError> {
        let found = match &mut self.input {
            Input::File(file) => {
                let Some(entry) = self.index.get(self.next).copied() else { return Ok(None) };
                let io = |error| StoreError::io(&self.path, error);
                let here = file.stream_position().map_err(io)?;
                if here != entry.offset {
                    // Relative, so that reading on keeps what is buffered.
                    let distance = entry.offset.cast_signed().wrapping_sub(here.cast_signed());
                    file.seek_relative(distance).map_err(io)?;
                }
                let mut magic = [0; 4];
                let path = &self.path;
                let cut = |_| corrupt(path, entry.offset, "the block is cut");
                file.read_exact(&mut magic).map_err(cut)?;
                if &magic != BLOCK_MAGIC {
                    return Err(corrupt(path, entry.offset, "no block begins here"));
                }
                let read = read_payload(file, &mut self.payload, path, entry.offset, cut)?;
                (read, entry.offset)
            }
            Input::Wrapped { is_done: true, .. } => return Ok(None),
            Input::Wrapped { bytes, offset, accept_truncated, is_done } => {
                let failed = bytes.explainer();
                let read = next_wrapped(
                    bytes,
                    &mut self.payload,
                    &self.path,
                    &failed,
                    &self.index,
                    *offset,
                );
                match read {
                    Ok(Some(entry)) => {
                        self.index.push(entry);
                        *offset += (BLOCK_HEADER + self.payload.len() - codec::PADDING) as u64;
                        (entry, entry.offset)
                    }
                    Ok(None) => {
                        *is_done = true;
                        return Ok(None);
                    }
                    Err(StoreError::Truncated { offset, .. }) if *accept_truncated => {
                        *is_done = true;
                        let path = self.path.display();
                        let note = format!("{path} ends too early at byte {offset}");
                        self.report.notes.push(note);
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let (BlockEntry { n_events, .. }, offset) = found;
        let before = out.len();
        let mut bytes = self.payload.as_slice();
        if self.is_numbered {
            let Some((number, rest)) = bytes
                .split_first_chunk()
                .filter(|_| bytes.len() >= size_of::<u64>() + codec::PADDING)
            else {
                return Err(corrupt(&self.path, offset, "the block has no number"));
            };
            self.number = Some(u64::from_le_bytes(*number));
            bytes = rest;
        }
        let len = bytes.len() - codec::PADDING;
        if let Err(bad) = codec::decode(bytes, len, n_events, out) {
            out.truncate(before);
            let what = format!("event at byte {} of the block is malformed", bad.at);
            return Err(corrupt(&self.path, offset, &what));
        }
        self.next += 1;
        self.report.n_lines += u64::from(n_events);
        if out.len() == before && !self.is_numbered {
            // No writer makes such blocks, whose number would be all that they say.
            return Err(corrupt(&self.path, offset, "the block is empty"));
        }
        Ok(Some(out.len() - before))
    }
}

fn corrupt(path: &Path, offset: u64, what: &str) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), offset, what: what.to_owned() }
}

/// Reads the header and returns it with its length and whether blocks are numbered.
fn read_header(
    input: &mut impl Read,
    path: &Path,
    failed: impl Fn(std::io::Error) -> StoreError,
) -> Result<(Metadata, u64, bool), StoreError> {
    let mut head = [0; 20];
    input.read_exact(&mut head).map_err(&failed)?;
    if &head[..8] != MAGIC {
        return Err(corrupt(path, 0, "not a tape"));
    }
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version != VERSION {
        let what = format!("tape version {version}, this program reads version {VERSION}");
        return Err(corrupt(path, 8, &what));
    }
    let flags = u16::from_le_bytes([head[10], head[11]]);
    if flags & !NUMBERED != 0 {
        return Err(corrupt(path, 10, &format!("flags {flags:#x} are not known here")));
    }
    // Read piece by piece: a damaged length must not take memory that the file does not have.
    let len = u64::from(u32_at(&head, 12));
    let mut bytes = Vec::new();
    input.take(len).read_to_end(&mut bytes).map_err(&failed)?;
    if bytes.len() as u64 != len {
        return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
    }
    if crc32fast::hash(&bytes) != u32_at(&head, 16) {
        return Err(corrupt(path, 20, "the header's checksum does not fit"));
    }
    let metadata =
        header::read(&bytes).ok_or_else(|| corrupt(path, 20, "the header is malformed"))?;
    Ok((metadata, 20 + len, flags & NUMBERED != 0))
}

/// Reads a block behind its magic: its payload, checked, and room for the decoder to look ahead.
fn read_payload(
    input: &mut impl Read,
    payload: &mut Vec<u8>,
    path: &Path,
    offset: u64,
    cut: impl Fn(std::io::Error) -> StoreError,
) -> Result<BlockEntry, StoreError> {
    let mut head = [0; BLOCK_HEADER - 4];
    input.read_exact(&mut head).map_err(&cut)?;
    let (len, n_events) = (u32_at(&head, 0), u32_at(&head, 4));
    if len > LONGEST_BLOCK || n_events as usize > BLOCK_EVENTS {
        return Err(corrupt(path, offset, "the block's length is impossible"));
    }
    let len = len as usize;
    payload.resize(len + codec::PADDING, 0);
    payload[len..].fill(0);
    input.read_exact(&mut payload[..len]).map_err(&cut)?;
    if block_crc(&head[..24], &payload[..len]) != u32_at(&head, 24) {
        return Err(corrupt(path, offset, "the block's checksum does not fit"));
    }
    let (first, last) = (i64_at(&head, 8), i64_at(&head, 16));
    Ok(BlockEntry { offset, first, last, n_events, has_snapshot: false })
}

/// Reads the next block of a wrapped tape, or its index: that has to name the blocks that came.
fn next_wrapped(
    input: &mut impl Read,
    payload: &mut Vec<u8>,
    path: &Path,
    failed: &impl Fn(std::io::Error) -> StoreError,
    index: &[BlockEntry],
    offset: u64,
) -> Result<Option<BlockEntry>, StoreError> {
    let mut magic = [0; 4];
    input.read_exact(&mut magic).map_err(failed)?;
    if &magic == BLOCK_MAGIC {
        return read_payload(input, payload, path, offset, failed).map(Some);
    }
    if &magic != INDEX_MAGIC {
        return Err(corrupt(path, offset, "neither a block nor the index begins here"));
    }
    let mut tail = Vec::new();
    input.take(u64::from(LONGEST_BLOCK)).read_to_end(&mut tail).map_err(failed)?;
    let entries = tail.get(12..).and_then(|rest| rest.split_last_chunk::<16>());
    let Some((entries, end)) = entries else {
        return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
    };
    if &end[8..] != END_MAGIC {
        return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let (entries, rest) = entries.as_chunks::<{ BlockEntry::SIZE }>();
    let named = entries.iter().map(BlockEntry::read).map(|entry| entry.offset);
    if !rest.is_empty() || !named.eq(index.iter().map(|entry| entry.offset)) {
        return Err(corrupt(path, offset, "the index names other blocks than those that came"));
    }
    Ok(None)
}

const NO_INDEX: &str = "no index";

/// Reads the index at the end.
fn read_index(
    file: &mut BufReader<File>,
    start: u64,
    len: u64,
) -> Result<Vec<BlockEntry>, &'static str> {
    const TAIL: u64 = 16;
    if len < start + TAIL + 16 {
        return Err(NO_INDEX);
    }
    let mut tail = [0; 16];
    file.seek(SeekFrom::Start(len - TAIL)).map_err(|_| NO_INDEX)?;
    file.read_exact(&mut tail).map_err(|_| NO_INDEX)?;
    if &tail[8..] != END_MAGIC {
        return Err(NO_INDEX);
    }
    let mut offset = [0; 8];
    offset.copy_from_slice(&tail[..8]);
    let offset = u64::from_le_bytes(offset);
    let in_range = offset >= start && offset.checked_add(16 + TAIL).is_some_and(|end| end <= len);
    if !in_range {
        return Err("the index lies outside the file");
    }
    let mut head = [0; 16];
    file.seek(SeekFrom::Start(offset)).map_err(|_| NO_INDEX)?;
    file.read_exact(&mut head).map_err(|_| NO_INDEX)?;
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
    file.seek(SeekFrom::Start(start)).map_err(|_| NO_INDEX)?;
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
