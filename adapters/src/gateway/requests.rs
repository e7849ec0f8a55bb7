//! What the engine asks for.

use tercel_core::{
    ClientOrderId, Nanos, OrderRequest, OrderSpec, Price, Quantity, RejectReason, ReportKind,
};

use super::order::{Change, Stage, Tracked, Withdrawal};
use super::{FillQuery, Gateway, GatewayOut, Purpose, ReplaceStyle};
use crate::protocol::Request;

impl Gateway {
    /// Takes a request of the engine.
    pub fn send(&mut self, request: &OrderRequest, now: Nanos, out: &mut GatewayOut) {
        match *request {
            OrderRequest::New { id, spec, .. } => self.place(id, spec, now, out),
            OrderRequest::Replace { id, instrument, price, qty, .. } => {
                if let Err(reason) = self.change(id, price, qty, now, out) {
                    let kind = ReportKind::ReplaceRejected(reason);
                    self.report(id, instrument, (now, now), kind, out);
                }
            }
            OrderRequest::Cancel { id, instrument, .. } => {
                if self.orders.contains_key(&id) {
                    self.cancel(id, now, out);
                } else {
                    let kind = ReportKind::CancelRejected(RejectReason::UnknownOrder);
                    self.report(id, instrument, (now, now), kind, out);
                }
            }
        }
    }

    fn place(&mut self, id: ClientOrderId, spec: OrderSpec, now: Nanos, out: &mut GatewayOut) {
        if !self.is_online {
            // Without the account's stream its fate could not be followed.
            let kind = ReportKind::Rejected(RejectReason::Other);
            self.report(id, spec.instrument, (now, now), kind, out);
            return;
        }
        let mut own = Tracked::new(id, spec, now);
        let request = Request::Place { key: own.key, spec };
        own.placing = Some(self.request(Purpose::Place(id), request, now, out));
        self.fill_queries
            .entry(spec.instrument)
            .or_insert_with(|| FillQuery::new(now.plus(-self.options.fill_overlap_ns)));
        self.orders.insert(id, own);
    }

    pub(super) fn cancel(&mut self, id: ClientOrderId, now: Nanos, out: &mut GatewayOut) {
        let Some(own) = self.orders.get_mut(&id) else { return };
        let is_changing = own.change.is_some();
        own.cancel = Some(Withdrawal { request: None, sent_at: now });
        // A change under way ends first: which form is to be withdrawn is not known before.
        if self.is_online && !is_changing {
            self.send_cancel(id, now, out);
        }
    }

    /// Sends the request for a wish to withdraw that has none under way.
    pub(super) fn send_cancel(&mut self, id: ClientOrderId, now: Nanos, out: &mut GatewayOut) {
        let Some(own) = self.orders.get(&id) else { return };
        let is_wanted = own.cancel.is_some_and(|cancel| cancel.request.is_none());
        if !is_wanted || own.end.is_some() || own.change.is_some() {
            return;
        }
        let request = cancel_request(own);
        let request = self.request(Purpose::Cancel(id), request, now, out);
        if let Some(own) = self.orders.get_mut(&id) {
            own.cancel = Some(Withdrawal { request: Some(request), sent_at: now });
        }
    }

    fn change(
        &mut self,
        id: ClientOrderId,
        price: Price,
        qty: Quantity,
        now: Nanos,
        out: &mut GatewayOut,
    ) -> Result<(), RejectReason> {
        let own = self.orders.get(&id).ok_or(RejectReason::UnknownOrder)?;
        let is_settled = own.placing.is_none()
            && own.doubt.is_none()
            && own.cancel.is_none()
            && own.change.is_none()
            && own.end.is_none();
        if !is_settled || !self.is_online {
            return Err(RejectReason::Other);
        }
        if own.adopted.is_some() && self.options.replace != ReplaceStyle::Amend {
            // A new form of it would bear our name: it would be another order than the adopted one.
            return Err(RejectReason::Other);
        }
        let leaves = qty.0 - own.filled_before.0 - own.filled.0;
        let is_unfilled = own.filled.is_zero() && own.filled_at_venue.is_zero();
        let stage = match self.options.replace {
            ReplaceStyle::Amend => {
                let request = Request::Amend {
                    key: own.key,
                    venue_order_id: own.venue_order_id,
                    spec: own.form(),
                    price,
                    qty: Quantity(qty.0 - own.filled_before.0),
                };
                Stage::Amending(self.request(Purpose::Amend(id), request, now, out))
            }
            _ if leaves <= 0 => return Err(RejectReason::Filter),
            ReplaceStyle::CancelReplace if is_unfilled && !own.is_waiting => {
                let spec = OrderSpec {
                    kind: own.spec.kind.with_limit_price(price),
                    qty: Quantity(leaves),
                    ..own.spec
                };
                let request = Request::CancelReplace {
                    key: own.key,
                    new_key: own.key.next(),
                    spec,
                    only_unfilled: true,
                };
                Stage::Swapping(self.request(Purpose::Swap(id), request, now, out))
            }
            ReplaceStyle::CancelReplace | ReplaceStyle::CancelThenPlace => {
                let request = cancel_request(own);
                Stage::Withdrawing(self.request(Purpose::Withdraw(id), request, now, out))
            }
        };
        if let Some(own) = self.orders.get_mut(&id) {
            own.change = Some(Change { price, qty, stage, sent_at: now });
        }
        Ok(())
    }
}

const fn cancel_request(own: &Tracked) -> Request {
    Request::Cancel {
        key: own.key,
        venue_order_id: own.venue_order_id,
        instrument: own.spec.instrument,
    }
}
