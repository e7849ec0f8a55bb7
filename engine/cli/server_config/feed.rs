//! `[feed]`: where market data comes from and how fast.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tercel_core::{AssetId, Instrument, InstrumentId, InstrumentSpec, Nanos};
use tercel_sim::market::{SeededMarket, SeededMarketConfig};
use tercel_store::{OpenOptions, Reader};

use super::values::{Pace, moment, some_within, within, write_moment};
use crate::data::seeded::SeededMarkets;
use crate::data::{MarketSource, blame};
use crate::exit::{Blame, Outcome, input};

/// `[feed]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FeedSection {
    /// Where from.
    pub(crate) kind: FeedKind,
    /// How fast.
    pub(crate) pace: Pace,
    /// Of a tape: the symbol to read, all of them if absent. Of a seeded market: what its
    /// instrument is called.
    pub(crate) symbol: Option<String>,

    /// Files of a tape, of any known format.
    pub(crate) paths: Vec<PathBuf>,
    /// First moment wanted of a tape.
    #[serde(deserialize_with = "moment", serialize_with = "write_moment")]
    pub(crate) from: Option<Nanos>,
    /// First moment not wanted any more.
    #[serde(deserialize_with = "moment", serialize_with = "write_moment")]
    pub(crate) to: Option<Nanos>,
    /// Whether a tape begins anew at its end.
    #[serde(rename = "loop")]
    pub(crate) is_loop: bool,

    /// Names of a seeded market's instruments, where there are several.
    pub(crate) symbols: Vec<String>,
    /// Picks the seeded market; the run's seed if absent.
    #[serde(deserialize_with = "some_within::<_, _, 0, 9223372036854775807>")]
    pub(crate) seed: Option<u64>,
    /// Time of a seeded market's first event.
    #[serde(deserialize_with = "moment", serialize_with = "write_moment")]
    pub(crate) start: Option<Nanos>,
    /// How long a seeded market is open; 0 for a hundred years.
    #[serde(deserialize_with = "within::<_, _, 0, 52560000>")]
    pub(crate) minutes: u32,
    /// Its volatility in percent a year.
    #[serde(deserialize_with = "within::<_, _, 1, 1000>")]
    pub(crate) annual_volatility_pct: u32,
    /// Its typical trade in lots.
    #[serde(deserialize_with = "within::<_, _, 1, 1000000000>")]
    pub(crate) typical_lots: i64,
    /// Most levels on each side of its book.
    #[serde(deserialize_with = "within::<_, _, 20, 400>")]
    pub(crate) levels: usize,
    /// Whether best bid and ask also come as quotes.
    pub(crate) quotes: bool,
    /// Milliseconds between its mark prices, in steps of 50; 0 for none.
    #[serde(deserialize_with = "within::<_, _, 0, 3600000>")]
    pub(crate) mark_interval_ms: u32,
}

/// Where market data comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedKind {
    /// From a market that is made from a seed.
    #[default]
    Seeded,
    /// From files.
    Tape,
    /// From the venue of `[exchange]`.
    Exchange,
}

impl FeedKind {
    /// Returns its name in the file.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Seeded => "seeded",
            Self::Tape => "tape",
            Self::Exchange => "exchange",
        }
    }
}

