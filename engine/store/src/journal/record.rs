//! What a journal holds.

use std::sync::Arc;

use tercel_core::{
    ClientOrderId, Effect, Event, InstrumentId, Nanos, Notice, OrderRequest, RiskLimits, Scope,
    Seq, StrategyId, Timer, Value,
};

use super::codec;

/// Why a run ended that its successor has sealed. Its record has no state's hash, but zero.
pub const CUT_OFF: &str = "cut off";

/// One record of a run.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// A run begins: the first record of every journal, and of no other place.
    RunStarted {
        /// The run's number, the upper part of its orders' ids.
        run: u32,
        /// When, on the system's clock.
        at: Nanos,
        /// The whole configuration as text.
        config: String,
        /// Version of the engine that ran.
        version: String,
    },
    /// Something went into the engine.
    Entry(Entry),
    /// A request left that an entry asked for.
    Sent(Sent),
    /// A script was loaded, the first time or anew.
    ScriptLoaded {
        /// The strategy that it runs for.
        strategy: StrategyId,
        /// What it is called.
        name: String,
        /// Hash of the source, as the caller defines it.
        hash: [u8; 32],
        /// The source, so that a run can be executed again without its files.
        source: String,
        /// Names and texts of what it requires.
        modules: Vec<(String, String)>,
        /// What it trades, in its own order.
        instruments: Vec<InstrumentId>,
        /// Decides what it draws at random.
        seed: u64,
    },
    /// A strategy's parameters, all of them.
    Params {
        /// Whose.
        strategy: StrategyId,
        /// Names and values.
        values: Vec<(String, Value)>,
    },
    /// Limits that were set other than by a command, as at the start.
    Limits {
        /// Whose.
        scope: Scope,
        /// The limits.
        limits: Box<RiskLimits>,
    },
    /// Order numbers from `from` to before `to` are this process's own.
    IdLease {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// The engine's state after the entry `seq`.
    Snapshot {
        /// Last number that the state includes.
        seq: Seq,
        /// The engine's time then.
        now: Nanos,
        /// Hash of the state.
        state_hash: u64,
        /// How many records had been handed over when the state was taken: what came after it begins
        /// there, before the snapshot itself where that was encoded meanwhile.
        n_before: u64,
        /// The state, in the encoding of whoever took it.
        bytes: Vec<u8>,
    },
    /// Entries are missing here, because the journal failed and was opened again. What happened since is
    /// recorded again, and the next snapshot is of the state after the missing ones.
    Gap {
        /// When the journal worked again.
        at: Nanos,
        /// The engine's last event then.
        seq: Seq,
        /// How many events were market data, from the run's beginning up to that one: the place on the
        /// tape.
        n_market: u64,
        /// How many entries were lost; those that were under way to the disk when the journal failed are
        /// not counted.
        n_lost: u64,
        /// Why the journal failed.
        why: String,
    },
    /// The run is over: the last record of a sealed journal.
    RunEnded {
        /// Last number that the engine handled.
        seq: Seq,
        /// Hash of the engine's last state.
        state_hash: u64,
        /// Why.
        reason: String,
    },
}

/// What went into the engine and what came out.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The engine's count of what went in. Market data without effects is not journaled, so numbers
    /// grow from entry to entry, but leave some out.
    pub seq: Seq,
    /// The time that the engine was told.
    pub now: Nanos,
    /// What went in; `None` for market data, which is on the tape. Funding is in both: it moves
    /// money, which must not depend on the tape.
    pub event: Option<Event>,
    /// What came out.
    pub effects: Vec<RecordedEffect>,
}

/// When a request left: known only after its entry was handed over, so it is a record of its own, which
/// a full ring or a failed disk may cost without further ado.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The entry that asked for it.
    pub seq: Seq,
    /// The order that it is about.
    pub order: ClientOrderId,
    /// The loop's time of the event: when the clock was looked at before the events of its cycle.
    pub taken_at: Nanos,
    /// Nanoseconds from then until hook and risk checks were through, events of the cycle before this
    /// one included.
    pub decided_ns: u64,
    /// Nanoseconds from then until the entry was handed to the journal.
    pub recorded_ns: u64,
    /// Nanoseconds from then until the port had taken the request.
    pub sent_ns: u64,
}

/// An [`Effect`] as it was recorded.
///
/// A type of its own, because an [`Effect::Send`] holds an approval and approvals come from the risk
/// checks alone: what was read from a file can be looked at and compared, but not sent.
#[derive(Clone, PartialEq, Debug)]
pub enum RecordedEffect {
    /// A request for the venue.
    Send(OrderRequest),
    /// A wish for a new snapshot of the book.
    Resync(InstrumentId),
    /// A value of a script.
    Remember {
        /// Whose.
        strategy: StrategyId,
        /// Its key.
        key: Arc<str>,
        /// The value; `Nil` forgets.
        value: Value,
    },
    /// News.
    Notice(Notice),
    /// A timer that was set.
    SetTimer {
        /// Whose.
        strategy: StrategyId,
        /// The timer.
        timer: Timer,
    },
    /// A timer that was removed.
    CancelTimer {
        /// Whose.
        strategy: StrategyId,
        /// Its name.
        name: Arc<str>,
    },
}

impl RecordedEffect {
    /// Returns whether `effect` is what was recorded, byte by byte. Allocates.
    #[must_use]
    pub fn records(&self, effect: &Effect) -> bool {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        codec::encode_recorded_effect(self, &mut own);
        codec::encode_effect(effect, &mut other);
        own == other
    }
}
