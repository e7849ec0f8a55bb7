//! Bars by line: time, open, high, low, close and volume under names in any order, or without a
//! header in just that order.

use rust_decimal::Decimal;
use tercel_core::Nanos;

use crate::decimal::Dec;
use crate::detect::Detected;
use crate::error::StoreError;
use crate::formats::cells::{Cells, refused};
use crate::lines::{self, LineFormat};
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::{TimeUnit, parse_time};

/// Bars by line.
pub(crate) struct OhlcvCsv {
    columns: Columns,
    symbols: [RawSymbol; 1],
    unit: Option<TimeUnit>,
    last_at: Option<Nanos>,
}

/// Where the six columns stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Columns {
    time: usize,
    open: usize,
    high: usize,
    low: usize,
    close: usize,
    volume: usize,
}

const MOST_COLUMNS: usize = 32;

impl Columns {
    const PLAIN: Self = Self { time: 0, open: 1, high: 2, low: 3, close: 4, volume: 5 };

    fn of_header(line: &[u8]) -> Option<Self> {
        let cells = Cells::<MOST_COLUMNS>::split(line);
        let find = |names: &[&str]| {
            (0..cells.len.min(MOST_COLUMNS)).find(|n| {
                let cell = String::from_utf8_lossy(cells.get(*n)).to_lowercase();
                names.contains(&cell.as_str())
            })
        };
        Some(Self {
            time: find(&[
                "time",
                "timestamp",
                "date",
                "datetime",
                "open_time",
                "open_time_ms",
                "unix",
                "ts",
            ])?,
            open: find(&["open", "o"])?,
            high: find(&["high", "h"])?,
            low: find(&["low", "l"])?,
            close: find(&["close", "c"])?,
            volume: find(&["volume", "v", "vol", "volume_base", "base_volume"])?,
        })
    }
}

/// Returns whether these are the first lines of such a file, and whether the first is a header.
pub(crate) fn recognise(first: &[u8], second: Option<&[u8]>) -> Option<bool> {
    if Columns::of_header(first).is_some() {
        return Some(true);
    }
    let is_row = |line: &[u8]| {
        let cells = Cells::<6>::split(line);
        let time = std::str::from_utf8(cells.get(0)).ok()?;
        parse_time(time, None).ok()?;
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
        let mut columns = Columns::PLAIN;
        if detected.has_header {
            let head = lines::head(&detected.member, 1)?;
            let header = head.first().map_or(&[][..], Vec::as_slice);
            columns = Columns::of_header(header).ok_or_else(|| StoreError::BadLine {
                path: detected.member.path.clone(),
                line: 1,
                what: "the header lacks one of time, open, high, low, close, volume".to_owned(),
            })?;
        }
        let symbols = [RawSymbol::linear(symbol)];
        Ok(Self { columns, symbols, unit: options.time_unit, last_at: None })
    }
}

impl LineFormat for OhlcvCsv {
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String> {
        let cells = Cells::<MOST_COLUMNS>::split(line);
        let time = std::str::from_utf8(cells.get(self.columns.time));
        let time = time.map_err(|_| "the time is not text".to_owned())?;
        let (at, _) = parse_time(time, self.unit)?;
        let open = cells.decimal(self.columns.open, "open")?;
        let high = cells.decimal(self.columns.high, "high")?;
        let low = cells.decimal(self.columns.low, "low")?;
        let close = cells.decimal(self.columns.close, "close")?;
        let volume = volume(cells.get(self.columns.volume), report)?;
        let (highest, lowest) = (value(high), value(low));
        if [open, close].iter().any(|price| value(*price) > highest || value(*price) < lowest) {
            return Err("open or close lies outside high and low".to_owned());
        }
        if self.last_at.is_some_and(|last| at <= last) {
            return Err(format!("time {time} does not lie after the line before"));
        }
        self.last_at = Some(at);
        out.push(RawEvent {
            symbol: 0,
            venue_at: at,
            received_at: at,
            data: RawData::Bar { open, high, low, close, volume, length: None },
        });
        Ok(())
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }
}

/// Reads a volume. It is a sum that many files carry with the noise of a float, so decimals beyond
/// the eighth are rounded away, and counted.
fn volume(cell: &[u8], report: &mut Report) -> Result<Dec, String> {
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
