//! What is on a tape that was downloaded: whether rows are missing, doubled or out of order.

use std::path::Path;

use anyhow::anyhow;
use tercel_core::{Event, MarketData, Nanos};
use tercel_store::TapeReader;

use super::series::{Series, Span};
use crate::data::blame;
use crate::exit::{Failure, Outcome};

/// What a look at a whole tape has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Checked {
    pub(super) n_rows: u64,
    /// When the first row opens or happened.
    pub(super) first_at: Option<Nanos>,
    /// When the last row opens or happened.
    pub(super) last_at: Option<Nanos>,
    /// Stretches of time for which the venue has no rows.
    pub(super) holes: Vec<(Nanos, Nanos)>,
    /// Rows that would be in them.
    pub(super) n_missing: u64,
}

/// Walks through a tape. Candles that are missing at both ends of the stretch are holes as well.
pub(super) fn check(path: &Path, kind: Series, span: Span) -> Outcome<Checked> {
    let mut reader = TapeReader::open(path, false).map_err(blame)?;
    let mut checked = Checked::default();
    let mut events = Vec::new();
    let length = kind.length_ns();
    let mut opens = kind.opening_from(span.from);
    let mut last_id = None;
    while reader.read_block(&mut events).map_err(blame)? > 0 {
        for event in events.drain(..) {
            let Event::Market(market) = event else { continue };
            let at = market.venue_at.plus(-length);
            checked.n_rows += 1;
            checked.first_at.get_or_insert(at);
            match market.data {
                MarketData::Bar { .. } => {
                    if at < opens {
                        return Err(wrong(path, at));
                    }
                    checked.hole(opens, at, at.since(opens) / length.max(1));
                    opens = at.plus(length);
                }
                MarketData::Trade { id, .. } => {
                    let missing = match last_id {
                        Some(last) if id <= last => return Err(wrong(path, at)),
                        Some(last) => id - last - 1,
                        None => 0,
                    };
                    let from = checked.last_at.unwrap_or(at);
                    checked.hole(from, at, i64::try_from(missing).unwrap_or(i64::MAX));
                    last_id = Some(id);
                }
                _ => return Err(wrong(path, at)),
            }
            checked.last_at = Some(at);
        }
    }
    if let Series::Bars(_) = kind {
        let end = kind.opening_from(span.to);
        checked.hole(opens, end, end.since(opens) / length.max(1));
    }
    Ok(checked)
}

impl Checked {
    fn hole(&mut self, from: Nanos, to: Nanos, n_missing: i64) {
        if n_missing > 0 {
            self.holes.push((from, to));
            self.n_missing += n_missing.unsigned_abs();
        }
    }
}

fn wrong(path: &Path, at: Nanos) -> Failure {
    Failure::Input(anyhow!(
        "{}: a row of {} is doubled or out of order; delete the file and download it anew",
        path.display(),
        crate::report::exact_moment(at)
    ))
}
