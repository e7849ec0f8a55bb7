//! Messages of market data, of both products.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tercel_core::Side;

use crate::candles::Candle;
use crate::dialect::binance::Product;
use crate::dialect::binance::desk::Desk;
use crate::dialect::binance::feeds::{Best, Stream, Topic};
use crate::exchange::{Exchange, Market, millis};
use crate::fixed::Fixed;
use crate::ids::MarketId;
use crate::update::{Aggregate, Trade};

/// How a product writes prices and quantities.
#[derive(Clone, Copy, Debug)]
struct Style {
    price: usize,
    qty: usize,
}

impl Style {
    /// Spot writes eight decimals, futures as many as the symbol has.
    fn of(product: Product, market: &Market) -> Self {
        match product {
            Product::Spot => Self { price: 8, qty: 8 },
            Product::Usdm => {
                Self { price: market.listing.tick.decimals(), qty: market.listing.step.decimals() }
            }
        }
    }

    fn level(self, (price, qty): (Fixed, Fixed)) -> Value {
        json!([price.text(self.price), qty.text(self.qty)])
    }
}

pub(super) fn best_of(desk: &Desk, market: MarketId) -> Best {
    let book = &desk.exchange.market(market).book;
    [Side::Buy, Side::Sell].map(|side| {
        let price = book.best(side).unwrap_or(Fixed::ZERO);
        (price, book.level(side, price))
    })
}

pub(super) fn trade(
    desk: &Desk,
    product: Product,
    market: MarketId,
    trade: &Trade,
    now_ms: i64,
) -> Value {
    let market = desk.exchange.market(market);
    let style = Style::of(product, market);
    let mut body = json!({
        "e": "trade",
        "E": now_ms,
        "s": market.listing.symbol,
        "t": trade.id,
        "p": trade.price.text(style.price),
        "q": trade.qty.text(style.qty),
        "T": millis(trade.at),
        "m": trade.aggressor == Side::Sell,
    });
    match product {
        Product::Spot => body["M"] = true.into(),
        Product::Usdm => body["X"] = "MARKET".into(),
    }
    body
}

pub(super) fn aggregate(
    desk: &Desk,
    product: Product,
    market: MarketId,
    trade: &Aggregate,
    now_ms: i64,
) -> Value {
    let market = desk.exchange.market(market);
    let style = Style::of(product, market);
    let mut body = json!({
        "e": "aggTrade",
        "E": now_ms,
        "s": market.listing.symbol,
        "a": trade.id,
        "p": trade.price.text(style.price),
        "q": trade.qty.text(style.qty),
        "f": trade.first,
        "l": trade.last,
        "T": millis(trade.at),
        "m": trade.aggressor == Side::Sell,
    });
    if product == Product::Spot {
        body["M"] = true.into();
    }
    body
}

pub(super) fn book_ticker(
    desk: &Desk,
    product: Product,
    market: MarketId,
    best: &Best,
    now_ms: i64,
) -> Value {
    let market = desk.exchange.market(market);
    let style = Style::of(product, market);
    let [bid, ask] = best;
    let mut body = json!({
        "u": market.book.update_id(),
        "s": market.listing.symbol,
        "b": bid.0.text(style.price),
        "B": bid.1.text(style.qty),
        "a": ask.0.text(style.price),
        "A": ask.1.text(style.qty),
    });
    if product == Product::Usdm {
        body["e"] = "bookTicker".into();
        body["T"] = now_ms.into();
        body["E"] = now_ms.into();
    }
    body
}

