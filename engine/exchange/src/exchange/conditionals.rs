//! Conditional orders that live outside the book and place an order when a price is reached:
//! perpetuals' stops, take-profits and trailing stops.

use std::ops::Bound;

use tercel_core::Nanos;

use crate::exchange::Exchange;
use crate::exchange::place::made_up_name;
use crate::fixed::Fixed;
use crate::ids::{AccountId, ConditionalId, MarketId, OrderId};
use crate::order::{NewOrder, OrderKind, OrderStatus, PositionSide, Trail};
use crate::reject::Reject;
use crate::update::Update;

/// Which price triggers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriggerBy {
    /// That of the latest trade.
    Last,
    /// The mark.
    Mark,
}

/// Where a conditional order is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConditionalStatus {
    /// Waits.
    New,
    /// Its order has been placed and is open.
    Triggered,
    /// Its order has ended.
    Finished,
    /// Was taken back.
    Canceled,
    /// Was ended by the exchange.
    Expired,
    /// Its order was refused.
    Rejected,
}

/// What a conditional order asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewConditional {
    /// The order to place. Its kind says what the price must do: `StopLoss…` or `TakeProfit…`;
    /// its stop price is the trigger.
    pub ask: NewOrder,
    /// Which price triggers.
    pub by: TriggerBy,
    /// Whether it closes the whole position, whatever that is then.
    pub close_position: bool,
    /// Price from which a trailing one trails; zero for now.
    pub activate_price: Fixed,
    /// Whether it must not trigger while mark and last price are far apart; given back unread.
    pub price_protect: bool,
}

/// A conditional order and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conditional {
    /// Its number.
    pub id: ConditionalId,
    /// Whose it is.
    pub account: AccountId,
    /// What was asked for.
    pub asked: NewConditional,
    /// Where it is.
    pub status: ConditionalStatus,
    /// The order that it placed.
    pub order: Option<OrderId>,
    /// Trailing state.
    pub trail: Option<Trail>,
    /// Why its order was refused.
    pub rejected: Option<Reject>,
    /// When it was accepted.
    pub created_at: Nanos,
    /// When it triggered.
    pub triggered_at: Option<Nanos>,
    /// When it last changed.
    pub updated_at: Nanos,
}

impl Exchange {
    /// Places a conditional order.
    ///
    /// # Errors
    ///
    /// If it breaks a rule or would trigger at once.
    pub fn place_conditional(
        &mut self,
        account: AccountId,
        mut asked: NewConditional,
    ) -> Result<ConditionalId, Reject> {
        let market = asked.ask.market;
        let market_ref = self.market(market);
        if !market_ref.is_trading {
            return Err(Reject::MarketClosed);
        }
        let listing = &market_ref.listing;
        for price in [asked.ask.stop_price, asked.ask.price, asked.activate_price] {
            if !price.is_multiple_of(listing.tick) || price > listing.max_price {
                return Err(Reject::PriceFilter);
            }
        }
        let qty = asked.ask.qty;
        let is_whole = asked.close_position;
        if !is_whole
            && (qty < listing.step || qty > listing.max_qty || !qty.is_multiple_of(listing.step))
        {
            return Err(Reject::LotSize);
        }
        let is_hedged = self.account(account).is_hedged;
        if is_hedged == (asked.ask.position_side == PositionSide::Both) {
            return Err(Reject::PositionSide);
        }
        let open = self.account(account).open_conditionals.iter();
        let open: Vec<_> = open.filter_map(|id| self.conditionals.get(id)).collect();
        let of_market = open.iter().filter(|other| other.asked.ask.market == market);
        if of_market.count() >= listing.max_conditional {
            return Err(Reject::MaxConditionalOrders);
        }
        let name = &asked.ask.client_id;
        if !name.is_empty() && open.iter().any(|other| other.asked.ask.client_id == *name) {
            return Err(Reject::DuplicateClientId);
        }
        let price = self.trigger_price(market, asked.by);
        let trail = asked.ask.trail.is_positive().then(|| Trail {
            share: asked.ask.trail,
            extreme: asked.activate_price.is_zero().then_some(price),
            since: asked.activate_price.is_zero().then_some(self.now),
        });
        if trail.is_none() {
            let above = asked.ask.kind.triggers_above(asked.ask.side);
            let stop = asked.ask.stop_price;
            if if above { price >= stop } else { price <= stop } {
                return Err(Reject::WouldTrigger);
            }
        }
        if asked.ask.reduce_only && !asked.close_position {
            self.check_reduces(account, &asked.ask)?;
        }
        self.next_conditional += 1;
        let id = ConditionalId(self.next_conditional);
        if asked.ask.client_id.is_empty() {
            asked.ask.client_id = made_up_name(id.0 ^ (1 << 62));
        }
        let conditional = Conditional {
            id,
            account,
            asked,
            status: ConditionalStatus::New,
            order: None,
            trail,
            rejected: None,
            created_at: self.now,
            triggered_at: None,
            updated_at: self.now,
        };
        self.conditionals.insert(id, conditional);
        self.account_mut(account).open_conditionals.insert(id);
        self.markets[market.0].conditionals.insert(id);
        self.tell_conditional(id);
        Ok(id)
    }

    /// Cancels a conditional order that waits.
    ///
    /// # Errors
    ///
    /// If there is no such waiting order of the account.
    pub fn cancel_conditional(
        &mut self,
        account: AccountId,
        id: ConditionalId,
    ) -> Result<(), Reject> {
        let conditional = self.conditionals.get(&id).filter(|other| other.account == account);
        let is_waiting = |other: &&Conditional| other.status == ConditionalStatus::New;
        conditional.filter(is_waiting).ok_or(Reject::UnknownOrder)?;
        self.end_conditional(id, ConditionalStatus::Canceled);
        Ok(())
    }

