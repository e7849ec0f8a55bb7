//! The recorder of a real run: a journal for everything but market data, a sink for that.
//!
//! Nothing here waits for a disk on the engine's thread. What can go wrong with the disk ends in the
//! same way: trading halts, the failure names the remedy, and once the journal works again (opened
//! anew by the clerk's thread if it had to be) a resume lets trading go on.
//!
//! | trouble | what is done | entries |
//! |---|---|---|
//! | the journal's ring is full | they wait in memory | none is lost |
//! | the disk does not answer | waiting | none is lost |
//! | a commit failed, or too many wait | the journal is opened again, a gap is recorded, a snapshot ends the hole | those of the hole are missing from the record, not from the state |
//! | order numbers are not leased in time | waiting | none is lost |

mod clerk;
mod leases;
mod options;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use tercel_core::{Effect, Engine, Event, MarketData, Nanos, OrderRequest, Seq, StateCopy};
use tercel_crash::{Point, point};
use tercel_store::journal::{Journal, JournalError, Record, Sent};

use crate::clock::{SystemTimes, TimeSource};
use crate::market_sink::MarketSink;
use crate::recorder::{RecordFailure, RecordProgress, Recorder, Ticket};
use clerk::{Clerk, Done, Job, Snapshot};
use leases::Leases;
pub use options::{Durable, RecorderOptions};

/// Records a run in a journal, its market data in a sink.
///
/// Market events without effects go to the sink alone. Everything else goes to the journal: of a
/// market event its number and effects.
#[derive(Debug)]
pub struct JournalRecorder<M = (), T = SystemTimes> {
    /// `None` while it is being opened again.
    journal: Option<Journal>,
    clerk: Clerk,
    options: RecorderOptions,
    market: M,
    leases: Leases,
    phase: Phase,
    /// What the ring had no room for, oldest first.
    backlog: VecDeque<Waiting>,
    /// The watermark when it was last seen to move, and when that was.
    durable: u64,
    durable_at: i64,
    last_ticket: Ticket,
    /// The engine's time of the last event.
    last_now: Nanos,
    /// Market events so far, those that are on the tape alone included.
    n_market: u64,
    /// When the last snapshot was taken, after how many entries, and whether it is being encoded.
    snapshot_at: i64,
    n_entries_at_snapshot: u64,
    is_encoding: bool,
    /// The state while it is being copied for a snapshot.
    copy: Option<StateCopy>,
    counts: RecorderCounts,
    /// Entries that were missing when the journal was last opened again.
    n_missing_before: u64,
    /// The loop's time, and when the disk is next looked after, or after how many calls.
    now: Nanos,
    next_look_at: Nanos,
    n_calls: u32,
    trouble: Option<RecordFailure>,
    /// Where points in time come from that the disk is judged by, in nanoseconds since any moment.
    times: T,
}

/// What a recorder has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecorderCounts {
    /// Entries handed over.
    pub n_entries: u64,
    /// Entries that are not in the journal: what happened while it was being opened again.
    pub n_missing: u64,
    /// Snapshots taken.
    pub n_snapshots: u64,
    /// Longest time that the engine's thread was held up for one: a step of copying the state.
    pub snapshot_pause_max: Duration,
    /// How often the journal was opened again.
    pub n_reopened: u64,
}

#[derive(Debug)]
enum Phase {
    /// The journal takes entries, or the backlog does.
    Working,
    /// It has failed; it will be opened again at this time.
    Failed { why: String, again_at: i64 },
    /// It is being opened again.
    Reopening { why: String },
    /// It is open again; the snapshot that ends the hole has this ticket, once it is handed over.
    Resuming { ticket: Option<u64> },
}

/// An entry that waits for room.
#[derive(Debug)]
struct Waiting {
    seq: Seq,
    now: Nanos,
    event: Event,
    effects: Vec<Effect>,
}

/// Time between two looks at the disk, and the calls after which one is due whatever the clock says.
const LOOK_NS: i64 = Nanos::MILLI;
const LOOK_CALLS: u32 = 256;

