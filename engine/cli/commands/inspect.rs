//! `tercel inspect`: what is in the data.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tercel_core::Nanos;
use tercel_store::{BookView, Inspection, Reader, inspect};

use crate::commands::import::notes;
use crate::commands::{print, print_json};
use crate::data::{DataOptions, blame, moment};
use crate::exit::{Answer, Outcome};
use crate::progress::Progress;
use crate::report::exact_moment;

/// Show what is in market data: format, span, counts, gaps, crossed books, the book itself.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  tercel inspect capture.gz --book-at end --json\n  tercel inspect btc.tape --book-at 2024-08-08T23:58"
)]
pub(crate) struct Args {
    /// Files of any known format, plain or in .gz, .zst or .zip.
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// Show the book as of a moment (a date, nanoseconds, or `end`).
    #[arg(long, value_name = "TIME|end")]
    book_at: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: DataOptions,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let until = match args.book_at.as_deref() {
        None | Some("end") => None,
        Some(text) => Some(moment(text).map_err(crate::exit::input)?),
    };
    let mut reader = args.options.open(&args.data)?;
    let progress = Progress::begin("inspecting", args.json);
    let found = inspect(&mut reader, until, |n| progress.advance(n)).map_err(blame)?;
    progress.end();
    if args.json {
        print_json(&to_json(&found, &reader, args.book_at.is_some()))?;
    } else {
        print(&to_text(&found, &reader, args.book_at.is_some()))?;
    }
    Ok(Answer::Good)
}

/// Stable keys. With one instrument, `trades` and `book` are its own; with several, `trades` are
/// summed up and each instrument has its own in `instruments`.
fn to_json(found: &Inspection, reader: &Reader, with_book: bool) -> Value {
    let report = reader.report();
    let trades = |n: u64, volume: Decimal| json!({ "count": n, "base_volume": volume.to_string() });
    let instruments: Vec<_> = found
        .instruments
        .iter()
        .map(|instrument| {
            let mut value = json!({
                "symbol": instrument.symbol,
                "trades": trades(instrument.n_trades, instrument.base_volume),
            });
            if with_book {
                value["book"] = book_json(&instrument.book);
            }
            value
        })
        .collect();
    let volume = found.instruments.iter().map(|instrument| instrument.base_volume).sum();
    let mut value = json!({
        "events": found.n_events,
        "levels": found.n_levels,
        "lists": found.n_lists,
        "snapshots": found.n_snapshots,
        "quotes": found.n_quotes,
        "bars": found.n_bars,
        "book_orders": found.n_book_orders,
        "gaps": found.gaps,
        "interruptions": found.interruptions,
        "crossed": found.crossed,
        "trades": trades(found.n_trades, volume),
        "first_at_ns": found.first_at.map(|at| at.0),
        "last_at_ns": found.last_at.map(|at| at.0),
        "bad_lines": report.n_bad,
        "counts": report.counts,
        "notes": report.notes,
        "found": reader.findings(),
        "formats": reader.detected().iter().map(|d| d.format.as_str()).collect::<Vec<_>>(),
        "instruments": instruments,
    });
    if let (true, [one]) = (with_book, &found.instruments[..]) {
        value["book"] = book_json(&one.book);
    }
    value
}

fn book_json(book: &BookView) -> Value {
    let side = |levels: &[(Decimal, Decimal)]| -> Value {
        levels.iter().map(|(price, qty)| json!([price.to_string(), qty.to_string()])).collect()
    };
    json!({
        "update_id": book.update_id,
        "bid_levels": book.bids.len(),
        "ask_levels": book.asks.len(),
        "bids": side(&book.bids),
        "asks": side(&book.asks),
    })
}

fn to_text(found: &Inspection, reader: &Reader, with_book: bool) -> String {
    let mut text = String::new();
    for detected in reader.detected() {
        let container = detected.member.container.as_str();
        let format = detected.format.as_str();
        text += &format!("read   {}: {format}, {container}\n", detected.member.display());
    }
    for finding in reader.findings() {
        text += &format!("found  {finding}\n");
    }
    text += &notes(&reader.report());
    if let (Some(first), Some(last)) = (found.first_at, found.last_at) {
        let seconds = last.since(first) / Nanos::SECOND;
        text +=
            &format!("span   {} to {} ({seconds} s)\n", exact_moment(first), exact_moment(last));
    }
    text += &format!(
        "events {} ({} levels in {} lists, {} snapshots, {} quotes, {} trades, {} bars, {} orders)\n",
        found.n_events,
        found.n_levels,
        found.n_lists,
        found.n_snapshots,
        found.n_quotes,
        found.n_trades,
        found.n_bars,
        found.n_book_orders,
    );
    text += &format!(
        "faults {} gaps, {} interruptions, {} crossed books\n",
        found.gaps, found.interruptions, found.crossed
    );
    for instrument in &found.instruments {
        text += &format!(
            "\n{}: {} trades of {} in all\n",
            instrument.symbol, instrument.n_trades, instrument.base_volume
        );
        let book = &instrument.book;
        if with_book || !(book.bids.is_empty() && book.asks.is_empty()) {
            text += &ladder(book);
        }
    }
    text
}

/// Draws the best ten levels of a book, asks above bids.
fn ladder(book: &BookView) -> String {
    const SHOWN: usize = 10;
    let (n_bids, n_asks) = (book.bids.len(), book.asks.len());
    let mut text = format!("  book {}: {n_bids} bid levels, {n_asks} ask levels\n", book.update_id);
    let row =
        |(price, qty): &(Decimal, Decimal), side: &str| format!("  {side} {price:>16} {qty:>16}\n");
    for level in book.asks.iter().take(SHOWN).collect::<Vec<_>>().into_iter().rev() {
        text += &row(level, "ask");
    }
    text += "      ---------------- ----------------\n";
    for level in book.bids.iter().take(SHOWN) {
        text += &row(level, "bid");
    }
    text
}
