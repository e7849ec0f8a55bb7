//! A loss limit that several engines share: when the share of one trips, all halt.
//!
//! Shares add up to the limit. When the first of them trips, none has lost more than its own, and together
//! no more than the limit; the engine on which it does keeps what it holds, and so the others must not go on
//! losing theirs. Each records that it was halted, as it does any command.

use std::sync::{Arc, OnceLock};

use tercel_core::{
    Effect, Engine, ExecutionReport, Nanos, Notice, Scope, Seq, StateCause, TradingState,
};
use tercel_runtime::ShardsHandle;
use tercel_sim::Observer;

use super::notices::Notices;

/// Halts the other engines.
#[derive(Debug)]
pub(super) struct SharedLosses {
    /// Which engine this is.
    index: usize,
    /// All engines, once their threads run.
    together: Arc<OnceLock<ShardsHandle>>,
}

impl SharedLosses {
    pub(super) fn new(index: usize, together: &Arc<OnceLock<ShardsHandle>>) -> Self {
        Self { index, together: Arc::clone(together) }
    }

    /// Returns who watches this engine: its losses, and what it tells.
    pub(super) const fn over(self, notices: Notices) -> Watched {
        Watched { losses: self, notices }
    }

    #[cold]
    fn tripped(&self, now: Nanos, scope: Scope, cause: StateCause, notices: &Notices) {
        let Some(together) = self.together.get() else { return };
        match together.halt_others(self.index, scope) {
            Ok(0) => {}
            Ok(_) => {
                let number = self.index + 1;
                let text = format!(
                    "{cause} on engine {number}, which shares it: its scope ({scope}) is halted on all \
                     engines"
                );
                notices.tell(now, "warn", text);
            }
            Err(why) => {
                let text =
                    format!("the other engines are not all halted ({cause}): {why}; kill them");
                notices.tell(now, "error", text);
            }
        }
    }
}

/// Tells what an engine tells, and halts the others when it has lost its share.
#[derive(Debug)]
pub(super) struct Watched {
    losses: SharedLosses,
    notices: Notices,
}

impl Observer for Watched {
    fn on_effects(&mut self, seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        self.notices.on_effects(seq, now, effects, engine);
        for effect in effects {
            if let Effect::Notice(Notice::State { scope, state: TradingState::Halted, cause }) =
                effect
                && matches!(cause, StateCause::DailyLoss | StateCause::Drawdown)
            {
                self.losses.tripped(now, *scope, *cause, &self.notices);
            }
        }
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        self.notices.on_report(now, report, engine);
    }

    fn on_sample(&mut self, now: Nanos, engine: &Engine) {
        self.notices.on_sample(now, engine);
    }
}
