//! The first pass over data that is not a tape: symbols, steps, bar length. Only then can decimals
//! become ticks and lots.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tercel_core::Nanos;

use crate::decimal::Dec;
use crate::grid::StepFinder;
use crate::raw::{Importer, RawData, RawEvent, RawSymbol};
use crate::report::Report;

/// What one member holds.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) symbols: Vec<SymbolSurvey>,
    /// Most common distance of bars, in nanoseconds.
    pub(crate) bar_ns: Option<i64>,
    pub(crate) n_bars: u64,
    pub(crate) n_events: u64,
    /// Earliest receive time.
    pub(crate) starts_at: Nanos,
    pub(crate) report: Report,
}

/// What one symbol's values are like.
#[derive(Clone, Debug)]
pub(crate) struct SymbolSurvey {
    pub(crate) symbol: RawSymbol,
    pub(crate) tick: Decimal,
    pub(crate) lot: Decimal,
    pub(crate) n_values: u64,
    /// Whether a snapshot of its book is in the file.
    pub(crate) has_snapshot: bool,
}

#[cfg(test)]
impl SymbolSurvey {
    /// Returns the survey of a symbol whose values do not matter.
    pub(crate) fn of(symbol: RawSymbol, has_snapshot: bool) -> Self {
        Self { symbol, tick: Decimal::ONE, lot: Decimal::ONE, n_values: 0, has_snapshot }
    }
}

/// The values of a symbol so far.
#[derive(Default)]
struct Seen {
    prices: StepFinder,
    quantities: StepFinder,
    has_snapshot: bool,
}

/// Reads a member to its end.
pub(crate) fn survey(importer: &mut dyn Importer) -> Result<Survey, crate::StoreError> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut starts_at = Nanos(i64::MAX);
    let mut distances: BTreeMap<i64, u64> = BTreeMap::new();
    let mut last_bar = None;
    let mut n_bars = 0;
    let mut n_events = 0;
    let mut events = Vec::new();
    while importer.read(&mut events)? {
        for event in events.drain(..) {
            n_events += 1;
            let symbol = usize::from(event.symbol);
            if seen.len() <= symbol {
                seen.resize_with(symbol + 1, Default::default);
            }
            let Seen { prices, quantities, has_snapshot } = &mut seen[symbol];
            for_each_value(&event, |price| prices.see(price), |qty| quantities.see(qty));
            *has_snapshot |= matches!(event.data, RawData::Clear { .. });
            starts_at = starts_at.min(event.received_at);
            if let RawData::Bar { .. } = event.data {
                n_bars += 1;
                let at = event.venue_at.0;
                if let Some(last) = last_bar.replace(at) {
                    *distances.entry(at - last).or_default() += 1;
                }
            }
        }
    }
    seen.resize_with(importer.symbols().len(), Default::default);
    let symbols = importer.symbols().iter().zip(&seen).map(|(symbol, seen)| {
        let (prices, quantities) = (&seen.prices, &seen.quantities);
        let (tick, lot) = symbol.steps.unwrap_or_else(|| (prices.step(), quantities.step()));
        let n_values = prices.n_values + quantities.n_values;
        let has_snapshot = seen.has_snapshot;
        SymbolSurvey { symbol: symbol.clone(), tick, lot, n_values, has_snapshot }
    });
    Ok(Survey {
        symbols: symbols.collect(),
        bar_ns: distances.into_iter().max_by_key(|(_, n)| *n).map(|(distance, _)| distance),
        n_bars,
        n_events,
        starts_at,
        report: importer.report().clone(),
    })
}

fn for_each_value(event: &RawEvent, mut price: impl FnMut(Dec), mut qty: impl FnMut(Dec)) {
    match event.data {
        RawData::Clear { .. } | RawData::Batch { .. } | RawData::Funding { .. } => {}
        RawData::Level { price: px, qty: quantity, .. }
        | RawData::Trade { price: px, qty: quantity, .. }
        | RawData::BookOrder { price: px, qty: quantity, .. } => {
            price(px);
            qty(quantity);
        }
        RawData::Quote { bid_px, bid_qty, ask_px, ask_qty, .. } => {
            price(bid_px);
            price(ask_px);
            qty(bid_qty);
            qty(ask_qty);
        }
        RawData::Bar { open, high, low, close, volume, .. } => {
            [open, high, low, close].into_iter().for_each(&mut price);
            qty(volume);
        }
        // Marks are averages of finer grids than orders have: they are rounded, not obeyed.
        RawData::Mark { .. } => {}
    }
}
