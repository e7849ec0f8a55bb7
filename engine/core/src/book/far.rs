//! Levels far from the touch: short sorted runs in a sorted list.
//!
//! One sorted `Vec` would move up to all levels on each insert, and a feed that carries a whole book
//! inserts and removes far levels all day; a `BTreeMap` allocates and frees nodes as it does. Here an
//! insert moves at most one run, and runs that are not needed any more are kept for the next one.

use std::iter;

use arrayvec::ArrayVec;

use crate::book::ladder::Rung;

/// Levels of a run: 1 KB.
const RUN: usize = 64;

/// Boxed, so that runs are put in order by moving pointers.
type RunLevels = Box<ArrayVec<Rung, RUN>>;

/// Sorted levels, each key larger than the window's last.
///
/// Two neighbouring runs hold more than half a run together, so `n` levels take less than
/// `n / 16 + 2` runs, 64 bytes a level.
#[derive(Clone, Default)]
pub(super) struct FarLevels {
    runs: Vec<Run>,
    /// Empty runs.
    spare: Vec<RunLevels>,
    len: usize,
}

#[derive(Clone)]
struct Run {
    /// After every key of the runs before, and not after any of this one: where a key belongs is
    /// known without touching the levels.
    from: i64,
    /// Not empty.
    levels: RunLevels,
}

impl FarLevels {
    /// Removes all levels. O(runs); keeps the memory.
    pub(super) fn clear(&mut self) {
        for mut run in self.runs.drain(..) {
            run.levels.clear();
            self.spare.push(run.levels);
        }
        self.len = 0;
    }

    /// Returns how many levels there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the best level's key.
    pub(super) fn best(&self) -> Option<i64> {
        self.iter().next().map(|rung| rung.key)
    }

    /// Returns the quantity at a key, zero for none.
    pub(super) fn qty_at(&self, key: i64) -> i64 {
        match self.find(key) {
            (idx, Ok(at)) => self.runs[idx].levels[at].qty,
            (_, Err(_)) => 0,
        }
    }

    /// Returns the levels, best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Rung> + '_ {
        self.runs.iter().flat_map(|run| run.levels.iter().copied())
    }

    /// Sets a positive quantity at a key. O(log levels), and moves at most a run.
    pub(super) fn set(&mut self, key: i64, qty: i64) {
        match self.find(key) {
            (idx, Ok(at)) => self.runs[idx].levels[at].qty = qty,
            (idx, Err(at)) => self.insert(idx, at, Rung { key, qty }),
        }
    }

    /// Removes the level at a key if there is one. O(log levels), and moves at most a run.
    pub(super) fn remove(&mut self, key: i64) {
        if let (idx, Ok(at)) = self.find(key) {
            self.runs[idx].levels.remove(at);
            self.len -= 1;
            self.merge_around(idx);
        }
    }

    /// Adds a level that is better than all the others.
    pub(super) fn push_best(&mut self, rung: Rung) {
        self.insert(0, 0, rung);
    }

    /// Removes the levels up to and including key `last` and hands them over, best first.
    pub(super) fn take_through(&mut self, last: i64, mut take: impl FnMut(Rung)) {
        let mut n_runs = 0;
        for run in &mut self.runs {
            let n_taken = run.levels.partition_point(|rung| rung.key <= last);
            run.levels.drain(..n_taken).for_each(&mut take);
            self.len -= n_taken;
            if !run.levels.is_empty() {
                break;
            }
            n_runs += 1;
        }
        self.spare.extend(self.runs.drain(..n_runs).map(|run| run.levels));
        if !self.runs.is_empty() {
            self.merge_around(0);
        }
    }

    /// Returns the run that a key belongs to and its place there, or where it would go.
    fn find(&self, key: i64) -> (usize, Result<usize, usize>) {
        let idx = self.runs.partition_point(|run| run.from <= key).saturating_sub(1);
        let at = self
            .runs
            .get(idx)
            .map_or(Err(0), |run| run.levels.binary_search_by_key(&key, |rung| rung.key));
        (idx, at)
    }

    fn insert(&mut self, idx: usize, at: usize, rung: Rung) {
        self.len += 1;
        if let Some(run) = self.runs.get_mut(idx)
            && !run.levels.is_full()
        {
            run.from = run.from.min(rung.key);
            run.levels.insert(at, rung);
            return;
        }
        let mut levels = self.empty_run();
        // Levels that arrive in order, from either end, fill their runs.
        if (idx, at) == (0, 0) || (idx + 1, at) == (self.runs.len(), RUN) {
            levels.push(rung);
            let idx = if at == 0 { 0 } else { idx + 1 };
            if let Some(next) = self.runs.get_mut(idx) {
                next.from = next.levels[0].key;
            }
            self.runs.insert(idx, Run { from: rung.key, levels });
            return;
        }
        let full = &mut self.runs[idx];
        levels.extend(full.levels.drain(RUN / 2..));
        if at <= RUN / 2 {
            full.levels.insert(at, rung);
        } else {
            levels.insert(at - RUN / 2, rung);
        }
        self.runs.insert(idx + 1, Run { from: levels[0].key, levels });
    }

    /// Returns a run to fill, from the spare ones; allocates as many as are in use if there are none.
    fn empty_run(&mut self) -> RunLevels {
        if self.spare.is_empty() {
            let n_more = self.runs.len().max(4);
            // Whatever runs become spare later finds room.
            self.spare.reserve(self.runs.len() + n_more);
            self.runs.reserve(n_more);
            self.spare.extend(iter::repeat_with(Box::default).take(n_more));
        }
        self.spare.pop().unwrap_or_default()
    }

    /// Drops a run that is empty now, or merges it with its neighbours where two of them hold half
    /// a run or less.
    fn merge_around(&mut self, idx: usize) {
        if self.runs[idx].levels.is_empty() {
            self.spare.push(self.runs.remove(idx).levels);
            return;
        }
        self.merge_with_next(idx);
        if idx > 0 {
            self.merge_with_next(idx - 1);
        }
    }

    fn merge_with_next(&mut self, idx: usize) {
        let Some([run, next]) = self.runs.get_mut(idx..idx + 2) else { return };
        if run.levels.len() + next.levels.len() <= RUN / 2 {
            run.levels.extend(next.levels.drain(..));
            self.spare.push(self.runs.remove(idx + 1).levels);
        }
    }
}

