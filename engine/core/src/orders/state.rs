//! One order's life: the only function that moves it is [`Order::apply`].
//!
//! Reports come late, twice, out of order, and a fill can overtake the acknowledgement. What the
//! function promises whatever comes: filled never exceeds ordered, an ended order never works
//! again, no fill counts twice, and every fill that is real counts once, even one that arrives
//! after the cancel.

use crate::digest::Digest;
use crate::effect::ReportRefusal;
use crate::ids::{AccountId, ClientOrderId, StrategyId};
use crate::num::{Nanos, Price, Quantity};
use crate::order::{Fill, OrderKind, OrderSpec, RejectReason, ReportKind};

/// Where an order stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OrderState {
    /// Recorded and sent; the venue has not answered.
    PendingNew,
    /// Working at the venue, perhaps filled in part.
    Open,
    /// Sent, outcome not known. Counts in risk as if it worked.
    Unknown,
    /// Filled whole.
    Filled,
    /// Cancelled, perhaps filled in part.
    Canceled,
    /// Refused by the venue.
    Rejected,
    /// Its time ran out.
    Expired,
}

impl OrderState {
    /// Returns whether the order is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::PendingNew | Self::Open | Self::Unknown => false,
            Self::Filled | Self::Canceled | Self::Rejected | Self::Expired => true,
        }
    }

    /// Returns the state in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingNew => "pending",
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// Requests about a working order that the venue has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Pending {
    /// Whether a cancel is under way.
    pub cancel: bool,
    /// The replace that is under way.
    pub replace: Option<Replacement>,
}

impl Pending {
    /// Returns whether any request is under way.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.cancel || self.replace.is_some()
    }
}

/// What a replace asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Replacement {
    /// Limit price.
    pub price: Price,
    /// Total quantity, what is filled included.
    pub qty: Quantity,
}

/// One of our orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Our id.
    pub id: ClientOrderId,
    /// Account that trades.
    pub account: AccountId,
    /// Strategy that asked.
    pub strategy: StrategyId,
    /// The order as it stands: price and quantity follow replaces.
    pub spec: OrderSpec,
    /// Where it stands.
    pub state: OrderState,
    /// Unanswered requests.
    pub pending: Pending,
    /// Whether the venue has acknowledged it.
    pub acknowledged: bool,
    /// Whether its trigger has been reached (true from the start without one).
    pub triggered: bool,
    /// Largest quantity that was ever approved for it: what the venue could fill at most, whatever
    /// it has made of the replaces since.
    pub qty_max: Quantity,
    /// Quantity filled.
    pub filled: Quantity,
    /// Sum of ticks times lots over the fills.
    pub filled_tick_lots: i128,
    /// The venue's number, 0 until known.
    pub venue_order_id: u64,
    /// When it was sent.
    pub created_at: Nanos,
    /// Price that risk valued it at when it was approved.
    pub reference_px: Price,
}

/// What a report changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Acknowledged.
    Accepted,
    /// Traded.
    Filled(Fill),
    /// Price and quantity changed.
    Replaced,
    /// Gone by cancel.
    Canceled,
    /// Gone by time.
    Expired,
    /// Trigger reached.
    Triggered,
    /// Refused by the venue.
    Rejected(RejectReason),
    /// A cancel was refused.
    CancelRejected(RejectReason),
    /// A replace was refused.
    ReplaceRejected(RejectReason),
    /// Outcome not known.
    Unknown,
}

impl Order {
    /// Returns a new order, recorded as sent.
    #[must_use]
    pub const fn new(
        id: ClientOrderId,
        account: AccountId,
        strategy: StrategyId,
        spec: OrderSpec,
        created_at: Nanos,
        reference_px: Price,
    ) -> Self {
        Self {
            id,
            account,
            strategy,
            spec,
            state: OrderState::PendingNew,
            pending: Pending { cancel: false, replace: None },
            qty_max: spec.qty,
            acknowledged: false,
            triggered: spec.kind.trigger().is_none(),
            filled: Quantity(0),
            filled_tick_lots: 0,
            venue_order_id: 0,
            created_at,
            reference_px,
        }
    }

