//! The tables that are exported here: every event as it was.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::datatypes::Metadata;
use tercel_core::{Nanos, Side};

use super::values::Values;
use crate::decimal::Dec;
use crate::formats::symbols::Symbols;
use crate::grid::Floats;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::tables::{self, Change, Table};
use crate::time::Times;

/// Reads the rows of a table.
pub(super) struct Exported {
    table: Table,
    described: HashMap<String, RawSymbol>,
    symbols: Symbols,
}

/// The columns of a batch.
pub(super) struct Columns {
    event_at: Values,
    received_at: Values,
    symbol: Values,
    /// In the table's order.
    own: Vec<Values>,
}

impl Exported {
    /// Takes what a file says of itself; `None` if it was not exported here.
    pub(super) fn new(said: &Metadata) -> Option<Self> {
        let table = Table::of(said.get(tables::TABLE)?)?;
        let described = said.get(tables::INSTRUMENTS).map(|text| tables::described(text));
        let described = described.unwrap_or_default();
        Some(Self { table, described, symbols: Symbols::default() })
    }

    pub(super) fn columns(&self, batch: &RecordBatch) -> Result<Columns, String> {
        let column = |name: &str| {
            let found = batch.column_by_name(name);
            Values::of(name, found.ok_or_else(|| format!("no column `{name}`"))?)
        };
        let [event_at, received_at, symbol] = tables::COMMON;
        let own = self.table.columns().iter().map(|own| column(own.name));
        Ok(Columns {
            event_at: column(event_at)?,
            received_at: column(received_at)?,
            symbol: column(symbol)?,
            own: own.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn row(&mut self, columns: &Columns, row: usize) -> Result<RawEvent, String> {
        let mut times = Times::new(None);
        let mut venue_at = columns.event_at.time(row, &mut times)?;
        let mut received_at = columns.received_at.time(row, &mut times)?;
        let name = columns.symbol.name(row).ok_or("the instrument has no name")?;
        let described = &self.described;
        let symbol = self.symbols.index(name.as_bytes(), |name| {
            described.get(name).cloned().unwrap_or_else(|| RawSymbol::linear(name))
        })?;
        let data = match self.table {
            Table::Levels => columns.level(row)?,
            Table::Trades => RawData::Trade {
                price: columns.decimal(0, row)?,
                qty: columns.decimal(1, row)?,
                aggressor: columns.own[2].flag(row).map(side),
                id: columns.whole(3, row)?,
            },
            Table::Quotes => RawData::Quote {
                bid_px: columns.decimal(0, row)?,
                ask_px: columns.decimal(1, row)?,
                bid_qty: columns.decimal(2, row)?,
                ask_qty: columns.decimal(3, row)?,
                seq: columns.whole(4, row)?,
            },
            Table::Bars => {
                // A bar is exported with the time at which it closed.
                let length = i64::try_from(columns.whole(5, row)?).ok();
                let length = length.and_then(|length| length.checked_mul(Nanos::MILLI));
                let length = length.ok_or("the interval is out of range")?;
                (venue_at, received_at) = (venue_at.plus(-length), received_at.plus(-length));
                RawData::Bar {
                    open: columns.decimal(0, row)?,
                    high: columns.decimal(1, row)?,
                    low: columns.decimal(2, row)?,
                    close: columns.decimal(3, row)?,
                    volume: columns.decimal(4, row)?,
                    length: Some(length),
                }
            }
            Table::Marks => {
                RawData::Mark { mark: columns.decimal(0, row)?, index: columns.decimal(1, row)? }
            }
            Table::Fundings => {
                let rate = columns.decimal(0, row)?;
                let rate_e12 = rate.at_scale(tables::RATE_SCALE);
                RawData::Funding { rate_e12: rate_e12.ok_or("the rate is out of range")? }
            }
        };
        Ok(RawEvent { symbol, venue_at, received_at, data })
    }

    pub(super) fn symbols(&self) -> &[RawSymbol] {
        self.symbols.list()
    }
}

impl Columns {
    fn level(&self, row: usize) -> Result<RawData, String> {
        let change = self.own[0].name(row).unwrap_or_default();
        let known = Change::of(change);
        let side = || self.own[3].flag(row).map(side).ok_or("the side is null");
        let last = || self.own[4].flag(row).ok_or("`last` is null");
        Ok(match known.ok_or_else(|| format!("change `{change}` is not known"))? {
            Change::Clear => RawData::Clear { seq: self.whole(6, row)? },
            Change::Batch => RawData::Batch { prev: self.whole(5, row)?, seq: self.whole(6, row)? },
            Change::Level => RawData::Level {
                side: side()?,
                price: self.decimal(1, row)?,
                qty: self.decimal(2, row)?,
                last: last()?,
            },
            Change::Order(action) => RawData::BookOrder {
                action,
                side: side()?,
                price: self.decimal(1, row)?,
                qty: self.decimal(2, row)?,
                order_id: self.whole(7, row)?,
                last: last()?,
            },
            Change::Gap => RawData::Gap,
        })
    }

    fn decimal(&self, n: usize, row: usize) -> Result<Dec, String> {
        self.own[n].decimal(row, "the value", &Floats::new(None))
    }

    fn whole(&self, n: usize, row: usize) -> Result<u64, String> {
        self.own[n].whole(row).ok_or_else(|| "a number is null or out of range".to_owned())
    }
}

const fn side(is_buy: bool) -> Side {
    if is_buy { Side::Buy } else { Side::Sell }
}
