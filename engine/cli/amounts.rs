//! Amounts in configurations: decimals in quotes, of the sign and size that they can have.

use std::fmt;

use rust_decimal::Decimal;
use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Reads an amount from 0 on: a decimal in quotes, or a whole number. A fraction without quotes would be
/// read as a float and mean another amount than the one that is written.
pub(crate) fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    let amount = from.deserialize_any(Amount)?;
    let is_sound = !amount.is_sign_negative() || amount.is_zero();
    is_sound.then_some(amount).ok_or_else(|| D::Error::custom("must not be below 0"))
}

/// As [`amount`], for amounts that may be absent.
pub(crate) fn some_amount<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
    amount(from).map(Some)
}

/// Reads a loss that is one too many: above 0, as any other is reached before anything was traded.
pub(crate) fn some_loss<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
    let loss = from.deserialize_any(Amount)?;
    if loss <= Decimal::ZERO {
        return Err(D::Error::custom(
            "must be above 0, or it is reached before anything is traded; leave it out for no limit",
        ));
    }
    Ok(Some(loss))
}

/// Reads a fee as a fraction of the notional; what is below 0 is paid by the venue.
pub(crate) fn fee<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    let fee = from.deserialize_any(Amount)?;
    if fee.abs() > FEE_MAX {
        return Err(D::Error::custom(format!(
            "must be a fraction of the notional from -{FEE_MAX} to {FEE_MAX}; 0.1 percent is \"0.001\""
        )));
    }
    Ok(fee)
}

/// As [`fee`], for fees that may be absent.
pub(crate) fn some_fee<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
    fee(from).map(Some)
}

/// Far above what any venue asks, and below what a fee in percent would be.
const FEE_MAX: Decimal = Decimal::from_parts(5, 0, 0, false, 2);

struct Amount;

impl Visitor<'_> for Amount {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number in quotes, such as \"0.1\"")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Decimal, E> {
        Ok(Decimal::from(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
        Decimal::from_str_exact(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
