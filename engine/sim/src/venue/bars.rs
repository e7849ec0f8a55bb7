//! Trading on bars, for instruments whose data holds nothing finer.
//!
//! An order that is sent at a time acts on the first bar that opens at or after it, without
//! latency. Inside a bar the price is taken to go from the open to the nearer of high and low
//! (to the low if both are as near), then to the other, then to the close, and to touch every
//! price on its way. At the open, market orders fill at the open; so do limit and stop orders
//! whose price the open has reached or jumped over, because nothing traded in between. Inside the
//! bar a limit order fills at its price when it is touched, a stop at its trigger. Market and stop
//! fills slip against the order. Fills of the path's three legs are stamped one, two and three
//! quarters into the bar.

use tercel_core::{Bar, Nanos, OrderKind, Price, Quantity, ReportKind, Role, Side, TimeInForce};

use crate::venue::desk::Desk;
use crate::venue::listing::{Feed, Listing};
use crate::venue::working::slipped;

/// A bar as the venue goes through it.
struct Walk {
    open_at: Nanos,
    /// Time of what happens now.
    at: Nanos,
    /// What our fills may still be together; `None` for anything.
    volume_left: Option<Quantity>,
}

impl Listing {
    /// Lets our orders trade inside a bar. A market that has shown ticks ignores bars.
    pub(crate) fn on_bar(&mut self, open_at: Nanos, span_ns: i64, bar: &Bar, desk: &mut Desk) {
        match self.feed {
            Feed::Ticks => return,
            Feed::Unknown | Feed::Bars => self.feed = Feed::Bars,
        }
        self.last_close = Some(bar.close);
        if self.orders.is_empty() {
            return;
        }
        let cap = self.bar_options.volume_cap_bps.map(|bps| share(bar.volume, bps));
        let mut walk = Walk { open_at, at: open_at, volume_left: cap };
        self.act_at_open(bar.open, &mut walk, desk);
        let mut from = bar.open;
        for (leg, to) in (1..).zip(path(bar)) {
            walk.at = open_at.plus(span_ns / 4 * leg);
            self.act_on_leg(from, to, &mut walk, desk);
            from = to;
        }
        for order in &mut self.orders {
            order.has_rested |= order.since <= open_at;
        }
        self.settle(walk.at, desk);
    }

    fn act_at_open(&mut self, open: Price, walk: &mut Walk, desk: &mut Desk) {
        for idx in 0..self.orders.len() {
            if !self.acts(idx, walk) {
                continue;
            }
            if self.orders[idx].is_triggered_by(open) {
                self.wake(idx, open, walk, desk);
                continue;
            }
            let order = &self.orders[idx];
            if order.waits {
                continue;
            }
            let role =
                if order.has_rested || order.spec.post_only { Role::Maker } else { Role::Taker };
            self.trade_at(idx, open, role, walk, desk);
        }
    }

    /// Goes from one price to another and acts on every price that orders wait for, in its order.
    fn act_on_leg(&mut self, mut from: Price, to: Price, walk: &mut Walk, desk: &mut Desk) {
        let is_up = to > from;
        while let Some(next) = self.next_price(from, to, is_up, walk) {
            for idx in 0..self.orders.len() {
                if !self.acts(idx, walk) {
                    continue;
                }
                let order = &self.orders[idx];
                if order.trigger() == Some(next) && (order.spec.side == Side::Buy) == is_up {
                    self.wake(idx, next, walk, desk);
                } else if order.resting_price() == Some(next)
                    && (order.spec.side == Side::Sell) == is_up
                {
                    self.fill_in_bar(idx, next, Role::Maker, walk, desk);
                }
            }
            from = next;
        }
    }

    /// Returns the first price after `from`, up to `to`, that an order waits for.
    fn next_price(&self, from: Price, to: Price, is_up: bool, walk: &Walk) -> Option<Price> {
        let is_on_way = |price: &Price| {
            if is_up { *price > from && *price <= to } else { *price < from && *price >= to }
        };
        let awaited =
            (0..self.orders.len()).filter(|idx| self.acts(*idx, walk)).filter_map(|idx| {
                let order = &self.orders[idx];
                let comes = |side: Side| if is_up { side == Side::Sell } else { side == Side::Buy };
                match order.trigger() {
                    Some(trigger) => (!comes(order.spec.side)).then_some(trigger),
                    None => order.resting_price().filter(|_| comes(order.spec.side)),
                }
            });
        let awaited = awaited.filter(is_on_way);
        if is_up { awaited.min() } else { awaited.max() }
    }

