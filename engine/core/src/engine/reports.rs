//! Execution reports and account news: orders move, positions and balances follow.

use crate::effect::{Effects, Notice, ReportRefusal, StateCause};
use crate::engine::Engine;
use crate::event::{AccountItem, AccountUpdate, Scope};
use crate::ids::{AssetId, ClientOrderId};
use crate::instrument::InstrumentKind;
use crate::num::{Nanos, Notional, Quantity, Side};
use crate::order::{ExecutionReport, Fill, ReportKind};
use crate::orders::{Change, Order, OrderState};
use crate::strategy::{OrderChange, StrategyEvent};

impl Engine {
    #[inline(never)]
    pub(super) fn on_report(
        &mut self,
        now: Nanos,
        report: &ExecutionReport,
        effects: &mut Effects,
    ) {
        match self.state.orders.apply(report) {
            Ok((before, after, change)) => {
                self.roll_days(after.strategy, now);
                if let Change::Filled(fill) = &change {
                    self.book_fill(&after, fill, now);
                }
                self.reserve(Some(&before), &after);
                if let Change::Filled(_) = &change {
                    self.watch_losses(now, effects);
                }
                let is_alive =
                    matches!(change, Change::Accepted | Change::Replaced | Change::Filled(_));
                let is_over = !after.is_working();
                let is_filled = matches!(change, Change::Filled(_));
                // What closes and has come to nothing would do so again at once.
                let is_refused = is_over && after.closes() && after.filled.is_zero();
                // Before the owner is called: numbers of orders that follow its call are its own.
                if is_refused {
                    self.close_later(now);
                } else if is_over || is_filled {
                    if is_filled && after.closes() {
                        self.closing_succeeds();
                    }
                    self.go_on_flattening(&after, now, effects);
                }
                self.tell_owner(&after, change, now, effects);
                if is_alive {
                    self.cancel_if_killed(after.id, now, effects);
                }
            }
            Err(cause) => {
                effects.notice(Notice::ReportRefused { order: report.order, cause });
                if cause == ReportRefusal::Overfill {
                    self.halt_for_overfill(report, now, effects);
                }
            }
        }
    }

    #[inline(never)]
    pub(super) fn on_account(&mut self, now: Nanos, update: &AccountUpdate, effects: &mut Effects) {
        match update.item {
            AccountItem::Balance { asset, total } => {
                let account = &mut self.state.accounts[update.account.index()];
                let total = Notional::from_decimal(total.round_dp(18));
                if let (Some(total), Some(balance)) =
                    (total, account.balances.get_mut(asset.index()))
                {
                    balance.total = total;
                }
            }
            AccountItem::Position { instrument, qty, price } => {
                self.on_position(update.account, instrument, qty, price, now, effects);
            }
            AccountItem::Order(adoption) => self.adopt(update.account, &adoption, now, effects),
        }
    }

    /// Enters a fill into the positions of all scopes and the account's balances.
    fn book_fill(&mut self, order: &Order, fill: &Fill, now: Nanos) {
        let instrument = &self.state.instruments[order.spec.instrument.index()];
        let market = &self.state.markets[order.spec.instrument.index()];
        let account = &mut self.state.accounts[order.account.index()];
        let side = order.spec.side;
        #[cfg(feature = "sabotage")]
        let side = match crate::sabotage::is_planted(crate::sabotage::Bug::FillHasWrongSign) {
            true => side.opposite(),
            false => side,
        };
        let fee = Notional::from_decimal(fill.fee.round_dp(18)).unwrap_or(Notional::ZERO);
        let fee_settled = fee_in_settlement(instrument, fill, fee);
        let strategy = &mut self.state.strategies[order.strategy.index()].scope;
        let mut account_realised = Notional::ZERO;
        for scope in [strategy, &mut account.scope, &mut self.state.scope] {
            let worst = scope.worst(instrument.id);
            let position = &mut scope.positions[instrument.id.index()];
            // A value out of range was refused when the order was approved; a venue that fills at
            // such a price is beyond accounting, and the quantity still has to be right.
            let realised =
                position.apply_fill(instrument, side, fill.price, fill.qty).unwrap_or_else(|_| {
                    position.qty += Quantity(fill.qty.0 * side.sign());
                    Notional::ZERO
                });
            position.fees += fee_settled;
            scope.net_realised += instrument.in_quote(realised - fee_settled, fill.price);
            scope.revalue(instrument, market, fill.price, worst);
            scope.last_fill_at = Some(now);
            scope.today.fills = scope.today.fills.saturating_add(1);
            if let Scope::Account(_) = scope.id {
                account_realised = realised;
            }
        }
        let mut pay = |asset: AssetId, amount: Notional| {
            if let Some(balance) = account.balances.get_mut(asset.index()) {
                balance.total += amount;
            }
        };
        match instrument.spec.kind {
            InstrumentKind::Spot => {
                let base = instrument.base_amount(fill.qty).unwrap_or(Notional::ZERO);
                let quote = instrument.notional(fill.price, fill.qty).unwrap_or(Notional::ZERO);
                let (base, quote) = match side {
                    Side::Buy => (base, -quote),
                    Side::Sell => (-base, quote),
                };
                pay(instrument.spec.base, base);
                pay(instrument.spec.quote, quote);
            }
            InstrumentKind::LinearPerpetual | InstrumentKind::InversePerpetual => {
                pay(instrument.settlement_asset(), account_realised);
            }
        }
        pay(fill.fee_asset, -fee);
    }

