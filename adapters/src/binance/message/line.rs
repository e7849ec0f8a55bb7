//! A text of a known form, taken from its beginning.

use super::fields::millis;
use crate::digits::{behind_digits, thirteen, whole};
use crate::grid::Grid;
use crate::scan::rest_of_string;
use crate::symbols::SymbolTable;

/// What is left of a text. Nothing is taken by what says that something else stands there.
#[derive(Clone, Copy)]
pub(super) struct Line<'a>(pub(super) &'a [u8]);

impl<'a> Line<'a> {
    /// Takes these bytes if they are next.
    #[inline]
    pub(super) fn has<const N: usize>(&mut self, expected: &[u8; N]) -> bool {
        match self.0.split_first_chunk::<N>() {
            Some((found, rest)) if found == expected => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    #[inline]
    pub(super) fn expect<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        self.has(expected).then_some(())
    }

    /// Takes what `read` reads from the beginning.
    #[inline]
    fn read<T>(&mut self, read: impl FnOnce(&'a [u8]) -> Option<(T, &'a [u8])>) -> Option<T> {
        let (value, rest) = read(self.0)?;
        self.0 = rest;
        Some(value)
    }

    #[inline]
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        self.read(whole)
    }

    /// Takes a time in milliseconds. It has had thirteen digits since 2001 and has until 2286.
    #[inline]
    pub(super) fn time(&mut self) -> Option<i64> {
        millis(self.read(thirteen)?, "").ok()
    }

    /// Passes over a time.
    #[inline]
    pub(super) fn pass_time(&mut self) -> Option<()> {
        self.read(thirteen).map(|_| ())
    }

    /// Passes over a whole number of up to fifteen digits: of longer ones not every reader knows what
    /// they are.
    #[inline]
    pub(super) fn pass_number(&mut self) -> Option<()> {
        let rest = behind_digits(self.0);
        let n = self.0.len() - rest.len();
        self.0 = rest;
        (1..16).contains(&n).then_some(())
    }

    /// Takes the rest of a string, whose opening quote was taken, with its closing quote.
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        self.read(rest_of_string)
    }

    /// Takes the rest of a number in quotes, the opening one of which was taken.
    #[inline]
    pub(super) fn steps(&mut self, grid: &Grid) -> Option<i64> {
        self.read(|text| grid.quick(text))
    }

    /// Takes the rest of a symbol, whose opening quote was taken.
    #[inline]
    pub(super) fn slot(&mut self, symbols: &SymbolTable) -> Option<usize> {
        self.read(|text| symbols.quick_place(text))
    }

    #[inline]
    pub(super) fn boolean(&mut self) -> Option<bool> {
        if self.has(b"true") {
            return Some(true);
        }
        self.expect(b"false")?;
        Some(false)
    }

    /// Takes what futures have at the end of a message, which tells nothing of use.
    #[inline]
    pub(super) fn pass_end(&mut self) -> Option<()> {
        if self.0.first() == Some(&b'}') {
            return Some(());
        }
        if self.has(b",\"st\":") {
            self.pass_number()?;
        }
        if self.has(b",\"ps\":\"") {
            self.text()?;
        }
        Some(())
    }
}
