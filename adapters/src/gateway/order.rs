//! One of our orders as the gateway knows it.

use tercel_core::{ClientOrderId, Nanos, OrderSpec, Price, Quantity, StrategyId};

use super::options::GatewayOptions;
use crate::client_id::OrderKey;
use crate::protocol::{OrderNews, OrderStatus, RequestId, VenueText, is_dormant_number};

/// An order that is not settled yet.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tracked {
    /// Its name at the venue, in its present form.
    pub(super) key: OrderKey,
    /// The order as the engine has it: total quantity, over all forms.
    pub(super) spec: OrderSpec,
    pub(super) venue_order_id: VenueText,
    /// The venue's number of another order with its name that was told of last.
    pub(super) namesake: VenueText,
    /// When the venue was last asked of which it then said that it waits for its trigger.
    pub(super) waited_at: Nanos,
    /// When its present form was sent.
    pub(super) sent_at: Nanos,
    /// Whether the engine knows that the venue has it.
    pub(super) told_accepted: bool,
    /// Whether the engine knows that nobody knows.
    pub(super) told_unknown: bool,
    /// Whether its trigger is still waited for.
    pub(super) is_waiting: bool,
    /// Filled in all forms, as far as the executions have come.
    pub(super) filled: Quantity,
    /// Filled in earlier forms, by the venue's word.
    pub(super) filled_before: Quantity,
    /// Most that the venue has said to be filled in its present form.
    pub(super) filled_at_venue: Quantity,
    /// The request that places its present form, until answered.
    pub(super) placing: Option<RequestId>,
    /// The engine wants it withdrawn.
    pub(super) cancel: Option<Withdrawal>,
    /// The engine wants it changed.
    pub(super) change: Option<Change>,
    /// How it ended at the venue, until all executions have come.
    pub(super) end: Option<OrderStatus>,
    /// Whether its present form is known: an earlier process may have made more of them.
    pub(super) is_form_known: bool,
    /// What is not known about it.
    pub(super) doubt: Option<Doubt>,
    /// How it became ours, if somebody else has placed it.
    pub(super) adopted: Option<Adopted>,
}

/// How an order of other origin became ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Adopted {
    pub(super) strategy: StrategyId,
    /// The venue's time until which its executions are in the account's books.
    pub(super) as_of: Nanos,
    /// The venue's time of the last word about its price and quantity.
    pub(super) terms_at: Nanos,
}

/// A wish to withdraw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Withdrawal {
    /// The request, until answered; `None` while it waits for a change to end.
    pub(super) request: Option<RequestId>,
    pub(super) sent_at: Nanos,
}

/// A wish to change price and quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) price: Price,
    /// Total, over all forms.
    pub(super) qty: Quantity,
    pub(super) stage: Stage,
    pub(super) sent_at: Nanos,
}

/// How far a change has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The venue changes it in place.
    Amending(RequestId),
    /// The venue withdraws and places in one step.
    Swapping(RequestId),
    /// The old form is being withdrawn.
    Withdrawing(RequestId),
    /// The new form is being placed.
    Placing,
    /// Neither answer nor refusal came in time.
    Unanswered,
}

/// An open question about an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Doubt {
    /// From when on "no such order" is believed.
    pub(super) decisive_at: Nanos,
    pub(super) next_query_at: Nanos,
    pub(super) pause_ns: i64,
    pub(super) n_questions: u32,
    pub(super) in_flight: Option<RequestId>,
    /// Whether the next form is asked for instead of the present one: after a swap without answer.
    pub(super) asks_next: bool,
}

/// How far our clock may be from the venue's. A machine whose clock shows its local time is up to fourteen
/// hours off, and to take an order of ours for an older one would be worse than the other way round.
const CLOCKS_APART_NS: i64 = 24 * 3_600 * Nanos::SECOND;

impl Tracked {
    pub(super) const fn new(id: ClientOrderId, spec: OrderSpec, now: Nanos) -> Self {
        Self {
            key: OrderKey::first(id),
            spec,
            venue_order_id: VenueText::new_const(),
            namesake: VenueText::new_const(),
            waited_at: Nanos(i64::MIN),
            sent_at: now,
            told_accepted: false,
            told_unknown: false,
            is_waiting: spec.kind.trigger().is_some(),
            filled: Quantity::ZERO,
            filled_before: Quantity::ZERO,
            filled_at_venue: Quantity::ZERO,
            placing: None,
            cancel: None,
            change: None,
            end: None,
            is_form_known: true,
            doubt: None,
            adopted: None,
        }
    }

