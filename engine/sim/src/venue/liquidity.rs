//! What the recorded market offers to take, less what our own orders have taken of it.

use tercel_core::{BookState, Level, OrderBook, Price, Quantity, Quote, Side, StaleCause};

/// One instrument's recorded book, quote and last trade.
///
/// What is taken stays taken until the market data next updates that level: two orders never eat
/// the same quantity, and nobody else is assumed to refill it unseen.
#[derive(Clone, Debug)]
pub(crate) struct Liquidity {
    pub(crate) book: OrderBook,
    quote: Option<Quote>,
    /// Price of the last trade.
    pub(crate) last_trade: Option<Price>,
    /// What is left of the last trade to trade against, where trades are all that there is.
    print_left: Quantity,
    /// Whether a book or quotes have ever come.
    pub(crate) has_book: bool,
    taken: Vec<(Side, Level)>,
    takes: Vec<Level>,
}

impl Liquidity {
    pub(crate) fn new() -> Self {
        Self {
            book: OrderBook::new(),
            quote: None,
            last_trade: None,
            print_left: Quantity::ZERO,
            has_book: false,
            taken: Vec::new(),
            takes: Vec::new(),
        }
    }

    /// Returns whether our orders have taken something that no update has replaced.
    pub(crate) const fn is_taken_from(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Takes note that a level was told anew.
    pub(crate) fn told(&mut self, side: Side, price: Price) {
        self.taken.retain(|(at, level)| *at != side || level.price != price);
    }

    /// Empties the book for a snapshot.
    pub(crate) fn clear(&mut self, seq: u64) {
        self.has_book = true;
        self.book.clear(seq);
        self.taken.clear();
    }

    /// Opens a list of level changes. A gap leaves the book untouchable until a snapshot.
    pub(crate) fn begin(&mut self, prev: u64, seq: u64) {
        self.has_book = true;
        // The cause is told by the engine, whose book sees the same gap.
        let _ = self.book.begin(prev, seq);
    }

    /// Takes a new quote.
    pub(crate) fn set_quote(&mut self, quote: Quote) {
        self.has_book = true;
        let before = self.quote.replace(quote);
        if self.taken.is_empty() {
            return;
        }
        let old = |side| before.map(|before| touch_of(&before, side));
        for side in [Side::Buy, Side::Sell] {
            let touch = touch_of(&quote, side);
            // A quote repeats the side that did not change: what was taken of it stays taken.
            let changed = old(side) != Some(touch);
            self.taken.retain(|(at, level)| {
                *at != side
                    || !(changed && level.price == touch.price)
                        && side.crosses(touch.price, level.price)
            });
        }
    }

    /// Takes note of a trade, of which `left` has not traded with us.
    pub(crate) const fn set_print(&mut self, price: Price, left: Quantity) {
        self.last_trade = Some(price);
        self.print_left = left;
    }

    /// Makes book and quote untouchable until they are told anew.
    pub(crate) fn invalidate(&mut self) {
        if self.has_book {
            self.book.invalidate(StaleCause::Link);
            self.quote = None;
        }
    }

    /// Returns the best price that is shown on a side, taken or not. O(1).
    pub(crate) fn best_price(&self, side: Side) -> Option<Price> {
        match self.leading_quote() {
            Some(quote) => {
                let touch = touch_of(quote, side);
                (touch.qty.0 > 0).then_some(touch.price)
            }
            None if self.is_stale() => None,
            None => self.book.best(side).map(|level| level.price),
        }
    }

    /// Returns what is shown at a price where an order of `side` would rest, as far as is known:
    /// `None` beyond what the market data covers.
    pub(crate) fn shown_at(&self, side: Side, price: Price) -> Option<Quantity> {
        let Some(best) = self.best_price(side) else {
            let is_empty = self.has_book && !self.is_stale();
            return is_empty.then_some(Quantity::ZERO);
        };
        if best == price
            && let Some(quote) = self.leading_quote()
        {
            return Some(touch_of(quote, side).qty);
        }
        if side.crosses(price, best) && price != best {
            // Better than the best: nobody is there.
            return Some(Quantity::ZERO);
        }
        if self.is_stale() {
            return None;
        }
        let qty = self.book.qty_at(side, price);
        if qty.0 > 0 {
            return Some(qty);
        }
        // An empty price inside the book is empty; one beyond its end may only be out of sight.
        let is_inside = self.book.levels(side).any(|level| side.crosses(price, level.price));
        is_inside.then_some(Quantity::ZERO)
    }

    /// Returns the best level that an order of `side` could take from.
    pub(crate) fn touch(&self, side: Side) -> Option<Level> {
        self.offers(side).next()
    }

    /// Returns how much of `qty` an order of `side` could take no further than `limit`.
    pub(crate) fn available(&self, side: Side, qty: Quantity, limit: Option<Price>) -> Quantity {
        let mut sum = Quantity::ZERO;
        for level in self.offers(side) {
            if sum >= qty || limit.is_some_and(|limit| !side.crosses(limit, level.price)) {
                break;
            }
            sum.0 = sum.0.saturating_add(level.qty.0);
        }
        sum.min(qty)
    }

    /// Takes up to `qty` for an order of `side`, no further than `limit`. Returns what was taken
    /// at which prices, best first. O(levels touched × levels taken from).
    pub(crate) fn take(&mut self, side: Side, qty: Quantity, limit: Option<Price>) -> Vec<Level> {
        // The list is lent out and comes back by `give_back`, so that taking does not allocate.
        let mut takes = std::mem::take(&mut self.takes);
        takes.clear();
        let mut left = qty;
        for level in self.offers(side) {
            if left.is_zero() || limit.is_some_and(|limit| !side.crosses(limit, level.price)) {
                break;
            }
            let qty = level.qty.min(left);
            left -= qty;
            takes.push(Level { price: level.price, qty });
        }
        for level in &takes {
            self.mark_taken(side.opposite(), *level);
        }
        takes
    }

    /// Returns the list that [`Self::take`] lent out.
    pub(crate) fn give_back(&mut self, takes: Vec<Level>) {
        self.takes = takes;
    }

    /// Levels that an order of `side` could take from, best first.
    fn offers(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let from = side.opposite();
        let quote = self.leading_quote().map(|quote| touch_of(quote, from));
        let print = match self.last_trade {
            Some(price) if !self.has_book => Some(Level { price, qty: self.print_left }),
            Some(_) | None => None,
        };
        // A quote without a touch says that the side is empty.
        let sees_book = !self.is_stale() && quote.is_none_or(|touch| touch.qty.0 > 0);
        let book = sees_book.then(|| self.book.levels(from)).into_iter().flatten();
        let beyond = book.skip_while(move |level| {
            quote.is_some_and(|touch| from.crosses(level.price, touch.price))
        });
        let levels = quote.or(print).into_iter().chain(beyond);
        levels.map(move |level| self.less_taken(from, level)).filter(|level| level.qty.0 > 0)
    }

    fn less_taken(&self, side: Side, level: Level) -> Level {
        let taken = self.taken.iter().find(|(at, taken)| *at == side && taken.price == level.price);
        match taken {
            Some((_, taken)) => {
                let qty = Quantity((level.qty.0 - taken.qty.0).max(0));
                Level { price: level.price, qty }
            }
            None => level,
        }
    }

    fn mark_taken(&mut self, side: Side, take: Level) {
        if !self.has_book {
            self.print_left -= take.qty;
            return;
        }
        let found =
            self.taken.iter_mut().find(|(at, taken)| *at == side && taken.price == take.price);
        match found {
            Some((_, taken)) => taken.qty += take.qty,
            None => self.taken.push((side, take)),
        }
    }

    fn is_stale(&self) -> bool {
        matches!(self.book.state(), BookState::Stale(_))
    }

    /// The quote, if it is newer than the book or there is no book to compare it with.
    fn leading_quote(&self) -> Option<&Quote> {
        let quote = self.quote.as_ref()?;
        let is_alone = || self.book.n_levels(Side::Buy) == 0 && self.book.n_levels(Side::Sell) == 0;
        (self.is_stale() || quote.seq > self.book.seq() || is_alone()).then_some(quote)
    }
}

const fn touch_of(quote: &Quote, side: Side) -> Level {
    match side {
        Side::Buy => quote.bid,
        Side::Sell => quote.ask,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn level(price: i64, qty: i64) -> Level {
        Level { price: Price(price), qty: Quantity(qty) }
    }

    /// Returns asks 5 at 101, 7 at 102 and bids 4 at 99.
    fn market() -> Liquidity {
        let mut market = Liquidity::new();
        market.clear(10);
        market.book.set(Side::Sell, Price(101), Quantity(5));
        market.book.set(Side::Sell, Price(102), Quantity(7));
        market.book.set(Side::Buy, Price(99), Quantity(4));
        market
    }

    fn take(market: &mut Liquidity, side: Side, qty: i64, limit: Option<i64>) -> Vec<(i64, i64)> {
        let takes = market.take(side, Quantity(qty), limit.map(Price));
        takes.iter().map(|level| (level.price.0, level.qty.0)).collect()
    }

    fn quote(ask: Level, seq: u64) -> Quote {
        Quote { bid: level(99, 1), ask, seq }
    }

    #[test]
    fn what_is_taken_stays_taken_until_the_level_is_told_anew() {
        let mut market = market();
        assert_eq!(take(&mut market, Side::Buy, 6, None), [(101, 5), (102, 1)]);
        assert_eq!(take(&mut market, Side::Buy, 4, None), [(102, 4)]);
        assert_eq!(market.available(Side::Buy, Quantity(9), None), Quantity(2));
        market.told(Side::Sell, Price(101));
        assert_eq!(take(&mut market, Side::Buy, 9, Some(101)), [(101, 5)]);
        assert_eq!(market.touch(Side::Buy), Some(level(102, 2)));
    }

    #[test]
    fn a_newer_quote_narrows_the_book() {
        let mut market = market();
        market.set_quote(quote(level(102, 3), 11));
        assert_eq!(take(&mut market, Side::Buy, 9, None), [(102, 3)]);
        let mut market = self::market();
        market.set_quote(quote(level(100, 3), 11));
        assert_eq!(take(&mut market, Side::Buy, 9, None), [(100, 3), (101, 5), (102, 1)]);
        let mut market = self::market();
        market.set_quote(quote(level(100, 3), 10));
        assert_eq!(take(&mut market, Side::Buy, 5, None), [(101, 5)]);
        market.set_quote(quote(level(0, 0), 12));
        assert_eq!(market.touch(Side::Buy), None);
    }

    #[test]
    fn a_quote_that_repeats_a_side_does_not_refill_it() {
        let mut market = Liquidity::new();
        market.set_quote(quote(level(101, 5), 0));
        assert_eq!(take(&mut market, Side::Buy, 3, None), [(101, 3)]);
        market.set_quote(Quote { bid: level(98, 9), ..quote(level(101, 5), 0) });
        assert_eq!(market.touch(Side::Buy), Some(level(101, 2)));
        market.set_quote(quote(level(101, 6), 0));
        assert_eq!(market.touch(Side::Buy), Some(level(101, 6)));
    }

    #[test]
    fn without_a_book_the_last_trade_is_all_that_there_is() {
        let mut market = Liquidity::new();
        assert_eq!(market.touch(Side::Buy), None);
        market.set_print(Price(100), Quantity(4));
        assert_eq!(take(&mut market, Side::Buy, 3, None), [(100, 3)]);
        assert_eq!(take(&mut market, Side::Sell, 3, None), [(100, 1)]);
        assert_eq!(market.touch(Side::Sell), None);
    }

    #[test]
    fn what_is_shown_is_known_only_inside_the_book() {
        let market = market();
        let shown = |price| market.shown_at(Side::Sell, Price(price)).map(|qty| qty.0);
        assert_eq!([100, 101, 102, 103].map(shown), [Some(0), Some(5), Some(7), None]);
    }

    #[test]
    fn a_stale_book_offers_nothing() {
        let mut market = market();
        market.invalidate();
        assert_eq!(market.touch(Side::Buy), None);
        market.set_quote(quote(level(101, 2), 0));
        assert_eq!(take(&mut market, Side::Buy, 9, None), [(101, 2)]);
    }
}