pub(super) fn depth(
    desk: &Desk,
    product: Product,
    market: MarketId,
    levels: &BTreeSet<(Side, Fixed)>,
    before: u64,
    now_ms: i64,
) -> Value {
    let market = desk.exchange.market(market);
    let style = Style::of(product, market);
    let book = &market.book;
    let of = |side: Side| -> Vec<Value> {
        let prices = levels.iter().filter(|level| level.0 == side).map(|level| level.1);
        let levels = prices.map(|price| style.level((price, book.level(side, price))));
        match side {
            Side::Buy => levels.rev().collect(),
            Side::Sell => levels.collect(),
        }
    };
    let mut body = json!({"e": "depthUpdate", "E": now_ms});
    if product == Product::Usdm {
        body["T"] = now_ms.into();
    }
    body["s"] = market.listing.symbol.clone().into();
    body["U"] = (before + 1).into();
    body["u"] = book.update_id().into();
    if product == Product::Usdm {
        body["pu"] = before.into();
    }
    body["b"] = of(Side::Buy).into();
    body["a"] = of(Side::Sell).into();
    body
}

/// Returns what a stream with a rhythm tells now.
pub(super) fn rhythmic(desk: &Desk, product: Product, stream: Stream, now_ms: i64) -> Value {
    let Some(id) = stream.market else {
        let markets = desk.exchange.markets();
        return markets
            .map(|(_, market)| of_market(&desk.exchange, product, market, stream.topic, now_ms))
            .collect();
    };
    of_market(&desk.exchange, product, desk.exchange.market(id), stream.topic, now_ms)
}

fn of_market(
    exchange: &Exchange,
    product: Product,
    market: &Market,
    topic: Topic,
    now_ms: i64,
) -> Value {
    match topic {
        Topic::Partial(n, _) => partial(product, market, n, now_ms),
        Topic::MiniTicker => mini_ticker(product, market, now_ms),
        Topic::Ticker => ticker(product, market, now_ms),
        Topic::AvgPrice => json!({
            "e": "avgPrice",
            "E": now_ms,
            "s": market.listing.symbol,
            "i": "5m",
            "w": market.candles.average(5).unwrap_or(market.last_price).to_string(),
            "T": market.trades.back().map_or(now_ms, |trade| millis(trade.at)),
        }),
        Topic::MarkPrice(_) => mark_price(exchange, market, now_ms),
        Topic::Trade
        | Topic::AggTrade
        | Topic::BookTicker
        | Topic::Depth(_)
        | Topic::Kline(_)
        | Topic::Liquidations => Value::Null,
    }
}

fn partial(product: Product, market: &Market, n: usize, now_ms: i64) -> Value {
    let style = Style::of(product, market);
    let side = |side: Side| -> Vec<Value> {
        market.book.depth(side, n).into_iter().map(|level| style.level(level)).collect()
    };
    let update_id = market.book.update_id();
    match product {
        Product::Spot => json!({
            "lastUpdateId": update_id,
            "bids": side(Side::Buy),
            "asks": side(Side::Sell),
        }),
        Product::Usdm => json!({
            "e": "depthUpdate",
            "E": now_ms,
            "T": now_ms,
            "s": market.listing.symbol,
            "U": update_id,
            "u": update_id,
            "pu": update_id - 1,
            "b": side(Side::Buy),
            "a": side(Side::Sell),
        }),
    }
}

fn day_of(market: &Market, now_ms: i64) -> Candle {
    market.candles.day().unwrap_or_else(|| Candle::flat(now_ms, market.last_price))
}

fn mini_ticker(product: Product, market: &Market, now_ms: i64) -> Value {
    let (style, day) = (Style::of(product, market), day_of(market, now_ms));
    json!({
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": market.listing.symbol,
        "c": market.last_price.text(style.price),
        "o": day.open.text(style.price),
        "h": day.high.text(style.price),
        "l": day.low.text(style.price),
        "v": day.volume.text(style.qty),
        "q": day.quote_volume.text(8),
    })
}

