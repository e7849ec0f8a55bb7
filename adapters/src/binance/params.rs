//! Parameters of a request, and the three ways in which they are written.

use rust_decimal::Decimal;

use crate::percent;

/// Parameters by name. One is used over and over; nothing is allocated once it has grown.
#[derive(Clone, Debug, Default)]
pub struct Params {
    text: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    name: &'static str,
    start: usize,
    end: usize,
    /// Whether JSON has it without quotes.
    is_bare: bool,
}

impl Params {
    /// Returns none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all, keeping the allocation.
    pub fn clear(&mut self) {
        self.text.clear();
        self.items.clear();
    }

    /// Adds a text.
    pub fn text(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.add(name, false, |text| text.extend_from_slice(value.as_bytes()))
    }

    /// Adds a whole number.
    pub fn number(&mut self, name: &'static str, value: i64) -> &mut Self {
        self.add(name, true, |text| push_units(i128::from(value), 0, text))
    }

    /// Adds a decimal number, which JSON has in quotes.
    pub fn decimal(&mut self, name: &'static str, value: Decimal) -> &mut Self {
        self.add(name, false, |text| push_units(value.mantissa(), value.scale(), text))
    }

    /// Adds a truth value; JSON has it in quotes, as the venue's own clients do.
    pub fn boolean(&mut self, name: &'static str, value: bool) -> &mut Self {
        self.text(name, if value { "true" } else { "false" })
    }

    /// Adds an order's number if it is one, which JSON has bare, else a text.
    pub fn id(&mut self, name: &'static str, value: &str) -> &mut Self {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        self.add(name, is_number, |text| text.extend_from_slice(value.as_bytes()))
    }

    fn add(
        &mut self,
        name: &'static str,
        is_bare: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> &mut Self {
        let start = self.text.len();
        write(&mut self.text);
        self.items.push(Item { name, start, end: self.text.len(), is_bare });
        self
    }

    /// Returns the names with the raw values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.items.iter().map(|item| (item.name, &self.text[item.start..item.end]))
    }

    /// Appends `name=value&…` in order, values percent-encoded.
    pub(crate) fn push_query(&self, out: &mut Vec<u8>) {
        for (idx, (name, value)) in self.iter().enumerate() {
            if idx > 0 {
                out.push(b'&');
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            percent::push(value, out);
        }
    }

    /// Puts the parameters in the order of their names.
    pub(crate) fn sort(&mut self) {
        // Few, and mostly in order: insertion is quicker than anything clever.
        for idx in 1..self.items.len() {
            let mut at = idx;
            while at > 0 && self.items[at - 1].name > self.items[at].name {
                self.items.swap(at - 1, at);
                at -= 1;
            }
        }
    }

    /// Appends `name=value&…` in order, values as they are: what the WebSocket API signs.
    pub(crate) fn push_raw(&self, out: &mut Vec<u8>) {
        for (idx, (name, value)) in self.iter().enumerate() {
            if idx > 0 {
                out.push(b'&');
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }

    /// Appends `"name":"value",…` in order.
    pub(crate) fn push_json(&self, out: &mut Vec<u8>) {
        for (idx, item) in self.items.iter().enumerate() {
            if idx > 0 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(item.name.as_bytes());
            out.extend_from_slice(b"\":");
            let value = &self.text[item.start..item.end];
            if item.is_bare {
                out.extend_from_slice(value);
            } else {
                push_string(value, out);
            }
        }
    }
}

/// Appends a text as a JSON string.
pub(crate) fn push_string(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    // Looked at as a whole first, many bytes at a time: nearly nothing that is said needs an
    // escape.
    let is_plain = |byte: &u8| (*byte > 0x1f) & (*byte != b'"') & (*byte != b'\\');
    if value.iter().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.extend_from_slice(value);
        out.push(b'"');
        return;
    }
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..=0x1f => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', DIGITS[high], DIGITS[low]]);
            }
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// Appends `units` times ten to the minus `scale` without needless zeros.
pub(crate) fn push_units(units: i128, scale: u32, out: &mut Vec<u8>) {
    if units < 0 {
        out.push(b'-');
    }
    let mut scale = usize::try_from(scale).unwrap_or(0);
    let mut wide = units.unsigned_abs();
    while u64::try_from(wide).is_err() && scale > 0 && wide.is_multiple_of(10) {
        wide /= 10;
        scale -= 1;
    }
    let Ok(mut units) = u64::try_from(wide) else {
        // Nothing that is ordered has more than nineteen digits.
        let value = Decimal::try_from_i128_with_scale(
            i128::try_from(wide).unwrap_or(i128::MAX),
            u32::try_from(scale).unwrap_or(0),
        );
        out.extend_from_slice(value.unwrap_or_default().normalize().to_string().as_bytes());
        return;
    };
    while scale > 0 && units.is_multiple_of(10) {
        units /= 10;
        scale -= 1;
    }
    let mut text = [b'0'; 48];
    let mut at = text.len();
    let mut n_digits = 0;
    while units > 0 || n_digits <= scale {
        if n_digits == scale && scale > 0 {
            at -= 1;
            text[at] = b'.';
        }
        at -= 1;
        // The remainder is below ten.
        text[at] = b'0' + u8::try_from(units % 10).unwrap_or(0);
        units /= 10;
        n_digits += 1;
    }
    out.extend_from_slice(&text[at..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_set_is_written_three_ways() {
        let mut params = Params::new();
        params.text("symbol", "１\"").number("timestamp", 17).boolean("b", true);
        params.decimal("price", "0.10".parse().unwrap());
        assert_eq!(
            text(|out| params.push_query(out)),
            "symbol=%EF%BC%91%22&timestamp=17&b=true&price=0.1"
        );
        params.sort();
        assert_eq!(text(|out| params.push_raw(out)), "b=true&price=0.1&symbol=１\"&timestamp=17");
        assert_eq!(
            text(|out| params.push_json(out)),
            r#""b":"true","price":"0.1","symbol":"１\"","timestamp":17"#
        );
    }

    proptest! {
        #[test]
        fn decimals_are_written_as_they_are(units in any::<i64>(), scale in 0_u32..28) {
            let value = Decimal::from_i128_with_scale(i128::from(units), scale);
            let got = text(|out| push_units(value.mantissa(), value.scale(), out));
            prop_assert_eq!(got, value.normalize().to_string());
        }
    }
}
