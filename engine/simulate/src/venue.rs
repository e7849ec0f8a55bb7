//! The venue: the truth about orders, positions and money. It outlives every process.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, ClientOrderId, Fill, InstrumentId, Nanos, OrderKind, OrderRequest, OrderSpec, Price,
    Quantity, RejectReason, ReportKind, Role, Side, StrategyId, TimeInForce,
};
use tercel_testkit::Random;

use crate::ledger::{Booked, Ledger};
use crate::listing::{BASE, QUOTE, SPOT, account_of, unit};
use crate::market::Market;

/// How an order ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Filled,
    Canceled,
    Expired,
    Rejected(RejectReason),
}

/// An order as it is.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) id: ClientOrderId,
    pub(crate) account: AccountId,
    pub(crate) strategy: StrategyId,
    pub(crate) spec: OrderSpec,
    pub(crate) venue_order_id: u64,
    pub(crate) filled: i64,
    pub(crate) fills: Vec<Fill>,
    pub(crate) is_triggered: bool,
    pub(crate) end: Option<End>,
}

impl Truth {
    pub(crate) const fn works(&self) -> bool {
        self.end.is_none()
    }

    pub(crate) const fn leaves(&self) -> i64 {
        if self.works() { self.spec.qty.0 - self.filled } else { 0 }
    }

    /// Returns the request that asks for the order as it stands.
    pub(crate) const fn as_new(&self) -> OrderRequest {
        let Self { id, account, strategy, spec, .. } = *self;
        OrderRequest::New { id, account, strategy, spec }
    }
}

/// Something that it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) order: ClientOrderId,
    pub(crate) account: AccountId,
    pub(crate) instrument: InstrumentId,
    pub(crate) kind: ReportKind,
}

/// The venue.
#[derive(Debug)]
pub(crate) struct Venue {
    random: Random,
    orders: BTreeMap<ClientOrderId, Truth>,
    working: Vec<ClientOrderId>,
    ledger: Ledger,
    n_trades: u64,
    /// The first order that was asked for again, as it stood then.
    again: Option<Truth>,
    /// What it has said and nobody has carried away.
    pub(crate) said: Vec<Said>,
    /// Of new orders, in percent.
    pub(crate) rejected: u64,
    /// Orders that were refused for no reason of their own.
    pub(crate) n_rejected: u64,
}

impl Venue {
    pub(crate) const fn new(random: Random, ledger: Ledger) -> Self {
        Self {
            random,
            orders: BTreeMap::new(),
            working: Vec::new(),
            ledger,
            n_trades: 0,
            again: None,
            said: Vec::new(),
            rejected: 0,
            n_rejected: 0,
        }
    }

    pub(crate) fn order(&self, id: ClientOrderId) -> Option<&Truth> {
        self.orders.get(&id)
    }

    pub(crate) fn orders(&self) -> impl Iterator<Item = &Truth> {
        self.orders.values()
    }

    pub(crate) fn working(&self) -> impl Iterator<Item = &Truth> {
        self.working.iter().map(|id| &self.orders[id])
    }

