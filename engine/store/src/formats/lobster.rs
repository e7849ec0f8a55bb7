//! LOBSTER: NASDAQ messages order by order, and the book's first levels after each of them.
//!
//! <https://lobsterdata.com/info/DataStructure.php>. A message file holds only what touched the
//! levels that its orderbook file shows. So three things are not in it: orders that rested before
//! its window, levels that come into sight as better ones vanish, and what happens to levels while
//! they are out of sight. The row of the orderbook file that belongs to a message settles all
//! three: after every message the levels in sight are set to the row, and every such setting is
//! counted in the report by its kind. Deeper levels stay as they were last seen.
//!
//! Midnight is New York's by the rule in force since March 2007, before the first LOBSTER day.

use tercel_core::{Nanos, Side};

use crate::container::{Member, Unwrapped};
use crate::decimal::{Dec, POW10};
use crate::error::StoreError;
use crate::formats::Pass;
use crate::formats::by_order::{ByOrder, Sink};
use crate::formats::cells::{Cells, refused};
use crate::grid::Step;
use crate::lines::{self, LineFormat};
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;

const MESSAGE: &str = "_message_";
const ORDERBOOK: &str = "_orderbook_";
/// Prices are in ten-thousandths of a dollar.
const PRICE_SCALE: u8 = 4;
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";

/// Messages with the rows that belong to them.
pub(crate) struct Lobster {
    symbols: [RawSymbol; 1],
    midnight: Nanos,
    /// Not known while the prices of orders are still looked at.
    tick: Option<Step>,
    rows: Option<Unwrapped>,
    line: Vec<u8>,
    row: Row,
    book: ByOrder,
    began: bool,
}

/// Prices and sizes that an orderbook row shows, best first.
#[derive(Default)]
struct Row {
    bids: Vec<(i64, i64)>,
    asks: Vec<(i64, i64)>,
    /// Levels that it has room for on each side.
    depth: usize,
}

impl Row {
    /// Reads `ask price, ask size, bid price, bid size` of each level; a size of zero is no level.
    fn parse(&mut self, line: &[u8]) -> Option<()> {
        self.bids.clear();
        self.asks.clear();
        self.depth = 0;
        let mut cells = line.trim_ascii().split(|byte| *byte == b',');
        while let Some(first) = cells.next() {
            let ask_px = whole(first)?;
            let mut next = || cells.next().and_then(whole);
            let (ask_qty, bid_px, bid_qty) = (next()?, next()?, next()?);
            self.depth += 1;
            for (side, price, qty) in
                [(&mut self.asks, ask_px, ask_qty), (&mut self.bids, bid_px, bid_qty)]
            {
                if qty > 0 {
                    side.push((price, qty));
                }
            }
        }
        Some(())
    }
}

/// Returns whether this is the first line of a message file.
pub(crate) fn recognise(first: &[u8]) -> bool {
    let Ok(message) = Message::parse(first) else { return false };
    first.contains(&b'.') && message.seconds.mantissa >= 0
}

/// Returns whether this is an orderbook file whose messages are there too: it is read with them.
pub(crate) fn belongs_to_messages(member: &Member) -> bool {
    sibling(member, ORDERBOOK, MESSAGE).is_some()
}

/// Returns the file of the same archive or folder whose name differs in one part.
fn sibling(member: &Member, part: &str, other: &str) -> Option<Member> {
    let name = own_name(member);
    if !name.contains(part) {
        return None;
    }
    let name = name.replace(part, other);
    if member.name.is_some() {
        let members = Member::list(&member.path).ok()?;
        return members.into_iter().find(|found| own_name(found) == name);
    }
    let path = member.path.with_file_name(name);
    path.is_file().then_some(())?;
    Member::list(&path).ok()?.into_iter().next()
}

fn own_name(member: &Member) -> String {
    let of_file = || member.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    member.name.clone().unwrap_or_else(of_file)
}

