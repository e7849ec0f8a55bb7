//! The futures account: wallet, margin, positions, trades.

use serde_json::{Value, json};

use crate::account::MarketSettings;
use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::spot::account::select_fills;
use crate::dialect::binance::usdm::json::Decimals;
use crate::dialect::binance::usdm::market_data::concerns;
use crate::dialect::binance::words;
use crate::exchange::{Exchange, MarginSummary, PositionView, millis};
use crate::fixed::Fixed;
use crate::ids::{AccountId, MarketId};
use crate::order::PositionSide;

/// Returns the margin assets of an account: those of the symbols and what it owns.
fn assets(exchange: &Exchange, account: AccountId) -> Vec<String> {
    let quotes = exchange.markets().map(|(_, market)| market.listing.quote.clone());
    let mut assets: Vec<_> =
        quotes.chain(exchange.account(account).balances.keys().cloned()).collect();
    assets.sort_unstable();
    assets.dedup();
    assets
}

pub(super) fn balance(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let exchange = &desk.exchange;
    let updated_ms = exchange.account(call.account).updated_at.div_euclid(1_000_000);
    Ok(assets(exchange, call.account)
        .into_iter()
        .map(|asset| {
            let sum = exchange.margin(call.account, &asset);
            json!({
                "accountAlias": "SgsR",
                "asset": asset,
                "balance": sum.wallet.to_string(),
                "crossWalletBalance": sum.cross_wallet.to_string(),
                "crossUnPnl": sum.cross_unrealized.to_string(),
                "availableBalance": sum.available.to_string(),
                "maxWithdrawAmount": sum.available.to_string(),
                "marginAvailable": true,
                "updateTime": updated_ms,
            })
        })
        .collect())
}

pub(super) fn account(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let exchange = &desk.exchange;
    let held = exchange.account(call.account);
    let updated_ms = held.updated_at.div_euclid(1_000_000);
    let sums: Vec<(String, MarginSummary)> = assets(exchange, call.account)
        .into_iter()
        .map(|asset| {
            let sum = exchange.margin(call.account, &asset);
            (asset, sum)
        })
        .collect();
    let total = |of: fn(&MarginSummary) -> Fixed| -> String {
        sums.iter().map(|(_, sum)| of(sum)).sum::<Fixed>().to_string()
    };
    let listed: Vec<Value> =
        sums.iter().map(|(asset, sum)| asset_json(asset, sum, updated_ms)).collect();
    let positions: Vec<Value> = all_views(exchange, call.account)
        .into_iter()
        .map(|view| account_position(exchange, &view))
        .collect();
    Ok(json!({
        "feeTier": 0,
        "feeBurn": false,
        "canTrade": true,
        "canDeposit": true,
        "canWithdraw": true,
        "updateTime": updated_ms,
        "multiAssetsMargin": false,
        "tradeGroupId": -1,
        "totalInitialMargin": total(|sum| sum.position_margin + sum.order_margin),
        "totalMaintMargin": total(|sum| sum.maintenance),
        "totalWalletBalance": total(|sum| sum.wallet),
        "totalUnrealizedProfit": total(|sum| sum.unrealized),
        "totalMarginBalance": total(|sum| sum.wallet + sum.unrealized),
        "totalPositionInitialMargin": total(|sum| sum.position_margin),
        "totalOpenOrderInitialMargin": total(|sum| sum.order_margin),
        "totalCrossWalletBalance": total(|sum| sum.cross_wallet),
        "totalCrossUnPnl": total(|sum| sum.cross_unrealized),
        "availableBalance": total(|sum| sum.available),
        "maxWithdrawAmount": total(|sum| sum.available),
        "assets": listed,
        "positions": positions,
    }))
}

