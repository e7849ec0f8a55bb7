//! What stands around the engine in its loop, and what all of it tells the judge.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use tercel_core::{
    Approved, ClientOrderId, Effect, Engine, Event, InstrumentId, MarketData, MarketEvent, Nanos,
    OrderRequest, Seq,
};
use tercel_runtime::{
    JournalRecorder, MarketSink, MarketSource, Port, Receiver, RecordFailure, RecordProgress,
    Recorder, SourceFailure, SourceState, Ticket,
};
use tercel_sim::VenuePort;
use tercel_store::journal::{Record, Sent};
use tercel_store::market_tape::Taped;

use crate::fuse::Fuse;
use crate::invariant::{Invariant, Violation};
use crate::net::Net;
use crate::times::Times;

/// What is shared by all that stands around the engine.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) fuse: Fuse,
    /// What went through the recorder since the judge last looked.
    pub(crate) entries: RefCell<Vec<Entry>>,
    /// Calls of the native strategy since then: for what, and of which instrument.
    pub(crate) calls: RefCell<Vec<Call>>,
    /// What left since then.
    pub(crate) sent: RefCell<Vec<OrderRequest>>,
    /// Requests that were recorded and have not left, with their tickets.
    recorded: RefCell<Vec<(OrderRequest, Ticket)>>,
    /// New orders that have left.
    left: RefCell<BTreeSet<ClientOrderId>>,
    /// Books of which a snapshot was asked for.
    pub(crate) resyncs: RefCell<Vec<InstrumentId>>,
    /// The first promise that was seen broken.
    pub(crate) broken: RefCell<Option<Violation>>,
    /// Whether the venue may say something in this cycle.
    pub(crate) may_speak: Cell<bool>,
}

/// Something that went into the engine.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: Seq,
    pub(crate) now: Nanos,
    pub(crate) event: Event,
    pub(crate) effects: Vec<Effect>,
    /// Why it was not recorded at once, if so.
    pub(crate) failure: Option<String>,
    /// Calls of the native strategy because of it.
    pub(crate) calls: Vec<Call>,
}

impl Entry {
    /// Returns whether it is for the journal: all but market data that led to nothing.
    pub(crate) fn is_journaled(&self) -> bool {
        match &self.event {
            Event::Market(market) => {
                !self.effects.is_empty() || matches!(market.data, MarketData::Funding { .. })
            }
            _ => true,
        }
    }
}

/// A call of the native strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// For a level of an instrument, before it is known whether its list makes sense.
    Level(InstrumentId),
    /// For other market data of an instrument.
    Market(InstrumentId),
    /// For something else.
    Other,
}

impl Desk {
    pub(crate) fn new(fuse: Fuse) -> Self {
        Self {
            fuse,
            entries: RefCell::default(),
            calls: RefCell::default(),
            sent: RefCell::default(),
            recorded: RefCell::default(),
            left: RefCell::default(),
            resyncs: RefCell::default(),
            broken: RefCell::default(),
            may_speak: Cell::new(false),
        }
    }

    /// Forgets what a process that is gone had in its hands.
    pub(crate) fn clear(&self) {
        self.entries.borrow_mut().clear();
        self.calls.borrow_mut().clear();
        self.sent.borrow_mut().clear();
        self.recorded.borrow_mut().clear();
        self.left.borrow_mut().clear();
        self.resyncs.borrow_mut().clear();
    }

    fn breaks(&self, violation: Violation) {
        self.broken.borrow_mut().get_or_insert(violation);
    }

    /// Takes what leaves: it must have been recorded. That a new order leaves once only is for the venue
    /// to say, to which the copy goes.
    fn leaves(&self, request: &OrderRequest) {
        let mut recorded = self.recorded.borrow_mut();
        let place = recorded.iter().position(|(own, _)| own == request);
        let is_new = matches!(request, OrderRequest::New { .. });
        let is_copy = is_new && !self.left.borrow_mut().insert(request.id());
        if let Some(place) = place {
            recorded.remove(place);
        } else if !is_copy && !matches!(request, OrderRequest::Cancel { .. }) {
            self.breaks(Violation::new(
                Invariant::RecordedFirst,
                "a record of what is sent",
                format!("none of {request:?}"),
            ));
        }
        self.sent.borrow_mut().push(*request);
    }
}

