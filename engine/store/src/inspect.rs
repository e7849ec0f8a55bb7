//! What is in the data: span, counts, gaps, crossed states, and the book at a moment.

use rust_decimal::Decimal;
use tercel_core::{
    BookState, Event, Instrument, Level, LinkState, MarketData, Nanos, OrderBook, Quantity, Side,
    StaleCause,
};

use crate::error::StoreError;
use crate::reader::Reader;

/// What was found by walking through data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inspection {
    /// Level changes, trades, quotes, bars, order changes, marks and fundings. The marks that open
    /// lists are not counted.
    pub n_events: u64,
    /// Level changes.
    pub n_levels: u64,
    /// Lists of level changes, snapshots included.
    pub n_lists: u64,
    /// Snapshots.
    pub n_snapshots: u64,
    /// Best quotes.
    pub n_quotes: u64,
    /// Bars.
    pub n_bars: u64,
    /// Changes of single orders.
    pub n_book_orders: u64,
    /// Marks and fundings.
    pub n_other: u64,
    /// Trades.
    pub n_trades: u64,
    /// First receive time.
    pub first_at: Option<Nanos>,
    /// Last receive time.
    pub last_at: Option<Nanos>,
    /// Lists that do not build on what came before.
    pub gaps: u64,
    /// Times that an instrument's data went on after its link was down or had lost messages: marks that
    /// whoever recorded it has left.
    pub interruptions: u64,
    /// Complete books whose best bid was not below their best ask.
    pub crossed: u64,
    /// What each instrument has.
    pub instruments: Vec<InstrumentInspection>,
}

/// What was found of one instrument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstrumentInspection {
    /// Its symbol.
    pub symbol: String,
    /// Trades.
    pub n_trades: u64,
    /// Sum of the trades' quantities, in base.
    pub base_volume: Decimal,
    /// Its book at the moment asked for.
    pub book: BookView,
}

/// A book in decimals.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BookView {
    /// Its sequence number.
    pub update_id: u64,
    /// Price and quantity of the bids, best first.
    pub bids: Vec<(Decimal, Decimal)>,
    /// Price and quantity of the asks, best first.
    pub asks: Vec<(Decimal, Decimal)>,
}

/// Walks through data; `until` ends the books (not the counts) at that receive time, included.
/// `progress` hears of every block's number of events.
///
/// # Errors
///
/// If the data cannot be read to its end.
pub fn inspect(
    reader: &mut Reader,
    until: Option<Nanos>,
    mut progress: impl FnMut(usize),
) -> Result<Inspection, StoreError> {
    let instruments = reader.metadata().instruments()?;
    let mut found = Inspection::default();
    let mut walks: Vec<_> = instruments.iter().map(|_| Walk::default()).collect();
    let mut events = Vec::new();
    loop {
        events.clear();
        if reader.read_block(&mut events)? == 0 {
            break;
        }
        progress(events.len());
        for event in &events {
            if let Event::Link(link) = event
                && link.state != LinkState::Up
            {
                for (walk, instrument) in walks.iter_mut().zip(&instruments) {
                    let is_it = link.instrument.is_none_or(|id| id == instrument.id);
                    walk.is_cut |= is_it && walk.has_begun && instrument.spec.venue == link.venue;
                }
            }
            if let Event::Market(market) = event {
                let at = market.received_at;
                found.first_at.get_or_insert(at);
                found.last_at = Some(at);
                let walk = &mut walks[market.instrument.index()];
                walk.has_begun = true;
                found.interruptions += u64::from(std::mem::take(&mut walk.is_cut));
                walk.take(&market.data, until.is_none_or(|until| at <= until), &mut found);
            }
        }
    }
    found.instruments = instruments
        .iter()
        .zip(walks)
        .map(|(instrument, walk)| InstrumentInspection {
            symbol: instrument.spec.symbol.clone(),
            n_trades: walk.n_trades,
            base_volume: decimal_quantity(instrument, walk.traded),
            book: view(instrument, &walk.book),
        })
        .collect();
    Ok(found)
}

#[derive(Default)]
struct Walk {
    book: OrderBook,
    n_trades: u64,
    traded: i128,
    has_begun: bool,
    /// Whether the link was lost since the last event.
    is_cut: bool,
}

impl Walk {
    fn take(&mut self, data: &MarketData, wanted: bool, found: &mut Inspection) {
        match *data {
            MarketData::Clear { seq } => {
                found.n_snapshots += 1;
                found.n_lists += 1;
                if wanted {
                    self.book.clear(seq);
                }
                return;
            }
            MarketData::Batch { prev, seq } => {
                found.n_lists += 1;
                if wanted && let Err(StaleCause::Gap { .. }) = self.book.begin(prev, seq) {
                    found.gaps += 1;
                    self.go_on(seq);
                }
                return;
            }
            MarketData::Level { side, price, qty, last } => {
                found.n_levels += 1;
                if wanted {
                    self.book.set(side, price, qty);
                    if last && self.book.end().is_err() {
                        found.crossed += 1;
                        self.go_on(self.book.seq());
                    }
                }
            }
            MarketData::Trade { qty, .. } => {
                found.n_trades += 1;
                self.n_trades += 1;
                self.traded += i128::from(qty.0);
            }
            MarketData::Quote { .. } => found.n_quotes += 1,
            MarketData::Bar { .. } => found.n_bars += 1,
            MarketData::BookOrder { .. } => found.n_book_orders += 1,
            MarketData::Mark { .. } | MarketData::Funding { .. } => found.n_other += 1,
        }
        found.n_events += 1;
    }

    /// Takes a book that became stale as it is, so that every further fault is counted too.
    fn go_on(&mut self, seq: u64) {
        let levels = |side| self.book.levels(side).collect::<Vec<Level>>();
        let (bids, asks) = (levels(Side::Buy), levels(Side::Sell));
        self.book.clear(seq);
        for (side, list) in [(Side::Buy, bids), (Side::Sell, asks)] {
            for level in list {
                self.book.set(side, level.price, level.qty);
            }
        }
        debug_assert_eq!(self.book.state(), BookState::Open);
    }
}

fn view(instrument: &Instrument, book: &OrderBook) -> BookView {
    let side = |side| {
        let level = |level: Level| {
            (instrument.price_decimal(level.price), instrument.quantity_decimal(level.qty))
        };
        book.levels(side).map(level).collect()
    };
    BookView { update_id: book.seq(), bids: side(Side::Buy), asks: side(Side::Sell) }
}

fn decimal_quantity(instrument: &Instrument, lots: i128) -> Decimal {
    i64::try_from(lots).map_or(Decimal::MAX, |lots| instrument.quantity_decimal(Quantity(lots)))
}
