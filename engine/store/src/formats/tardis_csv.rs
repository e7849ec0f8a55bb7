//! tardis.dev's CSV files: `incremental_book_L2`, `trades` and `quotes` (`book_ticker`).
//!
//! <https://docs.tardis.dev/downloadable-csv-files>. Times are microseconds of UTC. Book rows of one
//! local time are one list; the first row of a snapshot empties the book.

use std::collections::HashMap;

use tercel_core::Nanos;

use crate::detect::Format;
use crate::formats::cells::{Cells, refused};
use crate::formats::trades_csv::side_of;
use crate::lines::LineFormat;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;

const BOOK: &[u8] = b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount";
const TRADES: &[u8] = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount";
const QUOTES: &[u8] =
    b"exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount";

const N_COLUMNS: usize = 8;

/// Tells such a file from its header.
pub(crate) fn recognise(first: &[u8]) -> Option<Format> {
    [(BOOK, Format::TardisBook), (TRADES, Format::TardisTrades), (QUOTES, Format::TardisQuotes)]
        .into_iter()
        .find_map(|(header, format)| (header == first).then_some(format))
}

/// One of the files.
pub(crate) struct TardisCsv {
    format: Format,
    symbols: Vec<RawSymbol>,
    indices: HashMap<Vec<u8>, u16>,
    /// Whether the last row of a symbol was of a snapshot; absent before the first.
    in_snapshot: HashMap<u16, bool>,
    /// A level that is held back until it is known whether its list goes on.
    pending: Option<RawEvent>,
}

impl TardisCsv {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            symbols: Vec::new(),
            indices: HashMap::new(),
            in_snapshot: HashMap::new(),
            pending: None,
        }
    }

    fn symbol(&mut self, name: &[u8]) -> Result<u16, String> {
        if let Some(index) = self.indices.get(name) {
            return Ok(*index);
        }
        let index = u16::try_from(self.symbols.len()).map_err(|_| "more than 65,536 symbols")?;
        let text = std::str::from_utf8(name).ok().filter(|text| !text.is_empty());
        self.symbols.push(RawSymbol::linear(text.ok_or("the symbol is not text")?));
        self.indices.insert(name.to_vec(), index);
        Ok(index)
    }

    /// Lets the level that was held back go.
    fn flush(&mut self, is_last: bool, out: &mut Vec<RawEvent>) {
        if let Some(mut event) = self.pending.take() {
            if let RawData::Level { last, .. } = &mut event.data {
                *last = is_last;
            }
            out.push(event);
        }
    }

    fn book(
        &mut self,
        cells: &Cells<'_, N_COLUMNS>,
        (venue_at, received_at): (Nanos, Nanos),
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let is_snapshot = cells.boolean(4, "is_snapshot")?;
        let side = side_of(cells.get(5))?.ok_or("the side is neither bid nor ask")?;
        let (price, qty) = (cells.decimal(6, "price")?, cells.amount(7, "amount")?);
        let symbol = self.symbol(cells.get(1))?;
        let was_snapshot = self.in_snapshot.insert(symbol, is_snapshot).unwrap_or(false);
        let begins = is_snapshot && !was_snapshot;
        let goes_on = self
            .pending
            .is_some_and(|last| last.symbol == symbol && last.received_at == received_at);
        self.flush(!goes_on || begins, out);
        let event = |data| RawEvent { symbol, venue_at, received_at, data };
        if begins {
            out.push(event(RawData::Clear { seq: 0 }));
        }
        self.pending = Some(event(RawData::Level { side, price, qty, last: true }));
        Ok(())
    }
}

