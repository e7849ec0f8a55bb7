//! The Parquet tables that are exported and read back: which they are, their columns, and what is
//! said of the instruments beside the rows.

use std::collections::HashMap;

use rust_decimal::Decimal;
use tercel_core::{BookOrderAction, InstrumentKind, InstrumentSpec};

use crate::raw::RawSymbol;

/// Key of the file's metadata under which the table's name stands.
pub(crate) const TABLE: &str = "tercel.table";
/// Key of the file's metadata under which the instruments stand.
pub(crate) const INSTRUMENTS: &str = "tercel.instruments";

/// A table; each is a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Table {
    /// Changes of books, by level and by order.
    Levels,
    Trades,
    Quotes,
    Bars,
    Marks,
    Fundings,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ColumnType {
    Price,
    Quantity,
    /// A fraction with twelve decimals.
    Rate,
    Flag,
    Whole,
    Text,
}

/// A column behind the ones that all tables have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) ty: ColumnType,
    pub(crate) is_nullable: bool,
}

/// Columns of the widest table.
pub(crate) const MOST_COLUMNS: usize = 8;

/// Columns that all tables have: time at the venue, receive time, symbol.
pub(crate) const COMMON: [&str; 3] = ["ts_event", "ts_init", "instrument"];

/// Decimals of a rate.
pub(crate) const RATE_SCALE: u8 = 12;

const fn column(name: &'static str, ty: ColumnType) -> Column {
    Column { name, ty, is_nullable: false }
}

const fn nullable(name: &'static str, ty: ColumnType) -> Column {
    Column { name, ty, is_nullable: true }
}

impl Table {
    pub(crate) const ALL: [Self; 6] =
        [Self::Levels, Self::Trades, Self::Quotes, Self::Bars, Self::Marks, Self::Fundings];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Levels => "levels",
            Self::Trades => "trades",
            Self::Quotes => "quotes",
            Self::Bars => "bars",
            Self::Marks => "marks",
            Self::Fundings => "fundings",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    pub(crate) const fn columns(self) -> &'static [Column] {
        use ColumnType::{Flag, Price, Quantity, Rate, Text, Whole};
        match self {
            Self::Levels => {
                const {
                    &[
                        column("change", Text),
                        nullable("price", Price),
                        nullable("qty", Quantity),
                        nullable("is_buy", Flag),
                        nullable("last", Flag),
                        nullable("prev", Whole),
                        nullable("seq", Whole),
                        nullable("order_id", Whole),
                    ]
                }
            }
            Self::Trades => {
                const {
                    &[
                        column("price", Price),
                        column("qty", Quantity),
                        // Unknown for trades of venues that do not say who took.
                        nullable("is_buy", Flag),
                        column("trade_id", Whole),
                    ]
                }
            }
            Self::Quotes => {
                const {
                    &[
                        column("bid_price", Price),
                        column("ask_price", Price),
                        column("bid_qty", Quantity),
                        column("ask_qty", Quantity),
                        column("update_id", Whole),
                    ]
                }
            }
            Self::Bars => {
                const {
                    &[
                        column("open", Price),
                        column("high", Price),
                        column("low", Price),
                        column("close", Price),
                        column("volume", Quantity),
                        column("interval_ms", Whole),
                    ]
                }
            }
            Self::Marks => const { &[column("mark", Price), column("index", Price)] },
            Self::Fundings => const { &[column("rate", Rate)] },
        }
    }
}

/// What a row of the table of levels says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A snapshot begins.
    Clear,
    /// A list of changes begins.
    Batch,
    Level,
    Order(BookOrderAction),
    /// Messages were lost.
    Gap,
}

impl Change {
    const ALL: [Self; 8] = [
        Self::Clear,
        Self::Batch,
        Self::Level,
        Self::Order(BookOrderAction::Add),
        Self::Order(BookOrderAction::Modify),
        Self::Order(BookOrderAction::Cancel),
        Self::Order(BookOrderAction::Execute),
        Self::Gap,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Batch => "batch",
            Self::Level => "level",
            Self::Order(BookOrderAction::Add) => "add",
            Self::Order(BookOrderAction::Modify) => "modify",
            Self::Order(BookOrderAction::Cancel) => "cancel",
            Self::Order(BookOrderAction::Execute) => "execute",
            Self::Gap => "gap",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.name() == name)
    }
}

/// Describes instruments, one a line: symbol, kind, multiplier, tick and lot between tabs.
pub(crate) fn describe<'a>(instruments: impl Iterator<Item = &'a InstrumentSpec>) -> String {
    let line = |spec: &InstrumentSpec| {
        let kind = match spec.kind {
            InstrumentKind::Spot => "spot",
            InstrumentKind::LinearPerpetual => "linear",
            InstrumentKind::InversePerpetual => "inverse",
        };
        let InstrumentSpec { symbol, multiplier, tick, lot, .. } = spec;
        format!("{symbol}\t{kind}\t{multiplier}\t{tick}\t{lot}\n")
    };
    instruments.map(line).collect()
}

/// Reads what [`describe`] wrote; lines that are not understood are left to the data to tell.
pub(crate) fn described(text: &str) -> HashMap<String, RawSymbol> {
    let line = |line: &str| {
        let mut cells = line.split('\t');
        let (name, kind) = (cells.next()?, cells.next()?);
        let kind = match kind {
            "spot" => InstrumentKind::Spot,
            "linear" => InstrumentKind::LinearPerpetual,
            "inverse" => InstrumentKind::InversePerpetual,
            _ => return None,
        };
        let mut positive = || {
            let value: Option<Decimal> = cells.next()?.parse().ok();
            value.filter(|value| *value > Decimal::ZERO)
        };
        let multiplier = positive()?;
        let steps = Some((positive()?, positive()?));
        let is_kind_told = true;
        let symbol = RawSymbol { kind, is_kind_told, multiplier, steps, ..RawSymbol::linear(name) };
        Some((name.to_owned(), symbol))
    };
    text.lines().filter_map(line).collect()
}
