//! Spot orders: placing, canceling, asking.

use serde_json::{Value, json};

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::{self, ApiError, Doing};
use crate::dialect::binance::params::{Params, illegal};
use crate::dialect::binance::spot::json::{self as order_json, Detail};
use crate::dialect::binance::words;
use crate::exchange::{CancelOnly, millis};
use crate::fixed::Fixed;
use crate::ids::{MarketId, OrderId};
use crate::order::{NewOrder, Order, OrderKind, TimeInForce};

pub(super) fn place(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let ask = read_order(desk, call.params)?;
    let detail = read_detail(call.params, ask.kind)?;
    let id = desk
        .exchange
        .place(call.account, ask)
        .map_err(|reject| error::spot(reject, Doing::Placing))?;
    Ok(placed(desk, id, detail))
}

pub(super) fn placed(desk: &Desk, id: OrderId, detail: Detail) -> Value {
    let order = desk.exchange.order(id);
    order.map_or(Value::Null, |order| order_json::placed(&desk.exchange, order, detail))
}

pub(super) fn test(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let ask = read_order(desk, call.params)?;
    let listing = &desk.exchange.market(ask.market).listing;
    let fees = (listing.maker_fee.to_string(), listing.taker_fee.to_string());
    desk.exchange.test(call.account, &ask).map_err(|reject| error::spot(reject, Doing::Placing))?;
    if call.params.boolean("computeCommissionRates")? {
        return Ok(json!({
            "standardCommissionForOrder": {"maker": fees.0, "taker": fees.1},
            "specialCommissionForOrder": {"maker": "0.00000000", "taker": "0.00000000"},
            "taxCommissionForOrder": {"maker": "0.00000000", "taker": "0.00000000"},
            "discount": {"enabledForAccount": false, "enabledForSymbol": false,
                         "discountAsset": "BNB", "discount": "0.25000000"},
        }));
    }
    Ok(json!({}))
}

/// Reads how much the answer tells: all of it for plain orders, unless asked otherwise.
pub(super) fn read_detail(params: &Params, kind: OrderKind) -> Result<Detail, ApiError> {
    match params.optional("newOrderRespType")? {
        Some("ACK") => Ok(Detail::Ack),
        Some("RESULT") => Ok(Detail::Result),
        Some("FULL") => Ok(Detail::Full),
        None if matches!(kind, OrderKind::Limit | OrderKind::Market) => Ok(Detail::Full),
        None => Ok(Detail::Ack),
        Some(_) => {
            Err(ApiError::new(-1130, "Data sent for parameter 'newOrderRespType' is not valid."))
        }
    }
}

/// Reads a new order.
pub(super) fn read_order(desk: &Desk, params: &Params) -> Result<NewOrder, ApiError> {
    let market = desk.market_id(params)?;
    let side = words::read_side(params.required("side")?)?;
    let mut ask = NewOrder::limit(market, side, Fixed::ZERO, Fixed::ZERO);
    read_leg(params, &Names::PLAIN, &mut ask)?;
    let quote_qty = params.fixed("quoteOrderQty")?;
    match (ask.kind, params.fixed("quantity")?, quote_qty) {
        (OrderKind::Market, None, Some(quote_qty)) => {
            if !quote_qty.is_positive() {
                return Err(ApiError::new(-1013, "Invalid quoteOrderQty."));
            }
            ask.quote_qty = quote_qty;
        }
        (OrderKind::Market, Some(_), Some(_)) => {
            let msg = "Combination of optional parameters invalid.";
            return Err(ApiError::new(-1128, msg));
        }
        (OrderKind::Market, None, None) => {
            let msg = "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!";
            return Err(ApiError::new(-1102, msg));
        }
        (_, _, Some(_)) => return Err(ApiError::not_required("quoteOrderQty")),
        (_, _, None) => ask.qty = params.required_fixed("quantity")?,
    }
    ask.self_trade = words::read_self_trade(params.optional("selfTradePreventionMode")?)?;
    Ok(ask)
}

/// What the parameters of one order are called: orders of lists have names of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) kind: &'static str,
    pub(super) price: &'static str,
    pub(super) stop_price: &'static str,
    pub(super) tif: &'static str,
    pub(super) client_id: &'static str,
    pub(super) iceberg: &'static str,
    pub(super) trail: &'static str,
    pub(super) strategy: [&'static str; 2],
}