/// The real recorder, watched.
pub(crate) struct Witness {
    pub(crate) desk: Rc<Desk>,
    pub(crate) inner: JournalRecorder<Tape, Times>,
}

fn dead() -> RecordFailure {
    RecordFailure("the process is dead".to_owned())
}

impl Recorder for Witness {
    fn record(
        &mut self,
        seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        let calls = std::mem::take(&mut *self.desk.calls.borrow_mut());
        if !self.desk.fuse.pass() {
            return Err(dead());
        }
        let recorded = self.inner.record(seq, now, event, effects);
        let failure = recorded.as_ref().err().map(ToString::to_string);
        let (event, effects) = (event.clone(), effects.to_vec());
        if let Ok(ticket) = &recorded {
            let sends = effects.iter().filter_map(|effect| match effect {
                Effect::Send(request) => Some((**request, *ticket)),
                _ => None,
            });
            self.desk.recorded.borrow_mut().extend(sends);
        }
        let entry = Entry { seq, now, event, effects, failure, calls };
        self.desk.entries.borrow_mut().push(entry);
        if self.desk.fuse.pass() { recorded } else { Err(dead()) }
    }

    fn keep(&mut self, record: &Record) -> Result<(), RecordFailure> {
        if self.desk.fuse.pass() { self.inner.keep(record) } else { Err(dead()) }
    }

    fn keeps_times(&self) -> bool {
        self.inner.keeps_times()
    }

    fn sent(&mut self, sent: &Sent) {
        if self.desk.fuse.is_alive() {
            self.inner.sent(sent);
        }
    }

    fn may_leave(&self, request: &OrderRequest, ticket: Ticket) -> bool {
        self.desk.fuse.is_alive() && self.inner.may_leave(request, ticket)
    }

    fn tend(&mut self, seq: Seq, time: Nanos, engine: &Engine) -> Result<(), RecordFailure> {
        if self.desk.fuse.pass() { self.inner.tend(seq, time, engine) } else { Err(dead()) }
    }

    fn progress(&self) -> RecordProgress {
        self.inner.progress()
    }

    fn close(&mut self, seq: Seq, engine: &Engine, reason: &str) -> Result<(), RecordFailure> {
        self.inner.close(seq, engine, reason)
    }
}

/// The tape of one process: as a file, it outlives it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(pub(crate) Rc<RefCell<Vec<Taped>>>);

impl MarketSink for Tape {
    fn take(&mut self, _seq: Seq, event: &MarketEvent) {
        let mut items = self.0.borrow_mut();
        let index = items.len() as u64;
        items.push(Taped::Event { index, event: *event });
    }

    fn close(&mut self) -> Result<(), RecordFailure> {
        Ok(())
    }
}

/// The engine's door to the venue.
pub(crate) struct Door {
    pub(crate) desk: Rc<Desk>,
    pub(crate) net: Rc<RefCell<Net>>,
    pub(crate) times: Times,
}

impl VenuePort for Door {
    fn send(&mut self, request: Approved<OrderRequest>, _now: Nanos) {
        if self.desk.fuse.pass() {
            self.desk.leaves(&request);
            self.net.borrow_mut().send(&request, self.times.at());
            self.desk.fuse.pass();
        }
    }

    fn poll(&mut self, now: Nanos) -> Option<Event> {
        // One report a cycle, so that the judge sees the engine after each.
        if !self.desk.may_speak.replace(false) || !self.desk.fuse.is_alive() {
            return None;
        }
        self.net.borrow_mut().deliver(self.times.at(), now)
    }
}

impl Port for Door {
    fn on_event(&mut self, _now: Nanos, _event: &Event) {}

    fn advance(&mut self, _now: Nanos) {}

    fn next_action_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    fn next_report_at(&self) -> Nanos {
        Nanos(i64::MIN)
    }

    fn is_busy(&self) -> bool {
        false
    }

    fn resync(&mut self, instrument: InstrumentId, _now: Nanos) {
        if self.desk.fuse.is_alive() {
            self.desk.resyncs.borrow_mut().push(instrument);
        }
    }
}

/// The engine's end of the market's ring.
pub(crate) struct Wire(pub(crate) Receiver<Event>);

impl MarketSource for Wire {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        let n = self.0.drain(out, max);
        Ok(if n > 0 { SourceState::Ready } else { SourceState::Idle })
    }
}
