//! Which format a file has: told by its first bytes and lines, and said.

use crate::container::Member;
use crate::error::StoreError;
use crate::formats::{
    binance_csv, binance_ws, bitstamp_orders, dbn, hft_npy, lobster, ohlcv_csv, parquet,
    tardis_csv, trades_csv,
};
use crate::lines;
use crate::options::OpenOptions;
use crate::tape;

/// A format that data comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Our own tape.
    Tape,
    /// Binance WebSocket lines, each behind its local time.
    BinanceWs,
    /// Binance public archive: aggregate trades.
    BinanceAggTrades,
    /// Binance public archive: trades.
    BinanceTrades,
    /// Binance public archive: candles.
    BinanceKlines,
    /// Binance public archive: best quotes.
    BinanceBookTicker,
    /// LOBSTER messages with their orderbook rows.
    Lobster,
    /// Databento: orders, trades, quotes, levels, bars.
    Dbn,
    /// Bitstamp's orders as they were created, changed and deleted.
    BitstampOrders,
    /// Open, high, low, close, volume by line.
    Ohlcv,
    /// Time, price, size by line.
    Trades,
    /// tardis.dev: changes of books.
    TardisBook,
    /// tardis.dev: trades.
    TardisTrades,
    /// tardis.dev: best quotes.
    TardisQuotes,
    /// tardis.dev: the first levels of books.
    TardisDepth,
    /// tardis.dev: marks, indices and funding.
    TardisTicker,
    /// hftbacktest's event arrays.
    HftNpy,
    /// Parquet: as exported here, or bars or trades.
    Parquet,
}

impl Format {
    /// All formats with their names.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Tape, "tape"),
        (Self::BinanceWs, "binance-ws"),
        (Self::BinanceAggTrades, "binance-agg-trades"),
        (Self::BinanceTrades, "binance-trades"),
        (Self::BinanceKlines, "binance-klines"),
        (Self::BinanceBookTicker, "binance-book-ticker"),
        (Self::Lobster, "lobster"),
        (Self::Dbn, "dbn"),
        (Self::BitstampOrders, "bitstamp-orders"),
        (Self::Ohlcv, "ohlcv"),
        (Self::Trades, "trades"),
        (Self::TardisBook, "tardis-book"),
        (Self::TardisTrades, "tardis-trades"),
        (Self::TardisQuotes, "tardis-quotes"),
        (Self::TardisDepth, "tardis-depth"),
        (Self::TardisTicker, "tardis-ticker"),
        (Self::HftNpy, "hftbacktest"),
        (Self::Parquet, "parquet"),
    ];

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(format, _)| *format == self).map_or("", |(_, name)| name)
    }
}

/// What a file was found to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detected {
    /// Which file.
    pub member: Member,
    /// Its format.
    pub format: Format,
    /// Whether its first line names the columns.
    pub has_header: bool,
    /// What stands between the cells of its lines: a comma, a semicolon or a tab.
    pub separator: u8,
    /// Unit of its timestamps, where it has one.
    pub time_unit: Option<String>,
}

/// Tells the format of a member.
pub(crate) fn detect(member: &Member, options: &OpenOptions) -> Result<Detected, StoreError> {
    let found_by = |format, has_header, separator| Detected {
        member: member.clone(),
        format,
        has_header,
        separator,
        time_unit: None,
    };
    let found = |format, has_header| found_by(format, has_header, b',');
    let magic = lines::magic(member)?;
    if magic.starts_with(tape::MAGIC) {
        return Ok(found(Format::Tape, false));
    }
    if magic.starts_with(dbn::MAGIC) {
        return Ok(found(Format::Dbn, false));
    }
    if magic.starts_with(parquet::MAGIC) {
        return Ok(found(Format::Parquet, false));
    }
    if magic.starts_with(hft_npy::MAGIC) {
        return Ok(found(Format::HftNpy, false));
    }
    let head = lines::head(member, 3)?;
    let first = head.first().map_or(&[][..], Vec::as_slice);
    let second = head.get(1).map(Vec::as_slice);
    let separator = separator(first);
    if let Some(format) = options.format {
        return Ok(found_by(format, looks_like_header(first), separator));
    }
    if binance_ws::recognises(first) {
        return Ok(found(Format::BinanceWs, false));
    }
    if let Some((format, has_header)) = binance_csv::recognise(first) {
        return Ok(found(format, has_header));
    }
    if let Some(format) = tardis_csv::recognise(first) {
        if format == Format::TardisTrades && tardis_csv::holds_liquidations(member) {
            return Err(StoreError::UnknownFormat {
                path: member.path.clone(),
                found: "liquidations by its name: the trades file has them among its trades; \
                        --format tardis-trades reads them as trades all the same"
                    .to_owned(),
                known: known(),
            });
        }
        return Ok(found(format, true));
    }
    if bitstamp_orders::recognise(first) {
        return Ok(found(Format::BitstampOrders, true));
    }
    if lobster::recognise(first) {
        return Ok(found(Format::Lobster, false));
    }
    if let Some(has_header) = ohlcv_csv::recognise(first, second, separator) {
        return Ok(found_by(Format::Ohlcv, has_header, separator));
    }
    if trades_csv::recognise(first, separator) {
        return Ok(found_by(Format::Trades, true, separator));
    }
    let shown = String::from_utf8_lossy(&first[..first.len().min(80)]).into_owned();
    Err(StoreError::UnknownFormat {
        path: member.path.clone(),
        found: if shown.is_empty() { "empty".to_owned() } else { format!("it begins `{shown}`") },
        known: known(),
    })
}

/// Returns the names of all formats.
fn known() -> String {
    Format::ALL.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// Returns what stands between the cells of a line.
fn separator(line: &[u8]) -> u8 {
    let found = [b',', b';', b'\t'].into_iter().find(|separator| line.contains(separator));
    found.unwrap_or(b',')
}

/// Returns whether a line of CSV has no number in its first cell.
fn looks_like_header(line: &[u8]) -> bool {
    line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'"')
}
