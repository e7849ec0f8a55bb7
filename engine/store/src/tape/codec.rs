//! Events to bytes and back. Decoding is the hot half: a few nanoseconds an event.
//!
//! Times are differences to the event before, prices to the last price on the same side of the
//! same instrument, sequence and order numbers to the last one, so most numbers are a byte or two.
//! Each takes 1, 2, 4 or 8 bytes, and which is said in two bits *before* the numbers: a decoder
//! that reads eight bytes and masks them needs no branch to find the end of a number. Bytes of
//! variable length, whose ends have to be looked for, took three times as long: the branches
//! cannot be predicted.
//!
//! ```text
//! level  0 qq pp m l s                price qty            qq, pp: widths; m: moved; l: last; s: side
//! other  1 m e s kkkk  widths...      numbers...           e: last, or what the kind makes of it
//! moved  --(after the tag) 00 u i vv rr  received venue [instrument]
//! ```
//!
//! `moved` says that times or instrument differ from the event before: `rr` and `vv` are widths, `i`
//! that the instrument follows in two bytes, `u` that the venue's difference is in milliseconds.

use tercel_core::{
    Bar, BookOrderAction, Event, InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent,
    Nanos, Price, Quantity, Side, VenueId,
};

const LEVEL_SIDE: u8 = 1;
const LEVEL_LAST: u8 = 1 << 1;
const LEVEL_MOVED: u8 = 1 << 2;

const OTHER: u8 = 1 << 7;
const MOVED: u8 = 1 << 6;
const EXTRA: u8 = 1 << 5;
const SIDE: u8 = 1 << 4;

const TRADE: u8 = 1;
const QUOTE: u8 = 2;
const BATCH: u8 = 3;
const CLEAR: u8 = 4;
const BAR: u8 = 5;
const BOOK_ORDER: u8 = 6;
const MARK: u8 = 7;
const FUNDING: u8 = 8;
const LINK: u8 = 9;

const INSTRUMENT_FOLLOWS: u8 = 1 << 4;
const VENUE_IN_MILLIS: u8 = 1 << 5;

/// What follows a block's bytes in memory, so that the decoder may look ahead. An event takes at
/// most 70 bytes: a tag, 19 of times and instrument, 2 of widths, 6 numbers.
pub(super) const PADDING: usize = 128;

/// What the numbers of an instrument's next event are relative to.
type Last = [i64; 6];

const BID: usize = 0;
const ASK: usize = 1;
const TRADED: usize = 2;
const QUOTED: usize = 3;
const SEQ: usize = 4;
const ID: usize = 5;

