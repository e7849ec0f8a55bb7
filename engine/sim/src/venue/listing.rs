//! One instrument at the venue: its recorded market and our working orders in it.

use tercel_core::{
    Instrument, MarketData, Nanos, Price, Quantity, Quote, RejectReason, ReportKind, Side,
};

use crate::options::{BarOptions, QueueModel, VenueOptions};
use crate::venue::desk::Desk;
use crate::venue::liquidity::Liquidity;
use crate::venue::order_queues::{OrderQueues, QueueChange};
use crate::venue::working::Working;

/// What an instrument is traded on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Feed {
    /// Nothing has come yet.
    Unknown,
    /// Books, quotes or trades.
    Ticks,
    /// Bars and nothing finer.
    Bars,
}

/// One instrument at the venue.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) instrument: Instrument,
    pub(crate) queue_model: QueueModel,
    pub(crate) slippage_bps: u32,
    pub(crate) bar_options: BarOptions,
    pub(crate) feed: Feed,
    pub(crate) market: Liquidity,
    pub(crate) queues: OrderQueues,
    /// Our working orders; of those at one price, earlier ones come first in the queue.
    pub(crate) orders: Vec<Working>,
    /// On bars: the last close.
    pub(crate) last_close: Option<Price>,
    bounds: Bounds,
    /// Whether an update of the book concerns nobody but the book.
    is_quiet: bool,
    /// Whether a snapshot is being told.
    is_relisting: bool,
    pub(crate) ranked: Vec<usize>,
}

/// What prices concern our orders: most events are judged by these alone.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    buys: (i64, i64),
    sells: (i64, i64),
    stop_buys_from: i64,
    stop_sells_to: i64,
    next_expiry: Nanos,
}

impl Bounds {
    const EMPTY: (i64, i64) = (i64::MAX, i64::MIN);

    fn of(orders: &[Working]) -> Self {
        let mut bounds = Self {
            buys: Self::EMPTY,
            sells: Self::EMPTY,
            stop_buys_from: i64::MAX,
            stop_sells_to: i64::MIN,
            next_expiry: Nanos(i64::MAX),
        };
        for order in orders {
            let side = order.spec.side;
            if let Some(Price(price)) = order.resting_price() {
                let range = match side {
                    Side::Buy => &mut bounds.buys,
                    Side::Sell => &mut bounds.sells,
                };
                *range = (range.0.min(price), range.1.max(price));
            }
            if let Some(Price(trigger)) = order.trigger() {
                match side {
                    Side::Buy => bounds.stop_buys_from = bounds.stop_buys_from.min(trigger),
                    Side::Sell => bounds.stop_sells_to = bounds.stop_sells_to.max(trigger),
                }
            }
            if let Some(at) = order.expires_at() {
                bounds.next_expiry = bounds.next_expiry.min(at);
            }
        }
        bounds
    }

    const fn hold(&self, side: Side, price: Price) -> bool {
        let range = match side {
            Side::Buy => self.buys,
            Side::Sell => self.sells,
        };
        range.0 <= price.0 && price.0 <= range.1
    }

    /// Whether a trade at `price` could reach a resting order or a stop.
    const fn reached_by(&self, price: Price) -> bool {
        price.0 <= self.buys.1 || price.0 >= self.sells.0 || self.wakes_at(price, price)
    }

    const fn wakes_at(&self, up: Price, down: Price) -> bool {
        up.0 >= self.stop_buys_from || down.0 <= self.stop_sells_to
    }
}

impl Listing {
    pub(crate) fn new(instrument: Instrument, options: &VenueOptions) -> Self {
        Self {
            instrument,
            queue_model: options.queue,
            slippage_bps: options.taker_slippage_bps,
            bar_options: options.bars,
            feed: Feed::Unknown,
            market: Liquidity::new(),
            queues: OrderQueues::default(),
            orders: Vec::with_capacity(16),
            last_close: None,
            bounds: Bounds::of(&[]),
            is_quiet: false,
            is_relisting: false,
            ranked: Vec::with_capacity(16),
        }
    }

    /// Returns whether an update of the book concerns nobody but the book.
    #[inline]
    pub(crate) const fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Returns when the next order expires.
    pub(crate) const fn next_expiry(&self) -> Nanos {
        self.bounds.next_expiry
    }

    /// Takes market data other than bars. A level's quantity is already in the book.
    pub(crate) fn on_data(&mut self, data: &MarketData, at: Nanos, desk: &mut Desk) {
        match *data {
            MarketData::Level { side, price, qty, last } => {
                self.enter_ticks(at, desk);
                self.market.has_book = true;
                self.market.told(side, price);
                if self.bounds.hold(side, price) && !self.is_fifo() {
                    self.move_queue(side, price, qty);
                }
                if last {
                    self.end_of_list(at, desk);
                }
            }
            MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => {
                self.enter_ticks(at, desk);
                let bid = tercel_core::Level { price: bid_px, qty: bid_qty };
                let ask = tercel_core::Level { price: ask_px, qty: ask_qty };
                self.market.set_quote(Quote { bid, ask, seq });
                if !self.is_fifo() {
                    self.move_quoted_queues();
                }
                self.match_touch(at, desk);
            }
            MarketData::Trade { aggressor, price, qty, .. } => {
                if self.feed == Feed::Bars {
                    return;
                }
                self.enter_ticks(at, desk);
                if self.bounds.reached_by(price) {
                    self.on_trade(aggressor, price, qty, at, desk);
                } else {
                    self.market.set_print(price, qty);
                }
            }
            MarketData::BookOrder { action, side, price, qty, order_id, last } => {
                if self.queue_model == QueueModel::Fifo {
                    let change = QueueChange { action, side, price, qty, order_id };
                    self.on_book_order(&change, at, desk);
                    if last {
                        self.end_of_list(at, desk);
                    }
                }
            }
            MarketData::Clear { seq } => {
                self.enter_ticks(at, desk);
                self.market.clear(seq);
                self.queues.clear();
                self.is_relisting = true;
            }
            MarketData::Batch { prev, seq } => {
                self.enter_ticks(at, desk);
                self.market.begin(prev, seq);
            }
            MarketData::Bar { .. } | MarketData::Mark { .. } | MarketData::Funding { .. } => {}
        }
        self.refresh_quiet();
    }

