//! What goes wrong in a simulation, and what people do meanwhile.

use crate::counts::named;

named! {
    /// Something that the engine must bear. Each counts as fired only where its effect was seen.
    Fault {
        /// A good version takes a running one's place.
        Reload = "reload",
        /// A version that does not compile, or fails in its first call.
        BrokenReload = "broken reload",
        /// A strategy gets other parameters.
        SetParams = "set parameters",
        /// A scope may only shrink its positions.
        Pause = "pause",
        /// A scope may trade again.
        Resume = "resume",
        /// A scope's kill switch.
        Kill = "kill switch",
        /// A scope closes its positions.
        Flatten = "flatten",
        /// The process dies between two instructions; the machine goes on.
        Crash = "crash",
        /// The machine dies: what was not forced to the disk is there in part or not.
        PowerCut = "power cut",
        /// The disk takes seconds for a commit.
        SlowDisk = "slow disk",
        /// The disk refuses an operation.
        FailingDisk = "failing disk",
        /// The disk has no room.
        FullDisk = "full disk",
        /// Entries find no room in the journal's ring.
        FullJournalRing = "full journal ring",
        /// Market events find no room on their way to the engine.
        FullMarketRing = "full market ring",
        /// The clock leaps forward, as after a suspended machine.
        ClockJump = "clock jump",
        /// Somebody sets the system's clock, forward or back.
        ClockSet = "clock set",
        /// A script raises an error.
        ScriptError = "script error",
        /// A script does not end.
        EndlessLoop = "endless loop",
        /// A script takes all the memory that it can get.
        ScriptMemory = "script memory",
        /// A report comes seconds late.
        LateReport = "late report",
        /// A report never comes.
        LostReport = "lost report",
        /// A report comes twice.
        DoubledReport = "doubled report",
        /// A report comes after a younger one.
        ReorderedReport = "reordered report",
        /// A request never reaches the venue.
        LostRequest = "lost request",
        /// A new order is not answered in time, but works.
        UnknownExecuted = "unknown outcome, executed",
        /// A new order is not answered in time, and never worked.
        UnknownLost = "unknown outcome, not executed",
        /// The venue refuses an order.
        RejectedOrder = "rejected order",
        /// An order trades while its cancel is on the way.
        CancelRace = "cancel and fill race",
        /// Changes of a book are missing.
        BookGap = "book gap",
        /// A book's sides cross.
        CrossedBook = "crossed book",
        /// A stream of market data ends.
        LinkDown = "link down",
        /// It begins again.
        LinkUp = "link up",
    }
}
