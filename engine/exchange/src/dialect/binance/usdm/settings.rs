//! Leverage, margin type, position mode.

use serde_json::{Value, json};

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::{self, ApiError, Doing};
use crate::dialect::binance::usdm::account::settings_of;
use crate::dialect::binance::usdm::market_data::concerns;
use crate::ids::MarketId;
use crate::reject::Reject;

pub(super) fn account_config(desk: &mut Desk, call: &Call<'_>) -> Answer {
    Ok(json!({
        "feeTier": 0,
        "canTrade": true,
        "canDeposit": true,
        "canWithdraw": true,
        "dualSidePosition": desk.exchange.account(call.account).is_hedged,
        "updateTime": 0,
        "multiAssetsMargin": false,
        "tradeGroupId": -1,
    }))
}

pub(super) fn symbol_config(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = concerns(desk, call.params)?;
    Ok(desk
        .exchange
        .markets()
        .filter(|(id, _)| market.is_none_or(|market| market == *id))
        .map(|(id, market)| {
            let settings = settings_of(desk, call.account, id);
            json!({
                "symbol": market.listing.symbol,
                "marginType": if settings.is_isolated { "ISOLATED" } else { "CROSSED" },
                "isAutoAddMargin": false,
                "leverage": settings.leverage,
                "maxNotionalValue": "1000000",
            })
        })
        .collect())
}

pub(super) fn leverage(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let leverage = call.params.integer("leverage")?;
    let leverage = leverage.ok_or_else(|| ApiError::missing("leverage"))?;
    desk.exchange.set_leverage(call.account, market, leverage).map_err(|reject| {
        let mut error = error::usdm(reject, Doing::Placing);
        if reject == Reject::Leverage {
            error.msg = format!("Leverage {leverage} is not valid");
        }
        error
    })?;
    Ok(json!({
        "leverage": leverage,
        "maxNotionalValue": "1000000",
        "symbol": desk.exchange.market(market).listing.symbol,
    }))
}

pub(super) fn margin_type(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let is_isolated = match call.params.required("marginType")? {
        "ISOLATED" => true,
        "CROSSED" => false,
        _ => {
            return Err(ApiError::new(-1130, "Data sent for parameter 'marginType' is not valid."));
        }
    };
    match desk.exchange.set_isolated(call.account, market, is_isolated) {
        Ok(()) => Ok(json!({"code": 200, "msg": "success"})),
        Err(Reject::NoChange) => Err(ApiError::new(-4046, "No need to change margin type.")),
        Err(reject) => Err(error::usdm(reject, Doing::Placing)),
    }
}

pub(super) fn position_mode(desk: &mut Desk, call: &Call<'_>) -> Answer {
    Ok(json!({"dualSidePosition": desk.exchange.account(call.account).is_hedged}))
}

pub(super) fn set_position_mode(desk: &mut Desk, call: &Call<'_>) -> Answer {
    call.params.required("dualSidePosition")?;
    let is_hedged = call.params.boolean("dualSidePosition")?;
    match desk.exchange.set_hedged(call.account, is_hedged) {
        Ok(()) => Ok(json!({"code": 200, "msg": "success"})),
        Err(Reject::NoChange) => Err(ApiError::new(-4059, "No need to change position side.")),
        Err(Reject::HasOpenOrders) => {
            let msg = "Position side cannot be changed if there exists open orders.";
            Err(ApiError::new(-4067, msg))
        }
        Err(reject) => Err(error::usdm(reject, Doing::Placing)),
    }
}

pub(super) fn multi_assets(_: &mut Desk, _: &Call<'_>) -> Answer {
    Ok(json!({"multiAssetsMargin": false}))
}

pub(super) fn brackets(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let bracket = |id: MarketId| -> Value {
        let market = desk.exchange.market(id);
        json!({
            "symbol": market.listing.symbol,
            "notionalCoef": 1,
            "brackets": [{
                "bracket": 1,
                "initialLeverage": market.listing.max_leverage,
                "notionalCap": 1_000_000,
                "notionalFloor": 0,
                "maintMarginRatio": market.listing.maintenance.short(),
                "cum": 0,
            }],
        })
    };
    match concerns(desk, call.params)? {
        Some(id) => Ok(json!([bracket(id)])),
        None => Ok(desk.exchange.markets().map(|(id, _)| bracket(id)).collect()),
    }
}
