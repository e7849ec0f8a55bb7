//! Binance WebSocket lines: `<local time in ns> <message>`, with REST snapshots among them.
//!
//! Diffs that come before the snapshot belong after it: they are held back and applied by the
//! venue's rule, because a book that starts from the snapshot alone crosses. Rules:
//! <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams> (spot) and
//! <https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams>.

mod scan;
mod sync;

use tercel_core::{InstrumentKind, Nanos, Side};

use crate::decimal::{Dec, parse_u64};
use crate::formats::Pass;
use crate::grid::Step;
use crate::lines::LineFormat;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;

use scan::{Fields, levels};
use sync::{BookSync, Diff, RawLevel, Sink};

/// The lines of one file.
pub(crate) struct BinanceWs {
    symbols: Vec<RawSymbol>,
    streams: Vec<Stream>,
    /// Whether only symbols and steps are wanted: diffs then pass as they come.
    is_survey: bool,
    /// A snapshot that came before any symbol was named, with its time.
    unnamed: Option<(Nanos, Vec<u8>)>,
    /// Reused for every list.
    levels: Vec<RawLevel>,
}

/// What is kept of one symbol.
#[derive(Default)]
struct Stream {
    book: BookSync,
    /// Whether a message has told the market that the symbol belongs to.
    is_kind_told: bool,
    /// Time of the next funding, and its rate so far.
    funding: Option<(Nanos, i64)>,
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
            b"\"aggTrade\"",
            b"\"markPriceUpdate\"",
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
    pub(crate) fn new(pass: Pass<'_>) -> Self {
        let found = pass.found();
        let stream = |continues: bool| Stream {
            book: if continues { BookSync::continuing() } else { BookSync::default() },
            is_kind_told: true,
            funding: None,
        };
        Self {
            symbols: found.iter().map(|found| found.symbol.clone()).collect(),
            streams: found.iter().map(|found| stream(!found.has_snapshot)).collect(),
            is_survey: matches!(pass, Pass::Survey),
            unnamed: None,
            levels: Vec::new(),
        }
    }

    fn message(
        &mut self,
        at: Nanos,
        json: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let plain;
        let fields = match Fields::scan(json) {
            Some(fields) => fields,
            None => {
                // Escapes and the like: parsed by the general library, written out plainly, and
                // scanned again.
                plain = scan::rewrite(json).ok_or("the message is not valid JSON")?;
                Fields::scan(&plain).ok_or("the message has none of the known shapes")?
            }
        };
        if fields.last_update_id.is_some() {
            return self.snapshot(at, json, &fields, report, out);
        }
        match fields.event {
            b"depthUpdate" => self.diff(at, &fields, report, out)?,
            b"trade" | b"aggTrade" => self.trade(at, &fields, report, out)?,
            b"bookTicker" => self.quote(at, &fields, out)?,
            b"markPriceUpdate" => self.mark(at, &fields, out)?,
            // Spot best quotes name no event.
            b"" if fields.update_id.is_some() && !fields.bid_qty.is_empty() => {
                self.quote(at, &fields, out)?;
            }
            b"" => return Err("the message names no event".to_owned()),
            _ => report.count("messages of other kinds"),
        }
        match self.unnamed.take_if(|_| self.symbols.len() == 1) {
            Some((at, json)) => self.message(at, &json, report, out),
            None => Ok(()),
        }
    }

    fn snapshot(
        &mut self,
        at: Nanos,
        json: &[u8],
        fields: &Fields<'_>,
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let symbol = match (fields.symbol, self.symbols.len()) {
            (b"", 0) => {
                self.unnamed = Some((at, json.to_vec()));
                return Ok(());
            }
            (b"", 1) => 0,
            (b"", _) => {
                return Err("the snapshot names no symbol, and there are several".to_owned());
            }
            _ => self.symbol(fields)?,
        };
        let seq = fields.last_update_id.ok_or("the snapshot has no lastUpdateId")?;
        self.collect(fields)?;
        if self.levels.is_empty() {
            return Err("the snapshot has no levels".to_owned());
        }
        let venue_at = fields.venue_at().unwrap_or(at);
        let mut sink = Sink { symbol, received_at: at, out };
        let book = &mut self.streams[usize::from(symbol)].book;
        book.snapshot(seq, venue_at, &self.levels, report, &mut sink);
        Ok(())
    }

