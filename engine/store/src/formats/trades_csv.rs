//! Trades by line: time, price and size under names in any order. A negative size was sold; where
//! there is a column for the side, it says so instead.

use tercel_core::Side;

use crate::decimal::Dec;
use crate::detect::Detected;
use crate::error::StoreError;
use crate::formats::cells::{Cells, refused};
use crate::lines::{self, LineFormat};
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::{TimeUnit, parse_time};

/// Trades by line.
pub(crate) struct TradesCsv {
    columns: Columns,
    symbols: [RawSymbol; 1],
    unit: Option<TimeUnit>,
}

/// Where the columns stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Columns {
    time: usize,
    price: usize,
    size: usize,
    side: Option<usize>,
    id: Option<usize>,
}

const MOST_COLUMNS: usize = 32;

impl Columns {
    fn of_header(line: &[u8]) -> Option<Self> {
        let cells = Cells::<MOST_COLUMNS>::split(line);
        let find = |names: &[&str]| {
            (0..cells.len.min(MOST_COLUMNS)).find(|n| {
                let cell = String::from_utf8_lossy(cells.get(*n)).to_lowercase();
                names.contains(&cell.as_str())
            })
        };
        Some(Self {
            time: find(&["timestamp", "time", "date", "datetime", "ts", "unix"])?,
            price: find(&["price", "px", "p"])?,
            size: find(&["size", "amount", "qty", "quantity", "volume"])?,
            side: find(&["side", "aggressor", "taker_side", "direction"]),
            id: find(&["id", "trade_id", "tid"]),
        })
    }
}

/// Returns whether this is the header of such a file.
pub(crate) fn recognise(first: &[u8]) -> bool {
    Columns::of_header(first).is_some()
}

impl TradesCsv {
    pub(crate) fn new(
        detected: &Detected,
        symbol: &str,
        options: &OpenOptions,
    ) -> Result<Self, StoreError> {
        let head = lines::head(&detected.member, 1)?;
        let header = head.first().map_or(&[][..], Vec::as_slice);
        let columns = Columns::of_header(header).ok_or_else(|| StoreError::BadLine {
            path: detected.member.path.clone(),
            line: 1,
            what: "the header lacks one of timestamp, price, size".to_owned(),
        })?;
        Ok(Self { columns, symbols: [RawSymbol::linear(symbol)], unit: options.time_unit })
    }
}

impl LineFormat for TradesCsv {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Cells::<MOST_COLUMNS>::split(line);
        let time = std::str::from_utf8(cells.get(self.columns.time));
        let (at, _) = parse_time(time.map_err(|_| "the time is not text")?, self.unit)?;
        let price = cells.decimal(self.columns.price, "price")?;
        let size = cells.decimal(self.columns.size, "size")?;
        if size.mantissa == 0 {
            return Err("the size is zero".to_owned());
        }
        let aggressor = match self.columns.side {
            Some(side) => side_of(cells.get(side))?,
            None if size.mantissa < 0 => Some(Side::Sell),
            None => Some(Side::Buy),
        };
        // A number is kept where it is one; other names of trades have no place in an event.
        let id = self.columns.id.and_then(|id| crate::decimal::parse_u64(cells.get(id)));
        if self.columns.id.is_some() && id.is_none() {
            report.count("trades whose id is not a number");
        }
        let qty = Dec { mantissa: size.mantissa.saturating_abs(), scale: size.scale };
        let data = RawData::Trade { aggressor, price, qty, id: id.unwrap_or(0) };
        out.push(RawEvent { symbol: 0, venue_at: at, received_at: at, data });
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
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
