//! Positions that somebody else has changed: liquidated, deleveraged, or traded by hand.
//!
//! The venue says only what the account holds now. Whose it was that went, and at which price, a rule
//! has to say:
//!
//! - What went is realised at the market's reference price, by the account and by the engine; at the
//!   one before a restart until a price has come since; where none is known, at what it had cost. Money is not moved: the venue tells balances apart from that.
//! - What is left, and what has grown, counts at the venue's entry price. What grew belongs to no
//!   strategy.
//! - First to go is what belongs to no strategy. If then the strategies of the account hold, taken
//!   together, more than it does or on the other side, the rest is taken from those that hold on the
//!   side that is too large, in the order of their ids, and realised by them at the same price.
//!
//! So a loss that somebody else realised is seen by every limit, strategies never hold what their
//! account does not, and the engine holds what its accounts do.

use crate::Position;
use crate::effect::{Effects, Notice};
use crate::engine::Engine;
use crate::ids::{AccountId, InstrumentId};
use crate::num::{Nanos, Notional, Price, Quantity, Side};

/// A position as the venue tells it, and the price at which what went is realised.
#[derive(Debug)]
pub(super) struct Takeover {
    pub(super) account: AccountId,
    pub(super) instrument: InstrumentId,
    pub(super) qty: Quantity,
    pub(super) entry: Price,
    pub(super) at: Option<Price>,
}

impl Engine {
    #[inline(never)]
    pub(super) fn on_position(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        qty: Quantity,
        entry: Price,
        now: Nanos,
        effects: &mut Effects,
    ) {
        self.roll_all_days(now);
        let scope = &self.state.accounts[account.index()].scope;
        let was = scope.positions[instrument.index()].qty;
        let is_known = told(&self.state.instruments[instrument.index()], qty, entry).is_some();
        // A record tells at which price it was taken over: marks and books are not in it.
        if self.repeats || was == qty || !is_known {
            return;
        }
        // An account is often compared before the market's first price after a restart has come.
        let market = &self.state.markets[instrument.index()];
        let at = market.reference().or(market.price_before);
        let is = qty;
        effects.notice(Notice::PositionDiffers { account, instrument, was, is, entry, at });
        self.take_over(&Takeover { account, instrument, qty, entry, at }, effects);
        self.watch_losses(now, effects);
    }

    /// Enters it into the account, the engine and the strategies.
    pub(super) fn take_over(&mut self, change: &Takeover, effects: &mut Effects) {
        let (idx, at) = (change.instrument.index(), change.at);
        let (instrument, market) = (&self.state.instruments[idx], &self.state.markets[idx]);
        let Some(fresh) = told(instrument, change.qty, change.entry) else { return };
        let price = at.unwrap_or(change.entry);
        let account = &mut self.state.accounts[change.account.index()].scope;
        let (before, worst) = (account.positions[idx], account.worst(change.instrument));
        let stays = before.qty.0.signum() == fresh.qty.0.signum();
        let kept = if stays { before.qty.0.abs().min(fresh.qty.0.abs()) } else { 0 };
        let kept = Quantity(kept * before.qty.0.signum());
        let (gone, grown) = (before.qty - kept, fresh.qty - kept);

        let position = &mut account.positions[idx];
        let mut realised = position.take_away(instrument, gone.abs(), at);
        // What left the cost and what it made came in for it, and goes through the engine's books.
        let gone_flow = before.cost - position.cost + realised;
        let mut grown_flow = Notional::ZERO;
        if grown.is_zero() {
            realised += position.restate_cost(fresh.cost);
        } else {
            grown_flow = position.cost - fresh.cost;
            (position.qty, position.cost) = (fresh.qty, fresh.cost);
        }
        account.net_realised += instrument.in_quote(realised, price);
        account.revalue(instrument, market, price, worst);

        let engine = &mut self.state.scope;
        let worst = engine.worst(change.instrument);
        let position = &mut engine.positions[idx];
        let mut realised = Notional::ZERO;
        for (qty, flow) in [(-gone, gone_flow), (grown, grown_flow)] {
            realised += position.change(qty, flow);
        }
        engine.net_realised += instrument.in_quote(realised, price);
        engine.revalue(instrument, market, price, worst);
        self.take_from_strategies(change, price, effects);
    }

    /// Takes from strategies what their account does not hold.
    fn take_from_strategies(&mut self, change: &Takeover, price: Price, effects: &mut Effects) {
        let idx = change.instrument.index();
        let (instrument, market) = (&self.state.instruments[idx], &self.state.markets[idx]);
        let own = self.state.strategies.iter().filter(|own| own.account == change.account);
        let held: i64 = own.map(|own| own.scope.positions[idx].qty.0).sum();
        let (least, most) = (change.qty.0.min(0), change.qty.0.max(0));
        // Signed as the side that is too large.
        let mut excess = held - held.clamp(least, most);
        for (n, strategy) in self.state.strategies.iter_mut().enumerate() {
            let scope = &mut strategy.scope;
            let worst = scope.worst(change.instrument);
            let position = &mut scope.positions[idx];
            let is_concerned =
                strategy.account == change.account && position.qty.0.signum() * excess.signum() > 0;
            if !is_concerned {
                continue;
            }
            let taken = excess.abs().min(position.qty.0.abs()) * excess.signum();
            excess -= taken;
            let realised = position.take_away(instrument, Quantity(taken.abs()), change.at);
            scope.net_realised += instrument.in_quote(realised, price);
            scope.revalue(instrument, market, price, worst);
            effects.notice(Notice::PositionTaken {
                strategy: super::strategy_id(n),
                account: change.account,
                instrument: change.instrument,
                qty: Quantity(taken),
                at: change.at,
            });
        }
    }
}

/// Returns the position that a venue tells of; `None` if its value is out of range.
fn told(instrument: &crate::Instrument, qty: Quantity, entry: Price) -> Option<Position> {
    let side = if qty.0 >= 0 { Side::Buy } else { Side::Sell };
    let mut fresh = Position::default();
    if !qty.is_zero() {
        fresh.apply_fill(instrument, side, entry, qty.abs()).ok()?;
    }
    Some(fresh)
}
