//! The conversation of a market connection: combined streams, and books put together.

use tercel_core::{
    Event, Instrument, InstrumentId, LinkEvent, LinkState, MarketData, Nanos, VenueId,
};

use super::hosts::{Base, Hosts, Product};
use super::message::{Grids, INTERVALS, Message, Reader};
use crate::book_sync::{BookSync, Increment, SequenceRule, SnapshotAt, Step, market, push_levels};
use crate::grid::Grid;
use crate::listing::Listing;
use crate::protocol::{
    Call, CallAnswer, CallId, CallOutcome, Cost, DecodeError, EncodeError, Frame, Method, Outbox,
    Priority, Protocol, RequestId, Tagged,
};
use crate::venue::{Connection, Manners, Purpose, Topic, TopicKind};

/// Streams that one connection may carry.
const STREAMS_MAX: usize = 1_024;
/// Streams named in one subscription: some 6 KiB of text.
const STREAMS_A_FRAME: usize = 200;
/// A subscription that is not answered by then is taken for lost.
const ANSWER_WITHIN_NS: i64 = 10 * Nanos::SECOND;
/// A snapshot that could not be had is asked for again after this, then twice, and so on.
const FIRST_RETRY_NS: i64 = Nanos::SECOND;
/// But no more seldom than this.
const LAST_RETRY_NS: i64 = 32 * Nanos::SECOND;
/// A snapshot of which more than one in so many levels is off the grid is not on this grid at all.
const GRID_CHANGED_SHARE: usize = 4;
/// A snapshot that has waited longer than this for budget is of no use.
const SNAPSHOT_WITHIN_NS: i64 = 2 * Nanos::MINUTE;

/// Returns the connections that carry these topics of the instruments that are known.
pub(crate) fn connections(
    product: Product,
    hosts: &Hosts,
    listing: &Listing,
    topics: &[Topic],
) -> Vec<Connection> {
    let mut wanted: Vec<(Base, &Instrument, TopicKind)> = topics
        .iter()
        .filter_map(|topic| {
            let kind = offered(product, topic.kind)?;
            Some((base(kind), listing.instrument(topic.instrument)?, kind))
        })
        .collect();
    wanted.sort_unstable_by_key(|(base, instrument, kind)| {
        // Spot has one base for all, so an instrument's streams stay together.
        let base = if product == Product::Spot { Base::Public } else { *base };
        (base, instrument.id, *kind)
    });
    wanted.dedup_by_key(|(_, instrument, kind)| (instrument.id, *kind));
    let mut connections = Vec::new();
    let is_apart = |a: &(Base, _, _), b: &(Base, _, _)| product == Product::Spot || a.0 == b.0;
    for group in wanted.chunk_by(is_apart) {
        for part in group.chunks(STREAMS_MAX) {
            let address = hosts.market(product, part[0].0);
            let stream = MarketStream::new(product, &hosts.rest, listing.venue(), part);
            connections.push(Connection {
                purpose: Purpose::Market,
                address: Box::new(move || Some(address.clone())),
                protocol: Box::new(stream),
                manners: manners(product),
            });
        }
    }
    connections
}

/// What the venue asks of who holds a stream: five messages a second on spot, ten on futures, a
/// cut after 24 hours; spot pings every 20 seconds, futures every 3 minutes.
pub(crate) const fn manners(product: Product) -> Manners {
    match product {
        Product::Spot => Manners { messages_per_s: 5, max_age_s: 23 * 3_600, silence_s: SILENCE_S },
        Product::UsdMargined => {
            Manners { messages_per_s: 10, max_age_s: 23 * 3_600, silence_s: SILENCE_S }
        }
    }
}

/// Seconds without a sign of life after which a connection is dead. We ping as well, at half of it,
/// because a half-open connection must not hold a book for as long as futures take between two of
/// their pings.
const SILENCE_S: u32 = 20;

