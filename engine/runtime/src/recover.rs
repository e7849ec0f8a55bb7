//! What a run that ended, well or not, leaves to the next one.

use std::ops::Range;

use tercel_core::{
    ClientOrderId, Command, Event, Nanos, OrderRequest, Recovery, RecoveryError, RiskLimits, Scope,
    Seq, State,
};
use tercel_crash::{Point, point};
use tercel_store::journal::{
    CUT_OFF, Entry, Journal, JournalError, JournalReader, Record, RecordedEffect,
};
use tercel_store::state::{self, StateError};

/// What a journal says of its run's end.
#[derive(Debug)]
pub struct Recovered {
    /// The run's number.
    pub run: u32,
    /// The configuration that it was started with.
    pub config: String,
    /// The state, ready to be finished ([`Recovery::finish`]) or brought forward.
    pub recovery: Recovery,
    /// Number of the last entry.
    pub last_seq: Seq,
    /// The engine's time then.
    pub last_now: Nanos,
    /// Entries that were repeated after the last snapshot.
    pub n_repeated: u64,
    /// Order numbers that it may have used without a record of it.
    pub lease: Option<Range<u64>>,
    /// Why it ended; `None` if it was cut off.
    pub reason: Option<String>,
    /// Why entries are missing that no snapshot makes up for: the journal had failed, and the run was cut
    /// off before its state was recorded anew. The engine had been halted and comes back so; of orders
    /// and fills of that time only the venue knows.
    pub hole: Option<String>,
    /// The first order number after those that are recorded.
    next_number: u64,
}

/// Why a journal cannot be recovered from.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// It cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It has no state to begin with: the run was cut off before it began.
    #[error("the run has no snapshot: it was cut off before it began")]
    NeverBegan,
    /// A snapshot does not read.
    #[error("record {index}: {error}")]
    State {
        /// Which record.
        index: u64,
        /// Why.
        error: StateError,
    },
    /// A snapshot reads as another state than it says it is.
    #[error("record {index}: the snapshot's hash is {found:016x}, it says {expected:016x}")]
    Hash {
        /// Which record.
        index: u64,
        /// What it reads as.
        found: u64,
        /// What it says.
        expected: u64,
    },
    /// A record does not fit what came before it.
    #[error("record {index}: {error}")]
    Misfit {
        /// Which record.
        index: u64,
        /// Why.
        error: RecoveryError,
    },
}

/// Reads the state at a run's end: the last snapshot, and what was recorded after it.
///
/// Time and memory are those of the snapshot and its tail, whatever the length of the run.
///
/// # Errors
///
/// If the journal is damaged, or never began.
pub fn recover(reader: &JournalReader) -> Result<Recovered, RecoverError> {
    let Some((_, Record::RunStarted { run, config, .. })) = reader.records()?.next().transpose()?
    else {
        return Err(RecoverError::NeverBegan);
    };
    let snapshot = reader.last_snapshot()?.ok_or(RecoverError::NeverBegan)?;
    let index = snapshot.index;
    let state =
        state::decode(&snapshot.bytes).map_err(|error| RecoverError::State { index, error })?;
    let found = state.hash();
    if found != snapshot.state_hash {
        let expected = snapshot.state_hash;
        return Err(RecoverError::Hash { index, found, expected });
    }
    let next_number = state.next_order_id.counter();
    let mut recovered = Recovered {
        run,
        config,
        recovery: Recovery::new(state),
        last_seq: snapshot.seq,
        last_now: snapshot.now,
        n_repeated: 0,
        lease: reader.last_lease(),
        reason: None,
        hole: None,
        next_number,
    };
    for record in reader.tail()? {
        let (index, record) = record?;
        recovered.take(record).map_err(|error| RecoverError::Misfit { index, error })?;
    }
    if let Some(lease) = &mut recovered.lease {
        lease.start = recovered.next_number.min(lease.end);
    }
    Ok(recovered)
}

/// What the next run begins with.
#[derive(Debug)]
pub struct Continued {
    /// The state. Its strategies stand still and its books are empty.
    pub state: State,
    /// The engine's time when the last run ended.
    pub at: Nanos,
}

