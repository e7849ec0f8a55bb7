//! Market data to Parquet: one file a kind, in constant memory.
//!
//! Times are `Timestamp(ns, UTC)`, prices and quantities `Decimal128(38, s)` with the scale of the
//! finest instrument, symbols a dictionary, everything compressed by zstd.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, RecordBatch, StringDictionaryBuilder,
    TimestampNanosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;
use tercel_core::{Event, Instrument, MarketData, MarketEvent, Nanos, Price, Quantity, Side};

use crate::error::StoreError;
use crate::reader::Reader;

/// Rows that are gathered before they are written.
const ROWS: usize = 65_536;

/// Writes `levels`, `trades`, `quotes` and `bars` as `.parquet` files into a folder, those kinds
/// that the data has, and returns their paths with their numbers of rows.
///
/// # Errors
///
/// If the data cannot be read, or the folder not be written.
pub fn export_parquet(
    reader: &mut Reader,
    folder: &Path,
) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, error))?;
    let instruments = reader.metadata().instruments()?;
    let scales = Scales::of(&instruments);
    let mut tables = [
        Table::new(Kind::Levels, scales),
        Table::new(Kind::Trades, scales),
        Table::new(Kind::Quotes, scales),
        Table::new(Kind::Bars, scales),
    ];
    let mut events = Vec::new();
    loop {
        events.clear();
        if reader.read_block(&mut events)? == 0 {
            break;
        }
        for event in &events {
            let Event::Market(market) = event else { continue };
            let table = match market.data {
                MarketData::Level { .. } => 0,
                MarketData::Trade { .. } => 1,
                MarketData::Quote { .. } => 2,
                MarketData::Bar { .. } => 3,
                _ => continue,
            };
            let instrument = &instruments[market.instrument.index()];
            tables[table].add(market, instrument);
            if tables[table].n_pending >= ROWS {
                tables[table].flush(folder)?;
            }
        }
    }
    let mut written = Vec::new();
    for table in tables {
        if let Some(file) = table.finish(folder)? {
            written.push(file);
        }
    }
    Ok(written)
}

#[derive(Clone, Copy)]
struct Scales {
    price: u32,
    qty: u32,
}

impl Scales {
    fn of(instruments: &[Instrument]) -> Self {
        let finest = |step: fn(&Instrument) -> Decimal| {
            instruments.iter().map(|i| step(i).normalize().scale()).max().unwrap_or(0)
        };
        Self { price: finest(|i| i.spec.tick), qty: finest(|i| i.spec.lot) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Levels,
    Trades,
    Quotes,
    Bars,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Levels => "levels",
            Self::Trades => "trades",
            Self::Quotes => "quotes",
            Self::Bars => "bars",
        }
    }

    /// Names of the price columns, then of the quantity columns.
    const fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Levels | Self::Trades => (&["price"], &["qty"]),
            Self::Quotes => (&["bid_price", "ask_price"], &["bid_qty", "ask_qty"]),
            Self::Bars => (&["open", "high", "low", "close"], &["volume"]),
        }
    }

    /// Name of the column of whole numbers, if the kind has one.
    const fn number(self) -> Option<&'static str> {
        match self {
            Self::Levels => None,
            Self::Trades => Some("trade_id"),
            Self::Quotes => Some("update_id"),
            Self::Bars => Some("interval_ms"),
        }
    }

    const fn has_side(self) -> bool {
        matches!(self, Self::Levels | Self::Trades)
    }
}

struct Table {
    kind: Kind,
    scales: Scales,
    schema: Arc<Schema>,
    writer: Option<ArrowWriter<File>>,
    path: PathBuf,
    n_rows: u64,
    n_pending: usize,
    event_at: TimestampNanosecondBuilder,
    received_at: TimestampNanosecondBuilder,
    symbol: StringDictionaryBuilder<Int32Type>,
    is_buy: BooleanBuilder,
    last: BooleanBuilder,
    number: UInt64Builder,
    interval: UInt32Builder,
    prices: Vec<Decimal128Builder>,
    quantities: Vec<Decimal128Builder>,
}

