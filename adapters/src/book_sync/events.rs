//! What the engine is told of a book.

use tercel_core::{Event, InstrumentId, MarketData, MarketEvent, Nanos, Side};

use super::Change;

/// Returns an item of market data.
#[inline]
pub(crate) const fn market(
    instrument: InstrumentId,
    venue_at: Nanos,
    received_at: Nanos,
    data: MarketData,
) -> Event {
    Event::Market(MarketEvent { venue_at, received_at, instrument, data })
}

/// Appends levels, the last of them flagged.
#[inline]
pub(crate) fn push_levels(
    event: impl Fn(MarketData) -> Event,
    bids: impl ExactSizeIterator<Item = Change>,
    asks: impl ExactSizeIterator<Item = Change>,
    events: &mut Vec<Event>,
) {
    let n_levels = bids.len() + asks.len();
    events.reserve(n_levels);
    let sides = bids.map(|bid| (Side::Buy, bid)).chain(asks.map(|ask| (Side::Sell, ask)));
    events.extend(sides.enumerate().map(|(idx, (side, Change { price, qty }))| {
        event(MarketData::Level { side, price, qty, last: idx + 1 == n_levels })
    }));
}
