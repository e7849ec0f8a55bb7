//! Where the loop writes down what went in and what came out, before anything of it is sent.

use tercel_core::{Effect, Engine, Event, Nanos, OrderRequest, Seq};
use tercel_store::journal::{Record, Sent};

/// Keeps what happens.
///
/// The loop records every event with its effects before it sends any of them. While the recorder
/// fails, nothing but cancels leaves and the engine stays halted; once it works again, trading needs
/// a [`tercel_core::Command::Resume`]. No call may block.
pub trait Recorder {
    /// Records one event and all that the engine wished because of it.
    ///
    /// Called for every event, also while the recorder fails.
    ///
    /// # Errors
    ///
    /// If it cannot be kept, or what the engine wished must not be sent for another reason. The loop
    /// then halts trading.
    fn record(
        &mut self,
        seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<Ticket, RecordFailure>;

    /// Records something else than an event: the load of a script, or its parameters.
    ///
    /// # Errors
    ///
    /// As [`Self::record`].
    fn keep(&mut self, record: &Record) -> Result<(), RecordFailure>;

    /// Returns whether it wants to know when requests leave: that takes three looks at the clock for each.
    #[inline]
    fn keeps_times(&self) -> bool {
        false
    }

    /// Takes note of when a request left, if it can. Is told only where it wants to know.
    fn sent(&mut self, sent: &Sent) {
        let _ = sent;
    }

    /// Returns whether a request that was recorded under this ticket may leave. Requests that may
    /// not wait, in order; cancels wait only for requests of the same order.
    #[inline]
    fn may_leave(&self, request: &OrderRequest, ticket: Ticket) -> bool {
        let _ = (request, ticket);
        true
    }

    /// Lets the recorder look after itself: called once in every duty cycle. `time` is the loop's,
    /// `seq` the number of the last event, `engine` as that event has left it.
    ///
    /// # Errors
    ///
    /// Why it does not work. The loop halts trading until this succeeds again, also after an error
    /// of [`Self::record`].
    #[inline]
    fn tend(&mut self, seq: Seq, time: Nanos, engine: &Engine) -> Result<(), RecordFailure> {
        let _ = (seq, time, engine);
        Ok(())
    }

    /// Returns how far recording has come.
    fn progress(&self) -> RecordProgress {
        RecordProgress::default()
    }

    /// Makes everything recorded durable; nothing comes after. May block.
    ///
    /// # Errors
    ///
    /// If that cannot be done.
    fn close(&mut self, seq: Seq, engine: &Engine, reason: &str) -> Result<(), RecordFailure>;
}

/// Which record it was, for [`Recorder::may_leave`]. Later records have greater tickets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Ticket(pub u64);

/// How far recording has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecordProgress {
    /// Records handed over.
    pub n_records: u64,
    /// Records that are durable.
    pub n_durable: u64,
    /// Market events that the tape has not.
    pub n_untaped: u64,
}

/// Why nothing is recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RecordFailure(
    /// What happened and what to do about it, for a person to read.
    pub String,
);

/// Records nothing.
impl Recorder for () {
    fn record(
        &mut self,
        _seq: Seq,
        _now: Nanos,
        _event: &Event,
        _effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        Ok(Ticket(0))
    }

    fn keep(&mut self, _record: &Record) -> Result<(), RecordFailure> {
        Ok(())
    }

    fn close(&mut self, _seq: Seq, _engine: &Engine, _reason: &str) -> Result<(), RecordFailure> {
        Ok(())
    }
}
