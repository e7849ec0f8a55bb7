//! Fills and equity as Parquet: the columns of the CSV files, typed; times are called `time` and
//! `venue_time` here, without a unit.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Builder, RecordBatch, StringBuilder, TimestampNanosecondBuilder,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;

use crate::report::{ReportInput, middle};

/// Decimal places of every amount: what money is counted in.
const PLACES: u32 = 18;

/// Columns that can be empty: of fills before there was a book.
const MID_AT_SEND: &str = "mid_at_send";
const MID_AT_FILL: &str = "mid_at_fill";

/// Writes every recorded fill.
pub(crate) fn write_fills_parquet(
    input: &ReportInput<'_>,
    out: impl Write + Send,
) -> anyhow::Result<()> {
    let fills = &input.recording.fills;
    let instrument = |n: usize| &input.instruments[fills[n].instrument.index()];
    let rows = 0..fills.len();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", times(fills.iter().map(|fill| fill.at.0))),
        ("venue_time", times(fills.iter().map(|fill| fill.venue_at.0))),
        ("strategy", texts(fills.iter().map(|fill| input.strategy(fill.strategy).to_owned()))),
        ("instrument", texts(rows.clone().map(|n| instrument(n).spec.symbol.clone()))),
        ("side", texts(fills.iter().map(|fill| fill.side.as_str().to_owned()))),
        ("price", amounts(rows.clone().map(|n| instrument(n).price_decimal(fills[n].price)))),
        ("quantity", amounts(rows.clone().map(|n| instrument(n).quantity_decimal(fills[n].qty)))),
        ("fee", amounts(fills.iter().map(|fill| fill.fee.to_decimal()))),
        ("role", texts(fills.iter().map(|fill| fill.role.as_str().to_owned()))),
        ("order_id", texts(fills.iter().map(|fill| fill.order.to_string()))),
        ("notional", amounts(fills.iter().map(|fill| fill.notional.to_decimal()))),
        ("fee_asset", texts(fills.iter().map(|fill| input.asset(fill.fee_asset).to_owned()))),
        ("realised", amounts(fills.iter().map(|fill| fill.realised.to_decimal()))),
        (
            "position",
            amounts(rows.clone().map(|n| instrument(n).quantity_decimal(fills[n].position))),
        ),
        ("slippage", amounts(fills.iter().map(|fill| fill.slippage.to_decimal()))),
        (
            MID_AT_SEND,
            some_amounts(rows.clone().map(|n| middle(instrument(n), fills[n].mid_x2_at_send))),
        ),
        (MID_AT_FILL, some_amounts(rows.map(|n| middle(instrument(n), fills[n].mid_x2_at_fill)))),
        (
            "trade_id",
            Arc::new(UInt64Array::from_iter_values(fills.iter().map(|fill| fill.trade_id))),
        ),
    ];
    write(columns, out)
}

/// Writes the recorded equity samples.
pub(crate) fn write_equity_parquet(
    input: &ReportInput<'_>,
    out: impl Write + Send,
) -> anyhow::Result<()> {
    let samples = input.recording.equity.as_slice();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", times(samples.iter().map(|sample| sample.at.0))),
        ("equity", amounts(samples.iter().map(|sample| sample.equity.to_decimal()))),
        ("low", amounts(samples.iter().map(|sample| sample.low.to_decimal()))),
        ("high", amounts(samples.iter().map(|sample| sample.high.to_decimal()))),
    ];
    write(columns, out)
}

fn write(columns: Vec<(&str, ArrayRef)>, out: impl Write + Send) -> anyhow::Result<()> {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, column)| {
            let is_nullable = [MID_AT_SEND, MID_AT_FILL].contains(name);
            Field::new(*name, column.data_type().clone(), is_nullable)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    let mut builder = TimestampNanosecondBuilder::new()
        .with_data_type(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())));
    values.for_each(|value| builder.append_value(value));
    Arc::new(builder.finish())
}

fn texts(values: impl Iterator<Item = String>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_value(value));
    Arc::new(builder.finish())
}

fn amounts(values: impl Iterator<Item = Decimal>) -> ArrayRef {
    some_amounts(values.map(Some))
}

fn some_amounts(values: impl Iterator<Item = Option<Decimal>>) -> ArrayRef {
    let mut builder = Decimal128Builder::new().with_data_type(DataType::Decimal128(38, 18));
    for value in values {
        builder.append_option(value.map(|value| {
            let value = value.round_dp(PLACES).normalize();
            value.mantissa() * 10i128.pow(PLACES - value.scale())
        }));
    }
    Arc::new(builder.finish())
}