    fn acts(&self, idx: usize, walk: &Walk) -> bool {
        let order = &self.orders[idx];
        !order.has_ended
            && order.since <= walk.open_at
            && order.expires_at().is_none_or(|end| walk.at < end)
    }

    /// Wakes a stop at a price: it trades there, or rests with its limit.
    fn wake(&mut self, idx: usize, price: Price, walk: &mut Walk, desk: &mut Desk) {
        let order = &mut self.orders[idx];
        order.waits = false;
        desk.report(&order.ticket, walk.at, ReportKind::Triggered);
        self.trade_at(idx, price, Role::Taker, walk, desk);
    }

    /// Lets an order that is not waiting trade at the market's price of the moment if it accepts
    /// it; what must not rest is cancelled.
    fn trade_at(&mut self, idx: usize, price: Price, role: Role, walk: &mut Walk, desk: &mut Desk) {
        let order = &self.orders[idx];
        let (side, limit) = (order.spec.side, order.limit());
        let price = match order.spec.kind {
            OrderKind::Market | OrderKind::Stop { .. } => {
                slipped(side, price, self.bar_options.slippage_bps, None)
            }
            OrderKind::Limit { .. } | OrderKind::StopLimit { .. } => price,
        };
        if limit.is_none_or(|limit| side.crosses(limit, price)) {
            self.fill_in_bar(idx, price, role, walk, desk);
        }
        let order = &mut self.orders[idx];
        if !order.has_ended && order.is_immediate() {
            desk.end(order, walk.at, ReportKind::Canceled);
        }
    }

    fn fill_in_bar(
        &mut self,
        idx: usize,
        price: Price,
        role: Role,
        walk: &mut Walk,
        desk: &mut Desk,
    ) {
        let order = &mut self.orders[idx];
        let wanted = desk.tradable(order);
        if wanted.is_zero() {
            // Only an order that may not grow a position can trade nothing.
            desk.end(order, walk.at, ReportKind::Canceled);
            return;
        }
        let qty = walk.volume_left.map_or(wanted, |left| left.min(wanted));
        let is_enough = order.spec.tif != TimeInForce::Fok || qty == wanted;
        if qty.is_zero() || !is_enough {
            return;
        }
        if let Some(left) = &mut walk.volume_left {
            *left -= qty;
        }
        desk.fill(&self.instrument, order, walk.at, price, qty, role);
        if !order.has_ended && order.spec.reduce_only && desk.tradable(order).is_zero() {
            desk.end(order, walk.at, ReportKind::Canceled);
        }
    }
}

/// Returns where the price goes from the open: the nearer extreme, the other, the close.
fn path(bar: &Bar) -> [Price; 3] {
    // A bar whose extremes do not bound its ends is taken to reach its ends all the same.
    let high = bar.high.max(bar.open).max(bar.close);
    let low = bar.low.min(bar.open).min(bar.close);
    if high - bar.open < bar.open - low { [high, low, bar.close] } else { [low, high, bar.close] }
}

fn share(volume: Quantity, bps: u32) -> Quantity {
    let share = i128::from(volume.0) * i128::from(bps) / 10_000;
    Quantity(i64::try_from(share).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(open: i64, high: i64, low: i64, close: i64) -> Bar {
        Bar {
            open: Price(open),
            high: Price(high),
            low: Price(low),
            close: Price(close),
            volume: Quantity(10),
        }
    }

    #[test]
    fn the_path_goes_to_the_nearer_extreme_first() {
        let legs = |bar: Bar| path(&bar).map(|price| price.0);
        assert_eq!(legs(bar(100, 103, 90, 95)), [103, 90, 95]);
        assert_eq!(legs(bar(100, 110, 98, 105)), [98, 110, 105]);
        assert_eq!(legs(bar(100, 105, 95, 101)), [95, 105, 101]);
        assert_eq!(legs(bar(100, 99, 98, 101)), [101, 98, 101]);
    }

    #[test]
    fn a_share_of_volume_is_rounded_down() {
        assert_eq!(share(Quantity(999), 1_000), Quantity(99));
        assert_eq!(share(Quantity(i64::MAX), 10_000), Quantity(i64::MAX));
    }
}
