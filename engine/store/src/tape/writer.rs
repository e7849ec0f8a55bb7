//! Writing a tape: into a temporary file beside its place, which it takes when it is whole; and the
//! blocks that any tape is made of.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tercel_core::Event;

use super::{
    BLOCK_EVENTS, BLOCK_HEADER, BLOCK_MAGIC, BlockEntry, END_MAGIC, INDEX_MAGIC, MAGIC, NUMBERED,
    VERSION, block_crc, codec, header,
};
use crate::error::StoreError;
use crate::metadata::Metadata;

/// Writes events to a tape in constant memory.
///
/// Nothing appears under the tape's name before [`TapeWriter::finish`]; an existing file stays
/// until then.
#[derive(Debug)]
pub struct TapeWriter {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` once the tape is finished.
    blocks: Option<BlockWriter>,
    pending: Vec<Event>,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TapeSummary {
    /// Events in the tape.
    pub n_events: u64,
    /// Its length in bytes.
    pub n_bytes: u64,
    /// Its blocks.
    pub n_blocks: usize,
}

impl TapeWriter {
    /// Begins a tape at `path`.
    ///
    /// # Errors
    ///
    /// If its folder cannot be written.
    ///
    /// # Panics
    ///
    /// If the metadata is longer than 4 GiB.
    pub fn create(path: &Path, metadata: &Metadata) -> Result<Self, StoreError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary).map_err(|error| StoreError::io(&temporary, error))?;
        let blocks = BlockWriter::begin(file, &temporary, metadata, false)?;
        let pending = Vec::with_capacity(BLOCK_EVENTS);
        Ok(Self { path: path.to_owned(), temporary, blocks: Some(blocks), pending })
    }

    /// Adds events; those that are neither market data nor link news are left out.
    ///
    /// # Errors
    ///
    /// If the disk refuses a block.
    pub fn write(&mut self, events: &[Event]) -> Result<(), StoreError> {
        for event in events {
            if let Event::Market(_) | Event::Link(_) = event {
                self.pending.push(event.clone());
                if self.pending.len() == BLOCK_EVENTS {
                    self.write_block()?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is left and the index, and gives the tape its name.
    ///
    /// # Errors
    ///
    /// If the disk refuses; nothing then has the tape's name.
    ///
    /// # Panics
    ///
    /// If the index is longer than 4 GiB: at 2^27 blocks, that is 2^40 events.
    pub fn finish(mut self) -> Result<TapeSummary, StoreError> {
        if !self.pending.is_empty() {
            self.write_block()?;
        }
        let blocks = self.blocks.as_mut().expect("a tape is finished once");
        let summary = blocks.end()?;
        std::fs::rename(&self.temporary, &self.path)
            .map_err(|error| StoreError::io(&self.path, error))?;
        self.blocks = None;
        Ok(summary)
    }

    fn write_block(&mut self) -> Result<(), StoreError> {
        let blocks = self.blocks.as_mut().expect("a finished tape is not written to");
        blocks.write(0, &self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl Drop for TapeWriter {
    fn drop(&mut self) {
        if self.blocks.is_some() {
            // A tape that was given up leaves nothing behind. There is nobody to tell if that fails.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes the header, the blocks and the index of a tape into a file.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    path: PathBuf,
    file: BufWriter<File>,
    is_numbered: bool,
    offset: u64,
    payload: Vec<u8>,
    index: Vec<BlockEntry>,
    n_events: u64,
    last_at: i64,
}

impl BlockWriter {
    /// Writes the header. Blocks of a numbered tape say the number of their first event.
    pub(crate) fn begin(
        file: File,
        path: &Path,
        metadata: &Metadata,
        is_numbered: bool,
    ) -> Result<Self, StoreError> {
        let mut file = BufWriter::with_capacity(1 << 18, file);
        let metadata = header::write(metadata);
        let len = u32::try_from(metadata.len()).expect("metadata is far below 4 GiB");
        let flags = if is_numbered { NUMBERED } else { 0 };
        let mut head = Vec::with_capacity(20 + metadata.len());
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&flags.to_le_bytes());
        head.extend_from_slice(&len.to_le_bytes());
        head.extend_from_slice(&crc32fast::hash(&metadata).to_le_bytes());
        head.extend_from_slice(&metadata);
        file.write_all(&head).map_err(|error| StoreError::io(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            is_numbered,
            offset: head.len() as u64,
            payload: Vec::new(),
            index: Vec::new(),
            n_events: 0,
            last_at: i64::MIN,
        })
    }

    /// Goes on with an unnumbered tape whose blocks end at `offset`, where nothing follows.
    pub(super) fn resume(
        mut file: File,
        path: &Path,
        offset: u64,
        index: Vec<BlockEntry>,
    ) -> Result<Self, StoreError> {
        file.seek(SeekFrom::Start(offset)).map_err(|error| StoreError::io(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 18, file),
            is_numbered: false,
            offset,
            payload: Vec::new(),
            n_events: index.iter().map(|entry| u64::from(entry.n_events)).sum(),
            last_at: index.last().map_or(i64::MIN, |entry| entry.last),
            index,
        })
    }

    /// Writes a block, at most [`BLOCK_EVENTS`] events of which the first has this number.
    pub(crate) fn write(&mut self, number: u64, events: &[Event]) -> Result<(), StoreError> {
        self.payload.clear();
        if self.is_numbered {
            self.payload.extend_from_slice(&number.to_le_bytes());
        }
        let has_snapshot = codec::encode(events, &mut self.payload);
        let times = events.iter().filter_map(|event| match event {
            Event::Market(market) => Some(market.received_at.0),
            _ => None,
        });
        let first = times.clone().min().unwrap_or(self.last_at);
        // Grows from block to block even where the events' times do not, so that it can be searched.
        let last = times.max().unwrap_or(self.last_at).max(self.last_at);
        self.last_at = last;
        let n_events = u32::try_from(events.len()).expect("a block is small");
        let mut head = [0u8; BLOCK_HEADER];
        head[..4].copy_from_slice(BLOCK_MAGIC);
        let len = u32::try_from(self.payload.len()).expect("a block is small");
        head[4..8].copy_from_slice(&len.to_le_bytes());
        head[8..12].copy_from_slice(&n_events.to_le_bytes());
        head[12..20].copy_from_slice(&first.to_le_bytes());
        head[20..28].copy_from_slice(&last.to_le_bytes());
        let crc = block_crc(&head[4..28], &self.payload);
        head[28..32].copy_from_slice(&crc.to_le_bytes());
        let io = |error| StoreError::io(&self.path, error);
        self.file.write_all(&head).map_err(io)?;
        self.file.write_all(&self.payload).map_err(io)?;
        self.index.push(BlockEntry { offset: self.offset, first, last, n_events, has_snapshot });
        self.offset += (BLOCK_HEADER + self.payload.len()) as u64;
        self.n_events += u64::from(n_events);
        Ok(())
    }

    /// Returns the bytes written so far.
    pub(crate) const fn n_bytes(&self) -> u64 {
        self.offset
    }

    /// Returns the events written so far.
    pub(crate) const fn n_events(&self) -> u64 {
        self.n_events
    }

    /// Gives the operating system what was written.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        self.file.flush().map_err(|error| StoreError::io(&self.path, error))
    }

    /// Writes the index, and returns when all is on the disk. Nothing is to be written afterwards.
    pub(crate) fn end(&mut self) -> Result<TapeSummary, StoreError> {
        let mut entries = Vec::with_capacity(self.index.len() * BlockEntry::SIZE);
        self.index.iter().for_each(|entry| entry.write(&mut entries));
        let len = u32::try_from(entries.len()).expect("an index is far below 4 GiB");
        let n_blocks = u32::try_from(self.index.len()).expect("blocks are counted in 32 bits");
        let mut tail = Vec::with_capacity(entries.len() + 32);
        tail.extend_from_slice(INDEX_MAGIC);
        tail.extend_from_slice(&len.to_le_bytes());
        tail.extend_from_slice(&n_blocks.to_le_bytes());
        tail.extend_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        tail.extend_from_slice(&entries);
        tail.extend_from_slice(&self.offset.to_le_bytes());
        tail.extend_from_slice(END_MAGIC);
        let io = |error| StoreError::io(&self.path, error);
        self.file.write_all(&tail).map_err(io)?;
        self.file.flush().map_err(io)?;
        self.file.get_ref().sync_all().map_err(io)?;
        self.offset += tail.len() as u64;
        Ok(TapeSummary {
            n_events: self.n_events,
            n_bytes: self.offset,
            n_blocks: self.index.len(),
        })
    }
}
