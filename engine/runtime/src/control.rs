//! What other threads can do to a running engine: send commands, load scripts, look, stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tercel_core::{
    Command, Engine, Nanos, Notional, Quantity, Seq, State, StateCopy, TradingState,
};

use crate::directive::Directive;
use crate::idle::Waker;
use crate::recorder::RecordProgress;
use crate::ring::{RingCounters, RingStatus};

/// Pages of orders that are copied in one look at the engine: about a tenth of a millisecond.
const PAGES_PER_STEP: usize = 16;

/// Returns both sides of the control of one engine; `capacity` commands wait at most.
#[must_use]
pub fn control(capacity: usize) -> (Handle, Control) {
    let (sender, receiver) = sync_channel(capacity.max(1));
    let shared = Arc::new(Shared::default());
    let handle = Handle { directives: sender, shared: Arc::clone(&shared) };
    (handle, Control { directives: receiver, shared })
}

/// The side of other threads. Clones control the same engine.
#[derive(Clone, Debug)]
pub struct Handle {
    directives: SyncSender<Directive>,
    shared: Arc<Shared>,
}

/// The engine's side.
#[derive(Debug)]
pub struct Control {
    directives: Receiver<Directive>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_stopping: AtomicBool,
    has_directives: AtomicBool,
    is_status_wanted: AtomicBool,
    published: Mutex<Published>,
    news: Condvar,
    rings: Mutex<Vec<Arc<RingCounters>>>,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct Published {
    /// How many have been published.
    n: u64,
    status: Option<Arc<Status>>,
    is_over: bool,
}

/// Why a command was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandRefused {
    /// As many as there is room for are waiting.
    #[error("too many commands are waiting; try again")]
    Full,
    /// The engine has ended.
    #[error("the engine has ended")]
    Ended,
    /// The engine has not come to it in time.
    #[error("the engine has not answered in time")]
    Late,
}

/// What an engine says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Number of the last event.
    pub seq: Seq,
    /// The engine's time.
    pub now: Nanos,
    /// What the engine as a whole may do.
    pub state: TradingState,
    /// Market events and news of links taken.
    pub n_market: u64,
    /// Execution reports taken.
    pub n_reports: u64,
    /// Requests sent.
    pub n_requests: u64,
    /// Orders that work.
    pub n_open_orders: u32,
    /// Equity of each account in quote.
    pub equity: Vec<Notional>,
    /// Position of the engine as a whole in each instrument.
    pub positions: Vec<Quantity>,
    /// Whether each strategy runs.
    pub is_running: Vec<bool>,
    /// The rings that feed the engine.
    pub rings: Vec<RingStatus>,
    /// Requests that wait for their records to become durable.
    pub n_held: usize,
    /// How far recording has come.
    pub recording: RecordProgress,
    /// Why nothing is recorded and no order leaves, and what to do about it, while that is so.
    pub record_failure: Option<String>,
    /// Why a source of market data gives nothing any more, if one failed.
    pub source_failure: Option<String>,
}

impl Handle {
    /// Sends a command to the engine. Does not wait.
    ///
    /// # Errors
    ///
    /// If too many are waiting, or the engine has ended.
    pub fn send(&self, command: Command) -> Result<(), CommandRefused> {
        self.direct(Directive::Command(command))
    }

    /// Asks the engine for something else than a command. Does not wait.
    ///
    /// # Errors
    ///
    /// If too many are waiting, or the engine has ended.
    pub fn direct(&self, directive: Directive) -> Result<(), CommandRefused> {
        self.directives.try_send(directive).map_err(|error| match error {
            TrySendError::Full(_) => CommandRefused::Full,
            TrySendError::Disconnected(_) => CommandRefused::Ended,
        })?;
        self.shared.has_directives.store(true, Ordering::Release);
        self.shared.waker.wake();
        Ok(())
    }