/// Pages of orders that are copied in one look: about a tenth of a millisecond.
const PAGES_PER_LOOK: usize = 16;

impl<M: MarketSink> JournalRecorder<M> {
    /// Returns a recorder over a journal that was created or opened, after leasing the first order
    /// numbers, which waits for the disk. `reopen` opens the same journal again after it has failed.
    ///
    /// The journal's helpers stay on the cores of the calling thread: make it before the engine's
    /// thread is pinned, and move it there. The engine must number its orders from [`Self::leased`] on, and the loop its events after the
    /// journal's last entry ([`crate::EventLoop::starting_after`]).
    ///
    /// # Errors
    ///
    /// If the numbers cannot be leased or the system gives no thread.
    pub fn new(
        journal: Journal,
        reopen: impl Fn() -> Result<Journal, JournalError> + Send + 'static,
        market: M,
        options: RecorderOptions,
    ) -> Result<Self, RecordFailure> {
        let clerk = Clerk::spawn(Box::new(reopen))
            .map_err(|error| RecordFailure(format!("no thread for the journal: {error}")))?;
        Self::begin(journal, clerk, market, options, SystemTimes::new())
    }
}

impl<M: MarketSink, T: TimeSource> JournalRecorder<M, T> {
    /// Returns a recorder as [`Self::new`] does, which starts no thread and takes the time from
    /// `times`: for simulations. Its journal is one of
    /// [`JournalMode::Stepped`](tercel_store::journal::JournalMode::Stepped), as are those that
    /// `reopen` opens; [`Self::commit`] commits.
    ///
    /// # Errors
    ///
    /// If the numbers cannot be leased.
    pub fn stepped(
        journal: Journal,
        reopen: impl Fn() -> Result<Journal, JournalError> + Send + 'static,
        market: M,
        options: RecorderOptions,
        times: T,
    ) -> Result<Self, RecordFailure> {
        Self::begin(journal, Clerk::stepped(Box::new(reopen)), market, options, times)
    }

    fn begin(
        mut journal: Journal,
        clerk: Clerk,
        market: M,
        options: RecorderOptions,
        mut times: T,
    ) -> Result<Self, RecordFailure> {
        let ids = journal.lease(options.lease.max(2)).map_err(told)?;
        let now = times.monotonic_ns();
        Ok(Self {
            durable: journal.durable_through(),
            journal: Some(journal),
            clerk,
            leases: Leases::new(options.lease.max(2), ids),
            options,
            market,
            phase: Phase::Working,
            backlog: VecDeque::new(),
            durable_at: now,
            last_ticket: Ticket(0),
            last_now: Nanos(i64::MIN),
            n_market: 0,
            snapshot_at: now,
            n_entries_at_snapshot: 0,
            is_encoding: false,
            copy: None,
            counts: RecorderCounts::default(),
            n_missing_before: 0,
            now: Nanos(0),
            next_look_at: Nanos(i64::MIN),
            n_calls: 0,
            trouble: None,
            times,
        })
    }

    /// Lets a stepped journal commit a block of what waits. Returns whether there was anything.
    pub fn commit(&mut self) -> bool {
        self.journal.as_ref().is_some_and(Journal::commit)
    }

    fn now(&mut self) -> i64 {
        self.times.monotonic_ns()
    }

    fn since(&mut self, earlier: i64) -> Duration {
        Duration::from_nanos(u64::try_from(self.now().saturating_sub(earlier)).unwrap_or(0))
    }

    /// Returns the order numbers that may be used now.
    #[must_use]
    pub fn leased(&self) -> Range<u64> {
        self.leases.usable()
    }

    /// Waits until everything recorded so far is durable: for a run's beginning, not for its course.
    ///
    /// # Errors
    ///
    /// If the disk fails, or takes longer than it may stall.
    pub fn settle(&self) -> Result<(), RecordFailure> {
        let Some(journal) = &self.journal else { return Err(self.trouble_now()) };
        journal.wait_durable(journal.n_records(), self.options.stall).map_err(told)
    }

