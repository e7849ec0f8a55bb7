//! The venue's side of the storms.

mod foreign;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use tercel_core::{
    AssetId, ClientOrderId, Instrument, InstrumentKind, Nanos, OrderKind, OrderSpec, Position,
    Price, Quantity, Role, TimeInForce,
};
use tercel_testkit::Random;

use crate::client_id::OrderKey;
use crate::error::{ErrorKind, VenueError};
use crate::protocol::{
    Answer, FillCursor, FillNews, Holding, News, OrderNews, OrderStatus, PositionNews, Request,
    RequestId, Tagged, VenueText,
};

/// How long the venue accepts a request after it was sent.
const WINDOW: i64 = 5 * Nanos::SECOND;

/// How often each trouble came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    pub(super) request_lost: u64,
    pub(super) request_late: u64,
    pub(super) answer_lost: u64,
    pub(super) news_lost: u64,
    pub(super) news_doubled: u64,
    pub(super) news_late: u64,
    pub(super) broken: u64,
    pub(super) not_yet_known: u64,
    pub(super) refused: u64,
    pub(super) fills_late: u64,
    pub(super) stop_fired: u64,
    pub(super) wordless: u64,
}

impl Trouble {
    fn counts(&self) -> [u64; 12] {
        [
            self.request_lost,
            self.request_late,
            self.answer_lost,
            self.news_lost,
            self.news_doubled,
            self.news_late,
            self.broken,
            self.not_yet_known,
            self.refused,
            self.fills_late,
            self.stop_fired,
            self.wordless,
        ]
    }

    pub(super) fn all_fired(&self) -> bool {
        self.counts().iter().all(|n| *n > 0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.request_lost += other.request_lost;
        self.request_late += other.request_late;
        self.answer_lost += other.answer_lost;
        self.news_lost += other.news_lost;
        self.news_doubled += other.news_doubled;
        self.news_late += other.news_late;
        self.broken += other.broken;
        self.not_yet_known += other.not_yet_known;
        self.refused += other.refused;
        self.fills_late += other.fills_late;
        self.stop_fired += other.stop_fired;
        self.wordless += other.wordless;
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) key: OrderKey,
    pub(super) number: u64,
    /// What a conditional order of a perpetual is numbered apart: what comes of it has a number of its
    /// own, and our name no more.
    algo: Option<u64>,
    spec: OrderSpec,
    pub(super) filled: Quantity,
    status: OrderStatus,
    placed_at: Nanos,
    /// When somebody else has placed it or changed it, or it was filled, if it is somebody else's.
    foreign_at: Option<Nanos>,
}

impl Resting {
    /// Returns whether somebody else has placed it.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign_at.is_some()
    }

    pub(super) fn leaves(&self) -> Quantity {
        Quantity(self.spec.qty.0 - self.filled.0)
    }

    /// Returns whether it came of a conditional order and is another one at the venue.
    const fn is_resulting(&self) -> bool {
        self.algo.is_some() && self.number > 0
    }

    fn number(&self) -> VenueText {
        let text = match self.algo {
            Some(algo) if self.number == 0 => format!("a{algo}"),
            _ => self.number.to_string(),
        };
        VenueText::from(&text).unwrap_or_default()
    }
}

pub(super) struct Venue {
    random: Random,
    instrument: Instrument,
    orders: BTreeMap<OrderKey, Resting>,
    placed: BTreeMap<OrderKey, u32>,
    fills: Vec<FillNews>,
    holdings: Vec<Decimal>,
    position: Position,
    /// Requests under way, by the time they arrive; with when and on which connection they were
    /// sent.
    coming: BTreeMap<(Nanos, u64), (Tagged, Nanos, u64)>,
    /// News under way, by the time it arrives; with the connection it is on.
    going: BTreeMap<(Nanos, u64), (News, u64)>,
    n_sent: u64,
    connection: u64,
    is_up: bool,
    is_answering: bool,
    up_at: Nanos,
    has_trouble: bool,
    lost_for: u32,
    /// How many orders the history shows at most, the oldest first.
    history_max: usize,
    pub(super) fired: Trouble,
}

fn error(kind: ErrorKind) -> VenueError {
    VenueError {
        kind,
        code: VenueText::from("-1").unwrap_or_default(),
        text: "refused".to_owned(),
        retry_after_s: None,
    }
}

