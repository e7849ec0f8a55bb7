//! From a symbol in a message to the place of what belongs to it.

/// Places by symbol, looked up once per message: one multiplication and, as a rule, one probe.
#[derive(Clone, Debug)]
pub(crate) struct SymbolTable {
    names: Vec<Box<[u8]>>,
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
        let mut table =
            Self { cells: vec![0; (names.len() * 2).next_power_of_two().max(2)].into(), names };
        for idx in 0..table.names.len() {
            if table.place(&table.names[idx]).is_some() {
                continue;
            }
            let mut cell = table.cell(&table.names[idx]);
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
        let mut cell = self.cell(symbol);
        loop {
            let idx = usize::from(self.cells[cell]).checked_sub(1)?;
            if *self.names[idx] == *symbol {
                return Some(idx);
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
    }

    #[inline]
    fn cell(&self, symbol: &[u8]) -> usize {
        // Both ends, overlapping where the symbol is short.
        let ends = match (symbol.first_chunk(), symbol.last_chunk()) {
            (Some(head), Some(tail)) => {
                u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*tail))
            }
            _ => symbol.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let middle = symbol.get(4).copied().map_or(0, u64::from);
        let mixed = (ends ^ middle << 24).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        // Below 2^32 and masked to the table.
        usize::try_from(mixed).unwrap_or_default() & (self.cells.len() - 1)
    }
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
        }
        for name in ["", "A", "A1USD", "A700USDT", "B1USDT"] {
            assert_eq!(table.place(name.as_bytes()), None);
        }
        assert_eq!(SymbolTable::new([]).place(b"X"), None);
    }
}
