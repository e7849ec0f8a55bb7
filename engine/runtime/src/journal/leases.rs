//! Which order numbers may be used: those that a durable lease gives to this process.

use std::ops::Range;

use tercel_core::ClientOrderId;
#[cfg(feature = "sabotage")]
use tercel_core::sabotage;
use tercel_crash::{Point, point};
use tercel_store::journal::{Journal, JournalError};

use crate::recorder::RecordFailure;

/// The numbers that may be used, and what is on its way to be added to them.
#[derive(Debug)]
pub(super) struct Leases {
    size: u32,
    usable: Range<u64>,
    /// Ticket and end of a lease that is not yet durable.
    pending: Option<(u64, u64)>,
    /// The number after the greatest that was asked for.
    next: u64,
    /// The order that needed a number beyond the lease, until there are enough to go on with.
    refused: Option<ClientOrderId>,
}

impl Leases {
    pub(super) fn new(size: u32, ids: Range<u64>) -> Self {
        Self { size, next: ids.start, usable: ids, pending: None, refused: None }
    }

    /// Returns the numbers that may be used.
    pub(super) fn usable(&self) -> Range<u64> {
        self.usable.clone()
    }

    /// Starts anew in a journal that was opened again: what was pending is void.
    pub(super) fn restart(&mut self, ids: &Range<u64>) {
        // Numbers between the old lease and the new one were leased by nobody else.
        self.usable.end = ids.end;
        self.pending = None;
    }

    /// Takes note of a new order's number.
    ///
    /// # Errors
    ///
    /// If the number is not leased.
    #[inline]
    pub(super) fn check(&mut self, id: ClientOrderId) -> Result<(), RecordFailure> {
        let n = id.counter();
        self.next = self.next.max(n + 1);
        if self.usable.contains(&n) {
            return Ok(());
        }
        if n >= self.usable.end {
            self.refused = Some(id);
        }
        Err(self.refusal(id))
    }

    #[cold]
    fn refusal(&self, id: ClientOrderId) -> RecordFailure {
        let Range { start, end } = self.usable;
        RecordFailure(if id.counter() < start {
            format!(
                "order {id} was not sent: numbers below {start} belong to an earlier process and may \
                 have been used; start the engine with the order number {start}"
            )
        } else {
            format!(
                "order {id} was not sent: order numbers are leased up to {end} only, because the \
                 journal's disk has not answered in time; the lease is renewed as soon as it does, \
                 then resume (a larger lease bridges longer pauses)"
            )
        })
    }

    /// Adds a lease that has become durable, and asks for the next when half is used. `next` is the
    /// engine's next order.
    ///
    /// # Errors
    ///
    /// If a number is needed that is not leased.
    pub(super) fn tend(
        &mut self,
        journal: &mut Journal,
        next: ClientOrderId,
    ) -> Result<(), RecordFailure> {
        // Orders that risk refuses take numbers too.
        self.next = self.next.max(next.counter());
        if let Some((ticket, end)) = self.pending
            && journal.durable_through() >= ticket
        {
            point(Point::LeaseRenewed);
            self.usable.end = end;
            self.pending = None;
        }
        if self.is_due() {
            match journal.lease_ahead(self.size) {
                Ok((ids, ticket)) => {
                    self.pending = Some((ticket, ids.end));
                    #[cfg(feature = "sabotage")]
                    if sabotage::is_planted(sabotage::Bug::LeaseIsNotAwaited) {
                        self.usable.end = ids.end;
                    }
                }
                Err(error @ JournalError::IdsExhausted { .. }) if self.refused.is_some() => {
                    return Err(RecordFailure(format!("{error}; start a new run")));
                }
                // The journal itself tells of its troubles.
                Err(_) => {}
            }
        }
        match self.refused {
            Some(id) if self.next + self.half() > self.usable.end => Err(self.refusal(id)),
            _ => {
                self.refused = None;
                Ok(())
            }
        }
    }

    /// Returns whether it is time to ask for the next lease.
    #[inline]
    pub(super) const fn is_due(&self) -> bool {
        self.pending.is_none() && self.next + self.half() >= self.usable.end
    }

    const fn half(&self) -> u64 {
        self.size as u64 / 2
    }
}
