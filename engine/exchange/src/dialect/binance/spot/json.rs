//! Spot orders as JSON.

use serde_json::{Value, json};

use crate::dialect::binance::words;
use crate::exchange::lists::{ListKind, ListState, OrderList};
use crate::exchange::{Exchange, millis};
use crate::fixed::Fixed;
use crate::order::{Fill, Order};

/// How much an answer to a new order tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detail {
    Ack,
    Result,
    Full,
}

fn list_id(order: &Order) -> i64 {
    order.list.map_or(-1, |list| list.0.cast_signed())
}

fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    object[name] = value.into();
}

/// Adds what only some orders have.
fn add_conditional(object: &mut Value, order: &Order) {
    let ask = &order.ask;
    if let Some(trail) = &order.trail {
        set(object, "trailingDelta", basis_points(ask.trail));
        set(object, "trailingTime", trail.since.map_or(-1, millis));
    }
    if let Some(id) = ask.strategy.0 {
        set(object, "strategyId", id);
    }
    if let Some(kind) = ask.strategy.1 {
        set(object, "strategyType", kind);
    }
    if order.prevented.is_positive() {
        set(object, "preventedQuantity", order.prevented.to_string());
    }
    if let Some(reason) = order.expiry {
        set(object, "expiryReason", words::expiry(reason));
    }
}

/// Returns a fraction in hundredths of a percent.
pub(super) fn basis_points(share: Fixed) -> i64 {
    i64::try_from(share.units() / 10_000).unwrap_or(i64::MAX)
}

/// Returns an order as queries and lists of orders tell it.
pub(super) fn queried(exchange: &Exchange, order: &Order) -> Value {
    let ask = &order.ask;
    let mut object = json!({
        "symbol": exchange.market(ask.market).listing.symbol,
        "orderId": order.id.0,
        "orderListId": list_id(order),
        "clientOrderId": ask.client_id,
        "price": ask.price.to_string(),
        "origQty": ask.qty.to_string(),
        "executedQty": order.filled.to_string(),
        "cummulativeQuoteQty": order.quote_filled.to_string(),
        "status": words::status(order.status),
        "timeInForce": words::tif(ask.tif),
        "type": words::spot_kind(ask.kind),
        "side": words::side(ask.side),
        "stopPrice": ask.stop_price.to_string(),
        "icebergQty": ask.iceberg_qty.to_string(),
        "time": millis(order.created_at),
        "updateTime": millis(order.updated_at),
        "isWorking": order.is_working,
        "workingTime": order.working_at.map_or(-1, millis),
        "origQuoteOrderQty": ask.quote_qty.to_string(),
        "selfTradePreventionMode": words::self_trade(ask.self_trade),
    });
    add_conditional(&mut object, order);
    object
}

/// Returns the answer to a new order.
pub(super) fn placed(exchange: &Exchange, order: &Order, detail: Detail) -> Value {
    let ask = &order.ask;
    let mut object = json!({
        "symbol": exchange.market(ask.market).listing.symbol,
        "orderId": order.id.0,
        "orderListId": list_id(order),
        "clientOrderId": ask.client_id,
        "transactTime": millis(order.updated_at),
    });
    if detail == Detail::Ack {
        return object;
    }
    for (name, value) in [
        ("price", ask.price.to_string()),
        ("origQty", ask.qty.to_string()),
        ("executedQty", order.filled.to_string()),
        ("origQuoteOrderQty", ask.quote_qty.to_string()),
        ("cummulativeQuoteQty", order.quote_filled.to_string()),
        ("status", words::status(order.status).to_owned()),
        ("timeInForce", words::tif(ask.tif).to_owned()),
        ("type", words::spot_kind(ask.kind).to_owned()),
        ("side", words::side(ask.side).to_owned()),
    ] {
        set(&mut object, name, value);
    }
    add_details(&mut object, order);
    if detail == Detail::Full {
        let fills = exchange.fills_of(order);
        set(&mut object, "fills", fills.iter().map(fill).collect::<Vec<_>>());
    }
    object
}

