//! A real account as the event loop's port.

use std::collections::VecDeque;

use tercel_adapters::net::{CallDriver, ResyncHandle, Transport};
use tercel_adapters::{AccountDriver, GatewayNotice};
use tercel_core::{Approved, Event, InstrumentId, Nanos, OrderRequest};
use tercel_sim::VenuePort;

use crate::clock::Clock;
use crate::port::Port;

/// The account that the engine's own thread speaks for: profiles `inline` and `pinned`.
///
/// Requests are encoded, signed and written where they come from, without a hop. Each look of the
/// loop polls the account's sockets once.
pub struct LivePort<T, C, K> {
    driver: AccountDriver<T, C>,
    clock: K,
    ready: VecDeque<Event>,
    scratch: Vec<Event>,
    resyncs: ResyncHandle,
    readiness: Readiness,
    notices: Vec<GatewayNotice>,
    tell: Box<dyn FnMut(GatewayNotice)>,
}

impl<T, C, K> std::fmt::Debug for LivePort<T, C, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LivePort").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}

/// Whether the account has been compared with ours once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Readiness {
    was_compared: bool,
}

impl Readiness {
    /// Takes note of what people are told.
    pub(super) fn heard(&mut self, notice: &GatewayNotice) {
        self.was_compared |= matches!(notice, GatewayNotice::Reconciled { .. });
    }

    pub(super) const fn is_ready(self) -> bool {
        self.was_compared
    }
}

impl<T: Transport, C: CallDriver, K: Clock> LivePort<T, C, K> {
    /// Returns the port of an account. `tell` is given what people are to know, on the engine's
    /// thread: it must not block.
    #[must_use]
    pub fn new(
        driver: AccountDriver<T, C>,
        clock: K,
        resyncs: ResyncHandle,
        tell: Box<dyn FnMut(GatewayNotice)>,
    ) -> Self {
        Self {
            driver,
            clock,
            ready: VecDeque::new(),
            scratch: Vec::new(),
            resyncs,
            readiness: Readiness::default(),
            notices: Vec::new(),
            tell,
        }
    }

    fn pass_on(&mut self) {
        self.ready.extend(self.scratch.drain(..));
        self.driver.notices(&mut self.notices);
        for notice in self.notices.drain(..) {
            self.readiness.heard(&notice);
            (self.tell)(notice);
        }
    }
}

impl<T: Transport, C: CallDriver, K: Clock> VenuePort for LivePort<T, C, K> {
    fn send(&mut self, request: Approved<OrderRequest>, now: Nanos) {
        self.driver.send(&request, now, &mut self.scratch);
        self.pass_on();
    }

    fn poll(&mut self, _now: Nanos) -> Option<Event> {
        if self.ready.is_empty() {
            let clock = &mut self.clock;
            self.driver.poll(&mut || clock.now(), &mut self.scratch);
            self.pass_on();
        }
        self.ready.pop_front()
    }
}

impl<T: Transport, C: CallDriver, K: Clock> Port for LivePort<T, C, K> {
    fn on_event(&mut self, _now: Nanos, _event: &Event) {}

    fn advance(&mut self, _now: Nanos) {}

    fn next_action_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    /// A socket has to be asked.
    fn next_report_at(&self) -> Nanos {
        Nanos(i64::MIN)
    }

    fn is_busy(&self) -> bool {
        self.driver.is_busy()
    }

    fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    fn reconcile(&mut self) -> bool {
        let is_begun = self.driver.reconcile(self.clock.now(), &mut self.scratch);
        self.pass_on();
        is_begun
    }

    fn resync(&mut self, instrument: InstrumentId, _now: Nanos) {
        self.resyncs.ask(instrument);
    }
}
