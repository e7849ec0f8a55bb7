//! Market data to Parquet: one file a table, in constant memory.
//!
//! Times are `Timestamp(ns, UTC)`, prices and quantities `Decimal128(38, s)` with the scale of the
//! finest instrument, symbols a dictionary, everything compressed by zstd.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, RecordBatch, StringDictionaryBuilder,
    TimestampNanosecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;
use tercel_core::{Event, Instrument, LinkState, MarketData, Nanos, Price, Quantity, Side};

use crate::error::StoreError;
use crate::reader::Reader;
use crate::tables::{self, Change, Column, ColumnType, MOST_COLUMNS, Table};

/// Rows that are gathered before they are written.
const ROWS: usize = 65_536;

/// What an export has done in its folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParquetExport {
    /// The files that were written, with their numbers of rows.
    pub files: Vec<(PathBuf, u64)>,
    /// Files of an earlier export that were removed, because this data has no rows for them.
    pub removed: Vec<PathBuf>,
}

/// Writes `levels`, `trades`, `quotes`, `bars`, `marks` and `fundings` as `.parquet` files into a
/// folder, those tables that the data has rows for.
///
/// The files get their names together when all are whole; until then an earlier export stays as it is.
/// Those of its tables that the data has no rows for are removed then: they would read as part of this
/// one.
///
/// The files read back as the events that were written, with their instruments' kinds and steps;
/// only events of one receive time that stand in different files come in the order of the files.
/// Assets and fees are not in them.
///
/// # Errors
///
/// If the data cannot be read, or the folder not be written.
pub fn export_parquet(reader: &mut Reader, folder: &Path) -> Result<ParquetExport, StoreError> {
    std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, error))?;
    let instruments = reader.metadata().instruments()?;
    let mut files = Table::ALL.map(|table| TableFile::new(table, folder, &instruments));
    let mut last_at = None;
    let mut events = Vec::new();
    loop {
        events.clear();
        if reader.read_block(&mut events)? == 0 {
            break;
        }
        for event in &events {
            let (times, id, row) = match event {
                Event::Market(market) => {
                    let times = (market.venue_at, market.received_at);
                    last_at = Some(times);
                    (times, market.instrument, row(&market.data))
                }
                // It has no time of its own, and nothing to make stale before the first event.
                Event::Link(link) if link.state != LinkState::Up => {
                    let Some((times, id)) = last_at.zip(link.instrument) else { continue };
                    (times, id, (Table::Levels, cells([Cell::Text(Change::Gap.name())])))
                }
                _ => continue,
            };
            let (table, cells) = row;
            let file = &mut files[table as usize];
            file.add(times, &instruments[id.index()], &cells);
            if file.n_pending >= ROWS {
                file.flush()?;
            }
        }
    }
    for file in &mut files {
        file.close()?;
    }
    let mut done = ParquetExport { files: Vec::new(), removed: Vec::new() };
    for file in files {
        file.publish(&mut done)?;
    }
    Ok(done)
}

