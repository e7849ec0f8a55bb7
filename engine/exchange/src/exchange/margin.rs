//! Perpetuals: margin, positions, funding, liquidation.

use tercel_core::{Nanos, Side};

use crate::account::Position;
use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::ids::{AccountId, MarketId, OrderId};
use crate::listing::Product;
use crate::order::{ExpiryReason, NewOrder, OrderKind, OrderStatus, PositionSide};
use crate::reject::Reject;
use crate::update::{PositionCause, Trade, Update};

/// An account's margin in one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarginSummary {
    /// Money, without what open positions have earned.
    pub wallet: Fixed,
    /// The part that is not set aside for isolated positions.
    pub cross_wallet: Fixed,
    /// What closing all positions would earn.
    pub unrealized: Fixed,
    /// What closing all cross positions would earn.
    pub cross_unrealized: Fixed,
    /// Margin of open positions.
    pub position_margin: Fixed,
    /// Margin of open orders.
    pub order_margin: Fixed,
    /// Least margin before positions are closed by force.
    pub maintenance: Fixed,
    /// What new orders can use.
    pub available: Fixed,
}

/// A position with what follows from prices and settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PositionView {
    /// In which symbol.
    pub market: MarketId,
    /// Which of two, or the only one.
    pub side: PositionSide,
    /// The position.
    pub position: Position,
    /// Price that it is valued at.
    pub mark: Fixed,
    /// What closing it would earn.
    pub unrealized: Fixed,
    /// Value at the mark, negative when short.
    pub notional: Fixed,
    /// Its margin.
    pub margin: Fixed,
    /// Margin of open orders on its side.
    pub order_margin: Fixed,
    /// Least margin before it is closed by force.
    pub maintenance: Fixed,
    /// Mark price at which that happens if nothing else changes; zero for never.
    pub liquidation_price: Fixed,
    /// Value over margin.
    pub leverage: i64,
    /// Whether its margin is its own.
    pub is_isolated: bool,
}

impl Exchange {
    /// Returns an account's margin in an asset. O(positions and open orders).
    #[must_use]
    pub fn margin(&self, account: AccountId, asset: &str) -> MarginSummary {
        let held = self.account(account);
        let mut sum = MarginSummary { wallet: held.balance(asset).free, ..Default::default() };
        let mut isolated = Fixed::ZERO;
        for ((market, _), position) in &held.positions {
            let market_ref = self.market(*market);
            if market_ref.listing.quote != asset || position.qty.is_zero() {
                continue;
            }
            let settings = held.settings_of(*market);
            let unrealized = position.unrealized(market_ref.mark);
            sum.unrealized += unrealized;
            let notional = position.qty.abs().times_floor(market_ref.mark);
            let maintenance = notional.times_ceil(market_ref.listing.maintenance);
            if settings.is_isolated {
                isolated += position.isolated_margin;
                sum.position_margin += position.isolated_margin;
            } else {
                sum.cross_unrealized += unrealized;
                sum.position_margin += notional.divided(settings.leverage);
            }
            sum.maintenance += maintenance;
        }
        for (market, market_ref) in self.markets() {
            if market_ref.listing.quote == asset {
                sum.order_margin += self.order_margin(account, market, None);
            }
        }
        sum.cross_wallet = sum.wallet - isolated;
        let used = sum.position_margin - isolated + sum.order_margin;
        sum.available = (sum.cross_wallet + sum.cross_unrealized - used).max(Fixed::ZERO);
        sum
    }

    /// Returns an account's positions in all symbols, those that are empty included where the
    /// account has traded or set something.
    #[must_use]
    pub fn positions(&self, account: AccountId) -> Vec<PositionView> {
        let held = self.account(account);
        let mut keys: Vec<_> = held.positions.keys().copied().collect();
        let with_orders = self.open_orders(account);
        keys.extend(with_orders.map(|order| (order.ask.market, order.ask.position_side)));
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().map(|(market, side)| self.position_view(account, market, side)).collect()
    }

