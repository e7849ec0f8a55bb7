//! One side of a book: a window of ticks around the touch and, beyond it, sorted runs.
//!
//! Prices arrive here as keys, smaller is better, so that both sides are the same code. Invariants:
//! the window holds every level up to its last tick, [`FarLevels`] the ones after it, and the
//! window is empty only if the side is.

use crate::book::far::FarLevels;
use crate::book::window::Window;

/// A level of a ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rung {
    /// Smaller is better.
    pub(super) key: i64,
    /// Positive.
    pub(super) qty: i64,
}

/// The levels of one side.
#[derive(Clone)]
pub(super) struct Ladder {
    window: Window,
    far: FarLevels,
    /// The best level, or [`NONE`]: asked for several times an event, changed every few.
    best: Rung,
}

/// Stands for no level: every key is at least as good.
const NONE: Rung = Rung { key: i64::MAX, qty: 0 };

impl Default for Ladder {
    fn default() -> Self {
        Self { window: Window::default(), far: FarLevels::default(), best: NONE }
    }
}

impl Ladder {
    /// Removes all levels. O(occupied 64-tick words and runs); keeps the memory.
    pub(super) fn clear(&mut self) {
        self.window.clear();
        self.far.clear();
        self.best = NONE;
    }

    /// Sets the quantity at a key; zero or less removes the level.
    #[inline]
    pub(super) fn set(&mut self, key: i64, qty: i64) {
        if self.window.contains(key) {
            if self.window.set(key, qty) && self.window.has_drifted() {
                self.follow_touch();
            }
        } else {
            self.set_outside(key, qty);
        }
        if key <= self.best.key {
            self.best = match qty {
                1.. => Rung { key, qty },
                _ => self.window.best().unwrap_or(NONE),
            };
        }
    }

    /// Returns the best level. O(1).
    #[inline]
    pub(super) fn best(&self) -> Option<Rung> {
        (self.best.qty > 0).then_some(self.best)
    }

    /// Returns the quantity at a key, zero for none.
    #[inline]
    pub(super) fn qty_at(&self, key: i64) -> i64 {
        if self.window.contains(key) { self.window.qty_at(key) } else { self.far.qty_at(key) }
    }

    /// Returns how many levels there are. O(1).
    pub(super) const fn len(&self) -> usize {
        self.window.len() + self.far.len()
    }

    /// Returns the levels, best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Rung> + '_ {
        self.window.iter().chain(self.far.iter())
    }

    #[inline(never)]
    fn set_outside(&mut self, key: i64, qty: i64) {
        if qty <= 0 {
            self.far.remove(key);
        } else if self.window.ends_before(key) {
            self.far.set(key, qty);
        } else {
            self.anchor(key);
            self.window.set(key, qty);
        }
    }

    /// Moves the window after the touch once it is empty or all but left behind.
    #[inline(never)]
    fn follow_touch(&mut self) {
        match self.window.best().map(|rung| rung.key).or_else(|| self.far.best()) {
            Some(best) => self.anchor(best),
            None => self.window.clear(),
        }
    }

    /// Puts the window around `best`, which is at least as good as every level.
    ///
    /// The window must travel a quarter of its ticks before it moves again, so a move is paid for
    /// by many updates. Only a touch that leaps to and fro by more than the window pays it each time:
    /// at most the window's levels, a few nanoseconds each.
    fn anchor(&mut self, best: i64) {
        let base = Window::base_for(best);
        let last = Window::last_of(base);
        while let Some(rung) = self.window.worst()
            && rung.key > last
        {
            self.window.set(rung.key, 0);
            self.far.push_best(rung);
        }
        self.window.move_to(base);
        self.far.take_through(last, |rung| {
            self.window.set(rung.key, rung.qty);
        });
    }
}

#[cfg(test)]
impl Ladder {
    /// Checks what the types do not say.
    pub(super) fn assert_sound(&self) {
        self.window.assert_sound();
        self.far.assert_sound();
        assert_eq!(self.best(), self.window.best(), "the best level is kept");
        if let Some(best) = self.far.best() {
            assert!(self.window.ends_before(best) && !self.window.contains(best));
            assert!(!self.window.has_drifted(), "the window lags behind the touch");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_a_touch_that_leaves_it_behind() {
        let mut ladder = Ladder::default();
        (0..20_000).for_each(|key| ladder.set(key, 1));
        let n_far = ladder.far.len();
        assert!((16_000..17_000).contains(&n_far), "{n_far} far levels");
        for key in 0..15_000 {
            ladder.set(key, 0);
            let ahead = key + 1 + 900;
            assert!(
                ladder.window.contains(ahead),
                "{ahead} is far though the touch is {}",
                key + 1
            );
        }
        ladder.assert_sound();
        assert_eq!(ladder.len(), 5_000);
    }

    #[test]
    fn the_window_stays_while_the_touch_walks_to_and_fro() {
        let mut ladder = Ladder::default();
        (10_000..20_000).for_each(|key| ladder.set(key, 1));
        let base = Window::base_for(10_000);
        for key in (9_000..10_000).rev() {
            ladder.set(key, 1);
        }
        for key in 9_000..12_000 {
            ladder.set(key, 0);
        }
        assert!(ladder.window.contains(base) && !ladder.window.contains(base - 1));
        assert_eq!(ladder.best(), Some(Rung { key: 12_000, qty: 1 }));
    }
}