    fn diff(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let seq = fields.update_id.ok_or("the diff has no u")?;
        let first = fields.first_id.ok_or("the diff has no U")?;
        if first > seq {
            return Err(format!("the diff's U {first} lies after its u {seq}"));
        }
        let prev = fields.previous_id.unwrap_or_else(|| first.saturating_sub(1));
        self.collect(fields)?;
        let symbol = self.symbol(fields)?;
        let venue_at = fields.venue_at().unwrap_or(at);
        let diff = Diff { prev, seq, venue_at, levels: std::mem::take(&mut self.levels) };
        let mut sink = Sink { symbol, received_at: at, out };
        if self.is_survey {
            BookSync::continuing().diff(&diff, report, &mut sink);
        } else {
            self.streams[usize::from(symbol)].book.diff(&diff, report, &mut sink);
        }
        self.levels = diff.levels;
        Ok(())
    }

    fn trade(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let is_buyer_maker = fields.maker.ok_or("the trade has no m that is true or false")?;
        let data = RawData::Trade {
            aggressor: Some(if is_buyer_maker { Side::Sell } else { Side::Buy }),
            price: decimal(fields.price, "p")?,
            qty: decimal(fields.qty, "q")?,
            id: fields.trade_id.ok_or("the trade has no number")?,
        };
        if fields.price.iter().all(|byte| matches!(byte, b'0' | b'.')) {
            // USD-M prints settlements between the venue and its insurance fund at no price.
            report.count("trades without a price");
            return Ok(());
        }
        let venue_at = fields.venue_at().unwrap_or(at);
        out.push(RawEvent { symbol: self.symbol(fields)?, venue_at, received_at: at, data });
        Ok(())
    }

    fn quote(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let data = RawData::Quote {
            bid_px: decimal(fields.bids, "b")?,
            bid_qty: decimal(fields.bid_qty, "B")?,
            ask_px: decimal(fields.asks, "a")?,
            ask_qty: decimal(fields.ask_qty, "A")?,
            seq: fields.update_id.ok_or("the quote has no u")?,
        };
        let venue_at = fields.venue_at().unwrap_or(at);
        out.push(RawEvent { symbol: self.symbol(fields)?, venue_at, received_at: at, data });
        Ok(())
    }

    /// Marks name the next funding and its rate; when they begin to name the one after it, that
    /// payment has been made.
    fn mark(
        &mut self,
        at: Nanos,
        fields: &Fields<'_>,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let data = RawData::Mark {
            mark: decimal(fields.price, "p")?,
            index: Dec::parse(fields.index).unwrap_or_default(),
        };
        let symbol = self.symbol(fields)?;
        // Here `T` is the time of the next funding, not of this message.
        let venue_at = fields.event_at().unwrap_or(at);
        let event = |venue_at, data| RawEvent { symbol, venue_at, received_at: at, data };
        let next = fields.transaction_at().zip(rate_e12(fields.rate));
        let stream = &mut self.streams[usize::from(symbol)];
        if let (Some((due_at, rate_e12)), Some((next_at, _))) = (stream.funding, next)
            && due_at < next_at
        {
            out.push(event(due_at, RawData::Funding { rate_e12 }));
        }
        stream.funding = next.filter(|(next_at, _)| next_at.0 > 0).or(stream.funding);
        out.push(event(venue_at, data));
        Ok(())
    }

    fn symbol(&mut self, fields: &Fields<'_>) -> Result<u16, String> {
        let known = self.symbols.iter().position(|known| known.name.as_bytes() == fields.symbol);
        let at = match known {
            Some(at) => at,
            None if fields.symbol.is_empty() => {
                return Err("the message names no symbol".to_owned());
            }
            None => {
                let name = String::from_utf8_lossy(fields.symbol).into_owned();
                self.symbols.push(RawSymbol::spot(&name));
                self.streams.push(Stream::default());
                self.symbols.len() - 1
            }
        };
        if !self.streams[at].is_kind_told
            && let Some(kind) = fields.market()
        {
            self.streams[at].is_kind_told = true;
            let symbol = &mut self.symbols[at];
            symbol.kind = kind;
            if kind == InstrumentKind::InversePerpetual {
                // Contract values are Binance's: 100 USD for BTC, 10 USD for every other coin.
                let value = if symbol.name.starts_with("BTC") { 100 } else { 10 };
                symbol.multiplier = value.into();
            }
        }
        u16::try_from(at).map_err(|_| "more than 65,536 symbols in a file".to_owned())
    }

    /// Reads the levels of both sides.
    fn collect(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        self.levels.clear();
        for (side, text) in [(Side::Buy, fields.bids), (Side::Sell, fields.asks)] {
            for level in levels(text) {
                let (price, qty) = level.ok_or("a level is not a pair of price and quantity")?;
                self.levels.push((side, decimal(price, "price")?, decimal(qty, "quantity")?));
            }
        }
        Ok(())
    }
}

fn decimal(text: &[u8], what: &str) -> Result<Dec, String> {
    let value = Dec::parse(text).filter(|value| value.mantissa >= 0);
    value.ok_or_else(|| crate::formats::cells::refused(what, text, "is not an amount"))
}