impl Lobster {
    pub(crate) fn new(
        member: &Member,
        options: &OpenOptions,
        pass: Pass<'_>,
    ) -> Result<Self, StoreError> {
        let name = own_name(member);
        let name = name.rsplit('/').next().unwrap_or_default();
        let mut parts = name.split('_');
        let symbol = parts.next().unwrap_or_default();
        let midnight = parts.next().and_then(midnight).ok_or_else(|| StoreError::Ambiguous {
            path: member.path.clone(),
            what: format!("`{name}` has no date, and LOBSTER's times count from midnight"),
            option: "a file name such as AMZN_2012-06-21_34200000_57600000_message_5.csv",
        })?;
        let rows = sibling(member, MESSAGE, ORDERBOOK);
        Ok(Self {
            symbols: [RawSymbol::spot(symbol)],
            midnight,
            tick: pass
                .found()
                .first()
                .and_then(|found| Step::new(options.tick.unwrap_or(found.tick))),
            rows: rows.map(|rows| rows.open()).transpose()?,
            line: Vec::new(),
            row: Row::default(),
            book: ByOrder::new(PRICE_SCALE, 0),
            began: false,
        })
    }

    /// Reads the row of the message at hand; `false` without one.
    fn next_row(&mut self, report: &mut Report) -> bool {
        let Some(rows) = &mut self.rows else { return false };
        self.line.clear();
        let read = lines::read_line(rows, &mut self.line);
        if !matches!(read, Ok(1..)) {
            let why = read.err().map_or_else(|| "it has ended".to_owned(), |e| e.to_string());
            report.notes.push(format!("no orderbook row from line {}: {why}", report.n_lines));
            self.rows = None;
            return false;
        }
        let is_good = self.row.parse(&self.line).is_some();
        if !is_good {
            report.count("orderbook rows that could not be read");
        }
        is_good
    }

    fn apply(&mut self, message: &Message, report: &mut Report, sink: &mut Sink<'_>) {
        let &Message { kind, id, qty, price, side, .. } = message;
        let known = self.book.order(id);
        match (kind, known) {
            (1, _) => {
                if known.is_some() {
                    report.count("orders added twice");
                }
                self.book.add(id, side, price, qty, sink);
            }
            (2..=4, None) => {
                report.count("changes of orders from before the window");
                self.book.shift(side, price, -qty);
            }
            (2, Some(order)) if order.qty > qty => {
                self.book.modify(id, order.price, order.qty - qty, sink);
            }
            (2 | 3, Some(order)) => {
                if order.qty != qty {
                    report.count("deletions of another size than the order had");
                }
                self.book.cancel(id, sink);
            }
            (4, Some(_)) => self.book.execute(id, qty, sink),
            (5, _) => report.count("executions of hidden orders"),
            (6, _) => report.count("auction trades"),
            _ => report.count("halts and resumptions"),
        }
        if let 4..=6 = kind {
            // The side is that of the order that rested; an auction has no taker.
            let aggressor = (kind != 6).then(|| side.opposite());
            let (price, qty) = (self.book.price(price), self.book.qty(qty));
            // Hidden orders trade at half cents, where no order may be placed: they do not decide
            // the tick, and what is not on it is left out.
            if kind == 5 {
                let Some(tick) = self.tick else { return };
                if tick.count(price).is_none() {
                    report.count("executions of hidden orders between ticks, left out");
                    return;
                }
            }
            sink.push(RawData::Trade { aggressor, price, qty, id: 0 });
        }
    }

    /// Sets the levels in sight to the row's.
    fn correct(&mut self, report: &mut Report) {
        let is_first = !self.began;
        for (side, levels) in [(Side::Buy, &self.row.bids), (Side::Sell, &self.row.asks)] {
            let best = self.book.prices(side).next();
            if !is_first && best != levels.first().map(|(price, _)| *price) {
                report.count("best prices that only the orderbook file told");
            }
            for (price, qty) in levels {
                let what = match self.book.level(side, *price) {
                    known if known == *qty => continue,
                    _ if is_first => "levels taken from the first orderbook row",
                    0 => "levels that came into sight",
                    _ => "levels whose size had changed out of sight",
                };
                report.count(what);
                self.book.set_level(side, *price, *qty);
            }
            let worst = levels.last().filter(|_| levels.len() == self.row.depth);
            let in_sight = |price: &i64| match worst {
                Some((worst, _)) if side == Side::Buy => price >= worst,
                Some((worst, _)) => price <= worst,
                None => true,
            };
            let prices = self.book.prices(side).take_while(in_sight);
            let gone: Vec<i64> =
                prices.filter(|price| !levels.iter().any(|(seen, _)| seen == price)).collect();
            for price in gone {
                report.count("levels that had gone out of sight");
                self.book.set_level(side, price, 0);
            }
        }
    }
}

