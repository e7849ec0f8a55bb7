//! The stretch of time that is wanted, and the books that stand when it begins.
//!
//! What lies before the stretch is not told, but its books are kept: at the first event inside
//! they are told as snapshots, so that no strategy is called for what is past and every book is
//! right from the start.

use std::collections::{BTreeMap, HashMap};

use tercel_core::{
    BookOrderAction, BookState, Event, InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent,
    Nanos, OrderBook, Price, Quantity, Side, StaleCause, VenueId,
};

/// Lets pass what lies in a stretch of time.
#[derive(Debug)]
pub struct Window {
    from: Option<Nanos>,
    to: Option<Nanos>,
    /// What stands before the stretch, until it has begun.
    before: BTreeMap<InstrumentId, Standing>,
    venues: Vec<VenueId>,
}

impl Window {
    /// `venues` are those of the instruments, by their ids.
    #[must_use]
    pub const fn new(from: Option<Nanos>, to: Option<Nanos>, venues: Vec<VenueId>) -> Self {
        Self { from, to, before: BTreeMap::new(), venues }
    }

    /// Returns whether the stretch is over at this time.
    #[must_use]
    pub fn is_over(&self, at: Nanos) -> bool {
        self.to.is_some_and(|to| at >= to)
    }

    /// Takes out of `out[start..]`, which is in order of time, what lies outside; returns whether
    /// the stretch is over.
    pub fn apply(&mut self, out: &mut Vec<Event>, start: usize) -> bool {
        let mut over = false;
        if self.to.is_some() {
            let end = out[start..].iter().position(
                |event| matches!(event, Event::Market(market) if self.is_over(market.received_at)),
            );
            if let Some(end) = end {
                out.truncate(start + end);
                over = true;
            }
        }
        let Some(from) = self.from else { return over };
        let inside = out[start..]
            .iter()
            .position(|event| matches!(event, Event::Market(market) if market.received_at >= from));
        let n_before = inside.unwrap_or(out.len() - start);
        for event in &out[start..start + n_before] {
            self.stand(event);
        }
        if inside.is_none() {
            out.truncate(start);
            return over;
        }
        self.from = None;
        let mut opening = Vec::new();
        for (id, standing) in std::mem::take(&mut self.before) {
            let venue = self.venues.get(id.index()).copied().unwrap_or_default();
            standing.tell(from, id, venue, &mut opening);
        }
        out.splice(start..start + n_before, opening);
        over
    }

    fn stand(&mut self, event: &Event) {
        match event {
            Event::Market(market) => {
                let is_book = matches!(
                    market.data,
                    MarketData::Clear { .. }
                        | MarketData::Batch { .. }
                        | MarketData::Level { .. }
                        | MarketData::BookOrder { .. }
                );
                if is_book {
                    self.before.entry(market.instrument).or_default().take(&market.data);
                }
            }
            Event::Link(link) if link.state != LinkState::Up => {
                for (id, standing) in &mut self.before {
                    let venue = self.venues.get(id.index()).copied().unwrap_or_default();
                    if venue == link.venue && link.instrument.is_none_or(|other| other == *id) {
                        standing.invalidate();
                    }
                }
            }
            _ => {}
        }
    }
}

/// One instrument's book and orders.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    book: OrderBook,
    orders: HashMap<u64, Resting>,
    n_stamps: u64,
}

/// An order that rests.
#[derive(Clone, Copy, Debug)]
struct Resting {
    side: Side,
    price: Price,
    qty: Quantity,
    /// Grows with every place taken in a queue.
    stamp: u64,
}

impl Standing {
    /// Takes what changes the book.
    pub(crate) fn take(&mut self, data: &MarketData) {
        match *data {
            MarketData::Clear { seq } => {
                self.book.clear(seq);
                self.orders.clear();
            }
            // What is wrong stays visible in the book's state.
            MarketData::Batch { prev, seq } => {
                let _ = self.book.begin(prev, seq);
            }
            MarketData::Level { side, price, qty, last } => {
                self.book.set(side, price, qty);
                if last {
                    let _ = self.book.end();
                }
            }
            MarketData::BookOrder { action, side, price, qty, order_id, .. } => {
                self.order(action, side, price, qty, order_id);
            }
            MarketData::Trade { .. }
            | MarketData::Quote { .. }
            | MarketData::Bar { .. }
            | MarketData::Mark { .. }
            | MarketData::Funding { .. } => {}
        }
    }

    fn order(
        &mut self,
        action: BookOrderAction,
        side: Side,
        price: Price,
        qty: Quantity,
        order_id: u64,
    ) {
        self.n_stamps += 1;
        let stamp = self.n_stamps;
        let mut left = match (action, self.orders.get(&order_id).copied()) {
            (BookOrderAction::Add, _) | (BookOrderAction::Modify, None) => {
                Resting { side, price, qty, stamp }
            }
            (BookOrderAction::Modify, Some(old)) => {
                let keeps_place = old.price == price && old.side == side && qty <= old.qty;
                Resting { side, price, qty, stamp: if keeps_place { old.stamp } else { stamp } }
            }
            (BookOrderAction::Execute, Some(old)) => Resting { qty: old.qty - qty, ..old },
            (BookOrderAction::Cancel, Some(old)) => Resting { qty: Quantity::ZERO, ..old },
            (BookOrderAction::Execute | BookOrderAction::Cancel, None) => return,
        };
        left.qty.0 = left.qty.0.max(0);
        if left.qty.is_zero() {
            self.orders.remove(&order_id);
        } else {
            self.orders.insert(order_id, left);
        }
    }

