//! What other threads can do to a running engine: send commands, load scripts, look, stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tercel_core::{
    Command, Engine, Nanos, Notional, Quantity, Scope, Seq, State, StateCopy, TradingState,
};

use crate::directive::Directive;
use crate::idle::Waker;
use crate::recorder::RecordProgress;
use crate::ring::{RingCounters, RingStatus};

/// Pages of orders that are copied in one look at the engine: about a tenth of a millisecond.
const PAGES_PER_STEP: usize = 16;

/// Commands that stop or shrink wait in a queue of their own, so that no other fills it.
const URGENT: usize = 256;

/// Returns both sides of the control of one engine; `capacity` commands wait at most, and 256 that stop or
/// shrink what is traded.
#[must_use]
pub fn control(capacity: usize) -> (Handle, Control) {
    let (directives, receiver) = sync_channel(capacity.max(1));
    let (urgent, urgent_receiver) = sync_channel(URGENT);
    let shared = Arc::new(Shared::default());
    let handle = Handle { directives, urgent, shared: Arc::clone(&shared) };
    let urgent = Urgent { commands: urgent_receiver, ahead: Vec::new() };
    (handle, Control { directives: receiver, urgent, shared })
}

/// The side of other threads. Clones control the same engine.
#[derive(Clone, Debug)]
pub struct Handle {
    directives: SyncSender<Numbered<Directive>>,
    urgent: SyncSender<Numbered<Command>>,
    shared: Arc<Shared>,
}

/// The engine's side.
#[derive(Debug)]
pub struct Control {
    directives: Receiver<Numbered<Directive>>,
    urgent: Urgent,
    shared: Arc<Shared>,
}

/// Something that was asked, and how many there were before it.
type Numbered<T> = (u64, T);

#[derive(Debug, Default)]
struct Shared {
    is_stopping: AtomicBool,
    has_directives: AtomicBool,
    has_urgent: AtomicBool,
    n_asked: AtomicU64,
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

/// Commands that come first.
#[derive(Debug)]
struct Urgent {
    commands: Receiver<Numbered<Command>>,
    /// Those that were taken while older directives waited, in their order.
    ahead: Vec<Numbered<Command>>,
}

/// Returns the scope of a command that stops or shrinks what is traded. It changes nothing that the
/// building of a version depends on.
const fn urgent(command: &Command) -> Option<Scope> {
    match command {
        Command::Kill(scope)
        | Command::Halt(scope)
        | Command::Reduce(scope)
        | Command::Flatten(scope) => Some(*scope),
        Command::Start(_)
        | Command::Stop(_)
        | Command::Resume(_)
        | Command::SetParams(..)
        | Command::SetLimits(..) => None,
    }
}

/// Takes the next of a queue whose flag is up.
#[cold]
fn next<T>(queue: &Receiver<T>, flag: &AtomicBool) -> Option<T> {
    // Lowered before the look: one that is sent after it raises the flag again.
    flag.store(false, Ordering::SeqCst);
    match queue.try_recv() {
        Ok(item) => {
            flag.store(true, Ordering::SeqCst);
            Some(item)
        }
        Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
    }
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
    /// Sends a command to the engine. Does not wait. One that stops or shrinks what is traded is taken
    /// before whatever else waits, also while a version is built; what was asked before it does not
    /// undo it.
    ///
    /// # Errors
    ///
    /// If too many are waiting, or the engine has ended.
    pub fn send(&self, command: Command) -> Result<(), CommandRefused> {
        if urgent(&command).is_none() {
            return self.direct(Directive::Command(command));
        }
        self.urgent.try_send((self.number(), command)).map_err(refused)?;
        self.shared.has_urgent.store(true, Ordering::Release);
        self.shared.waker.wake();
        Ok(())
    }

    /// Asks the engine for something else than a command. Does not wait.
    ///
    /// # Errors
    ///
    /// If too many are waiting, or the engine has ended.
    pub fn direct(&self, directive: Directive) -> Result<(), CommandRefused> {
        self.directives.try_send((self.number(), directive)).map_err(refused)?;
        self.shared.has_directives.store(true, Ordering::Release);
        self.shared.waker.wake();
        Ok(())
    }

    fn number(&self) -> u64 {
        self.shared.n_asked.fetch_add(1, Ordering::Relaxed)
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

fn refused<T>(error: TrySendError<T>) -> CommandRefused {
    match error {
        TrySendError::Full(_) => CommandRefused::Full,
        TrySendError::Disconnected(_) => CommandRefused::Ended,
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

    /// Returns the next directive and its number. One load while there is none.
    #[inline]
    pub(crate) fn next_directive(&self) -> Option<(u64, Directive)> {
        if !self.shared.has_directives.load(Ordering::Relaxed) {
            return None;
        }
        next(&self.directives, &self.shared.has_directives)
    }

    /// Returns the next command that stops or shrinks what is traded. One load while there is none.
    #[inline]
    pub(crate) fn next_urgent(&mut self) -> Option<Command> {
        if !self.shared.has_urgent.load(Ordering::Acquire) {
            return None;
        }
        let (number, command) = next(&self.urgent.commands, &self.shared.has_urgent)?;
        // Whatever was asked before it and still waits has raised the flag before this one was sent.
        if self.shared.has_directives.load(Ordering::Acquire) {
            // Its last place among them is the one that counts: there are as few as kinds and scopes.
            self.urgent.ahead.retain(|(_, own)| *own != command);
            self.urgent.ahead.push((number, command.clone()));
        }
        Some(command)
    }

    /// Returns the urgent commands for a scope that were asked after the directive of this number and taken
    /// before it, in their order.
    pub(crate) fn overtakers(&self, number: u64, scope: Scope) -> Vec<Command> {
        let ahead = self.urgent.ahead.iter();
        let overtakers =
            ahead.filter(|(own, command)| *own > number && urgent(command) == Some(scope));
        overtakers.map(|(_, command)| command.clone()).collect()
    }

    /// Forgets the urgent commands that were asked before the directive of this number: directives come in
    /// their order.
    #[inline]
    pub(crate) fn has_come_to(&mut self, number: u64) {
        if !self.urgent.ahead.is_empty() {
            self.urgent.ahead.retain(|(own, _)| *own > number);
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
            || self.shared.has_urgent.load(Ordering::Acquire)
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
