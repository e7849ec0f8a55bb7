//! Futures orders as JSON.

use serde_json::{Value, json};

use crate::dialect::binance::words;
use crate::exchange::{Conditional, ConditionalStatus, Exchange, Market, TriggerBy, millis};
use crate::fixed::Fixed;
use crate::order::{NewOrder, Order, OrderKind, TimeInForce};

/// Decimals of a symbol's prices and quantities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimals {
    pub(super) price: usize,
    pub(super) qty: usize,
}

impl Decimals {
    pub(super) fn of(market: &Market) -> Self {
        Self { price: market.listing.tick.decimals(), qty: market.listing.step.decimals() }
    }
}

/// Returns what an order was when it came: a conditional one names its own kind.
pub(super) fn original_kind(exchange: &Exchange, order: &Order) -> &'static str {
    match order.conditional.and_then(|id| exchange.conditional(id)) {
        Some(conditional) => conditional_kind(conditional),
        None => kind(&order.ask),
    }
}

pub(super) const fn kind(ask: &NewOrder) -> &'static str {
    if ask.kind.is_market() { "MARKET" } else { "LIMIT" }
}

pub(super) const fn conditional_kind(conditional: &Conditional) -> &'static str {
    if conditional.trail.is_some() {
        return "TRAILING_STOP_MARKET";
    }
    match conditional.asked.ask.kind {
        OrderKind::StopLoss => "STOP_MARKET",
        OrderKind::StopLossLimit => "STOP",
        OrderKind::TakeProfit => "TAKE_PROFIT_MARKET",
        OrderKind::TakeProfitLimit
        | OrderKind::Limit
        | OrderKind::LimitMaker
        | OrderKind::Market => "TAKE_PROFIT",
    }
}

pub(super) const fn trigger_by(by: TriggerBy) -> &'static str {
    match by {
        TriggerBy::Last => "CONTRACT_PRICE",
        TriggerBy::Mark => "MARK_PRICE",
    }
}

const fn good_till(ask: &NewOrder) -> i64 {
    match (ask.tif, ask.good_till) {
        (TimeInForce::Gtd, Some(at)) => millis(at),
        _ => 0,
    }
}

/// Returns an order as answers and queries tell it; queries also tell when it was placed.
pub(super) fn order(exchange: &Exchange, order: &Order, with_time: bool) -> Value {
    let ask = &order.ask;
    let market = exchange.market(ask.market);
    let style = Decimals::of(market);
    let conditional = order.conditional.and_then(|id| exchange.conditional(id));
    let closes = conditional.is_some_and(|conditional| conditional.asked.close_position);
    let mut object = json!({
        "orderId": order.id.0,
        "symbol": market.listing.symbol,
        "status": words::status(order.status),
        "clientOrderId": ask.client_id,
        "price": ask.price.text(style.price),
        "avgPrice": order.average_price().text(5.max(style.price)),
        "origQty": ask.qty.text(style.qty),
        "executedQty": order.filled.text(style.qty),
        "cumQty": order.filled.text(style.qty),
        "cumQuote": order.quote_filled.text(5),
        "timeInForce": words::tif(ask.tif),
        "type": kind(ask),
        "reduceOnly": ask.reduce_only,
        "closePosition": closes,
        "side": words::side(ask.side),
        "positionSide": words::position_side(ask.position_side),
        "stopPrice": Fixed::ZERO.text(style.price),
        "workingType": conditional.map_or("CONTRACT_PRICE", |c| trigger_by(c.asked.by)),
        "priceProtect": conditional.is_some_and(|c| c.asked.price_protect),
        "origType": original_kind(exchange, order),
        "priceMatch": "NONE",
        "selfTradePreventionMode": words::self_trade(ask.self_trade),
        "goodTillDate": good_till(ask),
    });
    if with_time {
        object["time"] = millis(order.created_at).into();
    }
    object["updateTime"] = millis(order.updated_at).into();
    object
}

pub(super) const fn conditional_status(status: ConditionalStatus) -> &'static str {
    match status {
        ConditionalStatus::New => "NEW",
        ConditionalStatus::Triggered => "TRIGGERED",
        ConditionalStatus::Finished => "FINISHED",
        ConditionalStatus::Canceled => "CANCELED",
        ConditionalStatus::Expired => "EXPIRED",
        ConditionalStatus::Rejected => "REJECTED",
    }
}

/// Returns a conditional order as answers and queries tell it.
pub(super) fn conditional(exchange: &Exchange, conditional: &Conditional) -> Value {
    let asked = &conditional.asked;
    let ask = &asked.ask;
    let market = exchange.market(ask.market);
    let style = Decimals::of(market);
    let order = conditional.order.and_then(|id| exchange.order(id));
    let mut object = json!({
        "algoId": conditional.id.0,
        "clientAlgoId": ask.client_id,
        "algoType": "CONDITIONAL",
        "orderType": conditional_kind(conditional),
        "symbol": market.listing.symbol,
        "side": words::side(ask.side),
        "positionSide": words::position_side(ask.position_side),
        "timeInForce": words::tif(ask.tif),
        "quantity": ask.qty.text(style.qty),
        "algoStatus": conditional_status(conditional.status),
        "actualOrderId": conditional.order.map_or_else(String::new, |id| id.0.to_string()),
        "actualQty": order.map_or(Fixed::ZERO, |order| order.filled).text(style.qty),
        "actualType": order.map_or("", |order| kind(&order.ask)),
        "actualPrice": order.map_or(Fixed::ZERO, Order::average_price).text(5),
        "triggerPrice": ask.stop_price.text(style.price),
        "price": ask.price.text(style.price),
        "icebergQuantity": null,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
        "selfTradePreventionMode": words::self_trade(ask.self_trade),
        "workingType": trigger_by(asked.by),
        "priceMatch": "NONE",
        "closePosition": asked.close_position,
        "priceProtect": asked.price_protect,
        "reduceOnly": ask.reduce_only,
        "createTime": millis(conditional.created_at),
        "updateTime": millis(conditional.updated_at),
        "triggerTime": conditional.triggered_at.map_or(0, millis),
        "goodTillDate": good_till(ask),
    });
    if conditional.trail.is_some() {
        object["activatePrice"] = asked.activate_price.text(style.price).into();
        object["callbackRate"] = ask.trail.scaled(100).short().into();
    }
    object
}
