//! `tercel download`: a venue's history into tapes.

mod caller;
mod check;
mod series;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_core::{Event, Instrument, Nanos};
use tercel_runtime::{Clock, UtcClock};
use tercel_store::{Metadata, TapeAppender};

use self::caller::Caller;
use self::check::{Checked, check};
use self::series::{Series, Span};
use crate::commands::{print, print_json};
use crate::data::{blame, moment};
use crate::exit::{Answer, Blame, Outcome, input};
use crate::progress::StatusLine;
use crate::report::exact_moment;
use crate::signals::Signals;
use crate::venue::{VenueAccess, VenueArgs};

/// Download a venue's history, candles and trades, into tapes.
///
/// Needs no key. One tape a symbol and kind, named after them and the stretch of time. A tape that is
/// not whole yet has `.part` behind its name; the same command goes on with it where it was
/// interrupted or killed. What is there already is not asked for again. The venue's limits are kept,
/// and waited for.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  tercel download --symbols BTCUSDT,ETHUSDT --bars 1m --from 2026-01-01\n  \
    tercel download --product usdm --symbols BTCUSDT --trades --from 2026-03-01 --to 2026-03-02\n\n\
    Afterwards: tercel backtest --data history/binance/BTCUSDT-1m-*.tape\n\
    Exit codes: 0 all is there, 1 stopped before it was, 2 wrong input, 3 the machine or the venue failed."
)]
pub(crate) struct Args {
    #[command(flatten)]
    venue: VenueArgs,
    /// Candles of this length: 1m, 5m, 1h, 1d and so on; several with commas.
    #[arg(long, value_delimiter = ',', value_parser = series::candle_length)]
    bars: Vec<u16>,
    /// Trades, those of one taker at one price put together by the venue.
    #[arg(long)]
    trades: bool,
    /// First moment wanted: a date such as 2026-03-01T12:00 (UTC), or nanoseconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Nanos,
    #[arg(
        long,
        value_name = "TIME",
        value_parser = moment,
        help = "First moment not wanted any more [default: the last midnight, UTC]"
    )]
    to: Option<Nanos>,
    /// Folder of the tapes; those of a venue are in a folder of its name.
    #[arg(short, long, value_name = "DIR", default_value = "history")]
    output: PathBuf,
    /// Price step of the tapes, where an older one was finer than the venue's present one.
    #[arg(long)]
    tick: Option<rust_decimal::Decimal>,
    /// Quantity step of the tapes, likewise.
    #[arg(long)]
    lot: Option<rust_decimal::Decimal>,
    /// Print one JSON object at the end, and say nothing before.
    #[arg(long)]
    json: bool,
}

/// How often it is said how it stands.
const STATUS_EVERY: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &Args) -> Outcome {
    let signals = Signals::catch()?;
    let section = args.venue.section(false)?;
    let kinds = kinds(args)?;
    let span = span_of(args, &kinds)?;
    let access = VenueAccess::open(&section)?;
    let (instruments, assets) = access.listing(&section.symbols)?;
    let folder = args.output.join(access.venue.name());
    std::fs::create_dir_all(&folder).or_machine()?;
    let status = StatusLine::new(args.json, STATUS_EVERY);
    let mut caller = Caller::new(&access, signals, status);
    let mut rows = Vec::new();
    let mut is_whole = true;
    'all: for instrument in &instruments {
        let mut spec = instrument.spec.clone();
        (spec.tick, spec.lot) = (args.tick.unwrap_or(spec.tick), args.lot.unwrap_or(spec.lot));
        let metadata = Metadata { assets: assets.clone(), instruments: vec![spec] };
        let own = metadata.instruments().map_err(blame)?.swap_remove(0);
        for kind in &kinds {
            let path = folder.join(span.file_name(&own.spec.symbol, *kind));
            let row = fetch(&mut caller, &path, &metadata, &own, *kind, span)?;
            is_whole = row.checked.is_some();
            rows.push(row);
            if !is_whole {
                break 'all;
            }
        }
    }
    caller.end();
    if args.json {
        print_json(&json!({
            "files": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "calls": caller.n_calls(),
            "refused_as_too_many": caller.n_refused(),
        }))?;
    } else {
        print(&rows.iter().map(Row::to_text).collect::<String>())?;
    }
    Ok(if is_whole { Answer::Good } else { Answer::Negative })
}

fn kinds(args: &Args) -> Outcome<Vec<Series>> {
    let mut kinds: Vec<_> = args.bars.iter().map(|minutes| Series::Bars(*minutes)).collect();
    kinds.dedup();
    if args.trades {
        kinds.push(Series::Trades);
    }
    if kinds.is_empty() {
        return Err(input("nothing is asked for; say --bars 1m, or --trades, or both"));
    }
    Ok(kinds)
}

