//! The figures of a run as plain text, for a terminal.

use tercel_core::Notional;
use tercel_sim::metrics::Metrics;

use crate::report::format::{count, float, money, percent, span};

/// Returns the figures, a line each.
pub(crate) fn summary_text(metrics: &Metrics, currency: &str) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| text += &format!("  {name:<16} {value}\n");
    let amount = |value: Notional| format!("{} {currency}", money(value));
    row(
        "net profit",
        format!("{} ({})", amount(metrics.profit()), percent(metrics.total_return())),
    );
    row("fees", amount(metrics.fees));
    row("funding", amount(metrics.funding));
    row(
        "slippage",
        format!("{} ({} bps)", amount(metrics.slippage), float(metrics.slippage_bps(), 2)),
    );
    row("turnover", amount(metrics.turnover));
    let orders = &metrics.orders;
    row(
        "orders",
        format!(
            "{} sent, {} replaced, {} cancelled, {} refused by risk, {} by the venue",
            count(orders.sent),
            count(orders.replaces),
            count(orders.cancels),
            count(orders.risk_rejected),
            count(orders.rejected),
        ),
    );
    row(
        "fills",
        format!(
            "{} ({} of turnover made, {} of orders traded)",
            count(metrics.n_fills),
            percent(metrics.maker_share()),
            percent(metrics.fill_ratio()),
        ),
    );
    let trips = &metrics.trips;
    row("win rate", percent(trips.win_rate()));
    row("profit factor", float(trips.profit_factor(), 2));
    row("exposure", percent(metrics.exposure()));
    let drawdown = &metrics.drawdown;
    row(
        "max drawdown",
        format!("{} for {}", percent(drawdown.share_max), span(drawdown.duration_ns_max)),
    );
    let daily = &metrics.daily;
    row(
        "ratios",
        format!(
            "Sharpe {}, Sortino {}, Calmar {}, Omega {}",
            float(daily.sharpe, 2),
            float(daily.sortino, 2),
            float(daily.calmar, 2),
            float(daily.omega, 2),
        ),
    );
    text
}
