//! How long calls into the server's strategies take. The histograms live on the engine's thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tercel_core::{Strategy, StrategyId};

use crate::report::LatencyRow;
use crate::timing::HookTimes;

thread_local! {
    static TIMES: RefCell<BTreeMap<StrategyId, HookTimes>> = const { RefCell::new(BTreeMap::new()) };
}

/// One call in so many is timed.
const SAMPLED: u32 = 16;

/// Lets a strategy's calls be timed, on this thread.
pub(super) fn timed(id: StrategyId, strategy: Box<dyn Strategy>) -> Box<dyn Strategy> {
    TIMES.with_borrow_mut(|all| {
        all.entry(id).or_insert_with(HookTimes::new).timed(strategy, SAMPLED)
    })
}

/// Returns what was timed on this thread.
pub(super) fn rows() -> Vec<(StrategyId, LatencyRow)> {
    TIMES.with_borrow(|all| {
        all.iter().flat_map(|(id, times)| times.rows().into_iter().map(|row| (*id, row))).collect()
    })
}
