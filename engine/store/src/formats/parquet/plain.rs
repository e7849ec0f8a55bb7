//! Tables of bars or trades from anywhere, their columns told by name as in text.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::values::Values;
use crate::decimal::Dec;
use crate::formats::Pass;
use crate::formats::bars::{BarRows, volume};
use crate::formats::columns::{BarColumns, Header, TradeColumns};
use crate::formats::symbols::Symbols;
use crate::formats::trades_csv::{TradeTaker, side_of, taker_of};
use crate::grid::Floats;
use crate::options::OpenOptions;
use crate::raw::{RawData, RawEvent, RawSymbol};
use crate::report::Report;
use crate::time::Times;

/// What a table holds, and where.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Bars(BarColumns),
    Trades(TradeColumns),
}

impl Shape {
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        let header = Header::of_names(schema.fields().iter().map(|field| field.name()));
        let bars = BarColumns::of(&header).map(Self::Bars);
        bars.or_else(|| TradeColumns::of(&header).map(Self::Trades))
    }

    /// Returns the columns that are read.
    pub(super) fn columns(&self) -> Vec<usize> {
        match self {
            Self::Bars(at) => {
                let needed = [at.time, at.open, at.high, at.low, at.close, at.volume];
                needed.into_iter().chain(at.symbol).collect()
            }
            Self::Trades(at) => {
                let optional = [at.symbol, at.side, at.buyer_is_maker, at.id];
                let needed = [at.time, at.price, at.size];
                needed.into_iter().chain(optional.into_iter().flatten()).collect()
            }
        }
    }

    const fn symbol(&self) -> Option<usize> {
        match self {
            Self::Bars(at) => at.symbol,
            Self::Trades(at) => at.symbol,
        }
    }

    const fn time(&self) -> usize {
        match self {
            Self::Bars(at) => at.time,
            Self::Trades(at) => at.time,
        }
    }
}

/// Reads the rows of a table.
pub(super) struct Plain {
    shape: Shape,
    taker: Option<TradeTaker>,
    bars: BarRows,
    prices: Floats,
    quantities: Floats,
    symbols: Symbols,
    times: Times,
    unit: Option<String>,
}

impl Plain {
    /// `shape` counts the columns that are read only.
    pub(super) fn new(shape: Shape, symbol: &str, options: &OpenOptions, pass: Pass<'_>) -> Self {
        Self {
            shape,
            taker: match &shape {
                Shape::Bars(_) => None,
                Shape::Trades(columns) => Some(TradeTaker::new(columns, pass)),
            },
            bars: BarRows::default(),
            prices: Floats::new(options.tick),
            quantities: Floats::new(options.lot),
            symbols: match shape.symbol() {
                Some(_) => Symbols::default(),
                None => Symbols::of_file(symbol),
            },
            times: Times::new(options.time_unit),
            unit: None,
        }
    }

    pub(super) fn columns(&mut self, batch: &RecordBatch) -> Result<Vec<Values>, String> {
        let schema = batch.schema();
        let named = schema.fields().iter().zip(batch.columns());
        let columns: Vec<_> = named
            .map(|(field, array)| Values::of(field.name(), array))
            .collect::<Result<_, _>>()?;
        let unit = columns.get(self.shape.time()).and_then(Values::unit);
        self.unit = unit.map(|unit| unit.as_str().to_owned());
        Ok(columns)
    }

    pub(super) fn row(
        &mut self,
        columns: &[Values],
        row: usize,
        report: &mut Report,
    ) -> Result<RawEvent, String> {
        let at = columns[self.shape.time()].time(row, &mut self.times)?;
        let price = |n: usize, what: &str| columns[n].decimal(row, what, &self.prices);
        let data = match (&self.shape, &self.taker) {
            (Shape::Trades(places), Some(taker)) => {
                let (price, size) = (
                    price(places.price, "price")?,
                    columns[places.size].decimal(row, "size", &self.quantities)?,
                );
                let told = match (places.side, places.buyer_is_maker) {
                    (Some(side), _) if columns[side].is_null(row) => None,
                    (Some(side), _) => {
                        let name = columns[side].name(row);
                        let name = name.ok_or("a side that is no text is not understood")?;
                        side_of(name.as_bytes())?
                    }
                    (None, Some(maker)) => {
                        let maker = columns[maker].flag(row);
                        Some(taker_of(maker.ok_or("is_buyer_maker is neither true nor false")?))
                    }
                    (None, None) => None,
                };
                let id = places.id.and_then(|id| columns[id].whole(row));
                if places.id.is_some() && id.is_none() {
                    report.count("trades whose id is not a number");
                }
                let symbol = index(&mut self.symbols, &self.shape, columns, row)?;
                let known = &mut self.symbols.list_mut()[usize::from(symbol)];
                let (aggressor, qty) = taker.of(told, size, known, report)?;
                (symbol, RawData::Trade { aggressor, price, qty, id: id.unwrap_or(0) })
            }
            (Shape::Bars(places), _) => {
                let prices = [
                    price(places.open, "open")?,
                    price(places.high, "high")?,
                    price(places.low, "low")?,
                    price(places.close, "close")?,
                ];
                let volume = match &columns[places.volume] {
                    exact @ (Values::Decimal(..) | Values::Whole(_) | Values::Unsigned(_)) => {
                        exact.decimal(row, "volume", &self.quantities).and_then(not_negative)?
                    }
                    other => volume(other.text(row).unwrap_or_default().as_bytes(), report)?,
                };
                let symbol = index(&mut self.symbols, &self.shape, columns, row)?;
                (symbol, self.bars.bar(symbol, at, prices, volume)?)
            }
            (Shape::Trades(_), None) => return Err("no taker is looked for".to_owned()),
        };
        let (symbol, data) = data;
        Ok(RawEvent { symbol, venue_at: at, received_at: at, data })
    }

    pub(super) fn symbols(&self) -> &[RawSymbol] {
        self.symbols.list()
    }

    pub(super) fn time_unit(&self) -> Option<String> {
        self.unit.clone().or_else(|| self.times.told())
    }
}

fn index(
    symbols: &mut Symbols,
    shape: &Shape,
    columns: &[Values],
    row: usize,
) -> Result<u16, String> {
    match shape.symbol() {
        Some(symbol) => {
            let name = columns[symbol].text(row).unwrap_or_default();
            symbols.index(name.as_bytes(), RawSymbol::linear)
        }
        None => Ok(0),
    }
}

fn not_negative(volume: Dec) -> Result<Dec, String> {
    if volume.mantissa < 0 { Err("the volume is negative".to_owned()) } else { Ok(volume) }
}
