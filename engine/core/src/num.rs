//! Fixed-point values: prices in ticks, quantities in lots, money in 1e-18 units, time in nanoseconds.
//!
//! Nothing here knows an instrument: [`crate::Instrument`] converts between these and decimals.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// A price as a count of an instrument's ticks. May be negative (spreads, some futures).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Price(pub i64);

/// A quantity as a count of an instrument's lots. Signed where it is a position, else not negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Quantity(pub i64);

/// An amount of money in units of 1e-18 of the quote currency.
///
/// The scale is fine enough that tick times lot is a whole number for every venue known, and the
/// range (±1.7e20) holds a billion bitcoin in rials.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Notional(pub i128);

/// A point in time: nanoseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub i64);

/// The number of an event in a run. Orders replay; timestamps never do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(pub u64);

impl Quantity {
    /// No quantity.
    pub const ZERO: Self = Self(0);

    /// Returns the absolute value, saturating at the type's maximum.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// Returns whether this is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Notional {
    /// Units in one whole unit of currency.
    pub const ONE: i128 = 1_000_000_000_000_000_000;
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Returns the absolute value, saturating.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// Returns `part` of `whole` of the amount, rounded toward zero: all of it for the whole, nothing
    /// if there is no whole.
    pub(crate) fn share(self, part: i64, whole: i64) -> Self {
        if part == 0 || whole == 0 {
            return Self::ZERO;
        }
        let (part, whole) = (i128::from(part), i128::from(whole));
        // Where the product does not fit, what the division loses is nothing beside the amount.
        let rounded = || (self.0 / whole).saturating_mul(part);
        Self(self.0.checked_mul(part).map_or_else(rounded, |product| product / whole))
    }
}

impl Nanos {
    /// One microsecond in nanoseconds.
    pub const MICRO: i64 = 1_000;
    /// One millisecond in nanoseconds.
    pub const MILLI: i64 = 1_000_000;
    /// One second in nanoseconds.
    pub const SECOND: i64 = 1_000_000_000;
    /// One minute in nanoseconds.
    pub const MINUTE: i64 = 60 * Self::SECOND;
    /// One UTC day in nanoseconds.
    pub const DAY: i64 = 86_400 * Self::SECOND;

    /// Returns the number of the UTC day that this moment lies in (days since 1970-01-01).
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(Self::DAY)
    }

    /// Returns this moment moved by `span_ns` nanoseconds, saturating at the ends of time.
    #[must_use]
    pub const fn plus(self, span_ns: i64) -> Self {
        Self(self.0.saturating_add(span_ns))
    }

    /// Returns the nanoseconds from `earlier` to this moment, negative if it lies later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The side of an order or of a book: a buy rests on the bid side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// Buyer, bid.
    Buy,
    /// Seller, ask.
    Sell,
}

impl Side {
    /// Returns the other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// Returns 1 for a buy and -1 for a sell.
    #[must_use]
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }

    /// Returns `buy` or `sell`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    /// Returns whether `price` is at least as aggressive as `limit` for this side's taker: a buy
    /// at 101 crosses an ask of 100.
    #[must_use]
    pub const fn crosses(self, price: Price, limit: Price) -> bool {
        match self {
            Self::Buy => price.0 >= limit.0,
            Self::Sell => price.0 <= limit.0,
        }
    }
}

macro_rules! additive {
    ($($name:ident),+) => {$(
        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }
        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }
        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }
    )+};
}

// Sums of quantities and money that passed the risk checks are far inside their ranges; ranges are
// checked where values enter (`Instrument::price`, `Instrument::quantity`, `Instrument::notional`).
additive!(Price, Quantity, Notional);

macro_rules! display_inner {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}
display_inner!(Price, Quantity, Nanos, Seq);

impl fmt::Display for Notional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let one = Self::ONE.unsigned_abs();
        let (whole, part) = (units / one, units % one);
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{part:018}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notional_prints_as_a_decimal() {
        assert_eq!(Notional(1_500_000_000_000_000_000).to_string(), "1.5");
        assert_eq!(Notional(-Notional::ONE).to_string(), "-1");
        assert_eq!(Notional(-1).to_string(), "-0.000000000000000001");
    }

    #[test]
    fn days_start_at_utc_midnight_before_and_after_the_epoch() {
        assert_eq!(Nanos(Nanos::DAY - 1).day(), 0);
        assert_eq!(Nanos(Nanos::DAY).day(), 1);
        assert_eq!(Nanos(-1).day(), -1);
    }
}
