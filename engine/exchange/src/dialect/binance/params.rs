//! A request's parameters, from a query, a form or a JSON object.

use serde_json::{Map, Value};

use crate::dialect::binance::error::ApiError;
use crate::fixed::{Fixed, FixedError};

/// Names and values, decoded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

const DECIMAL: &str = "^([0-9]{1,20})(\\.[0-9]{1,20})?$";

impl Params {
    /// Reads query and body. A name that both have keeps the query's value.
    pub(super) fn from_query(query: &str, body: &str) -> Result<Self, ApiError> {
        let mut params = Self::default();
        for part in query.split('&').chain(body.split('&')).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let illegal = || ApiError::new(-1100, "Illegal characters found in a parameter.");
            let name = percent_decode(name).ok_or_else(illegal)?;
            let value = percent_decode(value).ok_or_else(illegal)?;
            // A name such as `list[0]` stands for an item of a list.
            if params.get(&name).is_none() {
                params.0.push((name, value));
            }
        }
        Ok(params)
    }

    /// Reads the members of an object; lists and objects stay JSON.
    pub(super) fn from_json(object: &Map<String, Value>) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let given = object.iter().filter(|(_, value)| !value.is_null());
        Self(given.map(|(name, value)| (name.clone(), text(value))).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Returns a parameter that may be missing but not empty.
    pub(super) fn optional(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            Some("") => Err(ApiError::new(-1105, format!("Parameter '{name}' was empty."))),
            found => Ok(found),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    pub(super) fn fixed(&self, name: &str) -> Result<Option<Fixed>, ApiError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        match Fixed::parse(text) {
            Ok(number) if number < Fixed::ZERO => Err(illegal(name, DECIMAL)),
            Ok(number) => Ok(Some(number)),
            Err(FixedError::Malformed) => Err(illegal(name, DECIMAL)),
            Err(FixedError::Precision) => {
                Err(ApiError::new(-1111, format!("Parameter '{name}' has too much precision.")))
            }
            Err(FixedError::Overflow) => {
                Err(ApiError::new(-1108, format!("Parameter '{name}' overflowed.")))
            }
        }
    }

    /// Returns a positive number that must be there.
    pub(super) fn required_fixed(&self, name: &str) -> Result<Fixed, ApiError> {
        match self.fixed(name)? {
            Some(number) if number.is_positive() => Ok(number),
            Some(_) => Err(ApiError::new(-1013, format!("Invalid {name}."))),
            None => Err(ApiError::missing(name)),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| illegal(name, "^[0-9]{1,20}$"))
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool, ApiError> {
        match self.optional(name)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(illegal(name, "true|false")),
        }
    }

    /// Returns a number of results to give: the default where none is asked for, at most `most`.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, ApiError> {
        let asked = self.integer("limit")?;
        let Some(asked) = asked else { return Ok(default) };
        match usize::try_from(asked) {
            Ok(n) if n > 0 => Ok(n.min(most)),
            _ => Err(ApiError::new(-1130, "Data sent for parameter 'limit' is not valid.")),
        }
    }

    /// Returns a list of JSON texts, such as `["BTCUSDT","BNBBTC"]`.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| {
            illegal(name, "^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$")
        })
    }
}

pub(super) fn illegal(name: &str, range: &str) -> ApiError {
    ApiError::new(
        -1100,
        format!("Illegal characters found in parameter '{name}'; legal range is '{range}'."),
    )
}

/// Decodes `%41` and `+`; `None` for broken escapes or what is no UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let hex = rest.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
                rest = &rest[2..];
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_wins_over_the_body() {
        let params = Params::from_query("symbol=A&price=1", "price=2&quantity=3").unwrap();
        assert_eq!(params.get("price"), Some("1"));
        assert_eq!(params.get("quantity"), Some("3"));
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(percent_decode("a%20b+c%EF%BC%91").as_deref(), Some("a b c１"));
        assert_eq!(percent_decode("%G1"), None);
        assert_eq!(percent_decode("%1"), None);
        assert_eq!(percent_decode("%FF"), None);
    }

    #[test]
    fn numbers_are_refused_in_the_venues_words() {
        let params = Params::from_query("a=1e5&b=0.123456789&c=&d=-1", "").unwrap();
        let codes = ["a", "b", "c", "d"].map(|name| params.fixed(name).unwrap_err().code);
        assert_eq!(codes, [-1100, -1111, -1105, -1100]);
        assert_eq!(params.required_fixed("e").unwrap_err().code, -1102);
    }
}
