//! Orders of other origin: left alone, or taken for ours.
//!
//! An order is adopted once two looks at the venue's open orders in a row have shown it with the same
//! quantity filled at the same time. What was filled by then is in what the account holds; what is
//! filled after that time is booked, each execution once. One look would leave open on which side of
//! it an execution of the same millisecond lies.
//!
//! The venue knows such an order by its own number alone, which the engine keeps with the order: a
//! later process finds it again by that. So only orders are adopted whose number is one.

use std::collections::{BTreeMap, VecDeque};

use tercel_core::{
    AccountId, AccountItem, Adoption, ClientOrderId, InstrumentId, Nanos, Order, OrderKind,
    OrderSpec, Quantity, State, StrategyId, TimeInForce,
};

use super::order::{Adopted, Tracked};
use super::strangers::Strangers;
use super::{FillQuery, ForeignPolicy, Gateway, GatewayNotice, GatewayOut, number};
use crate::client_id::OrderKey;
use crate::listing::Listing;
use crate::protocol::{FillNews, OrderNews, OrderStatus, VenueText};

/// An order as the venue numbers it.
type Number = (InstrumentId, VenueText);

#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// Whose an adopted order is, by instrument; empty if orders are left alone.
    owners: Vec<Option<StrategyId>>,
    adopted: BTreeMap<Number, ClientOrderId>,
    /// Adopted orders that are over, the oldest forgotten first.
    over: VecDeque<Number>,
    /// What the last look has shown of those that are not adopted yet.
    seen: BTreeMap<Number, (Quantity, Nanos)>,
    /// Executions that nobody here has asked for, for orders that are adopted later.
    fills: Strangers,
    /// The last number given to an adopted order.
    last: u32,
}

/// Adopted orders that are over and still recognised.
const OVER_MAX: usize = 16_384;

/// Time between two looks at orders that may be adopted.
const LOOK_NS: i64 = 5 * Nanos::SECOND;

/// How far the venue's clock may be from ours. An order that nothing has happened to for longer is
/// taken to be as of then: executions are not searched for in all the time before.
const CLOCKS_APART_NS: i64 = 3_600 * Nanos::SECOND;

/// When adopted orders began to be numbered: 2020, in seconds.
const EPOCH_S: i64 = 1_577_836_800;

impl Foreign {
    /// Returns what is known at the beginning: the orders that earlier processes have adopted.
    pub(super) fn new(
        policy: ForeignPolicy,
        account: AccountId,
        listing: &Listing,
        state: &State,
    ) -> Self {
        let mut foreign = Self::default();
        if let ForeignPolicy::Adopt { strategy } = policy {
            let trades = |id: StrategyId, instrument: InstrumentId| {
                let own = state.strategies.get(id.index());
                own.is_some_and(|own| {
                    own.account == account && own.instruments.contains(&instrument)
                })
            };
            let all = || (0..).map(StrategyId).take(state.strategies.len());
            let owner =
                |instrument| strategy.into_iter().chain(all()).find(|id| trades(*id, instrument));
            let n = listing.instruments().iter().map(|own| own.id.index() + 1).max().unwrap_or(0);
            foreign.owners = (0..).map(InstrumentId).take(n).map(owner).collect();
        }
        foreign
    }

    /// Notes an order that an earlier process has adopted.
    pub(super) fn recall(&mut self, order: &Order) {
        let Some(n) = order.id.adopted_number() else { return };
        self.last = self.last.max(n);
        let number = (order.spec.instrument, text(order.venue_order_id));
        self.adopted.insert(number, order.id);
        if !order.is_working() {
            self.ended(number);
        }
    }

    /// Forgets that an order was adopted: it is somebody else's again.
    pub(super) fn forget(&mut self, news: &OrderNews) {
        self.adopted.remove(&(news.instrument, news.venue_order_id));
    }

    /// Returns whether orders are adopted at all.
    pub(super) fn adopts(&self) -> bool {
        !self.owners.is_empty()
    }

    /// Keeps an execution of an order that may be adopted later.
    pub(super) fn keep(&mut self, fill: &FillNews, now: Nanos) {
        if self.adopts() {
            self.fills.hold(*fill, now);
        }
    }

    /// Notes that an adopted order is over.
    pub(super) fn ended(&mut self, number: Number) {
        self.over.push_back(number);
        if self.over.len() > OVER_MAX
            && let Some(oldest) = self.over.pop_front()
        {
            self.adopted.remove(&oldest);
        }
    }

    fn owner(&self, instrument: InstrumentId) -> Option<StrategyId> {
        self.owners.get(instrument.index()).copied().flatten()
    }

    /// Returns an id that was never given: seconds, so that none has to be kept when it is over.
    fn next_id(&mut self, account: AccountId, now: Nanos) -> Option<ClientOrderId> {
        let seconds = u32::try_from(now.0 / Nanos::SECOND - EPOCH_S).unwrap_or(0);
        let n = seconds.max(self.last.checked_add(1)?);
        let id = ClientOrderId::adopted(account, n)?;
        self.last = n;
        Some(id)
    }

    /// Returns our name for an order that was adopted.
    pub(super) fn key(&self, news: &OrderNews) -> Option<OrderKey> {
        let id = self.adopted.get(&(news.instrument, news.venue_order_id))?;
        Some(OrderKey::first(*id))
    }
}

impl Gateway {
    /// An order of other origin has been heard of: it is looked at soon.
    pub(super) fn foreign_heard(&mut self, news: &OrderNews, now: Nanos) {
        if self.is_adoptable(news) {
            self.compare_by(now.plus(LOOK_NS));
        }
    }

