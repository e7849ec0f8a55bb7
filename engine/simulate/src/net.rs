//! The order connection: requests and reports under way, and what an adapter does about those that
//! never come.
//!
//! An adapter may believe only what the venue says: an order whose answer does not come in time is of
//! unknown fate until a query finds it or, long after it could still arrive, does not.

use std::collections::{BTreeMap, BTreeSet};

use tercel_core::{
    ClientOrderId, Event, ExecutionReport, InstrumentId, Nanos, OrderRequest, Price, Quantity,
    RejectReason, ReportKind, Side, State, StrategyId,
};
use tercel_testkit::Random;

use crate::counts::Counts;
use crate::fault::Fault;
use crate::market::Market;
use crate::plan::Network;
use crate::venue::{End, Said, Truth, Venue};

/// How long an answer may take.
const TIMEOUT_NS: i64 = 3 * Nanos::SECOND;
/// How old a request may be that the venue takes.
const WINDOW_NS: i64 = 5 * Nanos::SECOND;
/// How long an order must have been absent before its absence is believed.
const GRACE_NS: i64 = 9 * Nanos::SECOND;
/// Time between two queries of all that is not settled.
const QUERY_NS: i64 = 4 * Nanos::SECOND;

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// `None` if it never arrives.
    arrives_at: Option<i64>,
    sent_at: i64,
    request: OrderRequest,
}

/// A report under way.
#[derive(Clone, Copy, Debug)]
struct Coming {
    at: i64,
    serial: u64,
    said: Said,
}

/// What the adapter knows of an order.
#[derive(Clone, Debug, Default)]
struct Watch {
    sent_at: i64,
    is_answered: bool,
    is_unknown: bool,
    is_triggered: bool,
    is_ended: bool,
    fills: BTreeSet<u64>,
    cancel_at: Option<i64>,
    replace: Option<(i64, Price, Quantity)>,
}

/// The connection with the venue at its end.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) venue: Venue,
    pub(crate) faults: Network,
    pub(crate) counts: Counts<Fault>,
    random: Random,
    flights: Vec<Flight>,
    coming: Vec<Coming>,
    watches: BTreeMap<ClientOrderId, Watch>,
    /// What queries have found, on its way.
    query_at: i64,
    serial: u64,
    serial_max: u64,
    /// When the last report that was in order is to come.
    last_at: i64,
    /// Reports that the engine was given.
    pub(crate) n_delivered: u64,
}

impl Net {
    pub(crate) fn new(venue: Venue, random: Random) -> Self {
        Self {
            venue,
            faults: Network::PERFECT,
            counts: Counts::default(),
            random,
            flights: Vec::new(),
            coming: Vec::new(),
            watches: BTreeMap::new(),
            query_at: 0,
            serial: 0,
            serial_max: 0,
            last_at: 0,
            n_delivered: 0,
        }
    }

    /// Sets how badly things go from now on.
    pub(crate) const fn set_faults(&mut self, faults: Network) {
        self.faults = faults;
        self.venue.rejected = faults.rejected;
    }

    /// Sends a request on its way.
    pub(crate) fn send(&mut self, request: &OrderRequest, now: i64) {
        let watch = self.watches.entry(request.id()).or_default();
        match *request {
            OrderRequest::New { .. } => watch.sent_at = now,
            OrderRequest::Cancel { .. } => watch.cancel_at = Some(now),
            OrderRequest::Replace { price, qty, .. } => watch.replace = Some((now, price, qty)),
        }
        let is_lost = self.random.chance(self.faults.lost_request);
        let is_late = self.random.chance(self.faults.late / 2);
        let longest = if is_late { 9 * Nanos::SECOND } else { 150 * Nanos::MILLI };
        let delay = self.random.between(Nanos::MILLI, longest);
        if is_lost {
            self.counts.count(Fault::LostRequest);
        }
        let arrives_at = (!is_lost).then_some(now + delay);
        self.flights.push(Flight { arrives_at, sent_at: now, request: *request });
    }

