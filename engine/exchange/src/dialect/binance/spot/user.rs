//! What a spot account is told about itself.

use serde_json::{Value, json};

use crate::account::Balance;
use crate::dialect::binance::spot::json::{basis_points, contingency, list_states};
use crate::dialect::binance::words;
use crate::exchange::lists::{ListState, OrderList};
use crate::exchange::{Exchange, millis};
use crate::fixed::Fixed;
use crate::order::{Execution, OrderKind};
use crate::update::Report;

/// Returns what happened to an order.
pub(in crate::dialect::binance) fn execution_report(
    exchange: &Exchange,
    report: &Report,
    now_ms: i64,
) -> Value {
    let (order, ask) = (&report.order, &report.order.ask);
    let fill = report.fill.as_ref();
    let zero = Fixed::ZERO;
    // A request that changes an order has a name of its own; the order's is then the former.
    let (name, former) = match &report.request_id {
        Some(request) if report.execution == Execution::Canceled => (request, &ask.client_id),
        Some(former) => (&ask.client_id, former),
        None if report.execution == Execution::Canceled => (&ask.client_id, &ask.client_id),
        None => (&ask.client_id, const { &String::new() }),
    };
    let mut event = json!({
        "e": "executionReport",
        "E": now_ms,
        "s": exchange.market(ask.market).listing.symbol,
        "c": name,
        "S": words::side(ask.side),
        "o": words::spot_kind(ask.kind),
        "f": words::tif(ask.tif),
        "q": ask.qty.to_string(),
        "p": ask.price.to_string(),
        "P": ask.stop_price.to_string(),
        "F": ask.iceberg_qty.to_string(),
        "g": order.list.map_or(-1, |list| list.0.cast_signed()),
        "C": former,
        "x": words::execution(report.execution),
        "X": words::status(order.status),
        "r": "NONE",
        "i": order.id.0,
        "l": fill.map_or(zero, |fill| fill.qty).to_string(),
        "z": order.filled.to_string(),
        "L": fill.map_or(zero, |fill| fill.price).to_string(),
        "n": fill.map_or_else(|| "0".to_owned(), |fill| fill.fee.to_string()),
        "N": fill.map(|fill| fill.fee_asset.clone()),
        "T": millis(report.at),
        "t": fill.map_or(-1, |fill| fill.trade_id.cast_signed()),
        "I": report.id,
        "w": order.is_working && order.status.is_open() && ask.kind != OrderKind::Market,
        "m": fill.is_some_and(|fill| fill.is_maker),
        "M": fill.is_some(),
        "O": millis(order.created_at),
        "Z": order.quote_filled.to_string(),
        "Y": fill.map_or(zero, |fill| fill.quote_qty).to_string(),
        "Q": ask.quote_qty.to_string(),
        "V": words::self_trade(ask.self_trade),
    });
    if let Some(at) = order.working_at {
        event["W"] = millis(at).into();
    }
    if let Some(trail) = &order.trail {
        event["d"] = basis_points(ask.trail).into();
        event["D"] = trail.since.map_or(-1, millis).into();
    }
    if let Some(id) = ask.strategy.0 {
        event["j"] = id.into();
    }
    if let Some(kind) = ask.strategy.1 {
        event["J"] = kind.into();
    }
    if let Some(prevented) = &report.prevented {
        event["v"] = prevented.id.into();
        event["A"] = order.prevented.to_string().into();
        event["B"] = prevented.qty.to_string().into();
        event["U"] = prevented.counter.0.into();
        event["Cs"] = event["s"].clone();
        event["pl"] = prevented.qty.to_string().into();
        event["pL"] = prevented.price.to_string().into();
        event["pY"] = prevented.price.times_floor(prevented.qty).to_string().into();
    }
    if let Some(reason) = order.expiry {
        event["eR"] = words::expiry(reason).into();
    }
    event
}

/// Returns what an account has of some assets.
pub(in crate::dialect::binance) fn account_position(
    assets: &[(String, Balance)],
    at_ms: i64,
    now_ms: i64,
) -> Value {
    let balances: Vec<_> = assets
        .iter()
        .map(|(asset, balance)| {
            json!({"a": asset, "f": balance.free.to_string(), "l": balance.locked.to_string()})
        })
        .collect();
    json!({
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": at_ms,
        "B": balances,
    })
}

/// Returns that money came or went.
pub(in crate::dialect::binance) fn balance_update(
    asset: &str,
    amount: Fixed,
    now_ms: i64,
) -> Value {
    json!({"e": "balanceUpdate", "E": now_ms, "a": asset, "d": amount.to_string(), "T": now_ms})
}

/// Returns where an order list is.
pub(in crate::dialect::binance) fn list_status(
    exchange: &Exchange,
    list: &OrderList,
    state: ListState,
    now_ms: i64,
) -> Value {
    let symbol = &exchange.market(list.market).listing.symbol;
    let (status, order_status) = list_states(state);
    let orders: Vec<_> = list
        .orders
        .iter()
        .filter_map(|id| exchange.order(*id))
        .map(|order| json!({"s": symbol, "i": order.id.0, "c": order.ask.client_id}))
        .collect();
    json!({
        "e": "listStatus",
        "E": now_ms,
        "s": symbol,
        "g": list.id.0,
        "c": contingency(list.kind),
        "l": status,
        "L": order_status,
        "r": "NONE",
        "C": list.client_id,
        "T": millis(list.at),
        "O": orders,
    })
}
