//! The one way into the engine and out of it: handle, record, send.
//!
//! Nothing leaves before it is recorded. While recording fails nothing but cancels leaves, the
//! engine is kept halted, and it is told of each request that was not sent.

use std::collections::VecDeque;

#[cfg(feature = "sabotage")]
use tercel_core::sabotage;
use tercel_core::{
    Approved, ClientOrderId, Command, Effect, Event, ExecutionReport, Nanos, OrderRequest,
    RejectReason, ReportKind, Scope, Seq, TradingState,
};
use tercel_crash::{Point, point};
use tercel_sim::Observer;
use tercel_store::journal::Sent;

use super::EventLoop;
use crate::clock::Clock;
use crate::port::Port;
use crate::recorder::{RecordFailure, Recorder, Ticket};
use crate::source::MarketSource;

/// What stands between the engine's wishes and the port.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Why nothing but cancels leaves, while that is so.
    pub(super) failure: Option<RecordFailure>,
    /// Requests that wait until their records are durable, oldest first.
    held: VecDeque<Held>,
    /// Requests that were not sent and of which the engine is to be told.
    unsent: VecDeque<OrderRequest>,
}

#[derive(Debug)]
struct Held {
    ticket: Ticket,
    request: Approved<OrderRequest>,
    stamps: Option<Stamps>,
}

/// When what happened to an event on its way to a request; known where the recorder wants to know.
#[derive(Clone, Copy, Debug)]
struct Stamps {
    seq: Seq,
    taken_at: Nanos,
    decided_at: Nanos,
    recorded_at: Nanos,
}

impl Stamps {
    /// Returns what is recorded of a request that left at `sent_at`.
    fn sent(&self, order: ClientOrderId, sent_at: Nanos) -> Sent {
        // The loop's time may be held ahead of its clock.
        let since = |at: Nanos| u64::try_from(at.since(self.taken_at)).unwrap_or(0);
        Sent {
            seq: self.seq,
            order,
            taken_at: self.taken_at,
            decided_ns: since(self.decided_at),
            recorded_ns: since(self.recorded_at),
            sent_ns: since(sent_at),
        }
    }
}

impl Gate {
    /// Returns how many requests wait for their records.
    pub(super) fn n_held(&self) -> usize {
        self.held.len()
    }

    /// Returns whether something of this order waits, which whatever follows must not overtake.
    fn is_holding(&self, request: &OrderRequest) -> bool {
        self.held.iter().any(|held| held.request.id() == request.id())
    }

    /// Takes a request that may not leave. Returns it if it may after all: a cancel of an order that
    /// is at the venue, for it shrinks what is at risk.
    fn keep_back(&mut self, request: Approved<OrderRequest>) -> Option<Approved<OrderRequest>> {
        #[cfg(feature = "sabotage")]
        if sabotage::is_planted(sabotage::Bug::FailureIsIgnored) {
            return Some(request);
        }
        let is_new = |other: &OrderRequest| matches!(other, OrderRequest::New { .. });
        // An order that never left ends with its refusal; whatever was to change it is void.
        if self.unsent.iter().any(|unsent| is_new(unsent) && unsent.id() == request.id()) {
            return None;
        }
        if matches!(*request, OrderRequest::Cancel { .. }) {
            return Some(request);
        }
        self.unsent.push_back(*request);
        None
    }
}

impl<C: Clock, P: Port, R: Recorder, O: Observer, S: MarketSource> EventLoop<C, P, R, O, S> {
    /// Gives the engine an event; after a failure to record also what follows from that.
    pub(super) fn handle(&mut self, event: &Event) {
        self.step(event);
        if self.gate.failure.is_some() {
            self.stay_halted();
        }
    }

    /// Lets the recorder look after itself, and requests leave whose records have become durable.
    pub(super) fn tend(&mut self) {
        match self.parts.recorder.tend(self.seq, self.time, &self.parts.engine) {
            // The engine stays halted: to trade again is a decision, not a consequence.
            Ok(()) => self.gate.failure = None,
            Err(failure) => {
                self.fail(failure);
                self.stay_halted();
            }
        }
        while let Some(held) = self.gate.held.front()
            && self.parts.recorder.may_leave(&held.request, held.ticket)
        {
            let (request, stamps) = (held.request, held.stamps);
            self.gate.held.pop_front();
            if self.is_killed(&request) {
                self.take_back(&request);
            } else {
                self.leave(request, stamps);
            }
        }
    }

    /// Returns whether a request that waited would start or enlarge what has been killed meanwhile.
    fn is_killed(&self, request: &OrderRequest) -> bool {
        let state = self.parts.engine.state();
        let (false, Some(order)) =
            (matches!(request, OrderRequest::Cancel { .. }), state.orders.get(request.id()))
        else {
            return false;
        };
        state.halted_by(order.strategy, order.closes()).is_some()
    }

    /// Tells the engine that a request which waited was not sent. What waits behind a new order is void.
    #[cold]
    fn take_back(&mut self, request: &OrderRequest) {
        if matches!(request, OrderRequest::New { .. }) {
            self.gate.held.retain(|held| held.request.id() != request.id());
        }
        self.handle(&Event::Execution(refusal(request, self.time)));
    }

