//! What became of each order.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, ClientOrderId, Effect, Engine, ExecutionReport, Fill, Instrument, Nanos, Notional,
    OrderKind, OrderRequest, OrderSpec, Price, Quantity, RejectReason, ReportKind, Seq, StrategyId,
    TimeInForce,
};

use super::fit::{AnswerTime, RequestTime};
use crate::observer::Observer;

/// An order from its request to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trail {
    /// Its number.
    pub id: ClientOrderId,
    /// Who placed it.
    pub strategy: StrategyId,
    /// For whom.
    pub account: AccountId,
    /// What was asked for at first.
    pub spec: OrderSpec,
    /// The engine's time when it was sent.
    pub sent_at: Nanos,
    /// The price to judge it by when it was sent ([`tercel_core::Market::reference`]).
    pub middle: Option<Price>,
    /// The first that was heard of it.
    pub answer: Option<Answer>,
    /// How it ended, or stands.
    pub fate: Fate,
    /// The quantity that it is for now, after replacements.
    pub qty: Quantity,
    /// What was filled of it.
    pub filled: Quantity,
    /// In how many fills.
    pub n_fills: u32,
    /// The venue's time of the first fill.
    pub first_fill_at: Option<Nanos>,
    /// The venue's time of the last fill.
    pub last_fill_at: Option<Nanos>,
    /// Sum of the fills' prices times quantities, in ticks times lots.
    pub ticks: i128,
    /// Sum of the fills' values, in the settlement asset.
    pub value: Notional,
    /// Fees, in the settlement asset.
    pub fees: Notional,
}

/// The first report of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The venue's time.
    pub venue_at: Nanos,
    /// When it reached us.
    pub received_at: Nanos,
}

/// How an order ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// It has not ended.
    Open,
    /// All of it was filled.
    Filled,
    /// It was withdrawn, by us or by the venue.
    Canceled,
    /// The venue refused it.
    Rejected,
    /// Its time ran out.
    Expired,
}

impl Fate {
    /// Returns its name: `open`, `filled`, `canceled`, `rejected` or `expired`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

impl Trail {
    /// Returns the time from its request to the first that was heard of it, in nanoseconds.
    #[must_use]
    pub fn answered_after_ns(&self) -> Option<i64> {
        self.answer.map(|answer| answer.received_at.since(self.sent_at))
    }

    /// Returns whether another order, maybe of another number, went the same way: the same request at
    /// the same time, the same answers, fills and fees at the same times.
    #[must_use]
    pub fn went_like(&self, other: &Self) -> bool {
        *self == Self { id: self.id, middle: self.middle, ..other.clone() }
    }

    /// Returns its fills' average price in ticks; `None` without fills.
    #[must_use]
    pub fn average_ticks(&self) -> Option<Decimal> {
        // Average first in whole ticks, so that the rest of it fits a decimal.
        let filled = i128::from(self.filled.0);
        (filled > 0).then_some(())?;
        let whole = i64::try_from(self.ticks.div_euclid(filled)).ok()?;
        let rest = i64::try_from(self.ticks.rem_euclid(filled)).ok()?;
        Some(Decimal::from(whole) + Decimal::from(rest) / Decimal::from(self.filled.0))
    }

    /// Returns what its fills cost against the middle of the book when it was sent, in the
    /// settlement asset: positive is worse than the middle. `None` without fills or a middle.
    #[must_use]
    pub fn slippage(&self, instrument: &Instrument) -> Option<Notional> {
        if self.filled.is_zero() {
            return None;
        }
        let middle = instrument.settlement_units(self.middle?, self.filled)?;
        let gain = super::shares::gain(instrument, self.spec.side, self.value, middle);
        Some(-gain)
    }
}

/// Gathers the trails of a run's orders and the times that their messages took.
#[derive(Clone, Debug)]
pub struct Trails {
    instruments: Vec<Instrument>,
    orders: Vec<Trail>,
    index: BTreeMap<ClientOrderId, usize>,
    /// Requests that were not answered yet, and when they were sent.
    waiting: BTreeMap<(ClientOrderId, Asked), Nanos>,
    requests: Vec<RequestTime>,
    answers: Vec<AnswerTime>,
    n_foreign_fees: u64,
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Asked {
    New,
    Replace,
    Cancel,
}

impl Trails {
    /// Returns an empty list for orders in these instruments, each at the index of its id.
    #[must_use]
    pub const fn new(instruments: Vec<Instrument>) -> Self {
        Self {
            instruments,
            orders: Vec::new(),
            index: BTreeMap::new(),
            waiting: BTreeMap::new(),
            requests: Vec::new(),
            answers: Vec::new(),
            n_foreign_fees: 0,
        }
    }

    /// Returns all orders in the order in which they were sent.
    #[must_use]
    pub fn orders(&self) -> &[Trail] {
        &self.orders
    }

    /// Returns whether an order was sent here.
    #[must_use]
    pub fn has(&self, id: ClientOrderId) -> bool {
        self.index.contains_key(&id)
    }

    /// Returns how long requests took.
    #[must_use]
    pub fn requests(&self) -> &[RequestTime] {
        &self.requests
    }

    /// Returns how long reports took.
    #[must_use]
    pub fn answers(&self) -> &[AnswerTime] {
        &self.answers
    }

    /// Returns how many fills had fees in an asset whose worth is not known here: they are not in
    /// any sum.
    #[must_use]
    pub const fn n_foreign_fees(&self) -> u64 {
        self.n_foreign_fees
    }

    /// Says what the middle of the book was when the nth order was sent.
    ///
    /// # Panics
    ///
    /// If there are not so many orders.
    pub fn set_middle(&mut self, nth: usize, middle: Option<Price>) {
        self.orders[nth].middle = middle;
    }

