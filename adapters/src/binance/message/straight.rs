//! The messages that come by the thousand, read in the order in which the venue writes them.
//!
//! Nothing is looked for here: each key is expected where it has always stood, without white
//! space, and compared as a whole. Where anything differs, the pass that takes fields in any order
//! begins anew, so this one may be as narrow as it likes but must never say anything else.

use tercel_core::{Price, Quantity, Side};

use super::{Message, OffGrid, Shapes, is_whole, millis};
use crate::book_sync::Change;
use crate::grid::{Grid, behind_digits, whole};
use crate::scan::Cursor;
use crate::symbols::SymbolTable;

/// A place in a text of a known form.
#[derive(Clone, Copy)]
struct Line<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Line<'a> {
    /// Takes these bytes if they are next.
    #[inline]
    fn has<const N: usize>(&mut self, expected: &[u8; N]) -> bool {
        let found = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<N>);
        let is_next = found == Some(expected);
        self.at += if is_next { N } else { 0 };
        is_next
    }

    #[inline]
    fn expect<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        self.has(expected).then_some(())
    }

    #[inline]
    fn unsigned(&mut self) -> Option<u64> {
        let (value, end) = whole(self.bytes, self.at)?;
        self.at = end;
        Some(value)
    }

    #[inline]
    fn time(&mut self) -> Option<i64> {
        millis(self.unsigned()?, "").ok()
    }

    /// Passes over a whole number.
    #[inline]
    fn pass_number(&mut self) -> Option<()> {
        let end = behind_digits(self.bytes, self.at);
        let is_one = end > self.at;
        self.at = end;
        is_one.then_some(())
    }

    /// Takes the rest of a string, whose opening quote was taken, with its closing quote.
    #[inline]
    fn text(&mut self) -> Option<&'a [u8]> {
        let mut cursor = Cursor::at(self.bytes, self.at);
        let text = cursor.rest_of_string()?;
        self.at = cursor.place();
        Some(text)
    }

    /// Takes the rest of a number in quotes, the opening one of which was taken.
    #[inline]
    fn steps(&mut self, grid: &Grid) -> Option<i64> {
        let (steps, end) = grid.quick(self.bytes, self.at)?;
        self.at = end;
        Some(steps)
    }

    #[inline]
    fn slot(&mut self, symbols: &SymbolTable) -> Option<usize> {
        let (slot, end) = symbols.quick_place(self.bytes, self.at)?;
        self.at = end;
        Some(slot)
    }

    #[inline]
    fn boolean(&mut self) -> Option<bool> {
        if self.has(b"true") {
            return Some(true);
        }
        self.expect(b"false")?;
        Some(false)
    }

    /// Takes what futures have at the end of a message, which tells nothing of use.
    #[inline]
    fn pass_end(&mut self) -> Option<()> {
        if self.has(b",\"st\":") {
            self.pass_number()?;
        }
        if self.has(b",\"ps\":\"") {
            self.text()?;
        }
        Some(())
    }
}

impl Shapes {
    /// Reads a message in the form that it has always had; `None` if it has another.
    #[inline]
    pub(super) fn straight(&mut self, bytes: &[u8]) -> Option<Message> {
        self.off = OffGrid::default();
        let mut line = Line { bytes, at: 0 };
        let mut stream: &[u8] = b"";
        let is_streamed = line.has(b"{\"stream\":\"");
        if is_streamed {
            stream = line.text()?;
            line.expect(b",\"data\":")?;
        }
        let message = if line.has(b"{\"e\":\"") {
            if line.has(b"depthUpdate\",\"E\":") {
                self.straight_depth(&mut line, stream)?
            } else if line.has(b"trade\",\"E\":") {
                line.pass_number()?;
                line.expect(b",\"s\":\"")?;
                let slot = line.slot(&self.symbols)?;
                line.expect(b",\"t\":")?;
                self.straight_trade(&mut line, slot)?
            } else if line.has(b"aggTrade\",\"E\":") {
                line.pass_number()?;
                line.expect(b",\"s\":\"")?;
                let slot = line.slot(&self.symbols)?;
                line.expect(b",\"a\":")?;
                self.straight_trade(&mut line, slot)?
            } else {
                line.expect(b"bookTicker\",\"u\":")?;
                self.straight_quote(&mut line)?
            }
        } else {
            line.expect(b"{\"u\":")?;
            self.straight_quote(&mut line)?
        };
        line.expect(b"}")?;
        if is_streamed {
            line.expect(b"}")?;
        }
        (line.at == bytes.len()).then_some(message)
    }

