"""ccxt and ccxt.pro against an exchange on this machine."""

import asyncio
import json
import sys

import ccxt
import ccxt.pro

from steps import Steps, check


def point(exchange, venues):
    """Overrides the client's addresses, in its own way."""
    spot, usdm = venues["binance_spot"], venues["binance_usdm"]
    rest = {"public": "/api/v3", "private": "/api/v3", "v1": "/api/v1", "sapi": "/sapi/v1",
            "fapiPublic": "/fapi/v1", "fapiPublicV2": "/fapi/v2", "fapiPublicV3": "/fapi/v3",
            "fapiPrivate": "/fapi/v1", "fapiPrivateV2": "/fapi/v2", "fapiPrivateV3": "/fapi/v3",
            "dapiPublic": "/dapi/v1"}
    for name, path in rest.items():
        exchange.urls["api"][name] = spot["rest"] + path
    if "ws" in exchange.urls["api"]:
        streams = exchange.urls["api"]["ws"]
        # The client knows spot by "/stream" in the address.
        streams["spot"] = spot["named_streams"] + "/ws"
        streams["linear"] = usdm["legacy_streams"] + "/ws"
        streams["ws-api"] = {"spot": spot["ws_api"], "linear": usdm["ws_api"]}


def options():
    return {"apiKey": "demo", "secret": "demo", "enableRateLimit": False}


def trade_spot(steps, venues):
    exchange = ccxt.binance(options())
    point(exchange, venues)
    with steps.step("ccxt spot: load markets"):
        markets = exchange.load_markets()
        check("BTC/USDT" in markets, "BTC/USDT is listed")
        check(markets["BTC/USDT"]["precision"]["price"] == 0.01, "tick")
        check("BTC/USDT:USDT" in markets, "the perpetual is listed")
    with steps.step("ccxt spot: market data"):
        book = exchange.fetch_order_book("BTC/USDT", 20)
        check(len(book["bids"]) == 20 and book["bids"][0][0] < book["asks"][0][0], "book")
        check(len(exchange.fetch_ohlcv("BTC/USDT", "1m", limit=50)) == 50, "candles")
        exchange.fetch_ticker("ETH/BTC")
        exchange.fetch_tickers()
        exchange.fetch_trades("BTC/USDT", limit=10)
        exchange.fetch_time()
    last = book["bids"][0][0]
    with steps.step("ccxt spot: place, query, cancel"):
        before = exchange.fetch_balance()
        order = exchange.create_order("BTC/USDT", "limit", "buy", 0.01, round(last * 0.8, 2))
        check(order["status"] == "open", order)
        check(exchange.fetch_order(order["id"], "BTC/USDT")["status"] == "open", "queried")
        check(len(exchange.fetch_open_orders("BTC/USDT")) == 1, "listed")
        held = exchange.fetch_balance()
        locked = before["USDT"]["free"] - held["USDT"]["free"]
        check(abs(locked - 0.01 * round(last * 0.8, 2)) < 1e-6, f"locked {locked}")
        edited = exchange.edit_order(order["id"], "BTC/USDT", "limit", "buy", 0.02,
                                     round(last * 0.79, 2))
        gone = exchange.cancel_order(edited["id"], "BTC/USDT")
        check(gone["status"] == "canceled", gone)
        after = exchange.fetch_balance()
        check(after["USDT"] == before["USDT"], "all is free again")
    with steps.step("ccxt spot: market orders and fills"):
        bought = exchange.create_order("BTC/USDT", "market", "buy", 0.01)
        check(bought["status"] == "closed" and bought["filled"] == 0.01, bought)
        by_cost = exchange.create_market_buy_order_with_cost("BTC/USDT", 100)
        check(0 < by_cost["cost"] <= 100, by_cost)
        trades = exchange.fetch_my_trades("BTC/USDT")
        check(sum(t["amount"] for t in trades if t["order"] == bought["id"]) == 0.01, "fills")
        check(trades[-1]["fee"]["currency"] == "BTC", "fee")
        stop = exchange.create_order("BTC/USDT", "limit", "sell", 0.01, round(last * 0.7, 2),
                                     {"stopLossPrice": round(last * 0.75, 2)})
        exchange.cancel_all_orders("BTC/USDT")
        check(exchange.fetch_order(stop["id"], "BTC/USDT")["status"] == "canceled", "stop")
        check(len(exchange.fetch_orders("BTC/USDT")) >= 4, "history")
    with steps.step("ccxt spot: errors are the venue's"):
        for error, call in [
            (ccxt.InsufficientFunds, lambda: exchange.create_order(
                "BTC/USDT", "limit", "buy", 100, round(last, 2))),
            (ccxt.OrderNotFound, lambda: exchange.cancel_order("123456789", "BTC/USDT")),
            (ccxt.OrderImmediatelyFillable, lambda: exchange.create_order(
                "BTC/USDT", "limit", "buy", 0.01, round(last * 1.1, 2), {"postOnly": True})),
        ]:
            try:
                call()
            except error:
                continue
            raise AssertionError(f"no {error.__name__}")
        stranger = ccxt.binance({**options(), "secret": "wrong"})
        point(stranger, venues)
        stranger.options["fetchCurrencies"] = False
        try:
            stranger.fetch_balance()
        except ccxt.AuthenticationError:
            return
        raise AssertionError("a wrong secret is accepted")


