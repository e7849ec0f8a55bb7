//! Comparing the venue's books with ours: at each connect, on a timer, and when something hints.
//!
//! First the open orders, holdings and positions are asked for, then the executions. If executions
//! came to light meanwhile, the holdings may or may not contain them: the comparison proves nothing
//! and is made again.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use tercel_core::{
    AccountItem, AccountUpdate, AssetId, Event, InstrumentId, Nanos, Price, Quantity,
};

use super::{DifferencePolicy, Gateway, GatewayNotice, GatewayOptions, GatewayOut, Purpose};
use crate::client_id::OrderKey;
use crate::error::VenueError;
use crate::protocol::{
    Answer, FillCursor, Holding, OrderNews, OrderStatus, PositionNews, Request, RequestId,
    VenueText,
};

/// A comparison under way, and when the next one is due.
#[derive(Debug)]
pub(super) struct Reconciliation {
    pub(super) next_at: Nanos,
    /// Whether the venue's open orders were seen once: which form of an order works, only they tell.
    pub(super) has_seen_orders: bool,
    /// Open orders without a name of ours that the last list has shown, with since when.
    pub(super) unnamed: BTreeMap<(InstrumentId, VenueText), Nanos>,
    state: Option<Comparison>,
    n_tries: u32,
}

#[derive(Debug)]
struct Comparison {
    n_fills: u64,
    n_orders: usize,
    orders: Part<()>,
    holdings: Part<Vec<Holding>>,
    positions: Part<Vec<PositionNews>>,
    /// Requests for the histories that were not read before.
    histories: BTreeSet<RequestId>,
    /// Instruments whose executions are still asked for, with the request that does.
    fills_of: Option<BTreeMap<InstrumentId, RequestId>>,
}

/// Something that a comparison asks for. An answer to another request is none: it may be of an earlier
/// comparison and tell what was so before executions that this one takes for contained.
#[derive(Debug)]
enum Part<T> {
    Asked(RequestId),
    Here(T),
}

impl<T> Part<T> {
    fn is_asked_by(&self, request: RequestId) -> bool {
        matches!(self, Self::Asked(own) if *own == request)
    }

    const fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }
}

/// Comparisons that trading may upset before it is left to the next interval.
const TRIES_MAX: u32 = 5;

/// Pause after the venue has refused the account.
const REFUSED_NS: i64 = 15 * Nanos::MINUTE;

impl Default for Reconciliation {
    fn default() -> Self {
        Self {
            next_at: Nanos(i64::MAX),
            has_seen_orders: false,
            unnamed: BTreeMap::new(),
            state: None,
            n_tries: 0,
        }
    }
}

impl Reconciliation {
    pub(super) fn stop(&mut self) {
        self.state = None;
    }

    /// The venue refuses the account: the next comparison is a long while off, unless it connects anew.
    pub(super) fn put_off(&mut self, now: Nanos) {
        self.state = None;
        self.next_at = now.plus(REFUSED_NS);
    }

    /// A question got no answer. If it is of the comparison under way, that begins anew a little later.
    pub(super) fn failed(&mut self, request: RequestId, now: Nanos, options: &GatewayOptions) {
        if self.state.as_ref().is_some_and(|state| state.asks(request)) {
            self.state = None;
            self.next_at = self.next_at.min(now.plus(options.query_min_ns * 4));
        }
    }

    /// Returns the comparison under way if this request is of it.
    fn of(&mut self, request: RequestId) -> Option<&mut Comparison> {
        self.state.as_mut().filter(|state| state.asks(request))
    }
}

impl Comparison {
    fn asks(&self, request: RequestId) -> bool {
        let mut fills_of = self.fills_of.iter().flat_map(BTreeMap::values);
        self.orders.is_asked_by(request)
            || self.holdings.is_asked_by(request)
            || self.positions.is_asked_by(request)
            || self.histories.contains(&request)
            || fills_of.any(|own| *own == request)
    }
}

