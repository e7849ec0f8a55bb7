//! A disk in memory that can lose power, fail, fill up, hang and lie.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::random::Random;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What goes wrong, and when. Operations are writes, syncs and changes of length.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFaults {
    /// The power goes before this operation: it and all later ones fail.
    pub cut_at: Option<u64>,
    /// This operation fails; later ones work.
    pub fail_at: Option<u64>,
    /// Every so many syncs one is answered, but not done.
    pub ignore_every: Option<u64>,
    /// Bytes that there is room for.
    pub capacity: Option<u64>,
}

/// How many operations a disk has refused, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refused {
    /// Because it failed.
    pub failed: u64,
    /// Because it was full.
    pub full: u64,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                content.resize(content.len().max(end), 0);
                content[at..end].copy_from_slice(&bytes);
            }
            Self::Length(len) => content.resize(len, 0),
        }
    }
}

#[derive(Debug)]
struct State {
    /// What survives a power cut for certain.
    synced: Vec<u8>,
    /// What was changed since.
    changes: Vec<Change>,
    /// What reads see.
    current: Vec<u8>,
    faults: DiskFaults,
    random: Random,
    n_operations: u64,
    n_syncs: u64,
    refused: Refused,
    is_dead: bool,
    is_held: bool,
    /// Handles of before a power cut are of no use after it.
    generation: u64,
}

/// A disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    /// Returns an empty disk whose accidents follow from `seed`.
    #[must_use]
    pub fn new(seed: u64, faults: DiskFaults) -> Self {
        Self::with_content(Vec::new(), seed, faults)
    }

    /// Returns a disk that holds `content`.
    #[must_use]
    pub fn with_content(content: Vec<u8>, seed: u64, faults: DiskFaults) -> Self {
        let state = State {
            synced: content.clone(),
            changes: Vec::new(),
            current: content,
            faults,
            random: Random::new(seed),
            n_operations: 0,
            n_syncs: 0,
            refused: Refused::default(),
            is_dead: false,
            is_held: false,
            generation: 0,
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// Returns a handle for one opening of the database.
    #[must_use]
    pub fn backend(&self) -> DiskHandle {
        DiskHandle { disk: self.clone(), generation: self.state().generation }
    }

    /// Loses power: nothing works until [`Disk::power_cut`].
    pub fn power_off(&self) {
        self.state().is_dead = true;
    }

    /// Loses power and comes back with other faults: each sector written since the last sync is there
    /// or not, each change of length likewise.
    pub fn power_cut(&self, faults: DiskFaults) {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut survived = std::mem::take(&mut state.synced);
        for change in state.changes.drain(..) {
            match change {
                Change::Write { at, bytes } => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let to = (from + SECTOR - (at + from) % SECTOR).min(bytes.len());
                        if state.random.chance(50) {
                            let end = at + to;
                            survived.resize(survived.len().max(end), 0);
                            survived[at + from..end].copy_from_slice(&bytes[from..to]);
                        }
                        from = to;
                    }
                }
                Change::Length(len) => {
                    if state.random.chance(50) {
                        survived.resize(len, 0);
                    }
                }
            }
        }
        state.current.clone_from(&survived);
        state.synced = survived;
        state.faults = faults;
        state.n_operations = 0;
        state.is_dead = false;
        state.generation += 1;
    }

    /// Lets another process open it after the one that had it open was killed: what was written is
    /// there, synced or not, and handles of before are of no use.
    pub fn restart(&self, faults: DiskFaults) {
        let mut state = self.state();
        state.faults = faults;
        state.n_operations = 0;
        state.is_dead = false;
        state.generation += 1;
    }

    /// Returns whether the power is gone.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Returns how many operations it has refused.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.state().refused
    }

    /// Lets syncs wait until [`Disk::release`].
    pub fn hold(&self) {
        self.state().is_held = true;
    }

    /// Lets syncs go on.
    pub fn release(&self) {
        self.state().is_held = false;
        self.0.1.notify_all();
    }

    /// Sets what goes wrong from now on; operations count from here.
    pub fn set_faults(&self, faults: DiskFaults) {
        let mut state = self.state();
        state.faults = faults;
        state.n_operations = 0;
    }

    /// Returns what reads see.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.state().current.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One opening of a [`Disk`].
#[derive(Debug)]
pub struct DiskHandle {
    disk: Disk,
    generation: u64,
}

impl DiskHandle {
    fn state(&self) -> Result<MutexGuard<'_, State>, io::Error> {
        let state = self.disk.state();
        if state.is_dead || state.generation != self.generation {
            return Err(io::Error::other("the power is gone"));
        }
        Ok(state)
    }

    /// Counts an operation that changes something, and lets it fail if its time has come.
    fn change(&self, end: u64) -> Result<MutexGuard<'_, State>, io::Error> {
        let mut state = self.state()?;
        state.n_operations += 1;
        if state.faults.cut_at == Some(state.n_operations) {
            state.is_dead = true;
            return Err(io::Error::other("the power is gone"));
        }
        if state.faults.fail_at == Some(state.n_operations) {
            state.refused.failed += 1;
            return Err(io::Error::other("the disk failed"));
        }
        if state.faults.capacity.is_some_and(|capacity| end > capacity) {
            state.refused.full += 1;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(state)
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a disk in memory")
}

impl StorageBackend for DiskHandle {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.state()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.state()?;
        let from = index(offset);
        let bytes = state.current.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut state = self.change(len)?;
        state.current.resize(index(len), 0);
        state.changes.push(Change::Length(index(len)));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.change(0)?;
        while state.is_held {
            state = self.disk.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.n_syncs += 1;
        if state.faults.ignore_every.is_some_and(|every| state.n_syncs % every == 0) {
            return Ok(());
        }
        let State { synced, changes, .. } = &mut *state;
        // Only what changed is copied: a file is many times as large as a commit.
        for change in changes.drain(..) {
            change.apply(synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let end = offset + data.len() as u64;
        let mut state = self.change(end)?;
        let at = index(offset);
        let len = state.current.len().max(index(end));
        state.current.resize(len, 0);
        state.current[at..index(end)].copy_from_slice(data);
        state.changes.push(Change::Write { at, bytes: data.to_vec() });
        Ok(())
    }
}
