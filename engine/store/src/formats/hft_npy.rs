//! hftbacktest's event arrays: `.npy`, or `data.npy` inside `.npz`.
//!
//! A row is 64 bytes, little-endian: `ev, exch_ts, local_ts, px, qty, order_id, ival, fval`. Its
//! prices are floats; each becomes the multiple of the step that is given, or the shortest decimal that
//! is this float but for noise. Rows that stand in the array twice, once for each clock, are read where they are meant for ours. A clear of one
//! side is taken as one of both, unless it follows the other side's clear and levels: then that one
//! has emptied this side already.

use std::io::Read;

use tercel_core::{Nanos, Side};

use crate::container::{Member, Unwrapped};
use crate::error::StoreError;
use crate::grid::Floats;
use crate::options::OpenOptions;
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

const PX: usize = 3;
const QTY: usize = 4;

/// What floats are read to.
struct Grids {
    prices: Floats,
    quantities: Floats,
}

/// Why a row is no event.
enum NoEvent {
    /// Its kind has none.
    Unread(&'static str),
    /// A value in it is wrong.
    Refused(String),
}

/// Reads such an array.
pub(crate) struct HftNpy {
    input: Unwrapped,
    name: String,
    symbols: [RawSymbol; 1],
    report: Report,
    n_rows: u64,
    accept_truncated: bool,
    grids: Grids,
    /// The side whose clear both sides' was taken from, while only its levels have come since.
    cleared: Option<Side>,
}

impl HftNpy {
    pub(crate) fn new(
        member: &Member,
        symbol: &str,
        options: &OpenOptions,
    ) -> Result<Self, StoreError> {
        let mut input = member.open()?;
        let corrupt = |what: &str| StoreError::Corrupt {
            path: member.path.clone(),
            offset: 0,
            what: what.to_owned(),
        };
        let mut head = [0; 8];
        input.read_exact(&mut head).map_err(|error| input.explain(error))?;
        if !head.starts_with(MAGIC) {
            return Err(corrupt("not an array of numpy"));
        }
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
            accept_truncated: options.accept_truncated,
            grids: Grids {
                prices: Floats::new(options.tick),
                quantities: Floats::new(options.lot),
            },
            cleared: None,
        })
    }
}

/// Reads the number of rows from an array's header, and checks that they are events.
fn n_rows(header: &str) -> Result<u64, String> {
    let after = |key: &str| header.split(&format!("'{key}'")).nth(1)?.split_once(':');
    let (_, descr) = after("descr").ok_or("the array has no header")?;
    let descr = descr.trim_start();
    let (_, shape) = after("shape").and_then(|(_, rest)| rest.split_once('(')).ok_or("no shape")?;
    let shape = shape.split_once(')').map_or(shape, |(shape, _)| shape);
    let mut lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    let rows = lengths.next().and_then(|rows| rows.parse().ok());
    let rows = rows.ok_or("the shape of the array is not one number of rows")?;
    let columns = lengths.next();
    if !descr.starts_with('[') {
        let what = match columns {
            Some(columns @ ("5" | "6")) => format!(
                "the array has {columns} columns of floats, as of hftbacktest 1: convert it with \
                 hftbacktest.data.utils.migration2"
            ),
            _ => "the array is one of plain numbers, not of hftbacktest's rows".to_owned(),
        };
        return Err(what);
    }
    // Names and types in turn; a padding field has an empty name, and shifts what follows.
    let list = descr.split_once(']').map_or(descr, |(list, _)| list);
    let words: Vec<&str> = list.split(['\'', '"']).skip(1).step_by(2).collect();
    let fields: Vec<(&str, &str)> =
        words.chunks(2).map(|pair| (pair[0], pair[pair.len() - 1])).collect();
    let is_known = |((name, ty), known): (&(&str, &str), &str)| {
        let types: &[&str] =
            if matches!(known, "px" | "qty" | "fval") { &["<f8"] } else { &["<u8", "<i8"] };
        *name == known && types.contains(ty)
    };
    if fields.len() != FIELDS.len() || !fields.iter().zip(FIELDS).all(is_known) {
        const SHOWN: usize = 12;
        let found: Vec<_> =
            fields.iter().take(SHOWN).map(|(name, ty)| format!("{name} {ty}")).collect();
        return Err(format!(
            "the rows of the array are ({}); known is ({}), of eight bytes each",
            found.join(", "),
            FIELDS.join(", ")
        ));
    }
    if columns.is_some() {
        return Err("the shape of the array is not one number of rows".to_owned());
    }
    Ok(rows)
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
        match event(&row, &self.grids) {
            Ok((event, side)) => {
                if self.is_cleared_already(&event.data, side, row[0]) {
                    self.report.count("clears of a side that was empty already");
                } else {
                    out.push(event);
                }
            }
            Err(NoEvent::Unread(what)) => self.report.count(what),
            Err(NoEvent::Refused(why)) => self.report.refuse(&self.name, self.report.n_lines, why),
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

/// Reads a row and its side; otherwise why there is none.
fn event(row: &[u8; ROW], grids: &Grids) -> Result<(RawEvent, Option<Side>), NoEvent> {
    let bytes = |n: usize| -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&row[n * 8..n * 8 + 8]);
        bytes
    };
    let float = |n: usize| f64::from_le_bytes(bytes(n));
    let refused =
        |n: usize, why: &str| NoEvent::Refused(format!("{} `{}` {why}", FIELDS[n], float(n)));
    let price = || {
        let price = grids.prices.decimal(float(PX));
        price.ok_or_else(|| refused(PX, "is not a decimal number"))
    };
    let quantity = || {
        let qty = grids.quantities.decimal(float(QTY));
        let qty = qty.ok_or_else(|| refused(QTY, "is not a decimal number"))?;
        if qty.mantissa < 0 { Err(refused(QTY, "is negative")) } else { Ok(qty) }
    };
    let ev = u64::from_le_bytes(bytes(0));
    if ev & EXCH != 0 && ev & LOCAL == 0 {
        return Err(NoEvent::Unread("rows for the venue's clock alone"));
    }
    let side = match (ev & BUY != 0, ev & SELL != 0) {
        (true, false) => Some(Side::Buy),
        (false, true) => Some(Side::Sell),
        _ => None,
    };
    let data = match ev & 0xff {
        1 | 4 => {
            let side = side.ok_or_else(|| NoEvent::Refused("a level has no side".to_owned()))?;
            RawData::Level { side, price: price()?, qty: quantity()?, last: true }
        }
        2 => RawData::Trade {
            aggressor: side,
            price: price()?,
            qty: quantity()?,
            id: u64::from_le_bytes(bytes(5)),
        },
        3 => RawData::Clear { seq: 0 },
        5 => return Err(NoEvent::Unread("rows of the kind DEPTH_BBO, not read")),
        10 => return Err(NoEvent::Unread("rows of the kind ADD_ORDER, not read")),
        11 => return Err(NoEvent::Unread("rows of the kind CANCEL_ORDER, not read")),
        12 => return Err(NoEvent::Unread("rows of the kind MODIFY_ORDER, not read")),
        13 => return Err(NoEvent::Unread("rows of the kind FILL, not read")),
        _ => return Err(NoEvent::Unread("rows of kinds that hftbacktest does not name, not read")),
    };
    let venue_at = Nanos(i64::from_le_bytes(bytes(1)));
    let received_at = Nanos(i64::from_le_bytes(bytes(2)));
    Ok((RawEvent { symbol: 0, venue_at, received_at, data }, side))
}