/// A value in a row.
#[derive(Clone, Copy)]
enum Cell {
    Price(Price),
    Quantity(Quantity),
    Rate(i64),
    Flag(bool),
    Whole(u64),
    Text(&'static str),
    Null,
}

type Cells = [Cell; MOST_COLUMNS];

/// Fills a row up.
fn cells<const N: usize>(first: [Cell; N]) -> Cells {
    let mut cells = [Cell::Null; MOST_COLUMNS];
    cells[..N].copy_from_slice(&first);
    cells
}

/// Returns where an event stands, and its row in the order of the table's columns.
fn row(data: &MarketData) -> (Table, Cells) {
    use Cell::{Flag, Null, Rate, Text, Whole};
    let (px, qty, is_buy) = (Cell::Price, Cell::Quantity, |side| Flag(side == Side::Buy));
    let text = |change: Change| Text(change.name());
    match *data {
        MarketData::Clear { seq } => {
            let first = text(Change::Clear);
            (Table::Levels, cells([first, Null, Null, Null, Null, Null, Whole(seq)]))
        }
        MarketData::Batch { prev, seq } => {
            let first = text(Change::Batch);
            (Table::Levels, cells([first, Null, Null, Null, Null, Whole(prev), Whole(seq)]))
        }
        MarketData::Level { side, price, qty: quantity, last } => {
            let first = text(Change::Level);
            (Table::Levels, cells([first, px(price), qty(quantity), is_buy(side), Flag(last)]))
        }
        MarketData::BookOrder { action, side, price, qty: quantity, order_id, last } => {
            let (first, id) = (text(Change::Order(action)), Whole(order_id));
            let (price, quantity) = (px(price), qty(quantity));
            let row = [first, price, quantity, is_buy(side), Flag(last), Null, Null, id];
            (Table::Levels, cells(row))
        }
        MarketData::Trade { aggressor, price, qty: quantity, id } => {
            let taker = aggressor.map_or(Null, is_buy);
            (Table::Trades, cells([px(price), qty(quantity), taker, Whole(id)]))
        }
        MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => {
            let row = [px(bid_px), px(ask_px), qty(bid_qty), qty(ask_qty), Whole(seq)];
            (Table::Quotes, cells(row))
        }
        MarketData::Bar { interval_ms, bar } => {
            let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(px);
            let row = [open, high, low, close, qty(bar.volume), Whole(interval_ms.into())];
            (Table::Bars, cells(row))
        }
        MarketData::Mark { mark, index } => (Table::Marks, cells([px(mark), px(index)])),
        MarketData::Funding { rate_e12 } => (Table::Fundings, cells([Rate(rate_e12)])),
    }
}

/// A column that is being filled.
enum Builder {
    Decimal(Decimal128Builder, u8),
    Flag(BooleanBuilder),
    Whole(UInt64Builder),
    Text(StringDictionaryBuilder<Int32Type>),
}

impl Builder {
    fn new(ty: &DataType) -> Self {
        match ty {
            DataType::Decimal128(_, scale) => {
                let builder = Decimal128Builder::new().with_data_type(ty.clone());
                Self::Decimal(builder, scale.unsigned_abs())
            }
            DataType::Boolean => Self::Flag(BooleanBuilder::new()),
            DataType::UInt64 => Self::Whole(UInt64Builder::new()),
            _ => Self::Text(StringDictionaryBuilder::new()),
        }
    }