fn ticker(product: Product, market: &Market, now_ms: i64) -> Value {
    let (style, day) = (Style::of(product, market), day_of(market, now_ms));
    let change = day.close - day.open;
    let last_qty = market.trades.back().map_or(Fixed::ZERO, |trade| trade.qty);
    let mut body = json!({
        "e": "24hrTicker",
        "E": now_ms,
        "s": market.listing.symbol,
        "p": change.text(style.price),
        "P": change.scaled(100).over_floor(day.open).text(3),
        "w": day.quote_volume.over_floor(day.volume).text(style.price),
    });
    if product == Product::Spot {
        let [bid, ask] = [Side::Buy, Side::Sell].map(|side| {
            let price = market.book.best(side).unwrap_or(Fixed::ZERO);
            (price, market.book.level(side, price))
        });
        body["x"] = day.open.text(style.price).into();
        body["b"] = bid.0.text(style.price).into();
        body["B"] = bid.1.text(style.qty).into();
        body["a"] = ask.0.text(style.price).into();
        body["A"] = ask.1.text(style.qty).into();
    }
    let first = if day.first_trade == u64::MAX { 0 } else { day.first_trade };
    for (name, value) in [
        ("c", Value::from(market.last_price.text(style.price))),
        ("Q", last_qty.text(style.qty).into()),
        ("o", day.open.text(style.price).into()),
        ("h", day.high.text(style.price).into()),
        ("l", day.low.text(style.price).into()),
        ("v", day.volume.text(style.qty).into()),
        ("q", day.quote_volume.text(8).into()),
        ("O", (now_ms - 86_400_000).into()),
        ("C", now_ms.into()),
        ("F", first.into()),
        ("L", day.last_trade.into()),
        ("n", day.n_trades.into()),
    ] {
        body[name] = value;
    }
    body
}

fn mark_price(exchange: &Exchange, market: &Market, now_ms: i64) -> Value {
    json!({
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": market.listing.symbol,
        "p": market.mark.text(8),
        "i": market.index.text(8),
        "P": market.mark.text(8),
        "r": market.funding_rate.text(8),
        "T": millis(Exchange::next_funding_at(exchange.now())),
    })
}

/// Returns the candles that changed since they were last sent: one that has ended first.
pub(super) fn klines(desk: &mut Desk, stream: Stream, now_ms: i64) -> Vec<Value> {
    let (Some(id), Some((name, interval))) = (stream.market, stream.topic.interval()) else {
        return Vec::new();
    };
    let market = desk.exchange.market(id);
    let Some(current) = market.candles.current(interval) else { return Vec::new() };
    let body = |candle: &Candle, is_closed: bool| {
        let close_ms = interval.end_ms(candle.open_ms) - 1;
        let has_traded = candle.n_trades > 0;
        json!({
            "e": "kline",
            "E": now_ms,
            "s": market.listing.symbol,
            "k": {
                "t": candle.open_ms,
                "T": close_ms,
                "s": market.listing.symbol,
                "i": name,
                "f": if has_traded { Value::from(candle.first_trade) } else { Value::from(-1) },
                "L": if has_traded { Value::from(candle.last_trade) } else { Value::from(-1) },
                "o": candle.open.to_string(),
                "c": candle.close.to_string(),
                "h": candle.high.to_string(),
                "l": candle.low.to_string(),
                "v": candle.volume.to_string(),
                "n": candle.n_trades,
                "x": is_closed,
                "q": candle.quote_volume.to_string(),
                "V": candle.taker_volume.to_string(),
                "Q": candle.taker_quote_volume.to_string(),
                "B": "0",
            },
        })
    };
    let mut bodies = Vec::new();
    let now = (current.open_ms, current.n_trades);
    match desk.feeds.candles.get(&stream) {
        Some(sent) if *sent == now => return bodies,
        Some((open_ms, _)) if *open_ms < current.open_ms => {
            let ended = market.candles.build(interval, *open_ms);
            bodies.extend(ended.map(|candle| body(&candle, true)));
        }
        _ => {}
    }
    bodies.push(body(&current, false));
    desk.feeds.candles.insert(stream, now);
    bodies
}