fn span_of(args: &Args, kinds: &[Series]) -> Outcome<Span> {
    let now = UtcClock::system().now();
    let midnight = Nanos(now.0.div_euclid(Nanos::DAY) * Nanos::DAY);
    let span = Span { from: args.from, to: args.to.unwrap_or(midnight) };
    if span.from >= span.to {
        return Err(input(format!(
            "--from {} is not before --to {}",
            exact_moment(span.from),
            exact_moment(span.to)
        )));
    }
    for kind in kinds {
        let over_at = kind.over_at(span.to);
        if over_at > now {
            return Err(input(format!(
                "--to {}: {} are not over before {}; say an earlier moment",
                exact_moment(span.to),
                kind.what(),
                exact_moment(over_at)
            )));
        }
    }
    Ok(span)
}

/// What became of a symbol and kind.
struct Row {
    path: PathBuf,
    /// Rows that were there when it began; `None` if all was.
    n_before: Option<u64>,
    n_rows: u64,
    /// What a look at the whole tape has found; `None` if it is not whole.
    checked: Option<Checked>,
}

/// Fetches what is missing of a tape.
fn fetch(
    caller: &mut Caller<'_>,
    path: &Path,
    metadata: &Metadata,
    instrument: &Instrument,
    kind: Series,
    span: Span,
) -> Outcome<Row> {
    let path = path.to_owned();
    if path.exists() {
        let checked = check(&path, kind, span)?;
        return Ok(Row { path, n_before: None, n_rows: checked.n_rows, checked: Some(checked) });
    }
    let (mut tape, last) = TapeAppender::resume(&path, metadata).map_err(blame)?;
    let n_before = tape.n_events();
    let mut pages = series::Pages::new(instrument, kind, span, last)?;
    let mut events: Vec<Event> = Vec::new();
    while let Some(question) = pages.next() {
        let symbol = &instrument.spec.symbol;
        let n_rows = tape.n_events();
        let place = pages.reached();
        let progress =
            || format!("{symbol} {}: {n_rows} rows, up to {}", kind.name(), exact_moment(place));
        let Some(body) = caller.ask(&question, symbol, progress)? else {
            let n_rows = tape.n_events();
            return Ok(Row { path, n_before: Some(n_before), n_rows, checked: None });
        };
        pages.take(&question, &body, caller.venue(), &mut events)?;
        if !events.is_empty() {
            // A block each, given to the system at once: no page is fetched twice or in part.
            tape.append(&events).map_err(blame)?;
            events.clear();
        }
    }
    let n_rows = tape.n_events();
    tape.finish().map_err(blame)?;
    let checked = check(&path, kind, span)?;
    Ok(Row { path, n_before: Some(n_before), n_rows, checked: Some(checked) })
}

impl Row {
    fn to_json(&self) -> Value {
        let checked = self.checked.as_ref();
        let holes = checked.map(|own| {
            own.holes.iter().map(|(from, to)| json!([from.0, to.0])).collect::<Vec<_>>()
        });
        json!({
            "path": self.path,
            "rows": self.n_rows,
            "rows_before": self.n_before,
            "was_there": self.n_before.is_none(),
            "is_whole": checked.is_some(),
            "first_at_ns": checked.and_then(|own| own.first_at).map(|at| at.0),
            "last_at_ns": checked.and_then(|own| own.last_at).map(|at| at.0),
            "missing": checked.map(|own| own.n_missing),
            "holes": holes,
        })
    }

    fn to_text(&self) -> String {
        let path = self.path.display();
        let Some(checked) = &self.checked else {
            return format!(
                "part   {path}.part: {} rows; the same command goes on with it\n",
                self.n_rows
            );
        };
        let done = match self.n_before {
            None => "there  ",
            Some(_) => "wrote  ",
        };
        let mut text = format!("{done}{path}: {} rows", self.n_rows);
        if let Some(n @ 1..) = self.n_before {
            text += &format!(", {n} of them earlier");
        }
        if let (Some(first), Some(last)) = (checked.first_at, checked.last_at) {
            text += &format!(", {} to {}", exact_moment(first), exact_moment(last));
        }
        text.push('\n');
        const SHOWN: usize = 5;
        for (from, to) in checked.holes.iter().take(SHOWN) {
            text += &format!("hole   {} to {}\n", exact_moment(*from), exact_moment(*to));
        }
        if checked.n_missing > 0 {
            text += &format!(
                "holes  the venue has nothing in {} places, {} rows in all\n",
                checked.holes.len(),
                checked.n_missing
            );
        }
        text
    }
}
