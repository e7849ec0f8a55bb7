//! One budget per venue and address, shared by all accounts and connections.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercel_core::Nanos;

use super::window::Window;
use crate::limits::{Limit, LimitKind, LimitScope, Usage};
use crate::protocol::{Call, Cost, Method, Priority};

/// A budget of some REST endpoints, for venues that count them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointLimit {
    /// Which method; `None` for all.
    pub method: Option<Method>,
    /// How the path begins, such as `/api/v3/order`.
    pub path: &'static str,
    /// How much.
    pub limit: Limit,
}

impl EndpointLimit {
    fn covers(&self, method: Method, path: &str) -> bool {
        self.method.is_none_or(|own| own == method) && path.starts_with(self.path)
    }
}

/// How much of each budget may be used for what, in percent: what is left is kept for what is more
/// urgent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shares {
    /// History and other bulk.
    pub bulk: u32,
    /// Queries.
    pub query: u32,
    /// Orders.
    pub order: u32,
    /// Cancels.
    pub cancel: u32,
}

impl Default for Shares {
    fn default() -> Self {
        Self { bulk: 50, query: 75, order: 95, cancel: 100 }
    }
}

impl Shares {
    const fn of(&self, priority: Priority) -> u32 {
        match priority {
            Priority::Cancel => self.cancel,
            Priority::Order => self.order,
            Priority::Query => self.query,
            Priority::Bulk => self.bulk,
        }
    }
}

/// A request that may not be sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the venue's budget is used up")]
pub struct Refusal {
    /// When it is worth asking again; `i64::MAX` if it never is, because the request costs more than
    /// the whole budget.
    pub until: Nanos,
}

/// How a venue says that there was too much.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rebuke {
    /// Too many requests: HTTP status 429 or its like.
    TooMany,
    /// The address is banned: HTTP status 418 or its like.
    Banned,
}

/// A venue's budgets. Cloning shares.
///
/// What a venue counts in fixed windows is counted in sliding ones, which hold at most as much. A
/// request is granted from every budget that it touches, or from none. After a rebuke nothing is
/// granted for a while, cancels included: a venue that is asked on bans for longer.
#[derive(Clone, Debug)]
pub struct Limiter(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    shares: Shares,
    limits: Vec<Limit>,
    endpoints: Vec<EndpointLimit>,
    n_accounts: u32,
    pots: Vec<Pot>,
    /// The latest time that anybody has told: several clocks ask.
    now: Nanos,
    silent_until: Nanos,
    n_rebukes: u32,
    counts: LimiterCounts,
}

/// One window of one owner.
#[derive(Clone, Debug)]
struct Pot {
    limit: Limit,
    endpoint: Option<EndpointLimit>,
    /// `None` for the address's.
    account: Option<u32>,
    window: Window,
}

/// What a limiter has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LimiterCounts {
    /// Requests granted.
    pub n_granted: u64,
    /// Requests refused, each time that they asked.
    pub n_refused: u64,
    /// Rebukes of the venue.
    pub n_rebukes: u64,
}

/// Nanoseconds of waiting after a rebuke that names none: doubled with each further one.
const PAUSE_NS: i64 = 5 * Nanos::SECOND;
const BAN_NS: i64 = 120 * Nanos::SECOND;
const PAUSE_NS_MAX: i64 = 86_400 * Nanos::SECOND;

impl Limiter {
    /// Returns the budgets of an address, unused.
    #[must_use]
    pub fn new(limits: &[Limit]) -> Self {
        Self::with(limits, &[], Shares::default())
    }

    /// Returns the budgets of an address, with some endpoints counted apart, unused.
    #[must_use]
    pub fn with(limits: &[Limit], endpoints: &[EndpointLimit], shares: Shares) -> Self {
        let mut state = State {
            shares,
            limits: limits.to_vec(),
            endpoints: endpoints.to_vec(),
            n_accounts: 0,
            pots: Vec::new(),
            now: Nanos(0),
            silent_until: Nanos(0),
            n_rebukes: 0,
            counts: LimiterCounts::default(),
        };
        state.add_pots(None);
        Self(Arc::new(Mutex::new(state)))
    }

    /// Returns the budget for what belongs to no account.
    #[must_use]
    pub fn address(&self) -> Budget {
        Budget { limiter: self.clone(), account: None }
    }

