//! Bitstamp's order feed as CSV: every order created, changed and deleted.
//!
//! Columns `id,timestamp,exchange_timestamp,price,volume,action,direction`, times in milliseconds.
//!
//! The feed also shows orders on their way in, before they have met the book: such an order is
//! held back while it crosses, and joins the book when it has come to rest. One that still crosses
//! after [`GRACE`] shows that what it crosses is not there any more: the feed's first image has
//! such stale orders, whose end is never told. They leave the book, and the report tells of each.
//!
//! A trade shows as two orders that shrink by the same amount at one moment of the venue: it is
//! told once, at the price of the older order, which rested.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use simd_json::prelude::ValueObjectAccessAsScalar;
use tercel_core::{Nanos, Side};

use crate::container::Member;
use crate::decimal::Dec;
use crate::formats::by_order::{ByOrder, Order, Sink};
use crate::formats::cells::{Cells, refused};
use crate::grid::Step;
use crate::lines::LineFormat;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;

const SCALE: u8 = 8;
/// A crossing order trades within milliseconds of the venue's time.
const GRACE: i64 = Nanos::SECOND;
const HEADER: &[u8] = b"id,timestamp,exchange_timestamp,price,volume,action,direction";

/// Returns whether this is the file's header.
pub(crate) fn recognise(first: &[u8]) -> bool {
    first == HEADER
}

/// The feed.
pub(crate) struct BitstampOrders {
    symbols: [RawSymbol; 1],
    grid: Option<Step>,
    book: ByOrder,
    /// Orders that are not in the book.
    held: BTreeMap<u64, Held>,
    /// Those of them that cross the book.
    crossing: BTreeSet<u64>,
    shrunk: Option<Shrunk>,
    last_at: Nanos,
    began: bool,
}

/// One half of a trade.
#[derive(Clone, Copy)]
struct Shrunk {
    id: u64,
    side: Side,
    price: i64,
    by: i64,
    venue_at: Nanos,
}

/// An order that is known and not in the book.
#[derive(Clone, Copy)]
struct Held {
    side: Side,
    price: i64,
    qty: i64,
    since: Nanos,
    why: Why,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Empty,
    Crosses,
    Stale,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Created,
    Changed,
    Deleted,
}

impl BitstampOrders {
    pub(crate) fn new(member: &Member, symbol: &str) -> Self {
        let told = pair(member).map(|pair| RawSymbol::spot(&pair));
        Self {
            symbols: [told.unwrap_or_else(|| RawSymbol::spot(symbol).unnamed())],
            grid: Step::new(rust_decimal::Decimal::new(1, u32::from(SCALE))),
            book: ByOrder::new(SCALE, SCALE),
            held: BTreeMap::new(),
            crossing: BTreeSet::new(),
            shrunk: None,
            last_at: Nanos(i64::MIN),
            began: false,
        }
    }

    fn mantissa(&self, value: Dec, what: &str) -> Result<i64, String> {
        let count = self.grid.and_then(|grid| grid.count(value));
        count.ok_or_else(|| format!("{what} has more than {SCALE} decimals or is too large"))
    }

    /// Returns side, price and quantity of a known order, held back or not.
    fn known(&self, id: u64) -> Option<(Side, i64, i64)> {
        let resting = self.book.order(id).map(|order| (order.side, order.price, order.qty));
        resting.or_else(|| self.held.get(&id).map(|held| (held.side, held.price, held.qty)))
    }

    /// Returns whether an order would meet the other side of the book.
    fn crosses(&self, side: Side, price: i64) -> bool {
        match (side, self.book.prices(side.opposite()).next()) {
            (_, None) => false,
            (Side::Buy, Some(ask)) => price >= ask,
            (Side::Sell, Some(bid)) => price <= bid,
        }
    }

    /// Puts an order where it belongs: out of the book if it has nothing left or crosses.
    fn put(&mut self, id: u64, side: Side, price: i64, qty: i64, sink: &mut Sink<'_>) {
        let since = self.free(id).map_or(sink.venue_at, |held| held.since);
        let why = match qty {
            0 => Why::Empty,
            _ if self.crosses(side, price) => Why::Crosses,
            _ if self.book.order(id).is_some_and(|order| order.side == side) => {
                return self.book.modify(id, price, qty, sink);
            }
            _ => return self.book.add(id, side, price, qty, sink),
        };
        self.book.cancel(id, sink);
        self.hold(id, Held { side, price, qty, since, why });
    }

    fn hold(&mut self, id: u64, held: Held) {
        if held.why == Why::Crosses {
            self.crossing.insert(id);
        }
        self.held.insert(id, held);
    }

    fn free(&mut self, id: u64) -> Option<Held> {
        self.crossing.remove(&id);
        self.held.remove(&id)
    }

    /// Lets held orders join the book that no longer cross it, oldest first, and those that have
    /// crossed it for too long in place of what they cross.
    fn release(&mut self, report: &mut Report, sink: &mut Sink<'_>) {
        if self.crossing.is_empty() {
            return;
        }
        let held = self.crossing.iter().filter_map(|id| Some((*id, *self.held.get(id)?)));
        let crossing: Vec<_> = held.collect();
        for (id, Held { side, price, qty, since, .. }) in crossing {
            if sink.venue_at.0.saturating_sub(since.0) > GRACE {
                self.drop_stale(side, price, report, sink);
            }
            if !self.crosses(side, price) {
                self.put(id, side, price, qty, sink);
            }
        }
    }