impl LineFormat for Lobster {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        // Also a message that is refused has its row.
        let has_row = self.next_row(report);
        let message = Message::parse(line)?;
        let at = self.midnight.plus(nanos(message.seconds));
        let mut sink = Sink { out, symbol: 0, venue_at: at, received_at: at };
        if !self.began {
            self.book.clear(&mut sink);
        }
        self.apply(&message, report, &mut sink);
        if has_row {
            self.correct(report);
        }
        self.began = true;
        self.book.end(report, &mut sink);
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
}

struct Message {
    seconds: Dec,
    kind: u64,
    id: u64,
    qty: i64,
    price: i64,
    /// Side of the order that rests.
    side: Side,
}

impl Message {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let cells = Cells::<6>::split(line);
        if cells.len != 6 {
            return Err(format!("{} columns, expected 6", cells.len));
        }
        let seconds = cells.amount(0, "time")?;
        if seconds.mantissa >= 86_400 * POW10[usize::from(seconds.scale.min(13))] {
            return Err(refused("time", cells.get(0), "is not within a day"));
        }
        let kind = cells.whole(1, "type")?;
        let qty = cells.whole(3, "size")?;
        let qty = i64::try_from(qty).map_err(|_| refused("size", cells.get(3), "is too large"))?;
        let price = whole(cells.get(4));
        let price = price.ok_or_else(|| refused("price", cells.get(4), "is not a whole number"))?;
        let side = match cells.get(5) {
            b"1" => Side::Buy,
            b"-1" => Side::Sell,
            other => return Err(refused("direction", other, "is neither 1 nor -1")),
        };
        match kind {
            1..=6 if qty == 0 || price <= 0 => Err("an order without price or size".to_owned()),
            1..=7 => Ok(Self { seconds, kind, id: cells.whole(2, "order id")?, qty, price, side }),
            _ => Err(refused("type", cells.get(1), "is none of 1 to 7")),
        }
    }
}

/// Returns nanoseconds; some times carry the noise of a float in further decimals, which are cut.
fn nanos(seconds: Dec) -> i64 {
    match seconds.scale {
        scale @ 0..=9 => seconds.mantissa.saturating_mul(POW10[usize::from(9 - scale)]),
        scale => seconds.mantissa / POW10[usize::from(scale.min(18) - 9)],
    }
}

fn whole(cell: &[u8]) -> Option<i64> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

/// Returns midnight of a date in New York.
fn midnight(date: &str) -> Option<Nanos> {
    let date = date.parse::<jiff::civil::Date>().ok()?;
    let zone = jiff::tz::TimeZone::posix(NEW_YORK).ok()?;
    let at = date.to_zoned(zone).ok()?.timestamp();
    i64::try_from(at.as_nanosecond()).ok().map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_is_new_yorks() {
        let utc = |text| crate::time::parse_date(text);
        assert_eq!(midnight("2012-06-21"), utc("2012-06-21T04:00:00Z"));
        assert_eq!(midnight("2012-12-21"), utc("2012-12-21T05:00:00Z"));
        assert_eq!(midnight("message"), None);
    }

    #[test]
    fn first_lines_are_told() {
        assert!(recognise(b"34200.017459617,5,0,1,2238200,-1"));
        assert!(!recognise(b"34200.017459617,9,0,1,2238200,-1"));
        assert!(!recognise(b"1514764800.5,1,2,1,1,1"));
    }
}
