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

/// Reads the times of one file, which are all in one unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    unit: Option<TimeUnit>,
    /// Whether the unit was given: then no size is doubted.
    is_given: bool,
    /// What the times were found to be.
    told: Option<&'static str>,
}

impl Times {
    /// Returns the reader of times of this unit, or of the one that the first time's size tells.
    pub(crate) const fn new(unit: Option<TimeUnit>) -> Self {
        Self { unit, is_given: unit.is_some(), told: None }
    }

    /// Returns what the times were found to be.
    pub(crate) fn told(&self) -> Option<String> {
        self.told.map(str::to_owned)
    }

    /// Converts a whole number.
    pub(crate) fn whole(&mut self, time: i64) -> Result<Nanos, String> {
        let refuse = |why: &str| format!("time `{time}` {why}");
        let seen = TimeUnit::of(time);
        if !self.is_given
            && let (Some(unit), Some(seen)) = (self.unit, seen)
            && unit != seen
        {
            let why = format!("is not in {}, as the file's times are", unit.as_str());
            return Err(refuse(&why));
        }
        let unit = self
            .unit
            .or(seen)
            .ok_or_else(|| refuse("is in no unit that its size tells; say it with --time-unit"))?;
        self.unit = Some(unit);
        self.told = Some(unit.as_str());
        unit.to_nanos(time).ok_or_else(|| refuse("is out of range"))
    }

    /// Parses a whole number, a number of seconds with a fraction, or a date such as
    /// `2021-12-31 23:01:00.5` or `2021-12-31T23:01:00Z`, which is UTC unless it says otherwise.
    pub(crate) fn parse(&mut self, cell: &[u8]) -> Result<Nanos, String> {
        let text = std::str::from_utf8(cell).map_err(|_| "the time is not text")?;
        let text = text.trim().trim_matches('"');
        if let Ok(number) = text.parse::<i64>() {
            return self.whole(number);
        }
        if let Some(seconds) = crate::decimal::Dec::parse(text.as_bytes()) {
            let nano = crate::grid::Step::new(rust_decimal::Decimal::new(1, 9));
            let nanos = nano.and_then(|nano| nano.count(seconds));
            self.told = Some("seconds");
            return nanos.map(Nanos).ok_or_else(|| format!("time `{text}` is out of range"));
        }
        self.told = Some("dates");
        parse_date(text).ok_or_else(|| {
            crate::formats::cells::refused(
                "time",
                text.as_bytes(),
                "is neither a number nor a date such as 2021-12-31 23:01:00",
            )
        })
    }
}

/// Parses a date, with or without a time of day and a zone (UTC without). A `D` may stand between
/// date and time, as in BitMEX's files.
#[must_use]
pub fn parse_date(text: &str) -> Option<Nanos> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).ok().map(Nanos);
    }
    let spaced;
    let text = match text.split_once('D') {
        Some((date, time)) => {
            spaced = format!("{date}T{time}");
            &spaced
        }
        None => text,
    };
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
            let mut times = Times::new(None);
            let at = times.parse(text.as_bytes()).unwrap();
            assert_eq!(times.told().unwrap(), unit, "{text}");
            assert!(at.0 > 1_500_000_000 * Nanos::SECOND, "{text}");
        }
        assert!(Times::new(None).parse(b"42").is_err());
        assert!(Times::new(None).parse(b"yesterday").is_err());
    }

    #[test]
    fn a_file_keeps_its_unit_unless_it_was_given() {
        let mut times = Times::new(None);
        times.whole(1_567_965_420_391).unwrap();
        assert_eq!(
            times.whole(1_567_965_420_391_000).unwrap_err(),
            "time `1567965420391000` is not in milliseconds, as the file's times are"
        );
        let mut given = Times::new(Some(TimeUnit::Seconds));
        assert_eq!(given.parse(b"42"), Ok(Nanos(42 * Nanos::SECOND)));
        assert!(given.parse(b"1567965420391000").unwrap_err().contains("out of range"));
    }

    #[test]
    fn a_letter_may_stand_between_date_and_time() {
        assert_eq!(
            parse_date("2019-01-01D00:00:00.123456789"),
            parse_date("2019-01-01T00:00:00.123456789Z")
        );
        assert!(parse_date("2019-01-01D00:00:00.123456789").is_some());
    }
}
