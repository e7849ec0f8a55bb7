//! The spot account: balances, trades, fees.

use serde_json::{Value, json};

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::ApiError;
use crate::exchange::{Exchange, millis};
use crate::fixed::Fixed;
use crate::order::Fill;

pub(super) fn account(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let omits_zero = call.params.boolean("omitZeroBalances")?;
    let held = desk.exchange.account(call.account);
    let mut balances: Vec<Value> = Vec::new();
    for asset in assets(&desk.exchange) {
        let balance = held.balance(&asset);
        if !omits_zero || !balance.total().is_zero() {
            balances.push(json!({
                "asset": asset,
                "free": balance.free.to_string(),
                "locked": balance.locked.to_string(),
            }));
        }
    }
    let (maker, taker) = fees(&desk.exchange);
    Ok(json!({
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": maker, "taker": taker, "buyer": "0.00000000",
                            "seller": "0.00000000"},
        "canTrade": true,
        "canWithdraw": true,
        "canDeposit": true,
        "brokered": false,
        "requireSelfTradePrevention": false,
        "preventSor": false,
        "updateTime": held.updated_at.div_euclid(1_000_000),
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": 354_937_868 + call.account.0,
    }))
}

fn fees(exchange: &Exchange) -> (String, String) {
    let first = exchange.markets().next().map(|(_, market)| &market.listing);
    first.map_or_else(
        || (Fixed::ZERO.to_string(), Fixed::ZERO.to_string()),
        |listing| (listing.maker_fee.to_string(), listing.taker_fee.to_string()),
    )
}

/// Returns all assets of an exchange's symbols and accounts, sorted.
fn assets(exchange: &Exchange) -> Vec<String> {
    let of_symbols = exchange
        .markets()
        .flat_map(|(_, market)| [market.listing.base.clone(), market.listing.quote.clone()]);
    let of_accounts = exchange.accounts().flat_map(|(_, account)| account.balances.keys().cloned());
    let mut assets: Vec<_> = of_symbols.chain(of_accounts).collect();
    assets.sort_unstable();
    assets.dedup();
    assets
}

pub(super) fn fills(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = desk.market_id(call.params)?;
    let found = select_fills(desk, call, |fill| fill.market == market)?;
    let symbol = &desk.exchange.market(market).listing.symbol;
    Ok(found.into_iter().map(|fill| fill_json(fill, symbol)).collect())
}

/// Returns the trades of an account that a request asks for, the oldest first.
pub(in crate::dialect::binance) fn select_fills<'a>(
    desk: &'a Desk,
    call: &Call<'_>,
    concerns: impl Fn(&Fill) -> bool,
) -> Result<Vec<&'a Fill>, ApiError> {
    let limit = call.params.limit(500, 1_000)?;
    let order = call.params.integer("orderId")?.map(i64::cast_unsigned);
    let from = call.params.integer("fromId")?.map(i64::cast_unsigned);
    let start = call.params.integer("startTime")?;
    let end = call.params.integer("endTime")?;
    let fills = desk.exchange.account(call.account).fills.iter();
    let found: Vec<_> = fills
        .filter(|fill| concerns(fill))
        .filter(|fill| order.is_none_or(|order| fill.order.0 == order))
        .filter(|fill| from.is_none_or(|from| fill.trade_id >= from))
        .filter(|fill| start.is_none_or(|start| millis(fill.at) >= start))
        .filter(|fill| end.is_none_or(|end| millis(fill.at) <= end))
        .collect();
    let is_latest = from.is_none() && start.is_none();
    let skip = if is_latest { found.len().saturating_sub(limit) } else { 0 };
    Ok(found.into_iter().skip(skip).take(limit).collect())
}

fn fill_json(fill: &Fill, symbol: &str) -> Value {
    json!({
        "symbol": symbol,
        "id": fill.trade_id,
        "orderId": fill.order.0,
        "orderListId": fill.list.map_or(-1, |list| list.0.cast_signed()),
        "price": fill.price.to_string(),
        "qty": fill.qty.to_string(),
        "quoteQty": fill.quote_qty.to_string(),
        "commission": fill.fee.to_string(),
        "commissionAsset": fill.fee_asset,
        "time": millis(fill.at),
        "isBuyer": fill.side == tercel_core::Side::Buy,
        "isMaker": fill.is_maker,
        "isBestMatch": true,
    })
}

pub(super) fn commission(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (_, market) = desk.market(call.params)?;
    let listing = &market.listing;
    let zero = || Fixed::ZERO.to_string();
    let none = json!({"maker": zero(), "taker": zero(), "buyer": zero(), "seller": zero()});
    Ok(json!({
        "symbol": listing.symbol,
        "standardCommission": {
            "maker": listing.maker_fee.to_string(),
            "taker": listing.taker_fee.to_string(),
            "buyer": zero(),
            "seller": zero(),
        },
        "specialCommission": none,
        "taxCommission": none,
        "discount": {"enabledForAccount": false, "enabledForSymbol": false,
                     "discountAsset": "BNB", "discount": "0.25000000"},
    }))
}

pub(super) fn order_limits(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let counts = desk.limiter.order_counts(desk.exchange.now(), call.account);
    Ok(Value::Array(counts.into()))
}

pub(super) fn nothing(_: &mut Desk, _: &Call<'_>) -> Answer {
    Ok(json!([]))
}

pub(super) fn system_status(_: &mut Desk, _: &Call<'_>) -> Answer {
    Ok(json!({"status": 0, "msg": "normal"}))
}

pub(super) fn coins(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let held = desk.exchange.account(call.account);
    Ok(assets(&desk.exchange)
        .into_iter()
        .map(|asset| {
            let balance = held.balance(&asset);
            json!({
                "coin": asset,
                "depositAllEnable": true,
                "free": balance.free.to_string(),
                "freeze": "0",
                "ipoable": "0",
                "ipoing": "0",
                "isLegalMoney": false,
                "locked": balance.locked.to_string(),
                "name": asset,
                "networkList": [],
                "storage": "0",
                "trading": true,
                "withdrawAllEnable": true,
                "withdrawing": "0",
            })
        })
        .collect())
}

pub(super) fn trade_fees(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let named = desk.named_markets(call.params)?;
    let markets = desk.exchange.markets();
    let chosen = markets.filter(|(id, _)| named.as_ref().is_none_or(|named| named.contains(id)));
    Ok(chosen
        .map(|(_, market)| {
            json!({
                "symbol": market.listing.symbol,
                "makerCommission": market.listing.maker_fee.short(),
                "takerCommission": market.listing.taker_fee.short(),
            })
        })
        .collect())
}