    /// Returns one position, which may be empty.
    #[must_use]
    pub fn position_view(
        &self,
        account: AccountId,
        market: MarketId,
        side: PositionSide,
    ) -> PositionView {
        let held = self.account(account);
        let position = held.position(market, side);
        let settings = held.settings_of(market);
        let market_ref = self.market(market);
        let mark = market_ref.mark;
        let notional = position.qty.times_floor(mark);
        let maintenance = notional.abs().times_ceil(market_ref.listing.maintenance);
        let margin = if settings.is_isolated {
            position.isolated_margin
        } else {
            notional.abs().divided(settings.leverage)
        };
        let cushion = if settings.is_isolated {
            position.isolated_margin
        } else {
            let sum = self.margin(account, &market_ref.listing.quote);
            let others = sum.cross_unrealized - position.unrealized(mark);
            sum.cross_wallet + others - (sum.maintenance - maintenance)
        };
        // Where cushion + qty × price − cost = |qty| × price × maintenance.
        let rate = market_ref.listing.maintenance;
        let weight = position.qty - position.qty.abs().times_floor(rate);
        let price = (position.cost - cushion).over_floor(weight);
        let liquidation_price =
            if position.qty.is_zero() { Fixed::ZERO } else { price.max(Fixed::ZERO) };
        PositionView {
            market,
            side,
            position,
            mark,
            unrealized: position.unrealized(mark),
            notional,
            margin,
            order_margin: self.order_margin(account, market, None),
            maintenance,
            liquidation_price,
            leverage: settings.leverage,
            is_isolated: settings.is_isolated,
        }
    }

    /// Returns the margin of an account's open orders in a symbol, with one more if given: what
    /// the position would need at its worst, beyond what it needs now.
    fn order_margin(
        &self,
        account: AccountId,
        market: MarketId,
        extra: Option<(Side, PositionSide, Fixed)>,
    ) -> Fixed {
        let mark = self.market(market).mark;
        let held = self.account(account);
        let leverage = held.settings_of(market).leverage;
        // Values of purchases and sales, per position.
        let mut worst = Fixed::ZERO;
        for side in [PositionSide::Both, PositionSide::Long, PositionSide::Short] {
            let (mut buys, mut sells) = (Fixed::ZERO, Fixed::ZERO);
            let mut add = |order_side: Side, value: Fixed| match order_side {
                Side::Buy => buys += value,
                Side::Sell => sells += value,
            };
            for order in self.open_orders(account) {
                let ask = &order.ask;
                let counts = ask.market == market && ask.position_side == side && !ask.reduce_only;
                if counts {
                    add(ask.side, ask.price.max(Fixed::ZERO).times_ceil(order.remaining()));
                }
            }
            if let Some((order_side, position_side, value)) = extra
                && position_side == side
            {
                add(order_side, value);
            }
            let now = held.position(market, side).qty.times_floor(mark);
            let (if_bought, if_sold) = match side {
                PositionSide::Both => ((now + buys).abs(), (now - sells).abs()),
                // Closing one of two positions never opens anything.
                PositionSide::Long => ((now + buys).abs(), Fixed::ZERO),
                PositionSide::Short => (Fixed::ZERO, (now - sells).abs()),
            };
            worst += (if_bought.max(if_sold) - now.abs()).max(Fixed::ZERO);
        }
        worst.divided(leverage)
    }

    /// Checks that an account can afford the margin of one more order.
    pub(super) fn check_margin(&self, account: AccountId, ask: &NewOrder) -> Result<(), Reject> {
        let market = self.market(ask.market);
        if market.listing.product != Product::Perpetual || ask.reduce_only {
            return Ok(());
        }
        let best = market.book.best(ask.side.opposite()).unwrap_or(market.last_price);
        let price = if ask.kind.is_market() { best } else { ask.price };
        let value = price.times_ceil(ask.qty);
        let before = self.order_margin(account, ask.market, None);
        let after =
            self.order_margin(account, ask.market, Some((ask.side, ask.position_side, value)));
        let available = self.margin(account, &market.listing.quote).available;
        if after - before > available { Err(Reject::InsufficientMargin) } else { Ok(()) }
    }

    /// Moves a position by a trade and returns fee, its asset and what was earned.
    pub(super) fn move_perpetual(
        &mut self,
        account: AccountId,
        market: MarketId,
        position_side: PositionSide,
        side: Side,
        trade: &Trade,
        fee_rate: Fixed,
    ) -> (Fixed, String, Fixed) {
        let asset = self.market(market).listing.quote.clone();
        let now = self.now;
        let fee = trade.price.times_floor(trade.qty).times_floor(fee_rate);
        let held = self.account_mut(account);
        let settings = held.settings_of(market);
        let position = held.positions.entry((market, position_side)).or_default();
        let before = position.qty;
        let signed = if side == Side::Buy { trade.qty } else { -trade.qty };
        let realized = position.trade(signed, trade.price);
        position.updated_at = now.0;
        if settings.is_isolated {
            let (was, is) = (before.abs(), position.qty.abs());
            if is > was {
                let added = trade.price.times_ceil(is - was).divided(settings.leverage);
                position.isolated_margin += added;
            } else {
                position.isolated_margin = position.isolated_margin.share_floor(is, was);
            }
        }
        let balance = held.balance_mut(&asset);
        balance.free += realized - fee;
        held.updated_at = now.0;
        self.earn(&asset, fee);
        (fee, asset, realized)
    }

