//! The market: two small books that walk, print trades, and are told badly at times.

use std::collections::BTreeMap;

use tercel_core::{
    Event, InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent, Nanos, Price, Quantity,
    Side, VenueId,
};
use tercel_testkit::Random;

use crate::counts::Counts;
use crate::fault::Fault;
use crate::listing::{N_INSTRUMENTS, PERPETUAL, SPOT};

/// Levels of each side.
const DEPTH: i64 = 2;

/// One instrument's market.
#[derive(Clone, Debug)]
struct Street {
    id: InstrumentId,
    bid: i64,
    ask: i64,
    /// What stands at each price, as it is.
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    seq: u64,
    n_trades: u64,
    is_up: bool,
    /// When a snapshot that was asked for goes out.
    snapshot_at: Option<i64>,
}

/// Both instruments' markets.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    streets: [Street; N_INSTRUMENTS],
    n_ticks: u64,
}

/// What goes out to the engine, and when it was.
pub(crate) struct Outlet<'a> {
    pub(crate) events: &'a mut Vec<Event>,
    pub(crate) utc: Nanos,
}

impl Outlet<'_> {
    fn push(&mut self, instrument: InstrumentId, data: MarketData) {
        let at = self.utc;
        let event = MarketEvent { venue_at: at, received_at: at, instrument, data };
        self.events.push(Event::Market(event));
    }

    fn link(&mut self, instrument: InstrumentId, state: LinkState) {
        let (venue, instrument) = (VenueId(0), Some(instrument));
        self.events.push(Event::Link(LinkEvent { venue, instrument, state }));
    }
}

impl Market {
    pub(crate) fn new() -> Self {
        let street = |id: InstrumentId, bid: i64| Street {
            id,
            bid,
            ask: bid + 2,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            seq: 0,
            n_trades: 0,
            is_up: true,
            snapshot_at: None,
        };
        Self { streets: [street(PERPETUAL, 20_000), street(SPOT, 9_000)], n_ticks: 0 }
    }

    /// Returns best bid and ask as they are, whoever knows of them.
    pub(crate) fn touch(&self, id: InstrumentId) -> (Price, Price) {
        let street = &self.streets[id.index()];
        (Price(street.bid), Price(street.ask))
    }

    /// Tells both books whole: to a process that has just begun.
    pub(crate) fn open(&mut self, random: &mut Random, out: &mut Outlet<'_>) {
        for street in &mut self.streets {
            street.walk(random);
            street.is_up = true;
            street.snapshot_at = None;
            street.snapshot(out);
        }
        out.push(PERPETUAL, MarketData::Mark { mark: self.touch(PERPETUAL).0, index: Price(0) });
    }

    /// Lets one instrument's market move.
    pub(crate) fn tick(&mut self, random: &mut Random, out: &mut Outlet<'_>) -> InstrumentId {
        self.n_ticks += 1;
        let street = &mut self.streets[random.index(N_INSTRUMENTS)];
        let id = street.id;
        street.walk(random);
        if street.is_up {
            street.difference(random, out, false);
            if random.chance(45) {
                street.trade(random, out);
            }
            if id == PERPETUAL && self.n_ticks.is_multiple_of(7) {
                out.push(id, MarketData::Mark { mark: Price(street.bid + 1), index: Price(0) });
            }
            if id == PERPETUAL && self.n_ticks.is_multiple_of(31) {
                let rate_e12 = random.between(-900_000_000, 900_000_000);
                out.push(id, MarketData::Funding { rate_e12 });
            }
        }
        id
    }

    /// Lets snapshots go out that are due.
    pub(crate) fn answer(&mut self, now: i64, out: &mut Outlet<'_>) {
        for street in &mut self.streets {
            if street.is_up && street.snapshot_at.is_some_and(|at| at <= now) {
                street.snapshot_at = None;
                street.snapshot(out);
            }
        }
    }

    /// Returns when a snapshot is due.
    pub(crate) fn answer_at(&self) -> Option<i64> {
        let open = self.streets.iter().filter(|street| street.is_up);
        open.filter_map(|street| street.snapshot_at).min()
    }

