//! Binance's public archive: aggregate trades, trades, candles and best quotes as CSV.
//!
//! Futures files have a header since 2023 and none before; spot files have none, and their times
//! are in microseconds from 2025 on. Both are told from the lines themselves. Columns:
//! <https://github.com/binance/binance-public-data>.

use tercel_core::{InstrumentKind, Nanos};

use crate::detect::Format;
use crate::formats::cells::{Cells, refused};
use crate::formats::trades_csv::taker_of;
use crate::lines::LineFormat;
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::{TimeUnit, Times};

/// One of the archive's files.
pub(crate) struct BinanceCsv {
    format: Format,
    symbols: [RawSymbol; 1],
    times: Times,
    /// Told by the first row; a file does not change its columns.
    n_columns: Option<usize>,
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
        let symbols = [RawSymbol::linear(symbol).unnamed()];
        Self { format, symbols, times: Times::new(options.time_unit), n_columns: None }
    }

    /// Returns how many columns the format may have: of futures, then of spot.
    const fn columns(&self) -> (Option<usize>, Option<usize>) {
        match self.format {
            Format::BinanceAggTrades => (Some(7), Some(8)),
            Format::BinanceTrades => (Some(6), Some(7)),
            Format::BinanceKlines => (Some(12), Some(12)),
            _ => (Some(7), None),
        }
    }

    /// Checks the number of columns, which for most files tells futures from spot.
    fn check_columns(&mut self, n: usize) -> Result<(), String> {
        if let Some(expected) = self.n_columns {
            let why = || format!("{n} columns, the lines before have {expected}");
            return if n == expected { Ok(()) } else { Err(why()) };
        }
        let (futures, spot) = self.columns();
        if Some(n) != futures && Some(n) != spot {
            return Err(format!("{n} columns, expected {}", futures.or(spot).unwrap_or(0)));
        }
        self.n_columns = Some(n);
        if futures != spot {
            let symbol = &mut self.symbols[0];
            symbol.is_kind_told = true;
            symbol.kind = if Some(n) == spot {
                InstrumentKind::Spot
            } else if symbol.name.contains("USD_") {
                // Contract values are Binance's: 100 USD for BTC, 10 USD for every other coin.
                let value = if symbol.name.starts_with("BTC") { 100 } else { 10 };
                symbol.multiplier = value.into();
                InstrumentKind::InversePerpetual
            } else {
                InstrumentKind::LinearPerpetual
            };
        }
        Ok(())
    }

    fn time(&mut self, cells: &Cells<'_, MOST_COLUMNS>, n: usize) -> Result<Nanos, String> {
        let time = i64::try_from(cells.whole(n, "time")?);
        self.times.whole(time.map_err(|_| refused("time", cells.get(n), "is too large"))?)
    }

    fn trade(
        &mut self,
        cells: &Cells<'_, MOST_COLUMNS>,
        time: usize,
        maker: usize,
    ) -> Result<RawEvent, String> {
        let at = self.time(cells, time)?;
        let is_buyer_maker = cells.boolean(maker, "is_buyer_maker")?;
        let data = RawData::Trade {
            aggressor: Some(taker_of(is_buyer_maker)),
            price: cells.amount(1, "price")?,
            qty: cells.amount(2, "quantity")?,
            id: cells.whole(0, "id")?,
        };
        if cells.get(1).iter().all(|byte| matches!(byte, b'0' | b'.')) {
            return Err(refused("price", cells.get(1), "is no price"));
        }
        Ok(RawEvent { symbol: 0, venue_at: at, received_at: at, data })
    }

    fn kline(&mut self, cells: &Cells<'_, MOST_COLUMNS>) -> Result<RawEvent, String> {
        let at = self.time(cells, 0)?;
        // Bars of a premium index may be negative.
        let [open, high, low, close] = [
            cells.decimal(1, "open")?,
            cells.decimal(2, "high")?,
            cells.decimal(3, "low")?,
            cells.decimal(4, "close")?,
        ];
        if [open, close].iter().any(|price| price.is_above(high) || low.is_above(*price)) {
            return Err("open or close lies outside high and low".to_owned());
        }
        let data = RawData::Bar {
            open,
            high,
            low,
            close,
            volume: cells.amount(5, "volume")?,
            length: None,
        };
        Ok(RawEvent { symbol: 0, venue_at: at, received_at: at, data })
    }

    fn quote(&mut self, cells: &Cells<'_, MOST_COLUMNS>) -> Result<RawEvent, String> {
        let data = RawData::Quote {
            bid_px: cells.amount(1, "best_bid_price")?,
            bid_qty: cells.amount(2, "best_bid_qty")?,
            ask_px: cells.amount(3, "best_ask_price")?,
            ask_qty: cells.amount(4, "best_ask_qty")?,
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
        self.check_columns(cells.len)?;
        let event = match self.format {
            Format::BinanceAggTrades => self.trade(&cells, 5, 6)?,
            Format::BinanceTrades => self.trade(&cells, 4, 5)?,
            Format::BinanceKlines => self.kline(&cells)?,
            _ => self.quote(&cells)?,
        };
        out.push(event);
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }

    fn time_unit(&self) -> Option<String> {
        self.times.told()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tercel_core::Side;

    use super::*;

    const SPOT_AGG: &str = "26129,0.01633102,4.70443515,27781,27781,1498793709153,True,True";
    const FUTURES_AGG: &str = "1,6920.7,0.5,10,11,1567965420391,false";
    const SPOT_TRADE: &str = "5,61000.10,0.01,610.001,1735689600000000,False,True";
    const KLINE: &str =
        "1735689600000,93576,93610.9,93537.5,93610.9,8.2,1735689659999,767.1,30,4,3,0";
    const QUOTE: &str = "99,100.1,2,100.2,3,1684195200010,1684195200017";

    fn read(format: Format, line: &str) -> (Result<RawEvent, String>, RawSymbol) {
        let options = OpenOptions::default();
        let mut reader = BinanceCsv::new(format, "BTCUSDT", &options);
        let mut out = Vec::new();
        let read = reader.line(line.as_bytes(), &mut Report::default(), &mut out);
        (read.map(|()| out[0]), reader.symbols[0].clone())
    }

    #[test]
    fn files_are_told_from_their_first_line() {
        let headers = [
            (
                "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
                Format::BinanceAggTrades,
            ),
            ("id,price,qty,quote_qty,time,is_buyer_maker", Format::BinanceTrades),
            (
                "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
                Format::BinanceKlines,
            ),
            (
                "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
                Format::BinanceBookTicker,
            ),
        ];
        for (header, format) in headers {
            assert_eq!(recognise(header.as_bytes()), Some((format, true)), "{header}");
        }
        let rows = [
            (SPOT_AGG, Format::BinanceAggTrades),
            (FUTURES_AGG, Format::BinanceAggTrades),
            (SPOT_TRADE, Format::BinanceTrades),
            (KLINE, Format::BinanceKlines),
            (QUOTE, Format::BinanceBookTicker),
        ];
        for (row, format) in rows {
            assert_eq!(recognise(row.as_bytes()), Some((format, false)), "{row}");
        }
        assert_eq!(recognise(b"1,2,3"), None);
    }

    #[test]
    fn the_columns_tell_spot_from_futures() {
        let kind = |format, line| {
            let (_, symbol) = read(format, line);
            (symbol.kind, symbol.is_kind_told)
        };
        use InstrumentKind::{LinearPerpetual, Spot};
        assert_eq!(kind(Format::BinanceAggTrades, SPOT_AGG), (Spot, true));
        assert_eq!(kind(Format::BinanceAggTrades, FUTURES_AGG), (LinearPerpetual, true));
        assert_eq!(kind(Format::BinanceTrades, SPOT_TRADE), (Spot, true));
        assert_eq!(kind(Format::BinanceKlines, KLINE), (LinearPerpetual, false));
    }

    #[test]
    fn the_maker_flag_tells_the_aggressor_and_the_size_of_the_time_its_unit() {
        let (event, _) = read(Format::BinanceAggTrades, SPOT_AGG);
        let event = event.unwrap();
        assert!(matches!(
            event.data,
            RawData::Trade { aggressor: Some(Side::Sell), id: 26_129, .. }
        ));
        assert_eq!(event.venue_at, Nanos(1_498_793_709_153_000_000));
        let (event, _) = read(Format::BinanceTrades, SPOT_TRADE);
        let event = event.unwrap();
        assert!(matches!(event.data, RawData::Trade { aggressor: Some(Side::Buy), id: 5, .. }));
        assert_eq!(event.venue_at, Nanos(1_735_689_600_000_000_000));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_value() {
        let why = |format, line: &str| read(format, line).0.unwrap_err();
        let agg = Format::BinanceAggTrades;
        assert_eq!(
            why(agg, &FUTURES_AGG.replace("false", "0")),
            "is_buyer_maker `0` is neither true nor false"
        );
        assert_eq!(why(agg, &FUTURES_AGG.replace("6920.7", "0.00")), "price `0.00` is no price");
        assert_eq!(why(agg, &FUTURES_AGG.replace("6920.7", "-1")), "price `-1` is negative");
        assert_eq!(why(agg, "1,2,3"), "3 columns, expected 7");
        let high = KLINE.replace("93610.9,93537.5", "93570,93537.5");
        assert_eq!(why(Format::BinanceKlines, &high), "open or close lies outside high and low");
    }

    #[test]
    fn a_time_of_another_unit_is_refused() {
        let mut reader =
            BinanceCsv::new(Format::BinanceAggTrades, "BTCUSDT", &OpenOptions::default());
        let mut line =
            |line: &str| reader.line(line.as_bytes(), &mut Report::default(), &mut Vec::new());
        line(FUTURES_AGG).unwrap();
        let why = line(&FUTURES_AGG.replace("1567965420391", "1567965420391000")).unwrap_err();
        assert_eq!(why, "time `1567965420391000` is not in milliseconds, as the file's times are");
    }

    proptest! {
        #[test]
        fn changed_lines_are_read_or_refused(which in 0..5usize, at in 0usize..120, byte: u8) {
            let lines = [SPOT_AGG, FUTURES_AGG, SPOT_TRADE, KLINE, QUOTE];
            let mut line = lines[which].as_bytes().to_vec();
            let at = at % line.len();
            line[at] = byte;
            let _ = recognise(&line);
            for format in [
                Format::BinanceAggTrades,
                Format::BinanceTrades,
                Format::BinanceKlines,
                Format::BinanceBookTicker,
            ] {
                let mut reader = BinanceCsv::new(format, "BTCUSDT", &OpenOptions::default());
                let _ = reader.line(&line, &mut Report::default(), &mut Vec::new());
            }
        }
    }
}
