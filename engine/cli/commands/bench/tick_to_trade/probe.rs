//! Where the time goes: wrappers around the socket, the port and the strategy that look at a clock.
//!
//! They are in place only in rounds that measure stages: each look at the clock takes time itself,
//! so the whole way is measured without them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::time::Instant;

use hdrhistogram::Histogram;
use tercel_adapters::net::{Arrival, NotSent, Transport, TransportState};
use tercel_core::{
    Approved, Event, InstrumentId, Intents, Nanos, OrderRequest, Strategy, StrategyEvent,
    StrategyFault, View,
};
use tercel_runtime::Port;
use tercel_sim::VenuePort;

use super::{histogram, nanos};

/// A part of the way from a message to its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Read,
    Decode,
    Ring,
    Book,
    Script,
    Risk,
    Encode,
    Write,
}

impl Stage {
    pub(super) const ALL: [Self; 8] = [
        Self::Read,
        Self::Decode,
        Self::Ring,
        Self::Book,
        Self::Script,
        Self::Risk,
        Self::Encode,
        Self::Write,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Ring => "ring",
            Self::Book => "book",
            Self::Script => "script",
            Self::Risk => "risk + record",
            Self::Encode => "encode + sign",
            Self::Write => "write",
        }
    }

    /// Says what is in it.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Read => {
                "a poll that finds a message, until it is whole: system call, frame; every message"
            }
            Self::Decode => "bytes to events in ticks, the book's sequence checked; every message",
            Self::Ring => {
                "from decoded until the engine takes the first event; inline: its loop, no ring"
            }
            Self::Book => "first event of the message until the script is called: book, bars, view",
            Self::Script => "the call that orders, in and out of the machine",
            Self::Risk => {
                "script's return until the port has the order: checks, order table, journal"
            }
            Self::Encode => "gateway, budgets, words and HMAC, until the socket is given the text",
            Self::Write => "frame, mask and system call, in which loopback delivers to the peer",
        }
    }
}

/// What was measured of each stage, and the stamps that are needed for it.
#[derive(Debug)]
pub(super) struct Probe {
    base: Instant,
    times: Mutex<Vec<Histogram<u64>>>,
    /// The receive time of the last message decoded, and when that was done.
    decoded: (AtomicU64, AtomicU64),
    /// When the engine took the first event of the message at hand.
    taken_ns: AtomicU64,
    scripted_ns: AtomicU64,
    ported_ns: AtomicU64,
}

impl Probe {
    pub(super) fn new() -> Self {
        Self {
            base: Instant::now(),
            times: Mutex::new(Stage::ALL.map(|_| histogram()).into()),
            decoded: Default::default(),
            taken_ns: AtomicU64::new(0),
            scripted_ns: AtomicU64::new(0),
            ported_ns: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        nanos(self.base.elapsed())
    }

    fn add(&self, stage: Stage, from_ns: u64, to_ns: u64) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = Stage::ALL.iter().position(|own| *own == stage) {
            times[own].saturating_record(to_ns.saturating_sub(from_ns));
        }
    }

    /// Forgets what was measured while everything warmed up.
    pub(super) fn clear(&self) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.iter_mut().for_each(Histogram::reset);
    }

    /// Returns the times of all stages, in their order.
    pub(super) fn times(&self) -> Vec<Histogram<u64>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn stamp(place: &AtomicU64, ns: u64) {
    place.store(ns, Ordering::Release);
}

fn bits(at: Nanos) -> u64 {
    at.0.unsigned_abs()
}

/// Which socket a transport is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Carries {
    Market,
    Orders,
}

/// A transport that is watched, or not.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    carries: Carries,
    probe: Option<Arc<Probe>>,
}

impl<T> Watched<T> {
    pub(super) const fn new(inner: T, carries: Carries, probe: Option<Arc<Probe>>) -> Self {
        Self { inner, carries, probe }
    }
}

impl<T: Transport> Transport for Watched<T> {
    fn connect(&mut self, address: &str, now: Nanos) {
        self.inner.connect(address, now);
    }

    fn state(&self) -> &TransportState {
        self.inner.state()
    }

