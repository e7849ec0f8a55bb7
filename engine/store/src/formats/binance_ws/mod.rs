//! Binance WebSocket lines: `<local time in ns> <message>`, with REST snapshots among them.
//!
//! Diffs that come before the snapshot belong after it: they are held back and applied by the
//! venue's rule, because a book that starts from the snapshot alone crosses. Rules:
//! <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams> (spot) and
//! <https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams>.

mod scan;

use tercel_core::{InstrumentKind, Nanos, Side};

use crate::decimal::{Dec, parse_u64};
use crate::lines::LineFormat;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;

use scan::{Fields, levels};

/// The lines of one file.
pub(crate) struct BinanceWs {
    symbols: Vec<RawSymbol>,
    books: Vec<BookSync>,
    /// Whether the book's beginning is in an earlier file, or nowhere.
    continues: bool,
}

/// Where one symbol's book stands between snapshot and diffs.
#[derive(Default)]
struct BookSync {
    is_live: bool,
    held: Vec<Diff>,
    /// Where an empty diff began, whose numbers the next one has to cover too.
    open_prev: Option<u64>,
}

/// A diff held back until the snapshot.
struct Diff {
    prev: u64,
    last: u64,
    is_futures: bool,
    venue_at: Nanos,
    levels: Vec<(Side, Dec, Dec)>,
}

/// Returns whether a line is of this format.
pub(crate) fn recognises(line: &[u8]) -> bool {
    split(line).is_some_and(|(_, json)| {
        let text = &json[..json.len().min(4_096)];
        [
            &b"\"depthUpdate\""[..],
            b"\"lastUpdateId\"",
            b"\"stream\"",
            b"\"bookTicker\"",
            b"\"trade\"",
        ]
        .iter()
        .any(|mark| memchr::memmem::find(text, mark).is_some())
    })
}

fn split(line: &[u8]) -> Option<(Nanos, &[u8])> {
    let space = memchr::memchr(b' ', line)?;
    let at = parse_u64(&line[..space])?;
    let json = line[space + 1..].trim_ascii();
    json.first().is_some_and(|byte| *byte == b'{').then_some(())?;
    Some((Nanos(i64::try_from(at).ok()?), json))
}

impl BinanceWs {
    pub(crate) const fn new(continues: bool) -> Self {
        Self { symbols: Vec::new(), books: Vec::new(), continues }
    }

    fn message(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        if fields.last_update_id.is_some() {
            return self.snapshot(at, fields, report, out);
        }
        match fields.event {
            b"depthUpdate" => self.diff(at, fields, report, out),
            b"trade" | b"aggTrade" => self.trade(at, fields, out),
            b"bookTicker" => self.quote(at, fields, out),
            b"markPriceUpdate" => self.mark(at, fields, out),
            // Spot best quotes name no event.
            b"" if fields.update_id.is_some() && !fields.bid_qty.is_empty() => {
                self.quote(at, fields, out)
            }
            b"" => Err("the message names no event".to_owned()),
            _ => {
                report.count("messages of other kinds");
                Ok(())
            }
        }
    }

    fn snapshot(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let symbol = match (fields.symbol, self.symbols.len()) {
            (b"", 1) => 0,
            (b"", _) => {
                return Err("the snapshot names no symbol, and there are several".to_owned());
            }
            _ => self.symbol(fields),
        };
        let seq = fields.last_update_id.ok_or("the snapshot has no lastUpdateId")?;
        let event = |data| RawEvent {
            symbol,
            venue_at: fields.venue_at().unwrap_or(at),
            received_at: at,
            data,
        };
        let mut list = Vec::new();
        collect(fields.bids, Side::Buy, &mut list)?;
        collect(fields.asks, Side::Sell, &mut list)?;
        report.count("snapshots");
        out.push(event(RawData::Clear { seq }));
        push_levels(&list, &event, out);
        let book = &mut self.books[usize::from(symbol)];
        book.is_live = true;
        for diff in std::mem::take(&mut book.held) {
            let is_old = if diff.is_futures { diff.last < seq } else { diff.last <= seq };
            if is_old {
                report.count("diffs older than the snapshot");
                continue;
            }
            let event = |data| RawEvent { symbol, venue_at: diff.venue_at, received_at: at, data };
            self.books[usize::from(symbol)].push(diff.prev, diff.last, &diff.levels, event, out);
        }
        Ok(())
    }

