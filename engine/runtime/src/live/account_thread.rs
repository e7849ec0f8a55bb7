//! Real accounts on a thread of their own: profile `shared`, where the engine's thread may sleep.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tercel_adapters::net::{CallDriver, ResyncHandle, Transport};
use tercel_adapters::{Accounts, GatewayNotice};
use tercel_core::{AccountId, Approved, Event, InstrumentId, Nanos, OrderRequest};
use tercel_sim::VenuePort;

use crate::clock::Clock;
use crate::control::Control;
use crate::idle::Waker;
use crate::port::Port;
use crate::ring::{Receiver, Sender, ring};

/// Requests, and events, that may be under way between the threads. More wait on the side that
/// they come from: none is ever dropped.
const CAPACITY: usize = 8_192;

/// The engine's end of accounts on another thread.
#[derive(Debug)]
pub struct RingPort {
    requests: Sender<OrderRequest>,
    /// Requests that found the ring full.
    backlog: VecDeque<OrderRequest>,
    /// Requests that were ever sent, those in the backlog among them.
    n_sent: u64,
    events: Receiver<Event>,
    scratch: Vec<Event>,
    ready: VecDeque<Event>,
    shared: Arc<Shared>,
    resyncs: ResyncHandle,
}

#[derive(Debug, Default)]
struct Shared {
    /// Wakes the accounts' thread.
    waker: AtomicWaker,
    /// Whether something was under way when the accounts' thread last looked.
    is_busy: AtomicBool,
    /// How many requests it had taken by then.
    n_taken: AtomicU64,
    is_ready: AtomicBool,
    is_online: AtomicBool,
    wants_comparison: AtomicBool,
}

impl Shared {
    /// Notes what the accounts' thread has found, in this order: who sees all requests taken sees what
    /// came of them, too.
    fn looked(&self, is_busy: bool, n_taken: u64) {
        self.is_busy.store(is_busy, Ordering::Release);
        self.n_taken.store(n_taken, Ordering::Release);
    }
}

/// The thread. It ends when its port is gone.
#[derive(Debug)]
pub struct AccountThread {
    thread: std::thread::JoinHandle<()>,
}

impl AccountThread {
    /// Starts a thread that builds the accounts, runs them, and wakes the engine that `control`
    /// belongs to. `tell` is given what people are to know.
    ///
    /// # Errors
    ///
    /// If the system gives no thread or no runtime.
    pub fn spawn<T, C, K>(
        build: impl FnOnce() -> Accounts<T, C> + Send + 'static,
        clock: K,
        control: &Control,
        resyncs: ResyncHandle,
        tell: Box<dyn FnMut(AccountId, GatewayNotice) + Send>,
    ) -> std::io::Result<(Self, RingPort)>
    where
        T: Transport + 'static,
        C: CallDriver + 'static,
        K: Clock + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (requests, incoming) = ring(CAPACITY);
        let (outgoing, events) = ring(CAPACITY);
        control.watch_ring(Arc::clone(events.counters()));
        let shared = Arc::new(Shared::default());
        let waker = Arc::clone(control.waker());
        let own = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("tercel-account".to_owned()).spawn(move || {
                let mut body = Body {
                    accounts: build(),
                    clock,
                    incoming,
                    outgoing,
                    waiting: VecDeque::new(),
                    requests: Vec::new(),
                    n_taken: 0,
                    events: Vec::new(),
                    shared: own,
                    engine: waker,
                    tell,
                };
                runtime.block_on(body.run());
            })?;
        let port = RingPort {
            requests,
            backlog: VecDeque::new(),
            n_sent: 0,
            events,
            scratch: Vec::new(),
            ready: VecDeque::new(),
            shared,
            resyncs,
        };
        Ok((Self { thread }, port))
    }

    /// Waits for the thread's end; to be called after the port is gone.
    ///
    /// # Panics
    ///
    /// If the thread has panicked.
    pub fn join(self) {
        self.thread.join().expect("the accounts' thread does not panic");
    }
}

struct Body<T, C, K> {
    accounts: Accounts<T, C>,
    clock: K,
    incoming: Receiver<OrderRequest>,
    outgoing: Sender<Event>,
    /// Events that found the ring full.
    waiting: VecDeque<Event>,
    requests: Vec<OrderRequest>,
    n_taken: u64,
    events: Vec<Event>,
    shared: Arc<Shared>,
    engine: Arc<Waker>,
    tell: Box<dyn FnMut(AccountId, GatewayNotice) + Send>,
}

impl<T: Transport, C: CallDriver, K: Clock> Body<T, C, K> {
    async fn run(&mut self) {
        loop {
            let sleep = self.until_next();
            let mut sleep = pin!(tokio::time::sleep(sleep));
            let is_over = poll_fn(|context| {
                if sleep.as_mut().poll(context).is_ready() {
                    // Its time has come; the next round knows the next.
                    context.waker().wake_by_ref();
                    self.turn(context);
                    return Poll::Ready(self.incoming.is_over());
                }
                if self.turn(context) {
                    return Poll::Ready(self.incoming.is_over());
                }
                if self.incoming.is_over() { Poll::Ready(true) } else { Poll::Pending }
            })
            .await;
            if is_over {
                self.accounts.close(self.clock.now(), &mut self.events);
                return;
            }
        }
    }

    /// Returns how long nothing may happen by itself.
    fn until_next(&mut self) -> Duration {
        let now = self.clock.now();
        let wait_ns = self.accounts.next_deadline().since(now).clamp(0, LONGEST_NS);
        Duration::from_nanos(u64::try_from(wait_ns).unwrap_or_default())
    }

