//! What the engine tells, into the log and for who asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, Effect, Engine, ExecutionReport, Instrument, Nanos, Notice, Price, ReportKind,
    ReportRefusal, Scope, ScopeState, Seq, State, StateCause, StrategyId, TradingState,
};
use tercel_sim::Observer;

use super::refusals::Refusals;
use crate::control_api::NoticeStatus;

/// The last notices, shared between the engines' threads and those that show them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    shared: Arc<Shared>,
    /// What comes before notices that do not name a strategy: which engine they are of, if there are
    /// several.
    engine: String,
}

#[derive(Debug, Default)]
struct Shared {
    last: Mutex<Last>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Last {
    /// How many there were in all.
    n: u64,
    notices: VecDeque<NoticeStatus>,
    /// What was told of the venue's accounts.
    account: AccountNews,
    /// What stopped each strategy last, by their names.
    faults: BTreeMap<String, String>,
    refusals: Refusals,
}

/// What was told of a venue's accounts since they were last asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountNews {
    /// What was told, the outcome of a comparison last.
    pub(crate) lines: VecDeque<String>,
    /// Whether something among it is a difference.
    pub(crate) has_difference: bool,
    /// Open orders of ours, of the accounts whose books were compared.
    pub(crate) n_orders: usize,
    /// Accounts whose books are still being compared.
    awaited: BTreeSet<AccountId>,
}

/// Notices that are kept.
const N_KEPT: usize = 512;

impl Notices {
    /// Returns where one of several engines tells its own, by its index; the only one has none.
    pub(crate) fn of_engine(&self, index: Option<usize>) -> Self {
        let engine = index.map_or_else(String::new, |index| format!("engine {}: ", index + 1));
        Self { shared: Arc::clone(&self.shared), engine }
    }

    /// Adds a notice and writes it to the log.
    pub(crate) fn tell(&self, at: Nanos, level: &'static str, text: String) {
        match level {
            "error" => tracing::error!(at_ns = at.0, "{text}"),
            "warn" => tracing::warn!(at_ns = at.0, "{text}"),
            _ => tracing::info!(at_ns = at.0, "{text}"),
        }
        let mut last = self.lock();
        last.n += 1;
        if last.notices.len() == N_KEPT {
            last.notices.pop_front();
        }
        last.notices.push_back(NoticeStatus { at_ns: at.0, level: level.to_owned(), text });
        drop(last);
        self.shared.news.notify_all();
    }

    /// Tells of refused orders that were only counted so far, of those whose time has come.
    pub(crate) fn tell_refusals(&self, now: Instant) {
        let due = self.lock().refusals.due(now);
        due.into_iter().for_each(|(at, text)| self.tell(at, "warn", text));
    }

    /// Tells of all refused orders that were only counted so far.
    pub(crate) fn tell_last_refusals(&self) {
        let rest = self.lock().refusals.rest();
        rest.into_iter().for_each(|(at, text)| self.tell(at, "warn", text));
    }

    /// Adds a notice of an account at the venue. `difference` says whether it tells of one; `compared`, how
    /// many orders are open if it tells that the books were compared.
    pub(crate) fn tell_of_account(
        &self,
        at: Nanos,
        account: AccountId,
        level: &'static str,
        text: String,
        difference: bool,
        compared: Option<usize>,
    ) {
        let mut last = self.lock();
        let news = &mut last.account;
        if news.awaited.contains(&account) {
            if news.lines.len() == N_KEPT {
                news.lines.pop_front();
            }
            news.lines.push_back(text.clone());
            news.has_difference |= difference;
            if let Some(n_orders) = compared {
                news.n_orders += n_orders;
                news.awaited.remove(&account);
            }
        }
        drop(last);
        self.tell(at, level, text);
    }

    /// Forgets what was told of the venue's accounts, and waits for what is told of these.
    pub(crate) fn await_accounts(&self, accounts: impl IntoIterator<Item = AccountId>) {
        let awaited = accounts.into_iter().collect();
        self.lock().account = AccountNews { awaited, ..AccountNews::default() };
    }

