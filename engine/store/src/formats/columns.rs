//! Tables of trades and bars whose columns stand in any order, told by their names. Text and
//! Parquet share what the names are.

use crate::formats::cells::Cells;

/// Columns of a text that are looked at.
pub(crate) const MOST: usize = 32;

const TIME: &[&str] = &[
    "timestamp",
    "time",
    "date",
    "datetime",
    "ts",
    "unix",
    "ts_event",
    "open_time",
    "open_time_ms",
    "transact_time",
];
const SYMBOL: &[&str] = &["symbol", "instrument", "ticker", "pair", "market"];
const PRICE: &[&str] = &["price", "px", "p"];
const SIZE: &[&str] = &["size", "amount", "qty", "quantity", "volume", "q"];
const SIDE: &[&str] = &["side", "aggressor", "aggressor_side", "taker_side", "direction"];
const BUYER_IS_MAKER: &[&str] =
    &["is_buyer_maker", "isbuyermaker", "buyer_is_maker", "buyer_maker", "m"];
const ID: &[&str] = &["id", "trade_id", "tradeid", "tid", "agg_trade_id"];
const VOLUME: &[&str] = &["volume", "v", "vol", "volume_base", "base_volume"];

/// Names of a table's columns: in lower case, with `_` for spaces.
pub(crate) struct Header(Vec<String>);

impl Header {
    /// Reads the first line of a text.
    pub(crate) fn of_line(line: &[u8], separator: u8) -> Self {
        let cells = Cells::<MOST>::split_by(line, separator);
        let n = cells.len.min(MOST);
        Self::of_names((0..n).map(|n| String::from_utf8_lossy(cells.get(n))))
    }

    /// Takes names as they are.
    pub(crate) fn of_names<S: AsRef<str>>(names: impl Iterator<Item = S>) -> Self {
        Self(names.map(|name| name.as_ref().trim().to_lowercase().replace(' ', "_")).collect())
    }

    fn find(&self, names: &[&str]) -> Option<usize> {
        self.0.iter().position(|name| names.contains(&name.as_str()))
    }
}

/// Where a table of trades has what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TradeColumns {
    pub(crate) time: usize,
    pub(crate) symbol: Option<usize>,
    pub(crate) price: usize,
    pub(crate) size: usize,
    pub(crate) side: Option<usize>,
    pub(crate) buyer_is_maker: Option<usize>,
    pub(crate) id: Option<usize>,
}

impl TradeColumns {
    /// Says what a table without them lacks.
    pub(crate) const NEEDED: &str = "time, price, size";

    pub(crate) fn of(header: &Header) -> Option<Self> {
        Some(Self {
            time: header.find(TIME)?,
            symbol: header.find(SYMBOL),
            price: header.find(PRICE)?,
            size: header.find(SIZE)?,
            side: header.find(SIDE),
            buyer_is_maker: header.find(BUYER_IS_MAKER),
            id: header.find(ID),
        })
    }
}

/// Where a table of bars has what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BarColumns {
    pub(crate) time: usize,
    pub(crate) symbol: Option<usize>,
    pub(crate) open: usize,
    pub(crate) high: usize,
    pub(crate) low: usize,
    pub(crate) close: usize,
    pub(crate) volume: usize,
}

impl BarColumns {
    /// Says what a table without them lacks.
    pub(crate) const NEEDED: &str = "time, open, high, low, close, volume";
    /// The order of a table without names.
    pub(crate) const PLAIN: Self =
        Self { time: 0, symbol: None, open: 1, high: 2, low: 3, close: 4, volume: 5 };

    pub(crate) fn of(header: &Header) -> Option<Self> {
        Some(Self {
            time: header.find(TIME)?,
            symbol: header.find(SYMBOL),
            open: header.find(&["open", "o"])?,
            high: header.find(&["high", "h"])?,
            low: header.find(&["low", "l"])?,
            close: header.find(&["close", "c"])?,
            volume: header.find(VOLUME)?,
        })
    }
}
