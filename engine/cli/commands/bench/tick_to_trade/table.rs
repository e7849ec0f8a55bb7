//! What was measured, as text.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::Value;

use super::probe::Stage;
use super::{Measured, QUANTILES, ratio};

/// Returns all tables. `compared` holds ratios to an earlier run.
pub(super) fn text(measured: &Measured, compared: Option<&Value>) -> String {
    let mut text = format!(
        "{}\n{}; an order every {} messages, {}\n\n",
        measured.machine,
        measured.cores,
        measured.order_every,
        if measured.has_journal { "journal on disk" } else { "no journal" },
    );
    let w = &mut text;
    // Writing to a string does not fail.
    let _ = writeln!(
        w,
        "{:<8} {:>7} {:>8} {:>13}  {:>35}  {:>35}  {:>13} {:>6}",
        "",
        "",
        "",
        "",
        "µs from when it was to be sent",
        "floor: bare TCP, same bytes",
        "to floor",
        "load"
    );
    let _ = write!(w, "{:<8} {:>7} {:>8} {:>13} ", "profile", "rate", "reached", "orders/asked");
    for _ in 0..2 {
        for (name, _) in QUANTILES {
            let _ = write!(w, " {name:>8}");
        }
        let _ = write!(w, " ");
    }
    let _ = writeln!(w, " {:>6} {:>6} {:>6}", "p50", "p99", "1 min");
    for row in &measured.rows {
        let seen = &row.seen;
        let _ = write!(
            w,
            "{:<8} {:>7} {:>8} {:>13} ",
            row.profile.as_str(),
            row.rate,
            seen.n_messages * 1_000_000_000 / seen.span_ns.max(1),
            format!("{}/{}", seen.from_intended.len(), seen.n_asked),
        );
        for times in [&seen.from_intended, &row.floor] {
            push_quantiles(w, times);
            let _ = write!(w, " ");
        }
        for at in [0.5, 0.99] {
            let of = |times: &Histogram<u64>| times.value_at_quantile(at);
            let _ = write!(w, " {:>6.2}", ratio(of(&seen.from_intended), of(&row.floor)));
        }
        let _ = writeln!(w, " {:>6}", row.load);
        if let Some(failure) = &row.failure {
            let _ = writeln!(w, "         recording failed: {failure}");
        }
    }
    for own in &measured.stages {
        let _ = writeln!(
            w,
            "\nstages, {} at {} messages a second, µs (each look at the clock is in them)",
            own.profile.as_str(),
            own.rate
        );
        for (stage, times) in Stage::ALL.iter().zip(&own.times) {
            let _ = write!(w, "{:<14} {:>8} ", stage.name(), times.len());
            push_quantiles(w, times);
            let _ = writeln!(w, "  {}", stage.meaning());
        }
    }
    if let Some(rows) = compared.and_then(Value::as_array) {
        let _ = writeln!(w, "\ncompared with the earlier run (new / old)");
        for row in rows {
            let profile = row["profile"].as_str().unwrap_or_default();
            let _ = write!(w, "{profile:<8} {:>7} ", row["rate"].as_u64().unwrap_or_default());
            for (name, _) in QUANTILES {
                let _ =
                    write!(w, " {name} {:.2} ", row["to_old"][name].as_f64().unwrap_or(f64::NAN));
            }
            let _ = writeln!(w);
        }
    }
    text
}

fn push_quantiles(w: &mut String, times: &Histogram<u64>) {
    for (_, at) in QUANTILES {
        let _ = write!(w, " {:>8}", micros(times.value_at_quantile(at)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time is shown with two decimals")]
pub(super) fn micros(ns: u64) -> String {
    let us = ns as f64 / 1e3;
    if us < 1_000.0 { format!("{us:.2}") } else { format!("{us:.0}") }
}
