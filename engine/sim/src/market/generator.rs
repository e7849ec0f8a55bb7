//! The simulated market itself: order flow against a limit order book, printed as a feed.

use tercel_core::{Event, MarketData, MarketEvent, Nanos, Price, Quantity, Side};

use crate::market::config::{SeededMarketConfig, SeededMarketError};
use crate::market::fair::FairValue;
use crate::market::flow::{Excitation, Parents, coin};
use crate::market::ladder::Ladder;
use crate::market::random::{ONE_Q16, Random, pareto_shape};

/// An endless-looking, reproducible market: a source of events that nothing outside decides.
///
/// Market orders excite each other and come from parents that are worked in pieces; limit orders
/// are placed around a wandering fair value at distances and sizes with heavy tails; cancels take
/// from what rests. Spread, depth and volatility come out of that rather than being drawn.
///
/// Prints a snapshot first, then lists of level changes with contiguous sequence numbers, trades
/// ahead of the changes that they cause, mark prices, funding, and quotes if asked for. Events
/// ascend in both clocks. Memory is constant; after the first block nothing is allocated but what
/// the caller's list needs.
#[derive(Clone, Debug)]
pub struct SeededMarket {
    config: SeededMarketConfig,
    random: Random,
    now: Nanos,
    end_at: Nanos,
    next_beat_at: Nanos,
    fair: FairValue,
    excitation: Excitation,
    parents: Parents,
    bids: Ladder,
    asks: Ladder,
    /// Mean of what a market order teaches the market, in 1/65536 of a tick.
    impact_q16: i64,
    has_begun: bool,
    seq: u64,
    last_trade_id: u64,
    last_quote: [i64; 4],
    received_at: Nanos,
    /// Trades of the message that is being built.
    trades: Vec<(Side, i64, i64)>,
    /// Scratch list of changed prices.
    changed: Vec<(Side, i64)>,
}

/// Time between steps of the fair value, between which changes are collected into one message.
const BEAT_NS: i64 = 50 * Nanos::MILLI;
/// Length of a regime.
const REGIME_NS: i64 = 9 * Nanos::MINUTE;
/// Funding falls due at whole multiples of this.
const FUNDING_NS: i64 = 8 * 3_600 * Nanos::SECOND;

/// Limit orders and cancels, in events per thousand seconds.
const LIMIT_RATE: u64 = 26_000;
const CANCEL_RATE: u64 = 20_000;
/// Limit orders and cancels per market order: makers are busy when takers are.
const LIMITS_PER_TRADE: u64 = 2;
const CANCELS_PER_TRADE: u64 = 1;
/// Repricings a thousand seconds for each tick that quotes are off, up to [`OFF_TICKS_MAX`].
const REPRICE_RATE: u64 = 9_000;
const OFF_TICKS_MAX: i64 = 8;

/// Distances of limit orders and cancels from the touch.
const PLACE_SHAPE: u64 = pareto_shape(55);
const CANCEL_SHAPE: u64 = pareto_shape(50);
/// Sizes of limit orders and market orders.
const LIMIT_SIZE_SHAPE: u64 = pareto_shape(140);
const TRADE_SIZE_SHAPE: u64 = pareto_shape(105);
/// Limit orders in typical trades.
const LIMIT_SIZE: i64 = 12;
/// Market orders never exceed this many typical trades, nor this many levels.
const TRADE_SIZE_MAX: i64 = 600;
const SWEEP_MAX: usize = 12;
/// Levels a side below which the book is filled up from behind.
const LEVELS_MIN: usize = 100;

impl SeededMarket {
    /// Builds a market.
    ///
    /// # Errors
    ///
    /// If a field of the configuration is out of its range.
    pub fn new(config: SeededMarketConfig) -> Result<Self, SeededMarketError> {
        config.check()?;
        let now = config.start_at;
        let sigma_q16 = config.sigma_q16(BEAT_NS);
        let regime_steps = (REGIME_NS / BEAT_NS).unsigned_abs();
        let mut market = Self {
            random: Random::new(config.seed),
            now,
            end_at: now.plus(config.duration_ns),
            next_beat_at: now.plus(BEAT_NS),
            fair: FairValue::new(config.start_price.0, sigma_q16, regime_steps),
            excitation: Excitation::new(now),
            parents: Parents::new(),
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            impact_q16: sigma_q16 / 6,
            has_begun: false,
            seq: 0,
            last_trade_id: 0,
            last_quote: [0; 4],
            received_at: now,
            trades: Vec::with_capacity(SWEEP_MAX),
            changed: Vec::with_capacity(512),
            config,
        };
        market.open_book();
        Ok(market)
    }

