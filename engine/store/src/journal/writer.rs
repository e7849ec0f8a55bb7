//! The side of a journal that the engine's thread holds.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redb::StorageBackend;
use rtrb::{Consumer, Producer, RingBuffer};
use tercel_core::{ClientOrderId, Effect, Event, Nanos, Seq};
use tercel_crash::{Point, point};

use super::block::RECORD_MAX;
use super::codec;
use super::committer::{ASIDE, Committed, Committer};
use super::error::JournalError;
use super::file::{File, Nascent};
use super::head::Head;
use super::reader::Records;
use super::record::Record;
use super::shared::Shared;

/// When the journal's thread commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum JournalMode {
    /// A while after the last commit, so that many records share one. Handing over wakes nobody.
    #[default]
    Async,
    /// As soon as there is a record: for callers that wait for [`Journal::durable_through`] before
    /// they send. Handing over costs waking the thread, some microseconds if it sleeps.
    Durable,
    /// When told to, by [`Journal::commit`], or when somebody waits: there is no thread. For
    /// simulations, in which nothing may happen at its own time.
    Stepped,
}

/// How a journal is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalOptions {
    /// When to commit.
    pub mode: JournalMode,
    /// Room for records that wait for the disk, in bytes. What does not fit is refused.
    pub ring_bytes: usize,
    /// Longest time that a record waits for others to share its commit, in [`JournalMode::Async`].
    /// The thread wakes this often when there is nothing to do.
    pub linger: Duration,
    /// Memory for the database's cache, in bytes.
    pub cache_bytes: usize,
}

impl Default for JournalOptions {
    /// `Async`, 8 MiB of ring, a millisecond, 16 MiB of cache.
    fn default() -> Self {
        Self {
            mode: JournalMode::Async,
            ring_bytes: 8 << 20,
            linger: Duration::from_millis(1),
            cache_bytes: 16 << 20,
        }
    }
}

/// How a run begins: the journal's first record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunStart {
    /// The run's number, below 2^24.
    pub run: u32,
    /// When, on the system's clock.
    pub at: Nanos,
    /// The whole configuration as text.
    pub config: String,
    /// Version of the engine.
    pub version: String,
}

/// How long a run's end waits for room in the ring.
const END_WAIT: Duration = Duration::from_secs(10);

/// The journal of one run, being written.
///
/// Handing a record over encodes it and copies it into a ring; a thread of the journal's own chains
/// and commits. Every call that hands something over returns a *ticket*, the number of records
/// handed over so far: the record is durable once [`Journal::durable_through`] has reached it.
///
/// After an error of kind [`JournalError::Full`] or [`JournalError::Failed`] the caller must stop
/// trading: what happens from then on is not recorded. Dropping a journal commits what was handed
/// over, if the storage takes it, and leaves the run open; [`Journal::end`] seals it.
#[derive(Debug)]
pub struct Journal {
    ring: Producer<u8>,
    /// A length and a record, as they go into the ring.
    frame: Vec<u8>,
    n_records: u64,
    last_seq: Option<Seq>,
    /// The entry that was refused and is still owed.
    owed: Option<Seq>,
    lease_end: u64,
    mode: JournalMode,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The thread's work, where there is no thread.
    stepped: RefCell<Option<Box<Committer>>>,
}

impl Journal {
    /// Creates the journal of a run. Returns when its first record is durable.
    ///
    /// The file gets its name when it is whole: a crash meanwhile leaves one beside it, whose name ends
    /// in `.new`, which the next attempt removes.
    ///
    /// # Errors
    ///
    /// If the file exists or cannot be written.
    pub fn create(
        path: &Path,
        start: RunStart,
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        let nascent = Nascent::at(path)?;
        let file = nascent.create(options.cache_bytes)?;
        point(Point::JournalMade);
        let journal = Self::begin(file, start, options)?;
        point(Point::JournalBegun);
        nascent.publish()?;
        point(Point::JournalNamed);
        Ok(journal)
    }

    /// Creates the journal of a run in other storage than a file, as [`Journal::create`].
    ///
    /// # Errors
    ///
    /// If there is a run in it or it cannot be written.
    pub fn create_on(
        backend: impl StorageBackend,
        start: RunStart,
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        let file = File::open_on(backend, options.cache_bytes)?;
        if file.head()?.is_some() {
            return Err(JournalError::Exists { place: file.place.name() });
        }
        Self::begin(file, start, options)
    }

