//! USD-M futures: `/fapi` and its WebSocket API.

mod account;
mod conditionals;
mod json;
mod listen_key;
mod market_data;
mod orders;
mod rules;
mod settings;
pub(super) mod user;

use crate::dialect::binance::desk::{Endpoint, Security, none, one};
use crate::dialect::binance::params::Params;
use crate::dialect::binance::spot::{endpoints, market_data as common};

use Security::{Key, Public, Signed};

fn five(_: &Params) -> i64 {
    5
}

fn ten(_: &Params) -> i64 {
    10
}

fn twenty(_: &Params) -> i64 {
    20
}

fn depth_weight(params: &Params) -> i64 {
    match params.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(500_i64) {
        ..=50 => 2,
        51..=100 => 5,
        101..=500 => 10,
        _ => 20,
    }
}

fn kline_weight(params: &Params) -> i64 {
    match params.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(500_i64) {
        ..=99 => 1,
        100..=499 => 2,
        500..=1_000 => 5,
        _ => 10,
    }
}

fn by_symbol(params: &Params, with: i64, without: i64) -> i64 {
    if params.get("symbol").is_some() { with } else { without }
}

fn ticker_weight(params: &Params) -> i64 {
    by_symbol(params, 2, 5)
}

fn day_weight(params: &Params) -> i64 {
    by_symbol(params, 1, 40)
}

/// Orders in a batch.
fn batch(params: &Params) -> i64 {
    let listed = params.get("batchOrders").and_then(|text| serde_json::from_str(text).ok());
    let n = listed.and_then(|list: serde_json::Value| list.as_array().map(Vec::len));
    n.and_then(|n| i64::try_from(n).ok()).unwrap_or(1)
}

/// All that USD-M answers: HTTP, WebSocket, who may, weight, orders, how.
pub(super) const ENDPOINTS: &[Endpoint] = endpoints! {
    "GET /fapi/v1/ping" "ping" Public one none common::ping;
    "GET /fapi/v1/time" "time" Public one none common::time;
    "GET /fapi/v1/exchangeInfo" "" Public one none rules::exchange_info;
    "GET /fapi/v1/depth" "depth" Public depth_weight none market_data::depth;
    "GET /fapi/v1/trades" "" Public five none market_data::trades;
    "GET /fapi/v1/historicalTrades" "" Key twenty none market_data::trades;
    "GET /fapi/v1/aggTrades" "" Public twenty none market_data::aggregates;
    "GET /fapi/v1/klines" "" Public kline_weight none market_data::klines;
    "GET /fapi/v1/continuousKlines" "" Public kline_weight none market_data::continuous_klines;
    "GET /fapi/v1/markPriceKlines" "" Public kline_weight none market_data::klines;
    "GET /fapi/v1/indexPriceKlines" "" Public kline_weight none market_data::continuous_klines;
    "GET /fapi/v1/premiumIndex" "" Public ticker_weight none market_data::premium_index;
    "GET /fapi/v1/fundingRate" "" Public one none market_data::funding_rates;
    "GET /fapi/v1/fundingInfo" "" Public one none market_data::funding_info;
    "GET /fapi/v1/ticker/24hr" "" Public day_weight none market_data::day_ticker;
    "GET /fapi/v1/ticker/price" "ticker.price" Public ticker_weight none market_data::price_ticker;
    "GET /fapi/v2/ticker/price" "v2/ticker.price" Public ticker_weight none market_data::price_ticker;
    "GET /fapi/v1/ticker/bookTicker" "ticker.book" Public ticker_weight none market_data::book_ticker;
    "GET /fapi/v1/openInterest" "" Public one none market_data::open_interest;
    "POST /fapi/v1/order" "order.place" Signed one one orders::place;
    "POST /fapi/v1/order/test" "" Signed one none orders::test;
    "PUT /fapi/v1/order" "order.modify" Signed one one orders::modify;
    "DELETE /fapi/v1/order" "order.cancel" Signed one none orders::cancel;
    "GET /fapi/v1/order" "order.status" Signed one none orders::query;
    "POST /fapi/v1/batchOrders" "" Signed five batch orders::place_batch;
    "PUT /fapi/v1/batchOrders" "" Signed five batch orders::modify_batch;
    "DELETE /fapi/v1/batchOrders" "" Signed one none orders::cancel_batch;
    "DELETE /fapi/v1/allOpenOrders" "" Signed one none orders::cancel_all;
    "POST /fapi/v1/countdownCancelAll" "" Signed ten none orders::countdown;
    "GET /fapi/v1/openOrder" "" Signed one none orders::open_one;
    "GET /fapi/v1/openOrders" "" Signed day_weight none orders::open;
    "GET /fapi/v1/allOrders" "" Signed five none orders::all;
    "GET /fapi/v1/userTrades" "" Signed five none account::fills;
    "POST /fapi/v1/algoOrder" "algoOrder.place" Signed one one conditionals::place;
    "DELETE /fapi/v1/algoOrder" "algoOrder.cancel" Signed one none conditionals::cancel;
    "DELETE /fapi/v1/algoOpenOrders" "" Signed one none conditionals::cancel_all;
    "GET /fapi/v1/algoOrder" "" Signed one none conditionals::query;
    "GET /fapi/v1/openAlgoOrders" "" Signed day_weight none conditionals::open;
    "GET /fapi/v1/allAlgoOrders" "" Signed five none conditionals::all;
    "GET /fapi/v3/account" "v2/account.status" Signed five none account::account;
    "GET /fapi/v2/account" "account.status" Signed five none account::account;
    "GET /fapi/v3/balance" "v2/account.balance" Signed five none account::balance;
    "GET /fapi/v2/balance" "account.balance" Signed five none account::balance;
    "GET /fapi/v3/positionRisk" "v2/account.position" Signed five none account::positions;
    "GET /fapi/v2/positionRisk" "account.position" Signed five none account::all_positions;
    "GET /fapi/v1/income" "" Signed twenty none account::income;
    "GET /fapi/v1/commissionRate" "" Signed twenty none account::commission;
    "GET /fapi/v1/rateLimit/order" "" Signed one none account::order_limits;
    "GET /fapi/v1/accountConfig" "" Signed five none settings::account_config;
    "GET /fapi/v1/symbolConfig" "" Signed five none settings::symbol_config;
    "POST /fapi/v1/leverage" "" Signed one none settings::leverage;
    "POST /fapi/v1/marginType" "" Signed one none settings::margin_type;
    "GET /fapi/v1/positionSide/dual" "" Signed five none settings::position_mode;
    "POST /fapi/v1/positionSide/dual" "" Signed one none settings::set_position_mode;
    "GET /fapi/v1/multiAssetsMargin" "" Signed five none settings::multi_assets;
    "GET /fapi/v1/leverageBracket" "" Signed one none settings::brackets;
    "POST /fapi/v1/listenKey" "userDataStream.start" Key one none listen_key::start;
    "PUT /fapi/v1/listenKey" "userDataStream.ping" Key one none listen_key::keep;
    "DELETE /fapi/v1/listenKey" "userDataStream.stop" Key one none listen_key::stop;
};