    /// Returns whether it can still trade.
    #[must_use]
    pub const fn is_working(&self) -> bool {
        !self.state.is_terminal()
    }

    /// Returns whether it is what a flatten sends: a market order that only shrinks a position.
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.spec.reduce_only && matches!(self.spec.kind, OrderKind::Market)
    }

    /// Returns what is left to fill.
    #[must_use]
    pub const fn leaves(&self) -> Quantity {
        Quantity(self.spec.qty.0 - self.filled.0)
    }

    /// Returns the most that it can still trade: 0 when over, else what is left of the larger of
    /// its quantity and the one that a pending replace asks for.
    #[must_use]
    pub const fn exposed_qty(&self) -> Quantity {
        if self.state.is_terminal() {
            return Quantity(0);
        }
        Quantity(self.largest_qty().0 - self.filled.0)
    }

    /// Returns the average fill price in ticks, rounded toward negative infinity.
    #[must_use]
    pub fn average_price(&self) -> Option<Price> {
        if self.filled.is_zero() {
            return None;
        }
        let ticks = self.filled_tick_lots.div_euclid(i128::from(self.filled.0));
        i64::try_from(ticks).ok().map(Price)
    }

    /// Applies a report. The caller has made sure that a fill's trade id is new.
    ///
    /// # Errors
    ///
    /// Why the report was refused; the order is then unchanged.
    pub fn apply(&mut self, report: &ReportKind) -> Result<Change, ReportRefusal> {
        if let ReportKind::Fill(fill) = report {
            return self.apply_fill(fill);
        }
        if self.state.is_terminal() {
            return Err(ReportRefusal::AfterEnd);
        }
        match *report {
            ReportKind::Accepted { venue_order_id } => {
                if self.acknowledged {
                    return Err(ReportRefusal::Stale);
                }
                self.acknowledged = true;
                self.venue_order_id = venue_order_id;
                self.state = OrderState::Open;
                Ok(Change::Accepted)
            }
            ReportKind::Canceled => {
                self.end(OrderState::Canceled);
                Ok(Change::Canceled)
            }
            ReportKind::Expired => {
                self.end(OrderState::Expired);
                Ok(Change::Expired)
            }
            ReportKind::Replaced { price, qty } => self.apply_replaced(price, qty),
            ReportKind::Rejected(reason) => {
                // A venue that has acknowledged or filled an order cannot have refused it.
                if self.acknowledged || self.filled.0 > 0 {
                    return Err(ReportRefusal::Stale);
                }
                self.end(OrderState::Rejected);
                Ok(Change::Rejected(reason))
            }
            ReportKind::CancelRejected(reason) => {
                if !std::mem::take(&mut self.pending.cancel) {
                    return Err(ReportRefusal::Stale);
                }
                Ok(Change::CancelRejected(reason))
            }
            ReportKind::ReplaceRejected(reason) => {
                self.pending.replace.take().ok_or(ReportRefusal::Stale)?;
                // While the larger quantity was possible, being filled to the old one ended nothing.
                if self.filled.0 >= self.spec.qty.0 {
                    self.end(OrderState::Filled);
                }
                Ok(Change::ReplaceRejected(reason))
            }
            ReportKind::Triggered => {
                if self.triggered {
                    return Err(ReportRefusal::Stale);
                }
                self.triggered = true;
                Ok(Change::Triggered)
            }
            ReportKind::Unknown => {
                if self.state != OrderState::PendingNew {
                    return Err(ReportRefusal::Stale);
                }
                self.state = OrderState::Unknown;
                #[cfg(feature = "sabotage")]
                if crate::sabotage::is_planted(crate::sabotage::Bug::UnknownIsDead) {
                    self.end(OrderState::Rejected);
                }
                Ok(Change::Unknown)
            }
            ReportKind::Fill(_) => unreachable!("fills were taken above"),
        }
    }

    /// Records that a cancel was sent.
    pub(crate) const fn cancel_sent(&mut self) {
        self.pending.cancel = true;
    }

    /// Records that a replace was sent.
    pub(crate) fn replace_sent(&mut self, replacement: Replacement) {
        self.pending.replace = Some(replacement);
        self.qty_max = self.qty_max.max(replacement.qty);
    }

    /// Mixes the order into `digest`.
    pub fn digest(&self, digest: &mut Digest) {
        digest.u64(self.id.0);
        digest.u64(self.state as u64);
        digest.i64(self.spec.qty.0);
        digest.i64(self.spec.kind.limit_price().map_or(i64::MIN, |price| price.0));
        digest.i64(self.filled.0);
        digest.i128(self.filled_tick_lots);
    }

    fn apply_fill(&mut self, fill: &Fill) -> Result<Change, ReportRefusal> {
        if fill.qty.0 <= 0 {
            return Err(ReportRefusal::Malformed);
        }
        let filled = self.filled.0.checked_add(fill.qty.0).ok_or(ReportRefusal::Overfill)?;
        if filled > self.qty_max.0 {
            return Err(ReportRefusal::Overfill);
        }
        self.filled = Quantity(filled);
        self.filled_tick_lots += i128::from(fill.price.0) * i128::from(fill.qty.0);
        if filled > self.spec.qty.0 {
            // The venue works the larger quantity of a replace whose report is late or got lost.
            self.spec.qty = Quantity(filled);
        }
        match self.state {
            // Without the report of a pending replace, only the old quantity is known to be done.
            OrderState::PendingNew | OrderState::Open | OrderState::Unknown => {
                self.state = OrderState::Open;
                if filled >= self.largest_qty().0 {
                    self.end(OrderState::Filled);
                }
            }
            // The fill happened before the end that overtook it.
            OrderState::Canceled | OrderState::Expired | OrderState::Rejected => {
                if filled == self.spec.qty.0 {
                    self.state = OrderState::Filled;
                }
            }
            OrderState::Filled => {}
        }
        Ok(Change::Filled(*fill))
    }

    fn apply_replaced(&mut self, price: Price, qty: Quantity) -> Result<Change, ReportRefusal> {
        // Only the answer to the request in flight is news: an older one that comes twice would
        // take the order back to what it no longer is.
        if self.pending.replace != Some(Replacement { price, qty }) {
            return Err(ReportRefusal::Stale);
        }
        self.pending.replace = None;
        self.acknowledged = true;
        self.state = OrderState::Open;
        self.spec.kind = self.spec.kind.with_limit_price(price);
        // Fills that overtook the replace cannot be taken back by it.
        self.spec.qty = Quantity(qty.0.max(self.filled.0));
        if self.filled.0 >= self.spec.qty.0 {
            self.end(OrderState::Filled);
        }
        Ok(Change::Replaced)
    }

    const fn largest_qty(&self) -> Quantity {
        match self.pending.replace {
            Some(Replacement { qty, .. }) if qty.0 > self.spec.qty.0 => qty,
            Some(_) | None => self.spec.qty,
        }
    }

    const fn end(&mut self, state: OrderState) {
        self.state = state;
        self.pending = Pending { cancel: false, replace: None };
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::ids::{AssetId, InstrumentId};
    use crate::num::Side;
    use crate::order::Role;

    fn order(qty: i64) -> Order {
        let spec = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(100), Quantity(qty));
        Order::new(ClientOrderId(1), AccountId(0), StrategyId(0), spec, Nanos(0), Price(100))
    }

    fn fill(qty: i64) -> ReportKind {
        ReportKind::Fill(Fill {
            trade_id: 0,
            price: Price(100),
            qty: Quantity(qty),
            role: Role::Maker,
            fee: Decimal::ZERO,
            fee_asset: AssetId(1),
        })
    }

    const ACCEPTED: ReportKind = ReportKind::Accepted { venue_order_id: 9 };

    #[test]
    fn a_fill_before_the_acknowledgement_opens_the_order() {
        let mut order = order(5);
        order.apply(&fill(2)).unwrap();
        assert_eq!(order.state, OrderState::Open);
        assert_eq!(order.apply(&ACCEPTED), Ok(Change::Accepted));
        assert_eq!(order.apply(&ACCEPTED), Err(ReportRefusal::Stale));
        order.apply(&fill(3)).unwrap();
        assert_eq!(order.state, OrderState::Filled);
    }

    #[test]
    fn an_ended_order_never_works_again_but_late_fills_count() {
        let mut order = order(5);
        order.apply(&ReportKind::Canceled).unwrap();
        assert_eq!(order.apply(&ACCEPTED), Err(ReportRefusal::AfterEnd));
        order.apply(&fill(2)).unwrap();
        assert_eq!((order.state, order.filled), (OrderState::Canceled, Quantity(2)));
        order.apply(&fill(3)).unwrap();
        assert_eq!(order.state, OrderState::Filled);
        assert_eq!(order.apply(&fill(1)), Err(ReportRefusal::Overfill));
    }

    #[test]
    fn fills_of_a_larger_replace_may_overtake_its_report() {
        let mut order = order(5);
        order.apply(&ACCEPTED).unwrap();
        order.replace_sent(Replacement { price: Price(101), qty: Quantity(8) });
        assert_eq!(order.exposed_qty(), Quantity(8));
        order.apply(&fill(7)).unwrap();
        assert_eq!(order.state, OrderState::Open);
        order.apply(&ReportKind::Replaced { price: Price(101), qty: Quantity(8) }).unwrap();
        assert_eq!(order.leaves(), Quantity(1));
    }

    #[test]
    fn a_replace_below_what_is_filled_ends_the_order() {
        let mut order = order(5);
        order.apply(&ACCEPTED).unwrap();
        order.replace_sent(Replacement { price: Price(99), qty: Quantity(2) });
        order.apply(&fill(3)).unwrap();
        order.apply(&ReportKind::Replaced { price: Price(99), qty: Quantity(2) }).unwrap();
        assert_eq!((order.state, order.spec.qty), (OrderState::Filled, Quantity(3)));
    }

    /// A venue fills an order whole and then refuses to enlarge it: nothing else is said about it,
    /// so an order that stayed open here would stay for ever, with nothing left to fill.
    #[test]
    fn a_refused_enlargement_ends_an_order_that_is_filled_whole() {
        let mut order = order(5);
        order.apply(&ACCEPTED).unwrap();
        order.replace_sent(Replacement { price: Price(101), qty: Quantity(8) });
        order.apply(&fill(5)).unwrap();
        assert_eq!(order.state, OrderState::Open);
        order.apply(&ReportKind::ReplaceRejected(RejectReason::UnknownOrder)).unwrap();
        assert_eq!(order.state, OrderState::Filled);
    }

    #[test]
    fn an_old_answer_that_comes_twice_changes_nothing() {
        let mut order = order(5);
        order.apply(&ACCEPTED).unwrap();
        let replaced = ReportKind::Replaced { price: Price(99), qty: Quantity(4) };
        order.replace_sent(Replacement { price: Price(99), qty: Quantity(4) });
        order.apply(&replaced).unwrap();
        order.replace_sent(Replacement { price: Price(98), qty: Quantity(3) });
        assert_eq!(order.apply(&replaced), Err(ReportRefusal::Stale));
        assert_eq!(
            order.apply(&ReportKind::ReplaceRejected(RejectReason::Other)),
            Ok(Change::ReplaceRejected(RejectReason::Other))
        );
        assert_eq!(order.spec.qty, Quantity(4));
    }
}