fn asset_json(asset: &str, sum: &MarginSummary, updated_ms: i64) -> Value {
    json!({
        "asset": asset,
        "walletBalance": sum.wallet.to_string(),
        "unrealizedProfit": sum.unrealized.to_string(),
        "marginBalance": (sum.wallet + sum.unrealized).to_string(),
        "maintMargin": sum.maintenance.to_string(),
        "initialMargin": (sum.position_margin + sum.order_margin).to_string(),
        "positionInitialMargin": sum.position_margin.to_string(),
        "openOrderInitialMargin": sum.order_margin.to_string(),
        "crossWalletBalance": sum.cross_wallet.to_string(),
        "crossUnPnl": sum.cross_unrealized.to_string(),
        "availableBalance": sum.available.to_string(),
        "maxWithdrawAmount": sum.available.to_string(),
        "marginAvailable": true,
        "updateTime": updated_ms,
    })
}

fn account_position(exchange: &Exchange, view: &PositionView) -> Value {
    let market = exchange.market(view.market);
    let style = Decimals::of(market);
    json!({
        "symbol": market.listing.symbol,
        "initialMargin": (view.margin + view.order_margin).to_string(),
        "maintMargin": view.maintenance.to_string(),
        "unrealizedProfit": view.unrealized.to_string(),
        "positionInitialMargin": view.margin.to_string(),
        "openOrderInitialMargin": view.order_margin.to_string(),
        "leverage": view.leverage.to_string(),
        "isolated": view.is_isolated,
        "entryPrice": view.position.entry.text(8),
        "breakEvenPrice": view.position.entry.text(8),
        "maxNotional": "1000000",
        "bidNotional": "0",
        "askNotional": "0",
        "positionSide": words::position_side(view.side),
        "positionAmt": view.position.qty.text(style.qty),
        "isolatedMargin": isolated_margin(view).to_string(),
        "isolatedWallet": view.position.isolated_margin.to_string(),
        "notional": view.notional.to_string(),
        "updateTime": view.position.updated_at.div_euclid(1_000_000),
    })
}

/// Returns an isolated position's margin with what it has earned; zero for a cross position.
fn isolated_margin(view: &PositionView) -> Fixed {
    if view.is_isolated && !view.position.qty.is_zero() {
        view.position.isolated_margin + view.unrealized
    } else {
        Fixed::ZERO
    }
}

/// Returns the positions of all symbols, also where nothing is open.
fn all_views(exchange: &Exchange, account: AccountId) -> Vec<PositionView> {
    let sides: &[PositionSide] = if exchange.account(account).is_hedged {
        &[PositionSide::Long, PositionSide::Short]
    } else {
        &[PositionSide::Both]
    };
    exchange
        .markets()
        .flat_map(|(market, _)| sides.iter().map(move |side| (market, *side)))
        .map(|(market, side)| exchange.position_view(account, market, side))
        .collect()
}

/// Returns positions that are open, and those with open orders.
pub(super) fn positions(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = concerns(desk, call.params)?;
    let exchange = &desk.exchange;
    let has_orders =
        |of: MarketId| exchange.open_orders(call.account).any(|order| order.ask.market == of);
    Ok(exchange
        .positions(call.account)
        .into_iter()
        .filter(|view| market.is_none_or(|market| view.market == market))
        .filter(|view| !view.position.qty.is_zero() || has_orders(view.market))
        .map(|view| position_json(exchange, &view))
        .collect())
}

/// The former list of positions: of all symbols.
pub(super) fn all_positions(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = concerns(desk, call.params)?;
    let exchange = &desk.exchange;
    Ok(all_views(exchange, call.account)
        .into_iter()
        .filter(|view| market.is_none_or(|market| view.market == market))
        .map(|view| {
            let mut position = position_json(exchange, &view);
            position["marginType"] = if view.is_isolated { "isolated" } else { "cross" }.into();
            position["isAutoAddMargin"] = "false".into();
            position["leverage"] = view.leverage.to_string().into();
            position["maxNotionalValue"] = "1000000".into();
            position
        })
        .collect())
}

