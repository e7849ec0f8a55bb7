//! hftbacktest's event arrays: `.npy`, or `data.npy` inside `.npz`.
//!
//! A row is 64 bytes, little-endian: `ev, exch_ts, local_ts, px, qty, order_id, ival, fval`. Its
//! prices are floats; each becomes the shortest decimal that reads back as that float. Rows that stand
//! in the array twice, once for each clock, are read where they are meant for ours. A clear of one
//! side is taken as one of both, unless it follows the other side's clear and levels: then that one
//! has emptied this side already.

use std::io::Read;

use tercel_core::{Nanos, Side};

use crate::container::{Member, Unwrapped};
use crate::decimal::Dec;
use crate::error::StoreError;
use crate::raw::{Importer, RawData, RawEvent, RawSymbol};
use crate::report::Report;

/// How such a file begins.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

const ROW: usize = 64;
/// A header is a line of text; a longer one is damage.
const LONGEST_HEADER: usize = 1 << 16;
const FIELDS: [&str; 8] = ["ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval"];

/// The row is an event at the venue.
const EXCH: u64 = 1 << 31;
/// The row is an event at our end.
const LOCAL: u64 = 1 << 30;
const BUY: u64 = 1 << 29;
const SELL: u64 = 1 << 28;

/// Reads such an array.
pub(crate) struct HftNpy {
    input: Unwrapped,
    name: String,
    symbols: [RawSymbol; 1],
    report: Report,
    n_rows: u64,
    accept_truncated: bool,
    /// The side whose clear both sides' was taken from, while only its levels have come since.
    cleared: Option<Side>,
}

impl HftNpy {
    pub(crate) fn new(
        member: &Member,
        symbol: &str,
        accept_truncated: bool,
    ) -> Result<Self, StoreError> {
        let mut input = member.open()?;
        let corrupt = |what: &str| StoreError::Corrupt {
            path: member.path.clone(),
            offset: 0,
            what: what.to_owned(),
        };
        let mut head = [0; 8];
        input.read_exact(&mut head).map_err(|error| input.explain(error))?;
        let len = if head[6] == 1 {
            let mut len = [0; 2];
            input.read_exact(&mut len).map_err(|error| input.explain(error))?;
            usize::from(u16::from_le_bytes(len))
        } else {
            let mut len = [0; 4];
            input.read_exact(&mut len).map_err(|error| input.explain(error))?;
            usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX)
        };
        if len > LONGEST_HEADER {
            return Err(corrupt("the header of the array is too long"));
        }
        let mut header = vec![0; len];
        input.read_exact(&mut header).map_err(|error| input.explain(error))?;
        let n_rows = n_rows(&String::from_utf8_lossy(&header)).map_err(|what| corrupt(&what))?;
        Ok(Self {
            input,
            name: member.display(),
            symbols: [RawSymbol::linear(symbol).unnamed()],
            report: Report::default(),
            n_rows,
            accept_truncated,
            cleared: None,
        })
    }
}

/// Reads the number of rows from an array's header, and checks that they are events.
fn n_rows(header: &str) -> Result<u64, String> {
    let mut at = 0;
    for field in FIELDS {
        let place = header[at..].find(&format!("'{field}'"));
        at += place.ok_or_else(|| {
            format!("the rows of the array have no field `{field}`; known is {}", FIELDS.join(", "))
        })?;
    }
    if header.matches("8'").count() < FIELDS.len() {
        return Err("the fields of the array are not of eight bytes each".to_owned());
    }
    if header.contains("'>") {
        return Err("the array is big-endian".to_owned());
    }
    let shape = header.split("'shape'").nth(1).and_then(|rest| rest.split_once('('));
    let rows = shape.and_then(|(_, rest)| rest.split([',', ')']).next());
    let rows = rows.and_then(|rows| rows.trim().parse().ok());
    rows.ok_or_else(|| "the shape of the array is not one number of rows".to_owned())
}

impl Importer for HftNpy {
    fn read(&mut self, out: &mut Vec<RawEvent>) -> Result<bool, StoreError> {
        if self.report.n_lines == self.n_rows {
            return Ok(false);
        }
        let mut row = [0; ROW];
        if let Err(error) = self.input.read_exact(&mut row) {
            return match self.input.explain(error) {
                StoreError::Truncated { offset, .. } if self.accept_truncated => {
                    let note = format!("{} ends too early at byte {offset}", self.name);
                    self.report.notes.push(note);
                    self.n_rows = self.report.n_lines;
                    Ok(false)
                }
                error => Err(error),
            };
        }
        self.report.n_lines += 1;
        match event(&row) {
            Ok(Some((event, side))) => {
                if self.is_cleared_already(&event.data, side, row[0]) {
                    self.report.count("clears of a side that was empty already");
                } else {
                    out.push(event);
                }
            }
            Ok(None) => self
                .report
                .count("rows of other kinds than depth and trades, or for the venue's clock alone"),
            Err(what) => self.report.refuse(&self.name, self.report.n_lines, what),
        }
        Ok(true)
    }

    fn symbols(&self) -> &[RawSymbol] {
        &self.symbols
    }

    fn report(&self) -> &Report {
        &self.report
    }
}

impl HftNpy {
    /// Keeps track of clears of one side; returns whether this is one that changes nothing.
    fn is_cleared_already(&mut self, data: &RawData, side: Option<Side>, kind: u8) -> bool {
        const SNAPSHOT_LEVEL: u8 = 4;
        match (data, side) {
            (RawData::Clear { .. }, Some(side)) => {
                if self.cleared.take() == Some(side.opposite()) {
                    return true;
                }
                self.report.count("clears of one side, taken as of both");
                self.cleared = Some(side);
            }
            (RawData::Level { side, .. }, _)
                if kind == SNAPSHOT_LEVEL && self.cleared == Some(*side) => {}
            _ => self.cleared = None,
        }
        false
    }
}

/// Reads a row and its side; `None` if it is of a kind that has no event.
fn event(row: &[u8; ROW]) -> Result<Option<(RawEvent, Option<Side>)>, String> {
    let bytes = |n: usize| -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&row[n * 8..n * 8 + 8]);
        bytes
    };
    let float = |n: usize| f64::from_le_bytes(bytes(n));
    let decimal = |n: usize| {
        let value = Dec::from_f64(float(n));
        value.ok_or_else(|| format!("{} `{}` is not a decimal number", FIELDS[n], float(n)))
    };
    let ev = u64::from_le_bytes(bytes(0));
    if ev & EXCH != 0 && ev & LOCAL == 0 {
        return Ok(None);
    }
    let side = match (ev & BUY != 0, ev & SELL != 0) {
        (true, false) => Some(Side::Buy),
        (false, true) => Some(Side::Sell),
        _ => None,
    };
    let data = match ev & 0xff {
        1 | 4 => {
            let side = side.ok_or("a level has no side")?;
            let (price, qty) = (decimal(3)?, decimal(4)?);
            if qty.mantissa < 0 {
                return Err(format!("qty `{}` is negative", float(4)));
            }
            RawData::Level { side, price, qty, last: true }
        }
        2 => RawData::Trade {
            aggressor: side,
            price: decimal(3)?,
            qty: decimal(4)?,
            id: u64::from_le_bytes(bytes(5)),
        },
        3 => RawData::Clear { seq: 0 },
        _ => return Ok(None),
    };
    let venue_at = Nanos(i64::from_le_bytes(bytes(1)));
    let received_at = Nanos(i64::from_le_bytes(bytes(2)));
    Ok(Some((RawEvent { symbol: 0, venue_at, received_at, data }, side)))
}
