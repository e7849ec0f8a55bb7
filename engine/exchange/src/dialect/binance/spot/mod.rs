//! Spot: `/api/v3` and its WebSocket API.

pub(super) mod account;
pub(super) mod json;
mod lists;
pub(super) mod market_data;
pub(super) mod orders;
mod replace;
mod rules;
pub(super) mod user;

use crate::dialect::binance::desk::{Endpoint, Security, none, one};
use crate::dialect::binance::params::Params;

fn two(_: &Params) -> i64 {
    2
}

fn four(_: &Params) -> i64 {
    4
}

fn twenty(_: &Params) -> i64 {
    20
}

fn forty_or(params: &Params, with_symbol: i64, without: i64) -> i64 {
    if params.get("symbol").is_some() { with_symbol } else { without }
}

fn depth_weight(params: &Params) -> i64 {
    match params.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100_i64) {
        ..=100 => 5,
        101..=500 => 25,
        501..=1_000 => 50,
        _ => 250,
    }
}

fn ticker_weight(params: &Params) -> i64 {
    forty_or(params, 2, 4)
}

fn day_weight(params: &Params) -> i64 {
    forty_or(params, 2, 80)
}

fn open_weight(params: &Params) -> i64 {
    forty_or(params, 6, 80)
}

fn fills_weight(params: &Params) -> i64 {
    if params.get("orderId").is_some() { 5 } else { 20 }
}

fn three(_: &Params) -> i64 {
    3
}

use Security::{Public, Signed};

macro_rules! endpoints {
    ($($http:literal $ws:literal $security:ident $weight:ident $orders:ident $run:path;)*) => {
        &[$(Endpoint {
            http: $http, ws: $ws, security: $security, weight: $weight, orders: $orders, run: $run,
        }),*]
    };
}
pub(super) use endpoints;

/// All that spot answers: HTTP, WebSocket, who may, weight, orders, how.
pub(super) const ENDPOINTS: &[Endpoint] = endpoints! {
    "GET /api/v3/ping" "ping" Public one none market_data::ping;
    "GET /api/v3/time" "time" Public one none market_data::time;
    "GET /api/v3/exchangeInfo" "exchangeInfo" Public twenty none rules::exchange_info;
    "GET /api/v3/depth" "depth" Public depth_weight none market_data::depth;
    "GET /api/v3/trades" "trades.recent" Public twenty none market_data::trades;
    "GET /api/v3/historicalTrades" "trades.historical" Public twenty none market_data::trades;
    "GET /api/v3/aggTrades" "trades.aggregate" Public four none market_data::aggregates;
    "GET /api/v3/klines" "klines" Public two none market_data::klines;
    "GET /api/v3/uiKlines" "uiKlines" Public two none market_data::klines;
    "GET /api/v3/avgPrice" "avgPrice" Public two none market_data::average_price;
    "GET /api/v3/ticker/24hr" "ticker.24hr" Public day_weight none market_data::day_ticker;
    "GET /api/v3/ticker/tradingDay" "ticker.tradingDay" Public day_weight none market_data::day_ticker;
    "GET /api/v3/ticker" "ticker" Public day_weight none market_data::day_ticker;
    "GET /api/v3/ticker/price" "ticker.price" Public ticker_weight none market_data::price_ticker;
    "GET /api/v3/ticker/bookTicker" "ticker.book" Public ticker_weight none market_data::book_ticker;
    "POST /api/v3/order" "order.place" Signed one one orders::place;
    "POST /api/v3/order/test" "order.test" Signed one none orders::test;
    "GET /api/v3/order" "order.status" Signed four none orders::query;
    "DELETE /api/v3/order" "order.cancel" Signed one none orders::cancel;
    "DELETE /api/v3/openOrders" "openOrders.cancelAll" Signed one none orders::cancel_all;
    "GET /api/v3/openOrders" "openOrders.status" Signed open_weight none orders::open;
    "GET /api/v3/allOrders" "allOrders" Signed twenty none orders::all;
    "POST /api/v3/order/cancelReplace" "order.cancelReplace" Signed one one replace::cancel_replace;
    "PUT /api/v3/order/amend/keepPriority" "order.amend.keepPriority" Signed four none replace::amend;
    "POST /api/v3/orderList/oco" "orderList.place.oco" Signed one two lists::oco;
    "POST /api/v3/order/oco" "orderList.place" Signed one two lists::old_oco;
    "POST /api/v3/orderList/oto" "orderList.place.oto" Signed one two lists::oto;
    "POST /api/v3/orderList/otoco" "orderList.place.otoco" Signed one three lists::otoco;
    "DELETE /api/v3/orderList" "orderList.cancel" Signed one none lists::cancel;
    "GET /api/v3/orderList" "orderList.status" Signed four none lists::query;
    "GET /api/v3/allOrderList" "allOrderLists" Signed twenty none lists::all;
    "GET /api/v3/openOrderList" "openOrderLists.status" Signed four none lists::open;
    "GET /api/v3/account" "account.status" Signed twenty none account::account;
    "GET /api/v3/myTrades" "myTrades" Signed fills_weight none account::fills;
    "GET /api/v3/account/commission" "account.commission" Signed twenty none account::commission;
    "GET /api/v3/rateLimit/order" "account.rateLimits.orders" Signed twenty none account::order_limits;
    "GET /api/v3/myPreventedMatches" "myPreventedMatches" Signed twenty none account::nothing;
    "GET /api/v3/myAllocations" "myAllocations" Signed twenty none account::nothing;
    "GET /sapi/v1/capital/config/getall" "" Signed one none account::coins;
    "GET /sapi/v1/asset/tradeFee" "" Signed one none account::trade_fees;
    "GET /sapi/v1/margin/allPairs" "" Public one none account::nothing;
    "GET /sapi/v1/margin/isolated/allPairs" "" Public one none account::nothing;
    "GET /sapi/v1/system/status" "" Public one none account::system_status;
    "GET /dapi/v1/exchangeInfo" "" Public one none rules::no_symbols;
    "GET /dapi/v1/ping" "" Public one none market_data::ping;
};
