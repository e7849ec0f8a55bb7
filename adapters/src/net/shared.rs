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

/// Longest sleep: how late it is noticed that nobody listens any more.
const SLEEP_NS_MAX: i64 = Nanos::SECOND;

/// Runs a driver on the calling thread until `deliver` says that nobody listens. The thread sleeps
/// while there is nothing to do.
///
/// `deliver` is given what is news and takes it out; it is also asked, with nothing, once a second.
///
/// # Errors
///
/// If the system gives no runtime.
pub fn run_shared<C: CallDriver>(
    mut driver: MarketDriver<TokioSocket, C>,
    mut clock: impl FnMut() -> Nanos,
    mut deliver: impl FnMut(&mut Vec<Event>) -> bool,
) -> std::io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let mut events = Vec::new();
    runtime.block_on(async {
        loop {
            let wait_ns = driver.next_deadline().0.saturating_sub(clock().0);
            // Timers of tokio are of milliseconds.
            let wait_ns = wait_ns.clamp(1_000_000, SLEEP_NS_MAX);
            let wait = Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0));
            let mut sleep = pin!(tokio::time::sleep(wait));
            let is_heard = poll_fn(|context| {
                driver.wake_with(context.waker());
                for _ in 0..POLLS_MAX {
                    let n = driver.poll(&mut clock, &mut events);
                    if n > 0 && !deliver(&mut events) {
                        return Poll::Ready(false);
                    }
                    if n == 0 {
                        return sleep.as_mut().poll(context).map(|()| deliver(&mut events));
                    }
                }
                Poll::Ready(true)
            })
            .await;
            if !is_heard {
                break;
            }
            tokio::task::yield_now().await;
        }
        driver.close(clock());
    });
    Ok(())
}
