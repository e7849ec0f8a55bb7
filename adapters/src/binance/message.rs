//! Market messages of Binance, from bytes to ticks.
//!
//! What comes by the thousand is first read in the order that it has always had, see [`straight`].
//! For the rest one pass over the text notes where each one-letter field stands and reads levels
//! as it meets them; then the few fields that the kind of message needs are read where they stand.
//! Keys may come in any order, unknown ones are passed over. What this pass cannot read is
//! rewritten into plain shape once and read again. All three ways give the same.

mod line;
mod straight;

use tercel_core::{Bar, Price, Quantity, Side};

use crate::book_sync::Change;
use crate::grid::Grid;
use crate::normal::Normaliser;
use crate::protocol::{DecodeError, VenueText};
use crate::scan::Cursor;
use crate::symbols::SymbolTable;

/// What a message says. Levels are beside it, in [`Reader::bids`] and [`Reader::asks`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    /// Changes of a book.
    Depth { slot: usize, first: u64, last: u64, prev: u64, at_ms: i64 },
    /// The best levels of a book, whole; or a snapshot of it, whose symbol is not told.
    Book { slot: Option<usize>, last: u64, at_ms: Option<i64> },
    /// A trade.
    Trade { slot: usize, id: u64, price: Price, qty: Quantity, aggressor: Side, at_ms: i64 },
    /// Best bid and ask.
    Quote { slot: usize, bid: Change, ask: Change, last: u64, at_ms: Option<i64> },
    /// Mark price, index and the funding that is due next.
    Mark { slot: usize, mark: Price, index: Price, rate_e12: i64, funding_ms: i64, at_ms: i64 },
    /// A bar that has closed.
    Bar { slot: usize, interval_ms: u32, bar: Bar, close_ms: i64 },
    /// A bar that has not.
    OpenBar,
    /// A request was carried out.
    Done { id: u64 },
    /// A request was refused.
    Refused { id: Option<u64>, code: i64 },
    /// The server goes down soon.
    Shutdown,
}

/// The grids of an instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grids {
    pub(crate) price: Grid,
    pub(crate) qty: Grid,
    /// Whether messages of its book are whole books rather than changes.
    pub(crate) whole: bool,
}

/// Reads messages of the instruments that it knows.
#[derive(Debug)]
pub(crate) struct Reader {
    shapes: Shapes,
    normaliser: Normaliser,
}

#[derive(Debug)]
struct Shapes {
    symbols: SymbolTable,
    grids: Vec<Grids>,
    bids: Vec<Change>,
    asks: Vec<Change>,
    off: OffGrid,
}

/// Levels of a message that were left out because they are not on the grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OffGrid {
    /// How many.
    pub(crate) n_levels: usize,
    /// Of them with a quantity: what rests there may be new, so the grid may be wrong.
    pub(crate) n_resting: usize,
}

impl OffGrid {
    #[cold]
    fn count(&mut self, qty: i64) {
        self.n_levels += 1;
        self.n_resting += usize::from(qty > 0);
    }
}

impl Reader {
    /// Returns the reader of these instruments; their places are the slots of messages.
    pub(crate) fn new<'a>(instruments: impl Iterator<Item = (&'a str, Grids)> + Clone) -> Self {
        Self {
            shapes: Shapes {
                symbols: SymbolTable::new(instruments.clone().map(|(symbol, _)| symbol)),
                grids: instruments.map(|(_, grids)| grids).collect(),
                bids: Vec::new(),
                asks: Vec::new(),
                off: OffGrid::default(),
            },
            normaliser: Normaliser::new(),
        }
    }

    /// Reads a message.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Message, DecodeError> {
        match self.shapes.straight(bytes) {
            Some(message) => Ok(message),
            None => self.read_any(bytes),
        }
    }

    /// Reads a message whose fields may stand in any order.
    #[inline(never)]
    fn read_any(&mut self, bytes: &[u8]) -> Result<Message, DecodeError> {
        match self.shapes.read(bytes, None) {
            Ok(message) => Ok(message),
            Err(_) => self.read_slowly(bytes, None),
        }
    }

    /// Reads a snapshot of a book, whose symbol it does not tell.
    pub(crate) fn read_snapshot(
        &mut self,
        slot: usize,
        bytes: &[u8],
    ) -> Result<Message, DecodeError> {
        match self.shapes.read(bytes, Some(slot)) {
            Ok(message) => Ok(message),
            Err(_) => self.read_slowly(bytes, Some(slot)),
        }
    }

    #[inline(never)]
    fn read_slowly(&mut self, bytes: &[u8], slot: Option<usize>) -> Result<Message, DecodeError> {
        let plain = self.normaliser.plain(bytes);
        let plain = plain.ok_or(DecodeError::Syntax { at: 0, what: "JSON" })?;
        self.shapes.read(plain, slot)
    }

    /// Returns the bids of the last message that had levels.
    pub(crate) fn bids(&self) -> &[Change] {
        &self.shapes.bids
    }

    /// Returns the asks of the last message that had levels.
    pub(crate) fn asks(&self) -> &[Change] {
        &self.shapes.asks
    }

    /// Returns what was left out of the last message.
    pub(crate) fn off_grid(&self) -> OffGrid {
        self.shapes.off
    }
}