    /// Returns the budget of one more account.
    #[must_use]
    pub fn account(&self) -> Budget {
        let mut state = self.lock();
        let account = state.n_accounts;
        state.n_accounts += 1;
        state.add_pots(Some(account));
        drop(state);
        Budget { limiter: self.clone(), account: Some(account) }
    }

    /// Takes over what the venue grants. What was used stays used; kinds of budget that are not
    /// among these stay as they are.
    pub fn grant(&self, limits: &[Limit]) {
        let mut state = self.lock();
        let is_named = |kind| limits.iter().any(|limit| limit.kind == kind);
        let mut kept: Vec<_> =
            state.limits.iter().filter(|limit| !is_named(limit.kind)).copied().collect();
        kept.extend_from_slice(limits);
        state.limits = kept;
        let old = std::mem::take(&mut state.pots);
        state.add_pots(None);
        for account in 0..state.n_accounts {
            state.add_pots(Some(account));
        }
        for pot in &mut state.pots {
            let is_same = |other: &&Pot| {
                (other.limit.kind, other.limit.interval_ms, other.account)
                    == (pot.limit.kind, pot.limit.interval_ms, pot.account)
                    && other.endpoint == pot.endpoint
            };
            if let Some(old) = old.iter().find(is_same) {
                pot.window = old.window.clone();
            }
        }
    }

    /// Returns until when nothing is sent because of a rebuke.
    #[must_use]
    pub fn silent_until(&self) -> Nanos {
        self.lock().silent_until
    }

    /// Returns what was granted and refused.
    #[must_use]
    pub fn counts(&self) -> LimiterCounts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add_pots(&mut self, account: Option<u32>) {
        let scope = if account.is_some() { LimitScope::Account } else { LimitScope::Address };
        let plain = self.limits.iter().map(|limit| (*limit, None));
        let apart = self.endpoints.iter().map(|endpoint| (endpoint.limit, Some(*endpoint)));
        for (limit, endpoint) in plain.chain(apart).filter(|(limit, _)| limit.scope == scope) {
            let window = Window::new(limit.interval_ms);
            self.pots.push(Pot { limit, endpoint, account, window });
        }
    }

    /// Grants from every pot that `amount` touches, or from none.
    #[inline]
    fn take(
        &mut self,
        priority: Priority,
        now: Nanos,
        amount: impl Fn(&Pot) -> u32,
    ) -> Result<(), Refusal> {
        if let Err(refusal) = self.look(priority, now, &amount) {
            self.counts.n_refused += 1;
            return Err(refusal);
        }
        let now = self.now;
        for pot in &mut self.pots {
            let amount = amount(pot);
            if amount > 0 {
                pot.window.add(amount, now);
            }
        }
        self.counts.n_granted += 1;
        Ok(())
    }

    /// Returns whether as much would be granted.
    #[inline]
    fn look(
        &mut self,
        priority: Priority,
        now: Nanos,
        amount: impl Fn(&Pot) -> u32,
    ) -> Result<(), Refusal> {
        self.now = self.now.max(now);
        let now = self.now;
        if now < self.silent_until {
            return Err(Refusal { until: self.silent_until });
        }
        let share = self.shares.of(priority);
        let mut until = Nanos(i64::MIN);
        for pot in &mut self.pots {
            let amount = amount(pot);
            if amount == 0 {
                continue;
            }
            let max = pot.limit.max;
            let allowed = (u64::from(max) * u64::from(share)).div_ceil(100);
            let allowed = u32::try_from(allowed).unwrap_or(max).min(max);
            let used = pot.window.used(now);
            // A request that costs more than its share goes when nothing else was sent.
            if used.saturating_add(amount) <= allowed || (used == 0 && amount <= max) {
                continue;
            }
            let refused_until = if amount > max {
                Nanos(i64::MAX)
            } else {
                pot.window.falls_to(allowed.saturating_sub(amount))
            };
            until = until.max(refused_until);
        }
        if until > Nanos(i64::MIN) { Err(Refusal { until }) } else { Ok(()) }
    }
}

/// What one account, or nobody in particular, may use of a venue's budgets. Cloning shares.
#[derive(Clone, Debug)]
pub struct Budget {
    limiter: Limiter,
    account: Option<u32>,
}

impl Budget {
    /// Returns a budget without bounds.
    #[must_use]
    pub fn unlimited() -> Self {
        Limiter::new(&[]).address()
    }

