//! One symbol: its book, its prints, its prices.

use std::collections::{BTreeSet, VecDeque};

use tercel_core::{Nanos, Side};

use crate::book::Book;
use crate::candles::Candles;
use crate::crowd::Crowd;
use crate::fixed::Fixed;
use crate::ids::{ConditionalId, OrderId};
use crate::listing::Listing;
use crate::update::{Aggregate, Trade};

/// Trades that a symbol remembers.
const TRADES_MAX: usize = 20_000;
/// Trades that the market's past has in a minute.
pub(crate) const PAST_TRADES_A_MINUTE: u64 = 100;

/// A symbol and its market.
#[derive(Debug)]
pub struct Market {
    /// Its rules.
    pub listing: Listing,
    /// Its orders.
    pub book: Book,
    /// Its candles.
    pub candles: Candles,
    /// Latest trades, the oldest first.
    pub trades: VecDeque<Trade>,
    /// Latest aggregated trades, the oldest first.
    pub aggregates: VecDeque<Aggregate>,
    /// Price of the latest trade.
    pub last_price: Fixed,
    /// Price that positions are valued at.
    pub mark: Fixed,
    /// Price that the mark follows.
    pub index: Fixed,
    /// Fraction of a position's value that longs pay shorts at the next funding.
    pub funding_rate: Fixed,
    /// Fundings so far: when, rate, mark.
    pub fundings: VecDeque<(Nanos, Fixed, Fixed)>,
    /// Whether orders are taken.
    pub is_trading: bool,
    pub(crate) crowd: Option<Crowd>,
    pub(crate) stops: BTreeSet<OrderId>,
    pub(crate) conditionals: BTreeSet<ConditionalId>,
    /// Lowest and highest trade since triggers were last looked at.
    pub(crate) touched: Option<(Fixed, Fixed)>,
    next_trade: u64,
    next_aggregate: u64,
    open_aggregate: Option<Aggregate>,
}

impl Market {
    pub(crate) fn new(listing: Listing, mut crowd: Option<Crowd>, now: Nanos) -> Self {
        let past = crowd.as_mut().map(Crowd::take_past).unwrap_or_default();
        let price = past.last().map_or(listing.start_price, |candle| candle.close);
        let n_past = PAST_TRADES_A_MINUTE * past.len() as u64;
        let mut candles = Candles::new(past);
        candles.advance(now, price);
        let mut book = Book::default();
        book.skip_update_ids(1_000);
        Self {
            listing,
            book,
            candles,
            trades: VecDeque::new(),
            aggregates: VecDeque::new(),
            last_price: price,
            mark: price,
            index: price,
            funding_rate: Fixed::from_units(10_000),
            fundings: VecDeque::new(),
            is_trading: true,
            crowd,
            stops: BTreeSet::new(),
            conditionals: BTreeSet::new(),
            touched: None,
            next_trade: n_past + 1,
            next_aggregate: n_past / 2 + 1,
            open_aggregate: None,
        }
    }

    /// Returns the price between best bid and ask, or the last one where a side is empty.
    #[must_use]
    pub fn middle(&self) -> Fixed {
        match (self.book.best(Side::Buy), self.book.best(Side::Sell)) {
            (Some(bid), Some(ask)) => (bid + ask).divided(2),
            _ => self.last_price,
        }
    }

    /// Returns whether a price of a side would trade at once.
    #[must_use]
    pub fn would_match(&self, side: Side, price: Fixed) -> bool {
        self.book.best(side.opposite()).is_some_and(|best| match side {
            Side::Buy => price >= best,
            Side::Sell => price <= best,
        })
    }

    /// Prints a trade; returns it, and the aggregated trade that it ended if it did.
    pub(crate) fn print(
        &mut self,
        price: Fixed,
        qty: Fixed,
        aggressor: Side,
        at: Nanos,
    ) -> (Trade, Option<Aggregate>) {
        let trade = Trade { id: self.next_trade, price, qty, aggressor, at };
        self.next_trade += 1;
        self.last_price = price;
        self.candles.add(&trade);
        let (low, high) = self.touched.unwrap_or((price, price));
        self.touched = Some((low.min(price), high.max(price)));
        keep(&mut self.trades, trade);
        let mut ended = None;
        match &mut self.open_aggregate {
            Some(open) if open.price == price => {
                open.qty += qty;
                open.last = trade.id;
            }
            _ => {
                ended = self.close_aggregate();
                let (first, last) = (trade.id, trade.id);
                let id = self.next_aggregate;
                self.next_aggregate += 1;
                self.open_aggregate =
                    Some(Aggregate { id, price, qty, first, last, aggressor, at });
            }
        }
        (trade, ended)
    }

    /// Ends the aggregated trade that is being put together.
    pub(crate) fn close_aggregate(&mut self) -> Option<Aggregate> {
        let aggregate = self.open_aggregate.take()?;
        keep(&mut self.aggregates, aggregate);
        Some(aggregate)
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == TRADES_MAX {
        list.pop_front();
    }
    list.push_back(item);
}
