//! Spot orders: one for another, or made smaller.

use serde_json::{Value, json};

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::{self, ApiError, Doing};
use crate::dialect::binance::spot::json as order_json;
use crate::dialect::binance::spot::orders::{
    cancel_by, find, placed, read_detail, read_name, read_order,
};

pub(super) fn cancel_replace(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let stops = match call.params.required("cancelReplaceMode")? {
        "STOP_ON_FAILURE" => true,
        "ALLOW_FAILURE" => false,
        _ => {
            let msg = "Data sent for parameter 'cancelReplaceMode' is not valid.";
            return Err(ApiError::new(-1130, msg));
        }
    };
    let ask = read_order(desk, call.params)?;
    let detail = read_detail(call.params, ask.kind)?;
    // A new order that breaks a filter fails both halves before anything happens.
    let names = ["cancelOrderId", "cancelOrigClientOrderId"];
    let canceled = cancel_by(desk, call, names, "cancelNewClientOrderId");
    let placing = if canceled.is_err() && stops {
        None
    } else {
        let outcome = desk.exchange.place(call.account, ask);
        Some(outcome.map_err(|reject| error::spot(reject, Doing::Placing)))
    };
    let placing = placing.map(|outcome| outcome.map(|id| placed(desk, id, detail)));
    let cancel_result = if canceled.is_ok() { "SUCCESS" } else { "FAILURE" };
    let new_result = match &placing {
        None => "NOT_ATTEMPTED",
        Some(Ok(_)) => "SUCCESS",
        Some(Err(_)) => "FAILURE",
    };
    let both = canceled.is_ok() && matches!(placing, Some(Ok(_)));
    let neither = canceled.is_err() && !matches!(placing, Some(Ok(_)));
    let told = |outcome: Answer| outcome.unwrap_or_else(|error| error.body());
    let data = json!({
        "cancelResult": cancel_result,
        "newOrderResult": new_result,
        "cancelResponse": told(canceled),
        "newOrderResponse": placing.map_or(Value::Null, told),
    });
    if both {
        return Ok(data);
    }
    let (status, code, msg) = if neither {
        (400, -2022, "Order cancel-replace failed.")
    } else {
        (409, -2021, "Order cancel-replace partially failed.")
    };
    let mut error = ApiError::new(code, msg).with_status(status);
    error.data = Some(data);
    Err(error)
}

pub(super) fn amend(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let unknown = || ApiError::new(-2038, "Unknown order sent.");
    let order = find(desk, call, market, ["orderId", "origClientOrderId"])?.ok_or_else(unknown)?;
    let (id, former) = (order.id, order.ask.client_id.clone());
    let qty = call.params.required_fixed("newQty")?;
    let name = read_name(call.params, "newClientOrderId")?;
    desk.exchange
        .amend(call.account, id, qty, name)
        .map_err(|reject| error::spot(reject, Doing::Amending))?;
    let order = desk.exchange.order(id).ok_or_else(unknown)?;
    let mut amended = order_json::queried(&desk.exchange, order);
    amended["origClientOrderId"] = former.into();
    let mut answer = json!({
        "transactTime": crate::exchange::millis(order.updated_at),
        "executionId": order.n_changes,
        "amendedOrder": {
            "symbol": amended["symbol"],
            "orderId": amended["orderId"],
            "orderListId": amended["orderListId"],
            "origClientOrderId": amended["origClientOrderId"],
            "clientOrderId": amended["clientOrderId"],
            "price": amended["price"],
            "qty": amended["origQty"],
            "executedQty": amended["executedQty"],
            "preventedQty": order.prevented.to_string(),
            "quoteOrderQty": amended["origQuoteOrderQty"],
            "cumulativeQuoteQty": amended["cummulativeQuoteQty"],
            "status": amended["status"],
            "timeInForce": amended["timeInForce"],
            "type": amended["type"],
            "side": amended["side"],
            "workingTime": amended["workingTime"],
            "selfTradePreventionMode": amended["selfTradePreventionMode"],
        },
    });
    if let Some(list) = order.list.and_then(|list| desk.exchange.list(list)) {
        answer["listStatus"] = order_json::list(&desk.exchange, list);
    }
    Ok(answer)
}
