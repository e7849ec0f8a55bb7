//! Databento's binary encoding: orders, trades, best quotes, ten levels, and bars.
//!
//! <https://databento.com/docs/schemas-and-data-formats>. Prices are in billionths, quantities
//! whole, times in nanoseconds.

mod mbo;
mod records;

use std::collections::HashMap;
use std::ffi::c_char;

use dbn::{
    BboMsg, BidAskPair, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, RecordRef, Schema, TradeMsg, rtype,
    v1, v2,
};
use tercel_core::{Nanos, Side};

use crate::container::Member;
use crate::decimal::Dec;
use crate::error::StoreError;
use crate::formats::by_order::Sink;
use crate::formats::depth::{Depth, Levels};
use crate::raw::{Importer, RawData, RawEvent, RawSymbol};
use crate::report::Report;

use mbo::Orders;
use records::Records;

/// How such a file begins.
pub(crate) const MAGIC: &[u8] = b"DBN";
const PRICE_SCALE: u8 = 9;
const READ: &[Schema] = &[
    Schema::Mbo,
    Schema::Mbp1,
    Schema::Mbp10,
    Schema::Tbbo,
    Schema::Trades,
    Schema::Bbo1S,
    Schema::Bbo1M,
    Schema::Ohlcv1S,
    Schema::Ohlcv1M,
    Schema::Ohlcv1H,
    Schema::Ohlcv1D,
];

/// Reads a file of one or several instruments.
pub(crate) struct Dbn {
    records: Records,
    name: String,
    accept_truncated: bool,
    instruments: Instruments,
    report: Report,
}

impl Dbn {
    pub(crate) fn new(member: &Member, accept_truncated: bool) -> Result<Self, StoreError> {
        let (records, metadata) = Records::open(member)?;
        if let Some(schema) = metadata.schema.filter(|schema| !READ.contains(schema)) {
            let known: Vec<_> = READ.iter().map(|schema| schema.as_str()).collect();
            return Err(StoreError::UnknownFormat {
                path: member.path.clone(),
                found: format!("DBN of schema {}", schema.as_str()),
                known: known.join(", "),
            });
        }
        let mut names = HashMap::new();
        for mapping in &metadata.mappings {
            for interval in &mapping.intervals {
                // Either the file was asked for by name and maps to numbers, or the other way.
                if let Ok(id) = interval.symbol.parse() {
                    names.insert(id, mapping.raw_symbol.clone());
                } else if let Ok(id) = mapping.raw_symbol.parse() {
                    names.insert(id, interval.symbol.clone());
                }
            }
        }
        Ok(Self {
            records,
            name: member.display(),
            accept_truncated,
            instruments: Instruments { names, ..Instruments::default() },
            report: Report::default(),
        })
    }
}

impl Importer for Dbn {
    fn read(&mut self, out: &mut Vec<RawEvent>) -> Result<bool, StoreError> {
        let record = match self.records.next() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(false),
            Err(StoreError::Truncated { offset, .. }) if self.accept_truncated => {
                self.report.notes.push(format!("{} ends too early at byte {offset}", self.name));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.report.n_lines += 1;
        let before = out.len();
        if let Err(reason) = self.instruments.take(&record, &mut self.report, out) {
            out.truncate(before);
            self.report.refuse(&self.name, self.report.n_lines, reason);
        }
        Ok(true)
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.instruments.symbols
    }

    fn report(&self) -> &Report {
        &self.report
    }
}

/// The instruments that records were of so far.
#[derive(Default)]
struct Instruments {
    /// Names by the venue's numbers.
    names: HashMap<u32, String>,
    /// Index of the symbol by the venue's number.
    indices: HashMap<u32, u16>,
    symbols: Vec<RawSymbol>,
    states: Vec<State>,
}

/// What one instrument was told to be last.
struct State {
    orders: Orders,
    depth: Depth,
    quote: Option<RawData>,
}

impl Instruments {
    fn index(&mut self, id: u32) -> Result<u16, String> {
        if let Some(index) = self.indices.get(&id) {
            return Ok(*index);
        }
        let index =
            u16::try_from(self.symbols.len()).map_err(|_| "more than 65,536 instruments")?;
        let name = self.names.get(&id).cloned();
        self.symbols.push(RawSymbol::linear(&name.unwrap_or_else(|| id.to_string())));
        self.states.push(State { orders: Orders::new(), depth: Depth::default(), quote: None });
        self.indices.insert(id, index);
        Ok(index)
    }

