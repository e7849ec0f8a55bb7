//! Spot market data.

use serde_json::{Value, json};
use tercel_core::Side;

use crate::candles::Candle;
use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::ApiError;
use crate::dialect::binance::words;
use crate::exchange::{Market, millis};
use crate::fixed::Fixed;
use crate::ids::MarketId;
use crate::update::{Aggregate, Trade};

pub(in crate::dialect::binance) fn ping(_: &mut Desk, _: &Call<'_>) -> Answer {
    Ok(json!({}))
}

pub(in crate::dialect::binance) fn time(_: &mut Desk, call: &Call<'_>) -> Answer {
    Ok(json!({"serverTime": call.server_ms}))
}

pub(super) fn depth(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let limit = call.params.limit(100, 5_000)?;
    let (_, market) = desk.market(call.params)?;
    Ok(json!({
        "lastUpdateId": market.book.update_id(),
        "bids": levels(market, Side::Buy, limit),
        "asks": levels(market, Side::Sell, limit),
    }))
}

/// Returns a side's best levels as pairs of texts.
pub(in crate::dialect::binance) fn levels(market: &Market, side: Side, n: usize) -> Vec<Value> {
    let depth = market.book.depth(side, n);
    depth.iter().map(|(price, qty)| json!([price.to_string(), qty.to_string()])).collect()
}

pub(super) fn trades(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let limit = call.params.limit(500, 1_000)?;
    let from = call.params.integer("fromId")?;
    let (_, market) = desk.market(call.params)?;
    let trades = market.trades.iter();
    let from = from.map(i64::cast_unsigned);
    let listed: Vec<Value> = match from {
        Some(from) => trades.filter(|trade| trade.id >= from).take(limit).map(trade_json).collect(),
        None => trades.skip(market.trades.len().saturating_sub(limit)).map(trade_json).collect(),
    };
    Ok(Value::Array(listed))
}

fn trade_json(trade: &Trade) -> Value {
    json!({
        "id": trade.id,
        "price": trade.price.to_string(),
        "qty": trade.qty.to_string(),
        "quoteQty": trade.price.times_floor(trade.qty).to_string(),
        "time": millis(trade.at),
        "isBuyerMaker": trade.aggressor == Side::Sell,
        "isBestMatch": true,
    })
}

pub(super) fn aggregates(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (_, market) = desk.market(call.params)?;
    let found = select_aggregates(market, call)?;
    Ok(Value::Array(found.into_iter().map(aggregate_json).collect()))
}

/// Returns the aggregated trades that a request asks for, by number or by time.
pub(in crate::dialect::binance) fn select_aggregates<'a>(
    market: &'a Market,
    call: &Call<'_>,
) -> Result<Vec<&'a Aggregate>, ApiError> {
    let limit = call.params.limit(500, 1_000)?;
    let from = call.params.integer("fromId")?.map(i64::cast_unsigned);
    let start = call.params.integer("startTime")?;
    let end = call.params.integer("endTime")?;
    let found: Vec<_> = market
        .aggregates
        .iter()
        .filter(|trade| from.is_none_or(|from| trade.id >= from))
        .filter(|trade| start.is_none_or(|start| millis(trade.at) >= start))
        .filter(|trade| end.is_none_or(|end| millis(trade.at) <= end))
        .collect();
    let skip = match (from, start) {
        (None, None) => found.len().saturating_sub(limit),
        _ => 0,
    };
    Ok(found.into_iter().skip(skip).take(limit).collect())
}

fn aggregate_json(trade: &Aggregate) -> Value {
    json!({
        "a": trade.id,
        "p": trade.price.to_string(),
        "q": trade.qty.to_string(),
        "f": trade.first,
        "l": trade.last,
        "T": millis(trade.at),
        "m": trade.aggressor == Side::Sell,
        "M": true,
    })
}

pub(super) fn klines(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (_, market) = desk.market(call.params)?;
    klines_of(market, call, 500, 1_000)
}

/// Returns candles as both products list them.
pub(in crate::dialect::binance) fn klines_of(
    market: &Market,
    call: &Call<'_>,
    default: usize,
    most: usize,
) -> Answer {
    let name = call.params.required("interval")?;
    let (_, interval) =
        words::read_interval(name).ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
    let limit = call.params.limit(default, most)?;
    let start = call.params.integer("startTime")?;
    let end = call.params.integer("endTime")?;
    let listed = market.candles.list(interval, start, end, limit);
    let listed = listed.iter().map(|candle| kline(candle, interval.end_ms(candle.open_ms) - 1));
    Ok(Value::Array(listed.collect()))
}

