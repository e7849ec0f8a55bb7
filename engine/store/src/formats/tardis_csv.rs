//! tardis.dev's CSV files: `incremental_book_L2`, `book_snapshot_5` and `_25`, `trades`, `quotes`
//! (`book_ticker`) and `derivative_ticker`.
//!
//! <https://docs.tardis.dev/downloadable-csv-files/data-types>. Times are microseconds of UTC. Book
//! rows of one local time are one list; the first row of a snapshot empties the book, and what comes
//! before a symbol's first snapshot builds on nothing and is held out.
//!
//! A funding payment is told when its time has come, at the rate that was last announced for it.

use std::collections::HashMap;

use tercel_core::Nanos;

use crate::container::Member;
use crate::decimal::Dec;
use crate::detect::Format;
use crate::formats::by_order::Sink;
use crate::formats::cells::{Cells, refused};
use crate::formats::depth::{Depth, Levels};
use crate::formats::symbols::Symbols;
use crate::formats::trades_csv::side_of;
use crate::lines::LineFormat;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;

const BOOK: &[u8] = b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount";
const TRADES: &[u8] = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount";
const QUOTES: &[u8] =
    b"exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount";
const TICKER: &[u8] = b"exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,\
predicted_funding_rate,open_interest,last_price,index_price,mark_price";
const COMMON: &str = "exchange,symbol,timestamp,local_timestamp";

const DEEPEST: usize = 25;
const MOST_COLUMNS: usize = 4 + 4 * DEEPEST;
type Row<'a> = Cells<'a, MOST_COLUMNS>;

/// Exchanges that list nothing but spot, by tardis.dev's names.
const SPOT: &[&[u8]] = &[
    b"binance",
    b"binance-dex",
    b"binance-jersey",
    b"binance-us",
    b"bitfinex",
    b"bitget",
    b"bitstamp",
    b"blockchain-com",
    b"bybit-spot",
    b"coinbase",
    b"ftx-us",
    b"gate-io",
    b"gemini",
    b"huobi",
    b"kraken",
    b"kucoin",
    b"okcoin",
    b"okex",
    b"poloniex",
    b"upbit",
];

/// A funding payment that is due so soon after a file's last row belongs to it: the next file's
/// rows announce the payment after it.
const CLOSE: i64 = Nanos::MINUTE;

/// Tells such a file from its header.
pub(crate) fn recognise(first: &[u8]) -> Option<Format> {
    const FORMATS: [(&[u8], Format); 4] = [
        (BOOK, Format::TardisBook),
        (TRADES, Format::TardisTrades),
        (QUOTES, Format::TardisQuotes),
        (TICKER, Format::TardisTicker),
    ];
    let named = FORMATS.into_iter().find(|(header, _)| *header == first);
    let depth = || depth_of(first).map(|_| Format::TardisDepth);
    named.map(|(_, format)| format).or_else(depth)
}

/// Returns how many levels the rows below a header have.
fn depth_of(header: &[u8]) -> Option<usize> {
    let depth = (Row::split(header).len.checked_sub(4)?) / 4;
    let mut expected = COMMON.to_owned();
    for n in 0..depth.min(DEEPEST) {
        for side in ["asks", "bids"] {
            expected += &format!(",{side}[{n}].price,{side}[{n}].amount");
        }
    }
    (depth > 0 && expected.as_bytes() == header).then_some(depth)
}

/// Returns whether a file of trades holds liquidations, which have the same columns: only its name
/// tells.
pub(crate) fn holds_liquidations(member: &Member) -> bool {
    let has = |name: &str| name.to_lowercase().contains("liquidations");
    let mut folders = member.path.iter().map(|part| part.to_string_lossy());
    member.name.as_deref().is_some_and(has)
        || member.path.file_name().is_some_and(|name| has(&name.to_string_lossy()))
        || folders.any(|part| part.eq_ignore_ascii_case("liquidations"))
}