    /// Lets happen what is due.
    pub(crate) fn step(&mut self, now: i64, market: &Market) {
        let mut due: Vec<_> = Vec::new();
        self.flights.retain(|flight| match flight.arrives_at {
            Some(at) if at <= now => {
                due.push((at, *flight));
                false
            }
            Some(_) => true,
            None => now - flight.sent_at < TIMEOUT_NS,
        });
        due.sort_by_key(|(at, _)| *at);
        for (at, flight) in due {
            self.arrive(at, &flight, market);
        }
        self.carry(now);
        self.give_up(now);
        if now >= self.query_at {
            self.query_at = now + QUERY_NS;
            self.query(now);
        }
    }

    fn arrive(&mut self, at: i64, flight: &Flight, market: &Market) {
        if at - flight.sent_at > WINDOW_NS {
            return;
        }
        if let OrderRequest::Cancel { id, .. } = flight.request
            && self.random.chance(25)
            && self.venue.race(id)
        {
            self.counts.count(Fault::CancelRace);
        }
        let before = self.venue.n_rejected;
        self.venue.take(&flight.request, market);
        self.counts.add(Fault::RejectedOrder, self.venue.n_rejected - before);
    }

    /// Sends on its way what the venue has said.
    pub(crate) fn carry(&mut self, now: i64) {
        for said in std::mem::take(&mut self.venue.said) {
            let copies = 1 + usize::from(self.random.chance(self.faults.doubled));
            for copy in 0..copies {
                if self.random.chance(self.faults.lost) {
                    self.counts.count(Fault::LostReport);
                    continue;
                }
                if copy > 0 {
                    self.counts.count(Fault::DoubledReport);
                }
                let mut at = self.last_at.max(now + self.random.between(1, 80) * Nanos::MILLI);
                if self.random.chance(self.faults.late) {
                    self.counts.count(Fault::LateReport);
                    at += self.random.between(1, 12) * Nanos::SECOND;
                } else {
                    self.last_at = at;
                }
                self.tell(at, said);
            }
        }
    }

    fn tell(&mut self, at: i64, said: Said) {
        self.serial += 1;
        self.coming.push(Coming { at, serial: self.serial, said });
    }

    /// Calls orders unknown that were not answered in time.
    fn give_up(&mut self, now: i64) {
        let mut late = Vec::new();
        for (id, watch) in &mut self.watches {
            if !watch.is_answered && !watch.is_unknown && now - watch.sent_at >= TIMEOUT_NS {
                watch.is_unknown = true;
                late.push(*id);
            }
        }
        for id in late {
            let is_there = self.venue.order(id).is_some();
            self.counts.count(if is_there { Fault::UnknownExecuted } else { Fault::UnknownLost });
            self.say(now, id, ReportKind::Unknown);
        }
    }

    fn say(&mut self, at: i64, order: ClientOrderId, kind: ReportKind) {
        let known = self.venue.order(order).map(|own| (own.account, own.spec.instrument));
        let (account, instrument) = known.unwrap_or_default();
        self.tell(at, Said { order, account, instrument, kind });
    }

    /// Asks about everything that is not settled.
    fn query(&mut self, now: i64) {
        let mut answers = Vec::new();
        self.watches.retain(|id, watch| {
            let truth = self.venue.order(*id);
            if truth.is_some_and(|truth| watch.is_settled(truth)) {
                return false;
            }
            let is_under_way = self.flights.iter().any(|flight| flight.request.id() == *id);
            match truth {
                Some(truth) => answers.extend(
                    watch.missing(truth, now, is_under_way).into_iter().map(|kind| (*id, kind)),
                ),
                None if now - watch.sent_at > GRACE_NS && !is_under_way => {
                    answers.push((*id, ReportKind::Rejected(RejectReason::UnknownOrder)));
                    // Told again until it is heard: a rejected order is forgotten when it is.
                    return !watch.is_ended;
                }
                None => {}
            }
            true
        });
        for (id, kind) in answers {
            if !self.random.chance(self.faults.lost) {
                let at = now + self.random.between(5, 60) * Nanos::MILLI;
                self.say(at, id, kind);
            }
        }
    }

