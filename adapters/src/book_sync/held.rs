//! Increments that wait for the snapshot that they continue.

use std::collections::VecDeque;

use super::{BookSync, Change, Increment};

/// Increments that are held at most. Older ones make way: a snapshot that is older than they are
/// is refused then.
pub(super) const HELD_MAX: usize = 4_096;
/// Levels that are held at most: 1 MiB.
pub(super) const HELD_LEVELS_MAX: usize = 65_536;

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) increment: Increment,
    pub(super) n_bids: usize,
    pub(super) n_asks: usize,
}

impl BookSync {
    pub(super) fn hold(&mut self, increment: &Increment, bids: &[Change], asks: &[Change]) {
        if let Some(newest) = self.held.back() {
            if increment.last <= newest.increment.last {
                return;
            }
            if !self.follows(newest.increment.last, true, increment) {
                // Something was lost before the snapshot came: what is older is of no use.
                self.forget_held();
            }
        }
        let n_levels = bids.len() + asks.len();
        while !self.held.is_empty()
            && (self.held.len() >= HELD_MAX || self.levels.len() + n_levels > HELD_LEVELS_MAX)
        {
            self.drop_oldest();
        }
        self.levels.extend(bids);
        self.levels.extend(asks);
        self.held.push_back(Held { increment: *increment, n_bids: bids.len(), n_asks: asks.len() });
    }

    pub(super) fn drop_oldest(&mut self) {
        if let Some(oldest) = self.held.pop_front() {
            self.levels.drain(..oldest.n_bids + oldest.n_asks);
        }
    }

    /// Gives the memory back, too: books wait at the start and hardly ever again.
    pub(super) fn forget_held(&mut self) {
        self.held = VecDeque::new();
        self.levels = VecDeque::new();
    }
}