    /// Returns what was done so far.
    #[must_use]
    pub const fn counts(&self) -> RecorderCounts {
        self.counts
    }

    /// Returns the sink of market data.
    #[must_use]
    pub const fn market(&self) -> &M {
        &self.market
    }

    fn hand_over(
        &mut self,
        seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        if matches!(self.phase, Phase::Failed { .. } | Phase::Reopening { .. }) {
            self.counts.n_missing += 1;
            return Err(self.trouble_now());
        }
        if self.backlog.is_empty()
            && let Some(journal) = &mut self.journal
        {
            let mut handed = journal.entry(seq, now, event, effects);
            if matches!(handed, Err(JournalError::Full { .. })) && !self.options.patience.is_zero()
            {
                handed = entry_late(journal, self.options.patience, seq, now, event, effects);
            }
            match handed {
                Ok(ticket) => {
                    self.counts.n_entries += 1;
                    self.last_ticket = Ticket(ticket);
                    return Ok(self.last_ticket);
                }
                Err(JournalError::Full { .. }) => {}
                Err(error @ JournalError::Failed { .. }) => {
                    self.counts.n_missing += 1;
                    self.fail(error.to_string(), Duration::ZERO);
                    return Err(self.trouble_now());
                }
                Err(error) => return Err(told(error)),
            }
        }
        if self.backlog.len() < self.options.backlog.max(1) {
            let (event, effects) = (event.clone(), effects.to_vec());
            self.backlog.push_back(Waiting { seq, now, event, effects });
        } else {
            self.counts.n_missing += 1;
            self.fail("more entries than there is room for wait".to_owned(), Duration::ZERO);
        }
        Err(self.trouble_now())
    }

    fn check_leases(&mut self, effects: &[Effect]) -> Result<(), RecordFailure> {
        for effect in effects {
            if let Effect::Send(request) = effect
                && let OrderRequest::New { id, .. } = **request
            {
                self.leases.check(id)?;
                if self.leases.is_due() {
                    self.next_look_at = Nanos(i64::MIN);
                }
            }
        }
        Ok(())
    }

    /// Gives the journal up, to open it again after a while.
    #[cold]
    fn fail(&mut self, why: String, after: Duration) {
        self.counts.n_missing += self.backlog.len() as u64;
        self.backlog.clear();
        let after = i64::try_from(after.as_nanos()).unwrap_or(i64::MAX);
        self.phase = Phase::Failed { why, again_at: self.now().saturating_add(after) };
    }

    /// Returns why nothing may leave, where something is known to be wrong.
    fn trouble_now(&self) -> RecordFailure {
        RecordFailure(match &self.phase {
            Phase::Working => {
                let n = self.backlog.len();
                format!(
                    "the journal's ring is full and {n} entries wait: the disk does not keep up; \
                     they are handed over as soon as it does, then resume"
                )
            }
            Phase::Failed { why, .. } | Phase::Reopening { why, .. } => format!(
                "the journal failed: {why}; free space or mend the disk: it is opened again every \
                 {:?}, then resume",
                self.options.reopen_interval
            ),
            Phase::Resuming { .. } => {
                "the journal is open again and the state is being recorded; resume once that is done"
                    .to_owned()
            }
        })
    }

    /// Looks after the disk.
    fn look(&mut self, seq: Seq, engine: &Engine) -> Result<(), RecordFailure> {
        self.ask_clerk(seq, engine);
        self.move_on(seq, engine);
        if let Some(journal) = &self.journal
            && matches!(self.phase, Phase::Working | Phase::Resuming { .. })
            && let Err(error) = journal.check()
        {
            self.fail(error.to_string(), Duration::ZERO);
        }
        match self.phase {
            Phase::Failed { .. } | Phase::Reopening { .. } => return Err(self.trouble_now()),
            Phase::Working | Phase::Resuming { .. } => {}
        }
        self.catch_up();
        let is_due = self.copy.is_some() || self.is_snapshot_due();
        if is_due && matches!(self.phase, Phase::Working) {
            self.take_snapshot(seq, engine);
        }
        if !self.backlog.is_empty() || matches!(self.phase, Phase::Resuming { .. }) {
            return Err(self.trouble_now());
        }
        let Some(journal) = &mut self.journal else { return Err(self.trouble_now()) };
        self.leases.tend(journal, engine.state().next_order_id)?;
        self.watch()
    }

