//! What tells a data folder from every other.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use super::error::io;
use super::{DataLock, NUMBERS, RunCatalog, RunsError, sync};

/// The file that says it, in the data folder.
const NOTE: &str = "installation";

/// How many numbers there are, from 0: as many as runs, from 1.
const INSTALLATIONS: u32 = NUMBERS - 1;

impl RunCatalog {
    /// Returns the number, below 2^24 - 1, that the folder has drawn for itself: the names of its orders at
    /// a venue are made with it, so that those of two folders with equal run numbers differ. It is 0 in a
    /// folder that has had runs before numbers were drawn, and in one that nothing was written into yet.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is damaged.
    pub fn installation(&self) -> Result<u32, RunsError> {
        let path = self.data.join(NOTE);
        match fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse() {
                Ok(number) if number < INSTALLATIONS => Ok(number),
                _ => Err(RunsError::BadInstallation { path, text }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(io(&path)(error)),
        }
    }

    /// Draws the folder's number, unless it has one or has had runs without: their orders may work at a venue
    /// still, and are known by their names. Returns the number when it is durable; it is there whole or not at
    /// all. The first run of a folder draws it, too.
    ///
    /// # Errors
    ///
    /// As [`Self::installation`], and if the folder cannot be written.
    ///
    /// # Panics
    ///
    /// If the lock is of another data folder.
    pub fn install(&self, lock: &DataLock) -> Result<u32, RunsError> {
        self.check(lock);
        let (note, temporary) = (self.data.join(NOTE), self.data.join("installation.tmp"));
        if note.exists() || self.last_number()? > 0 || !self.folders()?.is_empty() {
            return self.installation();
        }
        let mut file = File::create(&temporary).map_err(io(&temporary))?;
        writeln!(file, "{}", drawn()).and_then(|()| file.sync_all()).map_err(io(&temporary))?;
        fs::rename(&temporary, &note).map_err(io(&note))?;
        sync(&self.data)?;
        self.installation()
    }
}

/// Returns a number from 1 on that no folder is likely to have: 0 is that of those which have drawn none.
/// The keys of the standard library's hasher come from the system's randomness.
fn drawn() -> u32 {
    let bits = RandomState::new().hash_one(std::process::id()) % u64::from(INSTALLATIONS - 1);
    u32::try_from(bits).map_or(1, |bits| bits + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_the_number_that_it_has_drawn() {
        let mut drawn = Vec::new();
        for _ in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let catalog = RunCatalog::open(folder.path());
            assert_eq!(catalog.installation().unwrap(), 0, "nothing was written yet");
            let lock = catalog.lock().unwrap();
            catalog.next_run(&lock).unwrap();
            let number = catalog.installation().unwrap();
            assert!((1..INSTALLATIONS).contains(&number), "{number}");
            let run = catalog.next_run(&lock).unwrap();
            assert_eq!((catalog.installation().unwrap(), run.number), (number, 2));
            drawn.push(number);
        }
        drawn.dedup();
        assert!(drawn.len() > 1, "every folder has {drawn:?}");
    }

    /// Orders of such a folder work at a venue under the names that they were given.
    #[test]
    fn a_folder_that_has_runs_without_a_number_stays_without() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = RunCatalog::open(folder.path());
        let lock = catalog.lock().unwrap();
        let run = catalog.next_run(&lock).unwrap();
        let note = folder.path().join(NOTE);
        fs::remove_file(&note).unwrap();
        catalog.next_run(&lock).unwrap();
        assert_eq!((catalog.installation().unwrap(), note.exists()), (0, false));
        // Neither when all of them were deleted since.
        for run in catalog.folders().unwrap() {
            fs::remove_dir_all(run.path).unwrap();
        }
        assert!(!run.path.exists());
        catalog.next_run(&lock).unwrap();
        assert_eq!((catalog.installation().unwrap(), note.exists()), (0, false));
    }

    #[test]
    fn a_damaged_number_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = RunCatalog::open(folder.path());
        for damaged in ["", "x", "-1", "16777215", "1 2"] {
            fs::write(folder.path().join(NOTE), damaged).unwrap();
            let error = catalog.installation().unwrap_err();
            assert!(matches!(error, RunsError::BadInstallation { .. }), "{damaged}: {error}");
        }
        fs::write(folder.path().join(NOTE), "16777214\n").unwrap();
        assert_eq!(catalog.installation().unwrap(), 16_777_214);
    }
}
