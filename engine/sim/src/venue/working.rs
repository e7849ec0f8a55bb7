//! An order that works at the venue.

use tercel_core::{Nanos, OrderKind, OrderSpec, Price, Quantity, Side, TimeInForce};

use crate::venue::desk::Ticket;
use crate::venue::queue::QueuePosition;

/// A working order. Its price and quantity follow replaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Working {
    pub(crate) ticket: Ticket,
    pub(crate) spec: OrderSpec,
    pub(crate) filled: Quantity,
    /// Whether it still waits for its trigger price.
    pub(crate) waits: bool,
    /// Whether it is over: swept out before the venue turns to the next event.
    pub(crate) has_ended: bool,
    pub(crate) queue: QueuePosition,
    /// Its place among the orders of a market-by-order feed.
    pub(crate) stamp: u64,
    /// On bars: the first bar that it acts on opens at or after this.
    pub(crate) since: Nanos,
    /// On bars: whether it has rested through a bar's open.
    pub(crate) has_rested: bool,
}

impl Working {
    pub(crate) const fn new(ticket: Ticket, spec: OrderSpec, since: Nanos) -> Self {
        Self {
            ticket,
            spec,
            filled: Quantity::ZERO,
            waits: spec.kind.trigger().is_some(),
            has_ended: false,
            queue: QueuePosition::unknown(),
            stamp: 0,
            since,
            has_rested: false,
        }
    }

    /// Returns what is left to fill.
    pub(crate) const fn leaves(&self) -> Quantity {
        Quantity(self.spec.qty.0 - self.filled.0)
    }

    /// Returns the limit price; `None` for orders at any price.
    pub(crate) const fn limit(&self) -> Option<Price> {
        self.spec.kind.limit_price()
    }

    /// Returns the price at which it rests, if it does.
    pub(crate) fn resting_price(&self) -> Option<Price> {
        if self.waits || self.has_ended { None } else { self.limit() }
    }

    /// Returns the trigger that it waits for, if it does.
    pub(crate) fn trigger(&self) -> Option<Price> {
        if self.waits && !self.has_ended { self.spec.kind.trigger() } else { None }
    }

    /// Returns whether what cannot trade at once is not to rest.
    pub(crate) const fn is_immediate(&self) -> bool {
        match (self.spec.kind, self.spec.tif) {
            (OrderKind::Market | OrderKind::Stop { .. }, _)
            | (_, TimeInForce::Ioc | TimeInForce::Fok) => true,
            (
                OrderKind::Limit { .. } | OrderKind::StopLimit { .. },
                TimeInForce::Gtc | TimeInForce::Gtd(_),
            ) => false,
        }
    }

    /// Returns when it expires.
    pub(crate) const fn expires_at(&self) -> Option<Nanos> {
        match self.spec.tif {
            TimeInForce::Gtd(at) => Some(at),
            TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => None,
        }
    }

    /// Returns whether a market price of `price` reaches the trigger.
    pub(crate) fn is_triggered_by(&self, price: Price) -> bool {
        self.trigger().is_some_and(|trigger| self.spec.side.crosses(price, trigger))
    }
}

/// Returns `price` moved against an order of `side` by so many basis points, rounded against it.
pub(crate) fn slipped(side: Side, price: Price, bps: u32, limit: Option<Price>) -> Price {
    if bps == 0 {
        return price;
    }
    let product = i128::from(price.0).abs() * i128::from(bps);
    let distance = i64::try_from((product + 9_999) / 10_000).unwrap_or(i64::MAX);
    match side {
        Side::Buy => {
            let worse = Price(price.0.saturating_add(distance));
            limit.map_or(worse, |limit| worse.min(limit))
        }
        Side::Sell => {
            // A positive price stays one: nothing is given away.
            let floor = if price.0 > 0 { 1 } else { i64::MIN };
            let worse = Price(price.0.saturating_sub(distance).max(floor));
            limit.map_or(worse, |limit| worse.max(limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slippage_is_rounded_against_the_order_and_stops_at_its_limit() {
        assert_eq!(slipped(Side::Buy, Price(10_001), 5, None), Price(10_007));
        assert_eq!(slipped(Side::Sell, Price(10_001), 5, None), Price(9_995));
        assert_eq!(slipped(Side::Buy, Price(3), 1, None), Price(4));
        assert_eq!(slipped(Side::Sell, Price(1), 5, None), Price(1));
        assert_eq!(slipped(Side::Buy, Price(10_001), 5, Some(Price(10_004))), Price(10_004));
        assert_eq!(slipped(Side::Sell, Price(10_001), 5, Some(Price(9_999))), Price(9_999));
        assert_eq!(slipped(Side::Buy, Price(10_001), 0, None), Price(10_001));
    }
}
