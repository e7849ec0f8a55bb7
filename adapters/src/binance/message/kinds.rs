//! What each kind of message needs of its fields.

use tercel_core::{Bar, Price, Quantity, Side};

use super::fields::{Fields, letter, text};
use super::{Grids, Message, Shapes};
use crate::book_sync::Change;
use crate::grid::Grid;
use crate::protocol::DecodeError;
use crate::scan::Cursor;

impl Shapes {
    #[inline]
    pub(super) fn message(&mut self, fields: &mut Fields<'_>) -> Result<Message, DecodeError> {
        let kind = match fields.find(b'e') {
            Some(mut cursor) => cursor.string().ok_or(DecodeError::Field("e"))?,
            None => return self.without_kind(fields),
        };
        match kind {
            b"depthUpdate" => self.depth(fields),
            b"trade" => self.trade(fields, b't'),
            b"aggTrade" => self.trade(fields, b'a'),
            b"bookTicker" => self.quote(fields),
            b"markPriceUpdate" => self.mark(fields),
            b"kline" => self.bar(fields),
            b"serverShutdown" => Ok(Message::Shutdown),
            _ => Err(DecodeError::UnknownMessage),
        }
    }

    fn without_kind(&mut self, fields: &mut Fields<'_>) -> Result<Message, DecodeError> {
        if fields.last_update_id != 0 {
            if fields.slot.is_none() {
                fields.slot = Some(self.streamed(fields)?);
            }
            self.later(fields, fields.bids, fields.asks)?;
            let mut last = Cursor::at(fields.bytes, fields.last_update_id as usize);
            return Ok(Message::Book {
                slot: fields.slot,
                last: last.unsigned().ok_or(DecodeError::Field("lastUpdateId"))?,
                at_ms: match fields.find(b'T') {
                    Some(_) => Some(fields.millis(b'T', "T")?),
                    None => None,
                },
            });
        }
        if fields.find(b'B').is_some() && fields.find(b'A').is_some() {
            return self.quote(fields);
        }
        let id = (fields.id != 0)
            .then(|| Cursor::at(fields.bytes, fields.id as usize).unsigned())
            .flatten();
        if fields.code != 0 {
            let code = Cursor::at(fields.bytes, fields.code as usize).number();
            let code = code.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
            return Ok(Message::Refused { id, code: code.ok_or(DecodeError::Field("code"))? });
        }
        id.map(|id| Message::Done { id }).ok_or(DecodeError::UnknownMessage)
    }

    #[inline]
    fn slot(&self, fields: &Fields<'_>) -> Result<(usize, &Grids), DecodeError> {
        let found = fields.slot.and_then(|slot| Some((slot, self.grids.get(slot)?)));
        found.ok_or_else(|| DecodeError::UnknownSymbol(fields.symbol()))
    }

    /// Returns the slot of the symbol that the stream's name begins with.
    fn streamed(&self, fields: &Fields<'_>) -> Result<usize, DecodeError> {
        let name = fields.stream.ok_or(DecodeError::UnknownMessage)?;
        let symbol = name.split(|byte| *byte == b'@').next().unwrap_or_default();
        let mut upper = text(symbol);
        upper.make_ascii_uppercase();
        self.symbols.place(upper.as_bytes()).ok_or(DecodeError::UnknownSymbol(upper))
    }

    /// Reads the levels that stood before the symbol.
    #[inline]
    fn later(&mut self, fields: &mut Fields<'_>, bids: u32, asks: u32) -> Result<(), DecodeError> {
        self.slot(fields)?;
        for (place, is_bids, has) in [(bids, true, fields.has_bids), (asks, false, fields.has_asks)]
        {
            if has {
                continue;
            }
            let name = if is_bids { "bids" } else { "asks" };
            if place == 0 {
                return Err(DecodeError::Field(name));
            }
            let mut cursor = Cursor::at(fields.bytes, place as usize);
            if self.side(&mut cursor, fields, is_bids).is_none() {
                return Err(DecodeError::Field(name));
            }
        }
        Ok(())
    }

    #[inline]
    fn depth(&mut self, fields: &mut Fields<'_>) -> Result<Message, DecodeError> {
        let (bids, asks) = (fields.places[letter(b'b')], fields.places[letter(b'a')]);
        self.later(fields, bids, asks)?;
        let (slot, grids) = self.slot(fields)?;
        let last = fields.unsigned(b'u', "u")?;
        // Transaction time where there is one: futures.
        let time = if fields.find(b'T').is_some() { b'T' } else { b'E' };
        let at_ms = fields.millis(time, "E")?;
        if grids.whole && fields.stream.is_some_and(is_whole) {
            return Ok(Message::Book { slot: Some(slot), last, at_ms: Some(at_ms) });
        }
        let prev = match fields.pu {
            0 => 0,
            place => Cursor::at(fields.bytes, place as usize)
                .unsigned()
                .ok_or(DecodeError::Field("pu"))?,
        };
        Ok(Message::Depth { slot, first: fields.unsigned(b'U', "U")?, last, prev, at_ms })
    }

