//! Books that are told by their first levels, the whole of them each time.

use tercel_core::Side;

use crate::decimal::Dec;
use crate::formats::by_order::Sink;
use crate::raw::RawData;

/// Levels of one side, best first.
pub(crate) type Levels = Vec<(Dec, Dec)>;

/// The levels that were told last, so that only what changed is told next.
///
/// A level that is not among the first ones any more is taken as gone: what lies deeper is not
/// known, and a book must not keep what nobody confirms.
#[derive(Default)]
pub(crate) struct Depth {
    bids: Levels,
    asks: Levels,
    began: bool,
}

impl Depth {
    /// Tells how the book differs from the one before: all of it the first time.
    pub(crate) fn tell(&mut self, bids: &Levels, asks: &Levels, sink: &mut Sink<'_>) {
        if !std::mem::replace(&mut self.began, true) {
            sink.push(RawData::Clear { seq: 0 });
        }
        let before = sink.out.len();
        for (side, old, new) in
            [(Side::Buy, &mut self.bids, bids), (Side::Sell, &mut self.asks, asks)]
        {
            let mut push = |price, qty| sink.push(RawData::Level { side, price, qty, last: false });
            for (price, _) in old.iter() {
                if !new.iter().any(|(other, _)| other == price) {
                    push(*price, Dec::default());
                }
            }
            for level in new {
                if !old.contains(level) {
                    push(level.0, level.1);
                }
            }
            old.clone_from(new);
        }
        if let Some(RawData::Level { last, .. }) =
            sink.out[before..].last_mut().map(|event| &mut event.data)
        {
            *last = true;
        }
    }
}
