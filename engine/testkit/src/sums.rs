//! What an engine counts from event to event, counted anew.

use tercel_core::{Order, ScopeState, Side, State};

/// Compares what the scopes count incrementally with what the orders add up to, and the engine's
/// positions with those of its accounts.
///
/// # Errors
///
/// What differs, with both values.
pub fn check_sums(state: &State) -> Result<(), String> {
    for strategy in &state.strategies {
        let own = |order: &Order| Some(order.strategy) == strategy_of(&strategy.scope);
        check_scope(state, &strategy.scope, own)?;
    }
    for account in &state.accounts {
        let own = |order: &Order| Some(order.account) == account_of(&account.scope);
        check_scope(state, &account.scope, own)?;
    }
    check_scope(state, &state.scope, |_| true)?;
    for (idx, position) in state.scope.positions.iter().enumerate() {
        // Whoever changed them, by a fill or behind our back.
        let held = state.accounts.iter().map(|account| account.scope.positions[idx].qty.0).sum();
        let what = || format!("position of the engine in instrument {idx}");
        equal(what, position.qty.0, held)?;
    }
    equal(|| "orders in the table".to_owned(), state.scope.open_orders, state.orders.n_working())?;
    match state.orders.all_working().find(|order| order.filled > order.spec.qty) {
        Some(order) => Err(format!("order {} is filled beyond what was ordered", order.id)),
        None => Ok(()),
    }
}

fn check_scope(
    state: &State,
    scope: &ScopeState,
    own: impl Fn(&Order) -> bool,
) -> Result<(), String> {
    let mut n_orders = 0;
    let mut open = vec![[0, 0]; state.instruments.len()];
    for order in state.orders.all_working().filter(|order| own(order)) {
        n_orders += 1;
        open[order.spec.instrument.index()][usize::from(order.spec.side == Side::Sell)] +=
            order.exposed_qty().0;
    }
    let id = scope.id;
    for (instrument, (exposure, [buys, sells])) in scope.exposures.iter().zip(open).enumerate() {
        let what = |side| format!("{side} of instrument {instrument} that {id} has open");
        equal(|| what("buys"), exposure.open_buys.0, buys)?;
        equal(|| what("sells"), exposure.open_sells.0, sells)?;
    }
    equal(|| format!("open orders of {id}"), scope.open_orders, n_orders)?;
    let worst: i128 = scope.exposures.iter().map(|exposure| exposure.worst.0).sum();
    equal(|| format!("gross exposure of {id}"), scope.gross.0, worst)
}

const fn strategy_of(scope: &ScopeState) -> Option<tercel_core::StrategyId> {
    match scope.id {
        tercel_core::Scope::Strategy(id) => Some(id),
        _ => None,
    }
}

const fn account_of(scope: &ScopeState) -> Option<tercel_core::AccountId> {
    match scope.id {
        tercel_core::Scope::Account(id) => Some(id),
        _ => None,
    }
}

fn equal<T: PartialEq + std::fmt::Display>(
    what: impl FnOnce() -> String,
    counted: T,
    sum: T,
) -> Result<(), String> {
    if counted == sum {
        return Ok(());
    }
    Err(format!("{}: counted {counted}, but they add up to {sum}", what()))
}