    pub(super) fn tell_position(&mut self, account: AccountId, market: MarketId) {
        let (cause, at) = (PositionCause::Order, self.now);
        self.updates.push(Update::Position { account, market: Some(market), cause, at });
    }

    /// Sets a perpetual's mark and index price; whoever cannot bear it is liquidated.
    pub fn set_mark(&mut self, market: MarketId, mark: Fixed, index: Fixed) {
        let at = self.now;
        let market_mut = &mut self.markets[market.0];
        (market_mut.mark, market_mut.index) = (mark, index);
        self.updates.push(Update::Mark { market, at });
        if self.trigger_conditionals(market) {
            self.settle(market);
        }
        for idx in 1..self.accounts.len() {
            let account = AccountId::of_index(idx);
            self.liquidate_if_due(account, market);
        }
    }

    /// Lets longs pay shorts, or shorts longs, a fraction of their positions' value.
    pub fn pay_funding(&mut self, market: MarketId, rate: Fixed) {
        let at = self.now;
        let market_mut = &mut self.markets[market.0];
        let mark = market_mut.mark;
        market_mut.funding_rate = rate;
        market_mut.fundings.push_back((at, rate, mark));
        if market_mut.fundings.len() > 1_000 {
            market_mut.fundings.pop_front();
        }
        let asset = market_mut.listing.quote.clone();
        for idx in 1..self.accounts.len() {
            let held = &mut self.accounts[idx];
            let payment: Fixed = held
                .positions
                .iter()
                .filter(|((other, _), _)| *other == market)
                .map(|(_, position)| position.qty.times_floor(mark).times_floor(rate))
                .sum();
            if payment.is_zero() {
                continue;
            }
            held.balance_mut(&asset).free -= payment;
            held.funding -= payment;
            let account = AccountId::of_index(idx);
            self.earn(&asset, payment);
            let cause = PositionCause::Funding;
            self.updates.push(Update::Position { account, market: Some(market), cause, at });
        }
    }

    fn liquidate_if_due(&mut self, account: AccountId, market: MarketId) {
        for side in [PositionSide::Both, PositionSide::Long, PositionSide::Short] {
            let held = self.account(account);
            let position = held.position(market, side);
            if position.qty.is_zero() {
                continue;
            }
            let asset = &self.market(market).listing.quote;
            let is_due = if held.settings_of(market).is_isolated {
                let view = self.position_view(account, market, side);
                position.isolated_margin + view.unrealized <= view.maintenance
            } else {
                let sum = self.margin(account, asset);
                sum.cross_wallet + sum.cross_unrealized <= sum.maintenance
            };
            if is_due {
                self.liquidate(account, market, side);
            }
        }
    }

    fn liquidate(&mut self, account: AccountId, market: MarketId, position_side: PositionSide) {
        let open: Vec<OrderId> = self
            .open_orders(account)
            .filter(|order| order.ask.market == market)
            .map(|order| order.id)
            .collect();
        for id in open {
            if self.order_ref(id).status.is_open() {
                self.expire(id, ExpiryReason::ExchangeCanceled);
            }
        }
        let qty = self.account(account).position(market, position_side).qty;
        let side = if qty.is_positive() { Side::Sell } else { Side::Buy };
        let mut ask = NewOrder::market(market, side, qty.abs());
        (ask.kind, ask.reduce_only, ask.position_side) = (OrderKind::Market, true, position_side);
        ask.client_id = format!("autoclose-{}", self.now.0 / 1_000_000);
        let id = self.record(account, ask, OrderStatus::New, None, Fixed::ZERO);
        self.work(id);
        let at = self.now;
        let order = Box::new(self.order_ref(id).clone());
        self.updates.push(Update::Liquidation { order, at });
        // What the account cannot pay, the house does.
        let asset = self.market(market).listing.quote.clone();
        let is_flat = self.positions(account).iter().all(|view| view.position.qty.is_zero());
        let balance = self.account_mut(account).balance_mut(&asset);
        if is_flat && balance.free < Fixed::ZERO {
            let missing = std::mem::replace(&mut balance.free, Fixed::ZERO);
            self.earn(&asset, missing);
            self.tell_position(account, market);
        }
        self.settle(market);
    }

    /// Returns when funding is paid next: at 00:00, 08:00 and 16:00 UTC.
    #[must_use]
    pub const fn next_funding_at(now: Nanos) -> Nanos {
        const EIGHT_HOURS: i64 = 8 * 3_600 * 1_000_000_000;
        Nanos((now.0.div_euclid(EIGHT_HOURS) + 1) * EIGHT_HOURS)
    }
}
