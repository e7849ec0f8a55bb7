//! From records to rows: orders and positions followed as the engine follows them.

use std::collections::{BTreeMap, VecDeque};

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AccountItem, AccountUpdate, Adoption, ClientOrderId, Event, ExecutionReport, Fill,
    InstrumentId, Nanos, Notice, Order, OrderImage, OrderKind, OrderRequest, Position, Price,
    Replacement, ReportKind, ReportRefusal, Seq, StaleCause, StateCause, StrategyId, TimeInForce,
};

use super::ExportError;
use super::files::{Cell, Files};
use super::names::Names;
use super::tables::Table;
use crate::journal::{Entry, Record, RecordedEffect};
use crate::state;

/// Ended orders that are kept for late fills.
const N_ENDED: usize = 10_000;

/// What is known up to a record.
pub(super) struct Ledger {
    names: Names,
    orders: BTreeMap<ClientOrderId, Followed>,
    /// Ended ones, longest ended first.
    ended: VecDeque<ClientOrderId>,
    positions: BTreeMap<(StrategyId, InstrumentId), Position>,
    now: Nanos,
    seq: Seq,
}

struct Followed {
    order: Order,
    ended_at: Option<Nanos>,
    reason: &'static str,
    /// Whether this run had anything to do with it: worked it, or heard of it.
    concerns: bool,
}

impl Ledger {
    pub(super) const fn new(names: Names) -> Self {
        Self {
            names,
            orders: BTreeMap::new(),
            ended: VecDeque::new(),
            positions: BTreeMap::new(),
            now: Nanos(0),
            seq: Seq(0),
        }
    }

    pub(super) fn take(&mut self, record: &Record, files: &mut Files) -> Result<(), ExportError> {
        match record {
            Record::RunStarted { at, .. } => self.now = *at,
            Record::Entry(entry) => self.entry(entry, files)?,
            Record::Snapshot { seq, bytes, .. } => {
                // A state in another encoding is none of ours to tell of.
                if let Ok(state) = state::decode(bytes) {
                    self.snapshot(*seq, &state, files)?;
                }
            }
            Record::Sent(_)
            | Record::ScriptLoaded { .. }
            | Record::Params { .. }
            | Record::Limits { .. }
            | Record::IdLease { .. }
            | Record::Gap { .. }
            | Record::RunEnded { .. } => {}
        }
        Ok(())
    }

