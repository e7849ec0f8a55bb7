//! A loop that a test writes the story of: each step moves the clock, sends a command, lets the
//! recorder fail, or gives a market event; everything that happens is in one log.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tercel_core::{
    AccountId, Approved, ClientOrderId, Command, Effect, Engine, EngineConfig, Event,
    ExecutionReport, InstrumentId, Nanos, OrderRequest, OrderSpec, Price, Quantity, ReportKind,
    Seq, Side,
};
use tercel_runtime::{
    Clock, Control, Ending, EventLoop, Handle, IdleStrategy, LoopOptions, MarketSource, Parts,
    Port, RecordFailure, Recorder, SourceFailure, SourceState, Ticket, control,
};
use tercel_sim::VenuePort;
use tercel_store::journal::Record;
use tercel_testkit::{Strings, account, engine_config, linear, strategy};

/// A step of the story.
pub(crate) enum Step {
    /// The clock shows this from now on.
    Clock(i64),
    /// A market event arrives.
    Event(Event),
    /// Somebody sends a command.
    Command(Command),
    /// The recorder's disk fails or works again.
    Disk(Result<(), &'static str>),
    /// Everything recorded so far becomes durable.
    Sync,
    /// The venue reports.
    Report(ExecutionReport),
    /// Something else.
    Do(Box<dyn FnOnce()>),
    /// All of these at once.
    All(Vec<Self>),
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Happened {
    Recorded { now: i64, event: Event, n_sends: usize },
    NotRecorded { now: i64, event: Event },
    Sent(OrderRequest),
}

/// What story, loop, port and recorder share.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) time: Rc<Cell<i64>>,
    pub(crate) log: Rc<RefCell<Vec<Happened>>>,
    disk: Rc<Cell<Result<(), &'static str>>>,
    n_recorded: Rc<Cell<u64>>,
    n_durable: Rc<Cell<u64>>,
    reports: Rc<RefCell<VecDeque<ExecutionReport>>>,
    pub(crate) puppet: Strings,
    pub(crate) handle: Handle,
    control: Rc<RefCell<Option<Control>>>,
    /// Accounts whose orders wait until they are durable.
    pub(crate) durable: Vec<AccountId>,
    /// Whether the venue lets strategies begin.
    pub(crate) is_ready: Rc<Cell<bool>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (handle, control) = control(16);
        Self {
            time: Rc::default(),
            log: Rc::default(),
            disk: Rc::new(Cell::new(Ok(()))),
            n_recorded: Rc::default(),
            n_durable: Rc::default(),
            reports: Rc::default(),
            puppet: Strings::default(),
            handle,
            control: Rc::new(RefCell::new(Some(control))),
            durable: Vec::new(),
            is_ready: Rc::new(Cell::new(true)),
        }
    }

    /// Runs the story to its end.
    pub(crate) fn run(&self, story: impl IntoIterator<Item = Step>) -> (Ending, Engine) {
        self.run_with(engine(&self.puppet), story)
    }

    /// Runs the story of this engine to its end.
    pub(crate) fn run_with(
        &self,
        engine: Engine,
        story: impl IntoIterator<Item = Step>,
    ) -> (Ending, Engine) {
        let parts = Parts {
            engine,
            clock: Hands(self.clone()),
            port: Desk(self.clone()),
            recorder: Book(self.clone()),
            observer: (),
            sources: vec![Story { world: self.clone(), steps: story.into_iter().collect() }],
        };
        let options = LoopOptions {
            idle: IdleStrategy::SpinThenYield { spins: 1 },
            drain: std::time::Duration::ZERO,
            ..LoopOptions::default()
        };
        let control = self.control.borrow_mut().take().expect("a world runs once");
        let mut running = EventLoop::new(parts, control, options);
        let ending = running.run();
        (ending, running.into_parts().engine)
    }

    fn take(&self, step: Step, out: &mut Vec<Event>) {
        match step {
            Step::Clock(at) => self.time.set(at),
            Step::Event(event) => out.push(event),
            Step::Command(command) => self.handle.send(command).expect("there is room"),
            Step::Disk(state) => self.disk.set(state),
            Step::Sync => self.n_durable.set(self.n_recorded.get()),
            Step::Report(report) => self.reports.borrow_mut().push_back(report),
            Step::Do(action) => action(),
            Step::All(steps) => steps.into_iter().for_each(|step| self.take(step, out)),
        }
    }

    /// Returns the engine's time of every event.
    pub(crate) fn nows(&self) -> Vec<i64> {
        let log = self.log.borrow();
        let nows = log.iter().filter_map(|happened| match happened {
            Happened::Recorded { now, .. } | Happened::NotRecorded { now, .. } => Some(*now),
            Happened::Sent(_) => None,
        });
        nows.collect()
    }

    /// Returns the requests that have left.
    pub(crate) fn sent(&self) -> Vec<OrderRequest> {
        let log = self.log.borrow();
        let sent = log.iter().filter_map(|happened| match happened {
            Happened::Sent(request) => Some(*request),
            _ => None,
        });
        sent.collect()
    }

