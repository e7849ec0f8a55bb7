//! The formats that data comes in, one file each.

pub(crate) mod bars;
pub(crate) mod binance_csv;
pub(crate) mod binance_ws;
pub(crate) mod bitstamp_orders;
pub(crate) mod by_order;
pub(crate) mod cells;
pub(crate) mod columns;
pub(crate) mod dbn;
pub(crate) mod depth;
pub(crate) mod hft_npy;
pub(crate) mod lobster;
pub(crate) mod ohlcv_csv;
pub(crate) mod parquet;
pub(crate) mod symbols;
pub(crate) mod tardis_csv;
pub(crate) mod trades_csv;

use crate::detect::{Detected, Format};
use crate::error::StoreError;
use crate::lines::LineImporter;
use crate::options::OpenOptions;
use crate::raw::Importer;
use crate::survey::SymbolSurvey;

/// What a file is read for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pass<'a> {
    /// For its symbols and steps.
    Survey,
    /// For its events, with what the survey found.
    Events(&'a [SymbolSurvey]),
}

impl<'a> Pass<'a> {
    /// Returns what the survey found; nothing while it is under way.
    pub(crate) const fn found(self) -> &'a [SymbolSurvey] {
        match self {
            Self::Survey => &[],
            Self::Events(found) => found,
        }
    }
}

/// Opens a member of any format but the tape from its beginning.
pub(crate) fn open(
    detected: &Detected,
    options: &OpenOptions,
    pass: Pass<'_>,
) -> Result<Box<dyn Importer>, StoreError> {
    let (member, truncated) = (&detected.member, options.accept_truncated);
    let skip = u64::from(detected.has_header);
    let symbol = symbol_of(detected, options);
    let importer: Box<dyn Importer> = match detected.format {
        Format::BinanceWs => {
            let format = binance_ws::BinanceWs::new(pass);
            Box::new(LineImporter::new(member, format, 0, truncated)?)
        }
        Format::BinanceAggTrades
        | Format::BinanceTrades
        | Format::BinanceKlines
        | Format::BinanceBookTicker => {
            let format = binance_csv::BinanceCsv::new(detected.format, &symbol, options);
            Box::new(LineImporter::new(member, format, skip, truncated)?)
        }
        Format::Ohlcv => {
            let format = ohlcv_csv::OhlcvCsv::new(detected, &symbol, options)?;
            Box::new(LineImporter::new(member, format, skip, truncated)?)
        }
        Format::Lobster => {
            let format = lobster::Lobster::new(member, options, pass)?;
            Box::new(LineImporter::new(member, format, 0, truncated)?)
        }
        Format::Dbn => Box::new(dbn::Dbn::new(member, truncated)?),
        Format::BitstampOrders => {
            let format = bitstamp_orders::BitstampOrders::new(member, &symbol);
            Box::new(LineImporter::new(member, format, 1, truncated)?)
        }
        Format::Trades => {
            let format = trades_csv::TradesCsv::new(detected, &symbol, options, pass)?;
            Box::new(LineImporter::new(member, format, 1, truncated)?)
        }
        Format::TardisBook
        | Format::TardisTrades
        | Format::TardisQuotes
        | Format::TardisDepth
        | Format::TardisTicker => {
            let format = tardis_csv::TardisCsv::new(detected.format);
            Box::new(LineImporter::new(member, format, 1, truncated)?)
        }
        Format::HftNpy => Box::new(hft_npy::HftNpy::new(member, &symbol, options)?),
        Format::Parquet => Box::new(parquet::ParquetRows::new(member, &symbol, options, pass)?),
        Format::Tape => unreachable!("tapes are opened by their own reader"),
    };
    Ok(importer)
}

/// Returns the symbol of a file that names none inside: the option's, else the beginning of the
/// file's name, such as `BTCUSDT` of `BTCUSDT-aggTrades-2024-03.zip`.
fn symbol_of(detected: &Detected, options: &OpenOptions) -> String {
    if let Some(symbol) = &options.symbol {
        return symbol.clone();
    }
    let stem = detected.member.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    let word = |part: &str| {
        let long_enough = part.len() >= 5 && part.chars().all(|c| c.is_ascii_alphanumeric());
        let letters = part.chars().take_while(char::is_ascii_alphabetic).count();
        (long_enough && letters >= 5 && part == part.to_uppercase()).then(|| part.to_owned())
    };
    stem.split(['-', '_', '.']).find_map(word).unwrap_or_else(|| "UNKNOWN".to_owned())
}
