//! The page's cards and tables.

use tercel_core::{Notional, Side};
use tercel_sim::metrics::{Metrics, to_f64};

use super::ReportInput;
use super::format::{
    DASH, count, day, escape, float, grouped, headline, latency, moment, money, percent, span,
};

/// Round trips that the page shows; the CSV file has them all.
const TRIPS_SHOWN: usize = 200;

/// Returns the headline figures.
pub(super) fn cards(input: &ReportInput<'_>) -> String {
    let metrics = &input.recording.metrics;
    let (daily, trips) = (&metrics.daily, &metrics.trips);
    let profit = signed_money(metrics.profit());
    let short = if metrics.days.len() < 2 { "needs two days or more" } else { "daily, 365 days" };
    let drawdown = metrics.drawdown.share_max.map(|share| -share);
    let held = trips.average_held_ns().map_or_else(|| DASH.to_owned(), |ns| span(whole(ns)));
    [
        card(
            "Total return",
            &percent(metrics.total_return()),
            &format!("{profit} {}", escape(input.currency)),
            tone(metrics.profit()),
        ),
        card(
            "Maximum drawdown",
            &percent(drawdown),
            &format!("longest {}", span(metrics.drawdown.duration_ns_max)),
            "",
        ),
        card("Sharpe ratio", &float(daily.sharpe, 2), short, ""),
        card("Sortino ratio", &float(daily.sortino, 2), short, ""),
        card(
            "Profit factor",
            &float(trips.profit_factor(), 2),
            &format!("{} round trips", count(trips.n_trips)),
            "",
        ),
        card(
            "Win rate",
            &percent(trips.win_rate()),
            &format!("{} won, {} lost", count(trips.n_wins), count(trips.n_losses)),
            "",
        ),
        card(
            "Expectancy",
            &float(trips.expectancy(), 2),
            &format!("{} a round trip", escape(input.currency)),
            "",
        ),
        card(
            "Fees paid",
            &headline(metrics.fees),
            &format!("{} of turnover", percent(share(metrics.fees, metrics.turnover))),
            "",
        ),
        card(
            "Slippage paid",
            &headline(metrics.slippage),
            &format!("{} bps of turnover", float(metrics.slippage_bps(), 2)),
            "",
        ),
        card(
            "Fills",
            &count(metrics.n_fills),
            &format!("{} made", percent(metrics.maker_share())),
            "",
        ),
        card("Turnover", &headline(metrics.turnover), escape(input.currency).as_str(), ""),
        card("Exposure", &percent(metrics.exposure()), &format!("{held} a round trip"), ""),
    ]
    .concat()
}

/// Returns the tables of sums and ratios.
pub(super) fn figures(input: &ReportInput<'_>) -> String {
    let m = &input.recording.metrics;
    let (daily, trips, orders) = (&m.daily, &m.trips, &m.orders);
    let optional = |value: Option<f64>| float(value, 2);
    let returns = pairs(
        "Returns",
        &[
            ("Initial equity", money(m.initial_equity)),
            ("Final equity", money(m.final_equity)),
            ("Realised", money(m.realised)),
            ("Unrealised", money(m.unrealised)),
            ("Fees", money(-m.fees)),
            ("Funding", money(m.funding)),
            ("Annual return", percent(daily.annual_return)),
            ("CAGR", percent(daily.cagr)),
            ("Volatility a year", percent(daily.volatility)),
        ],
    );
    let risk = pairs(
        "Risk",
        &[
            ("Sharpe", optional(daily.sharpe)),
            ("Sortino", optional(daily.sortino)),
            ("Calmar", optional(daily.calmar)),
            ("Omega", optional(daily.omega)),
            ("Maximum drawdown", percent(m.drawdown.share_max.map(|share| -share))),
            ("Maximum drawdown in money", money(-m.drawdown.money_max)),
            ("Longest drawdown", span(m.drawdown.duration_ns_max)),
            ("Time in the market", percent(m.exposure())),
            ("Stale books", count(input.recording.n_stale)),
        ],
    );
    let trips = pairs(
        "Round trips",
        &[
            ("Round trips", count(trips.n_trips)),
            ("Win rate", percent(trips.win_rate())),
            ("Profit factor", optional(trips.profit_factor())),
            ("Expectancy", optional(trips.expectancy())),
            ("Average win", optional(trips.average_win())),
            ("Average loss", optional(trips.average_loss().map(|loss| -loss))),
            ("Best", money(trips.best)),
            ("Worst", money(trips.worst)),
            ("Longest run of wins", count(trips.win_streak_max)),
            ("Longest run of losses", count(trips.loss_streak_max)),
        ],
    );
    let orders = pairs(
        "Orders",
        &[
            ("Sent", count(orders.sent)),
            ("Traded", count(orders.filled)),
            ("Fill ratio", percent(m.fill_ratio())),
            ("Cancelled", count(orders.canceled)),
            ("Expired", count(orders.expired)),
            ("Replaces sent", count(orders.replaces)),
            ("Cancels sent", count(orders.cancels)),
            ("Refused by risk", count(orders.risk_rejected)),
            ("Refused by the venue", count(orders.rejected)),
        ],
    );
    format!("<div class=\"columns\">{returns}{risk}{trips}{orders}</div>")
}

