//! Orders meeting in the book.

use tercel_core::Side;

use crate::book::Resting;
use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::ids::{AccountId, MarketId, OrderId};
use crate::listing::Product;
use crate::order::{
    Execution, ExpiryReason, Fill, OrderKind, OrderStatus, PositionSide, SelfTrade, TimeInForce,
};
use crate::update::{Prevented, Trade, Update};

/// An order on its way through the other side of the book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker {
    pub(crate) account: AccountId,
    /// Its number; the crowd's orders have one without a record behind it.
    pub(crate) id: OrderId,
    pub(crate) market: MarketId,
    pub(crate) side: Side,
    /// Worst price; `None` for any.
    pub(crate) limit: Option<Fixed>,
    /// Base quantity that is left.
    pub(crate) left: Fixed,
    /// Quote quantity that is left, where that is the measure.
    pub(crate) budget: Option<Fixed>,
    pub(crate) self_trade: SelfTrade,
    /// The position that it may only make smaller.
    pub(crate) reduces: Option<PositionSide>,
    /// Whether the crowd's orders in its way vanish rather than trade with it.
    pub(crate) displaces_crowd: bool,
}

/// Why a taker stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Swept {
    /// It has all that it wanted or can pay for.
    Done,
    /// Nobody else trades at its price.
    OutOfOrders,
    /// It would trade with its own account.
    SelfTrade,
    /// Its position is closed.
    NothingToReduce,
}

impl Exchange {
    /// Lets an order trade, then rest or end as its kind demands.
    pub(super) fn work(&mut self, id: OrderId) {
        let now = self.now;
        let order = self.order_mut(id);
        if !order.is_working {
            (order.is_working, order.working_at) = (true, Some(now));
        }
        let ask = order.ask.clone();
        let (account, remaining) = (order.account, order.remaining());
        let is_market = ask.kind.is_market();
        let posts = ask.kind == OrderKind::LimitMaker || ask.tif == TimeInForce::Gtx;
        if posts && !is_market && self.market(ask.market).would_match(ask.side, ask.price) {
            self.expire(id, ExpiryReason::WouldTake);
            return;
        }
        let mut taker = Taker {
            account,
            id,
            market: ask.market,
            side: ask.side,
            limit: (!is_market).then_some(ask.price),
            left: remaining,
            budget: (ask.qty.is_zero() && ask.quote_qty.is_positive()).then_some(ask.quote_qty),
            self_trade: ask.self_trade,
            reduces: self.closes_only(account, &ask),
            displaces_crowd: false,
        };
        let is_fok = ask.tif == TimeInForce::Fok;
        if is_fok && self.available(&taker) < remaining {
            self.expire(id, ExpiryReason::UnfilledFok);
            return;
        }
        let swept = self.sweep(&mut taker);
        let order = self.order_ref(id);
        if !order.status.is_open() {
            return;
        }
        match swept {
            Swept::SelfTrade => self.end_in_match(id),
            // What a budget cannot buy a whole step of is not asked for any more.
            Swept::Done => {
                let has_traded = order.filled.is_positive();
                if has_traded {
                    self.order_mut(id).status = OrderStatus::Filled;
                    self.close(id);
                } else {
                    self.expire(id, ExpiryReason::InsufficientLiquidity);
                }
            }
            Swept::NothingToReduce => self.expire(id, ExpiryReason::ExchangeCanceled),
            Swept::OutOfOrders if is_market => {
                self.expire(id, ExpiryReason::InsufficientLiquidity);
            }
            Swept::OutOfOrders if matches!(ask.tif, TimeInForce::Ioc | TimeInForce::Fok) => {
                self.expire(id, ExpiryReason::UnfilledIoc);
            }
            Swept::OutOfOrders => {
                let total = order.remaining();
                let slice = ask.iceberg_qty;
                let visible = if slice.is_positive() { slice.min(total) } else { total };
                let resting = Resting { id, account, visible, hidden: total - visible, slice };
                self.markets[ask.market.0].book.insert(ask.side, ask.price, resting);
            }
        }
    }

    /// Trades a taker against the book until it has enough, or nobody is left to trade with.
    pub(crate) fn sweep(&mut self, taker: &mut Taker) -> Swept {
        let swept = self.sweep_book(taker);
        if let Some(trade) = self.markets[taker.market.0].close_aggregate() {
            self.updates.push(Update::Aggregate { market: taker.market, trade });
        }
        swept
    }

