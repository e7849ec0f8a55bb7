//! How long things took in a run, from its journal and its tape.

use std::collections::BTreeMap;
use std::path::Path;

use hdrhistogram::Histogram;
use tercel_core::{ClientOrderId, Event, MarketData, Nanos, OrderRequest, ReportKind};
use tercel_store::journal::{Record, RecordedEffect};
use tercel_store::market_tape::{MarketTapeReader, Taped};
use tercel_store::runs::RunCatalog;

use crate::data_folder::{blame, blame_run, open_journal};
use crate::exit::{Blame, Outcome};

/// Longest time that is told, in nanoseconds.
const LONGEST_NS: u64 = 600_000_000_000;

struct Row {
    name: &'static str,
    times: Histogram<u64>,
}

impl Row {
    fn new(name: &'static str) -> Outcome<Self> {
        let times = Histogram::new_with_max(LONGEST_NS, 3).or_machine()?;
        Ok(Self { name, times })
    }

    fn add(&mut self, from: Nanos, to: Nanos) {
        let ns = u64::try_from(to.since(from)).unwrap_or(0);
        self.times.saturating_record(ns);
    }
}

/// Returns the table of the latest run.
pub(super) fn table(data: &Path) -> Outcome<String> {
    let folder = RunCatalog::open(data).find("latest").map_err(blame)?;
    let mut feed = Row::new("market message: venue's time -> received")?;
    let mut placed = Row::new("order sent -> acknowledged")?;
    let mut replaced = Row::new("replace sent -> replaced")?;
    let mut canceled = Row::new("cancel sent -> cancelled")?;
    let mut told = Row::new("report: venue's time -> engine")?;
    let journal = open_journal(&folder)?;
    let mut sent: BTreeMap<(ClientOrderId, u8), Nanos> = BTreeMap::new();
    for record in journal.records().map_err(blame_run(&folder))? {
        let (_, Record::Entry(entry)) = record.map_err(blame_run(&folder))? else { continue };
        if let Some(Event::Execution(report)) = &entry.event {
            told.add(report.venue_at, entry.now);
            let (kind, row) = match report.kind {
                ReportKind::Accepted { .. } => (0, &mut placed),
                ReportKind::Replaced { .. } => (1, &mut replaced),
                ReportKind::Canceled => (2, &mut canceled),
                _ => continue,
            };
            if let Some(at) = sent.remove(&(report.order, kind)) {
                row.add(at, entry.now);
            }
        }
        for effect in &entry.effects {
            let RecordedEffect::Send(request) = effect else { continue };
            let kind = match request {
                OrderRequest::New { .. } => 0,
                OrderRequest::Replace { .. } => 1,
                OrderRequest::Cancel { .. } => 2,
            };
            sent.insert((request.id(), kind), entry.now);
        }
    }
    if let Ok(mut tape) = MarketTapeReader::open(&folder.tape()) {
        // A tape whose last part is cut off is read as far as it goes.
        while let Ok(Some(taped)) = tape.next_item() {
            let Taped::Event { event, .. } = taped else { continue };
            if !matches!(event.data, MarketData::Level { last: false, .. }) {
                feed.add(event.venue_at, event.received_at);
            }
        }
    }
    Ok(text(&[feed, placed, replaced, canceled, told]))
}

fn text(rows: &[Row]) -> String {
    use std::fmt::Write;
    let mut text =
        format!("{:<40} {:>7} {:>9} {:>9} {:>9}\n", "latency (ms)", "count", "p50", "p99", "p99.9");
    for row in rows.iter().filter(|row| !row.times.is_empty()) {
        let at = |quantile| {
            let us = row.times.value_at_quantile(quantile) / 1_000;
            format!("{}.{:03}", us / 1_000, us % 1_000)
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<40} {:>7} {:>9} {:>9} {:>9}",
            row.name,
            row.times.len(),
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
    text
}
