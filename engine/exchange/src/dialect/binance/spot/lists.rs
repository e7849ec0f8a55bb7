//! Spot order lists.

use serde_json::Value;

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::{self, ApiError, Doing};
use crate::dialect::binance::params::Params;
use crate::dialect::binance::spot::json::{self as order_json, Detail};
use crate::dialect::binance::spot::orders::{Names, read_leg, read_name};
use crate::dialect::binance::words;
use crate::exchange::lists::{ListState, OrderList};
use crate::exchange::millis;
use crate::fixed::Fixed;
use crate::ids::ListId;
use crate::order::{NewOrder, OrderKind};

macro_rules! names {
    ($prefix:literal) => {
        Names {
            kind: concat!($prefix, "Type"),
            price: concat!($prefix, "Price"),
            stop_price: concat!($prefix, "StopPrice"),
            tif: concat!($prefix, "TimeInForce"),
            client_id: concat!($prefix, "ClientOrderId"),
            iceberg: concat!($prefix, "IcebergQty"),
            trail: concat!($prefix, "TrailingDelta"),
            strategy: [concat!($prefix, "StrategyId"), concat!($prefix, "StrategyType")],
        }
    };
}

const ABOVE: Names = names!("above");
const BELOW: Names = names!("below");
const WORKING: Names = names!("working");
const PENDING: Names = names!("pending");
const PENDING_ABOVE: Names = names!("pendingAbove");
const PENDING_BELOW: Names = names!("pendingBelow");

/// Reads one order of a list.
fn read(
    desk: &Desk,
    params: &Params,
    names: &Names,
    [side, qty]: [&str; 2],
) -> Result<NewOrder, ApiError> {
    let market = desk.market_id(params)?;
    let side = words::read_side(params.required(side)?)?;
    let qty = params.required_fixed(qty)?;
    let mut ask = NewOrder::limit(market, side, qty, Fixed::ZERO);
    read_leg(params, names, &mut ask)?;
    ask.self_trade = words::read_self_trade(params.optional("selfTradePreventionMode")?)?;
    Ok(ask)
}

/// Checks that a pair is one order that waits in the book and one that stops losses.
fn check_kinds(above: &NewOrder, below: &NewOrder) -> Result<(), ApiError> {
    let is_stop =
        |ask: &NewOrder| matches!(ask.kind, OrderKind::StopLoss | OrderKind::StopLossLimit);
    let is_gain = |ask: &NewOrder| {
        matches!(
            ask.kind,
            OrderKind::LimitMaker | OrderKind::TakeProfit | OrderKind::TakeProfitLimit
        )
    };
    for leg in [above, below] {
        if !is_stop(leg) && !is_gain(leg) {
            return Err(ApiError::new(-1158, "Order type not supported in OCO."));
        }
    }
    let is_buy = above.side == tercel_core::Side::Buy;
    match (is_buy, is_stop(above), is_stop(below)) {
        (true, true, false) | (false, false, true) => Ok(()),
        (true, _, true) => {
            Err(ApiError::new(-1196, "A stop loss order in a buy OCO must be above."))
        }
        (false, true, _) => {
            Err(ApiError::new(-1197, "A stop loss order in a sell OCO must be below."))
        }
        (_, false, false) => {
            Err(ApiError::new(-1168, "At least one OCO order must be contingent."))
        }
    }
}

pub(super) fn oco(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let above = read(desk, call.params, &ABOVE, ["side", "quantity"])?;
    let below = read(desk, call.params, &BELOW, ["side", "quantity"])?;
    place_oco(desk, call, above, below)
}

fn place_oco(desk: &mut Desk, call: &Call<'_>, above: NewOrder, below: NewOrder) -> Answer {
    check_kinds(&above, &below)?;
    let name = read_name(call.params, "listClientOrderId")?.unwrap_or_default();
    let id = desk
        .exchange
        .place_oco(call.account, name, above, below)
        .map_err(|reject| error::spot(reject, Doing::Placing))?;
    placed(desk, call, id)
}

/// The former way to place a pair: a limit order and a stop order.
pub(super) fn old_oco(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let params = call.params;
    let market = desk.market_id(params)?;
    let side = words::read_side(params.required("side")?)?;
    let qty = params.required_fixed("quantity")?;
    let mut limit = NewOrder::limit(market, side, qty, params.required_fixed("price")?);
    limit.kind = OrderKind::LimitMaker;
    limit.client_id = read_name(params, "limitClientOrderId")?.unwrap_or_default();
    let mut stop = NewOrder::limit(market, side, qty, Fixed::ZERO);
    stop.kind = OrderKind::StopLoss;
    stop.stop_price = params.required_fixed("stopPrice")?;
    stop.client_id = read_name(params, "stopClientOrderId")?.unwrap_or_default();
    if let Some(price) = params.fixed("stopLimitPrice")? {
        stop.kind = OrderKind::StopLossLimit;
        stop.price = price;
        stop.tif = words::read_tif(params.required("stopLimitTimeInForce")?, true)?;
    }
    let (above, below) = match side {
        tercel_core::Side::Buy => (stop, limit),
        tercel_core::Side::Sell => (limit, stop),
    };
    place_oco(desk, call, above, below)
}

