//! Streams of market data: who listens to what, and what has to be collected for it.

use std::collections::{BTreeMap, BTreeSet};

use tercel_core::Side;

use crate::candles::Interval;
use crate::dialect::ConnId;
use crate::dialect::binance::words;
use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::ids::MarketId;

/// What a stream tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Topic {
    Trade,
    AggTrade,
    BookTicker,
    /// Changes of the book, every so many milliseconds.
    Depth(i64),
    /// Best levels of the book, so many, every so many milliseconds.
    Partial(usize, i64),
    /// Candles, by their length's place in the list of names.
    Kline(usize),
    MiniTicker,
    Ticker,
    AvgPrice,
    /// Mark price, every so many milliseconds.
    MarkPrice(i64),
    Liquidations,
}

/// A stream: of one symbol, or of all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Stream {
    pub(super) market: Option<MarketId>,
    pub(super) topic: Topic,
}

/// Changes of a book that have not been sent yet, for one rhythm.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub(super) levels: BTreeSet<(Side, Fixed)>,
    /// Last number that was sent.
    pub(super) sent: u64,
}

/// Best bid and ask with their quantities.
pub(super) type Best = [(Fixed, Fixed); 2];

/// Who listens to what.
#[derive(Clone, Debug)]
pub(super) struct Feeds {
    /// Rhythms of the book's changes in milliseconds.
    pub(super) rhythms: &'static [i64],
    /// Listeners with the name under which they asked.
    pub(super) listeners: BTreeMap<Stream, BTreeMap<ConnId, String>>,
    pub(super) pending: BTreeMap<(MarketId, i64), Pending>,
    pub(super) best: BTreeMap<MarketId, Best>,
    /// Last candle sent, so that only changes are.
    pub(super) candles: BTreeMap<Stream, (i64, u64)>,
}

impl Feeds {
    pub(super) fn new(exchange: &Exchange, rhythms: &'static [i64]) -> Self {
        let mut pending = BTreeMap::new();
        for (id, market) in exchange.markets() {
            for rhythm in rhythms {
                let sent = market.book.update_id();
                pending.insert((id, *rhythm), Pending { sent, ..Pending::default() });
            }
        }
        Self {
            rhythms,
            listeners: BTreeMap::new(),
            pending,
            best: BTreeMap::new(),
            candles: BTreeMap::new(),
        }
    }

    pub(super) fn subscribe(&mut self, conn: ConnId, stream: Stream, name: &str) {
        self.listeners.entry(stream).or_default().insert(conn, name.to_owned());
    }

    pub(super) fn unsubscribe(&mut self, conn: ConnId, stream: Stream) {
        if let Some(listeners) = self.listeners.get_mut(&stream) {
            listeners.remove(&conn);
            if listeners.is_empty() {
                self.listeners.remove(&stream);
                self.candles.remove(&stream);
            }
        }
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.listeners.retain(|_, listeners| {
            listeners.remove(&conn);
            !listeners.is_empty()
        });
        self.candles.retain(|stream, _| self.listeners.contains_key(stream));
    }

    pub(super) fn names_of(&self, conn: ConnId) -> Vec<&str> {
        self.listeners.values().filter_map(|by| by.get(&conn)).map(String::as_str).collect()
    }

    /// Notes that a level changed, for all rhythms.
    pub(super) fn level_changed(&mut self, market: MarketId, side: Side, price: Fixed) {
        for rhythm in self.rhythms {
            if let Some(pending) = self.pending.get_mut(&(market, *rhythm)) {
                pending.levels.insert((side, price));
            }
        }
    }
}

impl Topic {
    /// Returns the candle length of a candle stream.
    pub(super) fn interval(self) -> Option<(&'static str, Interval)> {
        match self {
            Self::Kline(idx) => words::INTERVALS.get(idx).copied(),
            _ => None,
        }
    }
}

/// Reads a stream's name; `None` if there is no such stream.
pub(super) fn read_stream(name: &str, exchange: &Exchange, is_spot: bool) -> Option<Stream> {
    let all = |topic| Some(Stream { market: None, topic });
    match name {
        "!miniTicker@arr" => return all(Topic::MiniTicker),
        "!ticker@arr" => return all(Topic::Ticker),
        "!bookTicker" if !is_spot => return all(Topic::BookTicker),
        "!markPrice@arr" if !is_spot => return all(Topic::MarkPrice(3_000)),
        "!markPrice@arr@1s" if !is_spot => return all(Topic::MarkPrice(1_000)),
        "!forceOrder@arr" if !is_spot => return all(Topic::Liquidations),
        _ => {}
    }
    let (symbol, topic) = name.split_once('@')?;
    if symbol.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let market = exchange.market_id(&symbol.to_ascii_uppercase())?;
    let topic = read_topic(topic, is_spot)?;
    Some(Stream { market: Some(market), topic })
}

fn read_topic(name: &str, is_spot: bool) -> Option<Topic> {
    let usual_ms = if is_spot { 1_000 } else { 250 };
    let rhythm = |text: &str| match text {
        "" => Some(usual_ms),
        "@100ms" => Some(100),
        "@250ms" | "@500ms" if is_spot => None,
        "@250ms" => Some(250),
        "@500ms" => Some(500),
        "@1000ms" if is_spot => Some(1_000),
        _ => None,
    };
    match name {
        "trade" => return Some(Topic::Trade),
        "aggTrade" => return Some(Topic::AggTrade),
        "bookTicker" => return Some(Topic::BookTicker),
        "miniTicker" => return Some(Topic::MiniTicker),
        "ticker" => return Some(Topic::Ticker),
        "avgPrice" if is_spot => return Some(Topic::AvgPrice),
        "markPrice" if !is_spot => return Some(Topic::MarkPrice(3_000)),
        "markPrice@1s" if !is_spot => return Some(Topic::MarkPrice(1_000)),
        "forceOrder" if !is_spot => return Some(Topic::Liquidations),
        _ => {}
    }
    if let Some(interval) = name.strip_prefix("kline_") {
        let idx = words::INTERVALS.iter().position(|(known, _)| *known == interval)?;
        return Some(Topic::Kline(idx));
    }
    let depth = name.strip_prefix("depth")?;
    for n in [5, 10, 20] {
        if let Some(rest) = depth.strip_prefix(&n.to_string()) {
            return rhythm(rest).map(|ms| Topic::Partial(n, ms));
        }
    }
    rhythm(depth).map(Topic::Depth)
}
