//! Which runs go.

use std::fs;
use std::time::Duration;

use tercel_core::Nanos;

use super::error::io;
use super::{DataLock, RunCatalog, RunOutline, RunState, RunsError, sync};

/// Which runs go: those that any of the rules names. Without rules, none.
///
/// Never what the next start goes on with: the runs of the last start that came about, and all after
/// them. Never one that is in use, and one that was not ended only if forced: what became of its orders
/// may not be known yet.
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
        let older = &runs[..runs.len() - n_needed(runs)];
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

/// Returns how many of the newest runs the next start may need: those since, and of, the last start
/// all of whose runs have begun; if there is none, those of the last start.
fn n_needed(runs: &[RunOutline]) -> usize {
    let starts = || runs.chunk_by(|a, b| a.group == b.group).rev();
    let has_begun = |start: &&[RunOutline]| {
        let n = u32::try_from(start.len()).unwrap_or(u32::MAX);
        n == start[0].group.n && start.iter().all(RunOutline::may_have_begun)
    };
    let n_after = starts().take_while(|start| !has_begun(start)).count();
    let n_starts = if n_after == starts().count() { 1 } else { n_after + 1 };
    starts().take(n_starts).map(<[RunOutline]>::len).sum()
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
