//! Rows into files: CSV, JSON lines or Parquet, under a temporary name until all are whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampNanosecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;

use super::tables::{Column, ColumnType, Table, describe};
use super::{ExportError, ExportFormat, ExportedTable};

/// Decimal places of Parquet's amounts: what money is counted in.
const PLACES: u32 = 18;
/// Rows of a batch of Parquet.
const BATCH: usize = 8_192;

/// A cell of a row.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Cell {
    Empty,
    Time(i64),
    Whole(i64),
    Id(u64),
    Amount(Decimal),
    Flag(bool),
    Text(String),
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn amount(value: Option<Decimal>) -> Self {
        value.map_or(Self::Empty, |value| Self::Amount(value.normalize()))
    }
}

/// The files of all tables.
pub(super) struct Files {
    folder: PathBuf,
    tables: Vec<TableFile>,
}

struct TableFile {
    table: Table,
    path: PathBuf,
    temporary: PathBuf,
    n_rows: u64,
    sink: Sink,
}

enum Sink {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Lines(BufWriter<File>),
    Parquet { writer: Box<ArrowWriter<File>>, rows: Vec<Vec<Cell>> },
}

impl Files {
    pub(super) fn create(folder: &Path, format: ExportFormat) -> Result<Self, ExportError> {
        fs::create_dir_all(folder).map_err(|error| ExportError::io(folder, error))?;
        let mut files = Self { folder: folder.to_owned(), tables: Vec::new() };
        for table in Table::ALL {
            let path = folder.join(format!("{}.{}", table.name(), format.as_str()));
            let temporary = path.with_extension("tmp");
            let io = |error| ExportError::io(&temporary, error);
            let file = File::create(&temporary).map_err(io)?;
            let sink = Sink::begin(file, table, format)
                .map_err(|what| ExportError::File { path: temporary.clone(), what })?;
            files.tables.push(TableFile { table, path, temporary, n_rows: 0, sink });
        }
        Ok(files)
    }

    pub(super) fn row(&mut self, table: Table, cells: Vec<Cell>) -> Result<(), ExportError> {
        debug_assert_eq!(cells.len(), table.columns().len(), "a cell a column of {table:?}");
        let Some(file) = self.tables.iter_mut().find(|file| file.table == table) else {
            unreachable!("every table has its file");
        };
        file.n_rows += 1;
        let path = &file.temporary;
        file.sink
            .row(table.columns(), cells)
            .map_err(|what| ExportError::File { path: path.clone(), what })
    }

    /// Writes the rest and gives the files their names.
    pub(super) fn finish(mut self) -> Result<Vec<ExportedTable>, ExportError> {
        for file in &mut self.tables {
            file.sink
                .end(file.table.columns())
                .map_err(|what| ExportError::File { path: file.temporary.clone(), what })?;
        }
        let mut written = Vec::new();
        for TableFile { table, path, temporary, n_rows, .. } in std::mem::take(&mut self.tables) {
            fs::rename(&temporary, &path).map_err(|error| ExportError::io(&path, error))?;
            written.push(ExportedTable { name: table.name(), path, n_rows });
        }
        let path = self.folder.join("columns.md");
        fs::write(&path, describe()).map_err(|error| ExportError::io(&path, error))?;
        Ok(written)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in &self.tables {
            // What was given up leaves nothing behind. There is nobody to tell if that fails.
            let _ = fs::remove_file(&file.temporary);
        }
    }
}

impl Sink {
    fn begin(file: File, table: Table, format: ExportFormat) -> Result<Self, String> {
        let columns = table.columns();
        match format {
            ExportFormat::Csv => {
                let mut writer = csv::Writer::from_writer(BufWriter::new(file));
                let names = columns.iter().map(|column| column.name);
                writer.write_record(names).map_err(|error| error.to_string())?;
                Ok(Self::Csv(Box::new(writer)))
            }
            ExportFormat::Jsonl => Ok(Self::Lines(BufWriter::new(file))),
            ExportFormat::Parquet => {
                let level = ZstdLevel::try_new(3).map_err(|error| error.to_string())?;
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer = ArrowWriter::try_new(file, schema(columns), Some(properties));
                let writer = writer.map_err(|error| error.to_string())?;
                Ok(Self::Parquet { writer: Box::new(writer), rows: Vec::with_capacity(BATCH) })
            }
        }
    }

    fn row(&mut self, columns: &[Column], cells: Vec<Cell>) -> Result<(), String> {
        match self {
            Self::Csv(writer) => {
                writer.write_record(cells.iter().map(plain)).map_err(|error| error.to_string())
            }
            Self::Lines(out) => {
                let line = json_line(columns, &cells);
                out.write_all(line.as_bytes()).map_err(|error| error.to_string())
            }
            Self::Parquet { writer, rows } => {
                rows.push(cells);
                if rows.len() == BATCH { write_batch(writer, columns, rows) } else { Ok(()) }
            }
        }
    }

