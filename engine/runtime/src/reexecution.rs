//! Executing a recorded run again: the same scripts and engine over the same inputs must give the
//! same effects.

mod hole;
mod market;
mod repeater;

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use tercel_core::{Command, Effect, Effects, Engine, Event, Nanos, Seq, Strategy, StrategyId};
use tercel_script::{Language, Limits, LineNotes, NotedCall};
use tercel_store::StoreError;
use tercel_store::journal::{CUT_OFF, Entry, JournalError, JournalReader, Record, RecordedEffect};
use tercel_store::market_tape::{MarketTapeReader, Taped};
use tercel_store::state::{self, StateError};

use self::hole::Fall;
pub use self::hole::Hole;
use self::market::Market;
use self::repeater::Repeaters;
use crate::loads::{BadLoad, Loads};
use crate::read_ahead::ReadAhead;
use crate::script_lines::{ScriptPlace, last_hook, place_of};
use crate::version::VersionError;

/// A run's market data, read from the first event on.
pub trait TapeSource {
    /// Returns the next event or gap; `None` at the end.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn next_item(&mut self) -> Result<Option<Taped>, StoreError>;
}

impl TapeSource for MarketTapeReader {
    fn next_item(&mut self) -> Result<Option<Taped>, StoreError> {
        Self::next_item(self)
    }
}

/// A tape that another thread reads.
impl TapeSource for ReadAhead<Result<Taped, StoreError>> {
    fn next_item(&mut self) -> Result<Option<Taped>, StoreError> {
        self.next().transpose()
    }
}

/// A tape in memory.
impl TapeSource for std::vec::IntoIter<Taped> {
    fn next_item(&mut self) -> Result<Option<Taped>, StoreError> {
        Ok(self.next())
    }
}

/// What a run is executed again with.
pub struct Reexecution<'a, T> {
    /// The run's journal.
    pub journal: &'a JournalReader,
    /// Its market data; none for a run without a tape.
    pub tape: Option<T>,
    /// What stands in a strategy's place before a recorded script takes it, and for good where none
    /// does: [`crate::placeholder`] where all are scripts.
    pub native: &'a dyn Fn(StrategyId) -> Box<dyn Strategy>,
    /// Limits of the scripts, as they were.
    pub limits: &'a dyn Fn(Language) -> Limits,
    /// Intents that a strategy may give in one call, as it was.
    pub intents_per_call: usize,
    /// The last event that is executed; all of them if absent.
    pub until: Option<Seq>,
    /// Events of which all calls of scripts are kept, with the lines of what they wished. None: scripts
    /// are executed as they were, without notes of their lines, and a difference has no place.
    pub noted: Option<BTreeSet<Seq>>,
}

impl<T> std::fmt::Debug for Reexecution<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reexecution").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What came of executing a run again.
#[derive(Debug)]
pub struct Reexecuted {
    /// Entries of the journal that were compared.
    pub n_entries: u64,
    /// Events that were executed, market data included.
    pub n_events: u64,
    /// Snapshots and endings at which the state was compared.
    pub n_states: u64,
    /// The last event that was executed.
    pub last_seq: Seq,
    /// Where it went another way, if it did.
    pub difference: Option<Difference>,
    /// Why it stopped before the run's end, if it did without a difference.
    pub stopped: Option<String>,
    /// Where the record has holes that were passed over.
    pub holes: Vec<Hole>,
    /// The calls of scripts that were asked for.
    pub noted: BTreeMap<Seq, Vec<NotedCall>>,
    /// The engine as the last event has left it.
    pub engine: Engine,
}

/// The first event after which something else happened than was recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Its number.
    pub seq: Seq,
    /// The engine's time.
    pub now: Nanos,
    /// The event.
    pub event: String,
    /// What was recorded.
    pub expected: String,
    /// What came now.
    pub got: String,
    /// Where a script wished what came now; if nothing came, the hook that ran last. None for a state,
    /// and for what the engine does of its own accord.
    pub place: Option<ScriptPlace>,
    /// The scripts that were running, by file name.
    pub scripts: Vec<String>,
}