impl FeedSection {
    /// Keys that mean something to a tape only.
    pub(super) const OF_TAPES: [&'static str; 4] = ["paths", "from", "to", "loop"];
    /// Keys that mean something to a seeded market only.
    pub(super) const OF_SEEDED: [&'static str; 9] = [
        "symbols",
        "seed",
        "start",
        "minutes",
        "annual_volatility_pct",
        "typical_lots",
        "levels",
        "quotes",
        "mark_interval_ms",
    ];
}

impl Default for FeedSection {
    fn default() -> Self {
        let market = SeededMarketConfig::default();
        Self {
            kind: FeedKind::Seeded,
            pace: Pace::REAL,
            symbol: None,
            paths: Vec::new(),
            from: None,
            to: None,
            is_loop: false,
            symbols: Vec::new(),
            seed: None,
            start: None,
            minutes: 0,
            annual_volatility_pct: market.annual_volatility_pct,
            typical_lots: market.typical_lots,
            levels: market.levels,
            quotes: market.quotes,
            mark_interval_ms: market.mark_interval_ms,
        }
    }
}

/// Market data, ready to be read from its beginning.
pub(crate) struct Feed {
    pub(crate) source: MarketSource,
    pub(crate) instruments: Vec<Instrument>,
    /// Names of the assets that the instruments' numbers mean.
    pub(crate) assets: Vec<String>,
}

impl FeedSection {
    /// Opens the feed at its beginning. `run_seed` is the seed of a market that has none of its own.
    pub(super) fn open(&self, run_seed: u64) -> Outcome<Feed> {
        match self.kind {
            FeedKind::Seeded => self.open_seeded(run_seed),
            FeedKind::Tape => self.open_tape(),
            FeedKind::Exchange => Err(input("the feed comes from a venue, and not from here")),
        }
    }

    fn open_seeded(&self, run_seed: u64) -> Outcome<Feed> {
        let defaults = SeededMarketConfig::default();
        let minutes = if self.minutes == 0 { MINUTES_MAX } else { self.minutes };
        let config = SeededMarketConfig {
            seed: self.seed.unwrap_or(run_seed),
            start_at: self.start.unwrap_or(defaults.start_at),
            duration_ns: i64::from(minutes) * Nanos::MINUTE,
            typical_lots: self.typical_lots,
            annual_volatility_pct: self.annual_volatility_pct,
            levels: self.levels,
            quotes: self.quotes,
            mark_interval_ms: self.mark_interval_ms,
            ..defaults
        };
        let btcusdt = SeededMarketConfig::btcusdt();
        let symbols = match (self.symbols.as_slice(), &self.symbol) {
            ([], Some(symbol)) => vec![symbol.clone()],
            ([], None) => vec![btcusdt.symbol.clone()],
            (symbols, _) => symbols.to_vec(),
        };
        let mut assets = SEEDED_ASSETS.map(str::to_owned).to_vec();
        let (mut markets, mut instruments) = (Vec::new(), Vec::new());
        for (symbol, id) in symbols.into_iter().zip((0..).map(InstrumentId)) {
            let mut base = btcusdt.base;
            if id != InstrumentId(0) {
                base = AssetId(u16::try_from(assets.len()).or_input()?);
                assets.push(symbol.strip_suffix(SEEDED_ASSETS[1]).unwrap_or(&symbol).to_owned());
            }
            // Markets of one seed and different instruments would be one market.
            let seed = config.seed.wrapping_add(u64::from(id.0));
            let config = SeededMarketConfig { seed, instrument: id, ..config.clone() };
            markets.push(SeededMarket::new(config).or_input()?);
            let spec = InstrumentSpec { symbol, base, ..btcusdt.clone() };
            instruments.push(Instrument::new(id, spec).or_input()?);
        }
        let source = MarketSource::Seeded(SeededMarkets::new(markets));
        Ok(Feed { source, instruments, assets })
    }

    fn open_tape(&self) -> Outcome<Feed> {
        let options = OpenOptions {
            symbol: self.symbol.clone(),
            from: self.from,
            to: self.to,
            ..OpenOptions::default()
        };
        let reader = Reader::open(&self.paths, &options).map_err(blame)?;
        let source = MarketSource::Files(Box::new(reader));
        let (instruments, assets) = (source.instruments()?, source.assets());
        Ok(Feed { source, instruments, assets })
    }
}

/// A hundred years of 365 days.
const MINUTES_MAX: u32 = 100 * 365 * 24 * 60;

/// Base and quote of the first instrument of a seeded market.
const SEEDED_ASSETS: [&str; 2] = ["BTC", "USDT"];
