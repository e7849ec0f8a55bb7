//! What can be traded and how.

use serde_json::{Value, json};

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::exchange::Market;
use crate::fixed::Fixed;

pub(super) fn exchange_info(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let named = desk.named_markets(call.params)?;
    let symbols: Vec<_> = desk
        .exchange
        .markets()
        .filter(|(id, _)| named.as_ref().is_none_or(|named| named.contains(id)))
        .map(|(_, market)| symbol(market))
        .collect();
    let mut limits = desk.limiter.listed();
    limits.push(json!({"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5,
                       "limit": 300_000}));
    Ok(json!({
        "timezone": "UTC",
        "serverTime": call.server_ms,
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": symbols,
    }))
}

pub(super) fn no_symbols(_: &mut Desk, call: &Call<'_>) -> Answer {
    Ok(json!({
        "timezone": "UTC",
        "serverTime": call.server_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "assets": [],
        "symbols": [],
    }))
}

fn symbol(market: &Market) -> Value {
    let listing = &market.listing;
    let modes = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"];
    json!({
        "symbol": listing.symbol,
        "status": if market.is_trading { "TRADING" } else { "BREAK" },
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT",
                       "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": true,
        "ocoAllowed": true,
        "otoAllowed": true,
        "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": true,
        "cancelReplaceAllowed": true,
        "amendAllowed": true,
        "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": filters(market),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": modes,
    })
}

fn filters(market: &Market) -> Value {
    let listing = &market.listing;
    let band = listing.price_band;
    let low = Fixed::ONE.over_floor(band);
    json!([
        {"filterType": "PRICE_FILTER", "minPrice": listing.tick.to_string(),
         "maxPrice": listing.max_price.to_string(), "tickSize": listing.tick.to_string()},
        {"filterType": "LOT_SIZE", "minQty": listing.step.to_string(),
         "maxQty": listing.max_qty.to_string(), "stepSize": listing.step.to_string()},
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {"filterType": "MARKET_LOT_SIZE", "minQty": Fixed::ZERO.to_string(),
         "maxQty": listing.max_market_qty.to_string(), "stepSize": Fixed::ZERO.to_string()},
        {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10,
         "maxTrailingAboveDelta": 2000, "minTrailingBelowDelta": 10,
         "maxTrailingBelowDelta": 2000},
        {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": band.short(),
         "bidMultiplierDown": low.short(), "askMultiplierUp": band.short(),
         "askMultiplierDown": low.short(), "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": listing.min_notional.to_string(),
         "applyMinToMarket": true, "maxNotional": listing.max_notional.to_string(),
         "applyMaxToMarket": false, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": listing.max_orders},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": listing.max_lists},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": listing.max_conditional},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": listing.max_amends},
    ])
}
