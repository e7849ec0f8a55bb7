//! Reading JSON of an expected shape in one pass, without a tree and without allocating.
//!
//! Everything returns `None` where the text is not of the expected kind, escapes in strings
//! included; a caller then takes the long way, [`Normaliser`](crate::normal::Normaliser).

use crate::digits::{behind_digits, first_of, whole, word};
use crate::grid::Grid;

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    /// How long the whole text is.
    n_bytes: usize,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { n_bytes: bytes.len(), rest: bytes }
    }

    pub(crate) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { n_bytes: bytes.len(), rest: bytes.get(at..).unwrap_or_default() }
    }

    /// Returns the place.
    pub(crate) const fn place(&self) -> usize {
        self.n_bytes - self.rest.len()
    }

    /// Returns what is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Skips white space and returns the byte behind it without taking it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let (&byte, behind) = self.rest.split_first()?;
            if byte > b' ' {
                return Some(byte);
            }
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return None;
            }
            self.rest = behind;
        }
    }

    /// Takes a byte that was seen.
    #[inline]
    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Takes `byte`, white space before it included.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.step();
        Some(())
    }

    /// Returns whether only white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none() && self.rest.is_empty()
    }

    /// Takes a string and returns what is between its quotes.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let (text, behind) = rest_of_string(self.rest)?;
        self.rest = behind;
        Some(text)
    }

    /// Takes a number, bare or in quotes, and returns its text.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<&'a [u8]> {
        if self.peek()? == b'"' {
            return self.string();
        }
        let text = self.rest;
        self.rest = behind_digits(text);
        while let [b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E', behind @ ..] = self.rest {
            self.rest = behind;
        }
        let n = text.len() - self.rest.len();
        (n > 0).then(|| &text[..n])
    }

    /// Takes a whole number that is not negative, bare or in quotes.
    #[inline]
    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        if let Some((value, behind)) = whole(self.rest)
            && matches!(behind.first(), Some(b',' | b'}'))
        {
            self.rest = behind;
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
        self.peek()?;
        if let [b'"', number @ ..] = self.rest
            && let Some((steps, behind)) = grid.quick(number)
        {
            self.rest = behind;
            return Some(steps);
        }
        let start = self.rest;
        let steps = grid.steps(self.number()?);
        if steps.is_none() {
            // For whoever tells what was wrong.
            self.rest = start;
        }
        steps
    }

    /// Takes `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        self.peek()?;
        let (value, behind) = match self.rest {
            [b't', b'r', b'u', b'e', behind @ ..] => (true, behind),
            [b'f', b'a', b'l', b's', b'e', behind @ ..] => (false, behind),
            _ => return None,
        };
        self.rest = behind;
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

    /// Takes a price and a quantity in any form that numbers have.
    #[inline(never)]
    fn level(&mut self, price: &Grid, qty: &Grid) -> Option<(Option<i64>, i64)> {
        let price = self.price(price)?;
        self.take(b',')?;
        Some((price, self.floored(qty)?))
    }

    /// Takes levels for as long as they are on their grids, in quotes and without white space; of
    /// those that another follows, with its opening bracket. Returns whether the last one taken
    /// still has to be closed.
    #[inline]
    fn plain_levels(
        &mut self,
        price: &Grid,
        qty: &Grid,
        each: &mut impl FnMut(Option<i64>, i64),
    ) -> bool {
        let mut rest = self.rest;
        while let Some((price, qty, behind)) = plain_level(rest, price, qty) {
            each(Some(price), qty);
            match behind.strip_prefix(b"],[") {
                Some(next) => rest = next,
                None => {
                    self.rest = behind;
                    return true;
                }
            }
        }
        self.rest = rest;
        false
    }

    /// Takes `[[price, qty], …]` and hands each pair to `each`.
    ///
    /// Orders outlive a change of the grid that they were placed on, so levels off the grid are
    /// handed out without a price, and quantities are rounded towards zero.
    #[inline(never)]
    pub(crate) fn levels(
        &mut self,
        price: &Grid,
        qty: &Grid,
        mut each: impl FnMut(Option<i64>, i64),
    ) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.step();
            return Some(());
        }
        loop {
            self.take(b'[')?;
            if !self.plain_levels(price, qty, &mut each) {
                let (price, qty) = self.level(price, qty)?;
                each(price, qty);
            }
            self.take(b']')?;
            match self.peek()? {
                b',' => self.step(),
                b']' => {
                    self.step();
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
                self.rest = self.rest.strip_prefix(b"null")?;
                Some(())
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
            self.step();
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
            self.step();
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            each(key, self)?;
            match self.peek()? {
                b',' => self.step(),
                b'}' => {
                    self.step();
                    return Some(());
                }
                _ => return None,
            }
        }
    }
}

/// Returns what is left of a string whose opening quote was taken, without its closing one, and what
/// is behind that; `None` if there is an escape in it.
#[inline]
pub(crate) fn rest_of_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while let Some(word) = word(text, at) {
        if let Some(n) = first_of(word, b'"', b'\\') {
            at += n;
            break;
        }
        at += 8;
    }
    // Where it was found, or among the last bytes, which are no word.
    loop {
        match text.get(at)? {
            b'"' => return Some((&text[..at], &text[at + 1..])),
            b'\\' => return None,
            _ => at += 1,
        }
    }
}

/// Returns a price and a quantity that are both on their grids, in quotes and without white space,
/// and what is behind them; `None` if they are written otherwise.
#[expect(clippy::inline_always, reason = "it is most of what there is to do")]
#[inline(always)]
fn plain_level<'a>(text: &'a [u8], price: &Grid, qty: &Grid) -> Option<(i64, i64, &'a [u8])> {
    let (price, text) = price.quick(text.strip_prefix(b"\"")?)?;
    let (qty, text) = qty.quick(text.strip_prefix(b",\"")?)?;
    Some((price, qty, text))
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
