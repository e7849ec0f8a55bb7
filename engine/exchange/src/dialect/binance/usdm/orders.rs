//! Futures orders.

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::{self, ApiError, Doing};
use crate::dialect::binance::params::Params;
use crate::dialect::binance::spot::orders::{find, read_name, select_orders};
use crate::dialect::binance::usdm::json as order_json;
use crate::dialect::binance::usdm::market_data::concerns;
use crate::dialect::binance::words;
use crate::exchange::CancelOnly;
use crate::fixed::Fixed;
use crate::ids::OrderId;
use crate::order::{NewOrder, Order, OrderKind, OrderStatus, TimeInForce};

/// Most orders that a batch may place, and cancel.
const BATCH_MAX: usize = 5;
const CANCEL_BATCH_MAX: usize = 10;

const NAMES: [&str; 2] = ["orderId", "origClientOrderId"];

pub(super) fn place(desk: &mut Desk, call: &Call<'_>) -> Answer {
    place_one(desk, call, call.params)
}

fn place_one(desk: &mut Desk, call: &Call<'_>, params: &Params) -> Answer {
    let ask = read_order(desk, params)?;
    let tells_result = match params.optional("newOrderRespType")? {
        None | Some("ACK") => false,
        Some("RESULT") => true,
        Some(_) => {
            let msg = "Data sent for parameter 'newOrderRespType' is not valid.";
            return Err(ApiError::new(-1130, msg));
        }
    };
    let id = desk
        .exchange
        .place(call.account, ask)
        .map_err(|reject| refusal(desk, params, reject, Doing::Placing))?;
    let order = desk.exchange.order(id).ok_or_else(ApiError::no_such_order)?;
    if tells_result {
        return Ok(order_json::order(&desk.exchange, order, false));
    }
    // An acknowledgement is written before the order meets the book.
    let mut acknowledged = order.clone();
    acknowledged.status = OrderStatus::New;
    (acknowledged.filled, acknowledged.quote_filled) = (Fixed::ZERO, Fixed::ZERO);
    acknowledged.updated_at = order.created_at;
    Ok(order_json::order(&desk.exchange, &acknowledged, false))
}

/// Returns the venue's error with the symbol's own numbers in it.
fn refusal(desk: &Desk, params: &Params, reject: crate::reject::Reject, doing: Doing) -> ApiError {
    let mut error = error::usdm(reject, doing);
    if reject == crate::reject::Reject::Notional
        && let Ok((_, market)) = desk.market(params)
    {
        error.msg = format!(
            "Order's notional must be no smaller than {} (unless you choose reduce only).",
            market.listing.min_notional.short()
        );
    }
    error
}

pub(super) fn test(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let ask = read_order(desk, call.params)?;
    desk.exchange
        .test(call.account, &ask)
        .map_err(|reject| refusal(desk, call.params, reject, Doing::Placing))?;
    Ok(json!({}))
}

fn read_order(desk: &Desk, params: &Params) -> Result<NewOrder, ApiError> {
    let market = desk.market_id(params)?;
    let side = words::read_side(params.required("side")?)?;
    let mut ask = NewOrder::limit(market, side, Fixed::ZERO, Fixed::ZERO);
    match params.required("type")? {
        "LIMIT" => {
            ask.tif = words::read_tif(params.required("timeInForce")?, false)?;
            ask.price = params.required_fixed("price")?;
        }
        "MARKET" => {
            ask.kind = OrderKind::Market;
            for name in ["price", "timeInForce"] {
                if params.get(name).is_some() {
                    return Err(ApiError::not_required(name));
                }
            }
        }
        "STOP" | "STOP_MARKET" | "TAKE_PROFIT" | "TAKE_PROFIT_MARKET" | "TRAILING_STOP_MARKET" => {
            let msg = "Order type not supported for this endpoint. Please use the Algo Order API \
                       endpoints instead.";
            return Err(ApiError::new(-4120, msg));
        }
        _ => return Err(ApiError::new(-1116, "Invalid orderType.")),
    }
    ask.qty = params.required_fixed("quantity")?;
    read_common(params, &mut ask)?;
    ask.client_id = read_name(params, "newClientOrderId")?.unwrap_or_default();
    Ok(ask)
}

/// Reads what plain and conditional orders share.
pub(super) fn read_common(params: &Params, ask: &mut NewOrder) -> Result<(), ApiError> {
    ask.position_side = words::read_position_side(params.optional("positionSide")?)?;
    ask.reduce_only = params.boolean("reduceOnly")?;
    if ask.reduce_only && ask.position_side != crate::order::PositionSide::Both {
        return Err(ApiError::not_required("reduceOnly"));
    }
    if ask.tif == TimeInForce::Gtd {
        let at = params.integer("goodTillDate")?;
        let at = at.ok_or_else(|| ApiError::missing("goodTillDate"))?;
        ask.good_till = Some(Nanos(at.saturating_mul(1_000_000)));
    }
    ask.self_trade = words::read_self_trade(params.optional("selfTradePreventionMode")?)?;
    Ok(())
}

