//! Loss limits: whether a scope has lost too much, and from where that is counted.

use crate::effect::StateCause;
use crate::num::Notional;
use crate::scope::ScopeState;

impl ScopeState {
    /// Returns which loss limit a profit of `pnl` has reached.
    pub(crate) fn reached_loss(&self, pnl: Notional) -> Option<StateCause> {
        if self.is_daily_loss_reached(pnl) {
            Some(StateCause::DailyLoss)
        } else if self.is_drawdown_reached(pnl) {
            Some(StateCause::Drawdown)
        } else {
            None
        }
    }

    /// Lets the limits that a profit of `pnl` has reached count from it on, and leaves the others where
    /// they are; returns whether there were any.
    pub(crate) fn renew_reached_marks(&mut self, pnl: Notional) -> bool {
        let (is_daily, is_drawdown) =
            (self.is_daily_loss_reached(pnl), self.is_drawdown_reached(pnl));
        if is_daily {
            self.today.pnl_open = Some(pnl);
        }
        if is_drawdown {
            self.pnl_max = pnl;
        }
        is_daily || is_drawdown
    }

    fn is_daily_loss_reached(&self, pnl: Notional) -> bool {
        let (limit, pnl_open) = (self.limits.daily_loss, self.today.pnl_open);
        limit.zip(pnl_open).is_some_and(|(limit, pnl_open)| pnl_open - pnl >= limit)
    }

    fn is_drawdown_reached(&self, pnl: Notional) -> bool {
        self.limits.drawdown.is_some_and(|limit| self.pnl_max - pnl >= limit)
    }
}
