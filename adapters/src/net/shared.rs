//! Market data behind tokio on one thread: profile `shared`.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tercel_core::{Event, Nanos};

use super::call_driver::CallDriver;
use super::market_driver::MarketDriver;
use super::tokio_socket::TokioSocket;

/// Polls made in a row while there is something to do, before timers and other sockets get their
/// turn.
const POLLS_MAX: usize = 16;

/// Bounds of a sleep: timers of tokio are of milliseconds, and nobody may listen any more.
const WAIT_NS_MIN: i64 = 1_000_000;
const WAIT_NS_MAX: i64 = Nanos::SECOND;

/// What becomes of news that are delivered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Listener {
    /// All was taken.
    Listens,
    /// There was no room; wants to be asked again soon, with or without more.
    IsFull,
    /// Nobody listens any more.
    IsGone,
}

/// Runs a driver on the calling thread until nobody listens any more. The thread sleeps while
/// there is nothing to do.
///
/// `deliver` is given what is news and takes it out; it is also asked, with nothing, once a second,
/// and each millisecond while it was full.
///
/// # Errors
///
/// If the system gives no runtime.
pub fn run_shared<C: CallDriver>(
    mut driver: MarketDriver<TokioSocket, C>,
    mut clock: impl FnMut() -> Nanos,
    mut deliver: impl FnMut(&mut Vec<Event>) -> Listener,
) -> std::io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let mut events = Vec::new();
    let mut listener = Listener::Listens;
    runtime.block_on(async {
        while listener != Listener::IsGone {
            let wait_ns = match listener {
                Listener::IsFull => WAIT_NS_MIN,
                _ => driver.next_deadline().0.saturating_sub(clock().0),
            };
            let wait_ns = wait_ns.clamp(WAIT_NS_MIN, WAIT_NS_MAX);
            let wait = Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0));
            let mut sleep = pin!(tokio::time::sleep(wait));
            listener = poll_fn(|context| {
                driver.wake_with(context.waker());
                let mut listener = listener;
                for _ in 0..POLLS_MAX {
                    if driver.poll(&mut clock, &mut events) == 0 {
                        return sleep.as_mut().poll(context).map(|()| deliver(&mut events));
                    }
                    listener = deliver(&mut events);
                    if listener != Listener::Listens {
                        break;
                    }
                }
                Poll::Ready(listener)
            })
            .await;
            tokio::task::yield_now().await;
        }
        driver.close(clock());
    });
    Ok(())
}
