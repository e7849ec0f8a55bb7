//! A venue that keeps honest books and tells of them badly: late, twice, out of order, or never.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AssetId, ClientOrderId, ExecutionReport, Fill, InstrumentId, Nanos, OrderKind,
    OrderRequest, Price, Quantity, RejectReason, ReportKind, Role, Side,
};

use crate::random::Random;

/// How badly it tells, in percent of the reports.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Never delivered.
    pub lost: u64,
    /// Delivered twice (or more).
    pub duplicated: u64,
    /// Delivered before an older one.
    pub reordered: u64,
}

/// The venue.
#[derive(Debug)]
pub struct UnreliableVenue {
    random: Random,
    faults: Faults,
    orders: BTreeMap<ClientOrderId, Truth>,
    outbox: Vec<ExecutionReport>,
    n_trades: u64,
    /// How often each fault has happened: lost, duplicated, reordered.
    pub fired: [u64; 3],
}

/// What is true of an order at the venue.
#[derive(Clone, Copy, Debug)]
struct Truth {
    account: AccountId,
    instrument: InstrumentId,
    side: Side,
    price: Price,
    qty: Quantity,
    filled: Quantity,
    works: bool,
}

impl UnreliableVenue {
    /// Returns a venue without orders.
    #[must_use]
    pub const fn new(seed: u64, faults: Faults) -> Self {
        Self {
            random: Random::new(seed),
            faults,
            orders: BTreeMap::new(),
            outbox: Vec::new(),
            n_trades: 0,
            fired: [0; 3],
        }
    }

    /// Takes a request; what it answers waits in the outbox.
    pub fn send(&mut self, request: &OrderRequest, now: Nanos) {
        match *request {
            OrderRequest::New { id, account, spec, .. } => {
                let price = match spec.kind {
                    OrderKind::Limit { price } | OrderKind::StopLimit { price, .. } => price,
                    OrderKind::Stop { trigger } => trigger,
                    OrderKind::Market => Price(100),
                };
                let works = self.random.chance(92);
                let truth = Truth {
                    account,
                    instrument: spec.instrument,
                    side: spec.side,
                    price,
                    qty: spec.qty,
                    filled: Quantity(0),
                    works,
                };
                self.orders.insert(id, truth);
                let venue_order_id = id.counter();
                self.answer(
                    id,
                    now,
                    if works {
                        ReportKind::Accepted { venue_order_id }
                    } else {
                        ReportKind::Rejected(RejectReason::Other)
                    },
                );
            }
            OrderRequest::Cancel { id, .. } => {
                let works = self.orders.get(&id).is_some_and(|truth| truth.works);
                if works && self.random.chance(85) {
                    self.update(id, |truth| truth.works = false);
                    self.answer(id, now, ReportKind::Canceled);
                } else {
                    self.answer(id, now, ReportKind::CancelRejected(RejectReason::UnknownOrder));
                }
            }
            OrderRequest::Replace { id, price, qty, .. } => {
                let fits = self.orders.get(&id).is_some_and(|t| t.works && qty > t.filled);
                if fits && self.random.chance(80) {
                    self.update(id, |truth| {
                        truth.price = price;
                        truth.qty = qty;
                    });
                    self.answer(id, now, ReportKind::Replaced { price, qty });
                } else {
                    self.answer(id, now, ReportKind::ReplaceRejected(RejectReason::Other));
                }
            }
        }
    }

    /// Lets a working order trade, if there is one; sometimes lets one expire.
    pub fn trade(&mut self, now: Nanos) {
        let working: Vec<_> =
            self.orders.iter().filter(|(_, truth)| truth.works).map(|(id, _)| *id).collect();
        if working.is_empty() {
            return;
        }
        let idx = self.random.index(working.len());
        let id = working[idx];
        let truth = self.orders[&id];
        if self.random.chance(5) {
            self.update(id, |truth| truth.works = false);
            self.answer(id, now, ReportKind::Expired);
            return;
        }
        let qty = Quantity(self.random.between(1, truth.qty.0 - truth.filled.0));
        self.n_trades += 1;
        let fill = Fill {
            trade_id: self.n_trades,
            price: truth.price,
            qty,
            role: Role::Maker,
            fee: Decimal::new(self.random.between(-5, 50), 3),
            fee_asset: AssetId(1),
        };
        self.update(id, |truth| {
            truth.filled += qty;
            truth.works = truth.filled < truth.qty;
        });
        self.answer(id, now, ReportKind::Fill(fill));
    }

    /// Returns the next report to deliver, faults applied; `None` if the outbox is empty.
    pub fn deliver(&mut self) -> Option<ExecutionReport> {
        if self.outbox.is_empty() {
            return None;
        }
        let mut at = 0;
        if self.outbox.len() > 1 && self.random.chance(self.faults.reordered) {
            at = self.random.index(self.outbox.len());
            self.fired[2] += u64::from(at > 0);
        }
        if self.random.chance(self.faults.lost) {
            self.fired[0] += 1;
            self.outbox.remove(at);
            return self.deliver();
        }
        if self.random.chance(self.faults.duplicated) {
            self.fired[1] += 1;
            return Some(self.outbox[at]);
        }
        Some(self.outbox.remove(at))
    }

    /// Returns the reports that are still to be delivered; some were before, if they are doubled.
    #[must_use]
    pub fn waiting(&self) -> &[ExecutionReport] {
        &self.outbox
    }

    /// Returns the true position of an account: the sum of all fills, delivered or not.
    #[must_use]
    pub fn position(&self, account: AccountId, instrument: InstrumentId) -> i64 {
        self.of(account, instrument).map(|truth| truth.filled.0 * truth.side.sign()).sum()
    }

    /// Returns what working orders of a side could still trade.
    #[must_use]
    pub fn open_qty(&self, account: AccountId, instrument: InstrumentId, side: Side) -> i64 {
        self.of(account, instrument)
            .filter(|truth| truth.works && truth.side == side)
            .map(|truth| truth.qty.0 - truth.filled.0)
            .sum()
    }

    fn of(&self, account: AccountId, instrument: InstrumentId) -> impl Iterator<Item = &Truth> {
        self.orders
            .values()
            .filter(move |truth| truth.account == account && truth.instrument == instrument)
    }

    fn update(&mut self, id: ClientOrderId, change: impl FnOnce(&mut Truth)) {
        if let Some(truth) = self.orders.get_mut(&id) {
            change(truth);
        }
    }

    fn answer(&mut self, id: ClientOrderId, now: Nanos, kind: ReportKind) {
        let (account, instrument) = self
            .orders
            .get(&id)
            .map_or((AccountId(0), InstrumentId(0)), |truth| (truth.account, truth.instrument));
        self.outbox.push(ExecutionReport {
            order: id,
            account,
            instrument,
            venue_at: now,
            received_at: now,
            kind,
        });
    }
}