/// Why a run cannot be executed again.
#[derive(Debug, thiserror::Error)]
pub enum ReexecutionError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The tape cannot be read.
    #[error(transparent)]
    Tape(#[from] StoreError),
    /// A script does not run any more.
    #[error(transparent)]
    Load(#[from] BadLoad),
    /// The state at the beginning does not fit the strategies.
    #[error("record {index}: {error}")]
    Version {
        /// The record that has the state.
        index: u64,
        /// Why.
        error: VersionError,
    },
    /// The state at the beginning does not read.
    #[error("record {index}: {error}")]
    State {
        /// Which record.
        index: u64,
        /// Why.
        error: StateError,
    },
    /// There can be no thread that reads ahead.
    #[error("a thread to read with: {0}")]
    Thread(std::io::Error),
    /// There is no state to begin with.
    #[error("the run has no snapshot at its beginning: it was cut off before it began")]
    NeverBegan,
}

impl<T: TapeSource> Reexecution<'_, T> {
    /// Executes the run. Stops at the first difference.
    ///
    /// # Errors
    ///
    /// If journal, tape or scripts cannot be read or do not fit each other.
    pub fn run(self) -> Result<Reexecuted, ReexecutionError> {
        let hashes = self.journal.state_hashes()?;
        let mut loads = Loads::new(self.limits);
        let mut records =
            ReadAhead::new(self.journal.records()?).map_err(ReexecutionError::Thread)?;
        let mut engine = loop {
            let Some((index, record)) = records.next().transpose()? else {
                return Err(ReexecutionError::NeverBegan);
            };
            match record {
                Record::Snapshot { bytes, .. } => {
                    let state = state::decode(&bytes)
                        .map_err(|error| ReexecutionError::State { index, error })?;
                    let ids = (0..).map(StrategyId).take(state.strategies.len());
                    let native = ids.map(self.native).collect();
                    break Engine::restore(state, native, self.intents_per_call).map_err(
                        |error| ReexecutionError::Version { index, error: error.into() },
                    )?;
                }
                Record::Entry(_) | Record::Gap { .. } | Record::RunEnded { .. } => {
                    return Err(ReexecutionError::NeverBegan);
                }
                other => loads.take(index, &other)?,
            }
        };
        let notes = self.noted.is_some().then(LineNotes::new);
        loads.enter(&mut engine, false, notes.as_ref())?;
        let mut player = Player {
            engine,
            effects: Engine::effects(),
            market: Market::new(self.tape),
            repeaters: Repeaters::default(),
            fall: None,
            is_done: false,
            intents_per_call: self.intents_per_call,
            hashes: hashes.into_iter().peekable(),
            now: Nanos(i64::MIN),
            out: Progress::default(),
            notes,
            noted: self.noted.unwrap_or_default(),
            until: self.until.unwrap_or(Seq(u64::MAX)),
        };
        player.check_state(None);
        for record in records {
            let (index, record) = record?;
            let flow = match record {
                Record::Entry(entry) => match &mut player.fall {
                    Some(fall) => {
                        fall.passed.push(entry);
                        true
                    }
                    None => player.play(&entry, &mut loads)?,
                },
                Record::RunEnded { reason, .. } if reason == CUT_OFF => false,
                Record::RunEnded { seq, state_hash, .. } => {
                    player.give_up_fall();
                    player.follow_to(seq)?;
                    player.check_end(state_hash)
                }
                Record::Gap { at, seq, n_market, n_lost, why } => {
                    // Versions whose beginning fell into the hole run in it, if at all.
                    drop(loads.drain());
                    player.fall(at, seq, n_market, n_lost, why)
                }
                Record::Snapshot { seq, now, state_hash, bytes, .. } => {
                    let passed = player.land(index, (seq, now, state_hash), &bytes)?;
                    let mut flow = !player.is_over();
                    for entry in passed {
                        flow = flow && player.play(&entry, &mut loads)?;
                    }
                    flow
                }
                other => {
                    loads.take(index, &other)?;
                    true
                }
            };
            if !flow {
                break;
            }
        }
        player.give_up_fall();
        let Player { engine, out, .. } = player;
        let difference = out.difference.map(|mut difference| {
            difference.scripts.clone_from(&loads.names);
            difference
        });
        Ok(Reexecuted {
            n_entries: out.n_entries,
            n_events: out.n_events,
            n_states: out.n_states,
            last_seq: out.last_seq,
            difference,
            stopped: out.stopped,
            noted: out.noted,
            holes: out.holes,
            engine,
        })
    }
}

#[derive(Default)]
struct Progress {
    n_entries: u64,
    n_events: u64,
    n_states: u64,
    last_seq: Seq,
    difference: Option<Difference>,
    stopped: Option<String>,
    noted: BTreeMap<Seq, Vec<NotedCall>>,
    holes: Vec<Hole>,
}

struct Player<T, I: Iterator<Item = (Seq, u64)>> {
    engine: Engine,
    effects: Effects,
    market: Market<T>,
    /// Who stands for scripts that were in a hole.
    repeaters: Repeaters,
    /// The hole that the run has fallen into.
    fall: Option<Fall>,
    intents_per_call: usize,
    /// Whether the last event that is wanted lies in a hole that has been passed.
    is_done: bool,
    /// States that were recorded, by the event that they follow.
    hashes: Peekable<I>,
    now: Nanos,
    out: Progress,
    /// The calls of scripts that the last event made, if they are noted.
    notes: Option<LineNotes>,
    noted: BTreeSet<Seq>,
    until: Seq,
}

