//! A block: records in a row, each followed by a hash that covers everything before it.
//!
//! ```text
//! hash before the block (16)   length (4) record hash (16)   length (4) record hash (16)   ...
//!                              └─ each hash is over the hash before it, the length and the record
//! ```
//!
//! The hash is 128 bits of BLAKE3: enough to find every accident and to tell two histories apart. It
//! is no signature: who can rewrite the file can compute it as well.

use std::collections::BTreeMap;
use std::ops::Range;

/// What stands for all records up to one.
pub(super) type Hash = [u8; 16];

/// The hash before the first record of a journal.
pub(super) const START: Hash = [0; 16];

const HASH_LEN: usize = size_of::<Hash>();
const LENGTH_LEN: usize = size_of::<u32>();

/// Largest record: a length has room for more, but a snapshot of this size is a mistake.
pub(super) const RECORD_MAX: usize = 1 << 30;

fn hash(bytes: &[u8]) -> Hash {
    let whole = blake3::hash(bytes);
    *whole.as_bytes().first_chunk().expect("the first half of a hash")
}

/// Returns the hash that names a script: of its text, and of the names and texts of what it requires.
#[must_use]
pub fn source_hash(text: &str, modules: &BTreeMap<String, String>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let texts = modules.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()]);
    for part in [text].into_iter().chain(texts) {
        // The length first, so that no two lists of texts look the same.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// A block that is being filled.
#[derive(Debug)]
pub(super) struct Block {
    first: u64,
    n_records: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// Returns the empty block that follows `n_records` records which `hash` stands for.
    pub(super) fn after(n_records: u64, hash: Hash) -> Self {
        Self { first: n_records, n_records: 0, bytes: hash.to_vec() }
    }

    /// Empties the block and lets it begin where it ended, keeping its memory.
    pub(super) fn begin_next(&mut self) {
        let hash = self.hash();
        self.first += self.n_records;
        self.n_records = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(&hash);
    }

    /// Adds a record that lies in two pieces, as a ring's end may cut it.
    ///
    /// # Panics
    ///
    /// If the record is larger than [`RECORD_MAX`], which the journal has checked.
    pub(super) fn push(&mut self, front: &[u8], back: &[u8]) {
        let len = front.len() + back.len();
        assert!(len <= RECORD_MAX, "a record of {len} bytes");
        let len = u32::try_from(len).expect("below 2^30");
        let chained_from = self.bytes.len() - HASH_LEN;
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(front);
        self.bytes.extend_from_slice(back);
        let hash = hash(&self.bytes[chained_from..]);
        self.bytes.extend_from_slice(&hash);
        self.n_records += 1;
    }

    /// Returns the number of the block's first record.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number of the record after the block's last.
    pub(super) const fn end(&self) -> u64 {
        self.first + self.n_records
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.n_records == 0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the hash that stands for every record up to the block's last.
    pub(super) fn hash(&self) -> Hash {
        *self.bytes.last_chunk().expect("a block begins with a hash")
    }
}

/// Returns the records of a block with where each begins, its length first. Goes by the lengths alone:
/// ends where they lead out of the block, and looks at no hash.
pub(super) fn unchecked(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = HASH_LEN;
    std::iter::from_fn(move || {
        let (len, rest) = bytes.get(at..)?.split_first_chunk::<LENGTH_LEN>()?;
        let record = rest.get(..usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        let begin = at;
        at += LENGTH_LEN + record.len() + HASH_LEN;
        Some((begin, record))
    })
}

/// A walk over the records of a block, which checks each hash on its way.
#[derive(Debug)]
pub(super) struct Walk {
    /// Where the next record's length begins; the hash before it ends here.
    at: usize,
}

impl Walk {
    /// Begins a walk of a block that should follow `before`; `None` takes the block's word for it.
    pub(super) fn begin(bytes: &[u8], before: Option<Hash>) -> Result<Self, &'static str> {
        let Some(hash) = bytes.first_chunk::<HASH_LEN>() else {
            return Err("its block is too short");
        };
        if before.is_some_and(|before| before != *hash) {
            return Err("its block does not follow the records before it");
        }
        Ok(Self { at: HASH_LEN })
    }

    /// Returns where the next record lies, `None` after the last.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, &'static str> {
        const SHORT: &str = "its block ends within it";
        let rest = &bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let (len, rest) = rest.split_first_chunk::<LENGTH_LEN>().ok_or(SHORT)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| SHORT)?;
        let rest = rest.get(len..).ok_or(SHORT)?;
        let claimed = rest.first_chunk::<HASH_LEN>().ok_or(SHORT)?;
        let begin = self.at + LENGTH_LEN;
        let end = begin + len;
        if hash(&bytes[self.at - HASH_LEN..end]) != *claimed {
            return Err("its hash is another");
        }
        self.at = end + HASH_LEN;
        Ok(Some(begin..end))
    }

    /// Returns the hash that stands for every record up to the last one walked over.
    pub(super) fn hash(&self, bytes: &[u8]) -> Hash {
        *bytes[..self.at].last_chunk().expect("a walk begins after a hash")
    }
}
