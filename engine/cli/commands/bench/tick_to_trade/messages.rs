//! What the venue's side sends: trades, and depth messages of 40 levels, as Binance writes them.
//!
//! Their text is made once; numbers are written into it in place, so that sending costs little and
//! the open-loop schedule holds at high rates.

/// Levels of a depth message on each side.
const LEVELS: usize = 20;

/// The number of the book before the first depth message.
pub(super) const FIRST_UPDATE: u64 = 1_000_000_000;

/// Marks that a message can carry before they are used again.
pub(super) const MARKS: u64 = 10_000;

/// A text with runs of `~`, each a place for a number of that many digits.
#[derive(Clone, Debug)]
struct Template {
    text: Vec<u8>,
    places: Vec<std::ops::Range<usize>>,
}

impl Template {
    fn new(text: &str) -> Self {
        let text = text.as_bytes().to_vec();
        let mut places: Vec<std::ops::Range<usize>> = Vec::new();
        for at in (0..text.len()).filter(|at| text[*at] == b'~') {
            match places.last_mut() {
                Some(place) if place.end == at => place.end += 1,
                _ => places.push(at..at + 1),
            }
        }
        Self { text, places }
    }

    /// Writes the last digits of a number into a place.
    fn put(&mut self, place: usize, number: u64) {
        let mut rest = number;
        for digit in self.text[self.places[place].clone()].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
    }
}

/// The messages of one run, numbered one after the other.
#[derive(Clone, Debug)]
pub(super) struct Messages {
    depth: Template,
    trade: Template,
    n_depth: u64,
    n_trades: u64,
}

/// A kind of message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Depth,
    Trade,
}

impl Messages {
    /// Returns messages that bear this time, in milliseconds since 1970.
    pub(super) fn new(ms: i64) -> Self {
        let side = |best: i64, step: i64| {
            let level = |k: i64| {
                let ticks = best + step * k;
                // The best level's quantity is the message's mark.
                let qty = if k == 0 { "~.~~~~0000" } else { "0.00~~~000" };
                format!("[\"{}.{:02}000000\",\"{qty}\"]", ticks / 100, ticks % 100)
            };
            (0..).take(LEVELS).map(level).collect::<Vec<_>>().join(",")
        };
        let depth = format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":~~~~~~~~~~,"u":~~~~~~~~~~,"b":[{}],"a":[{}]}}}}"#,
            side(6_000_000, -7),
            side(6_000_001, 7),
        );
        let trade = format!(
            r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":~~~~~~~~~~,"p":"60000.00000000","q":"~.~~~~0000","T":{ms},"m":true,"M":true}}}}"#
        );
        Self { depth: Template::new(&depth), trade: Template::new(&trade), n_depth: 0, n_trades: 0 }
    }

    /// Returns the next message of a kind: with a mark one that asks for an order.
    pub(super) fn next(&mut self, kind: Kind, mark: Option<u64>) -> &[u8] {
        let (whole, digits) = match mark {
            Some(mark) => (9, mark),
            None => (1, self.n_depth + self.n_trades),
        };
        match kind {
            Kind::Trade => {
                self.n_trades += 1;
                self.trade.put(0, FIRST_UPDATE + self.n_trades);
                self.trade.put(1, whole);
                self.trade.put(2, digits);
                &self.trade.text
            }
            Kind::Depth => {
                self.n_depth += 1;
                let number = FIRST_UPDATE + self.n_depth;
                self.depth.put(0, number);
                self.depth.put(1, number);
                self.depth.put(2, whole);
                self.depth.put(3, digits);
                for place in 4..self.depth.places.len() {
                    let level = u64::try_from(place).unwrap_or_default();
                    self.depth.put(place, self.n_depth * 13 + level * 79);
                }
                &self.depth.text
            }
        }
    }

    /// Returns how many bytes of text a message of a kind has.
    pub(super) fn len(&self, kind: Kind) -> usize {
        match kind {
            Kind::Depth => self.depth.text.len(),
            Kind::Trade => self.trade.text.len(),
        }
    }
}

/// Returns the kind of the nth message: they take turns, and so do those that ask for an order.
pub(super) const fn kind_of(n: u64, order_every: u64) -> Kind {
    if (n + n / order_every * (1 - order_every % 2)).is_multiple_of(2) {
        Kind::Depth
    } else {
        Kind::Trade
    }
}

/// Returns the mark that an order's quantity repeats.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between nought and ten thousand"
)]
pub(super) fn mark_of(quantity: f64) -> Option<u64> {
    (9.0..10.0).contains(&quantity).then(|| ((quantity - 9.0) * 1e4).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_json_with_consecutive_numbers_and_their_marks() {
        let mut messages = Messages::new(1_723_161_255_208);
        for n in 1..=3 {
            let depth: serde_json::Value =
                serde_json::from_slice(messages.next(Kind::Depth, Some(42))).unwrap();
            assert_eq!(depth["data"]["U"], FIRST_UPDATE + n);
            assert_eq!(depth["data"]["b"].as_array().unwrap().len(), LEVELS);
            assert_eq!(depth["data"]["b"][0][1], "9.00420000");
            let trade: serde_json::Value =
                serde_json::from_slice(messages.next(Kind::Trade, None)).unwrap();
            assert_eq!(trade["data"]["q"].as_str().unwrap().chars().next(), Some('1'));
        }
    }

    #[test]
    fn messages_that_ask_for_orders_are_of_both_kinds() {
        for every in [2, 9, 10] {
            let kinds: Vec<_> = (0..4).map(|n| kind_of(n * every, every)).collect();
            assert_eq!(kinds, [Kind::Depth, Kind::Trade, Kind::Depth, Kind::Trade], "{every}");
        }
    }

    #[test]
    fn a_mark_survives_the_way_through_floats() {
        for mark in 0..MARKS {
            let quantity: f64 = format!("9.{mark:04}").parse().unwrap();
            assert_eq!(mark_of(quantity), Some(mark));
        }
        assert_eq!(mark_of(1.5), None);
    }
}