impl Gateway {
    pub(super) fn online(&mut self, now: Nanos, out: &mut GatewayOut) {
        self.is_online = true;
        out.notices.push(GatewayNotice::Online);
        self.reconciliation.n_tries = 0;
        self.reconcile(now, out);
    }

    /// Compares the venue's books with ours now, whenever the next time would be; returns whether that
    /// is begun: not while the account's stream is down. One under way begins anew.
    pub fn reconcile_now(&mut self, now: Nanos, out: &mut GatewayOut) -> bool {
        if self.is_online {
            self.reconciliation.n_tries = 0;
            self.reconcile(now, out);
        }
        self.is_online
    }

    fn reconcile(&mut self, now: Nanos, out: &mut GatewayOut) {
        self.reconciliation.next_at = self.after_interval(now);
        let orders = Request::OpenOrders { instrument: None };
        let orders = Part::Asked(self.request(Purpose::OpenOrders, orders, now, out));
        let holdings = Part::Asked(self.request(Purpose::Holdings, Request::Balances, now, out));
        let positions = if self.options.has_positions {
            Part::Asked(self.request(Purpose::Positions, Request::Positions, now, out))
        } else {
            Part::Here(Vec::new())
        };
        let (n_fills, n_orders, fills_of) = (self.ledger.n_fills, 0, None);
        let histories = self.ask_lost(now, out);
        let state =
            Comparison { n_fills, n_orders, orders, holdings, positions, histories, fills_of };
        self.reconciliation.state = Some(state);
    }

    pub(super) fn reconcile_on_time(&mut self, now: Nanos, out: &mut GatewayOut) {
        if self.reconciliation.next_at <= now {
            self.reconcile(now, out);
        }
    }

    /// Something hints that the books may differ.
    pub(super) fn compare_soon(&mut self, now: Nanos) {
        self.compare_by(now.plus(self.options.query_max_ns));
    }

    /// Compares the books by this time.
    pub(super) fn compare_by(&mut self, at: Nanos) {
        self.reconciliation.next_at = self.reconciliation.next_at.min(at);
    }

    /// Returns when the next comparison is due. O(1); any news may have brought it forward.
    #[must_use]
    pub const fn compares_at(&self) -> Nanos {
        if self.is_online { self.reconciliation.next_at } else { Nanos(i64::MAX) }
    }

    /// Begins no comparison by itself before this time. Those that are asked for, and that at each
    /// connect, are not put off.
    pub fn compare_not_before(&mut self, at: Nanos) {
        self.reconciliation.next_at = self.reconciliation.next_at.max(at);
    }

    fn after_interval(&self, now: Nanos) -> Nanos {
        match self.options.reconcile_interval_ns {
            0 => Nanos(i64::MAX),
            interval => now.plus(interval),
        }
    }

    pub(super) fn open_orders_answered(
        &mut self,
        request: RequestId,
        asked_at: Nanos,
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        if self.reconciliation.of(request).is_none() {
            return;
        }
        let list = match outcome {
            Ok(Answer::Orders(list)) => list,
            Ok(_) => return,
            Err(error) => {
                let error = error.clone();
                out.notices.push(GatewayNotice::QueryFailed { what: "open orders", error });
                self.reconciliation.failed(request, now, &self.options);
                return;
            }
        };
        self.reconciliation.has_seen_orders = true;
        for news in list {
            let ended_at = news.key.and_then(|key| self.ended.ids.get(&key.id).copied());
            if ended_at.is_some_and(|ended_at| ended_at < asked_at) {
                // The venue works it although it was over when we asked: whatever has gone wrong,
                // nobody here watches it.
                self.orphan(news, now, out);
                continue;
            }
            self.on_order(news, now, out);
            self.resolve(news, now, out);
            if let Some(key) = news.key
                && let Some(own) = self.orders.get_mut(&key.id)
                && news.status == OrderStatus::Waiting
            {
                own.waited_at = own.waited_at.max(asked_at);
            }
        }
        self.release_strangers(now, out);
        self.doubt_absent(list, asked_at, now);
        let n_foreign = self.count_foreign(list, now);
        let n_foreign = n_foreign.saturating_sub(self.adopt_foreign(list, asked_at, now, out));
        if n_foreign > 0 {
            out.notices.push(GatewayNotice::Foreign { n_orders: n_foreign });
        }
        if let Some(state) = self.reconciliation.of(request) {
            state.orders = Part::Here(());
            state.n_orders = list.iter().filter(|news| news.key.is_some()).count();
        }
        self.next_stage(now, out);
    }