    /// Hands over what waits, as far as there is room.
    fn catch_up(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        while let Some(Waiting { seq, now, event, effects }) = self.backlog.front() {
            let Ok(ticket) = journal.entry(*seq, *now, event, effects) else { return };
            self.counts.n_entries += 1;
            self.last_ticket = Ticket(ticket);
            self.backlog.pop_front();
        }
    }

    /// Takes what the clerk has done.
    fn ask_clerk(&mut self, seq: Seq, engine: &Engine) {
        while let Some(done) = self.clerk.poll() {
            match done {
                Done::Opened(Err(error)) => {
                    self.fail(error.to_string(), self.options.reopen_interval);
                }
                Done::Opened(Ok((journal, ids))) => {
                    self.counts.n_reopened += 1;
                    self.leases.restart(&ids);
                    (self.durable, self.durable_at) = (journal.durable_through(), self.now());
                    self.journal = Some(journal);
                    let resuming = Phase::Resuming { ticket: None };
                    let why = match std::mem::replace(&mut self.phase, resuming) {
                        Phase::Reopening { why } | Phase::Failed { why, .. } => why,
                        Phase::Working | Phase::Resuming { .. } => String::new(),
                    };
                    self.tell_gap(seq, why);
                    self.take_snapshot(seq, engine);
                }
                Done::Encoded { opening, bytes } => {
                    self.is_encoding = false;
                    if opening == self.counts.n_reopened {
                        self.put_snapshot(bytes);
                    }
                }
            }
        }
    }

    /// Records that entries are missing here.
    fn tell_gap(&mut self, seq: Seq, why: String) {
        let n_lost = self.counts.n_missing - self.n_missing_before;
        self.n_missing_before = self.counts.n_missing;
        let Some(journal) = &mut self.journal else { return };
        let gap = Record::Gap { at: self.now, seq, n_market: self.n_market, n_lost, why };
        if let Err(error) = journal.record(&gap) {
            self.fail(error.to_string(), self.options.reopen_interval);
        }
    }

    /// Moves on from a failure.
    fn move_on(&mut self, seq: Seq, engine: &Engine) {
        let now = self.now();
        match &mut self.phase {
            Phase::Working | Phase::Reopening { .. } => {}
            Phase::Failed { why, again_at } => {
                if now >= *again_at {
                    let (why, lease) = (std::mem::take(why), self.options.lease.max(2));
                    let old = self.journal.take();
                    // There is room: nothing is asked twice.
                    self.clerk.ask(Job::Reopen { old, lease });
                    self.phase = Phase::Reopening { why };
                }
            }
            Phase::Resuming { ticket: Some(ticket) } => {
                let durable = self.journal.as_ref().map_or(0, Journal::durable_through);
                if durable >= *ticket {
                    self.phase = Phase::Working;
                }
            }
            // The first attempt was refused, or an older snapshot was in the way.
            Phase::Resuming { ticket: None } => self.take_snapshot(seq, engine),
        }
    }

    fn is_snapshot_due(&mut self) -> bool {
        let n_since = self.counts.n_entries - self.n_entries_at_snapshot;
        let (entries, interval) = (self.options.snapshot_entries, self.options.snapshot_interval);
        (entries > 0 && n_since >= entries)
            || (n_since > 0 && !interval.is_zero() && self.since(self.snapshot_at) >= interval)
    }

