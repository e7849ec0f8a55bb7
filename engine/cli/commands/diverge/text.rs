//! The comparison for people.

use std::cmp::Reverse;

use tercel_core::{Nanos, Notional};
use tercel_sim::divergence::{LatencyFit, Row, Spread, Totals, Trail};

use super::outcome::{Divergence, kind};
use crate::report::{count, latency, moment, money};

impl Divergence {
    /// Returns the report: the summary, and the worst orders or, without a number, all.
    pub(super) fn to_text(&self, worst: Option<usize>) -> String {
        let mut text = self.summary();
        if let Some(fit) = &self.fit {
            text += &latencies(fit);
        }
        for warning in self.warnings() {
            text += &format!("warning: {warning}\n");
        }
        text += &self.table(worst);
        text
    }

    fn summary(&self) -> String {
        let (comparison, survey) = (&self.comparison, &self.survey);
        let ended = self.run.reason.as_deref().unwrap_or("cut off");
        let at = |at: Option<Nanos>| at.map_or_else(String::new, moment);
        let mut text = format!(
            "run {} ({ended}) against a backtest over its own tape\n  \
             market       {} events, {} to {}\n  \
             latencies    {}\n  \
             orders       {} of the run, {} simulated: {} pairs, of which {} went the same way; \
             {} only in the run, {} only simulated\n",
            self.number,
            count(survey.n_events),
            at(survey.first_at),
            at(survey.last_at),
            self.latencies,
            self.run.orders.orders().len(),
            self.simulated.orders.orders().len(),
            comparison.n_pairs(),
            comparison.n_equal(),
            comparison.n_run_only(),
            comparison.n_simulated_only(),
        );
        for (asset, totals) in &comparison.totals {
            text += &profit(totals, self.asset(*asset));
        }
        text += &header("simulated later by");
        text += &line("sent", comparison.sent_later_ns.as_ref());
        text += &line("answered", comparison.answered_later_ns.as_ref());
        text += &line("first fill", comparison.filled_later_ns.as_ref());
        text
    }

    fn table(&self, worst: Option<usize>) -> String {
        let mut rows: Vec<_> = self.comparison.rows.iter().collect();
        let n_different = rows.iter().filter(|row| !row.is_equal).count();
        let title = match worst {
            None => "all orders, as they were sent".to_owned(),
            Some(_) if n_different == 0 => return "every order went the same way\n".to_owned(),
            Some(worst) => {
                rows.retain(|row| !row.is_equal);
                rows.sort_by_key(|row| Reverse(row.difference.total().abs()));
                rows.truncate(worst);
                format!(
                    "{} of {n_different} orders that differ, most money first (--all for all orders)",
                    rows.len()
                )
            }
        };
        let mut text = format!(
            "\n{title}\n{:<12} {:<12} {:<23} {:<11} {:<26} {:>10} {:>21} {:>23} {:>25} {:>9} {:>21} {:>10}\n",
            "run",
            "simulated",
            "sent (UTC)",
            "later by",
            "order",
            "difference",
            "answered after",
            "filled",
            "average price",
            "fill later",
            "slippage",
            "fees"
        );
        for row in rows {
            text += &self.line_of(row);
        }
        text
    }

    fn line_of(&self, row: &Row) -> String {
        let (run, simulated) = self.orders(row);
        let Some(some) = run.or(simulated) else { return String::new() };
        let instrument = self.instrument(some);
        let id = |order: Option<&Trail>| order.map_or_else(dash, |order| order.id.to_string());
        let both = |show: &dyn Fn(&Trail) -> String| {
            let side = |order: Option<&Trail>| order.map_or_else(dash, show);
            let (own, other) = (side(run), side(simulated));
            if own == other { own } else { format!("{own} | {other}") }
        };
        let later = |time: &dyn Fn(&Trail) -> Option<Nanos>| {
            let span = run.and_then(time).zip(simulated.and_then(time));
            span.map_or_else(dash, |(own, other)| signed(other.since(own)))
        };
        let price =
            some.spec.kind.limit_price().map_or_else(String::new, |price| {
                format!(" at {}", instrument.price_decimal(price))
            });
        let order = format!(
            "{} {}{price}{}",
            some.spec.side.as_str(),
            instrument.quantity_decimal(some.spec.qty),
            if price.is_empty() { format!(" {}", kind(some)) } else { String::new() },
        );
        format!(
            "{:<12} {:<12} {:<23} {:<11} {:<26} {:>10} {:>21} {:>23} {:>25} {:>9} {:>21} {:>10}\n",
            id(run),
            id(simulated),
            to_millisecond(some.sent_at),
            later(&|order| Some(order.sent_at)),
            order,
            money(row.difference.total()),
            both(&|order| order.answered_after_ns().map_or_else(dash, signed)),
            both(&|order| {
                let filled = instrument.quantity_decimal(order.filled);
                if order.filled.is_zero() {
                    order.fate.as_str().to_owned()
                } else {
                    filled.to_string()
                }
            }),
            both(&|order| {
                let average = self.average_price(order);
                average.map_or_else(dash, |price| price.round_dp(8).normalize().to_string())
            }),
            later(&|order| order.first_fill_at),
            both(&|order| order.slippage(instrument).map_or_else(dash, money)),
            both(&|order| money(order.fees)),
        )
    }
}

fn profit(totals: &Totals, asset: &str) -> String {
    let difference = &totals.difference;
    let total = difference.total();
    let share = |part: Notional| format!("{} {asset}", money(part));
    format!(
        "  profit       run {}, simulated {}, difference {}\n    \
         fill prices  {}\n    \
         missed or additional fills  {}\n    \
         fees         {}\n    \
         orders of one side only  {}\n  \
         slippage     run {}, simulated {}\n",
        share(totals.run),
        share(totals.simulated),
        share(total),
        share(difference.prices),
        share(difference.quantities),
        share(difference.fees),
        share(difference.unpaired),
        share(totals.run_slippage),
        share(totals.simulated_slippage),
    )
}

fn latencies(fit: &LatencyFit) -> String {
    let mut text = header("latencies of the run");
    text += &line("request", Some(&fit.request));
    text += &line("answer", Some(&fit.answer));
    text += &line("round trip", Some(&fit.round_trip));
    let (least, greatest) = fit.offset_bounds_ns;
    text += &format!(
        "  clock        the venue's is taken to be {} ahead; it can be {} to {}\n",
        signed(fit.offset_ns),
        signed(least),
        signed(greatest)
    );
    text
}

fn header(title: &str) -> String {
    format!(
        "  {title:<24} {:>8} {:>11} {:>11} {:>11} {:>11} {:>11}\n",
        "n", "min", "p50", "p90", "p99", "max"
    )
}

fn line(name: &str, spread: Option<&Spread>) -> String {
    let Some(spread) = spread else { return format!("    {name:<22} {:>8}\n", 0) };
    format!(
        "    {name:<22} {:>8} {:>11} {:>11} {:>11} {:>11} {:>11}\n",
        count(spread.n as u64),
        signed(spread.min),
        signed(spread.p50),
        signed(spread.p90),
        signed(spread.p99),
        signed(spread.max)
    )
}

/// Returns a span that may be negative.
fn signed(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    format!("{sign}{}", latency(ns.unsigned_abs()))
}

fn to_millisecond(at: Nanos) -> String {
    format!("{}.{:03}", moment(at), at.0.rem_euclid(Nanos::SECOND) / Nanos::MILLI)
}

fn dash() -> String {
    "–".to_owned()
}