    /// Somebody wants a snapshot of a book.
    pub(crate) fn ask(&mut self, id: InstrumentId, at: i64) {
        self.streets[id.index()].snapshot_at.get_or_insert(at);
    }

    /// Leaves changes out. The next list tells of it by its number.
    pub(crate) fn gap(&mut self, random: &mut Random, out: &mut Outlet<'_>) -> bool {
        let street = &mut self.streets[random.index(N_INSTRUMENTS)];
        if !street.is_up {
            return false;
        }
        let mut nowhere = Vec::new();
        street.walk(random);
        let mut lost = Outlet { events: &mut nowhere, utc: out.utc };
        street.difference(random, &mut lost, false);
        street.walk(random);
        street.difference(random, out, false);
        true
    }

    /// Tells a bid above the best ask.
    pub(crate) fn cross(&mut self, random: &mut Random, out: &mut Outlet<'_>) -> bool {
        let street = &mut self.streets[random.index(N_INSTRUMENTS)];
        if street.is_up {
            street.difference(random, out, true);
        }
        street.is_up
    }

    /// Ends a stream, or begins it again. Returns which of both, if either.
    pub(crate) fn flip_link(
        &mut self,
        random: &mut Random,
        now: i64,
        out: &mut Outlet<'_>,
        counts: &mut Counts<Fault>,
    ) {
        let street = &mut self.streets[random.index(N_INSTRUMENTS)];
        if street.is_up {
            street.is_up = false;
            out.link(street.id, LinkState::Down);
            counts.count(Fault::LinkDown);
        } else {
            street.come_up(now, out, counts);
        }
    }

    /// Mends all that is broken.
    pub(crate) fn mend(&mut self, now: i64, out: &mut Outlet<'_>, counts: &mut Counts<Fault>) {
        for street in self.streets.iter_mut().filter(|street| !street.is_up) {
            street.come_up(now, out, counts);
        }
    }
}

impl Street {
    fn come_up(&mut self, now: i64, out: &mut Outlet<'_>, counts: &mut Counts<Fault>) {
        self.is_up = true;
        out.link(self.id, LinkState::Up);
        counts.count(Fault::LinkUp);
        self.snapshot_at = Some(now + 200 * Nanos::MILLI);
    }

    /// Moves the prices.
    fn walk(&mut self, random: &mut Random) {
        let step = random.between(-2, 2);
        self.bid = (self.bid + step).max(1_000);
        self.ask = self.bid + random.between(1, 3);
    }

    /// Tells what is other than before, as one list; with a price that crosses, if asked for.
    fn difference(&mut self, random: &mut Random, out: &mut Outlet<'_>, crossed: bool) {
        let prev = self.seq;
        self.seq += 1;
        let mut levels: Vec<(Side, i64, i64)> = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            let (known, best) = match side {
                Side::Buy => (&mut self.bids, self.bid),
                Side::Sell => (&mut self.asks, self.ask),
            };
            let wanted: Vec<_> = (0..DEPTH).map(|n| best - n * side.sign()).collect();
            levels.extend(known.keys().filter(|at| !wanted.contains(at)).map(|at| (side, *at, 0)));
            known.retain(|at, _| wanted.contains(at));
            for at in wanted {
                if !known.contains_key(&at) || random.chance(15) {
                    let qty = random.between(1, 40);
                    known.insert(at, qty);
                    levels.push((side, at, qty));
                }
            }
        }
        if crossed {
            // It is in no book: the next snapshot is without it.
            levels.push((Side::Buy, self.ask + 1, 1));
        }
        if levels.is_empty() {
            let qty = random.between(1, 40);
            self.bids.insert(self.bid, qty);
            levels.push((Side::Buy, self.bid, qty));
        }
        out.push(self.id, MarketData::Batch { prev, seq: self.seq });
        self.list(&levels, out);
    }

    fn snapshot(&mut self, out: &mut Outlet<'_>) {
        self.bids = (0..DEPTH).map(|n| (self.bid - n, 5 + n)).collect();
        self.asks = (0..DEPTH).map(|n| (self.ask + n, 5 + n)).collect();
        self.seq += 1;
        out.push(self.id, MarketData::Clear { seq: self.seq });
        let bids = self.bids.iter().map(|(at, qty)| (Side::Buy, *at, *qty));
        let asks = self.asks.iter().map(|(at, qty)| (Side::Sell, *at, *qty));
        let levels: Vec<_> = bids.chain(asks).collect();
        self.list(&levels, out);
    }

    fn list(&self, levels: &[(Side, i64, i64)], out: &mut Outlet<'_>) {
        for (n, (side, price, qty)) in levels.iter().enumerate() {
            let (price, qty, last) = (Price(*price), Quantity(*qty), n + 1 == levels.len());
            out.push(self.id, MarketData::Level { side: *side, price, qty, last });
        }
    }

    fn trade(&mut self, random: &mut Random, out: &mut Outlet<'_>) {
        self.n_trades += 1;
        let is_buy = random.chance(50);
        let (side, price) = if is_buy { (Side::Buy, self.ask) } else { (Side::Sell, self.bid) };
        let (price, qty) = (Price(price), Quantity(random.between(1, 9)));
        let id = self.n_trades;
        out.push(self.id, MarketData::Trade { aggressor: Some(side), price, qty, id });
    }
}

