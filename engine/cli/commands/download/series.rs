//! What is downloaded: which page comes next, and what is in it.

use std::fmt::Write as _;

use anyhow::anyhow;
use rust_decimal::Decimal;
use tercel_adapters::{
    Aggregate, Call, CallId, Candle, CandleQuery, TradesFrom, TradesQuery, Venue,
};
use tercel_core::{Bar, Event, Instrument, MarketData, MarketEvent, Nanos};

use crate::exit::{Blame, Failure, Outcome, input};
use crate::report::exact_moment;

/// Rows of a page: a page is a block of the tape.
const PAGE: u16 = 1_000;
/// How long trades may take to be listed.
const SETTLED_NS: i64 = 5 * Nanos::SECOND;
/// Names of candle lengths and their minutes.
const LENGTHS: [(&str, u16); 12] = [
    ("1m", 1),
    ("3m", 3),
    ("5m", 5),
    ("15m", 15),
    ("30m", 30),
    ("1h", 60),
    ("2h", 120),
    ("4h", 240),
    ("6h", 360),
    ("8h", 480),
    ("12h", 720),
    ("1d", 1_440),
];

/// Returns the minutes of a candle's length.
pub(super) fn candle_length(text: &str) -> Result<u16, String> {
    let found = LENGTHS.iter().find(|(name, _)| *name == text);
    found.map(|(_, minutes)| *minutes).ok_or_else(|| {
        let known: Vec<_> = LENGTHS.iter().map(|(name, _)| *name).collect();
        format!("`{text}` is no length of candles; known are {}", known.join(", "))
    })
}

/// A kind of history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Series {
    /// Candles of so many minutes.
    Bars(u16),
    /// Trades.
    Trades,
}

/// A stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) from: Nanos,
    pub(super) to: Nanos,
}

impl Series {
    /// Returns its short name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bars(minutes) => {
                LENGTHS.iter().find(|(_, own)| *own == minutes).map_or("bars", |(name, _)| name)
            }
            Self::Trades => "trades",
        }
    }

    /// Returns what it is in words.
    pub(super) fn what(self) -> String {
        match self {
            Self::Bars(_) => format!("candles of {}", self.name()),
            Self::Trades => "trades".to_owned(),
        }
    }

    /// Returns the length of its rows in nanoseconds; zero for moments.
    pub(super) fn length_ns(self) -> i64 {
        match self {
            Self::Bars(minutes) => i64::from(minutes) * Nanos::MINUTE,
            Self::Trades => 0,
        }
    }

    /// Returns when all rows before `to` are final.
    pub(super) fn over_at(self, to: Nanos) -> Nanos {
        match self {
            Self::Bars(_) => self.opening_from(to),
            Self::Trades => to.plus(SETTLED_NS),
        }
    }

    /// Returns the first opening of a candle at or after a time.
    pub(super) fn opening_from(self, at: Nanos) -> Nanos {
        let length = self.length_ns().max(1);
        Nanos(at.0.saturating_add(length - 1).div_euclid(length).saturating_mul(length))
    }
}

impl Span {
    /// Returns the name of the tape of a symbol and kind, such as `BTCUSDT-1m-20260301-20260401.tape`.
    pub(super) fn file_name(self, symbol: &str, kind: Series) -> String {
        let mut name = format!("{symbol}-{}", kind.name());
        for at in [self.from, self.to] {
            let format = if at.0.rem_euclid(Nanos::DAY) == 0 {
                "%Y%m%d"
            } else if at.0.rem_euclid(Nanos::SECOND) == 0 {
                "%Y%m%dT%H%M%S"
            } else {
                "%Y%m%dT%H%M%S.%f"
            };
            let text = jiff::Timestamp::from_nanosecond(i128::from(at.0))
                .map_or_else(|_| at.0.to_string(), |at| at.strftime(format).to_string());
            // Writing to a string does not fail.
            let _ = write!(name, "-{text}");
        }
        name + ".tape"
    }
}

/// A page to be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// Candles that open in a stretch of time.
    Candles { minutes: u16, from: Nanos, to: Nanos },
    /// The first candle in which something may have been traded.
    Beginning { from: Nanos, to: Nanos },
    /// Trades.
    Trades(TradesFrom),
}

impl Question {
    pub(super) fn call(&self, venue: &dyn Venue, symbol: &str, id: CallId) -> Call {
        match *self {
            Self::Candles { minutes, from, to } => {
                venue.candles(id, &CandleQuery { symbol, minutes, from, to, limit: PAGE })
            }
            Self::Beginning { from, to } => {
                venue.candles(id, &CandleQuery { symbol, minutes: 1, from, to, limit: 1 })
            }
            Self::Trades(from) => venue.trades(id, &TradesQuery { symbol, from, limit: PAGE }),
        }
    }
}

/// The way through a stretch of time, page by page. Where it goes on follows from the last row alone, so
/// that an interrupted download asks for the same pages as one that was not.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    instrument: &'a Instrument,
    kind: Series,
    span: Span,
    next: Option<Question>,
    reached: Nanos,
    /// Number of the last trade.
    last_id: Option<u64>,
}

