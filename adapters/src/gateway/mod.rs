//! Between the engine's orders and a venue's words: what is in flight, what is not known, and how it
//! is found out.
//!
//! A gateway belongs to one account. It turns the engine's requests into [`Request`]s, [`News`] into
//! execution reports, and keeps three promises whatever gets lost on the way:
//!
//! - An order is sent once. A request without an answer is never repeated: the order is asked for by
//!   its name until the venue has said how it stands. "No such order" is believed only once the
//!   venue's receive window and a grace period have passed, so that it cannot still be on its way.
//! - The engine hears of an order's end only after all of its executions. A venue that says "filled
//!   5" while executions of 3 have come is asked for the others, each of which counts once.
//! - A wish to withdraw stays until the order is over or the venue has refused it for good.
//!
//! No I/O and no clock: time comes with each call.

mod answers;
mod foreign;
mod ledger;
mod lost;
mod names;
mod news;
mod notice;
mod options;
mod order;
mod reconcile;
mod requests;
mod strangers;
mod timer;
mod trades;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use tercel_core::{
    AccountId, ClientOrderId, Event, ExecutionReport, InstrumentId, Nanos, Notional, Order,
    ReportKind, State,
};

use self::foreign::Foreign;
use self::ledger::Ledger;
pub use self::lost::CutOff;
use self::lost::Lost;
pub use self::notice::GatewayNotice;
pub use self::options::{
    DifferencePolicy, ForeignPolicy, GatewayOptions, LostPolicy, OrphanPolicy, ReplaceStyle,
};
use self::order::Tracked;
use self::reconcile::Reconciliation;
use self::strangers::Strangers;
use self::trades::Trades;
use crate::client_id::OrderKey;
use crate::listing::Listing;
use crate::protocol::{News, Request, RequestId, Tagged, VenueText};

/// What a gateway wants done and told. Used over and over.
#[derive(Debug, Default)]
pub struct GatewayOut {
    /// For the engine, in order.
    pub events: Vec<Event>,
    /// For the account's protocols, in order.
    pub requests: Vec<Tagged>,
    /// For people.
    pub notices: Vec<GatewayNotice>,
}

/// One account's orders at one venue.
#[derive(Debug)]
pub struct Gateway {
    account: AccountId,
    listing: Listing,
    options: GatewayOptions,
    /// Orders that are not settled.
    orders: BTreeMap<ClientOrderId, Tracked>,
    /// Orders that were settled lately: late words about them are no surprise.
    ended: Ended,
    flights: BTreeMap<RequestId, Flight>,
    n_requests: u64,
    trades: Trades,
    strangers: Strangers,
    foreign: Foreign,
    lost: Lost,
    ledger: Ledger,
    fill_queries: BTreeMap<InstrumentId, FillQuery>,
    reconciliation: Reconciliation,
    is_online: bool,
    /// When the account was taken over: executions before it are in the ledger already.
    began_at: Nanos,
    /// Whether nothing was ever known of what the account holds.
    is_first: bool,
}

/// A request without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flight {
    purpose: Purpose,
    sent_at: Nanos,
    /// Whether its time has passed; an answer is still welcome.
    is_overdue: bool,
}

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Place(ClientOrderId),
    Cancel(ClientOrderId),
    Amend(ClientOrderId),
    Swap(ClientOrderId),
    Withdraw(ClientOrderId),
    Query(OrderKey),
    History(ClientOrderId, InstrumentId),
    OrphanCancel,
    Fills(InstrumentId),
    OpenOrders,
    Holdings,
    Positions,
    Lost(InstrumentId),
}

/// Executions of an instrument that are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FillQuery {
    /// Everything before is known.
    since: Nanos,
    /// When they are asked for next; `None` if nothing is missing.
    next_at: Option<Nanos>,
    pause_ns: i64,
    in_flight: Option<RequestId>,
}

/// Orders settled lately, the oldest forgotten first.
#[derive(Debug, Default)]
struct Ended {
    /// With when they were settled.
    ids: BTreeMap<ClientOrderId, Nanos>,
    order: VecDeque<ClientOrderId>,
}

/// Settled orders that are remembered.
const ENDED_MAX: usize = 16_384;