/// Encodes the events of one block; returns whether a snapshot begins in it.
pub(super) fn encode(events: &[Event], out: &mut Vec<u8>) -> bool {
    let mut encoder =
        Encoder { instrument: InstrumentId(0), venue_at: 0, received_at: 0, last: vec![[0; 6]] };
    let mut has_snapshot = false;
    for event in events {
        match event {
            Event::Market(market) => {
                has_snapshot |= matches!(market.data, MarketData::Clear { .. });
                encoder.market(market, out);
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
    out.push(OTHER | LINK | if link.instrument.is_some() { SIDE } else { 0 });
    out.push(match link.state {
        LinkState::Up => 0,
        LinkState::Down => 1,
        LinkState::Gap => 2,
    });
    out.extend_from_slice(&link.venue.0.to_le_bytes());
    out.extend_from_slice(&link.instrument.unwrap_or_default().0.to_le_bytes());
}

struct Encoder {
    instrument: InstrumentId,
    venue_at: i64,
    received_at: i64,
    last: Vec<Last>,
}

impl Encoder {
    fn market(&mut self, market: &MarketEvent, out: &mut Vec<u8>) {
        let tag_at = out.len();
        out.push(0);
        let moved = self.moved(market, out);
        let id = self.instrument.index();
        if id >= self.last.len() {
            self.last.resize(id + 1, [0; 6]);
        }
        let last = &mut self.last[id];
        let mut relative = |slot: usize, value: i64| {
            let difference = zigzag(value.wrapping_sub(last[slot]));
            last[slot] = value;
            difference
        };
        let moved_bit = if moved { MOVED } else { 0 };
        let side_bit = |side: Side| if side == Side::Sell { SIDE } else { 0 };
        let extra_bit = |extra: bool| if extra { EXTRA } else { 0 };
        let tag = match market.data {
            MarketData::Level { side, price, qty, last } => {
                let (slot, side) = match side {
                    Side::Buy => (BID, 0),
                    Side::Sell => (ASK, LEVEL_SIDE),
                };
                let (price, qty) = (relative(slot, price.0), zigzag(qty.0));
                bytes_of(price, out);
                bytes_of(qty, out);
                let flag = |set: bool, bit: u8| if set { bit } else { 0 };
                let widths = width_code(price) << 3 | width_code(qty) << 5;
                out[tag_at] = side | flag(last, LEVEL_LAST) | flag(moved, LEVEL_MOVED) | widths;
                return;
            }
            MarketData::Trade { aggressor, price, qty, id } => {
                let id = relative(ID, id.cast_signed());
                numbers([relative(TRADED, price.0), zigzag(qty.0), id], 0, out);
                TRADE | aggressor.map_or(EXTRA, side_bit)
            }
            MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => {
                let spread = zigzag(ask_px.0.wrapping_sub(bid_px.0));
                let (bid, seq) = (relative(QUOTED, bid_px.0), relative(SEQ, seq.cast_signed()));
                numbers([bid, spread, zigzag(bid_qty.0), zigzag(ask_qty.0), seq], 0, out);
                QUOTE
            }
            MarketData::Batch { prev, seq } => {
                let back = zigzag(seq.wrapping_sub(prev).cast_signed());
                numbers([relative(SEQ, seq.cast_signed()), back], 0, out);
                BATCH
            }
            MarketData::Clear { seq } => {
                numbers([relative(SEQ, seq.cast_signed())], 0, out);
                CLEAR
            }
            MarketData::Bar { interval_ms, bar } => {
                let from_open = |price: Price| zigzag(price.0.wrapping_sub(bar.open.0));
                let [high, low, close] = [bar.high, bar.low, bar.close].map(from_open);
                let open = relative(TRADED, bar.open.0);
                let volume = zigzag(bar.volume.0);
                numbers([u64::from(interval_ms), open, high, low, close, volume], 0, out);
                BAR
            }
            MarketData::BookOrder { action, side, price, qty, order_id, last } => {
                let action = match action {
                    BookOrderAction::Add => 0,
                    BookOrderAction::Modify => 1,
                    BookOrderAction::Cancel => 2,
                    BookOrderAction::Execute => 3,
                };
                let price = relative(if side == Side::Buy { BID } else { ASK }, price.0);
                let id = relative(ID, order_id.cast_signed());
                numbers([price, zigzag(qty.0), id], action, out);
                BOOK_ORDER | side_bit(side) | extra_bit(last)
            }
            MarketData::Mark { mark, index } => {
                numbers([zigzag(mark.0), zigzag(index.0)], 0, out);
                MARK
            }
            MarketData::Funding { rate_e12 } => {
                numbers([zigzag(rate_e12)], 0, out);
                FUNDING
            }
        };
        out[tag_at] = OTHER | moved_bit | tag;
    }

    /// Writes what differs in times and instrument; returns whether anything does.
    fn moved(&mut self, market: &MarketEvent, out: &mut Vec<u8>) -> bool {
        let (venue_at, received_at) = (market.venue_at.0, market.received_at.0);
        let is_other = market.instrument != self.instrument;
        if !is_other && (venue_at, received_at) == (self.venue_at, self.received_at) {
            return false;
        }
        let received = zigzag(received_at.wrapping_sub(self.received_at));
        let venue = venue_at.wrapping_sub(self.venue_at);
        let in_millis = venue % Nanos::MILLI == 0;
        let venue = zigzag(if in_millis { venue / Nanos::MILLI } else { venue });
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(is_other, INSTRUMENT_FOLLOWS) | flag(in_millis, VENUE_IN_MILLIS);
        out.push(width_code(received) | width_code(venue) << 2 | flags);
        bytes_of(received, out);
        bytes_of(venue, out);
        if is_other {
            out.extend_from_slice(&market.instrument.0.to_le_bytes());
        }
        self.instrument = market.instrument;
        (self.venue_at, self.received_at) = (venue_at, received_at);
        true
    }
}

/// Makes small numbers of either sign small: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Returns the binary logarithm of the bytes that a number takes.
const fn width_code(value: u64) -> u8 {
    match value {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xffff_ffff => 2,
        _ => 3,
    }
}

fn bytes_of(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes()[..1 << width_code(value)]);
}

/// Writes the widths of the numbers, four to a byte, then the numbers. `extra` goes into the two
/// high bits of the first byte, which three numbers leave free.
fn numbers<const N: usize>(values: [u64; N], extra: u8, out: &mut Vec<u8>) {
    for (n, four) in values.chunks(4).enumerate() {
        let widths = four.iter().rev().fold(0, |byte, value| byte << 2 | width_code(*value));
        out.push(widths | if n == 0 { extra << 6 } else { 0 });
    }
    values.iter().for_each(|value| bytes_of(*value, out));
}

/// The bytes of a block were not written by [`encode`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BadBlock {
    /// Where in the block.
    pub(super) at: usize,
}

/// Decodes a block of `len` bytes, which [`PADDING`] zeros follow, into `out`.
///
/// The bytes were checked against their checksum; what is still wrong is refused all the same.
pub(super) fn decode(
    padded: &[u8],
    len: usize,
    n_events: u32,
    out: &mut Vec<Event>,
) -> Result<(), BadBlock> {
    let mut decoder = Decoder {
        instrument: InstrumentId(0),
        venue_at: 0,
        received_at: 0,
        last: [0; 6],
        others: Vec::new(),
    };
    let mut at = 0;
    out.reserve(n_events as usize);
    for _ in 0..n_events {
        let mut input = Input { window: padded[at..].first_chunk().ok_or(BadBlock { at })?, at: 1 };
        let tag = input.window[0];
        if tag & OTHER == 0 {
            if tag & LEVEL_MOVED != 0 {
                decoder.moved(&mut input);
            }
            let price = unzigzag(input.number(tag >> 3));
            let qty = Quantity(unzigzag(input.number(tag >> 5)));
            let side_slot = usize::from(tag & LEVEL_SIDE);
            let price = decoder.last[side_slot].wrapping_add(price);
            decoder.last[side_slot] = price;
            let side = if side_slot == 0 { Side::Buy } else { Side::Sell };
            let last = tag & LEVEL_LAST != 0;
            out.push(decoder.event(MarketData::Level { side, price: Price(price), qty, last }));
        } else {
            out.push(decoder.other(tag, &mut input).ok_or(BadBlock { at })?);
        }
        at += input.at;
    }
    if at == len { Ok(()) } else { Err(BadBlock { at }) }
}

/// The bytes of an event. Places are masked to 64, which tells the compiler that a number read
/// there lies inside; no event is so long that its last number begins later.
struct Input<'a> {
    window: &'a [u8; PADDING],
    at: usize,
}

