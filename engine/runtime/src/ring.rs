//! A bounded ring between two threads, and what is counted about it.
//!
//! What happens when a ring is full is decided by what goes through it:
//!
//! | ring | when full |
//! |---|---|
//! | live market data | events are dropped and counted; the books concerned are told stale ([`crate::MarketSender`]) |
//! | recorded market data | the sender waits ([`Sender::push_waiting`]) |
//! | execution reports | the sender waits: none is ever dropped |
//! | commands | refused with an error ([`crate::Handle::send`]) |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::idle::Idle;

/// Returns both ends of a ring that holds `capacity` values. Allocates once.
///
/// # Panics
///
/// If `capacity` is zero: nothing could ever pass.
#[must_use]
pub fn ring<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a ring holds at least one value");
    let (producer, consumer) = RingBuffer::new(capacity);
    let counters = Arc::new(RingCounters::new(capacity));
    let sender = Sender { producer, counters: Arc::clone(&counters) };
    (sender, Receiver { consumer, counters, depth_max: 0 })
}

/// The end that values go in at.
#[derive(Debug)]
pub struct Sender<T> {
    producer: Producer<T>,
    counters: Arc<RingCounters>,
}

/// The end that values come out of.
#[derive(Debug)]
pub struct Receiver<T> {
    consumer: Consumer<T>,
    counters: Arc<RingCounters>,
    /// This side's copy of what is in the counters, so that they are written only when it grows.
    depth_max: u64,
}

/// Counts of a ring, readable from every thread.
#[derive(Debug)]
pub struct RingCounters {
    capacity: usize,
    depth_max: AtomicU64,
    n_full: AtomicU64,
    n_dropped: AtomicU64,
}

/// The counts of a ring at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RingStatus {
    /// How many values it holds at most.
    pub capacity: usize,
    /// The most that the receiver has ever found waiting.
    pub depth_max: u64,
    /// How often a sender has found it full.
    pub n_full: u64,
    /// How many values were dropped because of that.
    pub n_dropped: u64,
}

impl RingCounters {
    const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            depth_max: AtomicU64::new(0),
            n_full: AtomicU64::new(0),
            n_dropped: AtomicU64::new(0),
        }
    }

    /// Returns the counts as they are now. They are read one by one: between two of them the ring
    /// may move on.
    #[must_use]
    pub fn status(&self) -> RingStatus {
        RingStatus {
            capacity: self.capacity,
            depth_max: self.depth_max.load(Ordering::Relaxed),
            n_full: self.n_full.load(Ordering::Relaxed),
            n_dropped: self.n_dropped.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count_dropped(&self) {
        self.n_dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> Sender<T> {
    /// Puts a value in. Wait-free; does not allocate.
    ///
    /// # Errors
    ///
    /// The value itself if the ring is full, which is counted.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        self.producer.push(value).map_err(|PushError::Full(value)| {
            self.counters.n_full.fetch_add(1, Ordering::Relaxed);
            value
        })
    }

    /// Puts a value in, waiting for room as `idle` says. A wait counts as full once.
    ///
    /// # Errors
    ///
    /// The value itself if the receiver is gone, or `is_given_up` says so while waiting.
    pub fn push_waiting(
        &mut self,
        value: T,
        idle: &mut Idle,
        is_given_up: impl Fn() -> bool,
    ) -> Result<(), T> {
        let Err(mut value) = self.push(value) else { return Ok(()) };
        idle.reset();
        loop {
            if self.is_closed() || is_given_up() {
                return Err(value);
            }
            match self.producer.push(value) {
                Ok(()) => return Ok(()),
                Err(PushError::Full(back)) => value = back,
            }
            idle.wait();
        }
    }

    /// Returns how many values there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.producer.slots()
    }

    /// Returns whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.producer.is_abandoned()
    }

    /// Returns the counts.
    #[must_use]
    pub const fn counters(&self) -> &Arc<RingCounters> {
        &self.counters
    }
}

