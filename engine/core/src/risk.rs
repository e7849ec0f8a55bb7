//! Risk: the one gate between a wish and an order. Nothing reaches a venue without [`Approved`].
//!
//! Every limit exists per strategy, account and engine; the checks go from the order itself to the
//! market, to the scopes, and stop at the first refusal.

use std::ops::Deref;

use crate::event::Scope;
use crate::ids::{ClientOrderId, InstrumentId, StrategyId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::limits::{RiskReject, TradingState};
use crate::num::{Nanos, Notional, Price, Quantity, Side};
use crate::order::{OrderKind, OrderRequest, OrderSpec};
use crate::orders::Order;
use crate::scope::ScopeState;
use crate::state::{Account, Market, State};

/// A request that passed the risk checks. Only this module can make one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Approved<T>(T);

impl<T> Deref for Approved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// An approved new order with the price that it was valued at.
#[derive(Debug)]
pub(crate) struct ApprovedOrder {
    pub(crate) request: Approved<OrderRequest>,
    pub(crate) order: Order,
}

/// Who wants an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// A strategy; every limit holds.
    Strategy,
    /// The operator, who closes a position while its other orders are being cancelled. Limits of position
    /// and exposure, which those orders may still use up, must not stand in the way; nor may counts of
    /// the day, which no waiting brings back before its end, nor a halt of what lies below.
    Flatten,
}

/// Judges a new order. Allocates nothing; O(working orders of the instrument).
pub(crate) fn approve_new(
    state: &State,
    strategy: StrategyId,
    id: ClientOrderId,
    spec: &OrderSpec,
    origin: Origin,
    now: Nanos,
) -> Result<ApprovedOrder, RiskReject> {
    let own = &state.strategies[strategy.index()];
    if !own.instruments.contains(&spec.instrument) {
        return Err(RiskReject::UnknownInstrument);
    }
    if !state.orders.has_room() {
        let capacity = u32::try_from(state.orders.capacity()).unwrap_or(u32::MAX);
        return Err(RiskReject::TableFull { capacity });
    }
    let account = &state.accounts[own.account.index()];
    let candidate = Candidate::new(state, spec, Quantity(0))?;
    candidate.check_instrument()?;
    let scopes = [&own.scope, &account.scope, &state.scope];
    match origin {
        Origin::Strategy => check_states(scopes, &candidate)?,
        Origin::Flatten => {
            if let Some(scope) = state.halted_by(strategy, true) {
                return Err(RiskReject::Halted { scope });
            }
        }
    }
    candidate.check_reduce_only(&own.scope)?;
    candidate.check_market()?;
    for scope in scopes {
        check_open_orders(scope)?;
        check_limits(scope, &candidate)?;
        check_rate(scope, now)?;
        if origin == Origin::Strategy {
            check_day(scope, &candidate, now)?;
            check_exposure(scope, &candidate)?;
        }
    }
    check_self_cross(state, strategy, &candidate, None)?;
    if account.check_balance {
        check_balance(account, &candidate, Notional::ZERO)?;
    }
    let request = Approved(OrderRequest::New { id, account: own.account, strategy, spec: *spec });
    let order = Order::new(id, own.account, strategy, *spec, now, candidate.price);
    Ok(ApprovedOrder { request, order })
}

/// Judges a change of price and quantity of a working order.
pub(crate) fn approve_replace(
    state: &State,
    strategy: StrategyId,
    id: ClientOrderId,
    price: Price,
    qty: Quantity,
    now: Nanos,
) -> Result<Approved<OrderRequest>, RiskReject> {
    let order = working_order(state, strategy, id)?;
    let is_limit = order.spec.kind.limit_price().is_some();
    if order.pending.is_any() || !is_limit || qty.0 <= order.filled.0 {
        return Err(RiskReject::NotReplaceable);
    }
    let own = &state.strategies[strategy.index()];
    let account = &state.accounts[own.account.index()];
    let kind = order.spec.kind.with_limit_price(price);
    let spec = OrderSpec { kind, qty: qty - order.filled, ..order.spec };
    let candidate = Candidate::new(state, &spec, order.exposed_qty())?;
    candidate.check_price()?;
    candidate.check_size(qty)?;
    let scopes = [&own.scope, &account.scope, &state.scope];
    check_states(scopes, &candidate)?;
    candidate.check_reduce_only(&own.scope)?;
    candidate.check_market()?;
    for scope in scopes {
        check_limits(scope, &candidate)?;
        check_rate(scope, now)?;
        check_day(scope, &candidate, now)?;
        check_exposure(scope, &candidate)?;
    }
    check_self_cross(state, strategy, &candidate, Some(id))?;
    if account.check_balance {
        check_balance(account, &candidate, locked_by(order, candidate.instrument))?;
    }
    let (account, instrument) = (own.account, spec.instrument);
    Ok(Approved(OrderRequest::Replace { id, account, instrument, price, qty }))
}