pub(super) fn oto(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let working = read(desk, call.params, &WORKING, ["workingSide", "workingQuantity"])?;
    let pending = read(desk, call.params, &PENDING, ["pendingSide", "pendingQuantity"])?;
    place_oto(desk, call, working, vec![pending])
}

pub(super) fn otoco(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let working = read(desk, call.params, &WORKING, ["workingSide", "workingQuantity"])?;
    let names = ["pendingSide", "pendingQuantity"];
    let above = read(desk, call.params, &PENDING_ABOVE, names)?;
    if call.params.get(PENDING_BELOW.kind).is_none() {
        return place_oto(desk, call, working, vec![above]);
    }
    let below = read(desk, call.params, &PENDING_BELOW, names)?;
    check_kinds(&above, &below)?;
    place_oto(desk, call, working, vec![above, below])
}

fn place_oto(
    desk: &mut Desk,
    call: &Call<'_>,
    working: NewOrder,
    pending: Vec<NewOrder>,
) -> Answer {
    if !matches!(working.kind, OrderKind::Limit | OrderKind::LimitMaker) {
        return Err(ApiError::new(-1116, "Invalid orderType."));
    }
    let name = read_name(call.params, "listClientOrderId")?.unwrap_or_default();
    let id = desk
        .exchange
        .place_oto(call.account, name, working, pending)
        .map_err(|reject| error::spot(reject, Doing::Placing))?;
    placed(desk, call, id)
}

fn placed(desk: &Desk, call: &Call<'_>, id: ListId) -> Answer {
    let detail = match call.params.optional("newOrderRespType")? {
        Some("ACK") => Detail::Ack,
        Some("FULL") => Detail::Full,
        _ => Detail::Result,
    };
    let list = desk.exchange.list(id).ok_or_else(no_such_list)?;
    Ok(order_json::list_with(&desk.exchange, list, |order| {
        order_json::placed(&desk.exchange, order, detail)
    }))
}

fn no_such_list() -> ApiError {
    ApiError::new(-2018, "Order list does not exist.")
}

/// Finds the list that a request names by number or by the client's name.
fn find<'a>(
    desk: &'a Desk,
    call: &Call<'_>,
    by_name: &str,
) -> Result<Option<&'a OrderList>, ApiError> {
    let id = call.params.integer("orderListId")?;
    let name = call.params.optional(by_name)?;
    let mut lists = desk.exchange.lists_of(call.account);
    match (id, name) {
        (Some(id), _) => Ok(lists.find(|list| list.id.0 == id.cast_unsigned())),
        (None, Some(name)) => Ok(lists.filter(|list| list.client_id == name).last()),
        (None, None) => {
            let msg = format!(
                "Param '{by_name}' or 'orderListId' must be sent, but both were empty/null!"
            );
            Err(ApiError::new(-1102, msg))
        }
    }
}

pub(super) fn cancel(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let unknown = || ApiError::new(-2011, "Unknown order list sent.");
    let id = find(desk, call, "listClientOrderId")?.ok_or_else(unknown)?.id;
    desk.exchange.cancel_list(call.account, id).map_err(|_| unknown())?;
    let list = desk.exchange.list(id).ok_or_else(unknown)?;
    Ok(order_json::list_with(&desk.exchange, list, |order| {
        order_json::canceled(&desk.exchange, order, &order.ask.client_id)
    }))
}

pub(super) fn query(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let list = find(desk, call, "origClientOrderId")?.ok_or_else(no_such_list)?;
    Ok(order_json::list(&desk.exchange, list))
}

pub(super) fn all(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let limit = call.params.limit(500, 1_000)?;
    let from = call.params.integer("fromId")?;
    let start = call.params.integer("startTime")?;
    let end = call.params.integer("endTime")?;
    let found: Vec<_> = desk
        .exchange
        .lists_of(call.account)
        .filter(|list| from.is_none_or(|from| list.id.0 >= from.cast_unsigned()))
        .filter(|list| start.is_none_or(|start| millis(list.at) >= start))
        .filter(|list| end.is_none_or(|end| millis(list.at) <= end))
        .collect();
    let skip = if from.is_none() { found.len().saturating_sub(limit) } else { 0 };
    let found = found.into_iter().skip(skip).take(limit);
    Ok(found.map(|list| order_json::list(&desk.exchange, list)).collect())
}

pub(super) fn open(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let lists = desk.exchange.lists_of(call.account);
    let open = lists.filter(|list| list.state == ListState::Executing);
    Ok(open.map(|list| order_json::list(&desk.exchange, list)).collect::<Value>())
}