impl Venue {
    pub(super) fn new(seed: u64, instrument: Instrument) -> Self {
        Self {
            random: Random::new(seed),
            instrument,
            orders: BTreeMap::new(),
            placed: BTreeMap::new(),
            fills: Vec::new(),
            holdings: vec![Decimal::from(1_000_000); 2],
            position: Position::default(),
            coming: BTreeMap::new(),
            going: BTreeMap::new(),
            n_sent: 0,
            connection: 0,
            is_up: false,
            is_answering: false,
            up_at: Nanos(0),
            has_trouble: false,
            lost_for: 0,
            history_max: usize::MAX,
            fired: Trouble::default(),
        }
    }

    pub(super) fn trouble_on(&mut self, has_trouble: bool) {
        self.has_trouble = has_trouble;
    }

    pub(super) fn lose_requests_for(&mut self, n: u32) {
        self.lost_for = n;
    }

    /// The history comes late: it ends with so many orders.
    pub(super) fn end_history_after(&mut self, n: usize) {
        self.history_max = n;
    }

    pub(super) fn connect(&mut self, now: Nanos) {
        self.is_up = true;
        self.connection += 1;
        self.push(News::Online, now, 1);
    }

    pub(super) fn deposit(&mut self, asset: AssetId, amount: Decimal) {
        self.holdings[asset.index()] += amount;
    }

    /// Takes a request on its way.
    pub(super) fn request(&mut self, request: &Tagged, now: Nanos) {
        if !self.is_up {
            return;
        }
        if self.lost_for > 0 {
            self.lost_for -= 1;
            return;
        }
        let mut delay = self.random.between(1, 80) * Nanos::MILLI;
        if self.has_trouble {
            if self.random.chance(4) {
                self.fired.request_lost += 1;
                return;
            }
            if self.random.chance(4) {
                self.fired.request_late += 1;
                delay = self.random.between(500, 7_000) * Nanos::MILLI;
            }
        }
        self.n_sent += 1;
        self.coming.insert((now.plus(delay), self.n_sent), (request.clone(), now, self.connection));
    }