impl Names {
    pub(super) const PLAIN: Self = Self {
        kind: "type",
        price: "price",
        stop_price: "stopPrice",
        tif: "timeInForce",
        client_id: "newClientOrderId",
        iceberg: "icebergQty",
        trail: "trailingDelta",
        strategy: ["strategyId", "strategyType"],
    };
}

/// Reads how one order trades: kind, prices, time in force, name.
pub(super) fn read_leg(params: &Params, names: &Names, ask: &mut NewOrder) -> Result<(), ApiError> {
    ask.kind = words::read_spot_kind(params.required(names.kind)?)?;
    let has_price = matches!(
        ask.kind,
        OrderKind::Limit
            | OrderKind::LimitMaker
            | OrderKind::StopLossLimit
            | OrderKind::TakeProfitLimit
    );
    if has_price {
        ask.price = params.required_fixed(names.price)?;
    } else if params.get(names.price).is_some() {
        return Err(ApiError::not_required(names.price));
    }
    if has_price && ask.kind != OrderKind::LimitMaker {
        ask.tif = words::read_tif(params.required(names.tif)?, true)?;
    } else if params.get(names.tif).is_some() && ask.kind != OrderKind::LimitMaker {
        return Err(ApiError::not_required(names.tif));
    }
    if ask.kind.is_conditional() {
        let stop = params.fixed(names.stop_price)?;
        let trail = params.integer(names.trail)?;
        if stop.is_none() && trail.is_none() {
            let msg = format!(
                "Param '{}' or '{}' must be sent, but both were empty/null!",
                names.stop_price, names.trail
            );
            return Err(ApiError::new(-1102, msg));
        }
        ask.stop_price = stop.unwrap_or(Fixed::ZERO);
        ask.trail = Fixed::from_units(i128::from(trail.unwrap_or(0)) * 10_000);
    } else {
        for name in [names.stop_price, names.trail] {
            if params.get(name).is_some() {
                return Err(ApiError::not_required(name));
            }
        }
    }
    if let Some(visible) = params.fixed(names.iceberg)? {
        let is_fit = has_price && ask.tif == TimeInForce::Gtc;
        if !is_fit && visible.is_positive() {
            return Err(ApiError::not_required(names.iceberg));
        }
        ask.iceberg_qty = visible;
    }
    ask.client_id = read_name(params, names.client_id)?.unwrap_or_default();
    ask.strategy = (params.integer(names.strategy[0])?, params.integer(names.strategy[1])?);
    if ask.strategy.1.is_some_and(|kind| kind < 1_000_000) {
        return Err(ApiError::new(-1134, "strategyType was less than 1000000."));
    }
    Ok(())
}

/// Reads a client's name for an order or a request.
pub(in crate::dialect::binance) fn read_name(
    params: &Params,
    name: &str,
) -> Result<Option<String>, ApiError> {
    let Some(text) = params.optional(name)? else { return Ok(None) };
    let is_legal = text.len() <= 36
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte));
    if is_legal {
        Ok(Some(text.to_owned()))
    } else {
        Err(illegal(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"))
    }
}

/// Finds the order that a request names by number or by the client's name.
pub(in crate::dialect::binance) fn find<'a>(
    desk: &'a Desk,
    call: &Call<'_>,
    market: MarketId,
    [by_id, by_name]: [&str; 2],
) -> Result<Option<&'a Order>, ApiError> {
    let id = call.params.integer(by_id)?;
    let name = call.params.optional(by_name)?;
    let order = match (id, name) {
        (None, None) => {
            let msg =
                format!("Param '{by_name}' or '{by_id}' must be sent, but both were empty/null!");
            return Err(ApiError::new(-1102, msg));
        }
        (Some(id), _) => desk.exchange.order(OrderId(id.cast_unsigned())),
        (None, Some(name)) => desk.exchange.order_by_client(call.account, market, name),
    };
    let is_it = |order: &&Order| {
        order.account == call.account
            && order.ask.market == market
            && name.is_none_or(|name| id.is_none() || order.ask.client_id == name)
    };
    Ok(order.filter(is_it))
}