/// Judges a cancel: it always passes if there is something to cancel.
pub(crate) fn approve_cancel(
    state: &State,
    strategy: StrategyId,
    id: ClientOrderId,
) -> Result<Approved<OrderRequest>, RiskReject> {
    let order = working_order(state, strategy, id)?;
    if order.pending.cancel {
        return Err(RiskReject::NotReplaceable);
    }
    let (account, instrument) = (order.account, order.spec.instrument);
    Ok(Approved(OrderRequest::Cancel { id, account, instrument }))
}

/// Returns what a working spot order ties up: quote with the taker fee for a buy, base for a sell.
pub(crate) fn locked_by(order: &Order, instrument: &Instrument) -> Notional {
    if order.is_working() && instrument.spec.kind == InstrumentKind::Spot {
        let price = order.spec.kind.limit_price().unwrap_or(order.reference_px);
        spot_need(instrument, order.spec.side, price, order.exposed_qty()).unwrap_or(Notional::ZERO)
    } else {
        Notional::ZERO
    }
}

/// An order under judgement.
struct Candidate<'a> {
    instrument: &'a Instrument,
    market: &'a Market,
    spec: &'a OrderSpec,
    /// What it is valued at: its limit, its trigger, or the touch that it would take.
    price: Price,
    notional: Notional,
    /// What it adds to the open quantity: all of it, or what a replace adds. Reduce-only orders
    /// count like others: the venue shrinks them to the position, but what else is open may have
    /// used that up, or may still trade after them.
    added: Quantity,
}

impl<'a> Candidate<'a> {
    fn new(state: &'a State, spec: &'a OrderSpec, replaced: Quantity) -> Result<Self, RiskReject> {
        let instrument = &state.instruments[spec.instrument.index()];
        let market = &state.markets[spec.instrument.index()];
        if spec.qty.0 <= 0 {
            return Err(RiskReject::NonPositiveQuantity { qty: spec.qty });
        }
        let own_price = match spec.kind {
            OrderKind::Market => None,
            OrderKind::Limit { price } | OrderKind::StopLimit { price, .. } => Some(price),
            OrderKind::Stop { trigger } => Some(trigger),
        };
        let price = match own_price {
            Some(price) if price.0 <= 0 => return Err(RiskReject::NonPositivePrice { price }),
            Some(price) => price,
            None => {
                let touch = market.best(spec.side.opposite()).map(|level| level.price);
                touch.or_else(|| market.reference()).ok_or(RiskReject::NoReference)?
            }
        };
        let notional = instrument.notional(price, spec.qty).ok_or(RiskReject::Overflow)?;
        let added = Quantity((spec.qty.0 - replaced.0).max(0));
        Ok(Self { instrument, market, spec, price, notional, added })
    }

    fn check_instrument(&self) -> Result<(), RiskReject> {
        let instrument = self.instrument;
        self.check_size(self.spec.qty)?;
        // Closing what is left of a position must stay possible however little it is worth.
        if self.notional < instrument.min_notional && !self.spec.reduce_only {
            let (notional, min) = (self.notional, instrument.min_notional);
            return Err(RiskReject::MinNotional { notional, min });
        }
        self.check_price()
    }

    /// Judges a whole order's quantity.
    fn check_size(&self, qty: Quantity) -> Result<(), RiskReject> {
        let instrument = self.instrument;
        if qty < instrument.min_quantity {
            return Err(RiskReject::MinQuantity { qty, min: instrument.min_quantity });
        }
        if qty > instrument.max_quantity {
            return Err(RiskReject::MaxQuantity { qty, max: instrument.max_quantity });
        }
        Ok(())
    }

    fn check_price(&self) -> Result<(), RiskReject> {
        match self.spec.kind.trigger() {
            Some(price) if price.0 <= 0 => Err(RiskReject::NonPositivePrice { price }),
            _ => Ok(()),
        }
    }

