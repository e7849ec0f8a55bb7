"""python-binance against an exchange on this machine."""

import asyncio
import json
import sys

from binance import AsyncClient, BinanceSocketManager, Client
from binance.exceptions import BinanceAPIException

from steps import Steps, check


def point(client_class, venues):
    """Overrides the client's addresses: they are members of its class."""
    spot, usdm = venues["binance_spot"], venues["binance_usdm"]
    client_class.API_URL = spot["rest"] + "/api"
    client_class.MARGIN_API_URL = spot["rest"] + "/sapi"
    client_class.FUTURES_URL = usdm["rest"] + "/fapi"
    client_class.WS_API_URL = spot["ws_api"]
    client_class.WS_FUTURES_URL = usdm["ws_api"]
    BinanceSocketManager.STREAM_URL = spot["streams"] + "/"
    BinanceSocketManager.FSTREAM_URL = usdm["legacy_streams"] + "/"


def trade(steps):
    client = Client("demo", "demo")
    with steps.step("python-binance spot: rules and market data"):
        info = client.get_symbol_info("BTCUSDT")
        check(any(f["filterType"] == "LOT_SIZE" for f in info["filters"]), "filters")
        bid = float(client.get_order_book(symbol="BTCUSDT", limit=5)["bids"][0][0])
        check(len(client.get_klines(symbol="BTCUSDT", interval="1m", limit=10)) == 10, "candles")
        check(len(client.get_historical_klines("BTCUSDT", "1h", "1 day ago UTC")) >= 23, "history")
        client.get_avg_price(symbol="BTCUSDT")
        client.get_aggregate_trades(symbol="BTCUSDT")
    with steps.step("python-binance spot: place, query, cancel"):
        order = client.order_limit_buy(
            symbol="BTCUSDT", quantity="0.01", price=f"{bid * 0.8:.2f}")
        check(order["status"] == "NEW", order)
        check(client.get_order(symbol="BTCUSDT", orderId=order["orderId"])["origQty"]
              == "0.01000000", "queried")
        gone = client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
        check(gone["status"] == "CANCELED", gone)
        bought = client.order_market_buy(symbol="BTCUSDT", quoteOrderQty="100")
        check(bought["status"] == "FILLED" and bought["fills"], bought)
        pair = client.create_oco_order(
            symbol="BTCUSDT", side="SELL", quantity="0.01", aboveType="LIMIT_MAKER",
            abovePrice=f"{bid * 1.1:.2f}", belowType="STOP_LOSS_LIMIT",
            belowStopPrice=f"{bid * 0.9:.2f}", belowPrice=f"{bid * 0.89:.2f}",
            belowTimeInForce="GTC")
        check(pair["contingencyType"] == "OCO" and len(pair["orders"]) == 2, pair)
        client.cancel_order(symbol="BTCUSDT", orderId=pair["orders"][0]["orderId"])
        check(client.get_open_orders(symbol="BTCUSDT") == [], "the pair is gone")
    with steps.step("python-binance spot: errors are the venue's"):
        try:
            client.order_limit_buy(symbol="BTCUSDT", quantity="0.000001", price="50000")
        except BinanceAPIException as error:
            check((error.code, error.message) == (-1013, "Filter failure: LOT_SIZE"), error)
        else:
            raise AssertionError("a quantity between two steps is accepted")
    with steps.step("python-binance usdm: orders and positions"):
        client.futures_exchange_info()
        client.futures_change_leverage(symbol="ETHUSDT", leverage=5)
        mark = float(client.futures_mark_price(symbol="ETHUSDT")["markPrice"])
        order = client.futures_create_order(
            symbol="ETHUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.1",
            price=f"{mark * 0.8:.2f}")
        check(order["status"] == "NEW", order)
        client.futures_cancel_order(symbol="ETHUSDT", orderId=order["orderId"])
        client.futures_create_order(symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.1")
        held = client.futures_position_information(symbol="ETHUSDT")
        check(float(held[0]["positionAmt"]) == 0.1, held)
        client.futures_create_order(
            symbol="ETHUSDT", side="SELL", type="MARKET", quantity="0.1", reduceOnly="true")
        check(float(client.futures_account()["totalWalletBalance"]) > 0, "wallet")


async def stream(steps):
    client = await AsyncClient.create("demo", "demo")
    manager = BinanceSocketManager(client)
    try:
        with steps.step("python-binance spot: streams"):
            for socket in [manager.trade_socket("BTCUSDT"), manager.depth_socket("BTCUSDT"),
                           manager.kline_socket("BTCUSDT"),
                           manager.multiplex_socket(["btcusdt@bookTicker", "ethusdt@aggTrade"])]:
                async with socket as feed:
                    message = await asyncio.wait_for(feed.recv(), 30)
                    check(message.get("e") != "error", message)
        with steps.step("python-binance spot: own orders"):
            async with manager.user_socket() as feed:
                await asyncio.sleep(0.5)
                placed = await client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
                kinds = []
                while "outboundAccountPosition" not in kinds or "TRADE" not in kinds:
                    message = await asyncio.wait_for(feed.recv(), 10)
                    message = message.get("event", message)
                    kinds.append(message["e"])
                    if message["e"] == "executionReport":
                        check(message["i"] == placed["orderId"], message)
                        kinds.append(message["x"])
        with steps.step("python-binance spot: orders over the WebSocket API"):
            order = await client.ws_order_limit_buy(
                symbol="BTCUSDT", quantity="0.01", price="40000.00")
            found = await client.ws_get_order(symbol="BTCUSDT", orderId=order["orderId"])
            check(found["status"] == "NEW", found)
            await client.ws_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
    finally:
        await client.close_connection()


def main():
    venues = json.loads(sys.argv[1])["venues"]
    steps = Steps()
    point(Client, venues)
    point(AsyncClient, venues)
    trade(steps)
    asyncio.run(stream(steps))
    steps.end()


if __name__ == "__main__":
    main()
