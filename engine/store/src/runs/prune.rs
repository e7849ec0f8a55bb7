//! Which runs go.

use std::fs;
use std::time::Duration;

use tercel_core::Nanos;

use super::error::io;
use super::{DataLock, RunCatalog, RunOutline, RunState, RunsError, sync};

/// Which runs go: those that any of the rules names. Without rules, none.
///
/// Never the newest one, never one that is in use, and one that was not ended only if forced: what
/// became of its orders may not be known yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PrunePolicy {
    /// All but so many of the newest.
    pub keep: Option<usize>,
    /// Those whose last entry is older.
    pub older_than: Option<Duration>,
    /// The oldest ones, until all together take no more bytes.
    pub bytes_max: Option<u64>,
    /// Whether runs go that were cut off or cannot be read.
    pub force: bool,
}

impl PrunePolicy {
    /// Returns which of the runs, oldest first, would go at `now`.
    #[must_use]
    pub fn choose<'a>(&self, runs: &'a [RunOutline], now: Nanos) -> Vec<&'a RunOutline> {
        let Some((_, older)) = runs.split_last() else { return Vec::new() };
        let n_excess = self.keep.map_or(0, |keep| runs.len().saturating_sub(keep.max(1)));
        let mut n_bytes: u64 = runs.iter().map(RunOutline::n_bytes).sum();
        let mut chosen = Vec::new();
        for (n, run) in older.iter().enumerate() {
            let may_go = match run.state {
                RunState::Ended { .. } | RunState::Empty => true,
                RunState::Cut | RunState::Unreadable { .. } => self.force,
                RunState::InUse => false,
            };
            let is_old = self.older_than.is_some_and(|most| {
                let age = run.last_at.map_or(0, |at| now.since(at));
                u128::try_from(age).is_ok_and(|age| age > most.as_nanos())
            });
            let is_too_much = self.bytes_max.is_some_and(|most| n_bytes > most);
            if may_go && (n < n_excess || is_old || is_too_much) {
                n_bytes -= run.n_bytes();
                chosen.push(run);
            }
        }
        chosen
    }
}

impl RunCatalog {
    /// Deletes the runs that a policy names at `now` and returns them. Their numbers do not recur.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read or a run cannot be deleted.
    ///
    /// # Panics
    ///
    /// If the lock is of another data folder.
    pub fn prune(
        &self,
        lock: &DataLock,
        policy: &PrunePolicy,
        now: Nanos,
    ) -> Result<Vec<RunOutline>, RunsError> {
        self.check(lock);
        let runs = self.list()?;
        let chosen = policy.choose(&runs, now);
        for run in &chosen {
            // Renamed first, so that no half of a run is ever taken for a run.
            let path = &run.folder.path;
            let leaving = self.runs().join(format!("{:08}.pruned", run.folder.number));
            fs::rename(path, &leaving).map_err(io(path))?;
        }
        self.sweep()?;
        Ok(chosen.into_iter().cloned().collect())
    }

    /// Deletes what was renamed to go, now or before a crash.
    fn sweep(&self) -> Result<(), RunsError> {
        let runs = self.runs();
        let Ok(entries) = fs::read_dir(&runs) else { return Ok(()) };
        for entry in entries {
            let path = entry.map_err(io(&runs))?.path();
            if path.extension().is_some_and(|ending| ending == "pruned") {
                fs::remove_dir_all(&path).map_err(io(&path))?;
            }
        }
        sync(&runs)
    }
}
