//! Events to bytes and back. Decoding is the hot half: a few nanoseconds an event.
//!
//! An event is a tag byte, then numbers of variable length. Times are differences to the event
//! before, prices to the last price on the same side of the same instrument, so that most numbers
//! are one or two bytes. Tag: low 4 bits the kind; bit 4 the side; bit 5 the `last` flag; bit 6
//! set if instrument or times differ from the event before, which are then written; bit 7 free for
//! the kind.

use tercel_core::{
    Bar, BookOrderAction, Event, InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent,
    Nanos, Price, Quantity, Side, VenueId,
};

const LEVEL: u8 = 0;
const TRADE: u8 = 1;
const QUOTE: u8 = 2;
const BATCH: u8 = 3;
const CLEAR: u8 = 4;
const BAR: u8 = 5;
const BOOK_ORDER: u8 = 6;
const MARK: u8 = 7;
const FUNDING: u8 = 8;
const LINK: u8 = 9;

const SIDE: u8 = 1 << 4;
const LAST: u8 = 1 << 5;
const MOVED: u8 = 1 << 6;
const EXTRA: u8 = 1 << 7;

/// What the numbers of the next event are relative to.
struct Context {
    instrument: InstrumentId,
    venue_at: i64,
    received_at: i64,
    /// Last prices by instrument: bid level, ask level, trade, quote bid, sequence, order id.
    last: Vec<[i64; 6]>,
}

const BID: usize = 0;
const ASK: usize = 1;
const TRADED: usize = 2;
const QUOTED: usize = 3;
const SEQ: usize = 4;
const ID: usize = 5;

impl Context {
    fn new() -> Self {
        Self { instrument: InstrumentId(0), venue_at: 0, received_at: 0, last: vec![[0; 6]] }
    }

    fn slot(&mut self) -> &mut [i64; 6] {
        let at = self.instrument.index();
        if at >= self.last.len() {
            self.last.resize(at + 1, [0; 6]);
        }
        &mut self.last[at]
    }
}

/// Encodes the events of one block.
pub(super) fn encode(events: &[Event], out: &mut Vec<u8>) -> bool {
    let mut context = Context::new();
    let mut has_snapshot = false;
    for event in events {
        match event {
            Event::Market(market) => {
                has_snapshot |= matches!(market.data, MarketData::Clear { .. });
                encode_market(&mut context, market, out);
            }
            Event::Link(link) => encode_link(link, out),
            // Only market data and the links that it came over are taped.
            Event::Execution(_)
            | Event::Account(_)
            | Event::Timer
            | Event::Signal(_)
            | Event::Command(_) => {}
        }
    }
    has_snapshot
}

fn encode_link(link: &LinkEvent, out: &mut Vec<u8>) {
    out.push(LINK | if link.instrument.is_some() { SIDE } else { 0 });
    out.push(match link.state {
        LinkState::Up => 0,
        LinkState::Down => 1,
        LinkState::Gap => 2,
    });
    unsigned(u64::from(link.venue.0), out);
    unsigned(u64::from(link.instrument.unwrap_or_default().0), out);
}

fn encode_market(context: &mut Context, market: &MarketEvent, out: &mut Vec<u8>) {
    let (venue_at, received_at) = (market.venue_at.0, market.received_at.0);
    let moved = market.instrument != context.instrument
        || venue_at != context.venue_at
        || received_at != context.received_at;
    let tag_at = out.len();
    out.push(if moved { MOVED } else { 0 });
    if moved {
        unsigned(u64::from(market.instrument.0), out);
        signed(received_at.wrapping_sub(context.received_at), out);
        signed(venue_at.wrapping_sub(context.venue_at), out);
        context.instrument = market.instrument;
        (context.venue_at, context.received_at) = (venue_at, received_at);
    }
    let last = context.slot();
    let mut relative = |slot: usize, value: i64, out: &mut Vec<u8>| {
        signed(value.wrapping_sub(last[slot]), out);
        last[slot] = value;
    };
    let side_bit = |side: Side| if side == Side::Sell { SIDE } else { 0 };
    let tag = match market.data {
        MarketData::Level { side, price, qty, last } => {
            relative(if side == Side::Buy { BID } else { ASK }, price.0, out);
            signed(qty.0, out);
            LEVEL | side_bit(side) | if last { LAST } else { 0 }
        }
        MarketData::Trade { aggressor, price, qty, id } => {
            relative(TRADED, price.0, out);
            signed(qty.0, out);
            relative(ID, id.cast_signed(), out);
            TRADE | aggressor.map_or(EXTRA, side_bit)
        }
        MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => {
            relative(QUOTED, bid_px.0, out);
            signed(ask_px.0.wrapping_sub(bid_px.0), out);
            signed(bid_qty.0, out);
            signed(ask_qty.0, out);
            relative(SEQ, seq.cast_signed(), out);
            QUOTE
        }
        MarketData::Batch { prev, seq } => {
            relative(SEQ, seq.cast_signed(), out);
            signed(seq.wrapping_sub(prev).cast_signed(), out);
            BATCH
        }
        MarketData::Clear { seq } => {
            relative(SEQ, seq.cast_signed(), out);
            CLEAR
        }
        MarketData::Bar { interval_ms, bar } => {
            unsigned(u64::from(interval_ms), out);
            relative(TRADED, bar.open.0, out);
            for price in [bar.high, bar.low, bar.close] {
                signed(price.0.wrapping_sub(bar.open.0), out);
            }
            signed(bar.volume.0, out);
            BAR
        }
        MarketData::BookOrder { action, side, price, qty, order_id, last } => {
            out.push(match action {
                BookOrderAction::Add => 0,
                BookOrderAction::Modify => 1,
                BookOrderAction::Cancel => 2,
                BookOrderAction::Execute => 3,
            });
            relative(if side == Side::Buy { BID } else { ASK }, price.0, out);
            signed(qty.0, out);
            relative(ID, order_id.cast_signed(), out);
            BOOK_ORDER | side_bit(side) | if last { LAST } else { 0 }
        }
        MarketData::Mark { mark, index } => {
            signed(mark.0, out);
            signed(index.0, out);
            MARK
        }
        MarketData::Funding { rate_e12 } => {
            signed(rate_e12, out);
            FUNDING
        }
    };
    out[tag_at] |= tag;
}