    /// Returns when something is due.
    pub(crate) fn next_at(&self) -> i64 {
        let flights = self.flights.iter().filter_map(|flight| flight.arrives_at);
        let coming = self.coming.iter().map(|coming| coming.at);
        let waiting = self.watches.values().filter(|own| !own.is_answered && !own.is_unknown);
        let timeouts = waiting.map(|watch| watch.sent_at + TIMEOUT_NS);
        flights.chain(coming).chain(timeouts).chain([self.query_at]).min().unwrap_or(i64::MAX)
    }

    /// Returns the next report that has come, as an event.
    pub(crate) fn deliver(&mut self, now: i64, utc: Nanos) -> Option<Event> {
        let (idx, _) = self
            .coming
            .iter()
            .enumerate()
            .filter(|(_, coming)| coming.at <= now)
            .min_by_key(|(_, coming)| (coming.at, coming.serial))?;
        let Coming { serial, said, .. } = self.coming.remove(idx);
        if serial < self.serial_max {
            self.counts.count(Fault::ReorderedReport);
        }
        self.serial_max = self.serial_max.max(serial);
        self.n_delivered += 1;
        let Said { order, account, instrument, kind } = said;
        if let Some(watch) = self.watches.get_mut(&order) {
            watch.hear(&kind);
        }
        Some(Event::Execution(ExecutionReport {
            order,
            account,
            instrument,
            venue_at: utc,
            received_at: utc,
            kind,
        }))
    }

    /// The process is gone: what was on its way to it is lost, what it has sent is not.
    pub(crate) fn disconnect(&mut self) {
        self.coming.clear();
        self.watches.clear();
        self.venue.said.clear();
    }

    /// Lets everything arrive that is on its way to the venue, as time passes.
    pub(crate) fn settle(&mut self, now: i64, market: &Market) {
        self.flights.sort_by_key(|flight| flight.arrives_at);
        for flight in std::mem::take(&mut self.flights) {
            if let Some(at) = flight.arrives_at {
                self.arrive(at.min(now), &flight, market);
            }
        }
        self.venue.said.clear();
    }

    /// Watches what a process begins with: its orders, and those of which it has not heard all.
    pub(crate) fn connect(&mut self, state: &State, now: i64) {
        self.query_at = now;
        for order in state.orders.all_working() {
            let truth = self.venue.order(order.id);
            let replace = order.pending.replace;
            let watch = Watch {
                sent_at: now,
                is_answered: order.acknowledged,
                is_unknown: true,
                is_triggered: order.triggered,
                is_ended: false,
                fills: truth.map(|own| own.told(order.filled)).unwrap_or_default(),
                cancel_at: order.pending.cancel.then_some(now - TIMEOUT_NS),
                replace: replace.map(|own| (now - TIMEOUT_NS, own.price, own.qty)),
            };
            self.watches.insert(order.id, watch);
        }
        for truth in self.venue.orders() {
            let known = state.orders.get(truth.id).filter(|order| !order.is_working());
            if known.is_some_and(|order| order.filled.0 < truth.filled) {
                let watch = Watch { is_answered: true, is_ended: true, ..Watch::default() };
                self.watches.insert(truth.id, watch);
            }
        }
    }

    /// Returns how far from flat a strategy or an account could come at the venue, in lots, whatever
    /// of what works and is under way trades; reduce-only orders apart, which the venue shrinks.
    pub(crate) fn worst(
        &self,
        instrument: InstrumentId,
        own: impl Fn(StrategyId) -> bool,
    ) -> (i64, i64) {
        let (mut long, mut short) = (0, 0);
        let strategies =
            (0..crate::listing::N_STRATEGIES).map(|n| StrategyId(u16::try_from(n).expect("three")));
        for strategy in strategies.filter(|id| own(*id)) {
            let lots = self.venue.ledger().lots(strategy, instrument);
            long += lots;
            short += lots;
        }
        let mut add = |side: Side, qty: i64| match side {
            Side::Buy => long += qty,
            Side::Sell => short -= qty,
        };
        for truth in self.venue.working() {
            let spec = &truth.spec;
            if spec.instrument == instrument && own(truth.strategy) && !spec.reduce_only {
                add(spec.side, truth.leaves());
            }
        }
        for flight in self.flights.iter().filter(|flight| flight.arrives_at.is_some()) {
            match flight.request {
                OrderRequest::New { id, strategy, spec, .. }
                    if spec.instrument == instrument
                        && own(strategy)
                        && !spec.reduce_only
                        && self.venue.order(id).is_none() =>
                {
                    add(spec.side, spec.qty.0);
                }
                OrderRequest::Replace { id, qty, .. } => {
                    let truth = self.venue.order(id).filter(|truth| truth.works());
                    if let Some(truth) = truth
                        && truth.spec.instrument == instrument
                        && own(truth.strategy)
                        && !truth.spec.reduce_only
                    {
                        add(truth.spec.side, (qty.0 - truth.spec.qty.0).max(0));
                    }
                }
                OrderRequest::New { .. } | OrderRequest::Cancel { .. } => {}
            }
        }
        (long, short)
    }
}