    /// Looks at the open orders of other origin, as the venue has listed them and they were counted.
    /// Returns how many are ours from here on.
    pub(super) fn adopt_foreign(
        &mut self,
        list: &[OrderNews],
        asked_at: Nanos,
        now: Nanos,
        out: &mut GatewayOut,
    ) -> usize {
        let mut n_adopted = 0;
        let before = std::mem::take(&mut self.foreign.seen);
        for news in list {
            if !self.is_adoptable(news) {
                continue;
            }
            let number = (news.instrument, news.venue_order_id);
            let look = (news.filled, news.venue_at);
            // It may have come of a stop of ours, which is asked for.
            let since = self.reconciliation.unnamed.get(&number).copied().unwrap_or(now);
            let is_others = !self.has_nameless(news.instrument, since);
            if is_others
                && before.get(&number) == Some(&look)
                && self.adopt(news, asked_at, now, out)
            {
                n_adopted += 1;
            } else {
                self.foreign.seen.insert(number, look);
            }
        }
        if !self.foreign.seen.is_empty() {
            self.compare_by(now.plus(LOOK_NS));
        }
        n_adopted
    }

    fn is_adoptable(&self, news: &OrderNews) -> bool {
        news.key.is_none()
            && !news.status.is_over()
            && news.filled < news.qty
            // What trails its trigger has no price that it could be valued at.
            && news.kind != OrderKind::Market
            && text(number(&news.venue_order_id)) == news.venue_order_id
            && self.foreign.owner(news.instrument).is_some()
    }

    /// Takes an order for ours; returns whether that was possible.
    fn adopt(
        &mut self,
        news: &OrderNews,
        asked_at: Nanos,
        now: Nanos,
        out: &mut GatewayOut,
    ) -> bool {
        let OrderNews { instrument, venue_order_id, .. } = *news;
        let Some(strategy) = self.foreign.owner(instrument) else { return false };
        let Some(id) = self.foreign.next_id(self.account, now) else { return false };
        let spec = OrderSpec {
            instrument,
            side: news.side,
            kind: news.kind,
            qty: news.qty,
            // What the venue does not tell is taken for the least that it may be.
            tif: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
        };
        let as_of = news.venue_at.max(asked_at.plus(-CLOCKS_APART_NS));
        let mut own = Tracked::new(id, spec, asked_at);
        own.venue_order_id = venue_order_id;
        own.told_accepted = true;
        own.is_waiting = news.status == OrderStatus::Waiting;
        own.filled = news.filled;
        own.filled_at_venue = news.filled;
        own.adopted = Some(Adopted { strategy, as_of, terms_at: news.venue_at });
        self.orders.insert(id, own);
        self.foreign.adopted.insert((instrument, venue_order_id), id);
        self.fill_queries.entry(instrument).or_insert_with(|| FillQuery::new(as_of));
        self.tell_terms(id, out);
        out.notices.push(GatewayNotice::Adopted {
            order: id,
            venue_order_id,
            instrument,
            strategy,
        });
        for fill in self.foreign.fills.take(instrument, venue_order_id) {
            self.trades.remove(instrument, fill.side, fill.trade_id);
            self.on_fill(&fill, now, out);
        }
        for fill in self.strangers.take(instrument, venue_order_id) {
            self.on_fill(&fill, now, out);
        }
        true
    }

    /// Tells what somebody else has made of an adopted order's price or quantity.
    pub(super) fn follow_terms(&mut self, news: &OrderNews, out: &mut GatewayOut) {
        let Some(key) = news.key else { return };
        let Some(own) = self.orders.get_mut(&key.id) else { return };
        let Some(adopted) = &mut own.adopted else { return };
        // News may overtake each other, and a change of our own is told by its own report. Of two
        // words of one millisecond the later one counts: the next comparison brings the last again.
        if news.venue_at < adopted.terms_at || own.change.is_some() || news.status.is_over() {
            return;
        }
        adopted.terms_at = news.venue_at;
        let is_same =
            own.spec.qty == news.qty && own.spec.kind.limit_price() == news.kind.limit_price();
        let Some(price) = news.kind.limit_price().filter(|_| !is_same) else { return };
        own.spec.kind = own.spec.kind.with_limit_price(price);
        own.spec.qty = news.qty;
        self.tell_terms(key.id, out);
    }

    /// An execution that is more than an adopted order was known to ask for: somebody else has
    /// enlarged it, and word of that is late.
    pub(super) fn follow_fill(&mut self, id: ClientOrderId, fill: &FillNews, out: &mut GatewayOut) {
        let Some(own) = self.orders.get_mut(&id).filter(|own| own.adopted.is_some()) else {
            return;
        };
        let filled = Quantity(own.filled.0 + fill.qty.0);
        if filled > own.spec.qty {
            // How much more is not known before the venue says so: an order that counted as whole
            // would be over.
            own.spec.qty = Quantity(filled.0 + 1);
            self.tell_terms(id, out);
        }
    }

    fn tell_terms(&self, id: ClientOrderId, out: &mut GatewayOut) {
        let Some(own) = self.orders.get(&id) else { return };
        let Some(Adopted { strategy, as_of, .. }) = own.adopted else { return };
        let adoption = Adoption {
            order: id,
            strategy,
            venue_order_id: number(&own.venue_order_id),
            spec: own.spec,
            filled: own.filled,
            triggered: !own.is_waiting,
            as_of,
        };
        self.tell(AccountItem::Order(adoption), out);
    }
}

/// Returns a number as the venue writes it.
pub(super) fn text(number: u64) -> VenueText {
    use std::fmt::Write as _;
    let mut text = VenueText::new();
    // Twenty digits fit.
    let _ = write!(text, "{number}");
    text
}
