//! Parquet files of the layout that this crate exports: levels, trades, quotes or bars, told by
//! their columns.

use std::collections::HashMap;
use std::path::PathBuf;

use arrow::array::{
    Array, BooleanArray, Decimal128Array, DictionaryArray, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tercel_core::{Nanos, Side};

use crate::container::{Container, Member};
use crate::decimal::Dec;
use crate::error::StoreError;
use crate::raw::{Importer, RawData, RawEvent, RawSymbol};
use crate::report::Report;

/// How such a file begins.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// Reads such a file batch by batch.
pub(crate) struct ParquetRows {
    batches: ParquetRecordBatchReader,
    path: PathBuf,
    name: String,
    symbols: Vec<RawSymbol>,
    indices: HashMap<String, u16>,
    report: Report,
}

impl ParquetRows {
    pub(crate) fn new(member: &Member) -> Result<Self, StoreError> {
        let path = member.path.clone();
        if member.container != Container::Plain {
            let what = "Parquet is read from plain files only: unpack it first".to_owned();
            return Err(StoreError::Corrupt { path, offset: 0, what });
        }
        let file = std::fs::File::open(&path).map_err(|error| StoreError::io(&path, error))?;
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|source| StoreError::Parquet { path: path.clone(), source })?;
        Ok(Self {
            batches,
            path,
            name: member.display(),
            symbols: Vec::new(),
            indices: HashMap::new(),
            report: Report::default(),
        })
    }

    fn symbol(&mut self, name: &str) -> Option<u16> {
        if let Some(index) = self.indices.get(name) {
            return Some(*index);
        }
        let index = u16::try_from(self.symbols.len()).ok()?;
        self.symbols.push(RawSymbol::linear(name));
        self.indices.insert(name.to_owned(), index);
        Some(index)
    }

    fn row(&mut self, batch: &RecordBatch, row: usize) -> Result<RawEvent, String> {
        let time = |name| column::<TimestampNanosecondArray>(batch, name, row);
        let (event_at, received_at) = (time("ts_event")?.value(row), time("ts_init")?.value(row));
        let names = column::<DictionaryArray<Int32Type>>(batch, "instrument", row)?;
        let names = names.downcast_dict::<StringArray>().ok_or("the instrument is not text")?;
        let key = names.keys().value(row);
        let key = usize::try_from(key).map_err(|_| "the instrument has no name")?;
        let symbol = self.symbol(names.values().value(key)).ok_or("more than 65,536 symbols")?;
        let has = |name| batch.column_by_name(name).is_some();
        let dec = |name| decimal(batch, name, row);
        let side = |buy| if buy { Side::Buy } else { Side::Sell };
        let is_buy =
            |name| Ok::<_, String>(side(column::<BooleanArray>(batch, name, row)?.value(row)));
        let number = |name| Ok::<_, String>(column::<UInt64Array>(batch, name, row)?.value(row));
        let mut opened_at = (Nanos(event_at), Nanos(received_at));
        let data = if has("last") {
            let last = column::<BooleanArray>(batch, "last", row)?.value(row);
            RawData::Level { side: is_buy("is_buy")?, price: dec("price")?, qty: dec("qty")?, last }
        } else if has("trade_id") {
            // A taker that nobody told is null.
            let aggressor = is_buy("is_buy").ok();
            RawData::Trade {
                aggressor,
                price: dec("price")?,
                qty: dec("qty")?,
                id: number("trade_id")?,
            }
        } else if has("update_id") {
            RawData::Quote {
                bid_px: dec("bid_price")?,
                bid_qty: dec("bid_qty")?,
                ask_px: dec("ask_price")?,
                ask_qty: dec("ask_qty")?,
                seq: number("update_id")?,
            }
        } else {
            // A bar is exported with the time at which it closed.
            let length = column::<UInt32Array>(batch, "interval_ms", row)?.value(row);
            let length = i64::from(length) * Nanos::MILLI;
            opened_at = (opened_at.0.plus(-length), opened_at.1.plus(-length));
            RawData::Bar {
                open: dec("open")?,
                high: dec("high")?,
                low: dec("low")?,
                close: dec("close")?,
                volume: dec("volume")?,
                length: Some(length),
            }
        };
        Ok(RawEvent { symbol, venue_at: opened_at.0, received_at: opened_at.1, data })
    }
}

/// Returns a column of a type, if it has a value in this row.
fn column<'a, A: Array + 'static>(
    batch: &'a RecordBatch,
    name: &str,
    row: usize,
) -> Result<&'a A, String> {
    let found = batch.column_by_name(name).ok_or_else(|| format!("no column `{name}`"))?;
    let typed = found.as_any().downcast_ref::<A>();
    let typed = typed.ok_or_else(|| format!("column `{name}` has type {}", found.data_type()))?;
    if typed.is_null(row) {
        return Err(format!("`{name}` is null"));
    }
    Ok(typed)
}

fn decimal(batch: &RecordBatch, name: &str, row: usize) -> Result<Dec, String> {
    let values = column::<Decimal128Array>(batch, name, row)?;
    let mantissa = i64::try_from(values.value(row)).ok();
    let scale = u8::try_from(values.scale()).ok().filter(|scale| *scale <= 18);
    let value = mantissa.zip(scale).map(|(mantissa, scale)| Dec { mantissa, scale });
    value.ok_or_else(|| format!("`{name}` does not fit 64 bits and 18 decimals"))
}

impl Importer for ParquetRows {
    fn read(&mut self, out: &mut Vec<RawEvent>) -> Result<bool, StoreError> {
        let Some(batch) = self.batches.next() else { return Ok(false) };
        let failed = |source| StoreError::Parquet { path: self.path.clone(), source };
        let batch = batch.map_err(|error| failed(error.into()))?;
        for row in 0..batch.num_rows() {
            self.report.n_lines += 1;
            match self.row(&batch, row) {
                Ok(event) => out.push(event),
                Err(what) => self.report.refuse(&self.name, self.report.n_lines, what),
            }
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
