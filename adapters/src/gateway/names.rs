//! Our names for orders that the venue tells without one.
//!
//! What comes of a conditional futures order when it fires is another order at the venue, under a name
//! that the venue has made up. The number ties both together: it comes with the conditional one. Orders
//! that were adopted have other people's names, and are known by their numbers as well.

use std::borrow::Cow;

use super::Gateway;
use crate::client_id::OrderKey;
use crate::protocol::{Answer, News, OrderNews};

impl Gateway {
    /// Returns news with our names for orders that are known by their number. Copies what it names,
    /// which is hardly ever anything.
    pub(super) fn with_names<'a>(&self, news: &'a News) -> Cow<'a, News> {
        let lacks_name = |order: &OrderNews| self.key_of(order).is_some();
        match news {
            News::Order(order) if lacks_name(order) => Cow::Owned(News::Order(self.named(order))),
            News::Answered { request, outcome: Ok(answer) } => {
                let answer = match answer {
                    Answer::Order(order, fills) if lacks_name(order) => {
                        Answer::Order(self.named(order), fills.clone())
                    }
                    Answer::Orders(list) if list.iter().any(lacks_name) => {
                        Answer::Orders(list.iter().map(|order| self.named(order)).collect())
                    }
                    _ => return Cow::Borrowed(news),
                };
                Cow::Owned(News::Answered { request: *request, outcome: Ok(answer) })
            }
            _ => Cow::Borrowed(news),
        }
    }

    fn named(&self, order: &OrderNews) -> OrderNews {
        OrderNews { key: order.key.or_else(|| self.key_of(order)), ..*order }
    }

    /// Returns our name for an order that has none. O(orders).
    fn key_of(&self, order: &OrderNews) -> Option<OrderKey> {
        if order.key.is_some() || order.venue_order_id.is_empty() {
            return None;
        }
        let mut own = self.orders.values();
        own.find(|own| {
            own.spec.instrument == order.instrument && own.venue_order_id == order.venue_order_id
        })
        .map(|own| own.key)
        // One that was adopted is recognised for a while after it is over, too.
        .or_else(|| self.foreign.key(order))
    }
}
