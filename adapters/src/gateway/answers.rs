//! Answers to requests.

use tercel_core::{ClientOrderId, Nanos, RejectReason, ReportKind};

use super::order::Stage;
use super::{Flight, Gateway, GatewayNotice, GatewayOut, Purpose};
use crate::client_id::OrderKey;
use crate::error::{ErrorKind, Reaction, VenueError};
use crate::protocol::{Answer, OrderNews, OrderStatus, RequestId};

impl Gateway {
    pub(super) fn answered(
        &mut self,
        request: RequestId,
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(flight) = self.flights.remove(&request) else { return };
        self.take_answer(request, flight, outcome, now, out);
        if let Err(error) = outcome
            && error.kind.reaction() == Reaction::Alarm
        {
            out.notices.push(GatewayNotice::Alarm { error: error.clone() });
            // Whoever goes on asking is shut out.
            self.reconciliation.put_off(now);
        }
    }

    fn take_answer(
        &mut self,
        request: RequestId,
        flight: Flight,
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        match flight.purpose {
            Purpose::Place(id) => {
                self.clear_placing(id, request);
                match outcome {
                    Ok(answer) => self.take(answer, now, out),
                    Err(error) => self.place_failed(id, error, now, out),
                }
            }
            Purpose::Cancel(id) => {
                if let Some(own) = self.orders.get_mut(&id)
                    && let Some(cancel) = &mut own.cancel
                    && cancel.request == Some(request)
                {
                    cancel.request = None;
                }
                match outcome {
                    Ok(answer) => self.take(answer, now, out),
                    Err(error) => self.cancel_failed(id, error, now, out),
                }
            }
            Purpose::Amend(id) => match outcome {
                Ok(answer) => {
                    self.take(answer, now, out);
                    // The answer shows the order changed, or it was not.
                    self.doubt_change(id, request, now);
                }
                Err(error) => self.change_failed(id, request, error, now, out),
            },
            Purpose::Swap(id) => match outcome {
                Ok(Answer::Replaced { old, new }) => {
                    self.swapped(id, request, old, new, now, out);
                }
                Ok(answer) => {
                    self.take(answer, now, out);
                    self.doubt_change(id, request, now);
                }
                Err(error) => self.change_failed(id, request, error, now, out),
            },
            Purpose::Withdraw(id) => match outcome {
                Ok(answer) => {
                    self.take(answer, now, out);
                    self.doubt_change(id, request, now);
                }
                Err(error) if error.kind.reaction() == Reaction::Fix => {
                    self.change_failed(id, request, error, now, out);
                }
                // How it stands decides: over, then the next form is placed; open, then not.
                Err(_) => self.doubt_order(id, now),
            },
            Purpose::Query(key) => self.query_answered(key, request, outcome, now, out),
            Purpose::History(id, _) => self.history_answered(id, outcome, now, out),
            // Should it have failed, the next comparison finds the order again.
            Purpose::OrphanCancel => {}
            Purpose::Fills(instrument) => {
                let asked = (request, flight.sent_at);
                self.fills_answered(instrument, asked, outcome, now, out);
            }
            Purpose::OpenOrders => {
                self.open_orders_answered(request, flight.sent_at, outcome, now, out);
            }
            Purpose::Holdings | Purpose::Positions => {
                self.books_answered(request, outcome, now, out);
            }
            Purpose::Lost(instrument) => {
                self.lost_answered((request, instrument), outcome, now, out);
            }
        }
    }

    /// Takes what an answer says of orders.
    fn take(&mut self, answer: &Answer, now: Nanos, out: &mut GatewayOut) {
        match answer {
            Answer::Order(news, fills) => {
                for fill in fills {
                    self.on_fill(fill, now, out);
                }
                self.on_order(news, now, out);
                self.resolve(news, now, out);
            }
            Answer::Replaced { old, new } => {
                self.on_order(old, now, out);
                self.on_order(new, now, out);
            }
            Answer::Orders(list) => list.iter().for_each(|news| self.on_order(news, now, out)),
            Answer::Fills(fills, _) => fills.iter().for_each(|fill| self.on_fill(fill, now, out)),
            Answer::Done | Answer::Holdings(_) | Answer::Positions(_) => {}
        }
    }

    fn clear_placing(&mut self, id: ClientOrderId, request: RequestId) {
        if let Some(own) = self.orders.get_mut(&id)
            && own.placing == Some(request)
        {
            own.placing = None;
        }
    }

    fn place_failed(
        &mut self,
        id: ClientOrderId,
        error: &VenueError,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get(&id) else { return };
        let is_contradicted = own.filled_at_venue.0 > 0
            || (own.told_accepted && own.key.revision == 0)
            || !own.venue_order_id.is_empty();
        match error.kind {
            ErrorKind::OutcomeUnknown | ErrorKind::DuplicateOrder => {
                self.outcome_unknown(id, &error.to_string(), now, out);
            }
            _ if is_contradicted => self.doubt_order(id, now),
            kind => self.refused(id, kind.reject_reason(), now, out),
        }
    }