/// Where the fields of a message stand. A place is never zero, because a brace comes first.
struct Fields<'a> {
    bytes: &'a [u8],
    /// By letter: capitals from 1, small ones from 33.
    places: [u32; 64],
    stream: Option<&'a [u8]>,
    slot: Option<usize>,
    pu: u32,
    last_update_id: u32,
    bids: u32,
    asks: u32,
    id: u32,
    code: u32,
    has_bids: bool,
    has_asks: bool,
    depth: u8,
}

const fn letter(byte: u8) -> usize {
    (byte & 63) as usize
}

impl<'a> Fields<'a> {
    #[inline]
    fn find(&self, key: u8) -> Option<Cursor<'a>> {
        match self.places[letter(key)] {
            0 => None,
            place => Some(Cursor::at(self.bytes, place as usize)),
        }
    }

    #[inline]
    fn cursor(&self, key: u8, name: &'static str) -> Result<Cursor<'a>, DecodeError> {
        self.find(key).ok_or(DecodeError::Field(name))
    }

    #[inline]
    fn unsigned(&self, key: u8, name: &'static str) -> Result<u64, DecodeError> {
        self.cursor(key, name)?.unsigned().ok_or(DecodeError::Field(name))
    }

    #[inline]
    fn millis(&self, key: u8, name: &'static str) -> Result<i64, DecodeError> {
        millis(self.unsigned(key, name)?, name)
    }

    #[inline]
    fn steps(&self, key: u8, name: &'static str, grid: &Grid) -> Result<i64, DecodeError> {
        let mut cursor = self.cursor(key, name)?;
        let before = cursor;
        match cursor.steps(grid) {
            Some(steps) => Ok(steps),
            None => Err(off_grid(before, name, self)),
        }
    }

    #[inline]
    fn nearest(&self, key: u8, name: &'static str, grid: &Grid) -> Result<i64, DecodeError> {
        let text = self.cursor(key, name)?.number().ok_or(DecodeError::Field(name))?;
        grid.nearest(text).ok_or(DecodeError::Field(name))
    }

    fn symbol(&self) -> VenueText {
        self.find(b's').and_then(|mut cursor| cursor.string()).map_or_else(VenueText::new, text)
    }
}

/// Returns a time in milliseconds that can be a time: before the year 2200.
fn millis(value: u64, name: &'static str) -> Result<i64, DecodeError> {
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
pub(crate) fn text(bytes: &[u8]) -> VenueText {
    let mut short = VenueText::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        if short.try_push(c).is_err() {
            break;
        }
    }
    short
}

impl Shapes {
    #[inline]
    fn read(&mut self, bytes: &[u8], slot: Option<usize>) -> Result<Message, DecodeError> {
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
    fn side(
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

    #[inline]
    fn message(&mut self, fields: &mut Fields<'_>) -> Result<Message, DecodeError> {
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

/// Notes a place once and passes over the value.
fn note(noted: &mut u32, place: u32, cursor: &mut Cursor<'_>) -> Option<()> {
    if std::mem::replace(noted, place) != 0 {
        return None;
    }
    cursor.skip()
}

/// Returns whether a stream carries whole books: `@depth` with a number of levels.
fn is_whole(stream: &[u8]) -> bool {
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

#[cfg(test)]
mod tests;