impl<'a> Pages<'a> {
    /// Returns the way from behind a row on.
    pub(super) fn new(
        instrument: &'a Instrument,
        kind: Series,
        span: Span,
        last: Option<MarketEvent>,
    ) -> Outcome<Self> {
        let mut pages =
            Self { instrument, kind, span, next: None, reached: span.from, last_id: None };
        match (kind, last.map(|event| (event.venue_at, event.data))) {
            (Series::Bars(_), None) => pages.candles_from(span.from),
            // A candle is told at its end, where the next one opens.
            (Series::Bars(_), Some((at, MarketData::Bar { .. }))) => pages.candles_from(at),
            (Series::Trades, None) => {
                // The minute around the first moment may have trades before it.
                let from = Nanos(span.from.0.div_euclid(Nanos::MINUTE) * Nanos::MINUTE);
                pages.next = Some(Question::Beginning { from, to: span.to });
            }
            (Series::Trades, Some((at, MarketData::Trade { id, .. }))) => {
                (pages.reached, pages.last_id) = (at, Some(id));
                pages.next = Some(Question::Trades(TradesFrom::Id(id + 1)));
            }
            (_, Some(_)) => {
                return Err(input("what was begun is of another kind; delete it to begin anew"));
            }
        }
        Ok(pages)
    }

    /// Returns the next page; `None` at the end.
    pub(super) const fn next(&self) -> Option<Question> {
        self.next
    }

    /// Returns up to where all is there.
    pub(super) const fn reached(&self) -> Nanos {
        self.reached
    }

    /// Takes the answer: appends its rows to `out` and finds out what comes next.
    pub(super) fn take(
        &mut self,
        question: &Question,
        body: &[u8],
        venue: &dyn Venue,
        out: &mut Vec<Event>,
    ) -> Outcome<()> {
        match *question {
            Question::Candles { from, .. } => {
                let rows = venue.parse_candles(body).or_machine()?;
                let mut opens = from;
                for row in &rows {
                    let is_sound = row.open_at >= opens
                        && row.open_at < self.span.to
                        && row.open_at.0.rem_euclid(self.kind.length_ns()) == 0;
                    if !is_sound {
                        return Err(out_of_order("a candle", row.open_at));
                    }
                    opens = row.open_at.plus(self.kind.length_ns());
                    out.push(self.bar(row)?);
                }
                match rows.last() {
                    Some(_) => self.candles_from(opens),
                    None => self.next = None,
                }
            }
            Question::Beginning { .. } => {
                let rows = venue.parse_candles(body).or_machine()?;
                // Nothing was traded before the first candle.
                self.next = rows
                    .first()
                    .map(|row| Question::Trades(TradesFrom::Time(row.open_at.max(self.span.from))));
            }
            Question::Trades(asked) => {
                let rows = venue.parse_trades(body).or_machine()?;
                self.next = match (rows.last(), asked) {
                    (Some(last), _) if last.at < self.span.to => {
                        Some(Question::Trades(TradesFrom::Id(last.id + 1)))
                    }
                    (Some(_), _) | (None, TradesFrom::Id(_)) => None,
                    // A quiet hour.
                    (None, TradesFrom::Time(at)) => Some(at.plus(3_600 * Nanos::SECOND))
                        .filter(|at| *at < self.span.to)
                        .map(|at| Question::Trades(TradesFrom::Time(at))),
                };
                for row in &rows {
                    let is_later = self.last_id.is_none_or(|last| row.id > last);
                    // Times are of milliseconds, and the stretch may begin between two.
                    if !is_later || row.at < self.reached.plus(-Nanos::MILLI) {
                        return Err(out_of_order("a trade", row.at));
                    }
                    self.last_id = Some(row.id);
                    self.reached = self.reached.max(row.at);
                    if row.at >= self.span.from && row.at < self.span.to {
                        out.push(self.trade(row)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn candles_from(&mut self, from: Nanos) {
        self.reached = from;
        let Series::Bars(minutes) = self.kind else { return };
        let is_over = self.kind.opening_from(from) >= self.span.to;
        self.next = (!is_over).then_some(Question::Candles { minutes, from, to: self.span.to });
    }

    fn bar(&self, row: &Candle) -> Outcome<Event> {
        let at = row.open_at.plus(self.kind.length_ns());
        let price = |value: Decimal| self.on_grid("price", value, row.open_at);
        let bar = Bar {
            open: tercel_core::Price(price(row.open)?),
            high: tercel_core::Price(price(row.high)?),
            low: tercel_core::Price(price(row.low)?),
            close: tercel_core::Price(price(row.close)?),
            volume: tercel_core::Quantity(self.on_grid("quantity", row.volume, row.open_at)?),
        };
        let interval_ms = u32::try_from(self.kind.length_ns() / Nanos::MILLI).unwrap_or(u32::MAX);
        Ok(self.event(at, MarketData::Bar { interval_ms, bar }))
    }

    fn trade(&self, row: &Aggregate) -> Outcome<Event> {
        let data = MarketData::Trade {
            aggressor: Some(row.aggressor),
            price: tercel_core::Price(self.on_grid("price", row.price, row.at)?),
            qty: tercel_core::Quantity(self.on_grid("quantity", row.qty, row.at)?),
            id: row.id,
        };
        Ok(self.event(row.at, data))
    }

    fn event(&self, at: Nanos, data: MarketData) -> Event {
        Event::Market(MarketEvent {
            venue_at: at,
            received_at: at,
            instrument: self.instrument.id,
            data,
        })
    }

    fn on_grid(&self, what: &str, value: Decimal, at: Nanos) -> Outcome<i64> {
        let own = self.instrument;
        let (count, step, option) = match what {
            "price" => (own.price(value).map(|own| own.0), own.spec.tick, "--tick"),
            _ => (own.quantity(value).map(|own| own.0), own.spec.lot, "--lot"),
        };
        count.map_err(|_| {
            input(format!(
                "{} at {}: {what} {} is no multiple of {step}, the venue's present step; say a finer \
                 one with {option} (and delete what was begun)",
                own.spec.symbol,
                exact_moment(at),
                value.normalize()
            ))
        })
    }
}

fn out_of_order(what: &str, at: Nanos) -> Failure {
    Failure::Machine(anyhow!(
        "the venue answers with {what} of {} where it was not asked for",
        exact_moment(at)
    ))
}
