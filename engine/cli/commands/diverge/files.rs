//! What is written to files: the latencies, and all orders.
//!
//! Times are nanoseconds since 1970 in UTC; prices, quantities and money are exact decimals.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use tercel_core::Nanos;
use tercel_sim::divergence::Trail;

use super::outcome::{Divergence, kind};
use crate::exit::{Blame, Outcome, input};

/// Writes the fitted latencies as `latency_file` of a configuration takes them.
pub(super) fn write_latencies(divergence: &Divergence, path: &Path) -> Outcome<()> {
    let fit = divergence.fit.as_ref().ok_or_else(|| {
        input("--write-latencies: no request of the run was answered; there is nothing to write")
    })?;
    let write = || -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        writeln!(out, "time_ns,request_ns,answer_ns")?;
        for sample in &fit.samples {
            writeln!(out, "{},{},{}", sample.at, sample.request_ns, sample.answer_ns)?;
        }
        out.flush()
    };
    write().with_context(|| format!("write {}", path.display())).or_machine()
}

/// What is told of each side.
const COLUMNS: [&str; 15] = [
    "order",
    "sent_ns",
    "limit_price",
    "quantity",
    "middle",
    "answered_after_ns",
    "first_fill_ns",
    "last_fill_ns",
    "fills",
    "filled",
    "average_price",
    "fees",
    "slippage",
    "fate",
    "made",
];

/// What the run made more.
const DIFFERENCES: [&str; 5] = [
    "difference",
    "difference_prices",
    "difference_quantities",
    "difference_fees",
    "difference_unpaired",
];

/// Writes every order with its counterpart, and what the run made more.
pub(super) fn write_orders(divergence: &Divergence, path: &Path) -> Outcome<()> {
    let write = || -> anyhow::Result<()> {
        let mut out = csv::Writer::from_path(path)?;
        let head = ["strategy", "instrument", "side", "type", "equal"].map(str::to_owned);
        let sides = ["run", "simulated"]
            .into_iter()
            .flat_map(|side| COLUMNS.map(|column| format!("{side}_{column}")));
        let differences = DIFFERENCES.map(str::to_owned);
        out.write_record(head.into_iter().chain(sides).chain(differences))?;
        for row in &divergence.comparison.rows {
            let (run, simulated) = divergence.orders(row);
            let Some(some) = run.or(simulated) else { continue };
            let difference = &row.difference;
            let mut cells = vec![
                divergence.strategy(some).to_owned(),
                divergence.instrument(some).spec.symbol.clone(),
                some.spec.side.as_str().to_owned(),
                kind(some).to_owned(),
                row.is_equal.to_string(),
            ];
            cells.extend(side(divergence, run));
            cells.extend(side(divergence, simulated));
            let all = [
                difference.total(),
                difference.prices,
                difference.quantities,
                difference.fees,
                difference.unpaired,
            ];
            cells.extend(all.map(|amount| amount.to_string()));
            out.write_record(cells)?;
        }
        Ok(out.flush()?)
    };
    write().with_context(|| format!("write {}", path.display())).or_machine()
}

fn side(divergence: &Divergence, order: Option<&Trail>) -> [String; COLUMNS.len()] {
    let Some(order) = order else { return Default::default() };
    let instrument = divergence.instrument(order);
    let price = |price| instrument.price_decimal(price).to_string();
    let time = |at: Option<Nanos>| at.map_or_else(String::new, |at| at.to_string());
    let text = |amount: Option<tercel_core::Notional>| {
        amount.map_or_else(String::new, |amount| amount.to_string())
    };
    [
        order.id.to_string(),
        order.sent_at.to_string(),
        order.spec.kind.limit_price().map_or_else(String::new, price),
        instrument.quantity_decimal(order.spec.qty).to_string(),
        order.middle.map_or_else(String::new, price),
        order.answered_after_ns().map_or_else(String::new, |ns| ns.to_string()),
        time(order.first_fill_at),
        time(order.last_fill_at),
        order.n_fills.to_string(),
        instrument.quantity_decimal(order.filled).to_string(),
        divergence.average_price(order).map_or_else(String::new, |price| price.to_string()),
        order.fees.to_string(),
        text(order.slippage(instrument)),
        order.fate.as_str().to_owned(),
        divergence.made(order).to_string(),
    ]
}