    /// Takes note of a request that was sent at `now`.
    pub fn sent(&mut self, now: Nanos, request: &OrderRequest, middle: Option<Price>) {
        let asked = match *request {
            OrderRequest::New { id, account, strategy, spec } => {
                self.index.insert(id, self.orders.len());
                self.orders.push(Trail {
                    id,
                    strategy,
                    account,
                    spec,
                    sent_at: now,
                    middle,
                    answer: None,
                    fate: Fate::Open,
                    qty: spec.qty,
                    filled: Quantity::ZERO,
                    n_fills: 0,
                    first_fill_at: None,
                    last_fill_at: None,
                    ticks: 0,
                    value: Notional::ZERO,
                    fees: Notional::ZERO,
                });
                Asked::New
            }
            OrderRequest::Replace { .. } => Asked::Replace,
            OrderRequest::Cancel { .. } => Asked::Cancel,
        };
        if self.has(request.id()) {
            self.waiting.insert((request.id(), asked), now);
        }
    }

    /// Takes note of a report that the engine believed. Those of orders that were not sent here are
    /// none of ours.
    pub fn report(&mut self, report: &ExecutionReport) {
        let Some(&idx) = self.index.get(&report.order) else { return };
        let (venue_at, received_at) = (report.venue_at, report.received_at);
        if self.is_own_word(report) {
            self.waiting.remove(&(report.order, Asked::New));
        } else {
            self.take_times(report, idx);
        }
        let order = &mut self.orders[idx];
        order.answer.get_or_insert(Answer { venue_at, received_at });
        match &report.kind {
            ReportKind::Fill(fill) => self.fill(idx, venue_at, fill),
            ReportKind::Canceled => order.fate = Fate::Canceled,
            ReportKind::Rejected(_) => order.fate = Fate::Rejected,
            ReportKind::Expired => order.fate = Fate::Expired,
            ReportKind::Replaced { qty, .. } => {
                order.qty = *qty;
                if order.filled >= *qty {
                    order.fate = Fate::Filled;
                }
            }
            ReportKind::Accepted { .. }
            | ReportKind::CancelRejected(_)
            | ReportKind::ReplaceRejected(_)
            | ReportKind::Triggered
            | ReportKind::Unknown => {}
        }
    }

    /// Whether a report never travelled: a request that was not sent is refused on the spot, and
    /// an unknown outcome is nobody's word.
    fn is_own_word(&self, report: &ExecutionReport) -> bool {
        match report.kind {
            ReportKind::Unknown => true,
            ReportKind::Rejected(reason) => {
                let sent_at = self.waiting.get(&(report.order, Asked::New));
                reason == RejectReason::Other && sent_at == Some(&report.received_at)
            }
            _ => false,
        }
    }

    fn take_times(&mut self, report: &ExecutionReport, idx: usize) {
        let spec = &self.orders[idx].spec;
        // What does not rest is withdrawn by the venue itself.
        let rests = spec.kind != OrderKind::Market
            && matches!(spec.tif, TimeInForce::Gtc | TimeInForce::Gtd(_));
        let asked = match report.kind {
            ReportKind::Accepted { .. } | ReportKind::Rejected(_) => Some(Asked::New),
            ReportKind::Replaced { .. } | ReportKind::ReplaceRejected(_) => Some(Asked::Replace),
            ReportKind::Canceled if rests => Some(Asked::Cancel),
            ReportKind::CancelRejected(_) => Some(Asked::Cancel),
            _ => None,
        };
        let (venue_at, received_at, instrument) =
            (report.venue_at, report.received_at, report.instrument);
        let sent_at = asked.and_then(|asked| self.waiting.remove(&(report.order, asked)));
        if let Some(sent_at) = sent_at {
            self.requests.push(RequestTime { instrument, sent_at, venue_at, received_at });
        }
        self.answers.push(AnswerTime { instrument, venue_at, received_at });
    }

    fn fill(&mut self, idx: usize, at: Nanos, fill: &Fill) {
        let order = &mut self.orders[idx];
        let instrument = &self.instruments[order.spec.instrument.index()];
        order.filled += fill.qty;
        order.n_fills += 1;
        order.first_fill_at = Some(order.first_fill_at.map_or(at, |first| first.min(at)));
        order.last_fill_at = Some(order.last_fill_at.map_or(at, |last| last.max(at)));
        order.ticks += i128::from(fill.price.0) * i128::from(fill.qty.0);
        // A value out of range is one that the engine did not book either.
        order.value += instrument.settlement_units(fill.price, fill.qty).unwrap_or_default();
        if order.filled >= order.qty {
            order.fate = Fate::Filled;
        }
        let fee = Notional::from_decimal(fill.fee).unwrap_or_default();
        if fill.fee_asset == instrument.settlement_asset() {
            order.fees += fee;
        } else if fill.fee_asset == instrument.spec.base {
            order.fees += instrument.value_of_base(fee, fill.price).unwrap_or_default();
        } else if fee != Notional::ZERO {
            self.n_foreign_fees += 1;
        }
    }
}

impl Observer for Trails {
    fn on_effects(&mut self, _seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        for effect in effects {
            if let Effect::Send(request) = effect {
                let middle = match **request {
                    OrderRequest::New { spec, .. } => {
                        engine.state().markets[spec.instrument.index()].reference()
                    }
                    OrderRequest::Replace { .. } | OrderRequest::Cancel { .. } => None,
                };
                self.sent(now, request, middle);
            }
        }
    }

    fn on_report(&mut self, _now: Nanos, report: &ExecutionReport, _engine: &Engine) {
        self.report(report);
    }

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}