    /// Returns what the market was built from.
    #[must_use]
    pub const fn config(&self) -> &SeededMarketConfig {
        &self.config
    }

    /// Appends the next events, whole messages of them, at least `n` unless the market closes;
    /// returns how many, which is none only at the end.
    ///
    /// `|block| Ok::<_, Infallible>(market.read_block(4_096, block))` is a source of
    /// [`crate::Backtest::run`].
    pub fn read_block(&mut self, n: usize, events: &mut Vec<Event>) -> usize {
        let before = events.len();
        while events.len() - before < n && self.step(&mut |event| events.push(Event::Market(event)))
        {
        }
        events.len() - before
    }

    /// Lets the market go on until its next message, or its next silent change; returns whether it
    /// is still open.
    fn step(&mut self, emit: &mut impl FnMut(MarketEvent)) -> bool {
        if !self.has_begun {
            self.has_begun = true;
            self.emit_snapshot(emit);
            return true;
        }
        if self.now >= self.end_at {
            return false;
        }
        let limits = LIMIT_RATE + LIMITS_PER_TRADE * self.excitation.rate();
        let cancels = CANCEL_RATE + CANCELS_PER_TRADE * self.excitation.rate();
        let reprices = REPRICE_RATE * self.ticks_off().unsigned_abs();
        let before = self.excitation.rate();
        let total = limits + cancels + reprices + before;
        // Rates are per thousand seconds.
        let wait = (self.random.exponential_q16() * (1_000_000_000_000 >> 16)) / total;
        let at = self.now.plus(wait.cast_signed());
        if at >= self.next_beat_at {
            // Waiting times have no memory, so the interrupted one is drawn anew.
            self.now = self.next_beat_at;
            self.beat(emit);
            return true;
        }
        self.now = at;
        self.excitation.fade(at);
        let draw = self.random.below(total);
        if draw < self.excitation.rate() {
            self.market_order(emit);
        } else if draw < before {
            // Thinned out: the excitation has faded since the wait was drawn.
        } else if draw < before + limits {
            self.limit_order();
        } else if draw < before + limits + cancels {
            self.cancel();
        } else {
            self.reprice();
        }
        true
    }

    /// Every 50 ms: the fair value moves, collected changes go out, marks and funding fall due.
    fn beat(&mut self, emit: &mut impl FnMut(MarketEvent)) {
        self.next_beat_at = self.now.plus(BEAT_NS);
        self.excitation.fade(self.now);
        self.fair.step(&mut self.random);
        if self.fair.is_storm() && self.random.chance(ONE_Q16 / 400) {
            self.excitation.kick(4);
        }
        self.tidy();
        self.emit_changes(emit);
        let due = |interval_ns: i64| interval_ns > 0 && self.now.0 % interval_ns < BEAT_NS;
        let (mark_due, funding_due) =
            (due(i64::from(self.config.mark_interval_ms) * Nanos::MILLI), due(FUNDING_NS));
        if mark_due {
            self.emit_mark(emit);
        }
        if funding_due {
            // A hundredth of a percent, the usual rate of a balanced market, give or take half.
            let rate_e12 = 100_000_000 + ((self.random.normal_q16() * 50_000_000) >> 16);
            self.emit_one(MarketData::Funding { rate_e12 }, emit);
        }
    }

    fn open_book(&mut self) {
        let fair = self.fair.ticks();
        for (side, touch) in [(Side::Buy, fair), (Side::Sell, fair + 1)] {
            self.place(side, touch);
            for _ in 0..self.config.levels * 4 {
                if self.ladder(side).n_levels() * 5 >= self.config.levels * 4 {
                    break;
                }
                let distance = self.distance(PLACE_SHAPE);
                self.place(side, touch - side.sign() * distance);
            }
        }
    }

    /// Sends a market order: it takes from the other side, prints trades, and the market learns.
    fn market_order(&mut self, emit: &mut impl FnMut(MarketEvent)) {
        let side = self.parents.next_side(self.p_buy_q16(), &mut self.random);
        let typical = self.config.typical_lots;
        let size =
            self.random.pareto_q16(TRADE_SIZE_SHAPE).min(TRADE_SIZE_MAX.unsigned_abs() << 16);
        // Half of the Pareto's least value: the median is then about the typical trade.
        let mut left = ((typical * size.cast_signed()) >> 17).max(1);
        let ladder = match side {
            Side::Buy => &mut self.asks,
            Side::Sell => &mut self.bids,
        };
        // Most takers look first and take no more than the touch offers.
        if self.random.chance(ONE_Q16 * 3 / 4) {
            left = left.min(ladder.qty(ladder.best()));
        }
        while left > 0 && self.trades.len() < SWEEP_MAX && ladder.n_levels() > 10 {
            let price = ladder.best();
            let taken = ladder.take(price, left);
            left -= taken;
            self.trades.push((side, price, taken));
        }
        self.excitation.kick(1);
        let learnt = (self.random.exponential_q16().cast_signed() * self.impact_q16) >> 16;
        self.fair.shift(side.sign() * learnt);
        self.emit_changes(emit);
    }