/// One of the files.
pub(crate) struct TardisCsv {
    format: Format,
    symbols: Symbols,
    /// Whether the last row of a symbol was of a snapshot; absent before the first.
    in_snapshot: HashMap<u16, bool>,
    /// A level that is held back until it is known whether its list goes on.
    pending: Option<RawEvent>,
    depths: HashMap<u16, Depth>,
    tickers: HashMap<u16, Ticker>,
}

/// What a symbol's ticker said last.
#[derive(Default)]
struct Ticker {
    mark: Option<RawData>,
    /// When the next funding is due, and its rate.
    due: Option<(Nanos, i64)>,
    last_at: Nanos,
}

impl TardisCsv {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            symbols: Symbols::default(),
            in_snapshot: HashMap::new(),
            pending: None,
            depths: HashMap::new(),
            tickers: HashMap::new(),
        }
    }

    fn symbol(&mut self, cells: &Row<'_>) -> Result<u16, String> {
        let is_spot = SPOT.contains(&cells.get(0));
        self.symbols.index(cells.get(1), |name| match is_spot {
            true => RawSymbol::spot(name),
            false => RawSymbol::linear(name),
        })
    }

    /// Lets the level that was held back go.
    fn flush(&mut self, is_last: bool, out: &mut Vec<RawEvent>) {
        if let Some(mut event) = self.pending.take() {
            if let RawData::Level { last, .. } = &mut event.data {
                *last = is_last;
            }
            out.push(event);
        }
    }

    fn book(
        &mut self,
        cells: &Row<'_>,
        (venue_at, received_at): (Nanos, Nanos),
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let is_snapshot = cells.boolean(4, "is_snapshot")?;
        let side = side_of(cells.get(5))?.ok_or("the side is neither bid nor ask")?;
        let (price, qty) = (cells.decimal(6, "price")?, cells.amount(7, "amount")?);
        let symbol = self.symbol(cells)?;
        if !is_snapshot && !self.in_snapshot.contains_key(&symbol) {
            report.count("changes before the first snapshot, held out");
            return Ok(());
        }
        let was_snapshot = self.in_snapshot.insert(symbol, is_snapshot).unwrap_or(false);
        let begins = is_snapshot && !was_snapshot;
        let goes_on = self
            .pending
            .is_some_and(|last| last.symbol == symbol && last.received_at == received_at);
        self.flush(!goes_on || begins, out);
        let event = |data| RawEvent { symbol, venue_at, received_at, data };
        if begins {
            out.push(event(RawData::Clear { seq: 0 }));
        }
        self.pending = Some(event(RawData::Level { side, price, qty, last: true }));
        Ok(())
    }

    fn depth(
        &mut self,
        cells: &Row<'_>,
        (venue_at, received_at): (Nanos, Nanos),
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let side = |first: usize| -> Result<Levels, String> {
            let places = (first..cells.len.min(MOST_COLUMNS)).step_by(4);
            // A book that is not as deep has empty cells.
            let filled = places.filter(|n| !cells.get(*n).is_empty());
            let level = |n| {
                let (price, qty) = (cells.decimal(n, "price")?, cells.amount(n + 1, "amount")?);
                Ok((price.normalized(), qty.normalized()))
            };
            filled.map(level).collect()
        };
        let (asks, bids) = (side(4)?, side(6)?);
        let symbol = self.symbol(cells)?;
        let mut sink = Sink { out, symbol, venue_at, received_at };
        self.depths.entry(symbol).or_default().tell(&bids, &asks, &mut sink);
        Ok(())
    }

    fn ticker(
        &mut self,
        cells: &Row<'_>,
        (venue_at, received_at): (Nanos, Nanos),
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let optional = |n: usize| !cells.get(n).is_empty();
        let announced = match (optional(4), optional(5)) {
            (true, true) => {
                let rate = cells.decimal(5, "funding_rate")?;
                let rate = rate.at_scale(12);
                Some((micros(cells, 4)?, rate.ok_or("the funding rate is out of range")?))
            }
            (false, true) => {
                report.count("funding rates without their time, left out");
                None
            }
            (_, false) => None,
        };
        let index = if optional(9) { cells.decimal(9, "index_price")? } else { Dec::default() };
        let mark = match optional(10) {
            true => Some(RawData::Mark { mark: cells.decimal(10, "mark_price")?, index }),
            false => None,
        };
        let symbol = self.symbol(cells)?;
        let state = self.tickers.entry(symbol).or_default();
        state.last_at = received_at;
        let mut sink = Sink { out, symbol, venue_at, received_at };
        if let Some((due, rate_e12)) = state.due.take_if(|(due, _)| *due <= venue_at) {
            sink.venue_at = due;
            sink.push(RawData::Funding { rate_e12 });
            sink.venue_at = venue_at;
        }
        if let Some((due, rate)) = announced.filter(|(due, _)| *due > venue_at) {
            state.due = Some((due, rate));
        }
        if let Some(mark) = mark
            && state.mark.replace(mark) != Some(mark)
        {
            sink.push(mark);
        }
        Ok(())
    }
}

