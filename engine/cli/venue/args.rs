//! A venue as a command line names it, or a server's configuration.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::exit::{Outcome, input};
use crate::server_config::ServerConfig;
use crate::server_config::exchange::{EnvironmentName, ExchangeSection, VenueName};
use crate::toml_file::TomlFile;

/// Which market of which venue.
#[derive(Clone, Debug, Args)]
pub(crate) struct VenueArgs {
    /// Read venue, environment and symbols from the `[exchange]` section of a server's configuration.
    #[arg(long, value_name = "TOML", conflicts_with_all = ["venue", "product", "environment", "rest", "streams"])]
    config: Option<PathBuf>,
    /// The venue.
    #[arg(long, value_enum, default_value = "binance")]
    venue: VenueChoice,
    /// Which of its markets.
    #[arg(long, value_enum, default_value = "spot")]
    product: ProductChoice,
    /// Which of its installations; `custom` is one at addresses of its own.
    #[arg(long, value_enum)]
    environment: Option<EnvironmentChoice>,
    /// Base of REST addresses of a custom installation, such as http://127.0.0.1:9000.
    #[arg(long, value_name = "URL")]
    rest: Option<String>,
    /// Base of market streams of a custom installation, such as ws://127.0.0.1:9000.
    #[arg(long, value_name = "URL")]
    streams: Option<String>,
    /// Symbols, as the venue writes them: BTCUSDT,ETHUSDT.
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum VenueChoice {
    /// Binance.
    Binance,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ProductChoice {
    /// Spot.
    Spot,
    /// USD-M futures.
    Usdm,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum EnvironmentChoice {
    /// The real one.
    Production,
    /// The venue's test network.
    Testnet,
    /// The venue's demo accounts.
    Demo,
    /// At the addresses of --rest and --streams.
    Custom,
}

impl VenueArgs {
    /// Returns what was said as the section of a configuration. `has_streams` says whether the command
    /// follows streams, so that a custom installation needs their address.
    pub(crate) fn section(&self, has_streams: bool) -> Outcome<ExchangeSection> {
        let mut section = match &self.config {
            Some(path) => TomlFile::read(path)?.parse::<ServerConfig>()?.exchange,
            None => self.by_flags()?,
        };
        if !self.symbols.is_empty() {
            section.symbols = self.symbols.iter().map(|own| own.to_ascii_uppercase()).collect();
        }
        if section.symbols.is_empty() {
            return Err(input("no symbol is named; say --symbols BTCUSDT, or several with commas"));
        }
        let mut seen = std::collections::BTreeSet::new();
        section.symbols.retain(|symbol| seen.insert(symbol.clone()));
        if section.environment == EnvironmentName::Custom {
            let needed =
                [("rest", &section.rest, true), ("streams", &section.streams, has_streams)];
            for (name, address, is_needed) in needed {
                if is_needed && address.is_none() {
                    return Err(input(format!(
                        "a custom installation needs the address --{name}, such as one that `tercel \
                         exchange` prints"
                    )));
                }
            }
        }
        Ok(section)
    }

    fn by_flags(&self) -> Outcome<ExchangeSection> {
        let has_address = self.rest.is_some() || self.streams.is_some();
        let environment = match self.environment {
            Some(EnvironmentChoice::Custom) => EnvironmentName::Custom,
            None if has_address => EnvironmentName::Custom,
            Some(_) if has_address => {
                return Err(input(
                    "--rest and --streams are for --environment custom; leave one of them out",
                ));
            }
            None | Some(EnvironmentChoice::Production) => EnvironmentName::Production,
            Some(EnvironmentChoice::Testnet) => EnvironmentName::Testnet,
            Some(EnvironmentChoice::Demo) => EnvironmentName::Demo,
        };
        Ok(ExchangeSection {
            name: match (self.venue, self.product) {
                (VenueChoice::Binance, ProductChoice::Spot) => VenueName::Binance,
                (VenueChoice::Binance, ProductChoice::Usdm) => VenueName::BinanceUsdm,
            },
            environment,
            rest: self.rest.clone(),
            streams: self.streams.clone(),
            ..ExchangeSection::default()
        })
    }
}

/// Parses a time span: a number and ms, s, m, h or d.
pub(crate) fn span(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is no span of time such as 90s, 10m, 2h or 1d");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let unit_ms = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let ms = text[..unit].parse::<u64>().ok().and_then(|n| n.checked_mul(unit_ms));
    // As nanoseconds it has to fit a clock.
    ms.filter(|ms| (1..=100 * 366 * 86_400_000).contains(ms))
        .map(std::time::Duration::from_millis)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn spans_are_read_or_refused() {
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "5", "m", "0s", "1.5h", "-1s", "9x", "99999999999999999999d", "40000d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
