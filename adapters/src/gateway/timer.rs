//! What time asks for: answers that did not come, questions that are due.

use tercel_core::{ClientOrderId, InstrumentId, Nanos};

use super::order::Stage;
use super::{FillQuery, Gateway, GatewayNotice, GatewayOut, Purpose};
use crate::error::VenueError;
use crate::protocol::{Answer, FillCursor, Request, RequestId};

const NEVER: Nanos = Nanos(i64::MAX);

impl Gateway {
    /// Does what is due, and returns when it is to be called next at the latest. O(open questions
    /// and unanswered requests).
    pub fn on_timer(&mut self, now: Nanos, out: &mut GatewayOut) -> Nanos {
        let deadline = now.plus(-self.options.answer_timeout_ns);
        let overdue: Vec<_> = self
            .flights
            .iter()
            .filter(|(_, flight)| !flight.is_overdue && flight.sent_at <= deadline)
            .map(|(id, _)| *id)
            .collect();
        for request in overdue {
            self.overdue(request, "no answer in time", now, out);
        }
        self.forget_flights(now);
        self.release_strangers(now, out);
        if self.is_online {
            self.ask_orders(now, out);
            self.ask_fills(now, out);
            self.reconcile_on_time(now, out);
        }
        self.next_timer()
    }

    /// The connection is gone, for this reason if it is known: nothing that was asked on it will be
    /// answered.
    pub(crate) fn offline(&mut self, why: Option<String>, now: Nanos, out: &mut GatewayOut) {
        if std::mem::replace(&mut self.is_online, false) {
            out.notices.push(GatewayNotice::Offline { why });
        }
        let open: Vec<_> =
            self.flights.iter().filter(|(_, own)| !own.is_overdue).map(|(id, _)| *id).collect();
        for request in open {
            self.overdue(request, "the connection was lost", now, out);
        }
        self.reconciliation.stop();
    }

    /// A request that no answer is waited for any more; one is welcome still.
    fn overdue(&mut self, request: RequestId, why: &str, now: Nanos, out: &mut GatewayOut) {
        let Some(flight) = self.flights.get_mut(&request) else { return };
        flight.is_overdue = true;
        match flight.purpose {
            Purpose::Place(id) => {
                if self.orders.get(&id).is_some_and(|own| own.placing == Some(request)) {
                    self.outcome_unknown(id, why, now, out);
                }
            }
            Purpose::Cancel(id) => {
                if let Some(own) = self.orders.get_mut(&id) {
                    if let Some(cancel) = &mut own.cancel
                        && cancel.request == Some(request)
                    {
                        cancel.request = None;
                    }
                    own.doubt(now, &self.options);
                }
            }
            Purpose::Amend(id) | Purpose::Swap(id) | Purpose::Withdraw(id) => {
                let Some(own) = self.orders.get_mut(&id) else { return };
                let Some(change) = &mut own.change else { return };
                let is_swap = change.stage == Stage::Swapping(request);
                if is_swap || change.stage == Stage::Amending(request) {
                    change.stage = Stage::Unanswered;
                }
                own.doubt(now, &self.options);
                if is_swap && let Some(doubt) = &mut own.doubt {
                    doubt.asks_next = true;
                }
            }
            Purpose::Query(key) => {
                if let Some(own) = self.orders.get_mut(&key.id)
                    && let Some(doubt) = &mut own.doubt
                    && doubt.in_flight == Some(request)
                {
                    doubt.in_flight = None;
                }
            }
            Purpose::Fills(instrument) => {
                if let Some(query) = self.fill_queries.get_mut(&instrument)
                    && query.in_flight == Some(request)
                {
                    query.in_flight = None;
                    query.next_at = Some(now.plus(self.options.query_min_ns));
                }
                self.reconciliation.failed(request, now, &self.options);
            }
            Purpose::OpenOrders | Purpose::Holdings | Purpose::Positions | Purpose::Lost(_) => {
                self.reconciliation.failed(request, now, &self.options);
            }
            Purpose::History(id, _) => {
                if let Some(own) = self.orders.get_mut(&id)
                    && let Some(doubt) = &mut own.doubt
                    && doubt.in_flight == Some(request)
                {
                    doubt.in_flight = None;
                }
            }
            Purpose::OrphanCancel => {}
        }
    }

    /// Overdue requests whose answers cannot matter any more.
    fn forget_flights(&mut self, now: Nanos) {
        let kept_ns =
            self.options.answer_timeout_ns + self.options.receive_window_ns + self.options.grace_ns;
        let horizon = now.plus(-kept_ns);
        self.flights.retain(|_, flight| !flight.is_overdue || flight.sent_at > horizon);
    }

    fn ask_orders(&mut self, now: Nanos, out: &mut GatewayOut) {
        let mut due = Vec::new();
        for own in self.orders.values() {
            if let Some(doubt) = own.doubt
                && doubt.in_flight.is_none()
                && doubt.next_query_at <= now
            {
                due.push(own.key.id);
            }
        }
        for id in due {
            let Some(own) = self.orders.get_mut(&id) else { continue };
            let instrument = own.spec.instrument;
            if !own.is_form_known {
                if self.reconciliation.has_seen_orders {
                    self.ask_history(id, now, out);
                } else if let Some(doubt) = &mut own.doubt {
                    doubt.next_query_at = now.plus(self.options.query_min_ns);
                }
                continue;
            }
            let asks_next = own.doubt.is_some_and(|doubt| doubt.asks_next);
            let key = if asks_next { own.key.next() } else { own.key };
            let venue_order_id = if asks_next { Default::default() } else { own.venue_order_id };
            let request = Request::QueryOrder { key, venue_order_id, instrument };
            let request = self.request(Purpose::Query(key), request, now, out);
            self.asked(id, request, now);
        }
    }