impl<T: TapeSource, I: Iterator<Item = (Seq, u64)>> Player<T, I> {
    const fn is_over(&self) -> bool {
        self.is_done || self.out.difference.is_some() || self.out.stopped.is_some()
    }

    /// Executes an entry, with the versions that begin with it. Returns whether to go on.
    fn play(&mut self, entry: &Entry, loads: &mut Loads<'_>) -> Result<bool, ReexecutionError> {
        if let Some(Event::Command(Command::Start(_))) = entry.event {
            self.follow_to(Seq(entry.seq.0 - 1))?;
            let entered = loads.enter(&mut self.engine, true, self.notes.as_ref())?;
            self.took_over(&entered, entry.seq);
        }
        self.entry(entry)
    }

    /// Begins to pass over a hole. Returns whether to go on.
    fn fall(&mut self, at: Nanos, to: Seq, n_market: u64, n_lost: u64, why: String) -> bool {
        let from = Seq(self.out.last_seq.0 + 1);
        match self.out.holes.last_mut().filter(|_| self.fall.is_some()) {
            // One within the other.
            Some(hole) => (hole.to, hole.at, hole.n_lost) = (to, at, hole.n_lost + n_lost),
            None => {
                self.out.holes.push(Hole { from, to, at, n_lost, why, executed_from: None });
            }
        }
        self.fall = Some(Fall { seq: to, n_market, passed: Vec::new() });
        self.out.last_seq < self.until
    }

    /// If the run is in a hole, goes on from the state that ends it: that of the record `index`, after an
    /// event, with the engine's time then and its hash. Returns the entries to go on with.
    fn land(
        &mut self,
        index: u64,
        (seq, now, state_hash): (Seq, Nanos, u64),
        bytes: &[u8],
    ) -> Result<Vec<Entry>, ReexecutionError> {
        let Some(fall) = self.fall.take_if(|fall| seq >= fall.seq) else { return Ok(Vec::new()) };
        self.out.holes.iter_mut().rev().take(1).for_each(|hole| hole.to = seq);
        if seq > self.until {
            self.is_done = true;
            return Ok(Vec::new());
        }
        let state =
            state::decode(bytes).map_err(|error| ReexecutionError::State { index, error })?;
        let strategies = self.repeaters.replace(state.strategies.len());
        self.engine = Engine::restore(state, strategies, self.intents_per_call)
            .map_err(|error| ReexecutionError::Version { index, error: error.into() })?;
        self.market.pass_to(fall.n_market_at(seq))?;
        (self.out.last_seq, self.now) = (seq, now);
        while self.hashes.next_if(|(at, _)| *at <= seq).is_some() {}
        self.out.n_states += 1;
        self.compare(state_hash, None);
        Ok(fall.beyond(seq))
    }

    /// No state ends the hole that the run is in.
    fn give_up_fall(&mut self) {
        if self.fall.take().is_some() && self.out.last_seq < self.until {
            self.out.stopped.get_or_insert_with(|| {
                "the journal failed and was opened again after it, and no state that came later is \
                 recorded"
                    .to_owned()
            });
        }
    }

    /// Scripts have taken over in the strategies' places.
    fn took_over(&mut self, entered: &[StrategyId], seq: Seq) {
        let was_empty = self.repeaters.is_empty();
        entered.iter().for_each(|strategy| self.repeaters.leave(*strategy));
        if !was_empty && self.repeaters.is_empty() {
            for hole in &mut self.out.holes {
                hole.executed_from.get_or_insert(seq);
            }
        }
    }

    /// Executes market data that had no effects, up to and with the event `seq`.
    fn follow_to(&mut self, seq: Seq) -> Result<(), ReexecutionError> {
        while self.out.last_seq < seq.min(self.until) && !self.is_over() {
            match self.market.next()? {
                Ok(event) => self.step(None, &Event::Market(event), &[]),
                Err(why) => self.out.stopped = Some(why),
            }
        }
        Ok(())
    }

    /// Executes an entry with the market data before it. Returns whether to go on.
    fn entry(&mut self, entry: &Entry) -> Result<bool, ReexecutionError> {
        self.follow_to(Seq(entry.seq.0.saturating_sub(1)))?;
        if self.is_over() || self.out.last_seq >= self.until {
            return Ok(false);
        }
        let is_on_tape = matches!(entry.event, None | Some(Event::Market(_)));
        let taped = if is_on_tape { Some(self.market.next()?) } else { None };
        let event = match (&entry.event, taped) {
            (Some(event), None | Some(Ok(_))) => event.clone(),
            (_, Some(Err(why))) => {
                self.out.stopped = Some(why);
                return Ok(false);
            }
            (None, Some(Ok(market))) => Event::Market(market),
            (None, None) => return Ok(false),
        };
        self.step(Some(entry.now), &event, &entry.effects);
        self.out.n_entries += 1;
        Ok(!self.is_over())
    }

