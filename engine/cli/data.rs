//! Where a command's market data comes from: files of any known format, or a market made from a
//! seed.

pub(crate) mod seeded;

use std::path::PathBuf;

use clap::Args;
use rust_decimal::Decimal;
use tercel_core::{Event, Instrument, InstrumentId, InstrumentKind, Nanos};
use tercel_sim::market::{SeededMarket, SeededMarketConfig};
use tercel_store::{Format, OpenOptions, Reader, StoreError, TimeUnit, parse_date};

use crate::exit::{Blame, Failure, Outcome, is_wrong_path};

use self::seeded::SeededMarkets;

/// What may be said about data that does not say it itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataOptions {
    /// Format, instead of the one that the first bytes tell.
    #[arg(long, value_parser = format_by_name)]
    pub(crate) format: Option<Format>,
    /// Symbol of data that does not name one; of data with several, the one to read.
    #[arg(long)]
    pub(crate) symbol: Option<String>,
    /// Price step, instead of the one found in the data.
    #[arg(long)]
    pub(crate) tick: Option<Decimal>,
    /// Quantity step, instead of the one found in the data.
    #[arg(long)]
    pub(crate) lot: Option<Decimal>,
    /// Kind of the instruments.
    #[arg(long, value_parser = kind_by_name)]
    pub(crate) kind: Option<InstrumentKind>,
    /// Unit of the timestamps: s, ms, us or ns.
    #[arg(long, value_parser = unit_by_name)]
    pub(crate) time_unit: Option<TimeUnit>,
    /// First moment wanted: a date, or nanoseconds. Books are built from what came before.
    #[arg(long, value_parser = moment)]
    pub(crate) from: Option<Nanos>,
    /// First moment not wanted any more.
    #[arg(long, value_parser = moment)]
    pub(crate) to: Option<Nanos>,
    /// Use a file that ends too early up to there.
    #[arg(long)]
    pub(crate) accept_truncated: bool,
}

impl DataOptions {
    /// Opens files as one stream.
    pub(crate) fn open(&self, paths: &[PathBuf]) -> Outcome<Reader> {
        let options = OpenOptions {
            format: self.format,
            symbol: self.symbol.clone(),
            tick: self.tick,
            lot: self.lot,
            kind: self.kind,
            maker_fee: None,
            taker_fee: None,
            time_unit: self.time_unit,
            from: self.from,
            to: self.to,
            accept_truncated: self.accept_truncated,
        };
        Reader::open(paths, &options).map_err(blame)
    }
}

/// A store's error is the input's fault, unless the system refused.
pub(crate) fn blame(error: StoreError) -> Failure {
    match &error {
        StoreError::Io { cause, .. } if !is_wrong_path(cause) => Failure::Machine(error.into()),
        _ => Failure::Input(error.into()),
    }
}

/// Market data on its way into a run.
pub(crate) enum MarketSource {
    /// From files.
    Files(Box<Reader>),
    /// From a seed.
    Seeded(SeededMarkets),
}

impl MarketSource {
    /// Returns a market made from a seed that is open for so many minutes.
    pub(crate) fn seeded(seed: u64, minutes: u32) -> Outcome<Self> {
        let duration_ns = i64::from(minutes) * Nanos::MINUTE;
        let config = SeededMarketConfig { seed, duration_ns, ..SeededMarketConfig::default() };
        let market = SeededMarket::new(config).or_input()?;
        Ok(Self::Seeded(SeededMarkets::new(vec![market])))
    }

    /// Returns the instruments.
    pub(crate) fn instruments(&self) -> Outcome<Vec<Instrument>> {
        match self {
            Self::Files(reader) => reader.metadata().instruments().map_err(blame),
            Self::Seeded(_) => {
                let spec = SeededMarketConfig::btcusdt();
                Ok(vec![Instrument::new(InstrumentId(0), spec).or_machine()?])
            }
        }
    }

    /// Returns the names of the assets.
    pub(crate) fn assets(&self) -> Vec<String> {
        match self {
            Self::Files(reader) => reader.metadata().assets.clone(),
            Self::Seeded(_) => vec!["BTC".to_owned(), "USDT".to_owned()],
        }
    }

    /// Appends the next events; 0 at the end.
    pub(crate) fn read_block(&mut self, out: &mut Vec<Event>) -> Result<usize, StoreError> {
        match self {
            Self::Files(reader) => reader.read_block(out),
            Self::Seeded(markets) => Ok(markets.read_block(out)),
        }
    }

    /// Leaves out instruments that are not followed, where they would cost something to make.
    pub(crate) fn follow(&mut self, followed: &[InstrumentId]) {
        if let Self::Seeded(markets) = self {
            markets.follow(followed);
        }
    }

    /// Returns what the data is, in names and values.
    pub(crate) fn describe(&self, paths: &[PathBuf]) -> Vec<(String, String)> {
        match self {
            Self::Files(reader) => {
                let mut rows: Vec<_> = reader
                    .detected()
                    .iter()
                    .map(|found| {
                        (
                            "data".to_owned(),
                            format!("{} ({})", found.member.display(), found.format.as_str()),
                        )
                    })
                    .collect();
                if rows.is_empty() {
                    rows = paths
                        .iter()
                        .map(|p| ("data".to_owned(), p.display().to_string()))
                        .collect();
                }
                rows.extend(reader.findings().iter().map(|f| ("found".to_owned(), f.clone())));
                rows
            }
            Self::Seeded(markets) => {
                let config = markets.config();
                let minutes = config.duration_ns / Nanos::MINUTE;
                vec![(
                    "data".to_owned(),
                    format!("a market made from seed {}, {minutes} minutes long", config.seed),
                )]
            }
        }
    }
}

/// Parses a moment: a date with or without a time of day (UTC), or nanoseconds since 1970.
pub(crate) fn moment(text: &str) -> Result<Nanos, String> {
    if let Ok(ns) = text.parse::<i64>() {
        return Ok(Nanos(ns));
    }
    parse_date(text).ok_or_else(|| {
        format!("`{text}` is neither a date such as 2024-08-08T23:58 nor nanoseconds since 1970")
    })
}

fn format_by_name(name: &str) -> Result<Format, String> {
    let found = Format::ALL.iter().find(|(_, known)| *known == name).map(|(format, _)| *format);
    found.ok_or_else(|| {
        let known: Vec<_> = Format::ALL.iter().map(|(_, name)| *name).collect();
        format!("no such format; known are {}", known.join(", "))
    })
}

fn kind_by_name(name: &str) -> Result<InstrumentKind, String> {
    match name {
        "spot" => Ok(InstrumentKind::Spot),
        "linear" => Ok(InstrumentKind::LinearPerpetual),
        "inverse" => Ok(InstrumentKind::InversePerpetual),
        _ => Err("must be spot, linear or inverse".to_owned()),
    }
}

fn unit_by_name(name: &str) -> Result<TimeUnit, String> {
    match name {
        "s" => Ok(TimeUnit::Seconds),
        "ms" => Ok(TimeUnit::Millis),
        "us" => Ok(TimeUnit::Micros),
        "ns" => Ok(TimeUnit::Nanos),
        _ => Err("must be s, ms, us or ns".to_owned()),
    }
}