    fn check_reduce_only(&self, strategy: &ScopeState) -> Result<(), RiskReject> {
        let position = strategy.positions[self.instrument.id.index()].qty;
        let order = Quantity(self.spec.qty.0 * self.spec.side.sign());
        let shrinks = position.0.signum() * order.0.signum() < 0;
        if self.spec.reduce_only && !(shrinks && self.spec.qty <= position.abs()) {
            return Err(RiskReject::WouldIncrease { position, order });
        }
        Ok(())
    }

    fn check_market(&self) -> Result<(), RiskReject> {
        if !self.market.is_live() {
            return Err(RiskReject::StaleBook);
        }
        let reference = self.market.reference().ok_or(RiskReject::NoReference)?;
        let limit_bps = self.instrument.spec.price_band_bps;
        if limit_bps > 0
            && let Some(price) = self.spec.kind.limit_price()
            && exceeds_bps(price.0 - reference.0, reference, limit_bps)
        {
            return Err(RiskReject::PriceBand { price, reference, limit_bps });
        }
        Ok(())
    }
}

fn working_order(
    state: &State,
    strategy: StrategyId,
    id: ClientOrderId,
) -> Result<&Order, RiskReject> {
    state
        .orders
        .get(id)
        .filter(|order| order.strategy == strategy && order.is_working())
        .ok_or(RiskReject::UnknownOrder)
}

/// Judges by the switches of the strategy, its account and the engine.
fn check_states(scopes: [&ScopeState; 3], candidate: &Candidate<'_>) -> Result<(), RiskReject> {
    let id = candidate.instrument.id;
    let [own, account, _] = scopes.map(|scope| scope.positions[id.index()].qty);
    // A venue of perpetuals lets a reduce-only order shrink the account's position and do nothing else. On
    // spot it knows no such order, and what it shrinks is the strategy's only while nobody else on the
    // account holds any.
    let is_guarded =
        candidate.spec.reduce_only && candidate.instrument.is_perpetual() && own == account;
    scopes.into_iter().try_for_each(|scope| check_state(scope, candidate, is_guarded))
}

/// Returns how much of a position one closing order may take; `None` if nothing, because what is left is less
/// than the venue takes or, on spot, than the account has. Not judged: whether there is a market.
pub(crate) fn closable(
    state: &State,
    strategy: StrategyId,
    id: InstrumentId,
    side: Side,
    held: Quantity,
) -> Option<Quantity> {
    let instrument = &state.instruments[id.index()];
    let own = &state.strategies[strategy.index()];
    let account = &state.accounts[own.account.index()];
    let is_spot = instrument.spec.kind == InstrumentKind::Spot;
    let mut qty = held.min(instrument.max_quantity);
    if is_spot && side == Side::Sell {
        // A fee that was paid in what was bought has made it less.
        let free = account.balances[instrument.spec.base.index()].free();
        if account.check_balance || free > Notional::ZERO {
            let lot = instrument.base_amount(Quantity(1))?;
            let lots = i64::try_from(free.0.div_euclid(lot.0.max(1))).unwrap_or(i64::MAX);
            qty = qty.min(Quantity(lots));
        }
    }
    let market = &state.markets[id.index()];
    let touch = market.best(side.opposite()).map(|level| level.price);
    let lot = touch
        .or_else(|| market.reference())
        .and_then(|price| instrument.notional(price, Quantity(1)));
    for scope in [&own.scope, &account.scope, &state.scope] {
        if let Some(limit) = scope.limits.order_qty {
            // A limit that lets nothing pass is for the check to name.
            qty = qty.min(Quantity(limit.0.max(1)));
        }
        if let (Some(limit), Some(lot)) = (scope.limits.order_notional, lot) {
            let lots = i64::try_from(limit.0.div_euclid(lot.0.max(1))).unwrap_or(i64::MAX);
            qty = qty.min(Quantity(lots.max(1)));
        }
    }
    // A venue takes what only shrinks a position however little it is worth; on spot it knows no such thing.
    let is_worth = match lot {
        Some(lot) if is_spot => lot.0.saturating_mul(qty.0.into()) >= instrument.min_notional.0,
        _ => true,
    };
    (qty.0 > 0 && qty >= instrument.min_quantity && is_worth).then_some(qty)
}