    /// Writes what still works.
    pub(super) fn finish(mut self, files: &mut Files) -> Result<(), ExportError> {
        while let Some(id) = self.ended.pop_front() {
            self.order_row(id, files)?;
        }
        while let Some((&id, _)) = self.orders.first_key_value() {
            self.order_row(id, files)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, files: &mut Files) -> Result<(), ExportError> {
        (self.seq, self.now) = (entry.seq, entry.now);
        if let Some(Event::Execution(report)) = &entry.event {
            // The engine said so if it did not believe the report, first of all that it said.
            let is_refused = entry.effects.iter().any(|effect| {
                matches!(effect, RecordedEffect::Notice(Notice::ReportRefused { order, .. })
                    if *order == report.order)
            });
            if !is_refused {
                self.report(report, files)?;
            }
        }
        if let Some(Event::Account(AccountUpdate {
            account,
            item: AccountItem::Order(adoption),
            ..
        })) = &entry.event
        {
            self.adopted(*account, adoption);
        }
        for effect in &entry.effects {
            match effect {
                RecordedEffect::Send(request) => self.sent(request),
                RecordedEffect::Notice(notice) => {
                    self.taken(notice, files)?;
                    self.notice(notice, files)?;
                }
                RecordedEffect::Resync(_)
                | RecordedEffect::Remember { .. }
                | RecordedEffect::SetTimer { .. }
                | RecordedEffect::CancelTimer { .. } => {}
            }
        }
        Ok(())
    }

    fn adopted(&mut self, account: AccountId, adoption: &Adoption) {
        match self.orders.get_mut(&adoption.order) {
            Some(followed) => followed.order.spec = adoption.spec,
            None => {
                let order = adoption.order_of(account, Price(0));
                let followed = Followed { order, ended_at: None, reason: "", concerns: true };
                self.orders.insert(adoption.order, followed);
            }
        }
    }

    fn sent(&mut self, request: &OrderRequest) {
        match *request {
            OrderRequest::New { id, account, strategy, spec } => {
                // What risk valued it at is not recorded, and no column tells it.
                let order = Order::new(id, account, strategy, spec, self.now, Price(0));
                let followed = Followed { order, ended_at: None, reason: "", concerns: true };
                self.orders.insert(id, followed);
            }
            OrderRequest::Replace { id, price, qty, .. } => {
                if let Some(followed) = self.orders.get_mut(&id) {
                    followed.order.pending.replace = Some(Replacement { price, qty });
                    followed.order.qty_max = followed.order.qty_max.max(qty);
                }
            }
            OrderRequest::Cancel { id, .. } => {
                if let Some(followed) = self.orders.get_mut(&id) {
                    followed.order.pending.cancel = true;
                }
            }
        }
    }

    fn report(&mut self, report: &ExecutionReport, files: &mut Files) -> Result<(), ExportError> {
        if let Some(followed) = self.orders.get_mut(&report.order) {
            let was_working = followed.order.is_working();
            followed.concerns = true;
            // Refusals were sorted out by the engine's own word.
            let _ = followed.order.apply(&report.kind);
            if let ReportKind::Rejected(reason) = &report.kind {
                followed.reason = reason.as_str();
            }
            if was_working && !followed.order.is_working() {
                followed.ended_at = Some(self.now);
                self.ended.push_back(report.order);
            }
        }
        if let ReportKind::Fill(fill) = &report.kind {
            self.fill(report, fill, files)?;
        }
        if self.ended.len() > N_ENDED
            && let Some(id) = self.ended.pop_front()
        {
            self.order_row(id, files)?;
        }
        Ok(())
    }

    fn fill(
        &mut self,
        report: &ExecutionReport,
        fill: &Fill,
        files: &mut Files,
    ) -> Result<(), ExportError> {
        let order = self.orders.get(&report.order).map(|followed| followed.order);
        let (id, names) = (report.instrument, &self.names);
        let row = vec![
            Cell::Time(self.now.0),
            Cell::Time(report.venue_at.0),
            Cell::Id(self.seq.0),
            Cell::Text(report.order.to_string()),
            order.map_or(Cell::Empty, |order| names.strategy(order.strategy)),
            names.account(report.account),
            names.instrument(id),
            order.map_or(Cell::Empty, |order| Cell::text(order.spec.side.as_str())),
            names.price(id, Some(fill.price)),
            names.quantity(id, fill.qty),
            Cell::text(fill.role.as_str()),
            Cell::amount(Some(fill.fee)),
            names.asset(fill.fee_asset),
            Cell::Id(fill.trade_id),
            Cell::Whole(fill.price.0),
            Cell::Whole(fill.qty.0),
        ];
        files.row(Table::Fills, row)?;
        let (Some(order), Some(instrument)) = (order, names.known(id)) else { return Ok(()) };
        let position = self.positions.entry((order.strategy, id)).or_default();
        // A value out of range is one that the engine did not book either.
        if position.apply_fill(instrument, order.spec.side, fill.price, fill.qty).is_err() {
            return Ok(());
        }
        self.position_row(order.strategy, report.account, id, files)
    }

    /// Somebody else has changed what the account holds, and the strategy had a part of what went.
    fn taken(&mut self, notice: &Notice, files: &mut Files) -> Result<(), ExportError> {
        let Notice::PositionTaken { strategy, account, instrument: id, qty, at } = *notice else {
            return Ok(());
        };
        let Some(instrument) = self.names.known(id) else { return Ok(()) };
        let position = self.positions.entry((strategy, id)).or_default();
        position.take_away(instrument, qty.abs(), at);
        self.position_row(strategy, account, id, files)
    }

    fn position_row(
        &self,
        strategy: StrategyId,
        account: AccountId,
        id: InstrumentId,
        files: &mut Files,
    ) -> Result<(), ExportError> {
        let names = &self.names;
        let (Some(position), Some(instrument)) =
            (self.positions.get(&(strategy, id)), names.known(id))
        else {
            return Ok(());
        };
        let average = position.average_price_e6(instrument).and_then(|millionths| {
            let ticks = Decimal::try_from_i128_with_scale(millionths, 6).ok()?;
            ticks.checked_mul(instrument.spec.tick)
        });
        let row = vec![
            Cell::Time(self.now.0),
            Cell::Id(self.seq.0),
            names.strategy(strategy),
            names.account(account),
            names.instrument(id),
            names.quantity(id, position.qty),
            Cell::amount(average),
            Cell::amount(Some(position.realised.to_decimal())),
            Cell::Whole(position.qty.0),
            Cell::Id(position.n_fills),
        ];
        files.row(Table::Positions, row)
    }

    fn order_row(&mut self, id: ClientOrderId, files: &mut Files) -> Result<(), ExportError> {
        let Some(Followed { order, ended_at, reason, concerns: true }) = self.orders.remove(&id)
        else {
            return Ok(());
        };
        let (names, spec) = (&self.names, &order.spec);
        let instrument = spec.instrument;
        let limit = spec.kind.limit_price();
        let row = vec![
            Cell::Time(order.created_at.0),
            ended_at.map_or(Cell::Empty, |at| Cell::Time(at.0)),
            Cell::Text(id.to_string()),
            names.strategy(order.strategy),
            names.account(order.account),
            names.instrument(instrument),
            Cell::text(spec.side.as_str()),
            Cell::text(match spec.kind {
                OrderKind::Market => "market",
                OrderKind::Limit { .. } => "limit",
                OrderKind::Stop { .. } => "stop",
                OrderKind::StopLimit { .. } => "stop_limit",
            }),
            names.price(instrument, limit),
            names.price(instrument, spec.kind.trigger()),
            names.quantity(instrument, spec.qty),
            Cell::text(match spec.tif {
                TimeInForce::Gtc => "gtc",
                TimeInForce::Ioc => "ioc",
                TimeInForce::Fok => "fok",
                TimeInForce::Gtd(_) => "gtd",
            }),
            Cell::Flag(spec.post_only),
            Cell::Flag(spec.reduce_only),
            Cell::text(order.state.as_str()),
            if reason.is_empty() { Cell::Empty } else { Cell::text(reason) },
            names.quantity(instrument, order.filled),
            names.price(instrument, order.average_price()),
            Cell::Id(order.venue_order_id),
            limit.map_or(Cell::Empty, |price| Cell::Whole(price.0)),
            Cell::Whole(spec.qty.0),
            Cell::Whole(order.filled.0),
        ];
        files.row(Table::Orders, row)
    }

    fn snapshot(
        &mut self,
        seq: Seq,
        state: &tercel_core::State,
        files: &mut Files,
    ) -> Result<(), ExportError> {
        // A run that goes on from another begins with that one's state. Later on the entries have
        // said it all, and may be ahead of a snapshot that was encoded meanwhile.
        if self.seq <= seq && self.orders.is_empty() && self.positions.is_empty() {
            let known = state.image().orders;
            for OrderImage { order, .. } in known.working.into_iter().flatten().chain(known.ended) {
                let concerns = order.is_working();
                let followed = Followed { order, ended_at: None, reason: "", concerns };
                self.orders.insert(order.id, followed);
            }
            for (strategy, id) in state.strategies.iter().zip(0..) {
                for (position, instrument) in strategy.scope.positions.iter().zip(0..) {
                    let key = (StrategyId(id), InstrumentId(instrument));
                    self.positions.insert(key, *position);
                }
            }
        }
        for (account, id) in state.accounts.iter().zip(0..) {
            let id = AccountId(id);
            let row = vec![
                Cell::Time(self.now.0),
                Cell::Id(seq.0),
                self.names.account(id),
                Cell::amount(Some(state.equity(id).to_decimal())),
                Cell::amount(Some(account.scope.net_realised.to_decimal())),
            ];
            files.row(Table::Equity, row)?;
        }
        Ok(())
    }

    fn notice(&self, notice: &Notice, files: &mut Files) -> Result<(), ExportError> {
        let names = &self.names;
        let (mut strategy, mut order, mut instrument, mut value) =
            (Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty);
        let float = |bits: u64| Cell::Text(f64::from_bits(bits).to_string());
        let mut whose = |id: StrategyId| strategy = names.strategy(id);
        let (kind, text) = match notice {
            Notice::Log { strategy, text } => {
                whose(*strategy);
                ("log", text.clone())
            }
            Notice::NamePlot { strategy, plot, name } => {
                whose(*strategy);
                ("name_plot", format!("{plot} {name}"))
            }
            Notice::Draw { strategy, plot, value_bits } => {
                whose(*strategy);
                value = float(*value_bits);
                ("draw", plot.to_string())
            }
            Notice::Mark { strategy, label, price_bits } => {
                whose(*strategy);
                value = float(*price_bits);
                ("mark", label.to_string())
            }
            Notice::RiskReject { strategy, order: id, reason } => {
                whose(*strategy);
                order = Cell::Text(id.to_string());
                ("risk_reject", format!("{}: {reason}", reason.as_str()))
            }
            Notice::Fault { strategy, fault } => {
                whose(*strategy);
                ("fault", fault.to_string())
            }
            Notice::BookStale { instrument: id, cause } => {
                instrument = names.instrument(*id);
                ("book_stale", stale(cause))
            }
            Notice::State { scope, state, cause } => {
                ("state", format!("{scope} is {}: {}", state.as_str(), cause_of(cause)))
            }
            Notice::LossMarks { scope, pnl_open, pnl_max } => {
                let text = format!("{scope}: loss from {pnl_open}, drawdown from {pnl_max}");
                ("loss_marks", text)
            }
            Notice::Funding { instrument: id, rate_e12, mark } => {
                instrument = names.instrument(*id);
                ("funding", format!("{rate_e12}e-12 at {} ticks", mark.0))
            }
            Notice::PositionDiffers { account, instrument: id, was, is, at, .. } => {
                instrument = names.instrument(*id);
                let text = format!("{account}: {} lots, not {}; {}", is.0, was.0, realised_at(*at));
                ("position_differs", text)
            }
            Notice::PositionTaken { strategy, instrument: id, qty, at, .. } => {
                whose(*strategy);
                instrument = names.instrument(*id);
                ("position_taken", format!("{} lots; {}", qty.0, realised_at(*at)))
            }
            Notice::ReportRefused { order: id, cause } => {
                order = Cell::Text(id.to_string());
                ("report_refused", refusal(*cause).to_owned())
            }
        };
        let row = vec![
            Cell::Time(self.now.0),
            Cell::Id(self.seq.0),
            Cell::text(kind),
            strategy,
            order,
            instrument,
            value,
            Cell::Text(text),
        ];
        files.row(Table::Notices, row)
    }
}

fn realised_at(at: Option<Price>) -> String {
    at.map_or_else(
        || "realised at what it cost".to_owned(),
        |at| format!("realised at {} ticks", at.0),
    )
}

fn stale(cause: &StaleCause) -> String {
    match cause {
        StaleCause::Gap { have, needed } => format!("gap: has {have}, needs {needed}"),
        StaleCause::Crossed => "crossed".to_owned(),
        StaleCause::Link => "link".to_owned(),
    }
}

fn cause_of(cause: &StateCause) -> String {
    match cause {
        StateCause::Command => "command".to_owned(),
        StateCause::DailyLoss => "daily_loss".to_owned(),
        StateCause::Drawdown => "drawdown".to_owned(),
        StateCause::Overfill { excess } => format!("overfill by {} lots", excess.0),
    }
}

const fn refusal(cause: ReportRefusal) -> &'static str {
    match cause {
        ReportRefusal::UnknownOrder => "unknown_order",
        ReportRefusal::DuplicateFill => "duplicate_fill",
        ReportRefusal::AfterEnd => "after_end",
        ReportRefusal::Stale => "stale",
        ReportRefusal::Overfill => "overfill",
        ReportRefusal::Malformed => "malformed",
    }
}
