//! `tercel export`: a run as tables that other programs read.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use serde_json::json;
use tercel_store::runs::ExportFormat;

use crate::commands::{print, print_json};
use crate::data_folder::{DataFolder, blame_export};
use crate::exit::{Answer, Outcome};

/// Write a run's orders, fills, positions, equity and notices as tables.
///
/// One file a table, and `columns.md`, which describes their columns. Times are nanoseconds UTC, decimals
/// exact. Equity is told where it was recorded: at snapshots.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  tercel export latest --to parquet --out run/\n  tercel export 12 --to csv --out run/"
)]
pub(crate) struct Args {
    /// Number of the run, `latest`, or the path of its folder or journal.
    run: String,
    /// What to write.
    #[arg(long, value_enum)]
    to: To,
    /// Folder to write into; made if need be, tables of before are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    folder: DataFolder,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum To {
    Parquet,
    Csv,
    Jsonl,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let run = args.folder.find(&args.run)?;
    let format = match args.to {
        To::Parquet => ExportFormat::Parquet,
        To::Csv => ExportFormat::Csv,
        To::Jsonl => ExportFormat::Jsonl,
    };
    let tables = run.export(&args.out, format).map_err(blame_export)?;
    if args.json {
        let tables: Vec<_> = tables
            .iter()
            .map(|table| json!({ "table": table.name, "path": table.path, "rows": table.n_rows }))
            .collect();
        print_json(&json!({ "run": run.number, "tables": tables }))?;
        return Ok(Answer::Good);
    }
    let mut text = String::new();
    for table in &tables {
        text += &format!("wrote  {}: {} rows\n", table.path.display(), table.n_rows);
    }
    print(&text)?;
    Ok(Answer::Good)
}
