//! Reports of a run: one self-contained HTML page, JSON, and CSV files.
//!
//! The page loads nothing: its charts, styles and data are inside, and its content policy forbids
//! the browser to fetch anything. What comes from scripts and files is text, never markup.

mod charts;
mod csv;
mod format;
mod json;
mod page;
mod parquet;
mod summary;
mod tables;
#[cfg(test)]
mod tests;

use rust_decimal::Decimal;
use tercel_core::{AssetId, Instrument, StrategyId};
use tercel_sim::metrics::Recording;

pub(crate) use csv::{write_equity_csv, write_fills_csv, write_trips_csv};
pub(crate) use format::{count, exact_moment, latency, moment, money};
pub(crate) use json::metrics_json;
pub(crate) use page::write_html;
pub(crate) use parquet::{write_equity_parquet, write_fills_parquet};
pub(crate) use summary::summary_text;

/// What a report is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportInput<'a> {
    /// What stands at the top.
    pub(crate) title: &'a str,
    /// Version of the program.
    pub(crate) version: &'a str,
    /// Name of the currency that money is in.
    pub(crate) currency: &'a str,
    /// Names of the strategies by id.
    pub(crate) strategies: &'a [String],
    /// Names of the assets by id.
    pub(crate) assets: &'a [String],
    /// The instruments by id.
    pub(crate) instruments: &'a [Instrument],
    /// Parameters of the strategies, name and value.
    pub(crate) parameters: &'a [(String, String)],
    /// What the run was on and how: source, span, number of events, seed, digests.
    pub(crate) data: &'a [(String, String)],
    /// What readers should know before they believe the figures.
    pub(crate) warnings: &'a [String],
    /// What was recorded.
    pub(crate) recording: &'a Recording,
    /// Latency of calls into scripts.
    pub(crate) latencies: &'a [LatencyRow],
}

/// Percentiles of how long a kind of call took, in nanoseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LatencyRow {
    /// What was called.
    pub(crate) name: String,
    /// How often.
    pub(crate) count: u64,
    /// All calls together.
    pub(crate) sum_ns: u64,
    /// Half of the calls took at most this.
    pub(crate) p50_ns: u64,
    /// Nine in ten.
    pub(crate) p90_ns: u64,
    /// 99 in a hundred.
    pub(crate) p99_ns: u64,
    /// 999 in a thousand.
    pub(crate) p999_ns: u64,
    /// The longest.
    pub(crate) max_ns: u64,
}

impl ReportInput<'_> {
    fn strategy(&self, id: StrategyId) -> &str {
        self.strategies.get(id.index()).map_or("?", String::as_str)
    }

    fn asset(&self, id: AssetId) -> &str {
        self.assets.get(id.index()).map_or("", String::as_str)
    }
}

/// Returns the price between the best ones, of twice that in ticks.
fn middle(instrument: &Instrument, mid_x2: Option<i64>) -> Option<Decimal> {
    mid_x2.map(|half_ticks| Decimal::from(half_ticks) * instrument.spec.tick / Decimal::TWO)
}