    #[inline]
    fn trade(&self, fields: &Fields<'_>, id: u8) -> Result<Message, DecodeError> {
        let (slot, grids) = self.slot(fields)?;
        let is_buyer_maker = fields.cursor(b'm', "m")?.boolean().ok_or(DecodeError::Field("m"))?;
        Ok(Message::Trade {
            slot,
            id: fields.unsigned(id, "t")?,
            price: Price(fields.steps(b'p', "p", &grids.price)?),
            qty: Quantity(fields.steps(b'q', "q", &grids.qty)?),
            aggressor: if is_buyer_maker { Side::Sell } else { Side::Buy },
            at_ms: fields.millis(b'T', "T")?,
        })
    }

    #[inline]
    fn quote(&self, fields: &Fields<'_>) -> Result<Message, DecodeError> {
        let (slot, grids) = self.slot(fields)?;
        let side = |price, qty, names: (&'static str, &'static str)| {
            Ok(Change {
                price: Price(fields.steps(price, names.0, &grids.price)?),
                qty: Quantity(fields.steps(qty, names.1, &grids.qty)?),
            })
        };
        Ok(Message::Quote {
            slot,
            bid: side(b'b', b'B', ("b", "B"))?,
            ask: side(b'a', b'A', ("a", "A"))?,
            last: fields.unsigned(b'u', "u")?,
            at_ms: match fields.find(b'T') {
                Some(_) => Some(fields.millis(b'T', "T")?),
                None => None,
            },
        })
    }

    fn mark(&self, fields: &Fields<'_>) -> Result<Message, DecodeError> {
        let (slot, grids) = self.slot(fields)?;
        let parts = "0.000000000001".parse().ok().and_then(Grid::new);
        let parts = parts.ok_or(DecodeError::Field("r"))?;
        // Both are averages and finer than a tick. Contracts that are not perpetual have no rate.
        let is_rateless = fields.find(b'r').is_none_or(|mut r| r.string() == Some(b""));
        let rate_e12 = if is_rateless { 0 } else { fields.nearest(b'r', "r", &parts)? };
        Ok(Message::Mark {
            slot,
            mark: Price(fields.nearest(b'p', "p", &grids.price)?),
            index: Price(match fields.find(b'i') {
                Some(_) => fields.nearest(b'i', "i", &grids.price)?,
                None => 0,
            }),
            rate_e12,
            funding_ms: match fields.find(b'T') {
                Some(_) => fields.millis(b'T', "T")?,
                None => 0,
            },
            at_ms: fields.millis(b'E', "E")?,
        })
    }

    fn bar(&self, fields: &Fields<'_>) -> Result<Message, DecodeError> {
        let (slot, grids) = self.slot(fields)?;
        let mut inner = fields.cursor(b'k', "k")?;
        let mut kline = Fields { places: [0; 64], depth: 1, ..*fields };
        let read = inner.object(|key, cursor| {
            if let [key] = *key
                && key.is_ascii_alphabetic()
            {
                cursor.peek()?;
                kline.places[letter(key)] = u32::try_from(cursor.place()).ok()?;
            }
            cursor.skip()
        });
        read.ok_or(DecodeError::Field("k"))?;
        if !kline.cursor(b'x', "x")?.boolean().ok_or(DecodeError::Field("x"))? {
            return Ok(Message::OpenBar);
        }
        let interval = kline.cursor(b'i', "i")?.string().ok_or(DecodeError::Field("i"))?;
        Ok(Message::Bar {
            slot,
            interval_ms: interval_ms(interval).ok_or(DecodeError::Field("i"))?,
            bar: Bar {
                open: Price(kline.steps(b'o', "o", &grids.price)?),
                high: Price(kline.steps(b'h', "h", &grids.price)?),
                low: Price(kline.steps(b'l', "l", &grids.price)?),
                close: Price(kline.steps(b'c', "c", &grids.price)?),
                // A sum that may reach back before the lot was last changed.
                volume: Quantity(kline.nearest(b'v', "v", &grids.qty)?),
            },
            // The venue names the last millisecond of the bar.
            close_ms: kline.millis(b'T', "T")? + 1,
        })
    }
}

/// Returns whether a stream carries whole books: `@depth` with a number of levels.
pub(super) fn is_whole(stream: &[u8]) -> bool {
    let mut parts = stream.split(|byte| *byte == b'@').skip(1);
    parts.next().is_some_and(|part| {
        part.strip_prefix(b"depth").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
    })
}

/// Lengths of bars in minutes with their names.
pub(crate) const INTERVALS: [(u16, &str); 14] = [
    (1, "1m"),
    (3, "3m"),
    (5, "5m"),
    (15, "15m"),
    (30, "30m"),
    (60, "1h"),
    (120, "2h"),
    (240, "4h"),
    (360, "6h"),
    (480, "8h"),
    (720, "12h"),
    (1_440, "1d"),
    (4_320, "3d"),
    (10_080, "1w"),
];

fn interval_ms(name: &[u8]) -> Option<u32> {
    let found = INTERVALS.iter().find(|(_, own)| own.as_bytes() == name);
    found.map(|(minutes, _)| u32::from(*minutes) * 60_000)
}
