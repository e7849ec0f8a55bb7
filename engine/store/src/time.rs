//! Timestamps of unknown unit: told by their magnitude, reported, never assumed.

use tercel_core::Nanos;

/// Unit of a timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl TimeUnit {
    /// Tells the unit of a time between 1973 and 2286 by its number of digits; `None` elsewhere.
    #[must_use]
    pub const fn of(time: i64) -> Option<Self> {
        const BILLION: i64 = 1_000_000_000;
        match time {
            100_000_000..10_000_000_000 => Some(Self::Seconds),
            100_000_000_000..10_000_000_000_000 => Some(Self::Millis),
            100_000_000_000_000..10_000_000_000_000_000 => Some(Self::Micros),
            _ if time >= 100_000_000 * BILLION => Some(Self::Nanos),
            _ => None,
        }
    }

    /// Returns nanoseconds per unit.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }

    /// Returns the unit's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Millis => "milliseconds",
            Self::Micros => "microseconds",
            Self::Nanos => "nanoseconds",
        }
    }

    /// Converts a time of this unit, `None` beyond the range of nanoseconds.
    #[must_use]
    pub fn to_nanos(self, time: i64) -> Option<Nanos> {
        time.checked_mul(self.nanos()).map(Nanos)
    }
}

/// Parses a time: whole numbers in `unit` (or the unit their size tells), numbers with a fraction
/// in seconds, and dates such as `2021-12-31 23:01:00.5`, `2021-12-31T23:01:00Z`, which are UTC
/// unless they say otherwise.
pub(crate) fn parse_time(text: &str, unit: Option<TimeUnit>) -> Result<(Nanos, String), String> {
    let text = text.trim().trim_matches('"');
    if let Ok(number) = text.parse::<i64>() {
        let unit = unit.or_else(|| TimeUnit::of(number)).ok_or_else(|| {
            format!("time {text} is in no unit that its size tells; say it with --time-unit")
        })?;
        let at = unit.to_nanos(number).ok_or_else(|| format!("time {text} is out of range"))?;
        return Ok((at, unit.as_str().to_owned()));
    }
    if let Some(seconds) = crate::decimal::Dec::parse(text.as_bytes()) {
        let scaled = crate::grid::Step::new(rust_decimal::Decimal::new(1, 9))
            .and_then(|nano| nano.count(seconds))
            .ok_or_else(|| format!("time {text} is out of range"))?;
        return Ok((Nanos(scaled), "seconds".to_owned()));
    }
    parse_date(text).map(|at| (at, "dates".to_owned())).ok_or_else(|| {
        format!("`{text}` is neither a number nor a date such as 2021-12-31 23:01:00")
    })
}

/// Parses a date, with or without a time of day and a zone (UTC without).
#[must_use]
pub fn parse_date(text: &str) -> Option<Nanos> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).ok().map(Nanos);
    }
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(jiff::civil::DateTime::from))
        .ok()?;
    let at = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i64::try_from(at.timestamp().as_nanosecond()).ok().map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_by_size() {
        for (text, unit) in [
            ("1514764800", "seconds"),
            ("1514764800000", "milliseconds"),
            ("1735689600000000", "microseconds"),
            ("1723161253937085768", "nanoseconds"),
            ("1514764800.5", "seconds"),
            ("2018-01-01 00:00:00.000000", "dates"),
            ("2018-01-01T00:00:00Z", "dates"),
            ("2018-01-01", "dates"),
        ] {
            let (at, told) = parse_time(text, None).unwrap();
            assert_eq!(told, unit, "{text}");
            assert!(at.0 > 1_500_000_000 * Nanos::SECOND, "{text}");
        }
        assert!(parse_time("42", None).is_err());
        assert!(parse_time("yesterday", None).is_err());
    }
}
