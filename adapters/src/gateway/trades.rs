//! Executions that were counted: the only thing that tells a repeated one from a new one.

use std::collections::{BTreeSet, VecDeque};

use tercel_core::{InstrumentId, Side};

/// Executions that are remembered. Venues repeat the last minutes after a reconnect; a query reaches
/// back as far as [`super::GatewayOptions::fill_overlap_ns`].
const MAX: usize = 262_144;

/// An execution of ours: where two orders of the account have met, there are two under one number, one a
/// side.
type Own = (InstrumentId, Side, u64);

#[derive(Debug, Default)]
pub(super) struct Trades {
    known: BTreeSet<Own>,
    order: VecDeque<Own>,
}

impl Trades {
    /// Returns whether an execution was counted.
    pub(super) fn contains(&self, instrument: InstrumentId, side: Side, trade_id: u64) -> bool {
        self.known.contains(&(instrument, side, trade_id))
    }

    /// Notes an execution; returns whether it is new.
    pub(super) fn insert(&mut self, instrument: InstrumentId, side: Side, trade_id: u64) -> bool {
        let own = (instrument, side, trade_id);
        if !self.known.insert(own) {
            return false;
        }
        self.order.push_back(own);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Forgets an execution, which is then new again.
    pub(super) fn remove(&mut self, instrument: InstrumentId, side: Side, trade_id: u64) {
        let own = (instrument, side, trade_id);
        if self.known.remove(&own) {
            self.order.retain(|known| *known != own);
        }
    }
}
