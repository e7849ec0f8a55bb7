//! The symbols that a file's rows name, by the order in which they come.

use std::collections::HashMap;

use crate::formats::cells::refused;
use crate::raw::RawSymbol;

/// No venue's symbol is longer; damaged text must not fill the memory.
const LONGEST: usize = 64;

/// Symbols with their indices.
#[derive(Default)]
pub(crate) struct Symbols {
    list: Vec<RawSymbol>,
    indices: HashMap<Box<[u8]>, u16>,
}

impl Symbols {
    /// Returns the symbol of a file that names it nowhere.
    pub(crate) fn of_file(symbol: &str) -> Self {
        Self { list: vec![RawSymbol::linear(symbol).unnamed()], indices: HashMap::new() }
    }

    /// Returns the index of a name, adding what `symbol` makes of it if it is new.
    pub(crate) fn index(
        &mut self,
        name: &[u8],
        symbol: impl FnOnce(&str) -> RawSymbol,
    ) -> Result<u16, String> {
        if let Some(index) = self.indices.get(name) {
            return Ok(*index);
        }
        let index = u16::try_from(self.list.len()).map_err(|_| "more than 65,536 symbols")?;
        let text = std::str::from_utf8(name).ok();
        let text = text.filter(|text| (1..=LONGEST).contains(&text.len()));
        let text = text.ok_or_else(|| refused("symbol", name, "is not a name"))?;
        self.list.push(symbol(text));
        self.indices.insert(name.into(), index);
        Ok(index)
    }

    pub(crate) fn list(&self) -> &[RawSymbol] {
        &self.list
    }

    pub(crate) fn list_mut(&mut self) -> &mut [RawSymbol] {
        &mut self.list
    }
}