    fn sweep_book(&mut self, taker: &mut Taker) -> Swept {
        let opposite = taker.side.opposite();
        loop {
            if taker.left.is_zero() && taker.budget.is_none() {
                return Swept::Done;
            }
            let market = &mut self.markets[taker.market.0];
            let step = market.listing.step;
            let Some((price, maker)) = market.book.first(opposite) else {
                return Swept::OutOfOrders;
            };
            let is_beyond = |limit: Fixed| match taker.side {
                Side::Buy => price > limit,
                Side::Sell => price < limit,
            };
            if taker.limit.is_some_and(is_beyond) {
                return Swept::OutOfOrders;
            }
            if taker.displaces_crowd && maker.account == AccountId::CROWD {
                market.book.remove(opposite, price, maker.id);
                continue;
            }
            let wanted =
                taker.budget.map_or(taker.left, |left| left.over_floor(price).floor_to(step));
            let mut qty = wanted.min(maker.visible);
            if qty.is_zero() {
                return Swept::Done;
            }
            let is_own = maker.account == taker.account && taker.account != AccountId::CROWD;
            if is_own && taker.self_trade != SelfTrade::Allow {
                if self.prevent(taker, &maker, price, qty) {
                    continue;
                }
                return Swept::SelfTrade;
            }
            if let Some(side) = taker.reduces {
                qty = qty.min(self.reducible(taker.account, taker.market, side, taker.side));
                if qty.is_zero() {
                    return Swept::NothingToReduce;
                }
            }
            if maker.account != AccountId::CROWD {
                let ask = &self.order_ref(maker.id).ask;
                if let Some(side) = self.closes_only(maker.account, ask) {
                    qty = qty.min(self.reducible(maker.account, taker.market, side, opposite));
                    if qty.is_zero() {
                        self.expire(maker.id, ExpiryReason::ExchangeCanceled);
                        continue;
                    }
                }
            }
            self.trade(taker, &maker, price, qty);
        }
    }

    fn trade(&mut self, taker: &mut Taker, maker: &Resting, price: Fixed, qty: Fixed) {
        let now = self.now;
        let market = &mut self.markets[taker.market.0];
        let taken = market.book.take_first(taker.side.opposite(), qty);
        assert!(taken == qty, "no more trades than was visible");
        let (trade, aggregate) = market.print(price, qty, taker.side, now);
        if maker.account == AccountId::CROWD
            && taker.account != AccountId::CROWD
            && let Some(crowd) = &mut market.crowd
        {
            crowd.was_taken(now, taker.side.opposite(), price);
        }
        if let Some(trade) = aggregate {
            self.updates.push(Update::Aggregate { market: taker.market, trade });
        }
        self.updates.push(Update::Trade { market: taker.market, trade });
        match &mut taker.budget {
            Some(budget) => *budget -= price.times_floor(qty),
            None => taker.left -= qty,
        }
        if taker.account == AccountId::CROWD && maker.account == AccountId::CROWD {
            return;
        }
        if taker.budget.is_some() && taker.account != AccountId::CROWD {
            self.order_mut(taker.id).ask.qty += qty;
        }
        self.fill(taker.account, taker.id, taker.side, &trade, false, taker.market);
        self.fill(maker.account, maker.id, taker.side.opposite(), &trade, true, taker.market);
    }

    /// Books one side of a trade.
    fn fill(
        &mut self,
        account: AccountId,
        id: OrderId,
        side: Side,
        trade: &Trade,
        is_maker: bool,
        market: MarketId,
    ) {
        let listing = &self.market(market).listing;
        let fee_rate = if is_maker { listing.maker_fee } else { listing.taker_fee };
        let product = listing.product;
        let quote = trade.price.times_floor(trade.qty);
        if account == AccountId::CROWD {
            if product == Product::Spot {
                let moved = (trade.qty, quote);
                self.move_spot(account, None, market, side, moved, Fixed::ZERO);
            }
            return;
        }
        self.begin_leg(id);
        let order = self.order_mut(id);
        order.filled += trade.qty;
        order.quote_filled += quote;
        order.status = if order.remaining().is_zero() && order.ask.quote_qty.is_zero() {
            OrderStatus::Filled
        } else {
            OrderStatus::PartiallyFilled
        };
        let (list, position_side, is_done) =
            (order.list, order.ask.position_side, order.status == OrderStatus::Filled);
        let (fee, fee_asset, realized) = match product {
            Product::Spot => {
                let moved = (trade.qty, quote);
                let (fee, asset) = self.move_spot(account, Some(id), market, side, moved, fee_rate);
                (fee, asset, Fixed::ZERO)
            }
            Product::Perpetual => {
                self.move_perpetual(account, market, position_side, side, trade, fee_rate)
            }
        };
        let fill = Fill {
            trade_id: trade.id,
            market,
            order: id,
            list,
            side,
            position_side,
            price: trade.price,
            qty: trade.qty,
            quote_qty: quote,
            fee,
            fee_asset,
            is_maker,
            realized,
            at: trade.at,
        };
        self.account_mut(account).remember(fill.clone());
        self.report_with(id, Execution::Trade, |report| report.fill = Some(fill));
        if is_done {
            self.close(id);
        } else {
            self.release_excess(id);
        }
        self.tell_balances(account, market);
        if product == Product::Perpetual {
            self.tell_position(account, market);
        }
    }

