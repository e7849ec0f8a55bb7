//! Metrics as JSON. Money is text, so that no reader rounds it; a ratio that is not defined is null.

use serde_json::{Value, json};

use super::ReportInput;

/// Returns the metrics of a run.
pub(crate) fn metrics_json(input: &ReportInput<'_>) -> Value {
    let m = &input.recording.metrics;
    let (daily, trips, orders) = (&m.daily, &m.trips, &m.orders);
    let rejections = m.rejections.iter().map(|rejection| {
        json!({
            "by": rejection.by.as_str(),
            "reason": rejection.reason,
            "count": rejection.count,
        })
    });
    let instruments = m.instruments.iter().map(|row| {
        let instrument = &input.instruments[row.instrument.index()];
        json!({
            "instrument": instrument.spec.symbol,
            "fills": row.n_fills,
            "round_trips": row.n_trips,
            "wins": row.n_wins,
            "volume": instrument.quantity_decimal(row.volume).to_string(),
            "turnover": row.turnover.to_string(),
            "maker_turnover": row.maker_turnover.to_string(),
            "realised": row.realised.to_string(),
            "unrealised": row.unrealised.to_string(),
            "fees": row.fees.to_string(),
            "funding": row.funding.to_string(),
            "slippage": row.slippage.to_string(),
            "position": instrument.quantity_decimal(row.position).to_string(),
            "profit": row.profit().to_string(),
        })
    });
    let days = m.days.iter().map(|row| {
        json!({
            "day": super::format::day(row.day),
            "profit": row.profit.to_string(),
            "equity": row.close.to_string(),
            "orders": row.n_orders,
            "fills": row.n_fills,
            "turnover": row.turnover.to_string(),
            "fees": row.fees.to_string(),
        })
    });
    json!({
        "started_at_ns": m.started_at.0,
        "ended_at_ns": m.ended_at.0,
        "currency": input.currency,
        "initial_equity": m.initial_equity.to_string(),
        "final_equity": m.final_equity.to_string(),
        "profit": m.profit().to_string(),
        "realised": m.realised.to_string(),
        "unrealised": m.unrealised.to_string(),
        "fees": m.fees.to_string(),
        "funding": m.funding.to_string(),
        "turnover": m.turnover.to_string(),
        "slippage": m.slippage.to_string(),
        "slippage_bps": m.slippage_bps(),
        "maker_share": m.maker_share(),
        "total_return": m.total_return(),
        "annual_return": daily.annual_return,
        "cagr": daily.cagr,
        "volatility": daily.volatility,
        "sharpe": daily.sharpe,
        "sortino": daily.sortino,
        "omega": daily.omega,
        "calmar": daily.calmar,
        "exposure": m.exposure(),
        "fills": m.n_fills,
        "drawdown": {
            "share": m.drawdown.share_max,
            "money": m.drawdown.money_max.to_string(),
            "duration_ns": m.drawdown.duration_ns_max,
        },
        "round_trips": {
            "count": trips.n_trips,
            "wins": trips.n_wins,
            "losses": trips.n_losses,
            "win_rate": trips.win_rate(),
            "profit_factor": trips.profit_factor(),
            "expectancy": trips.expectancy(),
            "average_win": trips.average_win(),
            "average_loss": trips.average_loss(),
            "best": trips.best.to_string(),
            "worst": trips.worst.to_string(),
            "win_streak_max": trips.win_streak_max,
            "loss_streak_max": trips.loss_streak_max,
        },
        "orders": {
            "sent": orders.sent,
            "filled": orders.filled,
            "fill_ratio": m.fill_ratio(),
            "canceled": orders.canceled,
            "expired": orders.expired,
            "rejected": orders.rejected,
            "replaces_sent": orders.replaces,
            "cancels_sent": orders.cancels,
            "requests_rejected": orders.requests_rejected,
            "risk_rejected": orders.risk_rejected,
        },
        "rejections": rejections.collect::<Vec<_>>(),
        "instruments": instruments.collect::<Vec<_>>(),
        "days": days.collect::<Vec<_>>(),
    })
}
