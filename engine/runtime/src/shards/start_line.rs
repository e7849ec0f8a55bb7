//! Where the engines of a run wait for each other before the first of them goes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The line. No engine does anything before all are at it: a start that is cut off before has done
/// nothing, and one that got further has recorded what every engine begins with.
#[derive(Debug)]
pub struct StartLine {
    line: Mutex<Line>,
    news: Condvar,
}

#[derive(Debug)]
struct Line {
    n_missing: usize,
    is_off: bool,
}

/// One engine's place at the line. Dropped before the engine is ready, it calls the start off.
#[derive(Debug)]
pub struct Starter {
    line: Arc<StartLine>,
    is_ready: bool,
}

/// The start was called off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it did not start, because another engine could not")]
pub struct StartOff;

impl StartLine {
    /// Returns the places of `n` engines at one line.
    #[must_use]
    pub fn places(n: usize) -> Vec<Starter> {
        let line = Mutex::new(Line { n_missing: n, is_off: false });
        let line = Arc::new(Self { line, news: Condvar::new() });
        (0..n).map(|_| Starter { line: Arc::clone(&line), is_ready: false }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // Two plain values, which no panic leaves half changed.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Starter {
    /// Says that this engine is ready, and waits until all are.
    ///
    /// # Errors
    ///
    /// If one of them will not be.
    pub fn wait(mut self) -> Result<(), StartOff> {
        self.is_ready = true;
        let mut line = self.line.lock();
        line.n_missing -= 1;
        self.line.news.notify_all();
        while line.n_missing > 0 && !line.is_off {
            line = self.line.news.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        if line.is_off { Err(StartOff) } else { Ok(()) }
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        if !self.is_ready {
            self.line.lock().is_off = true;
            self.line.news.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn nobody_goes_before_all_are_ready() {
        let mut places = StartLine::places(3);
        let last = places.pop().unwrap();
        let n_gone = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let waiting: Vec<_> = places
                .into_iter()
                .map(|place| {
                    scope.spawn(|| {
                        let started = place.wait();
                        n_gone.fetch_add(1, Ordering::SeqCst);
                        started
                    })
                })
                .collect();
            while last.line.lock().n_missing > 1 {
                std::thread::yield_now();
            }
            assert_eq!(n_gone.load(Ordering::SeqCst), 0);
            assert_eq!(last.wait(), Ok(()));
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_ok()));
        });
    }

    #[test]
    fn one_that_fails_calls_the_start_off_for_all() {
        let mut places = StartLine::places(2);
        let (failing, waiting) = (places.pop().unwrap(), places.pop().unwrap());
        let started = std::thread::spawn(|| waiting.wait());
        drop(failing);
        assert_eq!(started.join().unwrap(), Err(StartOff));
        let alone = StartLine::places(1).pop().unwrap();
        assert_eq!(alone.wait(), Ok(()));
    }
}
