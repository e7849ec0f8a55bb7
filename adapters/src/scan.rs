//! Reading JSON of an expected shape in one pass, without a tree and without allocating.
//!
//! Everything returns `None` where the text is not of the expected kind, escapes in strings
//! included; a caller then takes the long way, [`Normaliser`](crate::normal::Normaliser).

use crate::grid::{Grid, behind_digits, first_of, whole, word};

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) const fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Returns the place.
    pub(crate) const fn place(&self) -> usize {
        self.at
    }

    /// Skips white space and returns the byte behind it without taking it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' {
                return Some(byte);
            }
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return None;
            }
            self.at += 1;
        }
    }

    /// Takes `byte`, white space before it included.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Returns whether only white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none() && self.at == self.bytes.len()
    }

    /// Takes a string and returns what is between its quotes.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        self.rest_of_string()
    }

    /// Takes what is left of a string whose opening quote was taken, and returns it without its
    /// closing one.
    #[inline]
    pub(crate) fn rest_of_string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let end = self.closing_quote()?;
        self.at = end + 1;
        Some(&self.bytes[start..end])
    }

    /// Returns the place of the quote that ends the string; `None` if there is an escape before it.
    #[inline]
    fn closing_quote(&self) -> Option<usize> {
        let mut at = self.at;
        while let Some(word) = word(self.bytes, at) {
            if let Some(n) = first_of(word, b'"', b'\\') {
                let end = at + n;
                return (self.bytes[end] == b'"').then_some(end);
            }
            at += 8;
        }
        loop {
            match *self.bytes.get(at)? {
                b'"' => return Some(at),
                b'\\' => return None,
                _ => at += 1,
            }
        }
    }

    /// Takes a number, bare or in quotes, and returns its text.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<&'a [u8]> {
        if self.peek()? == b'"' {
            return self.string();
        }
        let start = self.at;
        self.at = behind_digits(self.bytes, start);
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E' => self.at += 1,
                _ => break,
            }
        }
        (self.at > start).then(|| &self.bytes[start..self.at])
    }

    /// Takes a whole number that is not negative, bare or in quotes.
    #[inline]
    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        if let Some((value, end)) = whole(self.bytes, self.at)
            && matches!(self.bytes.get(end), Some(b',' | b'}'))
        {
            self.at = end;
            return Some(value);
        }
        let text = self.number()?;
        let mut value: u64 = 0;
        for byte in text {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        }
        (!text.is_empty()).then_some(value)
    }

    /// Takes a number, bare or in quotes, as steps of a grid.
    #[inline]
    pub(crate) fn steps(&mut self, grid: &Grid) -> Option<i64> {
        if self.peek()? == b'"'
            && let Some((steps, end)) = grid.quick(self.bytes, self.at + 1)
        {
            self.at = end;
            return Some(steps);
        }
        let start = self.at;
        let steps = grid.steps(self.number()?);
        if steps.is_none() {
            // For whoever tells what was wrong.
            self.at = start;
        }
        steps
    }

    /// Takes `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        self.peek()?;
        let rest = &self.bytes[self.at..];
        let (value, n) = match rest {
            [b't', b'r', b'u', b'e', ..] => (true, 4),
            [b'f', b'a', b'l', b's', b'e', ..] => (false, 5),
            _ => return None,
        };
        self.at += n;
        Some(value)
    }

    /// Takes a number, bare or in quotes; inside is nothing if it is not on the grid.
    #[inline]
    fn price(&mut self, grid: &Grid) -> Option<Option<i64>> {
        match self.steps(grid) {
            Some(steps) => Some(Some(steps)),
            None => {
                // That it is a number at all is the condition.
                grid.floor(self.number()?)?;
                Some(None)
            }
        }
    }

    /// Takes a number, bare or in quotes, as steps of a grid, rounded towards zero.
    #[inline]
    fn floored(&mut self, grid: &Grid) -> Option<i64> {
        match self.steps(grid) {
            Some(steps) => Some(steps),
            None => grid.floor(self.number()?),
        }
    }

    /// Takes a price and a quantity that are both on their grids, in quotes and without white
    /// space; nothing is taken if they are written otherwise.
    #[inline]
    fn quick_level(&mut self, price: &Grid, qty: &Grid) -> Option<(i64, i64)> {
        if *self.bytes.get(self.at)? != b'"' {
            return None;
        }
        let (price, end) = price.quick(self.bytes, self.at + 1)?;
        if self.bytes.get(end..end + 2)? != b",\"" {
            return None;
        }
        let (qty, end) = qty.quick(self.bytes, end + 2)?;
        self.at = end;
        Some((price, qty))
    }

    /// Takes `[[price, qty], …]` and hands each pair to `each`.
    ///
    /// Orders outlive a change of the grid that they were placed on, so levels off the grid are
    /// handed out without a price, and quantities are rounded towards zero.
    #[inline]
    pub(crate) fn levels(
        &mut self,
        price: &Grid,
        qty: &Grid,
        mut each: impl FnMut(Option<i64>, i64),
    ) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        self.take(b'[')?;
        loop {
            match self.quick_level(price, qty) {
                Some((px, size)) => each(Some(px), size),
                None => {
                    let px = self.price(price)?;
                    self.take(b',')?;
                    each(px, self.floored(qty)?);
                }
            }
            // With the quote, which is left: four bytes are one comparison.
            if self.bytes.get(self.at..self.at + 4) == Some(b"],[\"") {
                self.at += 3;
                continue;
            }
            self.take(b']')?;
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    self.take(b'[')?;
                }
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Takes any value.
    #[inline]
    pub(crate) fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => self.skip_nested(),
            b't' | b'f' => self.boolean().map(|_| ()),
            b'n' => {
                let is_null = self.bytes[self.at..].starts_with(b"null");
                self.at += 4;
                is_null.then_some(())
            }
            _ => self.number().map(|_| ()),
        }
    }

    /// Takes an object or an array, looking at its brackets only: what is in it is not needed.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => {
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Takes an object, giving each key with a cursor at its value to `each`, which takes it.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            each(key, self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_kinds_are_skipped() {
        let text = br#" [ {"a":[1,"]}",null,{"b":true}]} , -1.5e3 , false ] x"#;
        let mut cursor = Cursor::new(text);
        cursor.skip().unwrap();
        assert_eq!(cursor.peek(), Some(b'x'));
    }

    #[test]
    fn strings_with_escapes_are_for_others() {
        assert_eq!(Cursor::new(br#""a\"b""#).string(), None);
        assert_eq!(Cursor::new(br#""a much longer string \u0041""#).string(), None);
        assert_eq!(Cursor::new(br#""a much longer string, plain""#).string().unwrap().len(), 27);
        assert_eq!(Cursor::new(br#""never ended"#).string(), None);
    }

    #[test]
    fn levels_may_be_spaced_and_bare() {
        let grid = Grid::new("0.01".parse().unwrap()).unwrap();
        let mut got = Vec::new();
        let text = br#"[ ["1.5" , 2], [1e1,"0.03"],["4","5.00"],["0.001","1.009"] ]"#;
        Cursor::new(text).levels(&grid, &grid, |px, qty| got.push((px, qty))).unwrap();
        assert_eq!(got, [(Some(150), 200), (Some(1_000), 3), (Some(400), 500), (None, 100)]);
    }
}
