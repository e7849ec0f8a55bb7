//! Databento's binary encoding, market by order.
//!
//! <https://databento.com/docs/schemas-and-data-formats/mbo>. A record that is flagged last ends
//! the venue's message; the book is told there. A fill changes nothing by itself: the cancel or
//! modification that follows in the same message does, and is told as the execution it is.

use std::collections::HashMap;

use dbn::decode::DbnMetadata;
use dbn::decode::dbn::Decoder;
use dbn::{MboMsg, SymbolMappingMsg};
use tercel_core::{Nanos, Side};

use crate::container::{Member, Unwrapped};
use crate::error::StoreError;
use crate::formats::by_order::{ByOrder, Sink};
use crate::options::OpenOptions;
use crate::raw::{Importer, RawData, RawEvent, RawSymbol};
use crate::report::Report;

/// How such a file begins.
pub(crate) const MAGIC: &[u8] = b"DBN";

/// Reads a file of one or several instruments.
pub(crate) struct DbnMbo {
    decoder: Decoder<Unwrapped>,
    path: std::path::PathBuf,
    name: String,
    /// Names of instruments by their numbers.
    names: HashMap<u32, String>,
    /// Index of the symbol by the instrument's number.
    indices: HashMap<u32, u16>,
    symbols: Vec<RawSymbol>,
    books: Vec<InstrumentBook>,
    option_symbol: Option<String>,
    report: Report,
    accept_truncated: bool,
}

struct InstrumentBook {
    book: ByOrder,
    /// Filled quantities that no cancel or modification has taken from the book yet.
    filled: HashMap<u64, i64>,
}

impl DbnMbo {
    pub(crate) fn new(member: &Member, options: &OpenOptions) -> Result<Self, StoreError> {
        let path = member.path.clone();
        let decoder = Decoder::new(member.open()?).map_err(|error| corrupt(&path, 0, &error))?;
        let mut names = HashMap::new();
        for mapping in &decoder.metadata().mappings {
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
            decoder,
            path,
            name: member.display(),
            names,
            indices: HashMap::new(),
            symbols: Vec::new(),
            books: Vec::new(),
            option_symbol: options.symbol.clone(),
            report: Report::default(),
            accept_truncated: options.accept_truncated,
        })
    }

    fn index(&mut self, id: u32, out: &mut Vec<RawEvent>, at: (Nanos, Nanos)) -> Option<u16> {
        if let Some(index) = self.indices.get(&id) {
            return Some(*index);
        }
        let index = u16::try_from(self.symbols.len()).ok()?;
        let given = self.option_symbol.clone().filter(|_| index == 0);
        let name = given.or_else(|| self.names.get(&id).cloned());
        self.symbols.push(RawSymbol::linear(&name.unwrap_or_else(|| id.to_string())));
        let mut book = ByOrder::new(9, 0);
        book.clear(&mut Sink { out, symbol: index, venue_at: at.0, received_at: at.1 });
        self.books.push(InstrumentBook { book, filled: HashMap::new() });
        self.indices.insert(id, index);
        Some(index)
    }

    fn take(&mut self, record: &MboMsg, out: &mut Vec<RawEvent>) -> Result<(), String> {
        let time = |time: u64| i64::try_from(time).map(Nanos).ok();
        let received_at = time(record.ts_recv).or_else(|| time(record.hd.ts_event));
        let received_at = received_at.ok_or("the record has no time")?;
        let venue_at = time(record.hd.ts_event).unwrap_or(received_at);
        let index = self.index(record.hd.instrument_id, out, (venue_at, received_at));
        let symbol = index.ok_or("more than 65,536 instruments")?;
        let mut sink = Sink { out, symbol, venue_at, received_at };
        let InstrumentBook { book, filled } = &mut self.books[usize::from(symbol)];
        apply(record, book, filled, &mut self.report, &mut sink)?;
        if record.flags.is_last() {
            for _ in filled.drain() {
                self.report.count("fills that nothing took from the book");
            }
            self.report.count("book states");
            if book.end(&mut sink) {
                self.report.count("crossed books");
            }
        }
        Ok(())
    }
}

