//! Markets made from seeds, one for each instrument, as one stream.

use std::collections::VecDeque;

use tercel_core::{Event, InstrumentId, MarketEvent, Nanos};
use tercel_sim::market::{SeededMarket, SeededMarketConfig};

/// Events of one market that are made at once.
const BLOCK: usize = 4_096;

/// Seeded markets side by side, told in the order of time.
#[derive(Debug)]
pub(crate) struct SeededMarkets {
    markets: Vec<Ahead>,
}

/// A market, and what it has made that is not told yet.
#[derive(Debug)]
struct Ahead {
    market: SeededMarket,
    events: VecDeque<Event>,
}

impl SeededMarkets {
    /// Returns the stream of markets, at least one.
    pub(crate) fn new(markets: Vec<SeededMarket>) -> Self {
        let ahead = |market| Ahead { market, events: VecDeque::new() };
        Self { markets: markets.into_iter().map(ahead).collect() }
    }

    /// Leaves out the markets of other instruments.
    pub(crate) fn follow(&mut self, followed: &[InstrumentId]) {
        self.markets.retain(|own| followed.contains(&own.market.config().instrument));
    }

    /// Returns what the first of them is built from.
    pub(crate) fn config(&self) -> &SeededMarketConfig {
        self.markets[0].market.config()
    }

    /// Appends the next events; returns how many, 0 at the end.
    pub(crate) fn read_block(&mut self, out: &mut Vec<Event>) -> usize {
        let before = out.len();
        if let [only] = self.markets.as_mut_slice() {
            only.market.read_block(BLOCK, out);
            return out.len() - before;
        }
        let mut block = Vec::new();
        while out.len() - before < BLOCK {
            for own in self.markets.iter_mut().filter(|own| own.events.is_empty()) {
                own.market.read_block(BLOCK, &mut block);
                own.events.extend(block.drain(..));
            }
            // Of two at one time the first: what a market tells at once stays together.
            let at = |own: &Ahead| own.events.front().map(time_of);
            let next =
                (0..self.markets.len()).filter_map(|n| Some((at(&self.markets[n])?, n))).min();
            let Some((_, n)) = next else { break };
            out.extend(self.markets[n].events.pop_front());
        }
        out.len() - before
    }
}

const fn time_of(event: &Event) -> Nanos {
    match event {
        Event::Market(MarketEvent { received_at, .. }) => *received_at,
        // A seeded market tells nothing else.
        _ => Nanos(i64::MIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(instrument: u16) -> SeededMarket {
        let config = SeededMarketConfig {
            seed: u64::from(instrument) + 1,
            instrument: InstrumentId(instrument),
            duration_ns: 30 * Nanos::SECOND,
            ..SeededMarketConfig::default()
        };
        SeededMarket::new(config).unwrap()
    }

    fn all(mut markets: SeededMarkets) -> Vec<Event> {
        let mut events = Vec::new();
        while markets.read_block(&mut events) > 0 {}
        events
    }

    #[test]
    fn markets_side_by_side_are_told_whole_and_in_the_order_of_time() {
        let both = all(SeededMarkets::new(vec![market(0), market(1)]));
        assert!(both.is_sorted_by_key(time_of));
        for id in 0..2 {
            let is_own =
                |event: &&Event| matches!(event, Event::Market(own) if own.instrument.0 == id);
            let own: Vec<_> = both.iter().filter(is_own).cloned().collect();
            assert_eq!(own, all(SeededMarkets::new(vec![market(id)])), "instrument {id}");
        }
        let mut followed = SeededMarkets::new(vec![market(0), market(1)]);
        followed.follow(&[InstrumentId(1)]);
        assert_eq!(all(followed), all(SeededMarkets::new(vec![market(1)])));
    }
}
