//! One pass over a message whose fields may stand in any order.

use tercel_core::{Price, Quantity};

use super::fields::{Fields, letter};
use super::{Message, OffGrid, Shapes};
use crate::book_sync::Change;
use crate::protocol::DecodeError;
use crate::scan::Cursor;

impl Shapes {
    #[inline]
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        slot: Option<usize>,
    ) -> Result<Message, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        if cursor.peek() != Some(b'{') {
            return Err(DecodeError::UnknownMessage);
        }
        self.off = OffGrid::default();
        let mut fields = Fields {
            bytes,
            places: [0; 64],
            stream: None,
            slot,
            pu: 0,
            last_update_id: 0,
            bids: 0,
            asks: 0,
            id: 0,
            code: 0,
            has_bids: false,
            has_asks: false,
            depth: 0,
        };
        let read = cursor.object(|key, cursor| self.field(key, cursor, &mut fields));
        if read.is_none() || !cursor.is_at_end() {
            return Err(DecodeError::Syntax { at: cursor.place(), what: "a message" });
        }
        self.message(&mut fields)
    }

    /// Notes where a field stands and passes over it.
    #[inline]
    fn field<'a>(
        &mut self,
        key: &'a [u8],
        cursor: &mut Cursor<'a>,
        fields: &mut Fields<'a>,
    ) -> Option<()> {
        let first = cursor.peek()?;
        let place = u32::try_from(cursor.place()).ok()?;
        match *key {
            [letter_key] if letter_key.is_ascii_alphabetic() => {
                let noted = &mut fields.places[letter(letter_key)];
                if std::mem::replace(noted, place) != 0 {
                    return None;
                }
                match letter_key {
                    b's' if first == b'"' && fields.slot.is_none() => {
                        fields.slot = self.symbols.place(cursor.string()?);
                        Some(())
                    }
                    b'b' if first == b'[' => self.side(cursor, fields, true),
                    b'a' if first == b'[' => self.side(cursor, fields, false),
                    _ => cursor.skip(),
                }
            }
            [b'p', b'u'] => note(&mut fields.pu, place, cursor),
            _ => self.long_field(key, first, place, cursor, fields),
        }
    }

    fn long_field<'a>(
        &mut self,
        key: &'a [u8],
        first: u8,
        place: u32,
        cursor: &mut Cursor<'a>,
        fields: &mut Fields<'a>,
    ) -> Option<()> {
        match key {
            b"stream" if first == b'"' => {
                let name = cursor.string()?;
                if fields.stream.replace(name).is_some() {
                    return None;
                }
                Some(())
            }
            b"data" if first == b'{' && fields.depth == 0 => {
                fields.depth = 1;
                cursor.object(|key, cursor| self.field(key, cursor, fields))
            }
            b"lastUpdateId" => note(&mut fields.last_update_id, place, cursor),
            b"id" => note(&mut fields.id, place, cursor),
            b"code" => note(&mut fields.code, place, cursor),
            b"error" if first == b'{' && fields.depth == 0 => {
                fields.depth = 1;
                cursor.object(|key, cursor| match key {
                    b"code" => {
                        let place = u32::try_from(cursor.place()).ok()?;
                        note(&mut fields.code, place, cursor)
                    }
                    _ => cursor.skip(),
                })
            }
            b"bids" => {
                fields.bids = place;
                self.side(cursor, fields, true)
            }
            b"asks" => {
                fields.asks = place;
                self.side(cursor, fields, false)
            }
            _ => cursor.skip(),
        }
    }

    /// Reads a side's levels if the instrument is known by now; else they are read later.
    #[inline]
    pub(super) fn side(
        &mut self,
        cursor: &mut Cursor<'_>,
        fields: &mut Fields<'_>,
        is_bids: bool,
    ) -> Option<()> {
        let Some(grids) = fields.slot.and_then(|slot| self.grids.get(slot)) else {
            return cursor.skip();
        };
        let (levels, has) = if is_bids {
            (&mut self.bids, &mut fields.has_bids)
        } else {
            (&mut self.asks, &mut fields.has_asks)
        };
        if std::mem::replace(has, true) {
            return None;
        }
        levels.clear();
        let off = &mut self.off;
        cursor.levels(&grids.price, &grids.qty, |price, qty| match price {
            Some(price) => levels.push(Change { price: Price(price), qty: Quantity(qty) }),
            None => off.count(qty),
        })
    }
}

/// Notes a place once and passes over the value.
fn note(noted: &mut u32, place: u32, cursor: &mut Cursor<'_>) -> Option<()> {
    if std::mem::replace(noted, place) != 0 {
        return None;
    }
    cursor.skip()
}
