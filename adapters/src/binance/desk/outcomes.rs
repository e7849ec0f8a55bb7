//! What answers mean for the requests that they belong to.

use std::collections::BTreeMap;

use tercel_core::{Nanos, OrderSpec};

use super::super::directory::{self, Directory};
use super::super::errors;
use super::super::operation::usdm;
use super::{Content, Desk, Exchange, Instead, Kind, Open, Way, unknown};
use crate::client_id::OrderKey;
use crate::document::{Fields, Value, items};
use crate::error::{ErrorKind, VenueError};
use crate::protocol::{
    Answer, News, OrderNews, OrderStatus, Outbox, RequestId, VenueText, is_dormant_number,
};

/// Executions that are asked for at once.
const FILLS_A_PAGE: usize = 1_000;
/// Orders that are asked for at once.
const ORDERS_A_PAGE: usize = 1_000;

impl Desk {
    pub(super) fn understood(
        &mut self,
        exchange: &Exchange,
        value: Value<'_, '_>,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        let directory = &self.directory;
        let answer = match exchange.content {
            Content::Order => directory.order(value).map(|order| {
                let fills = directory.fills_of_order(value, &order);
                Answer::Order(order, fills)
            }),
            Content::Algo => match directory.algo(value) {
                Some(algo) if !is_dormant_number(&algo.venue_order_id) => {
                    self.ask_resulting(exchange.request, &algo, way, now, out);
                    self.close_part(exchange.request);
                    return;
                }
                algo => algo.map(|algo| Answer::Order(algo, Vec::new())),
            },
            Content::Resulting { key } => directory.order(value).map(|order| {
                let order = OrderNews { key, ..order };
                Answer::Order(order, Vec::new())
            }),
            Content::Amended => value.field("amendedOrder").and_then(|order| {
                let mut order = directory.order(order)?;
                order.venue_at = directory::at(value, "transactTime");
                Some(Answer::Order(order, Vec::new()))
            }),
            Content::Replaced { .. } => {
                let both = value.field("data").unwrap_or(value);
                let old = both.field("cancelResponse").and_then(|old| directory.order(old));
                let new = both.field("newOrderResponse").and_then(|new| directory.order(new));
                old.zip(new).map(|(old, new)| Answer::Replaced { old, new })
            }
            Content::Orders => directory.listed(value, Directory::order).map(Answer::Orders),
            Content::Algos => directory.listed(value, Directory::algo).map(Answer::Orders),
            Content::History { instrument, kind, from } => {
                let (number, read): (_, fn(&_, _) -> _) = match kind {
                    Kind::Plain => ("orderId", Directory::order),
                    Kind::Algo => ("algoId", Directory::algo),
                };
                let orders = directory.listed(value, read);
                let list = items(value);
                // Some venues' first page ends a day after it begins, full or not: what follows is
                // asked for by number, until a page is short.
                let is_last = orders.is_none() || (from > 0 && list.len() < ORDERS_A_PAGE);
                let newest = list.iter().filter_map(|item| item.integer(number)).max();
                if let Some(newest) = newest.filter(|newest| !is_last && *newest >= from) {
                    let request = exchange.request;
                    self.ask_history(instrument, kind, newest + 1, request, way, now, out);
                }
                orders.map(Answer::Orders)
            }
            Content::Fills => directory.listed(value, Directory::fill).map(|mut fills| {
                fills.sort_by_key(|fill| fill.trade_id);
                let is_full = items(value).len() >= FILLS_A_PAGE;
                Answer::Fills(fills, is_full)
            }),
            Content::Holdings => directory.holdings(self.product, value).map(Answer::Holdings),
            Content::Positions => directory.positions(value).map(Answer::Positions),
            Content::AlgoGone | Content::Nothing => Some(Answer::Done),
        };
        // What cannot be read whole is no answer: nothing may be concluded from what is not in it.
        let answer = answer.ok_or_else(|| unknown("an answer that cannot be read"));
        self.close(exchange.request, answer, out);
    }

    pub(super) fn refused(
        &mut self,
        exchange: &Exchange,
        error: VenueError,
        data: Option<Value<'_, '_>>,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        if let Content::Replaced { new_key, spec } = exchange.content {
            let outcome = self.half_replaced(new_key, &spec, error, data);
            self.close(exchange.request, outcome, out);
            return;
        }
        if error.kind == ErrorKind::UnknownOrder
            && let Some(instead) = exchange.instead
        {
            self.ask_instead(exchange.request, instead, way, now, out);
            self.close_part(exchange.request);
            return;
        }
        let is_as_wanted = error.kind == ErrorKind::NoChange
            // Nothing to withdraw is what withdrawing everything wants.
            || (exchange.content == Content::Nothing
                && error.kind == ErrorKind::UnknownOrder);
        let outcome = if is_as_wanted { Ok(Answer::Done) } else { Err(error) };
        self.close(exchange.request, outcome, out);
    }