    /// Returns what was told of the venue's accounts, once the books of all were compared.
    pub(crate) fn compared(&self, wait: Duration) -> Option<AccountNews> {
        let until = Instant::now() + wait;
        let mut last = self.lock();
        while !last.account.awaited.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            last =
                self.shared.news.wait_timeout(last, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(last.account.clone())
    }

    /// Returns the last `n` notices, oldest first.
    pub(crate) fn last(&self, n: usize) -> Vec<NoticeStatus> {
        let last = self.lock();
        last.notices.iter().skip(last.notices.len().saturating_sub(n)).cloned().collect()
    }

    /// Returns what stopped a strategy last.
    pub(crate) fn fault(&self, strategy: &str) -> Option<String> {
        self.lock().faults.get(strategy).cloned()
    }

    /// Returns the notices after the first `n_seen`, and how many there are now; waits for one.
    pub(crate) fn after(&self, n_seen: u64, wait: Duration) -> (Vec<NoticeStatus>, u64) {
        let mut last = self.lock();
        if last.n <= n_seen {
            last =
                self.shared.news.wait_timeout(last, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        let n_new = usize::try_from(last.n.saturating_sub(n_seen)).unwrap_or(usize::MAX);
        let skip = last.notices.len().saturating_sub(n_new);
        (last.notices.iter().skip(skip).cloned().collect(), last.n)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.shared.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notice(&self, at: Nanos, notice: &Notice, engine: &Engine) {
        let name = |id: &StrategyId| {
            engine.state().strategies.get(id.index()).map_or("?", |own| own.name.as_str())
        };
        let prefix = &self.engine;
        let (level, text) = match notice {
            Notice::Log { strategy, text } => ("info", format!("{}: {text}", name(strategy))),
            Notice::Fault { strategy, fault } => {
                self.lock().faults.insert(name(strategy).to_owned(), fault.to_string());
                ("error", format!("{} is stopped: {fault}", name(strategy)))
            }
            Notice::RiskReject { strategy, order, reason } => {
                let name = name(strategy);
                let words = format!("{name}: order {order} refused: {reason}");
                let mut last = self.lock();
                let told = last.refusals.refused(name, reason, at, words, Instant::now());
                drop(last);
                let Some(words) = told else { return };
                ("warn", words)
            }
            Notice::BookStale { instrument, cause } => {
                let symbol = engine.state().instruments.get(instrument.index());
                let symbol = symbol.map_or("?", |own| own.spec.symbol.as_str());
                ("warn", format!("{prefix}the book of {symbol} is stale: {cause:?}"))
            }
            Notice::State { scope, state, cause } => {
                ("warn", format!("{prefix}{}", switched(*scope, *state, *cause, engine.state())))
            }
            Notice::LossMarks { scope, .. } => {
                let (name, _) = named(*scope, engine.state());
                (
                    "warn",
                    format!("{prefix}{name}: the loss limits that were reached count from here on"),
                )
            }
            Notice::Funding { instrument, rate_e12, mark } => {
                let instrument = engine.state().instruments.get(instrument.index());
                let Some(instrument) = instrument else { return };
                let rate = Decimal::from_i128_with_scale(i128::from(*rate_e12), 12).normalize();
                let (symbol, mark) = (&instrument.spec.symbol, instrument.price_decimal(*mark));
                ("info", format!("{prefix}funding of {symbol}: {rate} at {mark}"))
            }
            Notice::PositionDiffers { account, instrument, was, is, at, .. } => {
                let state = engine.state();
                let (Some(own), Some(instrument)) = (
                    state.accounts.get(account.index()),
                    state.instruments.get(instrument.index()),
                ) else {
                    return;
                };
                let lots = |qty| instrument.quantity_decimal(qty).normalize();
                let (name, symbol) = (&own.name, &instrument.spec.symbol);
                let text = format!(
                    "{prefix}account {name}: somebody else changed the position in {symbol} from {} \
                     to {}; what went is realised {}",
                    lots(*was),
                    lots(*is),
                    realised_at(instrument, *at)
                );
                ("warn", text)
            }
            Notice::PositionTaken { strategy, instrument, qty, at, .. } => {
                let instrument = engine.state().instruments.get(instrument.index());
                let Some(instrument) = instrument else { return };
                let text = format!(
                    "{}: the account does not hold {} {} of it any more; realised {}",
                    name(strategy),
                    instrument.quantity_decimal(*qty).normalize(),
                    instrument.spec.symbol,
                    realised_at(instrument, *at)
                );
                ("warn", text)
            }
            Notice::ReportRefused { order, cause } => match cause {
                // What was under way while an order ended, or was told before: an ordinary day has
                // thousands. Exports of a run have them all.
                ReportRefusal::AfterEnd | ReportRefusal::Stale | ReportRefusal::DuplicateFill => {
                    tracing::debug!(
                        at_ns = at.0,
                        "a report on order {order} is no news: {cause:?}"
                    );
                    return;
                }
                ReportRefusal::UnknownOrder
                | ReportRefusal::Overfill
                | ReportRefusal::Malformed => {
                    ("warn", format!("{prefix}a report on order {order} was refused: {cause:?}"))
                }
            },
            // Drawn for reports.
            Notice::NamePlot { .. } | Notice::Draw { .. } | Notice::Mark { .. } => return,
        };
        self.tell(at, level, text);
    }
}

impl Observer for Notices {
    fn on_effects(&mut self, _seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        for effect in effects {
            if let Effect::Notice(notice) = effect {
                self.notice(now, notice, engine);
            }
        }
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        let ReportKind::Fill(fill) = &report.kind else { return };
        let state = engine.state();
        let (Some(order), Some(instrument)) =
            (state.orders.get(report.order), state.instruments.get(report.instrument.index()))
        else {
            return;
        };
        tracing::info!(
            at_ns = now.0,
            order = %report.order,
            "fill {:?} {} {} at {}",
            order.spec.side,
            instrument.quantity_decimal(fill.qty),
            instrument.spec.symbol,
            instrument.price_decimal(fill.price)
        );
    }

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}

fn realised_at(instrument: &Instrument, at: Option<Price>) -> String {
    at.map_or_else(
        || "at what it cost: no price is known".to_owned(),
        |at| format!("at {}", instrument.price_decimal(at)),
    )
}

/// Returns what is told of a scope that may do more or less than before.
fn switched(scope: Scope, state: TradingState, cause: StateCause, all: &State) -> String {
    let (name, own) = named(scope, all);
    let mut text = format!("{name} is {}: {cause}", state.as_str());
    if own.keeps_orders && own.open_orders > 0 {
        // Writing to a string does not fail.
        let _ = write!(text, "; {} open orders stay at the venue", own.open_orders);
    }
    text
}

/// Returns a scope with what people call it.
fn named(scope: Scope, all: &State) -> (String, &ScopeState) {
    match scope {
        Scope::Strategy(id) => {
            let strategy = &all.strategies[id.index()];
            (format!("strategy {}", strategy.name), &strategy.scope)
        }
        Scope::Account(id) => {
            let account = &all.accounts[id.index()];
            (format!("account {}", account.name), &account.scope)
        }
        Scope::Engine => ("the engine".to_owned(), &all.scope),
    }
}