    fn step(&mut self, now: Option<Nanos>, event: &Event, expected: &[RecordedEffect]) {
        let seq = Seq(self.out.last_seq.0 + 1);
        let derived = match event {
            Event::Market(market) => self.now.max(market.received_at),
            _ => self.now,
        };
        self.now = now.unwrap_or(derived);
        self.effects.clear();
        if let Some(notes) = &self.notes {
            notes.clear();
        }
        self.repeaters.load(expected);
        self.engine.handle(seq, self.now, event, &mut self.effects);
        self.out.last_seq = seq;
        self.out.n_events += 1;
        let got = self.effects.as_slice();
        let difference = if self.repeaters.is_empty() {
            first_mismatch(expected, got)
        } else {
            self.repeaters.mismatch(expected, got)
        };
        if let Some((missing, came)) = difference {
            self.out.difference = Some(self.differs(event, missing, came));
        } else if let Some(notes) = self.notes.as_ref().filter(|_| self.noted.contains(&seq)) {
            self.out.noted.insert(seq, notes.take());
        }
        if self.hashes.peek().is_some_and(|(at, _)| *at <= seq) {
            self.check_state(Some(event));
        }
    }

    /// Compares the state, if one was recorded after the last event.
    fn check_state(&mut self, event: Option<&Event>) {
        while let Some((_, expected)) = self.hashes.next_if(|(at, _)| *at <= self.out.last_seq) {
            self.out.n_states += 1;
            self.compare(expected, event);
        }
    }

    fn check_end(&mut self, expected: u64) -> bool {
        if !self.is_over() && self.out.last_seq < self.until {
            self.out.n_states += 1;
            self.compare(expected, None);
        }
        false
    }

    fn compare(&mut self, expected: u64, event: Option<&Event>) {
        let got = self.engine.state_hash();
        if got != expected && self.out.difference.is_none() {
            self.out.difference = Some(Difference {
                seq: self.out.last_seq,
                now: self.now,
                event: event.map_or_else(|| "a recorded state".to_owned(), |e| format!("{e:?}")),
                expected: format!("state {expected:016x}"),
                got: format!("state {got:016x}"),
                place: None,
                scripts: Vec::new(),
            });
        }
    }

    #[cold]
    fn differs(
        &self,
        event: &Event,
        expected: Option<&RecordedEffect>,
        got: Option<&Effect>,
    ) -> Difference {
        let calls = self.notes.as_ref().map(LineNotes::take).unwrap_or_default();
        let all = self.effects.as_slice();
        let place = match got.and_then(|got| all.iter().position(|own| std::ptr::eq(own, got))) {
            Some(n) => place_of(&calls, &all[..=n]),
            None => last_hook(&calls),
        };
        let told = |effect: Option<String>| effect.unwrap_or_else(|| "nothing".to_owned());
        Difference {
            seq: self.out.last_seq,
            now: self.now,
            event: format!("{event:?}"),
            expected: told(expected.map(|effect| format!("{effect:?}"))),
            got: told(got.map(|effect| format!("{effect:?}"))),
            place,
            scripts: Vec::new(),
        }
    }
}

/// Returns the first recorded effect that is another than what came, and what came in its place, if
/// there is a difference.
fn first_mismatch<'a>(
    expected: &'a [RecordedEffect],
    got: &'a [Effect],
) -> Option<(Option<&'a RecordedEffect>, Option<&'a Effect>)> {
    let n_same =
        expected.iter().zip(got).take_while(|(recorded, came)| is_same(recorded, came)).count();
    let is_whole = n_same == expected.len() && n_same == got.len();
    (!is_whole).then(|| (expected.get(n_same), got.get(n_same)))
}

/// Whether an effect is what was recorded.
fn is_same(recorded: &RecordedEffect, effect: &Effect) -> bool {
    match (recorded, effect) {
        (RecordedEffect::Send(own), Effect::Send(other)) => *own == **other,
        (RecordedEffect::Resync(own), Effect::Resync(other)) => own == other,
        (RecordedEffect::Notice(own), Effect::Notice(other)) => own == other,
        (
            RecordedEffect::Remember { strategy, key, value },
            Effect::Remember { strategy: other, key: other_key, value: other_value },
        ) => strategy == other && key == other_key && value == other_value,
        (
            RecordedEffect::SetTimer { strategy, timer },
            Effect::SetTimer { strategy: other, timer: other_timer },
        ) => strategy == other && timer == other_timer,
        (
            RecordedEffect::CancelTimer { strategy, name },
            Effect::CancelTimer { strategy: other, name: other_name },
        ) => strategy == other && name == other_name,
        _ => false,
    }
}