def trade_usdm(steps, venues):
    exchange = ccxt.binanceusdm(options())
    point(exchange, venues)
    symbol = "BTC/USDT:USDT"
    with steps.step("ccxt usdm: load markets, market data"):
        exchange.load_markets()
        last = exchange.fetch_ticker(symbol)["last"]
        exchange.fetch_order_book(symbol, 50)
        exchange.fetch_ohlcv(symbol, "5m", limit=20)
        check(exchange.fetch_funding_rate(symbol)["markPrice"] > 0, "mark price")
    with steps.step("ccxt usdm: leverage, margin, mode"):
        exchange.set_leverage(10, symbol)
        exchange.set_margin_mode("isolated", symbol)
        exchange.set_margin_mode("cross", symbol)
        check(exchange.fetch_position_mode(symbol)["hedged"] is False, "one-way")
        check(exchange.fetch_balance()["USDT"]["free"] > 0, "balance")
    with steps.step("ccxt usdm: place, modify, cancel"):
        order = exchange.create_order(symbol, "limit", "buy", 0.01, round(last * 0.8, 1))
        check(order["status"] == "open", order)
        edited = exchange.edit_order(order["id"], symbol, "limit", "buy", 0.02,
                                     round(last * 0.79, 1))
        check(edited["amount"] == 0.02, edited)
        check(exchange.cancel_order(order["id"], symbol)["status"] == "canceled", "canceled")
        batch = exchange.create_orders([
            {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.01,
             "price": round(last * 0.8, 1)},
            {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.01,
             "price": round(last * 0.81, 1)},
        ])
        check(len(batch) == 2 and all(o["id"] for o in batch), batch)
        exchange.cancel_all_orders(symbol)
        check(exchange.fetch_open_orders(symbol) == [], "nothing is left")
    with steps.step("ccxt usdm: position, stop, close"):
        exchange.create_order(symbol, "market", "buy", 0.01)
        position = exchange.fetch_positions([symbol])[0]
        check(position["contracts"] == 0.01 and position["side"] == "long", position)
        stop = exchange.create_order(symbol, "market", "sell", 0.01, None,
                                     {"stopLossPrice": round(last * 0.8, 1)})
        check(stop["id"] is not None, stop)
        exchange.cancel_order(stop["id"], symbol, {"trigger": True})
        exchange.create_order(symbol, "market", "sell", 0.01, None, {"reduceOnly": True})
        check(all(p["contracts"] == 0 for p in exchange.fetch_positions([symbol])), "closed")
        check(len(exchange.fetch_my_trades(symbol)) >= 2, "fills")


async def stream(steps, venues):
    exchange = ccxt.pro.binance(options())
    point(exchange, venues)
    try:
        symbol = "BTC/USDT"
        with steps.step("ccxt.pro spot: streams"):
            await exchange.load_markets()
            for _ in range(5):
                book = await asyncio.wait_for(exchange.watch_order_book(symbol), 10)
            check(book["bids"][0][0] < book["asks"][0][0], "book")
            await asyncio.wait_for(exchange.watch_ticker(symbol), 10)
            await asyncio.wait_for(exchange.watch_trades(symbol), 20)
            await asyncio.wait_for(exchange.watch_ohlcv(symbol, "1m"), 10)
        with steps.step("ccxt.pro spot: own orders and balance"):
            orders = asyncio.ensure_future(exchange.watch_orders(symbol))
            await asyncio.sleep(1)
            placed = await exchange.create_order(symbol, "market", "buy", 0.01)
            told = await asyncio.wait_for(orders, 10)
            check(told[-1]["id"] == placed["id"], told)
        with steps.step("ccxt.pro spot: orders over the WebSocket API"):
            price = round(book["bids"][0][0] * 0.8, 2)
            order = await asyncio.wait_for(
                exchange.create_order_ws(symbol, "limit", "buy", 0.01, price), 10)
            found = await asyncio.wait_for(exchange.fetch_order_ws(order["id"], symbol), 10)
            check(found["status"] == "open", found)
            gone = await asyncio.wait_for(exchange.cancel_order_ws(order["id"], symbol), 10)
            check(gone["status"] == "canceled", gone)
    finally:
        await exchange.close()
    futures = ccxt.pro.binanceusdm(options())
    point(futures, venues)
    try:
        symbol = "BTC/USDT:USDT"
        with steps.step("ccxt.pro usdm: streams and own orders"):
            await futures.load_markets()
            for _ in range(3):
                book = await asyncio.wait_for(futures.watch_order_book(symbol), 10)
            check(book["bids"][0][0] < book["asks"][0][0], "book")
            await asyncio.wait_for(futures.watch_trades(symbol), 20)
            orders = asyncio.ensure_future(futures.watch_orders(symbol))
            await asyncio.sleep(1)
            placed = await futures.create_order(symbol, "market", "buy", 0.01)
            told = await asyncio.wait_for(orders, 10)
            check(told[-1]["id"] == placed["id"], told)
            await futures.create_order(symbol, "market", "sell", 0.01, None, {"reduceOnly": True})
    finally:
        await futures.close()


def main():
    venues = json.loads(sys.argv[1])["venues"]
    steps = Steps()
    trade_spot(steps, venues)
    trade_usdm(steps, venues)
    asyncio.run(stream(steps, venues))
    steps.end()


if __name__ == "__main__":
    main()