impl LineFormat for TardisCsv {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Cells::<N_COLUMNS>::split(line);
        if cells.len != N_COLUMNS {
            return Err(format!("{} columns, expected {N_COLUMNS}", cells.len));
        }
        let at = (micros(&cells, 2)?, micros(&cells, 3)?);
        let data = match self.format {
            Format::TardisBook => return self.book(&cells, at, out),
            Format::TardisTrades => {
                let id = crate::decimal::parse_u64(cells.get(4));
                if id.is_none() {
                    report.count("trades whose id is not a number");
                }
                RawData::Trade {
                    aggressor: side_of(cells.get(5))?,
                    price: cells.decimal(6, "price")?,
                    qty: cells.amount(7, "amount")?,
                    id: id.unwrap_or(0),
                }
            }
            _ => {
                if (4..8).any(|n| cells.get(n).is_empty()) {
                    report.count("quotes with one side only, left out");
                    return Ok(());
                }
                RawData::Quote {
                    bid_px: cells.decimal(6, "bid_price")?,
                    bid_qty: cells.amount(7, "bid_amount")?,
                    ask_px: cells.decimal(5, "ask_price")?,
                    ask_qty: cells.amount(4, "ask_amount")?,
                    seq: 0,
                }
            }
        };
        let symbol = self.symbol(cells.get(1))?;
        out.push(RawEvent { symbol, venue_at: at.0, received_at: at.1, data });
        Ok(())
    }

    fn end(&mut self, _report: &mut Report, out: &mut Vec<RawEvent>) {
        self.flush(true, out);
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
}

fn micros(cells: &Cells<'_, N_COLUMNS>, n: usize) -> Result<Nanos, String> {
    let time = cells.whole(n, "time")?;
    let nanos = i64::try_from(time).ok().and_then(|time| time.checked_mul(Nanos::MICRO));
    nanos.map(Nanos).ok_or_else(|| refused("time", cells.get(n), "is too large"))
}

#[cfg(test)]
mod tests {
    use tercel_core::Side;

    use super::*;

    fn read(header: &[u8], lines: &[&str]) -> (Vec<RawData>, Vec<Result<(), String>>) {
        let mut format = TardisCsv::new(recognise(header).unwrap());
        let (mut out, mut report) = (Vec::new(), Report::default());
        let read = |line: &&str| format.line(line.as_bytes(), &mut report, &mut out);
        let results = lines.iter().map(read).collect();
        format.end(&mut report, &mut out);
        (out.into_iter().map(|event| event.data).collect(), results)
    }

    #[test]
    fn rows_of_one_local_time_are_one_list() {
        let (events, results) = read(
            BOOK,
            &[
                "x,XBTUSD,1585699200245000,1585699200404670,true,ask,7364.5,5819",
                "x,XBTUSD,1585699200245000,1585699200404670,true,bid,7364,1",
                "x,XBTUSD,1585699200345000,1585699200504670,false,bid,7364,0",
                "x,XBTUSD,1585699200345000,1585699200504670,maybe,bid,7364,0",
                "x,XBTUSD,1585699200445000,1585699200604670,true,bid,7363,2",
            ],
        );
        let told: Vec<_> = events
            .iter()
            .map(|data| match data {
                RawData::Clear { .. } => "clear",
                RawData::Level { last: true, .. } => "last",
                RawData::Level { .. } => "level",
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, ["clear", "level", "last", "last", "clear", "last"]);
        assert_eq!(results[3], Err("is_snapshot `maybe` is neither true nor false".to_owned()));
    }

    #[test]
    fn quotes_have_the_ask_first_and_trades_their_taker() {
        let (events, _) = read(QUOTES, &["x,XBTUSD,1585699200245000,1585699200404670,5,101,100,7"]);
        let RawData::Quote { bid_px, bid_qty, ask_px, ask_qty, .. } = events[0] else { panic!() };
        let values = [bid_px, bid_qty, ask_px, ask_qty].map(|value| value.mantissa);
        assert_eq!(values, [100, 7, 101, 5]);
        let lines = ["sell", "unknown"]
            .map(|side| format!("x,XBTUSD,1585699200245000,1585699200404670,7a-b,{side},100.5,3"));
        let (events, _) = read(TRADES, &lines.each_ref().map(String::as_str));
        let takers: Vec<_> = events
            .iter()
            .map(|data| match data {
                RawData::Trade { aggressor, .. } => *aggressor,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(takers, [Some(Side::Sell), None]);
    }
}