    /// Lets `look` see the engine between two events, on its own thread, and returns what it returns.
    /// The engine waits for it meanwhile: it has to be short.
    ///
    /// # Errors
    ///
    /// If too many are waiting, the engine has ended, or it has not come to it in time.
    pub fn inspect<T: Send + 'static>(
        &self,
        timeout: Duration,
        look: impl FnOnce(&Engine, &Status) -> T + Send + 'static,
    ) -> Result<T, CommandRefused> {
        let (sender, receiver) = sync_channel(1);
        let look = move |engine: &Engine, status: &Status| {
            // Nobody waits any more if this fails.
            let _ = sender.try_send(look(engine, status));
        };
        self.direct(Directive::Inspect(Box::new(look)))?;
        receiver.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => CommandRefused::Late,
            RecvTimeoutError::Disconnected => CommandRefused::Ended,
        })
    }

    /// Returns a copy of what the engine knows and its time. It is made in steps, so that the engine is
    /// not held up for long; `timeout` is for each of them.
    ///
    /// # Errors
    ///
    /// As [`Self::inspect`].
    pub fn snapshot(&self, timeout: Duration) -> Result<(State, Nanos), CommandRefused> {
        let mut copy = StateCopy::default();
        loop {
            let step = move |engine: &Engine, status: &Status| {
                if copy.advance(engine.state(), PAGES_PER_STEP) == PAGES_PER_STEP {
                    return Err(copy);
                }
                Ok((copy.finish(engine.state()), status.now))
            };
            match self.inspect(timeout, step)? {
                Ok((state, now)) => return Ok((state.into_state(), now)),
                Err(unfinished) => copy = unfinished,
            }
        }
    }

    /// Asks the engine to stop: strategies are stopped and reports under way are taken first.
    pub fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        self.shared.waker.wake();
    }

    /// Asks the engine for its status and waits for it, or returns the last one if the engine has
    /// ended. `None` if it has not answered in time or never began.
    #[must_use]
    pub fn status(&self, timeout: Duration) -> Option<Arc<Status>> {
        let deadline = Instant::now() + timeout;
        let mut published = self.shared.lock();
        let before = published.n;
        self.shared.is_status_wanted.store(true, Ordering::Release);
        self.shared.waker.wake();
        while published.n == before && !published.is_over {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.shared.news.wait_timeout(published, left);
            published = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        published.status.clone()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Published> {
        // What is behind it is replaced whole: a panic elsewhere leaves nothing half done.
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Returns what wakes the engine thread.
    #[must_use]
    pub fn waker(&self) -> &Arc<Waker> {
        &self.shared.waker
    }

    /// Adds a ring to those whose counts are in the status.
    pub fn watch_ring(&self, counters: Arc<RingCounters>) {
        self.shared.rings.lock().unwrap_or_else(PoisonError::into_inner).push(counters);
    }

    /// Returns the next directive. One load while there is none.
    #[inline]
    pub(crate) fn next_directive(&mut self) -> Option<Directive> {
        if !self.shared.has_directives.load(Ordering::Relaxed) {
            return None;
        }
        self.take_directive()
    }

    #[cold]
    #[expect(clippy::needless_pass_by_ref_mut, reason = "one thread takes directives")]
    fn take_directive(&mut self) -> Option<Directive> {
        // Lowered before the look: one that is sent after it raises the flag again.
        self.shared.has_directives.store(false, Ordering::SeqCst);
        match self.directives.try_recv() {
            Ok(directive) => {
                self.shared.has_directives.store(true, Ordering::SeqCst);
                Some(directive)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.shared.is_stopping.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_status_wanted(&self) -> bool {
        self.shared.is_status_wanted.load(Ordering::Relaxed)
    }

    /// Returns whether there is something for the engine to do.
    pub(crate) fn has_work(&self) -> bool {
        self.shared.has_directives.load(Ordering::Acquire)
            || self.is_stopping()
            || self.is_status_wanted()
    }

    /// Publishes a status to whoever waits for it.
    #[cold]
    pub(crate) fn publish(&self, mut status: Status) {
        self.shared.is_status_wanted.store(false, Ordering::SeqCst);
        let rings = self.shared.rings.lock().unwrap_or_else(PoisonError::into_inner);
        status.rings = rings.iter().map(|counters| counters.status()).collect();
        let mut published = self.shared.lock();
        published.n += 1;
        published.status = Some(Arc::new(status));
        drop(published);
        self.shared.news.notify_all();
    }
}

/// However the engine ends, nobody waits for it any longer.
impl Drop for Control {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.news.notify_all();
    }
}

impl Status {
    /// Returns what an engine's state says. O(accounts × instruments).
    pub(crate) fn of(engine: &Engine) -> Self {
        let state = engine.state();
        let n_accounts = u16::try_from(state.accounts.len()).unwrap_or(u16::MAX);
        Self {
            seq: Seq(0),
            now: Nanos(0),
            state: state.scope.state,
            n_market: 0,
            n_reports: 0,
            n_requests: 0,
            n_open_orders: state.orders.n_working(),
            equity: (0..n_accounts).map(|id| state.equity(tercel_core::AccountId(id))).collect(),
            positions: state.scope.positions.iter().map(|position| position.qty).collect(),
            is_running: state.strategies.iter().map(|strategy| strategy.is_running).collect(),
            rings: Vec::new(),
            n_held: 0,
            recording: RecordProgress::default(),
            record_failure: None,
            source_failure: None,
        }
    }
}
