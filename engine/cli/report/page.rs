//! The page: styles, figures, charts and data in one file.

use std::io::{self, Write};

use super::ReportInput;
use super::format::escape;
use super::{charts, tables};

const CHART_SCRIPT: &str = include_str!("vendor/uPlot.iife.min.js");
const CHART_STYLE: &str = include_str!("vendor/uPlot.min.css");
const CHART_LICENCE: &str = include_str!("vendor/LICENSE-uPlot");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// What the browser may do with the page: show it, run what is in it, fetch nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// Writes the report as one HTML page that needs no network.
///
/// # Errors
///
/// If writing fails.
pub(crate) fn write_html(input: &ReportInput<'_>, mut out: impl Write) -> io::Result<()> {
    let title = escape(input.title);
    let subtitle = tables::subtitle(input, &input.recording.metrics);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{CHART_STYLE}\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1><p>{subtitle}</p></header>\n<main>\n"
    )?;
    out.write_all(tables::warnings(input).as_bytes())?;
    write!(out, "<div class=\"cards\">{}</div>\n{CHARTS}", tables::cards(input))?;
    for part in [
        tables::figures(input),
        tables::instruments(input),
        tables::days(input),
        tables::trips(input),
        tables::rejections(input),
        tables::latencies(input),
    ] {
        writeln!(out, "{part}")?;
    }
    let facts = [tables::facts("Data", input.data), tables::facts("Parameters", input.parameters)];
    let facts = facts.concat();
    write!(
        out,
        "<div class=\"columns\">{facts}</div>\n</main>\n\
         <footer>Tercel {} · times in UTC · money in {}</footer>\n\
         <script type=\"application/json\" id=\"data\">{}</script>\n\
         <script>/*\n{CHART_LICENCE}*/\n{CHART_SCRIPT}</script>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(input.version),
        escape(input.currency),
        charts::inline(&charts::data(input)),
    )?;
    out.flush()
}

const CHARTS: &str = "<section class=\"panel wide\" id=\"charts\">\
    <div class=\"bar\"><h2>Charts</h2><span class=\"hint\">Drag to zoom, double-click to reset</span>\
    <button type=\"button\" id=\"reset\">Reset zoom</button></div>\
    <noscript><p class=\"note\">Charts need JavaScript; everything else on this page does not.</p></noscript>\
    </section>\n";
