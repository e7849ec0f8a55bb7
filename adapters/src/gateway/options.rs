//! How patient a gateway is, and what it does about what it did not expect.

use tercel_core::{Nanos, StrategyId};

/// Settings of a [`Gateway`](super::Gateway).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayOptions {
    /// How a working order's price and quantity are changed.
    pub replace: ReplaceStyle,
    /// After how long without an answer the outcome of a request counts as unknown.
    pub answer_timeout_ns: i64,
    /// How long the venue accepts a request after it was sent (its receive window). Before that has
    /// passed, "no such order" may only mean "not yet".
    pub receive_window_ns: i64,
    /// How long after the receive window "no such order" is still doubted.
    pub grace_ns: i64,
    /// First pause between two questions about one order; doubles up to [`Self::query_max_ns`].
    pub query_min_ns: i64,
    /// Longest pause between two questions about one order.
    pub query_max_ns: i64,
    /// How often the venue's books are compared with ours; zero for only at each connect.
    pub reconcile_interval_ns: i64,
    /// How far back executions are asked for again, against clocks that differ.
    pub fill_overlap_ns: i64,
    /// What is done when holdings or positions differ.
    pub difference: DifferencePolicy,
    /// What is done about an order that bears our prefix and that we do not know.
    pub orphan: OrphanPolicy,
    /// What is done about working orders of other origin.
    pub foreign: ForeignPolicy,
    /// What is done about an order that a run which was cut off had sent and has no record of.
    pub lost: LostPolicy,
    /// Whether the venue has positions to be asked for (derivatives).
    pub has_positions: bool,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            replace: ReplaceStyle::Amend,
            answer_timeout_ns: 3 * Nanos::SECOND,
            receive_window_ns: 5 * Nanos::SECOND,
            grace_ns: 5 * Nanos::SECOND,
            query_min_ns: 500 * Nanos::MILLI,
            query_max_ns: 30 * Nanos::SECOND,
            reconcile_interval_ns: 60 * Nanos::SECOND,
            fill_overlap_ns: 60 * Nanos::SECOND,
            difference: DifferencePolicy::Adopt,
            orphan: OrphanPolicy::Cancel,
            foreign: ForeignPolicy::Leave,
            lost: LostPolicy::Halt,
            has_positions: false,
        }
    }
}

/// How a working order is changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReplaceStyle {
    /// The venue changes it in place; the quantity counts what is filled.
    Amend,
    /// The venue withdraws and places in one step, and refuses if anything was filled meanwhile.
    /// Orders that are filled in part are withdrawn first and placed anew after, because the
    /// quantity of the new one must not be known too early.
    CancelReplace,
    /// Withdrawn first and placed anew after.
    CancelThenPlace,
}

/// What is done when the venue holds something else than our books say. With what an account holds
/// when nothing was ever known of it, our books begin in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DifferencePolicy {
    /// The venue is right: the engine is told.
    Adopt,
    /// It is shown, and nothing is changed.
    Report,
}

/// What is done about an order with our prefix that we do not know: one that an earlier process
/// sent and did not live to record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OrphanPolicy {
    /// It is withdrawn.
    Cancel,
    /// It is left alone.
    Leave,
}

/// What is done about an order that a run which was cut off had sent and has no record of. Its executions are in
/// what the account holds, and no strategy knows of them. That it works still is the orphans' business.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LostPolicy {
    /// The engine is halted, until somebody resumes it.
    Halt,
    /// It is told, and nothing else is done.
    Tell,
}

/// What is done about working orders that somebody else has placed on the account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ForeignPolicy {
    /// They are left alone, and counted.
    Leave,
    /// They are taken for ours: counted in risk, booked, and cancelled with the rest.
    Adopt {
        /// Whose they are. Those in instruments that it does not trade, and all of them if it is
        /// `None`, are the first strategy's that trades the instrument.
        strategy: Option<StrategyId>,
    },
}
