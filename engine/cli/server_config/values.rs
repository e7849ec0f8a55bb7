//! Values that are checked while they are read, so that a refusal has their line.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tercel_core::Nanos;

/// Reads a whole number from `MIN` to `MAX`.
pub(crate) fn within<'de, D, T, const MIN: u64, const MAX: u64>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    from.deserialize_any(Within::<T, MIN, MAX>(PhantomData))
}

/// As [`within`], for values that may be absent.
pub(crate) fn some_within<'de, D, T, const MIN: u64, const MAX: u64>(
    from: D,
) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    within::<D, T, MIN, MAX>(from).map(Some)
}

struct Within<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

impl<T: TryFrom<u64>, const MIN: u64, const MAX: u64> Visitor<'_> for Within<T, MIN, MAX> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        let refused = || E::invalid_value(Unexpected::Signed(value), &self);
        let value = u64::try_from(value).ok().filter(|value| (MIN..=MAX).contains(value));
        value.and_then(|value| T::try_from(value).ok()).ok_or_else(refused)
    }
}

/// Reads a moment: text as [`crate::data::moment`] takes it, or nanoseconds since 1970.
pub(super) fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Nanos>, D::Error> {
    let text = String::deserialize(from)?;
    crate::data::moment(&text).map(Some).map_err(Error::custom)
}

/// Writes a moment as nanoseconds since 1970 in quotes, which [`moment`] reads.
pub(super) fn write_moment<S: Serializer>(at: &Option<Nanos>, to: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.0.to_string()).serialize(to)
}

/// Reads a name: what can stand in a file's name, a metric's label and a command.
pub(super) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
        return Err(D::Error::custom(format!(
            "expected 1 to {NAME_MAX} letters, digits, underscores and hyphens"
        )));
    }
    Ok(name)
}

/// As [`name`], for values that may be absent.
pub(super) fn some_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    name(from).map(Some)
}

const NAME_MAX: usize = 64;

/// How fast events that are there already are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// At so many thousandths of real time.
    PerMille(u32),
    /// As fast as they are handled.
    Max,
}

impl Pace {
    /// As time passes.
    pub(crate) const REAL: Self = Self::PerMille(1_000);
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PaceVisitor)
    }
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::REAL => to.serialize_str("real"),
            Self::PerMille(per_mille) => to.serialize_f64(f64::from(per_mille) / 1_000.0),
            Self::Max => to.serialize_str("max"),
        }
    }
}

struct PaceVisitor;

impl PaceVisitor {
    fn times<E: Error>(self, times: Option<Decimal>, given: Unexpected<'_>) -> Result<Pace, E> {
        let per_mille = times.and_then(|times| times.checked_mul(Decimal::ONE_THOUSAND));
        let per_mille = per_mille.and_then(|value| value.trunc().to_u32());
        let fits = per_mille.filter(|value| (1..=TIMES_MAX * 1_000).contains(value));
        fits.map(Pace::PerMille).ok_or_else(|| E::invalid_value(given, &self))
    }
}

/// Fastest pace, in times of real time.
const TIMES_MAX: u32 = 1_000_000;

impl Visitor<'_> for PaceVisitor {
    type Value = Pace;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"real\", \"max\", or times of real time from 0.001 to {TIMES_MAX}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Pace, E> {
        match text {
            "real" => Ok(Pace::REAL),
            "max" => Ok(Pace::Max),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: Error>(self, times: i64) -> Result<Pace, E> {
        self.times(Some(Decimal::from(times)), Unexpected::Signed(times))
    }

    fn visit_f64<E: Error>(self, times: f64) -> Result<Pace, E> {
        self.times(Decimal::try_from(times).ok(), Unexpected::Float(times))
    }
}

/// Where metrics are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listen {
    /// Nowhere.
    Off,
    /// At an address of this machine's own loopback.
    Loopback(SocketAddr),
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        let address: SocketAddr = text.parse().map_err(|_| {
            D::Error::custom("expected \"off\" or an address and a port, such as 127.0.0.1:9464")
        })?;
        if !address.ip().is_loopback() {
            return Err(D::Error::custom(
                "metrics are served without a password, so on this machine's loopback only, such \
                 as 127.0.0.1:9464; put a proxy before it to read them from elsewhere",
            ));
        }
        Ok(Self::Loopback(address))
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => to.serialize_str("off"),
            Self::Loopback(address) => to.collect_str(address),
        }
    }
}

/// A script's parameter as a file sets it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Setting {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

impl Visitor<'_> for SettingVisitor {
    type Value = Setting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true or false, or text")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Setting, E> {
        Ok(Setting::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Setting, E> {
        Ok(Setting::Integer(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Setting, E> {
        Ok(Setting::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Setting, E> {
        Ok(Setting::Text(value.to_owned()))
    }
}
