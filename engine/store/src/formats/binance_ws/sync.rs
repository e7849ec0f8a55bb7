//! Where a symbol's book stands between its snapshots and its diffs.

use std::collections::VecDeque;

use tercel_core::{Nanos, Side};

use crate::decimal::Dec;
use crate::raw::{RawData, RawEvent};
use crate::report::Report;

/// A level of a list: side, price, quantity.
pub(super) type RawLevel = (Side, Dec, Dec);

/// Levels that are kept for a snapshot to come: some 50 MB, hours of a busy market. When more come
/// the oldest go, and the snapshot then shows a gap.
const MOST_HELD_LEVELS: usize = 1 << 20;

/// One symbol's book.
///
/// Before the first snapshot diffs are held back. After it they pass: those that the book already
/// has are dropped, and one that does not follow on the last is let through, so that its numbers
/// show the gap. From a gap on diffs are kept as well, because a snapshot that is fetched to mend
/// it is older than the last of them.
#[derive(Default)]
pub(super) struct BookSync {
    is_live: bool,
    is_gapped: bool,
    /// Last sequence that was told; 0 before the first.
    reached: u64,
    held: VecDeque<Diff>,
    n_held_levels: usize,
    /// Where a diff without levels began, whose numbers the next one has to cover too.
    open_prev: Option<u64>,
}

/// A list of changes with its place in the sequence.
#[derive(Clone, Debug)]
pub(super) struct Diff {
    /// What the book must have reached.
    pub(super) prev: u64,
    /// What it has reached afterwards.
    pub(super) seq: u64,
    pub(super) venue_at: Nanos,
    pub(super) levels: Vec<RawLevel>,
}

/// Where events of a book go.
pub(super) struct Sink<'a> {
    pub(super) symbol: u16,
    pub(super) received_at: Nanos,
    pub(super) out: &'a mut Vec<RawEvent>,
}

impl Sink<'_> {
    fn push(&mut self, venue_at: Nanos, data: RawData) {
        let &mut Self { symbol, received_at, .. } = self;
        self.out.push(RawEvent { symbol, venue_at, received_at, data });
    }

    fn levels(&mut self, venue_at: Nanos, levels: &[RawLevel]) {
        let Some((closing, others)) = levels.split_last() else { return };
        for (side, price, qty) in others {
            let (side, price, qty) = (*side, *price, *qty);
            self.push(venue_at, RawData::Level { side, price, qty, last: false });
        }
        let (side, price, qty) = *closing;
        self.push(venue_at, RawData::Level { side, price, qty, last: true });
    }
}

impl BookSync {
    /// Returns a book that goes on from an earlier file, so that no snapshot is waited for.
    pub(super) fn continuing() -> Self {
        Self { is_live: true, ..Self::default() }
    }

    /// Takes a diff: holds it, drops it or tells it.
    pub(super) fn diff(&mut self, diff: &Diff, report: &mut Report, sink: &mut Sink<'_>) {
        if !self.is_live {
            report.count("diffs before the snapshot");
            self.hold(diff.clone(), report);
            return;
        }
        self.pass(diff, report, sink);
        if self.is_gapped {
            self.hold(diff.clone(), report);
        }
    }

    /// Takes a snapshot with at least one level.
    pub(super) fn snapshot(
        &mut self,
        seq: u64,
        venue_at: Nanos,
        levels: &[RawLevel],
        report: &mut Report,
        sink: &mut Sink<'_>,
    ) {
        if self.is_live && !self.is_gapped && self.reached > seq {
            report.count("snapshots that the book was already past");
            return;
        }
        report.count("snapshots");
        sink.push(venue_at, RawData::Clear { seq });
        sink.levels(venue_at, levels);
        *self = Self {
            is_live: true,
            reached: seq,
            held: std::mem::take(&mut self.held),
            ..Self::default()
        };
        for diff in std::mem::take(&mut self.held) {
            if diff.seq <= seq {
                report.count("diffs older than the snapshot");
            } else {
                self.diff(&diff, report, sink);
            }
        }
    }

    fn pass(&mut self, diff: &Diff, report: &mut Report, sink: &mut Sink<'_>) {
        if diff.seq <= self.reached {
            report.count("diffs that the book already had");
            return;
        }
        if self.reached != 0 && diff.prev > self.reached {
            report.count("gaps");
            self.is_gapped = true;
        }
        self.reached = diff.seq;
        let prev = self.open_prev.take().map_or(diff.prev, |open| open.min(diff.prev));
        if diff.levels.is_empty() {
            // A list without items has no end to flag: its numbers go to the next one.
            self.open_prev = Some(prev);
            return;
        }
        sink.push(diff.venue_at, RawData::Batch { prev, seq: diff.seq });
        sink.levels(diff.venue_at, &diff.levels);
    }

