//! Finds the fields of a message without building anything: one walk over the bytes.

use tercel_core::{InstrumentKind, Nanos};

use crate::decimal::parse_u64;

/// The fields of any message that is used here, as they stand in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) event: &'a [u8],
    pub(super) symbol: &'a [u8],
    pub(super) last_update_id: Option<u64>,
    pub(super) first_id: Option<u64>,
    pub(super) update_id: Option<u64>,
    pub(super) previous_id: Option<u64>,
    pub(super) trade_id: Option<u64>,
    pub(super) price: &'a [u8],
    pub(super) qty: &'a [u8],
    pub(super) index: &'a [u8],
    /// `b` or `bids`: a list, or the price of a best quote.
    pub(super) bids: &'a [u8],
    pub(super) asks: &'a [u8],
    pub(super) bid_qty: &'a [u8],
    pub(super) ask_qty: &'a [u8],
    pub(super) maker: Option<bool>,
    /// The funding rate of a mark.
    pub(super) rate: &'a [u8],
    event_ms: Option<u64>,
    transaction_ms: Option<u64>,
    /// Coin-margined futures name their pair (`ps`).
    has_pair: bool,
    /// Trades of futures have a type (`X`), those of spot an unused flag (`M`).
    has_type: bool,
    has_unused_flag: bool,
}

impl<'a> Fields<'a> {
    /// Scans a message, plain or inside the wrapper of combined streams.
    ///
    /// `None` where the text is not plain enough (escapes) or broken: the caller rewrites it.
    pub(super) fn scan(json: &'a [u8]) -> Option<Self> {
        let mut fields = Self::default();
        let mut inner = None;
        let end = walk(json, &mut |key, value| {
            if key == b"data" && value.first() == Some(&b'{') {
                inner = Some(value);
            } else {
                fields.take(key, value);
            }
        })?;
        if !json[end..].trim_ascii().is_empty() {
            return None;
        }
        if let Some(inner) = inner {
            fields = Self::default();
            walk(inner, &mut |key, value| fields.take(key, value))?;
        }
        Some(fields)
    }

    /// Returns the venue's time: of the transaction where it is said, else of the message.
    pub(super) fn venue_at(&self) -> Option<Nanos> {
        self.transaction_at().or_else(|| self.event_at())
    }

    /// Returns `T`.
    pub(super) fn transaction_at(&self) -> Option<Nanos> {
        millis(self.transaction_ms)
    }

    /// Returns `E`.
    pub(super) fn event_at(&self) -> Option<Nanos> {
        millis(self.event_ms)
    }

    /// Tells the market from the message; `None` where it does not show.
    pub(super) fn market(&self) -> Option<InstrumentKind> {
        let is_futures = match self.event {
            b"depthUpdate" => self.previous_id.is_some(),
            b"markPriceUpdate" => true,
            b"trade" if !self.has_type && !self.has_unused_flag => return None,
            b"trade" | b"aggTrade" => self.has_type || !self.has_unused_flag,
            // Of best quotes only those of futures carry times.
            b"bookTicker" | b"" => self.transaction_ms.is_some(),
            _ => return None,
        };
        let is_coin_name = || memchr::memmem::find(self.symbol, b"USD_").is_some();
        Some(match (is_futures, self.has_pair || is_coin_name()) {
            (false, _) => InstrumentKind::Spot,
            (true, true) => InstrumentKind::InversePerpetual,
            (true, false) => InstrumentKind::LinearPerpetual,
        })
    }

    fn take(&mut self, key: &[u8], value: &'a [u8]) {
        match key {
            b"e" => self.event = text(value),
            b"s" | b"symbol" => self.symbol = text(value),
            b"lastUpdateId" => self.last_update_id = parse_u64(text(value)),
            b"U" => self.first_id = parse_u64(text(value)),
            b"u" => self.update_id = parse_u64(text(value)),
            b"pu" => self.previous_id = parse_u64(text(value)),
            // Aggregate trades number themselves by `a`, which elsewhere holds the asks.
            b"t" => self.trade_id = parse_u64(text(value)),
            b"p" => self.price = text(value),
            b"q" => self.qty = text(value),
            b"i" => self.index = text(value),
            b"b" | b"bids" => self.bids = text(value),
            b"a" | b"asks" => {
                self.asks = text(value);
                if self.trade_id.is_none() && value.first().is_some_and(u8::is_ascii_digit) {
                    self.trade_id = parse_u64(value);
                }
            }
            b"B" => self.bid_qty = text(value),
            b"A" => self.ask_qty = text(value),
            b"m" => {
                self.maker = match value {
                    b"true" => Some(true),
                    b"false" => Some(false),
                    _ => None,
                };
            }
            b"M" => self.has_unused_flag = true,
            b"r" => self.rate = text(value),
            b"E" => self.event_ms = parse_u64(text(value)),
            b"T" => self.transaction_ms = parse_u64(text(value)),
            b"ps" | b"pair" => self.has_pair = true,
            b"X" => self.has_type = true,
            _ => {}
        }
    }
}

/// Returns the levels of a list such as `[["1.5","2"],["1.4","0"]]`; `None` items are broken.
pub(super) fn levels(text: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    let mut rest = text.strip_prefix(b"[").unwrap_or_default();
    std::iter::from_fn(move || {
        let open = rest.iter().position(|byte| *byte == b'[' || *byte == b']')?;
        if rest[open] == b']' {
            return None;
        }
        let Some(close) = memchr::memchr(b']', &rest[open..]) else {
            rest = &[];
            return Some(None);
        };
        let pair = &rest[open + 1..open + close];
        rest = &rest[open + close + 1..];
        let Some(comma) = memchr::memchr(b',', pair) else { return Some(None) };
        let qty = &pair[comma + 1..];
        // Some streams append further cells to a level.
        let qty = memchr::memchr(b',', qty).map_or(qty, |next| &qty[..next]);
        Some(Some((bare(&pair[..comma]), bare(qty))))
    })
}

