//! What a restart brings back.

use std::fmt::Write;

use tercel_core::{OrderState, State};

/// Returns everything of a state that a restart promises to bring back, as text: orders, money,
/// memory, timers, positions, limits, switches and what UTC day number `day` has counted. Market data
/// is not part of it.
#[must_use]
pub fn promised(state: &State, day: i64) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_promised(state, day, &mut out);
    out
}

fn write_promised(state: &State, day: i64, out: &mut String) -> std::fmt::Result {
    let mut orders: Vec<_> = state.orders.all_working().collect();
    orders.sort_by_key(|order| order.id);
    for order in orders {
        let state = match order.state {
            OrderState::PendingNew => OrderState::Unknown,
            other => other,
        };
        let (spec, pending, filled) = (order.spec, order.pending, order.filled);
        writeln!(
            out,
            "{:?} {:?} {:?} {state:?} {spec:?} {pending:?} {filled:?} {:?} {}",
            order.id, order.account, order.strategy, order.qty_max, order.venue_order_id
        )?;
    }
    for account in &state.accounts {
        for balance in &account.balances {
            writeln!(out, "{:?}", balance.total)?;
        }
    }
    for strategy in &state.strategies {
        writeln!(out, "{:?} {:?}", strategy.memory, strategy.timers)?;
    }
    let scopes = state.strategies.iter().map(|strategy| &strategy.scope);
    let scopes = scopes.chain(state.accounts.iter().map(|account| &account.scope));
    for scope in scopes.chain([&state.scope]) {
        let open: Vec<_> = scope.exposures.iter().map(|e| (e.open_buys, e.open_sells)).collect();
        // What was counted on an earlier day is over, whether the engine has looked yet or not.
        let today = match scope.today {
            today if today.number == day => (today.orders, today.cancels, today.fills),
            _ => (0, 0, 0),
        };
        writeln!(
            out,
            "{:?} {:?} {} {} {:?} {:?} {open:?} {} {today:?} {:?} {:?}",
            scope.id,
            scope.state,
            scope.keeps_orders,
            scope.flattens,
            scope.limits,
            scope.positions,
            scope.open_orders,
            scope.last_fill_at,
            scope.net_realised
        )?;
    }
    Ok(())
}