impl Watch {
    /// Takes note of what the engine is told.
    fn hear(&mut self, kind: &ReportKind) {
        match kind {
            ReportKind::Unknown => {}
            ReportKind::Fill(fill) => {
                self.is_answered = true;
                self.fills.insert(fill.trade_id);
            }
            ReportKind::Canceled | ReportKind::Expired | ReportKind::Rejected(_) => {
                (self.is_answered, self.is_ended) = (true, true);
            }
            ReportKind::Triggered => self.is_triggered = true,
            ReportKind::CancelRejected(_) => self.cancel_at = None,
            ReportKind::Replaced { .. } | ReportKind::ReplaceRejected(_) => {
                self.is_answered = true;
                self.replace = None;
            }
            ReportKind::Accepted { .. } => self.is_answered = true,
        }
    }

    /// Returns whether the engine has been told all that there will ever be.
    fn is_settled(&self, truth: &Truth) -> bool {
        let is_ended = match truth.end {
            None => return false,
            Some(End::Filled) => self.replace.is_none(),
            Some(End::Canceled | End::Expired | End::Rejected(_)) => self.is_ended,
        };
        is_ended && self.is_answered && self.fills.len() == truth.fills.len()
    }

    /// Returns what the engine has not been told, in an order that makes sense.
    fn missing(&self, truth: &Truth, now: i64, is_under_way: bool) -> Vec<ReportKind> {
        let mut kinds = Vec::new();
        let is_overdue = |at: i64| now - at >= TIMEOUT_NS && !is_under_way;
        if let Some(End::Rejected(reason)) = truth.end {
            return vec![ReportKind::Rejected(reason)];
        }
        if !self.is_answered {
            kinds.push(ReportKind::Accepted { venue_order_id: truth.venue_order_id });
        }
        if let Some((at, price, qty)) = self.replace
            && is_overdue(at)
        {
            let is_done = truth.spec.qty == qty
                && truth.spec.kind.limit_price().is_none_or(|own| own == price);
            kinds.push(if is_done {
                ReportKind::Replaced { price, qty }
            } else {
                ReportKind::ReplaceRejected(RejectReason::Other)
            });
        }
        if truth.is_triggered && !self.is_triggered && truth.spec.kind.trigger().is_some() {
            kinds.push(ReportKind::Triggered);
        }
        let fills = truth.fills.iter().filter(|fill| !self.fills.contains(&fill.trade_id));
        kinds.extend(fills.map(|fill| ReportKind::Fill(*fill)));
        match truth.end {
            Some(End::Canceled) => kinds.push(ReportKind::Canceled),
            Some(End::Expired) => kinds.push(ReportKind::Expired),
            None if self.cancel_at.is_some_and(is_overdue) => {
                kinds.push(ReportKind::CancelRejected(RejectReason::Other));
            }
            Some(End::Filled | End::Rejected(_)) | None => {}
        }
        kinds
    }
}

impl Truth {
    /// Returns the fills that somebody knows who knows of so much filled: all or, to be safe, none.
    fn told(&self, filled: Quantity) -> BTreeSet<u64> {
        if filled.0 == self.filled {
            self.fills.iter().map(|fill| fill.trade_id).collect()
        } else {
            BTreeSet::new()
        }
    }
}