impl Input<'_> {
    #[inline]
    fn byte(&mut self) -> u8 {
        let byte = self.window[self.at & 63];
        self.at += 1;
        byte
    }

    /// Reads a number of the width in the two low bits of `code`.
    #[inline]
    fn number(&mut self, code: u8) -> u64 {
        const MASKS: [u64; 4] = [0xff, 0xffff, 0xffff_ffff, u64::MAX];
        let code = usize::from(code & 3);
        let at = self.at & 63;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.window[at..at + 8]);
        self.at += 1 << code;
        u64::from_le_bytes(bytes) & MASKS[code]
    }

    #[inline]
    fn signed(&mut self, code: u8) -> i64 {
        unzigzag(self.number(code))
    }

    #[inline]
    fn relative(&mut self, code: u8, last: &mut i64) -> i64 {
        *last = last.wrapping_add(self.signed(code));
        *last
    }

    fn two_bytes(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }
}

struct Decoder {
    instrument: InstrumentId,
    venue_at: i64,
    received_at: i64,
    /// Of the instrument that it is about now.
    last: Last,
    /// Of the others, by id.
    others: Vec<Last>,
}

impl Decoder {
    #[inline]
    const fn event(&self, data: MarketData) -> Event {
        Event::Market(MarketEvent {
            venue_at: Nanos(self.venue_at),
            received_at: Nanos(self.received_at),
            instrument: self.instrument,
            data,
        })
    }

    #[inline]
    fn moved(&mut self, input: &mut Input<'_>) {
        const UNITS: [i64; 2] = [1, Nanos::MILLI];
        let widths = input.byte();
        self.received_at = self.received_at.wrapping_add(input.signed(widths));
        let unit = UNITS[usize::from(widths & VENUE_IN_MILLIS != 0)];
        let venue = input.signed(widths >> 2).wrapping_mul(unit);
        self.venue_at = self.venue_at.wrapping_add(venue);
        if widths & INSTRUMENT_FOLLOWS != 0 {
            let id = InstrumentId(input.two_bytes());
            self.turn_to(id);
        }
    }