/// What the engine's books ought to be, told by the same events and nothing of the engine's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    books: [ShownBook; N_INSTRUMENTS],
}

#[derive(Clone, Debug, Default)]
struct ShownBook {
    levels: [BTreeMap<i64, i64>; 2],
    seq: u64,
    /// Whether there ever was a book of it.
    is_begun: bool,
    /// Whether something has come since the process began.
    has_any: bool,
    is_stale: bool,
    is_open: bool,
    mark: Option<Price>,
}

impl Shown {
    /// Another process begins, with the marks that it found in its record.
    pub(crate) fn restart(&mut self, marks: [Option<Price>; N_INSTRUMENTS]) {
        for (book, mark) in self.books.iter_mut().zip(marks) {
            let is_begun = book.is_begun;
            *book = ShownBook { is_begun, is_open: is_begun, mark, ..ShownBook::default() };
        }
    }

    /// Takes what the engine was given.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Market(market) => {
                self.books[market.instrument.index()].take(&market.data);
            }
            Event::Link(link) if link.state != LinkState::Up => {
                for (idx, book) in self.books.iter_mut().enumerate() {
                    if book.is_begun && link.instrument.is_none_or(|id| id.index() == idx) {
                        book.is_stale = true;
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns whether a book is known not to be true.
    pub(crate) const fn is_stale(&self, id: InstrumentId) -> bool {
        self.books[id.index()].is_stale
    }

    /// Returns whether a book can be traded on.
    pub(crate) const fn is_live(&self, id: InstrumentId) -> bool {
        let book = &self.books[id.index()];
        // Without any book the engine trades on trades and marks; here books come first.
        !book.is_begun || !book.is_stale && !book.is_open
    }

    /// Returns the price that funding is paid on.
    pub(crate) fn mark(&self, id: InstrumentId) -> Option<Price> {
        self.books[id.index()].mark
    }
}

impl ShownBook {
    fn take(&mut self, data: &MarketData) {
        match *data {
            MarketData::Clear { seq } => {
                self.levels = Default::default();
                (self.seq, self.is_begun, self.is_stale, self.is_open) = (seq, true, false, true);
                self.has_any = true;
            }
            MarketData::Batch { prev, seq } => {
                if self.has_any && prev > self.seq {
                    self.is_stale = true;
                }
                self.has_any = true;
                if !self.is_stale {
                    (self.seq, self.is_begun, self.is_open) = (self.seq.max(seq), true, true);
                }
            }
            MarketData::Level { side, price, qty, last } => {
                let levels = &mut self.levels[usize::from(side == Side::Sell)];
                if qty.0 == 0 {
                    levels.remove(&price.0);
                } else {
                    levels.insert(price.0, qty.0);
                }
                if last {
                    self.is_open = false;
                    let [bids, asks] = &self.levels;
                    let best = (bids.keys().next_back(), asks.keys().next());
                    self.is_stale |= matches!(best, (Some(bid), Some(ask)) if bid >= ask);
                }
            }
            MarketData::Mark { mark, .. } => self.mark = Some(mark),
            _ => {}
        }
    }
}
