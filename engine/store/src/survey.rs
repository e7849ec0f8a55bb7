//! The first pass over data that is not a tape: symbols, steps, bar length. Only then can decimals
//! become ticks and lots.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

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
    pub(crate) n_events: u64,
    pub(crate) report: Report,
}

/// What one symbol's values are like.
#[derive(Debug)]
pub(crate) struct SymbolSurvey {
    pub(crate) symbol: RawSymbol,
    pub(crate) tick: Decimal,
    pub(crate) lot: Decimal,
    pub(crate) n_values: u64,
}

/// Reads a member to its end.
pub(crate) fn survey(importer: &mut dyn Importer) -> Result<Survey, crate::StoreError> {
    let mut steps: Vec<(StepFinder, StepFinder)> = Vec::new();
    let mut distances: BTreeMap<i64, u64> = BTreeMap::new();
    let mut last_bar = None;
    let mut n_events = 0;
    let mut events = Vec::new();
    while importer.read(&mut events)? {
        for event in events.drain(..) {
            n_events += 1;
            let symbol = usize::from(event.symbol);
            if steps.len() <= symbol {
                steps.resize_with(symbol + 1, Default::default);
            }
            let (prices, quantities) = &mut steps[symbol];
            for_each_value(&event, |price| prices.see(price), |qty| quantities.see(qty));
            if let RawData::Bar { .. } = event.data {
                let at = event.venue_at.0;
                if let Some(last) = last_bar.replace(at) {
                    *distances.entry(at - last).or_default() += 1;
                }
            }
        }
    }
    let symbols = importer.symbols().iter().zip(&steps).map(|(symbol, (prices, quantities))| {
        let (tick, lot) = symbol.steps.unwrap_or_else(|| (prices.step(), quantities.step()));
        let n_values = prices.n_values + quantities.n_values;
        SymbolSurvey { symbol: symbol.clone(), tick, lot, n_values }
    });
    Ok(Survey {
        symbols: symbols.collect(),
        bar_ns: distances.into_iter().max_by_key(|(_, n)| *n).map(|(distance, _)| distance),
        n_events,
        report: importer.report().clone(),
    })
}

fn for_each_value(event: &RawEvent, mut price: impl FnMut(Dec), mut qty: impl FnMut(Dec)) {
    match event.data {
        RawData::Clear { .. } | RawData::Batch { .. } => {}
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
        RawData::Bar { open, high, low, close, volume } => {
            [open, high, low, close].into_iter().for_each(&mut price);
            qty(volume);
        }
        // Marks are averages of finer grids than orders have: they are rounded, not obeyed.
        RawData::Mark { .. } => {}
    }
}
