//! The database file behind a journal: two tables, one transaction per block.

use redb::{
    Database, Durability, ReadOnlyDatabase, ReadableDatabase, ReadableTableMetadata,
    StorageBackend, TableDefinition,
};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tercel_crash::{Point, point};

use super::block::Block;
use super::error::JournalError;
use super::head::Head;

/// Blocks by the number of their first record.
const BLOCKS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("blocks");
/// The head, under [`HEAD_KEY`].
const HEAD: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("head");
const HEAD_KEY: &str = "head";

/// What a file's errors are told with.
#[derive(Clone, Debug)]
pub(super) struct Place(String);

impl Place {
    pub(super) fn of(path: &Path) -> Self {
        Self(path.display().to_string())
    }

    pub(super) fn memory() -> Self {
        Self("journal".to_owned())
    }

    pub(super) fn name(&self) -> String {
        self.0.clone()
    }

    pub(super) fn storage<E: Into<redb::Error>>(&self) -> impl Fn(E) -> JournalError + '_ {
        |cause| JournalError::Storage { place: self.name(), cause: Box::new(cause.into()) }
    }

    pub(super) fn damaged(&self, index: u64, what: impl ToString) -> JournalError {
        JournalError::Damaged { place: self.name(), index, what: what.to_string() }
    }
}

/// Calls the database over bytes that may be damaged, and tells a panic of it as damage.
fn contained<T>(
    place: &Place,
    index: u64,
    call: impl FnOnce() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    super::contained::contained(call)
        .unwrap_or_else(|| Err(place.damaged(index, "the database's pages are damaged")))
}

enum Handle {
    Writable(Database),
    ReadOnly(ReadOnlyDatabase),
}

/// An open file.
pub(super) struct File {
    /// There until the file is dropped.
    handle: Option<Handle>,
    pub(super) place: Place,
}

impl Drop for File {
    fn drop(&mut self) {
        // Closing a database writes to it, and panics on the same damage as reading does.
        super::contained::contained(|| drop(self.handle.take()));
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.place).finish()
    }
}

impl File {
    /// Opens a file that exists, repairing what a crash has left.
    pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Self, JournalError> {
        let place = Place::of(path);
        let database = contained(&place, 0, || {
            Database::builder().set_cache_size(cache_bytes).open(path).map_err(place.storage())
        })?;
        Ok(Self { handle: Some(Handle::Writable(database)), place })
    }

    /// Opens a file to read it: without touching it if it was closed well, else as [`File::open`].
    pub(super) fn open_to_read(path: &Path, cache_bytes: usize) -> Result<Self, JournalError> {
        let place = Place::of(path);
        let database = contained(&place, 0, || {
            match Database::builder().set_cache_size(cache_bytes).open_read_only(path) {
                Err(redb::DatabaseError::RepairAborted) => Ok(None),
                database => database.map(Some).map_err(place.storage()),
            }
        })?;
        match database {
            Some(database) => Ok(Self { handle: Some(Handle::ReadOnly(database)), place }),
            None => Self::open(path, cache_bytes),
        }
    }

    /// Opens or creates a file in other storage.
    pub(super) fn open_on(
        backend: impl StorageBackend,
        cache_bytes: usize,
    ) -> Result<Self, JournalError> {
        let place = Place::memory();
        let database = contained(&place, 0, || {
            let mut builder = Database::builder();
            let builder = builder.set_cache_size(cache_bytes);
            builder.create_with_backend(backend).map_err(place.storage())
        })?;
        Ok(Self { handle: Some(Handle::Writable(database)), place })
    }

    /// Writes a block and the head that it leads to. Returns when both are durable.
    ///
    /// # Errors
    ///
    /// If the storage refuses; whether the block is there is then not known.
    pub(super) fn commit(&self, block: &Block, head: &Head) -> Result<(), JournalError> {
        contained(&self.place, block.first(), || self.write(block, head))
    }

    fn write(&self, block: &Block, head: &Head) -> Result<(), JournalError> {
        let Some(Handle::Writable(database)) = &self.handle else {
            unreachable!("only files opened to write are committed to");
        };
        let mut transaction = database.begin_write().map_err(self.place.storage())?;
        transaction.set_durability(Durability::Immediate).map_err(self.place.storage())?;
        #[cfg(feature = "sabotage")]
        if tercel_core::sabotage::is_planted(tercel_core::sabotage::Bug::SyncIsSkipped) {
            transaction.set_durability(Durability::None).map_err(self.place.storage())?;
        }
        // Opening after a crash then takes milliseconds, whatever the file's size.
        transaction.set_quick_repair(true);
        {
            let mut blocks = transaction.open_table(BLOCKS).map_err(self.place.storage())?;
            blocks.insert(block.first(), block.bytes()).map_err(self.place.storage())?;
            point(Point::BlockWritten);
            let mut heads = transaction.open_table(HEAD).map_err(self.place.storage())?;
            heads.insert(HEAD_KEY, head.encode().as_slice()).map_err(self.place.storage())?;
        }
        point(Point::CommitBegin);
        transaction.commit().map_err(self.place.storage())
    }

