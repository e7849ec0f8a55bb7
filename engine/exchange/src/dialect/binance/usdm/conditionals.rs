//! Futures' conditional orders: the algo service.

use serde_json::{Value, json};

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::{self, ApiError, Doing};
use crate::dialect::binance::spot::orders::read_name;
use crate::dialect::binance::usdm::json as order_json;
use crate::dialect::binance::usdm::market_data::concerns;
use crate::dialect::binance::usdm::orders::read_common;
use crate::dialect::binance::words;
use crate::exchange::{Conditional, ConditionalStatus, NewConditional, TriggerBy, millis};
use crate::fixed::Fixed;
use crate::order::{NewOrder, OrderKind};

pub(super) fn place(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let asked = read(desk, call)?;
    let id = desk
        .exchange
        .place_conditional(call.account, asked)
        .map_err(|reject| error::usdm(reject, Doing::Placing))?;
    let placed = desk.exchange.conditional(id).ok_or_else(no_such)?;
    Ok(order_json::conditional(&desk.exchange, placed))
}

fn no_such() -> ApiError {
    ApiError::new(-2013, "Order does not exist.")
}

fn read(desk: &Desk, call: &Call<'_>) -> Result<NewConditional, ApiError> {
    let params = call.params;
    if params.required("algoType")? != "CONDITIONAL" {
        return Err(ApiError::new(-1130, "Data sent for parameter 'algoType' is not valid."));
    }
    let market = desk.market_id(params)?;
    let side = words::read_side(params.required("side")?)?;
    let mut ask = NewOrder::limit(market, side, Fixed::ZERO, Fixed::ZERO);
    let kind = params.required("type")?;
    ask.kind = match kind {
        "STOP" => OrderKind::StopLossLimit,
        "TAKE_PROFIT" => OrderKind::TakeProfitLimit,
        "STOP_MARKET" | "TRAILING_STOP_MARKET" => OrderKind::StopLoss,
        "TAKE_PROFIT_MARKET" => OrderKind::TakeProfit,
        _ => return Err(ApiError::new(-1116, "Invalid orderType.")),
    };
    let trails = kind == "TRAILING_STOP_MARKET";
    if trails {
        // Percent, from 0.1 to 10.
        let rate = params.required_fixed("callbackRate")?;
        if rate < Fixed::from_units(10_000_000) || rate > Fixed::whole(10) {
            return Err(ApiError::new(-2007, "Invalid callBack rate."));
        }
        ask.trail = rate.divided(100);
    } else {
        ask.stop_price = params.required_fixed("triggerPrice")?;
    }
    if !ask.kind.is_market() {
        ask.price = params.required_fixed("price")?;
    }
    let close_position = params.boolean("closePosition")?;
    if close_position {
        if params.get("quantity").is_some() {
            return Err(ApiError::not_required("quantity"));
        }
        if params.boolean("reduceOnly")? {
            return Err(ApiError::not_required("reduceOnly"));
        }
        if !ask.kind.is_market() || trails {
            return Err(ApiError::not_required("closePosition"));
        }
    } else {
        ask.qty = params.required_fixed("quantity")?;
    }
    if let Some(tif) = params.optional("timeInForce")? {
        ask.tif = words::read_tif(tif, false)?;
    }
    read_common(params, &mut ask)?;
    ask.client_id = read_name(params, "clientAlgoId")?.unwrap_or_default();
    let by = match params.optional("workingType")? {
        None | Some("CONTRACT_PRICE") => TriggerBy::Last,
        Some("MARK_PRICE") => TriggerBy::Mark,
        Some(_) => {
            let msg = "Data sent for parameter 'workingType' is not valid.";
            return Err(ApiError::new(-1130, msg));
        }
    };
    let activate = params.fixed("activatePrice")?.or(params.fixed("activationPrice")?);
    Ok(NewConditional {
        ask,
        by,
        close_position,
        activate_price: activate.unwrap_or(Fixed::ZERO),
        price_protect: params.boolean("priceProtect")?,
    })
}

/// Finds the conditional order that a request names by number or by the client's name.
fn find<'a>(desk: &'a Desk, call: &Call<'_>) -> Result<Option<&'a Conditional>, ApiError> {
    let id = call.params.integer("algoId")?;
    let name = call.params.optional("clientAlgoId")?;
    let mut own = desk.exchange.conditionals_of(call.account);
    match (id, name) {
        (Some(id), _) => Ok(own.find(|known| known.id.0 == id.cast_unsigned())),
        (None, Some(name)) => Ok(own.filter(|known| known.asked.ask.client_id == name).last()),
        (None, None) => {
            let msg = "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!";
            Err(ApiError::new(-1102, msg))
        }
    }
}

pub(super) fn cancel(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let unknown = || ApiError::new(-2011, "Unknown order sent.");
    let id = find(desk, call)?.ok_or_else(unknown)?.id;
    desk.exchange
        .cancel_conditional(call.account, id)
        .map_err(|reject| error::usdm(reject, Doing::Canceling))?;
    let name = desk.exchange.conditional(id).map(|known| known.asked.ask.client_id.clone());
    Ok(json!({"algoId": id.0, "clientAlgoId": name, "code": "200", "msg": "success"}))
}

pub(super) fn cancel_all(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    desk.exchange.cancel_all_conditionals(call.account, market);
    Ok(json!({"code": 200, "msg": "The operation of cancel all open order is done."}))
}

pub(super) fn query(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let found = find(desk, call)?.ok_or_else(no_such)?;
    Ok(order_json::conditional(&desk.exchange, found))
}

pub(super) fn open(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = concerns(desk, call.params)?;
    let own = desk.exchange.conditionals_of(call.account);
    Ok(own
        .filter(|known| known.status == ConditionalStatus::New)
        .filter(|known| market.is_none_or(|market| known.asked.ask.market == market))
        .map(|known| order_json::conditional(&desk.exchange, known))
        .collect())
}

pub(super) fn all(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let limit = call.params.limit(500, 1_000)?;
    let from = call.params.integer("algoId")?;
    let start = call.params.integer("startTime")?;
    let end = call.params.integer("endTime")?;
    let found: Vec<_> = desk
        .exchange
        .conditionals_of(call.account)
        .filter(|known| known.asked.ask.market == market)
        .filter(|known| from.is_none_or(|from| known.id.0 >= from.cast_unsigned()))
        .filter(|known| start.is_none_or(|start| millis(known.created_at) >= start))
        .filter(|known| end.is_none_or(|end| millis(known.created_at) <= end))
        .collect();
    let skip = if from.is_none() { found.len().saturating_sub(limit) } else { 0 };
    let found = found.into_iter().skip(skip).take(limit);
    Ok(found.map(|known| order_json::conditional(&desk.exchange, known)).collect::<Value>())
}