    /// Takes a depth message from the value of `E` on.
    #[inline]
    fn straight_depth(&mut self, line: &mut Line<'_>, stream: &[u8]) -> Option<Message> {
        let mut at_ms = line.time()?;
        if line.has(b",\"T\":") {
            at_ms = line.time()?;
        }
        line.expect(b",\"s\":\"")?;
        let slot = line.slot(&self.symbols)?;
        let grids = self.grids.get(slot)?;
        line.expect(b",\"U\":")?;
        let first = line.unsigned()?;
        line.expect(b",\"u\":")?;
        let last = line.unsigned()?;
        let prev = if line.has(b",\"pu\":") { line.unsigned()? } else { 0 };
        let mut cursor = Cursor::at(line.bytes, line.at);
        for (key, side) in [(b'b', &mut self.bids), (b'a', &mut self.asks)] {
            let mut line = Line { bytes: line.bytes, at: cursor.place() };
            line.expect(&[b',', b'"', key, b'"', b':'])?;
            cursor = Cursor::at(line.bytes, line.at);
            side.clear();
            let off = &mut self.off;
            cursor.levels(&grids.price, &grids.qty, |price, qty| match price {
                Some(price) => side.push(Change { price: Price(price), qty: Quantity(qty) }),
                None => off.count(qty),
            })?;
        }
        line.at = cursor.place();
        line.pass_end()?;
        if grids.whole && is_whole(stream) {
            return Some(Message::Book { slot: Some(slot), last, at_ms: Some(at_ms) });
        }
        Some(Message::Depth { slot, first, last, prev, at_ms })
    }

    /// Takes a trade from its number on.
    #[inline]
    fn straight_trade(&self, line: &mut Line<'_>, slot: usize) -> Option<Message> {
        let grids = self.grids.get(slot)?;
        let id = line.unsigned()?;
        line.expect(b",\"p\":\"")?;
        let price = Price(line.steps(&grids.price)?);
        line.expect(b",\"q\":\"")?;
        let qty = Quantity(line.steps(&grids.qty)?);
        if line.has(b",\"nq\":\"") {
            line.text()?;
        }
        if line.has(b",\"f\":") {
            line.pass_number()?;
            line.expect(b",\"l\":")?;
            line.pass_number()?;
        }
        line.expect(b",\"T\":")?;
        let at_ms = line.time()?;
        line.expect(b",\"m\":")?;
        let aggressor = if line.boolean()? { Side::Sell } else { Side::Buy };
        if line.has(b",\"M\":") {
            line.boolean()?;
        }
        line.pass_end()?;
        Some(Message::Trade { slot, id, price, qty, aggressor, at_ms })
    }

    /// Takes a best quote from the value of `u` on.
    #[inline]
    fn straight_quote(&self, line: &mut Line<'_>) -> Option<Message> {
        let last = line.unsigned()?;
        line.expect(b",\"s\":\"")?;
        let slot = line.slot(&self.symbols)?;
        let grids = self.grids.get(slot)?;
        if line.has(b",\"ps\":\"") {
            line.text()?;
        }
        line.expect(b",\"b\":\"")?;
        let bid_px = Price(line.steps(&grids.price)?);
        line.expect(b",\"B\":\"")?;
        let bid_qty = Quantity(line.steps(&grids.qty)?);
        line.expect(b",\"a\":\"")?;
        let ask_px = Price(line.steps(&grids.price)?);
        line.expect(b",\"A\":\"")?;
        let ask_qty = Quantity(line.steps(&grids.qty)?);
        let mut at_ms = None;
        if line.has(b",\"T\":") {
            at_ms = Some(line.time()?);
            if line.has(b",\"E\":") {
                line.pass_number()?;
            }
        }
        line.pass_end()?;
        let bid = Change { price: bid_px, qty: bid_qty };
        let ask = Change { price: ask_px, qty: ask_qty };
        Some(Message::Quote { slot, bid, ask, last, at_ms })
    }
}
