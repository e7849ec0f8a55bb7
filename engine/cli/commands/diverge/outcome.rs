//! What a comparison came to, with the names that its numbers have; and as JSON.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use tercel_core::{Instrument, Notional, OrderKind};
use tercel_runtime::{RecordedRun, Simulated, Survey};
use tercel_sim::divergence::{Comparison, LatencyFit, Row, Shares, Spread, Trail};

use super::latencies::Latencies;

/// A run, its simulation, and what they differ in.
pub(super) struct Divergence {
    pub(super) number: u32,
    pub(super) run: RecordedRun,
    pub(super) survey: Survey,
    pub(super) fit: Option<LatencyFit>,
    pub(super) simulated: Simulated,
    pub(super) comparison: Comparison,
    pub(super) latencies: Latencies,
}

/// Returns what type an order is of.
pub(super) const fn kind(order: &Trail) -> &'static str {
    match order.spec.kind {
        OrderKind::Market => "market",
        OrderKind::Limit { .. } => "limit",
        OrderKind::Stop { .. } => "stop",
        OrderKind::StopLimit { .. } => "stop_limit",
    }
}

impl Divergence {
    /// Returns the orders of a row.
    pub(super) fn orders(&self, row: &Row) -> (Option<&Trail>, Option<&Trail>) {
        let run = row.pair.run.map(|idx| &self.run.orders.orders()[idx]);
        let simulated = row.pair.simulated.map(|idx| &self.simulated.orders.orders()[idx]);
        (run, simulated)
    }

    pub(super) fn instrument(&self, order: &Trail) -> &Instrument {
        &self.run.state().instruments[order.spec.instrument.index()]
    }

    pub(super) fn strategy(&self, order: &Trail) -> &str {
        let own = self.run.state().strategies.get(order.strategy.index());
        own.map_or("", |strategy| &strategy.name)
    }

    pub(super) fn asset(&self, idx: tercel_core::AssetId) -> &str {
        self.run.state().assets.get(idx.index()).map_or("", String::as_str)
    }

    /// Returns the average price of an order's fills.
    pub(super) fn average_price(&self, order: &Trail) -> Option<Decimal> {
        order.average_ticks()?.checked_mul(self.instrument(order).spec.tick)
    }

    /// Returns what an order made after fees, what it holds valued at the last price.
    pub(super) fn made(&self, order: &Trail) -> Notional {
        let instrument = self.instrument(order);
        let last = self.survey.last_prices[order.spec.instrument.index()].unwrap_or_default();
        Shares::of(instrument, last, Some(order), None).total()
    }

