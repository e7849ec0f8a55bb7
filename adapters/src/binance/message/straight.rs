//! The messages that come by the thousand, read in the order in which the venue writes them.
//!
//! Nothing is looked for here: each key is expected where it has always stood, without white
//! space, and compared as a whole. Where anything differs, the pass that takes fields in any order
//! begins anew, so this one may be as narrow as it likes but must never say anything else.

use tercel_core::{Price, Quantity, Side};

use super::kinds::is_whole;
use super::line::Line;
use super::{Message, OffGrid, Shapes};
use crate::book_sync::Change;
use crate::scan::Cursor;

impl Shapes {
    /// Reads a message in the form that it has always had; `None` if it has another.
    #[inline]
    pub(super) fn straight(&mut self, bytes: &[u8]) -> Option<Message> {
        self.off = OffGrid::default();
        let mut line = Line(bytes);
        let mut stream: &[u8] = b"";
        let is_streamed = line.has(b"{\"stream\":\"");
        if is_streamed {
            stream = line.text()?;
            line.expect(b",\"data\":")?;
        }
        let message = if line.has(b"{\"e\":\"") {
            if line.has(b"depthUpdate\",\"E\":") {
                self.straight_depth(&mut line, stream)?
            } else if line.has(b"bookTicker\",\"u\":") {
                self.straight_quote(&mut line)?
            } else {
                self.straight_trade(&mut line)?
            }
        } else {
            line.expect(b"{\"u\":")?;
            self.straight_quote(&mut line)?
        };
        line.expect(b"}")?;
        if is_streamed {
            line.expect(b"}")?;
        }
        line.0.is_empty().then_some(message)
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
        for (key, side) in [(b'b', &mut self.bids), (b'a', &mut self.asks)] {
            line.expect(&[b',', b'"', key, b'"', b':'])?;
            let mut cursor = Cursor::new(line.0);
            side.clear();
            let off = &mut self.off;
            cursor.levels(&grids.price, &grids.qty, |price, qty| match price {
                Some(price) => side.push(Change { price: Price(price), qty: Quantity(qty) }),
                None => off.count(qty),
            })?;
            *line = Line(cursor.rest());
        }
        line.pass_end()?;
        if grids.whole && is_whole(stream) {
            return Some(Message::Book { slot: Some(slot), last, at_ms: Some(at_ms) });
        }
        Some(Message::Depth { slot, first, last, prev, at_ms })
    }

    /// Takes a trade or an aggregate of trades from the value of `e` on.
    #[inline]
    fn straight_trade(&self, line: &mut Line<'_>) -> Option<Message> {
        let is_single = line.has(b"trade\",\"E\":");
        if !is_single {
            line.expect(b"aggTrade\",\"E\":")?;
        }
        line.pass_time()?;
        line.expect(b",\"s\":\"")?;
        let slot = line.slot(&self.symbols)?;
        let grids = self.grids.get(slot)?;
        line.expect(if is_single { b",\"t\":" } else { b",\"a\":" })?;
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
                line.pass_time()?;
            }
        }
        line.pass_end()?;
        let bid = Change { price: bid_px, qty: bid_qty };
        let ask = Change { price: ask_px, qty: ask_qty };
        Some(Message::Quote { slot, bid, ask, last, at_ms })
    }
}

#[cfg(test)]
mod tests;
