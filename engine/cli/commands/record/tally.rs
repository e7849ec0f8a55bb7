//! What a recording has so far, for people.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tercel_adapters::net::LinkCounters;
use tercel_core::{Event, LinkState, MarketData};

use super::writer::Progress;
use crate::progress::StatusLine;

/// What was written, by kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Everything but news of links.
    pub(super) n_market: u64,
    n_snapshots: u64,
    n_updates: u64,
    n_trades: u64,
    n_quotes: u64,
    n_bars: u64,
    n_marks: u64,
    /// Times that an instrument's link was lost or had lost messages.
    n_gaps: u64,
}

impl Counts {
    /// Counts events.
    pub(super) fn add(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Market(market) => {
                    self.n_market += 1;
                    match market.data {
                        MarketData::Clear { .. } => self.n_snapshots += 1,
                        MarketData::Batch { .. } => self.n_updates += 1,
                        MarketData::Trade { .. } => self.n_trades += 1,
                        MarketData::Quote { .. } => self.n_quotes += 1,
                        MarketData::Bar { .. } => self.n_bars += 1,
                        MarketData::Mark { .. } | MarketData::Funding { .. } => self.n_marks += 1,
                        MarketData::Level { .. } | MarketData::BookOrder { .. } => {}
                    }
                }
                Event::Link(link) if link.state != LinkState::Up => self.n_gaps += 1,
                _ => {}
            }
        }
    }

    /// Adds what another has counted.
    pub(super) const fn join(&mut self, other: &Self) {
        self.n_market += other.n_market;
        self.n_snapshots += other.n_snapshots;
        self.n_updates += other.n_updates;
        self.n_trades += other.n_trades;
        self.n_quotes += other.n_quotes;
        self.n_bars += other.n_bars;
        self.n_marks += other.n_marks;
        self.n_gaps += other.n_gaps;
    }
}

/// Counts of the connections.
pub(super) struct Links(Vec<Arc<LinkCounters>>);

impl Links {
    pub(super) const fn new(links: Vec<Arc<LinkCounters>>) -> Self {
        Self(links)
    }

    fn sum(&self, count: impl Fn(&tercel_adapters::net::LinkCounts) -> u64) -> u64 {
        self.0.iter().map(|link| count(&link.read())).sum()
    }

    fn n_losses(&self) -> u64 {
        self.sum(|own| own.losses)
    }

    fn n_unreadable(&self) -> u64 {
        self.sum(|own| own.unknown + own.syntax + own.fields + own.off_grid + own.unknown_symbols)
    }
}

/// Returns what a recording came to, with stable keys.
pub(super) fn to_json(counts: &Counts, links: &Links) -> Value {
    json!({
        "events": counts.n_market,
        "snapshots": counts.n_snapshots,
        "book_updates": counts.n_updates,
        "trades": counts.n_trades,
        "quotes": counts.n_quotes,
        "bars": counts.n_bars,
        "marks": counts.n_marks,
        "gaps": counts.n_gaps,
        "disconnects": links.n_losses(),
        "unreadable": links.n_unreadable(),
    })
}

/// Returns what a recording came to, in lines.
pub(super) fn summary(counts: &Counts, links: &Links) -> String {
    let Counts { n_market, n_snapshots, n_updates, n_trades, n_quotes, n_bars, n_marks, n_gaps } =
        counts;
    format!(
        "events {n_market} ({n_snapshots} snapshots, {n_updates} book updates, {n_trades} trades, \
         {n_quotes} quotes, {n_bars} bars, {n_marks} marks)\n\
         faults {n_gaps} gaps, {} disconnects, {} unreadable messages\n",
        links.n_losses(),
        links.n_unreadable()
    )
}

/// Says how a recording stands, and how fast it grows.
pub(super) struct Screen {
    line: StatusLine,
    told_at: Instant,
    n_told: u64,
}

impl Screen {
    pub(super) fn new(is_quiet: bool, every: Duration) -> Self {
        let line = StatusLine::new(is_quiet, every);
        Self { line, told_at: Instant::now(), n_told: 0 }
    }

    /// Says how it stands, if it is time to.
    pub(super) fn show(&mut self, progress: impl FnOnce() -> Progress, links: &Links) {
        let Self { line, told_at, n_told } = self;
        line.show(|| {
            let Progress { tape, n_full_tapes, counts } = progress();
            let (n_all, n_gaps) = (counts.n_market, counts.n_gaps);
            let n_new = u128::from(n_all.saturating_sub(*n_told));
            let rate = n_new * 1_000 / told_at.elapsed().as_millis().max(1);
            (*n_told, *told_at) = (n_all, Instant::now());
            let place = tape.map_or_else(
                || "waiting for the venue".to_owned(),
                |(path, n_bytes)| format!("{n_bytes} bytes in {}", path.display()),
            );
            format!(
                "{n_all} events, {rate}/s, {n_gaps} gaps, {} disconnects, {n_full_tapes} full tapes, \
                 {place}",
                links.n_losses()
            )
        });
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        self.line.end();
    }
}
