//! Bars as scripts ask for them: `1m`, `5s`, `100t`, `50v`.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use tercel_core::{BarSpec, Instrument};

/// A bar series that a script is called for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BarRequest {
    /// What ends a bar.
    pub length: BarLength,
    /// Symbol of the instrument; `None` for each of the strategy's.
    pub instrument: Option<String>,
}

/// What ends a bar, in a script's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarLength {
    /// Milliseconds: `250ms`, `1s`, `5m`, `1h`, `1d`.
    Time {
        /// How many; positive.
        interval_ms: u32,
    },
    /// A number of trades: `100t`.
    Trades {
        /// How many; positive.
        trades: u32,
    },
    /// A traded quantity: `50v`, `0.5v`.
    Volume {
        /// How much; positive.
        quantity: Decimal,
    },
}

const UNITS: [(&str, u32); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl BarLength {
    /// Returns the engine's specification of it for an instrument.
    ///
    /// # Errors
    ///
    /// A message, if a volume is not a multiple of the instrument's lot.
    pub fn spec(self, instrument: &Instrument) -> Result<BarSpec, String> {
        Ok(match self {
            Self::Time { interval_ms } => BarSpec::Time { interval_ms },
            Self::Trades { trades } => BarSpec::Tick { trades },
            Self::Volume { quantity } => {
                let lots = instrument.quantity(quantity).map_err(|error| error.to_string())?;
                BarSpec::Volume { lots: lots.0 }
            }
        })
    }
}

impl FromStr for BarLength {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is not a bar length: write a positive number and one of ms, s, m, h, d \
                 (time), t (trades) or v (volume), such as \"1m\" or \"100t\""
            )
        };
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        if unit == "v" {
            let quantity: Decimal = number.parse().map_err(|_| wrong())?;
            return if quantity > Decimal::ZERO {
                Ok(Self::Volume { quantity: quantity.normalize() })
            } else {
                Err(wrong())
            };
        }
        let count: u32 = number.parse().map_err(|_| wrong())?;
        if count == 0 {
            return Err(wrong());
        }
        if unit == "t" {
            return Ok(Self::Trades { trades: count });
        }
        let (_, ms) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let interval_ms = count.checked_mul(ms).ok_or_else(wrong)?;
        Ok(Self::Time { interval_ms })
    }
}

impl fmt::Display for BarLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time { interval_ms } => {
                let (unit, ms) = UNITS
                    .into_iter()
                    .rfind(|(_, ms)| interval_ms.is_multiple_of(*ms))
                    .unwrap_or(UNITS[0]);
                write!(f, "{}{unit}", interval_ms / ms)
            }
            Self::Trades { trades } => write!(f, "{trades}t"),
            Self::Volume { quantity } => write!(f, "{quantity}v"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written_alike() {
        for text in ["250ms", "1s", "1m", "5m", "4h", "1d", "100t", "50v", "0.5v"] {
            assert_eq!(text.parse::<BarLength>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<BarLength>().unwrap().to_string(), "1m");
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "m", "1", "0m", "-1m", "1.5m", "1w", "0v", "1.2.3v", "99999999d"] {
            let error = text.parse::<BarLength>().unwrap_err();
            assert!(error.contains("such as \"1m\""), "{text}: {error}");
        }
    }
}
