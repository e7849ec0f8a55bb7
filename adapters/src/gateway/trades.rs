//! Executions that were counted: the only thing that tells a repeated one from a new one.

use std::collections::{BTreeSet, VecDeque};

use tercel_core::InstrumentId;

/// Executions that are remembered. Venues repeat the last minutes after a reconnect; a query reaches
/// back as far as [`super::GatewayOptions::fill_overlap_ns`].
const MAX: usize = 262_144;

#[derive(Debug, Default)]
pub(super) struct Trades {
    known: BTreeSet<(InstrumentId, u64)>,
    order: VecDeque<(InstrumentId, u64)>,
}

impl Trades {
    /// Returns whether an execution was counted.
    pub(super) fn contains(&self, instrument: InstrumentId, trade_id: u64) -> bool {
        self.known.contains(&(instrument, trade_id))
    }

    /// Notes an execution; returns whether it is new.
    pub(super) fn insert(&mut self, instrument: InstrumentId, trade_id: u64) -> bool {
        if !self.known.insert((instrument, trade_id)) {
            return false;
        }
        self.order.push_back((instrument, trade_id));
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Forgets an execution, which is then new again.
    pub(super) fn remove(&mut self, instrument: InstrumentId, trade_id: u64) {
        if self.known.remove(&(instrument, trade_id)) {
            self.order.retain(|known| *known != (instrument, trade_id));
        }
    }
}