    fn take(
        &mut self,
        record: &RecordRef<'_>,
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let header = record.header();
        let id = header.instrument_id;
        let event_at = header.ts_event;
        if let Ok(record) = record.try_get::<MboMsg>() {
            self.with(id, event_at, record.ts_recv, out, |state, sink| {
                state.orders.take(record, report, sink)
            })
        } else if let Ok(record) = record.try_get::<TradeMsg>() {
            self.with(id, event_at, record.ts_recv, out, |_, sink| {
                trade(record.price, record.size, record.side, report, sink);
                Ok(())
            })
        } else if let Ok(record) = record.try_get::<Mbp1Msg>() {
            self.with(id, event_at, record.ts_recv, out, |state, sink| {
                state.quote(&record.levels[0], record.flags.is_last(), report, sink);
                if is_trade(record.action) {
                    trade(record.price, record.size, record.side, report, sink);
                }
                Ok(())
            })
        } else if let Ok(record) = record.try_get::<Mbp10Msg>() {
            self.with(id, event_at, record.ts_recv, out, |state, sink| {
                state.depth(&record.levels, record.flags.is_last(), report, sink);
                if is_trade(record.action) {
                    trade(record.price, record.size, record.side, report, sink);
                }
                Ok(())
            })
        } else if let Ok(record) = record.try_get::<BboMsg>() {
            // Its venue time is that of the last trade; the quote is of the end of the interval.
            self.with(id, record.ts_recv, record.ts_recv, out, |state, sink| {
                state.quote(&record.levels[0], true, report, sink);
                Ok(())
            })
        } else if let Ok(record) = record.try_get::<OhlcvMsg>() {
            let length = match record.hd.rtype {
                rtype::OHLCV_1S => Nanos::SECOND,
                rtype::OHLCV_1M => Nanos::MINUTE,
                rtype::OHLCV_1H => 60 * Nanos::MINUTE,
                rtype::OHLCV_1D => 24 * 60 * Nanos::MINUTE,
                _ => return Err("a bar of a length that is not known".to_owned()),
            };
            self.with(id, event_at, event_at, out, |_, sink| {
                sink.push(bar(record, length)?);
                Ok(())
            })
        } else {
            self.other(record, report);
            Ok(())
        }
    }

