//! What the two sides of a journal share: the watermark, the state, and records too large for the
//! ring.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::JournalError;

/// Most records that wait beside the ring: snapshots come minutes apart.
const N_ASIDE_MAX: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Shared {
    n_durable: AtomicU64,
    is_failed: AtomicBool,
    is_closing: AtomicBool,
    failure: Mutex<Option<String>>,
    changed: Condvar,
    aside: Mutex<VecDeque<Vec<u8>>>,
}

/// A panic elsewhere leaves no value here half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn n_durable(&self) -> u64 {
        self.n_durable.load(Ordering::Acquire)
    }

    /// Raises the watermark and wakes who waits for it.
    pub(super) fn raise(&self, n_durable: u64) {
        // Under the lock, so that nobody begins to wait between the change and the wake-up.
        let guard = lock(&self.failure);
        self.n_durable.store(n_durable, Ordering::Release);
        drop(guard);
        self.changed.notify_all();
    }

    pub(super) fn fail(&self, why: String) {
        let mut failure = lock(&self.failure);
        *failure = Some(why);
        self.is_failed.store(true, Ordering::Release);
        drop(failure);
        self.changed.notify_all();
    }

    #[inline]
    pub(super) fn check(&self) -> Result<(), JournalError> {
        if self.is_failed.load(Ordering::Acquire) { Err(self.failed()) } else { Ok(()) }
    }

    #[cold]
    fn failed(&self) -> JournalError {
        let why = lock(&self.failure).clone().unwrap_or_default();
        JournalError::Failed { why }
    }

    /// Waits until `ticket` records are durable.
    pub(super) fn wait(&self, ticket: u64, at_most: Duration) -> Result<(), JournalError> {
        let until = Instant::now().checked_add(at_most);
        let mut failure = lock(&self.failure);
        loop {
            let durable = self.n_durable();
            if durable >= ticket {
                return Ok(());
            }
            if let Some(why) = &*failure {
                return Err(JournalError::Failed { why: why.clone() });
            }
            let left =
                until.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(JournalError::TimedOut { ticket, durable });
            }
            failure =
                self.changed.wait_timeout(failure, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Puts a record aside; gives it back if too many wait.
    pub(super) fn put_aside(&self, record: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut aside = lock(&self.aside);
        if aside.len() == N_ASIDE_MAX {
            return Err(record);
        }
        aside.push_back(record);
        Ok(())
    }

    /// Takes back the record that was put aside last.
    pub(super) fn take_back(&self) {
        lock(&self.aside).pop_back();
    }

    /// Takes the record that waits longest.
    pub(super) fn take_aside(&self) -> Option<Vec<u8>> {
        lock(&self.aside).pop_front()
    }
}