    /// Lets the market move and requests arrive by `now`.
    pub(super) fn advance(&mut self, now: Nanos) {
        if self.has_trouble && self.is_up && self.random.chance(1) {
            self.breaks(now);
        }
        if !self.is_up && now >= self.up_at {
            self.connect(now);
        }
        while let Some(entry) = self.coming.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let at = entry.key().0;
            let (request, sent_at, connection) = entry.remove();
            // Nobody is there any more to be answered.
            self.is_answering = connection == self.connection;
            self.execute(&request, sent_at, at);
        }
        if self.has_trouble && self.random.chance(20) {
            self.trade(now);
        }
    }

    /// What was on its way to us is gone; what was on its way to them may arrive.
    pub(super) fn breaks(&mut self, now: Nanos) {
        self.fired.broken += 1;
        self.is_up = false;
        self.up_at = now.plus(self.random.between(100, 9_000) * Nanos::MILLI);
        self.going.clear();
        self.push(News::Offline, now, 0);
    }

    pub(super) fn deliver(&mut self, now: Nanos) -> Option<News> {
        while let Some(entry) = self.going.first_entry() {
            if entry.key().0 > now {
                return None;
            }
            let (news, connection) = entry.remove();
            if connection == self.connection {
                return Some(news);
            }
        }
        None
    }

    pub(super) fn open(&self) -> Vec<Resting> {
        self.orders.values().filter(|own| !own.status.is_over()).copied().collect()
    }

    pub(super) fn filled_by_order(&self) -> BTreeMap<ClientOrderId, Quantity> {
        let mut filled = BTreeMap::new();
        for order in self.orders.values().filter(|own| !own.is_foreign()) {
            *filled.entry(order.key.id).or_insert(Quantity::ZERO) += order.filled;
        }
        filled
    }

    pub(super) fn position(&self) -> Quantity {
        self.position.qty
    }

    pub(super) fn holdings(&self) -> Vec<(AssetId, Decimal)> {
        (0..).map(AssetId).zip(self.holdings.iter().copied()).collect()
    }

    pub(super) fn placements(&self) -> BTreeMap<OrderKey, u32> {
        self.placed.clone()
    }

    fn push(&mut self, news: News, now: Nanos, delay_ms: i64) {
        self.n_sent += 1;
        let at = now.plus(delay_ms * Nanos::MILLI);
        self.going.insert((at, self.n_sent), (news, self.connection));
    }

    /// Tells on the stream, badly.
    fn tell(&mut self, news: News, now: Nanos) {
        if !self.is_up {
            return;
        }
        let mut delay = 5;
        if self.has_trouble {
            if self.random.chance(8) {
                self.fired.news_lost += 1;
                return;
            }
            if self.random.chance(8) {
                self.fired.news_doubled += 1;
                let again = self.random.between(1, 3_000);
                self.push(news.clone(), now, again);
            }
            if self.random.chance(15) {
                self.fired.news_late += 1;
                delay = self.random.between(10, 4_000);
            }
        }
        self.push(news, now, delay);
    }

    fn answer(&mut self, request: RequestId, outcome: Result<Answer, VenueError>, now: Nanos) {
        if !self.is_up || !self.is_answering {
            return;
        }
        if self.has_trouble && self.random.chance(5) {
            self.fired.answer_lost += 1;
            return;
        }
        let delay = self.random.between(1, if self.has_trouble { 900 } else { 60 });
        self.push(News::Answered { request, outcome }, now, delay);
    }

    fn news_of(order: &Resting, now: Nanos) -> OrderNews {
        OrderNews {
            key: (!order.is_resulting() && !order.is_foreign()).then_some(order.key),
            venue_order_id: order.number(),
            instrument: order.spec.instrument,
            status: order.status,
            side: order.spec.side,
            kind: order.spec.kind,
            qty: order.spec.qty,
            filled: order.filled,
            venue_at: order.foreign_at.unwrap_or(now),
        }
    }

    /// Returns the same as an answer that was asked for by our name.
    fn named_news_of(order: &Resting, now: Nanos) -> OrderNews {
        OrderNews { key: (!order.is_foreign()).then_some(order.key), ..Self::news_of(order, now) }
    }

    fn tell_order(&mut self, key: OrderKey, now: Nanos) {
        if let Some(at) = self.orders.get_mut(&key).and_then(|own| own.foreign_at.as_mut()) {
            *at = now;
        }
        let order = self.orders[&key];
        if order.is_resulting() {
            // The conditional one has fired, or its order is over; not how.
            let mut news = Self::named_news_of(&order, now);
            if news.status.is_over() && news.status != OrderStatus::Filled {
                news.status = OrderStatus::Open;
            }
            self.tell(News::Order(news), now);
        }
        self.tell(News::Order(Self::news_of(&order, now)), now);
    }

    fn place(&mut self, key: OrderKey, spec: OrderSpec, now: Nanos) -> Result<Answer, VenueError> {
        *self.placed.entry(key).or_insert(0) += 1;
        if self.has_trouble && self.random.chance(5) {
            self.fired.refused += 1;
            self.placed.remove(&key);
            return Err(error(ErrorKind::Filter));
        }
        self.n_sent += 1;
        let is_stop = spec.kind.trigger().is_some();
        let is_apart = is_stop && self.instrument.is_perpetual();
        let order = Resting {
            key,
            number: if is_apart { 0 } else { self.n_sent },
            algo: is_apart.then_some(self.n_sent),
            spec,
            filled: Quantity::ZERO,
            status: if is_stop { OrderStatus::Waiting } else { OrderStatus::Open },
            placed_at: now,
            foreign_at: None,
        };
        self.orders.insert(key, order);
        self.tell_order(key, now);
        let takes = spec.kind == OrderKind::Market || spec.tif == TimeInForce::Ioc;
        let mut fills = Vec::new();
        if takes && !is_stop {
            fills.extend(self.take(key, now));
        }
        if self.random.chance(50) {
            fills.clear();
        }
        Ok(Answer::Order(Self::news_of(&self.orders[&key], now), fills))
    }

    /// An order takes what there is, and what is left of it goes.
    fn take(&mut self, key: OrderKey, now: Nanos) -> Option<FillNews> {
        let qty = self.random.between(0, self.orders[&key].spec.qty.0);
        let fill = (qty > 0).then(|| self.fill(key, Quantity(qty), now));
        if let Some(order) = self.orders.get_mut(&key)
            && !order.status.is_over()
        {
            order.status = OrderStatus::Expired;
        }
        self.tell_order(key, now);
        fill
    }

    /// A stop fires.
    fn trigger(&mut self, key: OrderKey, now: Nanos) {
        self.fired.stop_fired += 1;
        self.n_sent += 1;
        let Some(order) = self.orders.get_mut(&key) else { return };
        order.status = OrderStatus::Open;
        if order.algo.is_some() {
            order.number = self.n_sent;
        }
        let is_market = order.spec.kind.limit_price().is_none();
        self.tell_order(key, now);
        if is_market {
            self.take(key, now);
        }
    }

    fn fill(&mut self, key: OrderKey, qty: Quantity, now: Nanos) -> FillNews {
        let Some(order) = self.orders.get_mut(&key) else { unreachable!("the order is there") };
        order.filled += qty;
        if order.filled == order.spec.qty {
            order.status = OrderStatus::Filled;
        }
        let order = *order;
        let price = order.spec.kind.limit_price().unwrap_or(Price(100));
        let fee = Decimal::new(self.random.between(0, 50), 6);
        self.n_sent += 1;
        // Derivatives' lists of executions do not repeat our names.
        let key_told = (!self.instrument.is_perpetual() && !order.is_foreign()).then_some(key);
        let fill = FillNews {
            key: key_told,
            venue_order_id: Self::news_of(&order, now).venue_order_id,
            instrument: order.spec.instrument,
            trade_id: self.n_sent,
            side: order.spec.side,
            price,
            qty,
            role: Role::Maker,
            fee,
            fee_asset: Some(AssetId(1)),
            venue_at: now,
        };
        self.fills.push(fill);
        let made = self.position.apply_fill(&self.instrument, order.spec.side, price, qty).unwrap();
        if self.instrument.is_perpetual() {
            self.holdings[1] += made.to_decimal();
        }
        if self.instrument.spec.kind == InstrumentKind::Spot {
            let base = self.instrument.quantity_decimal(qty);
            let quote = base * self.instrument.price_decimal(price);
            let sign = Decimal::from(order.spec.side.sign());
            self.holdings[0] += base * sign;
            self.holdings[1] -= quote * sign;
        }
        self.holdings[1] -= fee;
        self.tell(News::Fill(fill), now);
        self.tell_order(key, now);
        fill
    }

    fn trade(&mut self, now: Nanos) {
        let open = self.open();
        if open.is_empty() {
            return;
        }
        let order = open[self.random.index(open.len())];
        if order.status == OrderStatus::Waiting {
            return self.trigger(order.key, now);
        }
        let qty = Quantity(self.random.between(1, order.leaves().0));
        self.fill(order.key, qty, now);
    }

    /// What came of a stop is known by its own number alone.
    fn cancel(
        &mut self,
        key: OrderKey,
        number: &VenueText,
        now: Nanos,
    ) -> Result<Answer, VenueError> {
        let named = |order: &&mut Resting| !order.is_resulting() || order.number() == *number;
        match self.orders.get_mut(&key).filter(named) {
            Some(order) if !order.status.is_over() => {
                order.status = OrderStatus::Canceled;
                let is_apart = order.algo.is_some() && !order.is_resulting();
                self.tell_order(key, now);
                if is_apart {
                    return Ok(Answer::Done);
                }
                Ok(Answer::Order(Self::news_of(&self.orders[&key], now), Vec::new()))
            }
            _ => Err(error(ErrorKind::UnknownOrder)),
        }
    }

    fn execute(&mut self, request: &Tagged, sent_at: Nanos, now: Nanos) {
        if now.since(sent_at) > WINDOW {
            self.answer(request.id, Err(error(ErrorKind::Timestamp)), now);
            return;
        }
        // The worst moment: it is done, and nothing of it is told.
        if self.has_trouble && self.is_up && self.random.chance(3) {
            self.breaks(now);
        }
        let outcome = match &request.request {
            Request::Place { key, spec } => self.place(*key, *spec, now),
            Request::Cancel { key, venue_order_id, .. } => {
                self.cancel(self.meant(*key, venue_order_id), venue_order_id, now)
            }
            Request::Amend { key, venue_order_id, price, qty, .. } => {
                self.amend(self.meant(*key, venue_order_id), *price, *qty, now)
            }
            Request::CancelReplace { key, new_key, spec, only_unfilled } => {
                self.swap(*key, *new_key, *spec, *only_unfilled, now)
            }
            Request::QueryOrder { key, venue_order_id, .. } => {
                self.query(self.meant(*key, venue_order_id), venue_order_id, now)
            }
            Request::OpenOrders { .. } => {
                let open = self.open();
                Ok(Answer::Orders(open.iter().map(|own| Self::news_of(own, now)).collect()))
            }
            Request::OrderHistory { .. } => {
                let all = self.orders.values().take(self.history_max);
                Ok(Answer::Orders(all.map(|own| Self::named_news_of(own, now)).collect()))
            }
            Request::Fills { since, .. } => Ok(self.list_fills(*since, now)),
            Request::Balances => {
                // What is not held is not listed.
                let list = (0..).map(AssetId).zip(&self.holdings);
                let holdings = list
                    .filter(|(_, total)| !total.is_zero())
                    .map(|(asset, total)| Holding { asset, total: *total, venue_at: now });
                Ok(Answer::Holdings(holdings.collect()))
            }
            Request::Positions => Ok(Answer::Positions(vec![PositionNews {
                instrument: self.instrument.id,
                qty: self.position.qty,
                price: Price(100),
                venue_at: now,
            }])),
            other => unreachable!("the gateway does not ask for {other:?}"),
        };
        // Some are confirmed without a word of how the order stands.
        let is_change = matches!(
            request.request,
            Request::Place { .. } | Request::Amend { .. } | Request::CancelReplace { .. }
        );
        let is_wordless = is_change && self.has_trouble && outcome.is_ok();
        if is_wordless && self.random.chance(20) {
            self.fired.wordless += 1;
            self.answer(request.id, Ok(Answer::Done), now);
        } else {
            self.answer(request.id, outcome, now);
        }
    }

    fn amend(
        &mut self,
        key: OrderKey,
        price: Price,
        qty: Quantity,
        now: Nanos,
    ) -> Result<Answer, VenueError> {
        let has_trouble = self.has_trouble;
        let is_refused = has_trouble && self.random.chance(10);
        match self.orders.get_mut(&key) {
            // There are no words for that.
            Some(order) if order.algo.is_some() => Err(error(ErrorKind::NotSent)),
            Some(order) if !order.status.is_over() => {
                if is_refused {
                    self.fired.refused += 1;
                    return Err(error(ErrorKind::Filter));
                }
                if qty <= order.filled {
                    // As USD-M does.
                    order.status = OrderStatus::Canceled;
                } else {
                    order.spec.qty = qty;
                    order.spec.kind = order.spec.kind.with_limit_price(price);
                }
                self.tell_order(key, now);
                Ok(Answer::Order(Self::news_of(&self.orders[&key], now), Vec::new()))
            }
            _ => Err(error(ErrorKind::UnknownOrder)),
        }
    }

    fn swap(
        &mut self,
        key: OrderKey,
        new_key: OrderKey,
        spec: OrderSpec,
        only_unfilled: bool,
        now: Nanos,
    ) -> Result<Answer, VenueError> {
        let is_refused = self.has_trouble && self.random.chance(10);
        match self.orders.get_mut(&key).filter(|order| order.algo.is_none()) {
            Some(order) if !order.status.is_over() => {
                if only_unfilled && order.filled.0 > 0 {
                    self.fired.refused += 1;
                    return Err(error(ErrorKind::Other));
                }
                order.status = OrderStatus::Canceled;
                self.tell_order(key, now);
                let old = Self::news_of(&self.orders[&key], now);
                if is_refused {
                    self.fired.refused += 1;
                    let new = OrderNews {
                        key: Some(new_key),
                        status: OrderStatus::Rejected,
                        qty: spec.qty,
                        kind: spec.kind,
                        ..old
                    };
                    return Ok(Answer::Replaced { old, new });
                }
                match self.place(new_key, spec, now) {
                    Ok(Answer::Order(new, _)) => Ok(Answer::Replaced { old, new }),
                    _ => {
                        let new =
                            OrderNews { key: Some(new_key), status: OrderStatus::Rejected, ..old };
                        Ok(Answer::Replaced { old, new })
                    }
                }
            }
            _ => Err(error(ErrorKind::UnknownOrder)),
        }
    }

    fn query(
        &mut self,
        key: OrderKey,
        number: &VenueText,
        now: Nanos,
    ) -> Result<Answer, VenueError> {
        let not_yet = self.has_trouble && self.random.chance(60);
        match self.orders.get(&key) {
            Some(order) if now.since(order.placed_at) < Nanos::SECOND && not_yet => {
                self.fired.not_yet_known += 1;
                Err(error(ErrorKind::UnknownOrder))
            }
            Some(order) if order.number() == *number => {
                Ok(Answer::Order(Self::news_of(order, now), Vec::new()))
            }
            Some(order) => Ok(Answer::Order(Self::named_news_of(order, now), Vec::new())),
            None => Err(error(ErrorKind::UnknownOrder)),
        }
    }

    fn list_fills(&mut self, since: FillCursor, now: Nanos) -> Answer {
        let mut list: Vec<_> = self
            .fills
            .iter()
            .filter(|own| match since {
                FillCursor::Since(at) => own.venue_at >= at,
                FillCursor::After(id) => own.trade_id > id,
            })
            .copied()
            .collect();
        // The last ones may not be in the list yet.
        if self.has_trouble && self.random.chance(30) {
            let n_before = list.len();
            list.retain(|own| now.since(own.venue_at) > 2 * Nanos::SECOND);
            self.fired.fills_late += u64::from(list.len() < n_before);
        }
        let has_more = list.len() > 5;
        list.truncate(5);
        let known: BTreeSet<_> = list.iter().map(|own| own.trade_id).collect();
        assert_eq!(known.len(), list.len());
        Answer::Fills(list, has_more)
    }
}