impl Table {
    fn new(kind: Kind, scales: Scales) -> Self {
        let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let decimal = |scale: u32| DataType::Decimal128(38, i8::try_from(scale).unwrap_or(18));
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let mut fields = vec![
            Field::new("ts_event", time(), false),
            Field::new("ts_init", time(), false),
            Field::new("instrument", dictionary, false),
        ];
        let (prices, quantities) = kind.columns();
        fields.extend(prices.iter().map(|name| Field::new(*name, decimal(scales.price), false)));
        fields.extend(quantities.iter().map(|name| Field::new(*name, decimal(scales.qty), false)));
        if kind.has_side() {
            // Unknown for trades of venues that do not say who took.
            fields.push(Field::new("is_buy", DataType::Boolean, true));
        }
        if kind == Kind::Levels {
            fields.push(Field::new("last", DataType::Boolean, false));
        }
        if let Some(name) = kind.number() {
            let ty = if kind == Kind::Bars { DataType::UInt32 } else { DataType::UInt64 };
            fields.push(Field::new(name, ty, false));
        }
        let builders = |names: &[&str], scale| {
            let ty = decimal(scale);
            names.iter().map(|_| Decimal128Builder::new().with_data_type(ty.clone())).collect()
        };
        let stamps = || TimestampNanosecondBuilder::new().with_timezone("UTC");
        Self {
            kind,
            scales,
            schema: Arc::new(Schema::new(fields)),
            writer: None,
            path: PathBuf::new(),
            n_rows: 0,
            n_pending: 0,
            event_at: stamps(),
            received_at: stamps(),
            symbol: StringDictionaryBuilder::new(),
            is_buy: BooleanBuilder::new(),
            last: BooleanBuilder::new(),
            number: UInt64Builder::new(),
            interval: UInt32Builder::new(),
            prices: builders(prices, scales.price),
            quantities: builders(quantities, scales.qty),
        }
    }

    fn add(&mut self, market: &MarketEvent, instrument: &Instrument) {
        let price = |price: Price| rescaled(instrument.price_decimal(price), self.scales.price);
        let qty = |qty: Quantity| rescaled(instrument.quantity_decimal(qty), self.scales.qty);
        match market.data {
            MarketData::Level { side, price: px, qty: quantity, last } => {
                self.prices[0].append_value(price(px));
                self.quantities[0].append_value(qty(quantity));
                self.is_buy.append_value(side == Side::Buy);
                self.last.append_value(last);
            }
            MarketData::Trade { aggressor, price: px, qty: quantity, id } => {
                self.prices[0].append_value(price(px));
                self.quantities[0].append_value(qty(quantity));
                self.is_buy.append_option(aggressor.map(|side| side == Side::Buy));
                self.number.append_value(id);
            }
            MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => {
                self.prices[0].append_value(price(bid_px));
                self.prices[1].append_value(price(ask_px));
                self.quantities[0].append_value(qty(bid_qty));
                self.quantities[1].append_value(qty(ask_qty));
                self.number.append_value(seq);
            }
            MarketData::Bar { interval_ms, bar } => {
                for (n, px) in [bar.open, bar.high, bar.low, bar.close].into_iter().enumerate() {
                    self.prices[n].append_value(price(px));
                }
                self.quantities[0].append_value(qty(bar.volume));
                self.interval.append_value(interval_ms);
            }
            _ => return,
        }
        let Nanos(venue_at) = market.venue_at;
        self.event_at.append_value(venue_at);
        self.received_at.append_value(market.received_at.0);
        self.symbol.append_value(&instrument.spec.symbol);
        self.n_pending += 1;
    }

    fn flush(&mut self, folder: &Path) -> Result<(), StoreError> {
        if self.n_pending == 0 {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.event_at.finish()),
            Arc::new(self.received_at.finish()),
            Arc::new(self.symbol.finish()),
        ];
        for builder in self.prices.iter_mut().chain(&mut self.quantities) {
            columns.push(Arc::new(builder.finish()));
        }
        if self.kind.has_side() {
            columns.push(Arc::new(self.is_buy.finish()));
        }
        match self.kind {
            Kind::Levels => columns.push(Arc::new(self.last.finish())),
            Kind::Trades | Kind::Quotes => columns.push(Arc::new(self.number.finish())),
            Kind::Bars => columns.push(Arc::new(self.interval.finish())),
        }
        if self.writer.is_none() {
            self.path = folder.join(format!("{}.parquet", self.kind.name()));
            self.writer = Some(self.open()?);
        }
        let failed = |source| StoreError::Parquet { path: self.path.clone(), source };
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
        let failed = |source| StoreError::Parquet { path: self.path.clone(), source };
        let file = File::create(&self.path).map_err(|error| StoreError::io(&self.path, error))?;
        let level = ZstdLevel::try_new(3).map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level));
        ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(properties.build()))
            .map_err(failed)
    }

    fn finish(mut self, folder: &Path) -> Result<Option<(PathBuf, u64)>, StoreError> {
        self.flush(folder)?;
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let path = self.path.clone();
        writer.close().map_err(|source| StoreError::Parquet { path: path.clone(), source })?;
        Ok(Some((path, self.n_rows)))
    }
}

/// Returns the mantissa of a decimal at a scale that it fits.
fn rescaled(value: Decimal, scale: u32) -> i128 {
    let value = value.normalize();
    value.mantissa() * 10i128.pow(scale - value.scale().min(scale))
}
