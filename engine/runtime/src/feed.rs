//! A thread that reads a source and feeds a ring: profiles `pinned` and `shared`.

use std::sync::{Arc, OnceLock};

use tercel_core::{Event, VenueId};

use crate::affinity::{PinError, pin_current_thread};
use crate::control::Control;
use crate::idle::{Idle, IdleStrategy, Waker};
use crate::market_sender::MarketSender;
use crate::ring::{Receiver, RingCounters, Sender, ring};
use crate::source::{MarketSource, SourceFailure, SourceState};

/// How a feed thread works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedOptions {
    /// How many events the ring holds; positive.
    pub capacity: usize,
    /// What happens when it is full.
    pub overflow: Overflow,
    /// What the thread does while the source or the ring's other end has it wait.
    pub idle: IdleStrategy,
    /// The core that it stays on.
    pub core: Option<usize>,
}

/// What happens when the ring is full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Overflow {
    /// The source waits: recorded data can.
    Wait,
    /// Events are dropped and counted and their books told stale, as live data demands. Holds the
    /// venue of each instrument.
    Gap(Vec<VenueId>),
}

/// The engine's end of a feed.
#[derive(Debug)]
pub struct RingSource {
    ring: Receiver<Event>,
    failure: Arc<OnceLock<SourceFailure>>,
}

impl RingSource {
    /// Returns the engine's end of a ring whose other end tells its failure here.
    pub(crate) const fn new(ring: Receiver<Event>, failure: Arc<OnceLock<SourceFailure>>) -> Self {
        Self { ring, failure }
    }

    /// Returns the counts of the ring.
    #[must_use]
    pub const fn counters(&self) -> &Arc<RingCounters> {
        self.ring.counters()
    }
}

impl MarketSource for RingSource {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        // Asked first: what is pushed between the two looks is found by the next poll.
        let is_over = self.ring.is_over();
        if self.ring.drain(out, max) > 0 {
            return Ok(SourceState::Ready);
        }
        match self.failure.get() {
            Some(failure) if is_over => Err(failure.clone()),
            _ if is_over => Ok(SourceState::Ended),
            _ => Ok(SourceState::Idle),
        }
    }

    fn has_more(&self) -> bool {
        self.ring.has_any() || self.ring.is_over()
    }
}

/// A feed thread. It ends with its source, or soon after the engine has ended.
#[derive(Debug)]
pub struct Feed {
    thread: std::thread::JoinHandle<Option<PinError>>,
}

impl Feed {
    /// Starts a thread that builds a source and feeds it to the returned one; also wakes the
    /// engine thread that `control` belongs to.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn spawn<S: MarketSource>(
        options: FeedOptions,
        control: &Control,
        build: impl FnOnce() -> Result<S, SourceFailure> + Send + 'static,
    ) -> std::io::Result<(Self, RingSource)> {
        let (sender, receiver) = ring(options.capacity);
        let failure = Arc::new(OnceLock::new());
        let source = RingSource::new(receiver, Arc::clone(&failure));
        control.watch_ring(Arc::clone(source.counters()));
        let waker = Arc::clone(control.waker());
        let thread =
            std::thread::Builder::new().name("tercel-feed".to_owned()).spawn(move || {
                // Without its core the feed is slower, not wrong: the reason is told at the end.
                let pin = options.core.and_then(|core| pin_current_thread(core).err());
                let outlet = match options.overflow {
                    Overflow::Wait => Outlet::Waiting(sender),
                    Overflow::Gap(venues) => Outlet::Dropping(MarketSender::new(sender, venues)),
                };
                let idle = Idle::new(options.idle);
                let fed =
                    build().and_then(|source| Pump { outlet, idle, waker: &waker }.run(source));
                if let Err(error) = fed {
                    let _ = failure.set(error);
                }
                waker.wake();
                pin
            })?;
        Ok((Self { thread }, source))
    }

    /// Waits for the thread's end; to be called after the engine's. Returns why it was not pinned,
    /// if it should have been.
    ///
    /// # Panics
    ///
    /// If the thread has panicked.
    #[must_use]
    pub fn join(self) -> Option<PinError> {
        self.thread.join().expect("a feed thread does not panic")
    }
}

enum Outlet {
    Waiting(Sender<Event>),
    Dropping(MarketSender),
}

struct Pump<'a> {
    outlet: Outlet,
    idle: Idle,
    waker: &'a Waker,
}

/// Events between two wake-ups of the engine.
const BATCH: usize = 256;

impl Pump<'_> {
    fn run(mut self, mut source: impl MarketSource) -> Result<(), SourceFailure> {
        let mut events = Vec::with_capacity(BATCH);
        while !self.is_closed() {
            let state = source.poll(&mut events, BATCH);
            for event in events.drain(..) {
                if !self.send(event) {
                    return Ok(());
                }
            }
            self.waker.wake();
            match state? {
                SourceState::Ready => self.idle.reset(),
                SourceState::Idle => self.idle.wait(),
                SourceState::Ended => break,
            }
            if let Outlet::Dropping(market) = &mut self.outlet {
                market.tell_gaps();
            }
        }
        self.tell_last_gaps();
        Ok(())
    }

    /// Returns whether there is anybody to send to.
    fn send(&mut self, event: Event) -> bool {
        match &mut self.outlet {
            Outlet::Dropping(market) => {
                market.send(event);
                true
            }
            Outlet::Waiting(ring) => {
                if let Err(event) = ring.push(event) {
                    self.waker.wake();
                    return ring.push_waiting(event, &mut self.idle, || false).is_ok();
                }
                true
            }
        }
    }

    fn tell_last_gaps(&mut self) {
        if let Outlet::Dropping(market) = &mut self.outlet {
            self.idle.reset();
            while !market.tell_gaps() && !market.is_closed() {
                self.waker.wake();
                self.idle.wait();
            }
        }
    }

    fn is_closed(&self) -> bool {
        match &self.outlet {
            Outlet::Waiting(ring) => ring.is_closed(),
            Outlet::Dropping(market) => market.is_closed(),
        }
    }
}
