//! Bars by line: time, open, high, low, close and volume under names in any order, with a symbol if
//! there are several; or without a header in just that order.

use crate::detect::Detected;
use crate::error::StoreError;
use crate::formats::bars::{BarRows, volume};
use crate::formats::cells::Cells;
use crate::formats::columns::{BarColumns, Header, MOST};
use crate::formats::symbols::Symbols;
use crate::lines::{self, LineFormat};
use crate::options::OpenOptions;
use crate::raw::{RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::Times;

/// Bars by line.
pub(crate) struct OhlcvCsv {
    columns: BarColumns,
    separator: u8,
    symbols: Symbols,
    times: Times,
    bars: BarRows,
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
        let ordered = !open.is_above(high) && !low.is_above(open);
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
            bars: BarRows::default(),
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
        let symbol = match self.columns.symbol {
            Some(symbol) => self.symbols.index(cells.get(symbol), RawSymbol::linear)?,
            None => 0,
        };
        let data = self.bars.bar(symbol, at, [open, high, low, close], volume)?;
        out.push(RawEvent { symbol, venue_at: at, received_at: at, data });
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        self.symbols.list()
    }

    fn time_unit(&self) -> Option<String> {
        self.times.told()
    }
}