    /// Opens the journal of a run that was cut off, to go on with it or to seal it.
    ///
    /// Reads the last block only; [`super::JournalReader::verify`] reads them all.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is damaged at its end, has no run in it or one that is over.
    pub fn open(path: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        Self::resume(File::open(path, options.cache_bytes)?, options)
    }

    /// Opens the journal of a run in other storage than a file, as [`Journal::open`].
    ///
    /// # Errors
    ///
    /// As [`Journal::open`].
    pub fn open_on(
        backend: impl StorageBackend,
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        Self::resume(File::open_on(backend, options.cache_bytes)?, options)
    }

    fn begin(file: File, start: RunStart, options: JournalOptions) -> Result<Self, JournalError> {
        let mut journal = Self::run(file, Head::empty(), options)?;
        let RunStart { run, at, config, version } = start;
        let ticket = journal.put(&Record::RunStarted { run, at, config, version })?;
        journal.wait_durable(ticket, Duration::MAX)?;
        Ok(journal)
    }

    fn resume(file: File, options: JournalOptions) -> Result<Self, JournalError> {
        let head = file.head_of_run()?;
        let last_block = head.last_block;
        Records::new(file.blocks()?, head.clone(), last_block)?.run_to_end()?;
        if head.is_sealed {
            return Err(JournalError::Sealed { place: file.place.name() });
        }
        Self::run(file, head, options)
    }

    fn run(file: File, head: Head, options: JournalOptions) -> Result<Self, JournalError> {
        let (mut producer, mut consumer) = RingBuffer::new(options.ring_bytes);
        touch(&mut producer, &mut consumer);
        let shared = Arc::new(Shared::default());
        shared.raise(head.n_records);
        let (n_records, last_seq, lease_end) = (head.n_records, head.last_seq, head.lease_end());
        let place = file.place.clone();
        let linger = match options.mode {
            JournalMode::Async | JournalMode::Stepped => options.linger,
            // Woken by each record; the time only bounds how long a lost wake-up is missed.
            JournalMode::Durable => options.linger.max(Duration::from_millis(10)),
        };
        let committer = Committer::new(file, head, consumer, Arc::clone(&shared), linger);
        let (thread, stepped) = match options.mode {
            JournalMode::Stepped => (None, Some(Box::new(committer))),
            JournalMode::Async | JournalMode::Durable => {
                let thread = thread::Builder::new()
                    .name("journal".to_owned())
                    .spawn(move || committer.run())
                    .map_err(|error| place.storage()(redb::Error::Io(error)))?;
                (Some(thread), None)
            }
        };
        Ok(Self {
            ring: producer,
            frame: Vec::with_capacity(4096),
            n_records,
            last_seq,
            owed: None,
            lease_end,
            mode: options.mode,
            shared,
            thread,
            stepped: RefCell::new(stepped),
        })
    }

    /// Commits what was handed over, in one transaction and at most a block of it, on the calling
    /// thread. Returns whether there was anything.
    ///
    /// Does nothing but in [`JournalMode::Stepped`]. What fails is told as in the other modes: by
    /// [`Journal::check`] and by all that is handed over later.
    pub fn commit(&self) -> bool {
        let mut stepped = self.stepped.borrow_mut();
        let Some(committer) = &mut *stepped else { return false };
        match committer.commit() {
            Ok(committed) => committed != Committed::Nothing,
            Err(error) => {
                // Closed before the failure is told, so that it can be opened again at once.
                *stepped = None;
                self.shared.fail(error.to_string());
                true
            }
        }
    }