/// Returns the table of instruments.
pub(super) fn instruments(input: &ReportInput<'_>) -> String {
    let head = [
        "Instrument",
        "Fills",
        "Trips",
        "Won",
        "Volume",
        "Turnover",
        "Realised",
        "Unrealised",
        "Fees",
        "Funding",
        "Slippage",
        "Made",
        "Position",
        "Profit",
    ];
    let rows = input.recording.metrics.instruments.iter().map(|row| {
        let instrument = &input.instruments[row.instrument.index()];
        vec![
            escape(&instrument.spec.symbol),
            count(row.n_fills),
            count(row.n_trips),
            percent(share_of(row.n_wins, row.n_trips)),
            grouped(instrument.quantity_decimal(row.volume).normalize()),
            money(row.turnover),
            money(row.realised),
            money(row.unrealised),
            money(row.fees),
            money(row.funding),
            money(row.slippage),
            percent(share(row.maker_turnover, row.turnover)),
            grouped(instrument.quantity_decimal(row.position).normalize()),
            signed_money(row.profit()),
        ]
    });
    table("Instruments", &head, 1, rows)
}

/// Returns the table of days.
pub(super) fn days(input: &ReportInput<'_>) -> String {
    let head =
        ["Day (UTC)", "Profit", "Return", "Equity at close", "Orders", "Fills", "Turnover", "Fees"];
    let metrics = &input.recording.metrics;
    let rows = metrics.days.iter().rev().map(|row| {
        vec![
            day(row.day),
            signed_money(row.profit),
            percent(share(row.profit, row.close - row.profit)),
            money(row.close),
            count(row.n_orders),
            count(row.n_fills),
            money(row.turnover),
            money(row.fees),
        ]
    });
    table("Days", &head, 1, rows)
}

/// Returns the table of the last round trips.
pub(super) fn trips(input: &ReportInput<'_>) -> String {
    let head = [
        "Closed (UTC)",
        "Strategy",
        "Instrument",
        "Side",
        "Held",
        "Size",
        "Fills",
        "Fees",
        "Funding",
        "Profit",
    ];
    let trips = &input.recording.trips;
    let rows = trips.iter().rev().take(TRIPS_SHOWN).map(|trip| {
        let instrument = &input.instruments[trip.instrument.index()];
        vec![
            moment(trip.closed_at),
            escape(input.strategy(trip.strategy)),
            escape(&instrument.spec.symbol),
            match trip.side {
                Side::Buy => "long".to_owned(),
                Side::Sell => "short".to_owned(),
            },
            span(trip.closed_at.since(trip.opened_at)),
            grouped(instrument.quantity_decimal(trip.qty_max).normalize()),
            count(u64::from(trip.n_fills)),
            money(trip.fees),
            money(trip.funding),
            signed_money(trip.profit),
        ]
    });
    let title = if trips.len() > TRIPS_SHOWN { "Round trips, the last 200" } else { "Round trips" };
    table(title, &head, 4, rows)
}

/// Returns the table of refusals.
pub(super) fn rejections(input: &ReportInput<'_>) -> String {
    let rows = input.recording.metrics.rejections.iter().map(|row| {
        vec![row.by.as_str().to_owned(), row.reason.replace('_', " "), count(row.count)]
    });
    table("Refusals", &["By", "Reason", "Count"], 2, rows)
}

