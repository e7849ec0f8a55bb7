//! Typed parameters with bounds: one declaration for validation, forms and optimizers.

use std::fmt;
use std::sync::Arc;

use tercel_core::Value;

use crate::error::ScriptError;
use crate::{names, number};

/// A declared parameter.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// Its type with default and bounds.
    pub kind: ParamKind,
    /// What it means; may be empty.
    pub doc: String,
}

/// Type, default and bounds of a parameter. The default lies within the bounds.
#[derive(Clone, PartialEq, Debug)]
pub enum ParamKind {
    /// A whole number.
    Integer {
        /// Value without override.
        default: i64,
        /// Smallest value, if bounded.
        min: Option<i64>,
        /// Largest value, if bounded.
        max: Option<i64>,
    },
    /// A finite number.
    Number {
        /// Value without override.
        default: f64,
        /// Smallest value, if bounded.
        min: Option<f64>,
        /// Largest value, if bounded.
        max: Option<f64>,
    },
    /// True or false.
    Boolean {
        /// Value without override.
        default: bool,
    },
    /// Any text.
    Text {
        /// Value without override.
        default: String,
    },
    /// One of a list of texts.
    Choice {
        /// Value without override.
        default: String,
        /// What can be chosen.
        choices: Vec<String>,
    },
}

/// A parameter's value.
#[derive(Clone, PartialEq, Debug)]
pub enum ParamValue {
    /// Of an integer parameter.
    Integer(i64),
    /// Of a number parameter.
    Number(f64),
    /// Of a boolean parameter.
    Boolean(bool),
    /// Of a text or choice parameter.
    Text(String),
}

/// The values of all parameters of a script, in the order of their declaration.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ParamValues(Vec<(String, ParamValue)>);

impl ParamValues {
    pub(crate) fn parse<'a>(
        specs: &[ParamSpec],
        overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ScriptError> {
        let mut values = Self::defaults(specs);
        for (name, text) in overrides {
            let fail = |message| ScriptError::Param { name: name.to_owned(), message };
            let Some(idx) = specs.iter().position(|spec| spec.name == name) else {
                let known = specs.iter().map(|spec| spec.name.as_str());
                return Err(fail(names::unknown("name", name, known)));
            };
            values.0[idx].1 = specs[idx].kind.parse(text).map_err(fail)?;
        }
        Ok(values)
    }

    /// Returns the values that others are with some of them changed, as the engine carries them.
    pub(crate) fn of<'a>(
        specs: &[ParamSpec],
        changes: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<Self, ScriptError> {
        let mut values = Self::defaults(specs);
        for (name, value) in changes {
            let fail = |message| ScriptError::Param { name: name.to_owned(), message };
            let Some(idx) = specs.iter().position(|spec| spec.name == name) else {
                let known = specs.iter().map(|spec| spec.name.as_str());
                return Err(fail(names::unknown("name", name, known)));
            };
            values.0[idx].1 = ParamValue::of(value)
                .filter(|value| specs[idx].kind.accepts(value))
                .ok_or_else(|| fail(format!("expected {}, got {value:?}", specs[idx].kind)))?;
        }
        Ok(values)
    }

    /// Returns the values without overrides.
    #[must_use]
    pub fn defaults(specs: &[ParamSpec]) -> Self {
        Self(specs.iter().map(|spec| (spec.name.clone(), spec.kind.default_value())).collect())
    }

    /// Returns a parameter's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ParamValue> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Takes new values of some parameters. What is none of them is left out: who sends values has
    /// checked them.
    pub(crate) fn set(&mut self, values: &[(Arc<str>, Value)]) {
        for (name, value) in values {
            let own = self.0.iter_mut().find(|(known, _)| **known == **name);
            if let (Some((_, own)), Some(value)) = (own, ParamValue::of(value)) {
                *own = value;
            }
        }
    }

    /// Returns names and values in the order of their declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParamValue)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl ParamValue {
    /// Returns the value as the engine carries it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Integer(value) => Value::Integer(*value),
            Self::Number(value) => Value::Float(value.to_bits()),
            Self::Boolean(value) => Value::Bool(*value),
            Self::Text(value) => Value::Text(value.clone()),
        }
    }

    /// Returns the parameter's value that the engine carries; `None` for nothing.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Nil => return None,
            Value::Bool(value) => Self::Boolean(*value),
            Value::Integer(value) => Self::Integer(*value),
            Value::Float(bits) => Self::Number(f64::from_bits(*bits)),
            Value::Text(value) => Self::Text(value.clone()),
        })
    }
}

