//! A run's strategies over the run's own market, against a simulated venue.
//!
//! What the run was told from outside happens again at its recorded place and time: commands, new
//! versions of scripts, links that went down, signals, and the fate of orders that an earlier run had
//! placed. What the venue answered to the run's own orders does not: that is simulated. Neither do
//! account updates after the first order, which tell of real fills.
//!
//! Over the records of a replayed feed with a simulated venue of the same options this gives the run
//! again, order by order. Known exceptions:
//!
//! - At the end of a run that was stopped, the venue had seen market data that had not reached the
//!   engine and so is not on the tape. What it did to orders in that last moment is not repeated.
//! - A command between two reports or timers of one nanosecond comes after all of them.
//! - Where market data was lost on its way to the tape, the simulation sees less than the run did.
//! - In a run at the pace of a real feed the simulated venue was shown market data when it arrived;
//!   here it sees each event at the venue's own time.

use std::collections::VecDeque;
use std::path::Path;

use tercel_core::{
    AccountItem, AccountUpdate, ConfigError, Effect, Engine, Event, ExecutionReport, MarketData,
    Nanos, Notice, OrderRequest, Price, Seq, State, Strategy,
};
use tercel_script::{Language, Limits};
use tercel_sim::divergence::Trails;
use tercel_sim::{
    Backtest, BacktestOptions, Cues, Observer, SimVenue, Summary, VenueError, VenueOptions,
};
use tercel_store::StoreError;
use tercel_store::journal::{CUT_OFF, Entry, JournalError, JournalReader, Record, RecordedEffect};
use tercel_store::market_tape::{MarketTapeReader, Taped};
use tercel_store::state::{self, StateError};

use crate::loads::{BadLoad, Loads};
use crate::shadow::Nobody;
use crate::version::Version;