    /// Returns short names of the requests that have left: `new 1`, `cancel 2`.
    pub(crate) fn names(&self) -> Vec<String> {
        let sent = self.sent();
        let names = sent.iter().map(|request| {
            let verb = match request {
                OrderRequest::New { .. } => "new",
                OrderRequest::Replace { .. } => "replace",
                OrderRequest::Cancel { .. } => "cancel",
            };
            format!("{verb} {}", request.id().counter())
        });
        names.collect()
    }
}

/// An engine of two accounts, each with a puppet on the same strings.
pub(crate) fn engine(puppet: &Strings) -> Engine {
    let config = EngineConfig {
        accounts: vec![account(), account()],
        strategies: vec![strategy(0, 1), strategy(1, 1)],
        ..engine_config(vec![linear(0)])
    };
    Engine::new(&config, vec![puppet.puppet(), puppet.puppet()])
        .expect("the configuration is valid")
}

pub(crate) fn order(counter: u64) -> ClientOrderId {
    ClientOrderId::new(1, counter)
}

pub(crate) fn buy(price: i64) -> OrderSpec {
    OrderSpec::limit(InstrumentId(0), Side::Buy, Price(price), Quantity(1))
}

pub(crate) fn level(at: i64, side: Side, price: i64) -> Step {
    Step::Event(tercel_testkit::level(0, at, side, price, 5))
}

/// A book that calls the puppets.
pub(crate) fn open_book() -> [Step; 2] {
    [level(1, Side::Buy, 100), level(1, Side::Sell, 110)]
}

pub(crate) fn accepted(account: u16, counter: u64) -> Step {
    Step::Report(ExecutionReport {
        order: order(counter),
        account: AccountId(account),
        instrument: InstrumentId(0),
        venue_at: Nanos(0),
        received_at: Nanos(0),
        kind: ReportKind::Accepted { venue_order_id: counter },
    })
}

struct Story {
    world: World,
    steps: VecDeque<Step>,
}

impl MarketSource for Story {
    fn poll(&mut self, out: &mut Vec<Event>, _max: usize) -> Result<SourceState, SourceFailure> {
        let Some(step) = self.steps.pop_front() else { return Ok(SourceState::Ended) };
        self.world.take(step, out);
        Ok(SourceState::Ready)
    }
}

struct Hands(World);

impl Clock for Hands {
    fn now(&mut self) -> Nanos {
        Nanos(self.0.time.get())
    }

    fn begin(&mut self, _first: Nanos) {}

    fn horizon(&mut self) -> Nanos {
        self.now()
    }

    fn reach(&mut self, _at: Nanos) -> Nanos {
        self.now()
    }

    fn is_replay(&self) -> bool {
        false
    }
}

struct Book(World);

impl Recorder for Book {
    fn record(
        &mut self,
        _seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        let (now, event) = (now.0, event.clone());
        let mut log = self.0.log.borrow_mut();
        if let Err(why) = self.0.disk.get() {
            log.push(Happened::NotRecorded { now, event });
            return Err(RecordFailure(why.to_owned()));
        }
        let n_sends = effects.iter().filter(|effect| matches!(effect, Effect::Send(_))).count();
        log.push(Happened::Recorded { now, event, n_sends });
        self.0.n_recorded.set(self.0.n_recorded.get() + 1);
        Ok(Ticket(self.0.n_recorded.get()))
    }

    fn may_leave(&self, request: &OrderRequest, ticket: Ticket) -> bool {
        !self.0.durable.contains(&account_of(request)) || ticket.0 <= self.0.n_durable.get()
    }

    fn tend(&mut self, _seq: Seq, _time: Nanos, _engine: &Engine) -> Result<(), RecordFailure> {
        self.0.disk.get().map_err(|why| RecordFailure(why.to_owned()))
    }

    fn keep(&mut self, _record: &Record) -> Result<(), RecordFailure> {
        self.0.disk.get().map_err(|why| RecordFailure(why.to_owned()))
    }

    fn close(&mut self, _seq: Seq, _engine: &Engine, _reason: &str) -> Result<(), RecordFailure> {
        self.0.disk.get().map_err(|why| RecordFailure(why.to_owned()))
    }
}

fn account_of(request: &OrderRequest) -> AccountId {
    match *request {
        OrderRequest::New { account, .. }
        | OrderRequest::Replace { account, .. }
        | OrderRequest::Cancel { account, .. } => account,
    }
}

struct Desk(World);

impl VenuePort for Desk {
    fn send(&mut self, request: Approved<OrderRequest>, _now: Nanos) {
        self.0.log.borrow_mut().push(Happened::Sent(*request));
    }

    fn poll(&mut self, _now: Nanos) -> Option<Event> {
        self.0.reports.borrow_mut().pop_front().map(Event::Execution)
    }
}

impl Port for Desk {
    fn on_event(&mut self, _now: Nanos, _event: &Event) {}

    fn advance(&mut self, _now: Nanos) {}

    fn next_action_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    fn next_report_at(&self) -> Nanos {
        Nanos(i64::MIN)
    }

    fn is_busy(&self) -> bool {
        !self.0.reports.borrow().is_empty()
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready.get()
    }

    fn resync(&mut self, _instrument: InstrumentId, _now: Nanos) {}
}