    /// Ends what expires by `at`.
    pub(crate) fn expire(&mut self, at: Nanos, desk: &mut Desk) {
        for order in &mut self.orders {
            if let Some(end) = order.expires_at()
                && end <= at
            {
                desk.end(order, end.min(at), ReportKind::Expired);
            }
        }
        self.settle(at, desk);
    }

    /// Returns whether queue positions come from a market-by-order feed.
    pub(crate) fn is_fifo(&self) -> bool {
        self.queue_model == QueueModel::Fifo && self.queues.is_fed()
    }

    /// Cancels reduce-only orders with nothing to reduce, sweeps out what is over, and notes which
    /// prices matter now.
    pub(crate) fn settle(&mut self, at: Nanos, desk: &mut Desk) {
        for order in &mut self.orders {
            if order.spec.reduce_only
                && !order.waits
                && !order.has_ended
                && desk.tradable(order).is_zero()
                // On bars an order is judged when it acts.
                && self.feed != Feed::Bars
            {
                desk.end(order, at, ReportKind::Canceled);
            }
        }
        self.orders.retain(|order| !order.has_ended);
        self.bounds = Bounds::of(&self.orders);
        self.refresh_quiet();
    }

    /// Lets resting orders trade with an opposite side that has come to them, and wakes stops
    /// where no trades are told.
    pub(crate) fn match_touch(&mut self, at: Nanos, desk: &mut Desk) {
        if self.orders.is_empty() {
            return;
        }
        let (bid, ask) = (self.market.best_price(Side::Buy), self.market.best_price(Side::Sell));
        let buys = ask.is_some_and(|ask| ask.0 <= self.bounds.buys.1);
        let sells = bid.is_some_and(|bid| bid.0 >= self.bounds.sells.0);
        if buys {
            self.match_crossed(Side::Buy, at, desk);
        }
        if sells {
            self.match_crossed(Side::Sell, at, desk);
        }
        if buys || sells {
            self.settle(at, desk);
        }
        if self.market.last_trade.is_none()
            && self.bounds.wakes_at(ask.unwrap_or(Price(i64::MIN)), bid.unwrap_or(Price(i64::MAX)))
        {
            self.wake_stops(ask, bid, at, desk);
        }
    }

    pub(crate) fn wakes_at(&self, price: Price) -> bool {
        self.bounds.wakes_at(price, price)
    }

    fn end_of_list(&mut self, at: Nanos, desk: &mut Desk) {
        if std::mem::take(&mut self.is_relisting) {
            self.requeue_all();
        }
        self.match_touch(at, desk);
    }

    /// The first tick ends trading on bars: market orders that wait for a bar have none to wait
    /// for, the others rest in the book.
    fn enter_ticks(&mut self, at: Nanos, desk: &mut Desk) {
        if self.feed == Feed::Ticks {
            return;
        }
        let came_from_bars = self.feed == Feed::Bars;
        self.feed = Feed::Ticks;
        if came_from_bars {
            for order in &mut self.orders {
                if order.is_immediate() && !order.waits {
                    desk.end(order, at, ReportKind::Canceled);
                }
            }
            self.settle(at, desk);
        }
    }

    fn refresh_quiet(&mut self) {
        self.is_quiet = self.feed == Feed::Ticks
            && self.market.has_book
            && !self.is_relisting
            && self.orders.is_empty()
            && !self.market.is_taken_from();
    }

    /// Returns why the venue would not have such an order, judged by the instrument's filters.
    pub(crate) fn filter(
        &self,
        spec: &tercel_core::OrderSpec,
        touch: Option<Price>,
    ) -> Option<RejectReason> {
        let instrument = &self.instrument;
        let prices = [spec.kind.limit_price(), spec.kind.trigger()];
        let is_positive = prices.into_iter().flatten().all(|price| price.0 > 0);
        let fits = spec.qty.0 > 0
            && spec.qty >= instrument.min_quantity
            && spec.qty <= instrument.max_quantity;
        let price = spec.kind.limit_price().or_else(|| spec.kind.trigger()).or(touch);
        let notional = price.map(|price| instrument.notional(price, spec.qty));
        // Closing the rest of a position must stay possible however little it is worth.
        let is_worth_it = match notional {
            Some(Some(notional)) => spec.reduce_only || notional >= instrument.min_notional,
            Some(None) => false,
            None => true,
        };
        (!(is_positive && fits && is_worth_it)).then_some(RejectReason::Filter)
    }

    /// Returns what our orders of a side and account could still trade.
    pub(crate) fn open_qty(&self, account: tercel_core::AccountId, side: Side) -> Quantity {
        let own = self.orders.iter().filter(|order| {
            order.ticket.account == account && order.spec.side == side && !order.spec.reduce_only
        });
        Quantity(own.map(|order| order.leaves().0).sum())
    }
}
