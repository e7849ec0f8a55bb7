//! A column of a batch, whatever its type, read as what is wanted of it.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float32Array, Float64Array,
    Int64Array, StringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int64Type, TimeUnit as ArrowUnit,
    UInt64Type,
};
use tercel_core::Nanos;

use crate::decimal::Dec;
use crate::grid::Floats;
use crate::time::{TimeUnit, Times};

/// The values of a column.
pub(super) enum Values {
    Decimal(Decimal128Array, u8),
    Double(Float64Array),
    Single(Float32Array),
    Whole(Int64Array),
    Unsigned(UInt64Array),
    Flag(BooleanArray),
    Text(StringArray),
    Time(Int64Array, TimeUnit),
}

impl Values {
    /// Takes a column; the error says why its type has no use here.
    pub(super) fn of(name: &str, array: &ArrayRef) -> Result<Self, String> {
        use DataType as Type;
        let ty = array.data_type();
        let as_type = |ty: &Type| {
            let refused = |error| format!("column `{name}` of {}: {error}", array.data_type());
            cast(array, ty).map_err(refused)
        };
        Ok(match ty {
            Type::Decimal32(_, scale)
            | Type::Decimal64(_, scale)
            | Type::Decimal128(_, scale)
            | Type::Decimal256(_, scale) => {
                let places = u8::try_from(*scale).ok().filter(|places| *places <= 38);
                let places =
                    places.ok_or_else(|| format!("column `{name}` has a scale of {scale}"))?;
                let values = as_type(&Type::Decimal128(38, *scale))?;
                Self::Decimal(values.as_primitive::<Decimal128Type>().clone(), places)
            }
            Type::Float64 => Self::Double(array.as_primitive::<Float64Type>().clone()),
            Type::Float16 | Type::Float32 => {
                Self::Single(as_type(&Type::Float32)?.as_primitive::<Float32Type>().clone())
            }
            Type::UInt64 => Self::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            ty if ty.is_integer() => {
                Self::Whole(as_type(&Type::Int64)?.as_primitive::<Int64Type>().clone())
            }
            Type::Boolean => Self::Flag(array.as_boolean().clone()),
            Type::Utf8 | Type::LargeUtf8 | Type::Utf8View | Type::Dictionary(..) => {
                Self::Text(as_type(&Type::Utf8)?.as_string::<i32>().clone())
            }
            Type::Timestamp(unit, _) => {
                let unit = match unit {
                    ArrowUnit::Second => TimeUnit::Seconds,
                    ArrowUnit::Millisecond => TimeUnit::Millis,
                    ArrowUnit::Microsecond => TimeUnit::Micros,
                    ArrowUnit::Nanosecond => TimeUnit::Nanos,
                };
                Self::Time(as_type(&Type::Int64)?.as_primitive::<Int64Type>().clone(), unit)
            }
            Type::Date32 | Type::Date64 => {
                let millis = cast(&as_type(&Type::Date64)?, &Type::Int64);
                let millis = millis.map_err(|error| format!("column `{name}`: {error}"))?;
                Self::Time(millis.as_primitive::<Int64Type>().clone(), TimeUnit::Millis)
            }
            other => return Err(format!("column `{name}` has type {other}, which is not read")),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Decimal(array, _) => array,
            Self::Double(array) => array,
            Self::Single(array) => array,
            Self::Whole(array) | Self::Time(array, _) => array,
            Self::Unsigned(array) => array,
            Self::Flag(array) => array,
            Self::Text(array) => array,
        }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row)
    }

    /// Returns the value as text, for what is read as in text formats.
    pub(super) fn text(&self, row: usize) -> Option<String> {
        if self.is_null(row) {
            return None;
        }
        Some(match self {
            Self::Decimal(array, _) => array.value_as_string(row),
            Self::Double(array) => array.value(row).to_string(),
            Self::Single(array) => array.value(row).to_string(),
            Self::Whole(array) | Self::Time(array, _) => array.value(row).to_string(),
            Self::Unsigned(array) => array.value(row).to_string(),
            Self::Flag(array) => array.value(row).to_string(),
            Self::Text(array) => array.value(row).to_owned(),
        })
    }

    /// Returns a name; `None` where it is no text.
    pub(super) fn name(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(array) if !array.is_null(row) => Some(array.value(row)),
            _ => None,
        }
    }

    /// Returns a decimal; floats are read as `floats` says.
    pub(super) fn decimal(&self, row: usize, what: &str, floats: &Floats) -> Result<Dec, String> {
        if self.is_null(row) {
            return Err(format!("{what} is null"));
        }
        let decimal = match self {
            Self::Decimal(array, scale) => shortest(array.value(row), *scale),
            Self::Double(array) => floats.decimal(array.value(row)),
            // The shortest text of a single has no noise of its own.
            Self::Single(array) => Dec::parse(array.value(row).to_string().as_bytes()),
            Self::Whole(array) => Some(Dec::whole(array.value(row))),
            Self::Unsigned(array) => i64::try_from(array.value(row)).ok().map(Dec::whole),
            Self::Text(array) => Dec::parse(array.value(row).as_bytes()),
            Self::Flag(_) | Self::Time(..) => None,
        };
        decimal.ok_or_else(|| {
            let text = self.text(row).unwrap_or_default();
            format!("{what} `{text}` is not a decimal number of 64 bits and 18 decimals")
        })
    }

    /// Returns a time.
    pub(super) fn time(&self, row: usize, times: &mut Times) -> Result<Nanos, String> {
        if self.is_null(row) {
            return Err("the time is null".to_owned());
        }
        match self {
            Self::Time(array, unit) => {
                let at = unit.to_nanos(array.value(row));
                at.ok_or_else(|| format!("time `{}` is out of range", array.value(row)))
            }
            Self::Whole(array) => times.whole(array.value(row)),
            _ => times.parse(self.text(row).unwrap_or_default().as_bytes()),
        }
    }

    /// Returns the unit of a type that has one.
    pub(super) const fn unit(&self) -> Option<TimeUnit> {
        match self {
            Self::Time(_, unit) => Some(*unit),
            _ => None,
        }
    }

    /// Returns a whole number; `None` where it is none.
    pub(super) fn whole(&self, row: usize) -> Option<u64> {
        if self.is_null(row) {
            return None;
        }
        match self {
            Self::Unsigned(array) => Some(array.value(row)),
            Self::Whole(array) => u64::try_from(array.value(row)).ok(),
            Self::Text(array) => crate::decimal::parse_u64(array.value(row).as_bytes()),
            _ => None,
        }
    }

    /// Returns a truth value; `None` where it is none.
    pub(super) fn flag(&self, row: usize) -> Option<bool> {
        match self {
            Self::Flag(array) if !array.is_null(row) => Some(array.value(row)),
            Self::Text(array) if !array.is_null(row) => match array.value(row) {
                text if text.eq_ignore_ascii_case("true") => Some(true),
                text if text.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Takes zeros off the end, so that a wide column's values fit.
fn shortest(mut mantissa: i128, mut scale: u8) -> Option<Dec> {
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    Some(Dec { mantissa: i64::try_from(mantissa).ok()?, scale }).filter(|dec| dec.scale <= 18)
}
