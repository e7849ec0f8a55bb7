//! What was measured, as one HTML page: a plot by percentile and the tables.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::{Measured, table};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 60.0;

/// Percentiles that are plotted, the last one in place of the longest time.
const POINTS: [f64; 12] =
    [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999];

/// Colours that are told apart on light and dark ground, and by people who do not see red.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Returns the page. It needs no network and no script.
pub(super) fn page(measured: &Measured) -> String {
    let mut curves: Vec<(String, &Histogram<u64>, bool)> = Vec::new();
    for row in &measured.rows {
        let name = format!("{} {}/s", row.profile.as_str(), row.rate);
        curves.push((format!("{name}, floor"), &row.floor, true));
        curves.push((name, &row.seen.from_intended, false));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Tick to trade</title>\n\
         <style>body{{font:15px system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}}\
         pre{{overflow-x:auto;font-size:12px}}svg{{max-width:100%;height:auto}}\
         text{{fill:currentColor;font-size:12px}}</style>\n</head>\n<body>\n\
         <h1>Tick to trade, Binance over loopback</h1>\n\
         <p>From when a market message was to be sent until its order was read whole. Dashed: bare \
         TCP with the same bytes.</p>\n{}\n<pre>{}</pre>\n</body>\n</html>\n",
        plot(&curves),
        escape(&table::text(measured, None)),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns the place of a percentile: as far again for each nine.
fn x_of(quantile: f64) -> f64 {
    let nines = -(1.0 - quantile).log10();
    MARGIN + nines / 4.0 * (WIDTH - 2.0 * MARGIN)
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn y_of(ns: u64, least: f64, most: f64) -> f64 {
    let part = ((ns.max(1) as f64).log10() - least) / (most - least).max(1e-9);
    HEIGHT - MARGIN - part * (HEIGHT - 2.0 * MARGIN)
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn plot(curves: &[(String, &Histogram<u64>, bool)]) -> String {
    let least = curves.iter().map(|(_, times, _)| times.min()).min().unwrap_or(1).max(1);
    let most = curves.iter().map(|(_, times, _)| times.max()).max().unwrap_or(10);
    let (low, high) = ((least as f64).log10().floor(), (most as f64).log10().ceil());
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\">", HEIGHT + 200.0);
    let w = &mut svg;
    // Writing to a string does not fail.
    for (name, quantile) in [
        ("min", 0.0),
        ("p50", 0.5),
        ("p90", 0.9),
        ("p99", 0.99),
        ("p99.9", 0.999),
        ("p99.99", 0.9999),
    ] {
        let x = x_of(quantile);
        let (top, bottom) = (MARGIN, HEIGHT - MARGIN);
        let _ = write!(
            w,
            "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#8884\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            bottom + 18.0
        );
    }
    let mut decade = 1_u64;
    while decade <= most.saturating_mul(10) {
        let y = y_of(decade, low, high);
        if decade >= least / 10 && (MARGIN - 1.0..=HEIGHT - MARGIN + 1.0).contains(&y) {
            let _ = write!(
                w,
                "<line x1=\"{MARGIN}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#8884\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} µs</text>",
                WIDTH - MARGIN,
                MARGIN - 6.0,
                y + 4.0,
                decade as f64 / 1e3
            );
        }
        decade = decade.saturating_mul(10);
    }
    for (idx, (name, times, is_floor)) in curves.iter().enumerate() {
        let colour = COLOURS[idx / 2 % COLOURS.len()];
        let dash = if *is_floor { " stroke-dasharray=\"5 4\"" } else { "" };
        let points: Vec<_> = POINTS
            .iter()
            .map(|at| {
                let y = y_of(times.value_at_quantile(*at), low, high);
                format!("{:.1},{y:.1}", x_of(*at))
            })
            .collect();
        let y = HEIGHT + 4.0 + 18.0 * (idx / 2) as f64;
        let x = if *is_floor { MARGIN + 260.0 } else { MARGIN };
        let _ = write!(
            w,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>\
             <line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\" \
             stroke-width=\"2\"{dash}/><text x=\"{}\" y=\"{}\">{}</text>",
            points.join(" "),
            x + 30.0,
            x + 38.0,
            y + 4.0,
            escape(name)
        );
    }
    svg + "</svg>"
}
