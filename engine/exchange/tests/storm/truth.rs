//! What the exchange's book really was, at each of its update numbers.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tercel_core::{BookState, Instrument, Market, Nanos, Side};
use tercel_exchange::{Fixed, Site};

/// How long a book may show what is not so any more without being stale: a stream that has died
/// without a word is noticed by five seconds of silence.
const SILENCE_NS: i64 = 8 * Nanos::SECOND;

/// How far back what was is remembered.
const KEPT_NS: i64 = 4 * SILENCE_NS;

/// Best bid and ask.
type Best = [Option<Fixed>; 2];

#[derive(Debug)]
pub(super) struct Truth {
    exchange: &'static str,
    /// By update number, with when it was first so.
    was: BTreeMap<u64, (Nanos, Best)>,
    /// How often the engine's book was looked at while it claimed to be live.
    pub(super) n_looks: u64,
    /// How long it was behind at most.
    pub(super) behind_ns_max: i64,
}

impl Truth {
    pub(super) const fn new(exchange: &'static str) -> Self {
        Self { exchange, was: BTreeMap::new(), n_looks: 0, behind_ns_max: 0 }
    }

    /// Notes how the exchange's book stands.
    pub(super) fn note(&mut self, site: &mut Site, now: Nanos) {
        let exchanges = site.dialect_mut().exchanges();
        let (_, own) = exchanges.into_iter().find(|(name, _)| *name == self.exchange).unwrap();
        let market = own.market(own.market_id("BTCUSDT").unwrap());
        let seq = market.book.update_id();
        if self.was.last_key_value().is_none_or(|(last, _)| *last < seq) {
            let best = [Side::Buy, Side::Sell].map(|side| market.book.best(side));
            self.was.insert(seq, (now, best));
            let horizon = now.plus(-KEPT_NS);
            while self.was.first_key_value().is_some_and(|(_, (at, _))| *at < horizon) {
                self.was.pop_first();
            }
        }
    }

    /// A book that claims to be live shows what was so at its own number, and not long ago.
    pub(super) fn check(&mut self, own: &Market, instrument: &Instrument, now: Nanos, seed: u64) {
        if own.book.state() != BookState::Live {
            return;
        }
        self.n_looks += 1;
        let seq = own.book.seq();
        let Some((_, best)) = self.was.get(&seq) else {
            panic!("seed {seed}: the book is at {seq}, which never was or was long ago");
        };
        for (side, theirs) in [Side::Buy, Side::Sell].into_iter().zip(best) {
            let ours = own.book.best(side).map(|level| instrument.price_decimal(level.price));
            let theirs = theirs.map(|price| Decimal::from_i128_with_scale(price.units(), 8));
            assert_eq!(ours, theirs, "seed {seed}: {side:?} at update {seq} is not what was so");
        }
        if let Some((_, (since, _))) = self.was.range(seq + 1..).next() {
            let behind_ns = now.since(*since);
            self.behind_ns_max = self.behind_ns_max.max(behind_ns);
            assert!(
                behind_ns <= SILENCE_NS,
                "seed {seed}: a live book has been wrong for {} ms",
                behind_ns / Nanos::MILLI
            );
        }
    }
}
