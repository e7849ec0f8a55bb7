//! Bytes of single values: the rules that every record is put together from.
//!
//! Whole numbers below 248 take one byte; larger ones a byte that says how many follow, then those,
//! little end first. Signed ones are folded first (0, -1, 1, -2 become 0, 1, 2, 3). Times take eight
//! bytes, as no time is short. Every value has exactly one encoding and decoding refuses every
//! other, so what decodes encodes to the same bytes again.

use std::sync::Arc;

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AssetId, ClientOrderId, InstrumentId, Nanos, Notional, PlotId, Price, Quantity, Seq,
    SeriesId, StrategyId, VenueId,
};

/// Bytes that are not an encoding of what was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct Malformed {
    /// Where, from the beginning of the record.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// What is left to decode.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(self.malformed("ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.malformed("ends too early"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { at: self.len - self.rest.len(), what }
    }
}

/// A value that has bytes.
pub(super) trait Wire: Sized {
    /// Appends the value's bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes a value's bytes off the front.
    fn take(input: &mut Input<'_>) -> Result<Self, Malformed>;
}

/// Numbers up to this one take a single byte; the eight tags above say how many bytes follow.
const SHORT_MAX: u8 = 247;

impl Wire for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.to_le_bytes();
        if *self <= Self::from(SHORT_MAX) {
            out.push(bytes[0]);
            return;
        }
        let n_bytes = n_bytes(*self);
        // Nine bytes are written whatever the number, then the idle ones are cut off: a copy of
        // fixed length is a store, one of variable length is a call.
        let mut tagged = [0; 9];
        tagged[0] = SHORT_MAX + n_bytes;
        tagged[1..].copy_from_slice(&bytes);
        let end = out.len() + 1 + usize::from(n_bytes);
        out.extend_from_slice(&tagged);
        out.truncate(end);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let tag = input.byte()?;
        if tag <= SHORT_MAX {
            return Ok(Self::from(tag));
        }
        let mut bytes = [0; 8];
        let taken = input.bytes(usize::from(tag - SHORT_MAX))?;
        bytes[..taken.len()].copy_from_slice(taken);
        let value = Self::from_le_bytes(bytes);
        if value <= Self::from(SHORT_MAX) || n_bytes(value) != tag - SHORT_MAX {
            return Err(input.malformed("a number longer than it need be"));
        }
        Ok(value)
    }
}

/// Bytes that a number takes without leading zeros; 0 for 0.
#[expect(clippy::cast_possible_truncation, reason = "at most eight")]
const fn n_bytes(value: u64) -> u8 {
    8 - (value.leading_zeros() / 8) as u8
}

macro_rules! narrow {
    ($($name:ty),+) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                u64::from(*self).put(out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
                let value = u64::take(input)?;
                Self::try_from(value).map_err(|_| input.malformed("a number out of range"))
            }
        }
    )+};
}
narrow!(u16, u32);

impl Wire for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let folded = u64::take(input)?;
        Ok((folded >> 1).cast_signed() ^ -((folded & 1).cast_signed()))
    }
}

impl Wire for i128 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self::from_le_bytes(input.array()?))
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(input.malformed("neither yes nor no")),
        }
    }
}

impl Wire for Nanos {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self(i64::from_le_bytes(input.array()?)))
    }
}

impl Wire for Decimal {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.serialize());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let bytes = input.array()?;
        // The library rounds and masks what it would not have written itself.
        let value = Self::deserialize(bytes);
        if value.serialize() == bytes { Ok(value) } else { Err(input.malformed("not a decimal")) }
    }
}

macro_rules! newtypes {
    ($($name:ident),+) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
                Wire::take(input).map(Self)
            }
        }
    )+};
}
newtypes!(
    AccountId,
    AssetId,
    ClientOrderId,
    InstrumentId,
    Notional,
    PlotId,
    Price,
    Quantity,
    Seq,
    SeriesId,
    StrategyId,
    VenueId
);

/// Appends a text's length and bytes.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    (bytes.len() as u64).put(out);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Malformed> {
    let len = u64::take(input)?;
    let len = usize::try_from(len).map_err(|_| input.malformed("ends too early"))?;
    input.bytes(len)
}

fn take_text<'a>(input: &mut Input<'a>) -> Result<&'a str, Malformed> {
    let bytes = take_bytes(input)?;
    std::str::from_utf8(bytes).map_err(|_| input.malformed("text that is not UTF-8"))
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        take_text(input).map(Self::from)
    }
}

impl Wire for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        take_text(input).map(Self::from)
    }
}

/// Bytes as they are, such as a snapshot's: a vector of numbers would be coded one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Blob(pub(super) Vec<u8>);

impl Wire for Blob {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(&self.0, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        take_bytes(input).map(|bytes| Self(bytes.to_vec()))
    }
}

impl Wire for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        input.array()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(if bool::take(input)? { Some(T::take(input)?) } else { None })
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        T::take(input).map(Self::new)
    }
}

impl<T: Wire> Wire for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        T::take(input).map(Self::new)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for item in self {
            item.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        // The claimed length reserves nothing: a damaged one must not take all memory.
        let n_items = u64::take(input)?;
        (0..n_items).map(|_| T::take(input)).collect()
    }
}

impl<T: Wire> Wire for Box<[T]> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for item in self {
            item.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Vec::take(input).map(Self::from)
    }
}

/// Writes both directions of a struct's encoding: its fields in this order.
macro_rules! wire_struct {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($field.put(out);)+
            }

            fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
                Ok(Self { $($field: Wire::take(input)?),+ })
            }
        }

        #[cfg(test)]
        impl $crate::journal::codec::sample::Sample for $name {
            fn sample(random: &mut tercel_testkit::Random) -> Self {
                Self { $($field: $crate::journal::codec::sample::Sample::sample(random)),+ }
            }
        }
    };
}

/// Writes both directions of an enum's encoding: a tag, then the fields in this order.
///
/// Tags are part of the format: they are never given to another variant.
macro_rules! wire_enum {
    ($name:ident {
        $($tag:literal => $variant:ident
            $({ $($field:ident),+ $(,)? })?
            $(( $($item:ident),+ ))?
        ),+ $(,)?
    }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),+ })? $(($($item),+))? => {
                        out.push($tag);
                        $($($field.put(out);)+)?
                        $($($item.put(out);)+)?
                    })+
                }
            }

            fn take(input: &mut Input<'_>) -> Result<Self, Malformed> {
                Ok(match input.byte()? {
                    $($tag => {
                        $($(let $field = Wire::take(input)?;)+)?
                        $($(let $item = Wire::take(input)?;)+)?
                        Self::$variant $({ $($field),+ })? $(($($item),+))?
                    })+
                    _ => return Err(input.malformed(concat!("no such ", stringify!($name)))),
                })
            }
        }

        #[cfg(test)]
        impl $crate::journal::codec::sample::Sample for $name {
            fn sample(random: &mut tercel_testkit::Random) -> Self {
                const TAGS: &[u8] = &[$($tag),+];
                match TAGS[random.index(TAGS.len())] {
                    $($tag => {
                        $($(let $field = $crate::journal::codec::sample::Sample::sample(random);)+)?
                        $($(let $item = $crate::journal::codec::sample::Sample::sample(random);)+)?
                        Self::$variant $({ $($field),+ })? $(($($item),+))?
                    })+
                    _ => unreachable!("a tag of the list"),
                }
            }
        }
    };
}

pub(super) use {wire_enum, wire_struct};
