//! A run's market data with its numbers.

use tercel_core::MarketEvent;
use tercel_store::StoreError;
use tercel_store::market_tape::Taped;

use super::TapeSource;

pub(super) struct Market<T> {
    tape: Option<T>,
    n_taken: u64,
    /// The event that was read while others were passed over.
    ahead: Option<(u64, MarketEvent)>,
}

impl<T: TapeSource> Market<T> {
    pub(super) const fn new(tape: Option<T>) -> Self {
        Self { tape, n_taken: 0, ahead: None }
    }

    /// Returns the next event, or why there is none.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Result<MarketEvent, String>, StoreError> {
        let Some(tape) = &mut self.tape else {
            return Ok(Err("the run has no tape".to_owned()));
        };
        let item = match self.ahead.take() {
            Some((index, event)) => Some(Taped::Event { index, event }),
            None => tape.next_item()?,
        };
        Ok(match item {
            Some(Taped::Event { index, event }) if index == self.n_taken => {
                self.n_taken += 1;
                Ok(event)
            }
            Some(Taped::Event { index, .. }) => Err(format!(
                "market events {} to {} are not on the tape any more",
                self.n_taken,
                index.saturating_sub(1)
            )),
            Some(Taped::Gap { index, n_lost }) => {
                Err(format!("{n_lost} market events from number {index} on are not on the tape"))
            }
            None => Err(format!("the tape ends after {} market events", self.n_taken)),
        })
    }

    /// Passes over events so that the next one is number `n`, counted from 0.
    pub(super) fn pass_to(&mut self, n: u64) -> Result<(), StoreError> {
        if n <= self.n_taken {
            return Ok(());
        }
        self.n_taken = n;
        if self.ahead.is_some_and(|(index, _)| index >= n) {
            return Ok(());
        }
        self.ahead = None;
        // What is missing on the way is not asked for; what is missing beyond, the next call tells.
        while let Some(tape) = &mut self.tape
            && let Some(item) = tape.next_item()?
        {
            match item {
                Taped::Event { index, event } if index >= n => {
                    self.ahead = Some((index, event));
                    break;
                }
                Taped::Event { index, .. } if index + 1 == n => break,
                Taped::Event { .. } | Taped::Gap { .. } => {}
            }
        }
        Ok(())
    }
}
