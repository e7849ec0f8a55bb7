//! The venue's own books: fills, fees, positions, and the reports on their way to us.

use std::collections::VecDeque;

use tercel_core::{
    AccountId, ClientOrderId, ExecutionReport, Fill, Instrument, InstrumentId, Nanos, Price,
    Quantity, RejectReason, ReportKind, Role, Side,
};

use crate::fees::{FeeModel, Turnover};
use crate::latency::{LatencyModel, Line};
use crate::venue::working::Working;

/// Whom a report is about and how it travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) id: ClientOrderId,
    pub(crate) account: AccountId,
    pub(crate) instrument: InstrumentId,
    /// Whether it knows no latency, as orders on bars do.
    pub(crate) is_instant: bool,
}

/// Accounts and outbox, shared by all instruments.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    /// The venue's time: no report arrives before it.
    pub(crate) clock: Nanos,
    fees: FeeModel,
    latency: LatencyModel,
    line: Line,
    accounts: Vec<Account>,
    /// Reports in the order in which they reach us.
    outbox: VecDeque<ExecutionReport>,
    n_trades: u64,
    n_orders: u64,
    n_instruments: usize,
}

#[derive(Clone, Debug)]
struct Account {
    positions: Vec<Quantity>,
    turnover: Turnover,
}

impl Desk {
    pub(crate) fn new(n_instruments: usize, fees: FeeModel, latency: LatencyModel) -> Self {
        Self {
            clock: Nanos(i64::MIN),
            fees,
            latency,
            line: Line::new(),
            accounts: Vec::new(),
            outbox: VecDeque::with_capacity(64),
            n_trades: 0,
            n_orders: 0,
            n_instruments,
        }
    }

    /// Returns when the next report reaches us.
    pub(crate) fn next_report_at(&self) -> Option<Nanos> {
        self.outbox.front().map(|report| report.received_at)
    }

    /// Takes the next report if it has reached us.
    pub(crate) fn take_report(&mut self, now: Nanos) -> Option<ExecutionReport> {
        self.outbox.pop_front_if(|report| report.received_at <= now)
    }

    pub(crate) fn position(&self, account: AccountId, instrument: InstrumentId) -> Quantity {
        self.accounts
            .get(account.index())
            .map_or(Quantity::ZERO, |account| account.positions[instrument.index()])
    }

    pub(crate) fn set_position(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        qty: Quantity,
    ) {
        self.account(account).positions[instrument.index()] = qty;
    }

    /// Returns how much an order of `side` could shrink the account's position by.
    pub(crate) fn reducible(&self, ticket: &Ticket, side: Side) -> Quantity {
        let position = self.position(ticket.account, ticket.instrument);
        Quantity((-position.0 * side.sign()).max(0))
    }

    /// Returns what an order may trade now: what is left of it, cut to the position if it may
    /// only reduce.
    pub(crate) fn tradable(&self, order: &Working) -> Quantity {
        if order.spec.reduce_only {
            order.leaves().min(self.reducible(&order.ticket, order.spec.side))
        } else {
            order.leaves()
        }
    }

    pub(crate) fn accept(&mut self, ticket: &Ticket, at: Nanos) {
        self.n_orders += 1;
        self.report(ticket, at, ReportKind::Accepted { venue_order_id: self.n_orders });
    }

    pub(crate) fn reject(&mut self, ticket: &Ticket, at: Nanos, reason: RejectReason) {
        self.report(ticket, at, ReportKind::Rejected(reason));
    }

    /// Ends an order with a report.
    pub(crate) fn end(&mut self, order: &mut Working, at: Nanos, kind: ReportKind) {
        order.has_ended = true;
        self.report(&order.ticket, at, kind);
    }

    /// Fills part of an order, which ends if nothing is left of it.
    pub(crate) fn fill(
        &mut self,
        instrument: &Instrument,
        order: &mut Working,
        at: Nanos,
        price: Price,
        qty: Quantity,
        role: Role,
    ) {
        debug_assert!(qty.0 > 0 && qty <= order.leaves(), "no more than is left is filled");
        order.filled += qty;
        order.has_ended = order.leaves().is_zero();
        let account = self.account(order.ticket.account);
        let turnover = account.turnover.as_of(at);
        if let Some(notional) = instrument.notional(price, qty) {
            account.turnover.add(at, notional.abs());
        }
        account.positions[instrument.id.index()].0 += qty.0 * order.spec.side.sign();
        let fee = self.fees.fee(instrument, role, price, qty, turnover);
        self.n_trades += 1;
        let fee_asset = instrument.settlement_asset();
        let fill = Fill { trade_id: self.n_trades, price, qty, role, fee, fee_asset };
        self.report(&order.ticket, at, ReportKind::Fill(fill));
    }

    pub(crate) fn report(&mut self, ticket: &Ticket, venue_at: Nanos, kind: ReportKind) {
        let received_at = if ticket.is_instant {
            venue_at.max(self.clock)
        } else {
            self.line.arrival(venue_at, self.latency.answer_ns(venue_at))
        };
        let report = ExecutionReport {
            order: ticket.id,
            account: ticket.account,
            instrument: ticket.instrument,
            venue_at,
            received_at,
            kind,
        };
        // Almost always the last: only fills inside bars of several instruments interleave.
        let place = self.outbox.iter().rev().take_while(|r| r.received_at > received_at).count();
        self.outbox.insert(self.outbox.len() - place, report);
    }

    fn account(&mut self, id: AccountId) -> &mut Account {
        let n_instruments = self.n_instruments;
        if self.accounts.len() <= id.index() {
            self.accounts.resize_with(id.index() + 1, || Account {
                positions: vec![Quantity::ZERO; n_instruments],
                turnover: Turnover::new(),
            });
        }
        &mut self.accounts[id.index()]
    }
}