    /// Copies a part of the state; with the last part, lets it be encoded.
    fn take_snapshot(&mut self, seq: Seq, engine: &Engine) {
        let begun = self.now();
        let Some(journal) = &self.journal else { return };
        // What waits for room is in the state, but not before the snapshot's place in the journal.
        if self.is_encoding || !self.backlog.is_empty() {
            return;
        }
        point(Point::SnapshotBegin);
        let mut copy = self.copy.take().unwrap_or_default();
        let is_over = copy.advance(engine.state(), PAGES_PER_LOOK) < PAGES_PER_LOOK;
        if is_over {
            let (opening, n_before) = (self.counts.n_reopened, journal.n_records());
            let (now, state) = (self.last_now, copy.finish(engine.state()));
            point(Point::SnapshotCopied);
            let snapshot = Snapshot { opening, seq, now, n_before, state };
            self.is_encoding = self.clerk.ask(Job::Encode(snapshot));
            self.snapshot_at = begun;
            self.n_entries_at_snapshot = self.counts.n_entries;
            self.counts.n_snapshots += 1;
        } else {
            self.copy = Some(copy);
        }
        self.counts.snapshot_pause_max = self.counts.snapshot_pause_max.max(self.since(begun));
    }

    fn put_snapshot(&mut self, bytes: Vec<u8>) {
        let Some(journal) = &mut self.journal else { return };
        point(Point::SnapshotHandOver);
        match journal.encoded_snapshot(bytes) {
            Ok(handed_over) => {
                point(Point::SnapshotHandedOver);
                if let Phase::Resuming { ticket } = &mut self.phase {
                    *ticket = Some(handed_over);
                }
            }
            Err(error) => tracing::warn!(%error, "a snapshot was not recorded"),
        }
    }

    /// Fails while the disk keeps everything waiting for too long.
    fn watch(&mut self) -> Result<(), RecordFailure> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let durable = journal.durable_through();
        if durable != self.durable || durable == journal.n_records() {
            (self.durable, self.durable_at) = (durable, self.now());
            return Ok(());
        }
        let waited = self.since(self.durable_at);
        if waited < self.options.stall {
            return Ok(());
        }
        Err(RecordFailure(format!(
            "the journal's disk has not answered for {:.1} s; see what holds it up: everything is \
             recorded as soon as it answers, then resume",
            waited.as_secs_f64()
        )))
    }

    fn seal(&mut self, seq: Seq, engine: &Engine, reason: &str) -> Result<(), RecordFailure> {
        let begun = self.now();
        while let Err(failure) = self.look(seq, engine) {
            if self.since(begun) >= self.options.stall {
                return Err(failure);
            }
            self.wait()?;
        }
        let Some(mut journal) = self.journal.take() else { return Err(self.trouble_now()) };
        let (n_before, state) = (journal.n_records(), engine.snapshot());
        let bytes = clerk::encoded(seq, self.last_now, n_before, &state);
        self.counts.n_snapshots += 1;
        let ticket = journal.encoded_snapshot(bytes).map_err(told)?;
        journal.wait_durable(ticket, self.options.stall).map_err(told)?;
        point(Point::EndState);
        journal.end(seq, engine.state_hash(), reason).map_err(told)
    }

    /// Gives the disk time.
    ///
    /// # Errors
    ///
    /// If it has had all that it will get: a stepped journal does nothing by itself.
    fn wait(&mut self) -> Result<(), RecordFailure> {
        if let Clerk::Thread(_) = self.clerk {
            std::thread::sleep(Duration::from_millis(1));
        } else if !self.commit() {
            return Err(self.trouble_now());
        }
        Ok(())
    }

    /// Tells when trouble begins and ends.
    fn tell(&mut self, health: Result<(), RecordFailure>) -> Result<(), RecordFailure> {
        match (&self.trouble, &health) {
            (None, Err(failure)) => tracing::error!(%failure, "trading is halted"),
            (Some(_), Ok(())) => tracing::warn!("recording works again; resume to trade"),
            (None, Ok(())) | (Some(_), Err(_)) => {}
        }
        self.trouble = health.as_ref().err().cloned();
        health
    }
}