    /// Notes that changes were lost.
    pub(crate) fn invalidate(&mut self) {
        self.book.invalidate(StaleCause::Link);
    }

    /// Tells all that stands, as of `at`.
    pub(crate) fn tell(
        &self,
        at: Nanos,
        instrument: InstrumentId,
        venue: VenueId,
        out: &mut Vec<Event>,
    ) {
        let mut push = |data| {
            out.push(Event::Market(MarketEvent {
                venue_at: at,
                received_at: at,
                instrument,
                data,
            }));
        };
        push(MarketData::Clear { seq: self.book.seq() });
        let mut orders: Vec<_> = self.orders.iter().collect();
        orders.sort_unstable_by_key(|(_, order)| order.stamp);
        let mut n_left = self.book.n_levels(Side::Buy) + self.book.n_levels(Side::Sell);
        let n_orders = orders.len();
        if n_left == 0 && n_orders == 0 {
            // An empty book is a book: its list has to end, too.
            let (side, price, qty) = (Side::Buy, Price(0), Quantity::ZERO);
            push(MarketData::Level { side, price, qty, last: true });
        }
        for (n, (&order_id, &Resting { side, price, qty, .. })) in orders.into_iter().enumerate() {
            let last = n_left == 0 && n + 1 == n_orders;
            let action = BookOrderAction::Add;
            push(MarketData::BookOrder { action, side, price, qty, order_id, last });
        }
        for side in [Side::Buy, Side::Sell] {
            for level in self.book.levels(side) {
                n_left -= 1;
                let last = n_left == 0;
                push(MarketData::Level { side, price: level.price, qty: level.qty, last });
            }
        }
        // A book that missed something must not look whole.
        if let BookState::Stale(StaleCause::Gap { .. } | StaleCause::Link) = self.book.state() {
            let instrument = Some(instrument);
            out.push(Event::Link(LinkEvent { venue, instrument, state: LinkState::Gap }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64, data: MarketData) -> Event {
        let (venue_at, received_at) = (Nanos(at), Nanos(at));
        Event::Market(MarketEvent { venue_at, received_at, instrument: InstrumentId(0), data })
    }

    fn level(at: i64, price: i64, qty: i64) -> Event {
        let (side, price, qty) = (Side::Buy, Price(price), Quantity(qty));
        event(at, MarketData::Level { side, price, qty, last: true })
    }

    fn trade(at: i64) -> Event {
        let (price, qty) = (Price(5), Quantity(1));
        event(at, MarketData::Trade { aggressor: None, price, qty, id: 0 })
    }

    /// Applies a window from 10 to 20 in blocks of two.
    fn check(events: &[Event], expected: &[Event]) {
        let mut window = Window::new(Some(Nanos(10)), Some(Nanos(20)), vec![VenueId(0)]);
        let mut out = Vec::new();
        for block in events.chunks(2) {
            let start = out.len();
            out.extend_from_slice(block);
            if window.apply(&mut out, start) {
                break;
            }
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn books_open_the_stretch_and_the_past_is_not_told() {
        let batch = |at, prev, seq| event(at, MarketData::Batch { prev, seq });
        let past = [
            event(1, MarketData::Clear { seq: 3 }),
            level(1, 100, 5),
            trade(2),
            batch(3, 3, 4),
            level(3, 99, 7),
            level(3, 100, 0),
        ];
        let inside = [batch(12, 4, 6), level(12, 98, 1), trade(19)];
        let opening = [event(10, MarketData::Clear { seq: 4 }), level(10, 99, 7)];
        check(
            &[&past[..], &inside, &[trade(20), level(21, 1, 1)]].concat(),
            &[&opening[..], &inside].concat(),
        );
        check(&[&past[..], &[trade(25)]].concat(), &[]);
        check(&[trade(1), trade(15)], &[trade(15)]);
    }

    #[test]
    fn a_book_with_a_gap_opens_as_one() {
        let gap = LinkEvent {
            venue: VenueId(0),
            instrument: Some(InstrumentId(0)),
            state: LinkState::Gap,
        };
        check(
            &[
                event(1, MarketData::Clear { seq: 3 }),
                level(1, 100, 5),
                event(2, MarketData::Batch { prev: 9, seq: 10 }),
                level(2, 99, 7),
                trade(15),
            ],
            &[
                event(10, MarketData::Clear { seq: 3 }),
                event(
                    10,
                    MarketData::Level {
                        side: Side::Buy,
                        price: Price(100),
                        qty: Quantity(5),
                        last: false,
                    },
                ),
                level(10, 99, 7),
                Event::Link(gap),
                trade(15),
            ],
        );
    }

    #[test]
    fn orders_open_the_stretch_in_the_order_of_their_queues() {
        use BookOrderAction::{Add, Cancel, Execute, Modify};
        let order = |at, action, qty, order_id, last| {
            let (side, price, qty) = (Side::Buy, Price(100), Quantity(qty));
            event(at, MarketData::BookOrder { action, side, price, qty, order_id, last })
        };
        check(
            &[
                order(1, Add, 5, 1, true),
                order(2, Add, 5, 2, true),
                order(3, Add, 5, 3, true),
                order(4, Modify, 9, 1, true),
                order(5, Execute, 2, 2, true),
                order(6, Cancel, 0, 3, true),
                trade(15),
            ],
            &[
                event(10, MarketData::Clear { seq: 0 }),
                order(10, Add, 3, 2, false),
                order(10, Add, 9, 1, true),
                trade(15),
            ],
        );
    }
}