    fn hold(&mut self, diff: Diff, report: &mut Report) {
        self.n_held_levels += diff.levels.len();
        self.held.push_back(diff);
        while self.n_held_levels > MOST_HELD_LEVELS
            && let Some(oldest) = self.held.pop_front()
        {
            self.n_held_levels -= oldest.levels.len();
            report.count("diffs given up while waiting for a snapshot");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(prev: u64, seq: u64, n_levels: usize) -> Diff {
        let level = (Side::Buy, Dec::whole(10), Dec::whole(1));
        Diff { prev, seq, venue_at: Nanos(0), levels: vec![level; n_levels] }
    }

    /// Feeds snapshots (`Err`) and diffs (`Ok`) and returns the sequence marks told, snapshots
    /// with a `prev` of 0.
    fn marks(inputs: &[Result<Diff, u64>]) -> (Vec<(u64, u64)>, Report) {
        let (mut book, mut report, mut out) = (BookSync::default(), Report::default(), Vec::new());
        for input in inputs {
            let mut sink = Sink { symbol: 0, received_at: Nanos(0), out: &mut out };
            match input {
                Ok(diff) => book.diff(diff, &mut report, &mut sink),
                Err(seq) => {
                    let levels = diff(0, 0, 1).levels;
                    book.snapshot(*seq, Nanos(0), &levels, &mut report, &mut sink);
                }
            }
        }
        let mark = |event: &RawEvent| match event.data {
            RawData::Clear { seq } => Some((0, seq)),
            RawData::Batch { prev, seq } => Some((prev, seq)),
            _ => None,
        };
        (out.iter().filter_map(mark).collect(), report)
    }

    #[test]
    fn diffs_before_the_snapshot_come_after_it_and_older_ones_not_at_all() {
        let (marks, report) =
            marks(&[Ok(diff(0, 5, 1)), Ok(diff(5, 9, 1)), Err(7), Ok(diff(9, 12, 1))]);
        assert_eq!(marks, [(0, 7), (5, 9), (9, 12)]);
        assert_eq!(report.counts["diffs older than the snapshot"], 1);
    }

    #[test]
    fn a_diff_without_levels_hands_its_numbers_on() {
        let (marks, _) = marks(&[Err(7), Ok(diff(7, 9, 0)), Ok(diff(9, 12, 1))]);
        assert_eq!(marks, [(0, 7), (7, 12)]);
    }

    #[test]
    fn what_comes_twice_is_told_once() {
        let (marks, report) = marks(&[
            Err(7),
            Ok(diff(7, 9, 1)),
            Ok(diff(7, 9, 1)),
            Ok(diff(9, 12, 1)),
            Ok(diff(5, 8, 1)),
        ]);
        assert_eq!(marks, [(0, 7), (7, 9), (9, 12)]);
        assert_eq!(report.counts["diffs that the book already had"], 2);
    }

    #[test]
    fn a_late_snapshot_is_left_out_while_the_book_is_whole() {
        let (marks, _) = marks(&[Err(7), Ok(diff(7, 9, 1)), Err(8), Ok(diff(9, 12, 1))]);
        assert_eq!(marks, [(0, 7), (7, 9), (9, 12)]);
    }

    #[test]
    fn a_late_snapshot_mends_a_gap_with_the_diffs_after_it() {
        let (marks, report) = marks(&[
            Err(7),
            Ok(diff(7, 9, 1)),
            Ok(diff(15, 20, 1)),
            Ok(diff(20, 25, 1)),
            Err(22),
            Ok(diff(25, 30, 1)),
        ]);
        assert_eq!(marks, [(0, 7), (7, 9), (15, 20), (20, 25), (0, 22), (20, 25), (25, 30)]);
        assert_eq!(report.counts["gaps"], 1);
    }

    #[test]
    fn waiting_for_a_snapshot_takes_bounded_memory() {
        let mut inputs: Vec<_> = (0..3).map(|n| Ok(diff(n, n + 1, MOST_HELD_LEVELS / 2))).collect();
        inputs.push(Err(0));
        let (marks, _) = marks(&inputs);
        assert_eq!(marks, [(0, 0), (1, 2), (2, 3)], "the gap after the snapshot shows");
    }
}