    fn limit_order(&mut self) {
        let side = coin(self.p_buy_q16(), &mut self.random);
        let distance = self.distance(PLACE_SHAPE) - 1;
        self.place(side, self.reference(side) - side.sign() * distance);
    }

    fn cancel(&mut self) {
        // The side that the fair value walks away from is left alone, the other one thins out.
        let side = coin(ONE_Q16 - self.p_buy_q16(), &mut self.random);
        let distance = self.distance(CANCEL_SHAPE) - 1;
        let whole = self.random.chance(ONE_Q16 / 2);
        let share_q16 = self.random.below(ONE_Q16).cast_signed();
        let ladder = self.ladder_mut(side);
        if ladder.n_levels() > 10
            && let Some(price) = ladder.level_behind(distance)
        {
            let qty = ladder.qty(price);
            let part = if whole { qty } else { ((qty * share_q16) >> 16).max(1) };
            ladder.take(price, part);
        }
    }

    /// Makers follow the fair value: quotes on its wrong side go, and the spread closes.
    fn reprice(&mut self) {
        for side in [Side::Buy, Side::Sell] {
            let reference = self.fair_quote(side);
            let ladder = self.ladder_mut(side);
            for _ in 0..SWEEP_MAX {
                let touch = ladder.best();
                // Worse for its owner than fair: a bid above it, an ask below.
                let is_stale = (touch - reference) * side.sign() > 1;
                if !is_stale || ladder.n_levels() <= 10 {
                    break;
                }
                let qty = ladder.qty(touch);
                ladder.take(touch, qty);
            }
        }
        let side = coin(ONE_Q16 / 2, &mut self.random);
        for side in [side, side.opposite()] {
            let price = self.reference(side);
            if self.ladder(side).distance(price) < 0 {
                self.place(side, price);
            }
        }
    }

    /// Places a limit order at a price, or next to the other side if that would cross.
    fn place(&mut self, side: Side, price: i64) {
        let size_q16 = self.random.pareto_q16(LIMIT_SIZE_SHAPE).min(2_000 << 16).cast_signed();
        let other = self.ladder(side.opposite());
        let price = match side {
            _ if other.n_levels() == 0 => price,
            Side::Buy => price.min(other.best() - 1),
            Side::Sell => price.max(other.best() + 1),
        };
        let mut qty = (self.config.typical_lots * LIMIT_SIZE * size_q16) >> 16;
        // Books are deeper away from the touch.
        let distance = self.ladder(side).distance(price).clamp(0, 200);
        qty = (qty * (50 + distance) / 100).max(1);
        self.ladder_mut(side).add(price, qty);
    }

    /// Keeps both sides within their number of levels.
    fn tidy(&mut self) {
        let (most, least) = (self.config.levels, LEVELS_MIN.min(self.config.levels / 2));
        for side in [Side::Buy, Side::Sell] {
            self.ladder_mut(side).keep(most);
            while self.ladder(side).n_levels() < least {
                let distance = 3 * self.distance(PLACE_SHAPE);
                let price = self.ladder(side).behind(distance);
                self.place(side, price);
            }
        }
    }

    /// Returns how many ticks the quotes are wide or on the wrong side of the fair value.
    fn ticks_off(&self) -> i64 {
        let stale_bid = (self.bids.best() - self.fair_quote(Side::Buy) - 1).max(0);
        let stale_ask = (self.fair_quote(Side::Sell) - self.asks.best() - 1).max(0);
        let wide = (self.asks.best() - self.bids.best() - 2).max(0);
        (stale_bid + stale_ask + wide).min(OFF_TICKS_MAX)
    }

    /// Returns the chance that somebody buys: half, leaning towards the fair value.
    fn p_buy_q16(&self) -> u64 {
        let middle_q16 = (self.bids.best() + self.asks.best()) << 15;
        let lean = (self.fair.q16() - middle_q16) / 64;
        let half = (ONE_Q16 / 2).cast_signed();
        (half + lean.clamp(-half / 2, half / 2)).unsigned_abs()
    }

    /// Returns the best price that a maker would quote by the fair value alone.
    const fn fair_quote(&self, side: Side) -> i64 {
        match side {
            Side::Buy => self.fair.ticks(),
            Side::Sell => self.fair.ticks() + 1,
        }
    }

