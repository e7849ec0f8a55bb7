//! What several engines say of themselves, put together to what the server says.

use std::collections::BTreeMap;

use tercel_core::{Notional, TradingState};

use super::status::{N_ORDERS, money, name_of};
use crate::control_api::{
    AccountStatus, BalanceStatus, EngineStatus, HookStatus, InstrumentStatus, LimitStatus,
    LinkStatus, OrderStatus, PositionStatus, RingStatus, Status, StrategyStatus,
};

/// What one engine knows.
#[derive(Debug)]
pub(super) struct EngineView {
    pub(super) state: TradingState,
    pub(super) accounts: Vec<AccountView>,
    pub(super) own: EngineStatus,
    pub(super) instruments: Vec<InstrumentStatus>,
    pub(super) positions: Vec<PositionStatus>,
    pub(super) orders: Vec<OrderStatus>,
    pub(super) strategies: Vec<StrategyStatus>,
    pub(super) limits: Vec<LimitStatus>,
    pub(super) links: Vec<LinkStatus>,
    pub(super) rings: Vec<RingStatus>,
    pub(super) hooks: Vec<HookStatus>,
}

/// An account, or an engine's share of it, in amounts that can be added.
#[derive(Clone, Debug)]
pub(super) struct AccountView {
    pub(super) name: String,
    pub(super) state: TradingState,
    pub(super) equity: Notional,
    pub(super) pnl: Notional,
    /// Name of the asset, total, locked.
    pub(super) balances: Vec<(String, Notional, Notional)>,
}

/// Adds up what engines, at least one, say, into a status.
pub(super) fn put_together(mut views: Vec<EngineView>, status: &mut Status) {
    let state = views.iter().map(|view| view.state).max();
    status.state = state.map_or(status.state, name_of);
    status.seq = views.iter().map(|view| view.own.seq).sum();
    status.now_ns = views.iter().map(|view| view.own.now_ns).max().unwrap_or(status.now_ns);
    status.n_open_orders = views.iter().map(|view| view.own.n_open_orders).sum();
    status.accounts = accounts(&views).iter().map(shown).collect();
    status.instruments = instruments(&mut views);
    let has_several = views.len() > 1;
    for (view, number) in views.into_iter().zip(1..) {
        status.positions.extend(view.positions);
        status.orders.extend(view.orders);
        status.strategies.extend(view.strategies);
        status.limits.extend(view.limits);
        status.links.extend(view.links);
        status.rings.extend(view.rings);
        status.hooks.extend(view.hooks);
        let journal = &view.own.journal;
        status.journal.n_records += journal.n_records;
        status.journal.n_durable += journal.n_durable;
        if let (Some(why), None) = (&journal.failure, &status.journal.failure) {
            let whose = if has_several { format!("engine {number}: ") } else { String::new() };
            status.journal.failure = Some(format!("{whose}{why}"));
        }
        status.tape.n_events += view.own.tape.n_events;
        status.tape.n_dropped += view.own.tape.n_dropped;
        status.engines.push(view.own);
    }
    if has_several {
        status.orders.sort_by_key(|order| std::cmp::Reverse(order.age_ms));
        status.orders.truncate(N_ORDERS);
    }
}

/// Adds up the shares of each account, in the order of their ids, which are the same on all engines.
fn accounts(views: &[EngineView]) -> Vec<AccountView> {
    let mut sums: Vec<AccountView> = Vec::new();
    for view in views {
        for (n, own) in view.accounts.iter().enumerate() {
            let Some(sum) = sums.get_mut(n) else {
                sums.push(own.clone());
                continue;
            };
            sum.state = sum.state.max(own.state);
            sum.equity += own.equity;
            sum.pnl += own.pnl;
            for ((_, total, locked), (_, own_total, own_locked)) in
                sum.balances.iter_mut().zip(&own.balances)
            {
                *total += *own_total;
                *locked += *own_locked;
            }
        }
    }
    sums
}

fn shown(account: &AccountView) -> AccountStatus {
    AccountStatus {
        name: account.name.clone(),
        state: name_of(account.state),
        equity: money(account.equity),
        pnl: money(account.pnl),
        balances: account
            .balances
            .iter()
            .map(|(asset, total, locked)| BalanceStatus {
                asset: asset.clone(),
                total: money(*total),
                locked: money(*locked),
            })
            .collect(),
    }
}

/// Takes of each instrument what an engine says that follows it; of several the first whose book is whole.
fn instruments(views: &mut [EngineView]) -> Vec<InstrumentStatus> {
    let mut best: BTreeMap<usize, InstrumentStatus> = BTreeMap::new();
    for view in views {
        for (n, own) in std::mem::take(&mut view.instruments).into_iter().enumerate() {
            if best.get(&n).is_none_or(|best| own.is_live && !best.is_live) {
                best.insert(n, own);
            }
        }
    }
    best.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_api::JournalStatus;

    fn view(state: TradingState, shares: &[i128], is_live: bool, n: u64) -> EngineView {
        let account = |(id, share): (usize, &i128)| AccountView {
            name: format!("a{id}"),
            state,
            equity: Notional(share * Notional::ONE),
            pnl: Notional(-share * Notional::ONE),
            balances: vec![("USDT".to_owned(), Notional(*share), Notional(1))],
        };
        let order = |age_ms| OrderStatus { age_ms, ..OrderStatus::default() };
        EngineView {
            state,
            accounts: shares.iter().enumerate().map(account).collect(),
            own: EngineStatus {
                seq: n,
                now_ns: 5,
                n_open_orders: n,
                journal: JournalStatus {
                    n_records: n,
                    n_durable: 1,
                    failure: (!is_live).then(|| "full".to_owned()),
                },
                ..EngineStatus::default()
            },
            instruments: vec![InstrumentStatus { is_live, ..InstrumentStatus::default() }],
            positions: Vec::new(),
            orders: vec![order(n), order(n + 10)],
            strategies: Vec::new(),
            limits: Vec::new(),
            links: Vec::new(),
            rings: Vec::new(),
            hooks: Vec::new(),
        }
    }

    #[test]
    fn what_engines_say_adds_up() {
        let mut status = Status::default();
        let halted = view(TradingState::Halted, &[3, 0], false, 7);
        put_together(vec![halted, view(TradingState::Active, &[4, 9], true, 5)], &mut status);
        let amounts: Vec<_> = status
            .accounts
            .iter()
            .map(|own| (own.name.as_str(), own.equity.as_str(), own.pnl.as_str()))
            .collect();
        assert_eq!(amounts, [("a0", "7", "-7"), ("a1", "9", "-9")]);
        assert_eq!(status.accounts[0].balances[0].locked, "0.000000000000000002");
        assert_eq!(status.state, name_of(TradingState::Halted));
        assert_eq!((status.seq, status.n_open_orders, status.engines.len()), (12, 12, 2));
        assert!(status.instruments[0].is_live && status.instruments.len() == 1);
        assert_eq!(status.journal.failure.as_deref(), Some("engine 1: full"));
        let ages: Vec<_> = status.orders.iter().map(|order| order.age_ms).collect();
        assert_eq!(ages, [17, 15, 7, 5]);
    }

    #[test]
    fn one_engine_says_what_it_says() {
        let mut status = Status::default();
        put_together(vec![view(TradingState::Active, &[3], false, 7)], &mut status);
        assert_eq!(status.journal.failure.as_deref(), Some("full"));
        let ages: Vec<_> = status.orders.iter().map(|order| order.age_ms).collect();
        assert_eq!((status.accounts.len(), ages), (1, vec![7, 17]));
    }
}