fn check_state(
    scope: &ScopeState,
    candidate: &Candidate<'_>,
    is_guarded: bool,
) -> Result<(), RiskReject> {
    #[cfg(feature = "sabotage")]
    if crate::sabotage::is_planted(crate::sabotage::Bug::KillLetsOrdersPass) {
        return Ok(());
    }
    match scope.state {
        TradingState::Active => Ok(()),
        TradingState::Halted => Err(RiskReject::Halted { scope: scope.id }),
        TradingState::Reducing => {
            let Candidate { instrument, spec, added, .. } = candidate;
            if !is_guarded && scope.could_grow(instrument.id, spec.side, *added) {
                return Err(RiskReject::Reducing { scope: scope.id });
            }
            Ok(())
        }
    }
}

fn check_open_orders(scope: &ScopeState) -> Result<(), RiskReject> {
    match scope.limits.open_orders {
        Some(limit) if scope.open_orders >= limit => {
            Err(RiskReject::OpenOrders { scope: scope.id, limit })
        }
        _ => Ok(()),
    }
}

fn check_limits(state: &ScopeState, candidate: &Candidate<'_>) -> Result<(), RiskReject> {
    let (scope, limits) = (state.id, &state.limits);
    let qty = candidate.spec.qty;
    if let Some(limit) = limits.order_qty
        && qty > limit
    {
        return Err(RiskReject::OrderQuantity { scope, qty, limit });
    }
    if let Some(limit) = limits.order_notional
        && candidate.notional > limit
    {
        return Err(RiskReject::OrderNotional { scope, notional: candidate.notional, limit });
    }
    if let Some(limit_bps) = limits.price_collar_bps {
        check_collar(scope, candidate, limit_bps)?;
    }
    Ok(())
}

/// A limit price may lie beyond the touch that it would take, but only so far. Prices on the safe
/// side are for the price band to judge.
fn check_collar(scope: Scope, candidate: &Candidate<'_>, limit_bps: u32) -> Result<(), RiskReject> {
    let side = candidate.spec.side;
    let touch = candidate.market.best(side.opposite()).map(|level| level.price);
    let Some(reference) = touch.or_else(|| candidate.market.reference()) else {
        return Err(RiskReject::NoReference);
    };
    let price = candidate.price;
    let beyond = (price.0 - reference.0) * side.sign();
    if beyond > 0 && exceeds_bps(beyond, reference, limit_bps) {
        return Err(RiskReject::PriceCollar { scope, price, reference, limit_bps });
    }
    Ok(())
}

fn check_exposure(state: &ScopeState, candidate: &Candidate<'_>) -> Result<(), RiskReject> {
    let (scope, limits) = (state.id, &state.limits);
    if limits.position_qty.is_none() && limits.gross_exposure.is_none() {
        return Ok(());
    }
    let id = candidate.instrument.id;
    let (buys, sells) = match candidate.spec.side {
        Side::Buy => (candidate.added, Quantity(0)),
        Side::Sell => (Quantity(0), candidate.added),
    };
    let before = state.worst_qty(id, Quantity(0), Quantity(0));
    let worst = state.worst_qty(id, buys, sells);
    if worst <= before {
        // What leads no further from flat passes even above a limit that was lowered.
        return Ok(());
    }
    if let Some(limit) = limits.position_qty
        && worst > limit
    {
        return Err(RiskReject::Position { scope, worst, limit });
    }
    if let Some(limit) = limits.gross_exposure {
        let price = candidate.market.dearest(candidate.price);
        let notional = candidate.instrument.notional(price, worst);
        let notional = notional.ok_or(RiskReject::Overflow)?;
        let exposure = state.gross - state.exposures[id.index()].worst + notional;
        if exposure > limit {
            return Err(RiskReject::GrossExposure { scope, exposure, limit });
        }
    }
    Ok(())
}

fn check_rate(state: &ScopeState, now: Nanos) -> Result<(), RiskReject> {
    match state.limits.orders_per_second {
        Some(limit) if state.is_pace_reached(now) => {
            Err(RiskReject::OrdersPerSecond { scope: state.id, limit })
        }
        _ => Ok(()),
    }
}