    fn append(&mut self, cell: Cell, instrument: &Instrument) {
        match (self, cell) {
            (Self::Decimal(builder, scale), Cell::Price(price)) => {
                builder.append_value(rescaled(instrument.price_decimal(price), *scale));
            }
            (Self::Decimal(builder, scale), Cell::Quantity(qty)) => {
                builder.append_value(rescaled(instrument.quantity_decimal(qty), *scale));
            }
            (Self::Decimal(builder, _), Cell::Rate(rate)) => builder.append_value(rate.into()),
            (Self::Flag(builder), Cell::Flag(flag)) => builder.append_value(flag),
            (Self::Whole(builder), Cell::Whole(whole)) => builder.append_value(whole),
            (Self::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (Self::Decimal(builder, _), _) => builder.append_null(),
            (Self::Flag(builder), _) => builder.append_null(),
            (Self::Whole(builder), _) => builder.append_null(),
            (Self::Text(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Decimal(builder, _) => Arc::new(builder.finish()),
            Self::Flag(builder) => Arc::new(builder.finish()),
            Self::Whole(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// A table on its way into a file, which has another name until it is published.
struct TableFile {
    path: PathBuf,
    temporary: PathBuf,
    schema: Arc<Schema>,
    writer: Option<ArrowWriter<File>>,
    n_rows: u64,
    n_pending: usize,
    event_at: TimestampNanosecondBuilder,
    received_at: TimestampNanosecondBuilder,
    symbol: StringDictionaryBuilder<Int32Type>,
    columns: Vec<Builder>,
}

impl TableFile {
    fn new(table: Table, folder: &Path, instruments: &[Instrument]) -> Self {
        let finest = |step: fn(&Instrument) -> Decimal| {
            let scales = instruments.iter().map(|i| step(i).normalize().scale());
            i8::try_from(scales.max().unwrap_or(0)).unwrap_or(18)
        };
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let ty = |ty: ColumnType| match ty {
            ColumnType::Price => DataType::Decimal128(38, finest(|i| i.spec.tick)),
            ColumnType::Quantity => DataType::Decimal128(38, finest(|i| i.spec.lot)),
            ColumnType::Rate => DataType::Decimal128(38, tables::RATE_SCALE.cast_signed()),
            ColumnType::Flag => DataType::Boolean,
            ColumnType::Whole => DataType::UInt64,
            ColumnType::Text => text.clone(),
        };
        let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let [event_at, received_at, symbol] = tables::COMMON;
        let mut fields = vec![
            Field::new(event_at, time(), false),
            Field::new(received_at, time(), false),
            Field::new(symbol, text.clone(), false),
        ];
        let own = |column: &Column| Field::new(column.name, ty(column.ty), column.is_nullable);
        fields.extend(table.columns().iter().map(own));
        let columns = fields[3..].iter().map(|field| Builder::new(field.data_type())).collect();
        let said = HashMap::from([
            (tables::TABLE.to_owned(), table.name().to_owned()),
            (tables::INSTRUMENTS.to_owned(), tables::describe(instruments.iter().map(|i| &i.spec))),
        ]);
        let stamps = || TimestampNanosecondBuilder::new().with_timezone("UTC");
        let name = format!("{}.parquet", table.name());
        Self {
            temporary: folder.join(format!("{name}.tmp")),
            path: folder.join(name),
            schema: Arc::new(Schema::new_with_metadata(fields, said)),
            writer: None,
            n_rows: 0,
            n_pending: 0,
            event_at: stamps(),
            received_at: stamps(),
            symbol: StringDictionaryBuilder::new(),
            columns,
        }
    }

    fn add(&mut self, (venue_at, received_at): (Nanos, Nanos), of: &Instrument, cells: &Cells) {
        self.event_at.append_value(venue_at.0);
        self.received_at.append_value(received_at.0);
        self.symbol.append_value(&of.spec.symbol);
        for (builder, cell) in self.columns.iter_mut().zip(cells) {
            builder.append(*cell, of);
        }
        self.n_pending += 1;
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.n_pending == 0 {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.event_at.finish()),
            Arc::new(self.received_at.finish()),
            Arc::new(self.symbol.finish()),
        ];
        columns.extend(self.columns.iter_mut().map(Builder::finish));
        if self.writer.is_none() {
            self.writer = Some(self.open()?);
        }
        let failed = |cause| StoreError::Parquet { path: self.path.clone(), cause };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| failed(error.into()))?;
        if let Some(writer) = &mut self.writer {
            writer.write(&batch).map_err(failed)?;
        }
        self.n_rows += self.n_pending as u64;
        self.n_pending = 0;
        Ok(())
    }

    fn open(&self) -> Result<ArrowWriter<File>, StoreError> {
        let failed = |cause| StoreError::Parquet { path: self.path.clone(), cause };
        let path = &self.temporary;
        let file = File::create(path).map_err(|error| StoreError::io(path, error))?;
        let level = ZstdLevel::try_new(3).map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level));
        ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(properties.build()))
            .map_err(failed)
    }

    /// Writes what is left.
    fn close(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let failed = |cause| StoreError::Parquet { path: self.path.clone(), cause };
        writer.finish().map(drop).map_err(failed)
    }

    /// Puts the table in the place of one that an earlier export has left, or removes that.
    fn publish(mut self, done: &mut ParquetExport) -> Result<(), StoreError> {
        let path = &self.path;
        if self.writer.is_some() {
            std::fs::rename(&self.temporary, path).map_err(|error| StoreError::io(path, error))?;
            self.writer = None;
            done.files.push((path.clone(), self.n_rows));
            return Ok(());
        }
        match std::fs::remove_file(path) {
            Ok(()) => done.removed.push(path.clone()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(path, error)),
        }
        Ok(())
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        if self.writer.is_some() {
            // A table that was given up leaves nothing behind. There is nobody to tell if that fails.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Returns the mantissa of a decimal at a scale that it fits.
fn rescaled(value: Decimal, scale: u8) -> i128 {
    let (value, scale) = (value.normalize(), u32::from(scale));
    value.mantissa() * 10i128.pow(scale - value.scale().min(scale))
}
