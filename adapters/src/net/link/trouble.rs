//! Attempts that fail one after the other, and what of it is worth telling.

use super::Loss;

/// Reasons that are remembered as told. A connection that fails for more than these is told of again.
const N_TOLD: usize = 8;

/// Counts failures in a row. The first is what happens to every connection; from the second on each
/// reason is told once, until the connection has held again.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    n_in_a_row: u32,
    told: Vec<Loss>,
    untold: Option<Loss>,
}

impl Trouble {
    /// A connection was lost, or never came to be.
    pub(super) fn failed(&mut self, why: &Loss) {
        self.n_in_a_row = self.n_in_a_row.saturating_add(1);
        if self.n_in_a_row < 2 || self.told.contains(why) {
            return;
        }
        if self.told.len() == N_TOLD {
            self.told.remove(0);
        }
        self.told.push(why.clone());
        self.untold = Some(why.clone());
    }

    /// The connection has held for long enough.
    pub(super) fn held(&mut self) {
        *self = Self::default();
    }

    /// Returns a reason that was not told yet, which counts as told from here on.
    pub(super) const fn take(&mut self) -> Option<Loss> {
        self.untold.take()
    }
}