impl LineFormat for TardisCsv {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Row::split(line);
        let is_whole = match self.format {
            Format::TardisTicker => cells.len == 11,
            Format::TardisDepth => {
                cells.len > 4 && cells.len <= MOST_COLUMNS && cells.len.is_multiple_of(4)
            }
            _ => cells.len == 8,
        };
        if !is_whole {
            return Err(format!("{} columns, which is not what the header has", cells.len));
        }
        let at = (micros(&cells, 2)?, micros(&cells, 3)?);
        let data = match self.format {
            Format::TardisBook => return self.book(&cells, at, report, out),
            Format::TardisDepth => return self.depth(&cells, at, out),
            Format::TardisTicker => return self.ticker(&cells, at, report, out),
            Format::TardisTrades => {
                let id = crate::decimal::parse_u64(cells.get(4));
                if id.is_none() {
                    report.count("trades whose id is not a number");
                }
                RawData::Trade {
                    aggressor: side_of(cells.get(5))?,
                    price: cells.decimal(6, "price")?,
                    qty: cells.amount(7, "amount")?,
                    id: id.unwrap_or(0),
                }
            }
            _ => {
                if (4..8).any(|n| cells.get(n).is_empty()) {
                    report.count("quotes with one side only, left out");
                    return Ok(());
                }
                RawData::Quote {
                    bid_px: cells.decimal(6, "bid_price")?,
                    bid_qty: cells.amount(7, "bid_amount")?,
                    ask_px: cells.decimal(5, "ask_price")?,
                    ask_qty: cells.amount(4, "ask_amount")?,
                    seq: 0,
                }
            }
        };
        let symbol = self.symbol(&cells)?;
        out.push(RawEvent { symbol, venue_at: at.0, received_at: at.1, data });
        Ok(())
    }

    fn end(&mut self, _report: &mut Report, out: &mut Vec<RawEvent>) {
        self.flush(true, out);
        let mut due: Vec<_> = self
            .tickers
            .iter()
            .filter_map(|(symbol, ticker)| {
                let (due, rate) =
                    ticker.due.filter(|(due, _)| due.since(ticker.last_at) <= CLOSE)?;
                Some((due.max(ticker.last_at), *symbol, due, rate))
            })
            .collect();
        due.sort_unstable();
        out.extend(due.into_iter().map(|(received_at, symbol, venue_at, rate_e12)| RawEvent {
            symbol,
            venue_at,
            received_at,
            data: RawData::Funding { rate_e12 },
        }));
    }

    fn symbols(&self) -> &[RawSymbol] {
        self.symbols.list()
    }
}

