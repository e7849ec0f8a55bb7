//! A thread that sleeps until a socket has something, and feeds a ring: profile `shared`.

use std::sync::{Arc, OnceLock};

use tercel_adapters::net::{CallDriver, Listener, MarketDriver, TokioSocket, run_shared};
use tercel_core::VenueId;

use crate::clock::Clock;
use crate::control::Control;
use crate::feed::RingSource;
use crate::market_sender::MarketSender;
use crate::ring::ring;
use crate::source::SourceFailure;

/// A feed thread behind tokio. It ends soon after the engine has.
#[derive(Debug)]
pub struct SharedFeed {
    thread: std::thread::JoinHandle<()>,
}

impl SharedFeed {
    /// Starts a thread that runs the driver and feeds the returned source; also wakes the engine
    /// thread that `control` belongs to. The ring holds `capacity` events, which is positive; when
    /// it is full, events are dropped and counted and their books told stale. `venues` are those
    /// of the instruments by index.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn spawn<C: CallDriver + Send + 'static>(
        capacity: usize,
        venues: Vec<VenueId>,
        control: &Control,
        driver: MarketDriver<TokioSocket, C>,
        mut clock: impl Clock + Send + 'static,
    ) -> std::io::Result<(Self, RingSource)> {
        let (sender, receiver) = ring(capacity);
        let failure = Arc::new(OnceLock::new());
        let source = RingSource::new(receiver, Arc::clone(&failure));
        control.watch_ring(Arc::clone(source.counters()));
        let waker = Arc::clone(control.waker());
        let thread =
            std::thread::Builder::new().name("tercel-feed".to_owned()).spawn(move || {
                let mut market = MarketSender::new(sender, venues);
                let ran = run_shared(
                    driver,
                    || clock.now(),
                    |events| {
                        let has_any = !events.is_empty();
                        for event in events.drain(..) {
                            market.send(event);
                        }
                        let is_told = market.tell_gaps();
                        if has_any || !is_told {
                            waker.wake();
                        }
                        if market.is_closed() {
                            Listener::IsGone
                        } else if is_told {
                            Listener::Listens
                        } else {
                            Listener::IsFull
                        }
                    },
                );
                if let Err(error) = ran {
                    let _ = failure.set(SourceFailure(format!("a runtime for sockets: {error}")));
                }
                drop(market);
                waker.wake();
            })?;
        Ok((Self { thread }, source))
    }

    /// Waits for the thread's end; to be called after the engine's.
    ///
    /// # Panics
    ///
    /// If the thread has panicked.
    pub fn join(self) {
        self.thread.join().expect("a feed thread does not panic");
    }
}
