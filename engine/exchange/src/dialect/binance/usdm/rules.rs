//! What can be traded and how.

use serde_json::{Value, json};

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::exchange::Market;
use crate::fixed::Fixed;

pub(super) fn exchange_info(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let named = desk.named_markets(call.params)?;
    let listed = desk
        .exchange
        .markets()
        .filter(|(id, _)| named.as_ref().is_none_or(|named| named.contains(id)));
    let symbols: Vec<_> = listed.map(|(_, market)| symbol(market)).collect();
    let mut assets: Vec<String> =
        desk.exchange.markets().map(|(_, market)| market.listing.quote.clone()).collect();
    assets.sort_unstable();
    assets.dedup();
    let assets: Vec<_> = assets
        .into_iter()
        .map(
            |asset| json!({"asset": asset, "marginAvailable": true, "autoAssetExchange": "-10000"}),
        )
        .collect();
    Ok(json!({
        "timezone": "UTC",
        "serverTime": call.server_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": desk.limiter.listed(),
        "exchangeFilters": [],
        "assets": assets,
        "symbols": symbols,
    }))
}

fn symbol(market: &Market) -> Value {
    let listing = &market.listing;
    let band = listing.price_band;
    json!({
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000_i64,
        "onboardDate": 1_569_398_400_000_i64,
        "status": if market.is_trading { "TRADING" } else { "BREAK" },
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": listing.tick.decimals().max(2),
        "quantityPrecision": listing.step.decimals(),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": listing.tick.short(),
             "maxPrice": listing.max_price.short(), "tickSize": listing.tick.short()},
            {"filterType": "LOT_SIZE", "minQty": listing.step.short(),
             "maxQty": listing.max_qty.short(), "stepSize": listing.step.short()},
            {"filterType": "MARKET_LOT_SIZE", "minQty": listing.step.short(),
             "maxQty": listing.max_market_qty.short(), "stepSize": listing.step.short()},
            {"filterType": "MAX_NUM_ORDERS", "limit": listing.max_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": listing.max_conditional},
            {"filterType": "MIN_NOTIONAL", "notional": listing.min_notional.short()},
            {"filterType": "PERCENT_PRICE", "multiplierUp": band.text(4),
             "multiplierDown": Fixed::ONE.over_floor(band).text(4), "multiplierDecimal": "4"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT",
                       "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    })
}