    fn turn_to(&mut self, id: InstrumentId) {
        let most = id.index().max(self.instrument.index());
        if most >= self.others.len() {
            self.others.resize(most + 1, [0; 6]);
        }
        self.others[self.instrument.index()] = self.last;
        self.last = self.others[id.index()];
        self.instrument = id;
    }

    fn other(&mut self, tag: u8, input: &mut Input<'_>) -> Option<Event> {
        if tag & 0xf == LINK {
            return decode_link(tag, input);
        }
        if tag & MOVED != 0 {
            self.moved(input);
        }
        let widths = input.byte();
        let last = &mut self.last;
        let side_slot = usize::from(tag & SIDE != 0);
        let side = if side_slot == 0 { Side::Buy } else { Side::Sell };
        let is_extra = tag & EXTRA != 0;
        let data = match tag & 0xf {
            TRADE => MarketData::Trade {
                aggressor: (!is_extra).then_some(side),
                price: Price(input.relative(widths, &mut last[TRADED])),
                qty: Quantity(input.signed(widths >> 2)),
                id: input.relative(widths >> 4, &mut last[ID]).cast_unsigned(),
            },
            QUOTE => {
                let more = input.byte();
                let bid = input.relative(widths, &mut last[QUOTED]);
                let ask = bid.wrapping_add(input.signed(widths >> 2));
                MarketData::Quote {
                    bid_px: Price(bid),
                    ask_px: Price(ask),
                    bid_qty: Quantity(input.signed(widths >> 4)),
                    ask_qty: Quantity(input.signed(widths >> 6)),
                    seq: input.relative(more, &mut last[SEQ]).cast_unsigned(),
                }
            }
            BATCH => {
                let seq = input.relative(widths, &mut last[SEQ]).cast_unsigned();
                let prev = seq.wrapping_sub(input.signed(widths >> 2).cast_unsigned());
                MarketData::Batch { prev, seq }
            }
            CLEAR => {
                MarketData::Clear { seq: input.relative(widths, &mut last[SEQ]).cast_unsigned() }
            }
            BAR => {
                let more = input.byte();
                let interval_ms = u32::try_from(input.number(widths)).ok()?;
                let open = input.relative(widths >> 2, &mut last[TRADED]);
                let mut price = |code| Price(open.wrapping_add(input.signed(code)));
                let (high, low, close) = (price(widths >> 4), price(widths >> 6), price(more));
                let volume = Quantity(input.signed(more >> 2));
                let bar = Bar { open: Price(open), high, low, close, volume };
                MarketData::Bar { interval_ms, bar }
            }
            BOOK_ORDER => MarketData::BookOrder {
                action: match widths >> 6 {
                    0 => BookOrderAction::Add,
                    1 => BookOrderAction::Modify,
                    2 => BookOrderAction::Cancel,
                    _ => BookOrderAction::Execute,
                },
                side,
                price: Price(input.relative(widths, &mut last[side_slot])),
                qty: Quantity(input.signed(widths >> 2)),
                order_id: input.relative(widths >> 4, &mut last[ID]).cast_unsigned(),
                last: is_extra,
            },
            MARK => MarketData::Mark {
                mark: Price(input.signed(widths)),
                index: Price(input.signed(widths >> 2)),
            },
            FUNDING => MarketData::Funding { rate_e12: input.signed(widths) },
            _ => return None,
        };
        Some(self.event(data))
    }
}

fn decode_link(tag: u8, input: &mut Input<'_>) -> Option<Event> {
    let state = match input.byte() {
        0 => LinkState::Up,
        1 => LinkState::Down,
        2 => LinkState::Gap,
        _ => return None,
    };
    let (venue, instrument) = (VenueId(input.two_bytes()), InstrumentId(input.two_bytes()));
    let instrument = (tag & SIDE != 0).then_some(instrument);
    Some(Event::Link(LinkEvent { venue, instrument, state }))
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
            let len = bytes.len();
            bytes.resize(len + PADDING, 0);
            let mut back = Vec::new();
            decode(&bytes, len, u32::try_from(events.len()).unwrap(), &mut back).unwrap();
            prop_assert_eq!(back, events);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), n in 0u32..50) {
            let _ = decode(&bytes, bytes.len(), n, &mut Vec::new());
        }
    }
}