    fn begin_read(&self) -> Result<redb::ReadTransaction, JournalError> {
        match &self.handle {
            Some(Handle::Writable(database)) => database.begin_read(),
            Some(Handle::ReadOnly(database)) => database.begin_read(),
            None => unreachable!("a file has its database until it is dropped"),
        }
        .map_err(self.place.storage())
    }

    /// Reads the head; `None` if there is no run in it.
    pub(super) fn head(&self) -> Result<Option<Head>, JournalError> {
        contained(&self.place, 0, || {
            let table = match self.begin_read()?.open_table(HEAD) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                table => table.map_err(self.place.storage())?,
            };
            let Some(value) = table.get(HEAD_KEY).map_err(self.place.storage())? else {
                return Ok(None);
            };
            Head::decode(value.value())
                .map(Some)
                .ok_or_else(|| self.place.damaged(0, "the head does not match its own checksum"))
        })
    }

    /// Reads the head of a file that must have a run in it.
    pub(super) fn head_of_run(&self) -> Result<Head, JournalError> {
        self.head()?.ok_or_else(|| JournalError::NoRun { place: self.place.name() })
    }

    pub(super) fn blocks(&self) -> Result<Blocks, JournalError> {
        let table = contained(&self.place, 0, || {
            self.begin_read()?.open_table(BLOCKS).map_err(self.place.storage())
        })?;
        Ok(Blocks { table, place: self.place.clone() })
    }
}

/// A file that is not whole yet, under a name of its own.
///
/// What a crash leaves of a database that is being made cannot be opened, and would stand in the way of
/// every later start.
#[derive(Debug)]
pub(super) struct Nascent {
    path: PathBuf,
    nascent: PathBuf,
    place: Place,
}

impl Nascent {
    /// Refuses a path at which there is something.
    pub(super) fn at(path: &Path) -> Result<Self, JournalError> {
        let place = Place::of(path);
        if path.exists() {
            return Err(JournalError::Exists { place: place.name() });
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        Ok(Self { path: path.to_owned(), nascent: name.into(), place })
    }

    /// Creates the file, in place of one that was left behind.
    pub(super) fn create(&self, cache_bytes: usize) -> Result<File, JournalError> {
        match std::fs::remove_file(&self.nascent) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(self.io()(error)),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(&self.nascent);
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .create_file(file.map_err(self.io())?)
            .map_err(self.place.storage())?;
        Ok(File { handle: Some(Handle::Writable(database)), place: self.place.clone() })
    }

    /// Gives the file its name, durably.
    pub(super) fn publish(self) -> Result<(), JournalError> {
        // Nobody else makes runs in the same folder: it is locked.
        std::fs::rename(&self.nascent, &self.path).map_err(self.io())?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(self.io())?;
        }
        Ok(())
    }

    fn io(&self) -> impl Fn(std::io::Error) -> JournalError + '_ {
        |error| self.place.storage()(redb::Error::Io(error))
    }
}

/// The blocks of a file as they were when it was opened.
pub(super) struct Blocks {
    table: redb::ReadOnlyTable<u64, &'static [u8]>,
    pub(super) place: Place,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blocks").field(&self.place).finish()
    }
}

impl Blocks {
    pub(super) fn n_blocks(&self) -> Result<u64, JournalError> {
        contained(&self.place, 0, || self.table.len().map_err(self.place.storage()))
    }

    /// Copies the block that begins with record `first`; returns whether there is one.
    pub(super) fn read(&self, first: u64, out: &mut Vec<u8>) -> Result<bool, JournalError> {
        contained(&self.place, first, || {
            out.clear();
            let Some(value) = self.table.get(first).map_err(self.place.storage())? else {
                return Ok(false);
            };
            out.extend_from_slice(value.value());
            Ok(true)
        })
    }

    /// Returns the first record of the block that record `index` is in, if it is in any.
    pub(super) fn block_of(&self, index: u64) -> Result<Option<u64>, JournalError> {
        contained(&self.place, index, || {
            let mut range = self.table.range(..=index).map_err(self.place.storage())?;
            match range.next_back() {
                None => Ok(None),
                Some(entry) => Ok(Some(entry.map_err(self.place.storage())?.0.value())),
            }
        })
    }
}