    fn diff(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let symbol = self.symbol(fields);
        let last = fields.update_id.ok_or("the diff has no u")?;
        let first = fields.first_id.ok_or("the diff has no U")?;
        let prev = fields.previous_id.unwrap_or_else(|| first.saturating_sub(1));
        let venue_at = fields.venue_at().unwrap_or(at);
        let mut list = Vec::new();
        collect(fields.bids, Side::Buy, &mut list)?;
        collect(fields.asks, Side::Sell, &mut list)?;
        let book = &mut self.books[usize::from(symbol)];
        if !book.is_live {
            report.count("diffs before the snapshot");
            let is_futures = fields.previous_id.is_some();
            book.held.push(Diff { prev, last, is_futures, venue_at, levels: list });
            return Ok(());
        }
        book.push(
            prev,
            last,
            &list,
            |data| RawEvent { symbol, venue_at, received_at: at, data },
            out,
        );
        Ok(())
    }

    fn trade(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let symbol = self.symbol(fields);
        let is_buyer_maker = fields.maker.ok_or("the trade has no m")?;
        let data = RawData::Trade {
            aggressor: Some(if is_buyer_maker { Side::Sell } else { Side::Buy }),
            price: decimal(fields.price, "p")?,
            qty: decimal(fields.qty, "q")?,
            id: fields.trade_id.ok_or("the trade has no t")?,
        };
        let venue_at = fields.venue_at().unwrap_or(at);
        out.push(RawEvent { symbol, venue_at, received_at: at, data });
        Ok(())
    }

    fn quote(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let symbol = self.symbol(fields);
        let data = RawData::Quote {
            bid_px: decimal(fields.bids, "b")?,
            bid_qty: decimal(fields.bid_qty, "B")?,
            ask_px: decimal(fields.asks, "a")?,
            ask_qty: decimal(fields.ask_qty, "A")?,
            seq: fields.update_id.ok_or("the quote has no u")?,
        };
        let venue_at = fields.venue_at().unwrap_or(at);
        out.push(RawEvent { symbol, venue_at, received_at: at, data });
        Ok(())
    }

    fn mark(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let symbol = self.symbol(fields);
        let data = RawData::Mark {
            mark: decimal(fields.price, "p")?,
            index: Dec::parse(fields.index).unwrap_or_default(),
        };
        // Its `T` is the next funding time, not the message's.
        let venue_at = fields.message_at().unwrap_or(at);
        out.push(RawEvent { symbol, venue_at, received_at: at, data });
        Ok(())
    }

