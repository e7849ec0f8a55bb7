//! From a symbol in a message to the place of what belongs to it.

use crate::digits::{first, word};

/// Places by symbol, looked up once per message: one multiplication and, as a rule, one probe.
#[derive(Clone, Debug)]
pub(crate) struct SymbolTable {
    names: Vec<Box<[u8]>>,
    /// The same names as numbers, so that comparing two is two instructions.
    keys: Vec<[u64; 2]>,
    /// One more than an index of `names`; zero is a free cell. A power of two long, at most half
    /// full.
    cells: Box<[u16]>,
}

impl SymbolTable {
    /// Returns the table of these symbols, whose places are their indices. Of symbols that occur
    /// twice the first counts, and of more than 65,534 the first ones.
    pub(crate) fn new<'a>(symbols: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<Box<[u8]>> =
            symbols.into_iter().take(65_534).map(|name| name.as_bytes().into()).collect();
        let mut table = Self {
            cells: vec![0; (names.len() * 2).next_power_of_two().max(2)].into(),
            keys: names.iter().map(|name| key(name)).collect(),
            names,
        };
        for idx in 0..table.names.len() {
            if table.place(&table.names[idx]).is_some() {
                continue;
            }
            let mut cell = table.cell(table.keys[idx]);
            while table.cells[cell] != 0 {
                cell = (cell + 1) & (table.cells.len() - 1);
            }
            table.cells[cell] = u16::try_from(idx + 1).unwrap_or(u16::MAX);
        }
        table
    }

    /// Returns the place of a symbol. Does not allocate.
    #[inline]
    pub(crate) fn place(&self, symbol: &[u8]) -> Option<usize> {
        let mut cell = self.cell(key(symbol));
        loop {
            let idx = usize::from(self.cells[cell]).checked_sub(1)?;
            if *self.names[idx] == *symbol {
                return Some(idx);
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
    }

    /// Returns the place of the symbol that a text begins with, whose opening quote was taken, and
    /// what is behind its closing one. `None` also for symbols that [`place`](Self::place) has to
    /// look up: those longer than fifteen bytes or at the text's very end.
    #[inline]
    pub(crate) fn quick_place<'a>(&self, text: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let window = text.first_chunk::<16>()?;
        let (low, high) = (word(window, 0)?, word(window, 8)?);
        let (n, low, high) = match first(low, b'"') {
            Some(n) => (n, low & !(u64::MAX << (8 * n)), 0),
            None => {
                let n = first(high, b'"')?;
                (8 + n, low, high & !(u64::MAX << (8 * n)))
            }
        };
        let key = [low, high | (n as u64) << 56];
        let mut cell = self.cell(key);
        loop {
            let idx = usize::from(self.cells[cell]).checked_sub(1)?;
            if self.keys[idx] == key {
                return Some((idx, &text[n + 1..]));
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
    }

    #[inline]
    fn cell(&self, [low, high]: [u64; 2]) -> usize {
        let mixed = (low ^ high.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        // Below 2^32 and masked to the table.
        usize::try_from(mixed).unwrap_or_default() & (self.cells.len() - 1)
    }
}

/// Returns a name as two numbers: its first fifteen bytes, and above them its length. No two names
/// of up to fifteen bytes have the same one.
fn key(name: &[u8]) -> [u64; 2] {
    // A text with an escape in it never is this name, although its bytes may be the same.
    let n = if name.contains(&b'\\') { u64::from(u8::MAX) } else { name.len().min(255) as u64 };
    let mut words = [0, n << 56];
    for (idx, byte) in name.iter().take(15).enumerate() {
        words[idx / 8] |= u64::from(*byte) << (8 * (idx % 8));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_is_found_and_no_other() {
        let names: Vec<String> = (0..700).map(|n| format!("A{n}USDT")).collect();
        let table = SymbolTable::new(names.iter().map(String::as_str));
        for (idx, name) in names.iter().enumerate() {
            assert_eq!(table.place(name.as_bytes()), Some(idx));
            let text = format!("\"{name}\",\"and what comes behind\"");
            let behind = &text.as_bytes()[name.len() + 2..];
            assert_eq!(table.quick_place(&text.as_bytes()[1..]), Some((idx, behind)));
        }
        for name in ["", "A", "A1USD", "A700USDT", "B1USDT"] {
            assert_eq!(table.place(name.as_bytes()), None);
            let text = format!("\"{name}\",\"and what comes behind\"");
            assert_eq!(table.quick_place(&text.as_bytes()[1..]), None);
        }
        assert_eq!(SymbolTable::new([]).place(b"X"), None);
    }

    #[test]
    fn long_symbols_are_looked_up_by_their_text() {
        let names = ["A_LONGER_NAME_1", "A_LONGER_NAME_12", "A_LONGER_NAME_123", "B\\"];
        let table = SymbolTable::new(names);
        for (idx, name) in names.iter().enumerate() {
            assert_eq!(table.place(name.as_bytes()), Some(idx));
            let text = format!("{name}\",\"and what comes behind\"");
            let quick = table.quick_place(text.as_bytes());
            assert_eq!(quick, (idx == 0).then_some((0, &text.as_bytes()[16..])));
        }
    }
}
