//! Market data as formats tell it: decimals and names, before ticks, lots and ids.

use rust_decimal::Decimal;
use tercel_core::{BookOrderAction, InstrumentKind, Nanos, Side};

use crate::decimal::Dec;

/// One item of market data in decimals.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct RawEvent {
    /// Index into the importer's symbols.
    pub(crate) symbol: u16,
    pub(crate) venue_at: Nanos,
    pub(crate) received_at: Nanos,
    pub(crate) data: RawData,
}

/// What a raw event says: as [`tercel_core::MarketData`], in decimals.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum RawData {
    Clear {
        seq: u64,
    },
    Batch {
        prev: u64,
        seq: u64,
    },
    Level {
        side: Side,
        price: Dec,
        qty: Dec,
        last: bool,
    },
    Trade {
        aggressor: Option<Side>,
        price: Dec,
        qty: Dec,
        id: u64,
    },
    Quote {
        bid_px: Dec,
        bid_qty: Dec,
        ask_px: Dec,
        ask_qty: Dec,
        seq: u64,
    },
    /// A bar that opened at `venue_at`.
    Bar {
        open: Dec,
        high: Dec,
        low: Dec,
        close: Dec,
        volume: Dec,
        /// In nanoseconds; found from the distances of the symbol's bars where the data does not
        /// say it.
        length: Option<i64>,
    },
    BookOrder {
        action: BookOrderAction,
        side: Side,
        price: Dec,
        qty: Dec,
        order_id: u64,
        last: bool,
    },
    Mark {
        mark: Dec,
        index: Dec,
    },
    Funding {
        rate_e12: i64,
    },
    /// Messages were lost: the book is stale until it is told anew.
    Gap,
}

/// What a format knows of an instrument before its data is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RawSymbol {
    pub(crate) name: String,
    /// Whether the data tells the name; otherwise it is the option's, or the file's.
    pub(crate) is_name_told: bool,
    /// Whether negative sizes were found, which tell who took.
    pub(crate) has_signed_sizes: bool,
    pub(crate) kind: InstrumentKind,
    /// Whether the data tells the kind; otherwise it is assumed, and said to be.
    pub(crate) is_kind_told: bool,
    /// Quote per contract of an inverse instrument, else 1.
    pub(crate) multiplier: Decimal,
    /// Tick and lot, where the format says them.
    pub(crate) steps: Option<(Decimal, Decimal)>,
}

impl RawSymbol {
    /// Returns an instrument of this name whose data does not tell its kind: taken for linear,
    /// which can be sold short.
    pub(crate) fn linear(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_name_told: true,
            has_signed_sizes: false,
            kind: InstrumentKind::LinearPerpetual,
            is_kind_told: false,
            multiplier: Decimal::ONE,
            steps: None,
        }
    }

    /// Returns it as one whose name the data does not tell.
    pub(crate) fn unnamed(self) -> Self {
        Self { is_name_told: false, ..self }
    }

    /// Returns a spot instrument of this name.
    pub(crate) fn spot(name: &str) -> Self {
        Self { kind: InstrumentKind::Spot, is_kind_told: true, ..Self::linear(name) }
    }
}

/// Reads one member of a file from its beginning.
pub(crate) trait Importer {
    /// Appends the events of the next stretch of input; `false` at the end.
    fn read(&mut self, out: &mut Vec<RawEvent>) -> Result<bool, crate::StoreError>;

    /// Returns the symbols seen so far; events index them.
    fn symbols(&self) -> &[RawSymbol];

    /// Returns the unit of its times, where that was found in the data.
    fn time_unit(&self) -> Option<String> {
        None
    }

    /// Returns what was noticed on the way.
    fn report(&self) -> &crate::Report;
}
