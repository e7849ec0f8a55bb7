//! Deliberate bugs, to see whether those find them that look for bugs.
//!
//! Only with the feature `sabotage`, which nothing but tests turns on, and only on a thread where one is
//! planted. Without the feature there is no code for any of this.

use std::cell::Cell;

/// A deliberate bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bug {
    /// A fill that comes twice counts twice.
    FillCountsTwice,
    /// A fill moves positions to the other side.
    FillHasWrongSign,
    /// A new order reserves no exposure.
    NothingReserved,
    /// An order of unknown outcome is taken for dead.
    UnknownIsDead,
    /// A stale book is traded on.
    StaleBookTrades,
    /// A halted scope lets new orders pass.
    KillLetsOrdersPass,
    /// A kill withdraws nothing.
    KillForgetsCancels,
    /// A timer that fired before a crash fires again after it.
    TimerFiresAgain,
    /// What was remembered is not brought back.
    MemoryIsLost,
    /// A snapshot lacks the switch of each scope.
    SnapshotLacksSwitches,
    /// A strategy that failed is called again.
    FaultIsForgiven,
    /// Order numbers are used before their lease is durable.
    LeaseIsNotAwaited,
    /// A run uses the order ids of the one before it.
    IdsRecur,
    /// Every request is sent twice.
    RequestIsSentTwice,
    /// Orders leave before they are durable, whoever waits for that.
    DurableIsNotAwaited,
    /// Orders leave although they could not be recorded.
    FailureIsIgnored,
    /// A commit does not force anything to the disk.
    SyncIsSkipped,
    /// Some commits are said to be done and are not.
    CommitIsSkipped,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug on this thread, in place of any other; `None` for none.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Returns whether this bug is planted on this thread.
#[must_use]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