    fn end(&mut self, columns: &[Column]) -> Result<(), String> {
        match self {
            Self::Csv(writer) => writer.flush().map_err(|error| error.to_string()),
            Self::Lines(out) => out.flush().map_err(|error| error.to_string()),
            Self::Parquet { writer, rows } => {
                write_batch(writer, columns, rows)?;
                writer.finish().map(|_| ()).map_err(|error| error.to_string())
            }
        }
    }
}

fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Time(value) | Cell::Whole(value) => value.to_string(),
        Cell::Id(value) => value.to_string(),
        Cell::Amount(value) => value.to_string(),
        Cell::Flag(value) => value.to_string(),
        Cell::Text(text) => text.clone(),
    }
}

fn json_line(columns: &[Column], cells: &[Cell]) -> String {
    let mut line = String::from("{");
    for (n, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if n > 0 {
            line.push(',');
        }
        json_text(column.name, &mut line);
        line.push(':');
        match cell {
            Cell::Empty => line.push_str("null"),
            Cell::Time(_) | Cell::Whole(_) | Cell::Flag(_) => line.push_str(&plain(cell)),
            Cell::Id(_) | Cell::Amount(_) | Cell::Text(_) => json_text(&plain(cell), &mut line),
        }
    }
    line.push_str("}\n");
    line
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn schema(columns: &[Column]) -> Arc<Schema> {
    let field = |column: &Column| {
        let ty = match column.ty {
            ColumnType::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            ColumnType::Whole => DataType::Int64,
            ColumnType::Id => DataType::UInt64,
            ColumnType::Amount => DataType::Decimal128(38, 18),
            ColumnType::Flag => DataType::Boolean,
            ColumnType::Text => DataType::Utf8,
        };
        Field::new(column.name, ty, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn write_batch(
    writer: &mut ArrowWriter<File>,
    columns: &[Column],
    rows: &mut Vec<Vec<Cell>>,
) -> Result<(), String> {
    if rows.is_empty() {
        return Ok(());
    }
    let arrays: Result<Vec<_>, String> =
        columns.iter().enumerate().map(|(n, column)| array(column, n, rows)).collect();
    let batch =
        RecordBatch::try_new(schema(columns), arrays?).map_err(|error| error.to_string())?;
    rows.clear();
    writer.write(&batch).map_err(|error| error.to_string())
}

fn array(column: &Column, n: usize, rows: &[Vec<Cell>]) -> Result<ArrayRef, String> {
    let cells = rows.iter().map(|row| &row[n]);
    Ok(match column.ty {
        ColumnType::Time => {
            let mut builder = TimestampNanosecondBuilder::new()
                .with_data_type(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())));
            cells.for_each(|cell| builder.append_option(whole(cell)));
            Arc::new(builder.finish())
        }
        ColumnType::Whole => {
            let mut builder = Int64Builder::new();
            cells.for_each(|cell| builder.append_option(whole(cell)));
            Arc::new(builder.finish())
        }
        ColumnType::Id => {
            let mut builder = UInt64Builder::new();
            cells.for_each(|cell| {
                builder.append_option(if let Cell::Id(id) = cell { Some(*id) } else { None });
            });
            Arc::new(builder.finish())
        }
        ColumnType::Amount => {
            let mut builder = Decimal128Builder::new().with_data_type(DataType::Decimal128(38, 18));
            for cell in cells {
                builder.append_option(match cell {
                    Cell::Amount(value) => Some(units(*value, column)?),
                    _ => None,
                });
            }
            Arc::new(builder.finish())
        }
        ColumnType::Flag => {
            let mut builder = BooleanBuilder::new();
            cells.for_each(|cell| {
                builder.append_option(if let Cell::Flag(yes) = cell { Some(*yes) } else { None });
            });
            Arc::new(builder.finish())
        }
        ColumnType::Text => {
            let mut builder = StringBuilder::new();
            cells.for_each(|cell| {
                builder.append_option(if let Cell::Text(text) = cell { Some(text) } else { None });
            });
            Arc::new(builder.finish())
        }
    })
}

const fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Time(value) | Cell::Whole(value) => Some(*value),
        _ => None,
    }
}

/// Returns a decimal in units of 1e-18.
fn units(value: Decimal, column: &Column) -> Result<i128, String> {
    const MOST: i128 = 10_i128.pow(38);
    let missing = PLACES.checked_sub(value.scale());
    missing
        .and_then(|missing| value.mantissa().checked_mul(10_i128.pow(missing)))
        .filter(|units| units.abs() < MOST)
        .ok_or_else(|| {
            format!(
                "{} of {value} does not fit 38 digits, 18 of them decimals; csv and jsonl hold it",
                column.name
            )
        })
}