impl ParamKind {
    /// Returns the type's name as scripts write it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Integer { .. } => "integer",
            Self::Number { .. } => "number",
            Self::Boolean { .. } => "boolean",
            Self::Text { .. } => "text",
            Self::Choice { .. } => "choice",
        }
    }

    /// Returns the value without override.
    #[must_use]
    pub fn default_value(&self) -> ParamValue {
        match self {
            Self::Integer { default, .. } => ParamValue::Integer(*default),
            Self::Number { default, .. } => ParamValue::Number(*default),
            Self::Boolean { default } => ParamValue::Boolean(*default),
            Self::Text { default } | Self::Choice { default, .. } => {
                ParamValue::Text(default.clone())
            }
        }
    }

    /// Returns the value that a text means.
    ///
    /// # Errors
    ///
    /// A message that says what is accepted, if it is none of this type or out of its bounds.
    pub fn parse(&self, text: &str) -> Result<ParamValue, String> {
        let wrong = || format!("expected {self}, got \"{text}\"");
        let value = match self {
            Self::Integer { .. } => ParamValue::Integer(text.parse().map_err(|_| wrong())?),
            Self::Number { .. } => ParamValue::Number(text.parse().map_err(|_| wrong())?),
            Self::Boolean { .. } => ParamValue::Boolean(text.parse().map_err(|_| wrong())?),
            Self::Text { .. } | Self::Choice { .. } => ParamValue::Text(text.to_owned()),
        };
        if self.accepts(&value) { Ok(value) } else { Err(wrong()) }
    }

    /// Returns whether a value has this type and lies within its bounds.
    #[must_use]
    pub fn accepts(&self, value: &ParamValue) -> bool {
        match (self, value) {
            (Self::Integer { min, max, .. }, ParamValue::Integer(value)) => {
                number::whole(number::float(*value)) == Some(*value)
                    && min.is_none_or(|min| *value >= min)
                    && max.is_none_or(|max| *value <= max)
            }
            (Self::Number { min, max, .. }, ParamValue::Number(value)) => {
                value.is_finite()
                    && min.is_none_or(|min| *value >= min)
                    && max.is_none_or(|max| *value <= max)
            }
            (Self::Boolean { .. }, ParamValue::Boolean(_))
            | (Self::Text { .. }, ParamValue::Text(_)) => true,
            (Self::Choice { choices, .. }, ParamValue::Text(value)) => choices.contains(value),
            _ => false,
        }
    }
}

impl fmt::Display for ParamKind {
    /// Writes what values are accepted: `a whole number from 1 to 200`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min, max, .. } => {
                f.write_str("a whole number")?;
                bounds(f, min.as_ref(), max.as_ref())
            }
            Self::Number { min, max, .. } => {
                f.write_str("a number")?;
                bounds(f, min.as_ref(), max.as_ref())
            }
            Self::Boolean { .. } => f.write_str("true or false"),
            Self::Text { .. } => f.write_str("text"),
            Self::Choice { choices, .. } => write!(f, "one of {}", choices.join(", ")),
        }
    }
}

fn bounds<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    min: Option<&T>,
    max: Option<&T>,
) -> fmt::Result {
    match (min, max) {
        (Some(min), Some(max)) => write!(f, " from {min} to {max}"),
        (Some(min), None) => write!(f, " of at least {min}"),
        (None, Some(max)) => write!(f, " of at most {max}"),
        (None, None) => Ok(()),
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<ParamSpec> {
        let spec = |name: &str, kind| ParamSpec { name: name.to_owned(), kind, doc: String::new() };
        vec![
            spec("fast", ParamKind::Integer { default: 5, min: Some(1), max: Some(200) }),
            spec("quantity", ParamKind::Number { default: 0.1, min: Some(0.0), max: None }),
            spec("hedge", ParamKind::Boolean { default: false }),
            spec(
                "mode",
                ParamKind::Choice {
                    default: "calm".to_owned(),
                    choices: vec!["calm".to_owned(), "bold".to_owned()],
                },
            ),
        ]
    }

    fn error(name: &str, value: &str) -> String {
        ParamValues::parse(&specs(), [(name, value)]).unwrap_err().to_string()
    }

    #[test]
    fn overrides_replace_defaults() {
        let overrides = [("fast", "7"), ("quantity", "0.25"), ("hedge", "true"), ("mode", "bold")];
        let values = ParamValues::parse(&specs(), overrides).unwrap();
        let shown: Vec<_> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["fast=7", "quantity=0.25", "hedge=true", "mode=bold"]);
        let defaults = ParamValues::parse(&specs(), []).unwrap();
        assert_eq!(defaults.get("fast"), Some(&ParamValue::Integer(5)));
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        assert_eq!(
            error("fast", "0"),
            "parameter fast: expected a whole number from 1 to 200, got \"0\""
        );
        assert_eq!(
            error("fast", "5.5"),
            "parameter fast: expected a whole number from 1 to 200, got \"5.5\""
        );
        assert_eq!(
            error("quantity", "inf"),
            "parameter quantity: expected a number of at least 0, got \"inf\""
        );
        assert_eq!(
            error("mode", "wild"),
            "parameter mode: expected one of calm, bold, got \"wild\""
        );
        assert_eq!(
            error("fats", "5"),
            "parameter fats: unknown name \"fats\", did you mean \"fast\"? \
             known: fast, quantity, hedge, mode"
        );
    }
}