/// Rewrites any valid JSON plainly; `None` if it is not valid.
#[cold]
pub(super) fn rewrite(json: &[u8]) -> Option<Vec<u8>> {
    use simd_json::prelude::Writable;
    let mut copy = json.to_vec();
    let value = simd_json::to_borrowed_value(&mut copy).ok()?;
    Some(value.encode().into_bytes())
}

/// Calls `visit` with each key and value of an object and returns where it ends.
fn walk<'a>(json: &'a [u8], visit: &mut dyn FnMut(&'a [u8], &'a [u8])) -> Option<usize> {
    let mut at = skip_space(json, 0);
    (json.get(at)? == &b'{').then_some(())?;
    at = skip_space(json, at + 1);
    if json.get(at)? == &b'}' {
        return Some(at + 1);
    }
    loop {
        let key_end = string_end(json, at)?;
        let key = &json[at + 1..key_end - 1];
        at = skip_space(json, key_end);
        (json.get(at)? == &b':').then_some(())?;
        at = skip_space(json, at + 1);
        let value_end = value_end(json, at)?;
        visit(key, &json[at..value_end]);
        at = skip_space(json, value_end);
        match json.get(at)? {
            b',' => at = skip_space(json, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

fn skip_space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Returns the end of the string that begins at `at`; `None` if it has escapes.
fn string_end(json: &[u8], at: usize) -> Option<usize> {
    (json.get(at)? == &b'"').then_some(())?;
    let len = memchr::memchr2(b'"', b'\\', &json[at + 1..])?;
    (json[at + 1 + len] == b'"').then_some(at + len + 2)
}

fn value_end(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at)? {
        b'"' => string_end(json, at),
        // Lists of levels are most of the text: no need to look into them twice.
        b'[' if json.get(at + 1) == Some(&b'[') => {
            memchr::memmem::find(&json[at..], b"]]").map(|len| at + len + 2)
        }
        b'[' | b'{' => nested_end(json, at),
        _ => {
            let len = json[at..].iter().position(|byte| {
                matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace()
            })?;
            (len > 0).then_some(at + len)
        }
    }
}

fn nested_end(json: &[u8], start: usize) -> Option<usize> {
    let (mut depth, mut at) = (0usize, start);
    loop {
        match json.get(at)? {
            b'"' => at = string_end(json, at)?,
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

fn millis(ms: Option<u64>) -> Option<Nanos> {
    i64::try_from(ms?).ok()?.checked_mul(Nanos::MILLI).map(Nanos)
}

fn text(value: &[u8]) -> &[u8] {
    bare(value)
}

/// Takes spaces and quotes off a value.
fn bare(value: &[u8]) -> &[u8] {
    match value.trim_ascii() {
        [b'"', inner @ .., b'"'] => inner,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGES: &[&str] = &[
        r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"],["61496.50","0.010"]],"a":[["61510.90","0.000"]]}}"#,
        r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}"#,
        r#"{"e":"aggTrade","E":5,"s":"XUSDT","a":17,"p":"1.5","q":"2","T":4,"m":false}"#,
        r#"{"lastUpdateId":7,"bids":[["9","2"]],"asks":[]}"#,
    ];

    #[test]
    fn plain_messages_need_no_rewriting() {
        for message in MESSAGES {
            assert!(Fields::scan(message.as_bytes()).is_some(), "{message}");
        }
        let trade = Fields::scan(MESSAGES[2].as_bytes()).unwrap();
        assert_eq!(
            (trade.trade_id, trade.maker, trade.price),
            (Some(17), Some(false), &b"1.5"[..])
        );
    }

    proptest! {
        /// Whatever the library accepts reads the same after it wrote it plainly.
        #[test]
        fn scanning_agrees_with_the_library(which in 0..MESSAGES.len(), cut in 0usize..400, byte: u8) {
            let mut bytes = MESSAGES[which].as_bytes().to_vec();
            if cut < bytes.len() {
                bytes[cut] = byte;
            }
            let scanned = Fields::scan(&bytes);
            if let Some(plain) = rewrite(&bytes)
                && let (Some(scanned), Some(rewritten)) = (scanned, Fields::scan(&plain))
                // A key that comes twice is kept once by the library.
                && bytes.is_ascii()
                && !has_twice(&bytes)
            {
                prop_assert_eq!(scanned.price, rewritten.price);
                prop_assert_eq!(scanned.update_id, rewritten.update_id);
                prop_assert_eq!(scanned.trade_id, rewritten.trade_id);
                prop_assert_eq!(
                    levels(scanned.bids).collect::<Vec<_>>(),
                    levels(rewritten.bids).collect::<Vec<_>>()
                );
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::scan(&bytes);
            let _ = levels(&bytes).count();
        }
    }

    fn has_twice(json: &[u8]) -> bool {
        let mut keys = Vec::new();
        let mut inner = Vec::new();
        walk(json, &mut |key, value| {
            keys.push(key.to_vec());
            if value.first() == Some(&b'{') {
                let mut nested = Vec::new();
                walk(value, &mut |key, _| nested.push(key.to_vec()));
                inner = nested;
            }
        });
        let twice = |keys: &mut Vec<Vec<u8>>| {
            let n = keys.len();
            keys.sort();
            keys.dedup();
            keys.len() < n
        };
        twice(&mut keys) || twice(&mut inner)
    }
}
