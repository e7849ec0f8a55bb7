//! Trades by line: time, price and size under names in any order, and a symbol if there are
//! several.
//!
//! Who took is told by a column for the side, by one that says whether the buyer was the maker, or
//! by the sign of the size: where a file has a negative size, positive ones were bought. Otherwise
//! it is not known.

use tercel_core::{Nanos, Side};

use crate::decimal::Dec;
use crate::detect::Detected;
use crate::error::StoreError;
use crate::formats::Pass;
use crate::formats::cells::{Cells, refused};
use crate::formats::columns::{Header, MOST, TradeColumns};
use crate::formats::symbols::Symbols;
use crate::lines::{self, LineFormat};
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::Times;

/// Trades by line.
pub(crate) struct TradesCsv {
    columns: TradeColumns,
    separator: u8,
    taker: TradeTaker,
    symbols: Symbols,
    times: Times,
}

/// Returns whether this is the header of such a file.
pub(crate) fn recognise(first: &[u8], separator: u8) -> bool {
    TradeColumns::of(&Header::of_line(first, separator)).is_some()
}

impl TradesCsv {
    pub(crate) fn new(
        detected: &Detected,
        symbol: &str,
        options: &OpenOptions,
        pass: Pass<'_>,
    ) -> Result<Self, StoreError> {
        let head = lines::head(&detected.member, 1)?;
        let header = head.first().map_or(&[][..], Vec::as_slice);
        let header = Header::of_line(header, detected.separator);
        let columns = TradeColumns::of(&header).ok_or_else(|| StoreError::BadLine {
            path: detected.member.path.clone(),
            line: 1,
            what: format!("the header lacks one of {}", TradeColumns::NEEDED),
        })?;
        Ok(Self {
            columns,
            separator: detected.separator,
            taker: TradeTaker::new(&columns, pass),
            symbols: match columns.symbol {
                Some(_) => Symbols::default(),
                None => Symbols::of_file(symbol),
            },
            times: Times::new(options.time_unit),
        })
    }

    fn time(&mut self, cells: &Cells<'_, MOST>) -> Result<Nanos, String> {
        self.times.parse(cells.get(self.columns.time))
    }
}

impl LineFormat for TradesCsv {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Cells::<MOST>::split_by(line, self.separator);
        let at = self.time(&cells)?;
        let price = cells.decimal(self.columns.price, "price")?;
        let size = cells.decimal(self.columns.size, "size")?;
        let told = match (self.columns.side, self.columns.buyer_is_maker) {
            (Some(side), _) => side_of(cells.get(side))?,
            (None, Some(maker)) => Some(taker_of(cells.boolean(maker, "is_buyer_maker")?)),
            (None, None) => None,
        };
        let symbol = match self.columns.symbol {
            Some(symbol) => self.symbols.index(cells.get(symbol), RawSymbol::linear)?,
            None => 0,
        };
        let symbols = self.symbols.list_mut();
        let (aggressor, qty) =
            self.taker.of(told, size, &mut symbols[usize::from(symbol)], report)?;
        // A number is kept where it is one; other names of trades have no place in an event.
        let id = self.columns.id.and_then(|id| crate::decimal::parse_u64(cells.get(id)));
        if self.columns.id.is_some() && id.is_none() {
            report.count("trades whose id is not a number");
        }
        let data = RawData::Trade { aggressor, price, qty, id: id.unwrap_or(0) };
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

/// Finds who took.
pub(crate) struct TradeTaker {
    /// Whether a column tells it, and no sign.
    is_column: bool,
    /// Whether the file was found to have negative sizes.
    is_signed: bool,
}

impl TradeTaker {
    pub(crate) fn new(columns: &TradeColumns, pass: Pass<'_>) -> Self {
        Self {
            is_column: columns.side.is_some() || columns.buyer_is_maker.is_some(),
            is_signed: pass.found().iter().any(|found| found.symbol.has_signed_sizes),
        }
    }

    /// Returns the taker and the size without its sign; `told` is what a column says.
    pub(crate) fn of(
        &self,
        told: Option<Side>,
        size: Dec,
        symbol: &mut RawSymbol,
        report: &mut Report,
    ) -> Result<(Option<Side>, Dec), String> {
        if size.mantissa == 0 {
            return Err("the size is zero".to_owned());
        }
        let is_negative = size.mantissa < 0;
        if is_negative && self.is_column {
            return Err("the size is negative, though a column tells the taker".to_owned());
        }
        symbol.has_signed_sizes |= is_negative;
        let signed = self.is_signed.then_some(if is_negative { Side::Sell } else { Side::Buy });
        let taker = told.or(signed);
        if taker.is_none() {
            report.count("trades whose taker is not told");
        }
        Ok((taker, Dec { mantissa: size.mantissa.saturating_abs(), scale: size.scale }))
    }
}

/// Returns the taker of a trade whose buyer was the maker, or was not.
pub(crate) const fn taker_of(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

/// Reads the taker's side.
pub(crate) fn side_of(cell: &[u8]) -> Result<Option<Side>, String> {
    let is = |names: &[&str]| names.iter().any(|name| cell.eq_ignore_ascii_case(name.as_bytes()));
    if is(&["buy", "b", "bid"]) {
        Ok(Some(Side::Buy))
    } else if is(&["sell", "s", "ask"]) {
        Ok(Some(Side::Sell))
    } else if is(&["", "unknown", "none", "n"]) {
        Ok(None)
    } else {
        Err(refused("side", cell, "is neither buy nor sell"))
    }
}
