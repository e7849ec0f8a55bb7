//! Futures market data.

use serde_json::{Value, json};
use tercel_core::Side;

use crate::candles::Candle;
use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::ApiError;
use crate::dialect::binance::params::Params;
use crate::dialect::binance::spot::market_data::{
    best, for_each_named, klines_of, select_aggregates,
};
use crate::dialect::binance::usdm::json::Decimals;
use crate::exchange::{Exchange, Market, millis};
use crate::fixed::Fixed;

pub(super) fn depth(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let limit = call.params.limit(500, 1_000)?;
    let (_, market) = desk.market(call.params)?;
    let style = Decimals::of(market);
    let side = |side: Side| -> Vec<Value> {
        let depth = market.book.depth(side, limit);
        let pair =
            |(price, qty): &(Fixed, Fixed)| json!([price.text(style.price), qty.text(style.qty)]);
        depth.iter().map(pair).collect()
    };
    Ok(json!({
        "lastUpdateId": market.book.update_id(),
        "E": call.server_ms,
        "T": call.server_ms,
        "bids": side(Side::Buy),
        "asks": side(Side::Sell),
    }))
}

pub(super) fn trades(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let limit = call.params.limit(500, 1_000)?;
    let (_, market) = desk.market(call.params)?;
    let style = Decimals::of(market);
    let latest = market.trades.iter().skip(market.trades.len().saturating_sub(limit));
    Ok(latest
        .map(|trade| {
            json!({
                "id": trade.id,
                "price": trade.price.text(style.price),
                "qty": trade.qty.text(style.qty),
                "quoteQty": trade.price.times_floor(trade.qty).text(2),
                "time": millis(trade.at),
                "isBuyerMaker": trade.aggressor == Side::Sell,
                "isRPITrade": false,
            })
        })
        .collect())
}

pub(super) fn aggregates(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (_, market) = desk.market(call.params)?;
    let style = Decimals::of(market);
    let found = select_aggregates(market, call)?;
    Ok(found
        .into_iter()
        .map(|trade| {
            json!({
                "a": trade.id,
                "p": trade.price.text(style.price),
                "q": trade.qty.text(style.qty),
                "f": trade.first,
                "l": trade.last,
                "T": millis(trade.at),
                "m": trade.aggressor == Side::Sell,
            })
        })
        .collect())
}

pub(super) fn klines(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (_, market) = desk.market(call.params)?;
    klines_of(market, call, 500, 1_500)
}

pub(super) fn continuous_klines(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let pair = call.params.required("pair")?;
    let id = desk.exchange.market_id(pair).ok_or_else(ApiError::symbol)?;
    klines_of(desk.exchange.market(id), call, 500, 1_500)
}

pub(super) fn premium_index(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let next_ms = millis(Exchange::next_funding_at(desk.exchange.now()));
    for_each_named(desk, call, |_, market| {
        json!({
            "symbol": market.listing.symbol,
            "markPrice": market.mark.to_string(),
            "indexPrice": market.index.to_string(),
            "estimatedSettlePrice": market.mark.to_string(),
            "lastFundingRate": market.funding_rate.to_string(),
            "interestRate": "0.00010000",
            "nextFundingTime": next_ms,
            "time": call.server_ms,
        })
    })
}

pub(super) fn funding_rates(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let limit = call.params.limit(100, 1_000)?;
    let start = call.params.integer("startTime")?;
    let end = call.params.integer("endTime")?;
    let named = desk.named_markets(call.params)?;
    let mut rates: Vec<(i64, Value)> = Vec::new();
    for (id, market) in desk.exchange.markets() {
        if named.as_ref().is_some_and(|named| !named.contains(&id)) {
            continue;
        }
        for (at, rate, mark) in &market.fundings {
            let at_ms = millis(*at);
            if start.is_none_or(|start| at_ms >= start) && end.is_none_or(|end| at_ms <= end) {
                rates.push((
                    at_ms,
                    json!({
                        "symbol": market.listing.symbol,
                        "fundingTime": at_ms,
                        "fundingRate": rate.to_string(),
                        "markPrice": mark.to_string(),
                    }),
                ));
            }
        }
    }
    rates.sort_by_key(|(at_ms, _)| *at_ms);
    let skip = if start.is_none() { rates.len().saturating_sub(limit) } else { 0 };
    Ok(rates.into_iter().skip(skip).take(limit).map(|(_, rate)| rate).collect())
}

