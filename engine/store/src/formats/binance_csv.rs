//! Binance's public archive: aggregate trades, trades, candles and best quotes as CSV.
//!
//! Futures files have a header since 2023 and none before; spot files have none, and their times
//! are in microseconds from 2025 on. Both are told from the lines themselves. Columns:
//! <https://github.com/binance/binance-public-data>.

use tercel_core::{Nanos, Side};

use crate::decimal::Dec;
use crate::detect::Format;
use crate::formats::cells::{Cells, refused};
use crate::lines::LineFormat;
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::TimeUnit;

/// One of the archive's files.
pub(crate) struct BinanceCsv {
    format: Format,
    symbols: [RawSymbol; 1],
    unit: Option<TimeUnit>,
}

const MOST_COLUMNS: usize = 12;

/// Tells a file of the archive from its first line, and whether that is a header.
pub(crate) fn recognise(first: &[u8]) -> Option<(Format, bool)> {
    let cells = Cells::<MOST_COLUMNS>::split(first);
    let text = |n: usize| std::str::from_utf8(cells.get(n)).unwrap_or("");
    match (text(0), cells.len) {
        ("agg_trade_id" | "agg_id", 7 | 8) => return Some((Format::BinanceAggTrades, true)),
        ("id", 6 | 7) if text(1) == "price" => return Some((Format::BinanceTrades, true)),
        ("open_time", 12) => return Some((Format::BinanceKlines, true)),
        ("update_id", 7) => return Some((Format::BinanceBookTicker, true)),
        _ => {}
    }
    let is_whole = |n: usize| cells.whole(n, "").is_ok();
    let is_time = |n: usize| {
        cells.whole(n, "").ok().and_then(|time| TimeUnit::of(i64::try_from(time).ok()?)).is_some()
    };
    let is_boolean = |n: usize| cells.boolean(n, "").is_ok();
    match cells.len {
        12 if is_time(0) && is_time(6) && is_whole(8) => Some((Format::BinanceKlines, false)),
        7 | 8 if is_time(5) && is_boolean(6) && is_whole(3) && is_whole(4) => {
            Some((Format::BinanceAggTrades, false))
        }
        6 | 7 if is_whole(0) && is_time(4) && is_boolean(5) => Some((Format::BinanceTrades, false)),
        7 if is_whole(0) && is_time(5) && is_time(6) => Some((Format::BinanceBookTicker, false)),
        _ => None,
    }
}

impl BinanceCsv {
    pub(crate) fn new(format: Format, symbol: &str, options: &OpenOptions) -> Self {
        // Whether a file is of spot or futures is in the path it was downloaded from, not in it.
        Self { format, symbols: [RawSymbol::linear(symbol)], unit: options.time_unit }
    }

    fn time(&self, cells: &Cells<'_, MOST_COLUMNS>, n: usize) -> Result<Nanos, String> {
        let time = cells.whole(n, "time")?;
        let time =
            i64::try_from(time).map_err(|_| refused("time", cells.get(n), "is too large"))?;
        let unit = self.unit.or_else(|| TimeUnit::of(time));
        unit.and_then(|unit| unit.to_nanos(time))
            .ok_or_else(|| refused("time", cells.get(n), "is in no unit that its size tells"))
    }

    fn trade(
        &self,
        cells: &Cells<'_, MOST_COLUMNS>,
        time: usize,
        maker: usize,
    ) -> Result<RawEvent, String> {
        let at = self.time(cells, time)?;
        let is_buyer_maker = cells.boolean(maker, "is_buyer_maker")?;
        let data = RawData::Trade {
            aggressor: Some(if is_buyer_maker { Side::Sell } else { Side::Buy }),
            price: cells.decimal(1, "price")?,
            qty: cells.amount(2, "quantity")?,
            id: cells.whole(0, "id")?,
        };
        Ok(RawEvent { symbol: 0, venue_at: at, received_at: at, data })
    }

    fn kline(&self, cells: &Cells<'_, MOST_COLUMNS>) -> Result<RawEvent, String> {
        let at = self.time(cells, 0)?;
        let data = RawData::Bar {
            open: cells.decimal(1, "open")?,
            high: cells.decimal(2, "high")?,
            low: cells.decimal(3, "low")?,
            close: cells.decimal(4, "close")?,
            volume: cells.amount(5, "volume")?,
        };
        Ok(RawEvent { symbol: 0, venue_at: at, received_at: at, data })
    }

    fn quote(&self, cells: &Cells<'_, MOST_COLUMNS>) -> Result<RawEvent, String> {
        let quantity = |n, what| -> Result<Dec, String> { cells.amount(n, what) };
        let data = RawData::Quote {
            bid_px: cells.decimal(1, "best_bid_price")?,
            bid_qty: quantity(2, "best_bid_qty")?,
            ask_px: cells.decimal(3, "best_ask_price")?,
            ask_qty: quantity(4, "best_ask_qty")?,
            seq: cells.whole(0, "update_id")?,
        };
        let (venue_at, received_at) = (self.time(cells, 5)?, self.time(cells, 6)?);
        Ok(RawEvent { symbol: 0, venue_at, received_at, data })
    }
}

impl LineFormat for BinanceCsv {
    fn line(
        &mut self,
        line: &[u8],
        _report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Cells::<MOST_COLUMNS>::split(line);
        let columns = |expected: &[usize]| {
            if expected.contains(&cells.len) {
                return Ok(());
            }
            Err(format!("{} columns, expected {}", cells.len, expected[0]))
        };
        let event = match self.format {
            Format::BinanceAggTrades => {
                columns(&[7, 8])?;
                self.trade(&cells, 5, 6)?
            }
            Format::BinanceTrades => {
                columns(&[6, 7])?;
                self.trade(&cells, 4, 5)?
            }
            Format::BinanceKlines => {
                columns(&[12])?;
                self.kline(&cells)?
            }
            _ => {
                columns(&[7])?;
                self.quote(&cells)?
            }
        };
        out.push(event);
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
}
