//! The records of a DBN file, one after the other.
//!
//! The library's own decoder takes a file that ends within a record for a complete one, so only
//! its state machine is used, and it is fed here, record by record.

use std::io::{BufRead, Read};

use dbn::decode::dbn::fsm::{DbnFsm, ProcessResult};
use dbn::{Metadata, RecordHeader, RecordRef, VersionUpgradePolicy};

use crate::container::{Member, Unwrapped};
use crate::error::StoreError;

/// Magic, version and length of the metadata.
const PRELUDE: usize = 8;
/// The length of the metadata is the file's to say, and is allocated at once.
const LONGEST_METADATA: u32 = 64 << 20;
/// A record's length is a byte, in words of four.
const LONGEST_RECORD: usize = 255 * 4;
/// Versions whose records have the layouts known here.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;

/// Reads records as they lie in the file.
pub(super) struct Records {
    input: Unwrapped,
    fsm: DbnFsm,
    n_records: u64,
}

impl Records {
    /// Opens a member and reads its metadata.
    pub(super) fn open(member: &Member) -> Result<(Self, Metadata), StoreError> {
        let mut input = member.open()?;
        let mut prelude = [0; PRELUDE];
        input.read_exact(&mut prelude).map_err(|error| input.explain(error))?;
        let [_, _, _, version, length @ ..] = prelude;
        let length = u32::from_le_bytes(length);
        let refused =
            |what: String| StoreError::Corrupt { path: member.path.clone(), offset: 3, what };
        if !prelude.starts_with(super::MAGIC) {
            return Err(refused("not a DBN file".to_owned()));
        }
        if !VERSIONS.contains(&version) {
            return Err(refused(format!("DBN version {version} is not read; 1 to 3 are")));
        }
        if length > LONGEST_METADATA {
            return Err(refused(format!("metadata of {length} bytes is longer than any file's")));
        }
        // Records that are read have one layout in all versions; those that changed are not
        // translated by the library, which trusts their lengths.
        let fsm = DbnFsm::builder().upgrade_policy(VersionUpgradePolicy::AsIs).build();
        let mut fsm = fsm.map_err(|error| refused(error.to_string()))?;
        let mut bytes = Vec::new();
        let read = input.by_ref().take(length.into()).read_to_end(&mut bytes);
        read.map_err(|error| input.explain(error))?;
        fsm.write_all(&prelude);
        fsm.write_all(&bytes);
        let mut records = Self { input, fsm, n_records: 0 };
        match records.fsm.process() {
            ProcessResult::Metadata(metadata) => Ok((records, metadata)),
            ProcessResult::ReadMore(_) | ProcessResult::Record(()) => Err(records.truncated()),
            ProcessResult::Err(error) => Err(records.damaged(&error.to_string())),
        }
    }

    /// Returns the next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// If the file is damaged, or ends within a record.
    pub(super) fn next(&mut self) -> Result<Option<RecordRef<'_>>, StoreError> {
        let explain = self.input.explainer();
        let next = self.input.fill_buf().map_err(&explain)?;
        let Some(words) = next.first() else { return Ok(None) };
        let len = usize::from(*words) * 4;
        // The library relies on each record to leave the next one aligned, and does not check it.
        if len < size_of::<RecordHeader>() || !len.is_multiple_of(align_of::<RecordHeader>()) {
            return Err(self.damaged(&format!("no record is {len} bytes long")));
        }
        let mut record = [0; LONGEST_RECORD];
        self.input.read_exact(&mut record[..len]).map_err(explain)?;
        self.fsm.write_all(&record[..len]);
        match self.fsm.process() {
            ProcessResult::Record(()) => {}
            ProcessResult::ReadMore(_) | ProcessResult::Metadata(_) => {
                return Err(self.damaged("no record"));
            }
            ProcessResult::Err(error) => return Err(self.damaged(&error.to_string())),
        }
        self.n_records += 1;
        Ok(self.fsm.last_record())
    }

    fn truncated(&self) -> StoreError {
        self.input.explain(std::io::ErrorKind::UnexpectedEof.into())
    }

    fn damaged(&self, what: &str) -> StoreError {
        let what = format!("after record {}: {what}", self.n_records);
        self.input.explain(std::io::Error::new(std::io::ErrorKind::InvalidData, what))
    }
}
