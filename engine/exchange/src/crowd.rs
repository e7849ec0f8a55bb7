//! Everybody else: a stream of market data played into the book as orders.
//!
//! The stream says how many lots rest at each price and what traded. The crowd holds orders of its
//! own so that, where nobody else interferes, the book says the same: it adds behind the queue what
//! is missing, takes back what is too much (the newest first), and sends an order at any trade's
//! price that trades as much against whoever is first in the queue. So an account's orders get
//! their turn by price and time like everybody's, and move nobody else's plans.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use tercel_core::{Bar, Event, MarketData, MarketEvent, Nanos, Side};
use tercel_sim::market::{SeededBars, SeededMarket, SeededMarketConfig, SeededMarketError};

use crate::book::Resting;
use crate::candles::Candle;
use crate::exchange::{Exchange, PAST_TRADES_A_MINUTE, Taker};
use crate::fixed::Fixed;
use crate::ids::{AccountId, MarketId};
use crate::listing::Listing;
use crate::order::SelfTrade;

/// Market data in the order of its times, without an end in sight or with one.
pub type Flow = Box<dyn Iterator<Item = MarketEvent> + Send>;

/// How long a level that an account has eaten into stays as it is.
const REFILL_NS: i64 = 300 * Nanos::MILLI;
/// Minutes of past that a seeded market begins with.
const PAST_MINUTES: i64 = 3 * 1_440;
/// Seeded markets are open for so long: five years.
const DURATION_NS: i64 = 5 * 365 * Nanos::DAY;
/// Value of a typical trade in whole units of a dollar-like quote asset.
const TYPICAL_VALUE: i64 = 1_000;

/// The crowd of one symbol.
pub struct Crowd {
    flow: Flow,
    next: Option<MarketEvent>,
    /// Value of one tick and one lot of the flow.
    tick: Fixed,
    lot: Fixed,
    /// The flow's time at the exchange's time of the origin, and how fast it runs.
    flow_origin: Nanos,
    origin: Nanos,
    /// Speed in thousandths.
    speed_e3: i64,
    is_running: bool,
    past: Vec<Candle>,
    /// What the flow says that rests at each price.
    targets: BTreeMap<(Side, Fixed), Fixed>,
    /// Levels of the message that is being read.
    batch: Vec<(Side, Fixed, Fixed)>,
    /// Levels that accounts have taken from, and when.
    taken: VecDeque<(Nanos, Side, Fixed)>,
    /// Whether the message that is being read replaces the whole book.
    is_snapshot: bool,
}