fn kline(candle: &Candle, close_ms: i64) -> Value {
    json!([
        candle.open_ms,
        candle.open.to_string(),
        candle.high.to_string(),
        candle.low.to_string(),
        candle.close.to_string(),
        candle.volume.to_string(),
        close_ms,
        candle.quote_volume.to_string(),
        candle.n_trades,
        candle.taker_volume.to_string(),
        candle.taker_quote_volume.to_string(),
        "0",
    ])
}

pub(super) fn average_price(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let (_, market) = desk.market(call.params)?;
    Ok(json!({
        "mins": 5,
        "price": market.candles.average(5).unwrap_or(market.last_price).to_string(),
        "closeTime": market.trades.back().map_or(call.server_ms, |trade| millis(trade.at)),
    }))
}

/// Answers for the named symbol as an object, for several or all as a list.
pub(in crate::dialect::binance) fn for_each_named(
    desk: &Desk,
    call: &Call<'_>,
    answer: impl Fn(MarketId, &Market) -> Value,
) -> Answer {
    let named = desk.named_markets(call.params)?;
    if call.params.get("symbol").is_some() {
        let id = desk.market_id(call.params)?;
        return Ok(answer(id, desk.exchange.market(id)));
    }
    let ids = named.unwrap_or_else(|| desk.exchange.markets().map(|(id, _)| id).collect());
    Ok(ids.into_iter().map(|id| answer(id, desk.exchange.market(id))).collect())
}

pub(super) fn price_ticker(desk: &mut Desk, call: &Call<'_>) -> Answer {
    for_each_named(
        desk,
        call,
        |_, market| json!({"symbol": market.listing.symbol, "price": market.last_price.to_string()}),
    )
}

pub(super) fn book_ticker(desk: &mut Desk, call: &Call<'_>) -> Answer {
    for_each_named(desk, call, |_, market| {
        let [bid, ask] = best(market);
        json!({
            "symbol": market.listing.symbol,
            "bidPrice": bid.0.to_string(),
            "bidQty": bid.1.to_string(),
            "askPrice": ask.0.to_string(),
            "askQty": ask.1.to_string(),
        })
    })
}

/// Returns best bid and ask with their quantities; zeros for an empty side.
pub(in crate::dialect::binance) fn best(market: &Market) -> [(Fixed, Fixed); 2] {
    [Side::Buy, Side::Sell].map(|side| {
        let price = market.book.best(side).unwrap_or(Fixed::ZERO);
        (price, market.book.level(side, price))
    })
}

pub(super) fn day_ticker(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let is_mini = call.params.get("type") == Some("MINI");
    let now_ms = call.server_ms;
    for_each_named(desk, call, |_, market| day_ticker_json(market, now_ms, is_mini))
}

fn day_ticker_json(market: &Market, now_ms: i64, is_mini: bool) -> Value {
    let day = market.candles.day().unwrap_or_else(|| Candle::flat(now_ms, market.last_price));
    let [bid, ask] = best(market);
    let change = day.close - day.open;
    let last_qty = market.trades.back().map_or(Fixed::ZERO, |trade| trade.qty);
    let n_first = if day.first_trade == u64::MAX { 0 } else { day.first_trade };
    let mut ticker = json!({
        "symbol": market.listing.symbol,
        "priceChange": change.to_string(),
        "priceChangePercent": change.scaled(100).over_floor(day.open).text(3),
        "weightedAvgPrice": day.quote_volume.over_floor(day.volume).to_string(),
        "prevClosePrice": day.open.to_string(),
        "lastPrice": market.last_price.to_string(),
        "lastQty": last_qty.to_string(),
        "bidPrice": bid.0.to_string(),
        "bidQty": bid.1.to_string(),
        "askPrice": ask.0.to_string(),
        "askQty": ask.1.to_string(),
        "openPrice": day.open.to_string(),
        "highPrice": day.high.to_string(),
        "lowPrice": day.low.to_string(),
        "volume": day.volume.to_string(),
        "quoteVolume": day.quote_volume.to_string(),
        "openTime": now_ms - 86_400_000,
        "closeTime": now_ms,
        "firstId": n_first,
        "lastId": day.last_trade,
        "count": day.n_trades,
    });
    if is_mini && let Some(members) = ticker.as_object_mut() {
        for name in [
            "priceChange",
            "priceChangePercent",
            "weightedAvgPrice",
            "prevClosePrice",
            "lastQty",
            "bidPrice",
            "bidQty",
            "askPrice",
            "askQty",
        ] {
            members.shift_remove(name);
        }
    }
    ticker
}