    /// Asks for an order's history: its forms, or how one ended that the venue does not know now.
    pub(super) fn ask_history(&mut self, id: ClientOrderId, now: Nanos, out: &mut GatewayOut) {
        let Some(own) = self.orders.get(&id) else { return };
        let instrument = own.spec.instrument;
        let since = own.sent_at.plus(-self.options.fill_overlap_ns);
        let request = Request::OrderHistory { instrument, since };
        let request = self.request(Purpose::History(id, instrument), request, now, out);
        self.asked(id, request, now);
    }

    fn asked(&mut self, id: ClientOrderId, request: RequestId, now: Nanos) {
        let pause_max = self.options.query_max_ns;
        if let Some(doubt) = self.orders.get_mut(&id).and_then(|own| own.doubt.as_mut()) {
            doubt.in_flight = Some(request);
            doubt.n_questions += 1;
            doubt.next_query_at = now.plus(doubt.pause_ns);
            doubt.pause_ns = (doubt.pause_ns * 2).min(pause_max);
        }
    }

    /// Asks for executions of an instrument soon: the stream brings them first as a rule.
    pub(super) fn want_fills(&mut self, instrument: InstrumentId, now: Nanos) {
        let pause = self.options.query_min_ns;
        let query =
            self.fill_queries.entry(instrument).or_insert_with(|| FillQuery::new(self.began_at));
        if query.next_at.is_none() {
            query.pause_ns = pause;
            query.next_at = Some(now.plus(pause));
        }
    }

    fn ask_fills(&mut self, now: Nanos, out: &mut GatewayOut) {
        let due: Vec<_> = self
            .fill_queries
            .iter()
            .filter(|(_, own)| own.in_flight.is_none() && own.next_at.is_some_and(|at| at <= now))
            .map(|(id, own)| (*id, own.since))
            .collect();
        for (instrument, since) in due {
            let since = FillCursor::Since(since);
            self.ask_fills_from(instrument, since, now, out);
        }
    }

    pub(super) fn ask_fills_from(
        &mut self,
        instrument: InstrumentId,
        since: FillCursor,
        now: Nanos,
        out: &mut GatewayOut,
    ) -> RequestId {
        let request = Request::Fills { instrument, since };
        let request = self.request(Purpose::Fills(instrument), request, now, out);
        if let Some(query) = self.fill_queries.get_mut(&instrument) {
            query.in_flight = Some(request);
        }
        request
    }

    pub(super) fn fills_answered(
        &mut self,
        instrument: InstrumentId,
        (request, asked_at): (RequestId, Nanos),
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        if let Some(query) = self.fill_queries.get_mut(&instrument)
            && query.in_flight == Some(request)
        {
            query.in_flight = None;
        }
        match outcome {
            Ok(Answer::Fills(fills, has_more)) => {
                for fill in fills {
                    self.on_fill(fill, now, out);
                }
                if *has_more && let Some(last) = fills.last() {
                    let after = FillCursor::After(last.trade_id);
                    let next = self.ask_fills_from(instrument, after, now, out);
                    self.reconcile_fills(request, instrument, Some(next), now, out);
                    return;
                }
                let lacks_fills = self
                    .orders
                    .values()
                    .any(|own| own.spec.instrument == instrument && own.lacks_fills());
                let (overlap, pause_max) =
                    (self.options.fill_overlap_ns, self.options.query_max_ns);
                if let Some(query) = self.fill_queries.get_mut(&instrument) {
                    if lacks_fills {
                        // The venue knows of them, but its list does not show them yet.
                        query.next_at = Some(now.plus(query.pause_ns));
                        query.pause_ns = (query.pause_ns * 2).min(pause_max);
                    } else {
                        query.since = query.since.max(asked_at.plus(-overlap));
                        query.next_at = None;
                    }
                }
                self.reconcile_fills(request, instrument, None, now, out);
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(query) = self.fill_queries.get_mut(&instrument) {
                    query.next_at = Some(now.plus(self.options.query_max_ns / 4));
                }
                let error = error.clone();
                out.notices.push(GatewayNotice::QueryFailed { what: "executions", error });
                self.reconciliation.failed(request, now, &self.options);
            }
        }
    }

    fn next_timer(&self) -> Nanos {
        let answers = self
            .flights
            .values()
            .filter(|flight| !flight.is_overdue)
            .map(|flight| flight.sent_at.plus(self.options.answer_timeout_ns));
        let questions = self
            .orders
            .values()
            .filter_map(|own| own.doubt)
            .filter(|doubt| doubt.in_flight.is_none())
            .map(|doubt| doubt.next_query_at);
        let fills = self
            .fill_queries
            .values()
            .filter(|query| query.in_flight.is_none())
            .filter_map(|query| query.next_at);
        let soonest = answers.chain(questions).chain(fills).min().unwrap_or(NEVER);
        if self.is_online { soonest.min(self.reconciliation.next_at) } else { soonest }
    }
}