    /// Cancels all waiting conditional orders of an account in a symbol; returns how many.
    pub fn cancel_all_conditionals(&mut self, account: AccountId, market: MarketId) -> usize {
        let ids: Vec<_> = self
            .account(account)
            .open_conditionals
            .iter()
            .copied()
            .filter(|id| self.conditionals[id].asked.ask.market == market)
            .collect();
        for id in &ids {
            self.end_conditional(*id, ConditionalStatus::Canceled);
        }
        ids.len()
    }

    /// Places the orders of all conditionals whose price is reached; returns whether any was.
    pub(super) fn trigger_conditionals(&mut self, market: MarketId) -> bool {
        let (mut after, mut has_triggered) = (ConditionalId(0), false);
        loop {
            let later = (Bound::Excluded(after), Bound::Unbounded);
            let Some(id) = self.market(market).conditionals.range(later).next().copied() else {
                return has_triggered;
            };
            after = id;
            if self.is_conditional_reached(id) {
                has_triggered = true;
                self.trigger_conditional(id);
            }
        }
    }

    fn is_conditional_reached(&mut self, id: ConditionalId) -> bool {
        let now = self.now;
        let conditional = &self.conditionals[&id];
        let price = self.trigger_price(conditional.asked.ask.market, conditional.asked.by);
        let above = conditional.asked.ask.kind.triggers_above(conditional.asked.ask.side);
        let (stop, activate) = (conditional.asked.ask.stop_price, conditional.asked.activate_price);
        let conditional = self.conditional_mut(id);
        let Some(trail) = &mut conditional.trail else {
            return if above { price >= stop } else { price <= stop };
        };
        let Some(extreme) = trail.extreme else {
            // A trailing purchase begins once the price has fallen far enough.
            if if above { price <= activate } else { price >= activate } {
                (trail.extreme, trail.since) = (Some(price), Some(now));
            }
            return false;
        };
        if above {
            let extreme = extreme.min(price);
            trail.extreme = Some(extreme);
            price >= extreme.times_ceil(Fixed::ONE + trail.share)
        } else {
            let extreme = extreme.max(price);
            trail.extreme = Some(extreme);
            price <= extreme.times_floor(Fixed::ONE - trail.share)
        }
    }

    fn trigger_conditional(&mut self, id: ConditionalId) {
        let now = self.now;
        let conditional = self.conditional_mut(id);
        conditional.triggered_at = Some(now);
        let (account, asked) = (conditional.account, conditional.asked.clone());
        let market = asked.ask.market;
        self.markets[market.0].conditionals.remove(&id);
        let mut ask = NewOrder {
            kind: if asked.ask.kind.is_market() { OrderKind::Market } else { OrderKind::Limit },
            stop_price: Fixed::ZERO,
            trail: Fixed::ZERO,
            client_id: String::new(),
            ..asked.ask
        };
        if asked.close_position {
            let (side, position_side) = (ask.side, ask.position_side);
            ask.qty = self.reducible(account, market, position_side, side);
            ask.reduce_only = true;
            if ask.qty.is_zero() {
                self.end_conditional(id, ConditionalStatus::Expired);
                return;
            }
        }
        // What it becomes is an order like all others, with the rules of now.
        let checked = self
            .check_shape(account, &ask)
            .and_then(|()| self.check_reduces(account, &ask))
            .and_then(|()| self.check_margin(account, &ask));
        if let Err(reject) = checked {
            self.conditional_mut(id).rejected = Some(reject);
            self.end_conditional(id, ConditionalStatus::Rejected);
            return;
        }
        let order = self.record(account, ask, OrderStatus::New, None, Fixed::ZERO);
        self.order_mut(order).conditional = Some(id);
        let conditional = self.conditional_mut(id);
        (conditional.order, conditional.status) = (Some(order), ConditionalStatus::Triggered);
        conditional.updated_at = now;
        self.account_mut(account).open_conditionals.remove(&id);
        self.tell_conditional(id);
        self.enter(order);
    }

    /// The order that a conditional placed has ended: so has the conditional.
    pub(super) fn conditional_order_ended(&mut self, order: OrderId) {
        let Some(id) = self.order_ref(order).conditional else { return };
        self.end_conditional(id, ConditionalStatus::Finished);
    }

    fn end_conditional(&mut self, id: ConditionalId, status: ConditionalStatus) {
        let now = self.now;
        let conditional = self.conditional_mut(id);
        (conditional.status, conditional.updated_at) = (status, now);
        let (account, market) = (conditional.account, conditional.asked.ask.market);
        self.account_mut(account).open_conditionals.remove(&id);
        self.markets[market.0].conditionals.remove(&id);
        self.tell_conditional(id);
        // Ended ones are remembered, the latest of them.
        if self.conditionals.len() > 50_000
            && let Some((oldest, ended)) = self.conditionals.first_key_value()
            && !matches!(ended.status, ConditionalStatus::New | ConditionalStatus::Triggered)
        {
            let oldest = *oldest;
            self.conditionals.remove(&oldest);
        }
    }

    fn tell_conditional(&mut self, id: ConditionalId) {
        let (conditional, at) = (Box::new(self.conditionals[&id].clone()), self.now);
        self.updates.push(Update::Conditional { conditional, at });
    }

    fn conditional_mut(&mut self, id: ConditionalId) -> &mut Conditional {
        self.conditionals.get_mut(&id).expect("conditionals outlive their orders")
    }

    fn trigger_price(&self, market: MarketId, by: TriggerBy) -> Fixed {
        match by {
            TriggerBy::Last => self.market(market).last_price,
            TriggerBy::Mark => self.market(market).mark,
        }
    }
}
