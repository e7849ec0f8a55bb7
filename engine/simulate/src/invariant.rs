//! What must hold whatever happens.

use crate::counts::named;

named! {
    /// A promise that is checked all the time.
    Invariant {
        /// An order reaches the venue at most once, and no id is used for two orders.
        OnceOnly = "no intent is executed twice",
        /// What is sent was recorded, under a leased number; where accounts wait, durably.
        RecordedFirst = "a record and a lease precede each sending",
        /// Positions of strategies, accounts and engine are the sums of the fills that were told.
        Positions = "a position is the sum of its fills",
        /// Balances are what they began with, plus what flowed, in integers.
        Cash = "cash is conserved",
        /// Exposures and counts are the sums of the orders.
        Sums = "exposures are the sums of the orders",
        /// At the venue, filled, open, in flight and unknown together stay within the limits.
        Limits = "limits hold at the venue",
        /// A state that is recovered again is the same state.
        Restart = "a second restart changes nothing",
        /// A record alone gives the state that executing the run again gives.
        Recovery = "a record brings back the state",
        /// Records that were said to be durable are there after everything.
        Durable = "nothing acknowledged is lost",
        /// Events are numbered without holes, and what came in is counted in or counted lost.
        NoLoss = "no event is lost",
        /// The engine's time never goes back.
        Time = "time never goes back",
        /// Executed again, a run gives the same effects and states.
        Replay = "a replay is identical",
        /// A stale book calls no strategy and lets no order pass.
        StaleBook = "a stale book trades nothing",
        /// After a kill no order is sent until a resume, and what works is cancelled at once.
        KillSwitch = "a kill switch lets nothing new pass",
        /// A flatten leaves no position that the venue would take an order for.
        Flat = "a flatten ends with nothing held",
        /// A strategy that failed is not called, orders nothing, and others go on.
        BadScript = "a bad script stands alone",
        /// Once the faults are over, everything is settled and trading goes on.
        Liveness = "everything settles after the faults",
        /// The program does not panic.
        NoPanic = "no panic",
    }
}

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
}

impl Violation {
    pub(crate) fn new(
        invariant: Invariant,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { invariant, expected: expected.into(), found: found.into() }
    }
}

/// Nothing, or a broken promise.
pub(crate) type Checked<T = ()> = Result<T, Violation>;