#[cfg(test)]
impl FarLevels {
    /// Checks what the types do not say.
    pub(super) fn assert_sound(&self) {
        let n_levels: usize = self.runs.iter().map(|run| run.levels.len()).sum();
        assert_eq!(n_levels, self.len);
        assert!(self.iter().is_sorted_by(|a, b| a.key < b.key), "levels out of order");
        assert!(self.spare.iter().all(|run| run.is_empty()), "a spare run has levels");
        let mut end = None;
        for run in &self.runs {
            assert!(end < Some(run.from) && run.from <= run.levels[0].key, "a misplaced run");
            end = run.levels.last().map(|rung| rung.key);
        }
        for pair in self.runs.windows(2) {
            assert!(pair[0].levels.len() + pair[1].levels.len() > RUN / 2, "runs to be merged");
        }
    }

    /// Returns the memory held, in runs.
    pub(super) fn n_runs(&self) -> usize {
        self.runs.len() + self.spare.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(keys: impl Iterator<Item = i64>) -> FarLevels {
        let mut far = FarLevels::default();
        keys.for_each(|key| far.set(key, 1));
        far.assert_sound();
        far
    }

    #[test]
    fn levels_in_order_fill_their_runs() {
        assert_eq!(far(0..640).runs.len(), 10);
        assert_eq!(far((0..640).rev()).runs.len(), 10);
    }

    #[test]
    fn removing_levels_frees_runs_for_the_next_ones() {
        // A step that is coprime with the number of keys visits all of them, out of order.
        let keys = || (0..10_000).map(|n| n * 7_919 % 10_000);
        let mut far = far(keys());
        let n_runs = far.n_runs();
        for _ in 0..3 {
            keys().filter(|key| key % 100 != 0).for_each(|key| far.remove(key));
            far.assert_sound();
            assert_eq!(far.len(), 100);
            assert!(far.runs.len() <= 8, "{} runs for 100 levels", far.runs.len());
            keys().for_each(|key| far.set(key, 2));
            far.assert_sound();
            assert_eq!(far.n_runs(), n_runs);
        }
    }

    #[test]
    fn the_window_takes_the_best_levels_and_no_more() {
        let mut far = far((0..200).map(|n| n * 10));
        let mut taken = Vec::new();
        far.take_through(995, |rung| taken.push(rung.key));
        assert_eq!(taken, (0..100).map(|n| n * 10).collect::<Vec<_>>());
        assert_eq!((far.best(), far.len()), (Some(1_000), 100));
        far.assert_sound();
        far.take_through(i64::MAX, |_| {});
        assert_eq!((far.best(), far.len(), far.runs.len()), (None, 0, 0));
    }
}
