//! The data behind the page's charts, as JSON that a script element can hold.

use serde_json::{Value, json};
use tercel_core::{Instrument, Nanos, Role, Side};
use tercel_sim::metrics::{DrawSeries, PriceSeries, to_f64};

use super::ReportInput;

/// Fills drawn on each price chart; of more, evenly spread ones are drawn.
const FILLS_DRAWN: usize = 3_000;

/// Returns all charts' data. Times are milliseconds since 1970.
pub(super) fn data(input: &ReportInput<'_>) -> Value {
    let recording = input.recording;
    let samples = recording.equity.as_slice();
    let mut peak = f64::MIN;
    let mut drawdown = Vec::with_capacity(samples.len());
    for sample in samples {
        let below = if peak > 0.0 { to_f64(sample.low) / peak - 1.0 } else { 0.0 };
        drawdown.push(round(below.min(0.0) * 100.0, 4));
        peak = peak.max(to_f64(sample.high));
    }
    let traded = |series: &&PriceSeries| {
        input.instruments.len() == 1
            || recording.fills.iter().any(|fill| fill.instrument == series.instrument)
    };
    let markets: Vec<_> =
        recording.prices.iter().filter(traded).map(|prices| market(input, prices)).collect();
    json!({
        "currency": input.currency,
        "equity": {
            "t": samples.iter().map(|s| millis(s.at)).collect::<Vec<_>>(),
            "v": samples.iter().map(|s| round(to_f64(s.equity), 2)).collect::<Vec<_>>(),
            "drawdown": drawdown,
        },
        "markets": markets,
        "draws": recording.draws.iter().map(|series| draw(input, series)).collect::<Vec<_>>(),
        "markers": recording.markers.as_slice().iter().map(|marker| json!({
            "t": millis(marker.at),
            "p": marker.price,
            "label": &*marker.label,
        })).collect::<Vec<_>>(),
    })
}

/// Returns JSON as the text of a script element: no `<` that could end it, nor the line ends that
/// JavaScript knows and JSON does not.
pub(super) fn inline(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn market(input: &ReportInput<'_>, prices: &PriceSeries) -> Value {
    let instrument = &input.instruments[prices.instrument.index()];
    let samples = prices.samples.as_slice();
    let fills: Vec<_> =
        input.recording.fills.iter().filter(|f| f.instrument == prices.instrument).collect();
    let every = fills.len().div_ceil(FILLS_DRAWN).max(1);
    let drawn = fills.iter().step_by(every).map(|fill| {
        json!([
            millis(fill.at),
            price(instrument, fill.price.0),
            fill.side == Side::Buy,
            instrument.quantity_decimal(fill.qty).normalize().to_string(),
            fill.role == Role::Maker,
            round(to_f64(fill.realised), 2),
        ])
    });
    json!({
        "symbol": instrument.spec.symbol,
        "decimals": instrument.spec.tick.normalize().scale(),
        "t": samples.iter().map(|s| millis(s.at)).collect::<Vec<_>>(),
        "v": samples.iter().map(|s| price(instrument, s.price.0)).collect::<Vec<_>>(),
        "fills": drawn.collect::<Vec<_>>(),
        "every": every,
    })
}

fn draw(input: &ReportInput<'_>, series: &DrawSeries) -> Value {
    let points = series.points.as_slice();
    let name = match input.strategies {
        [_] => series.name.to_string(),
        _ => format!("{}: {}", input.strategy(series.strategy), series.name),
    };
    json!({
        "name": name,
        "t": points.iter().map(|p| millis(p.at)).collect::<Vec<_>>(),
        "v": points.iter().map(|p| significant(p.value)).collect::<Vec<_>>(),
    })
}

fn millis(at: Nanos) -> i64 {
    at.0.div_euclid(Nanos::MILLI)
}

fn price(instrument: &Instrument, ticks: i64) -> Value {
    // A decimal's own digits are a number in JSON; a float would add some.
    let text = instrument.price_decimal(tercel_core::Price(ticks)).normalize().to_string();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn round(value: f64, places: i32) -> f64 {
    let scale = 10f64.powi(places);
    (value * scale).round() / scale
}

/// Keeps ten digits: more is noise on a chart and weight in the page.
fn significant(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}