impl Ended {
    fn insert(&mut self, id: ClientOrderId, now: Nanos) {
        if self.ids.insert(id, now).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > ENDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

impl Gateway {
    /// Returns the gateway of an account whose state the engine begins with: its working orders are
    /// in doubt until the venue has spoken.
    #[must_use]
    pub fn new(
        account: AccountId,
        listing: Listing,
        options: GatewayOptions,
        state: &State,
        now: Nanos,
    ) -> Self {
        let own = &state.accounts[account.index()];
        let holdings = own.balances.iter().map(|balance| balance.total).collect();
        let positions = own.scope.positions.clone();
        let mut gateway = Self {
            account,
            orders: BTreeMap::new(),
            ended: Ended::default(),
            flights: BTreeMap::new(),
            n_requests: 0,
            trades: Trades::default(),
            strangers: Strangers::default(),
            foreign: Foreign::new(options.foreign, account, &listing, state),
            lost: Lost::default(),
            fill_queries: BTreeMap::new(),
            reconciliation: Reconciliation::default(),
            is_online: false,
            began_at: now,
            is_first: false,
            ledger: Ledger::default(),
            options,
            listing,
        };
        for instrument in gateway.listing.instruments() {
            let id = instrument.id;
            if positions.get(id.index()).is_some_and(|own| !own.qty.is_zero()) {
                gateway
                    .fill_queries
                    .insert(id, FillQuery::new(now.plus(-gateway.options.fill_overlap_ns)));
            }
        }
        gateway.ledger = Ledger::new(holdings, positions);
        // Executions that the engine has counted: asked for again, they are nothing new.
        let orders = state.image().orders;
        let all = orders.working.iter().flatten().chain(&orders.ended);
        let mut orders = all.filter(|known| known.order.account == account).peekable();
        gateway.is_first = own.balances.iter().all(|balance| balance.total == Notional::ZERO)
            && own.scope.positions.iter().all(|position| position.qty.is_zero())
            && orders.peek().is_none();
        for known in orders {
            let spec = &known.order.spec;
            for trade_id in &known.trade_ids {
                gateway.trades.insert(spec.instrument, spec.side, *trade_id);
            }
            if known.order.id.adopted_number().is_some() {
                gateway.foreign.recall(&known.order);
                if !known.order.is_working() {
                    gateway.ended.insert(known.order.id, now);
                }
            }
        }
        for order in state.orders.all_working().filter(|order| order.account == account) {
            gateway.take_over(order, now);
        }
        gateway
    }

    /// Returns whose gateway it is.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Returns whether the account's stream is up.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        self.is_online
    }

    /// Returns how many orders are not settled, and of how many of them it is not known how they
    /// stand.
    #[must_use]
    pub fn n_orders(&self) -> (usize, usize) {
        (self.orders.len(), self.orders.values().filter(|own| own.doubt.is_some()).count())
    }

    /// Returns whether something is under way that is worth waiting for at the end.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.orders.values().any(|own| {
            own.placing.is_some()
                || own.cancel.is_some()
                || own.change.is_some()
                || own.doubt.is_some()
        })
    }

    /// Takes what the venue tells.
    pub fn news(&mut self, news: &News, received_at: Nanos, out: &mut GatewayOut) {
        let news = self.with_names(news);
        match news.as_ref() {
            News::Online => self.online(received_at, out),
            News::Offline => self.offline(None, received_at, out),
            News::Refused(error) => {
                out.notices.push(GatewayNotice::Alarm { error: error.clone() });
            }
            News::MarginCall(instrument) => {
                let instrument = *instrument;
                out.notices.push(GatewayNotice::MarginCall { instrument });
            }
            News::Answered { request, outcome } => {
                self.answered(*request, outcome, received_at, out);
            }
            News::Order(order) => self.on_order(order, received_at, out),
            News::Fill(fill) => self.on_fill(fill, received_at, out),
            // Absolute amounts race with the fills that they contain: they only say that it is time
            // to compare.
            News::Holding(_) | News::Position(_) => self.compare_soon(received_at),
        }
    }

    /// An order that an earlier process left: nobody knows what became of it meanwhile.
    fn take_over(&mut self, order: &Order, now: Nanos) {
        let spec = order.spec;
        let mut own = Tracked::new(order.id, spec, order.created_at.min(now));
        own.told_accepted = order.acknowledged;
        own.filled = order.filled;
        own.is_form_known = self.options.replace == ReplaceStyle::Amend;
        if order.id.adopted_number().is_some() {
            own.venue_order_id = foreign::text(order.venue_order_id);
            // It has the name that somebody else has given it, and that one alone.
            own.is_form_known = true;
            let (strategy, as_of) = (order.strategy, order.created_at);
            own.adopted = Some(order::Adopted { strategy, as_of, terms_at: Nanos(0) });
        }
        own.is_waiting = !order.triggered;
        own.told_unknown = true;
        if order.pending.cancel {
            own.cancel = Some(order::Withdrawal { request: None, sent_at: now });
        }
        if let Some(replacement) = order.pending.replace {
            own.change = Some(order::Change {
                price: replacement.price,
                qty: replacement.qty,
                stage: order::Stage::Unanswered,
                sent_at: now,
            });
        }
        own.doubt(now, &self.options);
        let query = self.fill_queries.entry(spec.instrument).or_insert_with(|| FillQuery::new(now));
        query.since = query.since.min(order.created_at.plus(-self.options.fill_overlap_ns));
        self.orders.insert(order.id, own);
    }

    fn request(
        &mut self,
        purpose: Purpose,
        request: Request,
        now: Nanos,
        out: &mut GatewayOut,
    ) -> RequestId {
        self.n_requests += 1;
        let id = RequestId(self.n_requests);
        self.flights.insert(id, Flight { purpose, sent_at: now, is_overdue: false });
        out.requests.push(Tagged { id, request });
        id
    }

    fn report(
        &self,
        order: ClientOrderId,
        instrument: InstrumentId,
        times: (Nanos, Nanos),
        kind: ReportKind,
        out: &mut GatewayOut,
    ) {
        out.events.push(Event::Execution(ExecutionReport {
            order,
            account: self.account,
            instrument,
            venue_at: times.0,
            received_at: times.1,
            kind,
        }));
    }

    /// Forgets an order that the engine has heard the end of.
    fn settle(&mut self, id: ClientOrderId, now: Nanos, out: &mut GatewayOut) {
        if let Some(own) = self.orders.remove(&id) {
            self.ended.insert(id, now);
            if own.adopted.is_some() {
                self.foreign.ended((own.spec.instrument, own.venue_order_id));
            }
            if own.told_unknown {
                let n_questions = own.doubt.map_or(0, |doubt| doubt.n_questions);
                out.notices.push(GatewayNotice::Settled { order: id, n_questions });
            }
        }
    }
}

impl FillQuery {
    const fn new(since: Nanos) -> Self {
        Self { since, next_at: None, pause_ns: 0, in_flight: None }
    }
}

/// Returns the venue's number as the engine keeps it: zero where it is no number.
fn number(text: &VenueText) -> u64 {
    text.parse().unwrap_or(0)
}