impl Recovered {
    /// Returns the state that run number `run` begins with, under limits of its own.
    ///
    /// # Errors
    ///
    /// If limits are those of a scope that is not there.
    pub fn continued(
        mut self,
        run: u32,
        limits: impl IntoIterator<Item = (Scope, RiskLimits)>,
    ) -> Result<Continued, RecoveryError> {
        let at = self.last_now.max(Nanos(0));
        let mut seq = self.last_seq;
        for (scope, limits) in limits {
            seq = Seq(seq.0 + 1);
            let command = Command::SetLimits(scope, Box::new(limits));
            self.recovery.event(seq, at, &Event::Command(command))?;
        }
        let mut state = self.recovery.finish(at);
        state.next_order_id = ClientOrderId::new(run, 1);
        #[cfg(feature = "sabotage")]
        if tercel_core::sabotage::is_planted(tercel_core::sabotage::Bug::IdsRecur) {
            state.next_order_id = ClientOrderId::new(self.run, 1);
        }
        Ok(Continued { state, at })
    }

    /// Seals the journal of a run that was cut off. Returns when that is durable.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn seal(&self, journal: Journal) -> Result<(), JournalError> {
        point(Point::PredecessorSeal);
        journal.end(self.last_seq, self.recovery.state().hash(), CUT_OFF)?;
        point(Point::PredecessorSealed);
        Ok(())
    }

    /// Returns whether it was cut off rather than ended in order; whether it was sealed since is no matter.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.reason.as_deref().is_none_or(|reason| reason == CUT_OFF)
    }

    fn take(&mut self, record: Record) -> Result<(), RecoveryError> {
        match record {
            Record::Entry(entry) if entry.seq > self.last_seq => self.repeat(&entry)?,
            Record::RunEnded { reason, .. } => self.reason = Some(reason),
            Record::Gap { seq, why, .. } => {
                self.last_seq = self.last_seq.max(seq);
                // Nothing leaves before the state is recorded anew, whatever anybody commands.
                self.recovery.halted(self.last_now);
                self.hole = Some(why);
            }
            // Before the snapshot, and so in it.
            Record::Entry(entry) => self.last_now = self.last_now.max(entry.now),
            // What is left says nothing of the state.
            Record::RunStarted { .. }
            | Record::Sent(_)
            | Record::ScriptLoaded { .. }
            | Record::Params { .. }
            | Record::Limits { .. }
            | Record::IdLease { .. }
            | Record::Snapshot { .. } => {}
        }
        Ok(())
    }

    fn repeat(&mut self, entry: &Entry) -> Result<(), RecoveryError> {
        let (seq, now) = (entry.seq, entry.now);
        let recovery = &mut self.recovery;
        if let Some(event) = &entry.event {
            recovery.event(seq, now, event)?;
        }
        for effect in &entry.effects {
            match effect {
                RecordedEffect::Send(request) => {
                    if let OrderRequest::New { id, .. } = request {
                        self.next_number = self.next_number.max(id.counter() + 1);
                    }
                    match recovery.sent(now, request) {
                        // The order's beginning is in the hole.
                        Err(RecoveryError::NoOrder(_)) if self.hole.is_some() => {}
                        done => done?,
                    }
                }
                RecordedEffect::Remember { strategy, key, value } => {
                    recovery.remembered(*strategy, key, value)?;
                }
                RecordedEffect::SetTimer { strategy, timer } => {
                    recovery.timer_set(*strategy, timer.clone())?;
                }
                RecordedEffect::CancelTimer { strategy, name } => {
                    recovery.timer_canceled(*strategy, name)?;
                }
                RecordedEffect::Notice(notice) => recovery.told(notice)?,
                RecordedEffect::Resync(_) => {}
            }
        }
        self.last_seq = seq;
        self.last_now = now;
        self.n_repeated += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use tercel_core::{
        Command, Effect, Engine, Event, InstrumentId, OrderSpec, Price, Quantity, Scope, Side,
        StrategyId, TradingState,
    };
    use tercel_store::journal::{Journal, JournalOptions, RunStart};
    use tercel_testkit::{Strings, engine_config, level, linear};

    use super::*;

    /// A journal that has just begun, and an engine with the puppet that it calls.
    fn begun(path: &Path) -> (Journal, Strings, Engine) {
        let begin =
            RunStart { run: 1, at: Nanos(0), config: String::new(), version: "0".to_owned() };
        let journal = Journal::create(path, begin, JournalOptions::default()).unwrap();
        let puppet = Strings::default();
        let config = engine_config(vec![linear(0)]);
        let engine = Engine::new(&config, vec![puppet.puppet()]).unwrap();
        (journal, puppet, engine)
    }

    /// A run that was stopped in order, and had its last snapshot after everything else, was taken to
    /// have ended in 1970. The next run's replayed feed then began anew instead of going on, and the
    /// account traded the same market twice.
    #[test]
    fn a_run_that_ended_in_order_tells_when() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.redb");
        let (mut journal, _, mut engine) = begun(&path);
        let mut effects = Engine::effects();
        let (seq, now) = (Seq(1), Nanos(77));
        let event = Event::Command(Command::Kill(Scope::Engine));
        engine.handle(seq, now, &event, &mut effects);
        journal.entry(seq, now, &event, effects.as_slice()).unwrap();
        // Nothing after the snapshot tells a time.
        let (state_hash, n_before) = (engine.state_hash(), journal.n_records());
        let bytes = state::encode(engine.state());
        journal.record(&Record::Snapshot { seq, now, state_hash, n_before, bytes }).unwrap();
        journal.end(seq, state_hash, "stopped").unwrap();
        let recovered = recover(&JournalReader::open(&path).unwrap()).unwrap();
        assert_eq!((recovered.last_now, recovered.last_seq), (now, seq));
    }

    /// A run that was cut off after its journal had failed and worked again, but before its state was
    /// recorded anew, could not be recovered from: what followed was about orders of which the journal knew
    /// nothing. Where it could be, its engine traded again although nobody had resumed it.
    #[test]
    fn a_hole_that_no_snapshot_closes_leaves_the_engine_halted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.redb");
        let (mut journal, puppet, mut engine) = begun(&path);
        let (state_hash, n_before) = (engine.state_hash(), journal.n_records());
        let bytes = state::encode(engine.state());
        let (seq, now) = (Seq(0), Nanos(1));
        journal.record(&Record::Snapshot { seq, now, state_hash, n_before, bytes }).unwrap();
        let mut n = 0;
        let mut handle = |event: &Event| {
            n += 1;
            let mut effects = Engine::effects();
            engine.handle(Seq(n), Nanos(1), event, &mut effects);
            (Seq(n), effects)
        };
        let start = Event::Command(Command::Start(StrategyId(0)));
        let (seq, effects) = handle(&start);
        journal.entry(seq, Nanos(1), &start, effects.as_slice()).unwrap();
        handle(&level(0, 0, Side::Buy, 99, 1_000));
        handle(&level(0, 0, Side::Sell, 101, 1_000));
        puppet.place(OrderSpec::limit(InstrumentId(0), Side::Buy, Price(90), Quantity(1)));
        let (seq, effects) = handle(&level(0, 0, Side::Buy, 98, 1));
        assert_eq!(effects.as_slice().len(), 1, "an order that the journal never hears of");
        let why = "disk full".to_owned();
        journal.record(&Record::Gap { at: Nanos(1), seq, n_market: 3, n_lost: 1, why }).unwrap();
        let kill = Event::Command(Command::Kill(Scope::Strategy(StrategyId(0))));
        let (seq, effects) = handle(&kill);
        let is_cancel = |effect: &Effect| matches!(effect, Effect::Send(_));
        assert!(effects.as_slice().iter().any(is_cancel), "its cancel");
        journal.entry(seq, Nanos(1), &kill, effects.as_slice()).unwrap();
        // Cut off: the file is as a killed process leaves it once all of this is durable.
        journal.wait_durable(journal.n_records(), Duration::from_secs(10)).unwrap();
        drop(journal);
        let recovered = recover(&JournalReader::open(&path).unwrap()).unwrap();
        assert_eq!((recovered.hole.as_deref(), recovered.last_seq), (Some("disk full"), seq));
        let state = recovered.recovery.state();
        assert_eq!(state.scope.state, TradingState::Halted);
        assert_eq!(state.strategies[0].scope.state, TradingState::Halted);
    }
}
