//! Parquet files: the tables that this crate exports, and plain tables of bars or trades.

mod exported;
mod plain;
mod values;

use std::path::PathBuf;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;

use crate::container::{Container, Member};
use crate::error::StoreError;
use crate::formats::Pass;
use crate::formats::columns::{BarColumns, TradeColumns};
use crate::options::OpenOptions;
use crate::raw::{Importer, RawEvent, RawSymbol};
use crate::report::Report;

use exported::Exported;
use plain::{Plain, Shape};

/// How such a file begins.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// Reads such a file batch by batch.
pub(crate) struct ParquetRows {
    /// None once the library has panicked over them.
    batches: Option<ParquetRecordBatchReader>,
    path: PathBuf,
    name: String,
    rows: Rows,
    report: Report,
}

enum Rows {
    Exported(Exported),
    Plain(Box<Plain>),
}

impl ParquetRows {
    pub(crate) fn new(
        member: &Member,
        symbol: &str,
        options: &OpenOptions,
        pass: Pass<'_>,
    ) -> Result<Self, StoreError> {
        let path = member.path.clone();
        if member.container != Container::Plain {
            let what = "Parquet is read from plain files only: unpack it first".to_owned();
            return Err(StoreError::Corrupt { path, offset: 0, what });
        }
        let failed = |cause| StoreError::Parquet { path: path.clone(), cause };
        let file = std::fs::File::open(&path).map_err(|error| StoreError::io(&path, error))?;
        let len = file.metadata().map_err(|error| StoreError::io(&path, error))?.len();
        let corrupt = |what| StoreError::Corrupt { path: path.clone(), offset: len, what };
        let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(file));
        let mut builder = builder.map_err(corrupt)?.map_err(failed)?;
        check(builder.metadata(), len).map_err(|what| corrupt(what.to_owned()))?;
        let exported = Exported::new(builder.schema().metadata());
        let shape = Shape::of(builder.schema());
        if let (None, Some(shape)) = (&exported, shape) {
            let read = ProjectionMask::roots(builder.parquet_schema(), shape.columns());
            builder = builder.with_projection(read);
        }
        let found: Vec<_> =
            builder.schema().fields().iter().take(20).map(|field| field.name().clone()).collect();
        let batches = guarded(|| builder.build()).map_err(corrupt)?.map_err(failed)?;
        let rows = match (exported, Shape::of(&arrow::array::RecordBatchReader::schema(&batches))) {
            (Some(exported), _) => Rows::Exported(exported),
            (None, Some(shape)) => Rows::Plain(Box::new(Plain::new(shape, symbol, options, pass))),
            (None, None) => {
                return Err(StoreError::UnknownFormat {
                    path,
                    found: format!("Parquet with the columns {}", found.join(", ")),
                    known: format!(
                        "tables with {}, tables with {}, and what was exported here",
                        BarColumns::NEEDED,
                        TradeColumns::NEEDED
                    ),
                });
            }
        };
        Ok(Self {
            batches: Some(batches),
            path,
            name: member.display(),
            rows,
            report: Report::default(),
        })
    }

    fn take(&mut self, batch: &RecordBatch, out: &mut Vec<RawEvent>) -> Result<(), String> {
        let Self { rows, report, name, .. } = self;
        let mut add = |report: &mut Report, event: Result<RawEvent, String>| match event {
            Ok(event) => out.push(event),
            Err(why) => report.refuse(name, report.n_lines, why),
        };
        match rows {
            Rows::Exported(rows) => {
                let columns = rows.columns(batch)?;
                for row in 0..batch.num_rows() {
                    report.n_lines += 1;
                    add(report, rows.row(&columns, row));
                }
            }
            Rows::Plain(rows) => {
                let columns = rows.columns(batch)?;
                for row in 0..batch.num_rows() {
                    report.n_lines += 1;
                    let event = rows.row(&columns, row, report);
                    add(report, event);
                }
            }
        }
        Ok(())
    }
}

/// Calls the library on bytes that may be damaged, of which it checks less than it relies on.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    // What the call leaves half done is dropped by the callers.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
        format!("its rows cannot be decoded: {}", why.unwrap_or_default())
    })
}

/// Checks what the library takes on trust from the end of the file, and panics over.
fn check(metadata: &ParquetMetaData, len: u64) -> Result<(), &'static str> {
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Err("a group of rows has less than none");
        }
        for chunk in group.columns() {
            let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size());
            let end = end.and_then(|end| u64::try_from(end).ok());
            let is_inside = start >= 0
                && chunk.data_page_offset() >= 0
                && chunk.compressed_size() >= 0
                && end.is_some_and(|end| end <= len);
            if !is_inside || chunk.num_values() < 0 || chunk.uncompressed_size() < 0 {
                return Err("a column lies outside the file");
            }
        }
    }
    Ok(())
}

impl Importer for ParquetRows {
    fn read(&mut self, out: &mut Vec<RawEvent>) -> Result<bool, StoreError> {
        let corrupt =
            |path: &PathBuf, what| StoreError::Corrupt { path: path.clone(), offset: 0, what };
        // What panicked is not asked again.
        let Some(mut batches) = self.batches.take() else {
            return Err(corrupt(&self.path, "its rows could not be decoded".to_owned()));
        };
        let batch = guarded(|| batches.next()).map_err(|what| corrupt(&self.path, what))?;
        self.batches = Some(batches);
        let Some(batch) = batch else { return Ok(false) };
        let failed = |cause| StoreError::Parquet { path: self.path.clone(), cause };
        let batch = batch.map_err(|error| failed(error.into()))?;
        self.take(&batch, out).map_err(|what| corrupt(&self.path, what))?;
        Ok(true)
    }

    fn symbols(&self) -> &[RawSymbol] {
        match &self.rows {
            Rows::Exported(rows) => rows.symbols(),
            Rows::Plain(rows) => rows.symbols(),
        }
    }

    fn time_unit(&self) -> Option<String> {
        match &self.rows {
            Rows::Exported(_) => None,
            Rows::Plain(rows) => rows.time_unit(),
        }
    }

    fn report(&self) -> &Report {
        &self.report
    }
}