/// Returns the table of call latencies.
pub(super) fn latencies(input: &ReportInput<'_>) -> String {
    let head = ["Call", "Count", "p50", "p90", "p99", "p99.9", "Maximum"];
    let rows = input.latencies.iter().map(|row| {
        let percentiles = [row.p50_ns, row.p90_ns, row.p99_ns, row.p999_ns, row.max_ns];
        let head = [escape(&row.name), count(row.count)];
        head.into_iter().chain(percentiles.map(latency)).collect()
    });
    table("Latency of calls into scripts", &head, 1, rows)
}

/// Returns a table of names and values from outside.
pub(super) fn facts(title: &str, facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let rows: String = facts
        .iter()
        .map(|(name, value)| {
            format!("<tr><th>{}</th><td class=\"text\">{}</td></tr>", escape(name), escape(value))
        })
        .collect();
    format!(
        "<section class=\"panel\"><h2>{title}</h2><table class=\"pairs\">{rows}</table></section>"
    )
}

/// Returns warnings and faults, loudest first.
pub(super) fn warnings(input: &ReportInput<'_>) -> String {
    let faults = input.recording.faults.iter().map(|fault| {
        let name = escape(input.strategy(fault.strategy));
        let message = escape(&fault.message);
        format!("<li><b>{name} failed at {} UTC</b> {message}</li>", moment(fault.at))
    });
    let warnings = input.warnings.iter().map(|warning| format!("<li>{}</li>", escape(warning)));
    let items: String = faults.chain(warnings).collect();
    if items.is_empty() { items } else { format!("<ul class=\"warnings\">{items}</ul>") }
}

fn card(name: &str, value: &str, note: &str, tone: &str) -> String {
    format!(
        "<div class=\"card\"><h3>{name}</h3><p class=\"value {tone}\">{value}</p><p class=\"note\">{note}</p></div>"
    )
}

fn pairs(title: &str, rows: &[(&str, String)]) -> String {
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><th>{name}</th><td>{value}</td></tr>"))
        .collect();
    format!(
        "<section class=\"panel\"><h2>{title}</h2><table class=\"pairs\">{rows}</table></section>"
    )
}

/// Returns a table whose first `n_text` columns are text and the others numbers; nothing if it
/// would be empty. Cells must be escaped.
fn table(
    title: &str,
    head: &[&str],
    n_text: usize,
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let class = |idx: usize| if idx < n_text { " class=\"text\"" } else { "" };
    let cells = |cells: &[String], tag: &str| -> String {
        let cells = cells.iter().enumerate();
        cells.map(|(idx, cell)| format!("<{tag}{}>{cell}</{tag}>", class(idx))).collect()
    };
    let body: String = rows.map(|row| format!("<tr>{}</tr>", cells(&row, "td"))).collect();
    if body.is_empty() {
        return body;
    }
    let head: Vec<_> = head.iter().map(|name| (*name).to_owned()).collect();
    let head = cells(&head, "th");
    format!(
        "<section class=\"panel wide\"><h2>{title}</h2><div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )
}

/// Returns money in a colour by its sign.
fn signed_money(amount: Notional) -> String {
    let text = money(amount);
    match tone(amount) {
        "gain" => format!("<span class=\"gain\">+{text}</span>"),
        tone => format!("<span class=\"{tone}\">{text}</span>"),
    }
}

fn tone(amount: Notional) -> &'static str {
    match amount.0.signum() {
        1 => "gain",
        -1 => "loss",
        _ => "",
    }
}

fn share(part: Notional, whole: Notional) -> Option<f64> {
    (whole > Notional::ZERO).then(|| to_f64(part) / to_f64(whole))
}

fn share_of(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
const fn whole(value: f64) -> i64 {
    value as i64
}

/// Returns the line below the title.
pub(super) fn subtitle(input: &ReportInput<'_>, metrics: &Metrics) -> String {
    let strategies: Vec<_> = input.strategies.iter().map(|name| escape(name)).collect();
    format!(
        "{} · {} to {} UTC · {}",
        strategies.join(", "),
        moment(metrics.started_at),
        moment(metrics.ended_at),
        span(metrics.ended_at.since(metrics.started_at)),
    )
}