/// Why a run cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum ResimulationError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The tape cannot be read.
    #[error(transparent)]
    Tape(#[from] StoreError),
    /// A script does not run any more.
    #[error(transparent)]
    Load(#[from] BadLoad),
    /// The state at the beginning does not read.
    #[error("record {index}: {error}")]
    State {
        /// Which record.
        index: u64,
        /// Why.
        error: StateError,
    },
    /// The state at the beginning is not one of these strategies.
    #[error(transparent)]
    Engine(#[from] ConfigError),
    /// The venue cannot be built.
    #[error(transparent)]
    Venue(#[from] VenueError),
    /// There is no state to begin with.
    #[error("the run has no snapshot at its beginning: it was cut off before it began")]
    NeverBegan,
}

/// What is known of a run.
#[derive(Debug)]
pub struct RecordedRun {
    /// Its orders and what became of them.
    pub orders: Trails,
    /// Market events that it took.
    pub n_market: u64,
    /// Why it ended; `None` if it was cut off, or is not known beyond a hole in its journal.
    pub reason: Option<String>,
    /// Whether its journal has a hole: what came after it is not known well enough to be simulated.
    pub has_hole: bool,
    /// The engine's time of its last entry.
    pub last_at: Nanos,
    /// Account updates after the first order, which are not repeated.
    pub n_account_updates: u64,
    /// Reports on orders that an earlier run had placed, which are repeated.
    pub n_inherited_reports: u64,
    state: State,
    intents_per_call: usize,
    versions: Vec<(u64, Version)>,
    told: Vec<Told>,
    /// How many market events the engine had taken when each order was sent.
    sent_after: Vec<u64>,
}

/// Something that the run was told from outside.
#[derive(Clone, Debug)]
struct Told {
    /// Market events before it.
    after: u64,
    at: Nanos,
    event: Event,
    /// Versions that take over before it.
    versions: Vec<(u64, Version)>,
}

impl RecordedRun {
    /// Reads a run's journal, up to where the engine had taken so many market events.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read, or its scripts do not run any more.
    pub fn read(
        journal: &JournalReader,
        limits: &dyn Fn(Language) -> Limits,
        intents_per_call: usize,
        until: Option<u64>,
    ) -> Result<Self, ResimulationError> {
        let mut loads = Loads::new(limits);
        let mut records = journal.records()?;
        let state = loop {
            let Some((index, record)) = records.next().transpose()? else {
                return Err(ResimulationError::NeverBegan);
            };
            match record {
                Record::Snapshot { bytes, .. } => {
                    break state::decode(&bytes)
                        .map_err(|error| ResimulationError::State { index, error })?;
                }
                Record::Entry(_) | Record::Gap { .. } | Record::RunEnded { .. } => {
                    return Err(ResimulationError::NeverBegan);
                }
                other => loads.take(index, &other)?,
            }
        };
        let mut run = Self {
            orders: Trails::new(state.instruments.clone()),
            n_market: 0,
            reason: None,
            has_hole: false,
            last_at: Nanos(i64::MIN),
            n_account_updates: 0,
            n_inherited_reports: 0,
            state,
            intents_per_call,
            versions: loads.drain(),
            told: Vec::new(),
            sent_after: Vec::new(),
        };
        // Market events have the numbers that entries of other kinds leave.
        let mut n_others = 0;
        for record in records {
            let (index, record) = record?;
            match record {
                Record::Entry(entry) => {
                    let is_market = matches!(entry.event, None | Some(Event::Market(_)));
                    n_others += u64::from(!is_market);
                    let n_market = entry.seq.0.saturating_sub(n_others);
                    if until.is_some_and(|until| n_market > until) {
                        break;
                    }
                    run.entry(&entry, n_market, &mut loads);
                }
                Record::RunEnded { seq, reason, .. } => {
                    if reason != CUT_OFF {
                        run.n_market = seq.0.saturating_sub(n_others).max(run.n_market);
                    }
                    run.reason = Some(reason).filter(|reason| reason != CUT_OFF);
                }
                // What the venue was told meanwhile is not known.
                Record::Gap { .. } => {
                    run.has_hole = true;
                    break;
                }
                other => loads.take(index, &other)?,
            }
        }
        run.n_market = until.unwrap_or(run.n_market);
        Ok(run)
    }

    fn entry(&mut self, entry: &Entry, n_market: u64, loads: &mut Loads<'_>) {
        self.last_at = self.last_at.max(entry.now);
        self.n_market = self.n_market.max(n_market);
        match &entry.event {
            None | Some(Event::Market(_) | Event::Timer) => {}
            // The simulated venue does not have it.
            Some(Event::Account(AccountUpdate { item: AccountItem::Order(_), .. })) => {
                self.n_account_updates += 1;
            }
            // Before the first order they tell what the run began with, afterwards of real fills.
            Some(Event::Account(_)) if !self.orders.orders().is_empty() => {
                self.n_account_updates += 1;
            }
            Some(Event::Execution(report)) if self.orders.has(report.order) => {
                // The engine said so if it did not believe the report.
                let is_refused = entry.effects.iter().any(|effect| {
                    matches!(effect, RecordedEffect::Notice(Notice::ReportRefused { order, .. })
                        if *order == report.order)
                });
                if !is_refused {
                    self.orders.report(report);
                }
            }
            Some(event) => {
                self.n_inherited_reports += u64::from(matches!(event, Event::Execution(_)));
                let (event, versions) = (event.clone(), loads.drain());
                self.told.push(Told { after: n_market, at: entry.now, event, versions });
            }
        }
        for effect in &entry.effects {
            if let RecordedEffect::Send(request) = effect {
                self.orders.sent(entry.now, request, None);
                if matches!(request, OrderRequest::New { .. }) {
                    self.sent_after.push(n_market);
                }
            }
        }
    }

    /// Follows the market over the run's tape: learns at what price the book stood when each order was
    /// sent, and how far the tape goes.
    ///
    /// # Errors
    ///
    /// If the tape cannot be read.
    pub fn survey(&mut self, tape: &Path) -> Result<Survey, ResimulationError> {
        let mut tape = MarketTapeReader::open(tape)?;
        let mut engine = restore(&self.state, 1)?;
        let (mut effects, n_instruments) = (Engine::effects(), self.state.instruments.len());
        let mut survey = Survey {
            n_events: 0,
            n_until: 0,
            n_missing_first: 0,
            n_lost: 0,
            first_at: None,
            last_at: None,
            last_prices: Vec::new(),
            has_ticks: vec![false; n_instruments],
        };
        let mut links =
            self.told.iter().filter(|told| matches!(told.event, Event::Link(_))).peekable();
        let mut sent = self.sent_after.iter().copied().enumerate().peekable();
        let mut seq = Seq(0);
        let mut handle = |engine: &mut Engine, at: Nanos, event: &Event| {
            seq.0 += 1;
            effects.clear();
            engine.handle(seq, at, event, &mut effects);
        };
        let mut now = Nanos(i64::MIN);
        while let Some(item) = tape.next_item()? {
            let (index, event) = match item {
                Taped::Event { index, event } => (index, event),
                Taped::Gap { n_lost, .. } => {
                    survey.n_lost += n_lost;
                    continue;
                }
            };
            if survey.n_events == 0 {
                survey.n_missing_first = index;
                survey.first_at = Some(event.received_at);
            }
            while let Some((nth, _)) = sent.next_if(|(_, after)| *after <= index) {
                let instrument = self.orders.orders()[nth].spec.instrument.index();
                self.orders.set_middle(nth, engine.state().markets[instrument].reference());
            }
            while let Some(link) = links.next_if(|told| told.after <= index) {
                handle(&mut engine, link.at, &link.event);
            }
            now = now.max(event.received_at);
            if let Some(has_ticks) = survey.has_ticks.get_mut(event.instrument.index()) {
                *has_ticks |= !matches!(
                    event.data,
                    MarketData::Bar { .. } | MarketData::Mark { .. } | MarketData::Funding { .. }
                );
            }
            handle(&mut engine, now, &Event::Market(event));
            survey.n_events += 1;
            survey.n_until = index + 1;
        }
        for (nth, _) in sent.take_while(|(_, after)| *after <= survey.n_until) {
            let instrument = self.orders.orders()[nth].spec.instrument.index();
            self.orders.set_middle(nth, engine.state().markets[instrument].reference());
        }
        survey.last_at = (survey.n_events > 0).then_some(now);
        let markets = engine.state().markets.iter();
        survey.last_prices = markets.map(tercel_core::Market::reference).collect();
        Ok(survey)
    }

    /// Runs the strategies over the run's tape against a simulated venue. The observer sees all of it.
    ///
    /// # Errors
    ///
    /// If the tape cannot be read, or what was recorded does not run any more.
    pub fn simulate(
        &self,
        tape: &Path,
        venue: VenueOptions,
        observer: &mut impl Observer,
    ) -> Result<Simulated, ResimulationError> {
        let mut engine = restore(&self.state, self.intents_per_call)?;
        for (index, version) in &self.versions {
            version
                .take_over(&mut engine, false)
                .map_err(|error| BadLoad { index: *index, error })?;
        }
        let mut venue = SimVenue::new(&self.state.instruments, venue)?;
        for (account, id) in self.state.accounts.iter().zip(0..) {
            for (position, instrument) in account.scope.positions.iter().zip(0..) {
                let (account, instrument) =
                    (tercel_core::AccountId(id), tercel_core::InstrumentId(instrument));
                venue.set_position(account, instrument, position.qty);
            }
        }
        for told in &self.told {
            if let Event::Account(AccountUpdate { account, item, .. }) = told.event
                && let AccountItem::Position { instrument, qty, .. } = item
            {
                venue.set_position(account, instrument, qty);
            }
        }
        let mut tape = Tape {
            reader: MarketTapeReader::open(tape)?,
            told: &self.told,
            n_market: self.n_market,
        };
        let mut script = Script {
            times: self.told.iter().map(|told| told.at).collect(),
            versions: self.told.iter().map(|told| told.versions.as_slice()).collect(),
            failure: None,
        };
        // What a run that was cut off would have heard next is not known of it either.
        let until = if self.reason.is_some() { Nanos(i64::MAX) } else { self.last_at };
        let orders = Until { orders: Trails::new(self.state.instruments.clone()), until };
        let mut watch = (orders, (Faults::default(), observer));
        let mut test = Backtest::new(engine, venue, BacktestOptions::default());
        let summary = test.rerun(|events| tape.read(events), &mut script, &mut watch)?;
        if let Some(failure) = script.failure {
            return Err(failure.into());
        }
        let (orders, (faults, _)) = watch;
        let (engine, _) = test.into_parts();
        Ok(Simulated { orders: orders.orders, summary, faults: faults.messages, engine })
    }

    /// Returns the state that the run began with.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }
}

/// What the tape of a run has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// Market events on it.
    pub n_events: u64,
    /// The number after its last event's: less than the run took if its end is missing.
    pub n_until: u64,
    /// Events that are missing at its beginning.
    pub n_missing_first: u64,
    /// Events that are missing in between.
    pub n_lost: u64,
    /// When its first event was received.
    pub first_at: Option<Nanos>,
    /// When its last event was received.
    pub last_at: Option<Nanos>,
    /// Each instrument's price at its end ([`tercel_core::Market::reference`]).
    pub last_prices: Vec<Option<Price>>,
    /// Which instruments have more than bars: orders on bars alone know no latency.
    pub has_ticks: Vec<bool>,
}

/// What a simulation came to.
#[derive(Debug)]
pub struct Simulated {
    /// Its orders and what became of them.
    pub orders: Trails,
    /// What happened.
    pub summary: Summary,
    /// What strategies failed with.
    pub faults: Vec<String>,
    /// The engine as it has left it.
    pub engine: Engine,
}

fn restore(state: &State, intents_per_call: usize) -> Result<Engine, ConfigError> {
    let nobody = state.strategies.iter().map(|_| -> Box<dyn Strategy> { Box::new(Nobody) });
    Engine::restore(state.clone(), nobody.collect(), intents_per_call)
}

/// Events that are read at once.
const BLOCK: usize = 4_096;

/// The run's market data with what the run was told at its place among it.
struct Tape<'a> {
    reader: MarketTapeReader,
    told: &'a [Told],
    n_market: u64,
}

impl Tape<'_> {
    fn read(&mut self, out: &mut Vec<Event>) -> Result<usize, StoreError> {
        let before = out.len();
        while out.len() - before < BLOCK {
            match self.reader.next_item()? {
                Some(Taped::Event { index, event }) if index < self.n_market => {
                    self.tell_to(index, out);
                    out.push(Event::Market(event));
                }
                Some(Taped::Gap { .. }) => {}
                // A tape may be ahead of the journal of a run that was cut off.
                Some(Taped::Event { .. }) | None => {
                    self.tell_to(u64::MAX, out);
                    break;
                }
            }
        }
        Ok(out.len() - before)
    }

    /// Says what the run was told before the market event with this number.
    fn tell_to(&mut self, index: u64, out: &mut Vec<Event>) {
        let n = self.told.partition_point(|told| told.after <= index);
        let (now, later) = self.told.split_at(n);
        out.extend(now.iter().map(|told| told.event.clone()));
        self.told = later;
    }
}

