//! Holes in a record.

use tercel_core::{Event, Nanos, Seq};
use tercel_store::journal::Entry;

/// A part of a run that is not on record, because its journal failed and was opened again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hole {
    /// The first event that is not known to have happened as recorded.
    pub from: Seq,
    /// The last that was passed over: the state after it is on record.
    pub to: Seq,
    /// When the journal worked again.
    pub at: Nanos,
    /// Entries that were not taken meanwhile; those that were under way to the disk are not counted.
    pub n_lost: u64,
    /// Why the journal failed.
    pub why: String,
    /// The first event since which every script is executed again: until then their wishes are taken
    /// from the record. None if the run ended before.
    pub executed_from: Option<Seq>,
}

/// A hole on whose other side the run has not arrived yet.
pub(super) struct Fall {
    /// The last event before its record, and the market events until then.
    pub(super) seq: Seq,
    pub(super) n_market: u64,
    /// Entries since then: those that the state which ends the hole includes, and those that came while
    /// it was encoded.
    pub(super) passed: Vec<Entry>,
}

impl Fall {
    /// Returns how many market events there were up to an event since.
    pub(super) fn n_market_at(&self, seq: Seq) -> u64 {
        let is_other = |entry: &&Entry| {
            entry.seq <= seq && !matches!(entry.event, None | Some(Event::Market(_)))
        };
        let n_others = self.passed.iter().filter(is_other).count() as u64;
        self.n_market + seq.0.saturating_sub(self.seq.0).saturating_sub(n_others)
    }

    /// Returns the entries beyond an event.
    pub(super) fn beyond(mut self, seq: Seq) -> Vec<Entry> {
        self.passed.retain(|entry| entry.seq > seq);
        self.passed
    }
}