impl<M: MarketSink, T: TimeSource> Recorder for JournalRecorder<M, T> {
    #[inline]
    fn record(
        &mut self,
        seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        self.last_now = now;
        if let Event::Market(market) = event {
            self.market.take(seq, market);
            self.n_market += 1;
            // Funding moves money: it is in both.
            if effects.is_empty() && !matches!(market.data, MarketData::Funding { .. }) {
                return Ok(self.last_ticket);
            }
        }
        self.hand_over(seq, now, event, effects)
            .and_then(|ticket| self.check_leases(effects).map(|()| ticket))
            // The next look decides when it is over, and must come before anything leaves.
            .inspect_err(|_| self.next_look_at = Nanos(i64::MIN))
    }

    fn keep(&mut self, record: &Record) -> Result<(), RecordFailure> {
        match &mut self.journal {
            Some(journal) if self.backlog.is_empty() && matches!(self.phase, Phase::Working) => {
                journal.record(record).map(|_| ()).map_err(told)
            }
            // Nothing waits: whoever asked is told that it was not recorded.
            Some(_) | None => Err(self.trouble_now()),
        }
    }

    #[inline]
    fn keeps_times(&self) -> bool {
        true
    }

    fn sent(&mut self, sent: &Sent) {
        if let (Some(journal), Phase::Working, true) =
            (&mut self.journal, &self.phase, self.backlog.is_empty())
        {
            // When something left is worth less than that it did: what finds no room is lost.
            let _lost = journal.record(&Record::Sent(*sent)).err();
        }
    }

    #[inline]
    fn may_leave(&self, request: &OrderRequest, ticket: Ticket) -> bool {
        #[cfg(feature = "sabotage")]
        if tercel_core::sabotage::is_planted(tercel_core::sabotage::Bug::DurableIsNotAwaited) {
            return true;
        }
        !self.options.durable.concerns(request)
            || self.journal.as_ref().is_some_and(|journal| journal.durable_through() >= ticket.0)
    }

    #[inline]
    fn tend(&mut self, seq: Seq, time: Nanos, engine: &Engine) -> Result<(), RecordFailure> {
        self.n_calls += 1;
        if self.trouble.is_none() && time < self.next_look_at && self.n_calls < LOOK_CALLS {
            return Ok(());
        }
        self.now = time;
        self.next_look_at = time.plus(LOOK_NS);
        self.n_calls = 0;
        let health = self.look(seq, engine);
        self.tell(health)
    }

    fn progress(&self) -> RecordProgress {
        let journal = self.journal.as_ref();
        RecordProgress {
            n_records: journal.map_or(self.last_ticket.0, Journal::n_records),
            n_durable: journal.map_or(self.durable, Journal::durable_through),
            n_untaped: self.market.n_lost(),
        }
    }

    /// Ends the tape, records the state and seals the journal. Waits for the disk as long as it may
    /// stall.
    fn close(&mut self, seq: Seq, engine: &Engine, reason: &str) -> Result<(), RecordFailure> {
        point(Point::EndBegin);
        // The seal comes last: whoever finds it may expect the whole tape.
        let closed = self.market.close();
        point(Point::EndTape);
        let sealed = self.seal(seq, engine, reason);
        point(Point::EndSealed);
        sealed.and(closed)
    }
}

/// Waits for room in the journal's ring and hands an entry over.
#[cold]
fn entry_late(
    journal: &mut Journal,
    patience: Duration,
    seq: Seq,
    now: Nanos,
    event: &Event,
    effects: &[Effect],
) -> Result<u64, JournalError> {
    let begun = Instant::now();
    loop {
        std::thread::sleep(Duration::from_micros(200));
        match journal.entry(seq, now, event, effects) {
            Err(JournalError::Full { .. }) if begun.elapsed() < patience => {}
            handed => return handed,
        }
    }
}

fn told(error: JournalError) -> RecordFailure {
    RecordFailure(format!("the journal: {error}"))
}
