//! Cells of a line.

use crate::decimal::Dec;

/// Splits a line without quoted commas: prices and times need none, and splitting is then free of
/// allocation.
pub(crate) struct Cells<'a, const N: usize> {
    cells: [&'a [u8]; N],
    pub(crate) len: usize,
}

impl<'a, const N: usize> Cells<'a, N> {
    /// Splits at most `N` cells at commas; `len` counts all there are.
    pub(crate) fn split(line: &'a [u8]) -> Self {
        Self::split_by(line, b',')
    }

    /// Splits at most `N` cells; `len` counts all there are.
    pub(crate) fn split_by(line: &'a [u8], separator: u8) -> Self {
        let mut cells: [&[u8]; N] = [&[]; N];
        let mut len = 0;
        let mut start = 0;
        for end in memchr::memchr_iter(separator, line).chain([line.len()]) {
            if len < N {
                cells[len] = trim(&line[start..end]);
            }
            len += 1;
            start = end + 1;
        }
        Self { cells, len }
    }

    /// Returns a cell, empty beyond the end.
    pub(crate) fn get(&self, n: usize) -> &'a [u8] {
        self.cells.get(n).copied().unwrap_or_default()
    }

    /// Returns a decimal cell.
    pub(crate) fn decimal(&self, n: usize, what: &str) -> Result<Dec, String> {
        let cell = self.get(n);
        Dec::parse(cell).ok_or_else(|| refused(what, cell, "is not a decimal number"))
    }

    /// Returns a decimal cell that must not be negative.
    pub(crate) fn amount(&self, n: usize, what: &str) -> Result<Dec, String> {
        let value = self.decimal(n, what)?;
        if value.mantissa < 0 {
            return Err(refused(what, self.get(n), "is negative"));
        }
        Ok(value)
    }

    /// Returns a cell of digits.
    pub(crate) fn whole(&self, n: usize, what: &str) -> Result<u64, String> {
        let cell = self.get(n);
        let value = crate::decimal::parse_u64(cell);
        value.ok_or_else(|| refused(what, cell, "is not a whole number"))
    }

    /// Returns a cell of `true` or `false` in any case; nothing else is taken for either.
    pub(crate) fn boolean(&self, n: usize, what: &str) -> Result<bool, String> {
        let cell = self.get(n);
        if cell.eq_ignore_ascii_case(b"true") {
            Ok(true)
        } else if cell.eq_ignore_ascii_case(b"false") {
            Ok(false)
        } else {
            Err(refused(what, cell, "is neither true nor false"))
        }
    }
}

/// Says why a cell is refused.
pub(crate) fn refused(what: &str, cell: &[u8], why: &str) -> String {
    format!("{what} `{}` {why}", String::from_utf8_lossy(&cell[..cell.len().min(40)]))
}

fn trim(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii();
    match cell {
        [b'"', inner @ .., b'"'] => inner,
        _ => cell,
    }
}