    /// The present form was never placed.
    pub(super) fn refused(
        &mut self,
        id: ClientOrderId,
        reason: RejectReason,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get(&id) else { return };
        let instrument = own.spec.instrument;
        let times = (now, now);
        if own.key.revision == 0 {
            self.report(id, instrument, times, ReportKind::Rejected(reason), out);
        } else {
            // The earlier form is withdrawn and this one did not come: nothing is left of it.
            self.report(id, instrument, times, ReportKind::ReplaceRejected(reason), out);
            self.report(id, instrument, times, ReportKind::Canceled, out);
        }
        self.settle(id, now, out);
    }

    /// Nobody knows whether the present form was placed.
    pub(super) fn outcome_unknown(
        &mut self,
        id: ClientOrderId,
        why: &str,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        own.doubt(now, &self.options);
        if std::mem::replace(&mut own.told_unknown, true) {
            return;
        }
        let instrument = own.spec.instrument;
        let is_first = own.key.revision == 0 && !own.told_accepted;
        out.notices.push(GatewayNotice::OutcomeUnknown { order: id, why: why.to_owned() });
        if is_first {
            self.report(id, instrument, (now, now), ReportKind::Unknown, out);
        }
    }

    pub(super) fn doubt_order(&mut self, id: ClientOrderId, now: Nanos) {
        if let Some(own) = self.orders.get_mut(&id) {
            own.doubt(now, &self.options);
        }
    }

    fn cancel_failed(
        &mut self,
        id: ClientOrderId,
        error: &VenueError,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let instrument = own.spec.instrument;
        match error.kind.reaction() {
            // Words that the venue will not take another time either.
            Reaction::Fix | Reaction::Alarm => {
                own.cancel = None;
                let kind = ReportKind::CancelRejected(error.kind.reject_reason());
                self.report(id, instrument, (now, now), kind, out);
                self.doubt_order(id, now);
            }
            Reaction::Ignore
            | Reaction::Query
            | Reaction::Resync
            | Reaction::Retry
            | Reaction::Pause => own.doubt(now, &self.options),
        }
    }

    fn change_failed(
        &mut self,
        id: ClientOrderId,
        request: RequestId,
        error: &VenueError,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let Some(change) = &mut own.change else { return };
        let is_swap = change.stage == Stage::Swapping(request);
        if !is_swap
            && change.stage != Stage::Amending(request)
            && change.stage != Stage::Withdrawing(request)
            && change.stage != Stage::Unanswered
        {
            return;
        }
        if error.kind == ErrorKind::OutcomeUnknown || error.kind == ErrorKind::DuplicateOrder {
            change.stage = Stage::Unanswered;
            own.doubt(now, &self.options);
            if is_swap && let Some(doubt) = &mut own.doubt {
                doubt.asks_next = true;
            }
            return;
        }
        self.change_refused(id, error.kind.reject_reason(), now, out);
        self.doubt_order(id, now);
    }

    /// The change was not made: the order is as it was.
    pub(super) fn change_refused(
        &mut self,
        id: ClientOrderId,
        reason: RejectReason,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        if own.change.take().is_none() {
            return;
        }
        if let Some(doubt) = &mut own.doubt {
            doubt.asks_next = false;
        }
        let instrument = own.spec.instrument;
        self.report(id, instrument, (now, now), ReportKind::ReplaceRejected(reason), out);
        self.finish(id, (now, now), out);
        if self.is_online {
            self.send_cancel(id, now, out);
        }
    }

