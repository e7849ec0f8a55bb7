//! The rules that an order must keep before it is accepted.

use tercel_core::Side;

use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::ids::{AccountId, MarketId};
use crate::listing::{Listing, Product};
use crate::order::{NewOrder, OrderKind, PositionSide, TimeInForce};
use crate::reject::Reject;

/// Trailing distances: a tenth of a percent to twenty percent.
const TRAIL_MIN: Fixed = Fixed::from_units(100_000);
const TRAIL_MAX: Fixed = Fixed::from_units(20_000_000);
/// Visible parts that an iceberg may have.
const ICEBERG_PARTS: i64 = 100;

impl Exchange {
    /// Checks what an order asks for, as if it were placed alone.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check(&self, account: AccountId, ask: &NewOrder) -> Result<(), Reject> {
        self.check_shape(account, ask)?;
        self.check_now(ask)
    }

    /// Checks the rules that do not depend on where the market is.
    pub(super) fn check_shape(&self, account: AccountId, ask: &NewOrder) -> Result<(), Reject> {
        let market = self.market(ask.market);
        let listing = &market.listing;
        if !market.is_trading {
            return Err(Reject::MarketClosed);
        }
        for price in [ask.price, ask.stop_price] {
            if !price.is_zero() {
                check_price(listing, price)?;
            }
        }
        if !ask.price.is_zero() {
            let reference = market.candles.average(5).unwrap_or(market.last_price);
            let high = reference.times_floor(listing.price_band);
            let low = reference.over_floor(listing.price_band);
            if ask.price > high || ask.price < low {
                return Err(Reject::PercentPrice);
            }
        }
        self.check_quantity(listing, ask)?;
        if ask.trail.is_positive() && !(TRAIL_MIN..=TRAIL_MAX).contains(&ask.trail) {
            return Err(Reject::TrailingDelta);
        }
        self.check_counts(account, ask)?;
        if listing.product == Product::Perpetual {
            let is_hedged = self.account(account).is_hedged;
            if is_hedged == (ask.position_side == PositionSide::Both) {
                return Err(Reject::PositionSide);
            }
        }
        Ok(())
    }

    /// Checks the rules that depend on where the market is.
    pub(super) fn check_now(&self, ask: &NewOrder) -> Result<(), Reject> {
        let market = self.market(ask.market);
        if ask.kind.is_conditional() && !ask.stop_price.is_zero() && ask.trail.is_zero() {
            let reached = if ask.kind.triggers_above(ask.side) {
                market.last_price >= ask.stop_price
            } else {
                market.last_price <= ask.stop_price
            };
            if reached {
                return Err(Reject::WouldTrigger);
            }
        }
        let posts = ask.kind == OrderKind::LimitMaker
            || (ask.tif == TimeInForce::Gtx && ask.kind == OrderKind::Limit);
        if posts && market.would_match(ask.side, ask.price) {
            return Err(Reject::WouldMatch);
        }
        Ok(())
    }

    fn check_quantity(&self, listing: &Listing, ask: &NewOrder) -> Result<(), Reject> {
        let last_price = self.market(ask.market).last_price;
        if ask.qty.is_zero() {
            // Measured in money: the quantity follows from the book.
            let value = ask.quote_qty;
            if value < listing.min_notional || value > listing.max_notional {
                return Err(Reject::Notional);
            }
            return match self.market(ask.market).book.best(ask.side.opposite()) {
                Some(_) => Ok(()),
                None => Err(Reject::NoLiquidity),
            };
        }
        if ask.qty < listing.step
            || ask.qty > listing.max_qty
            || !ask.qty.is_multiple_of(listing.step)
        {
            return Err(Reject::LotSize);
        }
        if ask.kind.is_market() && ask.qty > listing.max_market_qty {
            return Err(Reject::MarketLotSize);
        }
        if ask.iceberg_qty.is_positive() {
            if ask.iceberg_qty > ask.qty {
                return Err(Reject::IcebergTooLarge);
            }
            if !ask.iceberg_qty.is_multiple_of(listing.step) {
                return Err(Reject::LotSize);
            }
            if ask.qty > ask.iceberg_qty.scaled(ICEBERG_PARTS) {
                return Err(Reject::IcebergParts);
            }
        }
        let price = [ask.price, ask.stop_price, last_price]
            .into_iter()
            .find(|price| price.is_positive())
            .unwrap_or(last_price);
        let value = price.times_floor(ask.qty);
        // Whoever closes a position may do so whatever is left of it.
        let is_too_small = value < listing.min_notional && !ask.reduce_only;
        if is_too_small || value > listing.max_notional {
            return Err(Reject::Notional);
        }
        Ok(())
    }

    fn check_counts(&self, account: AccountId, ask: &NewOrder) -> Result<(), Reject> {
        let listing = &self.market(ask.market).listing;
        let (mut n_open, mut n_conditional) = (0, 0);
        for order in self.open_orders(account).filter(|order| order.ask.market == ask.market) {
            n_open += 1;
            n_conditional += usize::from(order.ask.kind.is_conditional());
            if !ask.client_id.is_empty() && order.ask.client_id == ask.client_id {
                return Err(Reject::DuplicateClientId);
            }
        }
        if n_open >= listing.max_orders {
            return Err(Reject::MaxOrders);
        }
        if ask.kind.is_conditional() && n_conditional >= listing.max_conditional {
            return Err(Reject::MaxConditionalOrders);
        }
        Ok(())
    }

    /// Checks that an order that only reduces has something to reduce.
    pub(super) fn check_reduces(&self, account: AccountId, ask: &NewOrder) -> Result<(), Reject> {
        let reducible = self.reducible(account, ask.market, ask.position_side, ask.side);
        let closes = ask.reduce_only
            || matches!(
                (ask.position_side, ask.side),
                (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy)
            );
        if closes && reducible.is_zero() {
            return Err(Reject::ReduceOnly);
        }
        Ok(())
    }

    /// Returns how much of a position an order of a side could close.
    pub(super) fn reducible(
        &self,
        account: AccountId,
        market: MarketId,
        position_side: PositionSide,
        side: Side,
    ) -> Fixed {
        let qty = self.account(account).position(market, position_side).qty;
        match side {
            Side::Buy => (-qty).max(Fixed::ZERO),
            Side::Sell => qty.max(Fixed::ZERO),
        }
    }
}

/// Checks a price against a symbol's tick and bounds.
fn check_price(listing: &Listing, price: Fixed) -> Result<(), Reject> {
    if price < listing.tick || price > listing.max_price || !price.is_multiple_of(listing.tick) {
        return Err(Reject::PriceFilter);
    }
    Ok(())
}