    /// One call of the engine: handle, record, send.
    fn step(&mut self, event: &Event) {
        self.seq.0 += 1;
        // A market event happens when it was received, not when its turn came: then the run can be
        // executed again from the market data and the journal of everything else.
        self.now = self.now.max(match event {
            Event::Market(market) => market.received_at,
            _ => self.time,
        });
        let parts = &mut self.parts;
        parts.engine.handle(self.seq, self.now, event, &mut self.effects);
        point(Point::EventHandled);
        let decided_at = self.decided_at();
        let parts = &mut self.parts;
        let recorded = parts.recorder.record(self.seq, self.now, event, self.effects.as_slice());
        point(Point::EventRecorded);
        let ticket = recorded.unwrap_or_else(|failure| {
            self.fail(failure);
            Ticket::default()
        });
        if let Event::Execution(report) = event {
            self.parts.observer.on_report(self.now, report, &self.parts.engine);
        }
        if !self.effects.is_empty() {
            self.send(ticket, decided_at);
        }
    }

    /// Looks at the clock if there is something to send and somebody wants to know when it left. In a
    /// replay nothing takes time.
    #[inline]
    fn decided_at(&mut self) -> Option<Nanos> {
        let parts = &mut self.parts;
        let mut effects = self.effects.as_slice().iter();
        let is_timed = effects.any(|effect| matches!(effect, Effect::Send(_)))
            && parts.recorder.keeps_times()
            && !parts.clock.is_replay();
        is_timed.then(|| parts.clock.now())
    }

    #[inline(never)]
    fn send(&mut self, ticket: Ticket, decided_at: Option<Nanos>) {
        let stamps = decided_at.map(|decided_at| Stamps {
            seq: self.seq,
            taken_at: self.time,
            decided_at,
            recorded_at: self.parts.clock.now(),
        });
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.as_slice() {
            match effect {
                Effect::Send(request) => self.request(*request, ticket, stamps),
                Effect::Resync(instrument) => self.parts.port.resync(*instrument, self.time),
                // For the record and for who watches.
                Effect::Remember { .. }
                | Effect::SetTimer { .. }
                | Effect::CancelTimer { .. }
                | Effect::Notice(_) => {}
            }
        }
        let parts = &mut self.parts;
        parts.observer.on_effects(self.seq, self.now, effects.as_slice(), &parts.engine);
        effects.clear();
        self.effects = effects;
    }

    fn request(&mut self, request: Approved<OrderRequest>, ticket: Ticket, stamps: Option<Stamps>) {
        if self.gate.failure.is_some() {
            if let Some(cancel) = self.gate.keep_back(request) {
                self.leave(cancel, stamps);
            }
            return;
        }
        let is_cancel = matches!(*request, OrderRequest::Cancel { .. });
        let may_leave = is_cancel || self.parts.recorder.may_leave(&request, ticket);
        if may_leave && !self.gate.is_holding(&request) {
            self.leave(request, stamps);
        } else {
            self.gate.held.push_back(Held { ticket, request, stamps });
        }
    }

    fn leave(&mut self, request: Approved<OrderRequest>, stamps: Option<Stamps>) {
        self.summary.n_requests += 1;
        point(Point::RequestBegin);
        self.parts.port.send(request, self.time);
        point(Point::RequestEnd);
        #[cfg(feature = "sabotage")]
        if sabotage::is_planted(sabotage::Bug::RequestIsSentTwice) {
            self.parts.port.send(request, self.time);
        }
        if let Some(stamps) = stamps {
            let sent_at = self.parts.clock.now();
            self.parts.recorder.sent(&stamps.sent(request.id(), sent_at));
        }
    }

    /// Takes note that recording fails: what waits for its record will not leave.
    #[cold]
    pub(super) fn fail(&mut self, failure: RecordFailure) {
        self.gate.failure = Some(failure);
        while let Some(held) = self.gate.held.pop_front() {
            if let Some(cancel) = self.gate.keep_back(held.request) {
                self.leave(cancel, held.stamps);
            }
        }
    }

    /// Keeps the engine halted and tells it what was not sent.
    #[cold]
    fn stay_halted(&mut self) {
        // Again after each command that would let it trade: without a record it may not.
        if self.parts.engine.state().scope.state != TradingState::Halted {
            self.step(&Event::Command(Command::Halt(Scope::Engine)));
        }
        // Ends, because a halted engine gives no new orders to be refused.
        while let Some(request) = self.gate.unsent.pop_front() {
            self.step(&Event::Execution(refusal(&request, self.time)));
        }
    }
}

/// Returns the report of a request that was not sent.
fn refusal(request: &OrderRequest, now: Nanos) -> ExecutionReport {
    let (order, account, instrument, kind) = match *request {
        OrderRequest::New { id, account, spec, .. } => {
            (id, account, spec.instrument, ReportKind::Rejected(RejectReason::Other))
        }
        OrderRequest::Replace { id, account, instrument, .. } => {
            (id, account, instrument, ReportKind::ReplaceRejected(RejectReason::Other))
        }
        OrderRequest::Cancel { id, account, instrument } => {
            (id, account, instrument, ReportKind::CancelRejected(RejectReason::Other))
        }
    };
    ExecutionReport { order, account, instrument, venue_at: now, received_at: now, kind }
}