    #[inline]
    fn poll(
        &mut self,
        max: usize,
        clock: &mut dyn FnMut() -> Nanos,
        arrived: &mut dyn FnMut(Arrival<'_>, Nanos),
    ) -> usize {
        let (Some(probe), Carries::Market) = (&self.probe, self.carries) else {
            return self.inner.poll(max, clock, arrived);
        };
        let mut last_ns = probe.now();
        self.inner.poll(max, clock, &mut |arrival, at| {
            let whole_ns = probe.now();
            arrived(arrival, at);
            let done_ns = probe.now();
            probe.add(Stage::Read, last_ns, whole_ns);
            probe.add(Stage::Decode, whole_ns, done_ns);
            stamp(&probe.decoded.1, done_ns);
            stamp(&probe.decoded.0, bits(at));
            last_ns = probe.now();
        })
    }

    #[inline]
    fn send(&mut self, text: &[u8], now: Nanos) -> Result<(), NotSent> {
        let (Some(probe), Carries::Orders) = (&self.probe, self.carries) else {
            return self.inner.send(text, now);
        };
        let begun_ns = probe.now();
        let sent = self.inner.send(text, now);
        let done_ns = probe.now();
        // Nought for what is no order, such as a question.
        let ported_ns = probe.ported_ns.swap(0, Ordering::AcqRel);
        if ported_ns > 0 {
            probe.add(Stage::Encode, ported_ns, begun_ns);
            probe.add(Stage::Write, begun_ns, done_ns);
        }
        sent
    }

    fn ping(&mut self, now: Nanos) -> Result<(), NotSent> {
        self.inner.ping(now)
    }

    fn close(&mut self, now: Nanos) {
        self.inner.close(now);
    }

    fn wake_with(&mut self, waker: &Waker) {
        self.inner.wake_with(waker);
    }
}

/// A port that is watched.
#[derive(Debug)]
pub(super) struct WatchedPort<P> {
    inner: P,
    probe: Option<Arc<Probe>>,
    /// The receive time of the message at hand.
    message: u64,
}

impl<P> WatchedPort<P> {
    pub(super) const fn new(inner: P, probe: Option<Arc<Probe>>) -> Self {
        Self { inner, probe, message: 0 }
    }
}

impl<P: VenuePort> VenuePort for WatchedPort<P> {
    #[inline]
    fn send(&mut self, request: Approved<OrderRequest>, now: Nanos) {
        if let Some(probe) = &self.probe {
            let ns = probe.now();
            probe.add(Stage::Risk, probe.scripted_ns.load(Ordering::Acquire), ns);
            stamp(&probe.ported_ns, probe.now());
        }
        self.inner.send(request, now);
    }

    fn poll(&mut self, now: Nanos) -> Option<Event> {
        self.inner.poll(now)
    }
}

impl<P: Port> Port for WatchedPort<P> {
    #[inline]
    fn on_event(&mut self, now: Nanos, event: &Event) {
        if let (Some(probe), Event::Market(market)) = (&self.probe, event) {
            let message = bits(market.received_at);
            if message != self.message {
                self.message = message;
                let ns = probe.now();
                // Where another message has been decoded meanwhile its time is not known.
                if probe.decoded.0.load(Ordering::Acquire) == message {
                    probe.add(Stage::Ring, probe.decoded.1.load(Ordering::Acquire), ns);
                }
                stamp(&probe.taken_ns, probe.now());
            }
        }
        self.inner.on_event(now, event);
    }

    fn advance(&mut self, now: Nanos) {
        self.inner.advance(now);
    }

    fn next_action_at(&self) -> Nanos {
        self.inner.next_action_at()
    }

    fn next_report_at(&self) -> Nanos {
        self.inner.next_report_at()
    }

    fn is_busy(&self) -> bool {
        self.inner.is_busy()
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn has_more(&self) -> bool {
        self.inner.has_more()
    }

    fn resync(&mut self, instrument: InstrumentId, now: Nanos) {
        self.inner.resync(instrument, now);
    }
}

/// A strategy that is watched.
pub(super) struct WatchedStrategy {
    inner: Box<dyn Strategy>,
    probe: Arc<Probe>,
}

impl WatchedStrategy {
    pub(super) fn new(inner: Box<dyn Strategy>, probe: Arc<Probe>) -> Self {
        Self { inner, probe }
    }
}

impl Strategy for WatchedStrategy {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let begun_ns = self.probe.now();
        let outcome = self.inner.on_event(event, view, intents);
        if !intents.is_empty() {
            let done_ns = self.probe.now();
            let taken_ns = self.probe.taken_ns.load(Ordering::Acquire);
            self.probe.add(Stage::Book, taken_ns, begun_ns);
            self.probe.add(Stage::Script, begun_ns, done_ns);
            stamp(&self.probe.scripted_ns, self.probe.now());
        }
        outcome
    }
}