    /// Asks how an order stands whose change was answered without showing it.
    fn doubt_change(&mut self, id: ClientOrderId, request: RequestId, now: Nanos) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let Some(change) = &mut own.change else { return };
        // Venues confirm some kinds of orders without a word of how they stand. What was asked for
        // before may be answered later, and show the order as it was.
        let is_swap = change.stage == Stage::Swapping(request);
        if is_swap || change.stage == Stage::Amending(request) {
            change.stage = Stage::Unanswered;
        } else if change.stage != Stage::Withdrawing(request) {
            return;
        }
        own.doubt(now, &self.options);
        if is_swap && let Some(doubt) = &mut own.doubt {
            doubt.asks_next = true;
        }
    }

    fn swapped(
        &mut self,
        id: ClientOrderId,
        request: RequestId,
        old: &OrderNews,
        new: &OrderNews,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get(&id) else { return };
        if own.change.is_some_and(|change| change.stage == Stage::Swapping(request))
            && new.status == OrderStatus::Rejected
            && own.key.revision + 1 == new.key.map_or(0, |key| key.revision)
        {
            // Withdrawn, and the new one was refused: nothing is left of it.
            self.change_refused(id, RejectReason::Other, now, out);
            self.on_order(old, now, out);
            return;
        }
        self.on_order(new, now, out);
        self.resolve(new, now, out);
        self.send_cancel(id, now, out);
    }

    fn query_answered(
        &mut self,
        key: OrderKey,
        request: RequestId,
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&key.id) else { return };
        if let Some(doubt) = &mut own.doubt
            && doubt.in_flight == Some(request)
        {
            doubt.in_flight = None;
        }
        match outcome {
            Ok(Answer::Order(news, _)) if !self.is_about(key, news) => {
                self.name_taken(news, out);
                self.not_there(key, now, out);
            }
            Ok(answer) => self.take(answer, now, out),
            Err(error) if error.kind == ErrorKind::UnknownOrder => {
                self.not_there(key, now, out);
            }
            Err(error) => {
                let error = error.clone();
                out.notices.push(GatewayNotice::QueryFailed { what: "order", error });
            }
        }
    }

    /// Returns whether an answer that was asked for by name is about our order, if that is the name of its
    /// present form.
    fn is_about(&self, key: OrderKey, news: &OrderNews) -> bool {
        let own = self.orders.get(&key.id).filter(|own| own.key == key && news.key == Some(key));
        own.is_none_or(|own| own.is_meant(&news.venue_order_id, news.venue_at, self.began_at))
    }

    /// The venue does not know a form of an order: it is not there yet, or it never will be.
    fn not_there(&mut self, key: OrderKey, now: Nanos, out: &mut GatewayOut) {
        let Some(own) = self.orders.get_mut(&key.id) else { return };
        let Some(doubt) = &mut own.doubt else { return };
        if now < doubt.decisive_at {
            return;
        }
        let id = key.id;
        if key == own.key.next() {
            if doubt.asks_next {
                // It is not there and cannot come any more: the present form is the last.
                doubt.asks_next = false;
                doubt.next_query_at = now;
                self.change_refused(id, RejectReason::Other, now, out);
            }
            return;
        }
        if key != own.key {
            return;
        }
        let is_new_form = own.change.is_some_and(|change| change.stage == Stage::Placing);
        let was_seen = !own.venue_order_id.is_empty() || own.filled_at_venue.0 > 0;
        if is_new_form || (!was_seen && !own.told_accepted) {
            self.refused(id, RejectReason::Other, now, out);
            return;
        }
        self.ask_history(id, now, out);
    }

    /// What the venue's history says of an order that it does not know any more.
    fn history_answered(
        &mut self,
        id: ClientOrderId,
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let mut is_decided = false;
        if let Some(doubt) = &mut own.doubt {
            doubt.in_flight = None;
            // What was asked for before it was decided may still come to pass.
            let is_early = own.change.is_some() && now < doubt.decisive_at;
            let decisive_at = doubt.decisive_at;
            if let (Ok(Answer::Orders(list)), false, false) = (outcome, own.is_form_known, is_early)
            {
                own.adopt_form(list);
            }
            is_decided = now >= decisive_at;
        }
        let (key, instrument) = (own.key, own.spec.instrument);
        if !own.is_form_known {
            return;
        }
        match outcome {
            Ok(Answer::Orders(list)) => {
                let is_it = |news: &&OrderNews| {
                    news.key == Some(key)
                        && own.is_meant(&news.venue_order_id, news.venue_at, self.began_at)
                };
                if let Some(news) = list.iter().find(is_it) {
                    self.on_order(news, now, out);
                    self.resolve(news, now, out);
                } else if own.lacks_fills() {
                    self.want_fills(instrument, now);
                } else if is_decided && own.told_accepted {
                    out.notices.push(GatewayNotice::Vanished { order: id });
                    self.report(id, instrument, (now, now), ReportKind::Canceled, out);
                    self.settle(id, now, out);
                }
            }
            // Asked again with the next question.
            Ok(_) => {}
            Err(error) => {
                let error = error.clone();
                out.notices.push(GatewayNotice::QueryFailed { what: "order history", error });
            }
        }
    }

    /// The venue has said how an order stands, in answer to a question: what was doubted about it
    /// and is not borne out by that is given up, once no request can still be on its way.
    pub(super) fn resolve(&mut self, news: &OrderNews, now: Nanos, out: &mut GatewayOut) {
        let Some(key) = news.key else { return };
        let Some(own) = self.orders.get_mut(&key.id) else { return };
        let is_meant = own.is_meant(&news.venue_order_id, news.venue_at, self.began_at);
        if own.key != key || own.is_swapping() || !own.is_form_known || !is_meant {
            return;
        }
        let id = key.id;
        let Some(doubt) = own.doubt else { return };
        let is_decided = now >= doubt.decisive_at;
        match own.change.map(|change| change.stage) {
            Some(Stage::Unanswered | Stage::Withdrawing(_) | Stage::Amending(_)) if is_decided => {
                self.change_refused(id, RejectReason::Other, now, out);
            }
            Some(_) => return,
            None => {}
        }
        let Some(own) = self.orders.get_mut(&id) else { return };
        if own.cancel.is_some() {
            // It works still: the request has got lost, or came before the order.
            self.send_cancel(id, now, out);
            return;
        }
        if own.end.is_none() {
            own.doubt = None;
            own.placing = None;
            if std::mem::take(&mut own.told_unknown) {
                let n_questions = doubt.n_questions;
                out.notices.push(GatewayNotice::Settled { order: id, n_questions });
            }
        }
    }
}
