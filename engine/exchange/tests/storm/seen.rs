//! What has happened over many storms: a run in which too little did proves nothing.

use tercel_adapters::net::{CallFaultCounts, FaultCounts};
use tercel_exchange::FaultCounts as VenueFaultCounts;

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) n_storms: u64,
    pub(super) n_orders: u64,
    pub(super) n_fills: u64,
    pub(super) n_unknown: u64,
    pub(super) n_settled: u64,
    pub(super) n_offline: u64,
    pub(super) n_stale: u64,
    pub(super) n_replaced: u64,
    pub(super) n_canceled: u64,
    /// Stops that fired.
    pub(super) n_triggered: u64,
    /// Comparisons of the venue's books with ours that found them equal.
    pub(super) n_compared: u64,
    /// Looks at a book that claimed to be live, during the storms.
    pub(super) n_looks: u64,
    pub(super) net: FaultCounts,
    pub(super) calls: CallFaultCounts,
    pub(super) venue: VenueFaultCounts,
    /// Longest time that a book which claimed to be live was behind.
    pub(super) behind_ns_max: i64,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        let own = self.counts_mut();
        for ((_, own), (_, other)) in own.into_iter().zip(other.clone().counts_mut()) {
            *own += *other;
        }
        self.behind_ns_max = self.behind_ns_max.max(other.behind_ns_max);
    }

    /// Makes sure that everything that can happen has happened, and every fault has struck.
    pub(super) fn check(&self) {
        let missing: Vec<_> = self
            .clone()
            .counts_mut()
            .into_iter()
            .filter(|(_, n)| **n == 0)
            .map(|(name, _)| name)
            .collect();
        assert!(missing.is_empty(), "never in {} storms: {missing:?}", self.n_storms);
    }

    fn counts_mut(&mut self) -> [(&'static str, &mut u64); 30] {
        let Self { net, calls, venue, .. } = self;
        [
            ("storm", &mut self.n_storms),
            ("order", &mut self.n_orders),
            ("fill", &mut self.n_fills),
            ("unknown outcome", &mut self.n_unknown),
            ("settled outcome", &mut self.n_settled),
            ("lost account stream", &mut self.n_offline),
            ("stale book", &mut self.n_stale),
            ("replace", &mut self.n_replaced),
            ("cancel", &mut self.n_canceled),
            ("fired stop", &mut self.n_triggered),
            ("comparison", &mut self.n_compared),
            ("look at a live book", &mut self.n_looks),
            ("refused connection", &mut net.n_refused),
            ("hung connection", &mut net.n_hung),
            ("broken connection", &mut net.n_broken),
            ("half-open connection", &mut net.n_half_open),
            ("call that never left", &mut calls.n_not_sent),
            ("call lost on its way", &mut calls.n_lost_before),
            ("call whose answer was lost", &mut calls.n_lost_after),
            ("call that failed", &mut calls.n_failed_before),
            ("call that failed after it was acted on", &mut calls.n_failed_after),
            ("lost frame", &mut venue.n_lost),
            ("doubled frame", &mut venue.n_doubled),
            ("overtaken frame", &mut venue.n_overtaken),
            ("failed request", &mut venue.n_failed),
            ("failed request that was executed", &mut venue.n_failed_done),
            ("silence", &mut venue.n_silent),
            ("silence after execution", &mut venue.n_silent_done),
            ("break", &mut venue.n_broken),
            ("break after execution", &mut venue.n_broken_done),
        ]
    }
}