fn rate_e12(text: &[u8]) -> Option<i64> {
    Step::new(rust_decimal::Decimal::new(1, 12))?.count(Dec::parse(text)?)
}

impl LineFormat for BinanceWs {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let (at, json) = split(line).ok_or("not `<nanoseconds> {message}`")?;
        self.message(at, json, report, out)
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads lines twice, as a file is, and returns what they say.
    fn read(lines: &[&str]) -> (Vec<RawSymbol>, Vec<RawEvent>) {
        let mut report = Report::default();
        let mut survey = BinanceWs::new(Pass::Survey);
        let mut seen = Vec::new();
        for line in lines {
            survey.line(line.as_bytes(), &mut report, &mut seen).unwrap();
        }
        let found: Vec<_> = (0u16..)
            .zip(survey.symbols())
            .map(|(n, symbol)| {
                let is_snapshot = |event: &RawEvent| {
                    event.symbol == n && matches!(event.data, RawData::Clear { .. })
                };
                crate::survey::SymbolSurvey::of(symbol.clone(), seen.iter().any(is_snapshot))
            })
            .collect();
        let mut format = BinanceWs::new(Pass::Events(&found));
        let mut out = Vec::new();
        for line in lines {
            format.line(line.as_bytes(), &mut report, &mut out).unwrap();
        }
        (format.symbols, out)
    }

    const SNAPSHOT: &str = r#"1 {"lastUpdateId":7,"bids":[["9","2"]],"asks":[["12","3"]]}"#;
    const SPOT_DIFF: &str =
        r#"2 {"e":"depthUpdate","E":5,"s":"XUSDT","U":8,"u":9,"b":[["9","1"]],"a":[]}"#;

    fn kind(line: &str) -> (InstrumentKind, i64) {
        let (symbols, _) = read(&[line]);
        (symbols[0].kind, symbols[0].multiplier.try_into().unwrap())
    }

    #[test]
    fn the_market_is_told_by_what_its_messages_carry() {
        use InstrumentKind::{InversePerpetual, LinearPerpetual, Spot};
        assert_eq!(kind(SPOT_DIFF), (Spot, 1));
        let futures = r#"1 {"e":"depthUpdate","E":5,"T":4,"s":"XUSDT","U":8,"u":9,"pu":7,"b":[["9","1"]],"a":[]}"#;
        assert_eq!(kind(futures), (LinearPerpetual, 1));
        let agg = r#"1 {"e":"aggTrade","E":5,"s":"XUSDT","a":1,"p":"1","q":"1","f":1,"l":1,"T":4,"m":true}"#;
        assert_eq!(kind(agg), (LinearPerpetual, 1));
        let coin = r#"1 {"e":"trade","E":5,"T":4,"s":"BTCUSD_PERP","t":1,"p":"1","q":"1","X":"MARKET","m":true}"#;
        assert_eq!(kind(coin), (InversePerpetual, 100));
        let coin = r#"1 {"u":5,"e":"bookTicker","s":"ETHUSD_PERP","ps":"ETHUSD","b":"1","B":"1","a":"2","A":"1","T":1,"E":1}"#;
        assert_eq!(kind(coin), (InversePerpetual, 10));
    }

    #[test]
    fn a_snapshot_may_come_before_anything_names_the_symbol() {
        let (symbols, events) = read(&[SNAPSHOT, SPOT_DIFF]);
        assert_eq!(symbols.len(), 1);
        assert!(matches!(events[0].data, RawData::Clear { seq: 7 }));
        assert!(matches!(events[3].data, RawData::Batch { prev: 7, seq: 9 }));
    }

    #[test]
    fn a_symbol_without_a_snapshot_goes_on_with_an_earlier_book() {
        let (_, events) = read(&[SPOT_DIFF]);
        assert!(matches!(events[0].data, RawData::Batch { prev: 7, seq: 9 }));
    }

    #[test]
    fn funding_is_told_when_the_next_one_is_named() {
        let mark = |at: u32, next: u32, rate: &str| {
            format!(
                r#"{at} {{"e":"markPriceUpdate","E":{at},"s":"XUSDT","p":"1.5","i":"1.4","r":"{rate}","T":{next}}}"#
            )
        };
        let lines = [mark(90, 100, "0.0001"), mark(99, 100, "0.0002"), mark(101, 200, "0.0003")];
        let (_, events) = read(&lines.each_ref().map(String::as_str));
        let funding: Vec<_> = events
            .iter()
            .filter_map(|event| match event.data {
                RawData::Funding { rate_e12 } => Some((event.venue_at.0, rate_e12)),
                _ => None,
            })
            .collect();
        assert_eq!(funding, [(100 * Nanos::MILLI, 200_000_000)]);
        assert_eq!(events[0].venue_at.0, 90 * Nanos::MILLI, "not the time of the funding");
    }
}