    /// Returns the order in its present form: what the venue was asked for.
    pub(super) fn form(&self) -> OrderSpec {
        OrderSpec { qty: Quantity(self.spec.qty.0 - self.filled_before.0), ..self.spec }
    }

    /// Takes the venue's number of it; returns whether that is news. The number that a conditional
    /// order waits under gives way to that of the order which comes of it, and not the other way.
    pub(super) fn take_number(&mut self, number: VenueText) -> bool {
        let is_better = self.venue_order_id.is_empty()
            || (is_dormant_number(&self.venue_order_id) && !is_dormant_number(&number));
        if !is_better || number.is_empty() {
            return false;
        }
        self.venue_order_id = number;
        true
    }

    /// Returns whether what the venue says of an order with this name and number, at this time of the
    /// venue's, can be about this one in its present form.
    ///
    /// A venue lets a name be used again once its order is over, and others may use ours: another number
    /// is another order. So is one of which the last that the venue knows lies before this one was sent;
    /// `began_at` is since when this process sends: when an earlier one has sent, its clock alone says.
    pub(super) fn is_meant(&self, number: &str, venue_at: Nanos, began_at: Nanos) -> bool {
        let ours = self.venue_order_id.as_str();
        let is_other = !number.is_empty()
            && !ours.is_empty()
            && number != ours
            // The two numbers of a conditional order.
            && is_dormant_number(number) == is_dormant_number(ours);
        let is_sent_here = self.adopted.is_none() && self.sent_at > began_at;
        let is_older =
            is_sent_here && venue_at > Nanos(0) && venue_at < self.sent_at.plus(-CLOCKS_APART_NS);
        !is_other && !is_older
    }

    /// Returns whether an execution that came at this time may be of it although it bears another
    /// number than is known here.
    pub(super) fn may_have_other_number(&self, came_at: Nanos) -> bool {
        self.venue_order_id.is_empty()
            || self.is_swapping()
            || (is_dormant_number(&self.venue_order_id) && self.waited_at < came_at)
    }

    /// Returns whether executions are missing that the venue has told of.
    pub(super) const fn lacks_fills(&self) -> bool {
        self.filled.0 < self.filled_before.0 + self.filled_at_venue.0
    }

    /// Takes the last form that the venue's history shows, if it shows one, for the present one. One
    /// that has not come as far as what the venue has told otherwise says nothing.
    pub(super) fn adopt_form(&mut self, history: &[OrderNews]) {
        let forms = || {
            let own = history.iter().filter_map(|news| Some((news.key?, news)));
            own.filter(|(key, _)| key.id == self.key.id)
        };
        let last = forms().map(|(key, _)| key).max();
        if self.key.revision > 0 && last < Some(self.key) {
            return;
        }
        if let Some(last) = last {
            let before = forms().filter(|(key, _)| *key < last);
            self.filled_before = Quantity(before.map(|(_, news)| news.filled.0).sum());
            self.filled_at_venue = Quantity::ZERO;
            self.venue_order_id.clear();
            self.key = last;
        }
        self.is_form_known = true;
    }

    /// Begins to ask how it stands, or asks sooner if it is being asked already.
    pub(super) fn doubt(&mut self, now: Nanos, options: &GatewayOptions) {
        let last_sent = [
            Some(self.sent_at),
            self.change.map(|change| change.sent_at),
            self.cancel.map(|cancel| cancel.sent_at),
        ];
        let last_sent = last_sent.into_iter().flatten().max().unwrap_or(now);
        let decisive_at = last_sent.plus(options.receive_window_ns + options.grace_ns);
        let doubt = self.doubt.get_or_insert(Doubt {
            decisive_at,
            next_query_at: now,
            pause_ns: options.query_min_ns,
            n_questions: 0,
            in_flight: None,
            asks_next: false,
        });
        doubt.decisive_at = doubt.decisive_at.max(decisive_at);
        doubt.next_query_at = doubt.next_query_at.min(now.plus(options.query_min_ns));
    }
}
