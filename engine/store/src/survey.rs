//! The first pass over data that is not a tape: symbols, steps, bar lengths. Only then can decimals
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
    /// Whether orders' prices showed the tick; otherwise marks did, or nothing.
    pub(crate) is_tick_found: bool,
    /// Whether quantities showed the lot.
    pub(crate) is_lot_found: bool,
    /// Whether a snapshot of its book is in the file.
    pub(crate) has_snapshot: bool,
    /// Bars whose length the data does not say.
    pub(crate) n_bars: u64,
    /// Their most common distance, in nanoseconds.
    pub(crate) bar_ns: Option<i64>,
    /// Whether it is to be read.
    pub(crate) is_wanted: bool,
}

#[cfg(test)]
impl SymbolSurvey {
    /// Returns the survey of a symbol whose values do not matter.
    pub(crate) fn of(symbol: RawSymbol, has_snapshot: bool) -> Self {
        Self {
            symbol,
            tick: Decimal::ONE,
            lot: Decimal::ONE,
            n_values: 0,
            is_tick_found: true,
            is_lot_found: true,
            has_snapshot,
            n_bars: 0,
            bar_ns: None,
            is_wanted: true,
        }
    }
}

/// The values of a symbol so far.
#[derive(Default)]
struct Seen {
    prices: StepFinder,
    quantities: StepFinder,
    marks: StepFinder,
    has_snapshot: bool,
    n_bars: u64,
    last_bar: Option<i64>,
    /// How often bars lay so far apart.
    distances: BTreeMap<i64, u64>,
}

/// Distances that are told apart; a file with more has no common one worth knowing.
const MOST_DISTANCES: usize = 4_096;

impl Seen {
    fn see_bar(&mut self, at: i64) {
        self.n_bars += 1;
        let last = self.last_bar.replace(at);
        let distance = last.and_then(|last| at.checked_sub(last)).filter(|distance| *distance > 0);
        if let Some(distance) = distance
            && (self.distances.len() < MOST_DISTANCES || self.distances.contains_key(&distance))
        {
            *self.distances.entry(distance).or_default() += 1;
        }
    }

    /// Returns the most common distance, the shortest of several.
    fn bar_ns(&self) -> Option<i64> {
        let common = self.distances.iter().rev().max_by_key(|(_, n)| **n);
        common.map(|(distance, _)| *distance)
    }
}

/// Reads a member to its end.
pub(crate) fn survey(importer: &mut dyn Importer) -> Result<Survey, crate::StoreError> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut starts_at = Nanos(i64::MAX);
    let mut n_events = 0;
    let mut events = Vec::new();
    while importer.read(&mut events)? {
        for event in events.drain(..) {
            n_events += 1;
            let symbol = usize::from(event.symbol);
            if seen.len() <= symbol {
                seen.resize_with(symbol + 1, Default::default);
            }
            let seen = &mut seen[symbol];
            let Seen { prices, quantities, marks, .. } = seen;
            for_each_value(&event, |price| prices.see(price), |qty| quantities.see(qty));
            if let RawData::Mark { mark, .. } = event.data {
                marks.see(mark);
            }
            seen.has_snapshot |= matches!(event.data, RawData::Clear { .. });
            starts_at = starts_at.min(event.received_at);
            if let RawData::Bar { length: None, .. } = event.data {
                seen.see_bar(event.venue_at.0);
            }
        }
    }
    seen.resize_with(importer.symbols().len(), Default::default);
    let symbols = importer.symbols().iter().zip(&seen).map(|(symbol, seen)| {
        let (prices, quantities) = (&seen.prices, &seen.quantities);
        let is_told = symbol.steps.is_some();
        // Marks are averages of a finer grid than orders have: they only stand in.
        let shown = if prices.n_values > 0 { prices } else { &seen.marks };
        let (tick, lot) = symbol.steps.unwrap_or_else(|| (shown.step(), quantities.step()));
        let n_values = shown.n_values + quantities.n_values;
        SymbolSurvey {
            symbol: symbol.clone(),
            tick,
            lot,
            n_values,
            is_tick_found: is_told || prices.n_values > 0,
            is_lot_found: is_told || quantities.n_values > 0,
            has_snapshot: seen.has_snapshot,
            n_bars: seen.n_bars,
            bar_ns: seen.bar_ns(),
            is_wanted: true,
        }
    });
    Ok(Survey {
        symbols: symbols.collect(),
        n_events,
        starts_at,
        report: importer.report().clone(),
    })
}

fn for_each_value(event: &RawEvent, mut price: impl FnMut(Dec), mut qty: impl FnMut(Dec)) {
    match event.data {
        RawData::Clear { .. }
        | RawData::Batch { .. }
        | RawData::Mark { .. }
        | RawData::Funding { .. }
        | RawData::Gap => {}
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
    }
}
