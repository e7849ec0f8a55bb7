//! The head: where a journal ends, written in one transaction with the block that ends there.

use std::ops::Range;

use tercel_core::Seq;

use super::block::{Hash, START};
use super::codec::{self, Kind, Malformed};

const MAGIC: &[u8; 8] = b"TERCELJ1";
const LEN: usize = 8 + 8 * 8 + 16 + 16;

/// What is known of a journal without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// How many records there are.
    pub(super) n_records: u64,
    /// Stands for all of them.
    pub(super) hash: Hash,
    /// First record of the last block.
    pub(super) last_block: u64,
    /// How many blocks there are.
    pub(super) n_blocks: u64,
    /// Order numbers leased last.
    pub(super) lease: Option<Range<u64>>,
    /// Record of the last snapshot.
    pub(super) snapshot: Option<u64>,
    /// The last entry's number.
    pub(super) last_seq: Option<Seq>,
    /// Whether the run is over.
    pub(super) is_sealed: bool,
}

impl Head {
    /// Returns the head of a journal without records.
    pub(super) const fn empty() -> Self {
        Self {
            n_records: 0,
            hash: START,
            last_block: 0,
            n_blocks: 0,
            lease: None,
            snapshot: None,
            last_seq: None,
            is_sealed: false,
        }
    }

    /// Takes note of the next record.
    ///
    /// # Errors
    ///
    /// If it cannot stand where it does.
    pub(super) fn note(&mut self, record: &[u8]) -> Result<(), Misfit> {
        if self.is_sealed {
            return Err(Misfit::AfterEnd);
        }
        let kind = codec::kind(record)?;
        if (self.n_records == 0) != matches!(kind, Kind::RunStarted) {
            return Err(Misfit::Start);
        }
        match kind {
            Kind::Entry(seq) => {
                if self.last_seq.is_some_and(|last| seq <= last) {
                    return Err(Misfit::Order(seq));
                }
                self.last_seq = Some(seq);
            }
            Kind::IdLease(lease) => {
                if lease.start < self.lease_end() || lease.end <= lease.start {
                    return Err(Misfit::Lease(lease));
                }
                self.lease = Some(lease);
            }
            Kind::Snapshot => self.snapshot = Some(self.n_records),
            Kind::RunEnded => self.is_sealed = true,
            Kind::RunStarted | Kind::Other => {}
        }
        self.n_records += 1;
        Ok(())
    }

    /// Returns the first order number that was never leased.
    pub(super) fn lease_end(&self) -> u64 {
        self.lease.as_ref().map_or(0, |lease| lease.end)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let lease = self.lease.clone().unwrap_or(0..0);
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(MAGIC);
        for number in [
            self.n_records,
            self.last_block,
            self.n_blocks,
            lease.start,
            lease.end,
            // No journal has 2^64 records or entries: the number after stands for the number, 0
            // for none.
            self.snapshot.map_or(0, |index| index + 1),
            self.last_seq.map_or(0, |seq| seq.0.saturating_add(1)),
            u64::from(self.is_sealed),
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.hash);
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..16]);
        bytes
    }

    /// Returns `None` if the bytes are not those of a head.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, check) = bytes.split_last_chunk::<16>()?;
        if bytes.len() != LEN || blake3::hash(content).as_bytes()[..16] != *check {
            return None;
        }
        let numbers = content.strip_prefix(MAGIC)?;
        let number = |at: usize| {
            numbers[at * 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let lease = number(3)..number(4);
        Some(Self {
            n_records: number(0),
            last_block: number(1),
            n_blocks: number(2),
            lease: (!lease.is_empty()).then_some(lease),
            snapshot: number(5).checked_sub(1),
            last_seq: number(6).checked_sub(1).map(Seq),
            is_sealed: number(7) != 0,
            hash: *content.last_chunk()?,
        })
    }
}

/// Why a record cannot stand where it does.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Misfit {
    #[error("it comes after the end of the run")]
    AfterEnd,
    #[error("a run's start is its first record, and only that")]
    Start,
    #[error("entry {0} does not come after the one before")]
    Order(Seq),
    #[error("order numbers {}..{} were leased before", .0.start, .0.end)]
    Lease(Range<u64>),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> [Head; 2] {
        let full = Head {
            n_records: 9,
            hash: [7; 16],
            last_block: 5,
            n_blocks: 3,
            lease: Some(4..6),
            snapshot: Some(0),
            last_seq: Some(Seq(0)),
            is_sealed: true,
        };
        [Head::empty(), full]
    }

    #[test]
    fn a_head_reads_back() {
        for head in heads() {
            assert_eq!(Head::decode(&head.encode()), Some(head));
        }
    }

    #[test]
    fn a_head_with_any_bit_flipped_or_byte_missing_is_refused() {
        for bytes in heads().map(|head| head.encode()) {
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Head::decode(&bad), None);
            }
            for len in 0..bytes.len() {
                assert_eq!(Head::decode(&bytes[..len]), None);
            }
        }
    }
}
