//! What a thread does while there is nothing to do.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// How a thread waits for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdleStrategy {
    /// Looks again at once. Least latency; takes a whole core.
    BusySpin,
    /// Looks again at once so many times, then gives the core away between looks. Takes a whole
    /// core that nobody else wants.
    SpinThenYield {
        /// Looks before the first yield.
        spins: u32,
    },
    /// Looks again, then yields, then sleeps until it is woken or the time is over. Takes next to
    /// nothing; costs a wake-up, some tens of microseconds, at the first event after a pause.
    Park {
        /// Looks before the first yield.
        spins: u32,
        /// Yields before the first sleep.
        yields: u32,
        /// Longest sleep: how late something is seen at most if nobody wakes the thread.
        sleep: Duration,
    },
}

impl Default for IdleStrategy {
    /// Parks for at most 200 µs: on two cores, a thread that spins takes the time of the one that
    /// it waits for.
    fn default() -> Self {
        Self::Park { spins: 100, yields: 10, sleep: Duration::from_micros(200) }
    }
}

/// Waits by a strategy, step by step.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    n_waits: u32,
}

impl Idle {
    /// Returns one that has not waited yet.
    #[must_use]
    pub const fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, n_waits: 0 }
    }

    /// Begins anew: there was work.
    #[inline]
    pub const fn reset(&mut self) {
        self.n_waits = 0;
    }

    /// Waits one step. A sleep ends early if the thread is unparked.
    #[inline]
    pub fn wait(&mut self) {
        if let Some(sleep) = self.step() {
            std::thread::park_timeout(sleep);
        }
    }

    /// Waits one step, at most `longest`; a sleep ends early when `waker` is told to wake. Looks
    /// at `has_work` once more between saying that it sleeps and sleeping, so that no wake-up
    /// falls between.
    #[inline]
    pub fn wait_for(&mut self, waker: &Waker, longest: Duration, has_work: impl FnOnce() -> bool) {
        if let Some(sleep) = self.step() {
            waker.sleep(sleep.min(longest), has_work);
        }
    }

    /// Spins or yields, or returns how long to sleep.
    fn step(&mut self) -> Option<Duration> {
        let n = self.n_waits;
        self.n_waits = n.saturating_add(1);
        match self.strategy {
            IdleStrategy::BusySpin => std::hint::spin_loop(),
            IdleStrategy::SpinThenYield { spins } | IdleStrategy::Park { spins, .. }
                if n < spins =>
            {
                std::hint::spin_loop();
            }
            IdleStrategy::SpinThenYield { .. } => std::thread::yield_now(),
            IdleStrategy::Park { spins, yields, .. } if n - spins < yields => {
                std::thread::yield_now();
            }
            IdleStrategy::Park { sleep, .. } => return Some(sleep),
        }
        None
    }
}

/// Wakes a thread that may sleep; costs one load while it does not.
#[derive(Debug, Default)]
pub struct Waker {
    thread: OnceLock<Thread>,
    is_asleep: AtomicBool,
}

impl Waker {
    /// Makes the current thread the one that is woken. The first call counts.
    pub fn attach(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// Wakes the thread if it sleeps. What it is to find must have been made visible before.
    #[inline]
    pub fn wake(&self) {
        // The fence orders the caller's write before this look; `sleep` has its counterpart.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn sleep(&self, longest: Duration, has_work: impl FnOnce() -> bool) {
        self.is_asleep.store(true, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::SeqCst);
        if !has_work() {
            std::thread::park_timeout(longest);
        }
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::time::Instant;

    use super::*;

    #[test]
    fn steps_go_from_spins_to_yields_to_sleep_and_begin_anew() {
        let sleep = Duration::from_micros(3);
        let mut idle = Idle::new(IdleStrategy::Park { spins: 2, yields: 1, sleep });
        let steps: Vec<_> = (0..5).map(|_| idle.step()).collect();
        assert_eq!(steps, [None, None, None, Some(sleep), Some(sleep)]);
        idle.reset();
        assert_eq!(idle.step(), None);
        let mut busy = Idle::new(IdleStrategy::BusySpin);
        assert!((0..100).all(|_| busy.step().is_none()));
    }

    #[test]
    fn a_sleeper_is_woken_and_no_wake_up_is_missed() {
        const ROUNDS: u64 = 2_000;
        let (waker, ball) = (Arc::new(Waker::default()), Arc::new(AtomicU64::new(0)));
        let player = {
            let (waker, ball) = (Arc::clone(&waker), Arc::clone(&ball));
            std::thread::spawn(move || {
                waker.attach();
                let sleep = Duration::from_secs(20);
                let mut idle = Idle::new(IdleStrategy::Park { spins: 0, yields: 0, sleep });
                for round in 0..ROUNDS {
                    while ball.load(Ordering::Acquire) == 2 * round {
                        idle.wait_for(&waker, sleep, || ball.load(Ordering::Acquire) != 2 * round);
                    }
                    ball.store(2 * round + 2, Ordering::Release);
                }
            })
        };
        let begun = Instant::now();
        for round in 0..ROUNDS {
            ball.store(2 * round + 1, Ordering::Release);
            waker.wake();
            while ball.load(Ordering::Acquire) != 2 * round + 2 {
                std::thread::yield_now();
            }
        }
        player.join().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "one missed wake-up costs 20 s");
    }
}