    /// Calls `f` with the state of an instrument and the place for its events.
    fn with(
        &mut self,
        id: u32,
        event_at: u64,
        received_at: u64,
        out: &mut Vec<RawEvent>,
        f: impl FnOnce(&mut State, &mut Sink<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let time = |time: u64| i64::try_from(time).map(Nanos).ok();
        let received_at = time(received_at).or_else(|| time(event_at));
        let received_at = received_at.ok_or("the record has no time")?;
        let venue_at = time(event_at).unwrap_or(received_at);
        let symbol = self.index(id)?;
        f(&mut self.states[usize::from(symbol)], &mut Sink { out, symbol, venue_at, received_at })
    }

    /// Takes a record that is no market data. Its layout depends on the version.
    fn other(&mut self, record: &RecordRef<'_>, report: &mut Report) {
        let id = record.header().instrument_id;
        let name = if let Ok(mapping) = record.try_get::<v2::SymbolMappingMsg>() {
            mapping.stype_out_symbol().ok()
        } else if let Ok(mapping) = record.try_get::<v1::SymbolMappingMsg>() {
            mapping.stype_out_symbol().ok()
        } else {
            report.count("records of kinds that are not read");
            return;
        };
        if let Some(name) = name {
            self.names.insert(id, name.to_owned());
        }
    }
}

impl State {
    /// Tells the best quote if it changed. Within a venue's message it may be crossed, which is no
    /// state of the book yet.
    fn quote(
        &mut self,
        best: &BidAskPair,
        is_last: bool,
        report: &mut Report,
        sink: &mut Sink<'_>,
    ) {
        if best.bid_px == dbn::UNDEF_PRICE || best.ask_px == dbn::UNDEF_PRICE {
            report.count("quotes with one side only, left out");
            return;
        }
        if !is_last && best.bid_px >= best.ask_px {
            report.count("crossed states within a message, left out");
            return;
        }
        let quote = RawData::Quote {
            bid_px: price(best.bid_px),
            bid_qty: Dec::whole(best.bid_sz.into()),
            ask_px: price(best.ask_px),
            ask_qty: Dec::whole(best.ask_sz.into()),
            seq: 0,
        };
        if self.quote.replace(quote) != Some(quote) {
            sink.push(quote);
        }
    }

    /// Tells the levels that changed.
    fn depth(
        &mut self,
        levels: &[BidAskPair; 10],
        is_last: bool,
        report: &mut Report,
        sink: &mut Sink<'_>,
    ) {
        let side = |level: fn(&BidAskPair) -> (i64, u32)| -> Levels {
            let levels = levels.iter().map(level);
            let levels = levels.filter(|(px, size)| *px != dbn::UNDEF_PRICE && *size > 0);
            levels.map(|(px, size)| (price(px), Dec::whole(size.into()))).collect()
        };
        let bids = side(|level| (level.bid_px, level.bid_sz));
        let asks = side(|level| (level.ask_px, level.ask_sz));
        let is_crossed = matches!(
            (bids.first(), asks.first()),
            (Some((bid, _)), Some((ask, _))) if bid.mantissa >= ask.mantissa
        );
        if !is_last && is_crossed {
            report.count("crossed states within a message, left out");
            return;
        }
        self.depth.tell(&bids, &asks, sink);
    }
}

fn trade(px: i64, size: u32, side: c_char, report: &mut Report, sink: &mut Sink<'_>) {
    if px == dbn::UNDEF_PRICE || size == 0 {
        report.count("trades without price or size");
        return;
    }
    let (price, qty, aggressor) = (price(px), Dec::whole(size.into()), side_of(side));
    sink.push(RawData::Trade { aggressor, price, qty, id: 0 });
}

fn bar(record: &OhlcvMsg, length: i64) -> Result<RawData, String> {
    let prices = [record.open, record.high, record.low, record.close];
    if prices.contains(&dbn::UNDEF_PRICE) {
        return Err("the bar lacks a price".to_owned());
    }
    let [open, high, low, close] = prices;
    if high < open.max(close) || low > open.min(close) {
        return Err("open or close lies outside high and low".to_owned());
    }
    let volume = i64::try_from(record.volume).map_err(|_| "the volume does not fit 64 bits")?;
    Ok(RawData::Bar {
        open: price(open),
        high: price(high),
        low: price(low),
        close: price(close),
        volume: Dec::whole(volume),
        length: Some(length),
    })
}

const fn price(mantissa: i64) -> Dec {
    Dec { mantissa, scale: PRICE_SCALE }
}

/// Reads a side: of an order, or of the taker.
fn side_of(side: c_char) -> Option<Side> {
    match u8::from_ne_bytes(side.to_ne_bytes()) {
        b'B' => Some(Side::Buy),
        b'A' => Some(Side::Sell),
        _ => None,
    }
}

fn is_trade(action: c_char) -> bool {
    u8::from_ne_bytes(action.to_ne_bytes()) == b'T'
}