/// Judges by what the day has seen, and by the time since the last fill.
fn check_day(state: &ScopeState, candidate: &Candidate<'_>, now: Nanos) -> Result<(), RiskReject> {
    let (scope, limits, today) = (state.id, &state.limits, &state.today);
    let is_today = today.number == now.day();
    let (orders, cancels, fills) =
        if is_today { (today.orders, today.cancels, today.fills) } else { (0, 0, 0) };
    if let Some(limit) = limits.orders_per_day
        && orders >= limit
    {
        return Err(RiskReject::OrdersPerDay { scope, limit });
    }
    if let Some(limit) = limits.cancels_per_100_orders
        && orders >= 100
    {
        let per_100 = u32::try_from(u64::from(cancels) * 100 / u64::from(orders));
        let per_100 = per_100.unwrap_or(u32::MAX);
        if per_100 > limit {
            return Err(RiskReject::CancelRatio { scope, per_100, limit });
        }
    }
    if let Some(limit) = limits.trades_per_day
        && fills >= limit
    {
        return Err(RiskReject::TradesPerDay { scope, limit });
    }
    if let (Some(cooldown_ns), Some(last)) = (limits.cooldown_ns, state.last_fill_at) {
        let left_ns = cooldown_ns - now.since(last);
        let Candidate { instrument, spec, added, .. } = candidate;
        let grows = !spec.reduce_only && state.could_grow(instrument.id, spec.side, *added);
        if left_ns > 0 && grows {
            return Err(RiskReject::Cooldown { scope, left_ns });
        }
    }
    Ok(())
}

/// Refuses to trade with an order of the same account, whichever of its strategies sent it.
fn check_self_cross(
    state: &State,
    strategy: StrategyId,
    candidate: &Candidate<'_>,
    replaced: Option<ClientOrderId>,
) -> Result<(), RiskReject> {
    if candidate.spec.kind.trigger().is_some() {
        // It is judged by the venue when it wakes; what rests then is not known now.
        return Ok(());
    }
    let account = state.strategies[strategy.index()].account;
    let side = candidate.spec.side;
    for order in state.orders.working(candidate.instrument.id) {
        let is_opposite = order.account == account
            && order.spec.side != side
            && order.triggered
            && Some(order.id) != replaced;
        if let Some(resting) = order.spec.kind.limit_price()
            && is_opposite
            && side.crosses(candidate.price, resting)
        {
            return Err(RiskReject::SelfCross { price: candidate.price, resting });
        }
    }
    Ok(())
}

/// Refuses what the account cannot pay for: quote or base for spot, initial margin for perpetuals
/// (worst-case notional over leverage, against the settlement balance at face value).
fn check_balance(
    account: &Account,
    candidate: &Candidate<'_>,
    already_locked: Notional,
) -> Result<(), RiskReject> {
    let Candidate { instrument, market, spec, price, .. } = candidate;
    let (needed, free) = match instrument.spec.kind {
        InstrumentKind::Spot => {
            let asset = match spec.side {
                Side::Buy => instrument.spec.quote,
                Side::Sell => instrument.spec.base,
            };
            let needed = spot_need(instrument, spec.side, *price, spec.qty);
            let free = account.balances[asset.index()].free() + already_locked;
            (needed.ok_or(RiskReject::Overflow)?, free)
        }
        InstrumentKind::LinearPerpetual | InstrumentKind::InversePerpetual => {
            let scope = &account.scope;
            let (buys, sells) = match spec.side {
                Side::Buy => (candidate.added, Quantity(0)),
                Side::Sell => (Quantity(0), candidate.added),
            };
            let before = scope.worst_qty(instrument.id, Quantity(0), Quantity(0));
            let worst = scope.worst_qty(instrument.id, buys, sells);
            if worst <= before {
                return Ok(());
            }
            // What the order costs says nothing of what is held: not of the position, if it lies far
            // below the market, nor of an inverse contract's collateral, if far above.
            let reference = market.reference().ok_or(RiskReject::NoReference)?;
            let worst = instrument.notional(reference.max(*price), worst);
            let worst = worst.ok_or(RiskReject::Overflow)?;
            let gross = scope.gross - scope.exposures[instrument.id.index()].worst + worst;
            let held = account.balances[instrument.settlement_asset().index()].total;
            let held = instrument.in_quote(held, reference);
            (Notional(gross.0 / i128::from(account.leverage.max(1))), held)
        }
    };
    if needed > free {
        return Err(RiskReject::InsufficientBalance { needed, free });
    }
    Ok(())
}

fn spot_need(instrument: &Instrument, side: Side, price: Price, qty: Quantity) -> Option<Notional> {
    match side {
        Side::Buy => {
            let notional = instrument.notional(price, qty)?;
            Some(notional + instrument.taker_fee(notional))
        }
        Side::Sell => instrument.base_amount(qty),
    }
}

fn exceeds_bps(distance: i64, reference: Price, limit_bps: u32) -> bool {
    i128::from(distance).abs() * 10_000 > i128::from(reference.0).abs() * i128::from(limit_bps)
}