    fn symbol(&mut self, fields: &Fields<'_>) -> u16 {
        let known = self.symbols.iter().position(|known| known.name.as_bytes() == fields.symbol);
        let at = known.unwrap_or_else(|| {
            let name = String::from_utf8_lossy(fields.symbol).into_owned();
            self.symbols.push(raw_symbol(name, fields));
            self.books.push(BookSync { is_live: self.continues, ..BookSync::default() });
            self.symbols.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }
}

impl BookSync {
    fn push(
        &mut self,
        prev: u64,
        last: u64,
        levels: &[(Side, Dec, Dec)],
        event: impl Fn(RawData) -> RawEvent,
        out: &mut Vec<RawEvent>,
    ) {
        let prev = self.open_prev.take().map_or(prev, |open| open.min(prev));
        if levels.is_empty() {
            // A list without items has no end to flag: its numbers go to the next one.
            self.open_prev = Some(prev);
            return;
        }
        out.push(event(RawData::Batch { prev, seq: last }));
        push_levels(levels, &event, out);
    }
}

fn push_levels(
    levels: &[(Side, Dec, Dec)],
    event: &impl Fn(RawData) -> RawEvent,
    out: &mut Vec<RawEvent>,
) {
    for (n, (side, price, qty)) in levels.iter().enumerate() {
        let last = n + 1 == levels.len();
        out.push(event(RawData::Level { side: *side, price: *price, qty: *qty, last }));
    }
}

/// Tells the market from the message: coin-margined ones name a pair (`ps`), other futures number
/// their predecessor (`pu`) or trade types (`X`), spot has neither. Contract values are Binance's:
/// 100 USD for BTC, 10 USD for every other coin.
fn raw_symbol(name: String, fields: &Fields<'_>) -> RawSymbol {
    let is_coin = fields.has_pair || name.contains("_PERP") || name.contains("USD_");
    let (kind, multiplier) = if is_coin {
        let value = if name.starts_with("BTC") { 100 } else { 10 };
        (InstrumentKind::InversePerpetual, value)
    } else if fields.is_futures() {
        (InstrumentKind::LinearPerpetual, 1)
    } else {
        (InstrumentKind::Spot, 1)
    };
    RawSymbol { name, kind, multiplier, steps: None }
}

fn collect(text: &[u8], side: Side, list: &mut Vec<(Side, Dec, Dec)>) -> Result<(), String> {
    for level in levels(text) {
        let (price, qty) = level.ok_or("a level is not a pair of prices")?;
        list.push((side, decimal(price, "price")?, decimal(qty, "quantity")?));
    }
    Ok(())
}

fn decimal(text: &[u8], what: &str) -> Result<Dec, String> {
    let value = Dec::parse(text).filter(|value| value.mantissa >= 0);
    value.ok_or_else(|| crate::formats::cells::refused(what, text, "is not an amount"))
}

impl LineFormat for BinanceWs {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let (at, json) = split(line).ok_or("not `<nanoseconds> {message}`")?;
        if let Some(fields) = Fields::scan(json) {
            return self.message(at, &fields, report, out);
        }
        // Escapes, nested wrappers, unusual spacing: parsed by the general library, written out
        // plainly, and scanned again.
        let plain = scan::rewrite(json).ok_or("the message is not valid JSON")?;
        let fields = Fields::scan(&plain).ok_or("the message has none of the known shapes")?;
        self.message(at, &fields, report, out)
    }

    fn end(&mut self, report: &mut Report, _out: &mut Vec<RawEvent>) {
        for (symbol, book) in self.symbols.iter().zip(&self.books) {
            if !book.held.is_empty() {
                let n = book.held.len();
                report.notes.push(format!("{}: {n} diffs, but no snapshot for them", symbol.name));
            }
        }
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(lines: &[&str]) -> (Vec<RawData>, Report) {
        let (mut format, mut report) = (BinanceWs::new(false), Report::default());
        let mut out = Vec::new();
        for line in lines {
            format.line(line.as_bytes(), &mut report, &mut out).unwrap();
        }
        (out.into_iter().map(|event| event.data).collect(), report)
    }

    const DIFF: &str = r#"{"stream":"x@depth","data":{"e":"depthUpdate","E":5,"s":"XUSDT","U":"#;

    #[test]
    fn diffs_before_the_snapshot_are_applied_after_it() {
        let diff = |first: u64, last: u64, price: &str| {
            format!(r#"1 {DIFF}{first},"u":{last},"b":[["{price}","1"]],"a":[]}}}}"#)
        };
        let (events, report) = events(&[
            &diff(1, 5, "10"),
            &diff(6, 9, "11"),
            r#"2 {"lastUpdateId":7,"bids":[["9","2"]],"asks":[["12","3"]]}"#,
            &diff(10, 12, "10"),
        ]);
        let seqs: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                RawData::Clear { seq } => Some((0, *seq)),
                RawData::Batch { prev, seq } => Some((*prev, *seq)),
                _ => None,
            })
            .collect();
        assert_eq!(seqs, [(0, 7), (5, 9), (9, 12)]);
        assert_eq!(report.counts["diffs older than the snapshot"], 1);
    }

    #[test]
    fn an_empty_diff_hands_its_numbers_on() {
        let (events, _) = events(&[
            r#"1 {"e":"trade","s":"XUSDT","t":1,"p":"1","q":"1","m":true}"#,
            r#"2 {"lastUpdateId":7,"bids":[["9","2"]],"asks":[]}"#,
            &format!(r#"3 {DIFF}8,"u":9,"b":[],"a":[]}}}}"#),
            &format!(r#"4 {DIFF}10,"u":12,"b":[["9","1"]],"a":[]}}}}"#),
        ]);
        assert!(events.contains(&RawData::Batch { prev: 7, seq: 12 }));
    }
}