    /// Takes out of the book what an order of this side and price has crossed for too long.
    #[cold]
    fn drop_stale(&mut self, side: Side, price: i64, report: &mut Report, sink: &mut Sink<'_>) {
        for (id, order) in self.book.crossed_by(side, price) {
            report.count("stale orders that crossed the book");
            let [at, qty] = [self.book.price(order.price), self.book.qty(order.qty)].map(|value| {
                rust_decimal::Decimal::new(value.mantissa, u32::from(value.scale)).normalize()
            });
            let name = if order.side == Side::Buy { "bid" } else { "ask" };
            report.note(format!("order {id} was stale: {name} {qty} at {at}"));
            self.book.cancel(id, sink);
            let Order { side, price, qty, .. } = order;
            let since = sink.venue_at;
            self.hold(id, Held { side, price, qty, since, why: Why::Stale });
        }
    }

    /// Tells a trade once both of its orders have shrunk.
    fn shrink(&mut self, half: Shrunk, report: &mut Report, sink: &mut Sink<'_>) {
        let Some(other) = self.shrunk.replace(half) else { return };
        let is_pair =
            other.side != half.side && other.by == half.by && other.venue_at == half.venue_at;
        if !is_pair {
            report.count("orders that shrank without another");
            return;
        }
        self.shrunk = None;
        let (maker, taker) = if other.id < half.id { (other, half) } else { (half, other) };
        let (price, qty) = (self.book.price(maker.price), self.book.qty(half.by));
        sink.push(RawData::Trade { aggressor: Some(taker.side), price, qty, id: 0 });
    }
}

impl LineFormat for BitstampOrders {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Cells::<7>::split(line);
        if cells.len != 7 {
            return Err(format!("{} columns, expected 7", cells.len));
        }
        let id = cells.whole(0, "id")?;
        let (received_at, venue_at) = (millis(&cells, 1)?, millis(&cells, 2)?);
        let price = self.mantissa(cells.amount(3, "price")?, "price")?;
        let qty = self.mantissa(cells.amount(4, "volume")?, "volume")?;
        let action = match cells.get(5) {
            b"created" => Action::Created,
            b"changed" => Action::Changed,
            b"deleted" => Action::Deleted,
            other => return Err(refused("action", other, "is none of created, changed, deleted")),
        };
        let side = match cells.get(6) {
            b"bid" => Side::Buy,
            b"ask" => Side::Sell,
            other => return Err(refused("direction", other, "is neither bid nor ask")),
        };

        if received_at < self.last_at {
            report.count("local times before the line's before");
        }
        self.last_at = received_at;
        let mut sink = Sink { out, symbol: 0, venue_at, received_at };
        if !std::mem::replace(&mut self.began, true) {
            self.book.clear(&mut sink);
        }
        let known = self.known(id);
        if action != Action::Created && known.is_none() {
            report.count("events for unknown orders");
        }
        // A deleted order says what it had left, which is what it had unless it traded.
        if let Some((was_side, was_price, was_qty)) = known
            && action != Action::Created
            && qty < was_qty
        {
            let by = was_qty - qty;
            if self.book.order(id).is_some() {
                self.book.execute(id, by, &mut sink);
            }
            let half = Shrunk { id, side: was_side, price: was_price, by, venue_at };
            self.shrink(half, report, &mut sink);
        }
        match action {
            Action::Deleted => {
                self.free(id);
                self.book.cancel(id, &mut sink);
            }
            // An order that is changed without having been created is as good as created.
            Action::Created | Action::Changed => {
                let unchanged = self.book.order(id);
                let is_told =
                    unchanged.is_some_and(|order| (order.price, order.qty) == (price, qty));
                if !is_told {
                    self.put(id, side, price, qty, &mut sink);
                    let is_crossing = |held: &Held| held.why == Why::Crosses;
                    if action == Action::Created && self.held.get(&id).is_some_and(is_crossing) {
                        report.count("orders held back because they crossed the book");
                    }
                }
            }
        }
        self.release(report, &mut sink);
        self.book.end(report, &mut sink);
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
}

/// Reads the symbol from the description that recorders put beside the orders.
fn pair(member: &Member) -> Option<String> {
    const LONGEST: u64 = 1 << 16;
    if member.name.is_some() {
        return None;
    }
    let file = std::fs::File::open(member.path.with_file_name("meta.json")).ok()?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    let value = simd_json::to_borrowed_value(&mut text).ok()?;
    let pair = value.get_str("pair")?;
    let is_name = (5..=20).contains(&pair.len()) && pair.bytes().all(|b| b.is_ascii_alphanumeric());
    is_name.then(|| pair.to_uppercase())
}

fn millis(cells: &Cells<'_, 7>, n: usize) -> Result<Nanos, String> {
    let time = cells.whole(n, "time")?;
    let nanos = i64::try_from(time).ok().and_then(|time| time.checked_mul(Nanos::MILLI));
    nanos.map(Nanos).ok_or_else(|| refused("time", cells.get(n), "is too large"))
}