    /// Does what there is to do; returns whether anything was.
    fn turn(&mut self, context: &Context<'_>) -> bool {
        self.shared.waker.register(context.waker());
        self.accounts.wake_with(context.waker());
        let n_requests = self.incoming.drain(&mut self.requests, CAPACITY);
        for request in self.requests.drain(..) {
            self.n_taken += 1;
            self.accounts.send(&request, self.clock.now(), &mut self.events);
        }
        if self.shared.wants_comparison.swap(false, Ordering::Acquire) {
            self.accounts.reconcile(self.clock.now(), &mut self.events);
        }
        let clock = &mut self.clock;
        let n = self.accounts.poll(&mut || clock.now(), &mut self.events);
        self.waiting.extend(self.events.drain(..));
        let has_events = !self.waiting.is_empty();
        while let Some(event) = self.waiting.pop_front() {
            if let Err(event) = self.outgoing.push(event) {
                self.waiting.push_front(event);
                break;
            }
        }
        self.accounts.notices(&mut self.tell);
        self.shared.is_ready.store(self.accounts.are_compared(), Ordering::Release);
        self.shared.is_online.store(self.accounts.is_online(), Ordering::Release);
        let is_busy = self.accounts.is_busy() || !self.waiting.is_empty();
        self.shared.looked(is_busy, self.n_taken);
        if has_events {
            self.engine.wake();
        }
        if !self.waiting.is_empty() {
            context.waker().wake_by_ref();
        }
        n + n_requests > 0
    }
}

/// A turn at least so often, whatever the driver says.
const LONGEST_NS: i64 = 100 * Nanos::MILLI;

impl RingPort {
    fn enqueue(&mut self, request: OrderRequest) {
        self.n_sent += 1;
        self.backlog.push_back(request);
        self.push();
    }

    fn push(&mut self) {
        while let Some(request) = self.backlog.pop_front() {
            if let Err(request) = self.requests.push(request) {
                self.backlog.push_front(request);
                break;
            }
        }
        self.shared.waker.wake();
    }
}

impl VenuePort for RingPort {
    fn send(&mut self, request: Approved<OrderRequest>, _now: Nanos) {
        self.enqueue(*request);
    }

    fn poll(&mut self, _now: Nanos) -> Option<Event> {
        if !self.backlog.is_empty() {
            self.push();
        }
        if self.ready.is_empty() && self.events.has_any() {
            self.events.drain(&mut self.scratch, CAPACITY);
            self.ready.extend(self.scratch.drain(..));
        }
        self.ready.pop_front()
    }
}

impl Port for RingPort {
    fn on_event(&mut self, _now: Nanos, _event: &Event) {}

    fn advance(&mut self, _now: Nanos) {}

    fn next_action_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    fn next_report_at(&self) -> Nanos {
        let has_any = !self.ready.is_empty() || !self.backlog.is_empty() || self.events.has_any();
        Nanos(if has_any { i64::MIN } else { i64::MAX })
    }

    fn is_busy(&self) -> bool {
        let is_taken = self.shared.n_taken.load(Ordering::Acquire) == self.n_sent;
        !is_taken || self.shared.is_busy.load(Ordering::Acquire) || self.has_more()
    }

    fn is_ready(&self) -> bool {
        self.shared.is_ready.load(Ordering::Acquire) && self.ready.is_empty()
    }

    fn has_more(&self) -> bool {
        !self.ready.is_empty() || self.events.has_any()
    }

    fn reconcile(&mut self) -> bool {
        let is_online = self.shared.is_online.load(Ordering::Acquire);
        if is_online {
            self.shared.wants_comparison.store(true, Ordering::Release);
            self.shared.waker.wake();
        }
        is_online
    }

    fn resync(&mut self, instrument: InstrumentId, _now: Nanos) {
        self.resyncs.ask(instrument);
    }
}

#[cfg(test)]
mod tests {
    use tercel_core::ClientOrderId;

    use super::*;

    /// The accounts' thread looks, finds nothing, and is about to say so when a request comes: its
    /// word, said after the request, counted for it as well. At the end of a run that request was
    /// left in the ring, and nobody waited for what would become of it.
    #[test]
    fn a_request_that_comes_while_the_thread_looks_is_waited_for() {
        let (requests, mut incoming) = ring(8);
        let (_outgoing, events) = ring(8);
        let shared = Arc::new(Shared::default());
        let mut port = RingPort {
            requests,
            backlog: VecDeque::new(),
            n_sent: 0,
            events,
            scratch: Vec::new(),
            ready: VecDeque::new(),
            shared: Arc::clone(&shared),
            resyncs: ResyncHandle::default(),
        };
        assert!(!port.is_busy());
        let mut taken = Vec::new();
        assert_eq!(incoming.drain(&mut taken, 8), 0);
        let (id, account) = (ClientOrderId::new(1, 1), AccountId(0));
        port.enqueue(OrderRequest::Cancel { id, account, instrument: InstrumentId(0) });
        shared.looked(false, 0);
        assert!(port.is_busy(), "it waits in the ring");
        assert_eq!(incoming.drain(&mut taken, 8), 1);
        assert!(port.is_busy(), "nothing was told of it yet");
        shared.looked(true, 1);
        assert!(port.is_busy());
        shared.looked(false, 1);
        assert!(!port.is_busy());
    }
}
