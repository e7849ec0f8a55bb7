//! A loop with a real journal on a faulty disk, on its own thread; the test is the operator.

use std::sync::mpsc::{self, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tercel_core::{
    AccountId, Approved, Command, Effect, Engine, Event, InstrumentId, Intents, MarketData,
    MarketEvent, Nanos, OrderRequest, OrderSpec, Price, Quantity, Scope, Seq, Side, Strategy,
    StrategyEvent, StrategyFault, View,
};
use tercel_runtime::{
    Ending, EngineThread, EventLoop, Handle, IdleStrategy, JournalRecorder, LoopOptions,
    MarketSource, Parts, Port, RecordFailure, Recorder, RecorderCounts, RecorderOptions,
    SourceFailure, SourceState, Status, Ticket, UtcClock, control,
};
use tercel_sim::VenuePort;
use tercel_store::journal::{
    Journal, JournalMode, JournalOptions, JournalReader, Record, RunStart, Sent,
};
use tercel_store::state;
use tercel_testkit::{Disk, DiskFaults, account, engine_config, level, linear, strategy};

/// Longer than anything takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Something that went through the recorder.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) seq: Seq,
    pub(crate) now: Nanos,
    pub(crate) event: Event,
    pub(crate) effects: Vec<Effect>,
}

pub(crate) struct Rig {
    pub(crate) handle: Handle,
    pub(crate) disk: Disk,
    feed: Option<Sender<Event>>,
    n_quotes: i64,
    sent: Arc<Mutex<Vec<OrderRequest>>>,
    kept: Arc<Mutex<Vec<Kept>>>,
    thread: EngineThread<(Ending, RecorderCounts, u64)>,
}

/// What is left of it.
pub(crate) struct Over {
    pub(crate) ending: Ending,
    pub(crate) counts: RecorderCounts,
    pub(crate) state_hash: u64,
    pub(crate) sent: Vec<OrderRequest>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) reader: JournalReader,
}

impl Rig {
    pub(crate) fn new(options: RecorderOptions, journal: JournalOptions) -> Self {
        let disk = Disk::new(1, DiskFaults::default());
        let (handle, control) = control(16);
        let (feed, events) = mpsc::channel();
        let (sent, kept) = (Arc::default(), Arc::default());
        let (desk, book) = (Desk(Arc::clone(&sent)), Arc::clone(&kept));
        let place = disk.clone();
        let thread = EngineThread::spawn(None, move |_| {
            let start =
                RunStart { run: 1, at: Nanos(0), config: String::new(), version: "0".to_owned() };
            let first = Journal::create_on(place.backend(), start, journal).unwrap();
            let reopen = move || Journal::open_on(place.backend(), journal);
            let mut journal = JournalRecorder::new(first, reopen, (), options).unwrap();
            assert!(journal.leased().contains(&1));
            let engine = engine();
            journal.keep(&beginning(&engine)).unwrap();
            journal.settle().unwrap();
            let parts = Parts {
                engine,
                clock: UtcClock::system(),
                port: desk,
                recorder: Tee { journal, kept: book },
                observer: (),
                sources: vec![Wire(events)],
            };
            let options = LoopOptions {
                idle: IdleStrategy::Park { spins: 1, yields: 1, sleep: Duration::from_micros(100) },
                ..LoopOptions::default()
            };
            let mut running = EventLoop::new(parts, control, options);
            let ending = running.run();
            let parts = running.into_parts();
            (ending, parts.recorder.journal.counts(), parts.engine.state_hash())
        })
        .unwrap();
        let feed = Some(feed);
        Self { handle, disk, feed, n_quotes: 0, sent, kept, thread }
    }

    /// Lets the strategies place an order each.
    pub(crate) fn quote(&mut self) {
        self.n_quotes += 1;
        // Always another price: else nothing has changed.
        self.give(level(0, 0, Side::Sell, 1_000 + self.n_quotes % 2, 1));
    }

    /// Gives the strategies something that they do not answer.
    pub(crate) fn trade(&self) {
        let data = MarketData::Trade {
            aggressor: None,
            price: Price(1_000),
            qty: Quantity(1),
            id: u64::try_from(self.n_quotes).unwrap(),
        };
        let (venue_at, received_at, instrument) = (Nanos(0), Nanos(0), InstrumentId(0));
        self.give(Event::Market(MarketEvent { venue_at, received_at, instrument, data }));
    }

    fn give(&self, event: Event) {
        self.feed.as_ref().unwrap().send(event).unwrap();
    }

    /// Quotes, and waits until the engine has seen it.
    pub(crate) fn quote_seen(&mut self) {
        self.quote();
        let n = u64::try_from(self.n_quotes).unwrap();
        self.until("the quote is seen", |status| status.n_market >= n);
    }

    pub(crate) fn command(&self, command: Command) {
        self.handle.send(command).unwrap();
    }

    pub(crate) fn resume(&self) {
        self.command(Command::Resume(Scope::Engine));
    }