    /// Returns the budgets that this is a part of.
    #[must_use]
    pub const fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Takes what a WebSocket message costs. Some tens of nanoseconds; does not allocate.
    ///
    /// # Errors
    ///
    /// If it is more than is left for its kind; nothing was taken then.
    #[inline]
    pub fn take(&self, cost: &Cost, now: Nanos) -> Result<(), Refusal> {
        if cost.weight == 0 && cost.orders == 0 {
            // Subscriptions and pings are no requests; their rate is the connection's to keep.
            return Ok(());
        }
        let account = self.account;
        self.limiter.lock().take(cost.priority, now, |pot| {
            if pot.endpoint.is_some() { 0 } else { amount_of(pot, cost, account) }
        })
    }

    /// Returns whether a message of this cost would be granted now. Takes nothing.
    ///
    /// # Errors
    ///
    /// If it is more than is left for its kind, with when it is worth asking again.
    pub fn look(&self, cost: &Cost, now: Nanos) -> Result<(), Refusal> {
        let account = self.account;
        self.limiter.lock().look(cost.priority, now, |pot| {
            if pot.endpoint.is_some() { 0 } else { amount_of(pot, cost, account) }
        })
    }

    /// Takes what a call over REST costs, its endpoint's budget included.
    ///
    /// # Errors
    ///
    /// If it is more than is left for its kind; nothing was taken then.
    pub fn take_call(&self, call: &Call, now: Nanos) -> Result<(), Refusal> {
        let account = self.account;
        let path = path_of(&call.url);
        self.limiter.lock().take(call.cost.priority, now, |pot| {
            let is_covered = pot.endpoint.is_none_or(|apart| apart.covers(call.method, path));
            if is_covered { amount_of(pot, &call.cost, account) } else { 0 }
        })
    }

    /// Takes an attempt to open a WebSocket.
    ///
    /// # Errors
    ///
    /// If there were too many; nothing was taken then.
    pub fn take_connection(&self, now: Nanos) -> Result<(), Refusal> {
        self.limiter
            .lock()
            .take(Priority::Cancel, now, |pot| u32::from(pot.limit.kind == LimitKind::Connections))
    }

    /// Takes over what the venue says is used: others may share the address.
    pub fn used(&self, usage: &Usage, now: Nanos) {
        let mut state = self.limiter.lock();
        state.now = state.now.max(now);
        let now = state.now;
        for pot in &mut state.pots {
            let is_meant = (pot.limit.kind, pot.limit.interval_ms)
                == (usage.kind, usage.interval_ms)
                && pot.endpoint.is_none()
                && (pot.account.is_none() || pot.account == self.account);
            if is_meant {
                // Never downward: the venue has not seen yet what is under way.
                let missing = usage.used.saturating_sub(pot.window.used(now));
                pot.window.add(missing, now);
            }
        }
    }

    /// Falls silent: the venue has said that there was too much.
    pub fn rebuked(&self, rebuke: Rebuke, retry_after_s: Option<u32>, now: Nanos) {
        let mut state = self.limiter.lock();
        state.now = state.now.max(now);
        let base_ns = match rebuke {
            Rebuke::TooMany => PAUSE_NS,
            Rebuke::Banned => BAN_NS,
        };
        // Several answers to what was under way at once are one rebuke.
        if state.now >= state.silent_until {
            state.n_rebukes = state.n_rebukes.saturating_add(1);
        }
        let doubled_ns = base_ns.saturating_mul(1 << state.n_rebukes.saturating_sub(1).min(20));
        let wait_ns = retry_after_s
            .map_or(doubled_ns, |seconds| i64::from(seconds.max(1)) * Nanos::SECOND)
            .min(PAUSE_NS_MAX);
        state.counts.n_rebukes += 1;
        state.silent_until = state.silent_until.max(state.now.plus(wait_ns));
    }

    /// Notes that the venue answers as it should: the next rebuke is a first one again.
    pub fn forgiven(&self, now: Nanos) {
        let mut state = self.limiter.lock();
        if now >= state.silent_until {
            state.n_rebukes = 0;
        }
    }
}

#[inline]
fn amount_of(pot: &Pot, cost: &Cost, account: Option<u32>) -> u32 {
    if pot.account.is_some() && pot.account != account {
        return 0;
    }
    match pot.limit.kind {
        LimitKind::Weight => cost.weight,
        LimitKind::Requests => 1,
        LimitKind::Orders => cost.orders,
        LimitKind::Connections => 0,
    }
}

fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
    path.split('?').next().unwrap_or_default()
}
