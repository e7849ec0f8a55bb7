//! An order's way in.

use tercel_core::Nanos;

use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::ids::{AccountId, ListId, OrderId};
use crate::listing::Product;
use crate::order::{Execution, NewOrder, Order, OrderKind, OrderStatus, TimeInForce, Trail};
use crate::reject::Reject;

impl Exchange {
    /// Places an order. It may have ended when this returns: look at its status.
    ///
    /// # Errors
    ///
    /// The rule that it breaks, or the money that it lacks; nothing has changed then.
    pub fn place(&mut self, account: AccountId, ask: NewOrder) -> Result<OrderId, Reject> {
        self.check(account, &ask)?;
        let locked = self.fund(account, &ask)?;
        let market = ask.market;
        let id = self.record(account, ask, OrderStatus::New, None, locked);
        self.enter(id);
        self.settle(market);
        Ok(id)
    }

    /// Checks everything that placing would check, and changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Self::place`], but for the margin of a perpetual, which is not looked at.
    pub fn test(&self, account: AccountId, ask: &NewOrder) -> Result<(), Reject> {
        self.check(account, ask)?;
        let asset = self.given_asset(ask.market, ask.side);
        let is_spot = self.market(ask.market).listing.product == Product::Spot;
        if is_spot && self.account(account).balance(&asset).free < self.lock_of(account, ask) {
            return Err(Reject::InsufficientBalance);
        }
        Ok(())
    }

    /// Locks what an order needs, or checks its margin; returns what was locked.
    pub(super) fn fund(&mut self, account: AccountId, ask: &NewOrder) -> Result<Fixed, Reject> {
        match self.market(ask.market).listing.product {
            Product::Spot => {
                let needed = self.lock_of(account, ask);
                let asset = self.given_asset(ask.market, ask.side);
                self.lock(account, &asset, needed)?;
                Ok(needed)
            }
            Product::Perpetual => {
                self.check_reduces(account, ask)?;
                self.check_margin(account, ask)?;
                Ok(Fixed::ZERO)
            }
        }
    }

    /// Writes down a new order of an account and tells that it was accepted.
    pub(super) fn record(
        &mut self,
        account: AccountId,
        mut ask: NewOrder,
        status: OrderStatus,
        list: Option<ListId>,
        locked: Fixed,
    ) -> OrderId {
        let id = self.new_order_id();
        if ask.client_id.is_empty() {
            ask.client_id = made_up_name(id.0);
        }
        let at = self.now;
        self.by_client.insert((account, ask.market, ask.client_id.clone()), id);
        self.account_mut(account).open.insert(id);
        if let Some(good_till) = ask.good_till.filter(|_| ask.tif == TimeInForce::Gtd) {
            self.deadlines.insert((good_till, id));
        }
        let trail = ask.trail.is_positive().then_some(Trail {
            share: ask.trail,
            extreme: None,
            since: None,
        });
        // Orders that enter the book at once are in it when their acceptance is told.
        let is_working = status == OrderStatus::New && !ask.kind.is_conditional();
        let market = ask.market;
        let order = Order {
            id,
            account,
            ask,
            status,
            filled: Fixed::ZERO,
            quote_filled: Fixed::ZERO,
            prevented: Fixed::ZERO,
            locked,
            list,
            conditional: None,
            is_working,
            trail,
            expiry: None,
            created_at: at,
            working_at: is_working.then_some(at),
            updated_at: at,
            n_changes: 0,
        };
        self.orders.insert(id, order);
        self.report(id, Execution::New);
        self.tell_balances(account, market);
        self.forget();
        id
    }

    /// Lets an accepted order begin: into the book, or among those that wait for a price.
    pub(super) fn enter(&mut self, id: OrderId) {
        let order = self.order_ref(id);
        let (market, last_price) = (order.ask.market, self.market(order.ask.market).last_price);
        if order.ask.kind.is_conditional() {
            let trails_at_once = order.ask.stop_price.is_zero();
            let now = self.now;
            if let Some(trail) = self.order_mut(id).trail.as_mut().filter(|_| trails_at_once) {
                (trail.extreme, trail.since) = (Some(last_price), Some(now));
            }
            self.markets[market.0].stops.insert(id);
        } else {
            self.work(id);
        }
    }

    /// Returns the highest quantity of a kind of order.
    #[must_use]
    pub fn largest_qty(&self, ask: &NewOrder) -> Fixed {
        let listing = &self.market(ask.market).listing;
        match ask.kind {
            OrderKind::Market => listing.max_market_qty,
            _ => listing.max_qty,
        }
    }
}

/// Returns a name for an order that came without: 22 letters and digits that look random and are
/// the same in every run.
pub(crate) fn made_up_name(number: u64) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut state = number;
    (0..22)
        .map(|_| {
            // SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            char::from(LETTERS[usize::try_from(mixed % 62).unwrap_or(0)])
        })
        .collect()
}

/// Returns a time in whole milliseconds since 1970.
#[must_use]
pub const fn millis(at: Nanos) -> i64 {
    at.0.div_euclid(1_000_000)
}