impl fmt::Debug for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crowd").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Crowd {
    /// Returns a crowd that plays a flow from its first event on, which happens at `now`.
    /// `tick` and `lot` are what one of the flow's ticks and lots are worth; `speed_e3` is a
    /// thousand for the flow's own speed.
    #[must_use]
    pub fn new(mut flow: Flow, tick: Fixed, lot: Fixed, now: Nanos, speed_e3: i64) -> Self {
        let next = flow.next();
        Self {
            flow_origin: next.as_ref().map_or(now, |event| event.venue_at),
            flow,
            next,
            tick,
            lot,
            origin: now,
            speed_e3: speed_e3.max(1),
            is_running: true,
            past: Vec::new(),
            targets: BTreeMap::new(),
            batch: Vec::new(),
            taken: VecDeque::new(),
            is_snapshot: false,
        }
    }

    /// Returns a crowd that plays a seeded market around a symbol's start price, with a past of
    /// three days.
    ///
    /// # Errors
    ///
    /// If the symbol's start price is less than 50,000 or more than 2^32 of its ticks.
    pub fn seeded(
        listing: &Listing,
        seed: u64,
        now: Nanos,
        speed_e3: i64,
    ) -> Result<Self, SeededMarketError> {
        // Books are realistic where a price is some hundred thousand ticks: finer ticks are
        // bundled, in powers of ten.
        let ticks_of = |tick: Fixed| {
            i64::try_from(listing.start_price.units() / tick.units().max(1)).unwrap_or(i64::MAX)
        };
        let mut tick = listing.tick;
        while ticks_of(tick) >= 1_000_000 {
            tick = tick.scaled(10);
        }
        let value = if listing.start_price < Fixed::ONE && listing.quote == "BTC" {
            Fixed::whole(TYPICAL_VALUE).over_floor(Fixed::whole(60_000))
        } else {
            Fixed::whole(TYPICAL_VALUE)
        };
        let typical = value.over_floor(listing.start_price).units() / listing.step.units().max(1);
        let minute = Nanos(now.0.div_euclid(Nanos::MINUTE) * Nanos::MINUTE);
        let config = SeededMarketConfig {
            seed,
            start_at: minute.plus(-PAST_MINUTES * Nanos::MINUTE),
            duration_ns: PAST_MINUTES * Nanos::MINUTE,
            start_price: tercel_core::Price(ticks_of(tick)),
            typical_lots: i64::try_from(typical).unwrap_or(1).clamp(1, 1_000_000_000),
            quotes: false,
            ..SeededMarketConfig::default()
        };
        let past: Vec<_> = SeededBars::new(config.clone())?
            .filter_map(|event| match event.data {
                MarketData::Bar { bar, .. } => {
                    Some(past_candle(event.venue_at, &bar, tick, listing.step))
                }
                _ => None,
            })
            .collect();
        let last = past.last().map_or(listing.start_price, |candle| candle.close);
        let last_ticks = i64::try_from(last.units() / tick.units()).unwrap_or(i64::MAX);
        let market = SeededMarket::new(SeededMarketConfig {
            start_at: now,
            duration_ns: DURATION_NS,
            start_price: tercel_core::Price(last_ticks).max(SeededMarketConfig::MIN_START_PRICE),
            ..config
        })?;
        let flow = SeededFlow { market, block: Vec::new(), idx: 0 };
        let mut crowd = Self::new(Box::new(flow), tick, listing.step, now, speed_e3);
        crowd.past = past;
        Ok(crowd)
    }

    pub(crate) fn take_past(&mut self) -> Vec<Candle> {
        std::mem::take(&mut self.past)
    }

    pub(crate) fn set_running(&mut self, now: Nanos, is_running: bool) {
        if is_running && !self.is_running {
            // Time that was spent standing still is not caught up with.
            self.flow_origin = self.next.as_ref().map_or(now, |event| event.venue_at);
            self.origin = now;
        }
        self.is_running = is_running;
    }

    /// An account took from one of the crowd's levels: it is filled up again after a while.
    pub(crate) fn was_taken(&mut self, now: Nanos, side: Side, price: Fixed) {
        self.taken.push_back((now, side, price));
    }

    /// Returns when the next event happens, in the exchange's time.
    pub(crate) fn next_at(&self) -> Option<Nanos> {
        let event = self.next.as_ref().filter(|_| self.is_running)?;
        let since = i128::from(event.venue_at.since(self.flow_origin));
        let span = since * 1_000 / i128::from(self.speed_e3);
        Some(self.origin.plus(i64::try_from(span).unwrap_or(i64::MAX)))
    }

    fn pop(&mut self) -> Option<MarketEvent> {
        let next = self.flow.next();
        std::mem::replace(&mut self.next, next)
    }

    fn price(&self, ticks: i64) -> Fixed {
        self.tick.scaled(ticks)
    }

    fn qty(&self, lots: i64) -> Fixed {
        self.lot.scaled(lots)
    }
}

/// A seeded market as an iterator.
struct SeededFlow {
    market: SeededMarket,
    block: Vec<Event>,
    idx: usize,
}

impl Iterator for SeededFlow {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        loop {
            while let Some(event) = self.block.get(self.idx) {
                self.idx += 1;
                if let Event::Market(event) = event {
                    return Some(*event);
                }
            }
            self.block.clear();
            self.idx = 0;
            if self.market.read_block(64, &mut self.block) == 0 {
                return None;
            }
        }
    }
}

/// Returns a candle for a bar that closes at a time.
fn past_candle(close_at: Nanos, bar: &Bar, tick: Fixed, lot: Fixed) -> Candle {
    let price = |ticks: tercel_core::Price| tick.scaled(ticks.0);
    let volume = lot.scaled(bar.volume.0);
    let middle = (price(bar.open) + price(bar.high) + price(bar.low) + price(bar.close)).divided(4);
    let (taker, quote) = (volume.divided(2).floor_to(lot), middle.times_floor(volume));
    Candle {
        open_ms: close_at.0.div_euclid(1_000_000) - 60_000,
        open: price(bar.open),
        high: price(bar.high),
        low: price(bar.low),
        close: price(bar.close),
        volume,
        quote_volume: quote,
        taker_volume: taker,
        taker_quote_volume: middle.times_floor(taker),
        n_trades: PAST_TRADES_A_MINUTE,
        first_trade: 0,
        last_trade: 0,
    }
}

impl Exchange {
    /// Plays the next event of a symbol's crowd.
    pub(crate) fn play_crowd(&mut self, market: MarketId) {
        let Some(crowd) = self.crowd_mut(market) else { return };
        let Some(event) = crowd.pop() else { return };
        match event.data {
            MarketData::Clear { .. } => {
                crowd.batch.clear();
                crowd.is_snapshot = true;
            }
            MarketData::Batch { .. } => crowd.batch.clear(),
            MarketData::Level { side, price, qty, last } => {
                let level = (side, crowd.price(price.0), crowd.qty(qty.0));
                crowd.batch.push(level);
                if last {
                    self.play_batch(market);
                    self.settle(market);
                }
            }
            MarketData::Trade { aggressor, price, qty, .. } => {
                let (price, qty) = (crowd.price(price.0), crowd.qty(qty.0));
                self.play_trade(market, aggressor, price, qty);
                self.settle(market);
            }
            MarketData::Mark { mark, index } => {
                let (mark, index) = (crowd.price(mark.0), crowd.price(index.0));
                self.set_mark(market, mark, index);
            }
            MarketData::Funding { rate_e12 } => {
                let rate = Fixed::from_units(i128::from(rate_e12.div_euclid(10_000)));
                self.pay_funding(market, rate);
            }
            MarketData::Quote { .. } | MarketData::Bar { .. } | MarketData::BookOrder { .. } => {}
        }
    }