    /// Waits for a status.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Arc<Status> {
        let begun = Instant::now();
        loop {
            let status = self.handle.status(SOON).expect("the engine answers");
            if is_so(&status) {
                return status;
            }
            assert!(begun.elapsed() < SOON, "waited for: {what}; {status:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until recording fails for this reason.
    pub(crate) fn until_fails(&self, why: &str) -> Arc<Status> {
        let fails =
            |status: &Status| status.record_failure.as_ref().is_some_and(|f| f.contains(why));
        self.until(why, fails)
    }

    /// Waits until recording works.
    pub(crate) fn until_works(&self) -> Arc<Status> {
        self.until("recording works", |status| status.record_failure.is_none())
    }

    pub(crate) fn n_sent(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    pub(crate) fn new_orders(&self) -> Vec<u64> {
        new_orders(&self.sent.lock().unwrap())
    }

    /// Stops and returns what is left.
    pub(crate) fn stop(mut self) -> Over {
        self.handle.stop();
        self.feed = None;
        let (ending, counts, state_hash) = self.thread.join();
        let sent = self.sent.lock().unwrap().clone();
        let kept = self.kept.lock().unwrap().clone();
        let reader = JournalReader::open_on(self.disk.backend()).unwrap();
        Over { ending, counts, state_hash, sent, kept, reader }
    }
}

/// What a run begins with.
fn beginning(engine: &Engine) -> Record {
    let (state_hash, bytes) = (engine.state_hash(), state::encode(engine.state()));
    Record::Snapshot { seq: Seq(0), now: Nanos(0), state_hash, n_before: 1, bytes }
}

/// Numbers of the new orders among requests.
pub(crate) fn new_orders(sent: &[OrderRequest]) -> Vec<u64> {
    let new = sent.iter().filter(|request| matches!(request, OrderRequest::New { .. }));
    new.map(|request| request.id().counter()).collect()
}

/// An engine of two accounts, each with a strategy that places an order at every quote.
pub(crate) fn engine() -> Engine {
    let config = tercel_core::EngineConfig {
        accounts: vec![account(), account()],
        strategies: vec![strategy(0, 1), strategy(1, 1)],
        order_capacity: 1 << 16,
        ..engine_config(vec![linear(0)])
    };
    Engine::new(&config, vec![Box::new(Greedy), Box::new(Greedy)]).unwrap()
}

#[derive(Debug)]
pub(crate) struct Greedy;

impl Strategy for Greedy {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        _view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        if let StrategyEvent::Book { instrument } = event {
            let spec = OrderSpec::limit(*instrument, Side::Buy, Price(90), Quantity(1));
            intents.place(spec).expect("one fits");
        }
        Ok(())
    }
}

/// Both recorders: the one under test, and one that forgets nothing.
struct Tee {
    journal: JournalRecorder,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl Recorder for Tee {
    fn record(
        &mut self,
        seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        let kept = Kept { seq, now, event: event.clone(), effects: effects.to_vec() };
        self.kept.lock().unwrap().push(kept);
        self.journal.record(seq, now, event, effects)
    }

    fn keep(&mut self, record: &Record) -> Result<(), RecordFailure> {
        self.journal.keep(record)
    }

    fn keeps_times(&self) -> bool {
        self.journal.keeps_times()
    }

    fn sent(&mut self, sent: &Sent) {
        self.journal.sent(sent);
    }

    fn may_leave(&self, request: &OrderRequest, ticket: Ticket) -> bool {
        self.journal.may_leave(request, ticket)
    }

    fn tend(&mut self, seq: Seq, time: Nanos, engine: &Engine) -> Result<(), RecordFailure> {
        self.journal.tend(seq, time, engine)
    }

    fn close(&mut self, seq: Seq, engine: &Engine, reason: &str) -> Result<(), RecordFailure> {
        self.journal.close(seq, engine, reason)
    }
}

struct Wire(mpsc::Receiver<Event>);

impl MarketSource for Wire {
    fn poll(&mut self, out: &mut Vec<Event>, _max: usize) -> Result<SourceState, SourceFailure> {
        match self.0.try_recv() {
            Ok(event) => {
                out.push(event);
                Ok(SourceState::Ready)
            }
            Err(TryRecvError::Empty) => Ok(SourceState::Idle),
            Err(TryRecvError::Disconnected) => Ok(SourceState::Ended),
        }
    }
}

/// A venue that answers nothing.
struct Desk(Arc<Mutex<Vec<OrderRequest>>>);

impl VenuePort for Desk {
    fn send(&mut self, request: Approved<OrderRequest>, _now: Nanos) {
        self.0.lock().unwrap().push(*request);
    }

    fn poll(&mut self, _now: Nanos) -> Option<Event> {
        None
    }
}

impl Port for Desk {
    fn on_event(&mut self, _now: Nanos, _event: &Event) {}

    fn advance(&mut self, _now: Nanos) {}

    fn next_action_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    fn next_report_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    fn is_busy(&self) -> bool {
        false
    }

    fn resync(&mut self, _instrument: InstrumentId, _now: Nanos) {}
}

pub(crate) const fn account_of(request: &OrderRequest) -> AccountId {
    match *request {
        OrderRequest::New { account, .. }
        | OrderRequest::Replace { account, .. }
        | OrderRequest::Cancel { account, .. } => account,
    }
}

/// A journal whose thread is woken by every record.
pub(crate) fn at_once() -> JournalOptions {
    JournalOptions { mode: JournalMode::Durable, ..JournalOptions::default() }
}