    /// Returns the first order that was asked for more than once, as it stood at the second time.
    pub(crate) const fn again(&self) -> Option<&Truth> {
        self.again.as_ref()
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes a request as it arrives.
    pub(crate) fn take(&mut self, request: &OrderRequest, market: &Market) {
        match *request {
            OrderRequest::New { id, account, strategy, spec } => {
                if let Some(known) = self.orders.get(&id) {
                    self.again.get_or_insert_with(|| known.clone());
                    return;
                }
                self.open(id, account, strategy, spec, market);
            }
            OrderRequest::Cancel { id, account, instrument } => {
                if self.orders.get(&id).is_some_and(Truth::works) {
                    self.end(id, End::Canceled);
                    self.say(id, ReportKind::Canceled);
                } else {
                    let kind = ReportKind::CancelRejected(RejectReason::UnknownOrder);
                    self.said.push(Said { order: id, account, instrument, kind });
                }
            }
            OrderRequest::Replace { id, account, instrument, price, qty } => {
                let fits =
                    self.orders.get(&id).is_some_and(|own| own.works() && qty.0 > own.filled);
                if fits && !self.random.chance(10) {
                    if let Some(own) = self.orders.get_mut(&id) {
                        own.spec.kind = own.spec.kind.with_limit_price(price);
                        own.spec.qty = qty;
                    }
                    self.say(id, ReportKind::Replaced { price, qty });
                } else {
                    let kind = ReportKind::ReplaceRejected(RejectReason::Other);
                    self.said.push(Said { order: id, account, instrument, kind });
                }
            }
        }
    }

    fn open(
        &mut self,
        id: ClientOrderId,
        account: AccountId,
        strategy: StrategyId,
        spec: OrderSpec,
        market: &Market,
    ) {
        let venue_order_id = 1_000 + self.orders.len() as u64;
        let truth = Truth {
            id,
            account,
            strategy,
            spec,
            venue_order_id,
            filled: 0,
            fills: Vec::new(),
            is_triggered: spec.kind.trigger().is_none(),
            end: None,
        };
        self.orders.insert(id, truth);
        self.working.push(id);
        if self.random.chance(self.rejected) {
            self.n_rejected += 1;
            return self.reject(id, RejectReason::Other);
        }
        let (bid, ask) = market.touch(spec.instrument);
        if spec.post_only && takes(&spec, bid, ask) {
            return self.reject(id, RejectReason::WouldTake);
        }
        if spec.reduce_only {
            let held = self.ledger.lots(strategy, spec.instrument);
            if held.signum() * spec.side.sign() >= 0 || spec.qty.0 > held.abs() {
                return self.reject(id, RejectReason::WouldIncrease);
            }
        }
        self.say(id, ReportKind::Accepted { venue_order_id });
        self.match_now(id, bid, ask);
    }

    fn reject(&mut self, id: ClientOrderId, reason: RejectReason) {
        self.end(id, End::Rejected(reason));
        self.say(id, ReportKind::Rejected(reason));
    }

    /// Lets an order trade that takes, and ends one that may not rest.
    fn match_now(&mut self, id: ClientOrderId, bid: Price, ask: Price) {
        let Some(own) = self.orders.get(&id).filter(|own| own.works()) else { return };
        let spec = own.spec;
        if !own.is_triggered {
            return;
        }
        if takes(&spec, bid, ask) {
            let touch = if spec.side == Side::Buy { ask } else { bid };
            let leaves = own.leaves();
            let qty = if self.random.chance(70) { leaves } else { self.random.between(1, leaves) };
            self.fill(id, touch, qty, Role::Taker);
        }
        let rests = spec.tif != TimeInForce::Ioc && is_limit(&spec);
        if !rests && self.orders[&id].works() {
            self.end(id, End::Canceled);
            self.say(id, ReportKind::Canceled);
        }
    }

    /// Lets time and market work on what rests in an instrument.
    pub(crate) fn tick(&mut self, instrument: InstrumentId, utc: Nanos, market: &Market) {
        let (bid, ask) = market.touch(instrument);
        let resting: Vec<_> = self
            .working()
            .filter(|own| own.spec.instrument == instrument)
            .map(|own| own.id)
            .collect();
        for id in resting {
            let own = &self.orders[&id];
            let spec = own.spec;
            if let TimeInForce::Gtd(until) = spec.tif
                && until <= utc
            {
                self.end(id, End::Expired);
                self.say(id, ReportKind::Expired);
                continue;
            }
            if let Some(trigger) = spec.kind.trigger()
                && !own.is_triggered
            {
                let is_reached = match spec.side {
                    Side::Buy => ask >= trigger,
                    Side::Sell => bid <= trigger,
                };
                if is_reached {
                    self.orders.entry(id).and_modify(|own| own.is_triggered = true);
                    self.say(id, ReportKind::Triggered);
                    self.match_now(id, bid, ask);
                }
                continue;
            }
            let Some(price) = spec.kind.limit_price() else { continue };
            let leaves = own.leaves();
            let is_reached = match spec.side {
                Side::Buy => ask <= price || bid <= price && self.random.chance(25),
                Side::Sell => bid >= price || ask >= price && self.random.chance(25),
            };
            if is_reached {
                let qty =
                    if self.random.chance(40) { leaves } else { self.random.between(1, leaves) };
                self.fill(id, price, qty, Role::Maker);
            }
        }
    }

    /// Lets an order trade at once, whatever the market: while its cancel is on the way.
    pub(crate) fn race(&mut self, id: ClientOrderId) -> bool {
        let Some(own) = self.orders.get(&id).filter(|own| own.works()) else { return false };
        let Some(price) = own.spec.kind.limit_price().filter(|_| own.is_triggered) else {
            return false;
        };
        let qty = self.random.between(1, own.leaves());
        self.fill(id, price, qty, Role::Maker);
        true
    }

    fn fill(&mut self, id: ClientOrderId, price: Price, qty: i64, role: Role) {
        self.n_trades += 1;
        let own = self.orders.get_mut(&id).expect("an order that works");
        let OrderSpec { instrument, side, .. } = own.spec;
        let value_e8 = i128::from(price.0) * i128::from(qty) * (unit(instrument) / 10_000_000_000);
        // Two basis points, or ten; in base that is worth a hundred quote or so.
        let in_base = instrument == SPOT && side == Side::Buy;
        let fee_e8 = value_e8 * if instrument == SPOT { 10 } else { 2 } / 10_000;
        let fee_e8 = if in_base { fee_e8 / 1_000 } else { fee_e8 };
        let rebate = role == Role::Maker && self.n_trades.is_multiple_of(5);
        let fill = Fill {
            trade_id: self.n_trades,
            price,
            qty: Quantity(qty),
            role,
            fee: Decimal::from_i128_with_scale(if rebate { -fee_e8 / 4 } else { fee_e8 }, 8),
            fee_asset: if in_base { BASE } else { QUOTE },
        };
        own.filled += qty;
        own.fills.push(fill);
        let booked = Booked { order: id, strategy: own.strategy, instrument, side, fill };
        let is_done = own.leaves() == 0;
        self.ledger.enter(&booked);
        if is_done {
            self.end(id, End::Filled);
        }
        self.say(id, ReportKind::Fill(fill));
    }

    fn end(&mut self, id: ClientOrderId, end: End) {
        if let Some(own) = self.orders.get_mut(&id) {
            own.end = Some(end);
        }
        self.working.retain(|other| *other != id);
    }

    fn say(&mut self, id: ClientOrderId, kind: ReportKind) {
        let own = &self.orders[&id];
        let (order, account, instrument) = (id, own.account, own.spec.instrument);
        self.said.push(Said { order, account, instrument, kind });
    }

    /// Returns whose an order is; by its maker, as the venue was told.
    pub(crate) fn booked(&self, id: ClientOrderId, fill: Fill) -> Option<Booked> {
        let own = self.orders.get(&id)?;
        let (instrument, side) = (own.spec.instrument, own.spec.side);
        debug_assert_eq!(own.account, account_of(own.strategy), "strategies have one account");
        Some(Booked { order: id, strategy: own.strategy, instrument, side, fill })
    }
}

fn is_limit(spec: &OrderSpec) -> bool {
    matches!(spec.kind, OrderKind::Limit { .. } | OrderKind::StopLimit { .. })
}

/// Returns whether an order would trade at once.
fn takes(spec: &OrderSpec, bid: Price, ask: Price) -> bool {
    match (spec.kind.limit_price(), spec.side) {
        (None, _) => spec.kind.trigger().is_none() || is_stop(spec),
        (Some(price), Side::Buy) => price >= ask,
        (Some(price), Side::Sell) => price <= bid,
    }
}

const fn is_stop(spec: &OrderSpec) -> bool {
    matches!(spec.kind, OrderKind::Stop { .. })
}