    /// An order of the crowd: it trades at its price or better and what is left is gone.
    ///
    /// Also what a test uses to move the market.
    pub fn crowd_trade(&mut self, market: MarketId, side: Side, price: Fixed, qty: Fixed) {
        self.play_trade(market, Some(side), price, qty);
        self.settle(market);
    }

    fn play_trade(&mut self, market: MarketId, aggressor: Option<Side>, price: Fixed, qty: Fixed) {
        // Where nobody knows who came to whom, the last price tells: up is bought.
        let is_up = price >= self.market(market).last_price;
        let side = aggressor.unwrap_or(if is_up { Side::Buy } else { Side::Sell });
        let mut taker = self.crowd_taker(market, side, price, qty);
        self.sweep(&mut taker);
    }

    fn crowd_taker(&mut self, market: MarketId, side: Side, price: Fixed, qty: Fixed) -> Taker {
        Taker {
            account: AccountId::CROWD,
            id: self.new_order_id(),
            market,
            side,
            limit: Some(price),
            left: qty,
            budget: None,
            self_trade: SelfTrade::Allow,
            reduces: None,
            displaces_crowd: false,
        }
    }

    /// Brings the crowd's orders to what the message says: first what goes, then what comes, so
    /// that nothing crosses on the way.
    fn play_batch(&mut self, market: MarketId) {
        let now = self.now();
        let Some(crowd) = self.crowd_mut(market) else { return };
        let mut batch = std::mem::take(&mut crowd.batch);
        if std::mem::take(&mut crowd.is_snapshot) {
            let known: Vec<_> = batch.iter().map(|(side, price, _)| (*side, *price)).collect();
            let gone = crowd.targets.keys().filter(|key| !known.contains(key));
            batch.extend(gone.map(|(side, price)| (*side, *price, Fixed::ZERO)));
        }
        for (side, price, qty) in &batch {
            if qty.is_zero() {
                crowd.targets.remove(&(*side, *price));
            } else {
                crowd.targets.insert((*side, *price), *qty);
            }
        }
        let mut refill = Vec::new();
        while let Some(&(at, side, price)) = crowd.taken.front() {
            if now.since(at) < REFILL_NS {
                break;
            }
            crowd.taken.pop_front();
            if let Some(target) = crowd.targets.get(&(side, price)) {
                refill.push((side, price, *target));
            }
        }
        let waits: Vec<_> = crowd.taken.iter().map(|(_, side, price)| (*side, *price)).collect();
        for (side, price, target) in &batch {
            let rests = self.crowd_rests(market, *side, *price);
            if rests > *target {
                self.crowd_cancel(market, *side, *price, rests - *target);
            }
        }
        for (side, price, target) in batch.iter().chain(&refill) {
            if waits.contains(&(*side, *price)) {
                continue;
            }
            let rests = self.crowd_rests(market, *side, *price);
            if rests < *target {
                self.crowd_add(market, *side, *price, *target - rests);
            }
        }
        if let Some(crowd) = self.crowd_mut(market) {
            batch.clear();
            crowd.batch = batch;
        }
    }

    fn crowd_rests(&self, market: MarketId, side: Side, price: Fixed) -> Fixed {
        let orders = self.market(market).book.orders_at(side, price);
        orders.filter(|resting| resting.account == AccountId::CROWD).map(Resting::total).sum()
    }

    fn crowd_cancel(&mut self, market: MarketId, side: Side, price: Fixed, qty: Fixed) {
        let mut left = qty;
        let book = &mut self.market_mut(market).book;
        let own: Vec<_> = book
            .orders_at(side, price)
            .filter(|resting| resting.account == AccountId::CROWD)
            .copied()
            .collect();
        for resting in own.iter().rev() {
            let part = left.min(resting.total());
            if part.is_zero() {
                return;
            }
            book.reduce(side, price, resting.id, part);
            left -= part;
        }
    }

    fn crowd_add(&mut self, market: MarketId, side: Side, price: Fixed, qty: Fixed) {
        let mut taker = self.crowd_taker(market, side, price, qty);
        taker.displaces_crowd = true;
        self.sweep(&mut taker);
        if taker.left.is_positive() {
            let resting = Resting {
                id: taker.id,
                account: AccountId::CROWD,
                visible: taker.left,
                hidden: Fixed::ZERO,
                slice: Fixed::ZERO,
            };
            self.market_mut(market).book.insert(side, price, resting);
        }
    }

    fn crowd_mut(&mut self, market: MarketId) -> Option<&mut Crowd> {
        self.market_mut(market).crowd.as_mut()
    }
}
