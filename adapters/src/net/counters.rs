//! What is counted about a connection, readable from every thread.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::DecodeError;

/// Counts of a connection since it was made. Written by one thread.
#[derive(Debug, Default)]
pub struct LinkCounters {
    frames: AtomicU64,
    bytes: AtomicU64,
    pings: AtomicU64,
    sent: AtomicU64,
    refused: AtomicU64,
    connects: AtomicU64,
    losses: AtomicU64,
    renewals: AtomicU64,
    unknown: AtomicU64,
    syntax: AtomicU64,
    fields: AtomicU64,
    off_grid: AtomicU64,
    unknown_symbols: AtomicU64,
}

/// The counts of a connection at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkCounts {
    /// Messages received.
    pub frames: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Pings of the venue, and its answers to ours.
    pub pings: u64,
    /// Messages sent.
    pub sent: u64,
    /// Requests refused because a budget was used up or the connection was not open.
    pub refused: u64,
    /// Times that the connection was opened.
    pub connects: u64,
    /// Times that it was lost, or given up because of silence or at the protocol's wish.
    pub losses: u64,
    /// Times that it was replaced by a newer one before the venue would have cut it.
    pub renewals: u64,
    /// Messages of a kind that is not known.
    pub unknown: u64,
    /// Messages that are not JSON or protobuf where that was expected.
    pub syntax: u64,
    /// Messages with a field missing or impossible.
    pub fields: u64,
    /// Messages with a price or quantity off the instrument's grid.
    pub off_grid: u64,
    /// Messages of symbols that were not asked for.
    pub unknown_symbols: u64,
}

impl LinkCounters {
    /// Returns the counts as they are now, read one by one.
    #[must_use]
    pub fn read(&self) -> LinkCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkCounts {
            frames: read(&self.frames),
            bytes: read(&self.bytes),
            pings: read(&self.pings),
            sent: read(&self.sent),
            refused: read(&self.refused),
            connects: read(&self.connects),
            losses: read(&self.losses),
            renewals: read(&self.renewals),
            unknown: read(&self.unknown),
            syntax: read(&self.syntax),
            fields: read(&self.fields),
            off_grid: read(&self.off_grid),
            unknown_symbols: read(&self.unknown_symbols),
        }
    }

    #[inline]
    pub(crate) fn frame(&self, len: usize) {
        add(&self.frames, 1);
        add(&self.bytes, len as u64);
    }

    pub(crate) fn ping(&self) {
        add(&self.pings, 1);
    }

    pub(crate) fn sent(&self) {
        add(&self.sent, 1);
    }

    pub(crate) fn refused(&self) {
        add(&self.refused, 1);
    }

    pub(crate) fn connected(&self) {
        add(&self.connects, 1);
    }

    pub(crate) fn lost(&self) {
        add(&self.losses, 1);
    }

    pub(crate) fn renewed(&self) {
        add(&self.renewals, 1);
    }

    #[cold]
    pub(crate) fn decode_error(&self, error: &DecodeError) {
        add(
            match error {
                DecodeError::UnknownMessage => &self.unknown,
                DecodeError::Syntax { .. } => &self.syntax,
                DecodeError::Field(_) => &self.fields,
                DecodeError::OffGrid { .. } => &self.off_grid,
                DecodeError::UnknownSymbol(_) => &self.unknown_symbols,
            },
            1,
        );
    }
}

/// One thread writes, so no read-modify-write instruction is needed.
#[inline]
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}