/// Returns the topic that is subscribed to for one that is wanted; `None` if there is none.
fn offered(product: Product, kind: TopicKind) -> Option<TopicKind> {
    match kind {
        TopicKind::Mark if product == Product::Spot => None,
        // The engine makes bars of other lengths out of trades.
        TopicKind::Bars(minutes) if interval(minutes).is_none() => Some(TopicKind::Trades),
        TopicKind::Top(n) => Some(TopicKind::Top(match n {
            0..=5 => 5,
            6..=10 => 10,
            _ => 20,
        })),
        kind => Some(kind),
    }
}

const fn base(kind: TopicKind) -> Base {
    match kind {
        TopicKind::Book | TopicKind::Top(_) | TopicKind::Quotes => Base::Public,
        TopicKind::Trades | TopicKind::Bars(_) | TopicKind::Mark => Base::Market,
    }
}

/// Returns the venue's name of a length of bars.
pub(crate) fn interval(minutes: u16) -> Option<&'static str> {
    INTERVALS.iter().find(|(own, _)| *own == minutes).map(|(_, name)| *name)
}

/// One market connection.
#[derive(Debug)]
pub(crate) struct MarketStream {
    product: Product,
    venue: VenueId,
    rest: String,
    reader: Reader,
    slots: Vec<Slot>,
    streams: Vec<String>,
    /// Subscriptions that were sent, by what they are known by, and when.
    pending: Vec<(u64, Nanos)>,
    next_id: u64,
}

/// An instrument on the connection.
#[derive(Debug)]
struct Slot {
    instrument: InstrumentId,
    symbol: String,
    /// The book, where one is kept.
    book: Option<Book>,
    funding: Funding,
}

#[derive(Debug)]
struct Book {
    sync: BookSync,
    /// The call that fetches a snapshot.
    call: Option<CallId>,
    /// When to ask for one, if none is on its way.
    retry_at: Option<Nanos>,
    /// How long to wait after the next failure.
    wait_ns: i64,
}

/// The payment that is due next, as last told.
#[derive(Clone, Copy, Debug, Default)]
struct Funding {
    rate_e12: i64,
    due_ms: i64,
}

impl MarketStream {
    pub(crate) fn new(
        product: Product,
        rest: &str,
        venue: VenueId,
        topics: &[(Base, &Instrument, TopicKind)],
    ) -> Self {
        let rule = match product {
            Product::Spot => SequenceRule::Contiguous,
            Product::UsdMargined => SequenceRule::Linked,
        };
        let mut slots: Vec<Slot> = Vec::new();
        let mut grids: Vec<(String, Grids)> = Vec::new();
        let mut streams = Vec::new();
        for (_, instrument, kind) in topics {
            let spec = &instrument.spec;
            let (Some(price), Some(qty)) = (Grid::new(spec.tick), Grid::new(spec.lot)) else {
                // Nothing that the venue lists has a step of more than 18 digits.
                continue;
            };
            let known = slots.iter().position(|slot| slot.instrument == instrument.id);
            let idx = known.unwrap_or_else(|| {
                slots.push(Slot {
                    instrument: instrument.id,
                    symbol: spec.symbol.clone(),
                    book: None,
                    funding: Funding::default(),
                });
                grids.push((spec.symbol.clone(), Grids { price, qty, whole: false }));
                slots.len() - 1
            });
            match kind {
                TopicKind::Book => {
                    slots[idx].book = Some(Book {
                        sync: BookSync::new(venue, instrument.id, rule),
                        call: None,
                        retry_at: None,
                        wait_ns: FIRST_RETRY_NS,
                    });
                }
                TopicKind::Top(_) => grids[idx].1.whole = true,
                _ => {}
            }
            streams.push(stream_name(product, &spec.symbol, *kind));
        }
        Self {
            product,
            venue,
            rest: rest.to_owned(),
            reader: Reader::new(grids.iter().map(|(symbol, grids)| (symbol.as_str(), *grids))),
            slots,
            streams,
            pending: Vec::new(),
            next_id: 1,
        }
    }

