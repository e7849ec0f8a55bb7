//! Finds books that have stood still for longer than is likely.

use tercel_core::{Event, InstrumentId, MarketData, Nanos};

/// Watches books: one that nothing was heard of for a while, though its connection is up, is to be
/// fetched anew. Streams of single instruments are known to stop without a word.
#[derive(Debug)]
pub(super) struct QuietBooks {
    after_ns: i64,
    books: Vec<Watched>,
    /// Places in `books` by instrument.
    places: Vec<Option<usize>>,
    next_at: Nanos,
}

#[derive(Debug)]
struct Watched {
    instrument: InstrumentId,
    heard_at: Nanos,
    wait_ns: i64,
}

/// A book that stays quiet is asked for less and less often, up to so many times less.
const DOUBLINGS_MAX: i64 = 32;

impl QuietBooks {
    pub(super) fn new(instruments: impl IntoIterator<Item = InstrumentId>, after_ns: i64) -> Self {
        let mut books: Vec<Watched> = Vec::new();
        let mut places = Vec::new();
        for instrument in instruments {
            let idx = usize::from(instrument.0);
            if places.len() <= idx {
                places.resize(idx + 1, None);
            }
            if places[idx].is_none() {
                places[idx] = Some(books.len());
                books.push(Watched { instrument, heard_at: Nanos(i64::MIN), wait_ns: after_ns });
            }
        }
        Self { after_ns, books, places, next_at: Nanos(i64::MIN) }
    }

    /// Notes what was heard of books. All else is no sign of their life: it comes on streams of its
    /// own.
    pub(super) fn heard(&mut self, events: &[Event]) {
        for event in events {
            let Event::Market(market) = event else { continue };
            if !is_of_book(&market.data) {
                continue;
            }
            let place = self.places.get(usize::from(market.instrument.0)).copied().flatten();
            if let Some(place) = place {
                let book = &mut self.books[place];
                (book.heard_at, book.wait_ns) = (market.received_at, self.after_ns);
            }
        }
    }

    /// Calls `quiet` for each book that is to be fetched anew. Does nothing until the next second.
    pub(super) fn look(&mut self, now: Nanos, mut quiet: impl FnMut(InstrumentId)) {
        if now < self.next_at {
            return;
        }
        self.next_at = now.plus(Nanos::SECOND);
        for book in &mut self.books {
            // Never heard of: counted from the first look.
            if book.heard_at == Nanos(i64::MIN) {
                book.heard_at = now;
            } else if book.heard_at.plus(book.wait_ns) <= now {
                book.heard_at = now;
                let wait_max = self.after_ns.saturating_mul(DOUBLINGS_MAX);
                book.wait_ns = book.wait_ns.saturating_mul(2).min(wait_max);
                quiet(book.instrument);
            }
        }
    }
}

const fn is_of_book(data: &MarketData) -> bool {
    match data {
        MarketData::Clear { .. }
        | MarketData::Batch { .. }
        | MarketData::Level { .. }
        | MarketData::BookOrder { .. } => true,
        MarketData::Trade { .. }
        | MarketData::Quote { .. }
        | MarketData::Bar { .. }
        | MarketData::Mark { .. }
        | MarketData::Funding { .. } => false,
    }
}
