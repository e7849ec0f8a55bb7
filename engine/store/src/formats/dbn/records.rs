//! The records of a DBN file, one after the other.
//!
//! The library's own decoder takes a file that ends within a record for a complete one, so only
//! its state machine is used, and the bytes are fed to it here.

use std::io::Read;

use dbn::decode::dbn::fsm::{DbnFsm, ProcessResult};
use dbn::{Metadata, RecordRef, VersionUpgradePolicy};

use crate::container::{Member, Unwrapped};
use crate::error::StoreError;

/// Magic, version and length of the metadata.
const PRELUDE: usize = 8;
/// The length of the metadata is the file's to say, and is allocated at once.
const LONGEST_METADATA: u32 = 64 << 20;
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
        fsm.write_all(&prelude);
        let mut records = Self { input, fsm, n_records: 0 };
        loop {
            match records.fsm.process() {
                ProcessResult::ReadMore(_) if records.fill()? > 0 => {}
                ProcessResult::ReadMore(_) | ProcessResult::Record(()) => {
                    return Err(records.truncated());
                }
                ProcessResult::Metadata(metadata) => return Ok((records, metadata)),
                ProcessResult::Err(error) => return Err(records.damaged(&error)),
            }
        }
    }

    /// Returns the next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// If the file is damaged, or ends within a record.
    pub(super) fn next(&mut self) -> Result<Option<RecordRef<'_>>, StoreError> {
        while !self.fsm.has_buffered_record() {
            match self.fsm.process_batch() {
                ProcessResult::ReadMore(_) => {
                    if self.fill()? == 0 {
                        let is_whole = self.fsm.data().is_empty();
                        return if is_whole { Ok(None) } else { Err(self.truncated()) };
                    }
                }
                ProcessResult::Record(_) | ProcessResult::Metadata(_) => {}
                ProcessResult::Err(error) => return Err(self.damaged(&error)),
            }
        }
        self.n_records += 1;
        Ok(self.fsm.next_buffered_record())
    }

    fn fill(&mut self) -> Result<usize, StoreError> {
        let n = self.input.read(self.fsm.space()).map_err(|error| self.input.explain(error))?;
        self.fsm.fill(n);
        Ok(n)
    }

    fn truncated(&self) -> StoreError {
        self.input.explain(std::io::ErrorKind::UnexpectedEof.into())
    }

    fn damaged(&self, error: &dbn::Error) -> StoreError {
        let what = format!("after record {}: {error}", self.n_records);
        self.input.explain(std::io::Error::new(std::io::ErrorKind::InvalidData, what))
    }
}