fn micros(cells: &Row<'_>, n: usize) -> Result<Nanos, String> {
    let time = cells.whole(n, "time")?;
    let nanos = i64::try_from(time).ok().and_then(|time| time.checked_mul(Nanos::MICRO));
    nanos.map(Nanos).ok_or_else(|| refused("time", cells.get(n), "is too large"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use tercel_core::{InstrumentKind, Side};

    use super::*;
    use crate::container::Container;

    struct Read {
        events: Vec<RawEvent>,
        results: Vec<Result<(), String>>,
        report: Report,
        symbols: Vec<RawSymbol>,
    }

    fn read(header: &[u8], lines: &[&str]) -> Read {
        let mut format = TardisCsv::new(recognise(header).unwrap());
        let (mut events, mut report) = (Vec::new(), Report::default());
        let read = |line: &&str| format.line(line.as_bytes(), &mut report, &mut events);
        let results = lines.iter().map(read).collect();
        format.end(&mut report, &mut events);
        Read { events, results, report, symbols: format.symbols().to_vec() }
    }

    fn snapshot_header(depth: usize) -> String {
        let level =
            |n| format!(",asks[{n}].price,asks[{n}].amount,bids[{n}].price,bids[{n}].amount");
        (0..depth).fold(COMMON.to_owned(), |header, n| header + &level(n))
    }

    #[test]
    fn rows_of_one_local_time_are_one_list() {
        let Read { events, results, report, .. } = read(
            BOOK,
            &[
                "x,XBTUSD,1585699200145000,1585699200304670,false,bid,7000,1",
                "x,XBTUSD,1585699200245000,1585699200404670,true,ask,7364.5,5819",
                "x,XBTUSD,1585699200245000,1585699200404670,true,bid,7364,1",
                "x,XBTUSD,1585699200345000,1585699200504670,false,bid,7364,0",
                "x,XBTUSD,1585699200345000,1585699200504670,maybe,bid,7364,0",
                "x,XBTUSD,1585699200445000,1585699200604670,true,bid,7363,2",
            ],
        );
        let told: Vec<_> = events
            .iter()
            .map(|event| match event.data {
                RawData::Clear { .. } => "clear",
                RawData::Level { last: true, .. } => "last",
                RawData::Level { .. } => "level",
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, ["clear", "level", "last", "last", "clear", "last"]);
        assert_eq!(report.counts["changes before the first snapshot, held out"], 1);
        assert_eq!(results[4], Err("is_snapshot `maybe` is neither true nor false".to_owned()));
    }

    #[test]
    fn quotes_have_the_ask_first_and_trades_their_taker() {
        let read_quotes = read(QUOTES, &["x,XBTUSD,1585699200245000,1585699200404670,5,101,100,7"]);
        let RawData::Quote { bid_px, bid_qty, ask_px, ask_qty, .. } = read_quotes.events[0].data
        else {
            panic!()
        };
        let values = [bid_px, bid_qty, ask_px, ask_qty].map(|value| value.mantissa);
        assert_eq!(values, [100, 7, 101, 5]);
        let lines = ["sell", "unknown"]
            .map(|side| format!("x,XBTUSD,1585699200245000,1585699200404670,7a-b,{side},100.5,3"));
        let Read { events, .. } = read(TRADES, &lines.each_ref().map(String::as_str));
        let takers: Vec<_> = events
            .iter()
            .map(|event| match event.data {
                RawData::Trade { aggressor, .. } => aggressor,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(takers, [Some(Side::Sell), None]);
    }

    #[test]
    fn the_exchange_tells_spot_where_it_lists_nothing_else() {
        let kind = |exchange: &str| {
            let line = format!("{exchange},BTCUSDT,1585699200245000,1585699200404670,7,buy,100,3");
            let symbol = read(TRADES, &[&line]).symbols[0].clone();
            (symbol.kind, symbol.is_kind_told)
        };
        assert_eq!(kind("binance"), (InstrumentKind::Spot, true));
        assert_eq!(kind("binance-futures"), (InstrumentKind::LinearPerpetual, false));
    }

    #[test]
    fn liquidations_are_told_by_their_name() {
        let named = |path: &str| {
            let (path, container) = (PathBuf::from(path), Container::Gzip);
            holds_liquidations(&Member { path, container, name: None })
        };
        assert!(named("/data/bitmex_liquidations_2020-01-01_XBTUSD.csv.gz"));
        assert!(named("/data/bitmex/liquidations/2020-01-01.csv.gz"));
        assert!(!named("/data/bitmex_trades_2020-01-01_XBTUSD.csv.gz"));
    }

    #[test]
    fn books_of_five_levels_tell_what_changed() {
        let rows = [
            "x,XBTUSD,1585699200245000,1585699200404670,101.0,5,100,7,102,6,99,8",
            "x,XBTUSD,1585699200245000,1585699200504670,101,5,100,9,103,6,,",
        ];
        let Read { events, .. } = read(snapshot_header(2).as_bytes(), &rows);
        let told: Vec<_> = events
            .iter()
            .map(|event| match event.data {
                RawData::Clear { .. } => (0, 0, true),
                RawData::Level { price, qty, last, .. } => (price.mantissa, qty.mantissa, last),
                other => panic!("{other:?}"),
            })
            .collect();
        let whole =
            [(0, 0, true), (100, 7, false), (99, 8, false), (101, 5, false), (102, 6, true)];
        let changes = [(99, 0, false), (100, 9, false), (102, 0, false), (103, 6, true)];
        assert_eq!(told, [&whole[..], &changes].concat());
        assert_eq!(recognise(snapshot_header(25).as_bytes()), Some(Format::TardisDepth));
        assert_eq!(recognise(snapshot_header(26).as_bytes()), None);
    }

    #[test]
    fn funding_is_told_when_it_is_due() {
        let row = |second: i64, due: &str, rate: &str, mark: &str| {
            let at = (1_585_699_200 + second) * 1_000_000;
            format!("x,XBTUSD,{at},{},{due},{rate},,1000,100,100.25,{mark}", at + 5)
        };
        let due = |second: i64| ((1_585_699_200 + second) * 1_000_000).to_string();
        let rows = [
            row(1, &due(10), "0.0001", "100.123"),
            row(9, &due(10), "1.25e-05", "100.123"),
            row(11, &due(70), "0.0003", ""),
            row(12, "", "0.0003", "100.124"),
        ];
        let Read { events, report, .. } = read(TICKER, &rows.each_ref().map(String::as_str));
        let told: Vec<_> = events
            .iter()
            .map(|event| match event.data {
                RawData::Mark { mark, index } => (mark.mantissa, index.mantissa),
                RawData::Funding { rate_e12 } => {
                    (rate_e12, event.venue_at.0 / Nanos::SECOND - 1_585_699_200)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        // The second funding is due within a minute of the end.
        let expected = [(100_123, 10_025), (12_500_000, 10), (100_124, 10_025), (300_000_000, 70)];
        assert_eq!(told, expected);
        assert_eq!(report.counts["funding rates without their time, left out"], 1);
    }

    proptest! {
        #[test]
        fn changed_lines_are_read_or_refused(
            which in 0..5usize,
            changes in prop::collection::vec((0usize..200, any::<u8>()), 1..4),
        ) {
            let depth = snapshot_header(2);
            let (header, line): (&[u8], &str) = [
                (BOOK, "x,XBTUSD,1585699200245000,1585699200404670,true,ask,7364.5,5819"),
                (TRADES, "x,XBTUSD,1585699200245000,1585699200404670,7,sell,100.5,3"),
                (QUOTES, "x,XBTUSD,1585699200245000,1585699200404670,5,101,100,7"),
                (TICKER, "x,XBTUSD,1585699200245000,1585699200404670,1585699200245001,1e-5,,1,1,1,1"),
                (depth.as_bytes(), "x,XBTUSD,1585699200245000,1585699200404670,101,5,100,7,1,1,1,1"),
            ][which];
            let mut line = line.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at % line.len();
                line[at] = byte;
            }
            let mut format = TardisCsv::new(recognise(header).unwrap());
            let (mut report, mut out) = (Report::default(), Vec::new());
            let _ = format.line(&line, &mut report, &mut out);
            let _ = format.line(&line, &mut report, &mut out);
            format.end(&mut report, &mut out);
        }
    }
}