impl<T> Receiver<T> {
    /// Takes the oldest value. Wait-free.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.consumer.pop().ok()
    }

    /// Appends up to `max` values to `out`, oldest first, and returns how many.
    #[inline]
    pub fn drain(&mut self, out: &mut Vec<T>, max: usize) -> usize {
        let depth = self.consumer.slots();
        if depth == 0 {
            return 0;
        }
        if depth as u64 > self.depth_max {
            self.depth_max = depth as u64;
            self.counters.depth_max.store(self.depth_max, Ordering::Relaxed);
        }
        let n = depth.min(max);
        // There are: as many were counted.
        let Ok(chunk) = self.consumer.read_chunk(n) else { return 0 };
        out.extend(chunk);
        n
    }

    /// Returns whether something waits.
    #[must_use]
    pub fn has_any(&self) -> bool {
        !self.consumer.is_empty()
    }

    /// Returns whether nothing waits and the sender is gone: nothing will ever come again.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // In this order: what the sender pushed last is visible once it is seen to be gone.
        self.consumer.is_abandoned() && self.consumer.is_empty()
    }

    /// Returns the counts.
    #[must_use]
    pub const fn counters(&self) -> &Arc<RingCounters> {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idle::IdleStrategy;

    #[test]
    fn a_full_ring_gives_the_value_back_and_counts() {
        let (mut sender, mut receiver) = ring(2);
        assert_eq!(sender.push(1), Ok(()));
        assert_eq!(sender.push(2), Ok(()));
        assert_eq!(sender.push(3), Err(3));
        let mut out = Vec::new();
        assert_eq!(receiver.drain(&mut out, 10), 2);
        assert_eq!(out, [1, 2]);
        let expected = RingStatus { capacity: 2, depth_max: 2, n_full: 1, n_dropped: 0 };
        assert_eq!(receiver.counters().status(), expected);
    }

    #[test]
    fn drain_stops_at_its_bound_and_keeps_the_order() {
        let (mut sender, mut receiver) = ring(8);
        for n in 0..8 {
            sender.push(n).unwrap();
        }
        let mut out = Vec::new();
        assert_eq!(receiver.drain(&mut out, 3), 3);
        assert_eq!(receiver.pop(), Some(3));
        assert_eq!(receiver.drain(&mut out, 100), 4);
        assert_eq!(out, [0, 1, 2, 4, 5, 6, 7]);
    }

    #[test]
    fn the_end_is_told_only_after_the_last_value() {
        let (mut sender, mut receiver) = ring(4);
        sender.push(1).unwrap();
        drop(sender);
        assert!(!receiver.is_over());
        assert_eq!(receiver.pop(), Some(1));
        assert!(receiver.is_over());
    }

    #[test]
    fn a_waiting_sender_loses_nothing_across_threads() {
        let (mut sender, mut receiver) = ring(16);
        let feeder = std::thread::spawn(move || {
            let mut idle = Idle::new(IdleStrategy::SpinThenYield { spins: 8 });
            for n in 0..100_000_u32 {
                sender.push_waiting(n, &mut idle, || false).unwrap();
            }
        });
        let (mut out, mut next) = (Vec::new(), 0);
        while !receiver.is_over() {
            receiver.drain(&mut out, 7);
            for value in out.drain(..) {
                assert_eq!(value, next);
                next += 1;
            }
            std::thread::yield_now();
        }
        feeder.join().unwrap();
        assert_eq!(next, 100_000);
        assert_eq!(receiver.counters().status().n_dropped, 0);
    }

    #[test]
    fn a_waiting_sender_gives_up_when_the_receiver_is_gone() {
        let (mut sender, receiver) = ring(1);
        sender.push(1).unwrap();
        drop(receiver);
        let mut idle = Idle::new(IdleStrategy::BusySpin);
        assert_eq!(sender.push_waiting(2, &mut idle, || false), Err(2));
    }
}