fn position_json(exchange: &Exchange, view: &PositionView) -> Value {
    let market = exchange.market(view.market);
    let style = Decimals::of(market);
    json!({
        "symbol": market.listing.symbol,
        "positionSide": words::position_side(view.side),
        "positionAmt": view.position.qty.text(style.qty),
        "entryPrice": view.position.entry.text(8),
        "breakEvenPrice": view.position.entry.text(8),
        "markPrice": view.mark.text(8),
        "unRealizedProfit": view.unrealized.to_string(),
        "liquidationPrice": view.liquidation_price.short(),
        "isolatedMargin": isolated_margin(view).to_string(),
        "notional": view.notional.to_string(),
        "marginAsset": market.listing.quote,
        "isolatedWallet": view.position.isolated_margin.to_string(),
        "initialMargin": (view.margin + view.order_margin).to_string(),
        "maintMargin": view.maintenance.to_string(),
        "positionInitialMargin": view.margin.to_string(),
        "openOrderInitialMargin": view.order_margin.to_string(),
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": view.position.updated_at.div_euclid(1_000_000),
    })
}

pub(super) fn fills(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = concerns(desk, call.params)?;
    let found = select_fills(desk, call, |fill| market.is_none_or(|market| fill.market == market))?;
    Ok(found
        .into_iter()
        .map(|fill| {
            let market = desk.exchange.market(fill.market);
            let style = Decimals::of(market);
            json!({
                "symbol": market.listing.symbol,
                "id": fill.trade_id,
                "orderId": fill.order.0,
                "side": words::side(fill.side),
                "price": fill.price.text(style.price),
                "qty": fill.qty.text(style.qty),
                "realizedPnl": fill.realized.to_string(),
                "quoteQty": fill.quote_qty.short(),
                "commission": fill.fee.to_string(),
                "commissionAsset": fill.fee_asset,
                "time": millis(fill.at),
                "positionSide": words::position_side(fill.position_side),
                "maker": fill.is_maker,
                "buyer": fill.side == tercel_core::Side::Buy,
            })
        })
        .collect())
}

/// Returns what trades have earned and cost.
pub(super) fn income(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let market = concerns(desk, call.params)?;
    let wanted = call.params.optional("incomeType")?;
    let fills = select_fills(desk, call, |fill| market.is_none_or(|market| fill.market == market))?;
    let mut listed = Vec::new();
    for fill in fills {
        let symbol = &desk.exchange.market(fill.market).listing.symbol;
        for (kind, amount) in [("REALIZED_PNL", fill.realized), ("COMMISSION", -fill.fee)] {
            if wanted.is_none_or(|wanted| wanted == kind) && !amount.is_zero() {
                listed.push(json!({
                    "symbol": symbol,
                    "incomeType": kind,
                    "income": amount.to_string(),
                    "asset": fill.fee_asset,
                    "info": fill.trade_id.to_string(),
                    "time": millis(fill.at),
                    "tranId": fill.trade_id,
                    "tradeId": fill.trade_id.to_string(),
                }));
            }
        }
    }
    Ok(Value::Array(listed))
}

pub(super) fn commission(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (_, market) = desk.market(call.params)?;
    Ok(json!({
        "symbol": market.listing.symbol,
        "makerCommissionRate": market.listing.maker_fee.short(),
        "takerCommissionRate": market.listing.taker_fee.short(),
    }))
}

pub(super) fn order_limits(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let now = desk.exchange.now();
    let mut counts = desk.limiter.order_counts(now, call.account);
    for limit in &mut counts {
        if let Some(members) = limit.as_object_mut() {
            members.shift_remove("count");
        }
    }
    Ok(Value::Array(counts.into()))
}

/// Returns an account's settings for a symbol.
pub(super) fn settings_of(desk: &Desk, account: AccountId, market: MarketId) -> MarketSettings {
    desk.exchange.account(account).settings_of(market)
}
