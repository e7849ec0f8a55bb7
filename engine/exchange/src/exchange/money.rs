//! Spot money: what an order locks, what a trade moves.
//!
//! Every unit that leaves one account arrives in another or in the house's.

use tercel_core::Side;

use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::ids::{AccountId, MarketId, OrderId};
use crate::listing::Product;
use crate::order::{NewOrder, OrderKind, SelfTrade};
use crate::reject::Reject;
use crate::update::Update;

impl Exchange {
    /// Returns the asset that an order gives.
    pub(super) fn given_asset(&self, market: MarketId, side: Side) -> String {
        let listing = &self.market(market).listing;
        match side {
            Side::Buy => listing.quote.clone(),
            Side::Sell => listing.base.clone(),
        }
    }

    /// Returns what an order must lock, in the asset that it gives.
    pub(super) fn lock_of(&self, account: AccountId, ask: &NewOrder) -> Fixed {
        match (ask.side, ask.kind) {
            (Side::Sell, OrderKind::Market) if ask.qty.is_zero() => self.sale_for(account, ask),
            (Side::Sell, _) => ask.qty,
            (Side::Buy, OrderKind::Market) if ask.qty.is_zero() => ask.quote_qty,
            (Side::Buy, OrderKind::Market) => self.cost_of(account, ask, ask.qty),
            // Nobody knows what it will cost; its stop price is the best guess.
            (Side::Buy, OrderKind::StopLoss | OrderKind::TakeProfit) => {
                let price = match ask.stop_price {
                    Fixed::ZERO => self.market(ask.market).last_price,
                    stop => stop,
                };
                price.times_ceil(ask.qty)
            }
            (Side::Buy, _) => ask.price.times_ceil(ask.qty),
        }
    }

    /// Returns what buying a quantity now would cost, as far as the book goes.
    pub(super) fn cost_of(&self, account: AccountId, ask: &NewOrder, qty: Fixed) -> Fixed {
        let (mut left, mut cost) = (qty, Fixed::ZERO);
        for (price, total) in self.met_by(account, ask) {
            if left.is_zero() {
                break;
            }
            let part = left.min(total);
            cost += price.times_ceil(part);
            left -= part;
        }
        cost
    }

    /// Returns how much must be sold now to get the quote quantity that is asked for.
    fn sale_for(&self, account: AccountId, ask: &NewOrder) -> Fixed {
        let step = self.market(ask.market).listing.step;
        let (mut left, mut qty) = (ask.quote_qty, Fixed::ZERO);
        for (price, total) in self.met_by(account, ask) {
            let part = left.over_floor(price).floor_to(step).min(total);
            qty += part;
            left -= price.times_floor(part);
            if part < total {
                break;
            }
        }
        qty
    }

    /// Returns prices and quantities that an order would trade with, the best first. Its account's
    /// own orders are not among them where they expire rather than trade.
    fn met_by(
        &self,
        account: AccountId,
        ask: &NewOrder,
    ) -> impl Iterator<Item = (Fixed, Fixed)> + '_ {
        let skips_own = ask.self_trade == SelfTrade::ExpireMaker;
        let orders = self.market(ask.market).book.orders(ask.side.opposite());
        orders
            .filter(move |(_, resting)| !skips_own || resting.account != account)
            .map(|(price, resting)| (price, resting.total()))
    }

    /// Locks money.
    ///
    /// # Errors
    ///
    /// If not enough is free.
    pub(super) fn lock(
        &mut self,
        account: AccountId,
        asset: &str,
        amount: Fixed,
    ) -> Result<(), Reject> {
        let now = self.now;
        let account = self.account_mut(account);
        let balance = account.balance_mut(asset);
        if balance.free < amount {
            return Err(Reject::InsufficientBalance);
        }
        balance.free -= amount;
        balance.locked += amount;
        account.updated_at = now.0;
        Ok(())
    }

    pub(super) fn unlock(&mut self, account: AccountId, asset: &str, amount: Fixed) {
        let now = self.now;
        let account = self.account_mut(account);
        let balance = account.balance_mut(asset);
        assert!(balance.locked >= amount, "more is unlocked than was locked");
        balance.free += amount;
        balance.locked -= amount;
        account.updated_at = now.0;
    }

    /// Releases what an order no longer needs: all of it once it has ended.
    pub(super) fn release_excess(&mut self, id: OrderId) {
        let order = self.order_ref(id);
        let (account, market, side) = (order.account, order.ask.market, order.ask.side);
        if self.market(market).listing.product != Product::Spot {
            return;
        }
        let needed = if !order.status.is_open() {
            Fixed::ZERO
        } else if order.ask.kind.is_market() {
            // It ends within this call, and only then is known what it did not need.
            order.locked
        } else if side == Side::Sell {
            order.remaining()
        } else {
            order.ask.price.times_ceil(order.remaining())
        };
        let excess = order.locked - needed.min(order.locked);
        if excess.is_positive() {
            self.order_mut(id).locked -= excess;
            let asset = self.given_asset(market, side);
            self.unlock(account, &asset, excess);
        }
    }

    /// Moves the money of one side of a spot trade and returns its fee and the fee's asset.
    pub(super) fn move_spot(
        &mut self,
        account: AccountId,
        order: Option<OrderId>,
        market: MarketId,
        side: Side,
        (qty, quote): (Fixed, Fixed),
        fee_rate: Fixed,
    ) -> (Fixed, String) {
        let listing = &self.market(market).listing;
        let (base, quote_asset) = (listing.base.clone(), listing.quote.clone());
        let (given, given_amount, got, got_amount) = match side {
            Side::Buy => (quote_asset, quote, base, qty),
            Side::Sell => (base, qty, quote_asset, quote),
        };
        let fee = got_amount.times_floor(fee_rate);
        let now = self.now;
        if let Some(order) = order.map(|id| self.order_mut(id)) {
            assert!(order.locked >= given_amount, "an order gives no more than it locked");
            order.locked -= given_amount;
            let account = self.account_mut(account);
            account.balance_mut(&given).locked -= given_amount;
            account.updated_at = now.0;
        } else {
            self.account_mut(account).balance_mut(&given).free -= given_amount;
        }
        self.account_mut(account).balance_mut(&got).free += got_amount - fee;
        self.earn(&got, fee);
        (fee, got)
    }

    /// Gives an amount to the house, or takes it if negative.
    pub(super) fn earn(&mut self, asset: &str, amount: Fixed) {
        if let Some(earned) = self.house.get_mut(asset) {
            *earned += amount;
        } else {
            self.house.insert(asset.to_owned(), amount);
        }
    }

    /// Tells that a spot account's balances in a symbol's assets changed.
    pub(super) fn tell_balances(&mut self, account: AccountId, market: MarketId) {
        let listing = &self.market(market).listing;
        if listing.product == Product::Spot {
            let held = self.account(account);
            let with_balance = |asset: &String| (asset.clone(), held.balance(asset));
            let assets = [&listing.base, &listing.quote].map(with_balance).to_vec();
            let at = self.now;
            self.updates.push(Update::Balances { account, assets, at });
        }
    }
}