fn unsigned(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the low seven bits are wanted")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 128 is left")]
    out.push(value as u8);
}

/// Writes small numbers of either sign short: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
fn signed(value: i64, out: &mut Vec<u8>) {
    unsigned(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

/// The bytes of a block were not written by [`encode`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BadBlock {
    /// Where in the block.
    pub(super) at: usize,
}

/// Decodes a block into `out`. The bytes were checked; what is still wrong is refused all the same.
pub(super) fn decode(bytes: &[u8], n_events: u32, out: &mut Vec<Event>) -> Result<(), BadBlock> {
    let mut input = Input { bytes, at: 0 };
    let mut context = Context::new();
    for _ in 0..n_events {
        let at = input.at;
        let event = decode_event(&mut input, &mut context).ok_or(BadBlock { at })?;
        out.push(event);
    }
    if input.at == bytes.len() { Ok(()) } else { Err(BadBlock { at: input.at }) }
}

#[inline]
fn decode_event(input: &mut Input<'_>, context: &mut Context) -> Option<Event> {
    let tag = input.byte()?;
    if tag & MOVED != 0 {
        context.instrument = InstrumentId(u16::try_from(input.unsigned()?).ok()?);
        context.received_at = context.received_at.wrapping_add(input.signed()?);
        context.venue_at = context.venue_at.wrapping_add(input.signed()?);
    }
    let (instrument, venue_at, received_at) =
        (context.instrument, Nanos(context.venue_at), Nanos(context.received_at));
    let last = context.slot();
    let side = if tag & SIDE == 0 { Side::Buy } else { Side::Sell };
    let side_slot = usize::from(tag & SIDE != 0);
    let is_last = tag & LAST != 0;
    let data = match tag & 0xf {
        LEVEL => {
            let price = input.relative(&mut last[side_slot])?;
            MarketData::Level {
                side,
                price: Price(price),
                qty: Quantity(input.signed()?),
                last: is_last,
            }
        }
        TRADE => MarketData::Trade {
            aggressor: (tag & EXTRA == 0).then_some(side),
            price: Price(input.relative(&mut last[TRADED])?),
            qty: Quantity(input.signed()?),
            id: input.relative(&mut last[ID])?.cast_unsigned(),
        },
        QUOTE => {
            let bid = input.relative(&mut last[QUOTED])?;
            let ask = bid.wrapping_add(input.signed()?);
            MarketData::Quote {
                bid_px: Price(bid),
                ask_px: Price(ask),
                bid_qty: Quantity(input.signed()?),
                ask_qty: Quantity(input.signed()?),
                seq: input.relative(&mut last[SEQ])?.cast_unsigned(),
            }
        }
        BATCH => {
            let seq = input.relative(&mut last[SEQ])?.cast_unsigned();
            let prev = seq.wrapping_sub(input.signed()?.cast_unsigned());
            MarketData::Batch { prev, seq }
        }
        CLEAR => MarketData::Clear { seq: input.relative(&mut last[SEQ])?.cast_unsigned() },
        BAR => {
            let interval_ms = u32::try_from(input.unsigned()?).ok()?;
            let open = input.relative(&mut last[TRADED])?;
            let mut price = || Some(Price(open.wrapping_add(input.signed()?)));
            let (high, low, close) = (price()?, price()?, price()?);
            let volume = Quantity(input.signed()?);
            MarketData::Bar {
                interval_ms,
                bar: Bar { open: Price(open), high, low, close, volume },
            }
        }
        BOOK_ORDER => MarketData::BookOrder {
            action: match input.byte()? {
                0 => BookOrderAction::Add,
                1 => BookOrderAction::Modify,
                2 => BookOrderAction::Cancel,
                3 => BookOrderAction::Execute,
                _ => return None,
            },
            side,
            price: Price(input.relative(&mut last[side_slot])?),
            qty: Quantity(input.signed()?),
            order_id: input.relative(&mut last[ID])?.cast_unsigned(),
            last: is_last,
        },
        MARK => MarketData::Mark { mark: Price(input.signed()?), index: Price(input.signed()?) },
        FUNDING => MarketData::Funding { rate_e12: input.signed()? },
        LINK => return decode_link(tag, input),
        _ => return None,
    };
    Some(Event::Market(MarketEvent { venue_at, received_at, instrument, data }))
}

fn decode_link(tag: u8, input: &mut Input<'_>) -> Option<Event> {
    let state = match input.byte()? {
        0 => LinkState::Up,
        1 => LinkState::Down,
        2 => LinkState::Gap,
        _ => return None,
    };
    let venue = VenueId(u16::try_from(input.unsigned()?).ok()?);
    let instrument = InstrumentId(u16::try_from(input.unsigned()?).ok()?);
    let instrument = (tag & SIDE != 0).then_some(instrument);
    Some(Event::Link(LinkEvent { venue, instrument, state }))
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn unsigned(&mut self) -> Option<u64> {
        let byte = self.byte()?;
        if byte < 0x80 {
            return Some(u64::from(byte));
        }
        self.longer(u64::from(byte & 0x7f))
    }

    fn longer(&mut self, mut value: u64) -> Option<u64> {
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
    }

    #[inline]
    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    #[inline]
    fn relative(&mut self, last: &mut i64) -> Option<i64> {
        *last = last.wrapping_add(self.signed()?);
        Some(*last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data() -> impl Strategy<Value = MarketData> {
        let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
        let action = prop_oneof![
            Just(BookOrderAction::Add),
            Just(BookOrderAction::Modify),
            Just(BookOrderAction::Cancel),
            Just(BookOrderAction::Execute),
        ];
        let bar = any::<[i64; 5]>().prop_map(|[open, high, low, close, volume]| Bar {
            open: Price(open),
            high: Price(high),
            low: Price(low),
            close: Price(close),
            volume: Quantity(volume),
        });
        prop_oneof![
            any::<u64>().prop_map(|seq| MarketData::Clear { seq }),
            any::<(u64, u64)>().prop_map(|(prev, seq)| MarketData::Batch { prev, seq }),
            (side.clone(), any::<(i64, i64, bool)>()).prop_map(|(side, (price, qty, last))| {
                MarketData::Level { side, price: Price(price), qty: Quantity(qty), last }
            }),
            (prop::option::of(side.clone()), any::<(i64, i64, u64)>()).prop_map(
                |(aggressor, (price, qty, id))| MarketData::Trade {
                    aggressor,
                    price: Price(price),
                    qty: Quantity(qty),
                    id
                }
            ),
            any::<([i64; 4], u64)>().prop_map(|([a, b, c, d], seq)| MarketData::Quote {
                bid_px: Price(a),
                bid_qty: Quantity(b),
                ask_px: Price(c),
                ask_qty: Quantity(d),
                seq
            }),
            (any::<u32>(), bar).prop_map(|(interval_ms, bar)| MarketData::Bar { interval_ms, bar }),
            (action, side, any::<(i64, i64, u64, bool)>()).prop_map(
                |(action, side, (price, qty, order_id, last))| MarketData::BookOrder {
                    action,
                    side,
                    price: Price(price),
                    qty: Quantity(qty),
                    order_id,
                    last
                }
            ),
            any::<(i64, i64)>()
                .prop_map(|(a, b)| MarketData::Mark { mark: Price(a), index: Price(b) }),
            any::<i64>().prop_map(|rate_e12| MarketData::Funding { rate_e12 }),
        ]
    }

    fn event() -> impl Strategy<Value = Event> {
        let market = (any::<(i64, i64)>(), 0..5u16, data()).prop_map(|((a, b), id, data)| {
            Event::Market(MarketEvent {
                venue_at: Nanos(a),
                received_at: Nanos(b),
                instrument: InstrumentId(id),
                data,
            })
        });
        let state = prop_oneof![Just(LinkState::Up), Just(LinkState::Down), Just(LinkState::Gap)];
        let link =
            (any::<u16>(), prop::option::of(0..5u16), state).prop_map(|(venue, id, state)| {
                let instrument = id.map(InstrumentId);
                Event::Link(LinkEvent { venue: VenueId(venue), instrument, state })
            });
        prop_oneof![9 => market, 1 => link]
    }

    proptest! {
        #[test]
        fn every_event_reads_back(events in prop::collection::vec(event(), 0..60)) {
            let mut bytes = Vec::new();
            encode(&events, &mut bytes);
            let mut back = Vec::new();
            decode(&bytes, u32::try_from(events.len()).unwrap(), &mut back).unwrap();
            prop_assert_eq!(back, events);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), n in 0u32..50) {
            let _ = decode(&bytes, n, &mut Vec::new());
        }
    }
}