fn apply(
    record: &MboMsg,
    book: &mut ByOrder,
    filled: &mut HashMap<u64, i64>,
    report: &mut Report,
    sink: &mut Sink<'_>,
) -> Result<(), String> {
    let action = u8::from_ne_bytes(record.action.to_ne_bytes());
    let side = match u8::from_ne_bytes(record.side.to_ne_bytes()) {
        b'B' => Some(Side::Buy),
        b'A' => Some(Side::Sell),
        _ => None,
    };
    let (id, price, size) = (record.order_id, record.price, i64::from(record.size));
    let has_price = price != dbn::UNDEF_PRICE;
    let known = book.order(id);
    match action {
        b'A' | b'M' if !has_price || side.is_none() => {
            return Err(format!("order {id} has no price or side"));
        }
        b'A' => {
            if known.is_some() {
                report.count("orders added twice");
            }
            if let Some(side) = side {
                book.add(id, side, price, size, sink);
            }
        }
        b'M' => match (known, side) {
            (Some(order), _) => {
                let traded = filled.remove(&id).unwrap_or(0);
                if traded > 0 && price == order.price && size == order.qty - traded {
                    book.execute(id, traded, sink);
                } else {
                    book.modify(id, price, size, sink);
                }
            }
            (None, Some(side)) => {
                report.count("events for unknown orders");
                book.add(id, side, price, size, sink);
            }
            (None, None) => {}
        },
        b'C' => match known {
            Some(order) => {
                let traded = filled.remove(&id).unwrap_or(0).min(size);
                if traded > 0 {
                    book.execute(id, traded, sink);
                }
                match order.qty - size {
                    _ if traded == size => {}
                    left @ 1.. => book.modify(id, order.price, left, sink),
                    _ => book.cancel(id, sink),
                }
            }
            None => report.count("events for unknown orders"),
        },
        b'R' => {
            filled.clear();
            book.clear(sink);
        }
        b'T' if has_price && size > 0 => {
            let (price, qty) = (book.price(price), book.qty(size));
            sink.push(RawData::Trade { aggressor: side, price, qty, id: 0 });
        }
        b'T' => report.count("trades without price or size"),
        b'F' => {
            if known.is_none() {
                report.count("fills of orders that are not in the book");
            } else {
                *filled.entry(id).or_default() += size;
            }
        }
        b'N' => {}
        other => return Err(format!("action `{}` is not known", char::from(other))),
    }
    Ok(())
}

impl Importer for DbnMbo {
    fn read(&mut self, out: &mut Vec<RawEvent>) -> Result<bool, StoreError> {
        let record = match self.decoder.decode_ref() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(false),
            Err(dbn::Error::Io { source, .. }) => {
                let error = self.decoder.get_ref().explain(source);
                if let StoreError::Truncated { offset, .. } = &error
                    && self.accept_truncated
                {
                    self.report
                        .notes
                        .push(format!("{} ends too early at byte {offset}", self.name));
                    return Ok(false);
                }
                return Err(error);
            }
            Err(error) => return Err(corrupt(&self.path, self.report.n_lines, &error)),
        };
        self.report.n_lines += 1;
        if let Ok(order) = record.try_get::<MboMsg>() {
            let order = order.clone();
            let before = out.len();
            if let Err(reason) = self.take(&order, out) {
                out.truncate(before);
                self.report.refuse(&self.name, self.report.n_lines, reason);
            }
        } else if let Ok(mapping) = record.try_get::<SymbolMappingMsg>() {
            if let Ok(name) = mapping.stype_out_symbol() {
                self.names.insert(mapping.hd.instrument_id, name.to_owned());
            }
        } else {
            self.report.count("records of other kinds than orders");
        }
        Ok(true)
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }

    fn report(&self) -> &Report {
        &self.report
    }
}

fn corrupt(path: &std::path::Path, record: u64, error: &dbn::Error) -> StoreError {
    let what = format!("after record {record}: {error}");
    StoreError::Corrupt { path: path.to_owned(), offset: 0, what }
}
