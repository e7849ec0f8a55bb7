//! Where market data goes that the engine has been given.

use tercel_core::{MarketEvent, Seq};
use tercel_store::market_tape::MarketTape;

use crate::recorder::RecordFailure;

/// Keeps the market data of a run, so that it can be executed again. `()` keeps none.
pub trait MarketSink {
    /// Takes a market event that the engine is given under this number. Must not block: what there
    /// is no room for is lost, and for the sink to tell of.
    fn take(&mut self, seq: Seq, event: &MarketEvent);

    /// Returns how many events it has lost.
    fn n_lost(&self) -> u64 {
        0
    }

    /// Writes what it still has; nothing comes after. May block.
    ///
    /// # Errors
    ///
    /// If that cannot be done.
    fn close(&mut self) -> Result<(), RecordFailure>;
}

impl MarketSink for () {
    #[inline]
    fn take(&mut self, _seq: Seq, _event: &MarketEvent) {}

    fn close(&mut self) -> Result<(), RecordFailure> {
        Ok(())
    }
}

/// The tape of a live run, until it is closed.
impl MarketSink for Option<MarketTape> {
    #[inline]
    fn take(&mut self, _seq: Seq, event: &MarketEvent) {
        if let Some(tape) = self {
            // It counts what it is given, lost or not: numbers of the run follow from that.
            tape.record(event);
        }
    }

    fn n_lost(&self) -> u64 {
        self.as_ref().map_or(0, MarketTape::n_lost)
    }

    fn close(&mut self) -> Result<(), RecordFailure> {
        Self::take(self).map_or(Ok(()), |tape| {
            tape.close().map_err(|error| RecordFailure(format!("the tape of market data: {error}")))
        })
    }
}