    /// Returns how many open orders are of other origin. One without a name may have come of a stop of
    /// ours, unless it was there when the venue still let that wait.
    fn count_foreign(&mut self, list: &[OrderNews], now: Nanos) -> usize {
        let before = std::mem::take(&mut self.reconciliation.unnamed);
        let mut n_foreign = 0;
        for news in list.iter().filter(|news| news.key.is_none()) {
            let number = (news.instrument, news.venue_order_id);
            let since = before.get(&number).copied().unwrap_or(now);
            self.reconciliation.unnamed.insert(number, since);
            n_foreign += usize::from(!self.has_nameless(news.instrument, since));
        }
        n_foreign
    }

    /// Orders that we hold to be open and the venue does not list are asked for one by one.
    fn doubt_absent(&mut self, list: &[OrderNews], asked_at: Nanos, now: Nanos) {
        let is_meant = |news: &&OrderNews| {
            let own = news.key.and_then(|key| self.orders.get(&key.id));
            own.is_none_or(|own| own.is_meant(&news.venue_order_id, news.venue_at, self.began_at))
        };
        let meant = list.iter().filter(is_meant);
        let present: BTreeSet<OrderKey> = meant.filter_map(|news| news.key).collect();
        let options = &self.options;
        for own in self.orders.values_mut() {
            let was_there = own.sent_at < asked_at && own.placing.is_none();
            if was_there && own.end.is_none() && !present.contains(&own.key) {
                own.doubt(now, options);
            }
        }
    }

    pub(super) fn books_answered(
        &mut self,
        request: RequestId,
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let Some(state) = self.reconciliation.of(request) else { return };
        match outcome {
            Ok(Answer::Holdings(list)) => state.holdings = Part::Here(list.clone()),
            Ok(Answer::Positions(list)) => state.positions = Part::Here(list.clone()),
            Ok(_) => return,
            Err(error) => {
                let error = error.clone();
                out.notices.push(GatewayNotice::QueryFailed { what: "holdings", error });
                self.reconciliation.failed(request, now, &self.options);
                return;
            }
        }
        self.next_stage(now, out);
    }

    /// Asks for executions once orders, holdings and positions have come.
    pub(super) fn next_stage(&mut self, now: Nanos, out: &mut GatewayOut) {
        let Some(state) = &mut self.reconciliation.state else { return };
        let has_all = state.orders.is_here()
            && state.holdings.is_here()
            && state.positions.is_here()
            && self.lost.is_read();
        if !has_all || state.fills_of.is_some() {
            return;
        }
        let asked: Vec<_> = self.fill_queries.iter().map(|(id, own)| (*id, own.since)).collect();
        let mut fills_of = BTreeMap::new();
        for (instrument, since) in asked {
            let since = FillCursor::Since(since);
            fills_of.insert(instrument, self.ask_fills_from(instrument, since, now, out));
        }
        if let Some(state) = &mut self.reconciliation.state {
            state.fills_of = Some(fills_of);
        }
        self.compare(now, out);
    }

    /// The answer to a request for executions has shown the last of them, or that the next request is
    /// for more.
    pub(super) fn reconcile_fills(
        &mut self,
        request: RequestId,
        instrument: InstrumentId,
        next: Option<RequestId>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        let state = self.reconciliation.of(request);
        let Some(fills_of) = state.and_then(|state| state.fills_of.as_mut()) else { return };
        match next {
            Some(next) => {
                fills_of.insert(instrument, next);
            }
            None => {
                fills_of.remove(&instrument);
                self.compare(now, out);
            }
        }
    }