    /// Returns the best price that a maker would quote: not beyond fair, not across the book.
    fn reference(&self, side: Side) -> i64 {
        match side {
            Side::Buy => self.fair_quote(side).min(self.asks.best() - 1),
            Side::Sell => self.fair_quote(side).max(self.bids.best() + 1),
        }
    }

    fn distance(&mut self, shape: u64) -> i64 {
        (self.random.pareto_q16(shape) >> 16).cast_signed()
    }

    const fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn emit_snapshot(&mut self, emit: &mut impl FnMut(MarketEvent)) {
        self.seq = 1_000;
        self.stamp();
        self.emit(MarketData::Clear { seq: self.seq }, emit);
        let n_levels = self.bids.n_levels() + self.asks.n_levels();
        let bids = self.bids.levels().map(|(price, qty)| (Side::Buy, price, qty));
        let asks = self.asks.levels().map(|(price, qty)| (Side::Sell, price, qty));
        for (n, (side, price, qty)) in bids.chain(asks).enumerate() {
            let last = n + 1 == n_levels;
            let level = MarketData::Level { side, price: Price(price), qty: Quantity(qty), last };
            self.emit(level, emit);
        }
        self.bids.changed.clear();
        self.asks.changed.clear();
    }

    /// Prints the collected trades and level changes as one message's worth of events.
    fn emit_changes(&mut self, emit: &mut impl FnMut(MarketEvent)) {
        self.changed.clear();
        self.changed.extend(self.bids.changed.drain(..).map(|price| (Side::Buy, price)));
        self.changed.extend(self.asks.changed.drain(..).map(|price| (Side::Sell, price)));
        if self.changed.is_empty() {
            return;
        }
        // Every action had a number at the venue, also those that cancelled out.
        let prev = self.seq;
        self.seq += self.changed.len() as u64;
        self.changed.sort_unstable();
        self.changed.dedup();
        self.stamp();
        for n in 0..self.trades.len() {
            let (side, price, qty) = self.trades[n];
            self.last_trade_id += 1;
            let trade = MarketData::Trade {
                aggressor: Some(side),
                price: Price(price),
                qty: Quantity(qty),
                id: self.last_trade_id,
            };
            self.emit(trade, emit);
        }
        self.trades.clear();
        if self.config.quotes {
            self.emit_quote(emit);
        }
        self.emit(MarketData::Batch { prev, seq: self.seq }, emit);
        for (n, (side, price)) in self.changed.iter().enumerate() {
            let level = MarketData::Level {
                side: *side,
                price: Price(*price),
                qty: Quantity(self.ladder(*side).qty(*price)),
                last: n + 1 == self.changed.len(),
            };
            self.emit(level, emit);
        }
    }

    fn emit_quote(&mut self, emit: &mut impl FnMut(MarketEvent)) {
        let (bid, ask) = (self.bids.best(), self.asks.best());
        let quote = [bid, self.bids.qty(bid), ask, self.asks.qty(ask)];
        if quote != self.last_quote {
            self.last_quote = quote;
            let [bid_px, bid_qty, ask_px, ask_qty] = quote;
            let quote = MarketData::Quote {
                bid_px: Price(bid_px),
                bid_qty: Quantity(bid_qty),
                ask_px: Price(ask_px),
                ask_qty: Quantity(ask_qty),
                seq: self.seq,
            };
            self.emit(quote, emit);
        }
    }

    fn emit_mark(&mut self, emit: &mut impl FnMut(MarketEvent)) {
        let middle = (self.bids.best() + self.asks.best()).div_euclid(2);
        let index = self.fair.ticks();
        let mark = MarketData::Mark { mark: Price(middle), index: Price(index) };
        self.emit_one(mark, emit);
    }

    fn emit_one(&mut self, data: MarketData, emit: &mut impl FnMut(MarketEvent)) {
        self.stamp();
        self.emit(data, emit);
    }

    /// Draws the feed latency of a message: half a millisecond to three, mostly below one.
    ///
    /// Messages share a connection, so none overtakes the one before.
    fn stamp(&mut self) {
        let extra_ns = (self.random.exponential_q16() * 300_000) >> 16;
        let latency_ns = (500_000 + extra_ns).min(3_000_000).cast_signed();
        self.received_at = self.received_at.max(self.now.plus(latency_ns));
    }

    fn emit(&self, data: MarketData, emit: &mut impl FnMut(MarketEvent)) {
        emit(MarketEvent {
            venue_at: self.now,
            received_at: self.received_at,
            instrument: self.config.instrument,
            data,
        });
    }
}
