//! The points.

macro_rules! points {
    ($($(#[doc = $doc:expr])* $point:ident = $name:literal,)*) => {
        /// A point of the program at which it can be made to die.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Point {
            $($(#[doc = $doc])* $point,)*
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// Returns what it is called in [`crate::VARIABLE`].
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    // A run's beginning, in the order of its steps.
    /// The run before is about to be sealed.
    PredecessorSeal = "predecessor.seal",
    /// The run before is sealed.
    PredecessorSealed = "predecessor.sealed",
    /// The run's number is noted; it has no folder.
    RunNumbered = "run.numbered",
    /// The run has a folder; nothing is in it.
    RunFolder = "run.folder",
    /// The journal's file is made, under another name, with no record in it.
    JournalMade = "journal.made",
    /// The journal's first record is durable; its file still has another name.
    JournalBegun = "journal.begun",
    /// The journal's file has its name.
    JournalNamed = "journal.named",
    /// The scripts are recorded, the state that the run begins with is not.
    BeginScripts = "begin.scripts",
    /// The state that the run begins with is handed over and not awaited.
    BeginState = "begin.state",
    /// The run has begun durably; no strategy has been started.
    Begun = "begin.end",
    /// Strategies are about to be started.
    StrategiesStart = "strategies.start",
    /// Strategies have been started.
    StrategiesStarted = "strategies.started",

    // What happens, on the engine's thread.
    /// The engine has handled an event that is not recorded.
    EventHandled = "event.handled",
    /// The event is recorded; nothing that follows from it has been sent.
    EventRecorded = "event.recorded",
    /// A request is about to be handed to the venue's port.
    RequestBegin = "request.begin",
    /// The port has the request.
    RequestEnd = "request.end",
    /// The port has given a report that is not handled.
    ReportTaken = "report.taken",
    /// The report is handled.
    ReportHandled = "report.handled",
    /// A timer is due and not handled.
    TimerDue = "timer.due",
    /// The timer is handled.
    TimerHandled = "timer.handled",
    /// A command has been taken and is not handled.
    CommandTaken = "command.taken",
    /// The command is handled.
    CommandHandled = "command.handled",

    // The journal: the engine's thread, then its own.
    /// An entry is about to be put into the ring.
    EntryHandOver = "entry.hand-over",
    /// The entry is in the ring.
    EntryHandedOver = "entry.handed-over",
    /// A large record is beside the ring, its mark is not in it.
    RecordAside = "record.aside",
    /// A block is gathered; its transaction has not begun.
    BlockGathered = "block.gathered",
    /// The block is written within the transaction, the head is not.
    BlockWritten = "block.written",
    /// Block and head are written; the commit has not begun.
    CommitBegin = "commit.begin",
    /// The commit is done; nobody has been told.
    CommitEnd = "commit.end",
    /// The watermark is raised.
    CommitTold = "commit.told",

    // Order numbers.
    /// A lease is about to be handed over.
    LeaseHandOver = "lease.hand-over",
    /// The lease is handed over and not awaited.
    LeaseHandedOver = "lease.handed-over",
    /// The first lease of a process is durable.
    LeaseDurable = "lease.durable",
    /// A later lease is durable and not yet used.
    LeaseRenewed = "lease.renewed",

    // Snapshots.
    /// The state is about to be copied.
    SnapshotBegin = "snapshot.begin",
    /// The state is copied; nobody has begun to encode it.
    SnapshotCopied = "snapshot.copied",
    /// The state is encoded, on the clerk's thread.
    SnapshotEncoded = "snapshot.encoded",
    /// The snapshot is about to be handed over.
    SnapshotHandOver = "snapshot.hand-over",
    /// The snapshot is handed over.
    SnapshotHandedOver = "snapshot.handed-over",

    // Another version of a script.
    /// Another version is built and not recorded.
    ReloadBegin = "reload.begin",
    /// It is recorded; the version before it runs.
    ReloadRecorded = "reload.recorded",
    /// It is in its place and not started.
    ReloadPlaced = "reload.placed",
    /// It is started.
    ReloadStarted = "reload.started",

    // The tape.
    /// A segment's file is made, with a header that is not flushed.
    TapeSegment = "tape.segment",
    /// A block is about to be written.
    TapeBlock = "tape.block",
    /// The block is written and not flushed.
    TapeBlockWritten = "tape.block-written",
    /// The block is with the operating system.
    TapeBlockFlushed = "tape.block-flushed",
    /// A segment is full and about to be ended.
    TapeSegmentFull = "tape.segment-full",
    /// The segment is ended.
    TapeSegmentEnded = "tape.segment-ended",

    // A run's end.
    /// Strategies are about to be stopped.
    StrategiesStop = "strategies.stop",
    /// Strategies have been stopped.
    StrategiesStopped = "strategies.stopped",
    /// The end is about to be recorded.
    EndBegin = "end.begin",
    /// The tape is ended.
    EndTape = "end.tape",
    /// The last snapshot is durable; the journal is not sealed.
    EndState = "end.state",
    /// The journal is sealed.
    EndSealed = "end.sealed",

    // A real venue.
    /// An order or a cancel is about to be written to its socket.
    SocketSend = "socket.send",
    /// It is written to the socket.
    SocketSent = "socket.sent",
    /// A call is about to be made.
    CallSubmit = "call.submit",
    /// The call is under way.
    CallSubmitted = "call.submitted",
    /// News of the account is decoded, and not told to the gateway.
    NewsTaken = "news.taken",
    /// The gateway has the news; the engine does not.
    NewsTold = "news.told",
}
