//! What others do on the account.

use tercel_core::{ClientOrderId, Nanos, OrderSpec, Price, Quantity};

use super::{Resting, Venue};
use crate::client_id::OrderKey;
use crate::protocol::{FillNews, OrderStatus};

impl Venue {
    /// Returns the order that is meant: by the venue's number, where that is somebody else's.
    pub(super) fn meant(&self, key: OrderKey, number: &str) -> OrderKey {
        let mut others = self.orders.values().filter(|own| own.is_foreign());
        others.find(|own| own.number.to_string() == number).map_or(key, |own| own.key)
    }

    /// Somebody else places an order; returns its number.
    pub(in super::super) fn place_foreign(&mut self, spec: OrderSpec, now: Nanos) -> u64 {
        self.n_sent += 1;
        let key = OrderKey::first(ClientOrderId::new(77, self.n_sent));
        let order = Resting {
            key,
            number: self.n_sent,
            algo: None,
            spec,
            filled: Quantity::ZERO,
            status: OrderStatus::Open,
            placed_at: now,
            foreign_at: Some(now),
        };
        self.orders.insert(key, order);
        self.tell_order(key, now);
        order.number
    }

    /// Somebody else withdraws one of his orders, or changes it.
    pub(in super::super) fn meddle(&mut self, now: Nanos) {
        let open = self.open();
        let Some(order) = open.iter().find(|own| own.is_foreign()) else { return };
        if self.random.chance(50) {
            let _ = self.cancel(order.key, &order.number(), now);
        } else if let Some(own) = self.orders.get_mut(&order.key) {
            let qty = Quantity(own.filled.0 + self.random.between(1, 9));
            (own.spec.qty, own.spec.kind) =
                (qty, own.spec.kind.with_limit_price(Price(self.random.between(95, 105))));
            self.tell_order(order.key, now);
        }
    }

    /// An execution of somebody else's order, as the market has it.
    pub(in super::super) fn fill_foreign(&mut self, number: u64, qty: Quantity, now: Nanos) {
        let key = self.meant(OrderKey::first(ClientOrderId(0)), &number.to_string());
        self.fill(key, qty, now);
    }

    pub(in super::super) fn all(&self) -> impl Iterator<Item = &Resting> {
        self.orders.values()
    }

    pub(in super::super) fn fills(&self) -> &[FillNews] {
        &self.fills
    }
}