pub(super) fn query(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let found = find(desk, call, market, ["orderId", "origClientOrderId"])?;
    let order = found.ok_or_else(ApiError::no_such_order)?;
    Ok(order_json::queried(&desk.exchange, order))
}

pub(super) fn cancel(desk: &mut Desk, call: &Call<'_>) -> Answer {
    cancel_by(desk, call, ["orderId", "origClientOrderId"], "newClientOrderId")
}

/// Cancels the order that a request names; `request_name` is where the cancel's own name is.
pub(super) fn cancel_by(
    desk: &mut Desk,
    call: &Call<'_>,
    names: [&str; 2],
    request_name: &str,
) -> Answer {
    let market = desk.market_id(call.params)?;
    let only = match call.params.optional("cancelRestrictions")? {
        None => CancelOnly::Any,
        Some("ONLY_NEW") => CancelOnly::New,
        Some("ONLY_PARTIALLY_FILLED") => CancelOnly::PartiallyFilled,
        Some(_) => {
            let msg =
                "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`.";
            return Err(ApiError::new(-1145, msg));
        }
    };
    let unknown = || ApiError::new(-2011, "Unknown order sent.");
    let id = find(desk, call, market, names)?.ok_or_else(unknown)?.id;
    let own = read_name(call.params, request_name)?;
    let own = own.unwrap_or_else(|| crate::exchange::made_up_name(id.0 ^ (1 << 61)));
    desk.exchange
        .cancel(call.account, id, only, Some(own.clone()))
        .map_err(|reject| error::spot(reject, Doing::Canceling))?;
    let order = desk.exchange.order(id).ok_or_else(unknown)?;
    Ok(order_json::canceled(&desk.exchange, order, &own))
}

pub(super) fn cancel_all(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let ids = desk.exchange.cancel_all(call.account, market);
    if ids.is_empty() {
        return Err(ApiError::new(-2011, "Unknown order sent."));
    }
    let (mut reports, mut lists) = (Vec::new(), Vec::new());
    for order in ids.iter().filter_map(|id| desk.exchange.order(*id)) {
        let report =
            |order: &Order| order_json::canceled(&desk.exchange, order, &order.ask.client_id);
        // The orders of a list are reported together.
        match order.list {
            None => reports.push(report(order)),
            Some(list) if lists.contains(&list) => {}
            Some(list) => {
                lists.push(list);
                let list = desk.exchange.list(list);
                reports
                    .extend(list.map(|list| order_json::list_with(&desk.exchange, list, report)));
            }
        }
    }
    Ok(Value::Array(reports))
}

pub(super) fn open(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = match call.params.optional("symbol")? {
        Some(_) => Some(desk.market_id(call.params)?),
        None => None,
    };
    let exchange = &desk.exchange;
    Ok(exchange
        .open_orders(call.account)
        .filter(|order| market.is_none_or(|market| order.ask.market == market))
        .map(|order| order_json::queried(exchange, order))
        .collect())
}

pub(super) fn all(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let found = select_orders(desk, call, market, 1_000)?;
    Ok(found.into_iter().map(|order| order_json::queried(&desk.exchange, order)).collect())
}

/// Returns the orders that a request asks for, by number or by time, the oldest first.
pub(in crate::dialect::binance) fn select_orders<'a>(
    desk: &'a Desk,
    call: &Call<'_>,
    market: MarketId,
    most: usize,
) -> Result<Vec<&'a Order>, ApiError> {
    let limit = call.params.limit(500, most)?;
    let from = call.params.integer("orderId")?;
    let start = call.params.integer("startTime")?;
    let end = call.params.integer("endTime")?;
    let found: Vec<_> = desk
        .exchange
        .orders_of(call.account)
        .filter(|order| order.ask.market == market)
        .filter(|order| from.is_none_or(|from| order.id.0 >= from.cast_unsigned()))
        .filter(|order| start.is_none_or(|start| millis(order.created_at) >= start))
        .filter(|order| end.is_none_or(|end| millis(order.created_at) <= end))
        .collect();
    let is_latest = from.is_none() && start.is_none();
    let skip = if is_latest { found.len().saturating_sub(limit) } else { 0 };
    Ok(found.into_iter().skip(skip).take(limit).collect())
}