    pub(super) fn tell_owner(
        &mut self,
        order: &Order,
        change: Change,
        now: Nanos,
        effects: &mut Effects,
    ) {
        let id = order.id;
        let change = match change {
            Change::Filled(fill) => {
                let event = StrategyEvent::Fill {
                    order: id,
                    instrument: order.spec.instrument,
                    side: order.spec.side,
                    fill,
                    done: !order.is_working(),
                };
                self.call(order.strategy, &event, now, effects);
                return;
            }
            Change::Accepted => OrderChange::Accepted,
            Change::Replaced => OrderChange::Replaced,
            Change::Canceled => OrderChange::Canceled,
            Change::Expired => OrderChange::Expired,
            Change::Triggered => OrderChange::Triggered,
            Change::Rejected(reason) => OrderChange::Rejected(reason),
            Change::CancelRejected(reason) => OrderChange::CancelRejected(reason),
            Change::ReplaceRejected(reason) => OrderChange::ReplaceRejected(reason),
            Change::Unknown => OrderChange::Unknown,
        };
        self.call(order.strategy, &StrategyEvent::Order { order: id, change }, now, effects);
    }

    /// Withdraws an order that turns out to work after a kill or a flatten: the cancel that was sent then
    /// has been refused because it overtook the order, or nobody knew of the order.
    pub(super) fn cancel_if_killed(
        &mut self,
        id: ClientOrderId,
        now: Nanos,
        effects: &mut Effects,
    ) {
        let Some(order) = self.state.orders.get(id) else { return };
        let strategy = order.strategy;
        if order.state != OrderState::Open || order.pending.cancel || self.repeats {
            return;
        }
        let account = &self.state.accounts[order.account.index()].scope;
        let own = &self.state.strategies[strategy.index()].scope;
        let mut is_flattened = false;
        let withdraws = [&self.state.scope, account, own].into_iter().any(|scope| {
            is_flattened |= scope.flattens;
            // What closes a position works on, whatever is halted below the flatten.
            let closes = is_flattened && order.closes();
            (is_flattened || scope.withdraws_orders()) && !closes
        });
        if withdraws {
            self.cancel(strategy, id, now, effects);
        }
    }

    /// A venue that fills more than was ordered disagrees with us about what we hold.
    fn halt_for_overfill(&mut self, report: &ExecutionReport, now: Nanos, effects: &mut Effects) {
        if let (ReportKind::Fill(fill), Some(order)) =
            (&report.kind, self.state.orders.get(report.order))
        {
            let excess = Quantity(order.filled.0.saturating_add(fill.qty.0) - order.spec.qty.0);
            let scope = Scope::Strategy(order.strategy);
            self.halt(scope, StateCause::Overfill { excess }, now, effects);
        }
    }
}

/// Returns the fee in the settlement asset: as it is, or a base fee at the fill's price. A fee in
/// a third asset is paid from its balance and counts in no position.
fn fee_in_settlement(instrument: &crate::Instrument, fill: &Fill, fee: Notional) -> Notional {
    if fill.fee_asset == instrument.settlement_asset() {
        fee
    } else if fill.fee_asset == instrument.spec.base {
        instrument.value_of_base(fee, fill.price).unwrap_or(Notional::ZERO)
    } else {
        Notional::ZERO
    }
}
