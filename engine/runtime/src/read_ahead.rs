//! Reading what is needed next on a thread of its own.

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Items that are handed over at a time, so that the hand-over costs little an item.
const BATCH: usize = 512;
/// Batches that wait at most.
const WAITING: usize = 4;

/// The items of an iterator that another thread runs a bounded way ahead.
#[derive(Debug)]
pub struct ReadAhead<T> {
    batches: Receiver<Vec<T>>,
    batch: std::vec::IntoIter<T>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> ReadAhead<T> {
    /// Runs an iterator on a new thread, to its end or until the value returned is dropped.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn new(items: impl Iterator<Item = T> + Send + 'static) -> io::Result<Self> {
        let (sender, batches) = sync_channel(WAITING);
        let mut items = items.fuse();
        let run = move || {
            loop {
                let batch: Vec<T> = items.by_ref().take(BATCH).collect();
                if batch.is_empty() || sender.send(batch).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("tercel-reader".to_owned()).spawn(run)?;
        Ok(Self { batches, batch: Vec::new().into_iter(), thread: Some(thread) })
    }
}

impl<T> Iterator for ReadAhead<T> {
    type Item = T;

    /// # Panics
    ///
    /// If the iterator did on its thread: what it had left is not the end.
    #[inline]
    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.batch.next() {
                return Some(item);
            }
            let Ok(batch) = self.batches.recv() else {
                if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                return None;
            };
            self.batch = batch.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_items_come_in_order() {
        for n in [0, 1, BATCH, BATCH + 1, 10 * BATCH + 7] {
            assert!(ReadAhead::new(0..n).unwrap().eq(0..n), "{n}");
        }
    }

    #[test]
    fn an_endless_one_ends_with_its_reader() {
        let (sender, dropped) = std::sync::mpsc::channel::<()>();
        let mut ahead = ReadAhead::new(std::iter::repeat_with(move || {
            let _ = &sender;
            7
        }));
        assert_eq!(ahead.as_mut().unwrap().next(), Some(7));
        drop(ahead);
        assert!(dropped.recv().is_err(), "the iterator is dropped");
    }

    #[test]
    #[should_panic(expected = "item 600")]
    fn a_panic_is_no_end() {
        let items = (0..1_000).inspect(|n| assert_ne!(*n, 600, "item {n}"));
        assert_eq!(ReadAhead::new(items).unwrap().count(), 600);
    }
}