pub(super) fn funding_info(_: &mut Desk, _: &Call<'_>) -> Answer {
    // Only symbols whose interval or caps differ from the usual are listed.
    Ok(json!([]))
}

pub(super) fn open_interest(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (id, market) = desk.market(call.params)?;
    let longs = desk.exchange.accounts().flat_map(|(_, account)| &account.positions);
    let of_market = longs.filter(|((market, _), _)| *market == id);
    let held: Fixed = of_market.map(|(_, position)| position.qty.abs()).sum();
    Ok(json!({
        "symbol": market.listing.symbol,
        "openInterest": held.text(market.listing.step.decimals()),
        "time": call.server_ms,
    }))
}

pub(super) fn price_ticker(desk: &mut Desk, call: &Call<'_>) -> Answer {
    for_each_named(desk, call, |_, market| {
        json!({
            "symbol": market.listing.symbol,
            "price": market.last_price.text(Decimals::of(market).price),
            "time": market.trades.back().map_or(call.server_ms, |trade| millis(trade.at)),
        })
    })
}

pub(super) fn book_ticker(desk: &mut Desk, call: &Call<'_>) -> Answer {
    for_each_named(desk, call, |_, market| {
        let style = Decimals::of(market);
        let [bid, ask] = best(market);
        json!({
            "symbol": market.listing.symbol,
            "bidPrice": bid.0.text(style.price),
            "bidQty": bid.1.text(style.qty),
            "askPrice": ask.0.text(style.price),
            "askQty": ask.1.text(style.qty),
            "time": call.server_ms,
            "lastUpdateId": market.book.update_id(),
        })
    })
}

pub(super) fn day_ticker(desk: &mut Desk, call: &Call<'_>) -> Answer {
    for_each_named(desk, call, |_, market| day_ticker_json(market, call.server_ms))
}

fn day_ticker_json(market: &Market, now_ms: i64) -> Value {
    let style = Decimals::of(market);
    let day = market.candles.day().unwrap_or_else(|| Candle::flat(now_ms, market.last_price));
    let change = day.close - day.open;
    let last_qty = market.trades.back().map_or(Fixed::ZERO, |trade| trade.qty);
    json!({
        "symbol": market.listing.symbol,
        "priceChange": change.text(style.price),
        "priceChangePercent": change.scaled(100).over_floor(day.open).text(3),
        "weightedAvgPrice": day.quote_volume.over_floor(day.volume).text(style.price),
        "lastPrice": market.last_price.text(style.price),
        "lastQty": last_qty.text(style.qty),
        "openPrice": day.open.text(style.price),
        "highPrice": day.high.text(style.price),
        "lowPrice": day.low.text(style.price),
        "volume": day.volume.text(style.qty),
        "quoteVolume": day.quote_volume.text(2),
        "openTime": now_ms - 86_400_000,
        "closeTime": now_ms,
        "firstId": if day.first_trade == u64::MAX { 0 } else { day.first_trade },
        "lastId": day.last_trade,
        "count": day.n_trades,
    })
}

/// Returns the markets that a request's symbol names, all where it names none.
pub(super) fn concerns(
    desk: &Desk,
    params: &Params,
) -> Result<Option<crate::ids::MarketId>, ApiError> {
    match params.optional("symbol")? {
        Some(_) => desk.market_id(params).map(Some),
        None => Ok(None),
    }
}