fn add_details(object: &mut Value, order: &Order) {
    if order.ask.stop_price.is_positive() {
        set(object, "stopPrice", order.ask.stop_price.to_string());
    }
    if order.ask.iceberg_qty.is_positive() {
        set(object, "icebergQty", order.ask.iceberg_qty.to_string());
    }
    if let Some(at) = order.working_at {
        set(object, "workingTime", millis(at));
    }
    set(object, "selfTradePreventionMode", words::self_trade(order.ask.self_trade));
    add_conditional(object, order);
}

fn fill(fill: &Fill) -> Value {
    json!({
        "price": fill.price.to_string(),
        "qty": fill.qty.to_string(),
        "commission": fill.fee.to_string(),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.trade_id,
    })
}

/// Returns the answer to a cancel. `name` is the cancel's own name.
pub(super) fn canceled(exchange: &Exchange, order: &Order, name: &str) -> Value {
    let ask = &order.ask;
    let mut object = json!({
        "symbol": exchange.market(ask.market).listing.symbol,
        "origClientOrderId": ask.client_id,
        "orderId": order.id.0,
        "orderListId": list_id(order),
        "clientOrderId": name,
        "transactTime": millis(order.updated_at),
        "price": ask.price.to_string(),
        "origQty": ask.qty.to_string(),
        "executedQty": order.filled.to_string(),
        "origQuoteOrderQty": ask.quote_qty.to_string(),
        "cummulativeQuoteQty": order.quote_filled.to_string(),
        "status": words::status(order.status),
        "timeInForce": words::tif(ask.tif),
        "type": words::spot_kind(ask.kind),
        "side": words::side(ask.side),
    });
    if order.ask.stop_price.is_positive() {
        set(&mut object, "stopPrice", order.ask.stop_price.to_string());
    }
    if order.ask.iceberg_qty.is_positive() {
        set(&mut object, "icebergQty", order.ask.iceberg_qty.to_string());
    }
    set(&mut object, "selfTradePreventionMode", words::self_trade(ask.self_trade));
    add_conditional(&mut object, order);
    object
}

/// Returns a list's kind as the venue names it: a triggered pair is a one-triggers-other too.
pub(super) const fn contingency(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Oco => "OCO",
        ListKind::Oto | ListKind::Otoco => "OTO",
    }
}

/// Returns a list's two states as the venue names them.
pub(super) const fn list_states(state: ListState) -> (&'static str, &'static str) {
    match state {
        ListState::Executing => ("EXEC_STARTED", "EXECUTING"),
        ListState::Done => ("ALL_DONE", "ALL_DONE"),
    }
}

/// Returns an order list without reports.
pub(super) fn list(exchange: &Exchange, list: &OrderList) -> Value {
    let symbol = &exchange.market(list.market).listing.symbol;
    let (status, order_status) = list_states(list.state);
    let orders: Vec<_> = list
        .orders
        .iter()
        .filter_map(|id| exchange.order(*id))
        .map(|order| {
            json!({"symbol": symbol, "orderId": order.id.0,
                   "clientOrderId": order.ask.client_id})
        })
        .collect();
    json!({
        "orderListId": list.id.0,
        "contingencyType": contingency(list.kind),
        "listStatusType": status,
        "listOrderStatus": order_status,
        "listClientOrderId": list.client_id,
        "transactionTime": millis(list.at),
        "symbol": symbol,
        "orders": orders,
    })
}

/// Returns an order list with a report of each order.
pub(super) fn list_with(
    exchange: &Exchange,
    order_list: &OrderList,
    report: impl Fn(&Order) -> Value,
) -> Value {
    let mut object = list(exchange, order_list);
    let orders = order_list.orders.iter().filter_map(|id| exchange.order(*id));
    set(&mut object, "orderReports", orders.map(report).collect::<Vec<_>>());
    object
}