    fn ask_for_snapshot(&mut self, slot: usize, now: Nanos, out: &mut Outbox) {
        let (path, limit, weight) = match self.product {
            Product::Spot => ("/api/v3/depth", 1_000, 50),
            Product::UsdMargined => ("/fapi/v1/depth", 1_000, 20),
        };
        let id = CallId(self.next_id);
        let Slot { symbol, book: Some(book), .. } = &mut self.slots[slot] else { return };
        if book.call.is_some() {
            return;
        }
        self.next_id += 1;
        book.sync.resync();
        book.call = Some(id);
        book.retry_at = None;
        out.calls.push(Call {
            id,
            method: Method::Get,
            url: format!(
                "{}{path}?symbol={}&limit={limit}",
                self.rest,
                crate::percent::encoded(symbol)
            ),
            headers: Vec::new(),
            body: Vec::new(),
            cost: Cost { weight, orders: 0, priority: Priority::Query },
            expires_at: now.plus(SNAPSHOT_WITHIN_NS),
        });
    }

    fn retry_later(&mut self, slot: usize, now: Nanos) {
        if let Some(book) = &mut self.slots[slot].book {
            book.retry_at = Some(now.plus(book.wait_ns));
            book.wait_ns = (book.wait_ns * 2).min(LAST_RETRY_NS);
        }
    }

    fn take_snapshot(
        &mut self,
        slot: usize,
        body: &[u8],
        received_at: Nanos,
        out: &mut Outbox,
    ) -> bool {
        let Ok(Message::Book { last, at_ms, .. }) = self.reader.read_snapshot(slot, body) else {
            return false;
        };
        let off_grid = self.reader.off_grid().n_levels;
        let n_levels = self.reader.bids().len() + self.reader.asks().len();
        if off_grid * GRID_CHANGED_SHARE > n_levels + off_grid {
            return false;
        }
        out.n_off_grid += off_grid;
        let Some(book) = &mut self.slots[slot].book else { return false };
        let at = SnapshotAt { last, venue_at: at_ms.map_or(received_at, nanos), received_at };
        let step = book.sync.snapshot(&at, self.reader.bids(), self.reader.asks(), &mut out.events);
        if step == Step::Done {
            book.wait_ns = FIRST_RETRY_NS;
        }
        step == Step::Done
    }

    /// Tells the engine what a message says.
    #[inline]
    fn tell(&mut self, message: Message, received_at: Nanos, out: &mut Outbox) {
        match message {
            Message::Depth { slot, first, last, prev, at_ms } => {
                let Some(book) = &mut self.slots[slot].book else { return };
                let venue_at = nanos(at_ms);
                let increment = Increment { first, last, prev, venue_at, received_at };
                let (bids, asks) = (self.reader.bids(), self.reader.asks());
                let step = book.sync.increment(&increment, bids, asks, &mut out.events);
                if step == Step::NeedSnapshot {
                    self.ask_for_snapshot(slot, received_at, out);
                }
            }
            Message::Trade { slot, id, price, qty, aggressor, at_ms } => {
                let data = MarketData::Trade { aggressor: Some(aggressor), price, qty, id };
                out.events.push(self.event(slot, nanos(at_ms), received_at, data));
            }
            Message::Quote { slot, bid, ask, last, at_ms } => {
                let data = MarketData::Quote {
                    bid_px: bid.price,
                    bid_qty: bid.qty,
                    ask_px: ask.price,
                    ask_qty: ask.qty,
                    seq: last,
                };
                let venue_at = at_ms.map_or(received_at, nanos);
                out.events.push(self.event(slot, venue_at, received_at, data));
            }
            Message::Book { slot: Some(slot), last, at_ms } => {
                // Beside a book of increments the same levels would be told twice.
                if self.slots[slot].book.is_some() {
                    return;
                }
                let venue_at = at_ms.map_or(received_at, nanos);
                let event = |data| market(self.slots[slot].instrument, venue_at, received_at, data);
                let (bids, asks) = (self.reader.bids(), self.reader.asks());
                if !bids.is_empty() || !asks.is_empty() {
                    out.events.push(event(MarketData::Clear { seq: last }));
                    let (bids, asks) = (bids.iter().copied(), asks.iter().copied());
                    push_levels(event, bids, asks, &mut out.events);
                }
            }
            Message::Mark { slot, mark, index, rate_e12, funding_ms, at_ms } => {
                let due = std::mem::replace(
                    &mut self.slots[slot].funding,
                    Funding { rate_e12, due_ms: funding_ms },
                );
                // The venue tells the next payment; one is due when it tells the one after it.
                if due.due_ms > 0 && funding_ms > due.due_ms {
                    let data = MarketData::Funding { rate_e12: due.rate_e12 };
                    out.events.push(self.event(slot, nanos(due.due_ms), received_at, data));
                }
                let data = MarketData::Mark { mark, index };
                out.events.push(self.event(slot, nanos(at_ms), received_at, data));
            }
            Message::Bar { slot, interval_ms, bar, close_ms } => {
                let data = MarketData::Bar { interval_ms, bar };
                out.events.push(self.event(slot, nanos(close_ms), received_at, data));
            }
            Message::Done { id } => {
                self.pending.retain(|(own, _)| *own != id);
            }
            Message::Refused { .. } => out.reconnect = Some("a subscription was refused"),
            Message::Shutdown => out.reconnect = Some("the venue shuts this server down"),
            Message::OpenBar | Message::Book { slot: None, .. } => {}
        }
    }

