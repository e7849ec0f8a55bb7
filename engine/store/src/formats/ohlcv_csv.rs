//! Bars by line: time, open, high, low, close and volume under names in any order, with a symbol if
//! there are several; or without a header in just that order.

use rust_decimal::Decimal;
use tercel_core::Nanos;

use crate::decimal::Dec;
use crate::detect::Detected;
use crate::error::StoreError;
use crate::formats::cells::{Cells, refused};
use crate::formats::columns::{BarColumns, Header, MOST};
use crate::formats::symbols::Symbols;
use crate::lines::{self, LineFormat};
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::Times;

/// Bars by line.
pub(crate) struct OhlcvCsv {
    columns: BarColumns,
    separator: u8,
    symbols: Symbols,
    times: Times,
    /// By symbol.
    last_at: Vec<Option<Nanos>>,
}

/// Returns whether these are the first lines of such a file, and whether the first is a header.
pub(crate) fn recognise(first: &[u8], second: Option<&[u8]>, separator: u8) -> Option<bool> {
    if BarColumns::of(&Header::of_line(first, separator)).is_some() {
        return Some(true);
    }
    let is_row = |line: &[u8]| {
        let cells = Cells::<6>::split_by(line, separator);
        Times::new(None).parse(cells.get(0)).ok()?;
        let numbers = (1..6).all(|n| cells.decimal(n, "").is_ok());
        let [open, high, low] = [1, 2, 3].map(|n| cells.decimal(n, "").unwrap_or_default());
        let ordered = value(high) >= value(open) && value(low) <= value(open);
        (cells.len == 6 && numbers && ordered).then_some(())
    };
    is_row(first)?;
    second.is_none_or(|line| is_row(line).is_some()).then_some(false)
}

impl OhlcvCsv {
    pub(crate) fn new(
        detected: &Detected,
        symbol: &str,
        options: &OpenOptions,
    ) -> Result<Self, StoreError> {
        let mut columns = BarColumns::PLAIN;
        if detected.has_header {
            let head = lines::head(&detected.member, 1)?;
            let header = head.first().map_or(&[][..], Vec::as_slice);
            let header = Header::of_line(header, detected.separator);
            columns = BarColumns::of(&header).ok_or_else(|| StoreError::BadLine {
                path: detected.member.path.clone(),
                line: 1,
                what: format!("the header lacks one of {}", BarColumns::NEEDED),
            })?;
        }
        Ok(Self {
            columns,
            separator: detected.separator,
            symbols: match columns.symbol {
                Some(_) => Symbols::default(),
                None => Symbols::of_file(symbol),
            },
            times: Times::new(options.time_unit),
            last_at: Vec::new(),
        })
    }
}

impl LineFormat for OhlcvCsv {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Cells::<MOST>::split_by(line, self.separator);
        let at = self.times.parse(cells.get(self.columns.time))?;
        let open = cells.decimal(self.columns.open, "open")?;
        let high = cells.decimal(self.columns.high, "high")?;
        let low = cells.decimal(self.columns.low, "low")?;
        let close = cells.decimal(self.columns.close, "close")?;
        let volume = volume(cells.get(self.columns.volume), report)?;
        let (highest, lowest) = (value(high), value(low));
        if [open, close].iter().any(|price| value(*price) > highest || value(*price) < lowest) {
            return Err("open or close lies outside high and low".to_owned());
        }
        let symbol = match self.columns.symbol {
            Some(symbol) => self.symbols.index(cells.get(symbol), RawSymbol::linear)?,
            None => 0,
        };
        self.last_at.resize(self.symbols.list().len(), None);
        let last_at = &mut self.last_at[usize::from(symbol)];
        if last_at.is_some_and(|last| at <= last) {
            let time = cells.get(self.columns.time);
            return Err(refused("time", time, "does not lie after the line before"));
        }
        *last_at = Some(at);
        out.push(RawEvent {
            symbol,
            venue_at: at,
            received_at: at,
            data: RawData::Bar { open, high, low, close, volume, length: None },
        });
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        self.symbols.list()
    }

    fn time_unit(&self) -> Option<String> {
        self.times.told()
    }
}

/// Reads a volume. It is a sum that many files carry with the noise of a float, so decimals beyond
/// the eighth are rounded away, and counted.
pub(crate) fn volume(cell: &[u8], report: &mut Report) -> Result<Dec, String> {
    const PLACES: u8 = 8;
    let parsed = Dec::parse(cell).filter(|volume| volume.scale <= PLACES);
    let volume = parsed.or_else(|| {
        let text = std::str::from_utf8(cell).ok()?;
        let exact = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(text)).ok()?;
        let rounded = exact.round_dp(u32::from(PLACES));
        if rounded != exact {
            report.count("volumes rounded to eight decimals");
        }
        let scale = u8::try_from(rounded.scale()).ok()?;
        Some(Dec { mantissa: i64::try_from(rounded.mantissa()).ok()?, scale })
    });
    match volume {
        Some(volume) if volume.mantissa < 0 => Err(refused("volume", cell, "is negative")),
        Some(volume) => Ok(volume),
        None => Err(refused("volume", cell, "is not a decimal number")),
    }
}

/// Compares decimals of different scales.
fn value(price: Dec) -> i128 {
    i128::from(price.mantissa) * 10i128.pow(18 - u32::from(price.scale.min(18)))
}