    /// Compares once everything has come.
    fn compare(&mut self, now: Nanos, out: &mut GatewayOut) {
        let is_complete = self
            .reconciliation
            .state
            .as_ref()
            .is_some_and(|state| state.fills_of.as_ref().is_some_and(BTreeMap::is_empty));
        if !is_complete {
            return;
        }
        let Some(state) = self.reconciliation.state.take() else { return };
        let lacks_fills = self.orders.values().any(super::order::Tracked::lacks_fills);
        if state.n_fills != self.ledger.n_fills || lacks_fills || !self.strangers.is_empty() {
            self.reconciliation.n_tries += 1;
            if self.reconciliation.n_tries < TRIES_MAX {
                let soon = now.plus(self.options.query_min_ns * 2);
                self.reconciliation.next_at = self.reconciliation.next_at.min(soon);
            }
            return;
        }
        self.reconciliation.n_tries = 0;
        let mut n_differences = 0;
        let (Part::Here(holdings), Part::Here(positions)) = (state.holdings, state.positions)
        else {
            return;
        };
        for asset in self.listing.assets() {
            // Venues leave out what is not held.
            let theirs = holdings.iter().find(|own| own.asset == asset);
            let theirs = theirs.map_or(Decimal::ZERO, |own| own.total);
            n_differences += usize::from(self.compare_holding(asset, theirs, out));
        }
        if self.options.has_positions {
            let listed: Vec<_> = self.listing.instruments().iter().map(|own| own.id).collect();
            for instrument in listed {
                let theirs = positions.iter().find(|own| own.instrument == instrument);
                let (qty, price) =
                    theirs.map_or((Quantity::ZERO, Price(0)), |own| (own.qty, own.price));
                n_differences += usize::from(self.compare_position(instrument, qty, price, out));
            }
        }
        self.is_first = false;
        let n_orders = state.n_orders;
        out.notices.push(GatewayNotice::Reconciled { n_orders, n_differences });
    }

    fn compare_holding(&mut self, asset: AssetId, theirs: Decimal, out: &mut GatewayOut) -> bool {
        let ours = self.ledger.holding(asset);
        // Venues round to eight places; what differs less is their rounding of fees.
        if (ours - theirs).abs() <= Decimal::new(1, 7) {
            return false;
        }
        let adopted = self.is_first || self.options.difference == DifferencePolicy::Adopt;
        out.notices.push(if self.is_first {
            GatewayNotice::FirstHolding { asset, total: theirs }
        } else {
            GatewayNotice::HoldingDiffers { asset, ours, theirs, adopted }
        });
        if adopted {
            self.ledger.adopt_holding(asset, theirs);
            self.tell(AccountItem::Balance { asset, total: theirs }, out);
        }
        !self.is_first
    }

    fn compare_position(
        &mut self,
        instrument: InstrumentId,
        theirs: Quantity,
        price: Price,
        out: &mut GatewayOut,
    ) -> bool {
        let ours = self.ledger.position(instrument);
        if ours == theirs {
            return false;
        }
        let adopted = self.is_first || self.options.difference == DifferencePolicy::Adopt;
        out.notices.push(if self.is_first {
            GatewayNotice::FirstPosition { instrument, qty: theirs }
        } else {
            GatewayNotice::PositionDiffers { instrument, ours, theirs, adopted }
        });
        if adopted {
            if let Some(own) = self.listing.instrument(instrument) {
                self.ledger.adopt_position(own, theirs, price);
            }
            self.tell(AccountItem::Position { instrument, qty: theirs, price }, out);
        }
        !self.is_first
    }

    pub(super) fn tell(&self, item: AccountItem, out: &mut GatewayOut) {
        let update = AccountUpdate { account: self.account, item, last: true };
        out.events.push(Event::Account(update));
    }
}