/// Reads the orders of a batch.
fn read_batch(params: &Params, name: &str, most: usize) -> Result<Vec<Params>, ApiError> {
    let text = params.required(name)?;
    let listed: Vec<serde_json::Map<String, Value>> = serde_json::from_str(text).map_err(|_| {
        ApiError::new(-1130, format!("Data sent for parameter '{name}' is not valid."))
    })?;
    if listed.is_empty() || listed.len() > most {
        return Err(ApiError::new(-4082, "Invalid number of batch place orders."));
    }
    Ok(listed.iter().map(Params::from_json).collect())
}

pub(super) fn place_batch(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let orders = read_batch(call.params, "batchOrders", BATCH_MAX)?;
    let told = |answer: Answer| answer.unwrap_or_else(|error| error.body());
    Ok(orders.iter().map(|params| told(place_one(desk, call, params))).collect())
}

pub(super) fn modify(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let price = call.params.required_fixed("price")?;
    let qty = call.params.required_fixed("quantity")?;
    let side = words::read_side(call.params.required("side")?)?;
    let order = find(desk, call, market, NAMES)?.ok_or_else(ApiError::no_such_order)?;
    if order.ask.side != side {
        return Err(ApiError::new(-1117, "Invalid side."));
    }
    let id = order.id;
    desk.exchange
        .modify(call.account, id, price, qty)
        .map_err(|reject| refusal(desk, call.params, reject, Doing::Amending))?;
    answer_order(desk, id)
}

pub(super) fn modify_batch(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let orders = read_batch(call.params, "batchOrders", BATCH_MAX)?;
    let told = |answer: Answer| answer.unwrap_or_else(|error| error.body());
    Ok(orders.iter().map(|params| told(modify(desk, &Call { params, ..*call }))).collect())
}

fn answer_order(desk: &Desk, id: OrderId) -> Answer {
    let order = desk.exchange.order(id).ok_or_else(ApiError::no_such_order)?;
    Ok(order_json::order(&desk.exchange, order, false))
}

pub(super) fn cancel(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let unknown = || ApiError::new(-2011, "Unknown order sent.");
    let id = find(desk, call, market, NAMES)?.ok_or_else(unknown)?.id;
    desk.exchange
        .cancel(call.account, id, CancelOnly::Any, None)
        .map_err(|reject| error::usdm(reject, Doing::Canceling))?;
    answer_order(desk, id)
}

pub(super) fn cancel_batch(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let read = |name: &str| -> Result<Vec<Value>, ApiError> {
        let Some(text) = call.params.optional(name)? else { return Ok(Vec::new()) };
        serde_json::from_str(text).map_err(|_| {
            ApiError::new(-1130, format!("Data sent for parameter '{name}' is not valid."))
        })
    };
    let (by_id, by_name) = (read("orderIdList")?, read("origClientOrderIdList")?);
    let n = by_id.len() + by_name.len();
    if n == 0 || n > CANCEL_BATCH_MAX {
        return Err(ApiError::new(-4083, "Invalid number of batch cancel orders."));
    }
    let mut answers = Vec::with_capacity(n);
    for (name, list) in [("orderId", by_id), ("origClientOrderId", by_name)] {
        for item in list {
            let mut params = Params::default();
            params.set("symbol", call.params.required("symbol")?);
            let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            params.set(name, &text);
            let answer = cancel(desk, &Call { params: &params, ..*call });
            answers.push(answer.unwrap_or_else(|error| error.body()));
        }
    }
    Ok(Value::Array(answers))
}

pub(super) fn cancel_all(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    desk.exchange.cancel_all(call.account, market);
    Ok(json!({"code": 200, "msg": "The operation of cancel all open order is done."}))
}

pub(super) fn countdown(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let time = call.params.integer("countdownTime")?;
    let time = time.ok_or_else(|| ApiError::missing("countdownTime"))?;
    let at = desk.exchange.now().plus(time.saturating_mul(1_000_000));
    desk.exchange.set_dead_man(call.account, market, (time > 0).then_some(at));
    let symbol = &desk.exchange.market(market).listing.symbol;
    Ok(json!({"symbol": symbol, "countdownTime": time.to_string()}))
}

pub(super) fn query(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let order = find(desk, call, market, NAMES)?.ok_or_else(ApiError::no_such_order)?;
    Ok(order_json::order(&desk.exchange, order, true))
}

pub(super) fn open_one(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let is_open = |order: &&Order| order.status.is_open();
    let order = find(desk, call, market, NAMES)?.filter(is_open);
    let order = order.ok_or_else(ApiError::no_such_order)?;
    Ok(order_json::order(&desk.exchange, order, true))
}

pub(super) fn open(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = concerns(desk, call.params)?;
    let open = desk.exchange.open_orders(call.account);
    Ok(open
        .filter(|order| market.is_none_or(|market| order.ask.market == market))
        .map(|order| order_json::order(&desk.exchange, order, true))
        .collect())
}

pub(super) fn all(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let found = select_orders(desk, call, market, 1_000)?;
    Ok(found.into_iter().map(|order| order_json::order(&desk.exchange, order, true)).collect())
}
