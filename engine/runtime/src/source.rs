//! Where market data comes from.

use tercel_core::Event;
use tercel_sim::market::SeededMarket;
use tercel_store::{Reader, StoreError};

/// A source of market data. Polling never blocks on a network; a file is read as it is.
pub trait MarketSource {
    /// Appends events to `out`, about `max` of them at most, and says how things stand.
    ///
    /// # Errors
    ///
    /// If the data is damaged or the connection is beyond repair; nothing comes after.
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure>;

    /// Returns whether another thread has put something in that a poll would give: asked before
    /// the engine thread sleeps.
    fn has_more(&self) -> bool {
        false
    }
}

/// How things stand after a poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceState {
    /// There were events; there may be more.
    Ready,
    /// Nothing for now.
    Idle,
    /// Nothing any more.
    Ended,
}

/// Why a source gives nothing any more.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceFailure(
    /// What happened, for a person to read.
    pub String,
);

impl From<StoreError> for SourceFailure {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl<S: MarketSource + ?Sized> MarketSource for Box<S> {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        (**self).poll(out, max)
    }

    fn has_more(&self) -> bool {
        (**self).has_more()
    }
}

impl MarketSource for SeededMarket {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        Ok(state(self.read_block(max, out)))
    }
}

/// Blocks come as they are in the files: `max` is not what bounds them.
impl MarketSource for Reader {
    fn poll(&mut self, out: &mut Vec<Event>, _max: usize) -> Result<SourceState, SourceFailure> {
        Ok(state(self.read_block(out)?))
    }
}

const fn state(n: usize) -> SourceState {
    if n == 0 { SourceState::Ended } else { SourceState::Ready }
}

/// Events that are there already, for tests and small replays.
impl MarketSource for std::vec::IntoIter<Event> {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        let before = out.len();
        out.extend(self.take(max));
        Ok(state(out.len() - before))
    }
}
