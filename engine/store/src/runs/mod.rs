//! The runs of a data folder: their numbers, what each holds, which of them go.
//!
//! ```text
//! <data>/lock                      held by the process that writes
//! <data>/installation              a number that the folder has drawn, as text: its orders' names have it
//! <data>/runs/last                 the highest number ever given out, as text
//! <data>/runs/00000012/journal.redb
//! <data>/runs/00000012/tape/00000001.tape ...
//! <data>/runs/00000012/group    which runs belong to it, where there are several
//! <data>/runs/00000012/keys     which keys its accounts had at a venue, as digests
//! ```
//!
//! A run's number is the upper part of its orders' ids at the venue, so none is ever given out twice,
//! whatever was deleted since: it is on the disk before its folder is.
//!
//! Looking needs no lock; whatever writes shows that it holds the lock.

mod error;
mod export;
mod group;
mod installation;
mod keys;
mod outline;
mod prune;
mod verify;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tercel_crash::{Point, point};

pub use error::RunsError;
pub use export::{ExportError, ExportFormat, ExportedTable};
pub use group::RunGroup;
pub use keys::AccountKey;
pub use outline::{RunOutline, RunState};
pub use prune::PrunePolicy;
pub use verify::{Fault, Verification};

use self::error::io;

/// The first run number that order ids have no room for.
const NUMBERS: u32 = 1 << 24;

/// A data folder and the runs in it.
#[derive(Clone, Debug)]
pub struct RunCatalog {
    data: PathBuf,
}

/// Shows that no other process writes into the data folder. Given up when dropped, or when the
/// process ends in any way.
#[derive(Debug)]
pub struct DataLock {
    file: File,
    data: PathBuf,
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // Closing it is not enough: a process that is being started holds a copy for a moment. What
        // cannot be unlocked is unlocked by being closed.
        let _ = self.file.unlock();
    }
}

/// Where a run keeps its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunFolder {
    /// The run's number, from 1.
    pub number: u32,
    /// Its folder.
    pub path: PathBuf,
}

impl RunFolder {
    /// Returns the run in a folder wherever it lies. Its number is 0 if the name says none.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        Self { number: number.unwrap_or(0), path: path.to_owned() }
    }

    /// Returns where its journal lies.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.redb")
    }

    /// Returns the folder of its market data.
    #[must_use]
    pub fn tape(&self) -> PathBuf {
        self.path.join("tape")
    }
}

impl RunCatalog {
    /// Returns the catalog of a data folder, which need not exist yet. Writes nothing.
    #[must_use]
    pub fn open(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// Returns the folder that all runs are in.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.data.join("runs")
    }

