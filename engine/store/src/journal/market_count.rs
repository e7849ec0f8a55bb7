//! How much market data a run took, as its journal's numbers tell.

use tercel_core::{Event, Seq};

use super::record::Record;

/// Counts the market data that a run took: whatever has a number and is no other entry.
#[derive(Debug, Default)]
pub(super) struct MarketCount {
    /// The last number on record.
    last: Seq,
    /// Where counting began, and the market events up to there: the beginning, or the last gap, which
    /// tells them because entries before it are missing.
    since: Seq,
    n_before: u64,
    /// Entries since then that are no market data.
    n_others: u64,
}

impl MarketCount {
    pub(super) fn note(&mut self, record: &Record) {
        match record {
            Record::Entry(entry) => {
                self.last = self.last.max(entry.seq);
                let is_market = matches!(entry.event, None | Some(Event::Market(_)));
                self.n_others += u64::from(!is_market && entry.seq > self.since);
            }
            Record::Gap { seq, n_market, .. } => {
                self.last = self.last.max(*seq);
                (self.since, self.n_before, self.n_others) = (*seq, *n_market, 0);
            }
            Record::Snapshot { seq, .. } | Record::RunEnded { seq, .. } => {
                self.last = self.last.max(*seq);
            }
            Record::RunStarted { .. }
            | Record::Sent(_)
            | Record::ScriptLoaded { .. }
            | Record::Params { .. }
            | Record::Limits { .. }
            | Record::IdLease { .. } => {}
        }
    }

    /// A journal whose numbers do not add up counts none rather than fewer.
    pub(super) const fn n_events(&self) -> u64 {
        let n_since = self.last.0.saturating_sub(self.since.0);
        self.n_before + n_since.saturating_sub(self.n_others)
    }
}