    /// The order is not known among its own kind: it may be of the other.
    fn ask_instead(
        &mut self,
        request: RequestId,
        instead: Instead,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        let name = self.directory.name(instead.key);
        self.params.clear();
        let (operation, content) = match (instead.to_algo, instead.is_cancel) {
            (true, true) => (usdm::CANCEL_ALGO, Content::AlgoGone),
            (true, false) => (usdm::ALGO, Content::Algo),
            (false, true) => (usdm::CANCEL, Content::Order),
            (false, false) => (usdm::ORDER, Content::Order),
        };
        if instead.to_algo {
            self.params.text("clientAlgoId", &name);
        } else {
            if self.push_symbol(instead.instrument).is_err() {
                return;
            }
            self.params.text("origClientOrderId", &name);
        }
        self.say(&operation, request, content, None, way, now, out);
    }

    /// A conditional order has become another one: how it stands, only that one says.
    fn ask_resulting(
        &mut self,
        request: RequestId,
        algo: &OrderNews,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        self.params.clear();
        // Instruments of answers are known ones.
        let symbol = self.directory.symbol(algo.instrument).unwrap_or_default();
        self.params.text("symbol", symbol).id("orderId", &algo.venue_order_id);
        let content = Content::Resulting { key: algo.key };
        self.say(&usdm::ORDER, request, content, None, way, now, out);
    }

    /// What a refused withdraw-and-place has done: nothing, or half of it.
    fn half_replaced(
        &self,
        new_key: OrderKey,
        spec: &OrderSpec,
        error: VenueError,
        data: Option<Value<'_, '_>>,
    ) -> Result<Answer, VenueError> {
        let Some(data) = data else { return Err(error) };
        let told = |name: &str| {
            let part = data.field(name)?;
            let code = part.integer("code")?;
            let text = part.text("msg").unwrap_or_default();
            Some(errors::refusal(self.product, 400, code, text, None))
        };
        if data.text("cancelResult") != Some("SUCCESS") {
            // The order that was to go is as it was, and none has come.
            return Err(told("cancelResponse").unwrap_or(error));
        }
        let Some(old) = data.field("cancelResponse").and_then(|old| self.directory.order(old))
        else {
            return Err(VenueError { kind: ErrorKind::OutcomeUnknown, ..error });
        };
        let is_unplaced = match told("newOrderResponse") {
            Some(refusal) => refusal.kind.is_definite(),
            None => data.text("newOrderResult") == Some("NOT_ATTEMPTED"),
        };
        if !is_unplaced {
            // The old order is gone, and the new one may be there all the same.
            return Err(VenueError { kind: ErrorKind::OutcomeUnknown, ..error });
        }
        let new = OrderNews {
            key: Some(new_key),
            venue_order_id: VenueText::new(),
            instrument: spec.instrument,
            status: OrderStatus::Rejected,
            side: spec.side,
            kind: spec.kind,
            qty: spec.qty,
            filled: tercel_core::Quantity::ZERO,
            venue_at: old.venue_at,
        };
        Ok(Answer::Replaced { old, new })
    }

    /// Notes that one exchange of a request is over without a word of its own.
    fn close_part(&mut self, request: RequestId) {
        if let Some(open) = self.open.get_mut(&request) {
            open.n_left -= 1;
        }
    }

    /// Notes an exchange's outcome, and answers the request if it was the last one.
    pub(super) fn close(
        &mut self,
        request: RequestId,
        outcome: Result<Answer, VenueError>,
        out: &mut Outbox,
    ) {
        let Some(open) = self.open.get_mut(&request) else { return };
        open.n_left = open.n_left.saturating_sub(1);
        let outcome = match outcome {
            Ok(Answer::Orders(mut orders)) => {
                // Lists of several exchanges are put together.
                match &mut open.orders {
                    Some(own) => own.append(&mut orders),
                    None => open.orders = Some(orders),
                }
                Ok(Answer::Done)
            }
            Err(error) => {
                open.failed.get_or_insert(error);
                Ok(Answer::Done)
            }
            other => other,
        };
        if open.n_left > 0 {
            return;
        }
        let outcome = match self.open.remove(&request) {
            Some(Open { failed: Some(error), .. }) => Err(error),
            Some(Open { orders: Some(orders), .. }) => Ok(Answer::Orders(joined(orders))),
            _ => outcome,
        };
        out.news.push(News::Answered { request, outcome });
    }
}

/// Puts a conditional order and the one that came of it together where a list shows both: the name of
/// the one with what is further of both.
fn joined(orders: Vec<OrderNews>) -> Vec<OrderNews> {
    let mut places = BTreeMap::new();
    let mut joined: Vec<OrderNews> = Vec::with_capacity(orders.len());
    for order in orders {
        let place = *places.entry((order.instrument, order.venue_order_id)).or_insert(joined.len());
        match joined.get_mut(place) {
            None => joined.push(order),
            Some(own) => {
                let key = own.key.or(order.key);
                let rank = |order: &OrderNews| (order.status.is_over(), order.filled);
                let further = if rank(own) < rank(&order) { order } else { *own };
                *own = OrderNews { key, ..further };
            }
        }
    }
    joined
}