    /// Gives a book up that has orders where none can be: leaving them out would make it wrong
    /// without a word.
    #[cold]
    fn give_up(
        &mut self,
        message: Message,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), DecodeError> {
        if let Message::Depth { slot, .. } = message
            && let Some(book) = &mut self.slots[slot].book
        {
            book.sync.lose(&mut out.events);
            if book.call.is_none() && book.retry_at.is_none() {
                self.retry_later(slot, now);
            }
        }
        Err(DecodeError::Field("b, a: a level that is not on the grid"))
    }

    fn event(&self, slot: usize, venue_at: Nanos, received_at: Nanos, data: MarketData) -> Event {
        market(self.slots[slot].instrument, venue_at, received_at, data)
    }

    fn tell_links(&self, state: LinkState, out: &mut Outbox) {
        out.events.extend(self.slots.iter().map(|slot| {
            Event::Link(LinkEvent { venue: self.venue, instrument: Some(slot.instrument), state })
        }));
    }
}

impl Protocol for MarketStream {
    fn subscribe(&mut self, now: Nanos, out: &mut Outbox) {
        self.pending.clear();
        self.tell_links(LinkState::Up, out);
        for names in self.streams.chunks(STREAMS_A_FRAME) {
            let id = self.next_id;
            self.next_id += 1;
            self.pending.push((id, now.plus(ANSWER_WITHIN_NS)));
            let cost = Cost { weight: 0, orders: 0, priority: Priority::Query };
            out.frame(cost, |text| {
                text.extend_from_slice(b"{\"method\":\"SUBSCRIBE\",\"params\":[");
                for (idx, name) in names.iter().enumerate() {
                    text.extend_from_slice(if idx == 0 { b"\"" } else { b",\"" });
                    text.extend_from_slice(name.as_bytes());
                    text.push(b'"');
                }
                text.extend_from_slice(format!("],\"id\":{id}}}").as_bytes());
            });
        }
        // The first increment asks for the snapshot below it. Quiet instruments may send none for
        // long, so theirs are not left to it.
        for slot in 0..self.slots.len() {
            if let Some(book) = &mut self.slots[slot].book {
                book.sync.reset();
                book.wait_ns = FIRST_RETRY_NS;
                book.retry_at = Some(now.plus(FIRST_RETRY_NS));
            }
        }
    }

    #[inline]
    fn decode(
        &mut self,
        frame: Frame<'_>,
        received_at: Nanos,
        out: &mut Outbox,
    ) -> Result<(), DecodeError> {
        let message = self.reader.read(frame.bytes())?;
        let off_grid = self.reader.off_grid();
        if off_grid.n_levels > 0 {
            out.n_off_grid += off_grid.n_levels;
            if off_grid.n_resting > 0 {
                return self.give_up(message, received_at, out);
            }
        }
        self.tell(message, received_at, out);
        Ok(())
    }