/// When the run was told what, and the versions that take over then.
struct Script<'a> {
    times: VecDeque<Nanos>,
    versions: VecDeque<&'a [(u64, Version)]>,
    failure: Option<BadLoad>,
}

impl Cues for Script<'_> {
    fn next_at(&mut self) -> Option<Nanos> {
        self.times.pop_front()
    }

    fn before(&mut self, engine: &mut Engine, _event: &Event) {
        for (index, version) in self.versions.pop_front().into_iter().flatten() {
            if let Err(error) = version.take_over(engine, true) {
                self.failure.get_or_insert(BadLoad { index: *index, error });
            }
        }
    }
}

/// Gathers orders up to a time.
struct Until {
    orders: Trails,
    until: Nanos,
}

impl Observer for Until {
    fn on_effects(&mut self, seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        if now <= self.until {
            self.orders.on_effects(seq, now, effects, engine);
        }
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        if now <= self.until {
            self.orders.on_report(now, report, engine);
        }
    }

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}

/// What strategies failed with.
#[derive(Default)]
struct Faults {
    messages: Vec<String>,
}

impl Observer for Faults {
    fn on_effects(&mut self, _seq: Seq, _now: Nanos, effects: &[Effect], _engine: &Engine) {
        for effect in effects {
            if let Effect::Notice(Notice::Fault { fault, .. }) = effect {
                self.messages.push(fault.to_string());
            }
        }
    }

    fn on_report(&mut self, _: Nanos, _: &ExecutionReport, _: &Engine) {}

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}