    /// Hands over what went into the engine and what came out. Returns the record's ticket.
    ///
    /// Market data leaves only its number and effects: it is on the tape. The caller hands over every
    /// event that is not market data, and market data that had effects. Does not allocate once its
    /// buffer has grown; no system call in [`JournalMode::Async`].
    ///
    /// # Errors
    ///
    /// [`JournalError::Full`] if the ring has no room: nothing was taken, and the same entry must be
    /// handed over before any other one. [`JournalError::Failed`] after a commit failed.
    /// [`JournalError::OutOfOrder`] if `seq` does not grow.
    pub fn entry(
        &mut self,
        seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<u64, JournalError> {
        if let Some(owed) = self.owed.filter(|owed| *owed != seq) {
            return Err(JournalError::Owed { owed, seq });
        }
        if let Some(last) = self.last_seq.filter(|last| seq <= *last) {
            return Err(JournalError::OutOfOrder { seq, last });
        }
        self.start_frame();
        codec::encode_entry(seq, now, event, effects, &mut self.frame);
        self.owed = Some(seq);
        point(Point::EntryHandOver);
        let ticket = self.hand_over()?;
        point(Point::EntryHandedOver);
        self.owed = None;
        self.last_seq = Some(seq);
        Ok(ticket)
    }

    /// Hands over a script load, parameters, limits, a snapshot, a gap, or that a request was sent, which
    /// no disk is woken for. Returns its ticket.
    ///
    /// # Errors
    ///
    /// As [`Journal::entry`]; [`JournalError::Misplaced`] for other kinds of records.
    pub fn record(&mut self, record: &Record) -> Result<u64, JournalError> {
        match record {
            Record::ScriptLoaded { .. }
            | Record::Params { .. }
            | Record::Limits { .. }
            | Record::Snapshot { .. }
            | Record::Gap { .. } => self.put(record),
            Record::Sent(_) => self.put_quietly(record),
            Record::RunStarted { .. } => Err(JournalError::Misplaced { what: "a run's start" }),
            Record::Entry(_) => Err(JournalError::Misplaced { what: "an entry" }),
            Record::IdLease { .. } => Err(JournalError::Misplaced { what: "a lease" }),
            Record::RunEnded { .. } => Err(JournalError::Misplaced { what: "a run's end" }),
        }
    }

    /// Hands over a snapshot that was encoded elsewhere, by [`codec::encode`], without copying it.
    /// Returns its ticket.
    ///
    /// # Errors
    ///
    /// As [`Journal::record`]; [`JournalError::Misplaced`] if the bytes are not those of a snapshot.
    /// The bytes are gone then.
    pub fn encoded_snapshot(&mut self, bytes: Vec<u8>) -> Result<u64, JournalError> {
        if !matches!(codec::kind(&bytes), Ok(codec::Kind::Snapshot)) {
            return Err(JournalError::Misplaced { what: "all but a snapshot" });
        }
        self.shared.check()?;
        self.put_aside(bytes)?;
        Ok(self.handed_over())
    }

    /// Leases the next `n` order numbers. Returns when the lease is durable.
    ///
    /// No number is ever leased twice in one journal, whatever happens to the process: numbers that a
    /// crash left unused stay unused. Waits for the disk; see [`Journal::lease_ahead`].
    ///
    /// # Errors
    ///
    /// As [`Journal::entry`]; [`JournalError::IdsExhausted`] if the run has no `n` numbers left. The
    /// lease is then not given out, whatever the file says later.
    pub fn lease(&mut self, n: u32) -> Result<Range<u64>, JournalError> {
        let (ids, ticket) = self.lease_ahead(n)?;
        self.wait_durable(ticket, Duration::MAX)?;
        point(Point::LeaseDurable);
        Ok(ids)
    }

    /// Hands over a lease of the next `n` order numbers without waiting. Returns them and the lease's
    /// ticket: none of them may be used before that is durable.
    ///
    /// # Errors
    ///
    /// As [`Journal::lease`].
    pub fn lease_ahead(&mut self, n: u32) -> Result<(Range<u64>, u64), JournalError> {
        let from = self.lease_end;
        let to = from + u64::from(n);
        let most = ClientOrderId::COUNTER_MAX + 1;
        if to > most || n == 0 {
            return Err(JournalError::IdsExhausted { from, n: n.into(), most });
        }
        point(Point::LeaseHandOver);
        let ticket = self.put(&Record::IdLease { from, to })?;
        point(Point::LeaseHandedOver);
        self.lease_end = to;
        Ok((from..to, ticket))
    }

    /// Returns how many records are durable: those whose tickets are not above it.
    #[must_use]
    pub fn durable_through(&self) -> u64 {
        self.shared.n_durable()
    }

    /// Returns how many records were handed over, those of earlier openings included.
    #[must_use]
    pub const fn n_records(&self) -> u64 {
        self.n_records
    }

    /// Returns an error if the journal takes nothing any more.
    ///
    /// # Errors
    ///
    /// [`JournalError::Failed`] after a commit failed. One atomic load otherwise.
    pub fn check(&self) -> Result<(), JournalError> {
        self.shared.check()
    }

    /// Waits until the record with this ticket is durable.
    ///
    /// # Errors
    ///
    /// [`JournalError::TimedOut`] after `at_most`; [`JournalError::Failed`] if a commit failed.
    pub fn wait_durable(&self, ticket: u64, at_most: Duration) -> Result<(), JournalError> {
        self.wake();
        while self.shared.n_durable() < ticket && self.commit() {}
        self.shared.wait(ticket, at_most)
    }

    /// Ends the run: seals the journal and closes it. Returns when all of it is durable.
    ///
    /// # Errors
    ///
    /// As [`Journal::entry`]. The run is then open, or sealed without our knowing.
    pub fn end(mut self, seq: Seq, state_hash: u64, reason: &str) -> Result<(), JournalError> {
        let reason = reason.to_owned();
        let end = Record::RunEnded { seq, state_hash, reason };
        let begun = Instant::now();
        let ticket = loop {
            match self.put(&end) {
                // Nothing is late any more, and an end that is not recorded is no end.
                Err(JournalError::Full { .. }) if begun.elapsed() < END_WAIT => {
                    if !self.commit() {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                put => break put?,
            }
        };
        self.wait_durable(ticket, Duration::MAX)
    }

    /// Closes the journal without ending the run. Returns when all of it is durable.
    ///
    /// # Errors
    ///
    /// [`JournalError::Failed`] if a commit failed.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.stop();
        self.check()
    }

    fn put(&mut self, record: &Record) -> Result<u64, JournalError> {
        self.start_frame();
        codec::encode(record, &mut self.frame);
        self.hand_over()
    }

    fn put_quietly(&mut self, record: &Record) -> Result<u64, JournalError> {
        self.start_frame();
        codec::encode(record, &mut self.frame);
        self.push_frame()?;
        self.n_records += 1;
        Ok(self.n_records)
    }

    fn start_frame(&mut self) {
        self.frame.clear();
        self.frame.extend_from_slice(&[0; 4]);
    }

    fn hand_over(&mut self) -> Result<u64, JournalError> {
        self.push_frame()?;
        Ok(self.handed_over())
    }

    fn push_frame(&mut self) -> Result<(), JournalError> {
        self.shared.check()?;
        let len = self.frame.len() - 4;
        let capacity = self.ring.buffer().capacity();
        // A large record would keep small ones out of the ring for long, or never fit.
        if len > capacity / 4 {
            self.put_aside(self.frame[4..].to_vec())?;
        } else {
            let prefix = u32::try_from(len).expect("smaller than the ring");
            self.frame[..4].copy_from_slice(&prefix.to_le_bytes());
            if self.ring.push_entire_slice(&self.frame).is_err() {
                return Err(JournalError::Full { capacity });
            }
        }
        Ok(())
    }

    /// Counts a record that was handed over. Returns its ticket.
    fn handed_over(&mut self) -> u64 {
        self.n_records += 1;
        if self.mode == JournalMode::Durable {
            self.wake();
        }
        self.n_records
    }

    #[cold]
    fn put_aside(&mut self, record: Vec<u8>) -> Result<(), JournalError> {
        let len = record.len();
        if len > RECORD_MAX {
            return Err(JournalError::TooLarge { len, max: RECORD_MAX });
        }
        let capacity = self.ring.buffer().capacity();
        let full = JournalError::Full { capacity };
        if self.shared.put_aside(record).is_err() {
            return Err(full);
        }
        point(Point::RecordAside);
        self.ring.push_entire_slice(&ASIDE.to_le_bytes()).map_err(|_| {
            self.shared.take_back();
            full
        })
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn stop(&mut self) {
        self.shared.close();
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic was told as a failure.
            drop(thread.join());
        }
        while self.commit() {}
        *self.stepped.borrow_mut() = None;
    }
}

/// Goes once around the ring, so that the system finds its memory now and not under the first
/// entries.
fn touch(producer: &mut Producer<u8>, consumer: &mut Consumer<u8>) {
    let zeros = vec![0; producer.buffer().capacity()];
    if producer.push_entire_slice(&zeros).is_ok()
        && let Ok(chunk) = consumer.read_chunk(zeros.len())
    {
        chunk.commit_all();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}