    /// Keeps an account from trading with itself; returns whether the taker goes on.
    fn prevent(&mut self, taker: &mut Taker, maker: &Resting, price: Fixed, qty: Fixed) -> bool {
        let prevented = |counter| Prevented { id: self.next_prevented, counter, price, qty };
        let (of_taker, of_maker) = (prevented(maker.id), prevented(taker.id));
        self.next_prevented += 1;
        match taker.self_trade {
            SelfTrade::Allow | SelfTrade::ExpireTaker => false,
            SelfTrade::ExpireMaker => {
                self.end_in_match(maker.id);
                true
            }
            SelfTrade::ExpireBoth => {
                self.end_in_match(maker.id);
                false
            }
            SelfTrade::Decrement => {
                let side = taker.side.opposite();
                self.markets[taker.market.0].book.reduce(side, price, maker.id, qty);
                taker.left -= qty;
                for (id, prevented) in [(taker.id, of_taker), (maker.id, of_maker)] {
                    self.order_mut(id).prevented += qty;
                    if self.order_ref(id).remaining().is_zero() {
                        self.end_in_match(id);
                    } else {
                        self.report_with(id, Execution::TradePrevention, |report| {
                            report.prevented = Some(prevented);
                        });
                        self.release_excess(id);
                    }
                }
                self.order_ref(taker.id).status.is_open()
            }
        }
    }

    fn end_in_match(&mut self, id: OrderId) {
        let order = self.order_mut(id);
        order.status = OrderStatus::ExpiredInMatch;
        order.expiry = Some(ExpiryReason::SelfTrade);
        self.end(id, Execution::Expired, None);
    }

    /// Returns how much a taker could trade at once.
    fn available(&self, taker: &Taker) -> Fixed {
        let (limit, skips_own) = (taker.limit, taker.self_trade != SelfTrade::Allow);
        self.market(taker.market)
            .book
            .orders(taker.side.opposite())
            .take_while(|(price, _)| {
                limit.is_none_or(|limit| match taker.side {
                    Side::Buy => *price <= limit,
                    Side::Sell => *price >= limit,
                })
            })
            .filter(|(_, resting)| !skips_own || resting.account != taker.account)
            .map(|(_, resting)| resting.total())
            .sum()
    }

    /// Returns the position that an order may only make smaller, if it may only do that.
    pub(super) fn closes_only(
        &self,
        account: AccountId,
        ask: &crate::order::NewOrder,
    ) -> Option<PositionSide> {
        let closes_hedge = matches!(
            (ask.position_side, ask.side),
            (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy)
        );
        let is_perpetual = self.market(ask.market).listing.product == Product::Perpetual;
        let applies = is_perpetual && account != AccountId::CROWD;
        (applies && (ask.reduce_only || closes_hedge)).then_some(ask.position_side)
    }

    /// Ends an order by the exchange's rules.
    pub(super) fn expire(&mut self, id: OrderId, reason: ExpiryReason) {
        let order = self.order_mut(id);
        order.status = OrderStatus::Expired;
        order.expiry = Some(reason);
        self.end(id, Execution::Expired, None);
    }

    /// Takes an order whose status is final out of the market and tells so.
    pub(super) fn end(&mut self, id: OrderId, execution: Execution, request_id: Option<String>) {
        let order = self.order_ref(id);
        let (account, market) = (order.account, order.ask.market);
        let (side, price) = (order.ask.side, order.ask.price);
        let market_mut = &mut self.markets[market.0];
        market_mut.book.remove(side, price, id);
        market_mut.stops.remove(&id);
        self.report_with(id, execution, |report| report.request_id = request_id);
        self.close(id);
        self.tell_balances(account, market);
    }

    /// Does what follows once an order has a final status: money free, lists told.
    pub(super) fn close(&mut self, id: OrderId) {
        let order = self.order_ref(id);
        debug_assert!(!order.status.is_open(), "only what has ended is closed");
        let account = order.account;
        if !self.account_mut(account).open.remove(&id) {
            return;
        }
        self.ended.push_back(id);
        self.release_excess(id);
        self.leg_ended(id);
        self.conditional_order_ended(id);
    }
}