    fn encode(
        &mut self,
        _request: &Tagged,
        _now: Nanos,
        _out: &mut Outbox,
    ) -> Result<(), EncodeError> {
        Err(EncodeError::NotReady)
    }

    fn unsent(&mut self, _request: RequestId) {}

    fn answer(&mut self, answer: &CallAnswer<'_>, received_at: Nanos, out: &mut Outbox) {
        let asked = self
            .slots
            .iter()
            .position(|slot| slot.book.as_ref().is_some_and(|book| book.call == Some(answer.id)));
        let Some(slot) = asked else { return };
        if let Some(book) = &mut self.slots[slot].book {
            book.call = None;
        }
        let is_taken = match answer.outcome {
            CallOutcome::Answered { status: 200, body, .. } => {
                self.take_snapshot(slot, body, received_at, out)
            }
            CallOutcome::Answered { .. } | CallOutcome::NotSent { .. } | CallOutcome::Lost => false,
        };
        if !is_taken {
            if let Some(book) = &mut self.slots[slot].book {
                book.sync.not_renewed(&mut out.events);
            }
            self.retry_later(slot, received_at);
        }
    }

    fn on_timer(&mut self, now: Nanos, out: &mut Outbox) -> Nanos {
        let mut next = Nanos(i64::MAX);
        for (_, late_at) in &self.pending {
            if *late_at <= now {
                out.reconnect = Some("a subscription was not answered");
            }
            next = next.min(*late_at);
        }
        for slot in 0..self.slots.len() {
            let retry_at = self.slots[slot].book.as_ref().and_then(|book| book.retry_at);
            match retry_at {
                Some(at) if at <= now => self.ask_for_snapshot(slot, now, out),
                Some(at) => next = next.min(at),
                None => {}
            }
        }
        if out.reconnect.is_some() {
            self.pending.clear();
        }
        next
    }

    fn disconnected(&mut self, _now: Nanos, out: &mut Outbox) {
        self.pending.clear();
        for slot in &mut self.slots {
            slot.funding = Funding::default();
            if let Some(book) = &mut slot.book {
                book.sync.reset();
                // An answer that is still under way belongs to the connection that is gone.
                book.call = None;
                book.retry_at = None;
            }
        }
        self.tell_links(LinkState::Down, out);
    }

    fn resync(&mut self, instrument: InstrumentId, now: Nanos, out: &mut Outbox) {
        let slot = self.slots.iter().position(|slot| slot.instrument == instrument);
        let Some(slot) = slot else { return };
        let Some(book) = &self.slots[slot].book else { return };
        // A snapshot that is under way or planned is the one that is wanted.
        if book.sync.is_waiting() && (book.call.is_some() || book.retry_at.is_some()) {
            return;
        }
        self.ask_for_snapshot(slot, now, out);
    }
}

fn stream_name(product: Product, symbol: &str, kind: TopicKind) -> String {
    let symbol = symbol.to_lowercase();
    match kind {
        TopicKind::Book => format!("{symbol}@depth@100ms"),
        TopicKind::Top(n) => format!("{symbol}@depth{n}@100ms"),
        TopicKind::Quotes => format!("{symbol}@bookTicker"),
        // Futures document aggregates only.
        TopicKind::Trades if product == Product::UsdMargined => format!("{symbol}@aggTrade"),
        TopicKind::Trades => format!("{symbol}@trade"),
        TopicKind::Bars(minutes) => {
            format!("{symbol}@kline_{}", interval(minutes).unwrap_or_default())
        }
        TopicKind::Mark => format!("{symbol}@markPrice@1s"),
    }
}

/// Returns a time of the venue, which counts milliseconds.
pub(crate) const fn nanos(ms: i64) -> Nanos {
    Nanos(ms.saturating_mul(Nanos::MILLI))
}