    /// Makes the data folder if need be and keeps other processes from writing into it.
    ///
    /// # Errors
    ///
    /// [`RunsError::Locked`] if another process (or another part of this one) does; otherwise if the
    /// folder cannot be written.
    pub fn lock(&self) -> Result<DataLock, RunsError> {
        fs::create_dir_all(&self.data).map_err(io(&self.data))?;
        let path = self.data.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(DataLock { file, data: self.data.clone() }),
            Err(fs::TryLockError::WouldBlock) => Err(RunsError::Locked { data: self.data.clone() }),
            Err(fs::TryLockError::Error(error)) => Err(io(&path)(error)),
        }
    }

    /// Makes the folder of the next run. Returns when both its number and the folder are durable.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written, the note of the last number is damaged, or no numbers are left.
    ///
    /// # Panics
    ///
    /// If the lock is of another data folder.
    pub fn next_run(&self, lock: &DataLock) -> Result<RunFolder, RunsError> {
        let mut folders = self.next_group(lock, 1, "")?;
        Ok(folders.remove(0))
    }

    /// Makes the folders of the next runs, which belong together: at least one. `deal`, one word, is noted
    /// with them where there are several. Returns when their numbers and folders are durable.
    ///
    /// # Errors
    ///
    /// As [`Self::next_run`].
    ///
    /// # Panics
    ///
    /// If the lock is of another data folder.
    pub fn next_group(
        &self,
        lock: &DataLock,
        n: u32,
        deal: &str,
    ) -> Result<Vec<RunFolder>, RunsError> {
        self.install(lock)?;
        let n = n.max(1);
        let runs = self.runs();
        fs::create_dir_all(&runs).map_err(io(&runs))?;
        let newest = self.folders()?.last().map_or(0, |run| run.number);
        let first = newest.max(self.last_number()?).saturating_add(1);
        let last = first.saturating_add(n - 1);
        if last >= NUMBERS {
            return Err(RunsError::NumbersExhausted { data: self.data.clone() });
        }
        // The numbers first: one that is lost to a crash is lost, one that recurs is a disaster.
        let (note, temporary) = (runs.join("last"), runs.join("last.tmp"));
        let mut file = File::create(&temporary).map_err(io(&temporary))?;
        writeln!(file, "{last}").and_then(|()| file.sync_all()).map_err(io(&temporary))?;
        fs::rename(&temporary, &note).map_err(io(&note))?;
        sync(&runs)?;
        point(Point::RunNumbered);
        let group = RunGroup { first, n, deal: deal.to_owned() };
        let folders = (first..=last).map(|number| self.make_folder(number, &group));
        folders.collect()
    }

    fn make_folder(&self, number: u32, group: &RunGroup) -> Result<RunFolder, RunsError> {
        let (runs, path) = (self.runs(), self.folder(number));
        fs::create_dir(&path).map_err(io(&path))?;
        if group.n > 1 {
            group.write(&path)?;
        }
        sync(&path)?;
        sync(&runs)?;
        sync(&self.data)?;
        point(Point::RunFolder);
        Ok(RunFolder { number, path })
    }

    /// Returns the folders of all runs, oldest first; none if there is no data folder yet.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn folders(&self) -> Result<Vec<RunFolder>, RunsError> {
        let runs = self.runs();
        let entries = match fs::read_dir(&runs) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io(&runs))?,
        };
        let mut folders = Vec::new();
        for entry in entries {
            let path = entry.map_err(io(&runs))?.path();
            let run = RunFolder::at(&path);
            if run.number > 0 && path.is_dir() {
                folders.push(run);
            }
        }
        folders.sort_unstable_by_key(|run| run.number);
        Ok(folders)
    }

    /// Returns a run by what people call it: its number, `latest`, or the path of its folder or
    /// journal.
    ///
    /// # Errors
    ///
    /// [`RunsError::NoRun`] if there is none.
    pub fn find(&self, name: &str) -> Result<RunFolder, RunsError> {
        let none = || RunsError::NoRun { name: name.to_owned(), data: self.data.clone() };
        if name == "latest" {
            return self.folders()?.pop().ok_or_else(none);
        }
        if let Ok(number) = name.parse::<u32>() {
            return self.folders()?.into_iter().find(|run| run.number == number).ok_or_else(none);
        }
        let path = Path::new(name);
        let path = if path.is_file() { path.parent().ok_or_else(none)? } else { path };
        let run = RunFolder::at(path);
        if run.journal().is_file() { Ok(run) } else { Err(none()) }
    }

    fn folder(&self, number: u32) -> PathBuf {
        self.runs().join(format!("{number:08}"))
    }

    fn last_number(&self) -> Result<u32, RunsError> {
        let path = self.runs().join("last");
        match fs::read_to_string(&path) {
            Ok(text) => {
                text.trim().parse().map_err(|_| RunsError::BadNote { path: path.clone(), text })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(io(&path)(error)),
        }
    }

    fn check(&self, lock: &DataLock) {
        assert_eq!(lock.data, self.data, "the lock of another data folder");
    }
}

/// Makes what a folder lists durable.
fn sync(folder: &Path) -> Result<(), RunsError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(io(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_given_up_is_free_whoever_has_a_copy_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = RunCatalog::open(folder.path());
        let lock = catalog.lock().unwrap();
        // What a process has between being forked and becoming another program.
        let copy = lock.file.try_clone().unwrap();
        assert!(matches!(catalog.lock(), Err(RunsError::Locked { .. })));
        drop(lock);
        let again = catalog.lock();
        assert!(again.is_ok(), "{again:?}");
        drop(copy);
    }
}