    /// Returns what should be known of the comparison.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |n: u64, text: &str| {
            if n > 0 {
                warnings.push(format!("{n} {text}"));
            }
        };
        warn(
            self.survey.n_lost,
            "market events are missing on the tape: the simulation saw less than the run did",
        );
        warn(
            self.run.n_account_updates,
            "account updates of the run are left out: they tell of real fills",
        );
        warn(
            self.run.n_inherited_reports,
            "reports on orders of an earlier run were given to the simulation as they came",
        );
        let foreign = self.run.orders.n_foreign_fees() + self.simulated.orders.n_foreign_fees();
        warn(foreign, "fills had fees in an asset whose worth is not known; they are in no sum");
        if self.run.has_hole {
            warnings.push("the journal has a hole: what came after it is left out".to_owned());
        } else if self.run.reason.is_none() {
            warnings.push("the run was cut off: its last moments may not be recorded".to_owned());
        }
        let faults = self.simulated.faults.iter();
        warnings
            .extend(faults.map(|fault| format!("a strategy failed in the simulation: {fault}")));
        warnings
    }

    pub(super) fn to_json(&self) -> Value {
        let comparison = &self.comparison;
        let totals: Map<String, Value> = comparison
            .totals
            .iter()
            .map(|(asset, totals)| {
                let value = json!({
                    "run": totals.run.to_string(),
                    "simulated": totals.simulated.to_string(),
                    "run_slippage": totals.run_slippage.to_string(),
                    "simulated_slippage": totals.simulated_slippage.to_string(),
                    "difference": shares(&totals.difference),
                });
                (self.asset(*asset).to_owned(), value)
            })
            .collect();
        json!({
            "run": self.number,
            "ended": self.run.reason,
            "hole": self.run.has_hole,
            "events": self.survey.n_events,
            "latencies": self.latencies.to_string(),
            "equal": comparison.is_equal(),
            "orders": {
                "run": self.run.orders.orders().len(),
                "simulated": self.simulated.orders.orders().len(),
                "pairs": comparison.n_pairs(),
                "equal": comparison.n_equal(),
                "run_only": comparison.n_run_only(),
                "simulated_only": comparison.n_simulated_only(),
            },
            "profit": totals,
            "sent_later_ns": comparison.sent_later_ns.as_ref().map(spread),
            "answered_later_ns": comparison.answered_later_ns.as_ref().map(spread),
            "filled_later_ns": comparison.filled_later_ns.as_ref().map(spread),
            "latency": self.fit.as_ref().map(latency),
            "warnings": self.warnings(),
            "rows": comparison.rows.iter().map(|row| self.row(row)).collect::<Vec<_>>(),
        })
    }

    fn row(&self, row: &Row) -> Value {
        let (run, simulated) = self.orders(row);
        let some = run.or(simulated);
        json!({
            "strategy": some.map(|order| self.strategy(order)),
            "instrument": some.map(|order| self.instrument(order).spec.symbol.as_str()),
            "side": some.map(|order| order.spec.side.as_str()),
            "type": some.map(kind),
            "equal": row.is_equal,
            "run": run.map(|order| self.side(order)),
            "simulated": simulated.map(|order| self.side(order)),
            "difference": shares(&row.difference),
        })
    }

    fn side(&self, order: &Trail) -> Value {
        let instrument = self.instrument(order);
        let price = |price| instrument.price_decimal(price).to_string();
        json!({
            "order": order.id.to_string(),
            "sent_ns": order.sent_at.0,
            "limit_price": order.spec.kind.limit_price().map(price),
            "quantity": instrument.quantity_decimal(order.spec.qty).to_string(),
            "middle": order.middle.map(price),
            "answered_after_ns": order.answered_after_ns(),
            "first_fill_ns": order.first_fill_at.map(|at| at.0),
            "last_fill_ns": order.last_fill_at.map(|at| at.0),
            "fills": order.n_fills,
            "filled": instrument.quantity_decimal(order.filled).to_string(),
            "average_price": self.average_price(order).map(|price| price.to_string()),
            "fees": order.fees.to_string(),
            "slippage": order.slippage(instrument).map(|slippage| slippage.to_string()),
            "fate": order.fate.as_str(),
            "made": self.made(order).to_string(),
        })
    }
}

fn shares(shares: &Shares) -> Value {
    json!({
        "total": shares.total().to_string(),
        "prices": shares.prices.to_string(),
        "quantities": shares.quantities.to_string(),
        "fees": shares.fees.to_string(),
        "unpaired": shares.unpaired.to_string(),
    })
}

fn spread(spread: &Spread) -> Value {
    let Spread { n, min, p50, p90, p99, max } = *spread;
    json!({ "n": n, "min": min, "p50": p50, "p90": p90, "p99": p99, "max": max })
}

fn latency(fit: &LatencyFit) -> Value {
    let (least, greatest) = fit.offset_bounds_ns;
    json!({
        "request_ns": spread(&fit.request),
        "answer_ns": spread(&fit.answer),
        "round_trip_ns": spread(&fit.round_trip),
        "clock_offset_ns": fit.offset_ns,
        "clock_offset_bounds_ns": [least, greatest],
        "samples": fit.samples.len(),
    })
}
