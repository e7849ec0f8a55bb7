//! Where the fields of a message stand, and what is read there.

use crate::grid::Grid;
use crate::protocol::{DecodeError, VenueText};
use crate::scan::Cursor;

/// Where the fields of a message stand. A place is never zero, because a brace comes first.
pub(super) struct Fields<'a> {
    pub(super) bytes: &'a [u8],
    /// By letter: capitals from 1, small ones from 33.
    pub(super) places: [u32; 64],
    pub(super) stream: Option<&'a [u8]>,
    pub(super) slot: Option<usize>,
    pub(super) pu: u32,
    pub(super) last_update_id: u32,
    pub(super) bids: u32,
    pub(super) asks: u32,
    pub(super) id: u32,
    pub(super) code: u32,
    pub(super) has_bids: bool,
    pub(super) has_asks: bool,
    pub(super) depth: u8,
}

pub(super) const fn letter(byte: u8) -> usize {
    (byte & 63) as usize
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) fn find(&self, key: u8) -> Option<Cursor<'a>> {
        match self.places[letter(key)] {
            0 => None,
            place => Some(Cursor::at(self.bytes, place as usize)),
        }
    }

    #[inline]
    pub(super) fn cursor(&self, key: u8, name: &'static str) -> Result<Cursor<'a>, DecodeError> {
        self.find(key).ok_or(DecodeError::Field(name))
    }

    #[inline]
    pub(super) fn unsigned(&self, key: u8, name: &'static str) -> Result<u64, DecodeError> {
        self.cursor(key, name)?.unsigned().ok_or(DecodeError::Field(name))
    }

    #[inline]
    pub(super) fn millis(&self, key: u8, name: &'static str) -> Result<i64, DecodeError> {
        millis(self.unsigned(key, name)?, name)
    }

    #[inline]
    pub(super) fn steps(
        &self,
        key: u8,
        name: &'static str,
        grid: &Grid,
    ) -> Result<i64, DecodeError> {
        let mut cursor = self.cursor(key, name)?;
        let before = cursor;
        match cursor.steps(grid) {
            Some(steps) => Ok(steps),
            None => Err(off_grid(before, name, self)),
        }
    }

    #[inline]
    pub(super) fn nearest(
        &self,
        key: u8,
        name: &'static str,
        grid: &Grid,
    ) -> Result<i64, DecodeError> {
        let text = self.cursor(key, name)?.number().ok_or(DecodeError::Field(name))?;
        grid.nearest(text).ok_or(DecodeError::Field(name))
    }

    pub(super) fn symbol(&self) -> VenueText {
        self.find(b's').and_then(|mut cursor| cursor.string()).map_or_else(VenueText::new, text)
    }
}

/// Returns a time in milliseconds that can be a time: before the year 2200.
pub(super) fn millis(value: u64, name: &'static str) -> Result<i64, DecodeError> {
    const LATEST_MS: u64 = 7_258_118_400_000;
    i64::try_from(value).ok().filter(|_| value < LATEST_MS).ok_or(DecodeError::Field(name))
}

/// Tells a number that is not on the grid from what is no number.
#[cold]
fn off_grid(mut at: Cursor<'_>, field: &'static str, fields: &Fields<'_>) -> DecodeError {
    let whole = Grid::new(rust_decimal::Decimal::ONE);
    match at.number() {
        Some(number) if whole.is_some_and(|whole| whole.floor(number).is_some()) => {
            DecodeError::OffGrid { field, value: text(number), symbol: fields.symbol() }
        }
        _ => DecodeError::Field(field),
    }
}

/// Returns as much of a text as fits.
pub(super) fn text(bytes: &[u8]) -> VenueText {
    let mut short = VenueText::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        if short.try_push(c).is_err() {
            break;
        }
    }
    short
}
